"""Where a smooth picture is brightest near some of its pixels, to a part of a px."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usguide.kernels import kernel

Float32 = NDArray[np.float32]


@kernel("void(float32[:,::1], int64, int64, int64[::1], int64[::1], int64, float64[:,::1])")
def soft_maxima(
    small: Float32,
    rows: int,
    columns: int,
    x: NDArray[np.int64],
    y: NDArray[np.int64],
    reach: int,
    places: NDArray[np.float64],
) -> None:
    """Write the mean place of the px around some, weighted by the eighth power of their levels.

    Parameters
    ----------
    small : ndarray of float32, shape (at most rows, at most columns)
        Grey levels of the picture in fewer px, interpolated bilinearly; below 0 counts as 0.
    rows, columns : int
        Size of the picture in whose px places are given.
    x, y : ndarray of int64, shape (n,)
        Where.
    reach : int
        How many px to every side are weighed; those outside the picture are not.
    places : ndarray of float64, shape (n, 2)
        Output: x and y of the mean places; the px itself where all around it is dark.
    """
    height, width = small.shape
    levels = np.empty((2 * reach + 1, 2 * reach + 1))
    for k in range(len(x)):
        top = max(0, y[k] - reach)
        left = max(0, x[k] - reach)
        bottom = min(rows, y[k] + reach + 1)
        right = min(columns, x[k] + reach + 1)
        most = 1e-6
        for i in range(top, bottom):
            row = min(max((i + 0.5) * height / rows - 0.5, 0.0), height - 1.0)
            above = int(row)
            below = min(above + 1, height - 1)
            t = row - above
            for j in range(left, right):
                column = min(max((j + 0.5) * width / columns - 0.5, 0.0), width - 1.0)
                before = int(column)
                after = min(before + 1, width - 1)
                s = column - before
                upper = small[above, before] * (1.0 - s) + small[above, after] * s
                lower = small[below, before] * (1.0 - s) + small[below, after] * s
                level = upper * (1.0 - t) + lower * t
                levels[i - top, j - left] = level
                most = max(most, level)
        total = 0.0
        at_x = 0.0
        at_y = 0.0
        for i in range(top, bottom):
            for j in range(left, right):
                square = (max(levels[i - top, j - left], 0.0) / most) ** 2
                weight = square * square * square * square
                total += weight
                at_x += weight * (j - x[k])
                at_y += weight * (i - y[k])
        places[k, 0] = x[k] + at_x / max(total, 1e-6)
        places[k, 1] = y[k] + at_y / max(total, 1e-6)
