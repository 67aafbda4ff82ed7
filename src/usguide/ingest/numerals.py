"""Reading the few characters on a screen that tell a scale: digits, units, the word for depth.

Not a text reader: the characters are small, clean and upright, and what they may say is decided
by the ruler or by the depth of the picture they belong to. Each is compared with the same
character in a few common typefaces.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.model import Floats

DIGITS = "0123456789"
CHARACTERS = DIGITS + "cm"
"""What a ruler is labelled with."""
PAIRS = {"㎝": "cm", "㎜": "mm"}
"""Units whose letters touch, for want of pixels or by design, are one thing."""
ALPHABET = CHARACTERS + "ABDEFGHLMPRSTZadefhinoprtu" + "".join(PAIRS)
"""And what the word beside a depth is told by, or may be mistaken for."""

LEVELS = (0.2, 0.35, 0.55)
"""Brightness, as shares of the brightest characters', at which strokes are cut out: an encoder
breaks thin strokes, and fills the gaps between characters."""
_DIMMEST = 20
"""Grey levels by which a character stands out of the screen, at least."""
_CELL = 20
"""Characters are compared at this height and width, px."""
_MIN_HEIGHT_PX = 6
"""Lowest character that is read."""
_MAX_HEIGHT = 0.06
"""Tallest character, as a share of the frame's height."""
_WIDEST, _WIDEST_PAIR = 1.4, 3.4
"""Widest character, and pair that touches, as a share of its height."""
_MAX_GAP = 0.7
"""Widest gap between the characters of one label, as a share of their height."""
_MAX_POINT_GAP = 1.3
"""As above, where a decimal point stands in the gap."""
_DESCENT = 0.4
"""Lowest foot of a p below the line, as a share of the characters' height."""
_POINT = 0.34
"""Largest decimal point, as a share of the digits' height."""

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Label:
    """A few characters in a row.

    Parameters
    ----------
    box : (int, int, int, int)
        x, y, width, height.
    likeness : ndarray of float64, shape (characters, 12 or more)
        How much each character looks like each of ``CHARACTERS``, or of the alphabet that was
        searched for, -1 to 1.
    point : int or None
        Characters before the decimal point; None without one.
    """

    box: Box
    likeness: Floats
    point: int | None

    @property
    def clarity(self) -> float:
        """How much its characters look like any that are known, on average."""
        return float(self.likeness.max(axis=1).mean())


def find_labels(
    shown: NDArray[np.uint8],
    most: int = 4,
    alphabet: str = CHARACTERS,
    levels: tuple[float, ...] = LEVELS,
) -> list[Label]:
    """Find short rows of characters.

    Parameters
    ----------
    shown : ndarray of uint8, shape (height, width)
        Small bright things on black; a strip beside a ruler, without its marks.
    most : int
        Characters in a row; longer ones are left out.
    alphabet : str
        What they are compared with: ``CHARACTERS`` or ``ALPHABET``.
    levels : tuple of float
        Where strokes are cut out, see ``LEVELS``.
    """
    labels: list[Label] = []
    peak = int(np.percentile(shown[shown > 30], 95)) if (shown > 30).any() else 0
    for level in sorted({max(_DIMMEST, round(share * peak)) for share in levels}):
        if level > peak:
            continue
        bright = (shown >= level).astype(np.uint8)
        for parts, point in _rows(bright, most, letters=alphabet is not CHARACTERS):
            x0, y0 = min(p[0] for p in parts), min(p[1] for p in parts)
            x1, y1 = max(p[0] + p[2] for p in parts), max(p[1] + p[3] for p in parts)
            likeness = np.stack([_compare(_normalised(shown, part), alphabet) for part in parts])
            labels.append(Label((x0, y0, x1 - x0, y1 - y0), likeness, point))
    # The same number is found at several levels: keep what looks more like one.
    labels.sort(key=lambda label: -label.clarity)
    kept: list[Label] = []
    for label in labels:
        if not any(_overlap(label.box, other.box) for other in kept):
            kept.append(label)
    return kept


def _overlap(one: Box, other: Box) -> bool:
    """Whether two boxes share more than half of the smaller one."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    smaller = min(one[2] * one[3], other[2] * other[3])
    return width > 0 and height > 0 and 2 * width * height > smaller


def _rows(
    bright: NDArray[np.uint8], most: int, *, letters: bool
) -> list[tuple[list[Box], int | None]]:
    """Group things of a character's size into rows; each with where its decimal point is.

    Digits stand on one line and apart; ``letters`` may descend below it, and touch.
    """
    count, _, stats, _ = cv2.connectedComponentsWithStats(bright, connectivity=8)
    characters: list[Box] = []
    points: list[Box] = []
    widest = _WIDEST_PAIR if letters else _WIDEST
    tallest = max(14.0, _MAX_HEIGHT * max(bright.shape))
    for label in range(1, count):
        x, y, w, h, area = (int(v) for v in stats[label])
        if _MIN_HEIGHT_PX <= h <= tallest and 0.12 * h <= w <= widest * h and area >= 0.15 * w * h:
            characters.append((x, y, w, h))
        elif max(w, h) <= _POINT * tallest and area >= 0.5 * w * h:
            points.append((x, y, w, h))
    characters.sort()
    rows: list[tuple[list[Box], list[int]]] = []
    for part in characters:
        for row, after in rows:
            last = row[-1]
            size = max(last[3], part[3])
            # The row's first character is a digit or a capital: none of them descends.
            foot = row[0][1] + row[0][3] if letters else last[1] + last[3]
            below = part[1] + part[3] - foot
            slack = max(1.5, 0.2 * size)
            same_line = -slack <= below <= (max(slack, _DESCENT * size) if letters else slack)
            gap = part[0] - (last[0] + last[2])
            if not (same_line and -1 <= gap <= _MAX_POINT_GAP * size):
                continue
            between = _point_between(last, part, points)
            if (between or gap <= _MAX_GAP * size) and part[3] >= 0.55 * last[3]:
                if between:
                    after.append(len(row))
                row.append(part)
                break
        else:
            rows.append(([part], []))
    return [
        (row, after[0] if after else None)
        for row, after in rows
        if len(row) <= most and len(after) <= 1
    ]


def _point_between(left: Box, right: Box, points: Iterable[Box]) -> bool:
    """Whether a decimal point, and no colon, stands between two characters."""
    low, high = left[0] + left[2], right[0]
    foot, size = left[1] + left[3], min(left[3], right[3])
    between = [
        abs(y + h - foot) <= 0.2 * size
        for x, y, w, h in points
        if low <= x
        and x + w <= high
        and max(w, h) <= _POINT * size
        and foot - size <= y <= foot + 0.2 * size
    ]
    return len(between) == 1 and between[0]


def _normalised(shown: NDArray[np.uint8], box: Box) -> Floats:
    """Cut a character out, scale it to the cell's height, centre it, and standardise it."""
    x, y, w, h = box
    patch = shown[y : y + h, x : x + w].astype(np.float64)
    scale = _CELL / max(h, w)
    size = max(1, round(w * scale)), max(1, round(h * scale))
    inner = cv2.resize(patch, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    cell = np.zeros((_CELL, _CELL))
    top, left = (_CELL - size[1]) // 2, (_CELL - size[0]) // 2
    cell[top : top + size[1], left : left + size[0]] = np.clip(inner, 0, None).reshape(size[::-1])
    blurred = np.asarray(cv2.GaussianBlur(cell, (0, 0), 0.9), dtype=np.float64)
    blurred -= blurred.mean()
    norm = float(np.linalg.norm(blurred))
    return blurred / norm if norm > 0 else blurred


def _compare(cell: Floats, alphabet: str) -> Floats:
    """Best correlation with each character over the typefaces, shape (len(alphabet),)."""
    faces = _typefaces(alphabet)
    correlations: Floats = (faces.reshape(*faces.shape[:2], -1) @ cell.ravel()).max(axis=0)
    return correlations


@functools.cache
def _typefaces(alphabet: str) -> Floats:
    """Characters as rendered in a few typefaces, shape (typefaces, characters, cell, cell)."""
    texts = [PAIRS.get(character, character) for character in alphabet]
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    names = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSansMono.ttf", "cmss10.ttf")
    fonts: list[ImageFont.FreeTypeFont | ImageFont.ImageFont] = [
        ImageFont.truetype(folder / name, 48) for name in names
    ]
    fonts.append(ImageFont.load_default(48))
    drawn = []
    for font in fonts:
        for stroke in (0, 1):
            cells = []
            for text in texts:
                image = Image.new("L", (160, 120))
                ImageDraw.Draw(image).text((30, 20), text, fill=255, font=font, stroke_width=stroke)
                cells.append(_cell_of(np.array(image), alone=len(text) == 1))
            drawn.append(cells)
    for face in (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_PLAIN):
        cells = []
        for text in texts:
            canvas = np.zeros((120, 240), np.uint8)
            scale = 2.0 if face != cv2.FONT_HERSHEY_PLAIN else 4.0
            cv2.putText(canvas, text, (30, 90), face, scale, 255, 4)
            cells.append(_cell_of(canvas, alone=len(text) == 1))
        drawn.append(cells)
    return np.array(drawn)


def _cell_of(canvas: NDArray[np.uint8], *, alone: bool) -> Floats:
    """Cell of what is drawn; of its tallest part only, for the dot of an i is another part."""
    if not alone:
        x, y, w, h = (int(v) for v in cv2.boundingRect((canvas > 100).astype(np.uint8)))
        return _normalised(canvas, (x, y, w, h))
    _, labels, stats, _ = cv2.connectedComponentsWithStats((canvas > 100).astype(np.uint8))
    part = 1 + int(np.asarray(stats)[1:, cv2.CC_STAT_HEIGHT].argmax())
    x, y, w, h = (int(v) for v in stats[part][:4])
    shown = np.where((labels == part) | (canvas <= 100), canvas, 0).astype(np.uint8)
    return _normalised(shown, (x, y, w, h))
