"""How tissue moves: every motion takes points at rest and returns their displacement in mm.

The displacement is a function of the rest position, so that the truth at any point is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from usguide.model import Floats
from usguide.synth.tissue import smoothstep, wander

Coordinates = NDArray[np.floating]


class Motion(Protocol):
    """Displacement of tissue in one frame."""

    def at(
        self, frame: int, x: Coordinates, z: Coordinates
    ) -> tuple[Coordinates, Coordinates] | None:
        """Return the displacement (mm) of points at rest (mm), or None where nothing moves."""
        ...


class Swelling:
    """A motion that grows and shrinks but keeps its shape: ``amount(frame) * shape(x, z)``."""

    def amount(self, frame: int) -> float:
        """Return the factor of one frame."""
        raise NotImplementedError

    def shape(self, x: Coordinates, z: Coordinates) -> tuple[Coordinates, Coordinates]:
        """Return the displacement (mm) of points at rest (mm) for an amount of 1."""
        raise NotImplementedError

    def at(
        self, frame: int, x: Coordinates, z: Coordinates
    ) -> tuple[Coordinates, Coordinates] | None:
        """Return the displacement (mm) of points at rest (mm), or None where nothing moves."""
        amount = self.amount(frame)
        if amount == 0.0:
            return None
        right, down = self.shape(x, z)
        return amount * right, amount * down


class Frozen:
    """A motion at points that stay the same, so that its shape there is worked out only once."""

    def __init__(self, motion: Motion, x: Coordinates, z: Coordinates) -> None:
        self._motion = motion
        self._shape = motion.shape(x, z) if isinstance(motion, Swelling) else None

    def at(
        self, frame: int, x: Coordinates, z: Coordinates
    ) -> tuple[Coordinates, Coordinates] | None:
        """Return the displacement (mm) of the points given at first."""
        if self._shape is None or not isinstance(self._motion, Swelling):
            return self._motion.at(frame, x, z)
        amount = self._motion.amount(frame)
        if amount == 0.0:
            return None
        return amount * self._shape[0], amount * self._shape[1]


@dataclass(frozen=True, slots=True, eq=False)
class Drift:
    """The probe slides: the whole picture moves, without deformation.

    Parameters
    ----------
    shift_mm : ndarray, shape (frames, 2)
        Displacement of the picture, (x, z).
    """

    shift_mm: Floats

    def at(
        self, frame: int, x: Coordinates, z: Coordinates
    ) -> tuple[Coordinates, Coordinates] | None:
        """Return the displacement (mm) of points at rest (mm)."""
        right, down = self.shift_mm[frame]
        return np.full_like(x, right), np.full_like(z, down)


def drift(rng: np.random.Generator, time_s: Floats, amplitude_mm: float) -> Drift:
    """Return the slow wandering of a hand-held probe: zero in the first frame.

    ``time_s`` has shape (frames,). ``amplitude_mm`` is the largest excursion along x; along z it is
    a quarter of it.
    """
    paths = []
    for size in (amplitude_mm, amplitude_mm / 4.0):
        path = wander(rng, time_s, 4.0)
        path = path - path[0]
        paths.append(size * path / max(float(np.abs(path).max()), 1e-9))
    return Drift(np.stack(paths, axis=1))


def slip(rng: np.random.Generator, time_s: Floats, amount_mm: float, before: Drift) -> Drift:
    """Return ``before`` with a slide of ``amount_mm`` along x, made within a third of a second.

    ``time_s`` has shape (frames,).
    """
    if amount_mm == 0.0:
        return before
    start = rng.uniform(0.2, 0.7) * float(time_s[-1])
    shift = before.shift_mm.copy()
    shift[:, 0] += amount_mm * smoothstep((time_s - start) / 0.33)
    return Drift(shift)


@dataclass(frozen=True, slots=True, eq=False)
class Twitch(Swelling):
    """A local twitch response: a brief pull on the fibres around one place.

    Parameters
    ----------
    centre_mm : (float, float)
        Place at rest.
    direction_deg : float
        Direction of the pull, image axes.
    size_mm : (float, float)
        Standard deviation of its extent along and across the direction.
    start_s, end_s, peak_mm : float
        When, and the largest displacement.
    time_s : ndarray, shape (frames,)
        Time of every frame.
    """

    centre_mm: tuple[float, float]
    direction_deg: float
    size_mm: tuple[float, float]
    start_s: float
    end_s: float
    peak_mm: float
    time_s: Floats

    def amount(self, frame: int) -> float:
        """Displacement at the centre, mm: up in a third of the duration, down in two thirds."""
        phase = (self.time_s[frame] - self.start_s) / (self.end_s - self.start_s)
        rise = smoothstep(phase * 3.0)
        fall = 1.0 - smoothstep((phase - 1.0 / 3.0) * 1.5)
        return float(self.peak_mm * rise * fall)

    @property
    def peak_velocity_mm_s(self) -> float:
        """Largest speed at the centre: a smoothstep is steepest in its middle, at 1.5."""
        return abs(1.5 * self.peak_mm / ((self.end_s - self.start_s) / 3.0))

    def shape(self, x: Coordinates, z: Coordinates) -> tuple[Coordinates, Coordinates]:
        """Return the displacement of points at rest for 1 mm at the centre."""
        angle = np.radians(self.direction_deg)
        right, down = x - x.dtype.type(self.centre_mm[0]), z - z.dtype.type(self.centre_mm[1])
        along = (right * np.cos(angle) + down * np.sin(angle)) / self.size_mm[0]
        across = (down * np.cos(angle) - right * np.sin(angle)) / self.size_mm[1]
        pull = np.exp(-0.5 * (along**2 + across**2)).astype(x.dtype)
        return pull * x.dtype.type(np.cos(angle)), pull * x.dtype.type(np.sin(angle))
