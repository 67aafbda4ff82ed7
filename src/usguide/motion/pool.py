"""Blood that pools beside a gap and joins it: which rows of the dark area show the gap alone.

A pool looks like a part of the gap that is suddenly wider. It stays as it is while the gap opens,
so that it stands out best where the gap is narrow: at rest. A pool that reaches over all of the
torn part hides both ends; that it is one is then seen by its round shape only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from usguide.model import Floats

POOL_ROWS, POOL_RATIO, POOL_RESIDUAL = 5, 1.4, 0.6
"""Least rows at either side of a step in a gap's width, the least ratio of the widths there, and
the largest share of what a straight taper leaves unexplained that the step may leave. Tuned on
synthetic tears with and without a hematoma."""

MOUTH_ROWS, BODY_ROWS, ROUND_SHARE = 2, 5, 0.85
"""A tear from an aponeurosis gapes most where it starts, fluid under pressure is round: a dark area
whose outermost rows are less than this share of the median of its widest five is taken for fluid.
Eight synthetic tears with a hematoma are at 0.47 to 0.80 at rest, nine without at 0.93 and more."""

LEAST_CLEAR = 1.0 / 3.0
"""Share of the middle half that must be clear of a pool for the gap to be measured at all."""


def middle_half(n: int) -> slice:
    """Rows over which a gap's width is taken where no blood has pooled: its ends taper."""
    return slice(n // 4, n - n // 4)


def clear_rows(widths: Sequence[Floats], mouth: int | None, least_step: float) -> slice | None:
    """Rows over which a gap's width can be taken: the middle half, without those of a pool.

    Parameters
    ----------
    widths : sequence of ndarray, shape (k,)
        Width of the dark area in each row, from one end of the gap to the other, in one or more
        frames, the one at rest first. The first that shows a step decides.
    mouth : int or None
        Which of its ends, 0 or -1, lies at an aponeurosis; None where both or neither do.
    least_step : float
        By how much a pool must be wider than the gap; in the unit of the widths.

    Returns
    -------
    slice or None
        None where a pool leaves less than ``LEAST_CLEAR`` of the middle half.
    """
    usual = middle_half(len(widths[0]))
    for number, each in enumerate(widths):
        pooled = _pooled(each, least_step)
        if pooled is not None:
            # The row at the step is neither.
            start = max(usual.start, pooled.stop + 1) if pooled.start == 0 else usual.start
            stop = usual.stop if pooled.start == 0 else min(usual.stop, pooled.start - 1)
            return slice(start, stop) if stop - start >= LEAST_CLEAR * _count(usual) else None
        # The gap's own opening outweighs the shape of what is there at rest.
        first = number == 0 and mouth is not None
        if first and _round(each if mouth == 0 else each[::-1], least_step):
            return None
    return usual


def _round(widths: Floats, least_step: float) -> bool:
    """Whether a dark area narrows towards the border that it lies at: the first row's."""
    if len(widths) < MOUTH_ROWS + BODY_ROWS:
        return False
    body = float(np.median(sliding_window_view(widths, BODY_ROWS), axis=1).max())
    return body >= least_step and float(widths[:MOUTH_ROWS].mean()) < ROUND_SHARE * body


def _pooled(widths: Floats, least_step: float) -> slice | None:
    """Rows of the wide side of the one step that a gap's width has; None without one."""
    n = len(widths)
    least = max(POOL_ROWS, n // 4)
    if n < 2 * least:
        return None
    splits = np.arange(least, n - least + 1)
    residuals = [_scatter(widths[:k]) + _scatter(widths[k:]) for k in splits]
    at = int(splits[np.argmin(residuals)])
    row = np.arange(n, dtype=np.float64)
    line = np.polynomial.polynomial.polyval(row, np.polynomial.polynomial.polyfit(row, widths, 1))
    first, last = float(np.median(widths[:at])), float(np.median(widths[at:]))
    narrow, wide = min(first, last), max(first, last)
    if wide < POOL_RATIO * narrow or wide - narrow < least_step:
        return None
    if min(residuals) > POOL_RESIDUAL * float(((widths - line) ** 2).sum()):
        return None
    return slice(0, at) if first > last else slice(at, n)


def _count(rows: slice) -> int:
    return int(rows.stop - rows.start)


def _scatter(values: Floats) -> float:
    return float(((values - values.mean()) ** 2).sum())
