"""DICOM: every way of storing a picture gives the same luma, and nothing is invented."""

from __future__ import annotations

import zlib
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import cv2
import deid_data
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate

from ingest_files import region_item, speckle, write_dicom, write_video
from usguide import ConfigError, NotUltrasoundError, UnreadableError, open_clip
from usguide.ingest.dicom import read_dicom
from usguide.model import CalibrationSource, SourceKind, TimingSource

pytestmark = [
    # pydicom reports what it repairs in files that are odd on purpose.
    pytest.mark.filterwarnings("ignore::UserWarning:pydicom"),
]

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
DEFLATED = "1.2.840.10008.1.2.1.99"
H264_IN_DICOM = "1.2.840.10008.1.2.4.102"


def frames_of(path: Path) -> list[NDArray[np.uint8]]:
    return [picture.luma for picture in read_dicom(path, "").pictures()]


def jpeg(luma: NDArray[np.uint8]) -> bytes:
    return bytes(cv2.imencode(".jpg", luma, [cv2.IMWRITE_JPEG_QUALITY, 95])[1])


def test_native_grey_cine_is_returned_as_stored(tmp_path: Path) -> None:
    stored = speckle(5, 60, 80)
    clip = open_clip(write_dicom(tmp_path / "a.dcm", stored, FrameTime=40.0))
    assert clip.header.kind is SourceKind.DICOM
    for _ in range(2):
        shown = list(clip.frames())
        assert [index for index, _ in shown] == [0, 1, 2, 3, 4]
        np.testing.assert_array_equal([frame for _, frame in shown], stored)
    np.testing.assert_array_equal(clip[3], stored[3])


@pytest.mark.parametrize("planar", [0, 1])
def test_colour_becomes_rec_601_luma(tmp_path: Path, planar: int) -> None:
    rgb = np.stack([speckle(2, 40, 50, seed=s) for s in range(3)], axis=-1)
    stored = rgb if planar == 0 else np.moveaxis(rgb, -1, 1)
    path = write_dicom(
        tmp_path / "a.dcm", rgb, PlanarConfiguration=planar, pixel_bytes=stored.tobytes()
    )
    expected = rgb @ np.array([0.299, 0.587, 0.114])
    assert np.abs(np.array(frames_of(path)) - expected).max() <= 1.0


def test_luma_of_ycbcr_is_taken_straight(tmp_path: Path) -> None:
    ybr = np.stack([speckle(2, 40, 50, seed=s) for s in range(3)], axis=-1)
    path = write_dicom(tmp_path / "a.dcm", ybr, PhotometricInterpretation="YBR_FULL")
    np.testing.assert_array_equal(frames_of(path), ybr[..., 0])


@pytest.mark.parametrize("dropped", [True, False])
def test_native_subsampled_ycbcr_whether_or_not_chroma_was_dropped(
    tmp_path: Path, dropped: bool
) -> None:
    ybr = np.stack([speckle(2, 40, 50, seed=s) for s in range(3)], axis=-1)
    if dropped:
        pairs = np.stack(
            [ybr[:, :, ::2, 0], ybr[:, :, 1::2, 0], ybr[:, :, ::2, 1], ybr[:, :, ::2, 2]], axis=-1
        )
        stored = pairs.tobytes()
    else:
        stored = ybr.tobytes()
    path = write_dicom(
        tmp_path / "a.dcm", ybr, PhotometricInterpretation="YBR_FULL_422", pixel_bytes=stored
    )
    np.testing.assert_array_equal(frames_of(path), ybr[..., 0])


def test_sixteen_bit_pixels_keep_their_order_and_range(tmp_path: Path) -> None:
    deep = np.linspace(0, 4095, 40 * 50).reshape(1, 40, 50).astype(np.uint16)
    luma = frames_of(write_dicom(tmp_path / "a.dcm", deep, BitsStored=12, HighBit=11))[0]
    assert luma.min() == 0
    assert luma.max() == 255
    assert (np.diff(luma.ravel().astype(int)) >= 0).all()


@pytest.mark.parametrize("rgb", [True, False])
def test_jpeg_labelled_rgb_that_does_not_say_what_it_is(tmp_path: Path, rgb: bool) -> None:
    grey = cv2.GaussianBlur(speckle(1, 64, 80)[0], (0, 0), 3)
    components = np.dstack([grey, grey, grey])
    components[10:20, 10:20] = (200, 40, 90)  # a coloured mark
    if rgb:
        # Coding R, G, B as if they were Y, Cb, Cr stores them as they are.
        shown = cv2.cvtColor(components[:, :, [0, 2, 1]], cv2.COLOR_YCrCb2BGR)
        expected = cv2.cvtColor(components, cv2.COLOR_RGB2GRAY)
        inside = np.ones(expected.shape, dtype=np.bool_)
        inside[5:25, 5:25] = False  # colours beyond the gamut are not kept
    else:
        shown, expected = components, cv2.cvtColor(components, cv2.COLOR_BGR2GRAY)
        inside = np.ones(expected.shape, dtype=np.bool_)
    image = Image.fromarray(np.ascontiguousarray(shown[:, :, ::-1]))
    coded = BytesIO()
    image.save(coded, "jpeg", quality=98, subsampling=0)
    data = coded.getvalue()
    assert data[2:4] == b"\xff\xe0"
    bare = data[:2] + data[4 + int.from_bytes(data[4:6], "big") :]  # without its JFIF marker
    path = write_dicom(
        tmp_path / "a.dcm",
        np.zeros((1, 64, 80, 3), np.uint8),
        transfer_syntax=JPEG_BASELINE,
        pixel_bytes=encapsulate([bare]),
    )
    difference = frames_of(path)[0].astype(int) - expected
    assert np.abs(difference[inside]).max() <= 6


def test_real_jpeg_of_rgb_components_gives_their_luma() -> None:
    name = "SC_jpeg_no_color_transform.dcm"
    plain = pydicom.dcmread(get_testdata_file("SC_rgb_jpeg_dcmd.dcm")).pixel_array
    expected = cv2.cvtColor(plain, cv2.COLOR_RGB2GRAY)
    np.testing.assert_allclose(frames_of(Path(str(get_testdata_file(name))))[0], expected, atol=1)


def test_monochrome1_is_inverted(tmp_path: Path) -> None:
    stored = speckle(1, 40, 50)
    path = write_dicom(tmp_path / "a.dcm", stored, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(frames_of(path)[0], 255 - stored[0])


def test_without_preamble_or_suffix(tmp_path: Path) -> None:
    stored = speckle(2, 40, 50)
    path = write_dicom(tmp_path / "a.dcm", stored)
    bare = tmp_path / "IM0001"
    bare.write_bytes(path.read_bytes()[132:])
    np.testing.assert_array_equal([f for _, f in open_clip(bare).frames()], stored)


def test_number_of_frames_missing_on_a_cine(tmp_path: Path) -> None:
    stored = speckle(4, 40, 50)
    clip = open_clip(write_dicom(tmp_path / "a.dcm", stored, NumberOfFrames=None, FrameTime=40.0))
    assert clip.header.frames == 4
    assert any("how many frames" in warning for warning in clip.header.warnings)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_truncated_file_keeps_its_whole_frames(tmp_path: Path, compressed: bool) -> None:
    stored = speckle(6, 64, 80)
    if compressed:
        path = write_dicom(
            tmp_path / "a.dcm",
            stored,
            transfer_syntax=JPEG_BASELINE,
            pixel_bytes=encapsulate([jpeg(f) for f in stored]),
            FrameTime=40.0,
        )
    else:
        path = write_dicom(tmp_path / "a.dcm", stored, FrameTime=40.0)
    whole = frames_of(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.6)])
    clip = open_clip(path)
    assert clip.header.frames == 3
    np.testing.assert_array_equal([f for _, f in clip.frames()], whole[:3])
    assert any("3 of the 6 frames" in warning for warning in clip.header.warnings)


def test_a_damaged_frame_is_left_out_and_its_place_kept(tmp_path: Path) -> None:
    stored = speckle(5, 64, 80)
    coded = [jpeg(f) for f in stored]
    coded[2] = coded[2][: len(coded[2]) // 2]
    path = write_dicom(
        tmp_path / "a.dcm",
        stored,
        transfer_syntax=JPEG_BASELINE,
        pixel_bytes=encapsulate(coded),
        FrameTime=40.0,
    )
    header = open_clip(path).header
    assert header.frame_numbers.tolist() == [0, 1, 3, 4]
    assert header.timing.time_s is not None
    np.testing.assert_allclose(header.timing.time_s, [0, 0.04, 0.12, 0.16])


def test_fragmented_frames_without_offset_table(tmp_path: Path) -> None:
    stored = speckle(3, 64, 80)
    coded = [jpeg(f) for f in stored]
    whole = write_dicom(
        tmp_path / "a.dcm", stored, transfer_syntax=JPEG_BASELINE, pixel_bytes=encapsulate(coded)
    )
    split = write_dicom(
        tmp_path / "b.dcm",
        stored,
        transfer_syntax=JPEG_BASELINE,
        pixel_bytes=encapsulate(coded, fragments_per_frame=3, has_bot=False),
        NumberOfFrames=None,
    )
    np.testing.assert_array_equal(frames_of(split), frames_of(whole))


def test_a_video_inside_dicom_goes_to_the_video_reader(tmp_path: Path) -> None:
    stored = np.repeat(np.linspace(40, 220, 6).astype(np.uint8), 64 * 80).reshape(6, 64, 80)
    video = write_video(tmp_path / "a.mp4", stored).read_bytes()
    path = write_dicom(
        tmp_path / "a.dcm",
        stored,
        transfer_syntax=H264_IN_DICOM,
        pixel_bytes=encapsulate([video], has_bot=False),
        FrameTime=40.0,
    )
    clip = open_clip(path)
    assert clip.header.kind is SourceKind.DICOM
    assert clip.header.timing.source is TimingSource.FRAME_TIME
    shown = np.array([frame.mean() for _, frame in clip.frames()])
    expected = (np.linspace(40, 220, 6) - 16) * 255 / 219
    np.testing.assert_allclose(shown, expected, atol=3)


# --- scale -------------------------------------------------------------------------------------


def test_scale_of_a_region_is_ten_times_its_delta_x_and_y_apart(tmp_path: Path) -> None:
    path = write_dicom(
        tmp_path / "a.dcm",
        speckle(1, 120, 160),
        SequenceOfUltrasoundRegions=[region_item((10, 5, 149, 104), (-0.02, 0.03))],
    )
    header = open_clip(path).header
    assert header.calibration.source is CalibrationSource.DICOM
    assert header.calibration.spacing_mm == pytest.approx((0.2, 0.3))
    region = header.region
    assert (region.x, region.y, region.width, region.height) == (10, 5, 140, 100)


def test_the_b_mode_region_is_chosen_clipped_to_the_image(tmp_path: Path) -> None:
    path = write_dicom(
        tmp_path / "a.dcm",
        speckle(1, 120, 160),
        SequenceOfUltrasoundRegions=[
            region_item((0, 100, 159, 119), (0.5, 0.5), PhysicalUnitsXDirection=4),  # an ECG
            region_item((0, 0, 9, 60), (0.5, 0.5), RegionSpatialFormat=0),  # a colour bar
            region_item((60, 0, 60, 60), (0.4, 0.4)),  # zero wide
            region_item((20, 10, 400, 500), (0.02, 0.02)),
        ],
    )
    header = open_clip(path).header
    assert header.calibration.spacing_mm == pytest.approx((0.2, 0.2))
    region = header.region
    assert (region.x, region.y, region.width, region.height) == (20, 10, 140, 110)


def two_pictures(path: Path) -> Path:
    """A file with an ECG and two B-mode pictures of different scales side by side."""
    return write_dicom(
        path,
        speckle(1, 120, 160),
        SequenceOfUltrasoundRegions=[
            region_item((0, 100, 159, 119), (0.5, 0.5), PhysicalUnitsXDirection=4),
            region_item((110, 0, 159, 119), (0.03, 0.03)),
            region_item((0, 0, 99, 119), (0.02, 0.02)),
        ],
    )


def test_of_two_pictures_the_larger_is_used_and_it_is_said(tmp_path: Path) -> None:
    header = open_clip(two_pictures(tmp_path / "a.dcm")).header
    assert header.calibration.mm_per_px_x == pytest.approx(0.2)
    assert (header.region.x, header.region.width) == (0, 100)
    (warning,) = (w for w in header.warnings if "2 B-mode pictures" in w)
    assert "1 at 110,0,50,120, 0.3 mm per pixel; 2 at 0,0,100,120, 0.2 mm per pixel" in warning
    assert "number 2 is used" in warning


@pytest.mark.parametrize(("number", "x", "scale"), [(1, 110, 0.3), (2, 0, 0.2)])
def test_a_picture_is_chosen_by_its_number(
    tmp_path: Path, number: int, x: int, scale: float
) -> None:
    header = open_clip(two_pictures(tmp_path / "a.dcm"), region=number).header
    assert header.region.x == x
    assert header.calibration.spacing_mm == pytest.approx((scale, scale))
    assert not any("2 B-mode pictures" in w for w in header.warnings)


def test_a_picture_is_chosen_by_a_box_in_it(tmp_path: Path) -> None:
    header = open_clip(two_pictures(tmp_path / "a.dcm"), region=(112, 5, 40, 100)).header
    assert header.calibration.mm_per_px_x == pytest.approx(0.3)


@pytest.mark.parametrize("number", [0, 3, -1])
def test_a_number_that_no_picture_has_is_refused(tmp_path: Path, number: int) -> None:
    with pytest.raises(ConfigError, match=rf"no region {number}; .* 1 at 110,0.*; 2 at 0,0"):
        open_clip(two_pictures(tmp_path / "a.dcm"), region=number)


def test_a_number_where_no_picture_states_a_scale_is_refused(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", speckle(1, 120, 160))
    with pytest.raises(ConfigError, match="states no B-mode picture with a scale"):
        open_clip(path, region=1)


def test_scales_are_not_mixed(tmp_path: Path) -> None:
    header = open_clip(two_pictures(tmp_path / "a.dcm"), region=(40, 5, 100, 100)).header
    assert header.calibration.source is CalibrationSource.NONE
    (warning,) = (w for w in header.warnings if "different scales" in w)
    assert "0.3 mm per pixel" in warning
    assert "0.2 mm per pixel" in warning


def test_a_picture_stated_twice_for_its_colours_is_one(tmp_path: Path) -> None:
    item = region_item((10, 5, 149, 104), (0.02, 0.02))
    colour = region_item((10, 5, 149, 104), (0.02, 0.02), RegionDataType=2)
    path = write_dicom(
        tmp_path / "a.dcm", speckle(1, 120, 160), SequenceOfUltrasoundRegions=[colour, item]
    )
    header = open_clip(path).header
    assert header.calibration.mm_per_px_x == pytest.approx(0.2)
    assert not any("B-mode pictures" in w for w in header.warnings)


@pytest.mark.parametrize(
    "change",
    [
        {"PhysicalDeltaX": 0.0},
        {"PhysicalUnitsYDirection": 0},
        {"RegionSpatialFormat": 2},
        {"PhysicalDeltaY": 1e9},
    ],
)
def test_a_region_without_a_usable_scale_gives_none(
    tmp_path: Path, change: dict[str, float]
) -> None:
    path = write_dicom(
        tmp_path / "a.dcm",
        speckle(1, 120, 160),
        PixelSpacing=[0.3, 0.3],  # not meant for ultrasound
        SequenceOfUltrasoundRegions=[region_item((0, 0, 159, 119), (0.02, 0.02), **change)],
    )
    header = open_clip(path).header
    assert header.calibration.source is CalibrationSource.NONE
    assert header.calibration.spacing_mm is None
    assert any("The size of a pixel is not known" in w for w in header.warnings)
    assert any("pixel spacing of 0.3 x 0.3 mm is not stated for" in w for w in header.warnings)


# --- time --------------------------------------------------------------------------------------


def test_frame_time_vector(tmp_path: Path) -> None:
    path = write_dicom(
        tmp_path / "a.dcm",
        speckle(4, 40, 50),
        FrameIncrementPointer=0x00181065,
        FrameTimeVector=[0, 50, 30, 20],
        FrameTime=999.0,
    )
    timing = open_clip(path).header.timing
    assert timing.source is TimingSource.FRAME_TIME_VECTOR
    np.testing.assert_allclose(timing.time_s, [0, 0.05, 0.08, 0.1])


def test_frame_time_where_the_vector_is_too_short(tmp_path: Path) -> None:
    path = write_dicom(
        tmp_path / "a.dcm",
        speckle(4, 40, 50),
        FrameIncrementPointer=0x00181065,
        FrameTimeVector=[0, 50],
        FrameTime=40.0,
    )
    header = open_clip(path).header
    assert header.timing.source is TimingSource.FRAME_TIME
    assert header.timing.fps == pytest.approx(25.0)
    assert any("does not fit 4 frames" in w for w in header.warnings)


def test_cine_rate_comes_with_a_warning(tmp_path: Path) -> None:
    header = open_clip(write_dicom(tmp_path / "a.dcm", speckle(4, 40, 50), CineRate=20)).header
    assert header.timing.source is TimingSource.CINE_RATE
    assert header.timing.fps == pytest.approx(20.0)
    assert any("cine rate of 20 frames/s" in w for w in header.warnings)


def test_no_timing_is_said_not_assumed(tmp_path: Path) -> None:
    header = open_clip(write_dicom(tmp_path / "a.dcm", speckle(4, 40, 50))).header
    assert header.timing.time_s is None
    assert header.timing.source is TimingSource.NONE
    assert sum("figures per second are left out" in w for w in header.warnings) == 1


# --- what is refused ---------------------------------------------------------------------------


def test_a_ct_is_not_ultrasound() -> None:
    with pytest.raises(NotUltrasoundError, match="CT Image Storage"):
        open_clip(get_testdata_file("CT_small.dcm"))


def test_a_text_file_named_dcm(tmp_path: Path) -> None:
    path = tmp_path / "notes.dcm"
    path.write_text("These are my notes, not a recording.\n" * 10)
    with pytest.raises(UnreadableError, match=r"notes\.dcm"):
        open_clip(path)


def test_a_header_that_promises_the_moon_is_refused_before_allocation(tmp_path: Path) -> None:
    path = write_dicom(
        tmp_path / "a.dcm", speckle(1, 40, 50), Rows=60000, Columns=60000, NumberOfFrames=10000
    )
    with pytest.raises(UnreadableError, match="60000 x 60000"):
        open_clip(path)


def test_a_deflated_bomb_is_refused(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", speckle(1, 40, 50), transfer_syntax=DEFLATED)
    data = path.read_bytes()
    start = 144 + int.from_bytes(data[140:144], "little")
    deflater = zlib.compressobj(9, wbits=-15)
    zeros = bytes(1 << 24)
    bomb = b"".join([deflater.compress(zeros) for _ in range(18)]) + deflater.flush()
    path.write_bytes(data[:start] + bomb)
    with pytest.raises(UnreadableError, match="256 MB when decompressed"):
        open_clip(path)


def test_a_deflated_file(tmp_path: Path) -> None:
    stored = speckle(2, 40, 50)
    path = write_dicom(tmp_path / "a.dcm", stored, transfer_syntax=DEFLATED)
    np.testing.assert_array_equal(frames_of(path), stored)


def test_a_frame_that_would_decode_to_another_size_is_refused(tmp_path: Path) -> None:
    stored = speckle(2, 64, 80)
    path = write_dicom(
        tmp_path / "a.dcm",
        stored,
        transfer_syntax=JPEG_BASELINE,
        pixel_bytes=encapsulate([jpeg(np.zeros((640, 800), np.uint8)), jpeg(stored[1])]),
    )
    assert open_clip(path).header.frame_numbers.tolist() == [1]


def test_no_pixel_data(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", speckle(1, 40, 50))
    ds = pydicom.dcmread(path)
    del ds.PixelData
    ds.save_as(path)
    with pytest.raises(UnreadableError, match="holds no picture"):
        open_clip(path)


def test_pixels_cut_off_right_away(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", speckle(2, 40, 50))
    path.write_bytes(path.read_bytes()[:-4000])
    with pytest.raises(UnreadableError, match="no whole frame"):
        open_clip(path)


# --- real files of pydicom-data and deid-data --------------------------------------------------


@pytest.mark.parametrize(
    ("name", "frames", "scale", "source"),
    [
        ("color3d_jpeg_baseline.dcm", 120, 0.510497, TimingSource.FRAME_TIME),
        ("examples_ybr_color.dcm", 30, 0.510497, TimingSource.FRAME_TIME),
        ("OBXXXX1A_rle_2frame.dcm", 2, 0.262288, TimingSource.NONE),
        ("OBXXXX1A_expb_2frame.dcm", 2, 0.262288, TimingSource.NONE),
        ("gdcm-US-ALOKA-16.dcm", 1, 0.382653, TimingSource.NONE),
        ("gdcm-US-ALOKA-16_big.dcm", 1, 0.382653, TimingSource.NONE),
        ("OBXXXX1A.dcm", 1, 0.262288, TimingSource.NONE),
        ("OBXXXX1A_2frame.dcm", 2, 0.262288, TimingSource.NONE),
        ("OBXXXX1A_expb.dcm", 1, 0.262288, TimingSource.NONE),
        ("OBXXXX1A_rle.dcm", 1, 0.262288, TimingSource.NONE),
        ("examples_palette.dcm", 1, 0.262288, TimingSource.NONE),
        ("examples_rgb_color.dcm", 1, None, TimingSource.NONE),
        ("US1_J2KR.dcm", 1, None, TimingSource.NONE),
        ("US1_UNCI.dcm", 1, None, TimingSource.NONE),
        ("US1_UNCR.dcm", 1, None, TimingSource.NONE),
        ("color-pl.dcm", 1, None, TimingSource.NONE),
        ("JPGLosslessP14SV1_1s_1f_8b.dcm", 1, 0.254767, TimingSource.NONE),
        ("US1_J2KI.dcm", 1, None, TimingSource.NONE),
        ("color-px.dcm", 1, None, TimingSource.NONE),
        ("ExplVR_BigEnd.dcm", 1, None, TimingSource.NONE),
    ],
)
def test_real_files(name: str, frames: int, scale: float | None, source: TimingSource) -> None:
    path = get_testdata_file(name)
    assert path is not None
    header = open_clip(path).header
    assert header.frames == frames
    assert header.timing.source is source
    assert header.calibration.mm_per_px_x == (None if scale is None else pytest.approx(scale, 1e-4))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("OBXXXX1A.dcm", "OBXXXX1A_expb.dcm"),  # palette, little and big endian
        ("OBXXXX1A.dcm", "OBXXXX1A_rle.dcm"),
        ("gdcm-US-ALOKA-16.dcm", "gdcm-US-ALOKA-16_big.dcm"),
        ("color-pl.dcm", "color-px.dcm"),
        ("US1_UNCR.dcm", "US1_J2KR.dcm"),
    ],
)
def test_twins_give_the_same_picture(one: str, other: str) -> None:
    first, second = (frames_of(Path(str(get_testdata_file(name)))) for name in (one, other))
    np.testing.assert_array_equal(first, second)
    assert np.std(first) > 5


DEID = Path(deid_data.__path__[0]) / "data" / "ultrasounds"
CLIPS = Path(__file__).parents[1].parent / "shared" / "clips" / "dicom"


def assert_reads(path: Path, frames: int, scale: float | None, source: TimingSource) -> None:
    recording = read_dicom(path, "")
    assert recording.timing_source is source
    scales = [box.mm_per_px[0] for box in recording.scaled]
    assert scales[:1] == ([] if scale is None else [pytest.approx(scale, 1e-3)])
    shown = [picture.luma.shape for picture in recording.pictures()]
    assert shown == [(recording.height, recording.width)] * frames


@pytest.mark.parametrize(
    ("name", "frames", "scale", "source"),
    [
        ("GREYSCALE_IMAGE.dcm", 1, 0.064905, TimingSource.NONE),
        ("RGB_IMAGE.dcm", 1, 0.237872, TimingSource.NONE),
        ("ultrasound-multiframe.dcm", 30, 0.307597, TimingSource.FRAME_TIME),
        ("GREYSCALE_CINE.zip", 27, 0.083078, TimingSource.FRAME_TIME),
        ("RGB_CINE.zip", 51, 0.067682, TimingSource.FRAME_TIME_VECTOR),
    ],
)
def test_real_files_of_deid_data(
    tmp_path: Path, name: str, frames: int, scale: float, source: TimingSource
) -> None:
    path = DEID / name
    if path.suffix == ".zip":
        with ZipFile(path) as archive:
            path = Path(archive.extract(path.with_suffix(".dcm").name, tmp_path))
    assert_reads(path, frames, scale, source)


@pytest.mark.clips
@pytest.mark.skipif(not CLIPS.is_dir(), reason="needs the real recordings in ../shared/clips")
@pytest.mark.parametrize(
    ("pattern", "frames", "scale", "source"),
    [
        ("muscle_ybr_full_422_native.dcm", 1, 0.0616, TimingSource.NONE),
        ("palette_rle_2d_ecg.dcm", 1, 0.330542, TimingSource.NONE),
        ("bmode_and_colour_mmode.dcm", 1, 0.56, TimingSource.NONE),
        ("jpegls_no_regions.dcm", 1, None, TimingSource.NONE),
        ("cine_*fragmented*.dcm", 8, 2.29375, TimingSource.FRAME_TIME_VECTOR),
        ("cine_*implicit*.dcm", 8, 2.29375, TimingSource.FRAME_TIME_VECTOR),
    ],
)
def test_real_files_of_the_clips(
    pattern: str, frames: int, scale: float | None, source: TimingSource
) -> None:
    (path,) = CLIPS.glob(pattern)
    assert_reads(path, frames, scale, source)
