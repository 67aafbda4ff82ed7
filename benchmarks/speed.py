"""How fast usguide is: every stage against decoding and against the peers, in one run.

    python -m benchmarks.speed [--quick]

One core. Peers and usguide take turns on the same frames, so that a busy machine slows both;
medians over the rounds, with the smallest and the largest. Without ``--quick`` the page
``docs/benchmarks.md`` is written.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import page, peers, pictures
from usguide import analyze, open_clip
from usguide.synth import make_scene, write

Frames = NDArray[np.uint8]

SIZE = (640, 480)
TARGETS = {"fascia": 60, "muscle": 60, "needle": 60, "motion": 40}
"""Frames a second that each stage should reach with decoding, on one core at 640 x 480."""


def make_clip(path: Path, size: tuple[int, int], frames: int, scene: str = "needling") -> Path:
    """Write a synthetic clip of a given size as H.264."""
    recording = make_scene(scene, seed=1, width_px=size[0], height_px=size[1], frames=frames)
    return write(recording, path)[0]


def peak_mb() -> float:
    """Peak memory of this process; ``ru_maxrss`` would inherit that of the process it came from."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def one(path: Path) -> dict[str, float]:
    """Analyse one clip, compiled code warm, and say what it cost."""
    clip = open_clip(path)
    start = time.perf_counter()
    analysis = analyze(clip)
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "peak_mb": peak_mb(),
        "frames": clip.header.frames,
    } | analysis.seconds


def apart(path: Path) -> dict[str, float]:
    """Run :func:`one` in a process of its own, for its peak memory."""
    command = [sys.executable, "-m", "benchmarks.speed", "--one", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=page.ROOT)
    return {key: float(value) for key, value in json.loads(done.stdout.splitlines()[-1]).items()}


def spread(rates: list[float]) -> str:
    """Write the median of some rates with the smallest and the largest."""
    return f"{np.median(rates):.0f} ({min(rates):.0f}–{max(rates):.0f})"


def timed(work: Callable[[], object]) -> float:
    """Seconds that some work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def stages_and_peers(folder: Path, frames: int, rounds: int) -> str:
    """Time every stage and every peer, taking turns."""
    clips = {
        scene: make_clip(folder / f"{scene}.mp4", SIZE, frames, scene)
        for scene in ("needling", "muscle")
    }
    pictures_of = {
        scene: np.stack([frame for _, frame in open_clip(path).frames()])
        for scene, path in clips.items()
    }
    needle, muscle = pictures_of["needling"], pictures_of["muscle"]
    few = min(4, len(needle))
    one(clips["needling"])  # compiled and warm
    rates: dict[str, list[float]] = {}

    def note(name: str, count: int, seconds: float) -> None:
        rates.setdefault(name, []).append(count / seconds)

    tip = np.array([SIZE[0] / 2, SIZE[1] / 2])
    for _ in range(rounds):
        for scene, path in clips.items():
            cost = one(path)
            count = int(cost["frames"])
            note(f"decoding, {scene} clip", count, cost["reading"])
            for stage in TARGETS:
                note(f"{stage} with decoding, {scene} clip", count, cost["reading"] + cost[stage])
            note(f"whole analyze, {scene} clip", count, cost["seconds"])
        note("OpenCV Canny + HoughLinesP", len(needle), timed(lambda: peers.hough(needle)))
        note("scikit-image ridge + RANSAC", few, timed(lambda: peers.ridge_ransac(needle[:few])))
        note("OpenCV MIL tracker", few, timed(lambda: peers.mil(needle[:few], tip)))
        for name, flow in (("OpenCV Farneback", peers.farneback), ("OpenCV DIS medium", peers.dis)):
            note(name, 1, timed(lambda flow=flow: flow(muscle[0], muscle[1])))  # type: ignore[misc]
    rows = []
    for name, values in rates.items():
        wanted = TARGETS.get(name.split(" ", 1)[0])
        rows.append([name, spread(values), "" if wanted is None else f"at least {wanted}"])
    head = [f"{SIZE[0]} x {SIZE[1]} px, {rounds} rounds", "frames/s", "wanted"]
    ratio = np.median(rates["needle with decoding, needling clip"]) / np.median(
        rates["scikit-image ridge + RANSAC"]
    )
    text = page.table(head, rows)
    return text + f"\nNeedle stage against scikit-image ridge + RANSAC: {ratio:.1f} times.\n"


def growth(folder: Path, quick: bool) -> tuple[str, dict[str, list[tuple[float, float, float]]]]:
    """Time and peak memory against frame size, clip length and number of clips."""
    sizes = [(320, 240), (640, 480)] + ([] if quick else [(960, 720), (1280, 960)])
    lengths = [24, 48] if quick else [30, 60, 120, 240]
    standard = 24 if quick else 60
    curves: dict[str, list[tuple[float, float, float]]] = {"size": [], "length": []}
    rows = []
    for size in sizes:
        cost = apart(make_clip(folder / f"size{size[0]}.mp4", size, standard))
        rate = cost["frames"] / cost["seconds"]
        curves["size"].append((size[0] * size[1] / 1e6, rate, cost["peak_mb"]))
        rows.append(
            [f"{size[0]} x {size[1]}", f"{standard}", f"{rate:.1f}", f"{cost['peak_mb']:.0f}"]
        )
    for length in lengths:
        cost = apart(make_clip(folder / f"length{length}.mp4", SIZE, length))
        rate = cost["frames"] / cost["seconds"]
        curves["length"].append((length, rate, cost["peak_mb"]))
        rows.append(
            [f"{SIZE[0]} x {SIZE[1]}", str(length), f"{rate:.1f}", f"{cost['peak_mb']:.0f}"]
        )
    path = folder / f"length{lengths[0]}.mp4"
    start = time.perf_counter()
    costs = [one(path) for _ in range(2 if quick else 4)]
    several = time.perf_counter() - start
    text = page.table(["frame, px", "frames", "frames/s of analyze", "peak memory, MB"], rows)
    peaks = ", ".join(f"{cost['peak_mb']:.0f}" for cost in costs)
    text += (
        f"\n{len(costs)} clips one after another in one process: {several / len(costs):.1f} s "
        f"each, peak memory after each {peaks} MB.\n"
    )
    return text, curves


def rendering(frames: int) -> str:
    """Time the simulator."""
    scene = make_scene("needling", seed=1, width_px=SIZE[0], height_px=SIZE[1], frames=frames)
    seconds = timed(lambda: [None for _ in scene.frames()])
    return (
        f"Rendering a needling scene at {SIZE[0]} x {SIZE[1]} with its needle moving: "
        f"{frames / seconds:.1f} frames/s (a published GPU simulator: over 10; "
        "IEEE TUFFC 2012;59:885, reported).\n"
    )


def profile(path: Path) -> str:
    """Say in which functions the time goes."""
    clip = open_clip(path)
    profiler = cProfile.Profile()
    profiler.runcall(analyze, clip)
    stats = pstats.Stats(profiler)
    total = stats.total_tt  # type: ignore[attr-defined]
    entries = sorted(stats.stats.items(), key=lambda item: -item[1][2])[:12]  # type: ignore[attr-defined]
    rows = []
    for (file, _, name), (_, calls, own, _, _) in entries:
        where = file.split("/src/")[-1] if "/src/" in file else Path(file).name
        rows.append([f"`{where}: {name}`", str(calls), f"{100 * own / total:.0f} %"])
    return page.table(["function", "calls", "of the time, its own"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="under two minutes, nothing written")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if options.one is not None:
        print(json.dumps(one(options.one)))
        return
    quick = options.quick
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compared = stages_and_peers(folder, 24 if quick else 60, 1 if quick else 3)
        grown, curves = growth(folder, quick)
        text = "\n".join(
            [
                "## Speed and memory\n",
                page.machine(),
                "",
                compared,
                grown,
                rendering(12 if quick else 40),
                "Where the time of `analyze` goes (a profile, which slows Python code):\n",
                profile(folder / "needling.mp4"),
            ]
        )
    if not quick:
        text += "\n" + pictures.speed(curves["size"])
        page.write_part("speed", text)
    print(text)


if __name__ == "__main__":
    main()
