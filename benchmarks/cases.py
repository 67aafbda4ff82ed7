"""Run ``usguide analyze`` on every real case, as a user would, and say what came out.

    python -m benchmarks.cases --clips ../shared/clips [--only NAME] [--out DIR]

Each case runs in a process of its own, so that seconds and peak memory are a user's. Prints one
Markdown table; exits 1 when any case ends in a traceback or an undocumented exit code.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

DOCUMENTED_EXITS = {0, 2, 3, 4}


@dataclass(frozen=True)
class Run:
    """One ``usguide analyze``: what it printed, and what it cost."""

    exit_code: int
    stderr: str
    seconds: float
    peak_mb: float
    folder: Path

    @property
    def result(self) -> dict[str, Any] | None:
        """The parsed ``result.json``, or None where the run wrote none."""
        path = self.folder / "result.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def column(self, name: str) -> np.ndarray:
        """Return a numeric column of ``frames.csv``, NaN where it is empty."""
        with (self.folder / "frames.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return np.array([float(row[name]) if row[name] else np.nan for row in rows])

    def names(self) -> list[str]:
        """Return the file name of each frame of a folder of images."""
        with (self.folder / "frames.csv").open(newline="", encoding="utf-8") as file:
            return [row["source_name"] for row in csv.DictReader(file)]


def analyze(path: Path, folder: Path, extra: list[str]) -> Run:
    """Run the command line in a child process; peak memory is the child's own."""
    log = folder.with_suffix(".stderr")
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        with log.open("wb") as sink, open(os.devnull, "wb") as null:
            os.dup2(sink.fileno(), 2)
            os.dup2(null.fileno(), 1)
            command = [sys.executable, "-m", "usguide", "analyze", str(path), "-o", str(folder)]
            os.execv(sys.executable, command + extra)
    _, status, usage = os.wait4(child, 0)
    return Run(
        os.waitstatus_to_exitcode(status),
        log.read_text(encoding="utf-8", errors="replace"),
        time.perf_counter() - start,
        usage.ru_maxrss / 1024,
        folder,
    )


def recording(case: Path) -> list[Path]:
    """List the inputs of a case: its DICOM files, its clip, its image or its folder of frames."""
    if (case / "frames").is_dir():
        return [case / "frames"]
    return sorted(p for p in case.iterdir() if p.name != "case.json" and p.is_file())


def needle_against_truth(run: Run, case: dict[str, Any]) -> str:
    x, y = run.column("tip_x_px"), run.column("tip_y_px")
    angle = run.column("shaft_angle_deg")
    errors, angle_errors, shown_without, marked = [], [], 0, 0
    for row, name in enumerate(run.names()):
        truth = case["frames"].get(name)
        if truth is None or truth.get("tip_px") is None:
            shown_without += bool(np.isfinite(x[row]))
            continue
        marked += 1
        if not np.isfinite(x[row]):
            continue
        tip, tail = np.array(truth["tip_px"]), np.array(truth["tail_px"])
        errors.append(float(np.hypot(x[row] - tip[0], y[row] - tip[1])))
        line = np.degrees(np.arctan2(*(tail - tip)[::-1]))
        angle_errors.append(abs((angle[row] - line + 90) % 180 - 90))
    within = sum(e <= case["tolerance_px"] for e in errors)
    if not errors:
        return f"tip in 0 of {marked} frames"
    return (
        f"tip within {case['tolerance_px']} px in {within} of {marked}, shown in {len(errors)}; "
        f"median {np.median(errors):.1f} px; angle error median {np.median(angle_errors):.1f}, "
        f"max {np.max(angle_errors):.1f} deg; shown with no needle: {shown_without}"
    )


def sensor_against_truth(run: Run, case: dict[str, Any]) -> str:
    sensor = np.array(case["sensor_mm"])
    spacing = np.array(case["mm_per_px"])
    tip = np.stack([run.column("tip_x_px"), run.column("tip_y_px")], axis=1) * spacing
    repeats = run.column("duplicate_of")
    count = min(len(tip), len(sensor))
    use = np.isfinite(tip[:count, 0]) & np.isnan(repeats[:count])
    if not use.any():
        return "tip in no frame"
    offset = tip[:count][use] - sensor[:count][use]
    error = np.linalg.norm(offset - np.median(offset, axis=0), axis=1)
    distinct = int(np.isnan(repeats).sum())
    return (
        f"{error.mean():.2f} mm mean, {error.max():.2f} max after the median offset, "
        f"in {use.sum()} of {distinct} distinct frames"
    )


def thickness_against_observers(run: Run, case: dict[str, Any]) -> str:
    spacing = case["mm_per_px"][1]
    superficial = run.column("muscle_superficial_y_px")
    deep = run.column("muscle_deep_y_px")
    errors = []
    for row, name in enumerate(run.names()):
        truth = case["frames"][name]
        expected = np.mean(truth["deep_y_px"]) - np.mean(truth["superficial_y_px"])
        errors.append((deep[row] - superficial[row] - expected) * spacing)
    difference = np.abs(np.array(errors))
    measured = np.isfinite(difference)
    return (
        f"thickness at the left edge: mean absolute difference "
        f"{np.nanmean(difference):.2f} mm from the observers' mean, bias "
        f"{np.nanmean(errors):+.2f}, in {measured.sum()} of {len(errors)} frames"
    )


def measured_words(result: dict[str, Any]) -> str:
    """Say in one line what a result holds."""
    words = []
    for stage in ("fascia", "muscle", "needle"):
        part = result[stage]
        words.append(f"{stage} {part['status']}")
        thickness = part.get("thickness_mm")
        if stage == "fascia" and thickness and thickness.get("insertion"):
            words[-1] += f" {thickness['insertion']['value']:.2f} mm at the insertion"
        if stage == "muscle" and thickness:
            words[-1] += f" {thickness['value']:.1f} mm"
        if stage == "needle" and part["status"] == "measured":
            words[-1] += f" in {part['frames_visible']} frames"
    contraction = result["contraction"]
    words.append(
        f"contraction {contraction['status']}, {len(contraction['cycles'])} cycles, "
        f"separation {contraction['separation']['flag']}"
    )
    if result["twitches"]:
        words.append(f"{len(result['twitches'])} twitches")
    scale = result["calibration"]["mm_per_px"]
    words.append("no scale" if scale is None else f"{scale[1]:.4f} mm/px")
    return "; ".join(words)


def verdict(run: Run, case: dict[str, Any]) -> str:
    """Compare with the case's truth, where it has one."""
    result = run.result
    if result is None:
        return "-"
    task = case["task"]
    if task == "needle" and "frames" in case:
        return needle_against_truth(run, case)
    if task == "needle" and "sensor_mm" in case:
        return sensor_against_truth(run, case)
    if task == "muscle-thickness":
        return thickness_against_observers(run, case)
    if task == "contraction":
        return f"no tear: separation is {result['contraction']['separation']['flag']}"
    if task == "fascia" and "caliper" in case:
        caliper = case["caliper"]["mm"]
        insertion = (result["fascia"]["thickness_mm"] or {}).get("insertion")
        if insertion is None:
            return f"caliper {caliper} mm: not measured"
        return f"{insertion['value'] - caliper:+.2f} mm from the caliper's {caliper} mm"
    return "-"


def spacing_arguments(case: dict[str, Any], path: Path) -> list[str]:
    """Give the case's spacing to recordings whose truth is in mm but whose screen is cut away."""
    if case["task"] == "needle" and "sensor_mm" in case and path.suffix == ".mp4":
        return ["--spacing", ",".join(str(s) for s in case["mm_per_px"])]
    return []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--only", default="", help="only the cases whose name contains this")
    parser.add_argument("--out", type=Path, help="keep the results here")
    options = parser.parse_args()
    out = options.out or Path(tempfile.mkdtemp(prefix="usguide-cases-"))
    out.mkdir(parents=True, exist_ok=True)
    print("| case | exit | what came out | against the truth | s | MB |")
    print("|---|---|---|---|---|---|")
    broken = 0
    for folder in sorted(p for p in options.clips.iterdir() if (p / "case.json").exists()):
        if options.only not in folder.name:
            continue
        case = json.loads((folder / "case.json").read_text(encoding="utf-8"))
        for path in recording(folder):
            name = folder.name if path.is_dir() or folder.name != "dicom" else f"dicom/{path.name}"
            run = analyze(path, out / name.replace("/", "-"), spacing_arguments(case, path))
            broken += run.exit_code not in DOCUMENTED_EXITS or "Traceback" in run.stderr
            lines = run.stderr.strip().splitlines()
            said = measured_words(run.result) if run.result else (lines[-1] if lines else "")
            print(
                f"| {name} | {run.exit_code} | {said} | {verdict(run, case)} "
                f"| {run.seconds:.1f} | {run.peak_mb:.0f} |",
                flush=True,
            )
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
