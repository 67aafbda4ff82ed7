"""Videos, images and folders; what the user overrides; what is refused, in one sentence."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps
from pydicom.data import get_testdata_file
from pydicom.fileset import FileSet

from ingest_files import speckle, write_dicom, write_sound, write_video
from usguide import (
    CalibrationError,
    Clip,
    ConfigError,
    IngestError,
    NotUltrasoundError,
    UnreadableError,
    open_clip,
)
from usguide.ingest.luma import LIMITED_TO_FULL
from usguide.model import CalibrationSource, SourceKind, TimingSource

CT = "1.2.840.10008.5.1.4.1.1.2"


def write_images(folder: Path, numbers: list[str], height: int = 60, width: int = 80) -> Path:
    folder.mkdir()
    for index, number in enumerate(numbers):
        cv2.imwrite(str(folder / f"{number}.png"), speckle(1, height, width, seed=index)[0])
    return folder


# --- video -------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [64, 83])  # 83: the decoder pads its lines
def test_video_luma_is_the_y_plane_at_full_range(tmp_path: Path, width: int) -> None:
    ramp = np.tile(np.linspace(16, 235, width).astype(np.uint8), (48, 1))
    path = write_video(
        tmp_path / "a.mkv",
        np.stack([ramp, ramp[:, ::-1]] * 3),
        codec="ffv1",
        options={"level": "3"},
    )
    clip = open_clip(path)
    assert clip.header.kind is SourceKind.VIDEO
    assert (clip.header.width, clip.header.height) == (width, 48)
    np.testing.assert_array_equal(clip[0], LIMITED_TO_FULL[ramp])
    np.testing.assert_array_equal(clip[1], LIMITED_TO_FULL[ramp[:, ::-1]])
    assert clip[0].min() == 0
    assert clip[0].max() == 255


def test_video_times_are_the_real_ones(tmp_path: Path) -> None:
    pts = [0, 1, 2, 10, 11, 30]
    path = write_video(tmp_path / "a.mkv", speckle(6, 64, 80), fps=25, pts=pts)
    timing = open_clip(path).header.timing
    assert timing.source is TimingSource.CONTAINER
    np.testing.assert_allclose(timing.time_s, np.array(pts) / 25, atol=1e-3)


def test_a_truncated_video_with_its_index_is_salvaged(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", speckle(40, 64, 80))
    whole = path.read_bytes()
    fast = tmp_path / "fast.mp4"
    _move_index_to_front(path, fast)
    fast.write_bytes(fast.read_bytes()[: int(len(whole) * 0.5)])
    header = open_clip(fast).header
    assert 5 < header.frames < 40
    assert any("of the 40 frames" in w for w in header.warnings)


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_a_video_that_promises_its_length_says_when_pictures_are_missing(
    tmp_path: Path, share: float
) -> None:
    path = write_video(tmp_path / "a.mkv", speckle(60, 64, 80), fps=25)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    header = open_clip(path).header
    told = [w for w in header.warnings if "of the 2.4 s that the file promises" in w]
    assert len(told) == (share < 1)
    assert (header.frames == 60) == (share == 1)


def _move_index_to_front(source: Path, target: Path) -> None:
    import av

    with (
        av.open(str(source)) as old,
        av.open(str(target), "w", options={"movflags": "faststart"}) as new,
    ):
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)


def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    import tracemalloc

    def peak(frames: int) -> int:
        random = np.random.default_rng(0)
        picture = random.integers(0, 255, (96, 128), dtype=np.uint8)
        rolled = (np.roll(picture, i, axis=1) for i in range(frames))
        path = write_video(tmp_path / f"{frames}.mp4", rolled)
        tracemalloc.start()
        clip = open_clip(path)
        total = sum(int(frame[0, 0]) for _, frame in clip.frames())
        assert total > 0
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    short, long = peak(100), peak(3000)
    # Time, change and position of a frame: a few hundred bytes.
    assert long - short < 2900 * 1000


@pytest.mark.parametrize("turned_deg", [-90, 90, 180])
def test_a_video_is_seen_the_way_up_that_players_show_it(tmp_path: Path, turned_deg: int) -> None:
    stored = np.kron(speckle(3, 12, 16), np.ones((1, 8, 8), np.uint8))
    upright = open_clip(write_video(tmp_path / "a.mp4", stored))
    turned = open_clip(write_video(tmp_path / "b.mp4", stored, turned_deg=turned_deg))
    expected = np.rot90(upright[1], turned_deg // 90)
    assert (turned.header.height, turned.header.width) == expected.shape
    np.testing.assert_array_equal(turned[1], expected)


# --- images ------------------------------------------------------------------------------------


def test_a_folder_is_sorted_by_number_and_keeps_the_numbers(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "f", ["img9", "img10", "img100"])
    header = open_clip(folder).header
    assert header.kind is SourceKind.IMAGES
    assert header.source_names == ("img9.png", "img10.png", "img100.png")
    assert header.frame_numbers.tolist() == [9, 10, 100]
    assert header.timing.time_s is None
    timing = open_clip(folder, fps=10).header.timing
    np.testing.assert_allclose(timing.time_s, [0, 0.1, 9.1])
    assert timing.source is TimingSource.USER
    assert "leave out 89 between 9 and 100" in header.warnings[0]


@pytest.mark.parametrize(
    "names",
    [
        ["b_1", "a_2", "c_3"],  # numbers that run against the names
        ["2026-01-31", "2026-02-01"],
        ["1234567890123456789012", "1234567890123456789013"],
        ["10\u00b21", "10\u00b22", "x"],
    ],
)
def test_names_that_count_no_frames_give_consecutive_ones(tmp_path: Path, names: list[str]) -> None:
    header = open_clip(write_images(tmp_path / "f", names), fps=10).header
    assert header.source_names == tuple(f"{name}.png" for name in sorted(names))
    assert header.frame_numbers.tolist() == list(range(len(names)))
    assert "not numbered one by one" in header.warnings[0]


def test_a_name_in_another_encoding_is_told_in_utf_8(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "f", ["1", "2"])
    for image in folder.iterdir():
        image.rename(os.fsdecode(os.fsencode(folder) + b"/caf\xe9" + os.fsencode(image.name)))
    folder = folder.rename(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    header = open_clip(folder).header
    assert header.name == "caf\ufffd"
    assert header.source_names == ("caf\ufffd1.png", "caf\ufffd2.png")


@pytest.mark.parametrize("suffix", ["tif", "png", "webp"])
def test_every_picture_of_a_stack_is_a_frame(tmp_path: Path, suffix: str) -> None:
    frames = speckle(3, 60, 80)
    first, *others = [Image.fromarray(frame) for frame in frames]
    options: dict[str, Any] = {"lossless": True} if suffix == "webp" else {}
    path = tmp_path / f"stack.{suffix}"
    first.save(path, save_all=True, append_images=others, **options)
    clip = open_clip(path, fps=10)
    assert clip.header.kind is SourceKind.IMAGES
    np.testing.assert_allclose(clip.header.timing.time_s, [0, 0.1, 0.2])
    np.testing.assert_array_equal(np.stack([frame for _, frame in clip.frames()]), frames)


def test_a_stack_among_numbered_images_is_not_cut_to_its_first(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "f", ["1", "2"])
    first, *others = [Image.fromarray(frame) for frame in speckle(3, 60, 80)]
    first.save(folder / "3.tif", save_all=True, append_images=others)
    with pytest.raises(UnreadableError, match=r"3\.tif holds 3 pictures"):
        open_clip(folder)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_seen_the_way_up_that_viewers_show_it(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(speckle(1, 60, 80)[0]).save(path, exif=exif)
    with Image.open(path) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored))
    clip = open_clip(path)
    assert (clip.header.height, clip.header.width) == expected.shape
    np.testing.assert_array_equal(clip[0], expected)


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("bits", [8, 16])
def test_a_turned_tiff_is_seen_the_way_up_that_viewers_show_it(
    tmp_path: Path, compression: str | None, orientation: int, bits: int
) -> None:
    path, upright = tmp_path / "a.tif", speckle(1, 60, 80)[0]
    stored = upright if bits == 8 else upright.astype(np.uint16) * 257
    Image.fromarray(stored).save(
        path, compression=compression, tiffinfo={ExifTags.Base.Orientation: orientation}
    )
    shown = Image.fromarray(upright)
    shown.getexif()[ExifTags.Base.Orientation] = orientation
    expected = np.asarray(ImageOps.exif_transpose(shown))
    clip = open_clip(path)
    assert (clip.header.height, clip.header.width) == expected.shape
    np.testing.assert_array_equal(clip[0], expected)


def test_images_of_different_sizes_are_refused(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "f", ["1", "2"])
    cv2.imwrite(str(folder / "3.png"), speckle(1, 61, 80)[0])
    with pytest.raises(UnreadableError, match=r"1\.png is 80 x 60 px and 3\.png is 80 x 61 px"):
        open_clip(folder)


def test_a_deep_image_uses_its_whole_range(tmp_path: Path) -> None:
    deep = np.linspace(0, 65535, 60 * 80).reshape(60, 80).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), deep)
    clip = open_clip(tmp_path / "a.png")
    assert clip.header.kind is SourceKind.IMAGE
    np.testing.assert_array_equal(clip[0], deep >> 8)


def test_deep_images_of_a_folder_share_their_depth(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    picture = np.linspace(0, 1020, 60 * 80).reshape(60, 80).astype(np.uint16)
    for number in range(3):
        picture[30, 40] = 1000 + 20 * number  # 10 bits hold the first two, not the third
        cv2.imwrite(str(tmp_path / "f" / f"{number}.png"), picture + 0)
    frames = [frame for _, frame in open_clip(tmp_path / "f").frames()]
    assert np.ptp([frame.mean() for frame in frames]) < 1


def test_fractions_are_spread_over_the_greys(tmp_path: Path) -> None:
    picture = np.linspace(0, 1, 60 * 80, dtype=np.float32).reshape(60, 80)
    Image.fromarray(picture).save(tmp_path / "a.tif")
    np.testing.assert_allclose(open_clip(tmp_path / "a.tif")[0], picture * 255, atol=1)


def test_a_jpeg_gives_its_luma(tmp_path: Path) -> None:
    smooth = np.tile(np.linspace(0, 255, 80).astype(np.uint8), (60, 1))
    cv2.imwrite(str(tmp_path / "a.jpg"), np.dstack([smooth, smooth // 2, smooth // 4]))
    expected = 0.114 * smooth + 0.587 * (smooth // 2) + 0.299 * (smooth // 4)
    np.testing.assert_allclose(open_clip(tmp_path / "a.jpg")[0], expected, atol=4)


# --- folders of DICOM --------------------------------------------------------------------------


def test_a_folder_with_one_dicom_file_opens_it(tmp_path: Path) -> None:
    write_dicom(tmp_path / "IM_0001", speckle(2, 40, 50))
    assert open_clip(tmp_path).header.frames == 2


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        ([], None),
        (["a.png"], "another image or video"),
        (["a.png", "b.jpg"], "2 other images or videos"),
    ],
)
def test_what_lies_beside_a_folders_recording_is_said(
    tmp_path: Path, beside: list[str], said: str | None
) -> None:
    write_dicom(tmp_path / "one.dcm", speckle(2, 40, 48))
    for name in beside:
        cv2.imwrite(str(tmp_path / name), speckle(1, 60, 80)[0])
    notes = [note for note in open_clip(tmp_path).header.warnings if "also holds" in note]
    assert len(notes) == (said is not None)
    assert all(said in note for note in notes)


def test_a_dicom_file_cut_short_in_its_header_says_so(tmp_path: Path) -> None:
    whole = write_dicom(tmp_path / "whole.dcm", speckle(2, 40, 48))
    short = tmp_path / "short.dcm"
    short.write_bytes(whole.read_bytes()[:300])
    with pytest.raises(UnreadableError, match=r"short\.dcm: .*cut short in its header; copy it"):
        open_clip(short)


def test_a_folder_with_several_recordings_names_them(tmp_path: Path) -> None:
    write_dicom(tmp_path / "a.dcm", speckle(2, 40, 50))
    write_dicom(tmp_path / "b.dcm", speckle(1, 40, 50))
    write_dicom(tmp_path / "c.dcm", speckle(1, 40, 50), Modality="CT", SOPClassUID=CT)
    with pytest.raises(UnreadableError) as caught:
        open_clip(tmp_path)
    assert (
        "2 ultrasound recordings: a.dcm (2 frames, 50 x 40 px); b.dcm (a still, 50 x 40 px); "
        f"give the path of one of them, e.g. {tmp_path / 'a.dcm'}."
    ) in str(caught.value)


def test_the_only_ultrasound_recording_of_a_folder_is_opened(tmp_path: Path) -> None:
    write_dicom(tmp_path / "a.dcm", speckle(1, 40, 50), Modality="CT", SOPClassUID=CT)
    write_dicom(tmp_path / "b.dcm", speckle(3, 40, 50))
    assert open_clip(tmp_path).header.frames == 3


def test_a_folder_of_other_modalities_says_so(tmp_path: Path) -> None:
    for name in ("a.dcm", "b.dcm"):
        write_dicom(tmp_path / name, speckle(1, 40, 50), Modality="CT", SOPClassUID=CT)
    with pytest.raises(NotUltrasoundError, match="none of its 2 DICOM files holds ultrasound"):
        open_clip(tmp_path)


def test_an_exported_study_is_searched_in_its_folders(tmp_path: Path) -> None:
    (tmp_path / "ST01" / "SE02").mkdir(parents=True)
    write_dicom(tmp_path / "ST01" / "SE02" / "IM01", speckle(2, 40, 50))
    assert open_clip(tmp_path).header.frames == 2
    write_dicom(tmp_path / "ST01" / "SE02" / "IM02", speckle(2, 40, 50))
    with pytest.raises(UnreadableError, match=r"ST01/SE02/IM01 \(2 frames"):
        open_clip(tmp_path)


def test_links_that_lead_in_circles_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "ST01").mkdir()
    for name in ("one", "other"):
        (tmp_path / "ST01" / name).symlink_to(tmp_path, target_is_directory=True)
    write_dicom(tmp_path / "ST01" / "IM01", speckle(2, 40, 50))
    assert open_clip(tmp_path).header.frames == 2


def test_a_folder_of_more_files_than_a_study_is_not_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("usguide.ingest.sources._MOST_FILES", 3)
    for number in range(4):
        (tmp_path / f"below{number}").mkdir()
        (tmp_path / f"below{number}" / "notes.txt").write_text("no recording")
    with pytest.raises(UnreadableError, match="over 3 files; give one recording"):
        open_clip(tmp_path)


def test_what_is_neither_file_nor_folder_is_called_so(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnreadableError, match="neither a file nor a folder"):
        open_clip(tmp_path / "pipe")


def dicomdir(folder: Path, *frames: int) -> Path:
    """Write ultrasound cines of so many frames and a DICOMDIR that lists them."""
    files = FileSet()
    for number, count in enumerate(frames):
        path = write_dicom(
            folder / f"source{number}", speckle(count, 40, 50), PatientID="P", PatientName="N",
            StudyInstanceUID="1.2", SeriesInstanceUID="1.2.1", StudyDate="20200101",
            StudyTime="101010", StudyID="1", SeriesNumber=1, InstanceNumber=number,
            SOPInstanceUID=f"1.2.1.{number}", AccessionNumber="",
        )  # fmt: skip
        files.add(path)
    files.write(folder / "set")
    files._stage["t"].cleanup()  # which pydicom leaves to the interpreter, with a warning
    return folder / "set"


def test_a_dicomdir_with_one_recording_opens_it(tmp_path: Path) -> None:
    folder = dicomdir(tmp_path, 3)
    assert open_clip(folder).header.frames == 3
    assert open_clip(folder / "DICOMDIR").header.frames == 3


def test_a_dicomdir_with_several_recordings_names_them(tmp_path: Path) -> None:
    folder = dicomdir(tmp_path, 3, 5)
    with pytest.raises(
        UnreadableError, match=r"2 ultrasound .*3 frames, .*; .*5 frames, "
    ) as caught:
        open_clip(folder)
    example = Path(str(caught.value).rsplit("e.g. ", 1)[1].removesuffix("."))
    assert open_clip(example).header.frames == 3


def test_a_dicomdir_without_ultrasound_says_so() -> None:
    with pytest.raises(UnreadableError, match="lists no ultrasound recording"):
        open_clip(get_testdata_file("DICOMDIR"))


# --- frames in memory ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((3, 60, 80)),
        np.zeros((60, 80), np.uint8),
        np.zeros((3, 0, 80), np.uint8),
        [[[0.5]]],
    ],
    ids=["fractions", "one frame", "empty", "a list"],
)
def test_frames_in_memory_of_another_kind_are_refused(frames: Any) -> None:
    with pytest.raises(ConfigError, match=r"uint8 of shape \(frames, height, width\)"):
        Clip.from_array(frames)


def test_the_scale_of_frames_in_memory_is_checked_as_that_of_a_file() -> None:
    frames = np.zeros((2, 60, 80), np.uint8)
    assert Clip.from_array(frames, spacing_mm=0.1).header.calibration.spacing_mm == (0.1, 0.1)
    with pytest.raises(CalibrationError, match="makes no sense"):
        Clip.from_array(frames, spacing_mm=(0.1, -0.1))


def test_a_rate_that_is_none_is_refused_of_frames_in_memory() -> None:
    with pytest.raises(ConfigError, match="frames per second"):
        Clip.from_array(np.zeros((2, 60, 80), np.uint8), fps=0.0)


# --- what the user overrides -------------------------------------------------------------------


def test_spacing_region_and_rate_of_the_user_win(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", speckle(3, 60, 80), FrameTime=40.0)
    clip = open_clip(path, spacing_mm=(0.1, 0.2), region=(4, 6, 30, 20), fps=50)
    header = clip.header
    assert header.calibration.source is CalibrationSource.USER
    assert header.calibration.spacing_mm == (0.1, 0.2)
    assert header.timing.source is TimingSource.USER
    assert header.timing.fps == pytest.approx(50)
    whole = open_clip(path, region=(0, 0, 80, 60))[1]
    np.testing.assert_array_equal(clip[1], whole[6:26, 4:34])
    assert header.tissue.shape == (20, 30)
    assert open_clip(path, spacing_mm=0.3).header.calibration.spacing_mm == (0.3, 0.3)


@pytest.mark.parametrize(("spacing", "doubted"), [(56.3, True), (0.0563, False), (0.00563, True)])
def test_a_scale_at_which_no_scanner_images_is_doubted(
    tmp_path: Path, spacing: float, doubted: bool
) -> None:
    path = write_dicom(tmp_path / "a.dcm", speckle(2, 300, 400))
    header = open_clip(path, spacing_mm=spacing).header
    assert header.calibration.spacing_mm == (spacing, spacing)
    assert any("which no scanner shows" in w for w in header.warnings) is doubted


@pytest.mark.parametrize(
    "spacing",
    [-0.1, 0.0, math.nan, math.inf, (0.1, -1.0), (0.1, 0.1, 0.1), "0.1", ("0.1", "0.1")],
)
def test_a_spacing_that_is_none_is_refused(tmp_path: Path, spacing: Any) -> None:
    path = write_dicom(tmp_path / "a.dcm", speckle(1, 60, 80))
    with pytest.raises(CalibrationError, match="makes no sense"):
        open_clip(path, spacing_mm=spacing)


def test_a_spacing_computed_in_single_precision_is_taken(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", speckle(1, 60, 80))
    spacing: Any = np.float32(0.125)
    assert open_clip(path, spacing_mm=spacing).header.calibration.spacing_mm == (0.125, 0.125)


@pytest.mark.parametrize(
    "region",
    [
        (1, 2, 3),
        (60, 0, 30, 20),
        (-1, 0, 5, 5),
        (0, 50, 10, 11),
        (0, 0, 0, 5),
        (0, None, 5, 5),
        (0, math.nan, 5, 5),
        (0, 0.5, 5, 5),
        "0,0,5,5",
    ],
)
def test_a_region_outside_the_frame_is_refused(tmp_path: Path, region: Any) -> None:
    path = write_dicom(tmp_path / "a.dcm", speckle(1, 60, 80))
    with pytest.raises(ConfigError, match="region"):
        open_clip(path, region=region)


def test_a_number_from_an_array_chooses_a_region_as_any_other(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", speckle(1, 60, 80))
    number: Any = np.int64(2)
    with pytest.raises(ConfigError, match="there is no number 2"):
        open_clip(path, region=number)


@pytest.mark.parametrize("fps", [0, -5, math.nan, "25"])
def test_a_rate_that_is_none_is_refused(tmp_path: Path, fps: Any) -> None:
    path = write_dicom(tmp_path / "a.dcm", speckle(1, 60, 80))
    with pytest.raises(ConfigError, match="frames per second"):
        open_clip(path, fps=fps)


# --- what is refused ---------------------------------------------------------------------------


def bad_inputs(folder: Path) -> dict[str, Path]:
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "notes.mp4").write_text("not a video\n" * 100)
    (folder / "notes.png").write_text("not an image\n" * 100)
    (folder / "notes").write_text("nothing at all\n" * 100)
    (folder / "nothing").mkdir()
    write_video(folder / "whole.mp4", speckle(10, 64, 80))
    (folder / "cut.mp4").write_bytes((folder / "whole.mp4").read_bytes()[:2000])
    cv2.imwrite(str(folder / "whole.png"), speckle(1, 60, 80)[0])
    (folder / "cut.png").write_bytes((folder / "whole.png").read_bytes()[:2000])
    (folder / "videos").mkdir()
    shutil.copy(folder / "whole.mp4", folder / "videos")
    return {
        "missing": folder / "missing.mp4",
        "empty": folder / "empty.mp4",
        "text as video": folder / "notes.mp4",
        "text as image": folder / "notes.png",
        "text": folder / "notes",
        "empty folder": folder / "nothing",
        "truncated mp4": folder / "cut.mp4",
        "truncated image": folder / "cut.png",
        "sound": write_sound(folder / "sound.mp4"),
        "zero frames": write_video(folder / "zero.mkv", [speckle(1, 64, 80)[0]][:0] or []),
        "folder of videos": folder / "videos",
    }


BAD = [
    "missing", "empty", "text as video", "text as image", "text", "empty folder",
    "truncated mp4", "truncated image", "sound", "zero frames", "folder of videos",
]  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_in_one_sentence_that_names_it(tmp_path: Path, case: str) -> None:
    path = bad_inputs(tmp_path)[case]
    with pytest.raises(UnreadableError) as caught:
        open_clip(path)
    message = str(caught.value)
    assert path.name in message
    assert "\n" not in message
    assert message.endswith(".")
    assert "<" not in message  # a Python object
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("shape", [(1, 48, 64), (4, 40, 3), (4, 3, 40), (2, 1, 1)])
def test_odd_but_honest_sizes_open(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    clip = open_clip(write_dicom(tmp_path / "a.dcm", speckle(*shape)))
    assert clip.header.frames == shape[0]
    assert clip[0].shape == shape[1:]
    assert (clip.header.region.width, clip.header.region.height) == (shape[2], shape[1])


@settings(max_examples=60)
@given(st.data())
def test_mutated_files_open_or_are_refused_politely(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("mutated")
    name = data.draw(st.sampled_from(["a.dcm", "a.mkv", "a.png"]))
    path = folder / name
    if name == "a.dcm":
        write_dicom(path, speckle(2, 16, 20), FrameTime=40.0)
    elif name == "a.mkv":
        write_video(path, speckle(3, 32, 32))
    else:
        cv2.imwrite(str(path), speckle(1, 16, 20)[0])
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(1, len(content))) :]
    path.write_bytes(bytes(content))
    refusal = ""
    frames = 0
    try:
        frames = sum(1 for _ in open_clip(path).frames())
    except IngestError as error:
        refusal = str(error)
    assert frames >= 1 or name in refusal
    assert "\n" not in refusal
