"""Fat and fascia told apart by how they look in the picture at hand.

Neither has a brightness of its own: fascia is brighter or darker than fat, and gain and
depth change both. But in one picture each is alike all along the band. So they are learned from
either side of a first outline, by linear discriminant analysis on four features of the strip:

* level;
* persistence, the share of the gradient across the band that outlasts averaging along it: fibrils
  run for a centimetre side by side with the borders, septa and speckle do not;
* unrest, the gradient along the band: fat is mottled, fascia is not;
* contrast, the gradient across the band: fat's septa stand out from its lobules more strongly than
  fibrils do from one another.

The level may differ either way; fascia is never the less persistent or the more restless.
"""

from __future__ import annotations

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
PIXELS_MIN = 60
"""Fewer pixels, of four features each, tell too little of a texture."""
SHRINKAGE = 0.1
"""Part of its diagonal that is added to a covariance, so that it can be inverted."""


def features(strip: Image) -> Image:
    """Return level, persistence, unrest and contrast of every pixel, shape (4, rows, columns)."""
    across = np.gradient(strip, axis=0)
    lasting = smoothed_along(across, PERSISTENCE_MM)
    energy = _window(across * across, ENERGY_WINDOW_MM) + FLOOR
    outlasting = _window(lasting * lasting, ENERGY_WINDOW_MM) + 0.1 * FLOOR
    values = np.stack(
        [
            _window(strip, LEVEL_WINDOW_MM),
            0.5 * np.log(outlasting / energy),
            unrest(strip),
            0.5 * np.log(energy),
        ]
    )
    return np.asarray(values, dtype=np.float32)


def unrest(strip: Image) -> Image:
    """Logarithm of the gradient along the band, shape (rows, columns)."""
    along = np.gradient(cv2.GaussianBlur(strip, (0, 0), sigmaX=1.0, sigmaY=1.5), axis=1)
    return np.asarray(0.5 * np.log(_window(along * along, ENERGY_WINDOW_MM) + FLOOR))


def _window(values: Image, sigma_mm: tuple[float, float]) -> Image:
    blurred = cv2.GaussianBlur(
        values,
        (0, 0),
        sigmaX=sigma_mm[1] / COLUMN_MM,
        sigmaY=sigma_mm[0] / ROW_MM,
        borderType=cv2.BORDER_REPLICATE,
    )
    return np.asarray(blurred)


def separation(values: Image, fascia: Bools, fat: Bools) -> float:
    """Mahalanobis distance between fascia and fat, in the directions in which they may differ."""
    inside, outside = values[:, fascia], values[:, fat]
    if min(inside.shape[1], outside.shape[1]) < PIXELS_MIN:
        return 0.0
    difference = _difference(inside, outside)
    return float(np.sqrt(difference @ np.linalg.solve(_covariance(inside, outside), difference)))


def _covariance(inside: Image, outside: Image) -> Floats:
    covariance = (np.cov(inside) + np.cov(outside)) / 2
    return np.asarray(covariance + SHRINKAGE * np.diag(np.diag(covariance)) + 1e-6 * np.eye(4))


def _difference(inside: Image, outside: Image) -> Floats:
    difference = (inside.mean(axis=1) - outside.mean(axis=1)).astype(np.float64)
    difference[1], difference[2] = max(difference[1], 0.0), min(difference[2], 0.0)
    return np.asarray(difference)
