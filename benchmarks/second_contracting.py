"""Contracting muscles, whole and torn: tissue that moves, and the truth of how.

Drawn by :mod:`benchmarks.second_muscle_drawing`, moved by :mod:`benchmarks.second_muscle_scene`,
scanned by :mod:`benchmarks.second_scanner`, and judged by :mod:`benchmarks.second_muscles`. Tissue
is scatterers that move; its truth (:mod:`benchmarks.second_muscle_truth`) is evaluated, at the
borders and the ends of the muscle, by the functions that moved them.

* A belly between two aponeuroses slides along them, the deep one the more, so that the fascicles
  turn; it shortens, thickens, and pushes what lies below away.
* A tear is a ragged surface, from an aponeurosis or in the middle, or all across. Its two ends part
  in opposite directions, the less the farther a place lies from it; blood fills what opens. Some
  are closed at rest, some open, some are as wide at rest as in the contraction.
* The contraction turns tissue out of the slice (speckle changes), changes its brightness, and may
  move the probe.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import expit

from benchmarks.second_muscle_drawing import draw_scene
from benchmarks.second_muscle_scene import (
    SIDES_MM,
    Scene,
    moving,
    shown,
    surface,
)
from benchmarks.second_muscle_truth import truth_of
from benchmarks.second_needle_echo import behind, draw_look, needle_echoes
from benchmarks.second_needle_path import dragged, shaft_at, stuck
from benchmarks.second_scanner import (
    Floats,
    Frames,
    Probe,
    Settings,
    dense,
    deposit,
    detect,
    grain,
    kept_depths,
    optics,
    pictures,
    pixels,
    samples,
    scatterers,
    shade,
    surface_echoes,
)
from benchmarks.second_tissue import rotated

PER_CELL = 4
FILLER_PER_MM2 = 60


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
