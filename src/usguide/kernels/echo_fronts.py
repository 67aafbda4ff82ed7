"""Where compact echoes begin: the side of a bright spot that the sound reaches first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usguide.kernels import kernel
from usguide.kernels.ranks import ranked

Float32 = NDArray[np.float32]

START = 3
"""Px around a spot's peak in which its brightest place is looked for."""
SIDE = 6
"""Columns to either side of a spot in which its crest may be."""
ABOVE = 6
"""Rows above a spot's peak to which its crest may be followed."""
CREST_SIDE = 4
"""Columns to either side of the crest whose centroid is taken."""
AROUND = 4
"""The surroundings reach so many times as far to the sides, and twice as far up."""
EVERY = 3
"""Rows and columns from one sample of the surroundings to the next: neighbours are alike."""
LEAST_SHARE = 0.25
"""Least share of the spot's height, over the median of its surroundings, at its front. Tuned, like
the other constants, on needle_outofplane_horizontal and needle_out_of_plane 81000-81019 and
83000-83029; 0.2 to 0.3 does as well."""
NOISES = 4.0
MOST_SHARE = 0.7
"""Robust deviations of the surroundings by which the front stands out, where that is not more than
this share: in tissue an echo begins where it leaves the speckle."""

THICK = 2
"""Rows from where an echo begins to its first crest, at most: a third of a millimetre."""


@kernel("void(float32[:,::1], int64[::1], int64[::1], float64[:,::1])")
def echo_fronts(
    image: Float32,
    x: NDArray[np.int64],
    y: NDArray[np.int64],
    fronts: NDArray[np.float64],
) -> None:
    """Follow each spot's crest up to where its echo begins, and locate that to a part of a px.

    What a needle's surface sends back comes first; below it its reverberations lean, come and go.

    Parameters
    ----------
    image : ndarray of float32, shape (rows, columns)
        Smoothed grey levels, depth downwards.
    x, y : ndarray of int64, shape (n,)
        Peaks.
    fronts : ndarray of float64, shape (n, 2)
        Output: x and y of the fronts, px.
    """
    rows, columns = image.shape
    levels = np.empty((3 * ABOVE // EVERY + 1) * (2 * AROUND * SIDE // EVERY + 1))
    for k in range(len(x)):
        top = max(0, y[k] - ABOVE)
        left = max(0, x[k] - SIDE)
        right = min(columns, x[k] + SIDE + 1)
        first_row = max(0, y[k] - 2 * ABOVE)
        last_row = min(rows, y[k] + ABOVE + 1)
        first_column = max(0, x[k] - AROUND * SIDE)
        last_column = min(columns, x[k] + AROUND * SIDE + 1)
        count = 0
        for i in range(first_row, last_row, EVERY):
            for j in range(first_column, last_column, EVERY):
                levels[count] = image[i, j]
                count += 1
        base = ranked(levels[:count], count // 2)
        for i in range(count):
            levels[i] = abs(levels[i] - base)
        noise = 1.4826 * ranked(levels[:count], count // 2)
        row = y[k]
        column = x[k]
        peak = -np.inf
        for i in range(max(0, y[k] - START), min(rows, y[k] + START + 1)):
            for j in range(max(0, x[k] - START), min(columns, x[k] + START + 1)):
                if image[i, j] - base > peak:
                    peak = image[i, j] - base
                    row = i
                    column = j
        if peak <= 0:
            fronts[k, 0] = x[k]
            fronts[k, 1] = y[k]
            continue
        least = max(LEAST_SHARE * peak, min(NOISES * noise, MOST_SHARE * peak))
        while row > top:
            best = max(left, column - 2)
            for j in range(best + 1, min(right, column + 3)):
                if image[row - 1, j] > image[row - 1, best]:
                    best = j
            if image[row - 1, best] - base < least:
                break
            row -= 1
            column = best
        total = 0.0
        at_x = 0.0
        for i in range(row, min(rows, row + 2)):
            for j in range(max(left, column - CREST_SIDE), min(right, column + CREST_SIDE + 1)):
                rise = max(image[i, j] - base, 0.0)
                total += rise * rise
                at_x += rise * rise * j
        fronts[k, 0] = at_x / total
        # The pulse and the blur spread the front upwards: it is as deep as the first crest.
        for i in range(row + 1, min(rows, row + THICK + 1)):
            best = max(left, column - 2)
            for j in range(best + 1, min(right, column + 3)):
                if image[i, j] > image[i, best]:
                    best = j
            if image[i, best] <= image[row, column]:
                break
            row = i
            column = best
        fronts[k, 1] = row
        if 0 < row < rows - 1:
            above = image[row - 1, column]
            below = image[row + 1, column]
            if image[row, column] > max(above, below):
                bend = above - 2.0 * image[row, column] + below
                fronts[k, 1] += 0.5 * (above - below) / bend
