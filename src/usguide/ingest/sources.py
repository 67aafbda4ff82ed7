"""Which reader a path is for, and which of a folder's files."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from usguide.errors import NotUltrasoundError, UnreadableError
from usguide.ingest.dicom import read_dicom
from usguide.ingest.dicom_folder import as_list, listed_recordings, ultrasound_among
from usguide.ingest.images import IMAGE_SUFFIXES, natural_key, read_image, read_images
from usguide.ingest.recording import Recording
from usguide.ingest.video import read_video

DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".ima", ".dic"})
_MOST_FILES = 10_000
"""A folder with more files below it is an archive, or a disk, and takes long to look through."""
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".wmv", ".mpg", ".mpeg", ".ts", ".gif"}
)


def read_source(path: Path) -> Recording:
    """Open a DICOM file, DICOMDIR, video, image or folder with the reader it is for.

    Raises
    ------
    UnreadableError
        If it is missing, empty, damaged, in no known format, or a folder of several recordings.
    NotUltrasoundError
        If it holds other images than ultrasound.
    """
    try:
        if path.is_dir():
            return _read_folder(path)
        if not path.exists():
            raise UnreadableError(f"{path}: there is no such file or folder; check the path.")
        if not path.is_file():
            raise UnreadableError(f"{path}: is neither a file nor a folder; copy it into a file.")
        return _read_file(path)
    except OSError as error:
        raise UnreadableError(
            f"{error.filename or path}: cannot be read: {error.strerror or error}; check its "
            "permissions, and the disk."
        ) from error


def _read_file(path: Path) -> Recording:
    if path.stat().st_size == 0:
        raise UnreadableError(f"{path}: is empty; copy it again from where it was recorded.")
    suffix = path.suffix.lower()
    if path.name.upper() == "DICOMDIR":
        return _read_dicomdir(path)
    if has_dicom_preamble(path) or suffix in DICOM_SUFFIXES:
        return read_dicom(path, content_sha256([path]))
    if suffix in IMAGE_SUFFIXES:
        return read_image(path, content_sha256([path]))
    if suffix in VIDEO_SUFFIXES:
        return read_video(path, content_sha256([path]))
    # An unknown name: DICOM is often stored without preamble and without suffix.
    readers: tuple[Callable[[Path, str], Recording], ...] = (read_dicom, read_image, read_video)
    for reader in readers:
        with contextlib.suppress(UnreadableError):
            return reader(path, content_sha256([path]))
    raise UnreadableError(
        f"{path}: is neither DICOM, nor a video, nor an image; give the recording itself."
    )


def has_dicom_preamble(path: Path) -> bool:
    """Whether a file starts as DICOM files should (PS3.10 7.1)."""
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _read_folder(folder: Path) -> Recording:
    if (folder / "DICOMDIR").is_file():
        return _read_dicomdir(folder / "DICOMDIR")
    files = [f for f in sorted(folder.iterdir()) if f.is_file() and not f.name.startswith(".")]
    images = [f for f in files if f.suffix.lower() in IMAGE_SUFFIXES]
    dicom = [f for f in files if f not in images and _may_be_dicom(f)]
    videos = [f for f in files if f.suffix.lower() in VIDEO_SUFFIXES]
    if dicom:
        return _beside(_read_only_one(folder, dicom), len(images) + len(videos))
    if images:
        recording = read_images(folder, images, content_sha256(sorted(images, key=natural_key)))
        return _beside(recording, len(videos))
    if videos:
        raise UnreadableError(
            f"{folder}: holds {len(videos)} video(s); give one of them, e.g. {videos[0].name}."
        )
    # As scanners export them: a folder of studies, of series, of files.
    below = list(itertools.islice(_files_below(folder), _MOST_FILES + 1))
    if len(below) > _MOST_FILES:
        raise UnreadableError(
            f"{folder}: holds over {_MOST_FILES} files; give one recording of it, or the folder to "
            "usguide batch."
        )
    nested = [file for file in below if file.is_file() and _may_be_dicom(file)]
    if nested:
        return _read_only_one(folder, nested)
    raise UnreadableError(f"{folder}: holds no DICOM file, image or video; give another folder.")


def _beside(recording: Recording, others: int) -> Recording:
    """Say in a recording's warnings that files beside it were not read."""
    if not others:
        return recording
    held = "another image or video" if others == 1 else f"{others} other images or videos"
    note = f"The folder also holds {held}, not read with this recording: give a path to read one."
    return replace(recording, warnings=(*recording.warnings, note))


def _may_be_dicom(file: Path) -> bool:
    return file.suffix.lower() in DICOM_SUFFIXES or has_dicom_preamble(file)


def _files_below(folder: Path) -> Iterator[Path]:
    """Files in the folders of a folder, in order of their names; links to folders stay closed."""
    for name, folders, files in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        if Path(name) != folder:
            yield from (Path(name, one) for one in sorted(files) if not one.startswith("."))


def _read_dicomdir(path: Path) -> Recording:
    """Open the only ultrasound recording that a DICOMDIR lists."""
    present = listed_recordings(path)
    if not present:
        raise UnreadableError(
            f"{path}: lists no ultrasound recording that is there; give the DICOM file itself."
        )
    return _read_only_one(path, present)


def _read_only_one(source: Path, files: Sequence[Path]) -> Recording:
    """Open the only ultrasound recording among DICOM files, or say which ones there are."""
    if len(files) == 1:
        return _read_file(files[0])
    found = ultrasound_among(files)
    if len(found) == 1:
        return _read_file(found[0][0])
    if not found:
        raise NotUltrasoundError(
            f"{source}: none of its {len(files)} DICOM files holds ultrasound pictures; give "
            "another folder."
        )
    folder = source if source.is_dir() else source.parent
    raise UnreadableError(
        f"{source}: holds {len(found)} ultrasound recordings: {as_list(folder, found)}; give the "
        f"path of one of them, e.g. {found[0][0]}."
    )


def content_sha256(files: Sequence[Path]) -> str:
    """Return the hash of a file's bytes; of several, the hash of their hashes in order."""
    digests = []
    for file in files:
        with file.open("rb") as stream:
            digests.append(hashlib.file_digest(stream, "sha256").hexdigest())
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(digests).encode()).hexdigest()
