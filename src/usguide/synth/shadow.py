"""Acoustic shadow: what is left of the echoes behind bone."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.model import Floats
from usguide.synth.imaging import Imager
from usguide.synth.tissue import smoothstep

SHADOW_DB = -34.0
"""What is left of the echoes behind bone: side lobes and reverberation (a choice: recordings show
an even haze there, down to nothing)."""

PENUMBRA_MM = 0.7
"""Standard deviation of a shadow's edge: what passes beside the bone."""


def shadow(imager: Imager, surfaces_mm: list[Floats]) -> NDArray[np.float32]:
    """Two-way amplitude behind surfaces: 1 before, next to nothing behind.

    Each surface is (k, 2), (x, z) in mm; the result has the shape of the imager's grid (samples,
    beams).
    """
    left = 10 ** (SHADOW_DB / 20)
    passed = np.ones((len(imager.depth), len(imager.lateral)), dtype=np.float32)
    for surface in surfaces_mm:
        lateral, depth = imager.beam_coordinates(surface[:, 0], surface[:, 1])
        order = np.argsort(lateral)
        depths = np.interp(imager.lateral, lateral[order], depth[order], left=1e3, right=1e3)
        # Half a millimetre of surface echo, then the shadow sets in.
        behind = (imager.depth[:, None] - (depths[None, :] + 0.5)) / 0.3
        passed *= (1.0 - (1.0 - left) * smoothstep(behind)).astype(np.float32)
    # Waves from the sides of the aperture pass beside the edge.
    width = PENUMBRA_MM / imager.beam_spacing_mm
    blurred = cv2.GaussianBlur(passed, (0, 0), width, sigmaY=1.0, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, dtype=np.float32)
