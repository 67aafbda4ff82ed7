"""A comparison in words: what the terminal's table and the page both say."""

from __future__ import annotations

from usguide.followup.change import Change, Verdict
from usguide.followup.comparison import Comparison, Sides
from usguide.model import Measurement


def verdict_words(verdict: Verdict, sides: Sides) -> str:
    """Return the verdict as a person says it."""
    if verdict is Verdict.NOT_COMPARABLE:
        return "not comparable"
    if sides is Sides.OTHER:
        return "differs" if verdict is Verdict.CHANGED else "not shown to differ"
    return "changed" if verdict is Verdict.CHANGED else "not shown to have changed"


def times(sides: Sides) -> tuple[str, str]:
    """Return what the two examinations are called."""
    return ("first side", "second side") if sides is Sides.OTHER else ("before", "after")


def value_words(measurement: Measurement | None) -> str:
    """Return a measured value with its unit, or a dash."""
    if measurement is None:
        return "–"
    return f"{measurement.value:.{_digits(measurement)}f}{_unit(measurement)}"


def interval_words(measurement: Measurement | None) -> str:
    """Return the ends of the 95 % interval."""
    if measurement is None:
        return ""
    low, high, digits = measurement.low, measurement.high, _digits(measurement)
    # An end that is not zero, on the side that decides, does not read as zero.
    if low * high > 0 and 0.0 in (round(low, digits), round(high, digits)):
        digits += 1
    return f"{_shown(low, digits)} to {_shown(high, digits)}"


def change_words(change: Change) -> str:
    """Return by how much it changed, with its sign and unit; a dash where that is not known."""
    if change.change is None:
        return "–"
    return _shown(change.change.value, _digits(change.change), "+") + _unit(change.change)


def headline(comparison: Comparison) -> str:
    """Return the comparison in one sentence."""
    compared = [one for one in comparison.changes if one.change is not None]
    if not compared:
        return "Nothing could be compared."
    changed = sum(one.verdict is Verdict.CHANGED for one in compared)
    other = comparison.sides is Sides.OTHER
    if not changed:
        shown = "shown to differ" if other else "shown to have changed"
        return f"None of the {len(compared)} quantities that could be compared is {shown}."
    verb = "differ" if other else "changed"
    which = "All" if changed == len(compared) else f"{changed} of the"
    return f"{which} {len(compared)} quantities that could be compared {verb}."


def _shown(value: float, digits: int, sign: str = "-") -> str:
    # Adding zero turns -0.0 into 0.0, which has no sign.
    rounded = round(value, digits) + 0.0
    return f"{rounded:{sign if rounded else ''}.{digits}f}".replace("-", "−")


def _digits(measurement: Measurement) -> int:
    return 1 if measurement.unit == "mm" else 0


def _unit(measurement: Measurement) -> str:
    return f" {measurement.unit}" if measurement.unit in ("mm", "px") else ""
