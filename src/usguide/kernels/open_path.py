"""The best-scoring path over adjacent columns that may begin and end anywhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usguide.kernels import kernel


@kernel("Tuple((float64, int64, int32[::1]))(float32[:, ::1], int64, float32)")
def open_path(
    score: NDArray[np.float32], max_step: int, step_cost: float
) -> tuple[float, int, NDArray[np.int32]]:
    """Find the run of columns and the row in each whose summed score is greatest.

    The local alignment of Smith and Waterman (1981) on an image: a path gains ``score`` in every
    column it visits, pays ``step_cost`` per row it climbs or falls, and is cut where its sum
    would turn negative, so scores must be negative off the line sought and positive on it.

    Parameters
    ----------
    score : ndarray of float32, shape (rows, columns)
        Gain per pixel.
    max_step : int
        Greatest change of row between neighbouring columns.
    step_cost : float
        Cost per row of change.

    Returns
    -------
    total : float
        Score of the best path; 0 where no pixel is positive.
    first : int
        Its first column.
    path : ndarray of int32, shape (length,)
        Its row in each column from ``first`` on; empty where no pixel is positive.
    """
    rows, columns = score.shape
    total = np.zeros((rows, columns), dtype=np.float32)
    came = np.full((rows, columns), -1, dtype=np.int32)
    best = np.float32(0.0)
    end_row, end_column = -1, -1
    for column in range(columns):
        for row in range(rows):
            gain = np.float32(0.0)
            source = -1
            if column > 0:
                for other in range(max(row - max_step, 0), min(row + max_step + 1, rows)):
                    value = total[other, column - 1] - step_cost * np.float32(abs(other - row))
                    if value > gain:
                        gain = value
                        source = other
            value = gain + score[row, column]
            if value > 0:
                total[row, column] = value
                came[row, column] = source
                if value > best:
                    best = value
                    end_row, end_column = row, column
    length = 0
    row = end_row
    column = end_column
    while row >= 0 and column >= 0:
        length += 1
        row = came[row, column]
        column -= 1
    path = np.empty(length, dtype=np.int32)
    row = end_row
    for position in range(length):
        path[length - 1 - position] = row
        row = came[row, end_column - position]
    return float(best), end_column - length + 1, path
