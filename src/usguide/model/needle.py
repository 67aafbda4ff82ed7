"""What the needle stage found, and what a person may tell it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from usguide.model.values import Bools, Floats, Status


class NeedlePlane(StrEnum):
    """Whether the shaft lies in the image plane or crosses it."""

    IN = "in"
    OUT = "out"


@dataclass(frozen=True, slots=True)
class NeedlePass:
    """One in-and-out movement of the needle ('pistoning')."""

    start_frame: int
    deepest_frame: int
    end_frame: int
    start_s: float | None
    deepest_s: float | None
    end_s: float | None
    depth_mm: float | None
    """Advance along the shaft from the turn before the pass to its deepest point; None without a
    scale, and where one of the two was not seen and is told from the rhythm."""
    depth_px: float
    """The same in px; NaN where one of the two was not seen."""
    in_fascia_s: float | None = None
    """How long the tip was seen in the fascia; None where the fascia or the time is not known."""


@dataclass(frozen=True, slots=True, eq=False)
class NeedleTrack:
    """Where the needle was; every array has one entry per source frame."""

    status: Status
    reason: str
    plane: NeedlePlane | None = None
    tip_px: Floats | None = None
    """Shape (frames, 2), (x, y) in source px; NaN where the tip is not visible."""
    tail_px: Floats | None = None
    """Shape (frames, 2): the shallow end of the visible shaft; NaN out of plane."""
    tip_visible: Bools | None = None
    """Shape (frames,): whether the tip is claimed."""
    tip_confidence: Floats | None = None
    """Shape (frames,), 0 to 1: estimated probability that the tip is within 3 mm."""
    tip_ellipse_px: Floats | None = None
    """Shape (frames, 2): half axes of the 95 % ellipse about the tip, along the shaft and across
    it; out of plane a circle. NaN where the tip is not visible."""
    shaft_angle_deg: Floats | None = None
    """Shape (frames,): of the undirected shaft in image axes, y down, in (-90, 90]."""
    insertion_depth_px: Floats | None = None
    """Shape (frames,): distance along the shaft from where its line enters the image."""
    insertion_depth_mm: Floats | None = None
    tip_to_fascia_mm: Floats | None = None
    """Shape (frames,): distance to the nearest fascia border, negative inside the band."""
    passes: tuple[NeedlePass, ...] = ()
    passes_certain: bool | None = None
    """Whether the tip was never out of sight for so long that it may have made more passes than are
    told, or fewer, which takes a clock to know; None where none are looked for."""
    closest_to_fascia_mm: float | None = None
    """Smallest distance of the tip to the fascia; 0 where it was inside."""
    first_in_fascia_s: float | None = None
    """When the tip was first seen inside the fascia."""
    in_fascia_s: float | None = None
    """For how long it was seen there, in all."""

    @property
    def frames_visible(self) -> int:
        """Number of distinct frames in which the tip is claimed."""
        return 0 if self.tip_visible is None else int(np.count_nonzero(self.tip_visible))


@dataclass(frozen=True, slots=True)
class Hint:
    """What a person knows of the needle in one frame."""

    frame: int
    """Number of the source frame, from 0."""
    tip_px: tuple[float, float] | None
    """The tip, (x, y) in source px; None where it is not visible."""
