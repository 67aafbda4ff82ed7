"""One clip, in whichever process: analysed, written and marked as finished."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from usguide import __version__
from usguide.batch.store import Store, replacing
from usguide.batch.worker import one_thread
from usguide.errors import ClipLostError, OutputError, UsguideError
from usguide.model import Options

GRACE_S = 5.0
"""How long after its time limit a clip that does not stop by itself is ended with its process."""

EXIT_HUNG = 75
"""Code of a process that ends itself with its clip: EX_TEMPFAIL of sysexits.h."""


class Ending(StrEnum):
    """How the work on a clip ended."""

    MEASURED = "measured"
    NOTHING_MEASURED = "nothing_measured"
    FAILED = "failed"
    HALTED = "halted"
    """Nothing is wrong with the clip, but no clip can be worked on: the disk is full."""


@dataclass(frozen=True, slots=True)
class Job:
    """A clip to analyse, as it is sent to a worker.

    Parameters
    ----------
    key, path, options, overlay
        What it is and what is asked; see :mod:`usguide.batch.identity`.
    out : Path
        Where the results are kept, the same place for every worker.
    time_limit_s : float
        After which it counts as failed.
    run : str
        Which run this is, to tell its failures from those of an earlier one.
    watched : bool
        Whether somebody outside ends the process when it hangs.
    version : str
        Version of the package that the run was started with.
    """

    key: str
    path: Path
    options: Options
    overlay: bool
    out: Path
    time_limit_s: float
    run: str
    watched: bool = True
    version: str = __version__


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a clip."""

    key: str
    ending: Ending
    reason: str = ""
    seconds: float = 0.0
    detail: str = field(default="", compare=False)
    """Where an unexpected error came from."""


_ONE_AT_A_TIME = threading.Lock()
"""A cluster's worker may have several threads; drawing and reading are not made for that."""


def analyze_clip(job: Job) -> Outcome:
    """Analyse one clip and keep its results; what is wrong with the clip is in the outcome.

    Doing the same clip twice, as a cluster does after losing a worker, changes nothing.
    """
    with _ONE_AT_A_TIME:
        start = time.monotonic()
        ending, reason = _settled(job) or _analyze(job)
        return Outcome(job.key, ending, reason, time.monotonic() - start)


def _settled(job: Job) -> tuple[Ending, str] | None:
    """Return what can be said without any work."""
    if job.version != __version__:
        return Ending.HALTED, (
            f"a worker has usguide {__version__}, this run has {job.version}: install the same "
            "version everywhere."
        )
    store = Store(job.out)
    done = store.record(job.key)
    if done is not None:
        return Ending(done["outcome"]), done["reason"] or ""
    failure = store.failure(job.key)
    if failure is not None and failure.get("run") == job.run:
        return Ending.FAILED, failure["reason"]
    return None


def _analyze(job: Job) -> tuple[Ending, str]:
    one_thread()
    from usguide.batch.columns import measured_row
    from usguide.batch.frames import write_frames_part
    from usguide.examination import examine

    store = Store(job.out)
    directory = store.clip_directory(job.key)
    deadline = _Deadline(job, store)
    try:
        with deadline:
            done = examine(
                job.path, job.options, directory, overlay=job.overlay, progress=deadline.check
            )
        with replacing(store.frames_path(job.key)) as part:
            write_frames_part(directory, job.key, part)
        analysis = done.analysis
        ending = Ending.MEASURED if analysis.measured else Ending.NOTHING_MEASURED
        reason = "" if analysis.measured else "no stage could measure anything"
        row = measured_row(analysis)
        store.finish(job.key, row | {"outcome": ending.value, "reason": reason or None})
    except MemoryError:
        return Ending.FAILED, "it needs more memory than the machine has"
    except (UsguideError, OSError) as error:
        if _disk_is_full(error):
            return Ending.HALTED, f"{job.out}: the disk is full; make room and run it again."
        return Ending.FAILED, str(error)
    return ending, reason


def _disk_is_full(error: BaseException) -> bool:
    cause = error.__cause__ if isinstance(error, OutputError) else error
    return isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)


class _Deadline:
    """Ends a clip at its time limit: at the next frame, or with the whole process if it hangs."""

    def __init__(self, job: Job, store: Store, leave: Callable[[int], object] = os._exit) -> None:
        self._job = job
        self._store = store
        self._leave = leave
        self._end = time.monotonic() + job.time_limit_s
        self._alarm = threading.Timer(job.time_limit_s + GRACE_S, self._give_up)
        self._alarm.daemon = True

    def __enter__(self) -> None:
        if not self._job.watched:
            self._alarm.start()

    def __exit__(self, *_: object) -> None:
        self._alarm.cancel()

    def check(self, name: str, done: int, total: int) -> None:  # noqa: ARG002
        """Take note of progress, and stop if it is too late for more."""
        if time.monotonic() > self._end:
            raise ClipLostError(self._words())

    def _give_up(self) -> None:
        # The cluster will send the clip to another worker, which then finds this.
        self._store.fail(self._job.key, {"reason": self._words(), "run": self._job.run})
        self._leave(EXIT_HUNG)

    def _words(self) -> str:
        return f"it took longer than the time limit of {self._job.time_limit_s:g} s and was stopped"
