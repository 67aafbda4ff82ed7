"""The parts of the motion stage: tracking, cycles, gap edges."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motion_scenes import NO_MUSCLE, recorded
from usguide.ingest.clip import Clip
from usguide.model import (
    Borders,
    Calibration,
    CalibrationSource,
    Measurement,
    MuscleResult,
    Region,
    Status,
)
from usguide.motion.contraction import rest_is_high
from usguide.motion.cycles import find_cycles
from usguide.motion.dark_interval import along_rows, darkest_interval
from usguide.motion.defect import standing_gaps
from usguide.motion.displacement import Tracker
from usguide.motion.field import Field, resample
from usguide.motion.fluid import GLANCES, Glances
from usguide.motion.gap import find_gap
from usguide.motion.history import FEWEST_ROWS, History, Motion
from usguide.motion.judgement import suggested_grade
from usguide.motion.matching import supported
from usguide.motion.opening import not_negative
from usguide.motion.parting import DEPTH_LINES, WINDOW, Parting, change_between, find_partings
from usguide.motion.separation import without_parting
from usguide.motion.shadow import lit
from usguide.motion.strip import DEPTHS, belly_of, straighten
from usguide.motion.suspects import beside, suspect_at
from usguide.motion.width import widths_of

# --- displacement -----------------------------------------------------------------------------


def at_rest(scene, frame, points_px):
    """Where the tissue now at ``points_px`` was at rest, by inverting the exact displacement."""
    spacing = scene.spacing_mm[0]
    rest = points_px.copy()
    for _ in range(80):
        moved = rest + scene.displacement_mm(frame, rest) / spacing
        rest = rest + 0.5 * (points_px - moved)
    return rest


def test_displacement_is_right_accumulated_and_between_frames():
    recording = recorded(2, out_of_plane=0)
    frames, spacing = recording.frames, recording.scene.spacing_mm[0]
    tracker = Tracker(np.ones(frames[0].shape, bool))
    fields = [tracker.step(frame) for frame in frames]
    worst = 0.0
    for k in (6, 12, 18, 24, 35):
        good = fields[k].quality > 0
        assert good.mean() > 0.6
        now = fields[k].position_px
        rest = at_rest(recording.scene, k, now)
        then = rest + recording.scene.displacement_mm(0, rest) / spacing
        error = (fields[k].displacement_px - (now - then))[good] * spacing
        worst = max(worst, float(np.sqrt((error**2).sum(axis=-1).mean())))
    assert worst <= 0.5
    pair = Tracker(np.ones(frames[0].shape, bool))
    pair.step(frames[8])
    field = pair.step(frames[9])
    good = field.quality > 0
    before = (field.position_px - field.displacement_px)[good]
    rest = at_rest(recording.scene, 8, before)
    after = rest + recording.scene.displacement_mm(9, rest) / spacing
    error = (field.displacement_px[good] - (after - before)) * spacing
    assert np.sqrt((error**2).sum(axis=-1).mean()) <= 0.1


def test_drift_does_not_add_up_over_ten_cycles():
    frames = recorded(2).frames
    there_and_back = np.concatenate([frames[:16:2], frames[16:0:-2]])
    tracker = Tracker(np.ones(frames[0].shape, bool))
    for frame in np.concatenate([there_and_back] * 10):
        field = tracker.step(frame)
    field = tracker.step(frames[0])
    drift = np.linalg.norm(field.displacement_px[field.quality > 0], axis=-1)
    assert np.sqrt((drift**2).mean()) * recorded(2).scene.spacing_mm[0] <= 0.1


def test_a_cut_in_the_clip_is_recognised_as_loss():
    one, other = recorded(2).frames, recorded(3).frames
    tracker = Tracker(np.ones(one[0].shape, bool))
    for frame in one[:4]:
        assert not tracker.step(frame).lost
    assert tracker.step(other[20]).lost


def test_lone_vectors_are_dropped_and_neighbouring_ends_kept():
    vectors = np.zeros((6, 8, 2))
    vectors[:, 4:, 0] = 9.0
    valid = np.ones((6, 8), bool)
    assert supported(vectors, valid).all()
    vectors[2, 2] = (30.0, -12.0)
    assert not supported(vectors, valid)[2, 2]
    assert supported(vectors, valid).sum() == 47


def test_resampling_a_constant_gives_the_constant():
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 50, (30, 2))
    values = np.full((30, 2), (3.0, -1.0))
    at = rng.uniform(-20, 80, (3, 4, 2))
    means, trust = resample(points, values, np.ones(30), at, 5.0)
    assert means == pytest.approx(np.full((3, 4, 2), (3.0, -1.0)))
    assert trust.shape == (3, 4)
    assert (trust <= 1 + 1e-9).all()


def test_tissue_that_entered_the_picture_is_not_trusted():
    def window(start):
        return wide[:, start : start + 400]

    wide = cv2.GaussianBlur(
        np.random.default_rng(3).integers(0, 255, (320, 600)).astype(np.uint8), (0, 0), 2.0
    )
    wide = cv2.normalize(wide, None, 0, 255, cv2.NORM_MINMAX)
    tracker, history = Tracker(np.ones((320, 400), np.bool_)), History(400, 320)
    for k in range(21):
        history.add(k, tracker.step(np.ascontiguousarray(window(5 * k))))
    motion = history.motion()
    seen = motion.x_px < 399 - 100 - 20
    entered = motion.x_px > 399 - 100 + 30
    assert motion.displacement_px[-1][..., seen, 0] == pytest.approx(
        np.full((16, seen.sum()), -100), abs=1.0
    )
    assert (motion.quality[-1][:, seen] > 0.5).mean() > 0.9
    assert (motion.quality[-1][:, entered] < 0.15).mean() > 0.9


def test_history_keeps_its_budget(monkeypatch):
    monkeypatch.setattr("usguide.motion.history.BUDGET", 40_000)
    rows, columns = 16, 24
    x, y = np.meshgrid(np.linspace(5, 395, columns), np.linspace(5, 315, rows))
    position = np.stack([x, y], axis=-1)
    field = Field(position, np.full((rows, columns, 2), 2.5), np.ones((rows, columns)), 1, False)
    history = History(400, 320)
    for index in range(60):
        history.add(index, field)
    motion = history.motion()
    assert motion.displacement_px.shape == (60, FEWEST_ROWS, columns, 2)
    assert motion.displacement_px == pytest.approx(2.5, abs=0.03)
    assert len(motion.y_px) == FEWEST_ROWS
    assert motion.skin_px == pytest.approx(2.5)


# --- contraction ------------------------------------------------------------------------------


def hump(n, start, end):
    t = np.clip((np.arange(n) - start) / (end - start), 0, 1)
    return np.sin(np.pi * t) ** 2


def test_cycles_are_found_from_onset_to_release():
    curve = hump(100, 10, 40) + 0.8 * hump(100, 60, 90)
    (one, two) = find_cycles(curve)
    assert one == pytest.approx((10, 25, 40), abs=4)
    assert two == pytest.approx((60, 75, 90), abs=4)


def test_a_clip_that_starts_or_ends_in_mid_contraction_has_open_cycles():
    late = hump(60, -20, 30)
    assert find_cycles(late / late.max())[0][0] == 0
    assert find_cycles(hump(60, 30, 100) / hump(60, 30, 100).max())[0][2] == 59


def test_rest_is_where_the_clip_starts_or_else_where_it_ends():
    assert rest_is_high(hump(50, 10, 40)) == (False, True)
    assert rest_is_high(-hump(50, 10, 40)) == (True, True)
    falling = np.concatenate([np.linspace(0.5, 1.0, 10), np.linspace(1.0, 0.0, 20), np.zeros(20)])
    assert rest_is_high(falling) == (False, True)


def test_a_clip_that_stands_still_at_both_ends_of_a_movement_does_not_tell_which_is_rest():
    released = np.concatenate([np.ones(15), np.linspace(1.0, 0.0, 15), np.zeros(20)])
    assert rest_is_high(released) == (True, False)
    assert rest_is_high(released[::-1]) == (False, False)


# --- the gap ----------------------------------------------------------------------------------


@given(
    st.lists(st.integers(0, 100), min_size=3, max_size=14),
    st.integers(10, 90),
)
@settings(max_examples=60)
def test_darkest_interval_is_the_best_of_all(profile, threshold):
    profile = np.array(profile, float)
    start, end = darkest_interval(profile, threshold)
    best = max(
        (threshold - profile[i : j + 1]).sum()
        for i in range(len(profile))
        for j in range(i, len(profile))
    )
    if best <= 0:
        assert start == end
    else:
        inside = slice(int(np.ceil(start - 1e-9)), int(np.floor(end + 1e-9)) + 1)
        assert (threshold - profile[inside]).sum() == pytest.approx(best)


def test_what_is_not_shown_is_neither_dark_nor_bright():
    profile = np.array([9.0, 9, 1, 1, np.nan, 1, 9, 9, np.nan, np.nan])
    start, end = darkest_interval(profile, 5.0)
    assert (start, end) == pytest.approx((1.5, 5.5))
    assert darkest_interval(np.full(5, np.nan), 5.0) == (2.0, 2.0)
    # It ends where the tissue ends, and goes no further.
    assert darkest_interval(np.array([9.0, 9, 1, 1, np.nan, np.nan]), 5.0)[1] == 3.0


def test_darkest_interval_finds_fractional_edges():
    x = np.arange(40, dtype=float)
    profile = np.clip((np.abs(x - 20.3) - 6.2) * 20 + 50, 0, 100)
    assert darkest_interval(profile, 50.0) == pytest.approx((14.1, 26.5), abs=0.05)


def test_smoothing_down_the_rows_ignores_a_stray_row():
    rows = np.arange(12)
    values = 3.0 + 0.5 * rows
    values[5] += 40
    assert along_rows(rows, values) == pytest.approx(3.0 + 0.5 * rows, abs=0.6)


@pytest.mark.parametrize(
    ("low", "value", "high", "grade"),
    [(0.0, 0.03, 0.1, "1"), (0.1, 0.2, 0.3, "2"), (0.6, 0.7, 0.8, None), (0.9, 0.98, 1.0, "3")],
)
def test_grades_follow_their_definition(low, value, high, grade):
    assert suggested_grade(Measurement(value, low, high, "1")) == grade


def test_a_width_measured_below_zero_is_zero():
    """A closed gap may come out a fraction of a pixel under it, with or without its interval."""
    cut = not_negative(Measurement(-0.13, -0.4, 0.6, "mm"))
    assert (cut.value, cut.low, cut.high) == (0.0, 0.0, 0.6)
    below = not_negative(Measurement(-0.5, -0.6, -0.4, "mm"))
    assert (below.value, below.low, below.high) == (0.0, 0.0, 0.0)
    assert not_negative(Measurement(2.0, -1.0, 3.0, "mm")) == Measurement(2.0, 0.0, 3.0, "mm")
    assert not_negative(None) is None


def test_without_borders_the_region_stands_in_and_says_so():
    belly = belly_of(NO_MUSCLE, Region(0, 0, 100, 80), np.ones((80, 100), bool))
    assert not belly.known
    superficial, deep = belly.borders(7)
    assert superficial.shape == (100,)
    assert (deep > superficial).all()
    assert belly.depth_lines(7, DEPTHS).shape == (DEPTHS, 100)


def test_glances_stay_few_however_long_the_clip():
    glances = Glances()
    for index in range(500):
        glances.add(index, np.zeros((20, 30), np.uint8))
    assert GLANCES / 2 <= len(glances.frames) <= GLANCES
    assert glances.frames[-1][0] > 350


def muscle_at(superficial, deep):
    lines = (np.full((1, 400), y, np.float32) for y in (superficial, deep))
    return MuscleResult(Status.MEASURED, "given.", borders=Borders(np.arange(400.0), *lines))


def test_a_shadow_through_the_muscle_is_no_defect_and_a_gap_is():
    rng = np.random.default_rng(2)
    region = Region(0, 0, 400, 300)
    belly = belly_of(muscle_at(80, 180), region, np.ones((300, 400), bool))
    scale = Calibration(0.1, 0.1, CalibrationSource.USER, 1.0)
    tissue = cv2.GaussianBlur(rng.integers(20, 200, (300, 400)).astype(np.uint8), (0, 0), 1.5)
    gap, shadow, no_contact = tissue.copy(), tissue.copy(), tissue.copy()
    gap[80:180, 180:230] = 5
    shadow[80:, 180:230] = 5
    no_contact[:, 180:230] = 5
    (found, _), *others = standing_gaps(gap, 0, 0, belly, 17.0, scale)
    assert not others
    assert found.width == pytest.approx(50, abs=4)
    assert lit(gap, found, belly, 0) == (True, True)
    assert lit(shadow, found, belly, 0) == (True, False)
    assert lit(no_contact, found, belly, 0) == (False, False)
    assert standing_gaps(shadow, 0, 0, belly, 17.0, scale) == []
    assert standing_gaps(tissue, 0, 0, belly, 17.0, scale) == []


def test_an_oblique_gap_is_as_wide_whatever_the_shape_of_a_pixel():
    """A gap at 45 degrees, in square pixels and in pixels twice as high as wide."""
    rng = np.random.default_rng(4)
    picture = cv2.GaussianBlur(rng.integers(60, 200, (300, 400)).astype(np.uint8), (0, 0), 1.5)
    y, x = np.mgrid[:300, :400]
    picture[np.abs(x - 200 - (y - 130)) < 20] = 5
    x, y = np.arange(8.0, 400.0, 17.0), np.arange(10.0, 300.0, 20.0)
    found = []
    for step in (1, 2):
        frame = np.ascontiguousarray(picture[::step])
        clip = Clip.from_array([frame], spacing_mm=(0.1, 0.1 * step), fps=20)
        motion = Motion(
            np.arange(1),
            np.zeros((1, len(y), len(x), 2), np.float32),
            np.ones((1, len(y), len(x)), np.float32),
            np.ones(1),
            np.zeros(1, bool),
            np.zeros((1, 2)),
            x,
            y / step,
        )
        size = Region(0, 0, 400, 300 // step), np.ones(frame.shape, bool)
        belly = belly_of(muscle_at(80 / step, 180 / step), *size, clip.header.calibration.aspect)
        gap = find_gap(straighten(frame, belly, 0), 0, slice(4, 20), (190, 210), 17.0)
        ends = beside(gap, belly.depth_lines(0, DEPTHS)[gap.rows], belly, 17.0)
        (widths,) = widths_of(clip, motion, belly, [(gap, ends)], 17.0)
        found.append(float(widths.value[0]))
    assert found[0] == pytest.approx(40 / np.sqrt(2), abs=2)
    assert found[1] == pytest.approx(found[0], abs=1)


def fan_of(half):
    """A muscle over 400 px, seen in ``half`` px about its middle only."""
    tissue = np.zeros((300, 400), bool)
    tissue[:, 200 - half : 200 + half] = True
    return belly_of(muscle_at(80, 180), Region(0, 0, 400, 300), tissue), tissue


def test_black_beside_the_sector_is_no_tissue_beside_a_gap():
    """A gap near the sector's edge is as dark, and as wide, as if the picture went on."""
    rng = np.random.default_rng(3)
    picture = cv2.GaussianBlur(rng.integers(20, 200, (300, 400)).astype(np.uint8), (0, 0), 1.5)
    picture[80:180, 240:290] = 5
    whole, _ = fan_of(200)
    fan, tissue = fan_of(125)
    shown = np.where(tissue, picture, 0).astype(np.uint8)
    rows, inner = slice(9, 15), (245.0, 285.0)
    strip = straighten(shown, fan, 0)
    assert np.array_equal(np.isfinite(strip), np.tile(tissue[0], (DEPTHS, 1)))
    full = find_gap(straighten(picture, whole, 0), 0, rows, inner, 17.0)
    cut = find_gap(strip, 0, rows, inner, 17.0)
    assert cut.width == pytest.approx(full.width, abs=1)
    assert cut.levels.right == pytest.approx(full.levels.right, rel=0.15)
    assert cut.contrast > 0.5 * full.contrast
    # Darkness that reaches the sector's edge has no end there.
    picture[80:180, 240:400] = 5
    shown = np.where(tissue, picture, 0).astype(np.uint8)
    assert find_gap(straighten(shown, fan, 0), 0, rows, inner, 17.0) is None


def test_what_lies_outside_the_sector_is_not_tracked():
    fan, tissue = fan_of(110)
    x, y = np.arange(8.0, 400.0, 17.0), np.arange(10.0, 300.0, 20.0)
    still = np.zeros((2, len(y), len(x), 2), np.float32)
    motion = Motion(
        np.arange(2),
        still,
        np.ones(still.shape[:3], np.float32),
        np.ones(2),
        np.zeros(2, bool),
        np.zeros((2, 2)),
        x,
        y,
    )
    _, trust = change_between(motion, fan, 0, 1)
    assert np.array_equal(trust > 0, np.tile(tissue[0, x.astype(int)], (DEPTH_LINES, 1)))


def test_a_greater_parting_beside_it_does_not_hide_another():
    """The sector's edge stands still while tissue slides past it, and parts from it everywhere."""
    along = np.zeros((DEPTH_LINES, 24))
    along[:, 8:] = 6.0
    along[:, 19:] = 18.0
    found = find_partings(along, np.ones_like(along))
    for step in (8, 19):
        seen = {p.depths.start for p in found if p.left < step <= p.right}
        assert seen == set(range(DEPTH_LINES - WINDOW + 1))
    assert not any(p.left < 8 and p.right >= 19 for p in found)


def test_where_ends_part_coarse_speckle_does_not_hide_the_gap():
    rng = np.random.default_rng(0)
    patchy = cv2.GaussianBlur(rng.normal(size=(300, 400)), (0, 0), 14)
    picture = np.clip(90 + 50 * patchy / patchy.std(), 20, 255).astype(np.uint8)
    resting = picture.copy()
    picture[80:180, 195:220] = 60
    belly = belly_of(muscle_at(80, 180), Region(0, 0, 400, 300), np.ones((300, 400), bool))
    x, y = np.arange(8.0, 400.0, 17.0), np.arange(10.0, 300.0, 20.0)
    moved = np.zeros((2, len(y), len(x), 2), np.float32)
    moved[1, :, x > 205, 0] = 25.0
    motion = Motion(
        np.arange(2),
        moved,
        np.ones(moved.shape[:3], np.float32),
        np.ones(2),
        np.zeros(2, bool),
        np.zeros((2, 2)),
        x,
        y,
    )
    parting = Parting(slice(4, 7), 11, 13, 25.0, 1.0)
    found = suspect_at(picture, resting, motion, belly, parting, 0, 1, 17.0)
    assert found.gap.contrast < 0.8
    assert found.gap.width == pytest.approx(25, abs=6)
    assert suspect_at(resting, resting, motion, belly, parting, 0, 1, 17.0) is None


def test_that_nothing_parts_is_said_of_what_was_tracked_only():
    assert "in the 41 % of it that could be tracked" in without_parting(0.41)
    assert "tracked" not in without_parting(0.97)


def test_what_a_fan_does_not_show_above_and_beneath_a_gap_is_not_dark():
    rng = np.random.default_rng(4)
    whole, _ = fan_of(200)
    picture = cv2.GaussianBlur(rng.integers(20, 200, (300, 400)).astype(np.uint8), (0, 0), 1.5)
    picture[80:180, 180:230] = 5
    rows = slice(9, 15)
    gap = find_gap(straighten(picture, whole, 0), 0, rows, (185.0, 225.0), 17.0)
    fan, tissue = fan_of(200)
    tissue[:82] = tissue[178:] = False
    assert lit(np.where(tissue, picture, 0).astype(np.uint8), gap, fan, 0) == (True, True)
