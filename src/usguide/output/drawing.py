"""Anti-aliased lines, rings and words on a picture, in colours everybody can tell apart."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ImageFont

from usguide.model import Floats, Region

Picture = NDArray[np.uint8]
"""Shape (height, width, 3), blue, green, red."""
Mask = NDArray[np.uint8]
Colour = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""

# Okabe and Ito's palette, told apart with every common colour deficiency
# (Wong, Nature Methods 8:441, 2011); the ones that stay bright on a dark B-mode picture.
SKY_BLUE: Colour = (86, 180, 233)
BLUISH_GREEN: Colour = (0, 178, 130)
YELLOW: Colour = (240, 228, 66)
ORANGE: Colour = (255, 168, 20)
VERMILION: Colour = (235, 110, 30)
REDDISH_PURPLE: Colour = (224, 140, 190)
WHITE: Colour = (255, 255, 255)
GREY: Colour = (150, 155, 160)
INK: Colour = (16, 18, 22)

# OpenCV draws below a pixel in fixed point with this many binary digits.
_SHIFT = 4


@dataclass(frozen=True, slots=True)
class View:
    """Where source pixels land on a canvas.

    Parameters
    ----------
    x, y : float
        Source pixel whose upper left corner is the canvas's.
    scale : float
        Canvas px per source px.
    width, height : int
        Size of the pictured part, in canvas px.
    stroke, letter : int
        Width of a thin line and height of lettering, in canvas px.
    """

    x: float
    y: float
    scale: float
    width: int
    height: int
    stroke: int
    letter: int

    def canvas_px(self, points_px: Floats) -> Floats:
        """Canvas coordinates of source points (..., 2), pixel centres at integers in both."""
        origin = np.array([self.x, self.y])
        moved: Floats = (np.asarray(points_px, dtype=np.float64) - origin + 0.5) * self.scale - 0.5
        return moved

    def place(self, canvas: Picture, frame: NDArray[np.uint8], region: Region) -> None:
        """Paint a frame's region, uint8 (region.height, region.width), where it belongs."""
        left = round((region.x - self.x) * self.scale)
        top = round((region.y - self.y) * self.scale)
        right = round((region.x + region.width - self.x) * self.scale)
        bottom = round((region.y + region.height - self.y) * self.scale)
        width, height = max(right - left, 1), max(bottom - top, 1)
        if (height, width) != frame.shape:
            shrinks = self.scale < 1
            frame = np.asarray(
                cv2.resize(
                    frame,
                    (width, height),
                    interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC,
                ),
                dtype=np.uint8,
            )
        target = canvas[max(top, 0) : top + height, max(left, 0) : left + width]
        target[:] = frame[: target.shape[0], : target.shape[1], None]


def mix(start: Colour, end: Colour, share: float) -> Colour:
    """Colour between two, ``share`` from 0 (start) to 1 (end)."""
    share = min(max(share, 0.0), 1.0)
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(start, end, strict=True))
    return red, green, blue


def line(
    canvas: Picture,
    points: Floats,
    colour: Colour,
    *,
    width: int = 1,
    opacity: float = 1.0,
    closed: bool = False,
) -> None:
    """Draw a polyline through canvas points (k, 2); an unknown point interrupts it."""
    known = np.asarray(np.isfinite(points).all(axis=1))
    breaks = np.flatnonzero(np.diff(known.astype(np.int8))) + 1
    runs = [run for run in np.split(np.arange(len(points)), breaks) if len(run) and known[run[0]]]
    pieces = [_fixed(points[run]) for run in runs if len(run) > 1]
    if not pieces:
        return
    if opacity >= 1:
        cv2.polylines(canvas, pieces, closed, colour[::-1], width, cv2.LINE_AA, _SHIFT)
        return
    window = _window(canvas, np.concatenate([points[run] for run in runs]), width + 2)
    if window is None:
        return
    part, corner = window
    shape = np.zeros(part.shape[:2], dtype=np.uint8)
    shifted = [piece - np.int32(1 << _SHIFT) * corner for piece in pieces]
    cv2.polylines(shape, shifted, closed, 255, width, cv2.LINE_AA, _SHIFT)
    _blend(part, shape, colour, opacity)


def ring(canvas: Picture, centre: Floats, radius: float, colour: Colour, *, width: int = 1) -> None:
    """Draw a circle, or a disc with a negative ``width``, around a canvas point (2,)."""
    if not np.isfinite(centre).all():
        return
    x, y = (int(value) for value in _fixed(centre))
    cv2.circle(
        canvas, (x, y), round(radius * (1 << _SHIFT)), colour[::-1], width, cv2.LINE_AA, _SHIFT
    )


def words(
    canvas: Picture,
    text: str,
    at: tuple[float, float],
    colour: Colour,
    *,
    size: int,
    plate: bool = False,
) -> None:
    """Write ``text`` with its upper left corner at a canvas point, on a dark plate if asked.

    Kept inside the canvas where it fits.
    """
    mask = lettering(text, size)
    height, width = mask.shape
    pad = max(2, size // 4)
    x = int(min(max(at[0], pad), max(canvas.shape[1] - width - pad, pad)))
    y = int(min(max(at[1], pad), max(canvas.shape[0] - height - pad, pad)))
    if plate:
        ground = canvas[y - pad : y + height + pad, x - pad : x + width + pad]
        ground[:] = (ground * np.float32(0.35)).astype(np.uint8)
    stamp(canvas, mask, (x, y), colour)


def stamp(canvas: Picture, mask: Mask, at: tuple[int, int], colour: Colour) -> None:
    """Put lettering on a canvas, its upper left corner at (x, y); what sticks out is cut off."""
    part = canvas[at[1] : at[1] + mask.shape[0], at[0] : at[0] + mask.shape[1]]
    _blend(part, mask[: part.shape[0], : part.shape[1]], colour, 1.0)


@lru_cache(maxsize=256)
def lettering(text: str, size: int) -> Mask:
    """Coverage of a line of text, uint8; its height depends on ``size`` alone."""
    font = _font(size)
    ascent, descent = font.getmetrics()
    mask, offset = font.getmask2(text, mode="L")
    width, height = mask.size
    left, top = max(offset[0], 0), max(offset[1], 0)
    page = np.zeros((max(ascent + descent, top + height), left + width), dtype=np.uint8)
    page[top : top + height, left : left + width] = np.array(mask, dtype=np.uint8).reshape(
        height, width
    )
    return page


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise TypeError("Pillow was built without FreeType, which every wheel of it has")
    return font


def _fixed(points: Floats) -> NDArray[np.int32]:
    """Points as OpenCV's fixed-point integers; far outside any canvas is outside enough."""
    limit = np.iinfo(np.int32).max >> (_SHIFT + 2)
    return np.round(np.clip(points, -limit, limit) * (1 << _SHIFT)).astype(np.int32)


def _window(
    canvas: Picture, points: Floats, margin: int
) -> tuple[Picture, NDArray[np.int32]] | None:
    """Part of the canvas around canvas points, and its upper left corner (x, y)."""
    size = np.array([canvas.shape[1], canvas.shape[0]])
    low = np.clip(np.floor(points.min(axis=0)) - margin, 0, size).astype(np.int32)
    high = np.clip(np.ceil(points.max(axis=0)) + margin + 1, 0, size).astype(np.int32)
    if (high <= low).any():
        return None
    return canvas[low[1] : high[1], low[0] : high[0]], low


def _blend(part: Picture, shape: Mask, colour: Colour, opacity: float) -> None:
    """Mix a colour in where a shape covers; lines cover little of their surroundings."""
    rows, columns = np.nonzero(shape)
    ground = part[rows, columns]
    weight = shape[rows, columns, None] * np.float32(opacity / 255)
    ink = np.array(colour[::-1], dtype=np.float32)
    part[rows, columns] = (ground + (ink - ground) * weight + np.float32(0.5)).astype(np.uint8)
