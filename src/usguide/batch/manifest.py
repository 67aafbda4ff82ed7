"""What a run is asked for, and ``run.json``: how the results in a folder were made."""

from __future__ import annotations

import json
import os
import platform
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from usguide import __version__
from usguide.batch import TIME_LIMIT_S
from usguide.batch.archive import Archive
from usguide.batch.store import write_whole
from usguide.batch.tally import Tally
from usguide.model import Options
from usguide.output.result_json import options_document

RUN_SCHEMA = "usguide/batch/1"
RUN = "run.json"

_LIBRARIES = ("numpy", "numba", "opencv-python-headless", "av", "pydicom", "pyarrow")


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
    time_limit_s: float = TIME_LIMIT_S
    retry_failed: bool = False


class Manifest:
    """``run.json`` of a run that starts now."""

    def __init__(self, root: Path, request: Request, archive: Archive) -> None:
        self._path = root / RUN
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
            "libraries": {name: installed_version(name) for name in _LIBRARIES},
            "sources": [str(source) for source in request.sources],
            "options": options_document(request.options),
            "overlay": request.overlay,
            "workers": None if request.scheduler else request.workers,
            "scheduler": request.scheduler,
            "time_limit_s": request.time_limit_s,
            "found": len(archive.entries),
        }

    def write(self, state: str, tally: Tally) -> None:
        """Write it as things stand; ``state`` is ``running``, ``finished`` or ``stopped``."""
        now = self._about | {
            "unreadable_places": tally.unreadable,
            "notes": list(tally.notes),
            "state": state,
            "seconds": round(time.monotonic() - self._start, 3),
            "clips_per_second": round(tally.per_second, 4),
            "counts": {
                "distinct": tally.distinct,
                "done_by_earlier_runs": tally.before,
                "measured": tally.measured,
                "nothing_measured": tally.nothing_measured,
                "failed": tally.failed,
                "to_do": tally.to_do,
            },
        }
        write_whole(self._path, json.dumps(now, ensure_ascii=False, indent=2) + "\n")
