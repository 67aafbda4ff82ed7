"""Where the work is done: local processes that may die or hang without taking the rest along.

Everything goes through the interface of :mod:`concurrent.futures`, so that a cluster's executor
(:mod:`usguide.batch.cluster`) takes the place of the local one.

A pool of several processes does not tell which of its tasks killed it, and cannot end a single
one. Here every worker is a pool of one process, driven by a thread of its own: a clip that kills
its worker is known by that, and one that takes too long is ended alone.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import queue
import shutil
import signal
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import ParamSpec, TypeVar

from usguide.batch.worker import prepare
from usguide.errors import BatchError, ClipLostError, OutputError

P = ParamSpec("P")
T = TypeVar("T")


class LocalExecutor(Executor):
    """Runs calls in spawned processes, each with one thread and its own kernel cache.

    Parameters
    ----------
    caches : list of Path
        The kernel cache of each worker, and so how many there are; see :func:`share_cache`.
    time_limit_s : float
        When a call is ended together with its process; the future then holds a
        :class:`~usguide.errors.ClipLostError`, as it does where the process died.
    """

    def __init__(self, caches: list[Path], time_limit_s: float) -> None:
        self._limit_s = time_limit_s
        self._workers = [_Worker(cache) for cache in caches]
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._drivers = ThreadPoolExecutor(len(caches), thread_name_prefix="usguide-worker")

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue a call; ``fn`` and its arguments are sent to another process."""
        return self._drivers.submit(functools.partial(self._run, fn, *args, **kwargs))

    def _run(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        worker = self._idle.get()
        try:
            return worker.call(self._limit_s, fn, *args, **kwargs)
        finally:
            self._idle.put(worker)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002
        """End the workers; with ``cancel_futures`` at once, in the middle of what they do.

        Waits until they have ended whatever ``wait`` says: no process is left behind.
        """
        if cancel_futures:
            # Queued calls first, or a driver would take the next one up.
            self._drivers.shutdown(wait=False, cancel_futures=True)
            for worker in self._workers:
                worker.end()
        # Only a worker's driver touches its pool while it runs.
        self._drivers.shutdown(wait=True)
        for worker in self._workers:
            worker.close()


class _Worker:
    """One process, started when first needed and again after it died."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._pool: ProcessPoolExecutor | None = None
        self._process: BaseProcess | None = None
        self._ended = False

    def call(self, limit_s: float, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call, for so long at most.

        Raises
        ------
        ClipLostError
            If it takes longer, or the process dies.
        BatchError
            If no process can be started, or the run is being stopped.
        """
        pool = self._started()
        if self._ended:
            raise BatchError("the run is being stopped")
        future = pool.submit(fn, *args, **kwargs)
        done, _ = wait([future], timeout=limit_s)
        if not done:
            self._kill()
            self.close()
            raise ClipLostError("it hung past its time limit and was stopped with its worker")
        error = future.exception()
        if isinstance(error, BrokenProcessPool):
            process = self._process
            self.close()
            raise ClipLostError(f"its worker {_ending(process)}") from error
        return future.result()

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            pool = ProcessPoolExecutor(
                1,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=prepare,
                initargs=(str(self._cache),),
            )
            try:
                pid = pool.submit(os.getpid).result()
            except BrokenProcessPool as error:
                pool.shutdown(wait=False)
                raise BatchError("a worker process cannot be started; see above why") from error
            self._pool = pool
            self._process = next(
                (child for child in multiprocessing.active_children() if child.pid == pid), None
            )
        return self._pool

    def end(self) -> None:
        """End the process whatever it is doing, from any thread, and take no more calls."""
        self._ended = True
        self._kill()

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """Let go of the process; the next call starts another."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)
        self._pool = self._process = None


def _ending(process: BaseProcess | None) -> str:
    """Say how a process ended, after 'its worker'."""
    if process is not None:
        process.join(1.0)
    code = None if process is None else process.exitcode
    if code is None:
        return "died"
    if code >= 0:
        return f"ended by itself with code {code}"
    name = signal.Signals(-code).name
    if name == "SIGKILL":
        return "was killed (SIGKILL: often because the machine ran out of memory)"
    return f"crashed ({name})"


def kernel_cache() -> Path:
    """Return the folder in which compiled kernels are kept from run to run.

    Raises
    ------
    OutputError
        If it cannot be made.
    """
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


def share_cache(base: Path, scratch: Path, workers: int, load: Callable[[], None]) -> list[Path]:
    """Compile the kernels once, and give every worker a copy of them.

    Parameters
    ----------
    base : Path
        Where compiled kernels are kept from run to run.
    scratch : Path
        Where the workers' copies go.
    workers : int
        How many.
    load : callable
        Imports what the workers will need; run in a process of its own.

    Raises
    ------
    BatchError
        If no process can be started, or it dies while compiling.
    """
    compiler = _Worker(base)
    try:
        compiler.call(_COMPILING_S, load)
    except ClipLostError as error:
        raise BatchError(f"the kernels cannot be compiled: {error}") from error
    finally:
        compiler.close()
    copies = [scratch / f"worker-{number}" for number in range(workers)]
    for copy in copies:
        shutil.copytree(base, copy, ignore=shutil.ignore_patterns("*.lock"))
    return copies


_COMPILING_S = 1800.0
"""Compiling takes a minute; on a machine under load, several."""
