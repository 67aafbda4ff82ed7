"""The second simulator's recordings, kept in a folder and measured one after the other."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import cv2

from benchmarks import page
from benchmarks.accuracy import seed_range
from benchmarks.second_scanner import FPS, Frames, Settings, store

Drawn = tuple[Frames, dict[str, Any], Settings]
S = TypeVar("S")


def kept(
    name: str, render: Callable[[int], Drawn], seed: int, folder: Path
) -> tuple[Path, dict[str, Any]]:
    """Return a seed's recording and its truth from a folder, made there if they are missing."""
    sidecar = folder / f"{name}{seed:05d}.truth.json"
    if sidecar.exists():
        truth = json.loads(sidecar.read_text(encoding="utf-8"))
        return folder / truth["file"], truth
    folder.mkdir(parents=True, exist_ok=True)
    frames, truth, settings = render(seed)
    size, fps = truth["calibration"]["mm_per_px"][0], truth.get("timing", {}).get("fps", FPS)
    path = store(folder / f"{name}{seed:05d}", frames, size, settings, fps)
    truth["file"] = path.name
    sidecar.write_text(json.dumps(truth), encoding="utf-8")
    return path, truth


def run(
    title: str,
    part: str,
    published: range,
    clip_of: Callable[[int, Path], object],
    score: Callable[[int, Path], S],
    said: Callable[[S], str],
    report: Callable[[list[S]], str],
) -> None:
    """Run a benchmark from the command line; the published seeds write their part of the page."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument(
        "--seeds", type=seed_range, metavar="FIRST:LAST", help="others; no page is written"
    )
    parser.add_argument("--folder", type=Path, help="keep the clips here, and use those there")
    parser.add_argument("--page", type=Path, default=page.PAGE, help="the page to write")
    parser.add_argument("--render", action="store_true", help="make the clips, measure nothing")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        scores = []
        for seed in options.seeds or published:
            if options.render:
                clip_of(seed, folder)
                continue
            scores.append(score(seed, folder))
            print(f"{seed} {said(scores[-1])}", file=sys.stderr)
    if scores:
        text = report(scores)
        print(text)
        if options.seeds is None:
            page.write_part(part, text, options.page)
