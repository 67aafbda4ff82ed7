"""What the fascia's measurement answers to pictures that are not what it is made for."""

from functools import cache

import cv2
import numpy as np
import pytest

from usguide import Clip, Options, analyze, open_clip
from usguide.fascia.candidates import beneath_tissue, fat_share
from usguide.fascia.course import BorderPair
from usguide.fascia.straighten import Band
from usguide.model import Status, Task
from usguide.synth import make_scene

FASCIA = Options(tasks=frozenset({Task.FASCIA}))
STATIONS_MM = (5.0, 10.0, 15.0)


@cache
def scene(kind="heel", seed=8823, **fixed):
    """Return frames, spacing in mm and the fascia's truth; the bone of this heel is on the left."""
    recording = make_scene(kind, seed=seed, **fixed)
    return np.stack(list(recording.frames())), recording.spacing_mm, recording.truth


def fascia(frames, spacing_mm):
    clip = Clip.from_array(np.ascontiguousarray(frames), spacing_mm=spacing_mm)
    return analyze(clip, FASCIA).fascia


def assert_right(result, truth, within_mm=0.4):
    """The stations are near the truth, and the truth is inside what is stated for them."""
    true = {s["distance_mm"]: s["value"] for s in truth["fascia"]["thickness_mm"]["stations"]}
    got = {s.distance_mm: s.thickness for s in result.thickness_mm.stations}
    for at in STATIONS_MM:
        assert got[at].value == pytest.approx(true[at], abs=within_mm)
        assert got[at].low <= true[at] <= got[at].high


def assert_nothing(result, reason):
    assert result.status is Status.NONE_FOUND
    assert reason in result.reason
    assert result.thickness_mm is None
    assert result.thickness_px is None
    assert result.category is None
    assert result.superficial_px is None


def resized(frames, width_px):
    scale = width_px / frames.shape[2]
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.stack([cv2.resize(f, None, fx=scale, fy=scale, interpolation=way) for f in frames])


def test_no_bone_in_view():
    frames, spacing_mm, truth = scene(frames=3)
    past_the_bone = round(truth["fascia"]["insertion_px"][0] + 2.0 / spacing_mm[0])
    result = fascia(frames[:, :, past_the_bone:], spacing_mm)
    assert_nothing(result, "no bright line with a shadow beneath it")


def test_bone_only():
    frames, spacing_mm, truth = scene(frames=3)
    before_the_edge = round(truth["fascia"]["insertion_px"][0] - 2.0 / spacing_mm[0])
    result = fascia(frames[:, :, :before_the_edge], spacing_mm)
    assert_nothing(result, "the bone-like line crosses the whole picture")


def test_a_front_edge_at_the_bottom_of_the_picture():
    frames, spacing_mm, truth = scene(frames=3)
    edge = truth["fascia"]["insertion_px"][1]
    just_beneath, further = (round(edge + mm / spacing_mm[1]) for mm in (3.0, 7.0))
    assert_nothing(fascia(frames[:, :just_beneath], spacing_mm), "so near the bottom")
    assert_right(fascia(frames[:, :further], spacing_mm), truth)


@pytest.mark.parametrize("level", [0, 90])
def test_an_empty_picture(level):
    frames, spacing_mm, _ = scene(frames=3)
    assert_nothing(fascia(np.full_like(frames, level), spacing_mm), "the picture is empty")


def test_a_needle_across_the_fascia_is_neither_its_border_nor_a_rupture():
    frames, spacing_mm, truth = scene(frames=3)
    frames = np.repeat(frames, 4, axis=0)
    plain = fascia(frames, spacing_mm)
    # In at 35 degrees, and to and fro through the band 12 mm from the insertion.
    deep = np.array(truth["fascia"]["deep_px"])
    at = truth["fascia"]["insertion_px"][0] + 12.0 / spacing_mm[0]
    end = np.array([at, np.interp(at, *deep.T) + 1.0 / spacing_mm[1]])
    way = np.array([np.cos(np.radians(35.0)), np.sin(np.radians(35.0))])
    needled = frames.copy()
    for index, frame in enumerate(needled):
        tip = end - way * (1.0 + np.cos(index)) / spacing_mm[0]
        tail = end - way * end[1] / way[1]
        shaft = np.zeros_like(frame)
        cv2.line(shaft, np.rint(tail).astype(int), np.rint(tip).astype(int), 255, 2)
        np.maximum(frame, cv2.GaussianBlur(shaft, (0, 0), 1.0), out=frame)
    result = fascia(needled, spacing_mm)
    assert_right(result, truth)
    assert result.discontinuity == ()
    for before, after in zip(
        plain.thickness_mm.stations, result.thickness_mm.stations, strict=True
    ):
        assert after.thickness.value == pytest.approx(before.thickness.value, abs=0.25)


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 255, 255)], ids=["grey", "coloured"])
def test_calipers_burned_in_over_it(tmp_path, colour):
    frames, spacing_mm, truth = scene(frames=3)
    plain = fascia(frames, spacing_mm)
    x = truth["fascia"]["insertion_px"][0] + 5.0 / spacing_mm[0]
    top, bottom = (
        round(np.interp(x, *np.array(truth["fascia"][f"{border}_px"]).T))
        for border in ("superficial", "deep")
    )
    x = round(x)
    for index, frame in enumerate(frames):
        marked = cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR)
        for y in (top, bottom):
            cv2.drawMarker(marked, (x, y), colour, cv2.MARKER_CROSS, 11, 1)
        for y in range(top + 3, bottom, 4):
            marked[y, x] = colour
        cv2.putText(marked, "1 D 5.2 mm", (x + 8, top - 8), 0, 0.4, colour, 1)
        cv2.imwrite(str(tmp_path / f"{index}.png"), marked)
    result = analyze(open_clip(tmp_path, spacing_mm=spacing_mm), FASCIA).fascia
    assert_right(result, truth)
    for before, after in zip(
        plain.thickness_mm.stations, result.thickness_mm.stations, strict=True
    ):
        assert after.thickness.value == pytest.approx(before.thickness.value, abs=0.1)


def test_one_frame():
    frames, spacing_mm, truth = scene(frames=3)
    result = fascia(frames[:1], spacing_mm)
    assert_right(result, truth)
    assert result.frames_used == 1


@pytest.mark.parametrize("width_px", [120, 2000])
def test_a_small_and_a_large_picture(width_px):
    frames, spacing_mm, truth = scene(frames=3)
    sized = resized(frames, width_px)
    scale = sized.shape[2] / frames.shape[2]
    result = fascia(sized, tuple(mm / scale for mm in spacing_mm))
    assert_right(result, truth)
    assert result.insertion_px[0] < width_px


def test_a_picture_too_small_for_a_heel():
    frames, spacing_mm, _ = scene(frames=3)
    scale = 36 / frames.shape[2]
    result = fascia(resized(frames, 36), tuple(mm / scale for mm in spacing_mm))
    assert_nothing(result, "no frame is large enough to show a heel")


def test_a_heel_that_is_in_view_for_a_third_of_the_clip():
    heel, spacing_mm, truth = scene(frames=3)
    calf, _, _ = scene("muscle", 8801, frames=3)
    heel, calf = np.repeat(heel, 3, axis=0), np.repeat(calf, 8, axis=0)
    for frames, start in ((np.concatenate([heel, calf]), 0), (np.concatenate([calf, heel]), 24)):
        result = fascia(frames, spacing_mm)
        assert_right(result, truth)
        seen = np.flatnonzero(np.isfinite(result.frame_thickness_mm))
        assert seen.min() >= start
        assert seen.max() < start + 9


def test_what_the_tracker_still_follows_is_looked_at_again():
    heel, spacing_mm, truth = scene(frames=3)
    # Past the bone, stretched to the size of the frame: the fat is still where it was.
    past = round(truth["fascia"]["insertion_px"][0]) + 20
    rest = np.stack([cv2.resize(frame[:, past:], frame.shape[::-1]) for frame in heel])
    frames = np.concatenate([np.repeat(heel, 4, axis=0), np.repeat(rest, 8, axis=0)])
    result = fascia(frames, spacing_mm)
    assert_right(result, truth)
    assert result.frames_used <= 12


def test_a_heel_that_was_seen_once_in_a_clip_is_taken_for_an_accident():
    heel, spacing_mm, _ = scene(frames=3)
    calf, _, _ = scene("muscle", 8801, frames=3)
    frames = np.concatenate([heel[:1], np.repeat(calf, 10, axis=0)])
    assert_nothing(fascia(frames, spacing_mm), "were seen in only 1 of the")


def test_pictures_between_which_the_probe_jumped():
    heel, spacing_mm, truth = scene(frames=3)
    jumps = np.stack([np.roll(heel[0], shift, axis=1) for shift in (0, -60, 0, -60, 0)])
    assert_right(fascia(jumps, spacing_mm), truth)


def test_without_a_scale_everything_is_in_pixels():
    frames, spacing_mm, truth = scene(frames=3)
    result = fascia(frames, None)
    assert result.status is Status.MEASURED
    assert result.reason == "the clip has no scale: lengths are in pixels"
    assert result.thickness_px.maximum.unit == "px"
    assert result.profile.unit == "px"
    # Millimetres, and what depends on them.
    assert result.thickness_mm is None
    assert result.category is None
    assert result.frame_thickness_mm is None
    assert result.fat_pad_mm is None
    assert result.biconvexity_mm is None
    assert (result.discontinuity, result.fluid, result.spur) == ((), (), None)
    assert {one.what for one in result.not_measured} >= {"discontinuity", "fluid", "spur"}
    assert all("scale" in one.reason for one in result.not_measured)
    true_px = truth["fascia"]["thickness_mm"]["insertion"] / spacing_mm[1]
    assert result.thickness_px.maximum.value == pytest.approx(true_px, rel=0.3)


def test_a_band_that_is_seen_too_shortly():
    """Twelve millimetres ahead of the bone decide; the same picture with more is measured."""
    frames, spacing_mm, truth = scene(frames=3)
    edge = truth["fascia"]["insertion_px"][0]
    shown, wider = (round(edge + mm / spacing_mm[0]) for mm in (11.0, 19.0))
    assert_nothing(fascia(frames[:, :, :shown], spacing_mm), "seen for less than 12 mm")
    assert_right(fascia(frames[:, :, :wider], spacing_mm), truth)


@pytest.mark.parametrize("first_mm", [-12.0, 18.0, 40.0])
def test_a_band_of_which_no_part_is_judged_is_none(first_mm):
    """OpenCV maps no picture of no columns, and no line goes through no points."""
    distance = first_mm + 0.5 * np.arange(10)
    centre = np.stack([distance / 0.1 + 200, np.full(10, 100.0)], axis=1)
    band = Band(distance, centre, np.tile([0.0, 1.0], (10, 1)))
    nothing = np.zeros(10)
    offset = np.full(10, 15.0)
    pair = BorderPair(
        band, -offset, offset, nothing.astype(bool), np.zeros((2, 10)), *[nothing] * 4
    )
    assert not beneath_tissue(np.full((200, 400), 0.5, np.float32), pair, 0.1)


@pytest.mark.parametrize("fat", [0.0, 0.2, 0.6])
def test_the_fat_over_a_band_is_measured_against_the_band(fat):
    distance = 0.5 * np.arange(40)
    centre = np.stack([distance / 0.1 + 50, np.full(40, 100.0)], axis=1)
    band = Band(distance, centre, np.tile([0.0, 1.0], (40, 1)))
    nothing, offset = np.zeros(40), np.full(40, 15.0)
    pair = BorderPair(
        band, -offset, offset, nothing.astype(bool), np.zeros((2, 40)), *[nothing] * 4
    )
    levels = np.where(np.arange(200)[:, None] < 85, fat, 0.5) * np.ones(400)
    share = fat_share(levels.astype(np.float32), pair, 0.1)
    np.testing.assert_allclose(share, fat / 0.5, atol=1e-5)
    assert beneath_tissue(levels.astype(np.float32), pair, 0.1) is (fat > 0.1)
