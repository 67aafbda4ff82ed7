"""Copies of a recording's frames with everything but the picture blanked, one frame at a time.

The copies are lossless: what stays is exactly what was decoded from the original.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import JPEGLSLossless

from usguide.ingest.dicom_frames import ITEM, SEQUENCE_END
from usguide.ingest.fan import fan_mask
from usguide.ingest.recording import Picture
from usguide.ingest.video import quarter_turns
from usguide.model import Bools, Region

_FAN_MARGIN_PX = 4
"""Kept around a fitted fan, whose edge is known to a few pixels."""
_BLACK_LIMITED, _BLACK_FULL, _NO_COLOUR = 16, 0, 128
"""Black of limited-range and full-range luma, and grey chroma (ITU-R BT.601-7)."""
_PLANAR = frozenset({"yuv420p", "yuv422p", "yuv444p"})
_UNTIMED = Fraction(1, 25)
"""Seconds between frames of a video without usable time stamps: a container needs some."""

Told = Callable[[int], None]
"""Called with the number of frames written."""


def shown_area(region: Region, height: int, width: int) -> Bools:
    """Where the picture is, bool of shape (height, width): its box, or the fan in it."""
    shown = np.zeros((height, width), dtype=np.bool_)
    inside = np.ones((region.height, region.width), dtype=np.uint8)
    if region.fan is not None:
        fan = fan_mask(region.fan, region.x, region.y, region.width, region.height)
        size = 2 * _FAN_MARGIN_PX + 1
        inside = np.asarray(
            cv2.dilate(fan.astype(np.uint8), np.ones((size, size), np.uint8)), dtype=np.uint8
        )
    shown[region.slices] = inside > 0
    return shown


def _blanked(picture: Picture, keep: Bools) -> NDArray[np.uint8]:
    """Grey (height, width) or RGB (height, width, 3) samples of a frame, black where not kept."""
    if picture.colours is None:
        return np.where(keep, picture.luma, 0).astype(np.uint8)
    return np.where(keep[:, :, None], picture.colours(), 0).astype(np.uint8)


# --- images -----------------------------------------------------------------------------------


def write_image(path: Path, picture: Picture, keep: Bools) -> None:
    """Write one frame as an image, in the lossless format that its suffix names.

    Black where ``keep``, bool of the frame's shape (height, width), is false.
    """
    Image.fromarray(_blanked(picture, keep)).save(path)


# --- DICOM ------------------------------------------------------------------------------------


def write_dicom(
    path: Path, header: Dataset, pictures: Iterable[Picture], keep: Bools, told: Told
) -> int:
    """Write frames behind a header as JPEG-LS, 8-bit grey or RGB; return how many.

    Parameters
    ----------
    path : Path
        Written to.
    header : Dataset
        Without anything about the pixels but ``NumberOfFrames``; completed here.
    pictures : iterable of Picture
    keep : ndarray of bool, shape (height, width)
        Everything else is blanked.
    told : callable
        Progress.
    """
    stream = iter(pictures)
    first = next(stream)
    colour = first.colours is not None
    _describe_pixels(header, keep.shape, colour=colour)
    with path.open("wb") as file:
        dcmwrite(file, header, enforce_file_format=True)
        return _append_pixels(file, _chain(first, stream), keep, header, told)


def _chain(first: Picture, others: Iterator[Picture]) -> Iterator[Picture]:
    yield first
    yield from others


def _describe_pixels(header: Dataset, shape: tuple[int, ...], *, colour: bool) -> None:
    header.SamplesPerPixel = 3 if colour else 1
    header.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        header.PlanarConfiguration = 0
    header.Rows, header.Columns = shape
    header.BitsAllocated = header.BitsStored = 8
    header.HighBit = 7
    header.PixelRepresentation = 0
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = header.SOPClassUID
    meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    meta.TransferSyntaxUID = JPEGLSLossless
    header.file_meta = meta
    header.preamble = b"\0" * 128


def _append_pixels(
    file: BinaryIO, pictures: Iterator[Picture], keep: Bools, header: Dataset, told: Told
) -> int:
    """Append the pixel data element (PS3.5 A.4), a fragment per frame, without holding them."""
    file.write(b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + ITEM + struct.pack("<L", 0))
    encoder = get_encoder(JPEGLSLossless)
    count = 0
    for picture in pictures:
        coded = bytes(
            encoder.encode(
                np.ascontiguousarray(_blanked(picture, keep)),
                rows=header.Rows,
                columns=header.Columns,
                samples_per_pixel=header.SamplesPerPixel,
                photometric_interpretation=header.PhotometricInterpretation,
                bits_allocated=8,
                bits_stored=8,
                pixel_representation=0,
                number_of_frames=1,
                planar_configuration=0,
            )
        )
        coded += b"\0" * (len(coded) % 2)
        file.write(ITEM + struct.pack("<L", len(coded)) + coded)
        count += 1
        told(count)
    file.write(SEQUENCE_END + struct.pack("<L", 0))
    return count


# --- video ------------------------------------------------------------------------------------


def write_video(
    path: Path, frames: Iterable[VideoFrame], keep: Bools, *, timed: bool, told: Told
) -> int:
    """Encode frames as lossless H.264 without any metadata; return how many.

    Parameters
    ----------
    path : Path
        Its suffix names the container.
    frames : iterable of VideoFrame
        As decoded, with their time stamps.
    keep : ndarray of bool, shape (height, width)
        Of frames as shown; the copy stores them turned as the original does, and says so.
    timed : bool
        Whether the time stamps are usable; otherwise frames are evenly spaced.
    told : callable
        Progress.
    """
    count = 0
    with av.open(str(path), "w") as container:
        stream: Any = None
        for count, frame in enumerate(frames, start=1):
            if stream is None:
                stream = container.add_stream("libx264", rate=25)
                layout = _layout(frame)
                keep = np.ascontiguousarray(np.rot90(keep, -quarter_turns(frame)))
                stream.height, stream.width = keep.shape
                stream.pix_fmt = layout
                if quarter_turns(frame):
                    stream.set_display_rotation(90 * quarter_turns(frame))
                # Quantiser 0 is lossless; without B-frames, times stay as they are.
                stream.options = {"qp": "0", "preset": "veryfast", "bf": "0"}
                base = frame.time_base if timed and frame.time_base else _UNTIMED
                context = stream.codec_context
                context.time_base = base
                context.color_range = (
                    ColorRange.JPEG.value if _full_range(frame) else ColorRange.MPEG.value
                )
                context.colorspace = frame.colorspace
            copy = _blanked_video(frame, layout, keep)
            copy.pts, copy.time_base = (frame.pts if timed else count - 1), base
            for packet in stream.encode(copy):
                container.mux(packet)
            told(count)
        if stream is not None:
            for packet in stream.encode(None):
                container.mux(packet)
    return count


def _full_range(frame: VideoFrame) -> bool:
    name = frame.format.name
    return bool(name.startswith("yuvj") or frame.color_range == ColorRange.JPEG)


def _layout(frame: VideoFrame) -> str:
    """Pixel format of the copy: that of the original where it is planar and fits its size."""
    name = frame.format.name.replace("yuvj", "yuv").replace("nv12", "yuv420p")
    odd = frame.width % 2 or frame.height % 2
    return name if name in _PLANAR and not odd else "yuv444p"


def _blanked_video(frame: VideoFrame, layout: str, keep: Bools) -> VideoFrame:
    """Copy a frame, black where not kept; a chroma sample stays where all its pixels do."""
    full = _full_range(frame)
    if frame.format.name.replace("yuvj", "yuv") != layout:
        frame = frame.reformat(format=layout)
    copy = VideoFrame(frame.width, frame.height, layout)
    for index, (source, target) in enumerate(zip(frame.planes, copy.planes, strict=True)):
        samples = _rows(source)[:, : source.width]
        kept = keep
        if samples.shape != keep.shape:
            size = (samples.shape[1], samples.shape[0])
            kept = cv2.resize(keep.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.999
        black = _NO_COLOUR if index else _BLACK_FULL if full else _BLACK_LIMITED
        rows = np.full((target.height, target.line_size), black, dtype=np.uint8)
        rows[:, : target.width] = np.where(kept, samples, black)
        target.update(rows.tobytes())
    return copy


def _rows(plane: Any) -> NDArray[np.uint8]:
    return np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(plane.height, plane.line_size)
