"""Ways of damaging a recording: any byte, and the fields that decoders trust most.

Every way takes a random generator and the content, and returns new content; it never looks at
what the reader does, so that the same seed always makes the same files.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

Random = np.random.Generator
Way = Callable[[Random, bytes], bytes]

_TELLING = (0, 1, 2, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 60000)
_TELLING_WIDE = (0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFE, 0xFFFFFFFF, 1_000_000_000)
_HEAD = 600
"""Bytes at the start that hold most of what a reader believes."""


# --- any file ---------------------------------------------------------------------------------


def flip_bits(random: Random, content: bytes) -> bytes:
    """Flip one to thirty bits anywhere."""
    data = bytearray(content)
    for _ in range(random.integers(1, 31)):
        data[random.integers(len(data))] ^= 1 << random.integers(8)
    return bytes(data)


def noise_in_head(random: Random, content: bytes) -> bytes:
    """Overwrite a few bytes near the start."""
    data = bytearray(content)
    for _ in range(random.integers(1, 9)):
        data[random.integers(min(len(data), _HEAD))] = random.integers(256)
    return bytes(data)


def telling_number(random: Random, content: bytes) -> bytes:
    """Write a number at the edge of its type over a length, a count or an offset."""
    data = bytearray(content)
    end = len(data) if random.random() < 0.5 else min(len(data), _HEAD)
    for _ in range(random.integers(1, 4)):
        form = str(random.choice(["<H", ">H", "<I", ">I"]))
        wide = form.endswith("I")
        value = int(random.choice(_TELLING_WIDE if wide else _TELLING))
        at = int(random.integers(max(1, end - 4)))
        data[at : at + struct.calcsize(form)] = struct.pack(form, value)
    return bytes(data)


def cut(random: Random, content: bytes) -> bytes:
    """Cut the end off."""
    return content[: int(random.integers(1, len(content)))]


def lose_piece(random: Random, content: bytes) -> bytes:
    """Take a piece out of the middle."""
    start = int(random.integers(len(content)))
    return content[:start] + content[start + int(random.integers(1, 2000)) :]


def repeat_piece(random: Random, content: bytes) -> bytes:
    """Repeat a piece, up to two hundred times."""
    start = int(random.integers(len(content)))
    piece = content[start : start + int(random.integers(1, 300))]
    return content[:start] + piece * int(random.integers(2, 200)) + content[start:]


def zero_piece(random: Random, content: bytes) -> bytes:
    """Zero a piece, as a bad sector does."""
    start = int(random.integers(len(content)))
    length = min(int(random.integers(1, 1024)), len(content) - start)
    return content[:start] + bytes(length) + content[start + length :]


def exchange_pieces(random: Random, content: bytes) -> bytes:
    """Put two pieces of the same length in each other's place."""
    if len(content) < 8:
        return content
    length = int(random.integers(1, max(2, len(content) // 4)))
    first, second = sorted(int(p) for p in random.integers(0, len(content) - length, 2))
    if second < first + length:
        return content
    return (
        content[:first]
        + content[second : second + length]
        + content[first + length : second]
        + content[first : first + length]
        + content[second + length :]
    )


ANY: tuple[Way, ...] = (
    flip_bits,
    noise_in_head,
    telling_number,
    cut,
    lose_piece,
    repeat_piece,
    zero_piece,
    exchange_pieces,
)


# --- DICOM ------------------------------------------------------------------------------------

_ODD_VALUES: dict[str, tuple[str, tuple[object, ...]]] = {
    "Rows": ("US", (0, 1, 23, 25, 4000, 60000, 65535)),
    "Columns": ("US", (0, 1, 31, 33, 4000, 60000, 65535)),
    "NumberOfFrames": ("IS", ("0", "-1", "1", "7", "10000", "2147483647", "")),
    "SamplesPerPixel": ("US", (0, 1, 2, 3, 4, 65535)),
    "BitsAllocated": ("US", (0, 1, 7, 8, 12, 16, 32, 64, 65535)),
    "BitsStored": ("US", (0, 1, 7, 8, 12, 16, 40, 65535)),
    "HighBit": ("US", (0, 7, 15, 65535)),
    "PixelRepresentation": ("US", (0, 1, 2, 65535)),
    "PlanarConfiguration": ("US", (0, 1, 2, 65535)),
    "PhotometricInterpretation": (
        "CS",
        ("", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "PALETTE COLOR", "MONOCHROME1", "X"),
    ),
    "FrameTime": ("DS", ("0", "-1", "1e300", "nan", "inf", "40", "")),
    "FrameTimeVector": ("DS", (["0"], ["0", "-1", "1"], ["nan"] * 3, ["1e308"] * 8, "")),
    "CineRate": ("IS", ("0", "-1", "2147483647", "")),
    "FrameIncrementPointer": ("AT", (0x00181063, 0x00181065, 0x7FE00010, 0)),
    "WindowCenter": ("DS", ("0", "1e308", "-1e308", "nan", "")),
    "WindowWidth": ("DS", ("0", "1", "1e-300", "1e308", "")),
    "RescaleSlope": ("DS", ("0", "1e308", "nan")),
    "RedPaletteColorLookupTableDescriptor": ("US", ([0, 0, 8], [65535, 0, 16], [1, 65535, 99], 1)),
    "RedPaletteColorLookupTableData": ("OW", (b"", b"\0\1", b"\xff" * 4096)),
    "Modality": ("CS", ("", "CT", "US", "OT")),
    "SOPClassUID": (
        "UI",
        ("", "1.2", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.6"),
    ),
    "SpecificCharacterSet": ("CS", ("", "X", "ISO 2022 IR 87", ["ISO_IR 6", "nonsense"])),
}
_REGION_VALUES = (0, 1, 3, -1, 65535, 2**31 - 1, 1e308, float("nan"), float("inf"), 0.02)
_SYNTAXES = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2",
    *(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70, 80, 81, 90, 91, 100, 102, 107, 201)),
    "1.2.840.10008.1.2.5",
    "1.2.3.4",
    "",
)


def odd_element(random: Random, content: bytes) -> bytes:
    """Give one to three elements of the header a value that they should not have."""
    dataset = _dataset(content)
    if dataset is None:
        return flip_bits(random, content)
    for _ in range(random.integers(1, 4)):
        keyword = str(random.choice(list(_ODD_VALUES)))
        vr, values = _ODD_VALUES[keyword]
        value = values[random.integers(len(values))]
        dataset[keyword] = DataElement(keyword, vr, value)
    return _written(dataset, content)


def lost_element(random: Random, content: bytes) -> bytes:
    """Take elements out of the header."""
    dataset = _dataset(content)
    if dataset is None:
        return lose_piece(random, content)
    tags = list(dataset.keys())
    for index in random.choice(len(tags), size=min(len(tags), 3), replace=False):
        del dataset[tags[index]]
    return _written(dataset, content)


def other_syntax(random: Random, content: bytes) -> bytes:
    """Claim another transfer syntax, without storing anything otherwise."""
    at = content.find(b"\x02\x00\x10\x00UI")
    if at < 0:
        return flip_bits(random, content)
    length = struct.unpack("<H", content[at + 6 : at + 8])[0]
    value = str(random.choice(_SYNTAXES)).encode().ljust(length, b"\0")[:length]
    return content[: at + 8] + value + content[at + 8 + length :]


def odd_region(random: Random, content: bytes) -> bytes:
    """Give the ultrasound regions odd values, repeat them, or nest them deeply."""
    dataset = _dataset(content)
    if dataset is None:
        return flip_bits(random, content)
    region = Dataset()
    for keyword in ("RegionSpatialFormat", "RegionDataType"):
        setattr(region, keyword, int(random.integers(0, 5)))
    for keyword in ("PhysicalUnitsXDirection", "PhysicalUnitsYDirection"):
        setattr(region, keyword, int(random.choice([0, 3, 3, 4])))
    for keyword in ("MinX0", "MinY0", "MaxX1", "MaxY1"):
        value = int(random.choice([0, 1, 10, 30, 2**31, 2**32 - 1]))
        region[f"RegionLocation{keyword}"] = DataElement(f"RegionLocation{keyword}", "UL", value)
    for keyword in ("PhysicalDeltaX", "PhysicalDeltaY"):
        setattr(region, keyword, float(random.choice(_REGION_VALUES)))
    for _ in range(int(random.choice([0, 0, 3, 60]))):
        outer = Dataset()
        outer.SequenceOfUltrasoundRegions = Sequence([region])
        region = outer
    dataset.SequenceOfUltrasoundRegions = Sequence([region] * int(random.choice([1, 2, 50])))
    return _written(dataset, content)


def odd_fragment(random: Random, content: bytes) -> bytes:
    """Change the length of a fragment, or damage the code stream right behind its start."""
    data = bytearray(content)
    items = _places(content, b"\xfe\xff\x00\xe0")
    if not items:
        return telling_number(random, content)
    at = items[random.integers(len(items))]
    if random.random() < 0.5:
        length = int(random.choice([0, 1, 3, 100, 0x7FFFFFFE, 0xFFFFFFFF]))
        data[at + 4 : at + 8] = struct.pack("<I", length)
    else:
        for _ in range(random.integers(1, 6)):
            data[min(len(data) - 1, at + 8 + int(random.integers(80)))] = random.integers(256)
    return bytes(data)


def _dataset(content: bytes) -> pydicom.FileDataset | None:
    try:
        dataset = pydicom.dcmread(BytesIO(content), force=True)
        return dataset if len(dataset) else None
    except Exception:  # noqa: BLE001  damaged before: the caller damages it otherwise
        return None


def _written(dataset: pydicom.FileDataset, otherwise: bytes) -> bytes:
    buffer = BytesIO()
    try:
        dataset.save_as(buffer, enforce_file_format=False)
    except Exception:  # noqa: BLE001  pydicom will not write this: leave it as it was
        return otherwise
    return buffer.getvalue()


DICOM: tuple[Way, ...] = (odd_element, lost_element, other_syntax, odd_region, odd_fragment)


# --- images and videos ------------------------------------------------------------------------

_JPEG_MARKERS = (b"\xff\xc0", b"\xff\xc2", b"\xff\xc4", b"\xff\xdb", b"\xff\xda", b"\xff\xe1")
_BOXES = (
    *(b"moov", b"tkhd", b"mdhd", b"hdlr", b"stsd", b"avc1", b"avcC", b"stts", b"stsc", b"stsz"),
    *(b"stco", b"stss", b"ctts", b"elst", b"mdat", b"ftyp"),  # MP4
    *(b"avih", b"strh", b"strf", b"idx1", b"movi", b"RIFF"),  # AVI
    *(b"\x1a\x45\xdf\xa3", b"\x16\x54\xae\x6b", b"\x1f\x43\xb6\x75"),  # Matroska
    *(b"\x00\x00\x01\xb3", b"\x00\x00\x01\xba", b"\x00\x00\x00\x01"),  # MPEG, H.264
    *(b"GIF89a", b"\x2c\x00\x00"),
)


def odd_field(random: Random, content: bytes) -> bytes:
    """Overwrite a field that follows the name of a box, a chunk or a marker."""
    names = [*_BOXES, *_JPEG_MARKERS]
    places = [place for name in names for place in _places(content, name)]
    if not places:
        return telling_number(random, content)
    data = bytearray(content)
    at = places[random.integers(len(places))]
    if random.random() < 0.3:  # the size of a box stands before its name
        data[max(0, at - 4) : at] = struct.pack(">I", int(random.choice(_TELLING_WIDE)))[
            : min(4, at)
        ]
        return bytes(data)
    at += int(random.integers(2, 60))
    if random.random() < 0.5:
        data[at : at + 4] = struct.pack(">I", int(random.choice((*_TELLING, *_TELLING_WIDE))))
    else:
        data[at : at + 1] = bytes([random.integers(256)])
    return bytes(data)


def odd_png_chunk(random: Random, content: bytes) -> bytes:
    """Change a chunk of a PNG and make its checksum right again."""
    if not content.startswith(b"\x89PNG"):
        return odd_field(random, content)
    out, position = bytearray(content[:8]), 8
    chunks = []
    while position + 12 <= len(content):
        length = struct.unpack(">I", content[position : position + 4])[0]
        kind = content[position + 4 : position + 8]
        chunks.append((kind, bytearray(content[position + 8 : position + 8 + length])))
        position += 12 + length
    if not chunks:
        return content
    kind, body = chunks[random.integers(len(chunks))]
    if body:
        at = int(random.integers(len(body)))
        if kind == b"IHDR" and random.random() < 0.7:
            at = int(random.choice([0, 4]))
            body[at : at + 4] = struct.pack(">I", int(random.choice([0, 1, 9, 60000, 2**31 - 1])))
        else:
            body[at] = random.integers(256)
    for name, body in chunks:
        check = zlib.crc32(name + bytes(body))
        out += struct.pack(">I", len(body)) + name + bytes(body) + struct.pack(">I", check)
    return bytes(out)


def _places(content: bytes, name: bytes) -> list[int]:
    found, at = [], content.find(name)
    while at >= 0 and len(found) < 200:
        found.append(at)
        at = content.find(name, at + 1)
    return found


PICTURES: tuple[Way, ...] = (odd_field, odd_field, odd_png_chunk)


def mutate(random: Random, name: str, content: bytes) -> bytes:
    """Damage a recording in one to three ways that fit its kind."""
    fitting = DICOM if name.endswith(".dcm") or "." not in name else PICTURES
    for _ in range(random.integers(1, 4)):
        ways = fitting if random.random() < 0.6 else ANY
        content = ways[random.integers(len(ways))](random, content) or b"\0"
    return content
