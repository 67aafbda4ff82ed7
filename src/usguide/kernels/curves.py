"""Curves on straightened pictures: what lies along them, and where they cross lines."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from usguide.kernels import kernel

Float32 = NDArray[np.float32]
Floats = NDArray[np.float64]


@kernel("void(float32[:,::1], float64[::1], float64[:,::1], float64[:,::1], float64[::1])")
def means_along(score: Float32, row: Floats, shapes: Floats, parts: Floats, means: Floats) -> None:
    """Average an image along a curve and along each of its corrections.

    Parameters
    ----------
    score : ndarray of float32, shape (2 or more rows, columns)
        Image; between rows linear, its first and last row repeated beyond it.
    row : ndarray of float64, shape (columns,)
        Where the curve crosses each column, rows.
    shapes : ndarray of float64, shape (n, columns)
        How far each kind of correction moves the curve, rows.
    parts : ndarray of float64, shape (k, n)
        How much of each kind there is in every correction.
    means : ndarray of float64, shape (k,)
        Output.
    """
    rows, columns = score.shape
    curve = np.empty(columns)
    for k in range(len(parts)):
        curve[:] = row
        for kind in range(len(shapes)):
            for x in range(columns):
                curve[x] += parts[k, kind] * shapes[kind, x]
        total = 0.0
        for x in range(columns):
            above = min(max(math.floor(curve[x]), 0), rows - 2)
            t = min(max(curve[x] - above, 0.0), 1.0)
            total += score[above, x] * (1.0 - t) + score[above + 1, x] * t
        means[k] = total / columns


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
