"""What makes a clip the same clip: its content and what was asked of it, not its name or place."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from usguide import __version__
from usguide.batch.archive import Entry, Unreadable
from usguide.batch.store import write_whole
from usguide.ingest.images import IMAGE_SUFFIXES, positions_of
from usguide.ingest.sources import content_sha256
from usguide.output.result_json import options_document

_KEY_LENGTH = 20
"""Hexadecimal digits of a key: 80 bits, a chance in 10^16 of two alike among 10,000 clips."""


@dataclass(frozen=True, slots=True)
class Known:
    """A recording with its content's hash and the key its results are kept under."""

    entry: Entry
    sha256: str
    key: str


class Hashes:
    """Hashes of content, remembered while a file's size and time stay the same.

    A context, which keeps them for the next run however it is left.

    Parameters
    ----------
    path : Path
        Where they are kept between runs; what is not readable there is computed anew.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: dict[str, list[str]] = {}
        if path.is_file():
            try:
                self._kept = json.loads(path.read_text("utf-8"))
            except (OSError, ValueError):
                self._kept = {}

    def of(self, files: tuple[Path, ...]) -> str:
        """Return the hash of the files' content; raises OSError where one cannot be read."""
        about = [(str(file.absolute()), file.stat()) for file in files]
        # Two stamps: where the content lies, and when it was last written.
        place = _digest([name for name, _ in about])
        stamp = _digest([f"{stat.st_size} {stat.st_mtime_ns}" for _, stat in about])
        kept = self._kept.get(place)
        if kept is None or kept[0] != stamp:
            kept = self._kept[place] = [stamp, content_sha256(files)]
        return kept[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        write_whole(self._path, json.dumps(self._kept))


def identify(
    entries: Iterable[Entry],
    hashes: Hashes,
    *,
    overlay: bool,
    progress: Callable[[int], None] = lambda _: None,
) -> tuple[list[Known], list[Unreadable]]:
    """Give every recording its key; name those whose content cannot be read.

    Parameters
    ----------
    entries : iterable of Entry
        The archive.
    hashes : Hashes
        What is known of the content already.
    overlay : bool
        Whether overlay videos are asked for.
    progress : callable, optional
        Told how many have been looked at.
    """
    known, closed = [], []
    for number, entry in enumerate(entries):
        progress(number)
        try:
            if not entry.files:
                raise OSError("the folder is empty")
            sha256 = hashes.of(entry.files)
        except OSError as error:
            closed.append(Unreadable(entry.path, f"cannot be read ({error.strerror or error})"))
            continue
        asked = {
            "content": sha256,
            "frames": _steps(entry.files),
            "options": options_document(entry.options),
            "overlay": overlay,
            "version": __version__,
        }
        key = _digest([json.dumps(asked, sort_keys=True)])[:_KEY_LENGTH]
        known.append(Known(entry, sha256, key))
    return known, closed


def _steps(files: tuple[Path, ...]) -> list[int]:
    """Return how many frames apart a recording's images are: the same pictures may be sparser."""
    positions, _ = positions_of([f for f in files if f.suffix.lower() in IMAGE_SUFFIXES])
    return [later - earlier for earlier, later in itertools.pairwise(positions)]


def _digest(words: list[str]) -> str:
    return hashlib.sha256("\n".join(words).encode("utf-8", "surrogateescape")).hexdigest()
