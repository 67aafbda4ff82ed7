"""Displacement of the tissue in one frame, and how it is read between the tracked points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from usguide.kernels.scattered import gaussian_means
from usguide.model import Floats

LEAST_WEIGHT = 1e-3
"""Weight of a vector that was only filled in, where there is no better one."""


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """Where the tissue is in one frame, on the grid of tracked points.

    Parameters
    ----------
    position_px : ndarray of float64, shape (rows, columns, 2)
        Where the tracked tissue lies now, (x, y) in region px.
    displacement_px : ndarray of float64, shape (rows, columns, 2)
        How far it has moved since the rest anchor (the clip's first frame), region px.
    quality : ndarray of float64, shape (rows, columns)
        0 (not matched; the displacement is filled in from the neighbours) to 1.
    tracked : float
        Share of the trackable points that matched.
    lost : bool
        Whether the tie to the frame before is broken.
    """

    position_px: Floats
    displacement_px: Floats
    quality: Floats
    tracked: float
    lost: bool


def resample(
    positions: Floats, vectors: Floats, quality: Floats, at: Floats, bandwidth: float
) -> tuple[Floats, Floats]:
    """Gaussian-weighted mean of scattered vectors at other points.

    Parameters
    ----------
    positions, vectors : ndarray, shape (..., 2)
        Where the vectors are, and the vectors.
    quality : ndarray, shape (...)
        Trust in each, 0 to 1.
    at : ndarray, shape (rows, columns, 2)
        Where they are wanted; beyond the data the nearest ones decide.
    bandwidth : float
        SD of the weighting, in the unit of the positions.

    Returns
    -------
    means : ndarray, shape (rows, columns, 2)
        The vectors.
    trust : ndarray, shape (rows, columns)
        Their quality, 0 where no vector is near.
    """
    points = np.ascontiguousarray(at, np.float64).reshape(-1, 2)
    means, trust = np.empty_like(points), np.empty(len(points))
    gaussian_means(
        np.ascontiguousarray(positions, np.float64).reshape(-1, 2),
        np.ascontiguousarray(vectors, np.float64).reshape(-1, 2),
        np.maximum(quality.ravel(), LEAST_WEIGHT),
        points,
        bandwidth,
        means,
        trust,
    )
    return means.reshape(at.shape), trust.reshape(at.shape[:-1])
