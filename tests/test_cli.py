"""What the command says, where it says it, and how it ends."""

import json
import os
import queue
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import output_analyses as made
from ingest_files import speckle, write_dicom
from usguide import cli, pipeline
from usguide.ingest import opening
from usguide.model import Analysis, Options, Task
from usguide.output import terminal
from usguide.output.result_json import result_schema
from usguide.synth import SCENES

SAMPLE = Path(__file__).parents[1] / "sample_data" / "heel_needling.dcm"

Run = Callable[..., int]


@pytest.fixture
def seen() -> dict[str, object]:
    """What the commands handed on."""
    return {}


@pytest.fixture
def finding() -> Callable[[object], Analysis]:
    return made.measured


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    seen: dict[str, object],
    finding: Callable[[object], Analysis],
) -> Run:
    """Run the command in an empty folder, on a made clip with a made analysis."""

    def opened(path: Path, **options: object) -> object:
        seen["path"] = path
        seen["open"] = {key: value for key, value in options.items() if key != "progress"}
        return made.clip()

    def analyzed(clip: object, options: Options, progress: object) -> Analysis:
        seen["options"] = options
        progress("reading", 1, 2)
        return finding(clip)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(opening, "open_clip", opened)
    monkeypatch.setattr(pipeline, "analyze", analyzed)
    monkeypatch.setattr(pipeline, "load_stages", lambda: None)
    return lambda *words: cli.run([str(word) for word in words])


def test_results_of_another_recording_are_replaced_only_where_the_folder_is_given(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = tmp_path / "heel_usguide" / "result.json"
    assert run("analyze", "january/heel.dcm") == 0
    assert run("analyze", "january/heel.dcm") == 0
    mine = result.read_text("utf-8")
    other = mine.replace(json.loads(mine)["source"]["sha256"], "0" * 64)
    result.write_text(other, encoding="utf-8")
    capsys.readouterr()
    assert run("analyze", "may/heel.dcm") == 2
    assert "heel_usguide holds the results of another recording" in capsys.readouterr().err
    assert result.read_text("utf-8") == other
    assert run("analyze", "may/heel.dcm", "-o", "heel_usguide") == 0
    assert result.read_text("utf-8") != other


def test_analyze_writes_everything_and_sums_it_up(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("analyze", "some/where/heel.dcm") == 0
    assert {path.name for path in (tmp_path / "heel_usguide").iterdir()} == {
        "result.json",
        "frames.csv",
        "fascia_profile.csv",
        "overlay.mp4",
        "report.html",
    }
    out, err = capsys.readouterr()
    assert out == ""
    for words in ("Plantar fascia", "3.4 mm", "thickened", "measured", "heel_usguide/report.html"):
        assert words in err


@pytest.mark.parametrize("line", [["analyze", ""], ["analyze", "clip.dcm", "-o", ""]])
def test_an_empty_argument_is_not_the_folder_one_is_in(
    run: Run, tmp_path: Path, line: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*line) == 2
    assert "an argument is empty" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("line", "command"),
    [(["info"], "usguide info"), (["analyze", "a", "--far"], "usguide analyze")],
)
def test_wrong_usage_points_to_the_help_of_its_command(
    run: Run, line: list[str], command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*line) == 2
    assert f"see {command} --help." in capsys.readouterr().err


def test_results_of_a_folder_keep_the_dots_of_its_name(run: Run, tmp_path: Path) -> None:
    (tmp_path / "2024.05.01").mkdir()
    assert run("analyze", "2024.05.01", "--no-overlay") == 0
    assert (tmp_path / "2024.05.01_usguide" / "result.json").is_file()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_stdout_that_cannot_be_written_is_said_in_a_sentence() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-m", "usguide", "info", str(SAMPLE), "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.endswith("usguide: stdout cannot be written: No space left on device.\n")
    assert "Traceback" not in done.stderr


def test_json_alone_goes_to_stdout(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("analyze", "heel.dcm", "--json", "--no-overlay", "-o", "out") == 0
    out, _ = capsys.readouterr()
    jsonschema.validate(json.loads(out), result_schema())
    assert json.loads(out) == json.loads(Path("out/result.json").read_text("utf-8"))
    assert not Path("out/overlay.mp4").exists()


@pytest.mark.parametrize("finding", [made.nothing_measured], ids=["nothing measured"])
def test_nothing_measured_is_exit_code_4_with_reasons_and_a_report(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("analyze", "heel.dcm", "-o", "out") == 4
    assert Path("out/report.html").exists()
    _, err = capsys.readouterr()
    assert "not in view" in err
    assert "Traceback" not in err


def test_options_reach_the_analysis(run: Run, seen: dict[str, object]) -> None:
    words = "--task needle --task fascia --spacing 0.1,0.2 --region 1,2,30,40 --fps 25 --no-overlay"
    assert run("analyze", "heel.dcm", *words.split()) == 0
    assert seen["options"] == Options(
        tasks=frozenset({Task.NEEDLE, Task.FASCIA}),
        spacing_mm=(0.1, 0.2),
        region=(1, 2, 30, 40),
        fps=25.0,
    )
    assert seen["open"] == {"spacing_mm": (0.1, 0.2), "region": (1, 2, 30, 40), "fps": 25.0}


@pytest.mark.parametrize("words", [[], ["--task", "auto"], ["--task", "auto", "--task", "muscle"]])
def test_auto_runs_every_stage(run: Run, seen: dict[str, object], words: list[str]) -> None:
    assert run("analyze", "heel.dcm", "--no-overlay", *words) == 0
    assert seen["options"] == Options()


def test_a_configuration_file_holds_options_and_the_line_wins(
    run: Run, seen: dict[str, object]
) -> None:
    Path("lab.toml").write_text(
        'task = ["needle"]\nspacing = 0.05\nregion = [1, 2, 30, 40]\nfps = 20\n'
        'overlay = false\noutput = "there"\n'
    )
    assert run("analyze", "heel.dcm", "--config", "lab.toml", "--spacing", "0.1,0.3") == 0
    assert seen["options"] == Options(
        tasks=frozenset({Task.NEEDLE}), spacing_mm=(0.1, 0.3), region=(1, 2, 30, 40), fps=20.0
    )
    assert Path("there/report.html").exists()
    assert not Path("there/overlay.mp4").exists()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("spacings = 1\ncolour = 2\n", "colour, spacings"),
        ("spacing = [1, 2, 3]\n", "spacing"),
        ("region = [1, 2, 3.5, 4]\n", "region"),
        ('fps = "fast"\n', "fps"),
        ("overlay = 1\n", "overlay"),
        ("output = 3\n", "output"),
        ("hints = 3\n", "hints"),
        ("online = 1\n", "online"),
        ("fps = true\n", "fps"),
        ("task = 3\n", "task"),
        ("task = []\n", "task"),
        ('task = "spleen"\n', "spleen"),
        ("this is not TOML", "TOML"),
    ],
)
def test_a_wrong_configuration_names_what_is_wrong(
    run: Run, capsys: pytest.CaptureFixture[str], text: str, named: str
) -> None:
    Path("lab.toml").write_text(text)
    assert run("analyze", "heel.dcm", "--config", "lab.toml") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert named in err
    assert "lab.toml" in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["analyze"],
        ["analyse", "heel.dcm"],
        ["analyze", "heel.dcm", "--colour"],
        ["analyze", "heel.dcm", "--task", "spleen"],
        ["analyze", "heel.dcm", "--spacing", "wide"],
        ["analyze", "heel.dcm", "--spacing", "1,2,3"],
        ["analyze", "heel.dcm", "--region", "1,2,3"],
        ["analyze", "heel.dcm", "--region", "1,2,3.5,4"],
        ["analyze", "heel.dcm", "--fps", "fast"],
        ["analyze", "heel.dcm", "--config", "missing.toml"],
        ["synth", "heel", "-o", "x.dcm", "frames"],
        ["synth", "heel", "-o", "x.dcm", "seed=3"],
        ["synth", "spleen", "-o", "x.dcm"],
        ["synth", "heel"],
        ["synth", "heel", "-o", "x.dcm", "frames=0"],
        ["synth", "heel", "-o", "x.dcm", "--crf", "20"],
        ["synth", "heel", "-o", "x.mp4", "--crf", "60", "frames=1"],
        ["synth", "heel", "-o", "absent/x.dcm"],
        ["synth", "muscle", "-o", "x.dcm", "tear=complete", "open_at_rest=true", "gap_mm=60"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_sentence_and_exit_code_2(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert run(*words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usguide: ")
    assert len(err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_an_output_folder_under_a_file_is_refused_before_any_work(
    run: Run, seen: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("taken").write_text("a file")
    assert run("analyze", "heel.dcm", "-o", "taken/out") == 2
    assert "taken is a file, not a folder" in capsys.readouterr().err
    assert seen == {}


def test_ctrl_c_is_one_sentence_and_exit_code_130(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "analyze", interrupted)
    assert run("analyze", "heel.dcm", "-o", "out") == 130
    assert capsys.readouterr().err.strip() == (
        "usguide: stopped before the end; no result was written."
    )
    assert list(Path().iterdir()) == []


def test_a_slow_start_is_announced_and_a_quick_one_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: queue.SimpleQueue[str] = queue.SimpleQueue()
    monkeypatch.setattr(terminal.console, "print", said.put)
    monkeypatch.setattr(terminal, "COMPILING_AFTER_S", 60.0)
    with terminal.announcing_compilation():
        pass
    assert said.empty()
    monkeypatch.setattr(terminal, "COMPILING_AFTER_S", 0.01)
    with terminal.announcing_compilation():
        assert "the first time on a machine kernels are compiled" in said.get(timeout=30)


def test_info_is_one_screen_for_a_person(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", "heel.dcm") == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "140 × 90 px at (10, 20): 35 mm wide, 18 mm deep" in err
    assert "0.25 × 0.2 mm" in err
    assert "3 only repeat an earlier one" in err
    assert "Note: the last frame is cut short" in err
    assert "Burned-in text" in err
    assert len(err.splitlines()) < 24
    assert all(len(line) <= 100 for line in err.splitlines())


def test_info_for_machines(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", "heel.dcm", "--json") == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert set(json.loads(out)) == {"source", "region_px", "calibration", "timing", "warnings"}


def test_version_and_help(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert "research software, not a medical device" in capsys.readouterr().out
    assert run() == run("--help") == 0
    out, _ = capsys.readouterr()
    assert "\n    usguide analyze heel.dcm\n" in out
    assert "4 done, but nothing could be measured" in out
    listed = out[out.index("Commands:") : out.index("Examples:")].split("\n")[1:]
    commands = {line.split()[0] for line in listed if line.strip()}
    assert commands == {"analyze", "info", "synth", "deid", "batch", "compare"}
    assert "..." not in "".join(listed)
    for command in commands:
        assert run(command, "--help") == 0
        out, _ = capsys.readouterr()
        assert f"\n    usguide {command} " in out


def test_synth_names_every_scene(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("synth", "--help") == 0
    lines = capsys.readouterr().out.splitlines()
    assert run("synth", "spleen", "-o", "x.dcm") == 2
    refusal = capsys.readouterr().err
    for scene in SCENES:
        described = [line for line in lines if line.split()[:1] == [scene]]
        assert len(described) == 1, scene
        assert len(described[0].split()) > 3
        assert scene in refusal


def test_synth_leaves_an_existing_file_alone(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    Path("there.dcm").write_text("precious")
    assert run("synth", "heel", "-o", "there.dcm", "frames=1") == 2
    assert "there.dcm exists; choose another name or --overwrite it" in capsys.readouterr().err
    assert Path("there.dcm").read_text() == "precious"


def test_a_higher_crf_makes_a_smaller_video(run: Run) -> None:
    small = ["frames=2", "width_px=240", "height_px=200", "lateral_mm=1.5"]
    for crf in ("15", "40"):
        assert run("synth", "heel", "-o", f"crf{crf}.mp4", "--crf", crf, *small) == 0
    assert Path("crf40.mp4").stat().st_size < 0.7 * Path("crf15.mp4").stat().st_size


def bad_inputs(folder: Path) -> None:
    (folder / "empty.mp4").touch()
    (folder / "letter.dcm").write_text("Dear colleague,\n")
    (folder / "nothing").mkdir()
    from PIL import Image

    speckle = np.random.default_rng(0).rayleigh(30, (60, 80)).clip(0, 255).astype(np.uint8)
    Image.fromarray(speckle).save(folder / "still.png")


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (["missing.dcm"], 3, "missing.dcm"),
        (["empty.mp4"], 3, "empty.mp4"),
        (["letter.dcm"], 3, "letter.dcm"),
        (["nothing"], 3, "nothing"),
        (["still.png", "--spacing", "-0.1"], 2, "spacing"),
        (["still.png", "--spacing", "nan"], 2, "spacing"),
        (["still.png", "--region", "60,40,50,50"], 2, "region"),
        (["still.png", "-o", "letter.dcm/out"], 2, "letter.dcm"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_bad_input_is_one_sentence_an_exit_code_and_no_result(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    named: str,
) -> None:
    bad_inputs(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    assert cli.run(["analyze", *words]) == code
    out, err = capfd.readouterr()  # what the libraries in C write as well
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert named in err
    assert sorted(tmp_path.rglob("*")) == before


# --- the command itself, in a process of its own ----------------------------------------------


def command(*words: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "usguide", *map(str, words)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_module_is_the_command_and_ends_with_its_exit_code(tmp_path: Path) -> None:
    done = command("analyze", "missing.dcm", folder=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    # A busy machine is told that it is loading.
    said = [line for line in done.stderr.splitlines() if not line.startswith("Loading")]
    assert len(said) == 1
    assert said[0].startswith("usguide: missing.dcm")


def test_help_answers_without_loading_anything_heavy() -> None:
    code = (
        "import sys\nfrom usguide import cli\ncli.run(['--help'])\n"
        "heavy = {'numpy', 'cv2', 'av', 'numba', 'pydicom', 'scipy', 'matplotlib', 'jinja2'}\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & heavy), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stderr.strip() == "[]"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to a process")
@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "kill"]
)
def test_a_run_stopped_in_the_middle_leaves_nothing(
    tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    """Stopped while it writes, which is when something could be left behind."""
    clip = write_dicom(tmp_path / "clip.dcm", speckle(3, 96, 128), FrameTime=40.0)
    program = tmp_path / "program.py"
    program.write_text(
        "import signal, sys, time\n"
        "from usguide import cli\n"
        "from usguide.output import overlay\n"
        # A shell starts what runs in the background with Ctrl-C ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def slow(self, picture):\n"
        "    print('writing', flush=True)\n"
        "    time.sleep(30)\n"
        "overlay.Video.add = slow\n"
        "sys.argv = ['usguide', 'analyze', 'clip.dcm', '-o', 'out', '--task', 'muscle']\n"
        "cli.main()\n"
    )
    with subprocess.Popen(
        [sys.executable, program],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "writing\n"
        assert set(tmp_path.iterdir()) > {program, clip}
        process.send_signal(sent)
        _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert set(tmp_path.iterdir()) == {program, clip}
    assert "Traceback" not in err
    if sent is signal.SIGINT:
        assert err.strip().splitlines()[-1] == (
            "usguide: stopped before the end; no result was written."
        )


def test_the_bundled_clip_from_end_to_end(tmp_path: Path) -> None:
    done = command("analyze", SAMPLE, "-o", "out", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    jsonschema.validate(result, result_schema())
    truth = json.loads(SAMPLE.with_suffix(".truth.json").read_text("utf-8"))
    assert result["source"]["frames"] == truth["frames"]
    assert result["calibration"]["source"] == "dicom"
    for stage in ("fascia", "needle"):
        assert result[stage]["status"] == "measured"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "result.json",
        "frames.csv",
        "fascia_profile.csv",
        "overlay.mp4",
        "report.html",
    }
