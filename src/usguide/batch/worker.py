"""What happens in a worker before any clip: one thread, its own kernel cache, an eye on its parent.

Imported by every worker before the environment is set, so nothing heavy is imported up here.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import threading

_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


def prepare(cache: str) -> None:
    """Set up a local worker process.

    Parameters
    ----------
    cache : str
        Folder of the compiled kernels that no other worker writes to.
    """
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    os.environ["NUMBA_CACHE_DIR"] = cache
    # Ctrl-C and a queue's end of time reach the whole group; what becomes of the workers is the
    # parent's to say, or the clips in flight would be recorded as failed.
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End at once when the parent is gone: nobody is left to take the result."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def load() -> None:
    """Import what a clip needs, which compiles the kernels where they are not yet."""
    from usguide import pipeline

    pipeline.load_stages()
    for name in ("usguide.ingest.opening", "usguide.output.report", "usguide.output.writing"):
        importlib.import_module(name)


def one_thread() -> None:
    """Keep OpenCV from starting a thread per core in every worker."""
    import cv2

    cv2.setNumThreads(1)
