"""How the second simulator's needle echoes, and what it leaves of the lines behind it.

* Its echo falls linearly, in dB, with the angle between the beam and the shaft's normal, and with
  the diameter (Schafhalter-Zoppoth 2004, doi 10.1016/j.rapm.2004.07.001; plain needles lose much
  more than dimpled ones, Nichols 2003, J Vasc Interv Radiol 14:1553);
* reverberation under the shaft, comet tails, and the copy of the shaft that elements above it see
  at right angles (as reviewed by Reusz 2014, doi 10.1093/bja/aet585).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from benchmarks.second_needle_path import STEP_MM, Needle
from benchmarks.second_scanner import LINES, Floats, Probe, wander
from benchmarks.second_tissue import squared


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
