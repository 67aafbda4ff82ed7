"""A contracting muscle's motion: sliding with shear, thickening, and a tear that opens.

All of it is a function of the rest position times the activation, so that truth is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usguide.errors import ConfigError
from usguide.model import Floats
from usguide.synth.belly import Belly, Edge
from usguide.synth.motion import Coordinates, Swelling
from usguide.synth.parameters import Value
from usguide.synth.tissue import smoothstep

SHORTEST_S = 0.5
"""Shortest cycle: a voluntary contraction with its release and a moment of rest."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """One contraction: times in seconds, height as a fraction of the clip's largest."""

    start_s: float
    full_s: float
    release_s: float
    end_s: float
    height: float

    def earlier(self, seconds: float) -> Cycle:
        """Return the same contraction, sooner."""
        return Cycle(
            self.start_s - seconds,
            self.full_s - seconds,
            self.release_s - seconds,
            self.end_s - seconds,
            self.height,
        )


def most_cycles(values: dict[str, Value]) -> int:
    """How many contractions fit in the clip."""
    return int((int(values["frames"]) - 1) / float(values["fps"]) / SHORTEST_S)


def cycles(
    rng: np.random.Generator,
    count: int,
    duration_s: float,
    unequal: float,
    *,
    starts_contracted: bool,
) -> list[Cycle]:
    """Return ``count`` contractions spread over a clip that ends at rest.

    It begins at rest too, unless ``starts_contracted``.

    Raises
    ------
    ConfigError
        If they would have to be faster than a muscle is.
    """
    if count == 0:
        return []
    slot = duration_s / count
    if slot < SHORTEST_S:
        raise ConfigError(
            f"contractions={count} do not fit in {duration_s:.2f} s; "
            "give more frames or fewer contractions."
        )
    made = []
    for k in range(count):
        start = (k + rng.uniform(0.08, 0.16)) * slot
        full = start + rng.uniform(0.18, 0.28) * slot
        release = full + rng.uniform(0.10, 0.22) * slot
        end = release + rng.uniform(0.20, 0.30) * slot
        height = 1.0 if k == 0 else 1.0 - unequal * rng.uniform()
        made.append(Cycle(start, full, release, end, height))
    if starts_contracted:
        early = 0.5 * (made[0].full_s + made[0].release_s)
        made = [each.earlier(early) for each in made]
    return made


def activation(each: list[Cycle], time_s: Floats) -> Floats:
    """Activation, shape (frames,): 0 at rest to 1 at the largest contraction."""
    level = np.zeros(len(time_s))
    for cycle in each:
        rise = smoothstep((time_s - cycle.start_s) / (cycle.full_s - cycle.start_s))
        fall = 1.0 - smoothstep((time_s - cycle.release_s) / (cycle.end_s - cycle.release_s))
        level = np.maximum(level, cycle.height * rise * fall)
    return np.asarray(level)


class Contraction(Swelling):
    """The muscle slides along itself, most at its deep aponeurosis, and thickens.

    Parameters
    ----------
    belly : Belly
        The muscle.
    activation : ndarray, shape (frames,)
        0 to 1.
    excursion_mm : float
        How far the deep aponeurosis slides at full activation, towards -x.
    thickening : float
        Gain in thickness at full activation, as a fraction.
    under_slide : float
        Slide of the muscle below, as a fraction of the excursion.
    """

    def __init__(
        self,
        belly: Belly,
        activation: Floats,
        excursion_mm: float,
        thickening: float,
        under_slide: float,
    ) -> None:
        self.belly = belly
        self.activation = activation
        self.excursion_mm = excursion_mm
        self.thickening = thickening
        self._under_slide = under_slide

    def amount(self, frame: int) -> float:
        """Activation of one frame."""
        return float(self.activation[frame])

    def shape(self, x: Coordinates, z: Coordinates) -> tuple[Coordinates, Coordinates]:
        """Return the displacement of points at rest at full activation."""
        belly = self.belly
        top, bottom = belly.superficial_z(x), belly.deep_z(x)
        h = belly.height(x, z)
        inside = np.clip(h, 0.0, 1.0)
        # Sliding: a little at the superficial aponeurosis, dying out in the fat above; full at
        # the deep one, another amount in the muscle below.
        sliding = 0.15 + 0.85 * smoothstep(inside)
        sliding = sliding * smoothstep(1.0 + (z - top) / 4.0)
        lagging = (1.0 - self._under_slide) * smoothstep((z - bottom - 1.0) / 5.0)
        sliding = sliding * (1.0 - lagging)
        right = -self.excursion_mm * sliding
        pushed = inside * np.exp(-np.clip(z - bottom, 0.0, None) / 15.0)
        down = right * belly.slope(x, h) + self.thickening * (bottom - top) * pushed
        return right, down


class Tear(Swelling):
    """Two ends part: the proximal one retracts most, the gap opens with the activation.

    Parameters
    ----------
    belly : Belly
        The muscle.
    activation : ndarray, shape (frames,)
        0 to 1.
    edge : Edge
        Where the tear runs.
    rest_mm, widening_mm : float
        Width along the muscle at rest, and what full activation adds.
    retraction : float
        Share of the widening taken by the proximal (left) end.
    reach_mm : float
        Distance over which the pull dies out in each end.
    """

    def __init__(
        self,
        belly: Belly,
        activation: Floats,
        edge: Edge,
        rest_mm: float,
        widening_mm: float,
        retraction: float,
        reach_mm: float,
    ) -> None:
        self.belly = belly
        self.activation = activation
        self.edge = edge
        self.rest_mm = rest_mm
        self.widening_mm = widening_mm
        self._retraction = retraction
        self._reach = reach_mm

    def amount(self, frame: int) -> float:
        """Activation of one frame."""
        return float(self.activation[frame])

    def across(
        self, x: Coordinates, z: Coordinates
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Distance from the tear's line along x at rest, and the relative gape at that depth."""
        line, gape = self.edge.at(self.belly.height(x, z))
        return np.asarray(x - line), gape

    def shape(self, x: Coordinates, z: Coordinates) -> tuple[Coordinates, Coordinates]:
        """Return the displacement of points at rest at full activation."""
        offset, gape = self.across(x, z)
        half = 0.5 * self.rest_mm * gape
        beyond = np.abs(offset) - half
        left, right = -self._retraction, 1.0 - self._retraction
        pull = np.where(offset < 0, left, right) * np.exp(-np.clip(beyond, 0, None) / self._reach)
        # What fills the gap is stretched with it.
        inside = left + (right - left) * (offset + half) / np.maximum(2.0 * half, 1e-9)
        pull = np.where(beyond < 0, inside, pull) * self.widening_mm * gape
        pull = pull.astype(x.dtype)
        return pull, pull * self.belly.slope(x, self.belly.height(x, z)).astype(x.dtype)
