"""Results appear whole or not at all: written beside their place, then renamed into it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from usguide.errors import OutputError
from usguide.model import Analysis, Frames, Progress, unwatched
from usguide.output.keyframes import key_frames
from usguide.output.overlay import render
from usguide.output.result_json import result_document, to_json
from usguide.output.tables import write_frames, write_profile

RESULT = "result.json"
FRAMES = "frames.csv"
PROFILE = "fascia_profile.csv"
OVERLAY = "overlay.mp4"
REPORT = "report.html"
# The result comes last: where it is, everything it goes with is there too.
_NAMES = (FRAMES, PROFILE, OVERLAY, REPORT, RESULT)


def write_results(
    analysis: Analysis,
    clip: Frames,
    directory: Path,
    *,
    overlay: bool = True,
    progress: Progress | None = None,
) -> Path:
    """Write the result, its tables, the overlay video and the report into one directory.

    What an earlier run left there under the same names is replaced; other files are not touched.

    Parameters
    ----------
    analysis, clip : Analysis, Frames
        What was found, and on what.
    directory : Path
        Made if it does not exist.
    overlay : bool
        Whether to write the video, which takes most of the time.
    progress : callable, optional
        Told ``("overlay", done, total)``.

    Returns
    -------
    Path
        The report.

    Raises
    ------
    OutputError
        If the directory cannot be written to; nothing is left behind then.
    """
    # Drawing charts takes half a second to import: not before there is something to draw.
    from usguide.output.m_mode import MMode
    from usguide.output.report import write_report

    frames = key_frames(analysis)
    with whole(directory, _NAMES) as partial:
        (partial / RESULT).write_text(to_json(result_document(analysis)), encoding="utf-8")
        write_frames(analysis, partial / FRAMES)
        if analysis.fascia.profile is not None:
            write_profile(analysis.fascia.profile, partial / PROFILE)
        line = MMode.of(analysis)
        stills = render(
            analysis,
            clip,
            passing=None if line is None else line.add,
            video=partial / OVERLAY if overlay else None,
            stills={frame.index for frame in frames},
            progress=progress or unwatched,
        )
        numbers = [name for name in (RESULT, FRAMES, PROFILE) if (partial / name).exists()]
        page = write_report(
            analysis, frames, stills, overlay=overlay, files=numbers, muscle_line=line
        )
        (partial / REPORT).write_text(page, encoding="utf-8")
    return directory / REPORT


def check_directory(directory: Path) -> None:
    """Raise OutputError now if results could not be written there after minutes of work."""
    existing = directory
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise _cannot_write(directory, f"{existing} is a file, not a folder")
    try:
        # Permissions do not tell: a read-only disk, a quota and the administrator differ.
        with tempfile.TemporaryDirectory(prefix=".usguide-", dir=existing):
            pass
    except OSError as error:
        raise _cannot_write(directory, f"{existing}: {error.strerror or error}") from error


def check_same_recording(directory: Path, sha256: str) -> None:
    """Raise OutputError if a directory holds the results of another recording."""
    try:
        there = json.loads((directory / RESULT).read_text(encoding="utf-8"))["source"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if there != sha256:
        raise OutputError(
            f"{directory} holds the results of another recording; choose a folder with -o."
        )


@contextmanager
def whole(directory: Path, names: Sequence[str]) -> Iterator[Path]:
    """Give a place to write in, whose files move to ``directory`` if nothing goes wrong.

    Parameters
    ----------
    directory : Path
        Made if it does not exist.
    names : sequence of str
        Of the files, in the order in which they take the places of earlier ones.

    Raises
    ------
    OutputError
        If it cannot be written to; nothing is left behind then.
    """
    check_directory(directory)
    try:
        # On the same file system as the target, or the final rename would be a copy.
        beside = directory if directory.is_dir() else directory.parent
        beside.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{directory.name}.partial-", dir=beside))
    except OSError as error:
        raise _cannot_write(directory, error.strerror or str(error)) from error
    try:
        yield partial
        _move(partial, directory, names)
    except OSError as error:
        raise _cannot_write(directory, error.strerror or str(error)) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _move(partial: Path, directory: Path, names: Sequence[str]) -> None:
    if not directory.exists():
        partial.chmod(0o777 & ~_umask())
        partial.rename(directory)
        return
    for name in reversed(names):
        (directory / name).unlink(missing_ok=True)
    for name in names:
        if (partial / name).exists():
            (partial / name).replace(directory / name)


def _umask() -> int:
    """Return the process's file mode mask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _cannot_write(directory: Path, why: str) -> OutputError:
    return OutputError(f"{directory} cannot be written: {why}; choose another folder with -o.")
