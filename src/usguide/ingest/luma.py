"""From decoded samples to 8-bit luma and, for the few sampled frames, to RGB."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.model import Frame

_LIMITED_BLACK, _LIMITED_WHITE = 16, 235
"""Black and white of limited-range luma, ITU-R BT.601-7 and BT.709-6."""

LIMITED_TO_FULL: NDArray[np.uint8] = np.clip(
    np.rint((np.arange(256) - _LIMITED_BLACK) * 255.0 / (_LIMITED_WHITE - _LIMITED_BLACK)), 0, 255
).astype(np.uint8)
"""Table from limited-range (16 to 235) to full-range luma."""


def to_8_bit(samples: NDArray[np.generic], bits: int) -> NDArray[np.uint8]:
    """Reduce unsigned samples of ``bits`` significant bits to 8 by dropping the lowest ones.

    Samples of any shape; those of fewer than 8 bits are spread over the whole range.
    """
    if bits == 8 and samples.dtype == np.uint8:
        return np.ascontiguousarray(samples, dtype=np.uint8)
    if bits > 8:
        kept = samples >> np.asarray(bits - 8, dtype=samples.dtype)
        return np.asarray(np.clip(kept, 0, 255), dtype=np.uint8)
    scaled = samples.astype(np.float32) * np.float32(255.0 / (2**bits - 1))
    return np.asarray(np.clip(scaled + 0.5, 0, 255), dtype=np.uint8)


def luma_of_rgb(rgb: NDArray[np.uint8]) -> Frame:
    """Rec. 601 luma of uint8 RGB, shape (height, width, 3)."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def rgb_of_grey(luma: Frame) -> NDArray[np.uint8]:
    """Three equal channels, shape (height, width, 3)."""
    return np.repeat(luma[:, :, None], 3, axis=2)


def rgb_of_ybr(ybr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB of full-range YCbCr as DICOM orders it (Y, Cb, Cr), shape (height, width, 3)."""
    swapped = np.ascontiguousarray(ybr[:, :, [0, 2, 1]])
    return np.asarray(cv2.cvtColor(swapped, cv2.COLOR_YCrCb2RGB), dtype=np.uint8)
