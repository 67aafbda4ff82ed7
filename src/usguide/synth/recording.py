"""Write a scene as a recording: ultrasound DICOM, H.264 video, or arrays, with its truth beside."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, UltrasoundMultiFrameImageStorage, generate_uid

from usguide.errors import ConfigError, OutputError
from usguide.synth.scene import Recording, Truth

JPEG_QUALITY = 88
"""Quality of the JPEG frames in a DICOM file: what scanners commonly store."""


def write(
    scene: Recording, path: str | Path, *, overwrite: bool = False, crf: int = 20
) -> tuple[Path, Path]:
    """Write a scene's frames, and its truth as ``<stem>.truth.json`` beside them.

    Parameters
    ----------
    scene : Recording
        What to write.
    path : str or Path
        Where; the suffix says how: ``.dcm`` (ultrasound multi-frame, JPEG, calibrated region),
        ``.mp4`` (H.264) or ``.npz`` (``frames``, ``spacing_mm``, ``fps``).
    overwrite : bool
        Whether existing files may be replaced.
    crf : int
        H.264 quality, 0 (lossless) to 51.

    Returns
    -------
    (Path, Path)
        The recording and its truth.

    Raises
    ------
    ConfigError
        If the suffix is not known or ``crf`` is impossible.
    OutputError
        If a file exists and ``overwrite`` is False, or cannot be written.
    """
    path = Path(path)
    writers: dict[str, Callable[[Recording, Path], None]] = {
        ".dcm": _write_dicom,
        ".mp4": lambda what, where: _write_video(what, where, crf),
        ".npz": _write_arrays,
    }
    if path.suffix.lower() not in writers:
        raise ConfigError(
            f"{path}: cannot write {path.suffix or 'a name without suffix'}; "
            f"end the name with {', '.join(writers)}."
        )
    if not 0 <= crf <= 51:
        raise ConfigError(f"crf={crf} is not an H.264 quality; give 0 to 51.")
    beside = path.with_name(path.stem + ".truth.json")
    for existing in (path, beside):
        if existing.exists() and not overwrite:
            raise OutputError(f"{existing} exists; choose another name or --overwrite it.")
    if not path.parent.is_dir():
        raise OutputError(f"{path} cannot be written: there is no folder {path.parent}; make it.")
    # The working name keeps the suffix, by which the video library knows the container.
    working = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    working_truth = working.with_suffix(".json")
    try:
        writers[path.suffix.lower()](scene, working)
        working_truth.write_text(json.dumps(scene.truth) + "\n", encoding="utf-8")
        working.replace(path)
        working_truth.replace(beside)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        working.unlink(missing_ok=True)
        working_truth.unlink(missing_ok=True)
    return path, beside


def _write_arrays(scene: Recording, path: Path) -> None:
    np.savez_compressed(
        path,
        frames=np.stack(list(scene.frames())),
        spacing_mm=np.array(scene.spacing_mm),
        fps=np.array(scene.fps),
    )


def _write_video(scene: Recording, path: Path, crf: int) -> None:
    """Write H.264 with yuv420p, which needs an even size: odd edges are repeated once."""
    # Millisecond-exact rates survive as fractions; MP4 stores times in this unit.
    rate = Fraction(scene.fps).limit_denominator(1000)
    with av.open(str(path), "w") as container:
        stream = None
        for picture in scene.pictures():
            height, width = picture.shape[:2]
            pad = [(0, height % 2), (0, width % 2)] + [(0, 0)] * (picture.ndim - 2)
            even = np.pad(picture, pad, mode="edge")
            if stream is None:
                stream = container.add_stream("libx264", rate=rate)
                stream.width, stream.height = even.shape[1], even.shape[0]
                stream.pix_fmt = "yuv420p"
                # One thread: the stream is then the same on any machine with this encoder.
                stream.options = {"crf": str(crf), "preset": "medium", "threads": "1"}
            layout = "gray" if even.ndim == 2 else "rgb24"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format=layout)
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode(None))


def _write_dicom(scene: Recording, path: Path) -> None:
    truth = scene.truth
    identity = json.dumps([truth["scene"], truth["seed"], truth["parameters"]])
    uids = [generate_uid(entropy_srcs=[part, identity]) for part in ("sop", "series", "study")]
    pixels = []
    size = (0, 0)
    for picture in scene.frames():
        size = picture.shape[:2]
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=JPEG_QUALITY)
        pixels.append(buffer.getvalue())
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UltrasoundMultiFrameImageStorage
    meta.MediaStorageSOPInstanceUID = uids[0]
    meta.TransferSyntaxUID = JPEGBaseline8Bit
    ds = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID = UltrasoundMultiFrameImageStorage
    ds.SOPInstanceUID, ds.SeriesInstanceUID, ds.StudyInstanceUID = uids
    ds.Modality = "US"
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.PatientName = "Synthetic^Scene"
    ds.PatientID = "SYNTHETIC"
    ds.Manufacturer = "usguide synth"
    ds.SeriesDescription = f"{truth['scene']} seed {truth['seed']}"
    ds.StudyDate = ds.ContentDate = "20260101"
    ds.StudyTime = ds.ContentTime = "120000"
    ds.PatientBirthDate = ds.PatientSex = ds.AccessionNumber = ds.ReferringPhysicianName = ""
    ds.StudyID = ds.SeriesNumber = ds.InstanceNumber = "1"
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = size
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit = 7
    ds.PixelRepresentation = 0
    ds.NumberOfFrames = len(pixels)
    steps = np.diff(scene.times_s, prepend=scene.times_s[:1]) * 1000.0
    ds.FrameTimeVector = [f"{step:.6f}" for step in steps]
    ds.FrameIncrementPointer = 0x00181065
    ds.CineRate = max(1, round(scene.fps))
    ds.LossyImageCompression = "01"
    ds.LossyImageCompressionMethod = "ISO_10918_1"
    ds.SequenceOfUltrasoundRegions = [_region(truth, scene.spacing_mm)]
    ds.PixelData = encapsulate(pixels)
    ds.save_as(path, enforce_file_format=True)


def _region(truth: Truth, spacing_mm: tuple[float, float]) -> Dataset:
    """Return the calibrated tissue region (PS3.3 C.8.5.5), spacings in cm."""
    x, y, width, height = (int(value) for value in truth["region_px"])  # type: ignore[attr-defined]
    region = Dataset()
    region.RegionSpatialFormat = 1  # 2-D
    region.RegionDataType = 1  # tissue
    region.RegionFlags = 0
    region.RegionLocationMinX0, region.RegionLocationMinY0 = x, y
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = x + width - 1, y + height - 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3  # cm
    region.PhysicalDeltaX, region.PhysicalDeltaY = (spacing / 10.0 for spacing in spacing_mm)
    region.ReferencePixelX0 = region.ReferencePixelY0 = 0
    region.ReferencePixelPhysicalValueX = region.ReferencePixelPhysicalValueY = 0.0
    return region
