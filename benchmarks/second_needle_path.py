"""Where the second simulator's needle is: its path, its strokes, and the tissue it carries along.

Lengths are in mm, positions (x, z) from the middle of the probe's face, z away from it. The slice
is a few mm thick: what lies ``away`` of its middle loses ``exp(-away**2)``. Slow wandering, a shaft
aslant to the slice and dropouts are all made so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from benchmarks.second_scanner import LINES, Floats, Probe, wander
from benchmarks.second_tissue import rotated

STEP_MM = 0.05
"""From point to point of a shaft."""
GAUGES_MM = {18: 1.27, 20: 0.91, 22: 0.72, 25: 0.51, 28: 0.36, 30: 0.31, 32: 0.235}
"""Outer diameters."""


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


def shaft_at(needle: Needle, frame: int) -> Floats:
    """Return the shaft from the tip to the skin, shape (points, 2), at steps of ``STEP_MM``."""
    if needle.plane == "out":
        return needle.path[frame : frame + 1]
    along = np.arange(max(needle.inserted[frame], 1.0), 0, -STEP_MM) / STEP_MM
    number = np.arange(len(needle.path))
    straight = np.stack([np.interp(along, number, needle.path[:, k]) for k in (0, 1)], axis=1)
    return rotated(straight - needle.path[0], needle.turned[frame]) + needle.path[0]


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
