"""What a user would reach for otherwise, on the same frames: one sensible setting each, stated.

    python -m benchmarks.peers [--quick]

Compares needle tips, tissue displacement and muscle borders with usguide's. The peers get help
that usguide does not: a first tip (MIL), the truth to choose a band by (minimal path).
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.filters import sato
from skimage.graph import route_through_array
from skimage.measure import LineModelND, ransac

from benchmarks import page, records, suites
from benchmarks.estimates import estimate, median, p95, rms
from usguide import Clip, analyze
from usguide.model import Options, Task
from usguide.motion.displacement import Tracker

Frames = NDArray[np.uint8]
Tips = NDArray[np.float64]

ANGLES_DEG = (8.0, 75.0)
"""Inclinations from the horizontal that a peer may take for a needle."""


# --- needle: (tip, angle) per frame, NaN where none is claimed ---------------------------------


def _longest(segments: NDArray[Any] | None) -> tuple[NDArray[np.float64], float] | None:
    """Deeper end and angle of the longest line steep enough for a needle."""
    if segments is None:
        return None
    lines = segments.reshape(-1, 4).astype(np.float64)
    step = lines[:, 2:] - lines[:, :2]
    tilt = np.abs((np.degrees(np.arctan2(step[:, 1], step[:, 0])) + 90) % 180 - 90)
    length = np.hypot(*step.T) * ((tilt > ANGLES_DEG[0]) & (tilt < ANGLES_DEG[1]))
    best = int(np.argmax(length))
    if length[best] == 0:
        return None
    ends = lines[best].reshape(2, 2)
    tip, tail = ends[np.argmax(ends[:, 1])], ends[np.argmin(ends[:, 1])]
    angle = np.degrees(np.arctan2(*(tip - tail)[::-1]))
    return tip, float((angle + 90) % 180 - 90)


def hough(frames: Frames) -> tuple[Tips, Tips]:
    """Take the longest line of OpenCV's Canny(50, 150) on a 5 x 5 blur and HoughLinesP."""
    tips, angles = np.full((len(frames), 2), np.nan), np.full(len(frames), np.nan)
    for k, frame in enumerate(frames):
        edges = cv2.Canny(cv2.GaussianBlur(frame, (5, 5), 0), 50, 150)
        found = _longest(
            cv2.HoughLinesP(edges, 1, np.pi / 180, 40, minLineLength=40, maxLineGap=10)
        )
        if found is not None:
            tips[k], angles[k] = found
    return tips, angles


def ridge_ransac(frames: Frames) -> tuple[Tips, Tips]:
    """Fit a RANSAC line (2 px) to the top 1 % of scikit-image's Sato ridges (sigma 2, bright)."""
    tips, angles = np.full((len(frames), 2), np.nan), np.full(len(frames), np.nan)
    for k, frame in enumerate(frames):
        ridge = sato(frame.astype(np.float64), sigmas=[2], black_ridges=False)
        y, x = np.nonzero(ridge > np.quantile(ridge, 0.99))
        points = np.stack([x, y], axis=1).astype(np.float64)
        if len(points) < 30:
            continue
        model, inliers = ransac(
            points, LineModelND, min_samples=2, residual_threshold=2, max_trials=100, rng=0
        )
        if model is None or inliers is None:
            continue
        kept = points[inliers]
        tip, tail = kept[np.argmax(kept[:, 1])], kept[np.argmin(kept[:, 1])]
        tips[k] = tip
        angles[k] = (np.degrees(np.arctan2(*(tip - tail)[::-1])) + 90) % 180 - 90
    return tips, angles


def hough_kalman(frames: Frames) -> tuple[Tips, Tips]:
    """Smooth the tips of those Hough lines by a constant-velocity Kalman filter, as published."""
    tips, angles = hough(frames)
    kalman = cv2.KalmanFilter(4, 2)
    kalman.transitionMatrix = np.array(
        [[1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=np.float32
    )
    kalman.measurementMatrix = np.eye(2, 4, dtype=np.float32)
    kalman.processNoiseCov = np.eye(4, dtype=np.float32)
    kalman.measurementNoiseCov = 25 * np.eye(2, dtype=np.float32)
    kalman.errorCovPost = 1000 * np.eye(4, dtype=np.float32)
    smooth, started = np.full_like(tips, np.nan), False
    for k, tip in enumerate(tips):
        state = kalman.predict()
        if np.isfinite(tip[0]):
            if not started:
                kalman.statePost = np.array([*tip, 0, 0], dtype=np.float32)[:, None]
                started = True
            state = kalman.correct(tip.astype(np.float32)[:, None])
        if started:
            smooth[k] = state[:2, 0]
    return smooth, angles


def mil(frames: Frames, first_tip: NDArray[np.float64], side: int = 41) -> tuple[Tips, Tips]:
    """Follow a 41 x 41 px box around the true first tip with OpenCV's MIL tracker."""
    tips = np.full((len(frames), 2), np.nan)
    tracker = cv2.TrackerMIL.create()
    corner = np.clip(np.rint(first_tip - side // 2), 0, None).astype(int)
    tracker.init(cv2.cvtColor(frames[0], cv2.COLOR_GRAY2BGR), (*corner.tolist(), side, side))
    tips[0] = first_tip
    for k in range(1, len(frames)):
        found, box = tracker.update(cv2.cvtColor(frames[k], cv2.COLOR_GRAY2BGR))
        if found:
            tips[k] = box[0] + box[2] / 2, box[1] + box[3] / 2
    return tips, np.full(len(frames), np.nan)


NEEDLE: dict[str, Callable[[Frames], tuple[Tips, Tips]]] = {
    "OpenCV Canny + HoughLinesP": hough,
    "Hough + Kalman": hough_kalman,
    "scikit-image ridge + RANSAC": ridge_ransac,
}


# --- displacement between two frames, (height, width, 2) px ------------------------------------


def farneback(before: Frames, after: Frames) -> NDArray[np.float32]:
    """Run OpenCV's Farneback with its documentation's values (0.5, 3 levels, window 15)."""
    flow = cv2.calcOpticalFlowFarneback(before, after, None, 0.5, 3, 15, 3, 5, 1.2, 0)
    return np.asarray(flow, dtype=np.float32)


def dis(before: Frames, after: Frames) -> NDArray[np.float32]:
    """Run OpenCV's DIS with the medium preset."""
    engine = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(engine.calc(before, after, None), dtype=np.float32)


def speckle(before: Frames, after: Frames) -> NDArray[np.float64]:
    """Track a frame pair with usguide: (points, displacement), each of shape (k, 2)."""
    tracker = Tracker(np.ones(before.shape, dtype=np.bool_))
    tracker.step(before)
    field = tracker.step(after)
    good = field.quality > 0
    start = field.position_px - field.displacement_px
    return np.stack([start[good], field.displacement_px[good]])


# --- borders -----------------------------------------------------------------------------------


def minimal_path(frame: Frames, y_px: NDArray[np.float64], x_px: NDArray[np.float64]) -> Tips:
    """Trace scikit-image's minimal path, down a band's middle, within 3 % of the true border.

    It is shown which band to follow; returns y at every column.
    """
    height, width = frame.shape
    cost = 1.0 + 255.0 - cv2.GaussianBlur(frame, (0, 0), 1.5).astype(np.float64)
    true = np.interp(np.arange(width), x_px, y_px)
    rows = np.arange(height)[:, None]
    cost[np.abs(rows - true) > 0.03 * height] = 1e6
    start, end = (int(true[0]), 0), (int(true[-1]), width - 1)
    path = np.array(route_through_array(cost, start, end, fully_connected=True)[0])
    return np.array([path[path[:, 1] == column, 0].mean() for column in range(width)])


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
        claims = {"usguide": ours} | {name: method(frames) for name, method in NEEDLE.items()}
        true_tip = records.array(truth["needle"]["tip_px"])
        seen = np.array(truth["needle"]["visible"], dtype=np.bool_)
        first = int(np.argmax(seen))
        tracked = np.full((len(frames), 2), np.nan)
        tracked[first:] = mil(frames[first:], true_tip[first])[0]
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
            for name, flow in (("OpenCV Farneback", farneback), ("OpenCV DIS medium", dis)):
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
            minimal_path(frames[0], np.array(muscle[f"{side}_y_px"][0], dtype=np.float64), x)
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
            "Settings: " + " ".join((m.__doc__ or "").split("\n")[0] for m in _METHODS) + "\n",
        ]
    )


_METHODS = (hough, hough_kalman, ridge_ransac, mil, farneback, dis, minimal_path)

if __name__ == "__main__":
    cv2.setNumThreads(1)
    print(report(0.15 if "--quick" in sys.argv else 1.0))
