"""What the frames that were looked at closely say together, and what could not be told and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from usguide.fascia.appearance import Appearance, biconvexity, fat_pad
from usguide.fascia.fluid import Layer, fluid
from usguide.fascia.rupture import ruptures
from usguide.fascia.spur import spur
from usguide.model import (
    Border,
    Discontinuity,
    Measurement,
    NotMeasured,
)


@dataclass(frozen=True, slots=True)
class Findings:
    """What is measured in millimetres, and what could not be and why.

    ``spur`` is its length, its tip from the bone's edge in work px, and its confidence.
    """

    fat_pad: Measurement | None = None
    discontinuity: tuple[Discontinuity, ...] = ()
    biconvexity: Measurement | None = None
    fluid: tuple[Layer, ...] = ()
    spur: tuple[Measurement, tuple[float, float], float] | None = None
    not_measured: tuple[NotMeasured, ...] = ()


UNSCALED = Findings(
    not_measured=tuple(
        NotMeasured(what, "the clip has no scale")
        for what in ("fat_pad_mm", "discontinuity", "biconvexity_mm", "fluid", "spur")
    )
)
"""Of a clip without a scale: what a length decides cannot be looked for."""


def findings(readings: Sequence[Appearance]) -> Findings:
    """Combine the frames of a calibrated clip."""
    fat = fat_pad(readings)
    convexity = biconvexity(readings)
    deep = fluid([reading.deep_fluid for reading in readings], Border.DEEP)
    superficial = fluid([reading.superficial_fluid for reading in readings], Border.SUPERFICIAL)
    bony = spur([reading.spur for reading in readings])
    reasons = [
        ("fat_pad_mm", "the skin's echo is not seen" if fat is None else None),
        ("biconvexity_mm", convexity if isinstance(convexity, str) else None),
        ("fluid", deep if isinstance(deep, str) else None),
        ("fluid", superficial if isinstance(superficial, str) else None),
        ("spur", bony if isinstance(bony, str) else None),
    ]
    return Findings(
        fat,
        ruptures([one.distance_mm for one in readings], [one.lack for one in readings]),
        None if isinstance(convexity, str) else convexity,
        tuple(
            layer
            for layers in (deep, superficial)
            if not isinstance(layers, str)
            for layer in layers
        ),
        None if isinstance(bony, str) else bony,
        tuple(NotMeasured(what, reason) for what, reason in reasons if reason is not None),
    )
