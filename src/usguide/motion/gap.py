"""The edges of a gap: a dark interval between two muscle ends, measured along the muscle.

On a profile p(x) with the tissue at grey level T and the gap at F, the interval that best splits
the profile into gap and tissue in the least-squares sense is the one with the largest sum of
(T + F) / 2 - p(x): found exactly, in one pass, and indifferent to speckle inside the gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from usguide.model import Floats
from usguide.motion.pool import clear_rows, middle_half
from usguide.motion.strip import profile_of, smoothed

EDGE_SHARE = 1.0 / 3.0
"""Level at which edges are found, from the gap (0) to the tissue (1): low, so that dark tissue
beside a gap is not taken for part of it."""

PLAIN_SHARE = 0.6
"""Grey level of a plainly dark gap as a share of the tissue's beside it: synthetic tears of 3 mm
reach 0.03 to 0.51, the dark lanes of two real healthy muscles 0.65 and more."""

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
class Levels:
    """Grey levels of the tissue at either side of a gap, and of the gap."""

    left: float
    right: float
    floor: float

    @property
    def share(self) -> float:
        """Grey level of the gap as a share of its darker side's."""
        return self.floor / max(min(self.left, self.right), 1.0)

    def threshold(self, share: float = 0.5) -> float:
        """Grey level at a share of the way from the gap to its darker side."""
        return self.floor + share * (min(self.left, self.right) - self.floor)


def darkest_interval(profile: Floats, threshold: float) -> tuple[float, float]:
    """Interval with the largest sum of ``threshold - profile``; edges are fractions of a sample.

    Samples that are NaN, where no tissue is shown, count as neither dark nor bright.

    Returns
    -------
    (start, end) : (float, float)
        Where the profile crosses the threshold, in samples; equal where nothing lies under it.
    """
    gain = np.nan_to_num(threshold - profile)
    sums = np.concatenate([[0.0], np.cumsum(gain)])
    lowest = np.minimum.accumulate(sums[:-1])
    totals = sums[1:] - lowest
    end = int(np.argmax(totals))
    if totals[end] <= 0:
        middle = 0.5 * (len(profile) - 1)
        return middle, middle
    start = int(np.flatnonzero(sums[: end + 1] == lowest[end])[-1])
    return _crossing(profile, start, start - 1, threshold), _crossing(
        profile, end, end + 1, threshold
    )


def _crossing(profile: Floats, inside: int, outside: int, threshold: float) -> float:
    """Where the profile passes the threshold between an inner and an outer sample."""
    if not 0 <= outside < len(profile):
        return float(inside)
    low, high = float(profile[inside]), float(profile[outside])
    if not high > low:  # Nor where one of them shows no tissue.
        return float(inside)
    share = min(1.0, max(0.0, (threshold - low) / (high - low)))
    return inside + share * (outside - inside)


def levels_around(
    strip: NDArray[np.float32], rows: slice, inner: tuple[int, int], flank: int
) -> Levels | None:
    """Grey levels in and beside the columns ``inner`` of a straightened muscle.

    ``flank`` is how many columns at either side count as its tissue. None where a side has none.
    """
    width = strip.shape[1]
    profile = profile_of(strip[rows])
    left, right, middle = (
        part[np.isfinite(part)]
        for part in (
            profile[max(0, inner[0] - flank) : max(0, inner[0])],
            profile[min(width, inner[1]) : min(width, inner[1] + flank)],
            profile[max(0, inner[0]) : min(width, inner[1])],
        )
    )
    if min(len(left), len(right)) < flank // 3 or len(middle) < 2:
        return None
    return Levels(float(np.median(left)), float(np.median(right)), float(np.percentile(middle, 15)))


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
    pooled : bool
        Whether blood beside it hides how wide it is: too few of its rows are clear of it.
    """

    entry: int
    rows: NDArray[np.int64]
    edges: Floats
    core: slice
    levels: Levels
    contrast: float
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
            found = _row_edges(calm[row], centre, 0.5 * max(width, before) + cell, levels)
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
    contrast = _contrast(profile_of(calm[torn]), *span)
    return settled(
        Gap(entry, torn.astype(np.int64), smooth, middle_half(len(torn)), levels, contrast),
        len(strip),
        cell,
        [],
    )


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


def out_of_the_dark(
    strip: NDArray[np.float32], rows: slice, inner: tuple[float, float]
) -> tuple[float, float]:
    """Move two columns that both lie in a plainly dark gap apart to where it ends.

    Blocks beside a gap are matched by what they hold of its ends, so that motion can put both of
    its sides well inside a wide one. Columns that do not lie in one stay as they are.

    Parameters
    ----------
    strip : ndarray of float32, shape (rows, columns)
        The straightened muscle, grey levels.
    rows : slice
        Rows in which tissue was seen to part.
    inner : (float, float)
        The two columns.
    """
    profile = profile_of(strip[rows])
    left, right = int(inner[0]), min(int(inner[1]), len(profile) - 1)
    between = profile[left : right + 1]
    between = between[np.isfinite(between)]
    if len(between) == 0:
        return inner
    floor = float(np.percentile(between, 15))
    usual = float(np.nanmedian(profile))
    level = floor + EDGE_SHARE * (usual - floor)
    dark = profile[left] < level and profile[right] < level
    if floor > PLAIN_SHARE * usual or not dark:
        return inner
    while left > 0 and profile[left] < level:
        left -= 1
    while right < len(profile) - 1 and profile[right] < level:
        right += 1
    return float(left), float(right)


def _contrast(profile: Floats, start: float, end: float) -> float:
    """Darkness of an interval in spreads of the profile's mean over windows as wide."""
    width = max(2, round(end - start))
    means = np.convolve(profile, np.full(width, 1.0 / width), mode="valid")
    middles = np.arange(len(means)) + 0.5 * (width - 1)
    inside = profile[int(start) : int(end) + 1]
    inside = inside[np.isfinite(inside)]
    centre = 0.5 * (start + end)
    beside = means[(np.abs(middles - centre) >= width) & np.isfinite(means)]
    if len(beside) < 3 or len(inside) == 0:
        return 0.0
    usual = float(np.median(beside))
    spread = 1.4826 * float(np.median(np.abs(beside - usual)))
    return (usual - float(inside.mean())) / max(spread, 1.0)


def along_rows(rows: NDArray[np.int64], values: Floats) -> Floats:
    """Smooth a quantity down the rows: straight for a few, bent once for more."""
    if len(rows) < 3:
        return np.full(len(rows), np.median(values))
    degree = 2 if len(rows) >= 8 else 1
    centred = (rows - rows.mean()) / len(rows)
    fit = np.polynomial.polynomial.polyfit(centred, values, degree)
    residual = np.abs(values - np.polynomial.polynomial.polyval(centred, fit))
    kept = residual <= 3.0 * np.median(residual) + 1.0
    fit = np.polynomial.polynomial.polyfit(centred[kept], values[kept], degree)
    return np.asarray(np.polynomial.polynomial.polyval(centred, fit), dtype=np.float64)


def _row_edges(
    profile: NDArray[np.float32], centre: float, reach: float, levels: Levels
) -> tuple[float, float] | None:
    low, high = max(0, int(centre - reach)), min(len(profile), int(centre + reach) + 1)
    if high - low < 3:
        return None
    start, end = darkest_interval(
        profile[low:high].astype(np.float64), levels.threshold(EDGE_SHARE)
    )
    if end <= start:
        return None
    return low + start, low + end
