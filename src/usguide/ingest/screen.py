"""The B-mode picture on a scanner's screen, a fan or a rectangle, and what in it is not tissue.

Where nothing tells the picture from the screen, the whole frame is taken for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.ingest.fan import fan_mask, fit_fan
from usguide.ingest.live_area import (
    block_px,
    dense_places,
    ground_level,
    live_places,
    solid_area,
    with_corners,
)
from usguide.ingest.rectangle import CHANGE, Box, picture_rectangle
from usguide.model import Bools, Fan, Frame, Region

_STRAY_SHARE = 0.05
"""Most that stands out, echoes in a shadow or letters over it, beneath a picture that fills the
frame but for a black bottom."""
_MIN_AREA = 0.1
"""Smallest picture, as a share of the frame."""
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
    alive = live_places(stated)
    solid = solid_area(alive)
    if solid is None:
        return whole
    dim = dense_places(np.ptp(stated, axis=0) >= CHANGE) if len(stated) > 2 else solid
    for echoes in _ever_lit(stated, alive, solid):
        fan = fit_fan(echoes, dim)
        region = None if fan is None else _cut_out(fan, echoes, dim, x, y)
        if region is not None:
            return region
    if box is not None:
        return whole
    block = block_px(alive)
    left, top, right, bottom = picture_rectangle(samples, alive, solid, block)
    if left < block and top < block and right > width - block and _is_dark(samples[:, bottom:]):
        # Cut out of its screen: beneath is its own shadow, and a frame as wide as beside it.
        bottom = height - min(left, width - right)
    if (right - left) * (bottom - top) < _MIN_AREA * w * h:
        return whole
    return Region(left, top, right - left, bottom - top)


def _is_dark(samples: NDArray[np.uint8]) -> bool:
    """Whether little stands out from the usual level in any frame."""
    if samples.size == 0:
        return False
    apart = np.abs(samples.astype(np.int16) - int(np.median(samples)))
    return bool((apart.max(axis=0) > _UNLIT).mean() <= _STRAY_SHARE)


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
    ground = ground_level(samples, beside & ~solid & ~alive)
    lit = samples.max(axis=0) > min(254, ground + _UNLIT)
    lit |= samples.min(axis=0) < max(0, ground - _UNLIT)
    outline = _near(with_corners(alive, solid))
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
    of echoes: there the margin is as wide as the narrowest of the other three, if that is unlit.

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
    margin = min(high[0], wide[0], region.width - 1 - wide[-1])
    bottom = max(high[-1] + 1, region.height - margin)
    inside[high[0] : bottom, wide[0] : wide[-1] + 1] = True
    return inside


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
