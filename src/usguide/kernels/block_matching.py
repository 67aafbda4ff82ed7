"""Normalised block matching: where a small patch of speckle went.

The normalised cross-correlation of a reference block a and a candidate block b,

    r = sum (a - mean a)(b - mean b) / sqrt(sum (a - mean a)^2 * sum (b - mean b)^2),

does not change with gain or brightness. Its maximum over the displacements tried is refined
below a pixel by the parabola through the peak and its two neighbours along each axis.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usguide.kernels import kernel

Image = NDArray[np.float32]


LANES = 32
"""Columns are summed so many at a time, those past a block being left out of what is made of them:
of a number that fills the processor's vectors none is summed singly."""


@kernel("int64(int64)")
def padded(columns: int) -> int:
    """Round a number of columns up to one that is summed quickly."""
    return LANES * ((columns + LANES - 1) // LANES)


@kernel(
    "void(float32[:, ::1], int64, float64, float32[:, ::1], int64, int64, float32[:, ::1],"
    " float64[::1])"
)
def correlate_row(
    block: Image,
    width: int,
    norm: float,
    target: Image,
    row: int,
    column: int,
    sums: Image,
    scores: NDArray[np.float64],
) -> None:
    """Correlate a zero-mean block with places side by side in the target.

    Parameters
    ----------
    block : ndarray of float32, shape (height, columns)
        Of Euclidean norm ``norm``; at least ``width`` columns, of which the others are not read
        for anything.
    width : int
        Width of the block, px.
    norm : float
        Of the block.
    target : ndarray of float32, shape (rows, columns)
        Image.
    row, column : int
        First pixel of the first place; the others follow to the right.
    sums : ndarray of float32, shape (3, columns)
        Scratch, :func:`padded` to ``width`` and the number of places: a sum per column of b, b*b
        and a*b leaves the inner loops without a chain of additions, which lets them run in vector
        units, and the first two are the same for all places.
    scores : ndarray of float64, shape (places,)
        Output: -1 where the block would leave the target and 0 where the target is flat.
    """
    height = len(block)
    most = min(block.shape[1], sums.shape[1])
    rows, columns = target.shape
    scores[:] = -1.0
    first = max(0, -column)
    last = min(len(scores), columns - width - column + 1)
    if row < 0 or row + height > rows or last <= first:
        return
    start = column + first
    reach = min(columns - start, sums.shape[1])
    if start < 0:  # never: but so the compiler knows, and need not count from the end
        return
    for j in range(reach):
        sums[0, j] = 0.0
        sums[1, j] = 0.0
    for i in range(height):
        for j in range(reach):
            b = target[row + i, start + j]
            sums[0, j] += b
            sums[1, j] += b * b
    for k in range(last - first):
        at = start + k
        reach = most if at + most <= columns else width
        for j in range(reach):
            sums[2, j] = 0.0
        for i in range(height):
            for j in range(reach):
                sums[2, j] += block[i, j] * target[row + i, at + j]
        total = 0.0
        squares = 0.0
        cross = 0.0
        for j in range(width):
            total += sums[0, k + j]
            squares += sums[1, k + j]
            cross += sums[2, j]
        spread = squares - total * total / (height * width)
        flat = spread <= 1e-6 * squares or norm <= 0.0
        scores[first + k] = 0.0 if flat else cross / (norm * np.sqrt(spread))


@kernel("float64(float64, float64, float64)")
def parabola_peak(before: float, at: float, after: float) -> float:
    """Offset in [-0.5, 0.5] of the maximum of the parabola through three equidistant values."""
    bend = before - 2.0 * at + after
    if bend >= 0.0:
        return 0.0
    return min(0.5, max(-0.5, 0.5 * (before - after) / bend))


@kernel(
    "void(float32[:, ::1], float32[:, ::1], int64[:, ::1], float32[:, ::1],"
    " int64, int64, int64, int64, float32[:, ::1])"
)
def match_blocks(
    reference: Image,
    target: Image,
    corners: NDArray[np.int64],
    guess: Image,
    width: int,
    height: int,
    reach_x: int,
    reach_y: int,
    found: Image,
) -> None:
    """Find every block of the reference in the target.

    Every displacement within ``reach`` of the rounded guess is tried; where the best lies on the
    rim of that window the window moves there, at most twice.

    Parameters
    ----------
    reference, target : ndarray of float32, shape (rows, columns)
        Images of one size.
    corners : ndarray of int64, shape (n, 2)
        (x, y) of the first pixel of each block; the block must lie inside the reference.
    guess : ndarray of float32, shape (n, 2)
        Expected displacement (x, y) in px.
    width, height, reach_x, reach_y : int
        Size of a block, and how far from the guess to look, in px (reach of 1 or more).
    found : ndarray of float32, shape (n, 4), output
        Displacement x, y in px; correlation at the peak; grey-level SD of the reference block. A
        correlation of -1 means that every candidate left the image.
    """
    rows = 2 * reach_y + 1
    columns = 2 * reach_x + 1
    block = np.zeros((height, padded(width)), np.float32)
    sums = np.empty((3, padded(width + columns - 1)), np.float32)
    by_column = np.empty(width)
    scores = np.empty((rows, columns))
    for n in range(corners.shape[0]):
        x0 = corners[n, 0]
        y0 = corners[n, 1]
        by_column[:] = 0.0
        for i in range(height):
            line = reference[y0 + i, x0 : x0 + width]
            for j in range(width):
                by_column[j] += line[j]
        mean = by_column.sum() / (height * width)
        by_column[:] = 0.0
        for i in range(height):
            line = reference[y0 + i, x0 : x0 + width]
            for j in range(width):
                value = line[j] - mean
                block[i, j] = value
                by_column[j] += value * value
        norm = float(np.sqrt(by_column.sum()))
        centre_x = int(np.rint(guess[n, 0]))
        centre_y = int(np.rint(guess[n, 1]))
        best = -2.0
        best_i = 0
        best_j = 0
        inside = False
        for _ in range(3):
            best = -2.0
            for i in range(rows):
                correlate_row(
                    block,
                    width,
                    norm,
                    target,
                    y0 + centre_y + i - reach_y,
                    x0 + centre_x - reach_x,
                    sums,
                    scores[i],
                )
                for j in range(columns):
                    score = scores[i, j]
                    if score > best:
                        best = score
                        best_i = i
                        best_j = j
            inside = 0 < best_i < rows - 1 and 0 < best_j < columns - 1
            if inside or best <= 0.0:
                break
            centre_x += best_j - reach_x
            centre_y += best_i - reach_y
            best_i = reach_y
            best_j = reach_x
        dx = float(centre_x + best_j - reach_x)
        dy = float(centre_y + best_i - reach_y)
        if inside:
            left = scores[best_i, best_j - 1]
            right = scores[best_i, best_j + 1]
            above = scores[best_i - 1, best_j]
            below = scores[best_i + 1, best_j]
            if left > -1.0 and right > -1.0:
                dx += parabola_peak(left, best, right)
            if above > -1.0 and below > -1.0:
                dy += parabola_peak(above, best, below)
        found[n, 0] = dx
        found[n, 1] = dy
        found[n, 2] = best
        found[n, 3] = norm / np.sqrt(height * width)
