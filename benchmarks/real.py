"""The same measures on real recordings; they are few, and their truth is people's or a sensor's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import page
from benchmarks.estimates import counted
from usguide import Analysis, Options, analyze, open_clip
from usguide.errors import UsguideError
from usguide.model import SeparationFlag, Status, Task

Case = dict[str, Any]
Judged = list[tuple[str, str]]


def recording(folder: Path) -> Path:
    """Return what to open of a case."""
    frames = folder / "frames"
    if frames.is_dir():
        return frames
    return next(p for p in sorted(folder.iterdir()) if p.name != "case.json" and p.is_file())


def rate(values: NDArray[np.bool_]) -> str:
    """Write a rate with its count; frames of one clip, so no interval is claimed."""
    return f"{int(values.sum())} of {len(values)}" if len(values) else "–"


def names(analysis: Analysis) -> list[str]:
    """Return the file name of each frame."""
    return list(analysis.header.source_names)


def needle_masks(analysis: Analysis, case: Case) -> Judged:
    """Tips and angles against hand-drawn masks."""
    track = analysis.needle
    errors, angles, false = [], [], 0
    marked = 0
    for index, name in enumerate(names(analysis)):
        truth = case["frames"].get(name)
        tip = (np.nan, np.nan) if track.tip_px is None else track.tip_px[index]
        if truth is None or truth.get("tip_px") is None:
            false += bool(np.isfinite(tip[0]))
            continue
        marked += 1
        true, tail = np.array(truth["tip_px"]), np.array(truth["tail_px"])
        errors.append(float(np.hypot(*(tip - true))))
        shaft = np.nan if track.shaft_angle_deg is None else track.shaft_angle_deg[index]
        line = np.degrees(np.arctan2(*(tail - true)[::-1]))
        angles.append(abs((shaft - line + 90) % 180 - 90))
    error, angle = np.array(errors), np.array(angles)
    shown = np.isfinite(error)
    near = int(np.sum(error[shown] <= case["tolerance_px"]))
    if not shown.any():
        return [("tip", f"in none of {marked} frames")]
    return [
        (f"tip within {case['tolerance_px']} px", f"frames {counted(near, marked)}"),
        ("tip shown", f"{shown.sum()} of {marked}; without a needle {false}"),
        ("tip error, median", f"{np.median(error[shown]):.1f} px"),
        ("angle error, median", f"{np.nanmedian(angle):.1f} degrees"),
    ]


def needle_sensor(analysis: Analysis, case: Case) -> Judged:
    """Judge the tip against an electromagnetic sensor, its constant offset removed."""
    tip = analysis.needle.tip_px
    if tip is None:
        return [("tip", "in no frame")]
    sensor, spacing = np.array(case["sensor_mm"]), np.array(case["mm_per_px"])
    count = min(len(tip), len(sensor))
    own = analysis.header.timing.duplicate_of[:count] < 0
    use = np.isfinite(tip[:count, 0]) & own
    offset = tip[:count][use] * spacing - sensor[:count][use]
    error = np.linalg.norm(offset - np.median(offset, axis=0), axis=1)
    return [
        ("error after the median offset, mean", f"{error.mean():.2f} mm"),
        ("largest", f"{error.max():.2f} mm"),
        ("tip shown", f"{use.sum()} of {own.sum()} distinct frames"),
    ]


def observers(analysis: Analysis, case: Case) -> Judged:
    """Muscle thickness at the region's left edge against the mean of three observers."""
    muscle, frames = analysis.muscle, case["frames"]
    if muscle.deep_left_y_px is None or muscle.superficial_left_y_px is None:
        return [("muscle", muscle.reason)]
    got = muscle.deep_left_y_px - muscle.superficial_left_y_px
    people = np.array(
        [
            np.array(frames[n]["deep_y_px"]) - np.array(frames[n]["superficial_y_px"])
            for n in names(analysis)
        ]
    )
    spacing = case["mm_per_px"][1]
    error = (got - people.mean(axis=1)) * spacing
    among = np.abs(people[:, :, None] - people[:, None, :])[:, *np.triu_indices(3, 1)] * spacing
    return [
        ("thickness, mean absolute difference", f"{np.nanmean(np.abs(error)):.2f} mm"),
        ("bias", f"{np.nanmean(error):+.2f} mm"),
        ("even and odd frames apart", " and ".join(
            f"{np.nanmean(np.abs(half)):.2f}" for half in (error[::2], error[1::2])) + " mm"),
        ("measured", rate(np.isfinite(error))),
        ("observers among themselves", f"{among.mean():.2f} mm"),
    ]  # fmt: skip


def caliper(analysis: Analysis, case: Case) -> Judged:
    """Fascia thickness at the insertion against the clinic's caliper."""
    thickness = analysis.fascia.thickness_mm
    if thickness is None or thickness.insertion is None:
        return [("insertion", f"not measured: {analysis.fascia.reason}")]
    value = thickness.insertion
    return [
        ("insertion", f"{value.value:.2f} mm ({value.low:.2f} to {value.high:.2f})"),
        ("difference from the caliper", f"{value.value - case['caliper']['mm']:+.2f} mm"),
    ]


def healthy(analysis: Analysis, case: Case) -> Judged:  # noqa: ARG001
    """No tear: nothing may be flagged."""
    contraction, muscle = analysis.motion.contraction, analysis.muscle
    flag = contraction.separation.flag
    wrong = flag is SeparationFlag.SEPARATION
    thickness = "" if muscle.thickness_mm is None else f" {muscle.thickness_mm.value:.1f} mm"
    return [
        ("separation", f"{flag.value}{' (WRONG)' if wrong else ''}"),
        ("contractions", str(len(contraction.cycles))),
        ("muscle", f"{muscle.status.value}{thickness}"),
        ("twitches claimed", str(len(analysis.motion.twitches))),
        ("needle claimed", f"in {analysis.needle.frames_visible} frames"),
    ]


def scale(analysis: Analysis, case: Case) -> str:
    """Say whether the spacing read off the screen is right."""
    found, known = analysis.header.calibration.spacing_mm, case.get("mm_per_px")
    if found is None:
        return "no scale"
    if known is None:
        return f"{found[1]:.4f} mm/px, true one unknown"
    off = max(abs(f / k - 1) for f, k in zip(found, known, strict=True))
    return f"{found[1]:.4f} mm/px, {'right' if off < 0.02 else f'off by {100 * off:.0f} %'}"


def judge_of(case: Case) -> Callable[[Analysis, Case], Judged] | None:
    """Return how to judge a case, None where nobody measured it."""
    if case["task"] == "needle":
        if "frames" in case:
            return needle_masks
        return needle_sensor if "sensor_mm" in case else None
    if case["task"] == "muscle-thickness":
        return observers
    if case["task"] == "contraction":
        return healthy
    return caliper if "caliper" in case else None


def judged_cases(clips: Path, quick: bool) -> Iterator[list[str]]:
    """Analyse every case and yield its table row."""
    few = ("fascia_normal", "needle_block", "needle_convex_05", "thickness_range_of_motion")
    for folder in sorted(p for p in clips.iterdir() if (p / "case.json").exists()):
        case = json.loads((folder / "case.json").read_text(encoding="utf-8"))
        if case["task"] in {"ingest", "aponeurosis-mask"} or (quick and folder.name not in few):
            continue
        judge = judge_of(case)
        try:
            spacing = None
            if judge is needle_sensor:  # its screen is cut away, and its truth is in mm
                spacing = (float(case["mm_per_px"][0]), float(case["mm_per_px"][1]))
            analysis = analyze(open_clip(recording(folder), spacing_mm=spacing), Options())
        except UsguideError as error:
            yield [folder.name, "declined", str(error)]
            continue
        if judge is None:
            needle = analysis.needle
            text = f"needle {needle.status.value}, in {needle.frames_visible} frames; no truth"
        else:
            text = "; ".join(f"{name}: {value}" for name, value in judge(analysis, case))
        yield [folder.name, scale(analysis, case), text]


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Overlap of two masks, 0 to 1."""
    return 2 * float((a & b).sum()) / max(float(a.sum() + b.sum()), 1.0)


def _fill(shape: tuple[int, int], one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.bool_]:
    """Return the mask between two lines (x, y) of the same abscissae."""
    mask = np.zeros(shape, dtype=np.uint8)
    outline = np.rint(np.concatenate([one, other[::-1]])).astype(np.int32)
    cv2.fillPoly(mask, [outline], 1)
    return mask > 0


def masks(folder: Path) -> str:
    """Overlap with the masks of the two uppermost aponeuroses, image by image."""
    bands, bellies, found = [], [], []
    for path in sorted((folder / "frames").iterdir()):
        truth = cv2.imread(str(folder / "masks" / path.name), cv2.IMREAD_GRAYSCALE) > 127
        _, labels = cv2.connectedComponents(truth.astype(np.uint8))
        wide = [
            k
            for k in range(1, int(labels.max()) + 1)
            if (labels == k).any(axis=0).sum() > 0.3 * truth.any(axis=0).sum()
        ]
        top, bottom = sorted(wide, key=lambda k: np.nonzero(labels == k)[0].mean())[:2]
        muscle = analyze(open_clip(path), Options(tasks=frozenset({Task.MUSCLE}))).muscle
        found.append(muscle.status is Status.MEASURED)
        lines = (
            muscle.superficial_outer_px,
            muscle.superficial_px,
            muscle.deep_px,
            muscle.deep_outer_px,
        )
        if any(line is None for line in lines):
            bands.append(0.0)
            bellies.append(0.0)
            continue
        outer, inner, deep, deep_outer = (np.asarray(line) for line in lines)
        drawn = _fill(truth.shape, outer, inner) | _fill(truth.shape, deep, deep_outer)
        bands.append(dice(drawn, np.isin(labels, (top, bottom))))
        y = np.arange(truth.shape[0])[:, None]
        below = np.where(labels == top, y, -1).max(axis=0)
        above = np.where(labels == bottom, y, truth.shape[0]).min(axis=0)
        between = (y > below) & (y < above) & (below >= 0) & (above < truth.shape[0])
        columns = between.any(axis=0)
        bellies.append(dice(_fill(truth.shape, inner, deep) & columns, between & columns))
    band, belly = np.array(bands), np.array(bellies)
    rows = [
        ["a muscle found", rate(np.array(found)), "", ""],
        *(
            [
                name,
                rate(values >= 0.75),
                rate(values[::2] >= 0.75) + " and " + rate(values[1::2] >= 0.75),
                f"{np.median(values):.2f}",
            ]
            for name, values in (
                ("Dice of the two bands at least 0.75", band),
                ("Dice of the muscle between them at least 0.75", belly),
            )
        ),
    ]
    return page.table(["`aponeurosis_masks`", "images", "even and odd apart", "median"], rows)


def report(clips: Path, quick: bool) -> str:
    """Write the part about real recordings."""
    text = [
        "## Accuracy on real recordings\n",
        "None of them is part of the project. Everything is found by the program itself: region, "
        "scale, what is in view.\n",
        page.machine() + "\n",
        page.table(["case", "scale", "result"], list(judged_cases(clips, quick))),
    ]
    if not quick and (clips / "aponeurosis_masks").is_dir():
        text.append(masks(clips / "aponeurosis_masks"))
    return "\n".join(text)
