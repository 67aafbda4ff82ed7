"""How far the whole picture has slid, so that a line moving with the tissue is not a needle."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, next_fast_len, rfft2

from usguide.model import Bools, Floats

Float32 = NDArray[np.float32]
Spectrum = NDArray[np.complex64]

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
        self._size = [next_fast_len(side, real=True) for side in weight.shape]
        self._key: Spectrum | None = None
        self._key_at = np.zeros(2)
        self._last: Spectrum | None = None
        self._last_at = np.zeros(2)
        self._farthest = FARTHEST * max(rows, columns)

    def follow(self, small: Float32) -> Floats:
        """Return the slide (x, y) of this frame against the first, working px."""
        if not self._usable:
            return np.zeros(2)
        detail = self._phases((small - cv2.blur(small, (15, 15))) * self._weight)
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

    def _phases(self, detail: Float32) -> Spectrum:
        """Fourier transform whose amplitudes are all one, or nil where there is no detail."""
        spectrum = rfft2(detail, self._size)
        return np.asarray(spectrum * (1 / np.maximum(np.abs(spectrum), np.float32(1e-6))))

    def _between(self, before: Spectrum, now: Spectrum) -> tuple[Floats, bool]:
        """Shift from one picture to another, px, and whether it is to be believed.

        The two differ by a shift where the inverse transform of their phases' differences has one
        peak; its height, summed over 5 x 5 px, is 1 where they are identical, and its centroid
        gives the fraction of a px.
        """
        match = irfft2(now * before.conj(), self._size)
        row, column = np.unravel_index(int(np.argmax(match)), match.shape)
        y = np.arange(row - 2, row + 3)
        x = np.arange(column - 2, column + 3)
        peak = match[np.ix_(y % match.shape[0], x % match.shape[1])].astype(np.float64)
        height = float(peak.sum())
        if height <= SURE:
            return np.zeros(2), False
        moved = np.array([peak.sum(axis=0) @ x, peak.sum(axis=1) @ y]) / height
        sides = np.array(match.shape[::-1])
        moved = (moved + sides / 2) % sides - sides / 2
        return moved, bool(np.abs(moved).max() < self._farthest)
