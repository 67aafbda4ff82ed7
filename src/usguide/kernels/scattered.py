"""Means of scattered vectors around other points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usguide.kernels import kernel

FARTHEST = 36.0
"""Squared distance, in bandwidths, beyond which the Gaussian is nil: exp(-18) = 1.5e-8."""

FAR_WEIGHT = 1e-4
"""Weight of 1 / (1 + distance^4), which lets the nearest vectors decide beyond all of them."""


@kernel(
    "void(float64[:, ::1], float64[:, ::1], float64[::1], float64[:, ::1], float64,"
    " float64[:, ::1], float64[::1])"
)
def gaussian_means(
    positions: NDArray[np.float64],
    vectors: NDArray[np.float64],
    trust: NDArray[np.float64],
    at: NDArray[np.float64],
    bandwidth: float,
    means: NDArray[np.float64],
    mean_trust: NDArray[np.float64],
) -> None:
    """Average scattered vectors, weighted by their trust and a Gaussian of their distance.

    Parameters
    ----------
    positions, vectors : ndarray of float64, shape (n, 2)
        Where the vectors are, and the vectors.
    trust : ndarray of float64, shape (n,)
        Weight of each, over 0.
    at : ndarray of float64, shape (m, 2)
        Where means are wanted.
    bandwidth : float
        SD of the Gaussian, in the unit of the positions.
    means : ndarray of float64, shape (m, 2), output
        Mean vectors.
    mean_trust : ndarray of float64, shape (m,), output
        Mean trust; falls to 0 where no vector is near.
    """
    scale = 1.0 / (bandwidth * bandwidth)
    for m in range(at.shape[0]):
        x = at[m, 0]
        y = at[m, 1]
        weights = sum_x = sum_y = near = trusted = 0.0
        for n in range(positions.shape[0]):
            squared = scale * ((positions[n, 0] - x) ** 2 + (positions[n, 1] - y) ** 2)
            pull = FAR_WEIGHT / (1.0 + squared * squared)
            if squared < FARTHEST:
                bell = np.exp(-0.5 * squared)
                near += bell
                trusted += bell * trust[n]
                pull += bell
            pull *= trust[n]
            weights += pull
            sum_x += pull * vectors[n, 0]
            sum_y += pull * vectors[n, 1]
        means[m, 0] = sum_x / weights
        means[m, 1] = sum_y / weights
        mean_trust[m] = trusted / max(near, 1.0)
