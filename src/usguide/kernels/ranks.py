"""Values by their rank, without sorting the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usguide.kernels import kernel


@kernel("float64(float64[::1], int64)")
def ranked(values: NDArray[np.float64], rank: int) -> float:
    """Value that sorting would put at a rank, by Hoare's selection (Commun ACM 1961;4:321).

    Parameters
    ----------
    values : ndarray of float64, shape (n,), n at least 1
        Reordered.
    rank : int
        0 to n - 1, from the smallest.
    """
    low = 0
    high = len(values) - 1
    while low < high:
        pivot = values[rank]
        i = low
        j = high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if j < rank:
            low = i
        if i > rank:
            high = j
    return float(values[rank])


@kernel("float64(float64[::1], int64, int64)")
def median_of(values: NDArray[np.float64], first: int, last: int) -> float:
    """Median of every second of ``values[first:last]``, neighbours being alike; 0 for none.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        Left as they are.
    first, last : int
        0 to n.
    """
    if last <= first:
        return 0.0
    some = values[first:last:2].copy()
    count = len(some)
    middle = ranked(some, count // 2)
    if count % 2 == 1:
        return middle
    return float(0.5 * (middle + some[: count // 2].max()))
