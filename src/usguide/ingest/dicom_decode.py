"""From the stored bytes of one DICOM frame to luma, whatever the codec and the colour space."""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import (
    JPEG2000,
    UID,
    JPEG2000Lossless,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from usguide.errors import UnreadableError
from usguide.ingest.dicom_frames import ITEM
from usguide.ingest.luma import luma_of_rgb, rgb_of_grey, rgb_of_ybr, to_8_bit
from usguide.model import Frame

_JPEG_8_BIT = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 52, 53, 54, 55, 56))
"""JPEG processes 1 to 13 without the lossless ones, most of them retired: where their samples have
8 bits, libjpeg decodes them all."""
_PLUGINS = {
    JPEGLSLossless: "gdcm",
    JPEGLSNearLossless: "gdcm",
    JPEG2000Lossless: "pylibjpeg",
    JPEG2000: "pylibjpeg",
}
"""Decoders that alone are used: of the others, one never comes back from some damaged frames of
JPEG-LS, and one ends the process at some of JPEG 2000."""
DECODING_ERRORS = (
    RuntimeError,
    ArithmeticError,
    ValueError,
    AttributeError,
    NotImplementedError,
    TypeError,
    KeyError,
    IndexError,
    struct.error,
    OSError,
    MemoryError,
    cv2.error,
)
"""What the decoders raise on a damaged frame; such a frame is left out and counted."""

Decoded = tuple[Frame, Callable[[], NDArray[np.uint8]] | None]
"""Luma of a frame and, where it has colours, a function giving them as RGB."""


def frame_decoder(
    path: Path, syntax: UID, options: dict[str, Any], dataset: Dataset
) -> Callable[[bytes], Decoded]:
    """Choose how to turn the bytes of one frame into luma.

    Parameters
    ----------
    path : Path
        For messages.
    syntax : UID
        Transfer syntax of the pixel data.
    options : dict
        Decoding options of pydicom for one frame.
    dataset : Dataset
        The header.

    Returns
    -------
    callable
        From the bytes of one frame to its luma and, for colour, a function giving its RGB; raises
        one of ``DECODING_ERRORS`` on a damaged frame.

    Raises
    ------
    UnreadableError
        If nothing here decodes this transfer syntax.
    """
    height, width = int(dataset.Rows), int(dataset.Columns)
    if syntax in _JPEG_8_BIT and int(dataset.BitsAllocated) == 8:
        return functools.partial(
            _decode_jpeg,
            shape=(height, width),
            photometric=str(dataset.PhotometricInterpretation),
        )
    if not syntax.is_encapsulated and _plain(dataset, syntax):
        return functools.partial(_view, shape=(height, width), dataset=dataset)
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise UnreadableError(
            f"{path}: its pixels are stored as {syntax.name or syntax}, which "
            "cannot be decoded; export it uncompressed or as JPEG 2000."
        ) from error

    plugin = _PLUGINS.get(syntax, "")

    def unpack(frame: bytes) -> tuple[NDArray[Any], str]:
        """Return the samples of a frame and their colour space."""
        if syntax.is_encapsulated:
            if syntax != RLELossless:
                _check_coded_size(frame, (height, width), int(dataset.SamplesPerPixel))
            frame = _encapsulate(frame)
        samples, meta = decoder.as_array(
            frame, index=0, raw=True, decoding_plugin=plugin, **options
        )
        if samples.shape[:2] != (height, width):
            raise ValueError(f"a frame of {samples.shape[1]} x {samples.shape[0]} px")
        return samples, str(meta["photometric_interpretation"])

    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        table = _palette(dataset)
        brightness = luma_of_rgb(table[None, :, :])[0]

        def look_up(frame: bytes) -> Decoded:
            indices = np.minimum(unpack(frame)[0], len(table) - 1)
            return brightness[indices], lambda: table[indices]

        return look_up
    return lambda frame: _finish(*unpack(frame), dataset)


def _plain(dataset: Dataset, syntax: UID) -> bool:
    """Whether the stored bytes are 8-bit samples in order, that need no decoding at all."""
    return (
        bool(syntax.is_little_endian)
        and dataset.BitsAllocated == dataset.BitsStored == 8
        and dataset.PixelRepresentation == 0
        and (dataset.SamplesPerPixel, dataset.PhotometricInterpretation)
        in {(1, "MONOCHROME1"), (1, "MONOCHROME2"), (3, "RGB"), (3, "YBR_FULL")}
    )


def _view(frame: bytes, shape: tuple[int, int], dataset: Dataset) -> Decoded:
    """Look at the stored bytes of a frame as samples."""
    samples = np.frombuffer(frame, dtype=np.uint8)
    if dataset.SamplesPerPixel == 1:
        samples = np.array(samples.reshape(shape))
    elif dataset.PlanarConfiguration == 1:
        samples = np.asarray(cv2.merge(list(samples.reshape(3, *shape))), dtype=np.uint8)
    else:
        samples = samples.reshape(*shape, 3)
    return _finish(samples, str(dataset.PhotometricInterpretation), dataset)


def _check_coded_size(frame: bytes, shape: tuple[int, int], samples: int | None = None) -> None:
    """Refuse a frame that would decode to another size, before anything is allocated for it.

    Where ``samples`` is given, also one of another number of components.
    """
    size = coded_size(frame)
    if size is not None and size[:2] != shape:
        raise ValueError(
            f"a frame of {size[1]} x {size[0]} px, not the {shape[1]} x {shape[0]} stated"
        )
    if size is not None and samples is not None and size[2] != samples:
        raise ValueError(f"a frame of {size[2]} components, not the {samples} stated")


def _encapsulate(frame: bytes) -> bytes:
    """Wrap one frame as PS3.5 A.4 does: an empty offset table, then the frame as one item."""
    padded = frame + b"\0" * (len(frame) % 2)
    return ITEM + struct.pack("<L", 0) + ITEM + struct.pack("<L", len(padded)) + padded


def _decode_jpeg(frame: bytes, shape: tuple[int, int], photometric: str) -> Decoded:
    """Decode 8-bit JPEG: libjpeg hands over the luma channel without converting it."""
    if not frame.rstrip(b"\0").endswith(b"\xff\xd9"):
        raise ValueError("a JPEG frame without its end")
    _check_coded_size(frame, shape)
    if photometric == "RGB" and _undeclared_colours(frame):
        # libjpeg would take it for YCbCr; the header says RGB and may be wrong: look.
        components = _as_stored(frame)
        if _looks_like_rgb(components):
            return luma_of_rgb(components), lambda: components
    data = np.frombuffer(frame, dtype=np.uint8)
    grey = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
    if grey is None:
        raise ValueError("a damaged JPEG frame")
    luma = np.asarray(grey, dtype=np.uint8)

    def colours() -> NDArray[np.uint8]:
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
        return rgb_of_grey(luma) if picture is None else np.asarray(picture, dtype=np.uint8)

    return luma, colours


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (marker, payload) of the segments of a JPEG or JPEG-LS image before its scan."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        length = struct.unpack(">H", data[position + 2 : position + 4])[0]
        yield marker, data[position + 4 : position + 2 + length]
        if marker == 0xDA:
            return
        position += 2 + length


def _is_start_of_frame(marker: int) -> bool:
    """C0 to CF but for three tables (T.81 B.1.1.3), and F7 for JPEG-LS (T.87 C.1.1)."""
    return marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC))


_CODE_STREAM = b"\xff\x4f\xff\x51"
"""SOC and SIZ, with which a JPEG 2000 code stream starts (T.800 A.4)."""
_JP2_BOXES = 4096
"""Length within which the boxes of a JP2 file before its code stream end, bytes."""


def coded_size(data: bytes) -> tuple[int, int, int] | None:
    """Return (height, width, components) that a JPEG, JPEG-LS or JPEG 2000 image says it has.

    None if it does not say.
    """
    # A JP2 file wraps the code stream in boxes, against PS3.5 A.4.4; some writers do.
    start = data.find(_CODE_STREAM, 0, _JP2_BOXES) if data[4:6] == b"jP" else 0
    if data[start : start + 4] == _CODE_STREAM and len(data) >= start + 42:
        right, bottom, left, top = struct.unpack(">4L", data[start + 8 : start + 24])
        return bottom - top, right - left, struct.unpack(">H", data[start + 40 : start + 42])[0]
    for marker, payload in _segments(data):
        if _is_start_of_frame(marker) and len(payload) >= 6:
            height, width, components = struct.unpack(">HHB", payload[1:6])
            return height, width, components
    return None


def _undeclared_colours(frame: bytes) -> bool:
    """Whether a JPEG image does not say if its components are RGB or YCbCr.

    It does where it bears a JFIF or an Adobe marker, and where components differ in resolution,
    as those of RGB never do.
    """
    for marker, payload in _segments(frame):
        if (marker == 0xE0 and payload[:4] == b"JFIF") or (
            marker == 0xEE and payload[:5] == b"Adobe"
        ):
            return False
        if _is_start_of_frame(marker):
            sampling = {payload[7 + 3 * i] for i in range(payload[5]) if 7 + 3 * i < len(payload)}
            return len(payload) > 5 and payload[5] == 3 and len(sampling) == 1
    return False


def _as_stored(frame: bytes) -> NDArray[np.uint8]:
    """Components of a JPEG image as they are, shape (height, width, 3)."""
    with Image.open(BytesIO(frame)) as image:
        image.draft("YCbCr", image.size)
        return np.array(image, dtype=np.uint8)


def _looks_like_rgb(components: NDArray[np.uint8]) -> bool:
    """Whether a mostly grey picture is so because its components agree, or because two are 128."""
    first, others = components[:, :, :1].astype(np.int16), components[:, :, 1:].astype(np.int16)
    return bool(np.abs(others - first).mean() < np.abs(others - 128).mean())


def _finish(samples: NDArray[Any], photometric: str, dataset: Dataset) -> Decoded:
    """Turn decoded samples, (height, width) or (height, width, 3), into luma."""
    bits = int(dataset.BitsStored)
    if samples.ndim == 2:
        luma = _grey(samples, dataset, bits)
        return (255 - luma if photometric == "MONOCHROME1" else luma), None
    colour = to_8_bit(samples, bits)
    if photometric.startswith("YBR"):
        return np.ascontiguousarray(colour[:, :, 0]), lambda: rgb_of_ybr(colour)
    return luma_of_rgb(colour), lambda: colour


def _grey(samples: NDArray[Any], dataset: Dataset, bits: int) -> Frame:
    """8-bit greys, through the display window where deeper data states one (PS3.3 C.11.2.1.2)."""
    centre, width = _first(dataset, "WindowCenter"), _first(dataset, "WindowWidth")
    if bits > 8 and centre is not None and width is not None and width > 1:
        slope = _first(dataset, "RescaleSlope") or 1.0
        values = samples.astype(np.float32) * slope + (_first(dataset, "RescaleIntercept") or 0.0)
        shown = ((values - (centre - 0.5)) / (width - 1.0) + 0.5) * 255.0
        return np.asarray(np.clip(shown + 0.5, 0, 255), dtype=np.uint8)
    if int(dataset.PixelRepresentation) == 1:
        samples = samples.astype(np.int32) + 2 ** (bits - 1)
    return to_8_bit(samples, bits)


def _first(dataset: Dataset, keyword: str) -> float | None:
    """First value of an element that may hold several numbers."""
    value = dataset.get(keyword)
    values = list(value) if isinstance(value, (list, tuple, MultiValue)) else [value]
    try:
        return float(values[0]) if values and values[0] is not None else None
    except (TypeError, ValueError):
        return None


def _palette(dataset: Dataset) -> NDArray[np.uint8]:
    """Colour of every stored value, uint8, shape (2 ** bits stored, 3)."""
    bits = min(int(dataset.BitsAllocated), 16)
    indices = np.arange(2**bits, dtype=np.uint16 if bits > 8 else np.uint8)
    table = np.asarray(apply_color_lut(indices[None, :], dataset))[0]
    depth = int(dataset.RedPaletteColorLookupTableDescriptor[2])
    if table.dtype == np.uint8 and depth == 8:
        return np.ascontiguousarray(table, dtype=np.uint8)
    if depth == 16 and int(table.max(initial=0)) <= 255:
        # 8-bit entries in a table declared as 16-bit: a known habit of old writers.
        return np.asarray(table, dtype=np.uint8)
    return to_8_bit(table, depth)
