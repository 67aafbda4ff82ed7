"""An archive through real worker processes: what dies, hangs or stops, and what is left."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from rich.console import Console

import batch_stubs
from ingest_files import speckle, write_dicom
from usguide import cli
from usguide.batch import progress
from usguide.batch import run as running
from usguide.batch.columns import COLUMNS
from usguide.batch.frames import frames_schema
from usguide.batch.identity import Hashes
from usguide.batch.manifest import Request
from usguide.batch.run import run_batch
from usguide.batch.store import Store
from usguide.batch.tables import clips_schema
from usguide.batch.tally import Done, Identified, Tally
from usguide.batch.task import Ending, Job, Outcome, _analyze, _Deadline, analyze_clip
from usguide.errors import BatchError, ClipLostError, OutputError, UnreadableError
from usguide.model import Options

TESTS = Path(__file__).parent


def archive(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.mp4").write_bytes(name.encode())
    return folder


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


def failures(out: Path) -> dict[str, str]:
    with (out / "failures.csv").open(encoding="utf-8", newline="") as file:
        return {Path(row["path"]).stem: row["reason"] for row in csv.DictReader(file)}


def log(out: Path) -> list[str]:
    return sorted(line.split(".")[0] for line in (out / "log.txt").read_text().splitlines())


def test_a_clip_that_kills_crashes_hangs_or_raises_fails_alone(tmp_path: Path, out: Path) -> None:
    names = ["a", "b", "exit", "hang", "kill", "nothing", "raise", "z"]
    source = archive(tmp_path / "in", *names)
    request = Request([str(source)], out, workers=2, time_limit_s=-4.0)  # and 5 s of grace
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


def _start(tmp_path: Path, source: Path, out: Path) -> subprocess.Popen[str]:
    code = (
        "import signal, batch_stubs\n"
        "from usguide.batch import run\n"
        "from usguide.batch import command\n"
        "from usguide import cli\n"
        "run.load = batch_stubs.load_nothing\n"
        "real = run.run_batch\n"
        "run.run_batch = lambda request, listen: real(request, listen, batch_stubs.act)\n"
        "if __name__ == '__main__':\n"
        # A shell starts what runs in the background with Ctrl-C ignored.
        "    signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "    cli.main()\n"
    )
    script = tmp_path / "start.py"
    script.write_text(code)
    return subprocess.Popen(
        [sys.executable, script, "batch", source, "-o", out, "--jobs", "2", "--json-progress"],
        env=os.environ | {"PYTHONPATH": str(TESTS), "NUMBA_CACHE_DIR": str(tmp_path / "kernels")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _until_some_are_done(process: subprocess.Popen[str], count: int) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["done"] >= count:
            return


def test_ctrl_c_says_how_to_go_on_and_loses_only_what_is_in_flight(
    tmp_path: Path, out: Path
) -> None:
    source = archive(tmp_path / "in", *(f"slow{n:02}" for n in range(20)))
    process = _start(tmp_path, source, out)
    _until_some_are_done(process, 4)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "To go on: usguide batch" in err
    assert json.loads((out / "run.json").read_text())["counts"]["to_do"] > 0
    tally, told = go(Request([str(source)], out, workers=2))
    assert tally.measured == 20
    assert len(told) <= 16
    assert len(log(out)) <= 20 + 2  # A stub finishes before it is known to have finished.


def test_kill_9_loses_only_what_is_in_flight(tmp_path: Path, out: Path) -> None:
    source = archive(tmp_path / "in", *(f"slow{n:02}" for n in range(12)))
    process = _start(tmp_path, source, out)
    _until_some_are_done(process, 4)
    process.kill()
    process.communicate(timeout=120)
    time.sleep(1.0)  # The orphaned workers notice and end.
    done = len(log(out))
    time.sleep(0.7)
    assert len(log(out)) == done
    tally, told = go(Request([str(source)], out, workers=2))
    assert tally.measured == 12
    assert len(told) <= 12 - 4


# --- the work itself --------------------------------------------------------------------------


@pytest.fixture
def job(tmp_path: Path) -> Job:
    path = write_dicom(tmp_path / "Ferse 1.dcm", speckle(4, 64, 80))
    return Job("ab" * 10, path, Options(), False, tmp_path / "out", 600.0, "run-1")


def test_a_clip_is_finished_with_its_row_and_its_frames(job: Job) -> None:
    outcome = analyze_clip(job)
    assert outcome.ending is Ending.NOTHING_MEASURED
    store = Store(job.out)
    record = store.record(job.key)
    assert record is not None
    assert record["frames"] == 4
    assert record["fascia_reason"]
    frames = pads.dataset(job.out / "frames", partitioning="hive").to_table()
    assert frames["frame"].to_pylist() == [0, 1, 2, 3]
    assert set(frames["clip"].to_pylist()) == {job.key}
    assert (store.clip_directory(job.key) / "report.html").is_file()
    assert analyze_clip(job).ending is Ending.NOTHING_MEASURED  # not done again


def test_a_clip_past_its_time_limit_is_stopped_at_the_next_frame(job: Job) -> None:
    late = Job(job.key, job.path, job.options, False, job.out, 0.0, "run-1")
    ending, reason = _analyze(late)
    assert ending is Ending.FAILED
    assert "time limit of 0 s" in reason
    assert Store(job.out).record(job.key) is None


def test_a_hung_clip_leaves_word_before_its_process_ends(job: Job) -> None:
    codes: list[int] = []
    deadline = _Deadline(job, Store(job.out), codes.append)
    deadline._give_up()
    assert codes == [75]
    assert analyze_clip(job).ending is Ending.FAILED


def test_a_worker_of_another_version_halts_the_run(job: Job) -> None:
    other = Job(job.key, job.path, job.options, False, job.out, 600.0, "run-1", version="9.9")
    outcome = analyze_clip(other)
    assert outcome.ending is Ending.HALTED
    assert "install the same version" in outcome.reason


def test_a_full_disk_is_not_the_clips_fault(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("usguide.batch.frames.write_frames_part", full)
    assert _analyze(job)[0] is Ending.HALTED


def test_a_deadline_raises_only_when_it_is_past(job: Job) -> None:
    _Deadline(job, Store(job.out)).check("reading", 1, 2)
    late = Job(job.key, job.path, job.options, False, job.out, -1.0, "run-1")
    with pytest.raises(ClipLostError):
        _Deadline(late, Store(job.out)).check("reading", 1, 2)


# --- what is promised of the tables and of the command ----------------------------------------


def test_every_column_is_named_once_with_a_unit_where_it_is_a_length() -> None:
    names = [column.name for column in COLUMNS]
    assert len(set(names)) == len(names)
    for column in COLUMNS:
        stem = column.name.removesuffix("_low").removesuffix("_high")
        for unit in ("mm", "px"):
            assert (stem.rsplit("_", 1)[-1] == unit) == (column.unit == unit), column.name
    assert clips_schema().metadata == {b"schema": b"usguide/clips/1"}
    assert frames_schema().metadata == {b"schema": b"usguide/frames/1"}


def test_the_documentation_lists_every_column() -> None:
    page = (TESTS.parent / "docs" / "batch.md").read_text("utf-8")
    for column in COLUMNS:
        if not column.name.endswith(("_low", "_high")):
            assert f"`{column.name}`" in page, column.name


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--jobs", "0"], "at least one process"),
        (["--time-limit", "0"], "positive number"),
        (["--jobs", "2", "--scheduler", "tcp://h:1"], "local processes"),
        (["--task", "spleen"], "no task"),
    ],
)
def test_wrong_usage_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert cli.run(["batch", str(tmp_path), "-o", str(tmp_path / "o"), *words]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["pyarrow", "filelock"])
def test_what_is_not_installed_is_named_with_how_to_install_it(missing: str) -> None:
    code = (
        f"import sys; sys.modules['{missing}'] = None\n"
        "from usguide import cli; sys.exit(cli.run(['batch', '.', '-o', 'out']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.strip().endswith(
        f"batch needs {missing}, which is not installed: pip install 'usguide[batch]'."
    )


def test_an_archive_of_which_nothing_can_be_read_is_exit_code_3(
    tmp_path: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = archive(tmp_path / "in", "a", "b")
    assert cli.run(["batch", str(source), "-o", str(out), "--jobs", "1"]) == 3
    told = capfd.readouterr()
    assert "0 measured, 0 without anything to measure, 2 failed" in told.err
    assert "failures.csv" in told.err
    assert set(failures(out)) == {"a", "b"}
    assert cli.run(["batch", str(source), "-o", str(out), "--jobs", "1", "--quiet"]) == 3
    assert capfd.readouterr() == ("", "")


def test_progress_for_machines_is_a_line_for_every_clip(tmp_path: Path, out: Path) -> None:
    process = _start(tmp_path, archive(tmp_path / "in", "a", "raise"), out)
    told, err = process.communicate(timeout=120)
    start, *clips = [json.loads(line) for line in told.splitlines()]
    assert (start["event"], start["done"], start["total"]) == ("start", 0, 2), err
    assert {Path(clip["path"]).stem: clip["outcome"] for clip in clips} == {
        "a": "measured",
        "raise": "failed",
    }
    last = clips[-1]
    assert (last["done"], last["total"], last["failed"], last["remaining_s"]) == (2, 2, 1, 0.0)
    assert last["clips_per_second"] > 0


def test_the_bar_counts_clips_pace_and_failures() -> None:
    screen = StringIO()
    console = Console(file=screen, force_terminal=True, color_system=None, width=120)
    failed = Outcome("a", Ending.FAILED, "is [empty]")
    with progress.bar(console) as listen:
        listen(Identified(1, 4))
        tally = Tally(distinct=4, measured=2, failed=1, seconds=1.5)
        listen(Done(Path("in/a.mp4"), failed, tally))
    shown = screen.getvalue()
    assert "in/a.mp4: is [empty]" in shown
    assert "3/4" in shown
    assert "2.00 clips/s" in shown
    assert "1 failed" in shown


def test_a_file_is_read_anew_only_when_it_changed(tmp_path: Path) -> None:
    clip = archive(tmp_path, "a") / "a.mp4"
    with Hashes(tmp_path / "hashes.json") as hashes:
        first = hashes.of((clip,))
    kept = json.loads((tmp_path / "hashes.json").read_text())
    (place,) = kept
    kept[place][1] = "remembered"
    (tmp_path / "hashes.json").write_text(json.dumps(kept))
    again = Hashes(tmp_path / "hashes.json")
    assert again.of((clip,)) == "remembered"
    clip.write_bytes(b"something longer")
    assert again.of((clip,)) not in ("remembered", first)


def test_what_a_killed_run_left_behind_is_cleared(tmp_path: Path, out: Path) -> None:
    source = archive(tmp_path / "in", *(f"slow{n}" for n in range(8)))
    process = _start(tmp_path, source, out)
    _until_some_are_done(process, 1)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=120)
    assert (out / ".scratch").is_dir()
    assert go(Request([str(source)], out, workers=2))[0].measured == 8
    assert not (out / ".scratch").exists()


def test_an_empty_folder_is_exit_code_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["batch", str(tmp_path), "-o", str(tmp_path / "o")]) == 3
    assert "no recording was found" in capsys.readouterr().err
