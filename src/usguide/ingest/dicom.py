"""DICOM files: what they are, where their pictures lie, and the luma of each.

The header is read without the pixels; frames are then read from disk and decoded one at a time.
JPEG gives up its luma channel directly; video streams go to the video reader.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.pixels.utils import as_pixel_options
from pydicom.uid import (
    UID,
    RLELossless,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
)

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
from usguide.ingest.dicom_header import frame_times, harmless_name, number, scaled_boxes, study_of
from usguide.ingest.dicom_source import (
    Element,
    Source,
    dicom_source,
    explaining,
    in_words,
    pixel_data_element,
    printable,
    quietly,
    read_header,
    transfer_syntax,
)
from usguide.ingest.recording import Picture, Recording, check_size
from usguide.ingest.video import recording_of_stream
from usguide.model import SourceKind

ULTRASOUND_CLASSES = frozenset(
    {
        UltrasoundImageStorage,
        UltrasoundMultiFrameImageStorage,
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

_VIDEO_SYNTAXES = tuple(f"1.2.840.10008.1.2.4.{n}" for n in range(100, 109))


@dataclass(frozen=True, slots=True, eq=False)
class _Pixels:
    """Where the pixel data is and how to decode it."""

    source: Source
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
    with explaining(path):
        return _read(path, sha256)


def _read(path: Path, sha256: str) -> Recording:
    source = dicom_source(path)
    with source.open() as file:
        dataset = read_header(file)
        check_is_ultrasound(path, dataset)
        syntax = transfer_syntax(dataset)
        element = pixel_data_element(file, syntax)
    pixels, expected, notes = _locate(path, dataset, source, syntax, element)
    width, height = int(dataset.Columns), int(dataset.Rows)

    if _is_video(syntax):
        extents = tuple(extent for frame in pixels.layout.frames for extent in frame)
        stream = recording_of_stream(
            path, sha256, lambda: ExtentFile(source.open(), extents), SourceKind.DICOM
        )
        width, height, expected = stream.width, stream.height, stream.expected or expected
        pictures: Callable[[], Iterator[Picture]] = stream.pictures
        notes += stream.warnings
    else:
        pictures = functools.partial(_pictures, path, pixels)
        if not pixels.layout.frames:
            raise UnreadableError(f"{path}: holds no whole frame; it was cut short or is damaged.")

    boxes, note = scaled_boxes(dataset, width, height)
    times, clock, timing_note = frame_times(dataset, expected)
    study = study_of(dataset, sha256)
    return Recording(
        path=path,
        sha256=sha256,
        kind=SourceKind.DICOM,
        width=width,
        height=height,
        pictures=pictures,
        expected=expected,
        times=times,
        timing_source=clock,
        scaled=boxes,
        study=study,
        name=harmless_name(path.name, dataset, study),
        warnings=tuple(sentence for sentence in (*notes, note, timing_note) if sentence),
    )


def _is_video(syntax: UID) -> bool:
    return str(syntax).startswith(_VIDEO_SYNTAXES)


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
        raise UnreadableError(
            f"{path}: is not a DICOM file, or is cut short in its header; copy it again from where "
            "it was recorded."
        )
    if sop_class in ULTRASOUND_CLASSES:
        return
    if (not sop_class or sop_class in _CAPTURE_CLASSES) and modality in _CAPTURE_MODALITIES:
        return
    what = printable(sop_class.name) if sop_class else f"a {modality} object"
    raise NotUltrasoundError(
        f"{path}: holds {what} ({printable(modality) or 'no modality stated'}), not an "
        "ultrasound recording."
    )


def _locate(
    path: Path, dataset: Dataset, source: Source, syntax: UID, element: Element
) -> tuple[_Pixels, int, list[str]]:
    """Find the frames; return them, how many there should be, and sentences for the reader."""
    notes: list[str] = []
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

    stated = number(dataset, "NumberOfFrames")
    promised = int(stated) if stated is not None and stated >= 1 else None
    if syntax.is_encapsulated:
        with source.open() as file:
            if _is_video(syntax):
                # A stream in one fragment is worth decoding as far as it goes.
                pieces = fragments(file, element.start, source.size, keep_cut=True)
                layout = Layout(tuple((extent,) for extent in pieces))
            else:
                layout = encapsulated_layout(
                    file,
                    element.start,
                    source.size,
                    promised,
                    frame_per_fragment=syntax == RLELossless,
                )
    else:
        available = max(0, min(element.length, source.size - element.start))
        frame_bytes = _native_frame_bytes(dataset, available, promised or 1)
        layout = native_layout(element.start, available, frame_bytes, promised)
    if promised is None and len(layout.frames) > 1 and not _is_video(syntax):
        notes.append(
            f"The file does not state how many frames it holds; {len(layout.frames)} were found."
        )
    options = as_pixel_options(dataset, number_of_frames=1)
    options |= {"transfer_syntax_uid": syntax, "pixel_keyword": "PixelData"}
    options["pixel_vr"] = element.vr
    options.pop("extended_offsets", None)
    expected = promised or len(layout.frames) + layout.incomplete
    return _Pixels(source, syntax, options, layout, dataset), expected, notes


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
    with explaining(path):
        decode = frame_decoder(path, pixels.syntax, pixels.options, pixels.dataset)
    trouble: Exception | None = None
    shown = 0
    with pixels.source.open() as file:
        for position, extents in enumerate(pixels.layout.frames):
            try:
                with quietly():
                    luma, colours = decode(read_extents(file, extents))
            except DECODING_ERRORS as error:
                trouble = error
                continue
            shown += 1
            yield Picture(luma, colours, position)
    if not shown:
        raise UnreadableError(
            f"{path}: none of its {len(pixels.layout.frames)} frames can be decoded "
            f"({in_words(trouble)})."
        )
