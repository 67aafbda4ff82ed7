"""Which ultrasound recordings a DICOMDIR, or a folder with DICOM files, holds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from usguide.errors import IngestError
from usguide.ingest.dicom import ULTRASOUND_CLASSES, check_is_ultrasound
from usguide.ingest.dicom_header import number
from usguide.ingest.dicom_source import dicom_source, explaining, read_header

_LISTED = 12
"""So many recordings are named in a sentence."""


def listed_recordings(dicomdir: Path) -> list[Path]:
    """Ultrasound files that a DICOMDIR lists and that are there.

    Raises
    ------
    UnreadableError
        If it cannot be read.
    """
    found = []
    with explaining(dicomdir), dicom_source(dicomdir).open() as file:
        records = pydicom.dcmread(file, force=True).get("DirectoryRecordSequence")
        for record in records if isinstance(records, Iterable) else ():
            reference = record.get("ReferencedFileID")
            if reference and record.get("ReferencedSOPClassUIDInFile") in ULTRASOUND_CLASSES:
                parts = [reference] if isinstance(reference, str) else [str(p) for p in reference]
                found.append(dicomdir.parent.joinpath(*parts))
        folder = dicomdir.parent.resolve()
        return [f for f in found if f.is_file() and f.resolve().is_relative_to(folder)]


def ultrasound_among(files: Sequence[Path]) -> list[tuple[Path, str]]:
    """Return the files that hold ultrasound pictures, each with what it is in a few words."""
    found = []
    for file in files:
        with contextlib.suppress(IngestError, OSError), explaining(file):
            with dicom_source(file).open() as opened:
                dataset = read_header(opened)
            check_is_ultrasound(file, dataset)
            if number(dataset, "Rows"):
                found.append((file, _in_words(dataset)))
    return found


def as_list(folder: Path, found: Sequence[tuple[Path, str]]) -> str:
    """Name recordings relative to their folder, with what they are, for a sentence."""
    names = [f"{file.relative_to(folder)} ({what})" for file, what in found[:_LISTED]]
    more = len(found) - len(names)
    return "; ".join(names) + (f"; and {more} more" if more else "")


def _in_words(dataset: Dataset) -> str:
    frames = int(number(dataset, "NumberOfFrames") or 1)
    size = f"{dataset.get('Columns')} x {dataset.get('Rows')} px"
    return f"{frames} frames, {size}" if frames > 1 else f"a still, {size}"
