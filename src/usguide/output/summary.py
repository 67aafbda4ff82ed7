"""The key numbers in words: what the report's cards and the terminal's table both say."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from usguide.model import (
    Analysis,
    ContractionResult,
    FasciaCategory,
    FasciaResult,
    Header,
    Measurement,
    MotionResult,
    MuscleResult,
    NeedlePlane,
    NeedleTrack,
    SeparationFlag,
    Status,
)
from usguide.output.words import because, confidence, number, sentence


class Tone(StrEnum):
    """How much a finding asks for attention."""

    PLAIN = "plain"
    NOTABLE = "notable"
    UNSURE = "unsure"


PEETRONS = (
    "Peetrons grades: 1 under 5 % torn, 2 from 5 to 50 %, 3 complete (Eur Radiol 2002;12:35)."
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number as it is read, its 95 % interval, and what else to know of it; empty where none."""

    label: str
    value: str
    interval: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A finding in a few words."""

    text: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Card:
    """One anatomy's or instrument's key numbers, or why there are none."""

    title: str
    status: Status
    figures: tuple[Figure, ...] = ()
    verdict: Verdict | None = None
    note: str = ""

    @property
    def measured(self) -> bool:
        """Whether there is anything to read but the note."""
        return self.status is Status.MEASURED


def cards(analysis: Analysis) -> tuple[Card, ...]:
    """Return a card for everything that was asked for, in the order in which to read them.

    What asks for attention comes first, and what nothing can be said of last.
    """
    motion = analysis.motion
    made = [
        _fascia(analysis.fascia),
        _needle(analysis.needle, analysis.header),
        _muscle(analysis.muscle),
        _contraction(motion.contraction),
    ]
    decided = motion.contraction.separation.flag is not SeparationFlag.INDETERMINATE
    if decided or motion.contraction.status is Status.MEASURED:
        made.append(_separation(motion.contraction))
    if motion.twitches or (analysis.needle.status is Status.MEASURED and motion.twitches_reason):
        made.append(_twitches(motion, analysis.needle))
    asked = (card for card in made if card.status is not Status.NOT_REQUESTED)
    return tuple(sorted(asked, key=_place))


def _place(card: Card) -> tuple[bool, bool, bool]:
    """Rank a card; cards of one rank stay in the order of the stages."""
    notable = card.verdict is not None and card.verdict.tone is Tone.NOTABLE
    return not notable, not card.measured, card.verdict is None


def _figure(
    label: str, measurement: Measurement | None, detail: str = "", digits: int | None = None
) -> list[Figure]:
    """Return no figure, or one with its interval."""
    if measurement is None:
        return []
    value, low, high = (
        number(part, measurement.unit, digits)
        for part in (measurement.value, measurement.low, measurement.high)
    )
    return [Figure(label, value, f"{low.split()[0]} to {high}", detail)]


def _not_measured(title: str, status: Status, reason: str) -> Card:
    return Card(title, status, note=f"Not measured because {because(reason)}.")


def _fascia(fascia: FasciaResult) -> Card:
    title = "Plantar fascia"
    if fascia.status is not Status.MEASURED:
        return _not_measured(title, fascia.status, fascia.reason)
    figures: list[Figure] = []
    thickness, unit = fascia.thickness_mm, "mm"
    if thickness is None:
        thickness, unit = fascia.thickness_px, "px"
    if thickness is not None:
        sure = "" if fascia.confidence is None else confidence(fascia.confidence)
        figures += _figure("thickness at the insertion", thickness.insertion, detail=sure)
        place = ""
        if thickness.maximum_distance is not None:
            place = f"{number(thickness.maximum_distance, unit)} from the insertion"
            if thickness.maximum_distance == 0:
                place = "at the insertion"
        figures += _figure("largest thickness", thickness.maximum, detail=place)
    figures += _figure("fat pad over the bone", fascia.fat_pad_mm)
    figures += _figure("echogenicity against the fat pad", fascia.echogenicity)
    figures += _figure("fibrillar pattern, 0 to 1", fascia.fibrillar_score)
    for gap in fascia.discontinuity:
        place = f"{number(gap.distance_mm, 'mm')} from the insertion"
        sure = confidence(gap.confidence)
        figures.append(
            Figure(
                "interruption of the fibres",
                number(gap.width_mm, "mm"),
                detail=f"{place}, {sure}",
            )
        )
    convex = fascia.biconvexity_mm
    if convex is not None and convex.low > 0:
        figures += _figure("bulge of both borders (biconvex)", convex)
    for layer in fascia.fluid:
        place = f"{number(layer.distance_mm, 'mm')} from the insertion, {layer.border.value} border"
        figures += _figure("layer of fluid", layer.thickness_mm, detail=place)
    if fascia.spur is not None:
        sure = confidence(fascia.spur.confidence)
        figures += _figure("heel spur", fascia.spur.length_mm, detail=sure)
    note = " ".join([sentence(fascia.reason), *_not_looked_for(fascia)]).strip()
    return Card(title, fascia.status, tuple(figures), _category(fascia), note)


_FINDINGS = {
    "fat_pad_mm": "the fat pad",
    "biconvexity_mm": "biconvexity",
    "fluid": "fluid",
    "spur": "a spur",
}


def _not_looked_for(fascia: FasciaResult) -> list[str]:
    """Say what could not be looked for, except for want of a scale, which is said already."""
    if fascia.thickness_mm is None:
        return []
    return [
        sentence(f"{_FINDINGS.get(one.what, one.what)} was not looked for: {one.reason}")
        for one in fascia.not_measured
    ]


def _category(fascia: FasciaResult) -> Verdict | None:
    verdicts = {
        FasciaCategory.NORMAL: Verdict("nowhere over 4 mm", Tone.PLAIN),
        FasciaCategory.THICKENED: Verdict("thickened: largest over 4 mm", Tone.NOTABLE),
        FasciaCategory.BORDERLINE: Verdict("borderline at 4 mm", Tone.UNSURE),
        FasciaCategory.INDETERMINATE: Verdict("no reading against 4 mm", Tone.UNSURE),
    }
    return None if fascia.category is None else verdicts[fascia.category]


def _needle(needle: NeedleTrack, header: Header) -> Card:
    title = "Needle"
    if needle.status is not Status.MEASURED:
        return _not_measured(title, needle.status, needle.reason)
    figures = []
    for depth, unit in ((needle.insertion_depth_mm, "mm"), (needle.insertion_depth_px, "px")):
        if depth is not None and np.isfinite(depth).any():
            figures.append(Figure("deepest insertion", number(float(np.nanmax(depth)), unit)))
            break
    share = needle.frames_visible / max(len(header.timing.distinct), 1)
    figures.append(Figure("frames that show the tip", number(100 * share, "%")))
    closest = needle.closest_to_fascia_mm
    if closest is not None and closest > 0:
        figures.append(Figure("from the tip to the fascia, at the closest", number(closest, "mm")))
    if needle.passes:
        deepest = max(needle.passes, key=lambda one: np.nan_to_num(one.depth_px))
        far = ""
        if np.isfinite(deepest.depth_px):
            far = "up to " + (
                number(deepest.depth_px, "px")
                if deepest.depth_mm is None
                else number(deepest.depth_mm, "mm")
            )
        number_of = f"{len(needle.passes)}{'' if needle.passes_certain else ', not certain'}"
        figures.append(Figure("in-and-out passes", number_of, detail=far))
        inside = [one.in_fascia_s for one in needle.passes if one.in_fascia_s is not None]
        if inside:
            figures.append(Figure("time in the fascia", f"{sum(inside):.1f} s"))
    return Card(title, needle.status, tuple(figures), _plane(needle), sentence(needle.reason))


def _plane(needle: NeedleTrack) -> Verdict | None:
    if needle.plane is None:
        return None
    if needle.plane is NeedlePlane.OUT:
        return Verdict("out of plane: only a spot is seen", Tone.UNSURE)
    closest = needle.closest_to_fascia_mm
    reached = closest is not None and closest <= 0
    return Verdict("in plane, reached the fascia" if reached else "in plane", Tone.PLAIN)


def _muscle(muscle: MuscleResult) -> Card:
    title = "Muscle"
    if muscle.status is not Status.MEASURED:
        return _not_measured(title, muscle.status, muscle.reason)
    thickness = muscle.thickness_mm or muscle.thickness_px
    figures = _figure("thickness", thickness)
    note = sentence(muscle.reason)
    if muscle.echo_intensity is not None:
        level = muscle.echo_intensity
        figures.append(
            Figure(
                "echo intensity, grey level",
                f"{level.value:.0f}",
                f"{level.low:.0f} to {level.high:.0f}",
            )
        )
        note += (
            " Echo intensity depends on gain and depth: compare only clips of the same settings."
        )
    return Card(title, muscle.status, tuple(figures), note=note)


def _contraction(contraction: ContractionResult) -> Card:
    title = "Contraction"
    if contraction.status is not Status.MEASURED:
        return _not_measured(title, contraction.status, contraction.reason)
    count = len(contraction.cycles)
    figures = [Figure("contraction" if count == 1 else "contractions", str(count))]
    largest = contraction.largest_cycle
    if largest is not None:
        figures.append(
            Figure(
                "largest excursion",
                number(largest.excursion_px, "px")
                if largest.excursion_mm is None
                else number(largest.excursion_mm, "mm"),
            )
        )
    # That so many were found is the figure above.
    note = "" if contraction.rest_known else sentence(contraction.reason)
    strain = contraction.strain
    if strain is not None and strain.peak is not None:
        figures += _figure("strain along the muscle", strain.peak.scaled(100, "%"), digits=1)
        if not contraction.rest_known:
            note += " The sign of the strain depends on it."
    elif strain is not None:
        note += f" Its strain was not measured because {because(strain.reason)}."
    return Card(title, contraction.status, tuple(figures), note=note.strip())


def _separation(contraction: ContractionResult) -> Card:
    separation = contraction.separation
    figures = [
        *_figure("widening from rest to peak", separation.widening_mm),
        *_figure("gap at peak contraction", separation.gap_peak_mm),
        *_figure("gap at rest", separation.gap_rest_mm),
    ]
    if separation.torn_fraction is not None:
        figures += _figure("torn part of the thickness", separation.torn_fraction.scaled(100, "%"))
    note = sentence(separation.reason)
    if separation.grade is not None:
        figures.append(Figure("suggested Peetrons grade", separation.grade))
        note += f" {PEETRONS}"
    if contraction.collections:
        areas = [one.area_mm2 for one in contraction.collections if one.area_mm2 is not None]
        figures.append(
            Figure(
                "dark collections",
                str(len(contraction.collections)),
                detail=f"largest {max(areas):.0f} mm²" if areas else "",
            )
        )
    verdict = {
        SeparationFlag.SEPARATION: Verdict("the ends separate", Tone.NOTABLE),
        SeparationFlag.NONE: Verdict("no separation seen", Tone.PLAIN),
        SeparationFlag.INDETERMINATE: Verdict("cannot be decided", Tone.UNSURE),
    }[separation.flag]
    if separation.defect_at_rest:
        verdict = Verdict("a defect seen at rest, no separation", Tone.NOTABLE)
    decided = separation.flag is not SeparationFlag.INDETERMINATE
    status = Status.MEASURED if decided else Status.NOT_MEASURED
    return Card("Muscle separation", status, tuple(figures), verdict, note)


def _twitches(motion: MotionResult, needle: NeedleTrack) -> Card:
    twitches = motion.twitches
    if not twitches:
        return Card("Local twitch", Status.NOT_MEASURED, note=motion.twitches_reason)
    figures = [Figure("twitch" if len(twitches) == 1 else "twitches", str(len(twitches)))]
    figures += _largest("peak movement", (one.peak_mm for one in twitches), "mm")
    speeds = _largest("peak speed, at least", (one.peak_velocity_mm_s for one in twitches), "mm/s")
    elicited = [str(one.needle_pass) for one in twitches if one.needle_pass is not None]
    if elicited:
        label = "on the needle's pass" if len(set(elicited)) == 1 else "on the needle's passes"
        speeds.append(Figure(label, ", ".join(dict.fromkeys(elicited))))
    note = ""
    if needle.status is not Status.MEASURED:
        note = "No needle is followed: what one out of view pulls along may look like a twitch."
    return Card("Local twitch", Status.MEASURED, (*figures, *speeds), note=note)


def _largest(label: str, values: Iterable[float | None], unit: str) -> list[Figure]:
    known = [value for value in values if value is not None and math.isfinite(value)]
    return [Figure(label, f"{max(known):.1f} {unit}")] if known else []
