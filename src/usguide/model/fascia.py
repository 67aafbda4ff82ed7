"""What the fascia stage found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from usguide.model.values import Borders, Floats, Measurement, NotMeasured, Point, Status


class Side(StrEnum):
    """A side of the image, as displayed."""

    LEFT = "left"
    RIGHT = "right"


class Border(StrEnum):
    """A border of a band: towards the probe, or away from it."""

    SUPERFICIAL = "superficial"
    DEEP = "deep"


class FasciaCategory(StrEnum):
    """Reading of the maximal thickness against the 4 mm cut-off (PMC7425221)."""

    NORMAL = "normal"
    THICKENED = "thickened"
    BORDERLINE = "borderline"
    INDETERMINATE = "indeterminate"


STATIONS_MM = (5.0, 10.0, 15.0, 20.0, 30.0)
"""Distances from the insertion at which the fascia's thickness is stated (doi
10.3390/diagnostics6020015)."""

THICKENED_MM = 4.0
"""A fascia thicker than this is thickened: sensitivity 96 %, specificity 100 % (PMC7425221)."""


@dataclass(frozen=True, slots=True)
class Station:
    """Thickness at a stated distance from the insertion, along the band."""

    distance_mm: float
    thickness: Measurement


@dataclass(frozen=True, slots=True)
class Thickness:
    """Fascia thickness at the insertion, at its maximum and at the stations, in one unit."""

    insertion: Measurement | None = None
    maximum: Measurement | None = None
    maximum_distance: float | None = None
    """Distance of the maximum from the insertion, in the unit of ``maximum``."""
    stations: tuple[Station, ...] = ()


@dataclass(frozen=True, slots=True)
class Discontinuity:
    """A place where the band lacks its usual echo and what lies over it does not: a rupture."""

    distance_mm: float
    """Of its middle from the insertion, along the band."""
    width_mm: float
    """Length along the band over which more than 30 % of the usual level is lacking."""
    confidence: float
    """Largest share of the usual level that is lacking, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Spur:
    """A bony line from the heel bone's front lower edge into the fascia."""

    length_mm: Measurement
    tip_px: Point
    """Its end, source px, in ``reference_frame``."""
    confidence: float


@dataclass(frozen=True, slots=True)
class PerifascialFluid:
    """A layer without echoes on one border of the fascia, with tissue beyond it."""

    border: Border
    distance_mm: float
    """Of its middle from the insertion, along the band."""
    extent_mm: float
    """Along the band."""
    thickness_mm: Measurement
    """Where it is thickest."""
    confidence: float
    outline_px: tuple[Point, ...] = ()
    """Closed polygon, source px, in ``reference_frame``."""


@dataclass(frozen=True, slots=True, eq=False)
class FasciaProfile:
    """Thickness along the band, from the insertion onwards; every array of shape (k,).

    ``distance`` is arc length along the mid-line; both it and the thickness are in ``unit``.
    """

    distance: Floats
    thickness: Floats
    low: Floats
    high: Floats
    midline_px: Floats
    """Shape (k, 2), (x, y) in source px."""
    unit: str


@dataclass(frozen=True, slots=True, eq=False)
class FasciaResult:
    """What the fascia stage found."""

    status: Status
    reason: str
    confidence: float | None = None
    """Estimated probability that bone and band are what they are taken for, and the thickness
    within 1 mm on average."""
    insertion_px: Point | None = None
    side: Side | None = None
    """Side of the image on which the calcaneus lies."""
    thickness_mm: Thickness | None = None
    thickness_px: Thickness | None = None
    category: FasciaCategory | None = None
    echogenicity: Measurement | None = None
    """Ratio of mean echo amplitude, fascia over fat pad (unit 1)."""
    fibrillar_score: Measurement | None = None
    """Mean structure-tensor coherence inside the band, 0 to 1 (unit 1)."""
    fat_pad_mm: Measurement | None = None
    discontinuity: tuple[Discontinuity, ...] = ()
    biconvexity_mm: Measurement | None = None
    """How far the flatter border bulges outwards; positive where both do."""
    fluid: tuple[PerifascialFluid, ...] = ()
    spur: Spur | None = None
    not_measured: tuple[NotMeasured, ...] = ()
    """Which of these could not be looked for, and why: absent is not the same as not seen."""
    superficial_px: Floats | None = None
    """Shape (k, 2), (x, y) in source px, in ``reference_frame``."""
    deep_px: Floats | None = None
    bone_px: Floats | None = None
    """Shape (k, 2): the calcaneus surface in ``reference_frame``."""
    reference_frame: int | None = None
    frames_used: int = 0
    profile: FasciaProfile | None = None
    borders: Borders | None = None
    frame_thickness_px: Floats | None = None
    """Shape (frames,): thickness at the insertion in each frame."""
    frame_thickness_mm: Floats | None = None
    frame_quality: Floats | None = None
    """Shape (frames,), 0 to 1."""
