"""Bright, long, near-horizontal bands of one frame, on a coarse grid: aponeurosis candidates.

Every length here is a fraction of the picture's height or width, so that nothing depends on the
scanner, its zoom or its calibration. Constants were chosen on ten images of leg muscles from
several scanners (the even-numbered of a public set of twenty) and on 30 synthetic muscles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
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

_STEP_REACH = 14
"""Grid rows on either side of a step whose brightness is compared, 5 % of the height: more than the
fascicles of a muscle and the septa of fat are thick, less than the layers are. From 10 to 18 the
same muscles are found."""

_STEP_WEIGHT, _STEP_FLOOR = 1.4, 0.3
"""Response to a step of one standard deviation of the brightness on its two sides, and the part of
the whole picture's contrast added to that deviation. From 1.2 to 1.5 the same muscles are found."""

_STEP_INSIDE, _STEP_APART = 3, 4
"""Grid rows by which the crest of a bright layer lies inside its edge (half a band), and least
distance of two edges."""

STEP_SHARES = (1.0, 0.6)
"""How likely a step without a line bounds a muscle above and beneath, at best. A bright layer above
a muscle is as good as a line; of two images of a muscle over a brighter one, or with a brighter
part, the step is the aponeurosis in one (0.5 to 0.75 give the same results)."""

_SKIN_EDGE = 0.06
"""Part of the height under the tissue's upper rim in which the lower edge of a bright layer is that
of the skin."""

_STEPS, _PLAIN = 2, 0.5
"""Borders sought that are steps, and how likely a line must be for none to be sought beside it."""

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
    line : float
        The same of its line alone, 0 to 1: without the step from one layer to the next.

    Attributes
    ----------
    height : float
        Mean position from the top of the picture, 0 to 1.
    """

    rows: Floats
    probability: float
    line: float
    height: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "height", float(self.rows.mean()) / ROWS)


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
        self._row_weight = np.maximum(_along_rows(self._tissue), 1e-3)
        self._rows_above, self._rows_below = (np.maximum(n, 1) for n in _beside(self._tissue))
        skin, rim = round(_SKIN * ROWS), round(_RIM * ROWS)
        inside = cv2.erode(
            self._tissue,
            np.ones((skin + rim + 1, 1), dtype=np.uint8),
            anchor=(0, skin),
            borderType=cv2.BORDER_CONSTANT,
            borderValue=0,
        )
        self._inside: Bools = np.asarray(inside > 0, dtype=np.bool_)
        rim_row = np.argmax(self._tissue > 0, axis=0)
        self._under_skin = self._inside & (np.arange(ROWS)[:, None] >= rim_row + _SKIN_EDGE * ROWS)

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
        along = _along_rows(flat)
        for scale in _SCALES:
            smooth = cv2.GaussianBlur(along, (1, 0), sigmaX=0, sigmaY=scale)
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

    def steps(self, grid: Grid) -> tuple[Grid, Grid]:
        """Strength of edges of bright layers, as borders above a muscle and beneath one.

        The difference of the mean grey levels *a* above and *b* below an edge, in units of their
        scatter (Welch's, without the counts),

            (a - b) / sqrt(var a + var b + floor)

        at its largest places, a little inside the brighter side. A white sheet has more contrast
        than all that is beside it, so that in units of the local contrast its edge is faint.
        """
        mean = float(grid[self._tissue > 0].mean()) if self._tissue.any() else 0.0
        # Means along the rows first: the scatter is that of layers and fibres, not of speckle.
        level = _along_rows((grid - mean) * self._tissue) / self._row_weight * self._tissue
        power = level * level
        floor = _STEP_FLOOR**2 * float(power.sum()) / max(float(self._tissue.sum()), 1.0)
        sums, powers = _beside(level), _beside(power)
        above, below = sums[0] / self._rows_above, sums[1] / self._rows_below
        scatter = powers[0] / self._rows_above - above * above
        scatter += powers[1] / self._rows_below - below * below
        step = (above - below) / np.sqrt(np.maximum(scatter, 0) + floor + 0.25)
        under: Grid = np.zeros((ROWS, COLUMNS), dtype=np.float32)
        over = under.copy()
        under[: -1 - _STEP_INSIDE] = _STEP_WEIGHT * _crests(step)[_STEP_INSIDE:]
        over[1 + _STEP_INSIDE :] = _STEP_WEIGHT * _crests(-step)[:-_STEP_INSIDE]
        under[~self._under_skin] = 0
        over[~self._inside] = 0
        return under, over

    def lines(self, response: Grid) -> list[Band]:
        """Find the bands that are lines.

        Parameters
        ----------
        response : ndarray of float32, shape (ROWS, COLUMNS)
            Strength of lines.

        Returns
        -------
        list of Band
            At most five, from the top down.
        """
        clipped: Grid = np.clip(response, *_CLIP)
        rows = _traced(clipped, _CANDIDATES)
        # The first, which is the brightest, stands for all that follow the same line.
        rows = rows[~np.tril(_apart(rows, rows) < _EXCLUSION, -1).any(axis=1)]
        likely = self._probability(clipped, rows)
        return _from_top([Band(r, float(p), float(p)) for r, p in zip(rows, likely, strict=True)])

    def edges(self, bands: list[Band], response: Grid, step: Grid, share: float) -> list[Band]:
        """Add the bands that are the edges of bright layers to those that are lines.

        Parameters
        ----------
        bands : list of Band
            The lines.
        response, step : ndarray of float32, shape (ROWS, COLUMNS)
            Strength of lines, and of steps.
        share : float
            How likely a step is a border, at best.

        Returns
        -------
        list of Band
            At most two more, from the top down; of a line and an edge in one place, the likelier.
        """
        clipped: Grid = np.clip(response, *_CLIP)
        either: Grid = np.clip(np.maximum(response, step), *_CLIP)
        rows = _traced(either, _STEPS, [band.rows for band in bands if band.probability > _PLAIN])
        as_line = self._probability(clipped, rows)
        likely = np.maximum(as_line, share * self._probability(either, rows))
        for edge, p, line in zip(rows, likely, as_line, strict=True):
            same = [np.median(np.abs(band.rows - edge)) < _EXCLUSION for band in bands]
            if all(p > band.probability for band, near in zip(bands, same, strict=True) if near):
                bands = [band for band, near in zip(bands, same, strict=True) if not near]
                bands.append(Band(edge, float(p), float(line)))
        return _from_top(bands)

    def _probability(self, response: Grid, rows: Floats) -> Floats:
        """How much each of n bands, of shape (n, COLUMNS), looks like an aponeurosis."""
        columns = np.arange(COLUMNS)
        nearest = np.clip(np.rint(rows), 0, ROWS - 1).astype(np.int64)
        return _probability(response[nearest, columns], self._inside[nearest, columns], rows)


def _from_top(bands: list[Band]) -> list[Band]:
    return sorted(bands, key=lambda band: band.height)


def _apart(some: Floats, others: Floats) -> Floats:
    """Distance of every band from every other in grid rows, shape (len(some), len(others))."""
    return np.asarray(np.median(np.abs(some[:, None] - others[None]), axis=2), dtype=np.float64)


def _traced(response: Grid, count: int, taken: Sequence[Floats] = ()) -> Floats:
    """Trace the strongest bands one after the other, none beside those that are taken.

    Shape (count, COLUMNS), grid rows, the strongest first.
    """
    # Column by column in memory, as the search wants it.
    cost = np.asfortranarray(-response)
    columns = np.arange(COLUMNS)
    beside = np.arange(1 - _EXCLUSION, _EXCLUSION)[:, None]

    def close(band: NDArray[np.int64]) -> None:
        cost[np.clip(band + beside, 0, ROWS - 1), columns] = -_CLIP[0]

    for other in taken:
        close(np.rint(other).astype(np.int64))
    found = np.empty((count, COLUMNS), dtype=np.int64)
    for band in found:
        band[:] = minimal_path(cost, _PRICES).rows
        close(band)
    return straightened(response, found)


def _along_rows(values: NDArray[np.floating[Any]]) -> Grid:
    """Smooth along the rows only."""
    return np.asarray(cv2.GaussianBlur(values, (0, 1), sigmaX=_ALONG, sigmaY=0), dtype=np.float32)


def _beside(values: NDArray[np.floating[Any]]) -> tuple[Grid, Grid]:
    """Sum the rows above and below every boundary of two rows, shape (ROWS - 1, COLUMNS) each."""
    window = (1, _STEP_REACH)
    above, below = (
        cv2.boxFilter(
            values, -1, window, anchor=(0, end), normalize=False, borderType=cv2.BORDER_CONSTANT
        )
        for end in (_STEP_REACH - 1, 0)
    )
    return np.asarray(above[:-1], dtype=np.float32), np.asarray(below[1:], dtype=np.float32)


def _crests(step: NDArray[np.floating[Any]]) -> Grid:
    """Keep a response where it is the largest of its surroundings, and a row on either side."""
    largest = cv2.dilate(step, np.ones((2 * _STEP_APART + 1, 1), dtype=np.uint8))
    kept = np.where(step >= largest, step, 0)
    return np.asarray(cv2.dilate(kept, np.ones((3, 1), dtype=np.uint8)), dtype=np.float32)


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
    for _ in range(3):
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
