"""Real analyses: the same table however they are run, their pace, and a worker's memory."""

from __future__ import annotations

import csv
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks import page
from benchmarks.archive.recordings import FRAMES, make_archive
from benchmarks.archive.runs import Run, cluster, run
from benchmarks.archive.stubs import MEMORY, weighed
from usguide.batch.manifest import Request
from usguide.batch.run import run_batch

ROUNDS = 3


def where() -> str:
    """Say on what machine, and how busy it was."""
    machine = page.machine("as many used as workers")
    return f"{machine} Load over the last minute: {os.getloadavg()[0]:.1f}."


def same(sources: Sequence[Path], scratch: Path) -> str:
    """Run an archive on one worker, on two, and on a cluster that loses one of two half-way."""
    runs = {
        f"{count} worker{'s' if count > 1 else ''}": run(
            sources, _cleared(scratch / f"workers-{count}"), "--jobs", str(count)
        )
        for count in (1, 2)
    }
    reference = runs["1 worker"]
    with cluster(scratch / "cluster") as (address, workers):
        runs["Dask, one of two workers killed half-way"] = run(
            sources,
            _cleared(scratch / "on-cluster"),
            "--scheduler",
            address,
            kill=workers[0],
            at=len(reference.clips) // 2,
        )
    outcomes = Counter(str(one) for one in reference.table["outcome"].to_pylist())
    rows = [
        [
            name,
            f"{one.seconds:.0f}",
            str(len(one.clips)),
            str(len({clip.path for clip in one.clips})),
            _yes(one.table.equals(reference.table)),
            _yes(one.frames.equals(reference.frames)),
        ]
        for name, one in runs.items()
    ]
    outcomes["not to be read at all"] = reference.manifest["found"] - outcomes.total()
    counted = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in outcomes.items())
    return "\n".join(
        [
            "## Archives\n",
            where(),
            "",
            f"One archive of {reference.manifest['found']} recordings ({counted}), run three ways; "
            "the tables are compared cell by cell, but for the times.\n",
            page.table(
                ["run", "seconds", "clips done", "different ones", "same table", "same frames"],
                rows,
            ),
        ]
    )


def _yes(same_as_reference: bool) -> str:
    return "yes" if same_as_reference else "**no**"


def speed(scratch: Path, clips: int) -> str:
    """Compare two workers with one, in turns, and say what a clip costs beside its analysis."""
    source = scratch / "archive"
    make_archive(source, clips * 5 // 4)
    listing = _listing(source, clips, copies=1)
    run([listing], _cleared(scratch / "first"), "--jobs", "1")  # Compiles the kernels.
    pace: dict[int, list[float]] = {1: [], 2: []}
    costs: list[float] = []
    for _ in range(ROUNDS):
        for workers, rates in pace.items():
            done = run([listing], _cleared(scratch / "timed"), "--jobs", str(workers))
            rates.append(done.manifest["clips_per_second"])
            if workers == 1:
                costs += _beside_the_analysis(done)
    gain = [two / one for one, two in zip(pace[1], pace[2], strict=True)]
    rows = [
        ["one worker, clips/s", _spread(pace[1]), ""],
        ["two workers, clips/s", _spread(pace[2]), ""],
        ["times as fast", _spread(gain), "at least 1.8"],
        ["seconds per clip beside its analysis, after the first", _spread(costs), "under 0.3"],
    ]
    return "\n".join(
        [
            where(),
            "",
            f"{clips} synthetic clips of {FRAMES} frames, {ROUNDS} rounds in turns; a worker's "
            "start counts. Beside the analysis: finding and opening the clip, its pictures, report "
            "and tables, and what lies between two clips.\n",
            page.table(["", "median (smallest–largest)", "wanted"], rows),
        ]
    )


def _beside_the_analysis(done: Run) -> list[float]:
    """Seconds from one clip's end to the next one's that no stage worked, on one worker."""
    table = pq.read_table(done.out / "clips.parquet", columns=["path", "analysis_s"]).to_pylist()
    stages = {Path(row["path"]).absolute(): row["analysis_s"] or 0.0 for row in table}
    ends = [clip.at_s for clip in done.clips]
    analysis = [stages[Path(clip.path)] for clip in done.clips]
    return list(np.diff(ends) - analysis[1:])


def memory(scratch: Path, clips: int) -> str:
    """Follow the memory of one worker over many clips."""
    source = scratch / "archive"
    make_archive(source, 100)
    out = _cleared(scratch / "memory")
    # The same recordings under other spacings are other clips.
    listing = _listing(source, clips, copies=1 + clips // 50)
    run_batch(Request([str(listing)], out, workers=1), lambda _: None, weighed)
    held = np.array((out / MEMORY).read_text().split(), dtype=float)
    parts = np.array_split(held, 5)
    ends = np.cumsum([len(part) for part in parts])
    rows = [
        [f"{end - len(part) + 1} to {end}", f"{np.median(part):.0f}", f"{part.max():.0f}"]
        for end, part in zip(ends, parts, strict=True)
    ]
    return "\n".join(
        [
            where(),
            "",
            f"Memory that one worker holds after each of {len(held)} clips:\n",
            page.table(["clips", "median, MB", "largest, MB"], rows),
        ]
    )


def _listing(source: Path, clips: int, *, copies: int) -> Path:
    """List so many of an archive's whole and different clips, each under several spacings."""
    files = sorted([*source.glob("* */*.dcm"), *source.glob("* */*.mp4")])
    path = source.with_suffix(".csv")
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["path", "spacing"])
        rows = [(str(one), 0.1 + 0.001 * copy) for copy in range(copies) for one in files]
        lines.writerows(rows[:clips])
    return path


def _cleared(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _spread(values: Sequence[float]) -> str:
    median, least, most = (f"{v:.2f}" for v in (np.median(values), min(values), max(values)))
    return f"{median} ({least}–{most})"
