"""Runs of ``usguide batch`` as a user starts them, on one machine and on a cluster."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from benchmarks.page import ROOT

DIFFERS = ("analysis_s",)
"""Columns of the table that no two runs share: times."""


@dataclass(frozen=True)
class Clip:
    """A clip of a run: when it was done, seconds from the run's start."""

    at_s: float
    path: str
    outcome: str


@dataclass(frozen=True)
class Run:
    """A finished run and where its results are."""

    out: Path
    seconds: float
    exit_code: int
    clips: list[Clip]

    @property
    def manifest(self) -> dict[str, Any]:
        """What the run says of itself."""
        return json.loads((self.out / "run.json").read_text("utf-8"))

    @property
    def table(self) -> Any:
        """The table of clips without the columns that no two runs share."""
        return pq.read_table(self.out / "clips.parquet").drop_columns(list(DIFFERS))

    @property
    def frames(self) -> Any:
        """Every frame of every clip, in order."""
        frames = pads.dataset(self.out / "frames", partitioning="hive").to_table()
        return frames.take(pc.sort_indices(frames, [("clip", "ascending"), ("frame", "ascending")]))


def run(
    sources: Sequence[Path],
    out: Path,
    *words: str,
    kill: subprocess.Popen[bytes] | None = None,
    at: int = 0,
) -> Run:
    """Run the command to its end.

    Parameters
    ----------
    sources, out : sequence of Path, Path
        As on the command line.
    *words : str
        Further options.
    kill : Popen, optional
        A process to kill with SIGKILL on the way.
    at : int
        When so many clips are done.
    """
    start = time.monotonic()
    process = subprocess.Popen(command(sources, out, *words), stdout=subprocess.PIPE, cwd=ROOT)
    clips = []
    for line in process.stdout or ():
        event = json.loads(line)
        if event["event"] == "clip":
            clips.append(Clip(time.monotonic() - start, event["path"], event["outcome"]))
            if kill is not None and len(clips) == at:
                kill.send_signal(signal.SIGKILL)
    code = process.wait()
    return Run(out, time.monotonic() - start, code, clips)


def command(sources: Sequence[Path], out: Path, *words: str) -> list[str]:
    """Return the command line of a run."""
    here = [sys.executable, "-m", "usguide", "batch", *map(str, sources), "-o", str(out)]
    return [*here, "--json-progress", *words]


@contextlib.contextmanager
def cluster(folder: Path, workers: int = 2) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Give the address of a scheduler on loopback, and its workers, which nothing revives."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{one.getsockname()[1]}"
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", address]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1"]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "cluster.log").open("wb") as log:

        def start(words: list[str], **more: str) -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                [*words, "--no-dashboard"], stdout=log, stderr=log, cwd=folder,
                env=os.environ | more,
            )  # fmt: skip

        processes = [start(dask)]
        for number in range(workers):
            own = folder / f"worker-{number}"
            options = ["--no-nanny", "--local-directory", str(own)]
            processes.append(start([*worker, *options], NUMBA_CACHE_DIR=str(own / "kernels")))
        try:
            _wait_for(address, workers)
            yield address, processes[1:]
        finally:
            for process in processes:
                process.kill()
                process.wait()


def _wait_for(address: str, workers: int) -> None:
    from distributed import Client

    end = time.monotonic() + 60
    while True:
        try:
            with Client(address, timeout=5, set_as_default=False) as client:
                client.wait_for_workers(workers, timeout=60)
                return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
