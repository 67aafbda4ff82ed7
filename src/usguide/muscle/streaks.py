"""Whether there are fibres between two bands, or only speckle."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.model import Bools, Floats
from usguide.muscle.picture import COLUMNS

_SIDE = COLUMNS
"""The picture is judged on a square, in which a grain of speckle is a few pixels at most."""

_LENGTH = 15
"""Length of a line in pixels of the square, 12 % of the width: 4 to 6 mm in the picture of a linear
probe. Fascicles are seen over more; a grain of speckle is about 1 mm wide at most."""

_ANGLES_DEG = (-58, -40, -24, -12, 0, 12, 24, 40, 58)
"""As many to one side as to the other: the last is the first one's mirror image."""

_WINDOW = 6.0
"""Standard deviation of the window of local mean and contrast, in pixels of the square."""

_MARGIN = 4
"""Pixels of the square next to the bands that are left out: their own skirts."""

_PARTS = 4
"""Parts of the width that are judged each for itself."""

_LEAST_PX = 25
"""Lines in a part on which the share is a figure at all."""


def _line(angle_deg: int) -> NDArray[np.float32]:
    """Draw a line of unit sum through the middle of a small square."""
    kernel = np.zeros((_LENGTH, _LENGTH), dtype=np.float32)
    along = np.linspace(-1, 1, 8 * _LENGTH) * (_LENGTH // 2)
    angle = np.radians(angle_deg)
    x = np.rint(_LENGTH // 2 + along * np.cos(angle)).astype(np.intp)
    y = np.rint(_LENGTH // 2 + along * np.sin(angle)).astype(np.intp)
    np.add.at(kernel, (y, x), 1 / len(along))
    return kernel


_LINES = tuple(_line(angle) for angle in _ANGLES_DEG)


class Streaks(NamedTuple):
    """What speaks for fibres between two lines; NaN where there is too little between them.

    Parameters
    ----------
    share : float
        Share of the contrast that streaks of one direction make up, 0 to 1.
    lean : float
        By how much it is larger than that of the mirrored direction.
    """

    share: float
    lean: float


def find_streaks(
    picture: NDArray[np.float32], tissue: Bools, top: Floats, bottom: Floats
) -> Streaks:
    """Judge the texture between two lines.

    The mean of n independent values has 1/n of their variance: speckle all but disappears in the
    mean along a line of any direction, and fibres do not where the line is theirs. The share is
    the variance of such means over the variance of the pixels, for the direction in which it is
    largest, after local mean and contrast have been taken out. How much is left of speckle goes
    with the size of its grain, but not with the side to which a line leans: what the share of a
    direction has over that of its mirror image is none of it.

    Fibres are all over a muscle, and a needle or a septum is in one place: both are what more than
    half of the parts of the picture, side by side, reach.

    Parameters
    ----------
    picture : ndarray of float32, shape (height, COLUMNS)
        See :class:`usguide.muscle.picture.Narrower`.
    tissue : ndarray of bool, shape (height, COLUMNS)
        Where it shows echoes.
    top, bottom : ndarray of float64, shape (COLUMNS,)
        The lines, in rows of the picture.
    """
    rows = len(picture)
    scale = _SIDE / rows
    square = cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    y = np.arange(_SIDE)[:, None]
    inside = (y > (top + 0.5) * scale - 0.5 + _MARGIN) & (
        y < (bottom + 0.5) * scale - 0.5 - _MARGIN
    )
    inside &= (
        cv2.resize(tissue.astype(np.uint8), (_SIDE, _SIDE), interpolation=cv2.INTER_NEAREST) > 0
    )
    mask: NDArray[np.float32] = inside.astype(np.float32)
    weight = np.maximum(cv2.GaussianBlur(mask, (0, 0), _WINDOW), 1e-3)
    centred = (square - cv2.GaussianBlur(square * mask, (0, 0), _WINDOW) / weight) * mask
    variance = cv2.GaussianBlur(centred * centred, (0, 0), _WINDOW) / weight
    # Half a grey level: a constant picture has no contrast at all.
    flat = np.asarray(centred / np.sqrt(variance + 0.25), dtype=np.float32)
    whole = float((flat * flat).sum()) / max(float(mask.sum()), 1.0)
    shares = np.array([_along(flat, mask, line) for line in _LINES]) / max(whole, 1e-6)
    leans = shares - shares[::-1]
    return Streaks(*(float(max(_typical(parts), default=np.nan)) for parts in (shares, leans)))


def _along(
    flat: NDArray[np.float32], mask: NDArray[np.float32], line: NDArray[np.float32]
) -> Floats:
    """Mean square of the means along a line in every part of the picture, shape (_PARTS,).

    NaN in parts that hold too few such lines.
    """
    within = cv2.filter2D(mask, -1, line, borderType=cv2.BORDER_CONSTANT) > 0.99
    means = cv2.filter2D(flat, -1, line, borderType=cv2.BORDER_CONSTANT)
    count = np.count_nonzero(within, axis=0).reshape(_PARTS, -1).sum(axis=1)
    power = np.where(within, means * means, 0).sum(axis=0, dtype=np.float64)
    total = power.reshape(_PARTS, -1).sum(axis=1)
    return np.where(count >= _LEAST_PX, total / np.maximum(count, 1), np.nan)


def _typical(directions: Floats) -> list[float]:
    """Return what more than half of the parts reach, for directions that half of them show."""
    known = np.isfinite(directions)
    return [
        float(np.percentile(parts[seen], 50, method="lower"))
        for parts, seen in zip(directions, known, strict=True)
        if 2 * np.count_nonzero(seen) >= _PARTS
    ]
