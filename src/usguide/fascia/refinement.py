"""Both borders moved together, column by column, by the evidence near their course.

Where the picture does not decide between two places, the likelier of them changes with its grain;
their mean over all courses, weighed by likelihood, does not.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from usguide.fascia.border_odds import REACH_MM, border_odds
from usguide.fascia.course import BorderPair, Course
from usguide.fascia.fitting import FINE_STEP_MM, drop_score, line_score
from usguide.fascia.recognition import Recognised
from usguide.fascia.straighten import COLUMN_MM, ROW_MM, Strip, smoothed_along
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
    nearby, each as likely as :func:`usguide.fascia.border_odds.border_odds` has it. What it adds is
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
    for offset, deep in zip(offsets, (False, True), strict=True):
        score = border_odds(
            strip, offset * pixel_mm, thickness_mm, course.gap, recognised, pixel_mm, deep=deep
        )
        beyond = (len(score) - 1) // 2 - round(within_mm / ROW_MM)
        windows.append(np.ascontiguousarray(score[beyond : len(score) - beyond], np.float32))
    # Rows of both are counted from their own courses, which lie apart.
    least = np.ceil(THIN_MM / ROW_MM - course.thickness_px / row_px).astype(np.int64)
    rows = expected_surfaces(windows[0], windows[1], least, SLOPE_PRICE)
    if not np.isfinite(rows).all():
        return None
    shift = row_px * (rows - len(windows[0]) // 2)
    moved = np.stack(offsets) + ndimage.gaussian_filter1d(shift, ALONG_MM / COLUMN_MM, axis=1)
    spread = [row_px * sharpness(window) for window in windows]
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
    """Highest score within a tenth of a millimetre of a curve on the strip, per column."""
    rows = (offset_px - strip.rows_px[0]) / (strip.rows_px[1] - strip.rows_px[0])
    near = np.clip(np.rint(rows).astype(np.int64) + np.array([[-1], [0], [1]]), 0, len(score) - 1)
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
