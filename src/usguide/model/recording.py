"""What a clip is: its regions, its scale, its timing, its frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from usguide.errors import CalibrationError, ConfigError
from usguide.model.values import Bools, Floats, Frame, Point

_NUMBER = (int, float, np.number)

FRAME_STEP_S = (1e-5, 60.0)
"""Time from frame to frame that is possible: from 100,000 frames a second, ten times the fastest
ultrafast scanners, to one a minute."""


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

    @classmethod
    def given(cls, spacing_mm: float | tuple[float, float] | None) -> Calibration:
        """Return what somebody gave as millimetres per pixel, or along x and along y.

        Raises
        ------
        CalibrationError
            If they cannot be a pixel spacing.
        """
        if spacing_mm is None:
            return cls()
        said: Any = spacing_mm
        alone = isinstance(said, str) or not isinstance(said, Iterable)
        both: tuple[Any, ...] = (said, said) if alone else tuple(said)
        sensible = (isinstance(v, _NUMBER) and np.isfinite(v) and v > 0 for v in both)
        if len(both) != 2 or not all(sensible):
            words = " x ".join(map(str, dict.fromkeys(both)))
            raise CalibrationError(
                f"A pixel spacing of {words} mm makes no sense; give millimetres per pixel as one "
                "positive number, or two for x and y."
            )
        x, y = (float(value) for value in both)
        return cls(x, y, CalibrationSource.USER, 1.0, "given by the user")

    @property
    def spacing_mm(self) -> tuple[float, float] | None:
        """Millimetres per pixel (x, y), or None where there is no calibration."""
        if self.mm_per_px_x is None or self.mm_per_px_y is None:
            return None
        return self.mm_per_px_x, self.mm_per_px_y

    @property
    def aspect(self) -> float:
        """Height of a pixel over its width; 1, as of most scanners, where that is not known."""
        across, down = self.spacing_mm or (1.0, 1.0)
        return down / across

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


def checked_rate(fps: float | None) -> float | None:
    """Return frames per second that somebody gave.

    Raises
    ------
    ConfigError
        If no scanner has that rate.
    """
    low, high = FRAME_STEP_S
    if fps is not None and not (isinstance(fps, _NUMBER) and fps > 0 and low <= 1 / fps <= high):
        raise ConfigError(
            f"{fps} frames per second make no sense; give a number from {1 / high:.2g} to "
            f"{1 / low:,.0f}."
        )
    return fps


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
