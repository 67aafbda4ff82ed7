"""DICOM: every transfer syntax gives the picture that was stored in it."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path

import cv2
import gdcm
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from ingest_files import speckle, write_dicom, write_video
from usguide import UnreadableError, open_clip
from usguide.ingest.dicom import read_dicom
from usguide.ingest.luma import LIMITED_TO_FULL, luma_of_rgb
from usguide.model import TimingSource

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

SYNTAX = "1.2.840.10008.1.2"
SMOOTH: NDArray[np.uint8] = np.add.outer(3 * np.arange(24), 5 * np.arange(32)).astype(np.uint8)
HTJ2K = b64decode(
    """
    /0//UQApQAAAAAAgAAAAGAAAAAAAAAAAAAAAIAAAABgAAAAAAAAAAAABBwEB/1AACAACAAAAAv9SAAwAAgABAAUEBEAB
    /1wAEyBIUFBQUFBQUFBQUFBQSEhI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAIcAAf+TwCXxAId0AMAS
    wBKAtgEHdADmAId0AMATQBGAmvYAgnQABjMAwBUQBUCMsaACMAJ2AFpr/cHJvrUAwBVQBVhERETngKenwncATJIk+hJ7
    9knsuADAK+AWkAAAAADw+f6np6enp0J6AAQAAAD+/3GFe/de/de/dey9AP/Z
    """
)
"""``SMOOTH`` as OpenJPH encodes it, lossless: no encoder of it is installed with the tests."""


def frames_of(path: Path) -> NDArray[np.uint8]:
    return np.array([picture.luma for picture in read_dicom(path, "").pictures()])


def colours_of(path: Path) -> NDArray[np.uint8]:
    seen = [picture.colours for picture in read_dicom(path, "").pictures()]
    return np.array([colours() for colours in seen if colours is not None])


def coloured(frames: int = 2, size: int = 64) -> NDArray[np.uint8]:
    return np.stack([speckle(frames, size, size, seed=s) for s in range(3)], axis=-1)


def compressed(path: Path, stored: NDArray[np.generic], syntax: str, **elements: object) -> Path:
    write_dicom(path, stored, **elements)
    dataset = pydicom.dcmread(path)
    dataset.compress(f"{SYNTAX}.{syntax}", generate_instance_uid=False)
    dataset.save_as(path)
    return path


LOSSLESS = {"5": "RLE", "4.80": "JPEG-LS", "4.90": "JPEG 2000"}


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_lossless_grey(tmp_path: Path, syntax: str) -> None:
    stored = speckle(3, 64, 72)
    np.testing.assert_array_equal(frames_of(compressed(tmp_path / "a", stored, syntax)), stored)


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_lossless_colours(tmp_path: Path, syntax: str) -> None:
    stored = coloured()
    path = compressed(tmp_path / "a", stored, syntax)
    np.testing.assert_array_equal(colours_of(path), stored)
    np.testing.assert_array_equal(frames_of(path), [luma_of_rgb(frame) for frame in stored])


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_lossless_twelve_bits(tmp_path: Path, syntax: str) -> None:
    stored = speckle(2, 64, 72).astype(np.uint16) * 16 + 7
    path = compressed(tmp_path / "a", stored, syntax, BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(frames_of(path), stored >> 4)


@pytest.mark.parametrize(
    ("syntax", "name"), [("4.57", "JPEGLosslessProcess14"), ("4.70", "JPEGLosslessProcess14_1")]
)
def test_jpeg_lossless(tmp_path: Path, syntax: str, name: str) -> None:
    stored = speckle(2, 64, 72)
    reader = gdcm.ImageReader()
    reader.SetFileName(str(write_dicom(tmp_path / "a.dcm", stored)))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, name)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.SetFileName(str(tmp_path / "b.dcm"))
    assert writer.Write()
    assert pydicom.dcmread(tmp_path / "b.dcm").file_meta.TransferSyntaxUID == f"{SYNTAX}.{syntax}"
    np.testing.assert_array_equal(frames_of(tmp_path / "b.dcm"), stored)


@pytest.mark.parametrize("syntax", ["4.201", "4.202", "4.203"])
def test_high_throughput_jpeg_2000(tmp_path: Path, syntax: str) -> None:
    path = write_dicom(
        tmp_path / "a.dcm",
        np.stack([SMOOTH, SMOOTH]),
        transfer_syntax=f"{SYNTAX}.{syntax}",
        pixel_bytes=encapsulate([HTJ2K, HTJ2K]),
    )
    np.testing.assert_array_equal(frames_of(path), [SMOOTH, SMOOTH])


@pytest.mark.parametrize(
    ("syntax", "progressive"), [("4.50", 0), ("4.51", 0), ("4.53", 1), ("4.55", 1)]
)
def test_eight_bit_jpeg_of_any_process(tmp_path: Path, syntax: str, progressive: int) -> None:
    coded = cv2.imencode(".jpg", SMOOTH, [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])[1]
    path = write_dicom(
        tmp_path / "a.dcm",
        SMOOTH[None],
        transfer_syntax=f"{SYNTAX}.{syntax}",
        pixel_bytes=encapsulate([bytes(coded)]),
    )
    assert np.abs(frames_of(path)[0].astype(int) - SMOOTH).max() <= 12


def test_twelve_bit_jpeg_is_refused_with_the_reason(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(get_testdata_file("JPGExtended.dcm"))
    dataset.Modality, dataset.SOPClassUID = "US", "1.2.840.10008.5.1.4.1.1.6.1"
    dataset.save_as(tmp_path / "a.dcm")
    with pytest.raises(
        UnreadableError, match="does not support 'JPEG Extended' for samples with 12"
    ):
        open_clip(tmp_path / "a.dcm")


def test_big_endian(tmp_path: Path) -> None:
    deep = speckle(2, 24, 32).astype(np.uint16) * 16
    path = write_dicom(tmp_path / "a.dcm", deep, BitsStored=12, HighBit=11)
    little = pydicom.dcmread(path)
    big = Dataset()
    for element in little:  # a dataset that was read will not be written the other way round
        big.add(element)
    big.file_meta = little.file_meta
    big.file_meta.TransferSyntaxUID = f"{SYNTAX}.2"
    big.PixelData = deep.astype(">u2").tobytes()
    big.save_as(path, enforce_file_format=True)
    np.testing.assert_array_equal(frames_of(path), deep >> 4)


@pytest.mark.parametrize("bits", [8, 16])
def test_palette_of_eight_and_of_sixteen_bit_entries(tmp_path: Path, bits: int) -> None:
    ramp = np.arange(256)
    # Red rises, green falls, blue stays.
    entries = [ramp, 255 - ramp, np.full(256, 90)]
    shift, kind = (8, "<u2") if bits == 16 else (0, np.uint8)
    table = {
        f"{name}PaletteColorLookupTable{part}": value
        for name, column in zip(("Red", "Green", "Blue"), entries, strict=True)
        for part, value in (
            ("Descriptor", [256, 0, bits]),
            ("Data", (column << shift).astype(kind).tobytes()),
        )
    }
    stored = speckle(2, 24, 32)
    path = write_dicom(
        tmp_path / "a.dcm", stored, PhotometricInterpretation="PALETTE COLOR", **table
    )
    expected = np.stack([column[stored] for column in entries], axis=-1).astype(np.uint8)
    np.testing.assert_array_equal(colours_of(path), expected)
    np.testing.assert_array_equal(frames_of(path), [luma_of_rgb(frame) for frame in expected])


@pytest.mark.parametrize(
    "sop_class", ["6", "3", "7", "7.2", "7.4"], ids=lambda tail: f"1.2.840.10008.5.1.4.1.1.{tail}"
)
def test_retired_classes_and_secondary_captures(tmp_path: Path, sop_class: str) -> None:
    stored = speckle(2, 24, 32)
    path = write_dicom(
        tmp_path / "a.dcm", stored, SOPClassUID=f"1.2.840.10008.5.1.4.1.1.{sop_class}"
    )
    np.testing.assert_array_equal(frames_of(path), stored)


# --- video inside DICOM ------------------------------------------------------------------------

VIDEOS = [
    ("4.100", "mpeg2video", "m2v"),
    ("4.100", "mpeg2video", "mpg"),
    ("4.102", "libx264", "264"),
    ("4.102", "libx264", "mp4"),
    ("4.103", "libx264", "ts"),
    ("4.107", "libx265", "h265"),
    ("4.107", "libx265", "mp4"),
    ("4.108", "libx265", "ts"),
]


def steps(frames: int = 8) -> NDArray[np.uint8]:
    """Textured frames, each of another brightness, which no codec mixes up."""
    levels = np.linspace(40, 200, frames).astype(np.uint8)
    return levels[:, None, None] + speckle(frames, 64, 80) // 8


def assert_like(shown: list[NDArray[np.uint8]], positions: NDArray[np.int64]) -> None:
    """The rows of every frame are as bright as those of the one that was stored."""
    stored = LIMITED_TO_FULL[steps()[positions]]
    assert len(shown) == len(stored)
    for frame, expected in zip(shown, stored, strict=True):
        np.testing.assert_allclose(frame.mean(axis=1), expected.mean(axis=1), atol=6)


def write_video_inside(
    folder: Path, syntax: str, codec: str, suffix: str, pieces: int = 1, **elements: object
) -> Path:
    # Without B frames, of which the last ones would be shown before what was cut off.
    options = {"bf": "0", "x265-params": "log-level=none:bframes=0"}
    stream = write_video(folder / f"a.{suffix}", steps(), codec=codec, options=options).read_bytes()
    size = -(-len(stream) // pieces)
    size += size % 2  # items are of even length
    parts = [stream[at : at + size] for at in range(0, len(stream), size)]
    return write_dicom(
        folder / "a.dcm",
        steps(),
        transfer_syntax=f"{SYNTAX}.{syntax}",
        pixel_bytes=encapsulate(parts, has_bot=False),
        **elements,
    )


@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize(("syntax", "codec", "suffix"), VIDEOS)
def test_every_frame_of_a_video_inside(
    tmp_path: Path, syntax: str, codec: str, suffix: str, pieces: int
) -> None:
    path = write_video_inside(tmp_path, syntax, codec, suffix, pieces, FrameTime=40.0)
    clip = open_clip(path)
    assert clip.header.frames == 8
    assert clip.header.timing.source is TimingSource.FRAME_TIME
    assert_like([picture.luma for picture in read_dicom(path, "").pictures()], np.arange(8))


def test_a_bare_stream_without_times_is_given_none(tmp_path: Path) -> None:
    # FFmpeg calls every such stream 25 frames a second.
    path = write_video_inside(tmp_path, "4.102", "libx264", "264")
    timing = open_clip(path).header.timing
    assert timing.source is TimingSource.NONE
    assert timing.time_s is None


def test_a_container_inside_has_its_own_times(tmp_path: Path) -> None:
    path = write_video_inside(tmp_path, "4.102", "libx264", "mp4")
    timing = open_clip(path).header.timing
    assert timing.source is TimingSource.CONTAINER
    np.testing.assert_allclose(timing.time_s, np.arange(8) / 25, atol=1e-3)


@pytest.mark.parametrize(
    ("syntax", "codec", "suffix"), [video for video in VIDEOS if video[2] not in ("mp4", "mpg")]
)
def test_a_video_inside_that_was_cut_short_keeps_its_whole_frames(
    tmp_path: Path, syntax: str, codec: str, suffix: str
) -> None:
    path = write_video_inside(tmp_path, syntax, codec, suffix, FrameTime=40.0)
    content = path.read_bytes()
    stream = len((tmp_path / f"a.{suffix}").read_bytes())
    path.write_bytes(content[: len(content) - stream // 7])
    header = open_clip(path).header
    assert 2 <= header.frames < 8
    assert any(f"{header.frames} of the 8 frames" in warning for warning in header.warnings)
    shown = [picture.luma for picture in read_dicom(path, "").pictures()]
    assert_like(shown, header.frame_numbers)


def test_an_mp4_inside_that_was_cut_before_its_index_is_refused(tmp_path: Path) -> None:
    path = write_video_inside(tmp_path, "4.102", "libx264", "mp4")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * 0.7)])
    with pytest.raises(UnreadableError, match="cut short"):
        open_clip(path)
