"""A gap between two muscle ends: the dark interval in every row of the straightened muscle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from usguide.model import Floats
from usguide.motion.dark_interval import (
    EDGE_SHARE,
    Levels,
    contrast_of,
    darkest_interval,
    levels_around,
    row_edges,
)
from usguide.motion.pool import clear_rows, middle_half
from usguide.motion.strip import profile_of, smoothed

FROM_BORDER = 2
"""Rows of the strip between a gap and the border that it reaches."""

GROWTH = 8
"""Motion cells by which a gap may reach further to a side than tissue was seen to part."""

LEAST_STEP = 1.0
"""Least step in width from a gap to a pool, in motion cells, some 2 mm: dark speckle beside a gap
that is closed makes smaller ones. Synthetic pools that matter make 2 to 5."""

SMOOTHED_ROWS = 5
"""Rows of the strip whose median stands for an edge in the middle one: a fifth of the muscle."""


@dataclass(frozen=True, slots=True, eq=False)
class Gap:
    """A gap between two muscle ends as seen at the peak of a contraction, in the strip.

    Parameters
    ----------
    entry : int
        Entry of the motion history it was found in.
    rows : ndarray of int64, shape (k,)
        Rows of the strip it crosses.
    edges : ndarray, shape (k, 2)
        Its left and right edge in each of them, columns.
    core : slice
        Those of its rows over which its width is taken: see :func:`usguide.motion.pool.clear_rows`.
    levels : Levels
        Grey levels around it.
    contrast : float
        How much darker it is than the muscle beside it, in spreads of the muscle's brightness
        over windows as wide as the gap.
    muscle : float
        Median grey level of the muscle in that frame.
    pooled : bool
        Whether blood beside it hides how wide it is: too few of its rows are clear of it.
    """

    entry: int
    rows: NDArray[np.int64]
    edges: Floats
    core: slice
    levels: Levels
    contrast: float
    muscle: float
    pooled: bool = False

    @property
    def centre(self) -> float:
        """Middle of the gap, columns."""
        return float(self.edges[self.core].mean())

    @property
    def width(self) -> float:
        """Mean width along the muscle, columns."""
        edges = self.edges[self.core]
        return float((edges[:, 1] - edges[:, 0]).mean())


def find_gap(
    strip: NDArray[np.float32], entry: int, rows: slice, inner: tuple[float, float], cell: float
) -> Gap | None:
    """Find the dark interval between two columns of a straightened muscle, and its depth.

    Parameters
    ----------
    strip : ndarray of float32, shape (rows, columns)
        The straightened muscle.
    entry : int
        Entry of the motion history, carried along.
    rows : slice
        Rows in which tissue was seen to part.
    inner : (float, float)
        Columns between which it parts.
    cell : float
        Spacing of the motion cells, columns: the accuracy of ``inner``.
    """
    low = max(0, int(inner[0] - cell))
    high = min(strip.shape[1], int(inner[1] + cell) + 1)
    calm = smoothed(strip, max(0.5, 0.1 * cell), 0.8)
    # The ends found by motion may reach into the gap, or stop short of it: settle the levels on
    # the darkest interval itself, then measure.
    first = levels_around(calm, rows, (int(inner[0]), int(inner[1]) + 1), int(3 * cell))
    if first is None:
        return None
    # Blood may reach further to the sides than what was seen to part.
    for _ in range(GROWTH):
        start, end = darkest_interval(profile_of(calm[rows, low:high]), first.threshold(EDGE_SHARE))
        beyond = start <= 0.0 < low, end >= high - low - 1 and high < strip.shape[1]
        if not any(beyond):
            break
        low = max(0, low - int(cell)) if beyond[0] else low
        high = min(strip.shape[1], high + int(cell)) if beyond[1] else high
    start, end = darkest_interval(profile_of(calm[rows, low:high]), first.threshold())
    margin = 0.3 * cell
    levels = levels_around(
        calm,
        rows,
        (int(low + start - margin), int(low + end + margin) + 1),
        int(3 * cell),
    )
    width = end - start
    if levels is None or levels.threshold() <= levels.floor or width < 1.0:
        return None
    edges = np.full((len(strip), 2), np.nan)
    middle = (rows.start + rows.stop) // 2
    for direction in (range(middle, len(strip)), range(middle - 1, -1, -1)):
        centre, before = low + 0.5 * (start + end), width
        for row in direction:
            found = row_edges(calm[row], centre, 0.5 * max(width, before) + cell, levels)
            if found is None or found[1] - found[0] < 0.3 * width:
                break
            edges[row] = found
            centre = 0.5 * centre + 0.25 * (found[0] + found[1])
            before = found[1] - found[0]
    torn = np.flatnonzero(np.isfinite(edges[:, 0]))
    if len(torn) < 2:
        return None
    # Not a line: it would bend at the step to where blood has pooled.
    smooth = np.stack(
        [median_filter(edges[torn, side], SMOOTHED_ROWS, mode="nearest") for side in (0, 1)], axis=1
    )
    span = (float(np.mean(edges[torn, 0])), float(np.mean(edges[torn, 1])))
    contrast = contrast_of(profile_of(calm[torn]), *span)
    muscle = float(np.nanmedian(strip))
    gap = Gap(
        entry, torn.astype(np.int64), smooth, middle_half(len(torn)), levels, contrast, muscle
    )
    return settled(gap, len(strip), cell, [])


def settled(gap: Gap, height: int, cell: float, others: Sequence[Floats]) -> Gap:
    """Return the gap with the rows in which no blood widens it, or with ``pooled`` set.

    Parameters
    ----------
    gap : Gap
        The gap.
    height : int
        Rows of the strip.
    cell : float
        Spacing of the motion cells, columns.
    others : sequence of ndarray, shape (k,)
        Width in each of its rows in other frames, columns: those first in which it is narrowest.
    """
    own = gap.edges[:, 1] - gap.edges[:, 0]
    at_border = gap.rows[0] <= FROM_BORDER, gap.rows[-1] >= height - 1 - FROM_BORDER
    mouth = None if at_border[0] == at_border[1] else (0 if at_border[0] else -1)
    core = clear_rows([*others, own], mouth, LEAST_STEP * cell)
    return replace(gap, core=core or middle_half(len(gap.rows)), pooled=core is None)
