"""De-identified copies of DICOM files: a clean header before blanked frames."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import (
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
    MPEGTransferSyntaxes,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
)

from usguide.ingest.blanking import write_dicom
from usguide.ingest.deidentify_profile import (
    Pseudonyms,
    Removal,
    clean_header,
    state_deidentification,
)
from usguide.ingest.dicom_header import FRAME_TIME_VECTOR, number
from usguide.ingest.dicom_source import (
    dicom_source,
    explaining,
    quietly,
    read_header_and_rest,
    transfer_syntax,
)
from usguide.ingest.recording import Recording
from usguide.model import Bools, Header

_LOSSY = frozenset({JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, *MPEGTransferSyntaxes})
"""What was once compressed with loss says so for good (PS3.3 C.7.6.1.1.5), in a lossless copy too;
JPEG 2000 may be either, and its files have to say which."""


def copy_dicom(
    recording: Recording,
    header: Header,
    working: Path,
    keep: Bools,
    pseudonyms: Pseudonyms,
    doubts: tuple[str, ...],
    told: Callable[[int], None],
) -> Removal:
    """Write a DICOM file without identity; return what became of its header.

    Parameters
    ----------
    recording, header : Recording, Header
        The original, and what is known of it.
    working : Path
        Written to.
    keep : ndarray of bool, shape (height, width)
        Where the picture stays.
    pseudonyms : Pseudonyms
        Of this run.
    doubts : tuple of str
        What could not be checked: with any, the copy does not claim to be clean.
    told : callable
        Called with the number of frames written.
    """
    # pydicom reports what it repairs; values that are not sound do not get into the copy.
    with quietly():
        with explaining(recording.path), dicom_source(recording.path).open() as file:
            original, large = read_header_and_rest(file)
            clean, removal = clean_header(original, pseudonyms)
        for tag in large:
            removal.lost(tag)
        if transfer_syntax(original) in _LOSSY:
            clean.LossyImageCompression = "01"
        if "SOPClassUID" not in clean:
            single = header.frames == 1
            clean.SOPClassUID = (
                UltrasoundImageStorage if single else UltrasoundMultiFrameImageStorage
            )
        if header.frames > 1 or "NumberOfFrames" in original:
            clean.NumberOfFrames = header.frames
        _keep_window(original, clean, removal)
        _keep_times(header, clean)
        state_deidentification(clean, checked=not doubts)
        write_dicom(working, clean, recording.pictures(), keep, told)
    return removal


def _keep_window(original: Dataset, clean: Dataset, removal: Removal) -> None:
    """Keep the display window of greys that are copied as they are stored."""
    stored_as_shown = (original.get("PhotometricInterpretation"), original.get("BitsStored"))
    if stored_as_shown == ("MONOCHROME2", 8):
        for keyword in ("WindowCenter", "WindowWidth", "RescaleIntercept", "RescaleSlope"):
            value = number(original, keyword)
            if value is not None:
                setattr(clean, keyword, f"{value:.9g}")
                del removal.removed[keyword]
        if "RescaleSlope" in clean:
            clean.RescaleType = "US"


def _keep_times(header: Header, clean: Dataset) -> None:
    """Make the stated times fit the frames that are left, where some were damaged."""
    frames, time_s = header.frames, header.timing.time_s
    complete = np.array_equal(header.frame_numbers, np.arange(frames))
    if time_s is not None and (not complete or "FrameTimeVector" in clean):
        steps = np.diff(time_s, prepend=time_s[:1]) * 1000.0
        if complete and len(clean.FrameTimeVector) == frames:
            return
        clean.FrameTimeVector = [f"{step:.6f}" for step in steps]
        clean.FrameIncrementPointer = FRAME_TIME_VECTOR
