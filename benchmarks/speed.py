"""How fast usguide is: every stage against decoding and against the peers, in one run.

    python -m benchmarks.speed [--quick] [--page PATH]

One core. Peers and usguide take turns on the same frames, so that a busy machine slows both;
medians over the rounds, with the smallest and the largest. Without ``--quick`` the page
``docs/benchmarks.md``, or another one, is written, with its picture beside it.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import page, peer_methods, pictures
from benchmarks.memory import peak_mb
from usguide import analyze, open_clip, pipeline
from usguide.synth import make_scene, write

Frames = NDArray[np.uint8]

SIZE = (640, 480)
TARGETS = {"fascia": 60, "muscle": 60, "needle": 60, "motion": 40}
"""Frames a second that each stage should reach with decoding, on one core at 640 x 480."""
READ_AGAIN = {"needling": {"needle", "motion"}, "muscle": {"motion"}}
"""The stages that decode a clip once more, the needle's where there is a needle; in their rates
without decoding, which are compared with the peers', that does not count."""


def make_clip(path: Path, size: tuple[int, int], frames: int, scene: str = "needling") -> Path:
    """Write a synthetic clip of a given size as H.264."""
    recording = make_scene(scene, seed=1, width_px=size[0], height_px=size[1], frames=frames)
    return write(recording, path)[0]


def one(path: Path) -> dict[str, float]:
    """Analyse one clip, compiled code warm, and say what it cost."""
    clip = open_clip(path)
    pipeline.load_stages()
    start = time.perf_counter()
    analysis = analyze(clip)
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "peak_mb": peak_mb(),
        "frames": clip.header.frames,
    } | analysis.seconds


def apart(*paths: Path) -> list[dict[str, float]]:
    """Run :func:`one` on clips, one after another, in a process of their own for its memory."""
    command = [sys.executable, "-m", "benchmarks.speed", "--apart", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=page.ROOT)
    costs: list[dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return costs


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Write the median of some values with the smallest and the largest."""
    median, least, most = (f"{v:.{digits}f}" for v in (np.median(values), min(values), max(values)))
    return f"{median} ({least}–{most})"


def timed(work: Callable[[], object]) -> float:
    """Seconds that some work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def stages_and_peers(folder: Path, frames: int, rounds: int) -> str:
    """Time every stage and every peer, taking turns."""
    recordings = {
        scene: make_scene(scene, seed=1, width_px=SIZE[0], height_px=SIZE[1], frames=frames)
        for scene in ("needling", "muscle")
    }
    clips = {
        scene: write(recording, folder / f"{scene}.mp4")[0]
        for scene, recording in recordings.items()
    }
    needle, muscle = (
        np.stack([frame for _, frame in open_clip(path).frames()]) for path in clips.values()
    )
    truth: dict[str, Any] = recordings["muscle"].truth["muscle"]  # type: ignore[assignment]
    columns = np.array(truth["x_px"])
    borders = [np.array(truth[f"{side}_y_px"][0]) for side in ("superficial", "deep")]
    few = min(4, len(needle))
    tip = np.array([SIZE[0] / 2, SIZE[1] / 2])
    others: dict[str, tuple[str, int, Callable[[], object]]] = {
        "OpenCV Canny + HoughLinesP": ("needle", len(needle), lambda: peer_methods.hough(needle)),
        "Hough + Kalman": ("needle", len(needle), lambda: peer_methods.hough_kalman(needle)),
        "scikit-image ridge + RANSAC": (
            "needle",
            few,
            lambda: peer_methods.ridge_ransac(needle[:few]),
        ),
        "OpenCV MIL tracker": ("needle", few, lambda: peer_methods.mil(needle[:few], tip)),
        "OpenCV Farneback": ("motion", 1, lambda: peer_methods.farneback(muscle[0], muscle[1])),
        "OpenCV DIS medium": ("motion", 1, lambda: peer_methods.dis(muscle[0], muscle[1])),
        "scikit-image minimal path, both borders": (
            "muscle",
            1,
            lambda: [peer_methods.minimal_path(muscle[0], line, columns) for line in borders],
        ),
    }
    clip_of = {"needle": "needling", "motion": "muscle", "muscle": "muscle"}
    one(clips["needling"])  # compiled and warm
    alone: dict[str, list[float]] = {}
    decoded: dict[str, list[float]] = {}
    for _ in range(rounds):
        for scene, path in clips.items():
            cost = one(path)
            count, reading = cost["frames"], cost["reading"]
            decoded.setdefault(f"decoding, {scene} clip", []).append(count / reading)
            for stage in TARGETS:
                name = f"{stage}, {scene} clip"
                own = cost[stage] - (reading if stage in READ_AGAIN[scene] else 0.0)
                alone.setdefault(name, []).append(count / own)
                decoded.setdefault(name, []).append(count / (reading + cost[stage]))
            decoded.setdefault(f"whole analyze, {scene} clip", []).append(count / cost["seconds"])
        for name, (_, count, work) in others.items():
            alone.setdefault(name, []).append(count / timed(work))
    rows = []
    for name in [*decoded, *others]:
        wanted = TARGETS.get(name.split(",", 1)[0])
        own, together = (spread(rates[name]) if name in rates else "" for rates in (alone, decoded))
        rows.append([name, own, together, "" if wanted is None else f"at least {wanted}"])
    size = f"{SIZE[0]} x {SIZE[1]} px, {rounds} rounds"
    head = [size, "frames/s, no decoding", "with all decoding", "wanted"]
    pairs = []
    for name, (stage, _, _) in others.items():
        ours = alone[f"{stage}, {clip_of[stage]} clip"]
        ratios = [a / b for a, b in zip(ours, alone[name], strict=True)]
        pairs.append([f"{stage} stage against {name}", spread(ratios, 2)])
    return "\n".join(
        [page.table(head, rows), page.table(["pair by pair, no decoding", "times as fast"], pairs)]
    )


def growth(folder: Path, quick: bool) -> tuple[str, dict[str, list[tuple[float, float, float]]]]:
    """Time and peak memory against frame size, clip length and number of clips."""
    sizes = [(320, 240), (640, 480)] + ([] if quick else [(960, 720), (1280, 960)])
    lengths = [24, 48] if quick else [30, 60, 120, 240]
    standard = 24 if quick else 60
    curves: dict[str, list[tuple[float, float, float]]] = {"size": [], "length": []}
    rows = []
    kinds = [("size", size, standard) for size in sizes]
    kinds += [("length", SIZE, length) for length in lengths]
    for kind, size, count in kinds:
        path = make_clip(folder / f"{kind}{size[0]}x{count}.mp4", size, count)
        costs = apart(*[path] * (1 if quick else 3))
        rate = [cost["frames"] / cost["seconds"] for cost in costs]
        peak = costs[0]["peak_mb"]
        of = size[0] * size[1] / 1e6 if kind == "size" else count
        curves[kind].append((of, float(np.median(rate)), peak))
        rows.append([f"{size[0]} x {size[1]}", str(count), spread(rate, 1), f"{peak:.0f}"])
    costs = apart(*[folder / f"length{SIZE[0]}x{lengths[0]}.mp4"] * (2 if quick else 8))
    seconds = np.cumsum([cost["seconds"] for cost in costs])
    clips = [
        [str(k), f"{total:.1f}", f"{cost['peak_mb']:.0f}"]
        for k, (total, cost) in enumerate(zip(seconds, costs, strict=True), start=1)
    ]
    text = "\n".join(
        [
            page.table(["frame, px", "frames", "frames/s of analyze", "peak memory, MB"], rows),
            page.table(["clips in one process", "seconds in all", "peak memory, MB"], clips),
        ]
    )
    return text, curves


def rendering(frames: int) -> str:
    """Time the simulator frame by frame, in a core's own time: what else runs does not count."""
    scene = make_scene("needling", seed=1, width_px=SIZE[0], height_px=SIZE[1], frames=frames)
    moments = [time.process_time()]
    moments.extend(time.process_time() for _ in scene.frames())
    return (
        f"Rendering a needling scene at {SIZE[0]} x {SIZE[1]} with its needle moving: "
        f"{spread(list(1.0 / np.diff(moments)), 1)} frames/s of one core "
        "(a published GPU simulator: over 10; IEEE TUFFC 2012;59:885, reported).\n"
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
    parser.add_argument("--page", type=Path, default=page.PAGE, help="the page to write")
    parser.add_argument("--apart", type=Path, nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if options.apart is not None:
        print(json.dumps([one(path) for path in options.apart]))
        return
    quick = options.quick
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compared = stages_and_peers(folder, 24 if quick else 60, 2 if quick else 5)
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
        text += "\n" + pictures.speed(curves["size"], options.page.parent / "pictures")
        page.write_part("speed", text, options.page)
    print(text)


if __name__ == "__main__":
    main()
