"""Contracting muscles drawn at random: anatomy, tear, movement and what else may be in view."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter1d

from benchmarks.second_muscle_scene import (
    KINDS,
    NEEDLED,
    SIDES_MM,
    STILL,
    TORN,
    Belly,
    Pull,
    Scene,
    Spot,
    Tear,
)
from benchmarks.second_needle_path import draw_needle, eased
from benchmarks.second_scanner import (
    LINES,
    Floats,
    Probe,
    draw_probe,
    draw_settings,
    pixels,
    wander,
)
from benchmarks.second_tissue import slow


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
