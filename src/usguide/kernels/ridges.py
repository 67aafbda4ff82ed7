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


@kernel("void(float32[:,:,::1], float32[:,::1])")
def curvature_power(hessian: Float32, power: Float32) -> None:
    """Write the mean square, over all directions, of the second derivative in that direction.

    Of ``nx^2 Ixx + 2 nx ny Ixy + ny^2 Iyy`` over all unit vectors n that is
    ``3/8 (Ixx^2 + Iyy^2) + 1/4 Ixx Iyy + 1/2 Ixy^2``.

    Parameters
    ----------
    hessian : ndarray of float32, shape (3, rows, columns)
        Ixx, Ixy and Iyy of a smoothed image.
    power : ndarray of float32, shape (rows, columns)
        Output.
    """
    rows, columns = power.shape
    outer = np.float32(0.375)
    mixed = np.float32(0.25)
    cross = np.float32(0.5)
    for y in range(rows):
        xx = hessian[0, y]
        xy = hessian[1, y]
        yy = hessian[2, y]
        out = power[y]
        for x in range(columns):
            squares = outer * (xx[x] * xx[x] + yy[x] * yy[x])
            out[x] = squares + mixed * xx[x] * yy[x] + cross * xy[x] * xy[x]


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


@kernel("void(float32[:,:,::1], int64, float64, float64[:,::1])")
def clipped_moments(
    curvature: Float32, stride: int, loudest: float, moments: NDArray[np.float64]
) -> None:
    """Sum the products of every two derivatives, each clipped, over the tissue.

    Parameters
    ----------
    curvature : ndarray of float32, shape (3, rows, columns)
        As from :func:`in_local_units`.
    stride : int
        Which columns are looked at.
    loudest : float
        Size to which a derivative is clipped.
    moments : ndarray of float64, shape (3, 3)
        Output.
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
    moments[0] = (xx, xx_xy, xx_yy)
    moments[1] = (xx_xy, xy, xy_yy)
    moments[2] = (xx_yy, xy_yy, yy)
