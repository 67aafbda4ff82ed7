"""What a heel is made of for the wave simulator: its curves, and the scatterers that fill them.

Lengths are in mm, positions (x, z) from the middle of the array's face, z away from it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.wave_scanner import Floats
from benchmarks.wave_tissue import bends, curve_echoes, grains, rows


@dataclass(frozen=True)
class Heel:
    """A heel in mm, its bone at the left: (x, z), z from the array's face.

    Curves have shape (points, 2); ``midline``, ``superficial`` and ``deep`` belong together point
    by point, at ``distance`` from the insertion along the mid-line.
    """

    distance: Floats
    thickness: Floats
    midline: Floats
    superficial: Floats
    deep: Floats
    bone: Floats
    disease: float
    tilt: float

    @property
    def start(self) -> int:
        """Where on the curves the insertion is."""
        return int(np.argmin(np.abs(self.distance)))

    def moved(self, shift: Floats) -> Heel:
        """Return the heel elsewhere."""
        curves = ("midline", "superficial", "deep", "bone")
        return replace(self, **{name: getattr(self, name) + shift for name in curves})


def draw_heel(rng: np.random.Generator) -> Heel:
    """Draw a heel whose insertion is at (0, 0)."""
    step = 0.1
    distance = np.arange(-300, 600) * step
    disease = float(rng.uniform(0.2, 1)) if rng.random() < 0.5 else 0.0
    at_bone = rng.uniform(2.2, 4.2) + disease * rng.uniform(0.5, 3)
    later = at_bone * rng.uniform(0.5, 0.9)
    thickness = later + (at_bone - later) * np.exp(-distance.clip(0) / rng.uniform(5, 20))
    thickness *= 1 + 0.04 * bends(rng, len(distance), 40)
    thickness = thickness.clip(1.6, 7.5)

    tilt = np.radians(rng.uniform(-10, 12))
    curl = np.radians(rng.uniform(-0.25, 0.25)) * distance.clip(-15, 40)
    angle = tilt + curl + np.radians(1.0) * bends(rng, len(distance), 50)
    tangent = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    midline = np.cumsum(tangent, axis=0) * step
    start = int(np.argmin(np.abs(distance)))
    midline -= midline[start] + normal[start] * thickness[start] / 2
    half = normal * thickness[:, None] / 2
    superficial, deep = midline - half, midline + half

    # The bone turns down at the insertion: a smooth corner between its roof and its front.
    fine = 0.03
    back, front = -np.radians(rng.uniform(2, 12)), np.radians(rng.uniform(35, 75))
    along = np.arange(-1200, 1200) * fine
    corner = rng.uniform(0.6, 2.0)
    slope = back + (front - back) / (1 + np.exp(-(along - rng.uniform(-0.5, 1.0)) / corner))
    slope += tilt + (along + 3).clip(None, 0) / rng.uniform(40, 200)
    bone = np.cumsum(np.stack([np.cos(slope), np.sin(slope)], axis=1), axis=0) * fine
    bone -= bone[len(along) // 2]
    roof = np.interp(bone[:, 0], *superficial.T) + np.maximum(0.25 * at_bone, 0.5)
    excess = (roof - bone[:, 1]) / 0.4
    bone[:, 1] += 0.4 * np.logaddexp(0, excess) - 0.4 * np.logaddexp(0, excess[len(along) // 2])
    return Heel(
        distance,
        thickness,
        midline,
        superficial,
        deep,
        bone,
        disease,
        float(tilt),
    )


def septa(rng: np.random.Generator, heel: Heel, wide: float, skin: float) -> tuple[Floats, Floats]:
    """Return the septa of the fat pad: short, bent, most of them along the skin and the fascia."""
    depth = float(np.interp(0, *heel.superficial.T)) - skin
    count = int(2 * wide * depth * rng.uniform(0.5, 1.3))
    x = rng.uniform(-wide, wide, count)
    top = np.interp(x, *heel.superficial.T)
    share = rng.uniform(0, 1, count)
    middle = np.stack([x, skin + share * (top - skin - 0.3)], axis=1)
    angle = share * heel.tilt + np.radians(rng.normal(0, rng.uniform(5, 14), count))
    oblique = rng.random(count) < 0.15
    angle[oblique] += np.radians(rng.choice([-1, 1], oblique.sum()) * rng.uniform(25, 60))
    level = rng.normal(rng.uniform(2, 9), 5, count)
    length = rng.lognormal(np.log(rng.uniform(1.8, 3.5)), 0.5, count)
    points, echo = rows(rng, middle, length, angle, level, 0.15)
    inside = points[:, 1] < np.interp(points[:, 0], *heel.superficial.T) - 0.1
    return points[inside], echo[inside]


def fibrils(rng: np.random.Generator, heel: Heel) -> tuple[Floats, Floats]:
    """Return the fascia's fibrils, rows along its course, fewer and weaker with disease."""
    first, last = heel.start - 150, heel.start + 550
    mean = float(heel.thickness[heel.start])
    count = int((last - first) * 0.1 * mean / rng.uniform(1.0, 2.2))
    at = rng.integers(first, last, count)
    share = rng.uniform(-0.47, 0.47, count)
    length = rng.uniform(2, 9, count)
    level = rng.normal(rng.uniform(2, 8) - heel.disease * rng.uniform(3, 10), 3.5, count)
    tangent = np.gradient(heel.midline, axis=0)
    middle = heel.midline[at] + share[:, None] * (heel.deep - heel.superficial)[at]
    angle = np.arctan2(tangent[at, 1], tangent[at, 0]) + np.radians(rng.normal(0, 1.2, count))
    points, echo = rows(rng, middle, length, angle, level, 0.05)
    x, z = points.T
    inside = (z > np.interp(x, *heel.superficial.T)) & (z < np.interp(x, *heel.deep.T))
    return points[inside], echo[inside]


def muscle(rng: np.random.Generator, heel: Heel, wide: float, deep: float) -> tuple[Floats, Floats]:
    """Return what is in rows beneath the fascia: perimysium, and layers between muscles."""
    count = int(wide * deep * rng.uniform(0.1, 0.35))
    x = rng.uniform(-wide, wide, count)
    below = rng.uniform(0.5, deep, count)
    middle = np.stack([x, np.interp(x, *heel.deep.T) + below], axis=1)
    fibre = heel.tilt + np.radians(rng.uniform(0, 18))
    angle = fibre + np.radians(rng.normal(0, 3, count))
    level = rng.normal(rng.uniform(-8, 4), 4, count)
    found = [rows(rng, middle, rng.lognormal(np.log(4), 0.5, count), angle, level, 0.15)]
    slant = heel.tilt + np.radians(rng.uniform(5, 30))
    for _ in range(rng.integers(1, 4)):
        foot = heel.deep[heel.start] + rng.uniform([0, 2], [10, 9])
        at = np.arange(-5, 40, 0.3)
        line = foot + at[:, None] * [np.cos(slant), np.sin(slant)]
        line[:, 1] += 0.4 * bends(rng, len(at), 12)
        found.append(curve_echoes(rng, line, rng.uniform(2, 14), 0.06, 4.0))
        slant += np.radians(rng.uniform(-6, 6))
    points, echo = (np.concatenate(part) for part in zip(*found, strict=True))
    inside = points[:, 1] > np.interp(points[:, 0], *heel.deep.T) + 0.15
    inside &= points[:, 0] > heel.deep[heel.start, 0]
    return points[inside], echo[inside]


def cortex(rng: np.random.Generator, heel: Heel) -> list[tuple[Floats, Floats]]:
    """Return the bone's smooth surface, and the rough few tenths of a millimetre behind it."""
    gloss, rough = rng.uniform(20, 32), rng.uniform(0.01, 0.03)
    smooth = curve_echoes(rng, heel.bone, gloss, rough, 3.0)
    behind = np.repeat(heel.bone, 4, axis=0)
    behind = behind + [0, 1] * rng.exponential(0.12, len(behind))[:, None]
    slope = np.repeat(np.gradient(heel.bone[:, 1], heel.bone[:, 0]), 4)
    echo = rng.choice([-1.0, 1.0], len(behind)) * 10 ** (rng.uniform(2, 15) / 20) / 25
    echo *= 10 ** (4 * bends(rng, len(behind), 100) / 20) / (1 + slope**2)
    return [smooth, (behind, echo)]


def reflectors(
    rng: np.random.Generator, heel: Heel, wide: float, deep: float, skin: float
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return all scatterers in rows (n, 2), their echoes, and which no bone hides.

    Those are the bone's copy at twice its depth, off the face of the array.
    """
    surface = np.array([[-wide, skin], [wide, skin]])
    bone = cortex(rng, heel)
    parts = [
        septa(rng, heel, wide, skin),
        fibrils(rng, heel),
        muscle(rng, heel, wide, deep),
        curve_echoes(rng, heel.superficial, rng.uniform(4, 14), 0.04, 3.0),
        curve_echoes(
            rng, heel.deep[heel.start :], rng.uniform(0, 10) - 8 * heel.disease, 0.04, 3.0
        ),
        curve_echoes(rng, surface, rng.uniform(0, 14), 0.05, 3.0),
        *bone,
        (bone[0][0] * [1, 2], bone[0][1] * 10 ** (rng.uniform(-45, -28) / 20)),
    ]
    points, echo = (np.concatenate(part) for part in zip(*parts, strict=True))
    return points, echo, np.arange(len(points)) >= len(points) - len(bone[0][0])


def level_db(rng: np.random.Generator, heel: Heel, points: Floats, skin: float) -> Floats:
    """Return the level of loose scatterers at (x, z): gel, skin, fat, fascia, muscle, bone."""
    x, z = points.T
    top, bottom = np.interp(x, *heel.superficial.T), np.interp(x, *heel.deep.T)
    fat = rng.uniform(1, 3) * grains(rng, points, 3.0, 1.0) + rng.uniform(0, 2) * grains(
        rng, points, 12.0, 5.0
    )
    band = rng.uniform(-3, 4) - heel.disease * rng.uniform(2, 9)
    band = band + rng.uniform(0.5, 2) * grains(rng, points, 6.0, 0.6)
    flesh = rng.uniform(-17, -8) + rng.uniform(1, 3) * grains(rng, points, 8.0, 1.5)
    blur = 0.05 + heel.disease * rng.uniform(0, 0.3)
    share = 1 / (1 + np.exp(-np.clip((z - bottom) / blur, -30, 30)))
    # Behind the insertion nothing lies between fascia and bone.
    share = np.where(x < heel.deep[heel.start, 0], 0, share)
    level = np.where(z < top, fat, band * (1 - share) + flesh * share)
    level = np.where(z < skin, rng.uniform(-2, 5) + 0.3 * fat, level)
    roof = np.interp(x, *heel.bone.T)
    return np.where((z > roof + 0.1) & (x < heel.bone[-1, 0]), -60.0, level)
