"""Whether there are fibres between two bands, or only speckle."""

from __future__ import annotations

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
_WINDOW = 6.0
"""Standard deviation of the window of local mean and contrast, in pixels of the square."""

_MARGIN = 4
"""Pixels of the square next to the bands that are left out: their own skirts."""

_LEAST_PX = 100
"""Lines on which the share is a figure at all."""


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


def streakiness(picture: NDArray[np.float32], tissue: Bools, top: Floats, bottom: Floats) -> float:
    """Share of the contrast between two lines that streaks make up, 0 to 1.

    The mean of n independent values has 1/n of their variance: speckle all but disappears in the
    mean along a line of any direction, and fibres do not where the line is theirs. The share is
    the variance of such means over the variance of the pixels, for the direction in which it is
    largest, after local mean and contrast have been taken out.

    Parameters
    ----------
    picture : ndarray of float32, shape (height, COLUMNS)
        See :class:`usguide.muscle.picture.Narrower`.
    tissue : ndarray of bool, shape (height, COLUMNS)
        Where it shows echoes.
    top, bottom : ndarray of float64, shape (COLUMNS,)
        The lines, in rows of the picture.

    Returns
    -------
    float
        NaN where there is too little between the lines.
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
    mask = inside.astype(np.float32)
    weight = np.maximum(cv2.GaussianBlur(mask, (0, 0), _WINDOW), 1e-3)
    centred = (square - cv2.GaussianBlur(square * mask, (0, 0), _WINDOW) / weight) * mask
    variance = cv2.GaussianBlur(centred * centred, (0, 0), _WINDOW) / weight
    # Half a grey level: a constant picture has no contrast at all.
    flat = centred / np.sqrt(variance + 0.25)
    whole = float((flat * flat).sum()) / max(float(mask.sum()), 1.0)
    share = float("nan")
    for line in _LINES:
        within = cv2.filter2D(mask, -1, line, borderType=cv2.BORDER_CONSTANT) > 0.99
        if np.count_nonzero(within) >= _LEAST_PX:
            means = cv2.filter2D(flat, -1, line, borderType=cv2.BORDER_CONSTANT)[within]
            share = np.fmax(share, float(np.mean(means * means)) / max(whole, 1e-6))
    return float(share)
