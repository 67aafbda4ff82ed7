"""What the motion stage found: twitches, contractions, a separation, collections."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from usguide.model.values import Floats, Measurement, Point, Status


class SeparationFlag(StrEnum):
    """Whether two muscle ends part when the muscle contracts."""

    SEPARATION = "separation"
    NONE = "none"
    INDETERMINATE = "indeterminate"


@dataclass(frozen=True, slots=True)
class Twitch:
    """A brief local burst of motion that the needle's own motion does not explain."""

    start_s: float
    end_s: float
    peak_mm: float | None
    """Largest displacement of the place; None without a scale."""
    peak_velocity_mm_s: float | None
    """A lower bound: at 30 frames/s the true peak falls between frames."""
    centre_px: Point
    """(x, y) in source px."""
    confidence: float
    """0 to 1."""
    needle_pass: int | None = None
    """Which of the needle's passes, from 1, it began in or right after; None where in none."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """One contraction (or passive stretch) from rest to rest."""

    start_frame: int
    peak_frame: int
    end_frame: int
    start_s: float | None
    peak_s: float | None
    end_s: float | None
    excursion_mm: float | None
    excursion_px: float


@dataclass(frozen=True, slots=True)
class Separation:
    """Whether two muscle ends part as the contraction grows, and by how much."""

    flag: SeparationFlag
    reason: str
    gap_rest_mm: Measurement | None = None
    gap_peak_mm: Measurement | None = None
    widening_mm: Measurement | None = None
    torn_fraction: Measurement | None = None
    """Torn part of the muscle's thickness, 0 to 1 (unit 1)."""
    grade: str | None = None
    """Suggested Peetrons grade, '1', '2' or '3'."""
    location_px: Point | None = None
    """Middle of the gap at the peak of the contraction, (x, y) in source px."""
    defect_at_rest: bool = False
    """A gap is seen at rest that does not widen on contraction: no separation, and not nothing."""

    @property
    def has_gap(self) -> bool:
        """Whether a gap is stated, be it one that opens or one that stays."""
        return self.flag is SeparationFlag.SEPARATION or self.defect_at_rest


@dataclass(frozen=True, slots=True)
class Collection:
    """A dark area with soft edges: fluid or hematoma."""

    area_mm2: float | None
    extent_mm: float | None
    """Longest diameter."""
    centre_px: Point
    """(x, y) in source px."""
    confidence: float
    """0 to 1: a rank by contrast and by how many frames show it, no probability."""
    outline_px: tuple[Point, ...] = ()
    """Closed polygon, source px."""


@dataclass(frozen=True, slots=True, eq=False)
class MotionMap:
    """How far the tissue moved from rest to the peak of the largest contraction, and where."""

    frame: int
    """Source frame of the peak."""
    points_px: Floats
    """Shape (rows, columns, 2), (x, y) in source px at the peak."""
    moved_px: Floats
    """Shape (rows, columns, 2), without the probe's own slip; NaN where it was not tracked."""


@dataclass(frozen=True, slots=True, eq=False)
class Strain:
    """Lagrangian strain of the muscle along its own axis, (l - L) / L: shortening is negative."""

    status: Status
    reason: str
    peak: Measurement | None = None
    """From rest to the peak of the largest contraction (unit 1)."""
    peak_rate_per_s: Measurement | None = None
    """The fastest change on the way there; a lower bound at low frame rates."""
    course: Floats | None = None
    """Shape (frames,): strain since rest."""
    rate_per_s: Floats | None = None
    """Shape (frames,): its rate."""


@dataclass(frozen=True, slots=True, eq=False)
class ContractionResult:
    """What the muscle did; every array has one entry per source frame."""

    status: Status
    reason: str
    cycles: tuple[Cycle, ...] = ()
    rest_known: bool = True
    """Whether the clip tells which end of the movement is rest; if not, start and peak of a cycle
    may be swapped, and with them the sign of displacements and of the strain."""
    separation: Separation = field(
        default_factory=lambda: Separation(
            SeparationFlag.INDETERMINATE, "the contraction stage did not run"
        )
    )
    collections: tuple[Collection, ...] = ()
    activation: Floats | None = None
    """Shape (frames,): 0 at rest to 1 at the largest contraction of the clip."""
    displacement_px: Floats | None = None
    """Shape (frames,): dominant tissue displacement from rest, signed along the muscle."""
    displacement_mm: Floats | None = None
    gap_mm: Floats | None = None
    """Shape (frames,): gap width with its 95 % interval."""
    gap_low_mm: Floats | None = None
    gap_high_mm: Floats | None = None
    peak: MotionMap | None = None
    strain: Strain | None = None

    @property
    def largest_cycle(self) -> Cycle | None:
        """The cycle with the largest excursion, or None without any."""
        return max(self.cycles, key=lambda cycle: cycle.excursion_px, default=None)


@dataclass(frozen=True, slots=True, eq=False)
class MotionResult:
    """Contraction and twitches, from one displacement field."""

    contraction: ContractionResult
    twitches: tuple[Twitch, ...] = ()
    twitches_reason: str = ""
    """Why none could be looked for; empty where they were."""
