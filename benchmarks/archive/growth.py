"""Many clips with the analysis left out: how time and memory grow, and what a kill leaves."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow.dataset as pads
import pyarrow.parquet as pq

from benchmarks import page
from benchmarks.archive.recordings import make_archive
from benchmarks.archive.runs import run
from benchmarks.archive.stubs import TEMPLATE, copied, load_nothing, memory_mb
from benchmarks.archive.throughput import where
from usguide.batch import run as running
from usguide.batch.manifest import Request
from usguide.batch.run import run_batch


def growth(scratch: Path, sizes: Sequence[int]) -> str:
    """Run archives of growing size, and each of them again when everything is done."""
    template = _template(scratch)
    rows = []
    for clips in sizes:
        out = _prepared(scratch / f"grown-{clips}", template)
        source = _files(scratch / f"archive-{clips}", clips)
        first, again = (_stubbed(source, out) for _ in range(2))
        start = time.perf_counter()
        frames = pads.dataset(out / "frames", partitioning="hive").count_rows()
        reading = time.perf_counter() - start
        rows.append(
            [
                str(clips),
                f"{first['seconds']:.1f}",
                f"{first['work_s']:.1f}",
                f"{again['seconds']:.1f}",
                f"{again['work_s']:.1f}",
                f"{first['peak_mb']:.0f}",
                f"{(out / 'index.html').stat().st_size / 1e6:.1f}",
                f"{reading:.1f} ({frames})",
            ]
        )
    head = [
        "clips", "first run, s", "of a core, s", "again, all done, s", "of a core, s",
        "memory of the run, MB", "index.html, MB", "reading all frames, s (rows)",
    ]  # fmt: skip
    return "\n".join(
        [
            where(),
            "",
            "With the analysis left out (every clip is given another one's results, through the "
            "real engine, storage, tables and page), two workers:\n",
            page.table(head, rows),
        ]
    )


def killed(scratch: Path, times: int, clips: int = 600) -> str:
    """Kill a run with SIGKILL at random moments until it comes to its end, and count."""
    out = _prepared(scratch / "killed", _template(scratch))
    source = _files(scratch / "archive-killed", clips)
    draw = random.Random(5)
    kills = 0
    while kills < times:
        process = subprocess.Popen(
            [sys.executable, "-m", __spec__.name, str(source), str(out)],
            cwd=page.ROOT,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        # At any moment of the run: when so many more are finished, and a little later.
        finished = _finished(out)
        aim = finished + draw.randint(0, clips // times)
        while process.poll() is None and _finished(out) < aim:
            time.sleep(0.05)
        time.sleep(draw.uniform(0, 0.3))
        if process.poll() is not None:
            break
        # Half of the time the workers go at the same moment, as in a power cut.
        if kills % 2:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
        kills += 1
    _stubbed(source, out)
    keys = pq.read_table(out / "clips.parquet").filter(pads.field("outcome") == "measured")["key"]
    frames = pads.dataset(out / "frames", partitioning="hive").to_table(columns=["clip"])
    expected = json.loads((out / TEMPLATE / "record.json").read_text("utf-8"))["frames"]
    counted = Counter(frames["clip"].to_pylist())
    left = [path.name for path in out.rglob(".*.[0-9]*")]
    rows = [
        ["clips", str(clips)],
        ["times killed, at random moments", str(kills)],
        ["rows measured, of different clips", f"{len(keys)}, {len(set(keys.to_pylist()))}"],
        [
            "clips whose frames are there once each",
            str(sum(n == expected for n in counted.values())),
        ],
        ["half-written files left that are not hidden", str(sum(name[0] != "." for name in left))],
    ]
    return "\n".join([where(), "", page.table(["killed and run again to the end", ""], rows)])


def _finished(out: Path) -> int:
    return sum(1 for _ in out.glob("clips/*/*/record.json"))


def _template(scratch: Path) -> Path:
    """Analyse one small clip for real."""
    template = scratch / TEMPLATE
    if not template.is_dir():
        make_archive(scratch / "one", 1)
        source = next((scratch / "one").rglob("IM_0000.dcm"))
        done = run([source], scratch / "one-result", "--jobs", "1")
        shutil.copytree(next(done.out.glob("clips/*/*")), template)
    return template


def _prepared(out: Path, template: Path) -> Path:
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(template, out / TEMPLATE)
    return out


def _files(folder: Path, clips: int) -> Path:
    """Make as many files that differ; the stub does not open them."""
    shutil.rmtree(folder, ignore_errors=True)
    for number in range(clips):
        path = folder / f"{number // 100:03}" / f"clip {number:05}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(number))
    return folder


def _stubbed(source: Path, out: Path) -> dict[str, float]:
    """Run the stub over an archive in a process of its own, for its memory."""
    command = [sys.executable, "-m", __spec__.name, str(source), str(out)]
    done = subprocess.run(command, cwd=page.ROOT, stdout=subprocess.PIPE, check=True)
    costs: dict[str, float] = json.loads(done.stdout)
    return costs


def _run_stub(source: str, out: str) -> None:
    running.load = load_nothing
    start = time.perf_counter()
    run_batch(Request([source], Path(out), workers=2), lambda _: None, copied)
    costs = {
        "seconds": time.perf_counter() - start,
        "work_s": sum(os.times()[:4]),  # This process's and its workers', whatever else runs.
        "peak_mb": memory_mb("VmHWM"),
    }
    print(json.dumps(costs))


if __name__ == "__main__":
    _run_stub(*sys.argv[1:])
