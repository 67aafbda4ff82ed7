"""A run over an archive: find, skip what is finished, analyse the rest, write the tables."""

from __future__ import annotations

import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, as_completed
from contextlib import contextmanager
from pathlib import Path

from usguide.batch.archive import Archive, find_recordings
from usguide.batch.engine import LocalExecutor, kernel_cache, share_cache
from usguide.batch.identity import Hashes, Known, identify
from usguide.batch.index import write_index
from usguide.batch.longitudinal import follow
from usguide.batch.longitudinal_output import follow_up, write_longitudinal
from usguide.batch.manifest import Manifest, Request
from usguide.batch.store import Store, write_whole
from usguide.batch.tables import clip_rows, write_tables
from usguide.batch.tally import Done, Identified, Listener, Tally
from usguide.batch.task import GRACE_S, Ending, Job, Outcome, analyze_clip
from usguide.batch.worker import load
from usguide.errors import BatchError, ClipLostError, UnreadableError

Work = Callable[[Job], Outcome]


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
        If the folder is in use or cannot be written to.
    BatchError
        If the workers cannot work or the disk is full. What was finished is kept, here and on
        Ctrl-C.
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
    total = len(archive.entries)
    with Hashes(store.root / ".hashes.json") as hashes:
        clips, closed = identify(
            archive.entries,
            hashes,
            overlay=request.overlay,
            progress=lambda done: listen(Identified(done, total)),
        )
    tally = Tally(
        len({clip.key for clip in clips}),
        unreadable=len(archive.unreadable) + len(closed),
        notes=archive.notes,
    )
    jobs = _to_do(request, store, clips, tally)
    manifest = Manifest(store.root, request, archive)
    manifest.write("running", tally)
    state = "stopped"
    try:
        listen(tally)
        if jobs:
            with _executor(request, store) as executor:
                for job, outcome in _outcomes(executor, work, jobs, tally):
                    _take(store, job, outcome)
                    tally.add(outcome.ending)
                    listen(Done(job.path, outcome, tally))
        state = "finished"
    finally:
        rows = clip_rows(store, clips)
        write_tables(store, rows, (*archive.unreadable, *closed))
        courses = follow(rows)
        write_longitudinal(store, courses)
        page = write_index(rows, archive.notes, follow_up(courses))
        write_whole(store.root / "index.html", page)
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
def _executor(request: Request, store: Store) -> Iterator[Executor]:
    """Give what runs the work; left in a hurry, it is ended in the middle of what it does."""
    with store.scratch() as scratch:
        if request.scheduler is not None:
            from usguide.batch.cluster import connect

            executor = connect(request.scheduler)
        else:
            caches = share_cache(kernel_cache(), scratch, request.workers, load)
            executor = LocalExecutor(caches, request.time_limit_s + GRACE_S)
        finished = False
        try:
            yield executor
            finished = True
        finally:
            executor.shutdown(wait=finished, cancel_futures=not finished)


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
            "the workers, or the connection to them, were lost; see that they run, and run the "
            "same command again to go on."
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
        raise BatchError(
            f"{root} cannot be written any more: {error.strerror or error}; what was finished is "
            "kept: make room and run the same command again."
        ) from error
