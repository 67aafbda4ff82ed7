"""Where the fascia leaves the bone, from the bone's line and the deep border drawn on to it."""

from __future__ import annotations

import numpy as np

from usguide.fascia.arcs import Surface
from usguide.model import Floats

# Lengths in nominal mm.
TANGENT_MM = (2.0, 7.0)
"""Part of the deep border that is drawn on straight to the bone."""
MEETING_SD_MM, BONE_END_SD_MM, BONE_END_WORTH = 0.4, 0.7, 9.0
"""How far the deep border drawn on is from the bone at the insertion, how far the end of the bone's
line is from it, and the most that may speak for the latter: a spur, or a wall seen far down, ends
elsewhere. Tuned on synthetic heels."""


def find_insertion(surface: Surface, deep_mm: Floats) -> float:
    """Find where the deep border leaves the bone, along the strip from the end of the bone's line.

    The bone goes on past its front lower edge, down its front wall, so its line alone does not
    say where the edge is; but there it meets the fascia's deep border, drawn on straight because
    the bone's echo hides where it begins. Where the two run at a small angle to each other, where
    they meet is uncertain, and the end of the bone's line says more: what is returned is the most
    likely place given both.

    Parameters
    ----------
    surface : Surface
        The bone.
    deep_mm : ndarray of float64, shape (n, 2)
        Points of the deep border in the surface's coordinates, ``TANGENT_MM`` of it from clear
        of the bone on.
    """
    slope, start = np.polyfit(deep_mm[:, 0], deep_mm[:, 1], 1)
    top = int(np.argmin(surface.down_mm))
    along, down = surface.along_mm[top:], surface.down_mm[top:]
    apart = (down - start - slope * along) / MEETING_SD_MM
    unusual = np.minimum((along / BONE_END_SD_MM) ** 2, BONE_END_WORTH)
    return float(along[np.argmin(apart**2 + unusual)])
