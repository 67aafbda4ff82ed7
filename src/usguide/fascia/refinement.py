"""Both borders moved together, column by column, by the evidence near their course.

Where the picture does not decide between two places, the likelier of them changes with its grain;
their mean over all courses, weighed by likelihood, does not.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from usguide.fascia.border_odds import AWAY_MM, REACH_MM, measured_odds, recognised_odds
from usguide.fascia.border_scores import FINE_STEP_MM, drop_score, line_score
from usguide.fascia.course import BorderPair, Course
from usguide.fascia.recognition import Recognised
from usguide.fascia.straighten import COLUMN_MM, ROW_MM, Strip, smoothed_along
from usguide.fascia.tissues import STRIDE
from usguide.fascia.workspace import Image
from usguide.kernels.expected_surfaces import expected_surfaces
from usguide.model import Floats

# Lengths in nominal mm.
THIN_MM = 0.7
"""Least thickness anywhere along the band."""
ALONG_MM = 1.5
"""Averaging along the band, standard deviation."""

SLOPE_PRICE = 0.7
"""Of a border's moving by ``ROW_MM`` against its course from one column to the next, against log
odds per column; from half to twice as much serves as well. A change of thickness costs no more than
that of its borders: such a price cuts bulges off. Chosen on synthetic heels, half of them with a
bulge, and on another simulator's."""


def refine(
    strip: Strip,
    course: Course,
    recognised: Recognised | None,
    pixel_mm: float,
    within_mm: float = REACH_MM,
) -> BorderPair | None:
    """Move both borders, together and column by column, to where they are likeliest on average.

    That is the mean (:func:`usguide.kernels.expected_surfaces.expected_surfaces`) over all courses
    nearby, each as likely as the tissues recognised have it, or, in columns that the network does
    not look at, as :func:`usguide.fascia.border_odds.measured_odds` has it: on synthetic heels,
    another simulator's among them, what is measured only takes a border off where the network
    sees it. How sharply a border is placed both say together. What is added to the course is
    averaged along the band, because the picture's grain is coarser than its columns.

    Parameters
    ----------
    strip : Strip
        On the course's own band.
    course : Course
        Where the borders run.
    recognised : Recognised or None
        Tissues of the picture; None to go by what is measured alone.
    pixel_mm : float
        Nominal size of a work pixel.
    within_mm : float
        How far from the course they may be, at most ``REACH_MM``.
    """
    row_px = ROW_MM / pixel_mm
    thickness_mm = course.thickness_px * pixel_mm
    offsets: list[Floats] = [course.upper_px, course.lower_px]
    windows: list[Image] = []
    spread: list[Floats] = []
    near = np.abs(AWAY_MM) <= within_mm + ROW_MM / 2
    for offset, deep in zip(offsets, (False, True), strict=True):
        offset_mm = offset * pixel_mm
        odds = measured_odds(strip, offset_mm, thickness_mm, course.gap, pixel_mm, deep=deep)[near]
        both = odds
        if recognised is not None:
            told = recognised_odds(strip.band, offset_mm, recognised, pixel_mm, deep=deep)[near]
            odds, both = np.where(told.any(axis=0), told, odds), odds + told
        windows.append(np.ascontiguousarray(odds, np.float32))
        spread.append(row_px * sharpness(both))
    # Rows of both are counted from their own courses, which lie apart.
    least = np.ceil(THIN_MM / ROW_MM - course.thickness_px / row_px).astype(np.int64)
    rows = expected_surfaces(windows[0], windows[1], least, SLOPE_PRICE)
    if not np.isfinite(rows).all():
        return None
    shift = row_px * (rows - len(windows[0]) // 2)
    moved = np.stack(offsets) + ndimage.gaussian_filter1d(shift, ALONG_MM / COLUMN_MM, axis=1)
    levels = smoothed_along(strip.levels, ALONG_MM)
    evidence = [
        _evidence(score, strip, offset)
        for score, offset in zip(
            (line_score(strip.levels), drop_score(levels, FINE_STEP_MM)), moved, strict=True
        )
    ]
    return BorderPair(
        strip.band,
        moved[0],
        moved[1],
        course.gap,
        course.doubt_px,
        spread[0],
        spread[1],
        *evidence,
    )


def _evidence(score: Image, strip: Strip, offset_px: Floats) -> Floats:
    """Highest score within a row of the network's of a curve on the strip, per column."""
    rows = (offset_px - strip.rows_px[0]) / (strip.rows_px[1] - strip.rows_px[0])
    beside = np.arange(-STRIDE, STRIDE + 1)[:, None]
    near = np.clip(np.rint(rows).astype(np.int64) + beside, 0, len(score) - 1)
    return np.asarray(score[near, np.arange(len(offset_px))].max(axis=0), dtype=np.float64)


def sharpness(window: Image) -> Floats:
    """Spread, in rows, of where a border may be given its log odds, per column.

    Parameters
    ----------
    window : ndarray of float32, shape (rows, columns)
        Log odds of every place searched.
    """
    rows = np.arange(len(window))[:, None]
    weight = np.exp(window - window.max(axis=0))
    weight /= weight.sum(axis=0)
    mean = (weight * rows).sum(axis=0)
    return np.asarray(np.sqrt((weight * (rows - mean) ** 2).sum(axis=0)), dtype=np.float64)
