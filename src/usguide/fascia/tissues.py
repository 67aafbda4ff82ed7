"""Fat, fascia and muscle told apart by a small convolutional network.

Texture that the eye reads at once, fibrils that run on beside septa that end, takes many hand-made
features to say, and they say it one row at a time. A network of fifteen layers and 102,000 weights
reads it from the pixels around each pixel, at three scales, and from where they lie about the
bone's edge. It was trained on nothing real (``python -m benchmarks.train_tissues``): on synthetic
heels, half of them drawn beyond the clinical ranges, and in the last runs as much on strips painted
without any scanner's model, so that it learns borders rather than one simulator's speckle; all of
them distorted in scale, contrast, gain and sharpness, and compressed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from usguide.fascia.straighten import COLUMN_MM, ROW_MM, Strip
from usguide.fascia.workspace import Image
from usguide.kernels.surfaces import joint_step_prices, refine_rows, two_surfaces
from usguide.model import Bools, Floats

FIRST_MM = -16.0
"""Height of the first row about the bone's edge, nominal mm, positive deep."""
ROWS, COLUMNS, EDGE_COLUMN = 240, 56, 16
"""What is looked at, 24 mm by 28 mm, and in which column of it the bone's edge lies."""
WINDOW_PX = (15, 31)
"""Columns and rows over which levels are compared with their surroundings."""
CONTRAST_FLOOR = 4e-4
"""Added to the variance there, levels squared."""
PLACE_MM = 8.0, 16.0
"""Distances below and before the bone's edge that are shown to the network as 1."""
STRIDE = 2
"""Rows per row of the network's answer."""
PLACES = (-3, -4), (-1, 4), (1, -4), (3, 4)
"""Columns and rows of the picture by which the bone's edge is moved for each view of it. Where a
picture shows no border, what the network sees hangs on where the edge was found, to 0.2 mm, as much
as two bands differ; the mean of views hardly does. Sets of two, four and eight serve as well on
synthetic heels; of the sets of four this one changed least where fascia_normal was encoded again.
"""
THICKNESS_MM = 1.0, 9.6
SLOPE_PRICE = TAPER_PRICE = 1.0
"""Bounds of a band, nominal mm; price of a border's moving by a row of the answer from one column
to the next, and of the thickness changing so, against log-likelihood per column."""
FLOOR = -7.0
"""Least log-likelihood of a column that counts: the network may be wrong about it, where a caliper
is burned in, say. Chosen on the one real heel that has calipers in it, fascia_normal."""
ALONG_MM = 1.5
"""Averaging along the band, standard deviation, nominal mm."""
LAYERS: tuple[tuple[tuple[int, int, int, int], tuple[int, int], int], ...] = (
    ((7, 5, 4, 16), (STRIDE, 1), 1),
    ((3, 3, 16, 32), (2, 2), 1),
    ((3, 3, 32, 32), (1, 1), 1),
    ((3, 3, 32, 32), (2, 2), 1),
    ((3, 3, 32, 32), (1, 1), 1),
    ((3, 3, 32, 32), (1, 1), 2),
    ((3, 3, 32, 32), (1, 1), 4),
    ((3, 3, 32, 32), (1, 1), 1),
    ((1, 1, 32, 16), (1, 1), 1),
    ((3, 3, 16, 16), (1, 1), 1),
    ((1, 1, 16, 3), (1, 1), 1),
    ((3, 3, 32, 32), (1, 1), 2),
    ((3, 3, 32, 32), (1, 1), 1),
    ((3, 3, 32, 32), (1, 1), 1),
    ((3, 3, 32, 32), (1, 1), 1),
)
"""Shape of the weights (rows, columns, channels in, channels out), steps between what is answered,
and dilation, of each layer. The last four are residual, as the fifth to the eighth: three at the
coarse scale, one at the middle."""


@dataclass(frozen=True, slots=True, eq=False)
class Tissues:
    """How much speaks, in each column about the bone's edge, for a border passing at each row.

    Parameters
    ----------
    superficial, deep : ndarrays of float32, shape (ROWS // STRIDE + 1, COLUMNS)
        Log-likelihood that the tissue changes before the row, from fat to fascia and from fascia to
        muscle. The sum of both is that of the two borders being there.
    """

    superficial: Image
    deep: Image

    @classmethod
    def of(cls, strip: Strip, pixel_mm: float) -> Tissues:
        """Recognise the tissues of a straight strip: on average over ``PLACES`` of the bone's edge.

        Parameters
        ----------
        strip : Strip
            Normalised grey levels about the bone's edge, which its distances are counted from.
        pixel_mm : float
            Nominal size of a work pixel.
        """
        views = [_seen_from(place, strip, pixel_mm) for place in PLACES]
        fat, fascia, muscle = np.moveaxis(np.mean(views, axis=0), 2, 0)
        upper, lower = _summed(fat - fascia), _summed(fascia - muscle)
        every = np.logaddexp.reduce(lower + np.logaddexp.accumulate(upper, axis=0), axis=0)
        return cls(upper, lower - every)

    def likeliest(self, ahead_mm: Floats) -> Floats:
        """Find the smooth pair of borders that most speaks for.

        Parameters
        ----------
        ahead_mm : ndarray of float64, shape (k,)
            Distance from the bone's edge of columns side by side, all looked at.

        Returns
        -------
        ndarray of float64, shape (2, k)
            Where the superficial and the deep border are about the bone's edge, nominal mm,
            positive deep.
        """
        columns = _columns(ahead_mm)
        row_mm = STRIDE * ROW_MM
        thinnest, thickest = (round(thickness / row_mm) for thickness in THICKNESS_MM)
        costs = [-self.superficial[:, columns], -self.deep[:, columns]]
        prices = joint_step_prices(1, SLOPE_PRICE, TAPER_PRICE)
        found = two_surfaces(costs[0], costs[1], None, thinnest, thickest, prices)
        rows = [
            refine_rows(cost, border)
            for cost, border in zip(costs, (found.upper, found.lower), strict=True)
        ]
        smooth = ndimage.gaussian_filter1d(rows, ALONG_MM / COLUMN_MM, axis=1, mode="nearest")
        return np.asarray(FIRST_MM + row_mm * smooth)

    def worth(self, rows_mm: Floats, ahead_mm: Floats) -> float:
        """Mean log-likelihood of both borders, per column, no less than ``FLOOR``; 0 for none.

        Parameters
        ----------
        rows_mm : ndarray of float64, shape (2, k)
            Where the superficial and the deep border are about the bone's edge, positive deep.
        ahead_mm : ndarray of float64, shape (k,)
            Distance of the columns from the bone's edge.
        """
        inside = looked_at(ahead_mm)
        if not inside.any():
            return 0.0
        columns = _columns(ahead_mm[inside])
        rows = np.rint((rows_mm[:, inside] - FIRST_MM) / (STRIDE * ROW_MM)).astype(np.int64)
        nearest = np.clip(rows, 0, len(self.deep) - 1)
        both = self.superficial[nearest[0], columns] + self.deep[nearest[1], columns]
        return float(np.maximum(both, FLOOR).mean())


def looked_at(ahead_mm: Floats) -> Bools:
    """Which columns of a strip the network looks at, by their distance from the bone's edge."""
    columns = _columns(ahead_mm)
    return np.asarray((columns >= 0) & (columns < COLUMNS))


def _columns(ahead_mm: Floats) -> NDArray[np.int64]:
    return np.rint(ahead_mm / COLUMN_MM).astype(np.int64) + EDGE_COLUMN


def _seen_from(place: tuple[int, int], strip: Strip, pixel_mm: float) -> Image:
    """Tell the tissues apart as if the bone's edge lay elsewhere; the answer's margin goes on."""
    ahead, down = place
    answer = log_probabilities(_cut(strip, pixel_mm, ahead, down))
    rows = np.clip(np.arange(ROWS // STRIDE) - down // STRIDE, 0, ROWS // STRIDE - 1)
    columns = np.clip(np.arange(COLUMNS) - ahead, 0, COLUMNS - 1)
    return np.asarray(answer[rows[:, None], columns])


def _cut(strip: Strip, pixel_mm: float, ahead: int, down: int) -> Image:
    """Cut what is looked at out of a straight strip; its margin goes on where it ends.

    The bone's edge is taken to be so many columns ahead and rows down from where it is.
    """
    edge = ahead + int(np.argmin(np.abs(strip.band.distance_mm)))
    first = down + round((FIRST_MM - strip.rows_px[0] * pixel_mm) / ROW_MM)
    rows = np.clip(first + np.arange(ROWS), 0, len(strip.levels) - 1)
    columns = np.clip(edge - EDGE_COLUMN + np.arange(COLUMNS), 0, strip.levels.shape[1] - 1)
    return np.ascontiguousarray(strip.levels[rows[:, None], columns])


def log_probabilities(levels: Image) -> Image:
    """Tell the tissues apart.

    Parameters
    ----------
    levels : ndarray of float32, shape (ROWS, COLUMNS)
        Normalised grey levels about the bone's edge.

    Returns
    -------
    ndarray of float32, shape (ROWS // STRIDE, COLUMNS, 3)
        Logarithm of the probability of fat, fascia and muscle.
    """
    fine = _bent(seen(levels), 0)
    middle = _bent(fine, 1)
    middle = middle + _bent(middle, 2)
    coarse = _bent(middle, 3)
    for at in (4, 5, 6, 11, 12, 13):
        coarse = coarse + _bent(coarse, at)
    middle = middle + _wider(coarse)
    for at in (7, 14):
        middle = middle + _bent(middle, at)
    fine = fine + _wider(convolved(middle, 8))
    fine = fine + _bent(fine, 9)
    answer = convolved(fine, 10)
    answer = answer - answer.max(axis=2, keepdims=True)
    return np.asarray(answer - np.log(np.exp(answer).sum(axis=2, keepdims=True)))


def seen(levels: Image) -> Image:
    """Show the network the level round about, each pixel against it, and where it lies.

    Parameters
    ----------
    levels : ndarray of float32, shape (ROWS, COLUMNS)
        Normalised grey levels about the bone's edge.

    Returns
    -------
    ndarray of float32, shape (ROWS, COLUMNS, 4)
        Mean level and departure from it, about -1 to 1 both; depth below the bone's edge and
        distance before it, in ``PLACE_MM``.
    """
    mean = cv2.blur(levels, WINDOW_PX)
    apart = levels - mean
    spread = np.sqrt(cv2.blur(apart * apart, WINDOW_PX) + CONTRAST_FLOOR)
    down_mm = FIRST_MM + ROW_MM * np.arange(ROWS, dtype=np.float32)
    ahead_mm = COLUMN_MM * (np.arange(COLUMNS, dtype=np.float32) - EDGE_COLUMN)
    place = np.broadcast_arrays(down_mm[:, None] / PLACE_MM[0], ahead_mm / PLACE_MM[1])
    return np.stack([2.0 * mean - 1.0, apart / spread, *place], axis=2).astype(np.float32)


def convolved(values: Image, at: int) -> Image:
    """Apply a layer; nothing but zeros lies beyond the picture.

    Parameters
    ----------
    values : ndarray of float32, shape (rows, columns, channels in)
        What the layer is shown.
    at : int
        Which layer.

    Returns
    -------
    ndarray of float32, shape (rows / step, columns / step, channels out)
    """
    weights, bias = _layers()[at]
    shape, (down, right), dilation = LAYERS[at]
    beyond = [dilation * (size // 2) for size in shape[:2]]
    padded = np.pad(values, (*((each, each) for each in beyond), (0, 0)))
    rows, columns = values.shape[:2]
    taps = [
        padded[top : top + rows : down, left : left + columns : right]
        for top in range(0, dilation * shape[0], dilation)
        for left in range(0, dilation * shape[1], dilation)
    ]
    together = np.concatenate(taps, axis=2)
    return np.asarray(together @ weights.reshape(-1, shape[3]) + bias)


def _bent(values: Image, at: int) -> Image:
    return np.maximum(convolved(values, at), 0.0)


def _wider(values: Image) -> Image:
    return np.repeat(np.repeat(values, 2, axis=0), 2, axis=1)


def _summed(ratio: Image) -> Image:
    return np.concatenate([np.zeros((1, ratio.shape[1]), np.float32), np.cumsum(ratio, axis=0)])


@cache
def _layers() -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Weights and biases, first to last layer."""
    with (
        resources.as_file(resources.files("usguide.fascia") / "tissues.npz") as path,
        np.load(path) as stored,
    ):
        return [
            (stored[f"weights_{at}"].astype(np.float32), stored[f"bias_{at}"].astype(np.float32))
            for at in range(len(LAYERS))
        ]
