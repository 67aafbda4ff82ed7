"""An archive through real worker processes: what dies, hangs or stops, and what is left."""

import csv
import json
import os
import signal
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import batch_stubs
from batch_runs import archive, failures, start, until_some_are_done
from usguide import cli
from usguide.batch import run as running
from usguide.batch.manifest import Request
from usguide.batch.run import run_batch
from usguide.batch.store import Store
from usguide.batch.tally import Done, Tally
from usguide.errors import BatchError, OutputError, UnreadableError
from usguide.model import Options


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "kernels"))
    monkeypatch.setattr(running, "load", batch_stubs.load_nothing)
    return tmp_path / "out"


def go(request: Request) -> tuple[Tally, list[Done]]:
    told: list[Done] = []
    tally = run_batch(
        request,
        lambda event: told.append(event) if isinstance(event, Done) else None,
        batch_stubs.act,
    )
    return tally, told


def log(out: Path) -> list[str]:
    return sorted(line.split(".")[0] for line in (out / "log.txt").read_text().splitlines())


def test_any_name_of_a_file_goes_through_the_whole_run(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = archive(tmp_path / "in", "=1+1", "-2")
    raw = os.fsencode(source / "raise")
    for number, name in enumerate((b"caf\xe9.mp4", b"a\nb.mp4")):
        Path(os.fsdecode(raw + name)).write_bytes(bytes([number]))
    monkeypatch.chdir(source)
    go(Request(["."], out))
    names = {row["path"] for row in pq.read_table(out / "clips.parquet").to_pylist()}
    assert names == {"=1+1.mp4", "-2.mp4", "raisecaf\ufffd.mp4", "raisea\nb.mp4"}
    # No spreadsheet calculates a name.
    with (out / "clips.csv").open(encoding="utf-8", newline="") as file:
        paths = {row["path"] for row in csv.DictReader(file)}
    assert paths == {"'=1+1.mp4", "'-2.mp4", "raisecaf\ufffd.mp4", "raisea\nb.mp4"}
    assert "raisecaf\ufffd.mp4" in (out / "index.html").read_text("utf-8")
    assert json.loads((out / "run.json").read_text("utf-8"))["state"] == "finished"


def test_what_is_left_out_of_a_run_is_told_on_the_terminal(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = archive(tmp_path / "in", "a")
    (source / "still.png").write_bytes(b"picture")
    (source / "gone.mp4").symlink_to(tmp_path / "nowhere")
    real = running.run_batch
    monkeypatch.setattr(running, "run_batch", lambda *two: real(*two, batch_stubs.act))
    assert cli.run(["batch", str(source), "-o", str(out), "--jobs", "1"]) == 0
    said = capsys.readouterr().err
    assert "1 image(s) beside recordings are left out" in said
    assert "1 files or folders could not be looked into" in said
    assert json.loads((out / "run.json").read_text("utf-8"))["unreadable_places"] == 1


def test_a_clip_that_kills_crashes_hangs_or_raises_fails_alone(tmp_path: Path, out: Path) -> None:
    names = ["a", "b", "exit", "hang", "kill", "nothing", "raise", "z"]
    source = archive(tmp_path / "in", *names)
    request = Request([str(source)], out, workers=2, time_limit_s=5.0)  # and 5 s of grace
    tally, _ = go(request)
    assert (tally.measured, tally.nothing_measured, tally.failed) == (3, 1, 4)
    assert log(out) == ["a", "b", "nothing", "z"]
    why = failures(out)
    assert set(why) == {"exit", "hang", "kill", "raise"}
    assert "SIGKILL" in why["kill"]
    assert "code 7" in why["exit"]
    assert "time limit" in why["hang"]
    assert why["raise"] == "unexpected RuntimeError: something nobody thought of"
    table = pq.read_table(out / "clips.parquet").to_pylist()
    assert [Path(row["path"]).stem for row in table] == names
    assert json.loads((out / "run.json").read_text())["counts"]["failed"] == 4


def test_a_second_run_does_nothing_twice_and_retries_when_asked(tmp_path: Path, out: Path) -> None:
    source = archive(tmp_path / "in", "a", "once")
    assert go(Request([str(source)], out))[0].failed == 1
    tally, told = go(Request([str(source)], out))
    assert (told, tally.before, tally.failed) == ([], 2, 1)
    tally, told = go(Request([str(source)], out, retry_failed=True))
    assert [done.path.stem for done in told] == ["once"]
    assert (tally.measured, tally.failed) == (2, 0)
    assert log(out) == ["a", "once"]
    assert failures(out) == {}


def test_copies_are_analysed_once_and_told_apart_in_the_table(tmp_path: Path, out: Path) -> None:
    source = archive(tmp_path / "in", "a", "ü b")
    (source / "copy of a.mp4").write_bytes(b"a")
    tally, _ = go(Request([str(source)], out))
    assert tally.distinct == 2
    table = {
        Path(row["path"]).name: row for row in pq.read_table(out / "clips.parquet").to_pylist()
    }
    assert table["copy of a.mp4"]["duplicate_of"] == str(source / "a.mp4")
    assert table["copy of a.mp4"]["outcome"] == "measured"
    assert table["a.mp4"]["duplicate_of"] is None
    assert "ü b.mp4" in table


def test_other_options_are_another_clip(tmp_path: Path, out: Path) -> None:
    source = archive(tmp_path / "in", "a")
    go(Request([str(source)], out))
    _, told = go(Request([str(source)], out, Options(spacing_mm=(0.1, 0.1))))
    assert len(told) == 1
    _, told = go(Request([str(source)], out))
    assert told == []


def test_a_full_disk_stops_the_run_and_keeps_what_was_finished(tmp_path: Path, out: Path) -> None:
    source = archive(tmp_path / "in", "a", "full", "slow", "z")
    with pytest.raises(BatchError, match="disk is full"):
        go(Request([str(source)], out))
    assert json.loads((out / "run.json").read_text())["state"] == "stopped"
    assert failures(out) == {}
    assert pq.read_table(out / "clips.parquet")["outcome"][0].as_py() == "measured"


def test_two_runs_do_not_share_a_folder(tmp_path: Path, out: Path) -> None:
    source = archive(tmp_path / "in", "a")
    with (
        Store(out).locked(),
        pytest.raises(OutputError, match="another run is writing here"),
    ):
        go(Request([str(source)], out))


def test_an_archive_without_recordings_is_refused(tmp_path: Path, out: Path) -> None:
    with pytest.raises(UnreadableError, match="no recording was found"):
        go(Request([str(archive(tmp_path / "in"))], out))
    assert not out.exists()


def until_nothing_is_added(out: Path) -> None:
    """Wait until orphaned workers have ended: no clip for longer than one takes."""
    end, before = time.monotonic() + 30, -1
    while (now := len(log(out))) != before:
        assert time.monotonic() < end, "workers go on without their parent"
        before = now
        time.sleep(1.0)


@pytest.mark.parametrize(
    ("stop", "code", "words"),
    [(signal.SIGINT, 130, "To go on: usguide batch"), (signal.SIGTERM, 143, "")],
)
def test_a_run_that_is_stopped_loses_only_what_is_in_flight(
    tmp_path: Path, out: Path, stop: signal.Signals, code: int, words: str
) -> None:
    source = archive(tmp_path / "in", *(f"slow{n:02}" for n in range(20)))
    process = start(tmp_path, source, out)
    until_some_are_done(process, 4)
    os.killpg(process.pid, stop)
    _, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    assert words in err
    assert json.loads((out / "run.json").read_text())["counts"]["to_do"] > 0
    assert failures(out) == {}
    tally, told = go(Request([str(source)], out, workers=2))
    assert tally.measured == 20
    assert len(told) <= 16
    assert len(log(out)) <= 20 + 2  # A stub finishes before it is known to have finished.


def test_kill_9_loses_only_what_is_in_flight(tmp_path: Path, out: Path) -> None:
    source = archive(tmp_path / "in", *(f"slow{n:02}" for n in range(12)))
    process = start(tmp_path, source, out)
    until_some_are_done(process, 4)
    process.kill()
    process.communicate(timeout=120)
    until_nothing_is_added(out)
    tally, told = go(Request([str(source)], out, workers=2))
    assert tally.measured == 12
    assert len(told) <= 12 - 4


def test_what_a_killed_run_left_behind_is_cleared(tmp_path: Path, out: Path) -> None:
    source = archive(tmp_path / "in", *(f"slow{n}" for n in range(8)))
    process = start(tmp_path, source, out)
    until_some_are_done(process, 1)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=120)
    assert (out / ".scratch").is_dir()
    assert go(Request([str(source)], out, workers=2))[0].measured == 8
    assert not (out / ".scratch").exists()
