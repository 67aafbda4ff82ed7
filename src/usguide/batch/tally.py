"""How far a run has come, and what is told to whoever watches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from usguide.batch.task import Ending, Outcome


@dataclass(slots=True)
class Tally:
    """How far a run has come; clips with the same key count once."""

    distinct: int = 0
    before: int = 0
    """Finished, or failed and not tried again, by an earlier run."""
    measured: int = 0
    nothing_measured: int = 0
    failed: int = 0
    seconds: float = 0.0
    """Since this run's first clip was begun."""
    unreadable: int = 0
    """Files and folders that could not be looked into, and so are no clips."""
    notes: tuple[str, ...] = ()
    """Sentences about the archive."""

    @property
    def done(self) -> int:
        """Clips that need no more work."""
        return self.measured + self.nothing_measured + self.failed

    @property
    def to_do(self) -> int:
        """Clips that still need work."""
        return self.distinct - self.done

    @property
    def per_second(self) -> float:
        """Clips of this run per second."""
        return (self.done - self.before) / self.seconds if self.seconds else 0.0

    @property
    def remaining_s(self) -> float | None:
        """Time left at the pace so far."""
        return self.to_do / self.per_second if self.per_second else None

    def add(self, ending: Ending) -> None:
        """Count a clip."""
        self.measured += ending is Ending.MEASURED
        self.nothing_measured += ending is Ending.NOTHING_MEASURED
        self.failed += ending is Ending.FAILED


@dataclass(frozen=True, slots=True)
class Identified:
    """So many of the recordings found have been read once to know them by their content."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Done:
    """A clip is done."""

    path: Path
    outcome: Outcome
    tally: Tally


Event = Identified | Tally | Done
Listener = Callable[[Event], None]
"""Told of every recording identified, then the tally once, then of every clip."""
