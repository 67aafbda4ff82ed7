"""What a column of the table of clips is, and how the usual ones are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from usguide.model import (
    Analysis,
    ContractionResult,
    FasciaResult,
    Measurement,
    MuscleResult,
    NeedleTrack,
)

Cell = str | float | int | None
Row = Mapping[str, Cell]
"""A clip's cells by the names of their columns."""

Value = Callable[[Analysis], Cell]
Stage = FasciaResult | MuscleResult | NeedleTrack | ContractionResult


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table.

    Parameters
    ----------
    name : str
        Ends in its unit where it has one.
    kind : str
        ``text``, ``number`` or ``count``.
    unit : str
        As printed; empty for none.
    about : str
        What it says, in a few words.
    value : callable or None
        Reads it from an analysis; None for what the archive knows of a clip.
    """

    name: str
    kind: str
    unit: str
    about: str
    value: Value | None = None


def text(name: str, about: str, value: Value | None = None) -> Column:
    """Return a column of words."""
    return Column(name, "text", "", about, value)


def count(name: str, about: str, value: Value | None = None) -> Column:
    """Return a column of whole numbers."""
    return Column(name, "count", "", about, value)


def number(name: str, unit: str, about: str, value: Value | None = None) -> Column:
    """Return a column of numbers in a unit."""
    return Column(name, "number", unit, about, value)


def measurement(
    name: str, unit: str, about: str, read: Callable[[Analysis], Measurement | None]
) -> Iterator[Column]:
    """Yield a measurement's value and its 95 % interval."""

    def part(which: str) -> Value:
        def value(analysis: Analysis) -> Cell:
            found = read(analysis)
            return None if found is None else float(getattr(found, which))

        return value

    yield number(name, unit, about, part("value"))
    yield number(f"{name}_low", unit, "lower end of its 95 % interval", part("low"))
    yield number(f"{name}_high", unit, "upper end of its 95 % interval", part("high"))


def status(stage: str, about: str, read: Callable[[Analysis], Stage]) -> Iterator[Column]:
    """Yield whether a stage measured, and why not."""
    yield text(f"{stage}_status", about, lambda a: read(a).status.value)
    yield text(f"{stage}_reason", "and why not", lambda a: read(a).reason or None)
