"""Tissue of the second simulator's needlings: layers of scatterers that move, without the needle.

Lengths are in mm, positions (x, z) from the middle of the probe's face, z away from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.second_scanner import (
    Floats,
    Probe,
    Settings,
    dense,
    grain,
    scatterers,
    surface_echoes,
    wander,
)

PER_CELL = 5
"""Scatterers in a cell of resolution."""


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
