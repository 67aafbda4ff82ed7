"""The types every stage shares: what a clip is, what was measured, and how sure we are.

Coordinates are (x, y) in pixels, x to the right and y down, pixel centres at integers, always in
the source frame as stored in the file; arrays are (row, column). A frame handed to a stage is the
chosen region only, so its pixel (row, column) is the source point
(column + region.x, row + region.y). Names carry units: ``_px``, ``_mm``, ``_s``, ``_deg``.
Angles are atan2(dy, dx) of the undirected line in image axes, in (-90, 90] degrees.

Per-frame arrays have one entry per source frame; NaN (or False) where nothing is known. Frames
that repeat another (``Timing.duplicate_of``) are never shown to a stage: their entries stay
unknown and the tables take the values of the frame they repeat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Point = tuple[float, float]

Progress = Callable[[str, int, int], None]
"""Called as ``progress(stage_name, done, total)``; ``total`` is 0 where it is not known yet."""


def unwatched(name: str, done: int, total: int) -> None:
    """Progress that nobody asked for."""


# --- enumerations -----------------------------------------------------------------------------


class Task(StrEnum):
    """What the user may ask ``analyze`` for."""

    FASCIA = "fascia"
    MUSCLE = "muscle"
    NEEDLE = "needle"
    CONTRACTION = "contraction"


class Status(StrEnum):
    """Whether a stage measured, and if not why, in one word; ``reason`` says it in a sentence."""

    MEASURED = "measured"
    NONE_FOUND = "none_found"  # its anatomy or instrument is not in view
    NOT_MEASURED = "not_measured"  # in view, but not measurable
    NOT_REQUESTED = "not_requested"


class CalibrationSource(StrEnum):
    """Where the millimetres come from."""

    DICOM = "dicom"
    RULER = "ruler"
    USER = "user"
    NONE = "none"


class TimingSource(StrEnum):
    """Where the seconds come from."""

    FRAME_TIME_VECTOR = "dicom_frame_time_vector"
    FRAME_TIME = "dicom_frame_time"
    CINE_RATE = "dicom_cine_rate"
    CONTAINER = "container"
    USER = "user"
    NONE = "none"


class SourceKind(StrEnum):
    """What kind of recording a clip was read from."""

    DICOM = "dicom"
    VIDEO = "video"
    IMAGE = "image"
    IMAGES = "images"
    ARRAY = "array"


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


class NeedlePlane(StrEnum):
    """Whether the shaft lies in the image plane or crosses it."""

    IN = "in"
    OUT = "out"


class SeparationFlag(StrEnum):
    """Whether two muscle ends part when the muscle contracts."""

    SEPARATION = "separation"
    NONE = "none"
    INDETERMINATE = "indeterminate"


# --- what a clip is ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Measurement:
    """A value with its 95 % interval.

    Parameters
    ----------
    value, low, high : float
        Finite, with ``low <= value <= high``.
    unit : str
        Unit as printed, e.g. ``"mm"``, ``"px"``, ``"1"``.

    Raises
    ------
    ValueError
        If the numbers are not finite and ordered.
    """

    value: float
    low: float
    high: float
    unit: str

    def __post_init__(self) -> None:
        if not (np.isfinite(self.low) and np.isfinite(self.high)):
            raise ValueError(f"interval [{self.low}, {self.high}] is not finite")
        if not self.low <= self.value <= self.high:
            raise ValueError(f"{self.value} lies outside its interval [{self.low}, {self.high}]")

    def scaled(self, factor: float, unit: str) -> Measurement:
        """Return the same measurement times a positive ``factor``, in ``unit``."""
        return Measurement(self.value * factor, self.low * factor, self.high * factor, unit)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Size of a pixel, or the admission that it is not known.

    Parameters
    ----------
    mm_per_px_x, mm_per_px_y : float or None
        Millimetres per pixel along x and y; both or neither.
    source : CalibrationSource
        Where the numbers come from.
    confidence : float
        0 to 1; 1 for a calibrated DICOM region or a value the user gave.
    detail : str
        One sentence of provenance, for the report.
    """

    mm_per_px_x: float | None = None
    mm_per_px_y: float | None = None
    source: CalibrationSource = CalibrationSource.NONE
    confidence: float = 0.0
    detail: str = "no pixel spacing is known; lengths are in pixels"

    def __post_init__(self) -> None:
        both = (self.mm_per_px_x, self.mm_per_px_y)
        if (both[0] is None) != (both[1] is None):
            raise ValueError("give both pixel spacings or neither")
        for spacing in both:
            if spacing is not None and not (np.isfinite(spacing) and spacing > 0):
                raise ValueError(f"{spacing} mm is not a pixel spacing")

    @property
    def spacing_mm(self) -> tuple[float, float] | None:
        """Millimetres per pixel (x, y), or None where there is no calibration."""
        if self.mm_per_px_x is None or self.mm_per_px_y is None:
            return None
        return self.mm_per_px_x, self.mm_per_px_y

    def to_mm(self, vectors_px: Floats) -> Floats:
        """Scale vectors of shape (..., 2), (x, y) in px, to mm.

        Raises
        ------
        ValueError
            If there is no calibration: ask ``spacing_mm`` first.
        """
        if self.spacing_mm is None:
            raise ValueError("no calibration: lengths stay in pixels")
        return np.asarray(vectors_px, dtype=np.float64) * np.array(
            self.spacing_mm, dtype=np.float64
        )

    def length_mm(self, vectors_px: Floats) -> Floats:
        """Euclidean length in mm of vectors of shape (..., 2) in px; shape (...)."""
        lengths: Floats = np.linalg.norm(self.to_mm(vectors_px), axis=-1)
        return lengths


@dataclass(frozen=True, slots=True)
class Fan:
    """Geometry of a sector or convex image: rays from one apex between two radii.

    Parameters
    ----------
    apex_px : (float, float)
        Where the outermost rays meet, in source px; above the image for a convex probe.
    radius_min_px, radius_max_px : float
        Radii of the probe face and of the deepest arc.
    angle_left_deg, angle_right_deg : float
        Outermost ray directions, degrees from straight down, positive towards +x.
    """

    apex_px: Point
    radius_min_px: float
    radius_max_px: float
    angle_left_deg: float
    angle_right_deg: float


@dataclass(frozen=True, slots=True)
class Region:
    """The B-mode picture inside the source frame: a box, and the fan in it where there is one."""

    x: int
    y: int
    width: int
    height: int
    fan: Fan | None = None

    @property
    def origin_px(self) -> Floats:
        """(x, y) of the region's first pixel centre in the source frame."""
        return np.array([self.x, self.y], dtype=np.float64)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the region in a source frame, (rows, columns)."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)


@dataclass(frozen=True, slots=True, eq=False)
class Timing:
    """When each source frame was shown.

    Parameters
    ----------
    time_s : ndarray of float64, shape (n,), or None
        Presentation time of each source frame, the first at 0; None where no timing is known,
        and then no figure per second may be given.
    source : TimingSource
        Where the times come from.
    duplicate_of : ndarray of int64, shape (n,)
        Index of the earlier frame that each frame repeats, -1 for a frame of its own.
    """

    time_s: Floats | None
    source: TimingSource
    duplicate_of: NDArray[np.int64]

    @property
    def duplicates(self) -> int:
        """How many frames only repeat an earlier one."""
        return int(np.count_nonzero(self.duplicate_of >= 0))

    @property
    def distinct(self) -> NDArray[np.int64]:
        """Indices of the frames that do not repeat another."""
        return np.flatnonzero(self.duplicate_of < 0)

    @property
    def duration_s(self) -> float | None:
        """From the first frame to the end of the last one, or None."""
        if self.time_s is None or len(self.time_s) < 2:
            return None
        steps = np.diff(self.time_s)
        return float(self.time_s[-1] - self.time_s[0] + np.median(steps))

    @property
    def fps(self) -> float | None:
        """Source frames per second over the clip (repeats included), or None."""
        duration = self.duration_s
        if self.time_s is None or not duration:
            return None
        return len(self.time_s) / duration


@dataclass(frozen=True, slots=True, eq=False)
class Header:
    """Everything known about a clip before its frames are measured.

    Parameters
    ----------
    path : Path
        What was opened.
    sha256 : str
        Hash of the file's bytes; of a folder, of its files' hashes in order.
    kind : SourceKind
        Container family.
    frames : int
        Number of source frames.
    width, height : int
        Size of a source frame in px.
    region : Region
        The B-mode picture the stages see.
    tissue : ndarray of bool, shape (region.height, region.width)
        True where the region shows echoes: inside the fan, not under calipers, text or cursors.
    calibration : Calibration
        Size of a pixel.
    timing : Timing
        When each frame was shown.
    source_names : tuple of str
        Name of each frame's own file for a folder of images, otherwise empty.
    frame_numbers : ndarray of int64, shape (frames,)
        Position of each frame in the original recording: 0, 1, 2 ... for a cine; the numbers in
        the file names for a folder of images, where gaps mean that frames are missing.
    study : str
        Pseudonym of the examination: of the study that the file states, else of its content.
    name : str
        What results call the recording: its name without folders, unless that names the patient.
    warnings : tuple of str
        Sentences for the reader.
    """

    path: Path
    sha256: str
    kind: SourceKind
    frames: int
    width: int
    height: int
    region: Region
    tissue: Bools
    calibration: Calibration
    timing: Timing
    source_names: tuple[str, ...]
    frame_numbers: NDArray[np.int64]
    study: str = ""
    name: str = ""
    warnings: tuple[str, ...] = ()


class Frames(Protocol):
    """A clip as the stages see it; ``usguide.Clip`` is the one that reads files."""

    @property
    def header(self) -> Header:
        """What the recording is."""
        ...

    def frames(self) -> Iterator[tuple[int, Frame]]:
        """Yield (index, frame) of every distinct source frame in order, any number of times.

        ``frame`` is uint8 luma of shape (region.height, region.width). Repeats are skipped.
        """
        ...

    def __getitem__(self, index: int) -> Frame:
        """Return one source frame's region, uint8 (region.height, region.width)."""
        ...


# --- what was measured ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Borders:
    """Two borders as functions of x, per frame, in source px.

    Parameters
    ----------
    x_px : ndarray, shape (k,)
        Common abscissae, increasing.
    superficial_y_px, deep_y_px : ndarray of float32, shape (frames, k)
        NaN where a border is not known.
    """

    x_px: Floats
    superficial_y_px: NDArray[np.float32]
    deep_y_px: NDArray[np.float32]


Z_95 = 1.96
"""Half-width of a 95 % interval in standard deviations."""

STATIONS_MM = (5.0, 10.0, 15.0, 20.0, 30.0)
"""Distances from the insertion at which the fascia's thickness is stated."""

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
    """A place where both borders and the fibrils are interrupted."""

    distance_mm: float
    width_mm: float
    confidence: float


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


@dataclass(frozen=True, slots=True)
class NotMeasured:
    """One finding that could not be looked for although its stage measured, and why."""

    what: str
    reason: str


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


@dataclass(frozen=True, slots=True, eq=False)
class MuscleResult:
    """What the muscle stage found; thickness is between the inner edges of the aponeuroses."""

    status: Status
    reason: str
    thickness_mm: Measurement | None = None
    thickness_px: Measurement | None = None
    echo_intensity: Measurement | None = None
    """Mean grey level (0 to 255) between the aponeuroses; depends on the machine's settings."""
    superficial_px: Floats | None = None
    """Shape (k, 2), (x, y) in source px, in ``reference_frame``."""
    deep_px: Floats | None = None
    reference_frame: int | None = None
    borders: Borders | None = None
    frame_thickness_px: Floats | None = None
    """Shape (frames,): mean thickness across the region in each frame."""
    frame_thickness_mm: Floats | None = None
    superficial_left_y_px: Floats | None = None
    """Shape (frames,): the superficial inner edge at the left edge of the region."""
    deep_left_y_px: Floats | None = None
    superficial_outer_px: Floats | None = None
    """Shape (k, 2): the outer edges of the two aponeuroses in ``reference_frame``, as above."""
    deep_outer_px: Floats | None = None


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
    """Advance along the shaft from the start of the pass to its deepest point; None without a
    scale, and where one of the two was not seen and is told from the rhythm."""
    depth_px: float
    """The same in px; NaN where one of the two was not seen."""
    in_fascia_s: float | None = None


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
    tip_confidence: Floats | None = None
    """Shape (frames,), 0 to 1: estimated probability that the tip is within 3 mm."""
    tip_ellipse_px: Floats | None = None
    """Shape (frames, 2): half axes of the 95 % ellipse about the tip, along the shaft and across
    it; out of plane a circle. NaN where the tip is not visible."""
    shaft_angle_deg: Floats | None = None
    insertion_depth_px: Floats | None = None
    """Shape (frames,): distance along the shaft from where its line enters the image."""
    insertion_depth_mm: Floats | None = None
    tip_to_fascia_mm: Floats | None = None
    """Shape (frames,): distance to the nearest fascia border, negative inside the band."""
    passes: tuple[NeedlePass, ...] = ()
    closest_to_fascia_mm: float | None = None
    first_in_fascia_s: float | None = None
    """When the tip was first seen inside the fascia."""
    in_fascia_s: float | None = None
    """For how long it was seen there, in all."""

    @property
    def frames_visible(self) -> int:
        """Number of distinct frames in which the tip is claimed."""
        return 0 if self.tip_visible is None else int(np.count_nonzero(self.tip_visible))


@dataclass(frozen=True, slots=True)
class Twitch:
    """A brief local burst of motion that the needle's own motion does not explain."""

    start_s: float
    end_s: float
    peak_mm: float | None
    peak_velocity_mm_s: float | None
    """A lower bound: at 30 frames/s the true peak falls between frames."""
    centre_px: Point
    confidence: float
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
    centre_px: Point
    confidence: float
    outline_px: tuple[Point, ...] = ()


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


@dataclass(frozen=True, slots=True)
class Hint:
    """What a person knows of the needle in one frame."""

    frame: int
    """Number of the source frame, from 0."""
    tip_px: tuple[float, float] | None
    """The tip, (x, y) in source px; None where it is not visible."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for; defaults are what ``usguide analyze PATH`` does."""

    tasks: frozenset[Task] = frozenset(Task)
    spacing_mm: tuple[float, float] | None = None
    """Millimetres per pixel (x, y), instead of what the file says."""
    region: tuple[int, int, int, int] | int | None = None
    """x, y, width, height of the B-mode picture in source px, instead of finding it; or the number
    of one of the several that a DICOM file states, from 1."""
    fps: float | None = None
    """Frames per second, instead of the file's timing."""
    hints: tuple[Hint, ...] = ()
    """What a person knows of the needle, which its path honours."""
    online: bool = False
    """Follow the needle without looking at later frames."""


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """Everything measured on one clip."""

    header: Header
    options: Options
    fascia: FasciaResult
    muscle: MuscleResult
    needle: NeedleTrack
    motion: MotionResult
    version: str
    seconds: dict[str, float]
    """Wall time per stage, in the order run."""
    warnings: tuple[str, ...] = ()

    @property
    def measured(self) -> bool:
        """Whether any stage measured anything."""
        return any(
            status is Status.MEASURED
            for status in (
                self.fascia.status,
                self.muscle.status,
                self.needle.status,
                self.motion.contraction.status,
            )
        )
