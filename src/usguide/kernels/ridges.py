"""What a search for bright lines looks at: a reduced image, and its curvature in local units."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from usguide.kernels import kernel
from usguide.kernels.lines import OUTSIDE, Float32


@kernel(["void(uint8[:,::1], float32[:,::1])", "void(float32[:,::1], float32[:,::1])"])
def area_means(image: NDArray[np.uint8] | Float32, reduced: Float32) -> None:
    """Shrink an image so that each pixel is the mean of the area that it covers.

    Parameters
    ----------
    image : ndarray of uint8 or float32, shape (rows, columns)
        Grey levels.
    reduced : ndarray of float32, shape (at most rows, at most columns)
        Output: the same picture in fewer pixels.
    """
    rows, columns = image.shape
    height, width = reduced.shape
    tall = rows / height
    wide = columns / width
    # Unsigned: no place counts from the end. Each area has as many columns or one more.
    least = np.uint64(int(wide))
    first = np.empty(width, np.uint64)
    last = np.empty(width, np.uint64)
    share = np.empty((3, width), np.float32)
    for x in range(width):
        start = x * wide
        stop = min((x + 1) * wide, float(columns))
        first[x] = int(start)
        last[x] = int(stop)
        share[0, x] = start - int(start)
        share[1, x] = int(stop) - int(start) - int(wide)
        share[2, x] = stop - int(stop)
    band = np.empty(columns + 1, np.float32)  # one more, of which the last edge takes no part
    for y in range(height):
        top = y * tall
        bottom = min(top + tall, float(rows))
        band[:] = 0
        inner = band[:columns]
        for row in range(int(top), math.ceil(bottom)):
            part = np.float32((min(row + 1.0, bottom) - max(float(row), top)) / (tall * wide))
            line = image[row]
            for x in range(columns):
                inner[x] += part * np.float32(line[x])
        for x in range(width):
            total = share[2, x] * band[last[x]] - share[0, x] * band[first[x]]
            for column in range(first[x], first[x] + least):
                total += band[column]
            reduced[y, x] = total + share[1, x] * band[first[x] + least]


@kernel("void(float32[:,::1], float32[:,::1], float32[:,:,::1], float32[:,::1])")
def second_derivatives(smooth: Float32, weight: Float32, hessian: Float32, power: Float32) -> None:
    """Write the Hessian of an image, and the mean square of its second derivative.

    By Sobel's differences over 3 x 3 px, the image mirrored at its edge. The mean square of
    ``nx^2 Ixx + 2 nx ny Ixy + ny^2 Iyy`` over all unit vectors n is
    ``3/8 (Ixx^2 + Iyy^2) + 1/4 Ixx Iyy + 1/2 Ixy^2``.

    Parameters
    ----------
    smooth : ndarray of float32, shape (rows, columns)
        Smoothed grey levels.
    weight : ndarray of float32, shape (rows, columns)
        What the mean square is multiplied by.
    hessian : ndarray of float32, shape (3, rows, columns)
        Output: Ixx, Ixy and Iyy.
    power : ndarray of float32, shape (rows, columns)
        Output: the mean square.
    """
    rows, columns = power.shape
    quarter = np.float32(0.25)
    outer = np.float32(0.375)
    cross = np.float32(0.5)
    # Sums and differences of three rows, with one column more on either side.
    level = np.empty(columns + 2, np.float32)
    slope = np.empty(columns + 2, np.float32)
    bend = np.empty(columns + 2, np.float32)
    for y in range(rows):
        above = smooth[min(abs(y - 1), rows - 1)]
        here = smooth[y]
        below = smooth[y + 1 if y + 1 < rows else max(rows - 2, 0)]
        inner_level = level[1:-1]
        inner_slope = slope[1:-1]
        inner_bend = bend[1:-1]
        for x in range(columns):
            ends = quarter * (above[x] + below[x])
            middle = cross * here[x]
            inner_level[x] = ends + middle
            inner_slope[x] = quarter * (below[x] - above[x])
            inner_bend[x] = ends - middle
        for line in (level, slope, bend):
            line[0] = line[min(2, columns)]
            line[columns + 1] = line[max(columns - 1, 1)]
        xx = hessian[0, y]
        xy = hessian[1, y]
        yy = hessian[2, y]
        weighted = power[y]
        share = weight[y]
        for x in range(columns):
            a = (level[x] + level[x + 2]) - (level[x + 1] + level[x + 1])
            b = slope[x + 2] - slope[x]
            c = (bend[x] + bend[x + 2]) + (bend[x + 1] + bend[x + 1])
            xx[x] = a
            xy[x] = b
            yy[x] = c
            squares = outer * (a * a + c * c)
            weighted[x] = (squares + quarter * a * c + cross * b * b) * share[x]


@kernel("void(float32[:,:,::1], float32[:,::1], int64, float32[:,:,::1], float32[:,:,::1])")
def in_local_units(
    hessian: Float32, gain: Float32, stride: int, curvature: Float32, curvature_t: Float32
) -> None:
    """Divide a Hessian by its local deviation, and lay it out for lines down the rows.

    Parameters
    ----------
    hessian : ndarray of float32, shape (3, rows, columns)
        Ixx, Ixy and Iyy of a smoothed image.
    gain : ndarray of float32, shape (rows, columns)
        One over the local deviation; 0 where there is no tissue, and there Ixx and Iyy become
        ``OUTSIDE``.
    stride : int
        Which rows are written.
    curvature, curvature_t : ndarray of float32
        Output, shapes (3, rows / stride, columns) and (3, columns / stride, rows): every
        ``stride``-th row, and every ``stride``-th row of the transpose.
    """
    rows, columns = gain.shape
    nothing = np.float32(0)
    line = np.empty(columns, np.float32)
    for part in range(3):
        outside = nothing if part == 1 else np.float32(OUTSIDE)
        for y in range(rows):
            values = hessian[part, y]
            scale = gain[y]
            for x in range(columns):
                scaled = values[x] * scale[x]
                line[x] = scaled if scale[x] > nothing else outside
            if y % stride == 0:
                out = curvature[part, y // stride]
                for x in range(columns):
                    out[x] = line[x]
            for x in range(curvature_t.shape[1]):
                curvature_t[part, x, y] = line[x * stride]


@kernel("void(float32[:,:,::1], int64, float64, float64, float64, float64[:,::1])")
def weigh_directions(
    curvature: Float32,
    stride: int,
    loudest: float,
    least: float,
    most: float,
    directions: NDArray[np.float64],
) -> None:
    """Weigh directions by how little second derivative there is across each in all the tissue.

    Each derivative is clipped; from the sums of the products of every two of them, the sum of
    squares follows for every direction (see :func:`usguide.kernels.lines.across`). The weight is
    the root of the mean of that over all directions to that of this one.

    Parameters
    ----------
    curvature : ndarray of float32, shape (3, rows, columns)
        As from :func:`in_local_units`.
    stride : int
        Which columns are looked at.
    loudest : float
        Size to which a derivative is clipped.
    least, most : float
        Limits of the weights.
    directions : ndarray of float64, shape (n, 2)
        Angle of each, image axes; output: its weight, 1 where there is no derivative at all.
    """
    _, rows, columns = curvature.shape
    high = np.float32(loudest)
    low = -high
    outside = np.float32(OUTSIDE)
    # Six sums side by side: each waits for its own last addition alone.
    xx = 0.0
    xy = 0.0
    yy = 0.0
    xx_xy = 0.0
    xx_yy = 0.0
    xy_yy = 0.0
    for y in range(rows):
        for x in range(0, columns, stride):
            if curvature[0, y, x] >= outside:
                continue
            a = min(max(curvature[0, y, x], low), high)
            b = min(max(curvature[1, y, x], low), high)
            c = min(max(curvature[2, y, x], low), high)
            xx += a * a
            xy += b * b
            yy += c * c
            xx_xy += a * b
            xx_yy += a * c
            xy_yy += b * c
    total = 0.0
    for k in range(len(directions)):
        nx = -math.sin(directions[k, 0])
        ny = math.cos(directions[k, 0])
        a = nx * nx
        b = 2.0 * nx * ny
        c = ny * ny
        squares = a * a * xx + b * b * xy + c * c * yy
        directions[k, 1] = squares + 2.0 * (a * b * xx_xy + a * c * xx_yy + b * c * xy_yy)
        total += directions[k, 1]
    mean = total / len(directions)
    for k in range(len(directions)):
        weight = math.sqrt(mean / max(directions[k, 1], 1e-12)) if mean > 0 else 1.0
        directions[k, 1] = min(max(weight, least), most)
