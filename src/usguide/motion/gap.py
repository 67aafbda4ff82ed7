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


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """Grey levels of the tissue at either side of a gap, of the gap, and the tissue's spread."""

    left: float
    right: float
    floor: float
    spread: float

    @property
    def contrast(self) -> float:
        """How many spreads of the tissue the gap is darker than its darker side."""
        return (min(self.left, self.right) - self.floor) / max(self.spread, 1.0)

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
    spread = 0.5 * (_spread(left) + _spread(right))
    return Levels(
        float(np.median(left)),
        float(np.median(right)),
        float(np.percentile(middle, 15)),
        spread,
    )


def _spread(values: NDArray[np.floating]) -> float:
    """Robust SD."""
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def aligned_profile(
    strip: NDArray[np.float32],
    rows: NDArray[np.int64],
    offsets: Floats,
    centre: float,
    reach: int,
) -> Floats:
    """Mean profile of some rows, each read about ``centre`` plus its own offset.

    Returns 2 * reach + 1 samples one column apart; beyond the strip the last column repeats.
    """
    steps = np.arange(-reach, reach + 1, dtype=np.float64)
    columns = np.arange(strip.shape[1], dtype=np.float64)
    total = np.zeros(len(steps))
    for row, offset in zip(rows, offsets, strict=True):
        total += np.interp(centre + offset + steps, columns, strip[row])
    return total / max(len(rows), 1)


@dataclass(frozen=True, slots=True, eq=False)
class Gap:
    """A gap between two muscle ends as seen at the peak of a contraction, in the strip.

    Parameters
    ----------
    entry : int
        Entry of the motion history it was found in.
    rows : ndarray of int64, shape (k,)
        Rows of the strip it crosses.
    offsets : ndarray, shape (k,)
        Its middle in each row, from ``centre``, columns.
    centre, width : float
        Middle and width along the muscle, columns.
    levels : Levels
        Grey levels around it.
    lean : float
        Cosine of the angle between the muscle's axis and the normal of the gap's edges.
    """

    entry: int
    rows: NDArray[np.int64]
    offsets: Floats
    centre: float
    width: float
    levels: Levels
    lean: float


def find_gap(
    strip: NDArray[np.float32],
    entry: int,
    rows: slice,
    inner: tuple[float, float],
    cell: float,
    row_px: float,
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
    row_px : float
        Distance between rows of the strip, px.
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
    if levels is None or levels.threshold() <= levels.floor:
        return None
    middle, width = low + 0.5 * (start + end), end - start
    if width < 1.0:
        return None
    edges = np.full((len(strip), 2), np.nan)
    centre = middle
    order = list(range((rows.start + rows.stop) // 2, len(strip)))
    for direction in (order, order[0] - 1 - np.arange(order[0])):
        centre = middle
        for row in direction:
            found = _row_edges(calm[row], centre, 0.5 * width + cell, levels)
            if found is None or found[1] - found[0] < 0.3 * width:
                break
            edges[row] = found
            centre = 0.7 * centre + 0.3 * 0.5 * (found[0] + found[1])
    torn = np.flatnonzero(np.isfinite(edges[:, 0]))
    if len(torn) < 2:
        return None
    middles = edges[torn].mean(axis=1)
    slope = _steady_slope(torn, middles)
    centre = float(np.median(middles - slope * (torn - torn.mean())))
    offsets = slope * (torn - torn.mean())
    lean = float(1.0 / np.hypot(1.0, slope / row_px))
    reach = int(0.5 * width + 2 * cell)
    profile = aligned_profile(strip, torn, offsets, centre, reach)
    start, end = darkest_interval(profile, levels.threshold())
    return Gap(
        entry,
        torn.astype(np.int64),
        offsets,
        centre + 0.5 * (start + end) - reach,
        end - start,
        levels,
        lean,
    )


def _row_edges(
    profile: NDArray[np.float32], centre: float, reach: float, levels: Levels
) -> tuple[float, float] | None:
    low, high = max(0, int(centre - reach)), min(len(profile), int(centre + reach) + 1)
    if high - low < 3:
        return None
    start, end = darkest_interval(profile[low:high].astype(np.float64), levels.threshold())
    if end <= start:
        return None
    return low + start, low + end


def _steady_slope(rows: NDArray[np.int64], middles: Floats) -> float:
    """Median of the slopes between pairs of rows (Theil-Sen)."""
    if len(rows) < 3:
        return 0.0
    i, j = np.triu_indices(len(rows), 1)
    return float(np.median((middles[j] - middles[i]) / (rows[j] - rows[i])))


@dataclass(frozen=True, slots=True)
class Width:
    """Width of a gap in one frame along the muscle, columns, with its standard error."""

    value: float
    error: float
    left: float
    right: float


def measure_width(
    strip: NDArray[np.float32], gap: Gap, left: float, right: float, slack: float, flank: int
) -> Width | None:
    """Measure a known gap in another frame.

    Parameters
    ----------
    strip : ndarray of float32, shape (rows, columns)
        The straightened muscle of that frame.
    gap : Gap
        The gap as seen at the peak.
    left, right : float
        Where the motion of the two ends puts its edges (they may have met: right < left).
    slack : float
        How far the edges may lie from there, columns.
    flank : int
        Columns of tissue at either side that set the grey level.
    """
    centre = 0.5 * (left + right)
    half = max(0.5 * (right - left), 0.0) + slack
    reach = int(half + flank) + 1
    if centre + reach < 0 or centre - reach > strip.shape[1] - 1:
        return None
    inside = slice(max(0, int(reach - half)), int(reach + half) + 1)
    profiles = [
        aligned_profile(strip, gap.rows[part], gap.offsets[part], centre, reach)
        for part in (slice(None), slice(0, None, 2), slice(1, None, 2))
    ]
    columns = centre + np.arange(-reach, reach + 1)
    seen = (columns >= 0) & (columns <= strip.shape[1] - 1)
    outside = seen.copy()
    outside[inside] = False
    if np.count_nonzero(outside) < flank // 2:
        return None
    now = float(np.median(profiles[0][outside]))
    tissue = min(gap.levels.left, gap.levels.right)
    # A change of gain shifts a log-compressed picture; the gap cannot get darker than black.
    floor = max(0.0, min(gap.levels.floor + now - tissue, 0.8 * now))
    whole, even, odd = (_span(profile[inside], floor, now) for profile in profiles)
    first = centre - reach + inside.start
    rows = abs((odd[1] - odd[0]) - (even[1] - even[0])) / 2.0
    return Width(
        whole[1] - whole[0],
        float(np.hypot(rows, 0.5)),
        first + whole[0],
        first + whole[1],
    )


def _span(profile: Floats, floor: float, tissue: float) -> tuple[float, float]:
    """Return the true edges of a gap on a profile that the beam's width has blurred, in samples.

    The blurred flank of an edge, in dB, is that of a Gaussian beam; the straight line through
    the points a third and two thirds down meets the level of the tissue within 0.3 beam SDs of
    the true edge for gaps 20 to 40 dB under the tissue, where the half-way point lies 1 to 1.7
    SDs inside it and makes every gap too narrow.
    """
    contrast = tissue - floor
    middle = darkest_interval(profile, floor + 0.5 * contrast)
    dip = np.clip(floor + 0.5 * contrast - profile, 0.0, None).sum()
    if dip < 0.5 * contrast:
        # Less than one full column of darkness is a dip of speckle.
        centre = 0.5 * (middle[0] + middle[1])
        return centre, centre
    high = darkest_interval(profile, floor + 2.0 / 3.0 * contrast)
    low = darkest_interval(profile, floor + 1.0 / 3.0 * contrast)
    if low[1] <= low[0] or low[0] < high[0] or low[1] > high[1]:
        return middle
    return 2.0 * high[0] - low[0], 2.0 * high[1] - low[1]
