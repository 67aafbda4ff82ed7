"""Straight bright lines: the sum of a ridge filter's response along every one of them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from usguide.kernels import kernel

Float32 = NDArray[np.float32]

OUTSIDE = 1.0e4
"""Ixx and Iyy of a pixel that is not tissue: its response is far below any other at every angle."""
BARRED = -5.0e3
"""Response below which a pixel is not tissue."""

# Entries of ``limits``, in units of the response.
BIAS, LOW, HIGH = range(3)


@kernel("UniTuple(float32, 3)(float64, float64)")
def across(angle_rad: float, strength: float) -> tuple[np.float32, np.float32, np.float32]:
    """Weights of Ixx, Ixy and Iyy that give minus the second derivative across a direction.

    For the direction ``u = (cos a, sin a)`` with normal ``n = (-sin a, cos a)`` that is
    ``-(nx^2 Ixx + 2 nx ny Ixy + ny^2 Iyy)``: positive on a bright line along ``u``.

    Parameters
    ----------
    angle_rad : float
        Direction, image axes (y down).
    strength : float
        Weight of this direction.
    """
    nx = -math.sin(angle_rad)
    ny = math.cos(angle_rad)
    return (
        np.float32(-nx * nx * strength),
        np.float32(-2.0 * nx * ny * strength),
        np.float32(-ny * ny * strength),
    )


@kernel(
    "void(float32[:,:,::1], float64, float64, float64, float32[::1], float32[:,::1], "
    "float32[::1], float32[::1])"
)
def best_sums(
    curvature: Float32,
    angle_rad: float,
    strength: float,
    slope: float,
    limits: Float32,
    response: Float32,
    run: Float32,
    best: Float32,
) -> None:
    """Sum the brightest segment of every line ``column = offset + slope * row``.

    The samples, interpolated between columns, are :func:`across` the direction, clipped to [low,
    high] and lowered by a bias, so that the sum grows on a bright line and shrinks off it, and no
    single bright spot makes a line (Kadane's algorithm, all offsets side by side). A segment never
    crosses pixels that are ``OUTSIDE``.

    Parameters
    ----------
    curvature : ndarray of float32, shape (3, rows, columns)
        Ixx, Ixy and Iyy of a smoothed image, in units of their local deviation; the lines run down
        the rows.
    angle_rad, strength : float
        See :func:`across`.
    slope : float
        Columns per row.
    limits : ndarray of float32, shape (3,)
        ``BIAS``, ``LOW`` and ``HIGH``.
    response : ndarray of float32, shape (rows, columns)
        Output: what the samples are taken from.
    run : ndarray of float32, shape (offsets,)
        Workspace.
    best : ndarray of float32, shape (offsets,)
        Output: line ``k`` has the offset ``k - ceil(max(0, slope * (rows - 1)))``. 0 where nothing
        rises above the bias.
    """
    a, b, c = across(angle_rad, strength)
    rows, columns = response.shape
    lead = math.ceil(max(0.0, slope * (rows - 1)))
    bias = limits[BIAS]
    low = limits[LOW]
    high = limits[HIGH]
    outside = np.float32(-OUTSIDE)
    barred = np.float32(BARRED)
    nothing = np.float32(0)
    run[:] = nothing
    best[:] = nothing
    for y in range(rows):
        xx = curvature[0, y]
        xy = curvature[1, y]
        yy = curvature[2, y]
        line = response[y]
        for x in range(columns):
            line[x] = a * xx[x] + b * xy[x] + c * yy[x]
        shift = slope * y
        whole = math.floor(shift)
        t = np.float32(shift - whole)
        here = response[y, : columns - 1]
        beside = response[y, 1:]
        run_here = run[lead - whole : lead - whole + columns - 1]
        best_here = best[lead - whole : lead - whole + columns - 1]
        for x in range(columns - 1):
            raw = here[x] + t * (beside[x] - here[x])
            capped = raw if raw < high else high
            clipped = capped if capped > low else low
            value = clipped - bias if raw > barred else outside
            before = run_here[x]
            total = value + (before if before > nothing else nothing)
            run_here[x] = total
            # The larger of the two, written so that every sample is stored: storing some of them
            # takes three times as long.
            gain = total - best_here[x]
            best_here[x] += gain if gain > nothing else nothing


@kernel("UniTuple(int64, 2)(float32[:,::1], float64, float64, float32[::1], float64)")
def ends_of(
    response: Float32, offset: float, slope: float, limits: Float32, best: float
) -> tuple[int, int]:
    """First and last row of the brightest segment of a line, whose sum is known.

    Parameters
    ----------
    response : ndarray of float32, shape (rows, columns)
        As from :func:`best_sums`.
    offset, slope : float
        The line is at ``column = offset + slope * row``.
    limits : ndarray of float32, shape (3,)
        ``BIAS``, ``LOW`` and ``HIGH``.
    best : float
        The sum. A shorter segment whose sum differs by rounding alone is as good.
    """
    rows, columns = response.shape
    samples = response.reshape(-1)
    enough = best - 1e-4 * abs(best)
    bias = limits[BIAS]
    low = limits[LOW]
    high = limits[HIGH]
    nothing = np.float32(0)
    total = nothing
    first = 0
    for y in range(rows):
        at = offset + slope * y
        x = math.floor(at)
        if x < 0 or x > columns - 2:
            continue
        t = np.float32(at - x)
        place = np.uint64(y * columns + x)  # unsigned: no place counts from the end
        here = samples[place]
        raw = here + t * (samples[place + np.uint64(1)] - here)
        # Chosen rather than branched to: speckle takes either way as often as the other.
        fresh = total <= nothing
        first = y if fresh else first
        capped = raw if raw < high else high
        total = (nothing if fresh else total) + ((capped if capped > low else low) - bias)
        if total >= enough:
            return first, y
        if raw <= BARRED:
            total = nothing
    return 0, 0


@kernel(
    "int64(float32[:,:,::1], float32[:,:,::1], float64[:,::1], float64, float32[::1], float64, "
    "float64[:,::1])"
)
def segments_at_all_angles(
    curvature: Float32,
    curvature_t: Float32,
    directions: NDArray[np.float64],
    stride: float,
    limits: Float32,
    least: float,
    found: NDArray[np.float64],
) -> int:
    """Collect, at every angle, the lines whose best segment beats those of the adjacent lines.

    Parameters
    ----------
    curvature : ndarray of float32, shape (3, rows / stride, columns)
        See :func:`best_sums`; every ``stride``-th row of the image.
    curvature_t : ndarray of float32, shape (3, columns / stride, rows)
        Every ``stride``-th row of its transpose: shallow lines run down the rows of these.
    directions : ndarray of float64, shape (n, 2)
        Angle, image axes, in (-pi/2, pi/2), and strength of each.
    stride : float
        Rows of the image per row of the arrays.
    limits : ndarray of float32, shape (3,)
        See :func:`best_sums`.
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
    response = np.empty_like(curvature[0])
    response_t = np.empty_like(curvature_t[0])
    for direction in range(directions.shape[0]):
        angle = directions[direction, 0]
        shallow = abs(angle) <= math.pi / 4
        slope = stride * (math.tan(angle) if shallow else 1.0 / math.tan(angle))
        picture = response_t if shallow else response
        rows, columns = picture.shape
        lead = math.ceil(max(0.0, slope * (rows - 1)))
        run = np.empty(columns + math.ceil(abs(slope) * (rows - 1)), np.float32)
        best = np.empty_like(run)
        best_sums(
            curvature_t if shallow else curvature,
            angle,
            directions[direction, 1],
            slope,
            limits,
            picture,
            run,
            best,
        )
        arc = math.sqrt(stride * stride + slope * slope)
        floor = least / arc
        for k in range(len(best)):
            score = best[k]
            if score < floor:
                continue
            if k > 0 and best[k - 1] > score:
                continue
            if k + 1 < len(best) and best[k + 1] > score:
                continue
            if count == found.shape[0]:
                return count
            first, last = ends_of(picture, float(k - lead), slope, limits, score)
            found[count, 0] = score * arc
            found[count, 1] = angle
            # Along the rows of the array, and across them.
            for end, y in ((0, first), (1, last)):
                along = stride * y
                beside = k - lead + slope * y
                at = 4 - 2 * end if shallow and angle < 0 else 2 + 2 * end
                found[count, at] = along if shallow else beside
                found[count, at + 1] = beside if shallow else along
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


@kernel("void(boolean[:,::1], float64[:,::1], float64[:,::1], int64[::1])")
def steps_inside(
    mask: NDArray[np.bool_],
    points: NDArray[np.float64],
    steps: NDArray[np.float64],
    counts: NDArray[np.int64],
) -> None:
    """Count the steps from each point that stay inside a mask, the point itself included.

    Parameters
    ----------
    mask : ndarray of bool, shape (rows, columns)
        Where.
    points : ndarray of float64, shape (n, 2)
        x and y of the first point, px.
    steps : ndarray of float64, shape (n, 2)
        One step of each: a unit vector.
    counts : ndarray of int64, shape (n,)
        Output.
    """
    rows, columns = mask.shape
    for i in range(len(counts)):
        count = 0
        while True:
            column = round(points[i, 0] + count * steps[i, 0])
            row = round(points[i, 1] + count * steps[i, 1])
            if column < 0 or row < 0 or column >= columns or row >= rows or not mask[row, column]:
                break
            count += 1
        counts[i] = count


@kernel("void(float32[:,::1], float64[:,::1], float64, boolean[::1])")
def keep_close(
    distance: Float32,
    segments: NDArray[np.float64],
    near: float,
    close: NDArray[np.bool_],
) -> None:
    """Say which segments keep close to an edge: at a quarter, a half and three quarters of them.

    Parameters
    ----------
    distance : ndarray of float32, shape (rows, columns)
        From every pixel to the edge, px.
    segments : ndarray of float64, shape (n, 6)
        As from :func:`segments_at_all_angles`.
    near : float
        The distance that is close, px.
    close : ndarray of bool, shape (n,)
        Output.
    """
    rows, columns = distance.shape
    for i in range(len(close)):
        farthest = np.float32(0)
        for k in range(1, 4):
            x = segments[i, 2] + 0.25 * k * (segments[i, 4] - segments[i, 2])
            y = segments[i, 3] + 0.25 * k * (segments[i, 5] - segments[i, 3])
            column = min(max(round(x), 0), columns - 1)
            row = min(max(round(y), 0), rows - 1)
            farthest = max(farthest, distance[row, column])
        close[i] = farthest < near
