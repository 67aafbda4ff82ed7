"""Straight bright segments: line integrals at every offset and angle, samples along a line."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from usguide.kernels import kernel

Float32 = NDArray[np.float32]


OUTSIDE = -1.0e4
"""Response of a pixel that is not tissue."""


@kernel("void(float32[:,:,::1], float32[:,::1], float64, float64, float32[:,::1])")
def directional_ridge(
    hessian: Float32, gain: Float32, angle_rad: float, strength: float, ridge: Float32
) -> None:
    """Write minus the second derivative across a direction, in units of its local deviation.

    For the direction ``u = (cos a, sin a)`` with normal ``n = (-sin a, cos a)`` this is
    ``-(nx^2 Ixx + 2 nx ny Ixy + ny^2 Iyy) * gain * strength``: positive on a bright line along
    ``u``.

    Parameters
    ----------
    hessian : ndarray of float32, shape (3, rows, columns)
        Ixx, Ixy and Iyy of a smoothed image.
    gain : ndarray of float32, shape (rows, columns)
        One over the local deviation of the result; 0 where there is no tissue, and there the
        result is ``OUTSIDE``.
    angle_rad : float
        Direction of the line, image axes (y down).
    strength : float
        Weight of this direction.
    ridge : ndarray of float32, shape (rows, columns)
        Output.
    """
    nx = -math.sin(angle_rad)
    ny = math.cos(angle_rad)
    a = np.float32(-nx * nx * strength)
    b = np.float32(-2.0 * nx * ny * strength)
    c = np.float32(-ny * ny * strength)
    outside = np.float32(OUTSIDE)
    rows, columns = ridge.shape
    for y in range(rows):
        xx = hessian[0, y]
        xy = hessian[1, y]
        yy = hessian[2, y]
        scale = gain[y]
        out = ridge[y]
        for x in range(columns):
            value = (a * xx[x] + b * xy[x] + c * yy[x]) * scale[x]
            out[x] = value if scale[x] > 0 else outside


@kernel("void(float32[:,::1], float64, float64, float64, float64, float32[:,::1])")
def best_segments(
    ridge: Float32, slope: float, bias: float, low: float, high: float, segments: Float32
) -> None:
    """Find the segment of largest sum on every line ``column = offset + slope * row``.

    Each sample is clipped to [low, high] and lowered by ``bias``, so that the sum grows on a
    bright line and shrinks off it, and no single bright spot makes a line (Kadane's algorithm,
    all offsets side by side). A segment never crosses pixels that are ``OUTSIDE``.

    Parameters
    ----------
    ridge : ndarray of float32, shape (rows, columns)
        Response for lines along this direction; the lines run down the rows.
    slope : float
        Columns per row.
    bias, low, high : float
        In units of ``ridge``.
    segments : ndarray of float32, shape (4, offsets)
        Output: sum, first row, last row; the last line is not used. Column ``k`` is the line of
        offset ``k - ceil(max(0, slope * (rows - 1)))``. The sum is 0 where nothing rises above
        the bias.
    """
    rows, columns = ridge.shape
    count = segments.shape[1]
    lead = math.ceil(max(0.0, slope * (rows - 1)))
    bias32 = np.float32(bias)
    low32 = np.float32(low)
    high32 = np.float32(high)
    outside = np.float32(0.5 * OUTSIDE)
    nothing = np.float32(0)
    run = np.zeros(count, np.float32)
    start = np.zeros(count, np.float32)
    best = segments[0]
    first = segments[1]
    last = segments[2]
    segments[:] = 0
    for y in range(rows):
        shift = slope * y - lead
        whole = math.floor(shift)
        t = np.float32(shift - whole)
        k_low = max(0, -whole)
        k_high = min(count, columns - 1 - whole)
        if k_high <= k_low:
            continue
        here = ridge[y, k_low + whole : k_high + whole]
        beside = ridge[y, k_low + whole + 1 : k_high + whole + 1]
        row = np.float32(y)
        run_here = run[k_low:k_high]
        start_here = start[k_low:k_high]
        best_here = best[k_low:k_high]
        first_here = first[k_low:k_high]
        last_here = last[k_low:k_high]
        # Two short loops of few arrays each: the compiler vectorises these, and not one loop over
        # all of them, for which it would have to prove too many pairs apart.
        for k in range(k_high - k_low):
            raw = here[k] + t * (beside[k] - here[k])
            clipped = min(max(raw, low32), high32) - bias32
            value = clipped if raw > outside else outside
            fresh = run_here[k] <= nothing
            start_here[k] = row if fresh else start_here[k]
            run_here[k] = value + (nothing if fresh else run_here[k])
        for k in range(k_high - k_low):
            better = run_here[k] > best_here[k]
            best_here[k] = run_here[k] if better else best_here[k]
            first_here[k] = start_here[k] if better else first_here[k]
            last_here[k] = row if better else last_here[k]


@kernel(
    "int64(float32[:,:,::1], float32[:,::1], float32[:,:,::1], float32[:,::1], float64[:,::1], "
    "float64, float64, float64, float64, float64, float64[:,::1])"
)
def segments_at_all_angles(
    hessian: Float32,
    gain: Float32,
    hessian_t: Float32,
    gain_t: Float32,
    directions: NDArray[np.float64],
    stride: float,
    bias: float,
    low: float,
    high: float,
    least: float,
    found: NDArray[np.float64],
) -> int:
    """Collect, at every angle, the lines whose best segment beats those of the adjacent lines.

    Parameters
    ----------
    hessian, gain : ndarray of float32, shapes (3, rows / stride, columns) and the same without 3
        See :func:`directional_ridge`; every ``stride``-th row of the image.
    hessian_t, gain_t : ndarray of float32, shapes (3, columns / stride, rows) and so on
        Every ``stride``-th row of each image transposed: shallow lines run down the rows of these.
    directions : ndarray of float64, shape (n, 2)
        Angle, image axes, in (-pi/2, pi/2), and strength of each.
    stride : float
        Rows of the image per row of the arrays.
    bias, low, high : float
        See :func:`best_segments`.
    least : float
        Smallest sum, per px of arc length, that counts.
    found : ndarray of float64, shape (most, 6)
        Output: sum, angle, x and y of the shallow end, x and y of the deep end.

    Returns
    -------
    int
        How many rows of ``found`` were filled.
    """
    count = 0
    ridge = np.empty_like(gain)
    ridge_t = np.empty_like(gain_t)
    for direction in range(directions.shape[0]):
        angle = directions[direction, 0]
        shallow = abs(angle) <= math.pi / 4
        if shallow:
            slope = stride * math.tan(angle)
            directional_ridge(hessian_t, gain_t, angle, directions[direction, 1], ridge_t)
            response = ridge_t
        else:
            slope = stride / math.tan(angle)
            directional_ridge(hessian, gain, angle, directions[direction, 1], ridge)
            response = ridge
        rows, columns = response.shape
        lead = math.ceil(max(0.0, slope * (rows - 1)))
        lines = columns + math.ceil(abs(slope) * (rows - 1))
        segments = np.empty((4, lines), np.float32)
        best_segments(response, slope, bias, low, high, segments)
        arc = math.sqrt(stride * stride + slope * slope)
        floor = least / arc
        for k in range(lines):
            score = segments[0, k]
            if score < floor:
                continue
            if k > 0 and segments[0, k - 1] > score:
                continue
            if k + 1 < lines and segments[0, k + 1] > score:
                continue
            if count == found.shape[0]:
                return count
            # Along the rows of the array, and across them.
            start = k - lead + slope * segments[1, k]
            end = k - lead + slope * segments[2, k]
            first = stride * segments[1, k]
            last = stride * segments[2, k]
            found[count, 0] = score * arc
            found[count, 1] = angle
            if not shallow:
                found[count, 2] = start
                found[count, 3] = first
                found[count, 4] = end
                found[count, 5] = last
            elif angle >= 0:
                found[count, 2] = first
                found[count, 3] = start
                found[count, 4] = last
                found[count, 5] = end
            else:
                found[count, 2] = last
                found[count, 3] = end
                found[count, 4] = first
                found[count, 5] = start
            count += 1
    return count


@kernel("int64(float64[:,::1], float64, float64, float64, int64[::1])")
def distinct_segments(
    segments: NDArray[np.float64],
    turn_rad: float,
    offset: float,
    shared: float,
    kept: NDArray[np.int64],
) -> int:
    """Pick segments in the order given, skipping those that repeat one already picked.

    Two repeat each other if they are nearly parallel, the middle of the later one is close to the
    line of the earlier, and they share much of the shorter one's length.

    Parameters
    ----------
    segments : ndarray of float64, shape (n, 6)
        As from :func:`segments_at_all_angles`, strongest first.
    turn_rad, offset, shared : float
        Largest angle between them, largest distance, and least shared part of the shorter.
    kept : ndarray of int64
        Output: rows picked.

    Returns
    -------
    int
        How many were picked.
    """
    count = 0
    for i in range(segments.shape[0]):
        if count == kept.shape[0]:
            break
        repeats = False
        for m in range(count):
            j = kept[m]
            turn = abs(segments[i, 1] - segments[j, 1])
            if min(turn, math.pi - turn) > turn_rad:
                continue
            ux = math.cos(segments[j, 1])
            uy = math.sin(segments[j, 1])
            mx = 0.5 * (segments[i, 2] + segments[i, 4]) - segments[j, 2]
            my = 0.5 * (segments[i, 3] + segments[i, 5]) - segments[j, 3]
            if abs(my * ux - mx * uy) > offset:
                continue
            a = (segments[i, 2] - segments[j, 2]) * ux + (segments[i, 3] - segments[j, 3]) * uy
            b = (segments[i, 4] - segments[j, 2]) * ux + (segments[i, 5] - segments[j, 3]) * uy
            c = (segments[j, 4] - segments[j, 2]) * ux + (segments[j, 5] - segments[j, 3]) * uy
            overlap = min(max(a, b), max(c, 0.0)) - max(min(a, b), min(c, 0.0))
            if overlap > shared * min(abs(b - a), abs(c)):
                repeats = True
                break
        if not repeats:
            kept[count] = i
            count += 1
    return count


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
    ux = math.cos(angle_rad)
    uy = math.sin(angle_rad)
    n, across = strip.shape
    middle = across // 2
    for i in range(n):
        for j in range(across):
            d = (j - middle) * spread
            x = x0 + i * step * ux - d * uy
            y = y0 + i * step * uy + d * ux
            if x < 0 or y < 0 or x > columns - 1 or y > rows - 1:
                strip[i, j] = np.nan
                continue
            column = min(int(x), columns - 2) if columns > 1 else 0
            row = min(int(y), rows - 2) if rows > 1 else 0
            right = column + 1 if columns > 1 else 0
            below = row + 1 if rows > 1 else 0
            s = x - column
            t = y - row
            top = image[row, column] * (1 - s) + image[row, right] * s
            bottom = image[below, column] * (1 - s) + image[below, right] * s
            strip[i, j] = top * (1 - t) + bottom * t


@kernel("int64(boolean[:,::1], float64, float64, float64, float64)")
def steps_inside(mask: NDArray[np.bool_], x: float, y: float, dx: float, dy: float) -> int:
    """Count the steps from a point that stay inside a mask, the point itself included.

    Parameters
    ----------
    mask : ndarray of bool, shape (rows, columns)
        Where.
    x, y : float
        The first point, px.
    dx, dy : float
        One step: a unit vector.
    """
    rows, columns = mask.shape
    count = 0
    while True:
        column = round(x + count * dx)
        row = round(y + count * dy)
        if column < 0 or row < 0 or column >= columns or row >= rows or not mask[row, column]:
            return count
        count += 1


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
