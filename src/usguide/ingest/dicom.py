"""DICOM files: what they are, where their pictures lie, and the luma of each.

The header is read without the pixels; frames are then read from disk and decoded one at a time.
JPEG gives up its luma channel directly; video streams go to the video reader.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.pixels.utils import as_pixel_options
from pydicom.uid import UID, RLELossless

from usguide.errors import NotUltrasoundError, UnreadableError
from usguide.ingest.dicom_decode import DECODING_ERRORS, frame_decoder
from usguide.ingest.dicom_frames import (
    ExtentFile,
    Layout,
    encapsulated_layout,
    fragments,
    native_layout,
    read_extents,
)
from usguide.ingest.dicom_header import frame_times, number, scaled_boxes
from usguide.ingest.recording import Picture, Recording, check_size
from usguide.ingest.video import recording_of_stream
from usguide.model import SourceKind

ULTRASOUND_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.6.1",  # Ultrasound Image Storage
        "1.2.840.10008.5.1.4.1.1.3.1",  # Ultrasound Multi-frame Image Storage
        "1.2.840.10008.5.1.4.1.1.6",  # retired forms of both
        "1.2.840.10008.5.1.4.1.1.3",
    }
)
_CAPTURE_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture, single and multi-frame
        "1.2.840.10008.5.1.4.1.1.7.1",
        "1.2.840.10008.5.1.4.1.1.7.2",
        "1.2.840.10008.5.1.4.1.1.7.3",
        "1.2.840.10008.5.1.4.1.1.7.4",
        "1.2.840.10008.5.1.4.1.1.77.1.1.1",  # Video Endoscopic, Photographic: screen recorders
        "1.2.840.10008.5.1.4.1.1.77.1.4.1",
    }
)
_CAPTURE_MODALITIES = frozenset({"US", "IVUS", "OT", "SC", "XC", "ES", ""})
"""Modalities under which a captured ultrasound screen is filed."""

_DEFLATED = b"1.2.840.10008.1.2.1.99"
_MAX_INFLATED = 1 << 30
"""Largest inflated file that is read, bytes: such a file can only be read whole."""
_VIDEO_SYNTAXES = tuple(f"1.2.840.10008.1.2.4.{n}" for n in range(100, 109))
_HEADER_ERRORS = (
    InvalidDicomError,
    BytesLengthException,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    NotImplementedError,
    struct.error,
    OSError,
    RecursionError,
    zlib.error,
)
"""What pydicom raises on a damaged header."""


@dataclass(frozen=True, slots=True, eq=False)
class _Pixels:
    """Where the pixel data is and how to decode it."""

    open: Callable[[], BinaryIO]
    syntax: UID
    options: dict[str, Any]
    layout: Layout
    dataset: Dataset


def read_dicom(path: Path, sha256: str) -> Recording:
    """Open a DICOM file.

    Raises
    ------
    NotUltrasoundError
        If it holds another modality's images.
    UnreadableError
        If it is not DICOM, is damaged, or holds no picture.
    """
    with _explaining(path):
        return _read(path, sha256)


def listed_recordings(dicomdir: Path) -> list[Path]:
    """Ultrasound files that a DICOMDIR lists and that are there.

    Raises
    ------
    UnreadableError
        If it cannot be read.
    """
    found = []
    with _explaining(dicomdir):
        for record in pydicom.dcmread(dicomdir, force=True).get("DirectoryRecordSequence") or []:
            reference = record.get("ReferencedFileID")
            if reference and record.get("ReferencedSOPClassUIDInFile") in ULTRASOUND_CLASSES:
                parts = [reference] if isinstance(reference, str) else [str(p) for p in reference]
                found.append(dicomdir.parent.joinpath(*parts))
    return [file for file in found if file.is_file()]


@contextlib.contextmanager
def _explaining(path: Path) -> Iterator[None]:
    """Turn what pydicom raises on a damaged header into one sentence."""
    try:
        with _quietly():
            yield
    except _HEADER_ERRORS as error:
        raise UnreadableError(
            f"{path}: is not a DICOM file, or its header is damaged ({_sentence(error)})."
        ) from error


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Silence pydicom, which reports what it repairs: what matters here is checked here."""
    log = logging.getLogger("pydicom")
    disabled = log.disabled
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        log.disabled = True
        try:
            yield
        finally:
            log.disabled = disabled


def _read(path: Path, sha256: str) -> Recording:
    _check_inflated_size(path)
    dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True)
    check_is_ultrasound(path, dataset)
    pixels, expected, notes = _locate(path, dataset)
    width, height = int(dataset.Columns), int(dataset.Rows)

    if str(pixels.syntax).startswith(_VIDEO_SYNTAXES):
        extents = tuple(extent for frame in pixels.layout.frames for extent in frame)
        stream = recording_of_stream(
            path, sha256, lambda: ExtentFile(pixels.open(), extents), SourceKind.DICOM
        )
        width, height, expected = stream.width, stream.height, stream.expected or expected
        pictures: Callable[[], Iterator[Picture]] = stream.pictures
    else:
        pictures = functools.partial(_pictures, path, pixels)
        if not pixels.layout.frames:
            raise UnreadableError(f"{path}: holds no whole frame; it was cut short or is damaged.")

    boxes, note = scaled_boxes(dataset, width, height)
    times_s, source, timing_note = frame_times(dataset, expected)
    return Recording(
        path=path,
        sha256=sha256,
        kind=SourceKind.DICOM,
        width=width,
        height=height,
        pictures=pictures,
        expected=expected,
        times_s=times_s,
        timing_source=source,
        scaled=boxes,
        warnings=tuple(sentence for sentence in (*notes, note, timing_note) if sentence),
    )


def _check_inflated_size(path: Path) -> None:
    """Refuse a deflated file that would fill the memory, by inflating it piece by piece."""
    with path.open("rb") as file:
        head = file.read(1024)
        if head[128:132] != b"DICM" or _DEFLATED not in head:
            return
        # The meta information starts with its own length (PS3.10 7.1), and is not deflated.
        file.seek(144 + struct.unpack("<L", head[140:144])[0])
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        size = 0
        while piece := file.read(1 << 16):
            while piece:
                size += len(inflater.decompress(piece, 1 << 20))
                piece = inflater.unconsumed_tail
            if size > _MAX_INFLATED:
                raise UnreadableError(
                    f"{path}: would take more than {_MAX_INFLATED >> 20} MB when decompressed; "
                    "export it without deflation."
                )


def check_is_ultrasound(path: Path, dataset: Dataset) -> None:
    """Refuse what is certainly not an ultrasound recording.

    Raises
    ------
    NotUltrasoundError
        For another modality's images, or an object without images.
    UnreadableError
        Where there is nothing of DICOM in the file.
    """
    modality = str(dataset.get("Modality") or "")
    sop_class = UID(str(dataset.get("SOPClassUID") or ""))
    if "Rows" not in dataset and not modality and not sop_class:
        raise UnreadableError(f"{path}: is not a DICOM file, whatever its name says.")
    if sop_class in ULTRASOUND_CLASSES:
        return
    if (not sop_class or sop_class in _CAPTURE_CLASSES) and modality in _CAPTURE_MODALITIES:
        return
    what = _printable(sop_class.name) if sop_class else f"a {modality} object"
    raise NotUltrasoundError(
        f"{path}: holds {what} ({_printable(modality) or 'no modality stated'}), not an "
        "ultrasound recording."
    )


def _locate(path: Path, dataset: Dataset) -> tuple[_Pixels, int, list[str]]:
    """Find the pixel data; return it, the frames it should hold, and sentences for the reader."""
    syntax = UID(str(getattr(dataset, "file_meta", {}).get("TransferSyntaxUID") or ""))
    notes: list[str] = []
    if not syntax:
        # Part 10 requires it; without one, pydicom has guessed how the header is encoded.
        implicit, little = dataset.original_encoding
        syntax = UID(
            "1.2.840.10008.1.2"
            if implicit
            else "1.2.840.10008.1.2.1"
            if little
            else "1.2.840.10008.1.2.2"
        )
    for keyword in ("Rows", "Columns"):
        if not number(dataset, keyword):
            raise ValueError(f"it states no {keyword.lower()}")
    check_size(path, int(dataset.Columns), int(dataset.Rows))
    dataset.setdefault("SamplesPerPixel", 1)
    dataset.setdefault("PhotometricInterpretation", "MONOCHROME2")
    dataset.setdefault("BitsAllocated", 8)
    dataset.setdefault("BitsStored", dataset.BitsAllocated)
    dataset.setdefault("PixelRepresentation", 0)
    dataset.setdefault("PlanarConfiguration", 0)

    if syntax.is_deflated:
        inflated = bytes(pydicom.dcmread(path, force=True).PixelData)
        start, declared, vr = 0, len(inflated), "OB"
        size = declared

        def open_pixels() -> BinaryIO:
            return BytesIO(inflated)
    else:
        start, declared, vr = _pixel_data_element(path, syntax)
        size = path.stat().st_size

        def open_pixels() -> BinaryIO:
            return path.open("rb")

    stated = number(dataset, "NumberOfFrames")
    promised = int(stated) if stated is not None and stated >= 1 else None
    with open_pixels() as file:
        if syntax.is_encapsulated:
            video = str(syntax).startswith(_VIDEO_SYNTAXES)
            if video:
                layout = Layout(tuple((extent,) for extent in fragments(file, start, size)))
            else:
                layout = encapsulated_layout(
                    file, start, size, promised, frame_per_fragment=syntax == RLELossless
                )
        else:
            available = max(0, min(declared, size - start))
            frame_bytes = _native_frame_bytes(dataset, available, promised or 1)
            layout = native_layout(start, available, frame_bytes, promised)
    if promised is None and len(layout.frames) > 1 and not str(syntax).startswith(_VIDEO_SYNTAXES):
        notes.append(
            f"The file does not state how many frames it holds; {len(layout.frames)} were found."
        )
    options = as_pixel_options(dataset, number_of_frames=1)
    options |= {"transfer_syntax_uid": syntax, "pixel_keyword": "PixelData", "pixel_vr": vr}
    for keyword in ("extended_offsets",):
        options.pop(keyword, None)
    expected = promised or len(layout.frames) + layout.incomplete
    return _Pixels(open_pixels, syntax, options, layout, dataset), expected, notes


def _pixel_data_element(path: Path, syntax: UID) -> tuple[int, int, str]:
    """Offset, declared length and value representation of the pixel data of a file."""
    with path.open("rb") as file:
        pydicom.dcmread(file, stop_before_pixels=True, force=True)
        order = "<" if syntax.is_little_endian else ">"
        head = file.read(8)
        if len(head) < 8:
            raise ValueError("it holds no picture")
        group, element = struct.unpack(f"{order}HH", head[:4])
        if (group, element) != (0x7FE0, 0x0010):
            raise ValueError("it holds no 8 or 16-bit pixel data")
        # Some files are not encoded as their transfer syntax says: look instead of trusting it.
        if head[4:6] not in (b"OB", b"OW", b"UN"):
            vr, length = "OW", struct.unpack(f"{order}L", head[4:])[0]
        else:
            vr, length = head[4:6].decode("latin-1"), struct.unpack(f"{order}L", file.read(4))[0]
        return file.tell(), length, vr


def _native_frame_bytes(dataset: Dataset, available: int, frames: int) -> int:
    """Size of an unencapsulated frame; corrects a wrong label where the length says so."""
    pixels = int(dataset.Rows) * int(dataset.Columns)
    bits = int(dataset.BitsAllocated)
    samples = int(dataset.SamplesPerPixel)
    if dataset.PhotometricInterpretation == "YBR_FULL_422" and samples == 3:
        # Two luma samples share one pair of chroma samples (PS3.3 C.7.6.3.1.2), unless the
        # writer forgot to drop the others.
        if available < pixels * 3 * frames:
            return pixels * 2
        dataset.PhotometricInterpretation = "YBR_FULL"
    if samples < 1 or bits < 1:
        raise ValueError(f"it states {samples} samples of {bits} bits per pixel")
    return (pixels * samples * bits + 7) // 8


def _pictures(path: Path, pixels: _Pixels) -> Iterator[Picture]:
    """Yield every frame that decodes; raise if none does."""
    decode = frame_decoder(path, pixels.syntax, pixels.options, pixels.dataset)
    trouble: Exception | None = None
    shown = 0
    with pixels.open() as file:
        for position, extents in enumerate(pixels.layout.frames):
            try:
                with _quietly():
                    luma, colours = decode(read_extents(file, extents))
            except DECODING_ERRORS as error:
                trouble = error
                continue
            shown += 1
            yield Picture(luma, colours, position)
    if not shown:
        raise UnreadableError(
            f"{path}: none of its {len(pixels.layout.frames)} frames can be decoded "
            f"({_sentence(trouble)})."
        )


def _printable(text: str) -> str:
    """Text of a header as it may stand in a sentence."""
    return "".join(c for c in text if c.isprintable())[:80]


def _sentence(error: BaseException | None) -> str:
    """First line of an exception, short enough for a message."""
    lines = str(error).strip().splitlines() if error is not None else []
    return _printable(lines[0] if lines else "").rstrip(" .:") or type(error).__name__
