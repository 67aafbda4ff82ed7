"""Two examinations of one patient held against each other: what changed, and what cannot be said.

``before`` and ``after`` are two times, or two sides of the body at one time.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from usguide.errors import ConfigError
from usguide.followup.change import Change, Verdict
from usguide.followup.examined import Examined, is_result, of_analysis, read_result
from usguide.followup.quantities import QUANTITIES, compare_quantity
from usguide.model import Analysis, Options, Progress


class Sides(StrEnum):
    """Which sides of the body the two clips show, as far as somebody said."""

    UNSAID = "unsaid"
    SAME = "same"
    OTHER = "other"


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """What changed from one examination to the next.

    Parameters
    ----------
    before, after : Examined
        What is compared.
    sides : Sides
        Whether it is one side of the body twice, or one and the other.
    changes : tuple of Change
        One per quantity that either clip has; what neither has is left out.
    notes : tuple of str
        Sentences for the reader.
    """

    before: Examined
    after: Examined
    sides: Sides
    changes: tuple[Change, ...]
    notes: tuple[str, ...]

    @property
    def comparable(self) -> bool:
        """Whether anything could be compared."""
        return any(one.verdict is not Verdict.NOT_COMPARABLE for one in self.changes)


def compare(
    before: str | Path | Analysis,
    after: str | Path | Analysis,
    *,
    sides: str = Sides.UNSAID,
    options: Options | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Compare two examinations of one patient, or one side of the body with the other.

    Parameters
    ----------
    before, after : str, Path or Analysis
        A folder that ``usguide analyze`` wrote, a ``result.json``, a recording (analysed now, as
        :func:`usguide.analyze` does), or an analysis.
    sides : str
        ``same`` or ``other`` side of the body; ``unsaid`` means the same, but declines the
        fascia where the heel bone lies on the other side of the picture.
    options : Options, optional
        For recordings that are analysed now.
    progress : callable, optional
        Told how the analyses go on.

    Returns
    -------
    Comparison

    Raises
    ------
    IngestError
        If either cannot be read.
    ConfigError
        If the options, or ``sides``, make no sense.
    """
    if sides not in tuple(Sides):
        raise ConfigError(f"sides: {sides!r} is none; there are {', '.join(Sides)}.")
    first, second = (_examine(one, options or Options(), progress) for one in (before, after))
    said = Sides(sides)
    changes = tuple(
        compare_quantity(
            quantity,
            first.readings[quantity.name],
            second.readings[quantity.name],
            (first.conditions, second.conditions),
            sides_known=said is not Sides.UNSAID,
        )
        for quantity in QUANTITIES
        if any(one.readings[quantity.name].measured is not None for one in (first, second))
    )
    return Comparison(first, second, said, changes, tuple(_notes(first, second, said, changes)))


def _examine(one: str | Path | Analysis, options: Options, progress: Progress | None) -> Examined:
    if isinstance(one, Analysis):
        return of_analysis(one, QUANTITIES)
    path = Path(one)
    if is_result(path):
        return read_result(path, QUANTITIES)
    from usguide.ingest.opening import open_as_asked
    from usguide.pipeline import analyze

    clip = open_as_asked(path, options, progress)
    return of_analysis(analyze(clip, options, progress), QUANTITIES)


def _notes(
    before: Examined, after: Examined, sides: Sides, changes: tuple[Change, ...]
) -> list[str]:
    notes = []
    if before.sha256 == after.sha256:
        notes.append("Both are the same recording.")
    if before.version != after.version:
        notes.append(
            f"They were measured by two versions of the program, {before.version} and "
            f"{after.version}; analyze both again with one of them."
        )
    if not changes:
        notes.append("Neither has anything measured that is followed.")
    scales = Counter(
        one.reason
        for one in changes
        if one.verdict is Verdict.NOT_COMPARABLE and "scale" in one.reason
    )
    notes += [
        f"{count} lengths are not compared: {why}." for why, count in scales.items() if count > 2
    ]
    compared = {one.name: one for one in changes if one.change is not None}
    if "muscle_echo_intensity" in compared:
        notes.append(
            "Echo intensity also depends on gain, dynamic range and grey map "
            "(doi 10.3390/life14030291), which the results do not hold: its change means something "
            "only if these were the same."
        )
    notes += _on_atrophy(compared.get("muscle_thickness_mm"), sides)
    if any(name in compared for name in ("gap_peak_mm", "widening_mm")):
        notes.append(
            "How far a gap opens depends on how hard the muscle pulls: compare contractions of the "
            "same effort."
        )
    return notes


def _on_atrophy(muscle: Change | None, sides: Sides) -> list[str]:
    """Say what a thinner muscle may mean: atrophy is only seen by comparison."""
    if muscle is None or muscle.change is None or muscle.verdict is not Verdict.CHANGED:
        return []
    thinner = "after" if muscle.change.value < 0 else "before"
    if sides is Sides.OTHER:
        which = "second" if thinner == "after" else "first"
        return [
            f"The muscle of the {which} side is thinner by more than repeated measurements differ: "
            "as in atrophy of that side, if place, joint angle and pressure of the probe were the "
            "same."
        ]
    if thinner == "before":
        return []
    return [
        "The muscle has become thinner by more than repeated measurements differ: as in atrophy, "
        "if place, joint angle and pressure of the probe were the same."
    ]
