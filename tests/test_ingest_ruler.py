"""The ruler on the screen: read where its numbers leave no doubt, and never wrong."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ingest_files import region_item, write_dicom, write_video
from real_clips import CLIPS, opened
from usguide import open_clip
from usguide.ingest.numerals import CHARACTERS, find_labels
from usguide.ingest.ruler import read_ruler
from usguide.ingest.ruler_numbers import labels_beside, read_numbers
from usguide.ingest.ticks import find_combs, stand_out
from usguide.model import CalibrationSource, Fan, Region

FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
REGION = Region(120, 50, 420, 400)


def screen(
    *,
    mm_per_px: float = 0.1,
    pitch_mm: float = 5.0,
    number_mm: float | None = 10.0,
    unit_mm: float = 10.0,
    side: str = "right",
    dots: bool = False,
    crosses: bool = False,
    decimals: int | None = None,
    printed: str = "",
    light: bool = False,
    font: str = "DejaVuSerif.ttf",
    size: int = 14,
    hidden: tuple[int, ...] = (),
    stray: str = "",
    suffix: str = "",
    quality: int = 90,
) -> NDArray[np.uint8]:
    """A vendor screen with a ruler, as a JPEG of it shows it, shape (1, 540, 700)."""
    random = np.random.default_rng(0)
    image = Image.new("L", (700, 540))
    region = REGION
    speckle = np.clip(random.rayleigh(30, (region.height, region.width)), 0, 255).astype(np.uint8)
    image.paste(Image.fromarray(speckle), (region.x, region.y))
    pen = ImageDraw.Draw(image)
    letters = ImageFont.truetype(FONTS / font, size)
    step = pitch_mm / mm_per_px
    along = region.width if side == "below" else region.height
    for k in range(int((along - 1) / step) + 1):
        if k in hidden:
            continue
        at = k * step
        value = k * pitch_mm
        major = number_mm is not None and abs(value / number_mm - round(value / number_mm)) < 1e-9
        length, radius = (10, 3) if major else (5, 1)
        number = f"{value / unit_mm:g}" if decimals is None else f"{value / unit_mm:.{decimals}f}"
        text = f"{number}{suffix}" if major else ""
        if side == "below":
            x, y = round(region.x + at), region.y + region.height + 8
            ends, place, anchor = [(x, y), (x, y + length)], (x, y + 16), "ma"
        else:
            sign = 1 if side == "right" else -1
            x = region.x + region.width + 12 if sign > 0 else region.x - 13
            y = round(region.y + at)
            ends = [(x, y), (x + sign * length, y)]
            place, anchor = (x + sign * 15, y), "lm" if sign > 0 else "rm"
        if crosses:
            pen.line([x - radius - 2, y, x + radius + 2, y], fill=230)
            pen.line([x, y - radius - 2, x, y + radius + 2], fill=230)
        elif dots:
            pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=230)
        else:
            pen.line(ends, fill=230)
        pen.text(place, text, fill=230, font=letters, anchor=anchor)
    if stray:
        pen.text((region.x + region.width + 90, 180), stray, fill=200, font=letters)
    if printed:
        pen.text((4, 300), printed, fill=220, font=ImageFont.truetype(FONTS / "DejaVuSans.ttf", 13))
    shown = np.array(image)
    if light:
        beside = np.ones(shown.shape, dtype=bool)
        beside[region.slices] = False
        shown[beside] = 235 - shown[beside] // 2
    coded = cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)[None]


def scale(samples: NDArray[np.uint8], region: Region = REGION) -> float | None:
    calibration = read_ruler(samples, region).calibration
    return None if calibration is None else calibration.mm_per_px_y


@pytest.mark.parametrize("mm_per_px", [0.061, 0.083, 0.117])
@pytest.mark.parametrize("side", ["left", "right", "below"])
@pytest.mark.parametrize("dots", [False, True])
def test_numbered_rulers_are_read(mm_per_px: float, side: str, dots: bool) -> None:
    shown = screen(mm_per_px=mm_per_px, side=side, dots=dots)
    assert scale(shown) == pytest.approx(mm_per_px, rel=0.01)


@pytest.mark.parametrize("font", ["DejaVuSansMono-Bold.ttf", "STIXGeneralBol.ttf", "cmtt10.ttf"])
@pytest.mark.parametrize("size", [12, 18])
def test_in_typefaces_it_was_not_made_from(font: str, size: int) -> None:
    assert scale(screen(font=font, size=size)) == pytest.approx(0.1, rel=0.01)


@pytest.mark.parametrize("pitch_mm", [2.0, 2.5, 5.0, 10.0])
def test_the_numbers_tell_what_a_mark_stands_for(pitch_mm: float) -> None:
    assert scale(screen(pitch_mm=pitch_mm)) == pytest.approx(0.1, rel=0.01)


def test_numbers_in_millimetres() -> None:
    shown = screen(mm_per_px=0.13, pitch_mm=5, number_mm=10, unit_mm=1.0)
    assert scale(shown) == pytest.approx(0.13, rel=0.01)


def test_numbers_that_may_be_centimetres_or_millimetres_give_none() -> None:
    # Up to 15: a skin probe's 15 mm, or an abdominal 15 cm.
    shown = screen(mm_per_px=0.0395, pitch_mm=1.0, number_mm=5.0, unit_mm=1.0)
    ruler = read_ruler(shown, REGION)
    assert ruler.calibration is None
    assert "centimetres or millimetres" in ruler.reason


def test_a_curved_probe_or_a_printed_unit_settles_the_unit() -> None:
    deep = screen(mm_per_px=0.395, pitch_mm=10.0, number_mm=50.0)
    curved = Region(*(REGION.x, REGION.y, 420, 400), Fan((330, -100), 150, 550, -30, 30))
    assert scale(deep, REGION) is None
    assert scale(deep, curved) == pytest.approx(0.395, rel=0.01)
    assert scale(screen(mm_per_px=0.395, pitch_mm=10.0, number_mm=50.0, suffix="cm")) == (
        pytest.approx(0.395, rel=0.01)
    )


def test_without_numbers_there_is_no_scale() -> None:
    shown = screen(number_mm=None)
    ruler = read_ruler(shown, REGION)
    assert ruler.calibration is None
    assert "what may be a ruler shows no numbers" in ruler.reason
    assert len(ruler.marks) == 8


@pytest.mark.parametrize("unit_mm", [10.0, 1.0])
def test_decimals_are_read(unit_mm: float) -> None:
    shown = screen(number_mm=5.0, unit_mm=unit_mm, decimals=1, font="DejaVuSans.ttf")
    assert scale(shown) == pytest.approx(0.1, rel=0.01)


def test_crosses_and_marks_on_a_light_screen_are_read() -> None:
    assert scale(screen(crosses=True)) == pytest.approx(0.1, rel=0.01)
    assert scale(screen(light=True)) == pytest.approx(0.1, rel=0.01)


@pytest.mark.parametrize("printed", ["Depth 4.0 cm", "D: 40 mm", "De 40 mm", "D 4.0cm"])
@pytest.mark.parametrize("pitch_mm", [2.0, 5.0, 10.0])
def test_a_printed_depth_tells_what_a_mark_stands_for(printed: str, pitch_mm: float) -> None:
    shown = screen(pitch_mm=pitch_mm, number_mm=None, printed=printed)
    calibration = read_ruler(shown, REGION).calibration
    assert calibration is not None
    assert calibration.mm_per_px_y == pytest.approx(0.1, rel=0.01)
    assert "40 mm printed" in calibration.detail


@pytest.mark.parametrize(
    "printed", ["", "D 4.02 cm", "Dist 4.0 cm", "DR 40 dB", "Gn 40 %", "Depth 5.6 cm", "D 4.0 MHz"]
)
def test_what_is_no_depth_of_the_picture_tells_nothing(printed: str) -> None:
    ruler = read_ruler(screen(number_mm=None, printed=printed), REGION)
    assert ruler.calibration is None
    assert "0.1000 mm per pixel if they stand for 5 mm" in ruler.reason


def test_a_number_alone_is_a_depth_only_if_longer_marks_agree() -> None:
    assert scale(screen(number_mm=None, printed="4.0cm")) is None
    longer = screen(number_mm=10.0, font="DejaVuSans.ttf", size=2, printed="4.0cm")
    assert scale(longer) == pytest.approx(0.1, rel=0.01)


def test_a_zoomed_picture_is_not_as_deep_as_printed() -> None:
    # Half of 40 mm shown: marks every 2.5 mm, every fourth longer, would be 5 and 20 mm.
    zoomed = screen(mm_per_px=0.05, pitch_mm=2.5, size=2, printed="Depth 4.0 cm")
    assert scale(zoomed) is None


def test_a_printed_depth_tells_centimetres_from_millimetres() -> None:
    marks = {"mm_per_px": 0.0395, "pitch_mm": 1.0, "number_mm": 5.0, "unit_mm": 1.0}
    assert scale(screen(**marks)) is None
    for printed in ("Depth 1.6 cm", "Depth 15.8 mm", "D 16 mm"):
        assert scale(screen(**marks, printed=printed)) == pytest.approx(0.0395, rel=0.01)


def test_numbers_are_as_far_apart_as_their_marks() -> None:
    # The comb of a picture's edge beside numbers of another step.
    shown = screen(pitch_mm=10.0)
    comb = find_combs(shown[0], (120, 50, 420, 400))[0]
    other = dataclasses.replace(comb, step_px=comb.step_px * 1.1)
    read = [
        read_numbers(labels, each, REGION.y) is not None
        for each in (comb, other)
        for labels in labels_beside(each, stand_out(shown[0]), False)
    ]
    assert read == [False, True, False, False]


def test_text_elsewhere_is_no_number_of_the_ruler() -> None:
    assert scale(screen(number_mm=None, stray="De 40 mm")) is None


def test_marks_hidden_by_a_cursor_do_not_matter() -> None:
    shown = screen(pitch_mm=2.5, hidden=(3, 8))
    assert scale(shown) == pytest.approx(0.1, rel=0.01)


def test_no_ruler_no_scale() -> None:
    random = np.random.default_rng(0)
    shown = random.integers(0, 255, (3, 540, 700), dtype=np.uint8)
    ruler = read_ruler(shown, Region(0, 0, 700, 540))
    assert ruler.calibration is None
    assert ruler.reason


def test_mirrored_numbers_are_not_read() -> None:
    shown = np.ascontiguousarray(screen(side="left")[:, :, ::-1])
    mirrored = Region(700 - REGION.x - REGION.width, REGION.y, REGION.width, REGION.height)
    assert scale(shown, mirrored) is None


def test_marks_on_the_picture_are_not_tissue() -> None:
    marks = read_ruler(screen(number_mm=None), REGION)
    wide = Region(100, 40, 500, 450)
    mask = marks.mask(wide)
    assert mask.shape == (450, 500)
    x, y, _, _ = marks.marks[0]
    assert mask[y - 40, x - 100]
    assert mask.mean() < 0.02


def test_a_comb_is_measured_below_a_pixel() -> None:
    comb = find_combs(screen(mm_per_px=0.0913)[0], (120, 50, 420, 400))[0]
    assert comb.step_px == pytest.approx(5 / 0.0913, abs=0.15)


def test_labels_are_found_and_told_apart() -> None:
    image = Image.new("L", (60, 200))
    letters = ImageFont.truetype(FONTS / "DejaVuSerif.ttf", 14)
    for row, text in enumerate(("0", "5", "10", "37")):
        ImageDraw.Draw(image).text((10, 20 + 40 * row), text, fill=220, font=letters)
    read = {
        "".join(CHARACTERS[int(row.argmax())] for row in label.likeness)
        for label in find_labels(np.array(image))
    }
    assert read >= {"0", "5", "10", "37"}  # parts of a broken glyph may be read too


def test_a_ruler_that_contradicts_the_file_is_reported(tmp_path: Path) -> None:
    shown = screen(mm_per_px=0.1)
    box = (REGION.x, REGION.y, REGION.x + REGION.width - 1, REGION.y + REGION.height - 1)
    for delta, told in ((0.01, False), (0.012, True)):
        path = write_dicom(
            tmp_path / f"{delta}.dcm",
            shown,
            SequenceOfUltrasoundRegions=[region_item(box, (delta, delta))],
        )
        header = open_clip(path).header
        assert header.calibration.source is CalibrationSource.DICOM
        assert any("ruler on the screen says" in w for w in header.warnings) is told


def test_one_ruler_gives_no_scale_where_pixels_are_not_square(tmp_path: Path) -> None:
    frames = np.repeat(screen(mm_per_px=0.1), 2, axis=0)
    for ratio, known in ((Fraction(1), True), (Fraction(4, 3), False)):
        path = write_video(tmp_path / f"{known}.mp4", frames, pixel_ratio=ratio)
        header = open_clip(path).header
        assert (header.calibration.spacing_mm is not None) is known
        assert any("pixels are not square" in w for w in header.warnings) is not known


# --- real screens ------------------------------------------------------------------------------


@pytest.mark.clips
@pytest.mark.parametrize(
    "name",
    [
        "muscle_isokinetic030_01_push_01/clip.mp4",
        "muscle_calf_ge_0/clip.m4v",
        "needle_inplane_tissue/clip.mp4",
        "needle_steep/frames",
        "thickness_range_of_motion/frames",
        "fascia_normal/image.jpg",
    ],
)
def test_rulers_on_real_screens(name: str) -> None:
    calibration = opened(name).header.calibration
    truth = json.loads((CLIPS / name.split("/")[0] / "case.json").read_text())["mm_per_px"]
    assert calibration.source is CalibrationSource.RULER
    assert calibration.spacing_mm == pytest.approx(truth, rel=0.02)


@pytest.mark.clips
@pytest.mark.parametrize(
    "name",
    ["needle_outofplane_horizontal/clip.mp4", "fascia_fasciopathy_photo/image.png"]
    + [f"aponeurosis_masks/frames/{number:03d}.png" for number in (0, 1, 4)],
)
def test_no_scale_where_nothing_certain_is_on_the_screen(name: str) -> None:
    header = opened(name).header
    assert header.calibration.source is CalibrationSource.NONE
    assert any("(--spacing)" in warning for warning in header.warnings)
