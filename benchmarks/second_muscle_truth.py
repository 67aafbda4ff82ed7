"""The truth of a contracting muscle, evaluated by the functions that move its scatterers.

In the terms of ``docs/truth.md``; ``contraction.cycles`` are those which begin at rest, and end
there, in the clip; ``contraction.cut`` is how many more are in part.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d

from benchmarks.second_muscle_scene import (
    Scene,
    moving,
    pulled,
    shown,
    surface,
)
from benchmarks.second_scanner import (
    Floats,
    pixels,
)


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
