"""What can be followed from one clip to the next, and when two of it may be compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from usguide.followup.change import (
    Change,
    DetectableChange,
    Verdict,
    difference,
    echo_intensity_detectable,
    fascia_thickness_detectable,
    judge,
    muscle_thickness_detectable,
    own_detectable,
)
from usguide.model import STATIONS_MM, Measurement

SPACING_SHARE_MAX = 0.01
"""Depth settings whose pixels differ by more than this are other settings."""


class Stage(StrEnum):
    """Which stage's reason a quantity goes with."""

    FASCIA = "fascia"
    MUSCLE = "muscle"
    GAP = "separation"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A measurement that is followed.

    Parameters
    ----------
    name : str
        As the column of ``clips.csv``.
    label : str
        In words.
    stage : Stage
        Where it comes from.
    unit : str
        As printed.
    detectable : callable
        Its minimal detectable change at two measurements.
    """

    name: str
    label: str
    stage: Stage
    unit: str
    detectable: Callable[[Measurement, Measurement], DetectableChange]

    @property
    def is_length(self) -> bool:
        """Whether it depends on the scale of the picture."""
        return self.unit == "mm"


def station_column(distance_mm: float) -> str:
    """Name of the column that holds the fascia's thickness at a station."""
    return f"fascia_at_{distance_mm:.0f}mm_mm"


QUANTITIES: tuple[Quantity, ...] = (
    *(
        Quantity(name, label, Stage.FASCIA, "mm", fascia_thickness_detectable)
        for name, label in (
            ("fascia_insertion_mm", "Fascia, at the insertion"),
            ("fascia_maximum_mm", "Fascia, largest thickness"),
            *(
                (station_column(mm), f"Fascia, {mm:.0f} mm from the insertion")
                for mm in STATIONS_MM
            ),
        )
    ),
    Quantity(
        "muscle_thickness_mm", "Muscle thickness", Stage.MUSCLE, "mm", muscle_thickness_detectable
    ),
    Quantity(
        "muscle_echo_intensity",
        "Muscle echo intensity",
        Stage.MUSCLE,
        "grey level",
        echo_intensity_detectable,
    ),
    *(
        Quantity(name, label, Stage.GAP, "mm", own_detectable)
        for name, label in (
            ("gap_rest_mm", "Gap at rest"),
            ("gap_peak_mm", "Gap at the strongest contraction"),
            ("widening_mm", "Widening of the gap"),
        )
    ),
)


@dataclass(frozen=True, slots=True)
class Conditions:
    """How a clip was recorded, as far as it decides what can be compared with it.

    Parameters
    ----------
    scale : str
        Where the millimetres come from; see :class:`usguide.model.CalibrationSource`.
    spacing_mm : (float, float) or None
        Size of a pixel.
    kind : str
        Kind of recording.
    frame_px : (int, int)
        Width and height of a frame.
    heel_side : str or None
        Side of the picture on which the heel bone lies.
    """

    scale: str
    spacing_mm: tuple[float, float] | None
    kind: str
    frame_px: tuple[int, int]
    heel_side: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One quantity in one clip: what was measured, or why not."""

    measured: Measurement | None
    reason: str = ""


def compare_quantity(
    quantity: Quantity,
    before: Reading,
    after: Reading,
    conditions: tuple[Conditions, Conditions],
    *,
    sides_known: bool = False,
) -> Change:
    """Compare one quantity between two clips.

    Parameters
    ----------
    quantity : Quantity
        Which.
    before, after : Reading
        What was measured.
    conditions : (Conditions, Conditions)
        How the two clips were recorded.
    sides_known : bool
        Whether somebody said which sides of the body they show, so that a heel bone on the other
        side of the picture is no riddle.
    """
    first, second = before.measured, after.measured

    def not_comparable(reason: str) -> Change:
        return Change(quantity.name, quantity.label, first, second, Verdict.NOT_COMPARABLE, reason)

    if first is None or second is None:
        return not_comparable(_missing(before, after))
    if quantity.is_length and (why := _other_scale(*conditions)):
        return not_comparable(why)
    if quantity.stage is Stage.FASCIA and not sides_known and (why := _other_side(*conditions)):
        return not_comparable(why)
    if quantity.name == "muscle_echo_intensity" and (why := _other_settings(*conditions)):
        return not_comparable(why)
    change = difference(first, second)
    detectable = quantity.detectable(first, second)
    verdict, reason = judge(change, detectable)
    return Change(quantity.name, quantity.label, first, second, verdict, reason, change, detectable)


_SCALES = {"dicom": "the DICOM header", "ruler": "a ruler on the screen", "user": "the user"}


def _other_scale(before: Conditions, after: Conditions) -> str:
    unscaled = [
        when for when, one in (("before", before), ("after", after)) if one.spacing_mm is None
    ]
    if len(unscaled) == 2:
        return "neither clip has a scale, and pixels are not the same length in two recordings"
    if unscaled:
        return f"the clip {unscaled[0]} has no scale: pixels against millimetres"
    if before.scale != after.scale:
        was, now = (_SCALES.get(one.scale, one.scale) for one in (before, after))
        return (
            f"the millimetres come from {was} before and from {now} after, and an error of "
            "either scale would look like a change"
        )
    return ""


def _missing(before: Reading, after: Reading) -> str:
    lacking = [
        f"not measured {when}"
        + (f" ({one.reason.strip().removesuffix('.')})" if one.reason else "")
        for when, one in (("before", before), ("after", after))
        if one.measured is None
    ]
    return ", and ".join(lacking)


def _other_side(before: Conditions, after: Conditions) -> str:
    if before.heel_side == after.heel_side:
        return ""
    return (
        "the heel bone lies on the other side of the picture, so that this may be the other foot; "
        "say which with --sides same or --sides other"
    )


def _other_settings(before: Conditions, after: Conditions) -> str:
    differing = []
    if before.kind != after.kind:
        differing.append(f"kind of recording ({before.kind}, {after.kind})")
    if before.frame_px != after.frame_px:
        sizes = ["{} × {}".format(*one.frame_px) for one in (before, after)]
        differing.append(f"size of the picture ({', '.join(sizes)} px)")
    if not _same_depth(before.spacing_mm, after.spacing_mm):
        differing.append("depth setting")
    if not differing:
        return ""
    return f"grey levels depend on the settings, and these differ: {', '.join(differing)}"


def _same_depth(before: tuple[float, float] | None, after: tuple[float, float] | None) -> bool:
    if before is None or after is None:
        return before is after
    return all(
        abs(one - other) <= SPACING_SHARE_MAX * other
        for one, other in zip(before, after, strict=True)
    )
