"""What is promised of the tables, and of what the command says."""

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from batch_runs import TESTS, archive, failures, start
from usguide import cli
from usguide.batch import progress
from usguide.batch.columns import COLUMNS
from usguide.batch.frames import frames_schema
from usguide.batch.identity import Hashes
from usguide.batch.tables import clips_schema
from usguide.batch.tally import Done, Identified, Tally
from usguide.batch.task import Ending, Outcome


def test_every_column_is_named_once_with_a_unit_where_it_is_a_length() -> None:
    names = [column.name for column in COLUMNS]
    assert len(set(names)) == len(names)
    for column in COLUMNS:
        stem = column.name.removesuffix("_low").removesuffix("_high")
        for unit in ("mm", "px"):
            assert (stem.rsplit("_", 1)[-1] == unit) == (column.unit == unit), column.name
    assert clips_schema().metadata == {b"schema": b"usguide/clips/1"}
    assert frames_schema().metadata == {b"schema": b"usguide/frames/1"}


@pytest.mark.parametrize(
    ("column", "unit"),
    [
        ("time_s", b"s"),
        ("tip_x_px", b"px"),
        ("gap_low_mm", b"mm"),
        ("shaft_angle_deg", b"deg"),
        ("muscle_strain_rate_per_s", b"1/s"),
    ],
)
def test_a_frame_s_column_has_the_unit_of_its_name(column: str, unit: bytes) -> None:
    assert frames_schema().field(column).metadata == {b"unit": unit}


@pytest.mark.parametrize("column", ["frame", "tip_visible", "muscle_strain"])
def test_a_frame_s_column_without_a_unit_has_none(column: str) -> None:
    assert frames_schema().field(column).metadata is None


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
        (["--fps", "0"], "frames per second make no sense"),
        (["--spacing", "0"], "pixel spacing of 0.0 mm makes no sense"),
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
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, out = archive(tmp_path / "in", "a", "b"), tmp_path / "out"
    assert cli.run(["batch", str(source), "-o", str(out), "--jobs", "1"]) == 3
    told = capfd.readouterr()
    assert "0 measured, 0 without anything to measure, 2 failed" in told.err
    assert "failures.csv" in told.err
    assert set(failures(out)) == {"a", "b"}
    assert cli.run(["batch", str(source), "-o", str(out), "--jobs", "1", "--quiet"]) == 3
    assert capfd.readouterr() == ("", "")


def test_progress_for_machines_is_a_line_for_every_clip(tmp_path: Path) -> None:
    process = start(tmp_path, archive(tmp_path / "in", "a", "raise"), tmp_path / "out")
    told, err = process.communicate(timeout=120)
    first, *clips = [json.loads(line) for line in told.splitlines()]
    assert (first["event"], first["done"], first["total"]) == ("start", 0, 2), err
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


def test_an_empty_folder_is_exit_code_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["batch", str(tmp_path), "-o", str(tmp_path / "o")]) == 3
    assert "no recording was found" in capsys.readouterr().err
