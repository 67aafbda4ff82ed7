"""Numbers, reasons and states as a person says them: in the report and in the terminal."""

from __future__ import annotations

from usguide.model import Status

_STATUS_WORDS = {
    Status.MEASURED: "measured",
    Status.NONE_FOUND: "not in view",
    Status.NOT_MEASURED: "not measured",
    Status.NOT_REQUESTED: "not asked for",
}


def status_words(status: Status) -> str:
    """Return the status as a person says it."""
    return _STATUS_WORDS[status]


def sentence(text: str) -> str:
    """Return words as a sentence: a capital at its start, a full stop at its end."""
    clause = text.strip().removesuffix(".")
    return f"{clause[0].upper()}{clause[1:]}." if clause else ""


def because(reason: str) -> str:
    """Return a stage's one-sentence reason as a clause that can follow 'because'."""
    clause = reason.strip().removesuffix(".")
    # "B-mode", "DICOM" and "X-ray" keep their capitals.
    if len(clause) > 1 and clause[1].islower():
        clause = clause[0].lower() + clause[1:]
    return clause


_DIGITS = {"mm": 1, "px": 0, "%": 0}


def number(value: float, unit: str, digits: int | None = None) -> str:
    """Return a number with as many digits as its unit deserves, unless told how many."""
    if digits is None:
        digits = _DIGITS.get(unit, 2)
    # Adding zero turns -0.0 into 0.0.
    shown = f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")
    return f"{shown} {unit}" if unit in _DIGITS else shown


def confidence(probability: float) -> str:
    """Return a confidence, 0 to 1, in words; none is ever said to be certain."""
    percent = 100 * probability
    return "confidence over 99 %" if percent > 99 else f"confidence {number(percent, '%')}"
