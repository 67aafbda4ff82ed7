"""Needlings: tissue that moves, a needle in it, and the truth of what is seen of it.

Drawn by :mod:`benchmarks.second_tissue` and :mod:`benchmarks.second_needle_path`, heard by
:mod:`benchmarks.second_needle_echo`, scanned by :mod:`benchmarks.second_scanner`, judged by
:mod:`benchmarks.second_needles`. The needle is added to the radio-frequency lines.

Truth (``docs/truth.md``). ``visibility_db`` is the power of the needle's own echo in the last
2.5 mm of the shaft (across the plane: within 0.75 mm of the spot) over that of the tissue and noise
within 2 mm of the tip, in the linear data of one look, frame by frame. The tip is ``visible`` where
this is at least ``VISIBLE_DB`` and these 2.5 mm are in the picture. A pass is a stroke in and out
from where the needle rests; entering the picture and leaving it are none.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from benchmarks.second_needle_echo import Look, behind, draw_look, needle_echoes
from benchmarks.second_needle_path import STEP_MM, Needle, dragged, draw_needle, shaft_at, stuck
from benchmarks.second_scanner import (
    KEPT,
    LINES,
    Floats,
    Probe,
    Settings,
    contact,
    deposit,
    detect,
    draw_probe,
    draw_settings,
    echoes,
    kept_depths,
    optics,
    pictures,
    pixels,
    samples,
    shade,
    wander,
)
from benchmarks.second_tissue import draw_tissue, slow

PROBES = ("linear", "trapezoid", "convex")
PLANES = ("in", "in", "out", "in", "in", None, "in", "out", "in", "in")
"""By the last digit of the seed; None without a needle."""
VISIBLE_DB = 5.0
"""Below, the tip was not found in the pictures even by who knew where it was."""
OUTSIDE_DB = -60.0
"""What stands for the visibility of a tip that is not in the picture."""
LAST_MM = 2.5
"""Length of the shaft at the tip whose echo says how well the tip is seen."""
SPOT_MM = 0.75
"""The same of a needle across the plane: about the spot."""
MEDIAN_MM = 0.45
"""A wider median filter takes a shaft out of the picture, as no scanner's does."""


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
