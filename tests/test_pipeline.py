"""The pipeline's order, its single decode and what it says of stages nobody asked for."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from usguide import pipeline
from usguide.errors import CalibrationError, ConfigError
from usguide.ingest.clip import Clip
from usguide.model import (
    ContractionResult,
    FasciaResult,
    Header,
    Hint,
    MotionResult,
    MuscleResult,
    NeedleTrack,
    Options,
    Status,
    Task,
)


@dataclass
class Journal:
    """What the stand-in stages were shown and handed."""

    started: list[str] = field(default_factory=list)
    seen: dict[str, list[int]] = field(default_factory=dict)
    concluded: list[str] = field(default_factory=list)
    needle_got: Status | None = None
    motion_got: tuple[Status, Status] | None = None
    needle_read: int = 0
    motion_read: int = 0


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    log = Journal()

    class Stage:
        name = ""

        def __init__(self, header: Header) -> None:
            self.size = (header.region.height, header.region.width)
            log.started.append(self.name)
            log.seen[self.name] = []

        def observe(self, index: int, frame: np.ndarray) -> None:
            assert frame.shape == self.size
            log.seen[self.name].append(index)

    class Fascia(Stage):
        name = "fascia"

        def conclude(self) -> FasciaResult:
            log.concluded.append(self.name)
            return FasciaResult(Status.MEASURED, "")

    class Muscle(Stage):
        name = "muscle"

        def conclude(self) -> MuscleResult:
            log.concluded.append(self.name)
            return MuscleResult(Status.MEASURED, "")

    class Needle(Stage):
        name = "needle"

        def __init__(self, header: Header, hints: object, *, online: bool) -> None:
            super().__init__(header)
            assert (hints, online) == ((), False)

        def conclude(self, clip: Clip, fascia: FasciaResult) -> NeedleTrack:
            log.concluded.append(self.name)
            log.needle_got = fascia.status
            log.needle_read = sum(1 for _ in clip.frames())
            return NeedleTrack(Status.MEASURED, "")

    class Motion(Stage):
        name = "motion"

        def conclude(self, clip: Clip, muscle: MuscleResult, needle: NeedleTrack) -> MotionResult:
            log.concluded.append(self.name)
            log.motion_got = (muscle.status, needle.status)
            log.motion_read = sum(1 for _ in clip.frames())
            return MotionResult(ContractionResult(Status.MEASURED, ""))

    monkeypatch.setattr(
        pipeline, "load_stages", lambda: pipeline.Stages(Fascia, Muscle, Needle, Motion)
    )
    return log


class CountedClip:
    """A clip that counts how often it is decoded."""

    def __init__(self, frames: int = 5) -> None:
        self.clip = Clip.from_array(np.zeros((frames, 8, 9), np.uint8), fps=20.0)
        self.header = self.clip.header
        self.decodes = 0

    def frames(self) -> Iterator[tuple[int, np.ndarray]]:
        self.decodes += 1
        return self.clip.frames()

    def __getitem__(self, index: int) -> np.ndarray:
        return self.clip[index]


def statuses(analysis: pipeline.Analysis) -> dict[Task, Status]:
    return {
        Task.FASCIA: analysis.fascia.status,
        Task.MUSCLE: analysis.muscle.status,
        Task.NEEDLE: analysis.needle.status,
        Task.CONTRACTION: analysis.motion.contraction.status,
    }


def test_every_stage_sees_every_frame_from_one_decode(journal: Journal) -> None:
    clip = CountedClip()
    analysis = pipeline.analyze(clip)
    assert journal.seen == {
        name: [0, 1, 2, 3, 4] for name in ("fascia", "muscle", "needle", "motion")
    }
    assert clip.decodes == 3  # the shared one, the needle's second look, and motion's
    assert journal.concluded == ["fascia", "muscle", "needle", "motion"]
    assert journal.needle_got is Status.MEASURED
    assert journal.motion_got == (Status.MEASURED, Status.MEASURED)
    assert set(statuses(analysis).values()) == {Status.MEASURED}
    assert list(analysis.seconds) == ["reading", "fascia", "muscle", "needle", "motion"]
    assert all(seconds >= 0 for seconds in analysis.seconds.values())


@pytest.mark.parametrize(
    ("asked", "run"),
    [
        (Task.FASCIA, ["fascia"]),
        (Task.MUSCLE, ["muscle"]),
        (Task.NEEDLE, ["fascia", "needle"]),
        (Task.CONTRACTION, ["muscle", "needle", "motion"]),
    ],
)
def test_a_task_runs_what_it_builds_on_and_reports_only_itself(
    journal: Journal, asked: Task, run: list[str]
) -> None:
    analysis = pipeline.analyze(CountedClip(), Options(tasks=frozenset({asked})))
    assert journal.started == journal.concluded == run
    assert list(analysis.seconds) == ["reading", *run]
    for task, status in statuses(analysis).items():
        assert status is (Status.MEASURED if task is asked else Status.NOT_REQUESTED)
    if asked is Task.CONTRACTION:
        assert journal.needle_got is Status.NOT_REQUESTED
        assert journal.motion_got == (Status.MEASURED, Status.MEASURED)


def test_progress_counts_the_frames_of_each_pass(journal: Journal) -> None:
    told: list[tuple[str, int, int]] = []
    pipeline.analyze(CountedClip(3), progress=lambda *step: told.append(step))
    assert [step for step in told if step[0] == "reading"] == [
        ("reading", done, 3) for done in range(4)
    ]
    for stage in ("needle", "motion"):
        assert [step for step in told if step[0] == stage] == [
            (stage, 0, 0),
            *((stage, done, 3) for done in range(4)),
        ]
    assert (journal.needle_read, journal.motion_read) == (3, 3)


@pytest.mark.parametrize(
    ("tasks", "said"), [(frozenset(), "nothing"), (["spleen"], "spleen"), ("fascia", "f, a, s")]
)
def test_what_is_no_task_is_wrong_usage(tasks: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=f"{said}.* cannot be asked for; there are fascia"):
        Options(tasks=tasks)


def test_a_scale_or_a_rate_that_cannot_be_is_refused_with_the_options() -> None:
    with pytest.raises(CalibrationError, match="makes no sense"):
        Options(spacing_mm=(0.1, 0.0))
    for fps in (0.0, 1e-300, 1e9):
        with pytest.raises(ConfigError, match=r"give a number from 0\.017 to 100,000"):
            Options(fps=fps)


def test_options_may_be_written_as_one_thinks_of_them() -> None:
    tasks: Any = [Task.NEEDLE, "muscle"]
    spacing: Any = 0.1
    said = Options(tasks=tasks, spacing_mm=spacing)
    assert said == Options(tasks=frozenset({Task.NEEDLE, Task.MUSCLE}), spacing_mm=(0.1, 0.1))
    assert hash(said)


def test_hints_about_a_needle_that_is_not_asked_for_are_refused(journal: Journal) -> None:
    told = Options(tasks=frozenset({Task.FASCIA}), hints=(Hint(0, None),))
    with pytest.raises(ConfigError, match="none is asked for"):
        pipeline.analyze(CountedClip(), told)
    assert journal.started == []


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (Options(spacing_mm=(0.2, 0.2)), "spacing_mm"),
        (Options(region=(0, 0, 4, 4)), "region"),
        (Options(fps=25.0), "fps"),
    ],
)
def test_options_that_the_clip_was_opened_without_are_refused(
    journal: Journal, options: Options, name: str
) -> None:
    clip = Clip.from_array(np.zeros((5, 8, 9), np.uint8), spacing_mm=0.1)
    with pytest.raises(ConfigError, match=f"without the {name} of the options"):
        pipeline.analyze(clip, options)
    assert journal.started == []
    whole = Options(spacing_mm=(0.1, 0.1), region=(0, 0, 9, 8), fps=25.0)
    given = Clip.from_array(np.zeros((5, 8, 9), np.uint8), spacing_mm=0.1, fps=25.0)
    assert pipeline.analyze(given, whole).options is whole


@pytest.mark.usefixtures("journal")
def test_a_bug_in_a_stage_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline.load_stages().muscle, "observe", lambda *_: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        pipeline.analyze(CountedClip())


def test_a_path_is_not_taken_for_a_clip() -> None:
    path: Any = Path("heel.dcm")
    with pytest.raises(ConfigError, match=r"analyze\(open_clip\('heel\.dcm'\)\)"):
        pipeline.analyze(path)
