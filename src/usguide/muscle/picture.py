"""The pictures that the muscle stage works on: narrowed to a few columns, without graphics."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.model import Bools, Floats, Frame

Grid = NDArray[np.float32]

ROWS, COLUMNS = 256, 128
"""Working grid: an aponeurosis is 3-10 grid rows thick, and averaging a few columns suppresses
speckle without blurring a line that is nearly horizontal."""

_GRAPHICS = 0.13
"""Part of the width that graphics may cover of a row to be drawn over: an orientation mark, a
guide line or a letter, across which a band is seen to continue; not the dark beside a fan."""


def to_grid(picture: NDArray[np.generic]) -> Grid:
    """Average a picture of any size onto the working grid, float32 of shape (ROWS, COLUMNS)."""
    resized = cv2.resize(
        np.asarray(picture, dtype=np.float32), (COLUMNS, ROWS), interpolation=cv2.INTER_AREA
    )
    return np.asarray(resized, dtype=np.float32)


def column_centres(width: int) -> Floats:
    """Region x of the grid's column centres, shape (COLUMNS,)."""
    centres: Floats = (np.arange(COLUMNS) + 0.5) * width / COLUMNS - 0.5
    return centres


def _narrowed(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Average a picture to the grid's columns, keeping its rows: float32 (height, COLUMNS)."""
    resized = cv2.resize(picture, (COLUMNS, picture.shape[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, dtype=np.float32)


class Narrower:
    """Narrows the frames of one clip to the grid's columns, and draws tissue over graphics.

    Parameters
    ----------
    tissue : ndarray of bool, shape (height, width)
        Where the region shows echoes, and no graphics.

    Attributes
    ----------
    tissue : ndarray of bool, shape (height, COLUMNS)
        Where the narrowed frames show echoes, or what was drawn in for them.
    """

    def __init__(self, tissue: Bools) -> None:
        shown = _narrowed(tissue.astype(np.uint8) * np.uint8(255)) > 252
        window = np.ones((1, 2 * round(_GRAPHICS * COLUMNS / 2) + 1), dtype=np.uint8)
        closed = cv2.morphologyEx(shown.astype(np.uint8), cv2.MORPH_CLOSE, window)
        self.tissue: Bools = np.asarray(closed > 0, dtype=np.bool_)
        self._covered = np.nonzero(self.tissue & ~shown)
        row, column = self._covered
        index = np.broadcast_to(np.arange(COLUMNS), shown.shape)
        left = np.maximum.accumulate(np.where(shown, index, -1), axis=1)[row, column]
        right = np.where(shown, index, COLUMNS)[:, ::-1]
        right = np.minimum.accumulate(right, axis=1)[:, ::-1][row, column]
        # At the picture's margin there is tissue on one side only.
        self._left = np.where(left < 0, right, left)
        self._right = np.where(right == COLUMNS, left, right)
        self._share = (column - self._left) / np.maximum(self._right - self._left, 1)

    def __call__(self, frame: Frame) -> NDArray[np.float32]:
        """Narrow a frame: float32 of shape (height, COLUMNS)."""
        picture = _narrowed(frame)
        row, _ = self._covered
        if len(row):
            left, right = picture[row, self._left], picture[row, self._right]
            picture[self._covered] = left + self._share * (right - left)
        return picture
