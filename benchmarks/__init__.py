"""Accuracy and speed of usguide, on synthetic scenes and on real recordings."""

import os

# One core: before NumPy is loaded, which reads these once.
for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")
