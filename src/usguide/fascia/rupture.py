"""Ruptures: where the band, and not what lies over it, lacks its usual echo."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from usguide.fascia.straighten import COLUMN_MM
from usguide.model import Discontinuity, Floats

COLUMN_FINE_MM = 0.1
"""Between the columns that are read, nominal mm."""

# Tuned on synthetic heels (seeds 300-331).
EDGE_MM = 0.3
SURROUNDINGS_MM = 7.0
"""What is usual in a band is judged over this much of it on either side of a column."""
ECHO_MIN = 10.0
"""Grey levels above the floor below which a band has no echo to lack."""
LACK_MIN = 0.45
"""Least share of its usual echoes that a rupture lacks at its deepest place..."""
LACK_HALF = 0.3
"""... and to both sides as far as it is said to reach."""
WIDTH_MIN_MM = 1.3
"""Half-way between the narrowest of 62 ruptures found, 2 mm wide and more, which read 1.7 mm, and a
whole band's dark place of 1.0 mm: one frame each of 208 heels, another simulator's among them."""


def read_lack(inside: Floats, fat: Floats, floor: float) -> Floats:
    """Share of its usual echo that the band lacks in each column, and the fat above does not.

    Where the fat is dark as well, the probe has lost contact or something shades both.

    Parameters
    ----------
    inside, fat : ndarray of float64, shape (lines, columns)
        Grey levels along the band and along the fat over it, ``COLUMN_FINE_MM`` apart.
    floor : float
        Grey level of no echo.

    Returns
    -------
    ndarray of float64, shape (columns,)
        0 (nothing) to 1 (all of it).
    """

    def drop(levels: Floats) -> tuple[Floats, Floats]:
        level = ndimage.gaussian_filter1d(
            levels.mean(axis=0), EDGE_MM / COLUMN_FINE_MM, mode="nearest"
        )
        width = 2 * round(SURROUNDINGS_MM / COLUMN_FINE_MM) + 1
        usual = ndimage.percentile_filter(level, 60, size=width, mode="nearest")
        return usual, usual - level

    usual, lack = drop(inside)
    _, shade = drop(fat)
    return np.asarray((lack - np.maximum(shade, 0.0)) / np.maximum(usual - floor, ECHO_MIN))


def ruptures(distance_mm: Sequence[Floats], lack: Sequence[Floats]) -> tuple[Discontinuity, ...]:
    """Find runs of columns that lack the band's echo in most frames read.

    A needle, its shadow or its reverberation is never in the same place for long; a rupture is.

    Parameters
    ----------
    distance_mm, lack : sequence of ndarray of float64, shape (columns,)
        Nominal distance from the insertion and what is lacking there, one of each per frame.
    """
    shortest = min(len(one) for one in distance_mm)
    usual = np.median([one[:shortest] for one in lack], axis=0)
    distance = distance_mm[0][:shortest]
    found = []
    labels, count = ndimage.label(usual > LACK_HALF)
    for label in range(1, count + 1):
        columns = np.flatnonzero(labels == label)
        width = len(columns) * COLUMN_FINE_MM
        deepest = float(usual[columns].max())
        if deepest < LACK_MIN or width < WIDTH_MIN_MM:
            continue
        middle = float(distance[columns].mean())
        if middle < COLUMN_MM or columns[-1] == shortest - 1:
            continue
        found.append(Discontinuity(middle, width, float(np.clip(deepest, 0, 1))))
    return tuple(found)
