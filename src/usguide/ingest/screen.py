"""The B-mode picture on a scanner's screen, and what inside it is not tissue.

Screen furniture is flat or still; a B-mode picture is textured by speckle and noise all over, and
changes from frame to frame. Where neither tells, the whole frame is taken for the picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.ingest.fan import fan_mask, fit_fan
from usguide.ingest.rectangle import CHANGE, Box, picture_rectangle
from usguide.model import Bools, Fan, Frame, Region

_TEXTURE = 3
"""Range of grey levels in 3 x 3 px from which on a place is textured: above the rounding of a
decoder, below electronic noise."""
_BLOCK_SHARE = 1 / 40
"""Size of the window, as a share of the frame's shorter side, in which most pixels of a picture
are textured or change."""
_SOLID_SHARE = 1 / 10
"""Narrower things, as a share of the shorter side, are text, rulers and bars, not a picture."""
_SPARSE_DENSITY = 0.3
"""Share of textured pixels in the dark corners of a fan."""
_MIN_AREA = 0.1
"""Smallest picture, as a share of the frame."""
_MAX_BAND = 0.15
"""Widest dark band across a picture, as a share of the part already found."""
_MIN_PART = 0.25
"""Narrowest part beyond such a band, as a share of the part already found. The shares were tuned,
with those of a rectangle, on eight real screens of five vendors."""
_SHORTER_SIDE_PX = 640
"""Frames are looked at in their own size up to twice this shorter side, larger ones in so many
parts of it: enlarged speckle is smooth from pixel to pixel, and windows take long to move."""

_GRAPHIC_CHROMA = 28.0
"""Distance in Cb, Cr from the picture's own tint at which a pixel is coloured: the tint of the
grey maps at hand keeps within 10."""
_GRAPHIC_MARGIN_PX = 3
"""Chroma is stored at half resolution and blurred by the encoder."""

_UNLIT, _LIT_SHARE = 16, 0.003
"""Grey level up to which a pixel may only show what compression left, and the least share of a row
or column that must be over it at some time to be more than a margin: a few pixels, for a water tank
has hardly any echoes (at 0.04 a tenth of a real one was cut off)."""


def find_region(samples: NDArray[np.uint8], box: Box | None = None) -> Region:
    """Find the B-mode picture.

    Parameters
    ----------
    samples : ndarray of uint8, shape (k, height, width)
        Luma of a few frames spread over the recording.
    box : (int, int, int, int), optional
        x, y, width, height that the file states; it is kept, or narrowed to the fan in it.

    Returns
    -------
    Region
        The whole frame where nothing sensible is found.
    """
    height, width = samples.shape[1:]
    x, y, w, h = box or (0, 0, width, height)
    shrink = max(1, min(height, width) // _SHORTER_SIDE_PX)
    if shrink > 1:
        small = np.stack([_shrunk(luma, shrink) for luma in samples])
        inside = None if box is None else (x // shrink, y // shrink, w // shrink, h // shrink)
        return _enlarged(find_region(small, inside), shrink, Region(x, y, w, h))
    stated = samples[:, y : y + h, x : x + w]
    whole = Region(x, y, w, h)
    if min(w, h) < 32:
        return whole
    alive = _alive(stated)
    solid = _solid(alive)
    if solid is None:
        return whole
    dim = _dense(np.ptp(stated, axis=0) >= CHANGE) if len(stated) > 2 else solid
    for echoes in _ever_lit(stated, alive, solid):
        fan = fit_fan(echoes, dim)
        region = None if fan is None else _cut_out(fan, echoes, dim, x, y)
        if region is not None:
            return region
    if box is not None:
        return whole
    left, top, right, bottom = picture_rectangle(samples, alive, solid, _odd(alive, _BLOCK_SHARE))
    if (right - left) * (bottom - top) < _MIN_AREA * w * h:
        return whole
    return Region(left, top, right - left, bottom - top)


def _cut_out(fan: Fan, echoes: Bools, dim: Bools, x: int, y: int) -> Region | None:
    """Return the box around what a fan shows, which cuts off one with a flat face or bottom.

    ``x`` and ``y`` are where the first pixel of ``echoes`` is. None where its echoes are too few.
    """
    height, width = echoes.shape
    mask = fan_mask(fan, 0, 0, width, height)
    shown = mask & (echoes | dim)
    rows = np.flatnonzero(shown.mean(axis=1) >= _LIT_SHARE)
    columns = np.flatnonzero(shown.mean(axis=0) >= _LIT_SHARE)
    # The probe's face is bright.
    bright = np.flatnonzero((mask & echoes).mean(axis=1) >= _LIT_SHARE)
    if not len(bright) or not len(columns):
        return None
    return Region(
        x + int(columns[0]),
        y + int(bright[0]),
        int(columns[-1] - columns[0]) + 1,
        int(rows[-1] - bright[0]) + 1,
        replace(fan, apex_px=(fan.apex_px[0] + x, fan.apex_px[1] + y)),
    )


def _ever_lit(samples: NDArray[np.uint8], alive: Bools, solid: Bools) -> Iterator[Bools]:
    """Where echoes are ever seen: in the picture's outline, also beside it, and only in its core.

    Lit is what differs from the ground beside the core, be that black or grey.
    """
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    beside = np.zeros(solid.shape, dtype=np.bool_)
    beside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    beside &= ~solid & ~alive
    ground = 0
    if np.count_nonzero(beside) > _LIT_SHARE * np.count_nonzero(solid):
        ground = int(np.bincount(samples[:, beside].min(axis=0)).argmax())
    lit = samples.max(axis=0) > min(254, ground + _UNLIT)
    lit |= samples.min(axis=0) < max(0, ground - _UNLIT)
    outline = _near(_outline(alive, solid))
    yield lit & outline
    if len(samples) > 2:
        yield lit & (outline | (np.ptp(samples, axis=0) >= _UNLIT))
    yield lit & _near(solid)


def _near(area: Bools) -> Bools:
    return np.asarray(cv2.dilate(area.astype(np.uint8), np.ones((5, 5), np.uint8))) > 0


def _shrunk(luma: Frame, times: int) -> Frame:
    """Return a frame in a whole part of its size, every pixel the mean of a square."""
    rows, columns = (size // times for size in luma.shape)
    square = np.ascontiguousarray(luma[: rows * times, : columns * times])
    return np.asarray(
        cv2.resize(square, (columns, rows), interpolation=cv2.INTER_AREA), dtype=np.uint8
    )


def _enlarged(region: Region, times: int, within: Region) -> Region:
    """Return a region found in a frame so many times smaller, in the frame's own pixels.

    A side at the edge of the smaller frame is at that of ``within``.
    """
    left, top = within.x // times, within.y // times
    right, bottom = left + within.width // times, top + within.height // times
    x = within.x if region.x <= left else region.x * times
    y = within.y if region.y <= top else region.y * times
    end_x, end_y = region.x + region.width, region.y + region.height
    far_x = within.x + within.width if end_x >= right else end_x * times
    far_y = within.y + within.height if end_y >= bottom else end_y * times
    fan = region.fan
    if fan is not None:
        # Pixel centres are whole numbers: the first square's centre is not at 0.
        middle = (times - 1) / 2
        fan = replace(
            fan,
            apex_px=(fan.apex_px[0] * times + middle, fan.apex_px[1] * times + middle),
            radius_min_px=fan.radius_min_px * times,
            radius_max_px=fan.radius_max_px * times,
        )
    return Region(x, y, far_x - x, far_y - y, fan)


def tissue_mask(colours: NDArray[np.uint8] | None, region: Region) -> Bools:
    """Tell where the region shows echoes: inside the fan, not under graphics.

    Parameters
    ----------
    colours : ndarray of uint8, shape (height, width, 3), or None
        A frame in RGB.
    region : Region

    Returns
    -------
    ndarray of bool, shape (region.height, region.width)
    """
    rows, columns = region.slices
    tissue = np.ones((region.height, region.width), dtype=np.bool_)
    if region.fan is not None:
        tissue = fan_mask(region.fan, region.x, region.y, region.width, region.height)
    if colours is not None:
        size = 2 * _GRAPHIC_MARGIN_PX + 1
        graphics = _coloured(colours[rows, columns]).astype(np.uint8)
        tissue &= cv2.dilate(graphics, np.ones((size, size), np.uint8)) == 0
    return tissue


def within_margins(samples: NDArray[np.uint8], region: Region) -> Bools:
    """Tell where a region that a file states lies within its black margins, if it has any.

    Above the probe's face and beside it nothing is ever lit. Below, a picture may be black for want
    of echoes, and is kept.

    Parameters
    ----------
    samples : ndarray of uint8, shape (k, height, width)
        Luma of a few frames spread over the recording.
    region : Region
        One without a fan, whose mask leaves out what is beside it.

    Returns
    -------
    ndarray of bool, shape (region.height, region.width)
    """
    rows, columns = region.slices
    lit = samples[:, rows, columns].max(axis=0) > _UNLIT
    inside = np.zeros(lit.shape, dtype=np.bool_)
    wide = np.flatnonzero(lit.mean(axis=0) >= _LIT_SHARE)
    high = np.flatnonzero(lit.mean(axis=1) >= _LIT_SHARE)
    if len(wide) == 0 or len(high) == 0:
        return ~inside
    inside[high[0] :, wide[0] : wide[-1] + 1] = True
    return inside


def _alive(samples: NDArray[np.uint8]) -> Bools:
    """Where a picture is textured or changes, shape (height, width)."""
    square = np.ones((3, 3), np.uint8)
    textured = np.zeros(samples.shape[1:], dtype=np.bool_)
    for luma in samples:
        frame: Frame = np.ascontiguousarray(luma)
        textured |= cv2.subtract(cv2.dilate(frame, square), cv2.erode(frame, square)) >= _TEXTURE
    if len(samples) > 2:
        textured |= np.ptp(samples, axis=0) >= CHANGE
    return textured


def _odd(area: Bools, share: float) -> int:
    """Odd window size that is a share of the shorter side."""
    shorter = int(min(area.shape))
    return max(7, round(shorter * share)) | 1


def _dense(flags: Bools, share: float = 0.5) -> Bools:
    """Places around which at least a share of the pixels are flagged."""
    block = _odd(flags, _BLOCK_SHARE)
    dense: Bools = cv2.boxFilter(flags.astype(np.float32), -1, (block, block)) > share
    return dense


def _solid(alive: Bools) -> Bools | None:
    """Largest area, without text and bars, where most places are alive, or None."""
    dense = _dense(alive).astype(np.uint8)
    block, size = _odd(alive, _BLOCK_SHARE), _odd(alive, _SOLID_SHARE)
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


def _outline(alive: Bools, solid: Bools) -> Bools:
    """Add to a solid area what hangs together with it sparsely: the dark corners of a fan."""
    size = round(1.5 * _odd(alive, _BLOCK_SHARE)) | 1
    round_window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    sparse = _dense(alive, _SPARSE_DENSITY).astype(np.uint8)
    opened = cv2.morphologyEx(sparse, cv2.MORPH_OPEN, round_window, borderValue=0)
    count, labels = cv2.connectedComponents(opened, connectivity=4)
    touched = np.zeros(count, dtype=np.bool_)
    touched[np.asarray(labels)[solid]] = True
    touched[0] = False
    outline: Bools = touched.take(np.asarray(labels, dtype=np.int32))
    return outline


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


def _coloured(colours: NDArray[np.uint8]) -> Bools:
    """Pixels whose hue is not that of the picture's grey map."""
    ycc = np.asarray(cv2.cvtColor(np.ascontiguousarray(colours), cv2.COLOR_RGB2YCrCb), np.uint8)
    luma = ycc[:, :, 0] >> 4
    chroma = ycc[:, :, 1:].astype(np.float32)
    tint = np.full((16, 2), 128.0, dtype=np.float32)
    for level in range(16):
        pixels = chroma[luma == level]
        if len(pixels) >= 50:
            tint[level] = np.median(pixels, axis=0)
    distance = np.linalg.norm(chroma - tint[luma], axis=2)
    coloured: Bools = distance > _GRAPHIC_CHROMA
    return coloured
