"""The numbers beside a comb of marks: what a step of the comb stands for in their unit.

A reading needs numbers that grow with their place in the comb, by a step that rulers have, and no
other reading about as likely.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usguide.ingest.numerals import CHARACTERS, DIGITS, Label, find_labels
from usguide.ingest.ticks import LONG, Comb

_STEPS = (0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0, 10.0, 20.0)
"""What one mark of a ruler may stand for, in the unit of its numbers."""
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
_SAME_OFF_PX = 2.5
"""How much the heights of one ruler's numbers may differ, and their distances from its marks, as
a share of their height and at least in px."""
_MANY = 3
"""Numbers in a row that need not all be clear to be believed."""


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """A label beside a comb: the nearest place, and where it is along and across the comb.

    Its middle is ``off`` px past the nearest place; it is ``gap`` px away from the marks, and
    reaches from ``low`` to ``high``.
    """

    place: int
    off: float
    gap: int
    low: int
    high: int
    label: Label

    def lines_up_with(self, other: Beside) -> bool:
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
class Reading:
    """A step per place, in the numbers' unit, that explains the numbers beside a comb."""

    step: float
    score: float
    numbers: int
    unit: str | None
    clear: bool
    alone_at: int


def read_numbers(beside: list[Beside], comb: Comb, zero: int) -> Reading | None:
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
    enough = max(2, len(comb.places) - 2) if len(comb.places) < LONG else 1
    if best.numbers < enough or (enough > 1 and best.numbers < _MANY and not best.clear):
        return None
    if best.numbers == 1 and best.alone_at not in comb.longest():
        return None
    rivals = [r for r in readings[1:] if r.step != best.step and r.score > 0.5 * best.score]
    return None if rivals else best


def labels_beside(comb: Comb, shown: NDArray[np.uint8], along_x: bool) -> Iterator[list[Beside]]:
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
                away = (place - nearest) * comb.step_px
                found.append(Beside(nearest, away, gap, start + low, start + low + size, label))
        yield found


def _explain(beside: list[Beside], first: int, step: float) -> Reading | None:
    """Read the labels as ``step`` times their place; None where they do not say so.

    Parameters
    ----------
    beside : list of Beside
        What may be numbers, on one side of the comb.
    first : int
        Steps from zero to the first mark.
    step : float
        What a step stands for.
    """
    said: list[tuple[_Number, Beside]] = []
    others = []
    for each in beside:
        number = _as_value(each.label, (each.place + first) * step)
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
    numbers = _as_evenly_spaced(
        [(number, each) for number, each in said if model.lines_up_with(each)]
    )
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
    return Reading(step, score, len(numbers), unit, least >= _CLEAR, min(numbers))


def _as_evenly_spaced(said: list[tuple[_Number, Beside]]) -> dict[int, _Number]:
    """Numbers by place: the most that are as far apart as their marks.

    The first and the last number of a ruler may be moved inwards; but a comb that is not the
    numbers' own has other steps than they have.
    """
    agreeing: dict[int, _Number] = {}
    for _, model in said:
        same = max(_SAME_OFF_PX, _SAME_HEIGHT * model.label.box[3])
        group: dict[int, _Number] = {}
        for number, each in said:
            if abs(each.off - model.off) <= same:
                group.setdefault(each.place, number)
        if len(group) > len(agreeing):
            agreeing = group
    return agreeing


def _as_value(label: Label, value: float) -> _Number | None:
    """Read a label as a given value, with or without decimals; None where it does not say so."""
    forms = {f"{value:.{decimals}f}" for decimals in (0, 1, 2)}
    numbers = [_as_number(label, form) for form in forms if abs(float(form) - value) < 1e-6]
    return max((n for n in numbers if n is not None), key=lambda n: n.lead, default=None)


def _as_number(label: Label, text: str) -> _Number | None:
    """Read a label as a given number, perhaps with its unit; None where it does not say so."""
    characters = len(label.likeness)
    point = text.index(".") if "." in text else None
    digits = text.replace(".", "")
    if not len(digits) <= characters <= len(digits) + 2 or label.point != point:
        return None
    likeness, leads = [], []
    for row, digit in zip(label.likeness, digits, strict=False):
        index = CHARACTERS.index(digit)
        likeness.append(float(row[index]))
        leads.append(float(row[index] - np.delete(row, index).max()))
    if min(likeness) < _ALIKE or min(leads) < _MARGIN:
        return None
    unit = None
    if characters > len(digits):
        said = "".join(CHARACTERS[int(row.argmax())] for row in label.likeness[len(digits) :])
        if said not in ("c", "cm", "mm"):
            return None
        unit = "cm" if said.startswith("c") else "mm"
    return _Number(min(likeness), sum(leads), unit)


def _clear_number(label: Label) -> bool:
    """Whether a label is certainly a number, whatever it says."""
    best = label.likeness.argmax(axis=1)
    second = np.sort(label.likeness, axis=1)[:, -2]
    top = label.likeness.max(axis=1)
    return bool(
        (best < len(DIGITS)).all() and (top >= 0.85).all() and (top - second >= _MARGIN).all()
    )
