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
from usguide.muscle.picture import COLUMNS, ROWS, Grid

STEP_SHARES = (1.0, 0.6)
"""How likely a step without a line bounds a muscle above and beneath, at best. A bright layer above
a muscle is as good as a line; of two images of a muscle over a brighter one, or with a brighter
part, the step is the aponeurosis in one (0.5 to 0.75 give the same results)."""

_STEPS, _PLAIN = 2, 0.5
"""Borders sought that are steps, and how likely a line must be for none to be sought beside it."""

_CLIP = (-0.5, 3.0)
"""Response kept for the path: one glaring spot must not pay for a missing stretch."""

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
_LEAST_SEEN = 0.45
"""Part of a band that must lie in the picture: a convex probe's fan shows little more than half of
a superficial one. No muscle is found in six water tanks even so, in two of which the echo of the
probe's own face bounds the fan's narrow top."""

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


def find_lines(response: Grid, inside: Bools) -> list[Band]:
    """Find the bands that are lines.

    Parameters
    ----------
    response : ndarray of float32, shape (ROWS, COLUMNS)
        Strength of lines.
    inside : ndarray of bool, shape (ROWS, COLUMNS)
        Where a band may lie.

    Returns
    -------
    list of Band
        At most five, from the top down.
    """
    clipped: Grid = np.clip(response, *_CLIP)
    rows = _traced(clipped, _CANDIDATES)
    # The first, which is the brightest, stands for all that follow the same line.
    rows = rows[~np.tril(_apart(rows, rows) < _EXCLUSION, -1).any(axis=1)]
    likely = _probability(clipped, inside, rows)
    return _from_top([Band(r, float(p), float(p)) for r, p in zip(rows, likely, strict=True)])


def add_edges(
    bands: list[Band], response: Grid, step: Grid, inside: Bools, share: float
) -> list[Band]:
    """Add the bands that are the edges of bright layers to those that are lines.

    Parameters
    ----------
    bands : list of Band
        The lines.
    response, step : ndarray of float32, shape (ROWS, COLUMNS)
        Strength of lines, and of steps.
    inside : ndarray of bool, shape (ROWS, COLUMNS)
        Where a band may lie.
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
    as_line = _probability(clipped, inside, rows)
    likely = np.maximum(as_line, share * _probability(either, inside, rows))
    for edge, p, line in zip(rows, likely, as_line, strict=True):
        same = [np.median(np.abs(band.rows - edge)) < _EXCLUSION for band in bands]
        if all(p > band.probability for band, near in zip(bands, same, strict=True) if near):
            bands = [band for band, near in zip(bands, same, strict=True) if not near]
            bands.append(Band(edge, float(p), float(line)))
    return _from_top(bands)


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
    """How much each of n bands, of shape (n, COLUMNS), looks like an aponeurosis.

    The response of its weaker half counts, for an aponeurosis is bright from one side to the other
    where a fascicle, a vessel or a needle ends; and the rest of a cubic fit counts against it.
    Where the line leaves the fan it is not judged.
    """
    nearest = np.clip(np.rint(rows), 0, ROWS - 1).astype(np.int64), np.arange(COLUMNS)
    response, inside = response[nearest], inside[nearest]
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
