"""The edges of a gap: a dark interval between two muscle ends, measured along the muscle.

On a profile p(x) with the tissue at grey level T and the gap at F, the interval that best splits
the profile into gap and tissue in the least-squares sense is the one with the largest sum of
(T + F) / 2 - p(x): found exactly, in one pass, and indifferent to speckle inside the gap.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.model import Floats

EDGE_SHARE = 1.0 / 3.0
"""Level at which edges are found, from the gap (0) to the tissue (1): low, so that dark tissue
beside a gap is not taken for part of it."""

PLAIN_SHARE = 0.6
"""Grey level of a plainly dark gap as a share of the tissue's beside it: synthetic tears of 3 mm
reach 0.03 to 0.51, the dark lanes of two real healthy muscles 0.65 and more."""


POOL_ROWS, POOL_RATIO, POOL_RESIDUAL = 5, 1.4, 0.5
"""Least rows at either side of a step in a gap's width, the least ratio of the widths there, and
the largest share of what a straight taper leaves unexplained that the step may leave. Tuned on
synthetic tears with and without a hematoma."""


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

    Returns
    -------
    (start, end) : (float, float)
        Where the profile crosses the threshold, in samples; equal where nothing lies under it.
    """
    gain = threshold - profile
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
    if high <= low:
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
    profile = strip[rows].mean(axis=0)
    left = profile[max(0, inner[0] - flank) : max(0, inner[0])]
    right = profile[min(width, inner[1]) : min(width, inner[1] + flank)]
    middle = profile[max(0, inner[0]) : min(width, inner[1])]
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
    torn : ndarray of int64, shape (m,)
        Rows of the strip it crosses.
    rows : ndarray of int64, shape (k,)
        Those over which its width is taken: see :func:`_measurable`.
    edges : ndarray, shape (k, 2)
        Its left and right edge in each of these rows, columns.
    levels : Levels
        Grey levels around it.
    contrast : float
        How much darker it is than the muscle beside it, in spreads of the muscle's brightness
        over windows as wide as the gap.
    """

    entry: int
    torn: NDArray[np.int64]
    rows: NDArray[np.int64]
    edges: Floats
    levels: Levels
    contrast: float

    @property
    def centre(self) -> float:
        """Middle of the gap, columns."""
        return float(self.edges.mean())

    @property
    def width(self) -> float:
        """Mean width along the muscle, columns."""
        return float((self.edges[:, 1] - self.edges[:, 0]).mean())


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
    calm = np.asarray(
        cv2.GaussianBlur(strip, (0, 0), sigmaX=max(0.5, 0.1 * cell), sigmaY=0.8), np.float32
    )
    # The ends found by motion may reach into the gap, or stop short of it: settle the levels on
    # the darkest interval itself, then measure.
    first = levels_around(calm, rows, (int(inner[0]), int(inner[1]) + 1), int(3 * cell))
    if first is None:
        return None
    start, end = darkest_interval(
        calm[rows, low:high].mean(axis=0).astype(np.float64), first.threshold()
    )
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
        centre = low + 0.5 * (start + end)
        for row in direction:
            found = _row_edges(calm[row], centre, 0.5 * width + cell, levels)
            if found is None or found[1] - found[0] < 0.3 * width:
                break
            edges[row] = found
            centre = 0.5 * centre + 0.25 * (found[0] + found[1])
    torn = np.flatnonzero(np.isfinite(edges[:, 0]))
    if len(torn) < 2:
        return None
    core = _measurable(edges[torn, 1] - edges[torn, 0])
    # A line through all rows would bend at the step to where blood has pooled.
    along = core if core.stop - core.start < len(torn) // 2 else slice(0, len(torn))
    smooth = np.stack([along_rows(torn[along], edges[torn[along], side]) for side in (0, 1)])
    smooth = smooth[:, core.start - along.start : core.stop - along.start]
    profile = calm[torn].mean(axis=0).astype(np.float64)
    span = (float(np.mean(edges[torn, 0])), float(np.mean(edges[torn, 1])))
    contrast = _contrast(profile, *span)
    crossed = torn.astype(np.int64)
    return Gap(entry, crossed, crossed[core], smooth.T, levels, contrast)


def _measurable(widths: Floats) -> slice:
    """Rows over which a gap's width is taken: the middle half, since ends taper.

    Blood that pools beside a gap joins it, and looks like a part of it that is suddenly wider.
    Where the width has such a step, only the rows at its narrow side count: at least a quarter of
    all, without the one at either end.
    """
    n = len(widths)
    usual = slice(n // 4, n - n // 4)
    least = max(POOL_ROWS, n // 4)
    if n < 2 * least:
        return usual
    splits = np.arange(least, n - least + 1)
    residuals = [_scatter(widths[:k]) + _scatter(widths[k:]) for k in splits]
    at = int(splits[np.argmin(residuals)])
    row = np.arange(n, dtype=np.float64)
    line = np.polynomial.polynomial.polyval(row, np.polynomial.polynomial.polyfit(row, widths, 1))
    first, last = float(widths[:at].mean()), float(widths[at:].mean())
    step = max(first, last) >= POOL_RATIO * min(first, last)
    if not step or min(residuals) > POOL_RESIDUAL * float(((widths - line) ** 2).sum()):
        return usual
    return slice(1, at - 1) if first < last else slice(at + 1, n - 1)


def _scatter(values: Floats) -> float:
    return float(((values - values.mean()) ** 2).sum())


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
    profile = strip[rows].mean(axis=0)
    left, right = int(inner[0]), min(int(inner[1]), len(profile) - 1)
    floor = float(np.percentile(profile[left : right + 1], 15))
    usual = float(np.median(profile))
    level = floor + EDGE_SHARE * (usual - floor)
    if floor > PLAIN_SHARE * usual or max(profile[left], profile[right]) >= level:
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
    inside = profile[int(start) : int(end) + 1].mean()
    centre = 0.5 * (start + end)
    beside = means[np.abs(middles - centre) >= width]
    if len(beside) < 3:
        return 0.0
    usual = float(np.median(beside))
    spread = 1.4826 * float(np.median(np.abs(beside - usual)))
    return (usual - float(inside)) / max(spread, 1.0)


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
