"""Bright, long, near-horizontal bands of one frame, on a coarse grid: aponeurosis candidates.

Every length here is a fraction of the picture's height or width, so that nothing depends on the
scanner, its zoom or its calibration. Constants were chosen on ten images of leg muscles from
several scanners (the even-numbered of a public set of twenty) and on 30 synthetic muscles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.kernels.surfaces import minimal_path, step_prices
from usguide.model import Bools, Floats
from usguide.muscle.picture import COLUMNS, ROWS, Grid, to_grid

_CONTRAST_WINDOW = (0.10, 0.07)
"""Standard deviation of the local-contrast window, as a part of height and width: narrower than the
shadow of poor contact, so that a band is judged against what lies in the same shadow."""

_NOISE_FLOOR = 0.65
"""Part of the whole picture's contrast added to the local one, so that bands of noise in a dark
bottom do not rank with bright ones."""

_SCALES = (1.5, 3.0, 5.0)
"""Standard deviations of the line filter in grid rows (0.6-2 % of the height)."""

_ALONG = 3.0
"""Standard deviation of the smoothing along the rows, in grid columns."""

_ONE_SIDED = 2.4
"""Weight of the fall of brightness on the muscle's side alone, against the curvature that falls on
both sides give: an aponeurosis under bright fat, or over a brighter muscle, is the edge of a bright
layer. At this weight speckle responds about as much to the one as to the other."""

_CLIP = (-0.5, 3.0)
"""Response kept for the path: one glaring spot must not pay for a missing stretch."""

_SKIN, _RIM = 0.02, 0.012
"""Parts of the height under the tissue's upper rim and over its lower one in which no band is
sought: skin is 1-2 mm thick in pictures 30-60 mm deep, and its first line, or the probe's own, is
no aponeurosis; nor is the picture's last line."""

_SLOPE_PRICE = 0.7
_TUBE = 10
_STRAIGHT_PRICE = 2.0
"""Grid rows on either side of a band's parabola in which it is traced again, and the price of
leaving the parabola's direction: a fascicle that leaves an aponeurosis must not lead it away, and
a slanting band must not pay for its slant."""

_EXCLUSION = 5
"""Grid rows on either side of a band in which the next one is not sought; two bands whose distance
is less over half of their length are one."""

_CANDIDATES = 5
_SEGMENTS = 8
_LEAST_SEEN = 0.7
"""Part of a band that must lie in the picture. A fan may show less of a superficial one, but what
bounds its narrow top above in two of six water tanks is the echo of the probe's own face."""

_ROUGH_PRICE = 0.29
"""What each grid row of waviness costs in response."""

_MID_RESPONSE, _RESPONSE_WIDTH = 1.60, 0.12
"""Response of the weaker half of a band at which it is as likely an aponeurosis as not."""

CUBIC: Floats = np.linalg.qr(np.vander(np.linspace(-1, 1, COLUMNS), 4))[0]
"""Orthonormal cubic polynomials over the grid's columns, shape (COLUMNS, 4)."""


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """A bright line across the picture.

    Parameters
    ----------
    rows : ndarray of float64, shape (COLUMNS,)
        Its crest, in grid rows.
    probability : float
        0 to 1, how much it looks like an aponeurosis: bright over its whole length, and smooth.
    height : float
        Mean position from the top of the picture, 0 to 1.
    """

    rows: Floats
    probability: float
    height: float


class BandFinder:
    """Finds bands in the frames of one clip; holds what depends only on where there is tissue.

    Parameters
    ----------
    tissue : ndarray of bool, any shape
        Where the region shows echoes.
    """

    def __init__(self, tissue: Bools) -> None:
        self._tissue = (to_grid(tissue) > 0.99).astype(np.float32)
        self._weight = np.maximum(self._local_mean(self._tissue), 1e-3)
        skin, rim = round(_SKIN * ROWS), round(_RIM * ROWS)
        inside = cv2.erode(
            self._tissue,
            np.ones((skin + rim + 1, 1), dtype=np.uint8),
            anchor=(0, skin),
            borderType=cv2.BORDER_CONSTANT,
            borderValue=0,
        )
        self._inside: Bools = np.asarray(inside > 0, dtype=np.bool_)

    @property
    def has_tissue(self) -> Bools:
        """Where the working grid shows echoes, shape (ROWS, COLUMNS)."""
        return np.asarray(self._tissue > 0, dtype=np.bool_)

    @staticmethod
    def _local_mean(values: NDArray[np.floating[Any]]) -> Grid:
        tall, wide = _CONTRAST_WINDOW
        grid = np.asarray(values, dtype=np.float32)
        # Halving first: the window is far wider than a pixel, and the filter is the slow part.
        small = cv2.resize(grid, (COLUMNS // 4, ROWS // 4), interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), sigmaX=wide * COLUMNS / 4, sigmaY=tall * ROWS / 4)
        return np.asarray(
            cv2.resize(small, (COLUMNS, ROWS), interpolation=cv2.INTER_LINEAR), dtype=np.float32
        )

    def responses(self, grid: Grid) -> tuple[Grid, Grid]:
        """Strength of bright horizontal lines, as borders above a muscle and beneath one.

        In units of the local contrast; 0 outside. The one is the larger of the line's curvature and
        of the fall of brightness below it, the other of the curvature and the fall above it.
        """
        mean = self._local_mean(grid * self._tissue) / self._weight
        centred = np.asarray((grid - mean) * self._tissue, dtype=np.float32)
        power = centred * centred
        variance = self._local_mean(power) / self._weight
        floor = _NOISE_FLOOR**2 * float(power.sum()) / max(float(self._tissue.sum()), 1.0)
        # Half a grey level: a constant picture has no contrast at all.
        flat = centred / np.sqrt(variance + floor + 0.25)
        above: Grid = np.full((ROWS, COLUMNS), -np.inf, dtype=np.float32)
        beneath = above.copy()
        for scale in _SCALES:
            smooth = cv2.GaussianBlur(flat, (0, 0), sigmaX=_ALONG, sigmaY=scale)
            ridge = -(scale**2) * cv2.Sobel(smooth, cv2.CV_32F, 0, 2, ksize=3)
            np.maximum(above, ridge, out=above)
            np.maximum(beneath, ridge, out=beneath)
            reach = round(scale)
            fall = _ONE_SIDED * (smooth[:-reach] - smooth[reach:])
            np.maximum(above[:-reach], fall, out=above[:-reach])
            np.maximum(beneath[reach:], -fall, out=beneath[reach:])
        above[~self._inside] = 0
        beneath[~self._inside] = 0
        return above, beneath

    def find(self, grid: Grid) -> tuple[list[Band], list[Band]]:
        """Find the bands that may bound a muscle above, and those that may bound it beneath.

        Parameters
        ----------
        grid : ndarray of float32, shape (ROWS, COLUMNS)
            The picture on the working grid.

        Returns
        -------
        above, beneath : list of Band
            At most five each, from the top down; a band that is dark on both sides is in both.
        """
        above, beneath = self.responses(grid)
        return self._bands(above), self._bands(beneath)

    def _bands(self, response: Grid) -> list[Band]:
        clipped: Grid = np.clip(response, *_CLIP)
        # Column by column in memory, as the search wants it.
        cost = np.asfortranarray(-clipped)
        columns = np.arange(COLUMNS)
        beside = np.arange(1 - _EXCLUSION, _EXCLUSION)[:, None]
        found = np.empty((_CANDIDATES, COLUMNS), dtype=np.int64)
        for band in found:
            band[:] = minimal_path(cost, _PRICES).rows
            cost[np.clip(band + beside, 0, ROWS - 1), columns] = -_CLIP[0]
        rows = straightened(clipped, found)
        apart = np.median(np.abs(rows[:, None] - rows[None]), axis=2)
        # The first, which is the brightest, stands for all that follow the same line.
        first = ~np.tril(apart < _EXCLUSION, -1).any(axis=1)
        rows = rows[first]
        nearest = np.clip(np.rint(rows), 0, ROWS - 1).astype(np.int64)
        likely = _probability(clipped[nearest, columns], self._inside[nearest, columns], rows)
        order = np.argsort(rows.mean(axis=1))
        return [Band(rows[k], float(likely[k]), float(rows[k].mean()) / ROWS) for k in order]


def straightened(response: Grid, rows: NDArray[np.int64]) -> Floats:
    """Trace bands again, each along the parabola that most of it follows.

    The parabola is fitted by weight: where the band is bright and where it agrees with the rest.

    Parameters
    ----------
    response : ndarray of float32, shape (ROWS, COLUMNS)
        What the bands were found in.
    rows : ndarray of int64, shape (n, COLUMNS)
        The bands as found.

    Returns
    -------
    ndarray of float64, shape (n, COLUMNS)
        Grid rows.
    """
    columns = np.arange(COLUMNS)
    bright = np.maximum(response[rows, columns], 0.05).astype(np.float64)
    weight = bright
    for _ in range(4):
        fit = _fitted(_PARABOLA, rows, weight)
        rest = np.abs(rows - fit)
        reach = np.maximum(4.685 * 1.4826 * np.median(rest, axis=1, keepdims=True), 4.0)
        weight = bright * np.maximum(1 - (rest / reach) ** 2, 0) ** 2 + 1e-6  # Tukey's biweight
    y = fit[:, None] + np.arange(-_TUBE, _TUBE + 1)[:, None]
    x = np.broadcast_to(columns, y.shape)
    tubes = cv2.remap(
        response,
        x.reshape(-1, COLUMNS).astype(np.float32),
        y.reshape(-1, COLUMNS).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    ).reshape(y.shape)
    within = [minimal_path(-tube, _STRAIGHT_PRICES).rows for tube in tubes]
    return np.asarray(fit + np.stack(within) - _TUBE, dtype=np.float64)


def _fitted(basis: Floats, rows: NDArray[Any], weight: Floats) -> Floats:
    """Fit each of the rows by weighted least squares, shape (n, COLUMNS)."""
    weighted = weight[:, None] * basis.T
    part = np.linalg.solve(weighted @ basis, weighted @ rows[:, :, None])
    return np.asarray((basis @ part)[:, :, 0], dtype=np.float64)


def _probability(response: Grid, inside: Bools, rows: Floats) -> Floats:
    """How much each of n lines looks like an aponeurosis; everything is of shape (n, COLUMNS).

    The response of its weaker half counts, for an aponeurosis is bright from one side to the other
    where a fascicle, a vessel or a needle ends; and the rest of a cubic fit counts against it.
    Where the line leaves the fan it is not judged.
    """
    seen = inside.reshape(-1, _SEGMENTS, COLUMNS // _SEGMENTS).mean(axis=2) > 0.5
    count = np.count_nonzero(seen, axis=1)
    along = response.reshape(-1, _SEGMENTS, COLUMNS // _SEGMENTS).mean(axis=2)
    along = np.sort(np.where(seen, along, np.inf), axis=1)
    weaker = np.arange(_SEGMENTS) < np.maximum(count // 2, 1)[:, None]
    weak = np.where(weaker & np.isfinite(along), along, 0).sum(axis=1) / weaker.sum(axis=1)
    # Ever so little weight outside keeps the fit of a line that is never inside solvable.
    rest = rows - _fitted(CUBIC, rows, np.where(inside, 1.0, 1e-6))
    rough = np.sqrt((rest**2 * inside).sum(axis=1) / np.maximum(inside.sum(axis=1), 1))
    quality = weak - _ROUGH_PRICE * rough
    likely = 1 / (1 + np.exp(-(quality - _MID_RESPONSE) / _RESPONSE_WIDTH))
    return np.where(count >= _LEAST_SEEN * _SEGMENTS, likely, 0.0)


_PARABOLA = np.vander(np.linspace(-1, 1, COLUMNS), 3)
_PRICES = step_prices(1, _SLOPE_PRICE)
_STRAIGHT_PRICES = step_prices(1, _STRAIGHT_PRICE)
