"""Estimates with 95 % intervals: Wilson for rates of clips, a bootstrap over clips for the rest.

Frames of one clip are not independent, so clips, not frames, are drawn again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Statistic = Callable[[Values], float]

_Z = 1.959964
_DRAWS = 1000


@dataclass(frozen=True)
class Estimate:
    """A figure, its 95 % interval, and how many values in how many clips it rests on."""

    value: float
    low: float
    high: float
    count: int
    clips: int

    def text(self, digits: int = 2, percent: bool = False) -> str:
        """Write the estimate with its interval, or a dash where there is nothing to estimate."""
        if not np.isfinite(self.value):
            return "–"
        if percent:
            value, low, high = (100 * v for v in (self.value, self.low, self.high))
            return f"{value:.0f} % ({low:.0f}–{high:.0f})"
        return f"{self.value:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"


def mean(values: Values) -> float:
    return float(np.mean(values))


def rms(values: Values) -> float:
    return float(np.sqrt(np.mean(values**2)))


def median(values: Values) -> float:
    return float(np.median(values))


def p95(values: Values) -> float:
    return float(np.quantile(values, 0.95))


def deviation(values: Values) -> float:
    return float(np.std(values))


def wilson(successes: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a rate after ``successes`` of ``total`` independent trials."""
    if total == 0:
        return float("nan"), float("nan")
    rate = successes / total
    centre = rate + _Z**2 / (2 * total)
    half = _Z * np.sqrt(rate * (1 - rate) / total + _Z**2 / (4 * total**2))
    scale = 1 + _Z**2 / total
    # At 0 and at all successes the bound is exact; rounding must not push it past the rate.
    low, high = float((centre - half) / scale), float((centre + half) / scale)
    return max(min(low, rate), 0.0), min(max(high, rate), 1.0)


def counted(part: int, whole: int) -> str:
    """Write a count of independent trials with Wilson's interval, or a dash if there are none."""
    if whole == 0:
        return "–"
    low, high = wilson(part, whole)
    return f"{part} of {whole} ({100 * low:.0f} to {100 * high:.0f} %)"


def estimate(
    values: NDArray[np.generic], clips: NDArray[np.generic], statistic: Statistic = mean
) -> Estimate:
    """Estimate a statistic of per-row values; ``clips`` says which clip each row belongs to.

    Rows that are not finite are left out. A rate (boolean values, mean) with one row for each clip
    gets Wilson's interval, everything else a percentile bootstrap over clips.
    """
    numbers = np.asarray(values, dtype=np.float64)
    keep = np.isfinite(numbers)
    numbers, clips = numbers[keep], np.asarray(clips)[keep]
    names = np.unique(clips)
    if len(numbers) == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0, 0)
    value = statistic(numbers)
    if values.dtype == np.bool_ and statistic is mean and len(names) == len(numbers):
        low, high = wilson(int(numbers.sum()), len(numbers))
        return Estimate(value, low, high, len(numbers), len(names))
    groups = [numbers[clips == name] for name in names]
    rng = np.random.default_rng(0)
    drawn = [
        statistic(np.concatenate([groups[k] for k in rng.integers(0, len(groups), len(groups))]))
        for _ in range(_DRAWS)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(value, float(low), float(high), len(numbers), len(names))
