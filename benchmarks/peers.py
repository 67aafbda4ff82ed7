"""usguide against what a user would reach for otherwise, on the same frames.

    python -m benchmarks.peers [--quick]

Compares needle tips, tissue displacement and muscle borders; the peers and their settings are in
``benchmarks.peer_methods``.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import page, peer_methods, records, suites
from benchmarks.estimates import estimate, median, p95, rms
from benchmarks.peer_methods import Frames
from usguide import Clip, analyze
from usguide.model import Options, Task
from usguide.motion.displacement import Tracker


def speckle(before: Frames, after: Frames) -> NDArray[np.float64]:
    """Track a frame pair with usguide: (points, displacement), each of shape (k, 2)."""
    tracker = Tracker(np.ones(before.shape, dtype=np.bool_))
    tracker.step(before)
    field = tracker.step(after)
    good = field.quality > 0
    start = field.position_px - field.displacement_px
    return np.stack([start[good], field.displacement_px[good]])


def _opened(case: suites.Case) -> tuple[Clip, Frames]:
    """Open a case as a user would; its source frames as well, repeats included."""
    with tempfile.TemporaryDirectory() as folder:
        clip = case.open(Path(folder))
        frames = np.stack(list(clip.decode()))
    return replace(clip, decode=lambda: iter(frames)), frames


# --- comparison --------------------------------------------------------------------------------


def compare_needles(count: int) -> str:
    """Score tips on the same clips; success is a tip within 3 mm in a frame where it is visible."""
    columns: dict[str, list[records.Columns]] = {}
    for case in suites.needlings(count):
        clip, frames = _opened(case)
        truth = case.truth
        track = analyze(clip, Options(tasks=frozenset({Task.NEEDLE}))).needle
        nothing = np.full((len(frames), 2), np.nan)
        ours = (
            nothing if track.tip_px is None else track.tip_px,
            nothing[:, 0] if track.shaft_angle_deg is None else track.shaft_angle_deg,
        )
        claims = {"usguide": ours} | {
            name: method(frames) for name, method in peer_methods.NEEDLE.items()
        }
        true_tip = records.array(truth["needle"]["tip_px"])
        seen = np.array(truth["needle"]["visible"], dtype=np.bool_)
        first = int(np.argmax(seen))
        tracked = np.full((len(frames), 2), np.nan)
        tracked[first:] = peer_methods.mil(frames[first:], true_tip[first])[0]
        claims["OpenCV MIL, true first tip"] = (tracked, nothing[:, 0])
        spacing = truth["calibration"]["mm_per_px"][0]
        for name, (tip, angle) in claims.items():
            error = np.linalg.norm(tip - true_tip, axis=1) * spacing
            off = np.abs((angle - records.array(truth["needle"]["angle_deg"]) + 90) % 180 - 90)
            columns.setdefault(name, []).append(
                {
                    "error": np.where(seen, error, np.nan),
                    "hit": np.where(seen, np.nan_to_num(error, nan=np.inf) < 3.0, np.nan),
                    "false": np.where(~seen, np.isfinite(error), np.nan),
                    "angle": np.where(seen, off, np.nan),
                }
            )
    rows = []
    for name, parts in columns.items():
        all_clips = records.gather(parts)
        clip = all_clips["clip"]
        rows.append(
            [
                name,
                estimate(all_clips["error"], clip, median).text(),
                estimate(all_clips["error"], clip, p95).text(),
                estimate(all_clips["hit"], clip).text(percent=True),
                estimate(all_clips["false"], clip).text(percent=True),
                estimate(all_clips["angle"], clip, median).text(1),
            ]
        )
    return page.table(
        [
            f"needle tip, {count} clips",
            "median error, mm",
            "95th percentile, mm",
            "within 3 mm, of visible frames",
            "claimed, of frames without a visible tip",
            "median angle error, degrees",
        ],
        rows,
    )


def compare_displacement(count: int, pairs: int = 6) -> str:
    """Score the motion between neighbouring frames at points of tissue that usguide matched."""
    errors: dict[str, list[records.Columns]] = {}
    for case in suites.muscles(12 * count):
        if case.kind != "whole":
            continue
        (_, frames), scene = _opened(case), case.recording
        spacing = scene.spacing_mm[0]
        for k in np.linspace(1, len(frames) - 1, pairs).astype(int):
            points, ours = speckle(frames[k - 1], frames[k])
            rest = points.copy()
            for _ in range(5):  # where the tissue now at `points` is at rest
                rest = points - scene.displacement_mm(k - 1, rest) / spacing
            true = scene.displacement_mm(k, rest) - scene.displacement_mm(k - 1, rest)
            found = {"usguide": ours * spacing}
            at = np.rint(points).astype(int)
            for name, flow in (
                ("OpenCV Farneback", peer_methods.farneback),
                ("OpenCV DIS medium", peer_methods.dis),
            ):
                field = flow(frames[k - 1], frames[k])
                found[name] = field[at[:, 1], at[:, 0]].astype(np.float64) * spacing
            for name, moved in found.items():
                error = np.linalg.norm(moved - true, axis=1)
                errors.setdefault(name, []).append({"error": error})
    rows = []
    for name, parts in errors.items():
        columns = records.gather(parts)
        clip = columns["clip"] // pairs
        rows.append(
            [
                name,
                estimate(columns["error"], clip, rms).text(3),
                estimate(columns["error"], clip, p95).text(3),
            ]
        )
    return page.table(
        [f"displacement between frames, {count} clips", "RMS error, mm", "95th percentile, mm"],
        rows,
    )


def compare_borders(count: int) -> str:
    """Score muscle thickness in the first frame against a minimal path shown the right bands."""
    parts: list[records.Columns] = []
    for case in suites.muscles(count):
        first = replace(case, fixed=case.fixed | {"frames": 1, "contractions": 0})
        (clip, frames), truth = _opened(first), first.truth
        muscle = truth["muscle"]
        result = analyze(clip, Options(tasks=frozenset({Task.MUSCLE}))).muscle
        true = muscle["thickness_mm"][0]
        x = np.array(muscle["x_px"], dtype=np.float64)
        borders = [
            peer_methods.minimal_path(
                frames[0], np.array(muscle[f"{side}_y_px"][0], dtype=np.float64), x
            )
            for side in ("superficial", "deep")
        ]
        path = float(np.mean(borders[1] - borders[0])) * truth["calibration"]["mm_per_px"][1]
        measured = result.thickness_mm
        parts.append(
            {
                "usguide": np.array([np.nan if measured is None else measured.value - true]),
                "scikit-image minimal path, shown the bands": np.array([path - true]),
            }
        )
    columns = records.gather(parts)
    clip = columns.pop("clip")
    rows = [
        [
            name,
            estimate(np.abs(error), clip).text(),
            estimate(error, clip).text(),
            f"{np.isfinite(error).sum()} of {len(error)}",
        ]
        for name, error in columns.items()
    ]
    return page.table(
        [
            f"muscle thickness in one frame, {count} clips",
            "mean absolute error, mm",
            "bias, mm",
            "measured",
        ],
        rows,
    )


def report(share: float) -> str:
    """Write the part about peers; ``share`` of its clips are run."""

    def some(count: int) -> int:
        return max(1, round(share * count))

    return "\n".join(
        [
            "## Against what a user would use otherwise\n",
            page.machine() + "\n",
            compare_needles(some(12)),
            compare_displacement(some(2)),
            compare_borders(some(20)),
            "Settings: "
            + " ".join((m.__doc__ or "").split("\n")[0] for m in peer_methods.METHODS)
            + "\n",
        ]
    )


if __name__ == "__main__":
    cv2.setNumThreads(1)
    print(report(0.15 if "--quick" in sys.argv else 1.0))
