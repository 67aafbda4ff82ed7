"""Which part of a screen is alive as a picture is: textured all over, or changing.

Screen furniture is flat or still; a B-mode picture is textured by speckle and noise, and changes
from frame to frame. Text and rulers are alive too, but sparse or narrow.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.ingest.rectangle import CHANGE
from usguide.model import Bools, Frame

_TEXTURE = 3
"""Range of grey levels in 3 x 3 px from which on a place is textured: above the rounding of a
decoder, below electronic noise."""
_GROUND, _GRAIN_PX = 3, 9
"""Grey levels from the screen's ground from which on a place is textured by any grain at all within
so many px: dim noise that an encoder has left in few of its blocks of 8 px."""
_BLOCK_SHARE = 1 / 40
"""Size of the window, as a share of the frame's shorter side, in which most pixels of a picture
are textured or change."""
_SOLID_SHARE = 1 / 10
"""Narrower things, as a share of the shorter side, are text, rulers and bars, not a picture."""
_SPARSE_DENSITY = 0.3
"""Share of textured pixels in the dark corners of a fan."""
_MAX_BAND = 0.15
"""Widest dark band across a picture, as a share of the part already found."""
_MIN_PART = 0.25
"""Narrowest part beyond such a band, as a share of the part already found. The shares were tuned,
with those of a rectangle, on eight real screens of five vendors."""
_LEAST_SHARE = 0.003
"""Of a screen that must be flat for its level to be the ground."""


def live_places(samples: NDArray[np.uint8]) -> Bools:
    """Tell where a screen is textured or changes.

    Parameters
    ----------
    samples : ndarray of uint8, shape (k, height, width)
        Luma of a few frames spread over the recording.

    Returns
    -------
    ndarray of bool, shape (height, width)
    """
    alive = np.zeros(samples.shape[1:], dtype=np.bool_)
    for luma in samples:
        alive |= _ranges(luma, 3) >= _TEXTURE
    if len(samples) > 2:
        alive |= np.ptp(samples, axis=0) >= CHANGE
    clear = cv2.dilate(alive.astype(np.uint8), np.ones((_GRAIN_PX, _GRAIN_PX), np.uint8)) == 0
    ground = ground_level(samples, clear)
    for luma in samples:
        off_ground = cv2.absdiff(luma, np.full_like(luma, ground)) >= _GROUND
        alive |= off_ground & (_ranges(luma, _GRAIN_PX) > 0)
    return alive


def _ranges(frame: Frame, size: int) -> Frame:
    """Range of grey levels in a square of ``size`` px around each pixel, of the frame's shape."""
    square = np.ones((size, size), np.uint8)
    return np.asarray(cv2.subtract(cv2.dilate(frame, square), cv2.erode(frame, square)))


def ground_level(samples: NDArray[np.uint8], places: Bools) -> int:
    """Most frequent of the darkest levels that some places have over the frames; 0 of too few.

    ``samples`` is uint8 of shape (k, height, width), ``places`` bool of shape (height, width).
    """
    if np.count_nonzero(places) <= _LEAST_SHARE * places.size:
        return 0
    return int(np.bincount(samples[:, places].min(axis=0)).argmax())


def block_px(area: Bools) -> int:
    """Side, px, odd, of the window in which most pixels of a picture are alive."""
    return _odd(area, _BLOCK_SHARE)


def _odd(area: Bools, share: float) -> int:
    """Odd window size that is a share of the shorter side."""
    shorter = int(min(area.shape))
    return max(7, round(shorter * share)) | 1


def dense_places(flags: Bools, share: float = 0.5) -> Bools:
    """Places around which at least a share of the pixels are flagged, both (height, width)."""
    block = block_px(flags)
    dense: Bools = cv2.boxFilter(flags.astype(np.float32), -1, (block, block)) > share
    return dense


def solid_area(alive: Bools) -> Bools | None:
    """Largest area, without text and bars, where most places are alive, or None.

    Both are bool of shape (height, width).
    """
    dense = dense_places(alive).astype(np.uint8)
    block, size = block_px(alive), _odd(alive, _SOLID_SHARE)
    opened = cv2.morphologyEx(dense, cv2.MORPH_OPEN, np.ones((size, size), np.uint8), borderValue=0)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    if count < 2:
        return None
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    chosen = np.zeros(count, dtype=np.bool_)
    chosen[[largest, *_parts_of(np.asarray(stats, dtype=np.int32), largest)]] = True
    core = chosen.take(np.asarray(labels, dtype=np.int32))
    # Opening has rounded the corners: give back what is dense right around the core.
    near = cv2.dilate(core.astype(np.uint8), np.ones((block, block), np.uint8))
    solid: Bools = (near > 0) & (dense > 0)
    return solid


def with_corners(alive: Bools, solid: Bools) -> Bools:
    """Add to a solid area what hangs together with it sparsely: the dark corners of a fan.

    All are bool of shape (height, width).
    """
    size = round(1.5 * block_px(alive)) | 1
    round_window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    sparse = dense_places(alive, _SPARSE_DENSITY).astype(np.uint8)
    opened = cv2.morphologyEx(sparse, cv2.MORPH_OPEN, round_window, borderValue=0)
    count, labels = cv2.connectedComponents(opened, connectivity=4)
    touched = np.zeros(count, dtype=np.bool_)
    touched[np.asarray(labels)[solid]] = True
    touched[0] = False
    return np.asarray(touched.take(np.asarray(labels, dtype=np.int32)), dtype=np.bool_)


def _parts_of(stats: NDArray[np.integer], largest: int) -> list[int]:
    """Find areas that a narrow dark band parts from the largest one: above, below or beside it."""
    x, y, w, h = stats[largest, :4]
    found = []
    for label in range(1, len(stats)):
        px, py, pw, ph = stats[label, :4]
        gap_x = max(px - (x + w), x - (px + pw))
        gap_y = max(py - (y + h), y - (py + ph))
        within_x = px >= x - 2 and px + pw <= x + w + 2 and pw >= _MIN_PART * w
        within_y = py >= y - 2 and py + ph <= y + h + 2 and ph >= _MIN_PART * h
        stacked, beside = within_x and gap_y < _MAX_BAND * h, within_y and gap_x < _MAX_BAND * w
        if label != largest and (stacked or beside):
            found.append(label)
    return found
