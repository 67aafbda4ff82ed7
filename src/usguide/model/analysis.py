"""What the user asks for, and everything measured on one clip."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from usguide.errors import ConfigError
from usguide.model.fascia import FasciaResult
from usguide.model.motion import MotionResult
from usguide.model.muscle import MuscleResult
from usguide.model.needle import Hint, NeedleTrack
from usguide.model.recording import Calibration, Header, checked_rate
from usguide.model.values import Status


class Task(StrEnum):
    """What the user may ask ``analyze`` for."""

    FASCIA = "fascia"
    MUSCLE = "muscle"
    NEEDLE = "needle"
    CONTRACTION = "contraction"


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for; defaults are what ``usguide analyze PATH`` does.

    Raises
    ------
    ConfigError
        If there is no task or an unknown one, or a spacing or a rate that cannot be.
    """

    tasks: frozenset[Task] = frozenset(Task)
    spacing_mm: tuple[float, float] | None = None
    """Millimetres per pixel (x, y), instead of what the file says."""
    region: tuple[int, int, int, int] | int | None = None
    """x, y, width, height of the B-mode picture in source px, instead of finding it; or the number
    of one of the several that a DICOM file states, from 1."""
    fps: float | None = None
    """Frames per second, instead of the file's timing."""
    hints: tuple[Hint, ...] = ()
    """What a person knows of the needle, which its path honours."""
    online: bool = False
    """Follow the needle without looking at later frames."""

    def __post_init__(self) -> None:
        if not self.tasks or set(self.tasks) - set(Task):
            said = ", ".join(map(str, self.tasks)) or "nothing"
            raise ConfigError(f"tasks: {said} cannot be asked for; there are {', '.join(Task)}.")
        # Whoever writes a list of tasks, or one spacing for both axes, means the same.
        object.__setattr__(self, "tasks", frozenset(Task(task) for task in self.tasks))
        object.__setattr__(self, "spacing_mm", Calibration.given(self.spacing_mm).spacing_mm)
        checked_rate(self.fps)


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """Everything measured on one clip."""

    header: Header
    options: Options
    fascia: FasciaResult
    muscle: MuscleResult
    needle: NeedleTrack
    motion: MotionResult
    version: str
    seconds: dict[str, float]
    """Wall time per stage, in the order run."""
    warnings: tuple[str, ...] = ()

    @property
    def measured(self) -> bool:
        """Whether any stage measured anything."""
        return any(
            status is Status.MEASURED
            for status in (
                self.fascia.status,
                self.muscle.status,
                self.needle.status,
                self.motion.contraction.status,
            )
        )
