"""The dark interval of a profile along the muscle: its edges, its grey levels and its contrast.

On a profile p(x) with the tissue at grey level T and the gap at F, the interval that best splits
the profile into gap and tissue in the least-squares sense is the one with the largest sum of
(T + F) / 2 - p(x): found exactly, in one pass, and indifferent to speckle inside the gap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usguide.model import Floats
from usguide.motion.strip import profile_of

EDGE_SHARE = 1.0 / 3.0
"""Level at which edges are found, from the gap (0) to the tissue (1): low, so that dark tissue
beside a gap is not taken for part of it."""


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


def contrast_of(profile: Floats, start: float, end: float) -> float:
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


def row_edges(
    profile: NDArray[np.float32], centre: float, reach: float, levels: Levels
) -> tuple[float, float] | None:
    """Edges of the dark interval of one row, columns, no further than ``reach`` from a centre."""
    low, high = max(0, int(centre - reach)), min(len(profile), int(centre + reach) + 1)
    if high - low < 3:
        return None
    start, end = darkest_interval(
        profile[low:high].astype(np.float64), levels.threshold(EDGE_SHARE)
    )
    if end <= start:
        return None
    return low + start, low + end


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
