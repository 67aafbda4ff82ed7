"""Patients over their sessions: what changed in each of them, and the summary a paper needs.

Only clips whose listing names a subject and a session (or a time point) are followed. What may be
said of a change is decided as ``usguide compare`` decides it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from scipy import stats

from usguide.batch.column import Row
from usguide.followup.change import Change, Verdict
from usguide.followup.quantities import (
    QUANTITIES,
    Conditions,
    Quantity,
    Reading,
    compare_quantity,
)
from usguide.model import Measurement

_SPACING = ("spacing_x_mm", "spacing_y_mm")
_SIZE = ("width", "height")


@dataclass(frozen=True, slots=True)
class Visit:
    """One side of one subject in one session: its clips taken together.

    Parameters
    ----------
    label : str
        The time point, or the session where none is given.
    clips : int
        How many different clips.
    readings : dict of str to Reading
        Each quantity's mean over the clips that have it.
    conditions : Conditions
        How they were recorded; what differs between them agrees with nothing.
    """

    label: str
    clips: int
    readings: dict[str, Reading]
    conditions: Conditions


@dataclass(frozen=True, slots=True)
class Course:
    """One side of one subject over its visits, the first of which is the baseline."""

    subject: str
    side: str
    visits: tuple[Visit, ...]

    def changes(self, quantity: Quantity) -> list[tuple[Visit, Change]]:
        """Return a quantity's change since the baseline at every later visit that has anything."""
        first = self.visits[0]
        return [
            (
                visit,
                compare_quantity(
                    quantity,
                    first.readings[quantity.name],
                    visit.readings[quantity.name],
                    (first.conditions, visit.conditions),
                    sides_known=bool(self.side),
                ),
            )
            for visit in self.visits[1:]
            if first.readings[quantity.name].measured or visit.readings[quantity.name].measured
        ]


@dataclass(frozen=True, slots=True)
class Group:
    """One quantity of all subjects at one time.

    Means and intervals are over subjects, of whom each counts once: two sides of one body are not
    two independent values. The interval is Student's. Shares are over sides.
    """

    quantity: str
    unit: str
    label: str
    n: int
    mean: float | None
    sd: float | None
    ci_low: float | None
    ci_high: float | None
    n_change: int
    mean_change: float | None
    sd_change: float | None
    change_ci_low: float | None
    change_ci_high: float | None
    compared: int
    """Sides with a change that could be judged."""
    beyond_mdc: int
    """Of these, by at least the minimal detectable change."""
    increased: int
    """Of those, with an interval that leaves out zero as well: changed."""
    decreased: int
    share_beyond_mdc: float | None


def follow(rows: Sequence[Row]) -> tuple[Course, ...]:
    """Sort the clips of an archive into courses; empty where no listing says whose they are.

    Parameters
    ----------
    rows : sequence of mapping
        The table of clips, in the listing's order.
    """
    courses: dict[tuple[str, str], dict[str, list[Row]]] = {}
    for row in rows:
        session = row["session"] or row["time_point"]
        if row["subject"] and session:
            course = courses.setdefault((str(row["subject"]), str(row["side"] or "")), {})
            clips = course.setdefault(str(session), [])
            if all(clip["key"] != row["key"] for clip in clips):
                clips.append(row)
    return tuple(
        Course(subject, side, tuple(_visit(sessions[name]) for name in _in_order(list(sessions))))
        for (subject, side), sessions in courses.items()
    )


_YEAR_LAST = re.compile(r"(?<!\d)(?<!\d\D)\d{1,2}\D\d{1,2}\D(\d{4}|\d{2})(?!\d)")
"""A date as 03.05.2026: a day in May for some, in March for others."""


def _in_order(names: list[str]) -> list[str]:
    """Sort sessions by their numbers, or dates from the year on; others stay as they are listed."""
    if not all(re.search(r"\d", name) and not _YEAR_LAST.search(name) for name in names):
        return names
    return sorted(names, key=lambda name: [int(part) for part in re.findall(r"\d+", name)])


def _visit(clips: list[Row]) -> Visit:
    first = clips[0]
    return Visit(
        str(first["time_point"] or first["session"]),
        len(clips),
        {one.name: _reading(one, clips) for one in QUANTITIES},
        _conditions(clips),
    )


def _reading(quantity: Quantity, clips: list[Row]) -> Reading:
    """Return the mean over clips; its interval is their mean one, as their errors are alike."""
    found = [
        [float(clip[f"{quantity.name}{end}"] or 0.0) for end in ("", "_low", "_high")]
        for clip in clips
        if clip[quantity.name] is not None
    ]
    if not found:
        reasons = [clip["reason"] or clip[f"{quantity.stage.value}_reason"] for clip in clips]
        return Reading(None, next((str(reason) for reason in reasons if reason), ""))
    value, low, high = (fmean(part) for part in zip(*found, strict=True))
    return Reading(Measurement(value, min(low, value), max(high, value), quantity.unit))


def _conditions(clips: list[Row]) -> Conditions:
    def agreed(name: str) -> str:
        return " and ".join(sorted({str(clip[name]) for clip in clips}))

    scaled = [clip for clip in clips if clip[_SPACING[0]] and clip[_SPACING[1]]]
    x, y = (fmean(float(clip[name] or 0) for clip in scaled or clips) for name in _SPACING)
    width, height = (max(int(clip[f"{name}_px"] or 0) for clip in clips) for name in _SIZE)
    return Conditions(
        agreed("calibration_source"),
        (x, y) if scaled else None,
        agreed("kind"),
        (width, height),
        agreed("fascia_bone_side"),
    )


# --- tables -----------------------------------------------------------------------------------


def change_rows(courses: Sequence[Course]) -> list[dict[str, Any]]:
    """Return a row for every later visit of every course and quantity that either visit has."""
    return [
        {
            "subject": course.subject,
            "side": course.side or None,
            "quantity": quantity.name,
            "unit": quantity.unit,
            "baseline": course.visits[0].label,
            "time": visit.label,
            "clips_baseline": course.visits[0].clips,
            "clips": visit.clips,
            **_parts("baseline", change.before),
            **_parts("", change.after),
            **_parts("change", change.change),
            "mdc_low": change.detectable.low if change.detectable else None,
            "mdc_high": change.detectable.high if change.detectable else None,
            "verdict": change.verdict.value,
            "reason": change.reason,
        }
        for course in courses
        for quantity in QUANTITIES
        for visit, change in course.changes(quantity)
    ]


def _parts(name: str, one: Measurement | None) -> dict[str, float | None]:
    prefix = f"{name}_" if name else ""
    if one is None:
        return dict.fromkeys((f"{prefix}value", f"{prefix}low", f"{prefix}high"))
    return {f"{prefix}value": one.value, f"{prefix}low": one.low, f"{prefix}high": one.high}


def group_summary(courses: Sequence[Course]) -> list[Group]:
    """Return every quantity at every time at which somebody has it."""
    labels = list(dict.fromkeys(visit.label for course in courses for visit in course.visits))
    # Baselines come first, then what comes after them, as most courses have it.
    place = {
        label: fmean(
            number
            for course in courses
            for number, visit in enumerate(course.visits)
            if visit.label == label
        )
        for label in labels
    }
    made = (
        _group(quantity, label, courses)
        for quantity in QUANTITIES
        for label in sorted(labels, key=place.__getitem__)
    )
    return [group for group in made if group.n]


def _group(quantity: Quantity, label: str, courses: Sequence[Course]) -> Group:
    values: dict[str, list[float]] = {}
    changes: dict[str, list[float]] = {}
    judged = []
    for course in courses:
        for visit in course.visits:
            found = visit.readings[quantity.name].measured
            if visit.label == label and found is not None:
                values.setdefault(course.subject, []).append(found.value)
        for visit, change in course.changes(quantity):
            if visit.label == label and change.change is not None:
                changes.setdefault(course.subject, []).append(change.change.value)
                judged.append(change)
    shown = [one.change.value for one in judged if one.change and one.verdict is Verdict.CHANGED]
    beyond = sum(
        abs(one.change.value) >= one.detectable.high
        for one in judged
        if one.change is not None and one.detectable is not None
    )
    return Group(
        quantity.name,
        quantity.unit,
        label,
        len(values),
        *_over_subjects(values),
        len(changes),
        *_over_subjects(changes),
        len(judged),
        beyond,
        sum(value > 0 for value in shown),
        sum(value < 0 for value in shown),
        beyond / len(judged) if judged else None,
    )


def _over_subjects(
    values: dict[str, list[float]],
) -> tuple[float | None, float | None, float | None, float | None]:
    """Return mean, SD and the ends of the mean's 95 % interval, t(n - 1) * SD / sqrt(n)."""
    own = [fmean(several) for several in values.values()]
    if not own:
        return None, None, None, None
    mean = fmean(own)
    if len(own) < 2:
        return mean, None, None, None
    sd = stdev(own)
    half = float(stats.t.ppf(0.975, len(own) - 1)) * sd / len(own) ** 0.5
    return mean, sd, mean - half, mean + half
