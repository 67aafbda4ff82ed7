"""One small recording of every kind that usguide opens, to be damaged, and bombs to be refused."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import av
import cv2
import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from tests.ingest_files import region_item, speckle, write_dicom, write_video

_MAX_REAL_BYTES = 300_000
_REAL = (
    "JPGLosslessP14SV1_1s_1f_8b.dcm",
    "OBXXXX1A_rle.dcm",
    "US1_J2KI.dcm",
    "color-pl.dcm",
    "ExplVR_BigEnd.dcm",
    "examples_palette.dcm",
    "examples_ybr_color.dcm",
    "emri_small_jpeg_ls_lossless.dcm",
    "emri_small_RLE.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "SC_rgb_gdcm_KY.dcm",
    "image_dfl.dcm",
)
"""Real files of pydicom and pydicom-data whose codecs are not among the made ones."""
_SYNTAX = "1.2.840.10008.1.2"
_QUIET = {"x265-params": "log-level=none"}


def specimens(folder: Path) -> list[Path]:
    """Write the recordings to a folder and return them.

    Real files are among them where ``pydicom-data`` is installed; they are turned into ultrasound
    so that they are not refused for their modality.
    """
    return [*_dicom(folder), *_videos(folder), *_images(folder), *_real(folder)]


def _dicom(folder: Path) -> Iterator[Path]:
    grey = speckle(4, 24, 32)
    colour = np.stack([speckle(3, 24, 32, seed=s) for s in range(3)], axis=-1)
    # OpenJPEG halves the picture five times.
    larger = np.stack([speckle(3, 64, 64, seed=s) for s in range(3)], axis=-1)
    regions = [region_item((2, 2, 29, 21), (0.02, 0.02)), region_item((0, 0, 9, 9), (0.1, 0.1))]
    coded = [bytes(cv2.imencode(".jpg", frame)[1]) for frame in grey]
    plain = {"SequenceOfUltrasoundRegions": regions, "FrameTimeVector": [0, 40, 40, 40]}
    yield write_dicom(folder / "native.dcm", grey, **plain)
    yield write_dicom(folder / "colour.dcm", colour, FrameTime=40.0)
    yield write_dicom(
        folder / "pairs.dcm",
        colour,
        PhotometricInterpretation="YBR_FULL_422",
        pixel_bytes=colour[..., :2].tobytes(),
    )
    yield write_dicom(folder / "deep.dcm", grey.astype(np.uint16) << 4, BitsStored=12, HighBit=11)
    yield write_dicom(folder / "deflated.dcm", grey, transfer_syntax=f"{_SYNTAX}.1.99", **plain)
    bare = write_dicom(folder / "bare.dcm", grey, **plain)
    (folder / "IM0001").write_bytes(bare.read_bytes()[132:])
    yield from (bare, folder / "IM0001")
    palette = {
        f"{name}PaletteColorLookupTable{part}": value
        for name in ("Red", "Green", "Blue")
        for part, value in (
            ("Descriptor", [256, 0, 16]),
            ("Data", (np.arange(256, dtype=np.uint16) * 257).tobytes()),
        )
    }
    yield write_dicom(
        folder / "palette.dcm", grey, PhotometricInterpretation="PALETTE COLOR", **palette
    )
    for name, options in (
        ("jpeg", {"has_bot": True}),
        ("pieces", {"has_bot": False, "fragments_per_frame": 3}),
    ):
        yield write_dicom(
            folder / f"{name}.dcm",
            grey,
            transfer_syntax=f"{_SYNTAX}.4.50",
            pixel_bytes=encapsulate(coded, **options),
            **plain,
        )
    for name, syntax in (("rle", "5"), ("jpegls", "4.80"), ("jpeg2000", "4.90")):
        path = write_dicom(folder / f"{name}.dcm", larger, FrameTime=40.0)
        dataset = pydicom.dcmread(path)
        dataset.compress(f"{_SYNTAX}.{syntax}", generate_instance_uid=False)
        dataset.save_as(path)
        yield path
    for codec, suffix, syntax in (
        ("mpeg2video", "mpg", "4.100"),
        ("libx264", "mp4", "4.102"),
        ("libx265", "mp4", "4.107"),
    ):
        video = write_video(
            folder / f"inside.{suffix}", speckle(6, 64, 64), codec=codec, options=_QUIET
        )
        yield write_dicom(
            folder / f"{codec}.dcm",
            speckle(6, 64, 64),
            transfer_syntax=f"{_SYNTAX}.{syntax}",
            pixel_bytes=encapsulate([video.read_bytes()], has_bot=False),
            FrameTime=40.0,
        )
        video.unlink()


def _videos(folder: Path) -> Iterator[Path]:
    frames = speckle(8, 64, 64)
    for name, codec in (
        ("a.mp4", "libx264"),
        ("b.mov", "libx265"),
        ("c.mkv", "ffv1"),
        ("d.avi", "mpeg4"),
        ("e.mpg", "mpeg2video"),
        ("f.ts", "libx264"),
        ("g.webm", "libvpx"),
        ("h.wmv", "wmv2"),
        ("i.264", "libx264"),
    ):
        yield write_video(folder / name, frames, codec=codec, options=_QUIET)
    pictures = [Image.fromarray(frame) for frame in frames]
    pictures[0].save(folder / "j.gif", save_all=True, append_images=pictures[1:], duration=40)
    yield folder / "j.gif"


def _images(folder: Path) -> Iterator[Path]:
    grey = Image.fromarray(speckle(1, 48, 64)[0])
    colour = Image.merge("RGB", [grey, grey.rotate(180), grey])
    deep = Image.fromarray(speckle(1, 48, 64)[0].astype(np.uint16) * 257)
    for name, image, options in (
        ("a.png", colour, {}),
        ("b.png", deep, {}),
        ("c.png", colour.quantize(16), {}),
        ("d.jpg", colour, {}),
        ("e.jpg", colour, {"progressive": True}),
        ("f.tif", colour, {"compression": "tiff_lzw"}),
        ("g.tif", deep, {"compression": "tiff_deflate"}),
        ("h.tif", colour, {"compression": "jpeg"}),
        ("i.tif", grey, {}),
        ("j.bmp", colour, {}),
        ("k.webp", colour, {}),
        ("l.pgm", grey, {}),
    ):
        image.save(folder / f"image_{name}", **options)
        yield folder / f"image_{name}"


def _real(folder: Path) -> Iterator[Path]:
    for name in _REAL:
        source = get_testdata_file(name)
        if source is None or Path(str(source)).stat().st_size > _MAX_REAL_BYTES:
            continue
        path = folder / f"real_{name}"
        content = Path(str(source)).read_bytes()
        dataset = pydicom.dcmread(BytesIO(content), force=True)
        if dataset.get("Modality") != "US" and not dataset.file_meta.TransferSyntaxUID.is_deflated:
            dataset.Modality = "US"
            dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.3.1"
            dataset.save_as(path)
        else:
            path.write_bytes(content)
        yield path


# --- bombs ------------------------------------------------------------------------------------


def bombs(folder: Path) -> list[Path]:
    """Write small files that would fill any memory if their headers were believed."""
    return list(_bombs(folder))


def _bombs(folder: Path) -> Iterator[Path]:
    small = speckle(2, 24, 32)
    huge = {"Rows": 60000, "Columns": 60000, "NumberOfFrames": 10000}
    yield write_dicom(folder / "bomb_native.dcm", small, **huge)
    jpeg = bytes(cv2.imencode(".jpg", small[0])[1])
    for name, syntax in (("jpeg", "4.50"), ("rle", "5"), ("jpeg2000", "4.90"), ("h264", "4.102")):
        yield write_dicom(
            folder / f"bomb_{name}.dcm",
            small,
            transfer_syntax=f"{_SYNTAX}.{syntax}",
            pixel_bytes=encapsulate([jpeg], has_bot=False),
            **huge,
        )
    yield write_dicom(
        folder / "bomb_samples.dcm", small, SamplesPerPixel=65535, BitsAllocated=65528
    )
    yield _deflated_bomb(folder)
    for name, width, height in (("a", 60000, 60000), ("b", 2**31 - 1, 2**31 - 1)):
        (folder / f"bomb_{name}.png").write_bytes(_png(width, height))
    (folder / "bomb_text.png").write_bytes(_png(32, 24, text=_deflated_zeros(20, zlib.MAX_WBITS)))
    flat = bytearray(jpeg)
    at = flat.find(b"\xff\xc0")
    flat[at + 5 : at + 9] = struct.pack(">HH", 60000, 60000)
    (folder / "bomb.jpg").write_bytes(bytes(flat))
    (folder / "bomb.tif").write_bytes(_tiff(60000, 60000))
    (folder / "bomb.gif").write_bytes(
        b"GIF89a" + struct.pack("<HH", 65535, 65535) + bytes(3) + b";"
    )
    (folder / "bomb.bmp").write_bytes(
        b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHH", 40, 60000, 60000, 1, 24)
        + bytes(24)
    )  # fmt: skip
    (folder / "bomb.pgm").write_bytes(b"P5 60000 60000 255 \n" + bytes(100))
    for suffix in ("jpg", "tif", "gif", "bmp", "pgm"):
        yield folder / f"bomb.{suffix}"
    yield from sorted(folder.glob("bomb_*.png"))
    yield _large_video(folder)


def _deflated_bomb(folder: Path) -> Path:
    path = write_dicom(
        folder / "bomb_deflated.dcm", speckle(1, 24, 32), transfer_syntax=f"{_SYNTAX}.1.99"
    )
    content = path.read_bytes()
    start = 144 + int.from_bytes(content[140:144], "little")
    path.write_bytes(content[:start] + _deflated_zeros(70, -zlib.MAX_WBITS))
    return path


def _deflated_zeros(times_16_mb: int, window: int) -> bytes:
    """So many zeros, deflated; what follows a full flush refers to nothing before it."""
    deflater = zlib.compressobj(9, wbits=window)
    head = deflater.compress(b"") + deflater.flush(zlib.Z_FULL_FLUSH)
    piece = deflater.compress(bytes(1 << 24)) + deflater.flush(zlib.Z_FULL_FLUSH)
    return head + piece * times_16_mb + deflater.flush()


def _png(width: int, height: int, *, text: bytes = b"") -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    note = chunk(b"zTXt", b"Comment\0\0" + text) if text else b""
    rows = zlib.compress(bytes(10_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + head + note + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _tiff(width: int, height: int) -> bytes:
    entries = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1),
        (262, 3, 1, 1), (273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, 100),
    ]  # fmt: skip
    body = struct.pack("<H", len(entries))
    body += b"".join(struct.pack("<HHII", *entry) for entry in entries) + struct.pack("<I", 0)
    return b"II*\0" + struct.pack("<I", 108) + bytes(100) + body


def _large_video(folder: Path) -> Path:
    """Write a video whose pictures really are 8192 x 8192 px, of one grey, in a few kilobytes."""
    path = folder / "bomb.mkv"
    picture: NDArray[np.uint8] = np.full((8192, 8192), 60, np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width = stream.height = 8192
        stream.pix_fmt = "yuvj420p"
        frame = av.VideoFrame.from_ndarray(picture, format="gray").reformat(format="yuvj420p")
        for packet in [*stream.encode(frame), *stream.encode()]:
            container.mux(packet)
    return path
