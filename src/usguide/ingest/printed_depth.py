"""The depth of the picture as the scanner prints it: ``Depth 4.0 cm``, ``D: 40 mm``, ``4.0cm``.

A printed depth tells no scale by itself, for a zoomed picture shows only a part of it. It tells
what the marks of an unnumbered ruler stand for, where the picture is as deep as printed with one
usual spacing of marks and with no other. What is printed of a measurement is no depth: it has
more digits, and other words before it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.ingest.numerals import ALPHABET, CHARACTERS, DIGITS, PAIRS, Label, find_labels
from usguide.ingest.ticks import LONG, Comb
from usguide.model import Region

_WORDS = ("D", "De", "Depth", "DEPTH", "Tiefe", "Profundidad", "Profondeur")
"""What is printed before a depth."""
_MOST_CHARACTERS = 14
"""Of a label that is read as a depth."""
_LEVELS = (0.3, 0.45, 0.6, 0.75)
"""Where strokes are cut out, as shares of the brightest ones ``_AROUND_PX`` around."""
_AROUND_PX = 15
"""Height of the surroundings whose brightest strokes a text is judged by; twice as wide."""
_DIMMEST = 20
"""Grey levels by which text stands out of the screen, at least."""
_ALIKE = 0.75
"""Least correlation of a digit with what it is read as; its lead over any other is ``_LEAD``."""
_LEAD = 0.05
_ALIKE_LETTER = 0.6
_ALIKE_WORD = 0.75
"""Least correlation of every letter and of all letters of a word; tuned, with the two above, on
synthetic screens."""
_ALIKE_ALONE = 0.85
"""The same where the word is a single letter."""
_WORD_GAP = 8.0
"""Widest gap between the word and the number, as a share of the digits' height: in columns."""
_UNIT_GAP = 1.5
"""Widest gap between the number and its unit, as a share of the digits' height."""
_ALONE_GAP = 3.0
"""The same share: nothing stands nearer to a number that is a depth without saying so."""

_SHALLOWEST_MM, _DEEPEST_MM, _DEEPEST_LINEAR_MM = 10.0, 400.0, 200.0
"""Depths that scanners image: skin probes start at 10 mm, abdominal ones end at 40 cm; a picture
that is no fan is a linear probe's, whose deepest setting lies well under 20 cm."""

_MARKS_MM = (0.5, 1.0, 2.0, 2.5, 5.0, 10.0, 20.0, 50.0)
"""What the marks of a ruler may stand for."""
_LONGER_MM: dict[float, tuple[float, ...]] = {
    0.5: (5.0,),
    1.0: (5.0, 10.0),
    2.0: (10.0,),
    2.5: (5.0, 10.0),
    5.0: (10.0, 50.0),
    10.0: (50.0, 100.0),
    20.0: (100.0,),
    50.0: (100.0,),
}
"""And the longer marks among them."""
_ROUNDED_MM = 0.5
"""Printed depths are rounded to a millimetre."""
_AS_DEEP = 0.025
"""How far a picture may be from as deep as printed: two real scanners are within 0.003."""
_AS_DEEP_FAN = 0.04
"""The same where the depth is that of a fitted fan."""
_MIN_MARKS, _MAX_MISSING = 3, 0.1
"""Fewest marks of a ruler that a depth can be laid along, and most of its places without one."""
_ALIKE_PX = 2
"""Most by which a few marks differ in width or height and are still those of one ruler."""
_MAX_CUT = 0.2
"""Marks that may be missing at an end, as a share of those found: hidden by what is drawn there."""
_END_PX = 4.0
_END = 0.015
"""How far a whole ruler's ends may be from the picture's, in px and as a share of its height."""


@dataclass(frozen=True, slots=True)
class PrintedDepth:
    """A depth in mm, and whether a word beside it says that it is one."""

    mm: float
    named: bool


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What a printed depth says about a ruler: what one of its marks stands for."""

    comb: Comb
    mark_mm: float
    depth: PrintedDepth


def find_depths(shown: NDArray[np.uint8], region: Region) -> list[PrintedDepth]:
    """Find what may be the printed depth.

    Parameters
    ----------
    shown : ndarray of uint8, shape (height, width)
        Small bright things on black.
    region : Region
        The B-mode picture, in which nothing is searched.
    """
    text = shown.copy()
    text[region.slices] = 0
    # Text of several colours stands side by side: each is judged by its own brightest strokes.
    around = np.ones((_AROUND_PX, 2 * _AROUND_PX), np.uint8)
    peak = np.maximum(np.asarray(cv2.dilate(text, around), np.float32), 1.0)
    text = np.where(text >= _DIMMEST, 255.0 * text / peak, 0.0).astype(np.uint8)
    # Small characters touch, and come apart between the pixels.
    larger = np.asarray(cv2.resize(text, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), np.uint8)
    depths = set()
    for size, level in itertools.product((text, larger), _LEVELS):
        words = find_labels(size, _MOST_CHARACTERS, ALPHABET, (level,))
        depths |= {depth for word in words if (depth := _depth(word, words)) is not None}
    return [depth for depth in depths if is_imaged(depth.mm, region)]


def is_imaged(mm: float, region: Region) -> bool:
    """Whether a scanner shows a picture so deep."""
    return _SHALLOWEST_MM <= mm <= (_DEEPEST_LINEAR_MM if region.fan is None else _DEEPEST_MM)


def is_never_imaged(mm: float) -> bool:
    """Whether no scanner shows a picture so deep, or so shallow even where it is zoomed."""
    return not _SHALLOWEST_MM / 2 <= mm <= _DEEPEST_MM


def picture_depth_px(region: Region) -> float:
    """Depth of the picture: its height, or the length of a fan's middle ray, px."""
    if region.fan is None:
        return float(region.height)
    return region.fan.radius_max_px - region.fan.radius_min_px


def fits_depth(depth: PrintedDepth, mm: float, region: Region) -> bool:
    """Whether a picture that is ``mm`` deep is as deep as printed."""
    off = _AS_DEEP if region.fan is None else _AS_DEEP_FAN
    return abs(mm - depth.mm) <= _ROUNDED_MM + off * depth.mm


def marks_by_depth(
    down: list[Comb], across: list[Comb], depths: list[PrintedDepth], region: Region
) -> list[Told]:
    """Find what the marks of whole rulers stand for, if the picture is as deep as printed.

    Without a word that names it, a number is only believed to be the depth if the longer marks
    then stand for what longer marks do.
    """
    named = [depth for depth in depths if depth.named]
    left, right = [float(region.x)], [float(region.x + region.width)]
    whole = [comb for comb in down if _whole(comb, *_ends(region), region.height)]
    whole += [comb for comb in across if _whole(comb, left, right, region.width)]
    told = []
    for comb in whole:
        for depth in named or depths:
            for mark_mm in _MARKS_MM:
                if not fits_depth(depth, picture_depth_px(region) / comb.step_px * mark_mm, region):
                    continue
                longer = _longer_marks(comb)
                usual = longer is not None and longer * mark_mm in _LONGER_MM[mark_mm]
                if usual or (longer is None and depth.named):
                    told.append(Told(comb, mark_mm, depth))
    return told


def _ends(region: Region) -> tuple[list[float], list[float]]:
    """Where a picture, and the fan in it, begin and end along y."""
    tops, bottoms = [float(region.y)], [float(region.y + region.height)]
    if region.fan is not None:
        apex = region.fan.apex_px[1]
        tops.append(apex + region.fan.radius_min_px)
        bottoms.append(apex + region.fan.radius_max_px)
    return tops, bottoms


def _whole(comb: Comb, begins: list[float], ends: list[float], length: float) -> bool:
    """Whether a comb goes from one end of the picture to the other, with hardly a mark missing."""
    places = int(comb.places[-1]) + 1
    if len(comb.places) < max(_MIN_MARKS, (1 - _MAX_MISSING) * places):
        return False
    # Few things in a row are a ruler only if none is missing and they are all alike.
    alike = np.ptp(comb.boxes[:, 2:], axis=0).max() <= _ALIKE_PX
    if len(comb.places) < LONG and (len(comb.places) < places or not alike):
        return False
    near = max(_END_PX, _END * length)
    last = comb.origin_px + comb.span_px
    cut = max(int(len(comb.places) >= LONG), int(_MAX_CUT * len(comb.places)))
    starts = any(
        abs(comb.origin_px - first * comb.step_px - begin) <= near
        for begin in begins
        for first in range(cut + 1)
    )
    rest = max(1, cut) * comb.step_px + near
    return starts and any(-near <= end - last <= rest for end in ends)


def _longer_marks(comb: Comb) -> int | None:
    """Return how many marks there are to a longer one; None where all are alike."""
    longer = np.array(sorted(comb.longest()))
    if not 2 <= len(longer) < len(comb.places):
        return None
    every = int(np.gcd.reduce(np.diff(longer)))
    # A mark may be hidden, but none is longer out of turn.
    return every if every > 1 else None


# --- reading ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Number:
    """Letters before a number, its value, its decimals, and its unit, of one label."""

    letters: int
    value: float
    decimals: int
    unit: str
    whole: bool
    """Whether nothing follows that might be a unit."""


def _depth(word: Label, words: list[Label]) -> PrintedDepth | None:
    """Read a label as a depth, with its unit and the word that names it around it."""
    x, y, w, h = word.box
    beside = [
        other
        for other in words
        if other is not word
        and abs((other.box[1] + other.box[3]) - (y + h)) <= max(2.0, 0.3 * h)
        and 0.5 * h <= other.box[3] <= 2.0 * h
    ]
    left = max((o for o in beside if o.box[0] < x), key=lambda o: o.box[0], default=None)
    right = min((o for o in beside if o.box[0] > x), key=lambda o: o.box[0], default=None)
    left_gap = np.inf if left is None else x - (left.box[0] + left.box[2])
    right_gap = np.inf if right is None else right.box[0] - (x + w)
    for number in _numbers(word):
        unit = number.unit
        if right is not None and not unit and right_gap <= _UNIT_GAP * h:
            unit = _unit(right.likeness)
            right_gap = np.inf if unit else right_gap
        name = ""
        if number.letters:
            name = _name(word.likeness[: number.letters])
        elif left is not None and left_gap <= _WORD_GAP * h:
            name = _name(left.likeness)
        alone = not number.letters and min(left_gap, right_gap) > _ALONE_GAP * h
        if len(name) > 2 and number.decimals and number.whole and right_gap > _UNIT_GAP * h:
            unit = unit or "cm"  # no picture is 4.0 mm deep
        if not unit or not (name or alone):
            continue
        # A depth is set to a millimetre; a length is measured to a tenth of one.
        exact = number.decimals - (1 if unit == "cm" else 0)
        if exact > (1 if len(name) > 1 else 0):
            continue
        return PrintedDepth(number.value * (10.0 if unit == "cm" else 1.0), bool(name))
    return None


def _numbers(word: Label) -> list[_Number]:
    """Every way to read a label as letters, a number and its unit; the unit may be unreadable."""
    characters = len(word.likeness)
    digits = word.likeness[:, : len(CHARACTERS)]
    best = digits.argmax(axis=1)
    second = np.sort(digits, axis=1)[:, -2]
    top = digits.max(axis=1)
    sure = (best < len(DIGITS)) & (top >= _ALIKE) & (top - second >= _LEAD)
    found = []
    for letters in sorted({0, *(len(name) for name in _WORDS)}):
        stop = letters
        while stop < characters and sure[stop]:
            stop += 1
        if not 1 <= stop - letters <= 4 or characters - stop > 3:
            continue
        point = word.point if word.point is not None and word.point > letters else stop
        if point > stop or (point == stop and word.point == stop < characters):
            continue
        decimals = stop - point
        unit = _unit(word.likeness[stop:])
        if not unit and stop < characters and not letters:
            continue
        text = "".join(str(int(digit)) for digit in best[letters:stop])
        found.append(_Number(letters, int(text) / 10**decimals, decimals, unit, stop == characters))
    return found


def _unit(likeness: NDArray[np.float64]) -> str:
    """Read characters as cm or mm; empty where they are neither."""
    said = "".join(ALPHABET[int(row.argmax())] for row in likeness)
    said = PAIRS.get(said, said)
    clear = len(likeness) > 0 and likeness.max(axis=1).min() >= _ALIKE_LETTER
    return said if clear and said in ("cm", "mm") else ""


def _name(likeness: NDArray[np.float64]) -> str:
    """Read characters as one of the words for depth; empty where they are none."""
    for name in _WORDS:
        if len(name) != len(likeness):
            continue
        alike = np.array([row[ALPHABET.index(c)] for row, c in zip(likeness, name, strict=True)])
        if len(name) == 1:
            lead = alike[0] - np.delete(likeness[0], ALPHABET.index(name)).max()
            if alike[0] >= _ALIKE_ALONE and lead > 0:
                return name
        elif (
            alike.min() >= _ALIKE_LETTER
            and alike.mean() >= _ALIKE_WORD
            and (likeness.max(axis=1) - alike).mean() <= _LEAD
        ):
            return name
    return ""
