"""A run over an archive: find, skip what is finished, analyse the rest, write the tables."""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import tempfile
import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from usguide import __version__
from usguide.batch.archive import Archive, find_recordings
from usguide.batch.engine import LocalExecutor, share_cache
from usguide.batch.identity import Hashes, Known, identify
from usguide.batch.index import write_index
from usguide.batch.store import Store, write_whole
from usguide.batch.tables import clip_rows, write_tables
from usguide.batch.task import GRACE_S, Ending, Job, Outcome, analyze_clip
from usguide.batch.worker import load
from usguide.errors import BatchError, ClipLostError, OutputError, UnreadableError
from usguide.model import Options
from usguide.output.result_json import options_document

RUN_SCHEMA = "usguide/batch/1"

Work = Callable[[Job], Outcome]


@dataclass(frozen=True, slots=True)
class Request:
    """What a run is asked for.

    Parameters
    ----------
    sources : sequence of str
        See :func:`usguide.batch.archive.find_recordings`.
    out : Path
        Where everything goes.
    options : Options
        What to ask of each clip.
    overlay : bool
        Whether to draw overlay videos.
    workers : int
        How many local processes.
    scheduler : str or None
        Address of a Dask scheduler, instead of local processes.
    time_limit_s : float
        For each clip.
    retry_failed : bool
        Whether clips that failed before are tried again.
    """

    sources: Sequence[str]
    out: Path
    options: Options = field(default_factory=Options)
    overlay: bool = False
    workers: int = 1
    scheduler: str | None = None
    time_limit_s: float = 1800.0
    retry_failed: bool = False


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

    @property
    def done(self) -> int:
        """Clips that need no more work."""
        return self.measured + self.nothing_measured + self.failed

    @property
    def per_second(self) -> float:
        """Clips of this run per second."""
        return (self.done - self.before) / self.seconds if self.seconds else 0.0

    @property
    def remaining_s(self) -> float | None:
        """Time left at the pace so far."""
        return (self.distinct - self.done) / self.per_second if self.per_second else None

    def add(self, ending: Ending) -> None:
        """Count a clip."""
        self.measured += ending is Ending.MEASURED
        self.nothing_measured += ending is Ending.NOTHING_MEASURED
        self.failed += ending is Ending.FAILED


@dataclass(frozen=True, slots=True)
class Done:
    """What a listener is told when a clip is done."""

    path: Path
    outcome: Outcome
    tally: Tally


Listener = Callable[[Done | Tally], None]
"""Told the tally once at the beginning, then every clip."""


def run_batch(request: Request, listen: Listener, work: Work = analyze_clip) -> Tally:
    """Analyse an archive, going on where an earlier run into the same folder was stopped.

    Parameters
    ----------
    request : Request
        What and where.
    listen : callable
        Told how it goes on.
    work : callable
        What a worker does with a clip.

    Returns
    -------
    Tally
        Of all clips of the archive, whenever they were done.

    Raises
    ------
    UnreadableError
        If a source cannot be read, or no source holds a recording.
    ConfigError
        If a listing or the scheduler's address is wrong.
    OutputError
        If the folder is in use or cannot be written to, or the disk is full.
    BatchError
        If the workers cannot work. What was finished is kept, here and on Ctrl-C.
    """
    archive = find_recordings(request.sources, request.options, without=request.out)
    if not archive.entries and not archive.unreadable:
        raise UnreadableError(
            f"{', '.join(map(str, request.sources))}: no recording was found; give folders with "
            "DICOM files, videos or images."
        )
    store = Store(request.out)
    with store.locked(), _disk_full_said(store.root):
        return _run(request, archive, store, listen, work)


def _run(request: Request, archive: Archive, store: Store, listen: Listener, work: Work) -> Tally:
    hashes = Hashes(store.root / ".hashes.json")
    clips, closed = identify(archive.entries, hashes, overlay=request.overlay)
    hashes.save()
    tally = Tally(len({clip.key for clip in clips}))
    jobs = _to_do(request, store, clips, tally)
    manifest = _Manifest(store.root / "run.json", request, archive)
    manifest.write("running", tally)
    state = "stopped"
    try:
        listen(tally)
        if jobs:
            with _executor(request) as executor:
                for job, outcome in _outcomes(executor, work, jobs, tally):
                    _take(store, job, outcome)
                    tally.add(outcome.ending)
                    listen(Done(job.path, outcome, tally))
        state = "finished"
    finally:
        rows = clip_rows(store, clips)
        write_tables(store, rows, (*archive.unreadable, *closed))
        write_whole(store.root / "index.html", write_index(rows, archive.notes))
        manifest.write(state, tally)
    return tally


def _to_do(request: Request, store: Store, clips: Sequence[Known], tally: Tally) -> list[Job]:
    """Return a job for every clip that is not finished, counting those that are."""
    run = uuid.uuid4().hex
    jobs: dict[str, Job] = {}
    seen: set[str] = set()
    for clip in clips:
        if clip.key in seen:
            continue
        seen.add(clip.key)
        record, failure = store.record(clip.key), store.failure(clip.key)
        if record is not None:
            tally.add(Ending(record["outcome"]))
        elif failure is not None and not request.retry_failed:
            tally.add(Ending.FAILED)
        else:
            jobs[clip.key] = Job(
                clip.key,
                clip.entry.path.absolute(),
                clip.entry.options,
                request.overlay,
                request.out.absolute(),
                request.time_limit_s,
                run,
                watched=request.scheduler is None,
            )
    tally.before = tally.done
    return list(jobs.values())


@contextmanager
def _executor(request: Request) -> Iterator[Executor]:
    """Give what runs the work; left in a hurry, it is ended in the middle of what it does."""
    scratch = Path(tempfile.mkdtemp(prefix="usguide-batch-"))
    executor: Executor | None = None
    finished = False
    try:
        if request.scheduler is not None:
            from usguide.batch.cluster import connect

            executor = connect(request.scheduler)
        else:
            caches = share_cache(_kernel_cache(), scratch, request.workers, load)
            executor = LocalExecutor(caches, request.time_limit_s + GRACE_S)
        yield executor
        finished = True
    finally:
        if executor is not None:
            executor.shutdown(wait=finished, cancel_futures=not finished)
        shutil.rmtree(scratch, ignore_errors=True)


def _kernel_cache() -> Path:
    """Where compiled kernels are kept from run to run."""
    given = os.environ.get("NUMBA_CACHE_DIR")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(given) if given else Path(home) / "usguide" / "kernels"
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{cache}: compiled kernels cannot be kept there ({error.strerror or error}); set "
            "NUMBA_CACHE_DIR to a folder that can be written to."
        ) from error
    return cache


def _outcomes(
    executor: Executor, work: Work, jobs: Sequence[Job], tally: Tally
) -> Iterator[tuple[Job, Outcome]]:
    """Submit everything and yield what comes of it, in whatever order it is done."""
    start = time.monotonic()
    futures = {executor.submit(work, job): job for job in jobs}
    for future in as_completed(futures):
        job = futures.pop(future)
        tally.seconds = time.monotonic() - start
        yield job, _outcome(job, future)


def _outcome(job: Job, future: Future[Outcome]) -> Outcome:
    if future.cancelled():
        raise BatchError(
            "the connection to the workers was lost; run the same command again to go on."
        )
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, CancelledError):
        raise BatchError("the work was cancelled; run the same command again to go on.") from error
    if isinstance(error, ClipLostError):
        return Outcome(job.key, Ending.FAILED, str(error))
    if isinstance(error, BatchError):
        raise error
    if type(error).__name__ == "KilledWorker":  # Dask's, known without importing Dask.
        return Outcome(job.key, Ending.FAILED, "every worker that it was given to died")
    words = str(error).splitlines() or [""]
    return Outcome(
        job.key,
        Ending.FAILED,
        f"unexpected {type(error).__name__}: {words[0]}",
        detail="".join(traceback.format_exception(error)),
    )


def _take(store: Store, job: Job, outcome: Outcome) -> None:
    """Keep a failure; a finished clip has been kept by whoever finished it."""
    if outcome.ending is Ending.HALTED:
        raise BatchError(outcome.reason)
    if outcome.ending is Ending.FAILED:
        store.fail(
            job.key,
            {
                "reason": outcome.reason,
                "path": str(job.path),
                "seconds": round(outcome.seconds, 3),
                "run": job.run,
                "detail": outcome.detail,
            },
        )


@contextmanager
def _disk_full_said(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{root} cannot be written: {error.strerror or error}; what was finished is kept: "
            "make room and run the same command again."
        ) from error


class _Manifest:
    """``run.json``: how the results in this folder were made."""

    def __init__(self, path: Path, request: Request, archive: Archive) -> None:
        self._path = path
        self._start = time.monotonic()
        self._about: dict[str, Any] = {
            "schema": RUN_SCHEMA,
            "version": __version__,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "python": platform.python_version(),
            "platform": platform.platform(),
            "cpus": os.cpu_count(),
            "libraries": {
                name: installed_version(name)
                for name in ("numpy", "numba", "opencv-python-headless", "av", "pydicom", "pyarrow")
            },
            "sources": [str(source) for source in request.sources],
            "options": options_document(request.options),
            "overlay": request.overlay,
            "workers": None if request.scheduler else request.workers,
            "scheduler": request.scheduler,
            "time_limit_s": request.time_limit_s,
            "found": len(archive.entries),
            "unreadable_places": len(archive.unreadable),
            "notes": list(archive.notes),
        }

    def write(self, state: str, tally: Tally) -> None:
        """Write it as things stand."""
        counts = {
            "distinct": tally.distinct,
            "done_by_earlier_runs": tally.before,
            "measured": tally.measured,
            "nothing_measured": tally.nothing_measured,
            "failed": tally.failed,
            "to_do": tally.distinct - tally.done,
        }
        now = self._about | {
            "state": state,
            "seconds": round(time.monotonic() - self._start, 3),
            "clips_per_second": round(tally.per_second, 4),
            "counts": counts,
        }
        write_whole(self._path, json.dumps(now, ensure_ascii=False, indent=2) + "\n")
