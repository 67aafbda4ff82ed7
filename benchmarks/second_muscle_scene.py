"""What a clip of a contracting muscle is made of, and how its tissue moves.

Lengths are in mm, positions (x, z) from the middle of the probe's face, z away from it. Where
tissue is follows from where it is at rest with the tear closed: a displacement along every one of a
few ways, each weighed by a curve of time (:class:`Ways`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.second_needle_path import Needle
from benchmarks.second_scanner import (
    Floats,
    Probe,
    Settings,
)
from benchmarks.second_tissue import rotated

KINDS = (
    "whole", "complete", "partial", "whole", "open", "rest", "hematoma", "twitch", "needled twitch",
    "vessel", "partial", "shadow", "passive", "septum", "stays", "needle", "scar", "contact",
    "torn at rest", "junction",
)  # fmt: skip
"""One after the other, each for two seeds, so that even and odd seeds have them all."""
TORN = ("complete", "partial", "open", "hematoma", "torn at rest", "stays")
STILL = ("rest", "twitch", "needled twitch", "needle", "torn at rest")
"""Without a contraction."""
NEEDLED = ("needled twitch", "needle")
EDGE_MM = 0.8
"""Within which a tear ends at an aponeurosis that holds."""
SIDES_MM = 15.0
"""How far tissue goes on beside the picture, to slide into it."""


@dataclass(frozen=True)
class Belly:
    """The inner edges of the aponeuroses at rest, both (k,) over ``x`` (k,), and what is on them.

    ``pennation`` in rad is the fascicles' angle to the aponeuroses.
    """

    x: Floats
    top: Floats
    bottom: Floats
    sheath_mm: tuple[float, float]
    pennation: float

    def share(self, points: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the part of the way from the superficial edge to the deep one, and both edges."""
        top, bottom = (np.interp(points[:, 0], self.x, edge) for edge in (self.top, self.bottom))
        return (points[:, 1] - top) / (bottom - top), top, bottom


@dataclass(frozen=True)
class Pull:
    """What the largest contraction does."""

    slide_mm: float
    """Of the deep aponeurosis, to the right."""
    superficial: float
    """The share of it that the superficial one slides."""
    shortening: float
    pivot_mm: float
    thickening: float
    lift_mm: float
    below: float
    """The share that what lies below slides; it takes it up within ``reach_mm``."""
    reach_mm: float
    give_mm: float
    """Within which what lies below gives way to the thickening."""


@dataclass(frozen=True)
class Tear:
    """Where a muscle is torn: from ``begin`` to ``end``, parts of its thickness.

    ``rest_mm`` and ``peak_mm`` are how far its ends lie apart along x. ``pulled`` is the left end's
    share of this; ``decay_mm`` how far either end's retraction reaches.
    """

    x: float
    lean: float
    begin: float
    end: float
    sheaths: bool
    """Whether the aponeuroses that it meets are torn as well."""
    rest_mm: float
    peak_mm: float
    order: float
    pulled: float
    decay_mm: tuple[float, float]
    ragged: Floats
    """How far it lies from a straight line, in mm, at even steps of the thickness from 0 to 1."""
    filler_db: float
    """Of what fills it, over the muscle."""
    lumps_db: float

    def along(self, share: Floats, thickness: Floats) -> Floats:
        """Return where it lies along x at parts of a thickness."""
        ragged = np.interp(share, np.linspace(0, 1, len(self.ragged)), self.ragged)
        place: Floats = self.x + np.tan(self.lean) * (share - 0.5) * thickness + ragged
        return place

    def width(self, share: Floats, thickness: Floats) -> Floats:
        """Return how wide it is at parts of a thickness, over its widest place's."""
        beyond = np.maximum(self.begin - share, share - self.end) * thickness
        middle, half = (self.begin + self.end) / 2, (self.end - self.begin) / 2
        inner = np.clip((share - middle) / half, -1, 1)
        held = np.where(inner < 0, self.begin <= 0, self.end >= 1)  # by an aponeurosis, not fibres
        round_off = np.sqrt(np.clip(1 - inner**2, 0, 1))
        if self.sheaths:
            bound = np.clip(1 - beyond.clip(0) / 1.5, 0, 1)
        else:
            bound = np.clip(-beyond / EDGE_MM, 0, 1)
        return np.where(held, bound, np.minimum(round_off, bound))

    def opening(self, activation: Floats) -> Floats:
        """Return how far its ends lie apart at its widest place, in mm."""
        return self.rest_mm + (self.peak_mm - self.rest_mm) * activation**self.order


@dataclass(frozen=True)
class Ways:
    """Displacements (k, n, 2) of n places, which ``when`` (k, frames) weighs."""

    way: Floats
    when: Floats

    def at(self, frame: int) -> Floats:
        """Return the displacement in a frame, shape (n, 2)."""
        moved: Floats = np.einsum("k,knd->nd", self.when[:, frame], self.way)
        return moved


@dataclass(frozen=True)
class Spot:
    """A round place with something of its own: a vessel, fluid, scar, or where a twitch is."""

    centre: Floats
    half_mm: Floats
    lean: float = 0.0

    def off(self, points: Floats) -> Floats:
        """Return how far points are from the centre, over the half axes: 1 on the outline."""
        return np.hypot(*(rotated(points - self.centre, -self.lean) / self.half_mm).T)

    @property
    def outline(self) -> Floats:
        """Points on it, shape (72, 2)."""
        turn = np.arange(72) * np.pi / 36
        around = np.stack([np.cos(turn), np.sin(turn)], axis=1) * self.half_mm
        return rotated(around, self.lean) + self.centre


@dataclass(frozen=True)
class Scene:
    """All that is drawn of a clip but its scatterers."""

    kind: str
    probe: Probe
    settings: Settings
    belly: Belly
    pull: Pull
    tear: Tear | None
    time: Floats
    fps: int
    activation: Floats
    cycles: list[dict[str, float]]
    cut: int
    twitches: list[tuple[Spot, float, Floats, dict[str, float]]]
    """Place, direction in rad, mm in every frame, and its truth."""
    vessel: Spot | None
    pulse: Floats
    """[frame] by how much of its radius the vessel swells."""
    fluids: list[Spot]
    scar: Spot | None
    septum: Floats
    """A sheet across the muscle (m, 2), and a bone's surface, both empty for none."""
    bone: Floats
    veil: Floats
    """[line] what is left of echoes under a bubble or a hair."""
    breath: Floats
    slip: Floats
    """[frame] shift of the picture (x, z) in mm, and its turn in rad."""
    tilt: Floats
    turned: Floats
    """[frame] how far the tissue shown has left the slice, in rad of its speckle's phase."""
    glow_db: Floats
    """[frame] by how much the muscle is brighter."""
    lifted: Floats
    needle: Needle | None


def pulled(belly: Belly, pull: Pull, points: Floats) -> Floats:
    """Return how far the largest contraction moves points (n, 2)."""
    share, top, bottom = belly.share(points)
    inside, thickness = share.clip(0, 1), bottom - top
    over = np.clip(points[:, 1] / top, 0, 1)
    under = (points[:, 1] - bottom).clip(0)
    fall = np.exp(-under / pull.reach_mm)
    slide = pull.superficial * over**2 + (1 - pull.superficial) * inside
    slide = slide * (pull.below + (1 - pull.below) * fall)
    out = np.maximum(under, (top - points[:, 1]).clip(0))
    x = slide * pull.slide_mm
    x -= pull.shortening * (points[:, 0] - pull.pivot_mm) * np.exp(-((out / 4) ** 2))
    slope = [np.interp(points[:, 0], belly.x, np.gradient(edge, belly.x))
             for edge in (belly.top, belly.bottom)]  # fmt: skip
    along = (slope[0] + inside * (slope[1] - slope[0])) * over * np.exp(-under / 10)
    z = pull.lift_mm * over * np.exp(-under / pull.give_mm) + along * x
    z += pull.thickening * thickness * inside * np.exp(-under / pull.give_mm)
    return np.stack([x, z], axis=1)


def parted(belly: Belly, tear: Tear, points: Floats, side: Floats) -> Floats:
    """Return how far points move, on ``side`` -1 (left) or 1 of a tear, when it opens by 1 mm."""
    share, top, bottom = belly.share(points)
    width = tear.width(share, bottom - top)
    off = np.abs(points[:, 0] - tear.along(share, bottom - top))
    x = np.where(
        side < 0,
        -tear.pulled * np.exp(-off / tear.decay_mm[0]),
        (1 - tear.pulled) * np.exp(-off / tear.decay_mm[1]),
    )
    slope = np.interp(points[:, 0], belly.x, np.gradient((belly.top + belly.bottom) / 2, belly.x))
    return np.stack([x * width, slope * x * width], axis=1)


def surface(belly: Belly, tear: Tear, share: Floats) -> Floats:
    """Return the points of a closed tear at parts of the thickness, shape (n, 2)."""
    place = np.full(len(share), tear.x)
    for _ in range(4):  # the thickness depends on the place
        top, bottom = (np.interp(place, belly.x, edge) for edge in (belly.top, belly.bottom))
        place = tear.along(share, bottom - top)
    return np.stack([place, top + share * (bottom - top)], axis=1)


def moving(scene: Scene, points: Floats, across: Floats | None = None) -> Ways:
    """Return how points (n, 2) of the tissue move but for the probe's slip and tilt.

    ``across`` is where they lie between the left end of a torn muscle, 0, and the right one, 1, for
    those in or at the tear; None where the side on which they lie says so.
    """
    probe, none = scene.probe, np.zeros(len(points))
    deep = np.clip(points[:, 1] / probe.depth_mm, 0, 1.2)
    ways = [pulled(scene.belly, scene.pull, points), np.stack([0.3 * deep, deep], axis=1)]
    when = [scene.activation, scene.breath]
    if scene.tear is not None:
        tear = scene.tear
        left, right = (parted(scene.belly, tear, points, none + side) for side in (-1, 1))
        if across is None:
            share, top, bottom = scene.belly.share(points)
            across = (points[:, 0] > tear.along(share, bottom - top)).astype(np.float64)
        ways.append(left + (right - left) * across[:, None])
        when.append(tear.opening(scene.activation.clip(0)))
    for place, toward, beat, _ in scene.twitches:
        ways.append(np.exp(-(place.off(points) ** 2))[:, None] * [np.cos(toward), np.sin(toward)])
        when.append(beat)
    if scene.vessel is not None:
        far = scene.vessel.off(points)
        ways.append((points - scene.vessel.centre) * np.minimum(1, (far + 1e-6) ** -2)[:, None])
        when.append(scene.pulse)
    return Ways(np.stack(ways), np.stack(when))


def shown(scene: Scene, points: Floats, frame: int) -> Floats:
    """Return where the probe, which slips and tilts, sees points (n, 2)."""
    return rotated(points, scene.tilt[frame]) + scene.slip[frame]
