"""Contracting muscles, whole and torn: tissue that moves, and the truth of how.

Scanned by :mod:`benchmarks.second_scanner`, judged by :mod:`benchmarks.second_muscles`. Lengths are
in mm, positions (x, z) from the middle of the probe's face, z away from it. Tissue is scatterers
that move. Where one is follows from where it is at rest with the tear closed: a displacement along
every one of a few ways, each weighed by a curve of time (:class:`Ways`). So truth is evaluated, at
the borders and the ends of the muscle, by the functions that moved the scatterers.

* A belly between two aponeuroses slides along them, the deep one the more, so that the fascicles
  turn; it shortens, thickens, and pushes what lies below away.
* A tear is a ragged surface, from an aponeurosis or in the middle, or all across. Its two ends part
  in opposite directions, the less the farther a place lies from it; blood fills what opens. Some
  are closed at rest, some open, some are as wide at rest as in the contraction.
* The contraction turns tissue out of the slice (speckle changes), changes its brightness, and may
  move the probe.

Truth (``docs/truth.md``); ``contraction.cycles`` are those which begin at rest, and end there, in
the clip; ``contraction.cut`` is how many more are in part.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.special import expit

from benchmarks.second_needling import (
    Needle,
    behind,
    dragged,
    draw_look,
    draw_needle,
    eased,
    needle_echoes,
    rotated,
    shaft_at,
    slow,
    stuck,
)
from benchmarks.second_scanner import (
    LINES,
    Floats,
    Frames,
    Probe,
    Settings,
    dense,
    deposit,
    detect,
    draw_probe,
    draw_settings,
    grain,
    kept_depths,
    optics,
    pictures,
    pixels,
    samples,
    scatterers,
    shade,
    surface_echoes,
    wander,
)

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
PER_CELL = 4
EDGE_MM = 0.8
"""Within which a tear ends at an aponeurosis that holds."""
FILLER_PER_MM2 = 60
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


def draw_activation(
    rng: np.random.Generator, kind: str
) -> tuple[Floats, Floats, int, list[dict[str, float]], int]:
    """Draw the time and activation of every frame, frames a second, cycles, and how many are cut.

    Rise, hold and fall are half cosines. A cycle is cut where the clip begins or ends in it.
    """
    fps = int(rng.choice([15, 18, 20, 24, 25, 30, 30, 40, 50, 60]))
    count = int(rng.integers(70, 121))
    time = np.arange(count) / fps
    if kind in STILL:
        return time, np.zeros(count), fps, [], 0
    length = count / fps
    cycles = int(rng.integers(1, np.clip(length / 0.9, 1, 6) + 1))
    early, late = rng.random(2) < 0.12
    legs = [(rng.uniform(0.06, 0.2) * length, 1.0 if early else 0.0)]
    found: list[dict[str, float]] = []
    if early:
        legs.append((rng.uniform(0.1, 0.25) * length / cycles, 0.0))
        legs.append((rng.uniform(0.08, 0.15) * length, 0.0))
    start = sum(seconds for seconds, _ in legs)
    period = (length - start) * rng.uniform(0.86, 0.98) / cycles
    for number in range(cycles):
        parts = rng.dirichlet([6, 4 * (rng.random() < 0.7) + 0.1, 6, 5]) * period
        parts = np.maximum(parts, [0.18, 0, 0.18, 0.12])
        if kind == "passive":
            parts = np.array([0.48, 0.02, 0.48, 0.02]) * period
        level = rng.uniform(0.65, 1)
        begin = sum(seconds for seconds, _ in legs)
        cut = (late and number == cycles - 1) or begin + sum(parts[:3]) > time[-1]
        legs += [(parts[0], level), (parts[1], level)]
        legs.append((length, level) if cut else (parts[2], 0.0))
        legs.append((parts[3], 0.0))
        if cut:
            late = True
            break
        found.append(
            {
                "start_s": begin,
                "peak_s": begin + parts[0] + parts[1] / 2,
                "end_s": begin + sum(parts[:3]),
                "level": level,
            }
        )
    activation = eased([*legs, (length, 0.0)], time)
    tremor = 1 + rng.uniform(0, 0.02) * wander(rng, np.append(time, length), 0.12)[:-1]
    top = activation.max()
    whole = [each | {"level": each["level"] / top} for each in found]
    return time, activation / top * tremor, fps, whole, int(early) + int(late)


def draw_belly(rng: np.random.Generator, probe: Probe, fat: float, thick: float) -> Belly:
    """Draw the borders of a belly under so much fat; for how wide the probe sees."""
    half = probe.width_mm() / 2 + SIDES_MM
    x = np.arange(-half, half, 0.1)
    tilt, splay = np.tan(np.radians(rng.normal(0, 3))), np.tan(np.radians(rng.normal(0, 2.5)))
    top = fat + tilt * x + rng.uniform(0.05, 0.4) * wander(rng, x, 15.0)
    swell = thick * rng.uniform(0, 0.25) * ((x - rng.normal(0, 10)) / 30) ** 2
    thickness = thick + splay * x - swell + rng.uniform(0.05, 0.4) * wander(rng, x, 15.0)
    thickness = gaussian_filter1d(np.maximum(thickness, 0.35 * thick), 40)
    pennation = np.radians(rng.uniform(6, 28)) * rng.choice([-1, 1])
    return Belly(x, top, top + thickness, (rng.uniform(0.3, 1.1), rng.uniform(0.3, 1.1)), pennation)


def draw_pull(rng: np.random.Generator, passive: bool) -> Pull:
    """Draw what a contraction, or a movement by somebody else's hand, does."""
    return Pull(
        slide_mm=rng.uniform(1.5, 9) * rng.choice([-1, 1]),
        superficial=rng.uniform(-0.1, 0.5),
        shortening=rng.uniform(-0.04, 0.04) if passive else rng.uniform(0, 0.12),
        pivot_mm=rng.uniform(-15, 15),
        thickening=rng.uniform(-0.06, 0.06) if passive else rng.uniform(-0.03, 0.25),
        lift_mm=rng.uniform(-0.8, 0.4),
        below=rng.uniform(-0.3, 0) if rng.random() < 0.1 else rng.uniform(0, 0.9),
        reach_mm=rng.uniform(1, 6),
        give_mm=rng.uniform(6, 20),
    )


def draw_tear(rng: np.random.Generator, kind: str, probe: Probe, thick: float) -> Tear:
    """Draw a tear in the middle two thirds of the picture; a partial one 0.25 to 0.7 of it."""
    begin, end = 0.0, 1.0
    if kind == "partial" or (kind != "complete" and rng.random() < 0.35):
        torn = rng.uniform(0.25, 0.7)
        begin = rng.choice([0.0, 1 - torn, rng.uniform(0.1, 0.9 - torn)], p=[0.4, 0.35, 0.25])
        end = begin + torn
    closed = kind in ("complete", "partial") and rng.random() < 0.75
    rest = rng.uniform(0, 0.4) if closed else rng.uniform(1.5, 8)
    widening = 0.0 if kind == "stays" else rng.uniform(1.5, 10)
    steps = np.linspace(0, 1, 41)
    hematoma = kind == "hematoma" or rng.random() < 0.25
    return Tear(
        x=rng.uniform(-0.6, 0.6) * probe.half_mm,
        lean=np.radians(rng.normal(0, 20)),
        begin=float(begin),
        end=float(end),
        sheaths=bool(rng.random() < 0.4),
        rest_mm=rest,
        peak_mm=rest + widening,
        order=rng.uniform(0.7, 1.4),
        pulled=rng.uniform(0.1, 0.9),
        decay_mm=(rng.uniform(8, 40), rng.uniform(8, 40)),
        ragged=rng.uniform(0.1, 0.6) * wander(rng, steps, rng.uniform(1.2, 4) / thick),
        filler_db=-rng.uniform(7, 12) if hematoma else -rng.uniform(12, 24),
        lumps_db=rng.uniform(1, 4) if hematoma else 0.5,
    )


def draw_scene(seed: int) -> Scene:
    """Draw a clip."""
    rng = np.random.default_rng([7, seed])
    kind = KINDS[seed // 2 % len(KINDS)]
    time, activation, fps, cycles, cut = draw_activation(rng, kind)
    fat, thick = rng.uniform(3, 12), rng.uniform(9, 24)
    probe = draw_probe(rng, str(rng.choice(["linear", "linear", "trapezoid", "convex"])),
                       (fat + thick) * 0.92)  # fmt: skip
    settings = draw_settings(rng, str(rng.choice(["black", "grey"])), fat + thick / 2)
    codec = str(rng.choice(["h264", "native", "jpeg"], p=[0.6, 0.2, 0.2]))
    settings = replace(
        settings, codec=codec, width_px=int(rng.integers(340, 521)), looks=min(settings.looks, 2),
        persistence=settings.persistence * 0.6, lifted=0.0, border_px=24,
        quality=int(rng.integers(60, 96) if codec == "jpeg" else rng.integers(18, 29)),
    )  # fmt: skip
    if settings.median_px * pixels(probe, settings)[1] > 0.45:
        settings = replace(settings, median_px=0)
    needle = None
    bone = np.zeros((0, 2))
    if kind in NEEDLED:
        needle, time, fps = draw_needle(rng, probe, bone, "in")
        activation = np.zeros(len(time))
    belly = draw_belly(rng, probe, fat, thick)
    x = belly.x
    if kind == "junction":
        ends, over = rng.uniform(-0.3, 0.7) * probe.half_mm, rng.uniform(12, 35)
        tapered = gaussian_filter1d(np.clip((ends - x) / over, 0, 1), 20)
        belly = replace(belly, bottom=belly.top + 0.4 + (belly.bottom - belly.top) * tapered)
    if kind == "shadow" or (kind not in ("junction", *NEEDLED) and rng.random() < 0.2):
        low = belly.bottom + rng.uniform(3, 9) + rng.normal(0, 0.01) * x**2
        inside = np.full(len(x), True)
        if kind == "shadow":
            low = low - rng.uniform(3, 0.8 * thick)
            edge = rng.uniform(0.1, 0.8) * probe.half_mm
            inside = x > edge if rng.random() < 0.5 else x < -edge
            low = low + np.where(np.abs(x) < edge + 3, 3 - (np.abs(x) - edge), 0)
        bone = np.stack([x, low], axis=1)[inside]
    count = len(time)
    twitches = []
    for _ in range(rng.integers(1, 4) if "twitch" in kind else 0):
        start, last = rng.uniform(0.08, 0.85) * time[-1], rng.uniform(0.15, 0.5)
        if start + last > time[-1] - 0.15 or any(
            abs(start - e[3]["start_s"]) < 0.9 for e in twitches
        ):
            continue
        peak = rng.uniform(0.8, 3)
        beat = peak * np.sin(np.pi * np.clip((time - start) / last, 0, 1) ** 0.7) ** 2
        share = rng.uniform(0.2, 0.8)
        at = rng.uniform(-0.7, 0.7) * probe.half_mm
        top, bottom = (float(np.interp(at, x, edge)) for edge in (belly.top, belly.bottom))
        place = Spot(np.array([at, top + share * (bottom - top)]),
                     np.array([rng.uniform(4, 10), rng.uniform(2, 4.5)]))  # fmt: skip
        truth = {"start_s": start, "end_s": start + last, "peak_mm": peak}
        twitches.append((place, belly.pennation + rng.normal(0, 0.2), beat, truth))
    tear = draw_tear(rng, kind, probe, thick) if kind in TORN else None

    def somewhere(share: float) -> Floats:
        at = rng.uniform(-0.6, 0.6) * probe.half_mm
        low, high = np.interp(at, x, belly.bottom), np.interp(at, x, belly.top)
        return np.array([at, high + share * (low - high)])

    vessel = scar = None
    if kind == "vessel" or rng.random() < 0.1:
        radius = rng.uniform(1.0, 3.0)
        vessel = Spot(somewhere(rng.uniform(0.2, 1.1)), np.full(2, radius))
    beat = (rng.uniform(0.9, 1.6) * time + rng.random()) % 1
    pulse = rng.uniform(0.04, 0.15) * np.exp(-(((beat - 0.2) / 0.12) ** 2))
    fluids = []
    if kind == "hematoma" and tear is not None:
        half = np.array([rng.uniform(4, 11), rng.uniform(1.5, min(4, thick / 5))])
        aside = tear.x + rng.choice([-1, 1]) * (half[0] * 1.15 + 2.5)
        between = rng.random() < 0.5
        middle = float(np.interp(aside, x, belly.bottom)) + belly.sheath_mm[1] + half[1]
        if not between:
            middle = float(np.interp(aside, x, (belly.top + belly.bottom) / 2))
        fluids.append(Spot(np.array([aside, middle]), half))
    elif kind in ("whole", "rest") and rng.random() < 0.3:
        half = np.array([rng.uniform(3, 9), rng.uniform(2, min(4, thick / 5))])
        fluids.append(Spot(somewhere(0.5), half, rng.normal(0, 0.2)))
    if kind == "scar":
        half = np.array([rng.uniform(3, 9), rng.uniform(1.5, 4)])
        scar = Spot(somewhere(rng.uniform(0.3, 0.7)), half, belly.pennation)
    septum = np.zeros((0, 2))
    if kind == "septum" or (kind not in ("junction", "septum") and rng.random() < 0.15):
        down = np.linspace(0, 1, 200)
        foot, lean = rng.uniform(-0.5, 0.5) * probe.half_mm, rng.uniform(-1.1, 1.1)
        place = foot + np.tan(lean) * (down - 0.5) * thick + 0.3 * wander(rng, down, 0.3)
        edges = [np.interp(place, x, edge) for edge in (belly.top, belly.bottom)]
        septum = np.stack([place, edges[0] + down * (edges[1] - edges[0])], axis=1)
    veil = np.ones(LINES)
    if kind == "contact" and rng.random() < 0.5:
        far = np.abs(np.arange(LINES) - rng.uniform(0.15, 0.85) * LINES) / rng.uniform(6, 22)
        veil = 10 ** (-rng.uniform(12, 35) / (1 + np.exp((far - 1) * 6)) / 20)
    lifted = np.zeros(count)
    if kind == "contact" and veil.min() == 1:
        lost = rng.uniform(0.08, 0.25) * rng.choice([-1, 1])
        lifted = lost * (1 + rng.uniform(-0.5, 0.5) * activation)
    follows = rng.uniform(0, 1.5) * (rng.random(2) < 0.4) * [1.0, 0.3] * rng.choice([-1, 1], 2)
    slip = np.stack([rng.uniform(0, most) * slow(rng, time, 1.5) for most in (0.8, 0.2)], axis=1)
    tilt = np.radians(rng.uniform(0, 1.0)) * slow(rng, time, 1.5)
    return Scene(
        kind, probe, settings, belly, draw_pull(rng, kind == "passive"), tear, time, fps,
        activation, cycles, cut, twitches, vessel, pulse, fluids, scar, septum, bone, veil,
        breath=rng.uniform(0, 0.25) * slow(rng, time, 1.2),
        slip=slip + activation[:, None] * follows,
        tilt=tilt + np.radians(rng.uniform(-2, 2)) * (rng.random() < 0.3) * activation,
        turned=rng.uniform(0, 0.4) * slow(rng, time, 1.0) + rng.uniform(0, 0.7) * activation,
        glow_db=rng.uniform(-4, 4) * activation,
        lifted=lifted,
        needle=needle,
    )  # fmt: skip


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


def levels(rng: np.random.Generator, scene: Scene, points: Floats) -> tuple[Floats, Floats, float]:
    """Return the echo level in dB at points (n, 2), which are the muscle's, and its mean level."""
    belly, (x, z) = scene.belly, points.T
    share, top, bottom = belly.share(points)
    skin = rng.uniform(0.8, 2.0)
    fat = rng.uniform(1.5, 4) * grain(rng, x, z, rng.uniform(1, 3), rng.uniform(0.3, 0.8))
    septa = grain(rng, x, z, rng.uniform(3, 8), rng.uniform(0.8, 2.0))
    fat += rng.uniform(4, 11) * np.exp(-((septa / 0.25) ** 2)) - rng.uniform(4, 11)

    def muscle(lean: float, mean: float) -> Floats:
        along, across = rotated(np.stack([x, z - (top + bottom) / 2], axis=1), -lean).T
        long, thin = rng.uniform(8, 25), rng.uniform(0.5, 1.3)
        fibres = grain(rng, along, across, long, thin)
        level = mean + rng.uniform(1, 4) * grain(rng, along, across, 4.0, 0.5)
        level += rng.uniform(6, 16) * np.exp(-((fibres / 0.3) ** 2))
        return level + rng.uniform(0, 3) * grain(rng, x, z, 9, 5)

    mean, lower = rng.uniform(-23, -9), rng.uniform(-22, -8)
    tilt = np.arctan(np.polyfit(belly.x, (belly.top + belly.bottom) / 2, 1)[0])
    own = muscle(belly.pennation + tilt, mean)
    lean = np.radians(rng.uniform(-25, 25))
    level = np.where(share < 0, fat, np.where(share > 1, muscle(lean, lower), own))
    if len(scene.septum):
        place = np.interp(z, scene.septum[:, 1], scene.septum[:, 0])
        far = np.abs(x - place) + 100.0 * ((share < 0) | (share > 1))
        level -= rng.uniform(0, 12) * np.exp(-((far / rng.uniform(0.8, 2.5)) ** 2))
        level += rng.uniform(8, 18) * np.exp(-((far / rng.uniform(0.2, 0.5)) ** 2))
    for edge, way, sheath in ((top, -1, belly.sheath_mm[0]), (bottom, 1, belly.sheath_mm[1])):
        off = (z - edge) * way
        band = (
            1
            / (1 + np.exp(np.clip(-off / 0.04, -50, 50)))
            / (1 + np.exp(np.clip((off - sheath) / 0.08, -50, 50)))
        )
        level = level + band * (rng.uniform(1, 10) - level)
    if scene.scar is not None:
        within = expit((1 - scene.scar.off(points)) / 0.12)
        level += within * (rng.uniform(4, 12) + 2 * grain(rng, x, z, 1.5, 0.8))
    for fluid in scene.fluids:
        within = expit((1 - fluid.off(points)) / 0.05)
        level = level + within * (mean - rng.uniform(10, 24) - level)
    if scene.vessel is not None:
        far = scene.vessel.off(points) - 1
        level = np.where(far < 0, -32, level + 9 * np.exp(-((far / 0.2) ** 2)))
    depth = scene.probe.beam(points)[1]
    surface = rng.uniform(-6, 4) + 10 * np.exp(-((depth / 0.3) ** 2))
    return np.where(depth < skin, surface, level), (share > 0) & (share < 1), mean


def filling(rng: np.random.Generator, scene: Scene) -> tuple[Floats, Floats]:
    """Return places of what fills a tear, on its surface (n, 2), and where across it they are."""
    tear, belly = scene.tear, scene.belly
    if tear is None or tear.peak_mm == 0:
        return np.zeros((0, 2)), np.zeros(0)
    thick = float(np.mean(belly.bottom - belly.top))
    count = int(FILLER_PER_MM2 * tear.peak_mm * thick * (tear.end - tear.begin + 0.2))
    share = rng.uniform(tear.begin - 0.1, tear.end + 0.1, count)
    return surface(belly, tear, share), rng.random(count)


def surface(belly: Belly, tear: Tear, share: Floats) -> Floats:
    """Return the points of a closed tear at parts of the thickness, shape (n, 2)."""
    place = np.full(len(share), tear.x)
    for _ in range(4):  # the thickness depends on the place
        top, bottom = (np.interp(place, belly.x, edge) for edge in (belly.top, belly.bottom))
        place = tear.along(share, bottom - top)
    return np.stack([place, top + share * (bottom - top)], axis=1)


def render(seed: int) -> tuple[Frames, dict[str, Any], Settings]:
    """Return a clip's frames, its truth, and what the scanner was set to."""
    scene = draw_scene(seed)
    rng = np.random.default_rng([8, seed])
    probe, settings, belly = scene.probe, scene.settings, scene.belly
    points, unit = scatterers(rng, probe, settings, PER_CELL, 1 + probe.sag_mm)
    wide = probe.width_mm() / 2 + SIDES_MM
    points[:, 0] *= wide / np.abs(points[:, 0]).max()
    unit *= np.sqrt(wide / (probe.width_mm() / 2 + 2))  # as much power from sparser points
    level, muscle, mean = levels(rng, scene, points)
    if len(scene.bone):
        behind_bone = points[:, 1] > np.interp(points[:, 0], *scene.bone.T, left=99, right=99)
        level = np.where(behind_bone, -40, level)
    fill, across = filling(rng, scene)
    lumps = 0.0 if scene.tear is None else scene.tear.filler_db + mean
    if scene.tear is not None and len(fill):
        lumps = lumps + scene.tear.lumps_db * grain(rng, across * 8, fill[:, 1], 1.5, 1.5)
    lines = [np.stack([belly.x, belly.top - 0.1], axis=1),
             np.stack([belly.x, belly.bottom + 0.1], axis=1)]  # fmt: skip
    found = [surface_echoes(rng, probe, line, rng.uniform(1, 20), rng.uniform(2, 12))
             for line in lines]  # fmt: skip
    if len(scene.bone):
        found.append(
            surface_echoes(rng, probe, scene.bone, rng.uniform(30, 150), rng.uniform(1, 8))
        )
    faces = np.concatenate([place for place, _ in found])
    steady = np.concatenate([echo for _, echo in found])
    if scene.vessel is not None:  # no film runs through a vessel
        steady = steady * (scene.vessel.off(faces) > 1)
    loose = moving(scene, points)
    inside = moving(scene, fill, across)
    if len(scene.bone):
        bone_faces = len(found[-1][0])
        faces, bone_at = faces[:-bone_faces], faces[-bone_faces:]
    else:
        bone_at = np.zeros((0, 2))
    films = moving(scene, faces)
    strength = unit * 10 ** (level / 20)
    speckle = rng.standard_normal((2, len(points)))
    blood = rng.standard_normal(len(fill)) * 10 ** (lumps / 20) * fill_unit(probe)
    look = carried = None
    if scene.needle is not None:
        look = draw_look(rng, scene.needle)
        carried = stuck(scene.needle.inserted, rng.uniform(0.1, 1.5))
    transfer, length = optics(probe, settings, kept_depths(probe)), samples(probe)
    shots = []
    for frame in range(len(scene.time)):
        at = [points + loose.at(frame), fill + inside.at(frame), faces + films.at(frame), bone_at]
        at = [shown(scene, place, frame) for place in at]
        mixed = speckle[0] * np.cos(scene.turned[frame]) + speckle[1] * np.sin(scene.turned[frame])
        own = strength * mixed * np.where(muscle, 10 ** (scene.glow_db[frame] / 20), 1)
        echo = [own, blood * opened(scene, fill, frame), steady]
        place = np.concatenate(at)
        shaft = None
        if scene.needle is not None and carried is not None and look is not None:
            shaft = shaft_at(scene.needle, frame) + scene.slip[frame]
            place = place + dragged(shaft, place, carried[frame], 2.0)
        field = deposit(probe, place, np.concatenate(echo), length)
        field *= scene.veil[:, None].astype(np.float32)
        if len(scene.bone):
            surface_now = shown(scene, dense(scene.bone), frame)
            still = np.random.default_rng([3, seed])
            field = shade(field, probe, settings, surface_now, still)
        if shaft is not None and look is not None and scene.needle is not None:
            same = np.random.default_rng([6, seed])
            where, bright, loss = needle_echoes(same, probe, scene.needle, look, shaft, frame)
            field *= behind(probe, shaft, loss * look.shadow_db, length)
            field += deposit(probe, where, bright, length)
        held = replace(settings, lifted=float(scene.lifted[frame]))
        shots.append(detect(probe, held, field, transfer, rng))
    frames = pictures(probe, settings, shots)
    scale = str(rng.choice(["given", "ruler", "none"], p=[0.5, 0.3, 0.2]))
    if settings.codec != "h264":
        scale = "dicom"
    if scale == "ruler":
        draw_ruler(rng, frames, probe, settings)
    return frames, truth_of(seed, scene) | {"scale": scale}, settings


def fill_unit(probe: Probe) -> float:
    """Return the spread of echo of unit power of what fills a tear at its widest."""
    area = probe.spacing(np.array(0.0)) * probe.step_mm
    return float(1 / np.sqrt(FILLER_PER_MM2 * area * (2 / 3) ** 2))


def opened(scene: Scene, fill: Floats, frame: int) -> Floats:
    """Return how much weaker what fills a tear is, for lying closer than at the widest."""
    tear = scene.tear
    if tear is None or not len(fill):
        return np.zeros(len(fill))
    share, top, bottom = scene.belly.share(fill)
    width = tear.width(share, bottom - top)
    opening = tear.opening(scene.activation[frame : frame + 1].clip(0))
    return np.sqrt(width * opening / tear.peak_mm)


def draw_ruler(rng: np.random.Generator, frames: Frames, probe: Probe, settings: Settings) -> None:
    """Draw a ruler of ticks into the margin at the right, every 5 or 10 mm from the face."""
    grid, size = pixels(probe, settings)
    pitch, long = float(rng.choice([5.0, 10.0])), int(rng.integers(5, 10))
    column, grey = grid.shape[1] - 14, int(rng.integers(140, 230))
    for mark in np.arange(0, probe.depth_mm + 0.01, pitch):
        row = round((mark - grid[0, 0, 1]) / size)
        if 0 <= row < grid.shape[0]:
            frames[:, row, column : column + long] = grey


def gap(scene: Scene, frame: int) -> tuple[Floats, Floats]:
    """Return the two ends of a torn muscle in a frame, both (n, 2), over the torn thickness."""
    assert scene.tear is not None
    tear = scene.tear
    share = np.linspace(max(tear.begin, 0), min(tear.end, 1), 121)
    place = surface(scene.belly, tear, share)
    ends = [
        shown(scene, place + moving(scene, place, np.full(len(place), side)).at(frame), frame)
        for side in (0.0, 1.0)
    ]
    return ends[0], ends[1]


def gap_width(left: Floats, right: Floats) -> float:
    """Return the mean distance of two ends over the middle half of the gap, normal to its line."""
    middle = (left + right) / 2
    centre = middle.mean(axis=0)
    along = np.linalg.svd(middle - centre, full_matrices=False)[2][0]
    along = along * np.sign(along[1])
    normal = np.array([along[1], -along[0]])
    part = np.percentile((middle - centre) @ along, np.linspace(25, 75, 51))
    ends = []
    for end in (left, right):
        order = np.argsort((end - centre) @ along)
        ends.append(np.interp(part, ((end - centre) @ along)[order],
                              ((end - centre) @ normal)[order]))  # fmt: skip
    return float(np.mean(np.abs(ends[1] - ends[0])))


def thickness(scene: Scene, x: Floats) -> tuple[Floats, Floats, Floats]:
    """Return both inner edges at x in every frame, (frames, n), and their mean normal distance."""
    belly = scene.belly
    rest = [np.stack([belly.x, edge], axis=1) for edge in (belly.top, belly.bottom)]
    ways = [moving(scene, line) for line in rest]
    edges = np.empty((2, len(scene.time), len(x)))
    for frame in range(len(scene.time)):
        for number, (line, way) in enumerate(zip(rest, ways, strict=True)):
            now = shown(scene, line + way.at(frame), frame)
            order = np.argsort(now[:, 0])
            edges[number, frame] = np.interp(x, now[order, 0], now[order, 1])
    slope = np.gradient(gaussian_filter1d(edges.mean(axis=0), 5, axis=1), x, axis=1)
    normal: Floats = ((edges[1] - edges[0]) / np.sqrt(1 + slope**2)).mean(axis=1)
    return edges[0], edges[1], normal


def area_and_extent(outline: Floats) -> tuple[float, float]:
    """Return the area in mm2 of a closed outline (n, 2), and its longest diameter."""
    x, z = outline.T
    area = abs(np.sum(x * np.roll(z, 1) - z * np.roll(x, 1))) / 2
    apart = np.linalg.norm(outline[:, None] - outline[None], axis=2)
    return float(area), float(apart.max())


def truth_of(seed: int, scene: Scene) -> dict[str, Any]:
    """Return the truth in the terms of ``docs/truth.md``."""
    probe, belly, tear = scene.probe, scene.belly, scene.tear
    grid, size = pixels(probe, scene.settings)
    rest = int(np.argmin(scene.activation))
    peak = int(np.argmax(scene.activation))

    def to_px(place: Floats) -> Any:
        return ((place - grid[0, 0]) / size).tolist()

    half = probe.half_mm - 0.5  # of what is seen at every depth
    x = np.arange(-half, half, 0.5)
    top, bottom, normal = thickness(scene, x)
    deep = np.stack([x, np.interp(x, belly.x, belly.bottom)], axis=1)
    slide = float(np.mean(pulled(belly, scene.pull, deep)[:, 0]))
    separation: dict[str, Any] = {"flag": "none", "tear": None}
    if tear is not None:
        widths = [gap_width(*gap(scene, frame)) for frame in range(len(scene.time))]
        flag = "none" if scene.kind == "stays" else "separation"
        if scene.kind == "torn at rest":
            flag = "indeterminate"
        middle = [np.mean(gap(scene, frame), axis=(0, 1)) for frame in (rest, peak)]
        separation = {
            "flag": flag,
            "tear": "complete" if tear.end - tear.begin == 1 else "partial",
            "torn_fraction": tear.end - tear.begin,
            "gap_mm": widths,
            "gap_rest_mm": widths[rest],
            "gap_peak_mm": widths[peak],
            "widening_mm": widths[peak] - widths[rest],
            "location_px": [to_px(place) for place in middle],
            "rest_frame": rest,
            "peak_frame": peak,
            "blood_db": tear.filler_db,
            "outline_px": to_px(np.concatenate([gap(scene, peak)[0], gap(scene, peak)[1][::-1]])),
        }
    collections = []
    for fluid in scene.fluids:
        outline = shown(scene, fluid.outline + moving(scene, fluid.outline).at(rest), rest)
        area, extent = area_and_extent(outline)
        collections.append(
            {"area_mm2": area, "extent_mm": extent, "centre_px": to_px(outline.mean(axis=0))}
        )
    vessels = []
    if scene.vessel is not None:
        vessels = [{"centre_px": to_px(scene.vessel.centre),
                    "diameter_mm": 2 * float(scene.vessel.half_mm[0])}]  # fmt: skip
    twitches = [
        each | {"peak_velocity_mm_s": float(np.abs(np.gradient(beat, scene.time)).max()),
                "centre_px": to_px(place.centre), "size_mm": place.half_mm.tolist()}
        for place, _, beat, each in scene.twitches
    ]  # fmt: skip
    return {
        "seed": seed,
        "kind": scene.kind,
        "probe": probe.kind,
        "codec": scene.settings.codec,
        "frames": len(scene.time),
        "width": int(grid.shape[1]),
        "height": int(grid.shape[0]),
        "calibration": {"mm_per_px": [size, size]},
        "timing": {"fps": scene.fps, "time_s": scene.time.tolist()},
        "drift_mm": scene.slip.tolist(),
        "out_of_plane": np.sin(np.abs(scene.turned)).tolist(),
        "muscle": {
            "x_px": ((x - grid[0, 0, 0]) / size).tolist(),
            "superficial_y_px": ((top - grid[0, 0, 1]) / size).round(2).tolist(),
            "deep_y_px": ((bottom - grid[0, 0, 1]) / size).round(2).tolist(),
            "thickness_mm": None if scene.kind == "junction" else normal.tolist(),
            "vessels": vessels,
        },
        "contraction": {
            "activation": scene.activation.tolist(),
            "cycles": [
                {k: v for k, v in each.items() if k != "level"}
                | {"excursion_mm": abs(slide) * each["level"]}
                for each in scene.cycles
            ],
            "cut": scene.cut,
            "separation": separation,
            "collections": collections,
        },
        "twitches": twitches,
        "parameters": json.loads(json.dumps(scene.pull.__dict__)),
    }
