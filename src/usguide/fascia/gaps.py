"""Ruptures as they disturb the search: a band that is missing for some millimetres.

The fascia's look is averaged along the band, and a rupture has another look. So what is missing is
left out of every mean, and bridged where something is followed along the band.
"""

from __future__ import annotations

import cv2
import numpy as np

from usguide.fascia.straighten import COLUMN_MM, smoothed_along
from usguide.fascia.workspace import Image
from usguide.model import Bools

# Lengths in nominal mm, levels normalised. Tuned on synthetic heels (7000-7035 and others).
SHORTEST_MM, LONGEST_MM = 1.5, 8.0
"""Of a gap: from what septa and vessels reach to more than any rupture of the synthetic heels."""
REACH_MM = 20.0
"""Beyond two centimetres the borders are too uncertain to call a gap between them a rupture."""
LACK_SHARE, LACK_MIN = 0.5, 0.2
"""Least share of the level on both sides that a gap lacks, and the least lack. Of synthetic
ruptures 0.65-0.85 and 0.3-0.5 is missing, of fat lobules and fibres crossed at most 0.5 and 0.2."""
SMOOTHING_MM = 0.5
"""Of levels along the band, standard deviation: less than half of the shortest gap."""


def interrupted(level: Image, overlying: Image) -> Bools:
    """Find the columns in which bands lack the echo that they have on both sides.

    Where what lies over a band is dark as well, the probe has lost contact or something shades
    both.

    Parameters
    ----------
    level, overlying : ndarray of float32, shape (rows, columns)
        Levels along a band, and along what lies over it; one band a row.

    Returns
    -------
    ndarray of bool, shape (rows, columns)
        The gaps, and the column on either side of each.
    """
    usual, lack = _lack(level)
    _, shade = _lack(overlying)
    gap = lack - shade > np.maximum(LACK_SHARE * usual, LACK_MIN)
    wide = np.ones((1, round(SHORTEST_MM / COLUMN_MM)), np.uint8)
    gap = cv2.morphologyEx(gap.astype(np.uint8), cv2.MORPH_OPEN, wide)
    return np.asarray(cv2.dilate(gap, np.ones((1, 3), np.uint8)) > 0)


def _lack(level: Image) -> tuple[Image, Image]:
    """Lower of the highest levels on either side of each column, and what it lacks of that."""
    level = smoothed_along(level, SMOOTHING_MM)
    width = 2 * round(LONGEST_MM / COLUMN_MM / 2) + 1
    usual = cv2.morphologyEx(
        level, cv2.MORPH_CLOSE, np.ones((1, width), np.uint8), borderType=cv2.BORDER_REPLICATE
    )
    return np.asarray(usual), np.asarray(usual - level)


def bridged(levels: Image, gap: Bools) -> Image:
    """Return levels with some columns, shape (columns,), interpolated between those beside them."""
    if not gap.any() or gap.all():
        return levels
    known = np.flatnonzero(~gap)
    at = np.interp(np.arange(len(gap)), known, np.arange(len(known)))
    left = np.floor(at).astype(np.int64)
    right = np.minimum(left + 1, len(known) - 1)
    share = (at - left).astype(np.float32)
    return np.asarray(levels[:, known[left]] * (1 - share) + levels[:, known[right]] * share)
