"""Fat, fascia and muscle told apart by how they look in the picture at hand.

None of the three has a brightness of its own: fascia is brighter or darker than fat, and gain and
depth change both. But in one picture each is alike all along the band. So they are learned from
either side of a first outline, by linear discriminant analysis on three features of the strip:

* level;
* persistence, the share of the gradient across the band that outlasts averaging along it: fibrils
  run for a centimetre side by side with the borders, septa and speckle do not;
* unrest, the gradient along the band: fat is mottled, fascia is not.

The level may differ either way; fascia is never the less persistent or the more restless.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from usguide.fascia.straighten import COLUMN_MM, ROW_MM, smoothed_along
from usguide.fascia.workspace import Image
from usguide.model import Bools, Floats

# Lengths in nominal mm. Tuned on synthetic heels (seeds 0-19).
LEVEL_WINDOW_MM = (0.3, 1.0)
ENERGY_WINDOW_MM = (0.4, 1.5)
PERSISTENCE_MM = 2.0
FLOOR = 1e-5
"""Gradient energy, in levels squared per row squared, below which there is only noise."""
RATIO_MAX = 2.0
"""Greatest log-likelihood ratio of one pixel: no single spot decides."""
PIXELS_MIN = 60
SHRINKAGE = 0.1


def features(strip: Image) -> Image:
    """Return level, persistence and unrest of every pixel of a strip, shape (3, rows, columns)."""
    across = np.gradient(strip, axis=0)
    lasting = smoothed_along(across, PERSISTENCE_MM)
    along = np.gradient(cv2.GaussianBlur(strip, (0, 0), sigmaX=1.0, sigmaY=1.5), axis=1)
    energy = _window(across * across, ENERGY_WINDOW_MM) + FLOOR
    outlasting = _window(lasting * lasting, ENERGY_WINDOW_MM) + 0.1 * FLOOR
    values = np.stack(
        [
            _window(strip, LEVEL_WINDOW_MM),
            0.5 * np.log(outlasting / energy),
            0.5 * np.log(_window(along * along, ENERGY_WINDOW_MM) + FLOOR),
        ]
    )
    return np.asarray(values, dtype=np.float32)


def _window(values: Image, sigma_mm: tuple[float, float]) -> Image:
    blurred = cv2.GaussianBlur(
        values,
        (0, 0),
        sigmaX=sigma_mm[1] / COLUMN_MM,
        sigmaY=sigma_mm[0] / ROW_MM,
        borderType=cv2.BORDER_REPLICATE,
    )
    return np.asarray(blurred)


@dataclass(frozen=True, slots=True, eq=False)
class TissueModel:
    """Two linear discriminants: fascia against fat, and fascia against muscle.

    Parameters
    ----------
    fat, muscle : ndarray of float64, shape (4,)
        Weights of the three features and a constant; positive means fascia.
    """

    fat: Floats
    muscle: Floats

    @classmethod
    def learn(cls, values: Image, fascia: Bools, fat: Bools, muscle: Bools) -> TissueModel:
        """Fit the discriminants to labelled pixels; a class with too few of them decides nothing.

        Parameters
        ----------
        values : ndarray of float32, shape (3, rows, columns)
            Features.
        fascia, fat, muscle : ndarray of bool, shape (rows, columns)
            Where each tissue surely is.
        """
        inside = values[:, fascia]
        return cls(
            _discriminant(inside, values[:, fat], signed=True),
            _discriminant(inside, values[:, muscle], signed=False),
        )

    def against_fat(self, values: Image) -> Image:
        """Log-likelihood ratio of fascia over fat, shape (rows, columns)."""
        return _ratio(values, self.fat)

    def against_muscle(self, values: Image) -> Image:
        """Log-likelihood ratio of fascia over muscle, shape (rows, columns)."""
        return _ratio(values, self.muscle)


def separation(values: Image, fascia: Bools, fat: Bools) -> float:
    """Mahalanobis distance between fascia and fat, in the directions in which they may differ."""
    inside, outside = values[:, fascia], values[:, fat]
    if min(inside.shape[1], outside.shape[1]) < PIXELS_MIN:
        return 0.0
    difference = _difference(inside, outside, signed=True)
    return float(np.sqrt(difference @ np.linalg.solve(_covariance(inside, outside), difference)))


def _discriminant(inside: Image, outside: Image, *, signed: bool) -> Floats:
    """Fisher's linear discriminant; zero where either class has too few pixels."""
    if min(inside.shape[1], outside.shape[1]) < PIXELS_MIN:
        return np.zeros(4)
    difference = _difference(inside, outside, signed=signed)
    weights = np.linalg.solve(_covariance(inside, outside), difference)
    middle = (inside.mean(axis=1) + outside.mean(axis=1)).astype(np.float64) / 2
    return np.append(weights, -weights @ middle)


def _covariance(inside: Image, outside: Image) -> Floats:
    covariance = (np.cov(inside) + np.cov(outside)) / 2
    return np.asarray(covariance + SHRINKAGE * np.diag(np.diag(covariance)) + 1e-6 * np.eye(3))


def _difference(inside: Image, outside: Image, *, signed: bool) -> Floats:
    difference = (inside.mean(axis=1) - outside.mean(axis=1)).astype(np.float64)
    if signed:
        difference[1], difference[2] = max(difference[1], 0.0), min(difference[2], 0.0)
    return np.asarray(difference)


def _ratio(values: Image, weights: Floats) -> Image:
    ratio = np.tensordot(weights[:3].astype(np.float32), values, axes=1) + np.float32(weights[3])
    return np.asarray(np.clip(ratio, -RATIO_MAX, RATIO_MAX), dtype=np.float32)
