"""The same work on a Dask cluster: an executor in place of the local one."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

from usguide import __version__
from usguide.errors import ConfigError

P = ParamSpec("P")
T = TypeVar("T")

_CONNECT_S = 15
"""How long a scheduler may take to answer, seconds."""

_WORKERS_S = 60
"""How long it may have no worker: a queue may start them one after another."""

_LOOK_EVERY_S = 5
"""How often the workers are counted, seconds."""


def connect(address: str) -> Executor:
    """Return an executor whose calls run on the workers of a Dask scheduler.

    A call whose worker dies is given to another one, three times by Dask's own setting
    ``distributed.scheduler.allowed-failures``.

    Parameters
    ----------
    address : str
        Such as ``tcp://host:8786``.

    Raises
    ------
    ConfigError
        If Dask is not installed, the scheduler does not answer or has no worker, or a worker has
        another version of this package or none.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ConfigError(
            "a cluster needs Dask: install it with pip install 'usguide[cluster]'."
        ) from error
    try:
        client: Any = Client(  # type: ignore[no-untyped-call]
            address, timeout=_CONNECT_S, set_as_default=False
        )
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{address}: no Dask scheduler answers there ({str(error).splitlines()[0]}); check the "
            "address and that it runs."
        ) from error
    try:
        client.wait_for_workers(1, timeout=_WORKERS_S)
    except TimeoutError as error:
        client.close()
        raise ConfigError(
            f"{address}: no worker joined this scheduler within {_WORKERS_S} s; start some with "
            f"dask worker {address} --nthreads 1."
        ) from error
    versions = client.run(_package_version, on_error="return")
    for worker, version in versions.items():
        if version != __version__:
            client.close()
            raise ConfigError(
                f"the worker {worker} has usguide {version}, this is {__version__}: install the "
                "same version everywhere."
            )
    return _Cluster(client, client.get_executor(pure=False))


def _package_version() -> str:
    from usguide import __version__ as found

    return found


class _Cluster(Executor):
    """Dask's executor, which closes its connection with itself.

    Dask lets calls wait for a worker for ever; here they are cancelled when the last one has been
    gone for a while, so that the run ends and says so.
    """

    def __init__(self, client: Any, executor: Any) -> None:
        self._client = client
        self._executor = executor
        self._futures: list[Future[Any]] = []
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._watch_workers, daemon=True)
        self._watch.start()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue a call on the cluster."""
        future: Future[T] = self._executor.submit(fn, *args, **kwargs)
        self._futures.append(future)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let go of the cluster; what is not begun yet is cancelled with ``cancel_futures``."""
        self._ended.set()
        self._watch.join()
        self._executor.shutdown(wait=wait and not cancel_futures)
        self._client.close()

    def _watch_workers(self) -> None:
        without_s = 0.0
        while without_s < _WORKERS_S:
            if self._ended.wait(_LOOK_EVERY_S):
                return
            # A scheduler that is gone cancels the calls by itself.
            with contextlib.suppress(OSError, TimeoutError):
                without_s = 0.0 if self._client.nthreads() else without_s + _LOOK_EVERY_S
        for future in self._futures:
            future.cancel()
