"""How far the whole picture has slid, so that a line moving with the tissue is not a needle."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.model import Bools, Floats

Float32 = NDArray[np.float32]

SURE = 0.25
"""Phase-correlation response (1 for identical pictures) above which a shift is believed."""
FARTHEST = 0.12
"""Largest believable slide between two frames, as a fraction of the picture."""


class Drift:
    """Slide of the picture since the first frame, from phase correlation with a key frame.

    A new key is taken when the picture no longer resembles the old one; where it resembles
    nothing (frames are missing, the view changed), the slide is taken as nil.

    Parameters
    ----------
    tissue : ndarray of bool, shape (rows, columns)
        Where the working image shows echoes.
    """

    def __init__(self, tissue: Bools) -> None:
        rows, columns = tissue.shape
        self._usable = rows >= 8 and columns >= 8
        weight = tissue.astype(np.float32)
        if self._usable:
            weight *= cv2.createHanningWindow((columns, rows), cv2.CV_32F)
        self._weight = weight
        self._key: Float32 | None = None
        self._key_at = np.zeros(2)
        self._last: Float32 | None = None
        self._last_at = np.zeros(2)
        self._farthest = FARTHEST * max(rows, columns)

    def follow(self, small: Float32) -> Floats:
        """Return the slide (x, y) of this frame against the first, working px."""
        if not self._usable:
            return np.zeros(2)
        detail = (small - cv2.blur(small, (15, 15))) * self._weight
        if self._key is None or self._last is None:
            self._key = self._last = detail
            return np.zeros(2)
        shift, sure = self._between(self._key, detail)
        if sure:
            at = self._key_at + shift
        else:
            shift, sure = self._between(self._last, detail)
            at = self._last_at + (shift if sure else 0.0)
            self._key, self._key_at = detail, at
        self._last, self._last_at = detail, at
        return np.asarray(at, dtype=np.float64)

    def _between(self, before: Float32, now: Float32) -> tuple[Floats, bool]:
        if not (np.any(before) and np.any(now)):
            return np.zeros(2), False
        shift, response = cv2.phaseCorrelate(before, now)
        moved = np.array(shift, dtype=np.float64)
        return moved, bool(response > SURE and np.abs(moved).max() < self._farthest)
