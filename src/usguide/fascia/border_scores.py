"""What lines, steps down and the tissues on both sides say of a border, along a strip."""

from __future__ import annotations

import numpy as np

from usguide.fascia.straighten import (
    ROW_MM,
    Strip,
    derivative_across,
    smoothed_along,
    usual_size,
)
from usguide.fascia.texture import features, separation
from usguide.fascia.workspace import Image
from usguide.model import Floats

# Lengths in nominal mm. Tuned on synthetic heels (seeds 0-19, 100-119, 200-219).
LENGTH_MM = (0.5, 24.0)
LINE_MM = 0.2
LINE_SATURATION = 8.0
"""Multiple of the usual line strength beyond which a stronger line counts little more."""
STEP_MM, FINE_STEP_MM = 0.5, 0.3
"""Standard deviation of the step looked for, to find a deep border and to place it."""
STEP_LEVEL = 0.15
WORTH_OF_LINE, WORTH_OF_SEPARATION = 3.0, 1.0
"""Against one unit of an outline's score."""
CLEAR_MM = 0.25
FAT_MM = 3.0
SKIN_MM = 1.8
"""Skin and the probe's face, which are no fat."""


def line_score(levels: Image) -> Image:
    """Score bright lines along a strip, -1 to 1, against what is usual in it."""
    line = -derivative_across(smoothed_along(levels, 1.0), LINE_MM, order=2)
    saturated = line / (LINE_SATURATION * usual_size(line) + 0.0025)
    return np.asarray(np.tanh(saturated), dtype=np.float32)


def drop_score(levels: Image, step_mm: float = STEP_MM) -> Image:
    """Score steps down in level along a strip, -1 to 1."""
    step = derivative_across(levels, step_mm, order=1) * (step_mm / ROW_MM)
    return np.asarray(np.tanh(-step / STEP_LEVEL), dtype=np.float32)


def superficial_worth(strip: Strip, thickness_mm: Floats, pixel_mm: float) -> float:
    """How much speaks for a superficial border: its line, and how unlike the tissues on its sides.

    Parameters
    ----------
    strip : Strip
        Laid along the deep border.
    thickness_mm : ndarray of float64, shape (columns,)
        How far above that the superficial one is.
    pixel_mm : float
        Nominal size of a work pixel.
    """
    rows_mm = strip.rows_px * pixel_mm
    distance = strip.band.distance_mm
    used = (distance >= LENGTH_MM[0]) & (distance <= LENGTH_MM[1])
    below = rows_mm[:, None]
    above = -thickness_mm - below
    shallow = strip.band.centre[:, 1] * pixel_mm + below < SKIN_MM
    fascia = used & (below < -CLEAR_MM) & (above < -CLEAR_MM)
    fat = used & (above > CLEAR_MM) & (above < FAT_MM) & ~shallow
    apart = separation(features(strip.levels), fascia, fat)
    line = line_score(strip.levels)
    rows = np.rint((-thickness_mm[used] - rows_mm[0]) / ROW_MM).astype(np.int64)
    along = float(line[np.clip(rows, 0, len(line) - 1), np.flatnonzero(used)].mean())
    return WORTH_OF_LINE * along + WORTH_OF_SEPARATION * apart
