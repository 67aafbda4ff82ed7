"""The scale from the ruler on the screen, where its numbers can be read for certain.

The spacing of ticks alone does not tell 5 mm from 10 mm, so it is never used alone: a comb of
marks becomes a scale only if the numbers beside it grow with their place in the comb, by a step
that rulers have, and with no other reading about as likely. Centimetres and millimetres are told
apart by the depth they imply, which must be one that a scanner can image, or by a printed unit.
A wrong scale is worse than none: in doubt, there is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usguide.ingest.numerals import CHARACTERS, Label, find_labels
from usguide.ingest.ticks import Comb, find_combs, stand_out
from usguide.model import Bools, Calibration, CalibrationSource, Frame, Region

_STEPS = (0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0, 10.0, 20.0)
"""What one mark of a ruler may stand for, in the unit of its numbers."""
_MM = {"cm": 10.0, "mm": 1.0}
_SHALLOWEST_MM, _DEEPEST_MM, _DEEPEST_LINEAR_MM = 10.0, 400.0, 200.0
"""Depths that scanners image: skin probes start at 10 mm, abdominal ones end at 40 cm; a picture
that is no fan is a linear probe's, whose deepest setting lies well under 20 cm."""

_LABEL_STRIP = 0.13
"""Width of the strip beside the marks that is searched for numbers, as a share of the frame."""
_LABEL_REACH = 3.0
"""Farthest that a number stands from the marks, in heights of its characters."""
_CLOSE = 1.5
"""The same for a number that stands alone."""
_OFF_PLACE = 0.35
"""Farthest that a number stands from its mark along the ruler, in steps."""
_ALIKE = 0.75
"""Least correlation of each character with what it should be."""
_CLEAR = 0.88
"""Correlation from which on a character is read for certain; read against the ruler, it vetoes."""
_CERTAIN = 0.95
"""Correlation from which on an upright stroke below a zero is a 1."""
_MARGIN = 0.05
"""Least lead of each character over any other reading, and three times that for one number alone.
This, the two above and the reach were tuned on nine real rulers and on synthetic ones."""
_SAME_HEIGHT = 0.25
_SQUARE = 0.015
"""How far the two rulers of a screen may differ where its pixels are square."""
_LONG = 5
"""Marks from which on an unnumbered comb is certainly a ruler, and one number may be enough."""
_STRETCHED = 0.1
"""Up to which they differ where its pixels are not; farther off, one of them is no ruler."""


@dataclass(frozen=True, slots=True, eq=False)
class Ruler:
    """What the rulers on a screen say.

    Parameters
    ----------
    calibration : Calibration or None
        None where no scale is certain.
    reason : str
        Why there is none, for the reader; empty where there is one.
    marks : ndarray of int64, shape (n, 4)
        x, y, width, height of the marks found, which are no echoes.
    """

    calibration: Calibration | None
    reason: str
    marks: NDArray[np.int64]

    def mask(self, region: Region, margin: int = 2) -> Bools:
        """Pixels of the region under marks, shape (region.height, region.width)."""
        mask = np.zeros((region.height, region.width), dtype=np.bool_)
        for x, y, width, height in self.marks - [region.x, region.y, 0, 0]:
            rows = slice(max(0, y - margin), max(0, y + height + margin))
            mask[rows, max(0, x - margin) : max(0, x + width + margin)] = True
        return mask


@dataclass(frozen=True, slots=True, eq=False)
class _Beside:
    """A label beside a comb: the nearest place, and how far and where it is across the comb."""

    place: int
    gap: int
    low: int
    high: int
    label: Label

    def lines_up_with(self, other: _Beside) -> bool:
        """Whether both could be numbers of one ruler: as tall, and in one line."""
        height = self.label.box[3]
        apart = min(
            abs(self.low - other.low),
            abs(self.high - other.high),
            abs(self.low + self.high - other.low - other.high) / 2,
        )
        same = abs(other.label.box[3] - height) <= max(1.5, _SAME_HEIGHT * height)
        return same and apart <= max(1.5, _SAME_HEIGHT * height)


@dataclass(frozen=True, slots=True)
class _Number:
    """How well a label says a number: least likeness of its digits, and their summed lead."""

    likeness: float
    lead: float
    unit: str | None


@dataclass(frozen=True, slots=True)
class _Reading:
    """A step per place, in the numbers' unit, that explains the numbers beside a comb."""

    step: float
    score: float
    numbers: int
    unit: str | None
    clear: bool
    alone_at: int


def read_ruler(samples: NDArray[np.uint8], region: Region) -> Ruler:
    """Read the rulers of a screen.

    Parameters
    ----------
    samples : ndarray of uint8, shape (k, height, width)
        Luma of a few frames spread over the recording.
    region : Region
        The B-mode picture.
    """
    still: Frame = samples.min(axis=0)
    none = np.empty((0, 4), dtype=np.int64)
    if min(region.width, region.height) < 64:
        return Ruler(None, "the picture is too small to show a ruler", none)
    down = find_combs(still, (region.x, region.y, region.width, region.height))
    turned = np.ascontiguousarray(still.T)
    across = find_combs(turned, (region.y, region.x, region.height, region.width))
    marks = np.concatenate(
        [none, *(comb.boxes for comb in down), *(c.boxes[:, [1, 0, 3, 2]] for c in across)]
    )
    if not down and not across:
        return Ruler(None, "no ruler was found beside the picture", none)

    shown = stand_out(still)
    certain = []
    for combs, along_x, zero in ((down, False, region.y), (across, True, region.x)):
        for comb in combs:
            for labels in _labels(comb, shown, along_x):
                reading = _read(labels, comb, zero)
                if reading is not None:
                    certain.append((comb, reading))
    if not certain:
        return Ruler(None, "a ruler was found, but its numbers cannot be read for certain", marks)
    scales = {}
    for comb, reading in certain:
        unit = reading.unit or _unit_by_depth(comb, reading, region)
        if unit is None:
            return Ruler(None, "the ruler's numbers may be centimetres or millimetres", marks)
        scales[reading.step * _MM[unit] / comb.step_px] = comb, reading, unit
    if max(scales) > (1 + _SQUARE) * min(scales):
        return Ruler(None, "the rulers on the screen contradict each other", marks)
    mm_per_px, (comb, reading, unit) = max(scales.items(), key=lambda item: item[1][1].score)
    how = _agreement(down, across)
    if how is None:
        return Ruler(None, "the rulers along x and y do not fit together", marks)
    calibration = Calibration(
        mm_per_px,
        mm_per_px,
        CalibrationSource.RULER,
        0.95 if reading.numbers > 1 else 0.85,
        f"ruler on the screen: {len(comb.places)} marks every {comb.step_px:.2f} px, "
        f"{reading.step * _MM[unit]:g} mm each, by {reading.numbers} number(s) in {unit}; {how}",
    )
    return Ruler(calibration, "", marks)


def _read(beside: list[_Beside], comb: Comb, zero: int) -> _Reading | None:
    """Find the one reading of the numbers on a side of a comb, None where there is none or two."""
    # The first mark is zero, or hidden: then zero is where the picture starts.
    hidden = max(0, round((comb.origin_px - zero) / comb.step_px))
    readings = [
        reading
        for first in {0, hidden}
        for step in _STEPS
        if (reading := _explain(beside, first, step)) is not None
    ]
    if not readings:
        return None
    readings.sort(key=lambda reading: -reading.score)
    best = readings[0]
    # Three or four things in a row may be anything, unless nearly each has its number.
    enough = max(2, len(comb.places) - 2) if len(comb.places) < _LONG else 1
    if best.numbers < enough or (enough > 1 and not best.clear):
        return None
    if best.numbers == 1 and best.alone_at not in comb.longest():
        return None
    rivals = [r for r in readings[1:] if r.step != best.step and r.score > 0.5 * best.score]
    return None if rivals else best


def _labels(comb: Comb, shown: NDArray[np.uint8], along_x: bool) -> Iterator[list[_Beside]]:
    """Labels close to the marks, on one side and then on the other."""
    limit = shown.shape[0] if along_x else shown.shape[1]
    strip = round(_LABEL_STRIP * limit)
    last = int(comb.places[-1])
    for start, stop in ((comb.left - strip, comb.left), (comb.right, comb.right + strip)):
        start, stop = max(0, start), min(limit, stop)
        if stop - start < 5:
            continue
        piece = shown[start:stop] if along_x else shown[:, start:stop]
        found = []
        for label in find_labels(np.ascontiguousarray(piece)):
            x, y, w, h = label.box
            low, size, middle = (y, h, x + (w - 1) / 2) if along_x else (x, w, y + (h - 1) / 2)
            gap = max(comb.left - (start + low + size), start + low - comb.right)
            place = (middle - comb.origin_px) / comb.step_px
            nearest = min(max(round(place), 0), last)
            # The first and the last number are often moved inwards, to stay on the screen.
            off = (2.0 if nearest in (0, last) else 1.0) * h
            near = min(_OFF_PLACE, off / comb.step_px)
            if gap <= _LABEL_REACH * h and abs(place - nearest) <= near:
                found.append(_Beside(nearest, gap, start + low, start + low + size, label))
        yield found


def _explain(beside: list[_Beside], first: int, step: float) -> _Reading | None:
    """Read the labels as ``step`` times their place; None where they do not say so.

    Parameters
    ----------
    beside : list of _Beside
        What may be numbers, on one side of the comb.
    first : int
        Steps from zero to the first mark.
    step : float
        What a step stands for.
    """
    said: list[tuple[_Number, _Beside]] = []
    others = []
    for each in beside:
        value = (each.place + first) * step
        whole = abs(value - round(value)) < 1e-6
        number = _as_number(each.label, f"{value:.0f}") if whole else None
        if number is not None:
            said.append((number, each))
        elif _clear_number(each.label):
            others.append(each)
    if not said:
        return None
    said.sort(key=lambda entry: -entry[0].lead)
    # The line of numbers is the one on which most is said.
    model = max(
        (each for _, each in said),
        key=lambda one: sum(n.lead for n, other in said if one.lines_up_with(other)),
    )
    if any(model.lines_up_with(other) for other in others):
        return None
    numbers: dict[int, _Number] = {}
    for number, each in said:
        if model.lines_up_with(each) and each.place not in numbers:
            numbers[each.place] = number
    # A zero says where the ruler starts, but not how large a step is.
    zero = 0.1 if numbers.pop(-first, None) is not None else 0.0
    if not numbers:
        return None
    lead = sum(number.lead for number in numbers.values()) + zero
    least = min(number.likeness for number in numbers.values())
    unit = next((number.unit for number in numbers.values() if number.unit), None)
    if len(numbers) == 1:
        place = next(iter(numbers))
        # Anything upright looks like a 1; under a clear 0 it is one.
        one = abs((place + first) * step - 1) < 1e-6 and not (zero and least >= _CERTAIN)
        printed = 0.1 if unit else 0.0
        far = model.gap > _CLOSE * model.label.box[3] and not unit
        if one or far or lead + printed < 3 * _MARGIN or least + zero + printed < _CLEAR:
            return None
    score = lead + 0.2 * (len(numbers) - 1)
    return _Reading(step, score, len(numbers), unit, least >= _CLEAR, min(numbers))


def _as_number(label: Label, text: str) -> _Number | None:
    """Read a label as a given number, perhaps with its unit; None where it does not say so."""
    characters = len(label.likeness)
    if not len(text) <= characters <= len(text) + 2:
        return None
    likeness, leads = [], []
    for row, digit in zip(label.likeness, text, strict=False):
        index = CHARACTERS.index(digit)
        likeness.append(float(row[index]))
        leads.append(float(row[index] - np.delete(row, index).max()))
    if min(likeness) < _ALIKE or min(leads) < _MARGIN:
        return None
    unit = None
    if characters > len(text):
        said = "".join(CHARACTERS[int(row.argmax())] for row in label.likeness[len(text) :])
        if said not in ("c", "cm", "mm"):
            return None
        unit = "cm" if said.startswith("c") else "mm"
    return _Number(min(likeness), sum(leads), unit)


def _clear_number(label: Label) -> bool:
    """Whether a label is certainly a number, whatever it says."""
    best = label.likeness.argmax(axis=1)
    second = np.sort(label.likeness, axis=1)[:, -2]
    top = label.likeness.max(axis=1)
    return bool((best < 10).all() and (top >= 0.85).all() and (top - second >= _MARGIN).all())


def _unit_by_depth(comb: Comb, reading: _Reading, region: Region) -> str | None:
    """Find the unit that makes the picture as deep as scanners image, if only one does."""
    depth = region.height / comb.step_px * reading.step
    deepest = _DEEPEST_LINEAR_MM if region.fan is None else _DEEPEST_MM
    possible = [u for u, mm in _MM.items() if _SHALLOWEST_MM <= depth * mm <= deepest]
    if len(possible) == 2 and region.fan is not None and region.fan.radius_min_px > 0:
        # A curved probe's picture is never a few centimetres deep only.
        return "cm"
    return possible[0] if len(possible) == 1 else None


def _agreement(down: list[Comb], across: list[Comb]) -> str | None:
    """Say how rulers along x and y bear out that pixels are square; None if they do not."""
    wholes = np.array([1.0, 0.2, 0.25, 0.4, 0.5, 2.0, 2.5, 4.0, 5.0])
    long = [[c for c in combs if len(c.places) >= _LONG] for combs in (down, across)]
    how = "square pixels assumed"
    for one in long[0]:
        for other in long[1]:
            off = float(np.abs(other.step_px / one.step_px / wholes - 1).min())
            if off <= _SQUARE:
                return "the rulers along x and y agree"
            if off <= _STRETCHED:
                how = ""
    return how or None
