"""A change between two measurements, judged against the minimal detectable change.

Two measurements of the same thing differ although nothing changed: the probe lies elsewhere, the
rater reads another border. The smallest change that this alone does not explain in 95 of 100
cases is, from the standard error of measurement SEM (the typical error) of one of them,

    MDC = 1.96 * sqrt(2) * SEM

(Weir 2005, J Strength Cond Res 19:231). Where a repeatability study gives a standard deviation SD
and an intraclass correlation ICC instead, SEM = SD * sqrt(1 - ICC) (same source).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import hypot, sqrt

from usguide.model import Z_95, Measurement

FASCIA_TYPICAL_ERROR = (0.034, 0.084)
"""Typical error of a rater over the thickness, the best and the worst reported in heel patients
(J Clin Ultrasound 44:480)."""

MUSCLE_THICKNESS_MDC_MM = 3.2
"""Upper end of those reported for gastrocnemius thickness, test and retest
(doi 10.1371/journal.pone.0258014, PMC8480904)."""

ECHO_INTENSITY_SD, ECHO_INTENSITY_ICC = 12.04, 0.89
"""Rectus femoris, one rater on two days, grey levels of 0 to 255 (PMC6851723)."""


class Verdict(StrEnum):
    """What may be said of a change."""

    CHANGED = "changed"
    NOT_SHOWN = "not_shown_to_have_changed"
    NOT_COMPARABLE = "not_comparable"


@dataclass(frozen=True, slots=True)
class DetectableChange:
    """Minimal detectable change, from the best and the worst repeatability reported.

    Parameters
    ----------
    low, high : float
        Equal where one study is all there is; ``high`` decides.
    unit : str
        Unit of both.
    basis : str
        What it was worked out from, with its source.
    """

    low: float
    high: float
    unit: str
    basis: str


@dataclass(frozen=True, slots=True)
class Change:
    """One quantity before and after.

    Parameters
    ----------
    name : str
        As the column of ``clips.csv``.
    label : str
        In words.
    before, after : Measurement or None
        None where it was not measured.
    verdict : Verdict
        What may be said.
    reason : str
        Why, as a clause.
    change : Measurement or None
        After less before, with its 95 % interval; None where the two cannot be compared.
    detectable : DetectableChange or None
        What it was held against.
    """

    name: str
    label: str
    before: Measurement | None
    after: Measurement | None
    verdict: Verdict
    reason: str
    change: Measurement | None = None
    detectable: DetectableChange | None = None


def minimal_detectable_change(sem: float) -> float:
    """Return 1.96 * sqrt(2) * SEM, in the SEM's unit."""
    return Z_95 * sqrt(2.0) * sem


def difference(before: Measurement, after: Measurement) -> Measurement:
    """Return after less before, its interval recovered from the two (Zou and Donner 2008).

    Stat Med 27:1693: the half-widths on the sides that matter add in squares, so that neither
    interval has to be symmetric.

    Raises
    ------
    ValueError
        If the units differ.
    """
    if before.unit != after.unit:
        raise ValueError(f"{before.unit} and {after.unit} are not the same unit")
    value = after.value - before.value
    return Measurement(
        value,
        value - hypot(after.value - after.low, before.high - before.value),
        value + hypot(after.high - after.value, before.value - before.low),
        after.unit,
    )


def fascia_thickness_detectable(before: Measurement, after: Measurement) -> DetectableChange:
    """Return that of fascia thickness: 0.4 to 0.9 mm at 4 mm."""
    thickness = (before.value + after.value) / 2
    low, high = (minimal_detectable_change(e * thickness) for e in FASCIA_TYPICAL_ERROR)
    return DetectableChange(
        low,
        high,
        after.unit,
        "typical error of 3.4 to 8.4 % of the thickness within a rater (J Clin Ultrasound 44:480)",
    )


def muscle_thickness_detectable(before: Measurement, after: Measurement) -> DetectableChange:  # noqa: ARG001
    """Return that of muscle thickness."""
    return DetectableChange(
        MUSCLE_THICKNESS_MDC_MM,
        MUSCLE_THICKNESS_MDC_MM,
        after.unit,
        "gastrocnemius thickness, test and retest by hand (doi 10.1371/journal.pone.0258014)",
    )


def echo_intensity_detectable(before: Measurement, after: Measurement) -> DetectableChange:  # noqa: ARG001
    """Return that of echo intensity, between clips made with the same settings."""
    sem = ECHO_INTENSITY_SD * sqrt(1.0 - ECHO_INTENSITY_ICC)
    least = minimal_detectable_change(sem)
    return DetectableChange(
        least,
        least,
        after.unit,
        "rectus femoris, one rater on two days: SD 12.0, ICC 0.89 (PMC6851723)",
    )


def own_detectable(before: Measurement, after: Measurement) -> DetectableChange:
    """Return what the two intervals alone make detectable, where no study of repeats is known.

    The SEM of each is the half-width of its interval over 1.96, and MDC = 1.96 times the root of
    their squares' sum, which is the formula above for two SEMs that differ.
    """
    sem = [(one.high - one.low) / (2 * Z_95) for one in (before, after)]
    least = Z_95 * hypot(*sem)
    return DetectableChange(
        least,
        least,
        after.unit,
        "the intervals of the two clips alone: no study of repeats is known, so how the probe was "
        "placed and how hard the muscle pulled are not in it",
    )


def judge(change: Measurement, detectable: DetectableChange) -> tuple[Verdict, str]:
    """Hold a change against its own interval and against the minimal detectable change.

    Returns
    -------
    verdict : Verdict
        Changed only where the interval leaves out zero *and* the change is not less than the
        minimal detectable change at the worst repeatability reported.
    reason : str
    """
    least, most, unit = detectable.low, detectable.high, _printed(detectable.unit)
    size = abs(change.value)
    span = f"{least:.1f}" if f"{least:.1f}" == f"{most:.1f}" else f"{least:.1f} to {most:.1f}"
    held_against = f"the minimal detectable change of {span}{unit}"
    if size < least:
        return Verdict.NOT_SHOWN, f"less than {held_against}"
    if change.low <= 0 <= change.high:
        return Verdict.NOT_SHOWN, "its interval includes no change"
    if size < most:
        return (
            Verdict.NOT_SHOWN,
            f"more than {least:.1f}{unit}, which the most repeatable rater can detect, but "
            f"less than {most:.1f}{unit}, which the least repeatable can",
        )
    return Verdict.CHANGED, f"more than {held_against}"


def _printed(unit: str) -> str:
    return {"1": "", "grey level": " grey levels"}.get(unit, f" {unit}")
