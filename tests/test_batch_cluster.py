"""The same run on a real Dask scheduler with two workers, one of which is killed on the way."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import batch_stubs
from batch_runs import importing_stubs
from usguide.batch.cluster import connect
from usguide.batch.manifest import Request
from usguide.batch.run import run_batch
from usguide.batch.tally import Done, Event
from usguide.errors import BatchError, ConfigError


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Address of a scheduler, and its two workers, each without a nanny that would revive it."""
    address = f"tcp://127.0.0.1:{_free_port()}"
    environment = importing_stubs()
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    common = ["--no-dashboard"]
    scheduler = subprocess.Popen(
        [*dask, "--host", address, *common], env=environment, cwd=tmp_path, **quiet
    )
    workers = [
        subprocess.Popen(
            [*worker, "--nthreads", "1", *common, "--local-directory", str(tmp_path / name)],
            env=environment,
            cwd=tmp_path,
            **quiet,
        )
        for name in ("w1", "w2")
    ]
    yield address, workers
    for process in (*workers, scheduler):
        process.kill()
        process.wait()


def test_a_killed_worker_costs_time_only(
    tmp_path: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]]
) -> None:
    address, workers = cluster
    source = tmp_path / "in"
    source.mkdir()
    names = [f"slow{n:02}" for n in range(16)] + ["raise"]
    for name in names:
        (source / f"{name}.mp4").write_bytes(name.encode())
    out = tmp_path / "out"
    told: list[Path] = []

    def listen(event: Event) -> None:
        if not isinstance(event, Done):
            return
        told.append(event.path)
        if len(told) == 4:
            workers[0].send_signal(signal.SIGKILL)

    _until_both_are_there(address)
    tally = run_batch(Request([str(source)], out, scheduler=address), listen, batch_stubs.act)
    assert workers[0].wait(10) == -signal.SIGKILL
    assert (tally.measured, tally.failed) == (16, 1)
    assert Counter(told).most_common(1)[0][1] == 1
    assert sorted(path.stem for path in told) == sorted(names)
    pids = {line.split()[1] for line in (out / "log.txt").read_text().splitlines()}
    assert pids == {str(process.pid) for process in workers}


def test_a_run_that_loses_every_worker_ends_and_says_so(
    tmp_path: Path,
    cluster: tuple[str, list[subprocess.Popen[bytes]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("usguide.batch.cluster._WORKERS_S", 1)
    monkeypatch.setattr("usguide.batch.cluster._LOOK_EVERY_S", 0.5)
    address, workers = cluster
    source = tmp_path / "in"
    source.mkdir()
    for number in range(12):
        (source / f"slow{number:02}.mp4").write_bytes(bytes([number]))
    out = tmp_path / "out"
    told: list[Path] = []

    def listen(event: Event) -> None:
        if isinstance(event, Done):
            told.append(event.path)
            for worker in workers:
                worker.kill()

    _until_both_are_there(address)
    with pytest.raises(BatchError, match=r"workers.*were lost.*run the same command again"):
        run_batch(Request([str(source)], out, scheduler=address), listen, batch_stubs.act)
    manifest = json.loads((out / "run.json").read_text("utf-8"))
    assert manifest["state"] == "stopped"
    assert len(told) < 12


def _until_both_are_there(address: str) -> None:
    from distributed import Client

    end = time.monotonic() + 30
    while True:
        try:
            with Client(address, timeout=5, set_as_default=False) as client:
                client.wait_for_workers(2, timeout=30)
                return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_scheduler_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("usguide.batch.cluster._CONNECT_S", 1)
    with pytest.raises(ConfigError, match="no Dask scheduler answers there"):
        connect(f"tcp://127.0.0.1:{_free_port()}")


def test_a_scheduler_without_workers_is_said(
    cluster: tuple[str, list[subprocess.Popen[bytes]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, workers = cluster
    _until_both_are_there(address)
    for worker in workers:
        worker.kill()
        worker.wait()
    monkeypatch.setattr("usguide.batch.cluster._WORKERS_S", 2)
    with pytest.raises(ConfigError, match="no worker joined"):
        connect(address)


def test_a_worker_of_another_version_is_refused(
    cluster: tuple[str, list[subprocess.Popen[bytes]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, _ = cluster
    _until_both_are_there(address)
    monkeypatch.setattr("usguide.batch.cluster.__version__", "9.9")
    with pytest.raises(ConfigError, match="install the same version"):
        connect(address)
