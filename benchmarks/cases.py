"""Run ``usguide analyze`` on every real case, as a user would: what came out, at what cost.

    python -m benchmarks.cases --clips ../shared/clips [--only NAME] [--out DIR]

Each case runs in a process of its own, so that seconds and peak memory are a user's. Prints one
Markdown table; exits 1 when any case ends in a traceback or an undocumented exit code. How far the
figures are from the truth is what ``benchmarks.accuracy --clips`` says.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def recordings(case: Path, task: str) -> list[Path]:
    """List what to open of a case: files, a folder of frames, or images on their own."""
    if task == "aponeurosis-mask":
        return sorted((case / "frames").iterdir())
    if (case / "frames").is_dir():
        return [case / "frames"]
    return sorted(p for p in case.iterdir() if p.name != "case.json" and p.is_file())


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
    print("| case | exit | what came out | s | MB |")
    print("|---|---|---|---|---|")
    broken = 0
    for folder in sorted(p for p in options.clips.iterdir() if (p / "case.json").exists()):
        if options.only not in folder.name:
            continue
        case = json.loads((folder / "case.json").read_text(encoding="utf-8"))
        inputs = recordings(folder, case["task"])
        for path in inputs:
            name = folder.name if len(inputs) == 1 else f"{folder.name}/{path.name}"
            run = analyze(path, out / name.replace("/", "-"), spacing_arguments(case, path))
            broken += run.exit_code not in DOCUMENTED_EXITS or "Traceback" in run.stderr
            lines = run.stderr.strip().splitlines()
            said = measured_words(run.result) if run.result else (lines[-1] if lines else "")
            print(
                f"| {name} | {run.exit_code} | {said} | {run.seconds:.1f} | {run.peak_mb:.0f} |",
                flush=True,
            )
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
