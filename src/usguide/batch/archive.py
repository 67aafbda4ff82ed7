"""Which recordings there are: folders, patterns, DICOMDIRs and listings, as a list of clips."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from usguide.batch.listing import read_listing
from usguide.errors import UnreadableError
from usguide.ingest.dicom_folder import listed_recordings
from usguide.ingest.images import IMAGE_SUFFIXES, natural_key, pictures_in, size_of
from usguide.ingest.sources import DICOM_SUFFIXES, VIDEO_SUFFIXES, has_dicom_preamble
from usguide.model import Options


@dataclass(frozen=True, slots=True)
class Entry:
    """A recording of the archive, what to ask of it, and who and when it was.

    Parameters
    ----------
    path : Path
        What is opened: a file, or a folder of numbered images.
    files : tuple of Path
        The files whose content it consists of, in order.
    options : Options
        What to measure, and what to take instead of what the file says.
    subject, session, time_point, side : str
        As the listing gives them; empty where it does not.
    """

    path: Path
    files: tuple[Path, ...]
    options: Options
    subject: str = ""
    session: str = ""
    time_point: str = ""
    side: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A place of the archive that could not be looked into, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Archive:
    """The recordings found, in a stable order, and what could not be looked into."""

    entries: tuple[Entry, ...]
    unreadable: tuple[Unreadable, ...]
    notes: tuple[str, ...]
    """Sentences for the reader: what was left out on purpose."""


def find_recordings(
    sources: Sequence[str | Path], options: Options, *, without: Path | None = None
) -> Archive:
    """Find every recording that the sources name.

    Parameters
    ----------
    sources : sequence of str or Path
        Folders, which are searched with all folders below; patterns such as ``clinic/**/*.dcm``;
        recordings; DICOMDIRs; and listings (``.csv``, see :func:`read_listing`).
    options : Options
        What to ask of every clip, unless a listing says otherwise.
    without : Path, optional
        A folder that is not searched: the one that results go to.

    Returns
    -------
    Archive
        A recording that several sources name is in it once.

    Raises
    ------
    UnreadableError
        If a source does not exist, or a DICOMDIR or listing cannot be read.
    ConfigError
        If a listing has no ``path`` column or holds an option that makes no sense.
    """
    search = _Search(options, set() if without is None else {without.resolve()})
    for source in sources:
        search.look_at(source)
    once: dict[tuple[Path, Options], Entry] = {}
    for entry in search.entries:
        # A listing knows more of a clip than the folder it lies in does.
        kept = once.setdefault((entry.path.resolve(), entry.options), entry)
        if entry.subject and not kept.subject:
            once[entry.path.resolve(), entry.options] = entry
    return Archive(tuple(once.values()), tuple(search.unreadable), tuple(search.notes))


class _Search:
    """What has been found so far, and which folders have been seen."""

    def __init__(self, options: Options, without: set[Path]) -> None:
        self.options = options
        self.without = without
        self.seen: set[tuple[int, int]] = set()
        self.entries: list[Entry] = []
        self.unreadable: list[Unreadable] = []
        self.notes: list[str] = []

    def look_at(self, source: str | Path) -> None:
        path = Path(source)
        if path.is_dir():
            self._walk(path)
        elif path.exists():
            self._take(path)
        elif glob.has_magic(str(source)):
            self._match(str(source))
        else:
            raise UnreadableError(f"{source}: there is no such file or folder; check the path.")

    def _take(self, path: Path) -> None:
        """Add what a file stands for."""
        if path.suffix.lower() == ".csv":
            self._list(path)
        elif path.name.upper() == "DICOMDIR":
            listed = listed_recordings(path)
            if not listed:
                self.notes.append(f"{path} lists no ultrasound recording that is there.")
            self.entries += [Entry(file, (file,), self.options) for file in listed]
        else:
            self.entries.append(Entry(path, (path,), self.options))

    def _match(self, pattern: str) -> None:
        for name in sorted(glob.glob(pattern, recursive=True)):
            path = Path(name)
            # ** names every folder too; what lies in them it names itself.
            if path.is_dir():
                if "**" not in pattern:
                    self._walk(path)
            elif path.suffix.lower() in IMAGE_SUFFIXES or self._is_recording(path):
                self._take(path)

    def _list(self, path: Path) -> None:
        rows, unused = read_listing(path, self.options)
        if unused:
            self.notes.append(f"{path}: the column(s) {', '.join(unused)} are not used.")
        for row in rows:
            if not row.path.exists():
                self.unreadable.append(
                    Unreadable(row.path, f"line {row.line} of {path} names it, but it is not there")
                )
                continue
            entry = Entry(row.path, files_of(row.path), row.options)
            self.entries.append(
                replace(
                    entry,
                    subject=row.subject,
                    session=row.session,
                    time_point=row.time_point,
                    side=row.side,
                )
            )

    def _walk(self, top: Path) -> None:
        """Search a folder and all below it, each once however many links lead to it."""
        for name, folders, files in os.walk(top, followlinks=True, onerror=self._closed):
            folder = Path(name)
            about = folder.stat()
            if (about.st_dev, about.st_ino) in self.seen or folder.resolve() in self.without:
                folders.clear()
                continue
            self.seen.add((about.st_dev, about.st_ino))
            if "result.json" in files and "report.html" in files:
                continue  # An earlier analysis: its overlay is not a recording.
            folders[:] = sorted(one for one in folders if not one.startswith("."))
            self._sift(folder, [folder / one for one in files if not one.startswith(".")])

    def _sift(self, folder: Path, files: Iterable[Path]) -> None:
        """Tell the recordings among a folder's files."""
        ordered = sorted(files, key=lambda file: (natural_key(file), file.name))
        images = [file for file in ordered if file.suffix.lower() in IMAGE_SUFFIXES]
        stacks = [image for image in images if _shape(image)[1] > 1]
        images = [image for image in images if image not in stacks]
        recordings = [
            file
            for file in ordered
            if file.suffix.lower() not in IMAGE_SUFFIXES
            and file.name.upper() != "DICOMDIR"
            and self._is_recording(file)
        ]
        self.entries += [Entry(file, (file,), self.options) for file in [*recordings, *stacks]]
        if recordings and images:
            self.notes.append(
                f"{folder}: {len(images)} image(s) beside recordings are left out; list them in a "
                "CSV to analyse them."
            )
        elif _are_frames(images):
            self.entries.append(Entry(folder, tuple(images), self.options))
        else:
            self.entries += [Entry(image, (image,), self.options) for image in images]

    def _is_recording(self, file: Path) -> bool:
        if file.suffix.lower() in DICOM_SUFFIXES | VIDEO_SUFFIXES:
            return True
        try:
            return file.is_file() and has_dicom_preamble(file)
        except OSError as error:
            self._closed(error)
            return False

    def _closed(self, error: OSError) -> None:
        self.unreadable.append(
            Unreadable(Path(str(error.filename)), f"may not be read ({error.strerror or error})")
        )


def _are_frames(images: Sequence[Path]) -> bool:
    """Whether images are frames of one recording: of one size, their names differ in one number."""
    patterns = {re.sub(r"\d+(?=\D*$)", "#", image.name) for image in images}
    one_name = len(images) > 1 and len(patterns) == 1
    return one_name and len({_shape(image)[0] for image in images}) == 1


def _shape(image: Path) -> tuple[tuple[int, int], int]:
    """Return an image's size, and how many pictures it holds; zeros where it cannot be read."""
    try:
        return size_of(image), pictures_in(image)
    except UnreadableError:
        return (0, 0), 0


def files_of(path: Path) -> tuple[Path, ...]:
    """Return the files a recording consists of: itself, or a folder's visible files in order."""
    if not path.is_dir():
        return (path,)
    return tuple(sorted(_visible_files(path), key=lambda file: (natural_key(file), file.name)))


def _visible_files(folder: Path) -> Iterator[Path]:
    return (file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
