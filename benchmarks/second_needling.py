"""Needlings: tissue that moves, a needle in it, and the truth of what is seen of it.

Scanned by :mod:`benchmarks.second_scanner`, judged by :mod:`benchmarks.second_needles`. Lengths are
in mm, positions (x, z) from the middle of the probe's face, z away from it. Tissue is scatterers
that move; the needle is added to the radio-frequency lines:

* its echo falls linearly, in dB, with the angle between the beam and the shaft's normal, and with
  the diameter (Schafhalter-Zoppoth 2004, doi 10.1016/j.rapm.2004.07.001; plain needles lose much
  more than dimpled ones, Nichols 2003, J Vasc Interv Radiol 14:1553);
* reverberation under the shaft, comet tails, and the copy of the shaft that elements above it see
  at right angles (as reviewed by Reusz 2014, doi 10.1093/bja/aet585);
* the slice is a few mm thick: what lies ``away`` of its middle loses ``exp(-away**2)``. Slow
  wandering, a shaft aslant to the slice and dropouts are all made so.

Truth (``docs/truth.md``). ``visibility_db`` is the power of the needle's own echo in the last
2.5 mm of the shaft (across the plane: within 0.75 mm of the spot) over that of the tissue and noise
within 2 mm of the tip, in the linear data of one look, frame by frame. The tip is ``visible`` where
this is at least ``VISIBLE_DB`` and these 2.5 mm are in the picture. A pass is a stroke in and out
from where the needle rests; entering the picture and leaving it are none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import gaussian_filter1d

from benchmarks.second_scanner import (
    KEPT,
    LINES,
    Floats,
    Probe,
    Settings,
    contact,
    dense,
    deposit,
    detect,
    draw_probe,
    draw_settings,
    echoes,
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

PROBES = ("linear", "trapezoid", "convex")
PLANES = ("in", "in", "out", "in", "in", None, "in", "out", "in", "in")
"""By the last digit of the seed; None without a needle."""
VISIBLE_DB = 5.0
"""Below, the tip was not found in the pictures even by who knew where it was."""
OUTSIDE_DB = -60.0
"""What stands for the visibility of a tip that is not in the picture."""
PER_CELL = 5
LAST_MM = 2.5
SPOT_MM = 0.75
STEP_MM = 0.05
MEDIAN_MM = 0.45
"""A wider median filter takes a shaft out of the picture, as no scanner's does."""
GAUGES_MM = {18: 1.27, 20: 0.91, 22: 0.72, 25: 0.51, 28: 0.36, 30: 0.31, 32: 0.235}


@dataclass(frozen=True)
class Tissue:
    """Scatterers and reflectors at rest, and how they move.

    ``at`` (n, 2) are scatterers, then reflectors, then the bone's surface; ``strength`` belongs to
    the first of these, ``steady`` to the second. ``ways`` are displacements (k, n, 2) that
    ``when``, (k, frames), weighs.
    """

    at: Floats
    strength: Floats
    steady: Floats
    ways: Floats
    when: Floats
    twitches: list[dict[str, float]]


@dataclass(frozen=True)
class Needle:
    """A needle's path through the tissue, and where on it the tip is in every frame.

    ``path`` (points, 2) from the skin at steps of ``STEP_MM``; ``inserted`` (frames,) in mm along
    it; ``turned`` (frames,) in rad about its start. ``away`` (frames,): of the tip from the slice,
    over the slice's half thickness; ``aslant`` the same per mm of the shaft towards the hub.
    """

    plane: str
    diameter_mm: float
    angle_deg: float
    path: Floats
    inserted: Floats
    turned: Floats
    away: Floats
    distal_mm: float
    """Length of the shaft that leaves the slice in a dropout, infinity for all of it."""
    dropped: Floats
    aslant: float
    passes: list[dict[str, float]]
    dropouts: int


def rotated(points: Floats, angle: float) -> Floats:
    """Turn (x, z) by an angle in rad, from x towards z."""
    sine, cosine = np.sin(angle), np.cos(angle)
    turned: Floats = points @ np.array([[cosine, sine], [-sine, cosine]])
    return turned


def slow(rng: np.random.Generator, time: Floats, length_s: float) -> Floats:
    """Return a curve of about unit spread that starts at 0 and changes over ``length_s``."""
    curve = wander(rng, np.append(time, time[-1] + time[1]), length_s)[:-1]
    return curve - curve[0]


def layers(rng: np.random.Generator, probe: Probe, points: Floats) -> tuple[Floats, list[Floats]]:
    """Return the echo level in dB at points (n, 2), and the lines between the layers (m, 2).

    Skin, fat with septa, then one to three muscles with fibres at up to 30 degrees; or, in a
    sixth, the even speckle of a phantom with lumps in it.
    """
    x, z = points.T
    wide = np.arange(-probe.width_mm() / 2 - 2, probe.width_mm() / 2 + 2, 0.1)
    skin = rng.uniform(0.8, 2.5)
    tilt = np.tan(np.radians(rng.normal(0, 6)))
    fat = rng.uniform(2, 5) * grain(rng, x, z, rng.uniform(0.8, 2.5), rng.uniform(0.3, 0.7))
    septa = grain(rng, x, z - tilt * x, rng.uniform(2, 6), rng.uniform(0.6, 2.0))
    fat += rng.uniform(4, 12) * np.exp(-((septa / 0.25) ** 2)) - rng.uniform(2, 9)
    lines: list[Floats] = []
    if rng.random() < 1 / 6:
        level = rng.uniform(-8, 0) + rng.uniform(0, 2) * grain(rng, x, z, 3, 2)
        for _ in range(rng.integers(0, 4)):
            centre = rng.uniform([wide[0], 4], [wide[-1], probe.depth_mm])
            far = np.hypot((x - centre[0]) / rng.uniform(1, 2), z - centre[1])
            level = level + rng.choice([-15, 10]) / (1 + np.exp((far - rng.uniform(1, 5)) / 0.2))
        film = rng.uniform(5, 20) + tilt * wide + 0.3 * wander(rng, wide, 10.0)
        lines.append(np.stack([wide, film], axis=1))
    else:
        level = fat
        top = skin + rng.uniform(1, 0.35 * probe.depth_mm)
        for _ in range(rng.integers(1, 4)):
            tilt = np.tan(np.radians(rng.normal(0, 9)))
            border = top + tilt * wide + rng.uniform(0.1, 0.5) * wander(rng, wide, 12.0)
            below = z - np.interp(x, wide, border)
            lean = np.radians(rng.uniform(-30, 30))
            along, across = rotated(np.stack([x, below], axis=1), -lean).T
            fibres = grain(rng, along, across, rng.uniform(6, 18), rng.uniform(0.5, 1.6))
            muscle = rng.uniform(-16, -5) + rng.uniform(2, 4) * grain(rng, along, across, 2.0, 0.4)
            muscle += rng.uniform(4, 12) * np.exp(-((fibres / 0.25) ** 2))
            muscle += rng.uniform(0, 3) * grain(rng, x, z, 8, 5)
            band = rng.uniform(0.15, 0.6)
            level = np.where(below > 0, muscle, level)
            level = level + rng.uniform(4, 14) * np.exp(-((below / band) ** 2))
            lines.append(np.stack([wide, border], axis=1))
            top += rng.uniform(5, 18)
    depth = probe.beam(points)[1]
    surface = rng.uniform(-6, 4) + 10 * np.exp(-((depth / 0.3) ** 2))
    return np.where(depth < skin, surface + 0.2 * fat, level), lines


def moved_by(
    rng: np.random.Generator, at: Floats, probe: Probe, time: Floats, busy: bool
) -> tuple[Floats, Floats, list[dict[str, float]], tuple[float, float, float] | None]:
    """Draw pressure, breathing, sliding, twitches, and a vessel's pulse.

    Returns displacements (k, n, 2), their weights (k, frames), the twitches' truth, and the
    vessel's (x, z, radius) or None. ``busy`` without a needle: a vessel, and much sliding.
    """
    x, z = at.T
    deep = np.clip(z / probe.depth_mm, 0, 1.2)
    ways: list[Floats] = []
    when: list[Floats] = []
    twitches: list[dict[str, float]] = []

    nothing = np.zeros(len(x))
    ways.append(np.stack([0.3 * deep * np.sign(x), -deep * 0.05 * probe.depth_mm], axis=1))
    when.append(rng.uniform(0, 0.6) * slow(rng, time, 1.5))
    ways.append(np.stack([deep**2, 0.4 * deep], axis=1))
    phase = 2 * np.pi * rng.uniform(0.2, 0.35) * time + rng.uniform(0, 6)
    when.append(rng.uniform(0, 1.2) * (rng.random() < 0.5) * np.sin(phase))
    middle, half = rng.uniform(0.3, 0.8) * probe.depth_mm, rng.uniform(3, 8)
    lean = np.tan(np.radians(rng.uniform(-15, 15)))
    slide = np.exp(-(((z - middle - lean * x) / half) ** 2))
    ways.append(np.stack([slide, lean * slide], axis=1))
    sway = np.sin(2 * np.pi * rng.uniform(0.2, 1) * time + rng.uniform(0, 6))
    when.append((rng.uniform(1, 5) if busy else rng.uniform(0, 0.6)) * sway)
    for _ in range(rng.choice([0, 1, 2], p=[0.6, 0.25, 0.15])):
        centre = rng.uniform([-0.6 * probe.half_mm, 0.25 * probe.depth_mm],
                             [0.6 * probe.half_mm, 0.8 * probe.depth_mm])  # fmt: skip
        size, pull = rng.uniform(2.5, 7), rng.uniform(0.6, 3)
        way = np.exp(-(((at - centre) / size) ** 2).sum(axis=1))
        ways.append(rotated(np.stack([way, nothing], axis=1), np.radians(rng.uniform(-25, 25))))
        start, length = rng.uniform(0.1, 0.9) * time[-1], rng.uniform(0.1, 0.3)
        beat = np.clip((time - start) / length, 0, 1)
        when.append(pull * np.sin(np.pi * beat) ** 2)
        twitches.append({"start_s": start, "end_s": start + length, "peak_mm": pull})
    vessel: tuple[float, float, float] | None = None
    if busy or rng.random() < 0.15:
        vessel = (rng.uniform(-0.7, 0.7) * probe.half_mm, rng.uniform(0.3, 0.8) * probe.depth_mm,
                  rng.uniform(1.0, 3.0))  # fmt: skip
        off = at - vessel[:2]
        far = np.hypot(*off.T) + 1e-6
        ways.append(off / far[:, None] * np.minimum(far / vessel[2], vessel[2] / far)[:, None])
        beat = (rng.uniform(0.9, 1.6) * time + rng.random()) % 1
        when.append(rng.uniform(0.1, 0.35) * np.exp(-(((beat - 0.2) / 0.12) ** 2)))
    return np.stack(ways), np.stack(when), twitches, vessel


def draw_tissue(
    rng: np.random.Generator,
    probe: Probe,
    settings: Settings,
    time: Floats,
    bone: Floats,
    busy: bool,
) -> Tissue:
    """Draw what is in the picture but the needle."""
    points, unit = scatterers(rng, probe, settings, PER_CELL, 1 + probe.sag_mm)
    level, borders = layers(rng, probe, points)
    found = [surface_echoes(rng, probe, line, rng.uniform(2, 14), rng.uniform(2, 12))
             for line in borders]  # fmt: skip
    wide = np.arange(-probe.width_mm() / 2 - 2, probe.width_mm() / 2 + 2, 0.1)
    for _ in range(rng.integers(0, 4)):  # sheets of connective tissue, at any tilt
        middle = rng.uniform([wide[0], 4], [wide[-1], 0.95 * probe.depth_mm])
        reach = rng.uniform(3, 20)
        along = np.arange(-reach, reach, 0.1)
        bow = rng.normal(0, 0.006) * along**2
        line = rotated(np.stack([along, bow], axis=1), np.radians(rng.normal(0, 18))) + middle
        found.append(squared(rng, probe, line, rng.uniform(1, 7), rng.uniform(0, 1)))
    if rng.random() < 0.2 and not len(bone):  # the far side of a phantom or a table, which rings
        low = rng.uniform(0.8, 0.93) * probe.depth_mm + np.tan(np.radians(rng.normal(0, 4))) * wide
        low = np.stack([wide, low + 0.2 * wander(rng, wide, 8.0)], axis=1)
        for ring in range(rng.integers(1, 5)):
            shift = [0, ring * rng.uniform(0.5, 1.2)]
            found.append(surface_echoes(rng, probe, low + shift, 60 * 0.5**ring, 8.0))
        level = np.where(points[:, 1] > np.interp(points[:, 0], *low.T), -30, level)
    if len(bone):
        found.append(surface_echoes(rng, probe, bone, rng.uniform(30, 150), rng.uniform(1, 8)))
        level = np.where(points[:, 1] > np.interp(points[:, 0], *bone.T), -40, level)
    bone = dense(bone)
    at = np.concatenate([points, *(place for place, _ in found), bone.reshape(-1, 2)])
    ways, when, twitches, vessel = moved_by(rng, at, probe, time, busy)
    if vessel is not None:
        far = np.hypot(*(points - vessel[:2]).T) - vessel[2]
        level = np.where(far < 0, -30, level + 10 * np.exp(-((far / 0.3) ** 2)))
    steady = np.concatenate([echo for _, echo in found])
    return Tissue(at, unit * 10 ** (level / 20), steady, ways, when, twitches)


def squared(
    rng: np.random.Generator, probe: Probe, line: Floats, amplitude: Floats | float, gloss: float
) -> tuple[Floats, Floats]:
    """Return points on a line and their echoes, which one beam sums up to ``amplitude``.

    Probes look at a slope from aslant as well. So the echoes of neighbouring lines are in phase,
    as far as ``gloss`` of 0 to 1 goes: each is moved to the next full wave, less than 0.1 mm away.
    """
    step = np.gradient(line, axis=0)
    length = np.hypot(*step.T)
    depth = probe.beam(line)[1]
    to_wave = np.round(depth / probe.wave_mm) * probe.wave_mm - depth
    rough = rng.uniform(-0.5, 0.5, len(line)) * (1 - gloss) * probe.wave_mm
    beam = probe.direction(line)
    across = np.abs(step[:, 0] * beam[:, 1] - step[:, 1] * beam[:, 0]).clip(0.3 * length)
    moved = line + beam * (gloss * to_wave + rough)[:, None]
    return moved, amplitude * across / probe.spacing(depth.clip(0))


def strokes(
    rng: np.random.Generator, shallow: float, deep: float, first: float
) -> tuple[list[tuple[float, float]], list[dict[str, float]], float]:
    """Draw (seconds, depth) of a needling, its passes, and how many there are in a second.

    It pistons between ``shallow`` and ``deep``. ``first`` is where it enters the picture: it may
    come from there, and go there in the end.
    """
    legs, at = [(rng.uniform(0.1, 0.8), shallow)], shallow
    if rng.random() < 0.4:
        outside = first - rng.uniform(2, 8)
        legs = [
            (rng.uniform(0.3, 1.0), outside),
            ((shallow - outside) / rng.uniform(12, 40), shallow),
            (rng.uniform(0.2, 0.6), shallow),
        ]
    usual, rate = deep - shallow, rng.uniform(0.3, 2)
    passes: list[dict[str, float]] = []
    for _ in range(rng.integers(1, 9)):
        reach = at + usual * rng.uniform(0.65, 1)
        share = rng.uniform(0.35, 0.65)
        period = rng.uniform(0.8, 1.25) / rate
        begin = sum(seconds for seconds, _ in legs)
        if begin + period > 9.5:
            break
        hold = rng.uniform(0, 0.25) * period
        legs += [
            ((period - hold) * share, reach),
            (hold, reach),
            ((period - hold) * (1 - share), at),
        ]
        passes.append(
            {
                "start_s": begin,
                "deepest_s": begin + (period - hold) * share,
                "end_s": begin + period,
                "depth_mm": reach,
                "stroke_mm": reach - at,
            }
        )
        legs.append((rng.exponential(0.1) + (rng.random() < 0.3) * rng.uniform(0.2, 0.8), at))
    if rng.random() < 0.35:
        legs += [
            ((at - first + 4) / rng.uniform(12, 40), first - 4),
            (rng.uniform(0.3, 0.8), first - 4),
        ]
    return legs, passes, rate


def eased(legs: list[tuple[float, float]], time: Floats) -> Floats:
    """Return the depth at each time, half a cosine from leg to leg."""
    ends = np.cumsum([seconds for seconds, _ in legs])
    depth = np.array([depth for _, depth in legs])
    leg = np.searchsorted(ends, time).clip(0, len(legs) - 1)
    before = np.concatenate([depth[:1], depth[:-1]])[leg]
    length = np.array([seconds for seconds, _ in legs])[leg]
    part = np.clip(1 - (ends[leg] - time) / np.maximum(length, 1e-6), 0, 1)
    return before + (depth[leg] - before) * (1 - np.cos(np.pi * part)) / 2


def draw_needle(
    rng: np.random.Generator, probe: Probe, bone: Floats, plane: str
) -> tuple[Needle, Floats, int]:
    """Draw a needle, the time of every frame and the frame rate.

    A needle in the plane comes from beside the probe; one out of it crosses at a place that its
    ``path`` wanders over, of which ``inserted`` is the frame's.
    """
    gauge = int(rng.choice(list(GAUGES_MM), p=[0.08, 0.08, 0.16, 0.12, 0.16, 0.24, 0.16]))
    while True:
        angle = 10 + 60 * rng.beta(1.2, 1.8)
        side = rng.choice([-1, 1])
        entry = np.array([-side * (probe.half_mm + rng.uniform(0, 6)), -probe.sag_mm])
        bend = rng.normal(0, 0.0015) * (rng.random() < 0.6)
        along = np.arange(0, 110, STEP_MM)
        heading = np.radians(angle) + bend * along
        path = (
            np.cumsum(np.stack([np.cos(heading) * side, np.sin(heading)], axis=1), axis=0) * STEP_MM
        )
        path += entry
        line, depth = probe.beam(path)
        free = (line > 4) & (line < LINES - 5) & (depth > 0.3) & (depth < probe.depth_mm - 1.5)
        if len(bone):
            free &= path[:, 1] < np.interp(path[:, 0], *bone.T) - 0.3
        first = int(np.argmax(free))
        last = first + int(np.argmin(np.append(free[first:], False)))
        if free.any() and (last - first) * STEP_MM > 12:
            break
    room = (last - first) * STEP_MM
    deep = (first * STEP_MM) + room * rng.uniform(0.55, 1.0)
    usual = rng.uniform(3.5, min(25, deep - first * STEP_MM - 3))
    legs, passes, rate = strokes(rng, deep - usual, deep, first * STEP_MM)
    total = sum(seconds for seconds, _ in legs)
    lowest = max(10, 6 * rate, 40 / total)
    fps = int(np.clip(rng.uniform(lowest, max(lowest, min(40, 118 / total))), 10, 40))
    count = int(np.clip(np.ceil(total * fps) + 1, 40, 120))
    legs.append((count / fps, legs[-1][1]))
    time = np.arange(count) / fps
    inserted = eased(legs, time) + rng.uniform(0, 0.12) * wander(rng, time, 0.4)
    turned = np.radians(rng.uniform(0, 1.0)) * wander(rng, time, 1.0)
    if rng.random() < 0.3:  # redirected between passes
        for each in passes[1:]:
            turned += np.radians(rng.normal(0, 2.5)) * (1 - np.cos(np.pi * np.clip(
                (time - each["start_s"] + 0.3) / 0.3, 0, 1))) / 2  # fmt: skip
    dropped = np.zeros(count)
    dropouts = int(rng.choice([0, 1, 2], p=[0.45, 0.35, 0.2]))
    for _ in range(dropouts):
        middle, half = rng.integers(8, count - 8), rng.integers(5, 31) / 2
        ramp = rng.uniform(1, 4)
        far = np.abs(np.arange(count) - middle) - half
        dropped = np.maximum(dropped, np.clip(1 - far / ramp, 0, 1))
    away = rng.uniform(0, 0.7) * wander(rng, time, 1.2)
    if plane == "out":
        place = np.array(
            [rng.uniform(-0.75, 0.75) * probe.half_mm, rng.uniform(0.2, 0.8) * probe.depth_mm]
        )
        aim = rng.uniform(0.2, 2) * np.stack(
            [wander(rng, time, 1.0), 0.5 * wander(rng, time, 1.0)], axis=1
        )
        press = (inserted - inserted.min())[:, None] * rng.uniform(0, 0.12) * [0.3 * side, 1]
        path = place + aim + press
        path[:, 1] = path[:, 1].clip(3, probe.depth_mm - 3)
        short = inserted < first * STEP_MM
        inserted, passes = np.arange(count) * STEP_MM, []
        dropped = np.maximum(dropped, gaussian_filter1d(short.astype(float), 1.0))
    return (
        Needle(
            plane,
            GAUGES_MM[gauge] * rng.uniform(0.95, 1.05),
            float(angle),
            path,
            inserted,
            turned,
            away,
            rng.uniform(8, 15) if rng.random() < 0.3 and plane == "in" else np.inf,
            dropped * 5.0,
            rng.uniform(-0.02, 0.02) if rng.random() < 0.6 else rng.uniform(-0.08, 0.08),
            passes,
            dropouts,
        ),
        time,
        fps,
    )


@dataclass(frozen=True)
class Look:
    """How a needle echoes: levels in dB, those of its artefacts under the shaft's; in mm."""

    level_db: float
    """Of what one beam adds up, square to the shaft, over a scatterer's of unit power."""
    fall_db: float
    """Lost with each degree between beam and shaft's normal, beyond ``steered_deg``."""
    steered_deg: float
    gloss: float
    tip_db: float
    spacing_mm: float
    rings: int
    ring_db: float
    tails: Floats
    """Where on the shaft a comet tail hangs, from the tip."""
    tail_db: float
    tail_mm: float
    ghost_db: float
    wing_db: float
    shadow_db: float
    """What lies behind it loses as much."""
    patches: Floats
    """Along the shaft from the tip, at steps of ``STEP_MM``, in dB."""
    veils: Floats
    """In each line of the picture, in dB."""


def draw_look(rng: np.random.Generator, needle: Needle) -> Look:
    """Draw how a needle echoes."""
    along = np.arange(0, 110, STEP_MM)
    patches = rng.uniform(0.5, 4) * wander(rng, along, rng.uniform(1, 5))
    for _ in range(rng.integers(0, 3)):
        patches -= rng.uniform(6, 25) * np.exp(
            -(((along - rng.uniform(2, 30)) / rng.uniform(1, 5)) ** 2)
        )
    line = np.arange(LINES)
    veils = -rng.uniform(0, 3) * np.abs(wander(rng, line.astype(float), 25.0))
    if rng.random() < 0.3:
        veils -= rng.uniform(5, 20) * np.exp(
            -(((line - rng.uniform(0, LINES)) / rng.uniform(5, 20)) ** 2)
        )
    thick = 10 * np.log10(needle.diameter_mm / 0.4)
    return Look(
        level_db=rng.uniform(22, 44) + thick,
        fall_db=rng.uniform(0.0, 0.2),
        steered_deg=rng.uniform(10, 25) if rng.random() < 0.45 else 0.0,
        gloss=rng.uniform(0.4, 1),
        tip_db=rng.uniform(-4, 12),
        spacing_mm=max(needle.diameter_mm, 0.2) * rng.uniform(0.8, 1.6),
        rings=int(rng.choice([0, 0, 1, 2, 3, 5])),
        ring_db=rng.uniform(4, 12),
        tails=rng.uniform(0, 25, rng.choice([0, 0, 0, 1, 3, 6])),
        tail_db=rng.uniform(6, 22),
        tail_mm=rng.uniform(1, 8),
        ghost_db=rng.uniform(18, 34) if rng.random() < 0.5 else np.inf,
        wing_db=rng.uniform(18, 40),
        shadow_db=rng.uniform(0, 5) * needle.diameter_mm,
        patches=patches,
        veils=veils,
    )


def shaft_at(needle: Needle, frame: int) -> Floats:
    """Return the shaft from the tip to the skin, shape (points, 2), at steps of ``STEP_MM``."""
    if needle.plane == "out":
        return needle.path[frame : frame + 1]
    along = np.arange(max(needle.inserted[frame], 1.0), 0, -STEP_MM) / STEP_MM
    number = np.arange(len(needle.path))
    straight = np.stack([np.interp(along, number, needle.path[:, k]) for k in (0, 1)], axis=1)
    return rotated(straight - needle.path[0], needle.turned[frame]) + needle.path[0]


def ghost(probe: Probe, shaft: Floats, normal: Floats) -> Floats:
    """Return where the probe shows a shaft that elements above it see at right angles."""
    if probe.kind == "convex":
        centre = shaft + np.array([0, probe.radius_mm])
        toward = (centre * normal).sum(axis=1)
        root = toward**2 - (centre**2).sum(axis=1) + probe.radius_mm**2
        way = np.where(root > 0, -toward - np.sqrt(root.clip(0)), 1e6)
    else:
        way = shaft[:, 1] / -normal[:, 1].clip(None, -0.05)
    foot = shaft + normal * way[:, None]
    shown: Floats = foot + probe.direction(foot) * way[:, None]
    return shown


def needle_echoes(
    rng: np.random.Generator, probe: Probe, needle: Needle, look: Look, shaft: Floats, frame: int
) -> tuple[Floats, Floats, Floats]:
    """Return the points (n, 2) and echoes of a needle; ``rng`` is the same in each frame.

    And how much of every point of the shaft is in the slice, as its echo's share.
    """
    number = np.arange(len(shaft))
    distal = number * STEP_MM
    away = needle.away[frame] + needle.aslant * distal
    away = away + needle.dropped[frame] * (1 - distal / needle.distal_mm).clip(0)
    loss = np.exp(-(away**2))
    veil = look.veils[np.round(probe.beam(shaft)[0]).clip(0, LINES - 1).astype(int)]
    beam = probe.direction(shaft)
    parts: list[tuple[Floats, Floats]] = []
    level = look.level_db + veil
    if needle.plane == "in":
        step = -np.gradient(shaft, axis=0)
        step /= np.linalg.norm(step, axis=1, keepdims=True)
        aslant = np.degrees(np.arcsin(np.abs((step * beam).sum(axis=1)).clip(0, 1)))
        fall = look.fall_db * (aslant - look.steered_deg).clip(0)
        tip = (look.tip_db + 0.5 * fall) * np.exp(-((distal / 0.35) ** 2))
        amplitude = loss * 10 ** ((level + look.patches[: len(shaft)] - fall + tip) / 20)
        parts.append(squared(rng, probe, shaft, amplitude, look.gloss))
        if np.isfinite(look.ghost_db):
            normal = np.stack([step[:, 1], -step[:, 0]], axis=1) * np.sign(step[:, :1])
            seen = ghost(probe, shaft, normal)
            weak = loss * 10 ** ((level - look.ghost_db) / 20) * np.cos(np.radians(aslant)) ** 6
            parts.append(squared(rng, probe, seen, weak, look.gloss))
    else:
        amplitude = loss * 10 ** ((level + 6 + abs(look.tip_db)) / 20)
        parts.append((shaft, amplitude))
    wing = np.arange(-6, 6, 0.05)
    bright = amplitude[0] * 10 ** (-look.wing_db / 20) * np.exp(-((wing / 3) ** 2))
    depth = np.hypot(wing, shaft[0, 1])
    parts.append(squared(rng, probe, np.stack([shaft[0, 0] + wing, depth], axis=1), bright, 0.9))
    for ring in range(1, look.rings + 1):
        shift = probe.direction(parts[0][0]) * ring * look.spacing_mm
        parts.append((parts[0][0] + shift, parts[0][1] * 10 ** (-look.ring_db * ring / 20)))
    hang = np.arange(0, 3 * look.tail_mm, 0.07)
    for place in look.tails if needle.plane == "in" else [0.0]:
        top = int(place / STEP_MM)
        echo = rng.normal(0, 0.5, len(hang)) * np.exp(-hang / look.tail_mm)
        if top < len(shaft):
            sideways = rng.uniform(-0.2, 0.2, len(hang))
            drop = shaft[top] + beam[top] * hang[:, None]
            drop[:, 0] += sideways
            parts.append((drop, echo * amplitude[top] * 10 ** (-look.tail_db / 20)))
    return np.concatenate([p for p, _ in parts]), np.concatenate([e for _, e in parts]), loss


def behind(probe: Probe, shaft: Floats, shadow_db: Floats, length: int) -> NDArray[np.float32]:
    """Return what a shaft that takes ``shadow_db`` at its points leaves of lines behind it."""
    line, depth = probe.beam(shaft)
    order = np.argsort(line)
    number = np.arange(LINES)
    start = np.interp(number, line[order], depth[order]) + 0.5
    taken = np.interp(number, line[order], shadow_db[order], left=0.0, right=0.0)
    taken = gaussian_filter1d(taken, 2.0)[:, None] * (
        np.arange(length) * probe.step_mm > start[:, None]
    )
    left: NDArray[np.float32] = (10 ** (-taken / 20)).astype(np.float32)
    return left


def dragged(shaft: Floats, at: Floats, hold: float, reach: float) -> Floats:
    """Return how far tissue at points (n, 2) is carried along by the shaft, in mm."""
    tip, entry = shaft[0], shaft[-1]
    along = (tip - entry) / (np.linalg.norm(tip - entry) + 1e-9)
    off = at - tip
    ahead = off @ along
    far = np.hypot(off @ [-along[1], along[0]], ahead.clip(0))
    near = far < 4 * reach
    shift = np.zeros_like(at)
    shift[near] = np.exp(-far[near, None] / reach) * hold * along
    return shift


def stuck(inserted: Floats, most: float) -> Floats:
    """Return how far tissue at the shaft is carried along: it slips when pulled by ``most`` mm."""
    carried = np.zeros(len(inserted))
    for k in range(1, len(inserted)):
        pulled = carried[k - 1] * 0.97 + inserted[k] - inserted[k - 1]
        carried[k] = np.clip(pulled, -most, most)
    return carried


def render(seed: int) -> tuple[NDArray[np.uint8], dict[str, Any], Settings]:
    """Return a clip's frames, its truth, and what the scanner was set to."""
    rng = np.random.default_rng([5, seed])
    plane = PLANES[seed % 10]
    probe = draw_probe(rng, PROBES[seed % 3], rng.uniform(13, 30))
    probe = replace(probe, depth_mm=max(probe.depth_mm, 25.0))
    settings = draw_settings(rng, str(rng.choice(["black", "grey", "mirror"])), probe.depth_mm / 2)
    codec = str(rng.choice(["h264", "native", "jpeg"], p=[0.7, 0.15, 0.15]))
    quality = int(rng.integers(60, 96) if codec == "jpeg" else rng.integers(18, 29))
    settings = replace(
        settings, codec=codec, quality=quality, persistence=settings.persistence * 0.7
    )
    if settings.median_px * pixels(probe, settings)[1] > MEDIAN_MM:
        settings = replace(settings, median_px=0)
    tissue_rng, needle_rng, noise_rng = rng.spawn(3)
    bone = np.zeros((0, 2))
    if rng.random() < 0.3:
        x = np.arange(-probe.width_mm() / 2 - 2, probe.width_mm() / 2 + 2, 0.1)
        z = rng.uniform(0.6, 0.9) * probe.depth_mm + np.tan(np.radians(rng.normal(0, 12))) * x
        z += rng.uniform(0.2, 1) * wander(rng, x, 15.0) + rng.normal(0, 0.01) * x**2
        deep = 0.45 * probe.depth_mm  # and no less
        bone = np.stack([x, deep + 2 * np.logaddexp(0, (z - deep) / 2)], axis=1)
    needle, time, fps = draw_needle(needle_rng, probe, bone, plane or "in")
    look = draw_look(needle_rng, needle)
    if plane is None:
        look = replace(look, level_db=-np.inf)
    drag_mm, reach_mm = needle_rng.uniform(0.1, 1.5), needle_rng.uniform(1, 4)
    carried = stuck(needle.inserted, drag_mm) * (plane == "in")
    tissue = draw_tissue(tissue_rng, probe, settings, time, bone, plane is None)
    loose, rigid = len(tissue.strength), len(tissue.strength) + len(tissue.steady)
    speckle = rng.standard_normal((2, loose))
    drift = np.stack([rng.uniform(0, most) * slow(rng, time, 1.5) for most in (1.2, 0.3)], axis=1)
    slice_change = rng.uniform(0, 0.5) * slow(rng, time, 1.0)
    slice_change += rng.uniform(0, 0.25) * needle.dropped * (rng.random() < 0.5)
    length, depth = samples(probe), kept_depths(probe)
    transfer = optics(probe, settings, depth)
    levels, tips, tails, seen = [], [], [], []
    for frame in range(len(time)):
        shaft = shaft_at(needle, frame) + drift[frame]
        at = tissue.at + np.einsum("k,knd->nd", tissue.when[:, frame], tissue.ways) + drift[frame]
        if plane == "in":
            at += dragged(shaft, at, carried[frame], reach_mm)
        turn = slice_change[frame]
        mixed = speckle[0] * np.cos(turn) + speckle[1] * np.sin(turn)
        echo = np.concatenate([tissue.strength * mixed, tissue.steady])
        field = deposit(probe, at[:rigid], echo, length)
        if len(bone):
            field = shade(field, probe, settings, at[rigid:], np.random.default_rng([3, seed]))
        own = np.zeros_like(field)
        if plane is not None:
            same = np.random.default_rng([6, seed])
            place, echo, loss = needle_echoes(same, probe, needle, look, shaft, frame)
            own = deposit(probe, place, echo, length)
            field *= behind(probe, shaft, loss * look.shadow_db, length)
        levels.append(detect(probe, settings, field + own, transfer, noise_rng))
        tips.append(shaft[0])
        inside = _inside(probe, shaft)
        tails.append(
            shaft[int(np.argmax(~np.append(inside, False))) - 1] if inside[0] else [np.nan] * 2
        )
        seen.append(_visibility_db(probe, settings, own, field, shaft) if inside[0] else OUTSIDE_DB)
    truth = _truth(seed, probe, settings, needle, look, plane, drift, fps, tissue.twitches)
    truth["needle"] |= _seen(probe, settings, plane, tips, tails, seen)
    truth["frames"] = len(time)
    return pictures(probe, settings, levels), truth, settings


def _inside(probe: Probe, points: Floats) -> NDArray[np.bool_]:
    """Tell which points (n, 2) are in the picture."""
    line, depth = probe.beam(points)
    return (line > 1) & (line < LINES - 2) & (depth > 0.2) & (depth < probe.depth_mm - 0.3)


def _visibility_db(
    probe: Probe,
    settings: Settings,
    own: NDArray[np.float32],
    field: NDArray[np.float32],
    shaft: Floats,
) -> float:
    """Return the power of the needle's last piece over that of what surrounds the tip, in dB."""
    circle = np.array([(a, b) for a in np.arange(-2, 2.1, 0.2) for b in np.arange(-2, 2.1, 0.2)])
    around = shaft[0] + circle[np.hypot(*circle.T) <= 2]
    last = shaft[: int(LAST_MM / STEP_MM)]
    if len(shaft) == 1:  # a spot
        last = shaft[0] + circle[np.hypot(*circle.T) <= SPOT_MM]
    rows = probe.beam(np.concatenate([last, around]))[1] / probe.step_mm
    # Only the depths about the tip: a fast length of them, KEPT apart.
    top = int(max(rows.min() - 40, 0)) // KEPT * KEPT
    part = slice(top, top + min(int(fft.next_fast_len(int(np.ptp(rows)) + 80)), own.shape[1] - top))
    depth = np.arange(part.start, part.stop, KEPT) * probe.step_mm
    transfer = optics(probe, settings, depth)
    dark = 10 ** ((settings.noise_db + settings.noise_per_cm_db * depth / 10) / 10)
    dark = dark + 10 ** ((settings.white_db - settings.dynamic_range_db) / 10)
    lost = 10 ** (contact(settings, depth) / 10)
    mean = []
    for echo, points, floor in ((own, last, 0.0), (field, around, dark)):
        seen = echoes(probe, settings, fft.fft(echo[:, part], axis=1), transfer)
        power = np.abs(seen) ** 2 * lost + floor
        line, far = probe.beam(points[_inside(probe, points)])
        row = np.round((far / probe.step_mm - top) / KEPT).astype(int).clip(0, len(depth) - 1)
        mean.append(float(power[np.round(line).astype(int), row].mean()))
    return float(10 * np.log10(mean[0] / mean[1] + 1e-5))


def _truth(
    seed: int,
    probe: Probe,
    settings: Settings,
    needle: Needle,
    look: Look,
    plane: str | None,
    drift: Floats,
    fps: int,
    twitches: list[dict[str, float]],
) -> dict[str, Any]:
    """Return the truth but for what is seen, in the terms of ``docs/truth.md``."""
    grid, size = pixels(probe, settings)
    away = needle.away + needle.dropped
    fading = np.maximum(20 * np.log10(np.exp(-(away**2)) + 1e-9), -60)
    return {
        "seed": seed,
        "probe": probe.kind,
        "codec": settings.codec,
        "calibration": {"mm_per_px": [size, size]},
        "width": int(grid.shape[1]),
        "height": int(grid.shape[0]),
        "timing": {"fps": fps},
        "drift_mm": drift.tolist(),
        "parameters": {
            "angle_deg": needle.angle_deg,
            "diameter_mm": needle.diameter_mm,
            "dropouts": needle.dropouts,
            "level_db": look.level_db if plane else None,
            "fall_db": look.fall_db,
            "ghost_db": look.ghost_db if np.isfinite(look.ghost_db) else None,
            "distal_mm": needle.distal_mm if np.isfinite(needle.distal_mm) else None,
        },
        "needle": {
            "plane": plane,
            "fading_db": fading.tolist() if plane else [None] * len(fading),
            "level_db": look.level_db if plane else None,
            "inserted_mm": needle.inserted.tolist(),
            "passes": needle.passes if plane == "in" else [],
        },
        "twitches": twitches,
    }


def _seen(
    probe: Probe,
    settings: Settings,
    plane: str | None,
    tips: list[Floats],
    tails: list[Floats],
    seen: list[float],
) -> dict[str, Any]:
    """Return where the needle is in the picture, frame by frame, and how well it is seen."""
    grid, size = pixels(probe, settings)
    tip, tail = ((np.array(place) - grid[0, 0]) / size for place in (tips, tails))
    x, y = (tip - tail).T
    angle = np.degrees(np.arctan2(y, x))
    angle = np.where(angle > 90, angle - 180, np.where(angle <= -90, angle + 180, angle))
    if plane is None:
        tip = np.full_like(tip, np.nan)
    if plane != "in":
        tail, angle = np.full_like(tail, np.nan), np.full_like(angle, np.nan)
    visible = (np.array(seen) >= VISIBLE_DB) & (plane is not None)
    if plane == "in":
        visible &= np.hypot(x, y) * size >= LAST_MM

    def plain(values: Floats) -> Any:
        return json.loads(json.dumps(values.tolist()).replace("NaN", "null"))

    return {
        "tip_px": plain(tip),
        "tail_px": plain(tail),
        "angle_deg": plain(angle),
        "visible": visible.tolist(),
        "visibility_db": seen,
    }
