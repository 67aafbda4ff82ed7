"""What a run leaves on disk: whole or not at all, by key, under a lock.

::

    OUT/clips/ab/abcd.../        what ``analyze`` writes, and record.json once all of it is there
    OUT/frames/shard=ab/abcd....parquet
    OUT/failures/abcd....json
    OUT/run.json, clips.parquet, clips.csv, failures.csv, index.html

``record.json`` is written last: a clip is finished where it is, and redone where it is not.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from usguide.errors import OutputError
from usguide.model import printable

RECORD = "record.json"
_SHARD = 2
"""Leading digits of a key that name its folder: 256 folders hold 10,000 clips easily."""


@dataclass(frozen=True, slots=True)
class Store:
    """Where one archive's results are kept."""

    root: Path

    def clip_directory(self, key: str) -> Path:
        """Folder of one clip's results."""
        return self.root / "clips" / key[:_SHARD] / key

    def frames_path(self, key: str) -> Path:
        """Return one clip's part of the frames dataset."""
        return self.root / "frames" / f"shard={key[:_SHARD]}" / f"{key}.parquet"

    def _failure_path(self, key: str) -> Path:
        return self.root / "failures" / f"{key}.json"

    def record(self, key: str) -> dict[str, Any] | None:
        """Return what was measured on a clip, None where it is not finished."""
        return _read(self.clip_directory(key) / RECORD)

    def failure(self, key: str) -> dict[str, Any] | None:
        """Return how a clip failed, None where it did not."""
        return _read(self._failure_path(key))

    def finish(self, key: str, row: dict[str, Any]) -> None:
        """Mark a clip as finished, with its row of the table."""
        write_whole(self.clip_directory(key) / RECORD, json.dumps(row, ensure_ascii=False))
        self.forget_failure(key)

    def fail(self, key: str, failure: dict[str, Any]) -> None:
        """Keep how a clip failed."""
        write_whole(self._failure_path(key), json.dumps(failure, ensure_ascii=False, indent=1))

    def forget_failure(self, key: str) -> None:
        """Let a clip be tried again."""
        self._failure_path(key).unlink(missing_ok=True)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give an empty folder for what the workers need while they work; only under the lock.

        It lies in here because a run that was killed leaves it behind: the next one clears it.
        """
        folder = self.root / ".scratch"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out while the context lasts.

        Raises
        ------
        OutputError
            If another run is at work here, or the folder cannot be written to.
        """
        lock = FileLock(self.root / ".lock")
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout as error:
            raise OutputError(
                f"{self.root}: another run is writing here{self._holder()}; wait for it to end, or "
                "choose another folder with -o."
            ) from error
        except OSError as error:
            raise OutputError(
                f"{self.root} cannot be written: {error.strerror or error}; choose another folder "
                "with -o."
            ) from error
        try:
            yield
        finally:
            lock.release()

    def _holder(self) -> str:
        run = _read(self.root / "run.json") or {}
        if "pid" not in run:
            return ""
        return f" (process {run['pid']} on {run.get('host')}, since {run.get('started')})"


def write_whole(path: Path, text: str) -> None:
    """Write a file beside its place and rename it into it."""
    with replacing(path) as partial:
        partial.write_text(printable(text), encoding="utf-8")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path to write to, which takes the place of ``path`` if nothing goes wrong."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield partial
        # Onto the disk before the name: a machine that loses power must not keep an empty file.
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any] | None:
    """Return a JSON object, None where there is none or it was damaged."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
