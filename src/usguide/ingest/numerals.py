"""Reading the few characters that label a ruler: digits, and the units cm and mm.

Not a text reader: the characters are small, clean and upright, and what they may say is decided
by the ruler they belong to. Each is compared with the same character in a few common typefaces.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.model import Floats

CHARACTERS = "0123456789cm"

_CELL = 20
"""Characters are compared at this height and width, px."""
_MIN_HEIGHT_PX = 6
_MAX_HEIGHT = 0.06
"""Tallest character, as a share of the frame's height."""
_MAX_GAP = 0.7
"""Widest gap between the characters of one label, as a share of their height."""


@dataclass(frozen=True, slots=True, eq=False)
class Label:
    """A few characters in a row.

    Parameters
    ----------
    box : (int, int, int, int)
        x, y, width, height.
    likeness : ndarray of float64, shape (characters, 12)
        How much each character looks like each of ``CHARACTERS``, -1 to 1.
    """

    box: tuple[int, int, int, int]
    likeness: Floats

    @property
    def clarity(self) -> float:
        """How much its characters look like any that are known, on average."""
        return float(self.likeness.max(axis=1).mean())


def find_labels(shown: NDArray[np.uint8]) -> list[Label]:
    """Find short rows of characters.

    Parameters
    ----------
    shown : ndarray of uint8, shape (height, width)
        Small bright things on black; a strip beside a ruler, without its marks.
    """
    labels: list[Label] = []
    peak = int(np.percentile(shown[shown > 30], 95)) if (shown > 30).any() else 0
    for share in (0.35, 0.55):
        if share * peak < 20:
            continue
        for box, parts in _rows((shown >= share * peak).astype(np.uint8), shown.shape[0]):
            likeness = np.stack([_compare(_normalised(shown, part)) for part in parts])
            labels.append(Label(box, likeness))
    # The same number is found at both levels: keep what looks more like one.
    labels.sort(key=lambda label: -label.clarity)
    kept: list[Label] = []
    for label in labels:
        if not any(_overlap(label.box, other.box) for other in kept):
            kept.append(label)
    return kept


Box = tuple[int, int, int, int]


def _overlap(one: Box, other: Box) -> bool:
    """Whether two boxes share more than half of the smaller one."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    smaller = min(one[2] * one[3], other[2] * other[3])
    return width > 0 and height > 0 and 2 * width * height > smaller


def _rows(bright: NDArray[np.uint8], height: int) -> list[tuple[Box, list[Box]]]:
    """Group things of a character's size into rows of at most four."""
    count, _, stats, _ = cv2.connectedComponentsWithStats(bright, connectivity=8)
    characters: list[Box] = []
    for label in range(1, count):
        x, y, w, h, area = (int(v) for v in stats[label])
        tall = _MIN_HEIGHT_PX <= h <= max(14.0, _MAX_HEIGHT * height)
        if tall and 0.12 * h <= w <= 1.4 * h and area >= 0.15 * w * h:
            characters.append((x, y, w, h))
    characters.sort()
    rows: list[list[Box]] = []
    for part in characters:
        for row in rows:
            last = row[-1]
            size = max(last[3], part[3])
            same_line = abs((last[1] + last[3]) - (part[1] + part[3])) <= max(1.5, 0.2 * size)
            gap = part[0] - (last[0] + last[2])
            if same_line and -1 <= gap <= _MAX_GAP * size and part[3] >= 0.55 * last[3]:
                row.append(part)
                break
        else:
            rows.append([part])
    found = []
    for row in rows:
        if len(row) > 4:
            continue
        x0, y0 = min(p[0] for p in row), min(p[1] for p in row)
        x1, y1 = max(p[0] + p[2] for p in row), max(p[1] + p[3] for p in row)
        found.append(((x0, y0, x1 - x0, y1 - y0), row))
    return found


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


def _compare(cell: Floats) -> Floats:
    """Best correlation with each character over the typefaces, shape (12,)."""
    correlations: Floats = np.einsum("fcyx,yx->fc", _typefaces(), cell).max(axis=0)
    return correlations


@functools.cache
def _typefaces() -> Floats:
    """Characters as rendered in a few typefaces, shape (typefaces, 12, cell, cell)."""
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
            for character in CHARACTERS:
                image = Image.new("L", (120, 120))
                ImageDraw.Draw(image).text(
                    (30, 20), character, fill=255, font=font, stroke_width=stroke
                )
                cells.append(_cell_of(np.array(image)))
            drawn.append(cells)
    for face in (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_PLAIN):
        cells = []
        for character in CHARACTERS:
            canvas = np.zeros((120, 120), np.uint8)
            scale = 2.0 if face != cv2.FONT_HERSHEY_PLAIN else 4.0
            cv2.putText(canvas, character, (30, 90), face, scale, 255, 4)
            cells.append(_cell_of(canvas))
        drawn.append(cells)
    return np.array(drawn)


def _cell_of(canvas: NDArray[np.uint8]) -> Floats:
    rows = np.flatnonzero(canvas.max(axis=1) > 100)
    columns = np.flatnonzero(canvas.max(axis=0) > 100)
    box = (
        int(columns[0]),
        int(rows[0]),
        int(columns[-1] - columns[0]) + 1,
        int(rows[-1] - rows[0]) + 1,
    )
    return _normalised(canvas, box)
