"""Fat, fascia and muscle told apart by a small convolutional network.

Texture that the eye reads at once, fibrils that run on beside septa that end, takes many hand-made
features to say, and they say it one row at a time. A network of seven layers and 12,787 weights
reads it from the pixels around each pixel. It was trained on synthetic heels only
(``python -m benchmarks.train_tissues``), every second one drawn beyond the clinical ranges, and all
distorted in scale, contrast, gain and sharpness, so it is one witness among others and its weight
is small.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.fascia.workspace import Image
from usguide.model import Floats

WINDOW_PX = (15, 31)
"""Columns and rows over which levels are compared with their surroundings."""
CONTRAST_FLOOR = 4e-4
"""Added to the variance there, levels squared."""
STRIDE = 2
"""Rows per row of the network's answer."""
DILATIONS = ((1, 1), (2, 1), (4, 2), (8, 4), (12, 6))
"""Rows and columns between the taps of each layer after the first: with its 7 by 5, each answer is
got from 11.5 mm by 16.5 mm, and from what these are compared with (``WINDOW_PX``)."""


@dataclass(frozen=True, slots=True, eq=False)
class Tissues:
    """How much speaks, in each column of a strip, for a border passing at each row.

    Parameters
    ----------
    superficial, deep : ndarrays of float32, shape (rows + 1, columns)
        Log-likelihood that the tissue changes before the row, from fat to fascia and from fascia to
        muscle, up to a constant of each column.
    """

    superficial: Image
    deep: Image

    @classmethod
    def of(cls, levels: Image) -> Tissues:
        """Recognise the tissues of an upright strip.

        Parameters
        ----------
        levels : ndarray of float32, shape (rows, columns)
            Normalised grey levels, rows ``ROW_MM`` and columns ``COLUMN_MM`` apart.
        """
        fat, fascia, muscle = np.moveaxis(log_probabilities(levels), 2, 0)
        return cls(_summed(fat - fascia), _summed(fascia - muscle))

    def worth(self, rows: Floats, columns: NDArray[np.int64]) -> float:
        """Mean log-likelihood of both borders, per column; 0 for none.

        Parameters
        ----------
        rows : ndarray of float64, shape (2, k)
            Of the superficial and of the deep border.
        columns : ndarray of int64, shape (k,)
            Where.
        """
        if not columns.size:
            return 0.0
        nearest = np.clip(np.rint(rows).astype(np.int64), 0, len(self.deep) - 1)
        both = self.superficial[nearest[0], columns] + self.deep[nearest[1], columns]
        return float(both.mean())


def log_probabilities(levels: Image) -> Image:
    """Logarithm of the probability of fat, fascia and muscle, shape (rows, columns, 3)."""
    first, *middle, last = _layers()
    rows = len(levels)
    padded = np.pad(levels, ((0, -rows % STRIDE), (0, 0)), mode="edge")
    hidden = np.maximum(_first(seen(padded), *first), 0.0)
    for (weights, bias), dilation in zip(middle, DILATIONS, strict=True):
        hidden = hidden + np.maximum(convolved(hidden, weights, dilation) + bias, 0.0)
    answer = hidden @ last[0] + last[1]
    answer = answer - answer.max(axis=2, keepdims=True)
    answer -= np.log(np.exp(answer).sum(axis=2, keepdims=True))
    return np.asarray(np.repeat(answer, STRIDE, axis=0)[:rows], dtype=np.float32)


@cache
def _layers() -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Weights and biases, first to last layer."""
    with (
        resources.as_file(resources.files("usguide.fascia") / "tissues.npz") as path,
        np.load(path) as stored,
    ):
        count = len(stored.files) // 2
        return [
            (
                stored[f"weights_{at}"].astype(np.float32),
                stored[f"bias_{at}"].astype(np.float32),
            )
            for at in range(count)
        ]


def seen(levels: Image) -> Image:
    """Show the network the level round about and each pixel against it, (rows, columns, 2)."""
    mean = cv2.blur(levels, WINDOW_PX)
    apart = levels - mean
    spread = np.sqrt(cv2.blur(apart * apart, WINDOW_PX) + CONTRAST_FLOOR)
    return np.stack([2.0 * mean - 1.0, apart / spread], axis=2)


def convolved(values: Image, weights: Image, dilation: tuple[int, int]) -> Image:
    """Correlate with dilated taps; nothing but zeros lies beyond the strip."""
    reach = [step * (size // 2) for step, size in zip(dilation, weights.shape[:2], strict=True)]
    padded = np.pad(values, ((reach[0],) * 2, (reach[1],) * 2, (0, 0)))
    rows, columns = values.shape[:2]
    total = np.zeros((rows, columns, weights.shape[3]), dtype=np.float32)
    for row, column in np.ndindex(*weights.shape[:2]):
        top, left = row * dilation[0], column * dilation[1]
        total += padded[top : top + rows, left : left + columns] @ weights[row, column]
    return total


def _first(values: Image, weights: Image, bias: Image) -> Image:
    return (convolved(values, weights, (1, 1)) + bias)[1::STRIDE]


def _summed(ratio: Image) -> Image:
    return np.concatenate([np.zeros((1, ratio.shape[1]), np.float32), np.cumsum(ratio, axis=0)])
