"""Writers of small recordings for the ingest tests; nothing here is read by the package."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

US_MULTIFRAME = "1.2.840.10008.5.1.4.1.1.3.1"


def speckle(frames: int, height: int, width: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """Noise that differs from frame to frame, shape (frames, height, width)."""
    random = np.random.default_rng(seed)
    return random.integers(20, 200, size=(frames, height, width), dtype=np.uint8)


def region_item(
    box: tuple[int, int, int, int], delta_cm: tuple[float, float], **other: Any
) -> Dataset:
    item = Dataset()
    item.RegionSpatialFormat = 1
    item.RegionDataType = 1
    item.RegionFlags = 2
    item.RegionLocationMinX0, item.RegionLocationMinY0 = box[0], box[1]
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = box[2], box[3]
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX, item.PhysicalDeltaY = delta_cm
    for keyword, value in other.items():
        setattr(item, keyword, value)
    return item


def write_dicom(path: Path, frames: NDArray[np.generic], **elements: Any) -> Path:
    """Write native pixel data; ``frames`` is (n, height, width) or (n, height, width, 3).

    An element given as None is removed.
    """
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = elements.pop("transfer_syntax", ExplicitVRLittleEndian)
    meta.MediaStorageSOPClassUID = US_MULTIFRAME
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["usguide"])
    preamble = elements.pop("preamble", b"\0" * 128)
    ds = FileDataset(str(path), {}, file_meta=meta, preamble=preamble)
    ds.SOPClassUID = US_MULTIFRAME
    ds.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    ds.Modality = "US"
    ds.NumberOfFrames = frames.shape[0]
    ds.Rows, ds.Columns = frames.shape[1:3]
    ds.SamplesPerPixel = 3 if frames.ndim == 4 else 1
    ds.PhotometricInterpretation = "RGB" if frames.ndim == 4 else "MONOCHROME2"
    if frames.ndim == 4:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated = ds.BitsStored = 8 * frames.dtype.itemsize
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = 0
    pixels = elements.pop("pixel_bytes", frames.tobytes())
    for keyword, value in elements.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    ds.PixelData = pixels + b"\0" * (len(pixels) % 2)
    ds["PixelData"].VR = "OW" if ds.BitsAllocated > 8 else "OB"
    if ds.file_meta.TransferSyntaxUID.is_encapsulated:
        ds["PixelData"].is_undefined_length = True
    ds.save_as(path, enforce_file_format=True)
    return path


def write_video(
    path: Path,
    frames: NDArray[np.uint8] | Any,
    *,
    fps: int = 25,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    pts: list[int] | None = None,
    turned_deg: int = 0,
    pixel_ratio: Fraction = Fraction(1),
) -> Path:
    """Encode grey frames, an array (n, height, width) or an iterable of (height, width).

    Players are told to turn them anticlockwise by ``turned_deg``, and how much wider than high
    their pixels are.
    """
    with av.open(str(path), "w") as container:
        stream: Any = None
        for index, grey in enumerate(frames):
            if stream is None:
                stream = container.add_stream(codec, rate=fps)
                stream.height, stream.width = grey.shape
                stream.pix_fmt = "yuv420p"
                stream.codec_context.sample_aspect_ratio = pixel_ratio
                if turned_deg:
                    stream.set_display_rotation(turned_deg)
                stream.options = options or {"preset": "ultrafast", "crf": "10"}
            # Limited-range luma straight into the plane, so that the values are known.
            frame = av.VideoFrame(grey.shape[1], grey.shape[0], "yuv420p")
            grey_chroma = np.full(
                ((grey.shape[0] + 1) // 2, (grey.shape[1] + 1) // 2), 128, np.uint8
            )
            for plane, values in zip(frame.planes, (grey, grey_chroma, grey_chroma), strict=True):
                rows = np.zeros((plane.height, plane.line_size), np.uint8)
                rows[:, : plane.width] = values
                plane.update(rows.tobytes())
            if pts is not None:
                frame.pts = pts[index]
            for packet in stream.encode(frame):
                container.mux(packet)
        if stream is not None:
            for packet in stream.encode():
                container.mux(packet)
    return path


def write_sound(path: Path) -> Path:
    """Half a second of silence, without any picture."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 22050), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 44100
        for packet in [*stream.encode(frame), *stream.encode()]:
            container.mux(packet)
    return path
