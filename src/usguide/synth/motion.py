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

    ``amplitude_mm`` is the largest excursion along x; along z it is a quarter of it.
    """
    paths = []
    for size in (amplitude_mm, amplitude_mm / 4.0):
        path = wander(rng, time_s, 4.0)
        path = path - path[0]
        paths.append(size * path / max(float(np.abs(path).max()), 1e-9))
    return Drift(np.stack(paths, axis=1))


@dataclass(frozen=True, slots=True, eq=False)
class Twitch:
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

    def amount(self, time_s: Floats | float) -> Floats:
        """Displacement at the centre, mm: up in a third of the duration, down in two thirds."""
        phase = (np.asarray(time_s) - self.start_s) / (self.end_s - self.start_s)
        rise = smoothstep(phase * 3.0)
        fall = 1.0 - smoothstep((phase - 1.0 / 3.0) * 1.5)
        return np.asarray(self.peak_mm * rise * fall)

    @property
    def peak_velocity_mm_s(self) -> float:
        """Largest speed at the centre: a smoothstep is steepest in its middle, at 1.5."""
        return 1.5 * self.peak_mm / ((self.end_s - self.start_s) / 3.0)

    def at(
        self, frame: int, x: Coordinates, z: Coordinates
    ) -> tuple[Coordinates, Coordinates] | None:
        """Return the displacement (mm) of points at rest (mm)."""
        amount = float(self.amount(float(self.time_s[frame])))
        if amount == 0.0:
            return None
        angle = np.radians(self.direction_deg)
        right, down = x - x.dtype.type(self.centre_mm[0]), z - z.dtype.type(self.centre_mm[1])
        along = (right * np.cos(angle) + down * np.sin(angle)) / self.size_mm[0]
        across = (down * np.cos(angle) - right * np.sin(angle)) / self.size_mm[1]
        pull = amount * np.exp(-0.5 * (along**2 + across**2))
        return pull * np.cos(angle), pull * np.sin(angle)
