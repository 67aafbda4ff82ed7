"""Copies of recordings without identities: in the header, in the container and in the pixels.

The header follows the Basic Application Level Confidentiality Profile of DICOM PS3.15 Annex E;
the pixels its Clean Pixel Data Option: everything outside the B-mode picture is blanked in every
frame, and so is text found inside it. What could not be checked is said, never called clean.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError

from usguide.errors import ConfigError, IngestError, OutputError, UnreadableError
from usguide.ingest.blanking import shown_area, write_image, write_video
from usguide.ingest.burned_text import BurnedText
from usguide.ingest.deidentify_audit import Box, Copy, Deidentified
from usguide.ingest.deidentify_dicom import copy_dicom
from usguide.ingest.deidentify_profile import Pseudonyms, Removal
from usguide.ingest.images import entries_in
from usguide.ingest.opening import open_clip
from usguide.ingest.recording import Recording
from usguide.ingest.screen_text import find_text
from usguide.ingest.sources import DICOM_SUFFIXES, has_dicom_preamble, read_source
from usguide.ingest.video import whole_frames
from usguide.model import Bools, Header, Progress, SourceKind, unwatched

_SUFFIXES: dict[SourceKind, tuple[str, ...]] = {
    SourceKind.DICOM: (".dcm", ".dicom", ""),
    SourceKind.VIDEO: (".mp4", ".mkv", ".mov"),
    SourceKind.IMAGE: (".png", ".tif", ".tiff", ".bmp"),
    SourceKind.IMAGES: ("",),
}
"""How the name of a copy may end: formats that keep the pixels without loss."""


def deidentify(
    path: str | Path,
    output: str | Path,
    *,
    region: Box | int | None = None,
    progress: Progress | None = None,
) -> Deidentified:
    """Write a copy of a recording, or of a folder of DICOM files, without identities.

    Parameters
    ----------
    path : str or Path
        A DICOM file, a video, an image, a folder of images, or a folder with DICOM files at any
        depth; UIDs and patients are renamed alike in all files of one run.
    output : str or Path
        The copy; for a folder, a folder of numbered files. Must not exist. Appears whole or not
        at all.
    region : (int, int, int, int) or int, optional
        x, y, width and height of the picture to keep, in px, instead of finding it; or its number
        in the DICOM file.
    progress : callable, optional
        Told ``("read" | "text" | "copy" | "check", done, total)``.

    Returns
    -------
    Deidentified
        What was done; ``clean`` only where all of it could be checked.

    Raises
    ------
    IngestError
        If the recording cannot be read or is not ultrasound.
    OutputError
        If the copy exists already or cannot be written.
    ConfigError
        If the region or the name of the copy makes no sense.
    """
    path, output = Path(path), Path(output)
    told = progress or unwatched
    if path.name.upper() == "DICOMDIR":
        raise ConfigError(f"{path}: give the folder it is in, or one of the files it lists.")
    if output.exists():
        raise OutputError(f"{output} exists; choose another name with -o.")
    if not output.parent.is_dir():
        raise OutputError(
            f"{output} cannot be written: there is no folder {output.parent}; make it."
        )
    pseudonyms = Pseudonyms()
    files = _dicom_files(path) if path.is_dir() else []
    with _whole(output) as working:
        if not files:
            return Deidentified((_copy(path, working, output, region, pseudonyms, told),))
        working.mkdir()
        copies, left_out = [], []
        for number, file in enumerate(files, start=1):
            name = f"IM{number:04d}.dcm"
            try:
                copies.append(_copy(file, working / name, output / name, region, pseudonyms, told))
            except IngestError as error:
                (working / name).unlink(missing_ok=True)
                left_out.append(str(error))
        if not copies:
            raise UnreadableError(f"{path}: none of its {len(files)} DICOM files can be copied.")
        return Deidentified(tuple(copies), tuple(left_out))


def _dicom_files(folder: Path) -> list[Path]:
    return [
        file
        for file in sorted(folder.rglob("*"))
        if file.is_file()
        and file.name.upper() != "DICOMDIR"
        and (file.suffix.lower() in DICOM_SUFFIXES or has_dicom_preamble(file))
    ]


@contextlib.contextmanager
def _whole(output: Path) -> Iterator[Path]:
    """Give a name to write to in a folder beside ``output``, renamed if nothing goes wrong."""
    beside: Path | None = None
    try:
        beside = Path(tempfile.mkdtemp(prefix=".usguide-deid-", dir=output.parent))
        # The suffix stays, by which the libraries know the format.
        working = beside / f"copy{output.suffix}"
        yield working
        if output.exists():
            raise OutputError(f"{output} has appeared meanwhile; choose another name with -o.")
        working.rename(output)
    except (OSError, FFmpegError) as error:
        raise OutputError(f"{output} cannot be written: {error.strerror or error}.") from error
    finally:
        if beside is not None:
            shutil.rmtree(beside, ignore_errors=True)


# --- one recording ----------------------------------------------------------------------------


def _copy(
    path: Path,
    working: Path,
    output: Path,
    region: Box | int | None,
    pseudonyms: Pseudonyms,
    progress: Progress,
) -> Copy:
    """Write one copy to ``working``, to be moved to ``output``."""
    _check_suffix(read_source(path), output)
    clip = open_clip(path, region=region, progress=progress)
    header, recording = clip.header, read_source(path)
    keep = shown_area(header.region, header.height, header.width)
    text = find_text(clip, keep, progress)
    inside = BurnedText(text.mask & keep, text.doubt)
    keep &= ~text.mask
    doubts = tuple(filter(None, (_region_doubt(recording, header, region), inside.doubt)))

    def told(frames: int) -> None:
        progress("copy", frames, header.frames)

    removal = Removal()
    metadata: tuple[str, ...] = ()
    if recording.kind is SourceKind.DICOM:
        removal = copy_dicom(recording, header, working, keep, pseudonyms, doubts, told)
    elif recording.kind is SourceKind.VIDEO:
        metadata = _metadata_of_video(recording.path)
        frames = whole_frames(lambda: str(path), header.width, header.height)
        write_video(
            working,
            (frame for _, frame in frames),
            keep,
            timed=header.timing.time_s is not None,
            told=told,
        )
    else:
        metadata = _metadata_of_images(recording)
        _copy_images(recording, working, keep, told)
    x, y = header.region.x, header.region.y
    region_lost, spacing_mm = _lost(header, _reread(working, progress))
    return Copy(
        output=output,
        kind=recording.kind,
        frames=header.frames,
        region_px=(x, y, header.region.width, header.region.height),
        blanked=float(1.0 - keep.mean()),
        texts_px=inside.boxes,
        header=removal,
        metadata=metadata,
        doubts=doubts,
        notes=_notes(recording, header),
        region_lost=region_lost,
        spacing_mm=spacing_mm,
    )


def _reread(copy: Path, progress: Progress) -> Header:
    """Open a copy as a stranger to its original would, to find out what it has lost."""
    return open_clip(copy, progress=lambda _, done, total: progress("check", done, total)).header


def _lost(original: Header, copy: Header) -> tuple[bool, tuple[float, float] | None]:
    """Whether the picture has to be given for the copy, and which scale, if any."""
    before, after = original.region, copy.region
    moved = (before.x, before.y, before.width, before.height) != (
        after.x,
        after.y,
        after.width,
        after.height,
    )
    scale, read = original.calibration.spacing_mm, copy.calibration.spacing_mm
    same_scale = scale is None or (read is not None and np.allclose(scale, read, rtol=1e-6))
    return moved, None if same_scale else scale


def _check_suffix(recording: Recording, output: Path) -> None:
    allowed = _SUFFIXES[recording.kind]
    if output.suffix.lower() not in allowed:
        names = ", ".join(suffix or "no suffix" for suffix in allowed)
        raise ConfigError(
            f"{output}: a copy of this recording cannot end in {output.suffix or 'nothing'}; "
            f"end its name in {names}."
        )


def _region_doubt(recording: Recording, header: Header, given: Box | int | None) -> str:
    region = header.region
    whole = (region.width, region.height) == (header.width, header.height)
    if given is None and not recording.scaled and whole:
        return (
            "No B-mode picture could be told from the rest of the screen, so nothing outside it "
            "was blanked: give it (--region)."
        )
    return ""


def _notes(recording: Recording, header: Header) -> tuple[str, ...]:
    notes = []
    if recording.kind is SourceKind.VIDEO and header.timing.time_s is None and header.frames > 1:
        notes.append(
            "The video has no usable time stamps; the 25 frames/s of the copy mean nothing: give "
            "the frame rate when you analyse it (--fps)."
        )
    return tuple(notes)


# --- videos and images ------------------------------------------------------------------------


def _metadata_of_video(path: Path) -> tuple[str, ...]:
    """Names of what a container says and holds besides the pictures."""
    with av.open(str(path), metadata_errors="replace") as container:
        names = [f"container: {key}" for key in container.metadata]
        first = container.streams.video[0]
        for stream in container.streams:
            names += [f"{stream.type} stream: {key}" for key in stream.metadata]
            if stream.index != first.index:
                names.append(f"{stream.type} stream {stream.index}")
    return tuple(sorted(set(names)))


def _metadata_of_images(recording: Recording) -> tuple[str, ...]:
    """Names of what images say besides their pixels."""
    folder = recording.path
    files = [folder / name for name in recording.source_names] or [folder]
    return tuple(sorted({f"image: {entry}" for file in files for entry in entries_in(file)}))


def _copy_images(
    recording: Recording, working: Path, keep: Bools, told: Callable[[int], None]
) -> None:
    if recording.kind is SourceKind.IMAGE:
        write_image(working, next(iter(recording.pictures())), keep)
        return
    working.mkdir()
    for count, picture in enumerate(recording.pictures(), start=1):
        # The number is the frame's place in the recording; the old names may hold a person's.
        write_image(working / f"frame_{picture.position:06d}.png", picture, keep)
        told(count)
