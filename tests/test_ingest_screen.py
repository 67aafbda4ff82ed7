"""The picture on the screen, the fan in it, what is not tissue, and frames that repeat."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ingest_files import speckle, write_video
from real_clips import CLIPS, opened
from usguide import open_clip
from usguide.ingest.fan import fan_mask, fit_fan
from usguide.ingest.repeats import block_change, find_repeats
from usguide.ingest.screen import find_region, tissue_mask, within_margins
from usguide.model import Fan, Region


def screen(
    box: tuple[int, int, int, int],
    *,
    frames: int = 1,
    size: tuple[int, int] = (480, 640),
    background: int = 0,
) -> NDArray[np.uint8]:
    """A vendor screen: background, a bar, a ruler, rows of glyphs, and speckle in the box."""
    width = size[1]
    random = np.random.default_rng(1)
    still = np.full(size, background, dtype=np.uint8)
    for row in range(4):  # text: small blocks of strokes
        for column in range(12):
            glyph = (random.random((10, 6)) < 0.5) * np.uint8(200)
            still[4 + 14 * row : 14 + 14 * row, 4 + 8 * column : 10 + 8 * column] |= glyph
    still[100:300, 8:20] = np.linspace(255, 0, 200).astype(np.uint8)[:, None]
    x, y, w, h = box
    still[y : y + h : 20, min(width - 8, x + w + 6) : min(width, x + w + 12)] = 220
    shown = np.repeat(still[None], frames, axis=0)
    for frame in shown:
        frame[y : y + h, x : x + w] = np.clip(random.rayleigh(35, (h, w)), 0, 255)
    return shown


@pytest.mark.parametrize("frames", [1, 5])
@pytest.mark.parametrize("background", [0, 50])
def test_the_picture_is_found_to_the_pixel(frames: int, background: int) -> None:
    region = find_region(screen((150, 70, 380, 360), frames=frames, background=background))
    assert abs(region.x - 150) <= 1
    assert abs(region.y - 70) <= 1
    assert abs(region.width - 380) <= 2
    assert abs(region.height - 360) <= 2
    assert region.fan is None


@pytest.mark.parametrize("side", ["left", "right"])
def test_tissue_above_a_shadow_at_the_side_is_picture_and_text_there_is_not(side: str) -> None:
    shown = screen((150, 70, 380, 360), frames=5)
    columns = slice(150, 210) if side == "left" else slice(470, 530)
    shown[:, 210:430, columns] = 0
    region = find_region(shown)
    assert abs(region.x - 150) <= 1
    assert abs(region.x + region.width - 530) <= 1
    assert abs(region.height - 360) <= 2


def _as_jpeg(shown: NDArray[np.uint8]) -> NDArray[np.uint8]:
    _, encoded = cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, 40])
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), dtype=np.uint8)


def _soft(shown: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.GaussianBlur(shown, (0, 0), 1.5), dtype=np.uint8)


def _dark(shown: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(0.7 * shown, dtype=np.uint8)


def in_shadow(shown: NDArray[np.uint8], box: tuple[int, int, int, int]) -> None:
    """Leave nothing in a box but a scanner's own dim noise, over a ground of 0 or 50."""
    x, y, w, h = box
    grains = cv2.GaussianBlur(np.random.default_rng(3).normal(0, 12, (h, w)), (0, 0), 1.5)
    noise = np.linspace(26, 12, h)[:, None] + grains
    shown[:, y : y + h, x : x + w] = np.clip(np.rint(noise), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("changed", [np.copy, _as_jpeg, _soft, _dark])
@pytest.mark.parametrize("background", [0, 50])
def test_a_dim_deep_half_is_picture_however_a_still_was_stored(
    changed: Callable[[NDArray[np.uint8]], NDArray[np.uint8]], background: int
) -> None:
    shown = screen((150, 70, 380, 360), background=background)
    in_shadow(shown, (150, 250, 380, 180))
    region = find_region(changed(shown[0])[None])
    ends = (region.x, region.y, region.x + region.width, region.y + region.height)
    assert ends == pytest.approx((150, 70, 530, 430), abs=8)  # a JPEG's blocks


@pytest.mark.parametrize("level", [0, 9])
@pytest.mark.parametrize("frame", [0, 8])
def test_a_picture_cut_out_of_its_screen_keeps_its_shadow(level: int, frame: int) -> None:
    shown = speckle(1, 300, 400)
    shown[:, 140:] = level
    framed = np.pad(shown, ((0, 0), (frame, frame), (frame, frame)))
    assert find_region(framed) == Region(frame, frame, 400, 300)


def test_black_bars_are_no_shadow() -> None:
    shown = speckle(1, 300, 400)
    shown[:, :60] = shown[:, 240:] = 0
    region = find_region(shown)
    assert abs(region.y - 60) <= 2
    assert abs(region.y + region.height - 240) <= 2


@pytest.mark.parametrize("times", [2, 3, 4])
@pytest.mark.parametrize("frames", [1, 5])
def test_an_enlarged_screen_shows_the_same_picture(times: int, frames: int) -> None:
    shown = screen((150, 70, 380, 360), frames=frames)
    large = np.stack(
        [cv2.resize(one, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC) for one in shown]
    )
    region = find_region(large)
    assert abs(region.x / times - 150) <= 1.5
    assert abs(region.y / times - 70) <= 1.5
    assert abs(region.width / times - 380) <= 3
    assert abs(region.height / times - 360) <= 3


@pytest.mark.parametrize("times", [2, 3])
def test_an_enlarged_fan_has_the_same_apex(times: int) -> None:
    fan = Fan((320.0, -200.0), 240.0, 650.0, -24.0, 24.0)
    random = np.random.default_rng(5)
    shown = np.clip(random.rayleigh(35, (700, 700)), 0, 255) * fan_mask(fan, 0, 0, 700, 700)
    small = find_region(shown.astype(np.uint8)[None])
    large = find_region(cv2.resize(shown.astype(np.uint8), None, fx=times, fy=times)[None])
    assert small.fan is not None
    assert large.fan is not None
    assert np.asarray(large.fan.apex_px) / times == pytest.approx(fan.apex_px, abs=6)
    assert large.fan.radius_max_px / times == pytest.approx(small.fan.radius_max_px, rel=0.02)
    assert large.width / times == pytest.approx(small.width, abs=6)


def test_without_furniture_it_is_the_whole_frame() -> None:
    assert find_region(speckle(3, 100, 120)) == Region(0, 0, 120, 100)


@pytest.mark.parametrize("value", [0, 128])
def test_an_empty_screen_is_the_whole_frame(value: int) -> None:
    assert find_region(np.full((2, 100, 120), value, dtype=np.uint8)) == Region(0, 0, 120, 100)


@settings(max_examples=15)
@given(
    st.floats(-30, 30),
    st.floats(20, 40),
    st.floats(120, 200),
    st.booleans(),
)
def test_a_fan_is_found_with_its_geometry(
    shift: float, half_angle: float, inner: float, dark: bool
) -> None:
    height, width = 420, 640
    truth = Fan((width / 2 + shift, 10 - inner), inner, inner + 380, -half_angle, half_angle)
    mask = fan_mask(truth, 0, 0, width, height)
    random = np.random.default_rng(0)
    shown = np.clip(random.rayleigh(35, (height, width)), 1, 255).astype(np.uint8)
    if dark:  # a shadow
        shown[200:, int(width / 2 + shift) :][:, :60] = 0
    shown[~mask] = 0
    fan = find_region(shown[None]).fan
    assert fan is not None
    assert fan.apex_px == pytest.approx(truth.apex_px, abs=12)
    assert fan.angle_left_deg == pytest.approx(truth.angle_left_deg, abs=1)
    assert fan.angle_right_deg == pytest.approx(truth.angle_right_deg, abs=1)
    found = fan_mask(fan, 0, 0, width, height)
    assert np.count_nonzero(found & mask) / np.count_nonzero(found | mask) > 0.96


def flickering(seen: NDArray[np.bool_], frames: int = 3) -> NDArray[np.uint8]:
    """Speckle of its own in every frame where echoes are seen, and black elsewhere."""
    grains = np.random.default_rng(0).rayleigh(35, (frames, *seen.shape))
    return np.where(seen, np.clip(grains, 0, 255), 0).astype(np.uint8)


def assert_shows(
    region: Region, truth: Fan, seen: NDArray[np.bool_], picture: NDArray[np.bool_]
) -> None:
    """Half a degree, and 3 px: all that is seen is tissue, and nothing beside the picture."""
    assert region.fan is not None
    assert region.fan.angle_left_deg == pytest.approx(truth.angle_left_deg, abs=0.5)
    assert region.fan.angle_right_deg == pytest.approx(truth.angle_right_deg, abs=0.5)
    tissue = np.zeros(picture.shape, dtype=np.bool_)
    tissue[region.slices] = tissue_mask(None, region)
    around = np.ones((7, 7), np.uint8)
    assert not (tissue & (cv2.dilate(picture.astype(np.uint8), around) == 0)).any()
    assert not (~tissue & (cv2.erode(seen.astype(np.uint8), around) > 0)).any()


@settings(max_examples=25)
@given(
    half_angle=st.floats(18, 42),
    face=st.floats(0.05, 1.0),
    across=st.floats(-0.05, 0.05),
    margin=st.integers(4, 60),
    wider=st.sampled_from([0.8, 1.0, 1.15]),
    deeper=st.sampled_from([0.8, 1.0, 1.2]),
)
def test_a_fan_is_found_wherever_the_screen_cuts_it(
    half_angle: float, face: float, across: float, margin: int, wider: float, deeper: float
) -> None:
    """``face`` is the radius of the face over the depth; from 1 on, the screen is too small."""
    height, width = 440, 620
    wide = 2 * (face + 1) * np.sin(np.radians(half_angle))
    high = face + 1 - face * np.cos(np.radians(half_angle))
    depth = min(wider * width / wide, deeper * (height - margin) / high)
    inner = face * depth
    apex = width * (0.5 + across), margin - inner * float(np.cos(np.radians(half_angle)))
    truth = Fan(apex, inner, inner + depth, -half_angle, half_angle)
    mask = fan_mask(truth, 0, 0, width, height)
    assert_shows(find_region(flickering(mask)), truth, mask, mask)


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("half_angle", [16.0, 24.0, 36.0])
def test_a_side_without_contact_mirrors_the_other_one(side: int, half_angle: float) -> None:
    truth = Fan((320.0, -150.0), 200.0, 530.0, -half_angle, half_angle)
    picture = fan_mask(truth, 0, 0, 640, 400)
    y, x = np.mgrid[:400, :640]
    ringing = np.hypot(x - 320, y + 150) < 215  # is all that such a side shows
    part = side * np.degrees(np.arctan2(x - 320, y + 150)) / half_angle
    lost = np.random.default_rng(2).random(part.shape) < 1 / (1 + np.exp(12 * (0.6 - part)))
    seen = picture & (ringing | ~lost)
    surely = picture & (ringing | (part < 0.2))
    assert_shows(find_region(flickering(seen)), truth, surely, picture)


@pytest.mark.parametrize("background", [0, 60])
def test_a_trapezoid_among_text_begins_at_its_flat_face(background: int) -> None:
    truth = Fan((320.0, -560.0), 600.0, 980.0, -12.0, 12.0)
    picture = fan_mask(truth, 0, 0, 640, 480)
    picture[:40] = False
    shown = flickering(picture)
    shown[:, ~picture] = background
    letters = np.random.default_rng(1).random((2, 10, 90)) < 0.5
    for frame in shown:  # in both upper corners, and a ruler beside its lower one
        frame[12:22, 20:110][letters[0]] = 220
        frame[12:22, 530:620][letters[1]] = 220
        frame[60:420:20, 548:556] = 220
    region = find_region(shown)
    assert_shows(region, truth, picture, picture)
    assert abs(region.y - 40) <= 1


def test_a_rectangle_is_no_fan() -> None:
    echoes = np.zeros((200, 300), dtype=np.bool_)
    echoes[10:180, 40:260] = True
    assert fit_fan(echoes) is None


def test_coloured_graphics_are_not_tissue_but_a_tint_is() -> None:
    grey = speckle(1, 100, 120)[0]
    tinted = np.stack([grey, grey, np.minimum(grey + 20, 255).astype(np.uint8)], axis=-1)
    tinted[40:44, 50:54] = (255, 255, 0)
    tissue = tissue_mask(tinted, Region(10, 10, 100, 80))
    assert not tissue[30:34, 40:44].any()
    assert tissue[:20].all()
    assert tissue.mean() > 0.95


def test_outside_the_fan_is_not_tissue() -> None:
    fan = Fan((60.0, -20.0), 30.0, 110.0, -30.0, 30.0)
    tissue = tissue_mask(None, Region(0, 0, 120, 100, fan))
    np.testing.assert_array_equal(tissue, fan_mask(fan, 0, 0, 120, 100))


@pytest.mark.parametrize("left_after_compression", [0, 12])
def test_black_margins_are_not_tissue(left_after_compression: int) -> None:
    """A dark bottom is: there the echoes have died away. A margin is beneath it as well."""
    shown = speckle(3, 90, 140)
    shown[:, 60:] = 2
    padded = np.full((3, 140, 200), left_after_compression, np.uint8)
    padded[:, 30:120, 24:164] = shown
    inside = within_margins(padded, Region(10, 10, 170, 124))
    expected = np.zeros((124, 170), dtype=np.bool_)
    expected[20:110, 14:154] = True
    np.testing.assert_array_equal(inside, expected)
    assert within_margins(shown, Region(0, 0, 140, 90)).all()
    lit_lower = padded.copy()
    lit_lower[:, 125, 40:80] = 60
    assert within_margins(lit_lower, Region(10, 10, 170, 124))[:116].any(axis=1)[20:].all()
    assert within_margins(np.zeros_like(padded), Region(0, 0, 200, 130)).all()


# --- repeats -----------------------------------------------------------------------------------


def drifting(frames: int, step: float, *, repeat: int = 1, noise: float = 1.0) -> NDArray[np.uint8]:
    """Speckle that drifts ``step`` px per new frame, each shown ``repeat`` times."""
    from scipy.ndimage import gaussian_filter, shift

    random = np.random.default_rng(2)
    texture = gaussian_filter(random.normal(size=(96, 160)), 1.5)
    texture = 100 + 40 * texture / texture.std()
    shown = []
    for index in range(frames):
        if index % repeat == 0:
            moved = shift(texture, (0, step * (index // repeat)), mode="wrap", order=1)
            live = moved + noise * random.normal(size=moved.shape)
        shown.append(np.clip(live, 16, 235).astype(np.uint8))
    return np.array(shown)


@pytest.mark.parametrize("repeat", [2, 3, 5])
@pytest.mark.parametrize("crf", [18, 23])
def test_repeats_of_a_lossy_recorder_are_found(tmp_path: Path, repeat: int, crf: int) -> None:
    path = write_video(
        tmp_path / "a.mp4",
        drifting(60, 1.0, repeat=repeat),
        fps=60,
        options={"preset": "veryfast", "crf": str(crf)},
    )
    duplicate_of = open_clip(path).header.timing.duplicate_of
    expected = np.arange(60) // repeat * repeat
    expected[expected == np.arange(60)] = -1
    assert np.count_nonzero(duplicate_of == expected) >= 55  # an encoder may blend a few
    originals = duplicate_of[duplicate_of >= 0]
    assert (duplicate_of[originals] < 0).all()


@pytest.mark.parametrize("step", [0.02, 0.1, 1.0])
@pytest.mark.parametrize("crf", [18, 28])
def test_slow_tissue_is_not_taken_for_repeats(tmp_path: Path, step: float, crf: int) -> None:
    path = write_video(
        tmp_path / "a.mp4",
        drifting(60, step, noise=2.0),
        options={"preset": "veryfast", "crf": str(crf)},
    )
    # An encoder does repeat a few frames to the bit where hardly anything moves.
    assert open_clip(path).header.timing.duplicates <= 6


def test_rest_before_and_after_a_movement_is_not_taken_for_repeats() -> None:
    change = np.concatenate([np.full(40, 1.5), np.linspace(2, 15, 10), np.full(40, 1.6)])
    assert (find_repeats(change.astype(np.float32)) < 0).all()


def test_at_rest_the_cadence_tells_new_frames_from_repeats() -> None:
    new = np.concatenate([np.full(20, 1.6), np.full(30, 20.0), np.full(20, 1.6)])
    change = np.stack([new, np.full(70, 1.0), np.full(70, 0.9)], axis=1).ravel()
    duplicate_of = find_repeats(change.astype(np.float32))
    np.testing.assert_array_equal(np.flatnonzero(duplicate_of < 0), np.arange(0, 210, 3))


def test_an_encoders_corrections_of_fast_repeats_are_no_new_frames() -> None:
    change = np.stack([np.full(40, 12.0), np.full(40, 4.5), np.full(40, 3.5)], axis=1).ravel()
    duplicate_of = find_repeats(change.astype(np.float32))
    # Nothing new follows the last repeats, by which they could be told.
    np.testing.assert_array_equal(np.flatnonzero(duplicate_of[:118] < 0), np.arange(0, 118, 3))


@pytest.mark.parametrize("period", [3.5, 5.0, 7.3])
def test_a_needle_that_turns_back_is_not_taken_for_repeats(period: float) -> None:
    change = 3.5 + 20.0 * np.abs(np.cos(np.pi * np.arange(120) / period))
    assert (find_repeats(change.astype(np.float32)) < 0).all()


def test_a_frozen_clip_keeps_its_first_frame() -> None:
    duplicate_of = find_repeats(np.zeros(10, dtype=np.float32))
    assert duplicate_of.tolist() == [-1] + [0] * 9


def test_repeats_are_not_shown_to_the_stages(tmp_path: Path) -> None:
    frames = np.repeat(speckle(4, 64, 80), 3, axis=0)
    clip = open_clip(write_video(tmp_path / "a.mkv", frames, codec="ffv1", options={"level": "3"}))
    assert [index for index, _ in clip.frames()] == [0, 3, 6, 9]
    np.testing.assert_array_equal(clip[4], clip[3])


def test_block_change_sees_a_small_moving_spot() -> None:
    before = np.zeros((96, 160), dtype=np.uint8)
    after = before.copy()
    after[40:48, 80:88] = 200
    change = block_change(after, before)
    assert change.max() == pytest.approx(50, abs=1)
    assert np.count_nonzero(change) == 1


# --- real recordings ---------------------------------------------------------------------------


@pytest.mark.clips
@pytest.mark.parametrize(
    ("name", "file", "least"),
    [
        ("fascia_normal", "image.jpg", 0.97),
        ("muscle_calf_ge_0", "clip.m4v", 0.97),
        ("muscle_isokinetic030_01_push_01", "clip.mp4", 0.97),
        ("thickness_range_of_motion", "frames", 0.97),
    ],
)
def test_the_picture_on_real_screens(name: str, file: str, least: float) -> None:
    region = opened(f"{name}/{file}").header.region
    x, y, w, h = json.loads((CLIPS / name / "case.json").read_text())["region_xywh"]
    truth = np.zeros((2000, 2000), dtype=np.bool_)
    truth[y : y + h, x : x + w] = True
    found = np.zeros_like(truth)
    found[region.slices] = True
    assert np.count_nonzero(found & truth) / np.count_nonzero(found | truth) > least


@pytest.mark.clips
@pytest.mark.parametrize("number", ["01", "04", "05", "07", "08", "12"])
def test_the_fan_of_one_probe_is_the_same_in_all_its_clips(number: str) -> None:
    fan = opened(f"needle_convex_{number}/frames").header.region.fan
    assert fan is not None
    assert fan.apex_px == pytest.approx((286, -316), abs=8)
    assert fan.radius_min_px == pytest.approx(352, abs=8)


@pytest.mark.clips
@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("needle_outofplane_horizontal", 112, 150),
        ("needle_inplane_tissue", 140, 230),
        ("muscle_passive_ROM_01_push_01", 394, 394),
        ("muscle_isokinetic120_01_push_01", 79, 79),
    ],
)
def test_repeats_in_real_recordings(name: str, least: int, most: int) -> None:
    timing = opened(f"{name}/clip.mp4").header.timing
    assert least <= len(timing.distinct) <= most
