"""Steps in a sloping row of values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usguide.kernels import kernel


@kernel("UniTuple(float64, 2)(float64[::1], float64[::1], int64, int64, int64)")
def step_between(
    values: NDArray[np.float64], weight: NDArray[np.float64], left: int, right: int, flank: int
) -> tuple[float, float]:
    """Jump between two runs of values beside each other, along a slope that both share.

    Weighted least squares of ``values = level + slope * place``, with one level on either side. A
    slope upwards explains part of the difference; one downwards is not added to the jump.

    Parameters
    ----------
    values, weight : ndarray of float64, shape (n,)
        And how much each counts, 0 for not at all.
    left, right : int
        Last place of the first run and first of the second, inside.
    flank : int
        Most places of a run.

    Returns
    -------
    (float, float)
        Jump and its standard error; NaN where a run has fewer than two values that count.
    """
    starts = (max(0, left - flank + 1), right)
    stops = (left + 1, min(len(values), right + flank))
    count = np.zeros(2, np.int64)
    total = np.zeros(2)
    place = np.zeros(2)
    level = np.zeros(2)
    for side in range(2):
        for i in range(starts[side], stops[side]):
            count[side] += weight[i] != 0
            total[side] += weight[i]
            place[side] += weight[i] * i
            level[side] += weight[i] * values[i]
        if count[side] < 2:
            return np.nan, np.nan
        place[side] /= total[side]
        level[side] /= total[side]
    spread = 0.0
    joint = 0.0
    for side in range(2):
        for i in range(starts[side], stops[side]):
            spread += weight[i] * (i - place[side]) ** 2
            joint += weight[i] * (i - place[side]) * (values[i] - level[side])
    slope = joint / max(spread, 1e-9)
    residual = 0.0
    for side in range(2):
        for i in range(starts[side], stops[side]):
            away = values[i] - level[side] - slope * (i - place[side])
            residual += weight[i] * away * away
    both = count[0] + count[1]
    variance = residual / max(total[0] + total[1], 1e-9) * both / max(both - 3, 1)
    apart = place[1] - place[0]
    error = variance * (1.0 / count[0] + 1.0 / count[1] + apart * apart / max(spread, 1e-9))
    return level[1] - level[0] - max(slope, 0.0) * apart, np.sqrt(error)
