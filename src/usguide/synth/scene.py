"""A scene: what is scanned, with what, and the frames and the truth that come of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from usguide.model import Floats, Frame
from usguide.synth.imaging import Imager
from usguide.synth.motion import Coordinates, Frozen, Motion
from usguide.synth.parameters import Value, stream
from usguide.synth.scanner import Scanner, Scatterers

Truth = dict[str, object]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a scene's millimetres lie in the recorded frame.

    Parameters
    ----------
    spacing_mm : float
        Size of a pixel.
    width_px : int
        Width of the B-mode picture.
    mirrored : bool
        Whether the picture is flipped left to right.
    origin_px : (int, int)
        First pixel (x, y) of the B-mode picture in the frame.
    """

    spacing_mm: float
    width_px: int
    mirrored: bool = False
    origin_px: tuple[int, int] = (0, 0)

    def px(self, points_mm: Floats) -> Floats:
        """Return points (..., 2) in mm as source px."""
        points = np.array(points_mm, dtype=np.float64) / self.spacing_mm
        if self.mirrored:
            points[..., 0] = self.width_px - 1 - points[..., 0]
        return np.asarray(points + np.array(self.origin_px, dtype=np.float64))

    def mm(self, points_px: Floats) -> Floats:
        """Return points (..., 2) in source px as the scene's mm."""
        points = np.array(points_px, dtype=np.float64) - np.array(self.origin_px)
        if self.mirrored:
            points[..., 0] = self.width_px - 1 - points[..., 0]
        return np.asarray(points * self.spacing_mm)

    def turn(self, vectors_mm: Floats) -> Floats:
        """Return vectors (..., 2) in the scene's axes in the frame's axes."""
        vectors = np.array(vectors_mm, dtype=np.float64)
        if self.mirrored:
            vectors[..., 0] *= -1.0
        return vectors


class World(Protocol):
    """What is in front of the probe."""

    tissue: Scatterers
    motions: list[Motion]

    def instruments(self, frame: int) -> Scatterers | None:
        """Return scatterers that do not belong to the tissue, at their place in one frame."""
        ...

    def transmission(self, frame: int, imager: Imager) -> NDArray[np.float32] | None:
        """Return what the shadows leave of the echoes on the imager's grid, (samples, beams)."""
        ...

    def brightness(self, frame: int) -> NDArray[np.float32] | None:
        """Return a factor for every tissue scatterer's amplitude, or None for 1."""
        ...

    def truth(self, place: Placement, shown: list[int]) -> Truth:
        """Return the truth of this anatomy and instrument, JSON-ready, for the frames shown."""
        ...


class Recording(ABC):
    """Synthetic frames with their truth: a bare scene, or a scene on a screen."""

    parameters: dict[str, Value]

    @property
    @abstractmethod
    def fps(self) -> float:
        """Source frames per second."""

    @property
    @abstractmethod
    def size_px(self) -> tuple[int, int]:
        """Width and height of a source frame."""

    @property
    @abstractmethod
    def spacing_mm(self) -> tuple[float, float]:
        """Millimetres per pixel (x, y)."""

    @property
    @abstractmethod
    def placement(self) -> Placement:
        """Where the scene's millimetres lie in the source frame."""

    @property
    @abstractmethod
    def truth(self) -> Truth:
        """The truth, JSON-ready; every field is described in ``docs/truth.md``."""

    @property
    @abstractmethod
    def times_s(self) -> Floats:
        """Time of every source frame, shape (frames,)."""

    @property
    def count(self) -> int:
        """Number of source frames."""
        return len(self.times_s)

    @abstractmethod
    def frames(self) -> Iterator[Frame]:
        """Yield the luma of every source frame, uint8 (height, width), the same each time."""

    def pictures(self) -> Iterator[NDArray[np.uint8]]:
        """Yield every source frame as a recorder stores it: grey, or RGB (height, width, 3)."""
        return self.frames()

    def array(self) -> NDArray[np.uint8]:
        """Return the luma of all source frames, uint8 (frames, height, width)."""
        return np.stack(list(self.frames()))

    @abstractmethod
    def displacement_mm(self, frame: int, points_px: Floats) -> Floats:
        """Exact displacement from rest of tissue that lies at ``points_px`` at rest.

        Parameters
        ----------
        frame : int
            Source frame.
        points_px : ndarray, shape (..., 2)
            Points (x, y) in source px where the tissue is at rest.

        Returns
        -------
        ndarray, shape (..., 2)
            Displacement in mm, along the frame's x and y.
        """


class Scene(Recording):
    """A synthetic recording: frames on demand, and exact truth.

    Parameters
    ----------
    name : str
        Kind of scene.
    seed : int
        Everything random follows from it.
    parameters : dict
        The value of every parameter.
    scanner : Scanner
        Probe and settings.
    world : World
        What is scanned.
    time_s : ndarray, shape (frames,)
        Time of every frame.
    mirrored : bool
        Whether the picture is flipped left to right.
    """

    def __init__(
        self,
        name: str,
        seed: int,
        parameters: dict[str, Value],
        scanner: Scanner,
        world: World,
        time_s: Floats,
        *,
        mirrored: bool,
    ) -> None:
        self.name = name
        self.seed = seed
        self.parameters = parameters
        self.scanner = scanner
        self._time_s = time_s
        self.mirrored = mirrored
        self._world = world

    @property
    def fps(self) -> float:
        """Frames per second."""
        return float(self.parameters["fps"])

    @property
    def times_s(self) -> Floats:
        """Time of every frame, shape (frames,)."""
        return self._time_s

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of a frame."""
        return self.scanner.width_px, self.scanner.height_px

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """Millimetres per pixel (x, y)."""
        return self.scanner.spacing_mm, self.scanner.spacing_mm

    @property
    def placement(self) -> Placement:
        """Where the scene's millimetres lie in its frames."""
        return Placement(self.scanner.spacing_mm, self.scanner.width_px, self.mirrored)

    def frames(self) -> Iterator[Frame]:
        """Yield every frame, uint8 (height, width), the same each time."""
        imager = Imager(self.scanner, stream(self.seed, "electronic noise"))
        tissue = self._world.tissue
        reference = imager.reference(tissue)
        motions: list[Motion] = [
            Frozen(motion, tissue.x, tissue.z) for motion in self._world.motions
        ]
        turned_at = stream(self.seed, "gain step").uniform(0.3, 0.7) * self.count
        turned_by = np.float32(10 ** (float(self.parameters["gain_step_db"]) / 20.0))
        for frame in range(self.count):
            right, down = _moved(motions, frame, tissue.x, tissue.z)
            factor = self._world.brightness(frame)
            amplitude = tissue.amplitude if factor is None else tissue.amplitude * factor
            imager.add(tissue.x + right, tissue.z + down, amplitude, reference)
            instrument = self._world.instruments(frame)
            if instrument is not None:
                imager.add(
                    instrument.x,
                    instrument.z,
                    instrument.amplitude,
                    imager.reference(instrument),
                )
            envelope = imager.envelope(self._world.transmission(frame, imager))
            if frame >= turned_at:
                envelope *= turned_by
            picture = imager.show(envelope)
            yield np.ascontiguousarray(picture[:, ::-1]) if self.mirrored else picture

    def displacement_mm(self, frame: int, points_px: Floats) -> Floats:
        """Exact displacement from rest of tissue that lies at ``points_px`` at rest.

        Parameters
        ----------
        frame : int
            Frame index.
        points_px : ndarray, shape (..., 2)
            Points (x, y) in px where the tissue is at rest.

        Returns
        -------
        ndarray, shape (..., 2)
            Displacement in mm, along the frame's x and y.
        """
        points = self.placement.mm(points_px)
        right, down = _moved(self._world.motions, frame, points[..., 0], points[..., 1])
        return self.placement.turn(np.stack([right, down], axis=-1))

    @property
    def truth(self) -> Truth:
        """The truth, JSON-ready; every field is described in ``docs/truth.md``."""
        return self.truth_at(self.placement, list(range(self.count)))

    def truth_at(self, place: Placement, shown: list[int]) -> Truth:
        """Return the truth with its coordinates placed in a larger frame.

        Parameters
        ----------
        place : Placement
            Where the picture lies in the frame.
        shown : list of int
            The frame of this scene that each source frame shows.
        """
        width, height = self.size_px
        x = np.linspace(0.08, 0.92, 11) * (width - 1)
        y = np.linspace(0.08, 0.92, 9) * (height - 1)
        grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        moved = np.stack([self.displacement_mm(frame, grid) for frame in range(self.count)])
        fan = self.scanner.fan
        offset = np.array(place.origin_px, dtype=np.float64)
        return {
            "schema": "usguide/truth/1",
            "scene": self.name,
            "seed": self.seed,
            "parameters": dict(self.parameters),
            "frames": self.count,
            "width": width,
            "height": height,
            "region_px": [*place.origin_px, width, height],
            "fan": None
            if fan is None
            else {
                "apex_px": rounded(np.array(fan.apex_px) + offset, 3),
                "radius_min_px": round(fan.radius_min_px, 3),
                "radius_max_px": round(fan.radius_max_px, 3),
                "angle_left_deg": fan.angle_left_deg,
                "angle_right_deg": fan.angle_right_deg,
            },
            "calibration": {"mm_per_px": [float(spacing) for spacing in self.spacing_mm]},
            "ruler": None,
            "timing": {
                "fps": self.fps,
                "scan_fps": self.fps,
                "time_s": rounded(self.times_s, 6),
                "duplicate_of": [-1] * self.count,
                "scan_frame": list(range(self.count)),
            },
            "displacement": {
                "points_px": rounded(grid + offset, 2),
                "displacement_mm": rounded(moved, 4),
            },
            **self._world.truth(place, shown),
        }


def _moved(
    motions: list[Motion], frame: int, x: Coordinates, z: Coordinates
) -> tuple[Coordinates, Coordinates]:
    """Sum of all motions at points at rest."""
    right, down = np.zeros_like(x), np.zeros_like(z)
    for motion in motions:
        step = motion.at(frame, x, z)
        if step is not None:
            right += step[0]
            down += step[1]
    return right, down


def rounded(values: NDArray[np.floating], digits: int) -> list[object]:
    """Return an array as nested lists of rounded numbers, null for what is not finite."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim > 1:
        return [rounded(row, digits) for row in array]
    # Adding zero turns -0.0 into 0.0, which reads better and compares as text.
    return [round(float(v), digits) + 0.0 if np.isfinite(v) else None for v in array]
