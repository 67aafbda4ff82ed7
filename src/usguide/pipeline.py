"""From a clip to its analysis: one decode shared by every stage, then their conclusions.

This is the only module that knows all four stages. What each of them builds on:

========  ===========================================================================
fascia    nothing
muscle    nothing
needle    the fascia's borders (how far the tip is from them), where needles are asked for
motion    the muscle's borders and the needle (whose own motion is no twitch)
========  ===========================================================================

So a stage also runs when only a later one was asked for; its own result then still reads *not
requested*, because nobody asked for it. Twitches belong to the contraction task.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Protocol

from usguide import __version__
from usguide.errors import ConfigError
from usguide.model import (
    Analysis,
    ContractionResult,
    FasciaResult,
    Frame,
    Frames,
    Header,
    MotionResult,
    MuscleResult,
    NeedleTrack,
    Options,
    Progress,
    Separation,
    SeparationFlag,
    Status,
    Task,
    TimingSource,
    unwatched,
)

if TYPE_CHECKING:
    from usguide.fascia import FasciaStage
    from usguide.motion import MotionStage
    from usguide.muscle import MuscleStage
    from usguide.needle import NeedleStage


@dataclass(frozen=True, slots=True)
class Stages:
    """The four stage classes."""

    fascia: type[FasciaStage]
    muscle: type[MuscleStage]
    needle: type[NeedleStage]
    motion: type[MotionStage]


def load_stages() -> Stages:
    """Import the stages, which compiles their kernels where no cache of them is found.

    Apart from :func:`analyze` so that importing the pipeline is free and so that a caller can say
    what the first, slow time is spent on.
    """
    from usguide.fascia import FasciaStage
    from usguide.motion import MotionStage
    from usguide.muscle import MuscleStage
    from usguide.needle import NeedleStage

    return Stages(FasciaStage, MuscleStage, NeedleStage, MotionStage)


def analyze(
    clip: Frames, options: Options | None = None, progress: Progress | None = None
) -> Analysis:
    """Measure everything that was asked for on one clip.

    Parameters
    ----------
    clip : Frames
        The recording; decoded once for all stages, once more for a needle that is found or for
        each of at most four lines that may be one moved slowly, and once more if contraction is
        asked for.
    options : Options, optional
        What to measure; everything by default. Spacing, region and rate must be those with which
        the clip was opened: here they are only recorded.
    progress : callable, optional
        Told ``(name, done, total)`` as frames go by, ``name`` one of the keys of
        ``Analysis.seconds``.

    Returns
    -------
    Analysis
        With a status and a reason for every stage, whether it ran or not.

    Raises
    ------
    ConfigError
        If a path is given for a clip, the clip was opened without the spacing, region or rate of
        the options, or a hint about the needle fits no frame of the clip, or comes together with
        ``online`` or where no needle is asked for.
    """
    if isinstance(clip, (str, PathLike)):
        raise ConfigError(f"{clip} is a path; open it first: analyze(open_clip({str(clip)!r})).")
    options = Options() if options is None else options
    asked = options.tasks
    _check_given(options, clip.header)
    stages = load_stages()
    clock = _Clock(progress or unwatched)
    header = clip.header

    fascia = stages.fascia(header) if asked & {Task.FASCIA, Task.NEEDLE} else None
    muscle = stages.muscle(header) if asked & {Task.MUSCLE, Task.CONTRACTION} else None
    needle = None
    if asked & {Task.NEEDLE, Task.CONTRACTION}:
        needle = stages.needle(header, options.hints, online=options.online)
    motion = stages.motion(header) if Task.CONTRACTION in asked else None

    observers: dict[str, _Observer | None] = {
        "fascia": fascia,
        "muscle": muscle,
        "needle": needle,
        "motion": motion,
    }
    _observe(clip, {name: stage for name, stage in observers.items() if stage is not None}, clock)

    fascia_result, muscle_result = _no_fascia(), _no_muscle()
    track, motion_result = _no_needle(), _no_motion()
    if fascia is not None:
        with clock.concluding("fascia"):
            fascia_result = fascia.conclude()
    if muscle is not None:
        with clock.concluding("muscle"):
            muscle_result = muscle.conclude()
    if needle is not None:
        with clock.concluding("needle"):
            track = needle.conclude(_Reported(clip, "needle", clock), fascia_result)
    if motion is not None:
        with clock.concluding("motion"):
            motion_result = motion.conclude(_Reported(clip, "motion", clock), muscle_result, track)
    return Analysis(
        header=header,
        options=options,
        fascia=fascia_result if Task.FASCIA in asked else _no_fascia(),
        muscle=muscle_result if Task.MUSCLE in asked else _no_muscle(),
        needle=track if Task.NEEDLE in asked else _no_needle(),
        motion=motion_result,
        version=__version__,
        seconds=clock.seconds,
        warnings=header.warnings,
    )


def _check_given(options: Options, header: Header) -> None:
    """Refuse options that the clip was not opened with: its measurements would not follow them."""
    box = header.region.x, header.region.y, header.region.width, header.region.height
    for name, forgotten in (
        ("spacing_mm", options.spacing_mm not in (None, header.calibration.spacing_mm)),
        ("fps", options.fps is not None and header.timing.source is not TimingSource.USER),
        ("region", isinstance(options.region, tuple) and options.region != box),
    ):
        if forgotten:
            raise ConfigError(
                f"the clip was opened without the {name} of the options: give it to open_clip."
            )
    if options.hints and not options.tasks & {Task.NEEDLE, Task.CONTRACTION}:
        raise ConfigError("hints are about a needle, and none is asked for: add the task needle.")


class _Observer(Protocol):
    """What the shared decode needs of a stage."""

    def observe(self, index: int, frame: Frame) -> None: ...


def _observe(clip: Frames, observers: dict[str, _Observer], clock: _Clock) -> None:
    """Show every distinct frame to every stage, timing the decoder and each stage apart."""
    frames = iter(_Reported(clip, "reading", clock).frames())
    while True:
        with clock.running("reading"):
            shown = next(frames, None)
        if shown is None:
            return
        for name, stage in observers.items():
            with clock.running(name):
                stage.observe(*shown)


@dataclass(slots=True)
class _Clock:
    """Wall time per stage, in the order first run, and the way to whoever watches."""

    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)

    def running(self, name: str) -> _Span:
        self.seconds.setdefault(name, 0.0)
        return _Span(self.seconds, name)

    def concluding(self, name: str) -> _Span:
        self.progress(name, 0, 0)
        return self.running(name)


@dataclass(slots=True)
class _Span:
    """Context that adds its wall time to one entry."""

    seconds: dict[str, float]
    name: str
    start: float = 0.0

    def __enter__(self) -> None:
        self.start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds[self.name] += time.perf_counter() - self.start


@dataclass(frozen=True, slots=True)
class _Reported:
    """A clip that tells how far the reading of it has come."""

    clip: Frames
    name: str
    clock: _Clock

    @property
    def header(self) -> Header:
        return self.clip.header

    def frames(self) -> Iterator[tuple[int, Frame]]:
        total = len(self.header.timing.distinct)
        self.clock.progress(self.name, 0, total)
        for done, shown in enumerate(self.clip.frames(), start=1):
            yield shown
            self.clock.progress(self.name, done, total)

    def __getitem__(self, index: int) -> Frame:
        return self.clip[index]


_NOT_ASKED = "it was not asked for"


def _no_fascia() -> FasciaResult:
    return FasciaResult(Status.NOT_REQUESTED, _NOT_ASKED)


def _no_muscle() -> MuscleResult:
    return MuscleResult(Status.NOT_REQUESTED, _NOT_ASKED)


def _no_needle() -> NeedleTrack:
    return NeedleTrack(Status.NOT_REQUESTED, _NOT_ASKED)


def _no_motion() -> MotionResult:
    return MotionResult(
        ContractionResult(
            Status.NOT_REQUESTED,
            _NOT_ASKED,
            separation=Separation(SeparationFlag.INDETERMINATE, _NOT_ASKED),
        ),
        twitches_reason=_NOT_ASKED,
    )
