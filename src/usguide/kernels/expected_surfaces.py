"""Where two surfaces run on average over all paths, each as likely as its odds say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usguide.kernels import kernel


@kernel("void(float64[:, ::1], float64, float64[:, ::1])")
def spread_along(values: NDArray[np.float64], share: float, out: NDArray[np.float64]) -> None:
    """Add to every cell a share of its neighbours in the row, then in the column: one step on.

    Parameters
    ----------
    values : ndarray of float64, shape (rows, columns)
        Likelihood of each cell.
    share : float
        What a step to a neighbour is worth against staying.
    out : ndarray of float64, shape (rows, columns)
        Where the result is put.
    """
    rows, columns = values.shape
    across = np.empty((rows, columns))
    for row in range(rows):
        for column in range(columns):
            value = values[row, column]
            if column > 0:
                value += share * values[row, column - 1]
            if column < columns - 1:
                value += share * values[row, column + 1]
            across[row, column] = value
    for row in range(rows):
        for column in range(columns):
            value = across[row, column]
            if row > 0:
                value += share * across[row - 1, column]
            if row < rows - 1:
                value += share * across[row + 1, column]
            out[row, column] = value


@kernel("float64[:, ::1](float32[:, ::1], float32[:, ::1], int64[::1], float64)")
def expected_surfaces(
    upper: NDArray[np.float32],
    lower: NDArray[np.float32],
    gap_min: NDArray[np.int64],
    step_price: float,
) -> NDArray[np.float64]:
    """Average both surfaces over all pairs of paths, weighed by their likelihood.

    The forward-backward recursion (Baum et al. 1970, doi 10.1214/aoms/1177697196) over the pairs of
    rows that the two may have in a column. A pair of paths is as likely as ``exp`` of its summed
    log odds less ``step_price`` for each row that either moves; from column to column either moves
    by one row at most. Where one path is much likelier than all others the average is that path;
    where several are as likely, it lies between them and changes smoothly as they do.

    Parameters
    ----------
    upper, lower : ndarrays of float32, shape (rows, columns)
        Log odds of each surface in each row, its rows counted from any first row of its own.
    gap_min : ndarray of int64, shape (columns,)
        Least row of the lower surface less that of the upper; may be negative, as rows are counted.
    step_price : float
        Price of a row's change.

    Returns
    -------
    ndarray of float64, shape (2, columns)
        Mean row of the upper and of the lower surface; NaN where no pair is possible.
    """
    rows, columns = upper.shape
    share = np.exp(-step_price)
    before = np.empty((columns, rows, rows))
    odds = np.empty((rows, rows))
    for column in range(columns):
        here = before[column]
        if column == 0:
            here[:] = 1.0
        else:
            spread_along(before[column - 1], share, here)
        best = upper[:, column].max() + lower[:, column].max()
        total = 0.0
        for row in range(rows):
            for other in range(rows):
                if other - row < gap_min[column]:
                    here[row, other] = 0.0
                else:
                    here[row, other] *= np.exp(upper[row, column] + lower[other, column] - best)
                total += here[row, other]
        if not total > 0.0:
            return np.full((2, columns), np.nan)
        here /= total
    means = np.empty((2, columns))
    after = np.ones((rows, rows))
    for column in range(columns - 1, -1, -1):
        here = before[column]
        total, sum_upper, sum_lower = 0.0, 0.0, 0.0
        for row in range(rows):
            for other in range(rows):
                weight = here[row, other] * after[row, other]
                total += weight
                sum_upper += weight * row
                sum_lower += weight * other
        means[0, column] = sum_upper / total
        means[1, column] = sum_lower / total
        best = upper[:, column].max() + lower[:, column].max()
        total = 0.0
        for row in range(rows):
            for other in range(rows):
                odds[row, other] = 0.0
                if other - row >= gap_min[column]:
                    odds[row, other] = after[row, other] * np.exp(
                        upper[row, column] + lower[other, column] - best
                    )
                total += odds[row, other]
        odds /= total
        spread_along(odds, share, after)
    return means
