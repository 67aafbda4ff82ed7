"""Strips along lines: the image sampled along and across each, and averaged across it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from usguide.kernels import kernel
from usguide.kernels.lines import Float32

FIXED = 65536.0
"""Places are whole numbers of 1/65536 px: their upper bits are the pixel, the rest the fraction."""
PER_FIXED = np.float32(1.0 / FIXED)


@kernel("void(uint8[:,::1], float64, float64, float64, float64, float64, float32[:,::1])")
def sample_strip(
    image: NDArray[np.uint8],
    x0: float,
    y0: float,
    angle_rad: float,
    step: float,
    spread: float,
    strip: Float32,
) -> None:
    """Sample a strip along a line, bilinearly: rows along the line, columns across it.

    Parameters
    ----------
    image : ndarray of uint8, shape (rows, columns)
        Grey levels.
    x0, y0 : float
        Where the strip's first row crosses the line, px.
    angle_rad : float
        Direction of the rows; the columns run towards ``(-sin a, cos a)``.
    step, spread : float
        Distance between rows along the line and between columns across it, px.
    strip : ndarray of float32, shape (n, 2 m + 1)
        Output; column ``m`` lies on the line. NaN outside the image.
    """
    rows, columns = image.shape
    pixels = image.reshape(-1)
    n, across = strip.shape
    ux = math.cos(angle_rad)
    uy = math.sin(angle_rad)
    left = (across // 2) * spread
    right = (across - 1 - across // 2) * spread
    # In whole numbers of 1/65536 px, of whose fraction the upper half weighs: in half the time.
    dx = round(-spread * uy * FIXED)
    dy = round(spread * ux * FIXED)
    for i in range(n):
        x = x0 + i * step * ux
        y = y0 + i * step * uy
        least_x = min(x + left * uy, x - right * uy)
        least_y = min(y - left * ux, y + right * ux)
        most_x = max(x + left * uy, x - right * uy)
        most_y = max(y - left * ux, y + right * ux)
        whole = least_x >= 0 and least_y >= 0 and most_x < columns - 1 and most_y < rows - 1
        fixed_x = round((x + left * uy) * FIXED)
        fixed_y = round((y - left * ux) * FIXED)
        for j in range(across):
            column = fixed_x >> 16
            row = fixed_y >> 16
            s = (fixed_x >> 8) & 255
            t = (fixed_y >> 8) & 255
            fixed_x += dx
            fixed_y += dy
            beside = 1
            below = columns
            if not whole:
                if column < 0 or row < 0 or column >= columns or row >= rows:
                    strip[i, j] = np.nan
                    continue
                # On the last column or row nothing is taken of what lies beyond.
                beside = 1 if column < columns - 1 else 0
                below = columns if row < rows - 1 else 0
                if (beside == 0 and s > 0) or (below == 0 and t > 0):
                    strip[i, j] = np.nan
                    continue
            at = np.uint64(row * columns + column)  # unsigned: no place counts from the end
            over = np.uint64(row * columns + column + beside)
            under = np.uint64(row * columns + column + below)
            corner = np.uint64(row * columns + column + below + beside)
            top = (int(pixels[at]) << 8) + s * (int(pixels[over]) - int(pixels[at]))
            bottom = (int(pixels[under]) << 8) + s * (int(pixels[corner]) - int(pixels[under]))
            strip[i, j] = np.float32((top << 8) + t * (bottom - top)) * PER_FIXED


@kernel("void(float32[:,::1], int64, int64, float64[:,::1])")
def shaft_profiles(strip: Float32, core: int, flank: int, profiles: NDArray[np.float64]) -> None:
    """Average a strip across its line, at every sample along it.

    Parameters
    ----------
    strip : ndarray of float32, shape (n, 2 m + 1)
        As from :func:`sample_strip`.
    core : int
        Columns on either side of the middle that are taken for the line.
    flank : int
        Columns between the middle and the start of the flanks, which reach to the strip's edges.
    profiles : ndarray of float64, shape (3, n)
        Output: level of the line, of its left flank and of its right flank; all 0 where any of
        the samples they are made of lies outside the image.
    """
    count, across = strip.shape
    middle = across // 2
    for i in range(count):
        line = 0.0
        left = 0.0
        right = 0.0
        for j in range(middle - core, middle + core + 1):
            line += strip[i, j]
        for j in range(flank, middle + 1):
            left += strip[i, middle - j]
            right += strip[i, middle + j]
        seen = np.isfinite(line + left + right)
        profiles[0, i] = line / (2 * core + 1) if seen else 0.0
        profiles[1, i] = left / (middle + 1 - flank) if seen else 0.0
        profiles[2, i] = right / (middle + 1 - flank) if seen else 0.0


@kernel(
    "void(float32[:,::1], float64[:,::1], float64, float64, float64[::1], float64[::1], "
    "float64[:,::1])"
)
def levels_along(
    image: Float32,
    lines: NDArray[np.float64],
    start: float,
    stop: float,
    core: NDArray[np.float64],
    flanks: NDArray[np.float64],
    levels: NDArray[np.float64],
) -> None:
    """Average an image over a stretch of each line, and over stretches beside it, bilinearly.

    Parameters
    ----------
    image : ndarray of float32, shape (rows, columns)
        Grey levels; its edge is repeated beyond it.
    lines : ndarray of float64, shape (n, 4)
        x and y of a point on each, and its unit vector.
    start, stop : float
        The stretch from the point on, px; a sample a px, none at its end.
    core, flanks : ndarray of float64
        Where it lies across the line, and where its flanks do, px towards ``(-uy, ux)``.
    levels : ndarray of float64, shape (n, 2)
        Output: mean over the line, and over its flanks.
    """
    rows, columns = image.shape
    steps = math.ceil(stop - start)
    for i in range(lines.shape[0]):
        x0, y0, ux, uy = lines[i]
        for side in range(2):
            across = core if side == 0 else flanks
            total = 0.0
            for d in across:
                for k in range(steps):
                    x = min(max(x0 + (start + k) * ux - d * uy, 0.0), columns - 1.0)
                    y = min(max(y0 + (start + k) * uy + d * ux, 0.0), rows - 1.0)
                    column = min(int(x), max(columns - 2, 0))
                    row = min(int(y), max(rows - 2, 0))
                    right = min(column + 1, columns - 1)
                    below = min(row + 1, rows - 1)
                    s = x - column
                    t = y - row
                    top = image[row, column] * (1 - s) + image[row, right] * s
                    bottom = image[below, column] * (1 - s) + image[below, right] * s
                    total += top * (1 - t) + bottom * t
            levels[i, side] = total / (len(across) * steps)
