"""Where curves cross lines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usguide.kernels import kernel

Floats = NDArray[np.float64]


@kernel("void(float64[:,::1], float64[:,::1], float64[:,::1], float64[::1])")
def crossings(centre: Floats, normal: Floats, points: Floats, offsets: Floats) -> None:
    """Find where a curve crosses lines, as distances from a point of each.

    Parameters
    ----------
    centre, normal : ndarray of float64, shape (n, 2)
        A point of each line, (x, y), and the unit vector along it.
    points : ndarray of float64, shape (k, 2)
        The curve, straight between its points; every line is crossed from left to right, seen
        along ``(normal_y, -normal_x)``. Its ends go on level with their last points.
    offsets : ndarray of float64, shape (n,)
        Output.
    """
    for i in range(len(centre)):
        x = centre[i, 0]
        y = centre[i, 1]
        nx = normal[i, 0]
        ny = normal[i, 1]
        # The last point before the line, by halving.
        low = 0
        high = len(points)
        while high - low > 1:
            middle = (low + high) // 2
            if (points[middle, 0] - x) * ny - (points[middle, 1] - y) * nx <= 0:
                low = middle
            else:
                high = middle
        before = (points[low, 0] - x) * ny - (points[low, 1] - y) * nx
        offset = (points[low, 0] - x) * nx + (points[low, 1] - y) * ny
        if before < 0 and high < len(points):
            after = (points[high, 0] - x) * ny - (points[high, 1] - y) * nx
            beyond = (points[high, 0] - x) * nx + (points[high, 1] - y) * ny
            offset += (beyond - offset) * before / (before - after)
        offsets[i] = offset
