"""Bright, long, near-horizontal bands of one frame, on a coarse grid: aponeurosis candidates.

Every length here is a fraction of the picture's height or width, so that nothing depends on the
scanner, its zoom or its calibration. Constants were tuned on two public sets (20 images of leg
muscles from several scanners, 33 frames of one calf): chosen by the even-numbered images, with an
eye on the failures of all; what is no muscle was judged on needle phantoms and heels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.kernels.surfaces import minimal_path, step_prices
from usguide.model import Bools, Floats

Grid = NDArray[np.float32]

ROWS, COLUMNS = 256, 128
"""Working grid: an aponeurosis is 3-10 grid rows thick, and averaging a few columns suppresses
speckle without blurring a line that is nearly horizontal."""

_CONTRAST_WINDOW = (0.10, 0.15)
"""Standard deviation of the local-contrast window, as a part of height and width."""

_NOISE_FLOOR = 0.65
"""Part of the whole picture's contrast added to the local one, so that bands of noise in a dark
bottom do not rank with bright ones."""

_SCALES = (1.5, 3.0, 5.0)
"""Standard deviations of the ridge filter in grid rows (0.6-2 % of the height)."""

_ALONG = 3.0
"""Standard deviation of the smoothing along the rows, in grid columns."""

_CLIP = (-0.5, 3.0)
"""Response kept for the path: one glaring spot must not pay for a missing stretch."""

_RIM = 0.012
"""Part of the height next to the tissue's rim in which no band is sought: the probe's own line."""

_SLOPE_PRICE = 0.7
_TUBE = 10
_STRAIGHT_PRICE = 2.0
"""Grid rows on either side of a band's parabola in which it is traced again, and the price of
leaving the parabola's direction: a fascicle that leaves an aponeurosis must not lead it away, and
a slanting band must not pay for its slant."""

_EXCLUSION = 5
"""Grid rows on either side of a band in which the next one is not sought."""

_CANDIDATES = 7
_SEGMENTS = 8
_LEAST_SEEN = 0.7
"""Part of a band that must lie in the picture. A fan may show less of a superficial one, but what
bounds its narrow top above in two of six water tanks is the echo of the probe's own face."""

_ROUGH_FREE, _ROUGH_PRICE = 1.5, 0.25
"""Waviness in grid rows that costs nothing, and what each row beyond costs in response."""

_MID_RESPONSE, _RESPONSE_WIDTH = 1.55, 0.16
"""Response of the weakest quarter of a band at which it is as likely an aponeurosis as not."""


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """A bright line across the picture.

    Parameters
    ----------
    rows : ndarray of int64, shape (COLUMNS,)
        Its crest, in grid rows.
    probability : float
        0 to 1, how much it looks like an aponeurosis: bright over its whole length, and smooth.
    response : ndarray of float32, shape (ROWS, COLUMNS)
        The picture's response it was found in.
    """

    rows: NDArray[np.int64]
    probability: float
    response: Grid

    @property
    def height(self) -> float:
        """Mean position from the top of the picture, 0 to 1."""
        return float(self.rows.mean()) / ROWS

    def crest(self) -> Floats:
        """Trace the band again along the parabola that most of it follows.

        The parabola is fitted by weight: where the band is bright and where it agrees with the
        rest. Returns grid rows, float64 of shape (COLUMNS,).
        """
        bright = np.maximum(self.response[self.rows, np.arange(COLUMNS)], 0.05).astype(np.float64)
        weight = bright
        for _ in range(4):
            weighted = _PARABOLA.T * weight
            fit = _PARABOLA @ np.linalg.solve(weighted @ _PARABOLA, weighted @ self.rows)
            rest = np.abs(self.rows - fit)
            reach = max(4.685 * 1.4826 * float(np.median(rest)), 4.0)
            weight = bright * np.maximum(1 - (rest / reach) ** 2, 0) ** 2 + 1e-6  # Tukey's biweight
        y = fit + np.arange(-_TUBE, _TUBE + 1)[:, None]
        x = np.broadcast_to(np.arange(COLUMNS), y.shape)
        tube = cv2.remap(
            self.response,
            x.astype(np.float32),
            y.astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=0,
        )
        path = minimal_path(-np.clip(tube, *_CLIP).astype(np.float32), _STRAIGHT_PRICES)
        return np.asarray(fit + path.rows - _TUBE, dtype=np.float64)


def to_grid(picture: NDArray[np.generic]) -> Grid:
    """Average a picture of any size onto the working grid, float32 of shape (ROWS, COLUMNS)."""
    resized = cv2.resize(
        np.asarray(picture, dtype=np.float32), (COLUMNS, ROWS), interpolation=cv2.INTER_AREA
    )
    return np.asarray(resized, dtype=np.float32)


class BandFinder:
    """Finds bands in the frames of one clip; holds what depends only on where there is tissue.

    Parameters
    ----------
    tissue : ndarray of bool, shape (height, width)
        Where the region shows echoes.
    """

    def __init__(self, tissue: Bools) -> None:
        self._tissue = (to_grid(tissue) > 0.99).astype(np.float32)
        self._weight = np.maximum(self._local_mean(self._tissue), 1e-3)
        rim = 2 * round(_RIM * ROWS) + 1
        inside = cv2.erode(
            self._tissue,
            np.ones((rim, 1), dtype=np.uint8),
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

    def response(self, grid: Grid) -> Grid:
        """Ridge strength of bright horizontal lines in units of the local contrast; 0 outside."""
        mean = self._local_mean(grid * self._tissue) / self._weight
        centred = np.asarray((grid - mean) * self._tissue, dtype=np.float32)
        power = centred * centred
        variance = self._local_mean(power) / self._weight
        floor = _NOISE_FLOOR**2 * float(power.sum()) / max(float(self._tissue.sum()), 1.0)
        # Half a grey level: a constant picture has no contrast at all.
        flat = centred / np.sqrt(variance + floor + 0.25)
        strongest: Grid = np.full((ROWS, COLUMNS), -np.inf, dtype=np.float32)
        for scale in _SCALES:
            smooth = cv2.GaussianBlur(flat, (0, 0), sigmaX=_ALONG, sigmaY=scale)
            bent = cv2.Sobel(smooth, cv2.CV_32F, 0, 2, ksize=3)
            np.maximum(strongest, -(scale**2) * bent, out=strongest)
        strongest[~self._inside] = 0
        return strongest

    def find(self, picture: NDArray[np.generic]) -> tuple[Grid, list[Band]]:
        """Find the bands of a picture of the region, whatever its size, from the top down.

        Returns
        -------
        grid : ndarray of float32, shape (ROWS, COLUMNS)
            The picture on the working grid.
        bands : list of Band
            At most seven.
        """
        grid = to_grid(picture)
        response = self.response(grid)
        cost = -np.clip(response, *_CLIP).astype(np.float32)
        prices = step_prices(1, _SLOPE_PRICE)
        columns = np.arange(COLUMNS)
        every_row = np.arange(ROWS)[:, None]
        bands = []
        for _ in range(_CANDIDATES):
            path = minimal_path(cost, prices)
            along = np.clip(response[path.rows, columns], *_CLIP)
            seen = self._inside[path.rows, columns]
            bands.append(Band(path.rows, _probability(along, seen, path.rows), response))
            cost[np.abs(every_row - path.rows) < _EXCLUSION] = -_CLIP[0]
        return grid, sorted(bands, key=lambda band: band.height)


def _probability(response: Grid, inside: Bools, rows: NDArray[np.int64]) -> float:
    """How much a path looks like an aponeurosis.

    The response of its two weakest eighths counts, for an aponeurosis is bright from one side to
    the other where a fascicle, a vessel or a needle ends; and the rest of a cubic fit counts
    against it. Where the path leaves the fan it is not judged.
    """
    seen = inside.reshape(_SEGMENTS, -1).mean(axis=1) > 0.5
    if seen.mean() < _LEAST_SEEN:
        return 0.0
    along = np.sort(response.reshape(_SEGMENTS, -1).mean(axis=1)[seen])
    basis, shown = _CUBIC[inside], rows[inside].astype(np.float64)
    rest = shown - basis @ np.linalg.solve(basis.T @ basis, basis.T @ shown)
    quality = along[:2].mean() - _ROUGH_PRICE * max(float(np.std(rest)) - _ROUGH_FREE, 0.0)
    return float(1 / (1 + np.exp(-(quality - _MID_RESPONSE) / _RESPONSE_WIDTH)))


_CUBIC = np.linalg.qr(np.vander(np.linspace(-1, 1, COLUMNS), 4))[0]
_PARABOLA = np.vander(np.linspace(-1, 1, COLUMNS), 3)
_STRAIGHT_PRICES = step_prices(1, _STRAIGHT_PRICE)
