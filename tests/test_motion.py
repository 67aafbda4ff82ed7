"""What the motion stage says of scenes with known truth, and of input it cannot measure."""

import dataclasses

import cv2
import numpy as np
import pytest

from motion_scenes import COMPLETE, NO_MUSCLE, NO_NEEDLE, concluded, recorded
from usguide.ingest.clip import Clip
from usguide.model import SeparationFlag, Status
from usguide.motion import MotionStage

CLOSED = COMPLETE | {"open_at_rest": "false", "hematoma_mm": 0}
OPEN = COMPLETE | {"open_at_rest": "true", "gap_mm": 4, "hematoma_mm": 0}
STATIC = OPEN | {"widening_mm": 0}


# --- scenes with truth ------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 2])
def test_a_healthy_contraction_is_one_cycle_and_no_separation(seed):
    scene = recorded(seed)
    result = scene.as_it_is.contraction
    assert result.status is Status.MEASURED
    assert result.separation.flag is SeparationFlag.NONE
    assert result.separation.grade is None
    (cycle,), (truth,) = result.cycles, scene.contraction["cycles"]
    assert cycle.start_s == pytest.approx(truth["start_s"], abs=0.11)
    assert cycle.end_s == pytest.approx(truth["end_s"], abs=0.11)
    assert cycle.start_s < cycle.peak_s < cycle.end_s
    assert cycle.excursion_mm == pytest.approx(truth["excursion_mm"], rel=0.25, abs=0.5)


@pytest.mark.parametrize("seed", [2, 5])
def test_a_tear_that_is_closed_at_rest_is_found_on_contraction(seed):
    scene = recorded(seed, **CLOSED)
    truth = scene.contraction["separation"]
    found = scene.as_it_is.contraction
    separation = found.separation
    assert separation.flag is SeparationFlag.SEPARATION, separation.reason
    assert separation.gap_rest_mm.value == pytest.approx(truth["gap_rest_mm"], abs=0.6)
    assert separation.gap_peak_mm.value == pytest.approx(truth["gap_peak_mm"], abs=0.8)
    assert separation.torn_fraction.value == pytest.approx(truth["torn_fraction"], abs=0.2)
    x, y = separation.location_px
    place = np.array(truth["location_px"][int(np.nanargmax(found.gap_mm))])
    assert np.hypot(*(place - (x, y))) * scene.scene.spacing_mm[0] < 4.0
    error = np.abs(found.gap_mm - truth["gap_mm"])
    assert np.nanmean(error) < 0.6
    assert (found.gap_low_mm <= found.gap_mm)[np.isfinite(found.gap_mm)].all()
    assert (found.gap_mm <= found.gap_high_mm)[np.isfinite(found.gap_mm)].all()


def test_a_tear_that_is_open_at_rest_widens():
    scene = recorded(2, **OPEN)
    truth = scene.contraction["separation"]
    separation = scene.as_it_is.contraction.separation
    assert separation.flag is SeparationFlag.SEPARATION, separation.reason
    assert separation.gap_rest_mm.value == pytest.approx(truth["gap_rest_mm"], abs=0.8)
    assert separation.widening_mm.value == pytest.approx(truth["widening_mm"], abs=0.8)
    assert separation.widening_mm.low > 0


def test_a_partial_tear_gets_its_share_of_the_muscle():
    scene = recorded(
        2, tear="partial", torn_fraction=0.45, widening_mm=4, open_at_rest="false", hematoma_mm=0
    )
    separation = scene.as_it_is.contraction.separation
    assert separation.flag is SeparationFlag.SEPARATION, separation.reason
    assert separation.torn_fraction.value == pytest.approx(0.45, abs=0.15)
    assert separation.grade == "2"


@pytest.mark.parametrize("seed", [0, 2])
def test_a_gap_that_does_not_widen_is_a_defect_seen_at_rest_and_no_separation(seed):
    separation = recorded(seed, **STATIC).as_it_is.contraction.separation
    assert separation.flag is SeparationFlag.NONE
    assert separation.defect_at_rest
    assert "defect seen at rest" in separation.reason
    assert separation.gap_rest_mm.value == pytest.approx(4.0, abs=1.0)
    assert separation.widening_mm.low <= 0 <= separation.widening_mm.high
    assert separation.grade is None


def test_a_faint_gap_that_does_not_widen_is_no_separation():
    assert recorded(3, **STATIC).as_it_is.contraction.separation.flag is SeparationFlag.NONE


def test_a_healthy_muscle_has_no_defect_and_a_separation_is_not_called_one():
    assert not recorded(2).as_it_is.contraction.separation.defect_at_rest
    assert not recorded(2, **CLOSED).as_it_is.contraction.separation.defect_at_rest


@pytest.mark.parametrize("seed", [0, 3])
def test_a_slipping_probe_is_no_contraction(seed):
    result = recorded(seed, contractions=0, slip_mm=6).as_it_is.contraction
    assert result.status is Status.NONE_FOUND
    assert result.cycles == ()
    assert result.separation.flag is SeparationFlag.INDETERMINATE
    assert "contract" in result.separation.reason


def test_a_slip_during_a_contraction_does_not_tear_the_muscle():
    result = recorded(2, slip_mm=5).as_it_is.contraction
    assert len(result.cycles) == 1
    assert result.separation.flag is SeparationFlag.NONE


def test_mirroring_the_clip_mirrors_the_answer():
    scene = recorded(2, **CLOSED)
    width = scene.frames.shape[2]
    one = scene.analysed(muscle=NO_MUSCLE).contraction
    other = scene.analysed(muscle=NO_MUSCLE, flip=True).contraction
    assert one.separation.flag is other.separation.flag is SeparationFlag.SEPARATION
    assert other.separation.location_px[0] == pytest.approx(
        width - 1 - one.separation.location_px[0], abs=8
    )
    gap = other.separation.gap_peak_mm.value
    assert gap == pytest.approx(one.separation.gap_peak_mm.value, abs=0.5)


def test_without_a_scale_the_flag_stands_and_the_millimetres_are_unknown():
    result = recorded(2, **CLOSED).analysed(spacing=None).contraction
    separation = result.separation
    assert separation.flag is SeparationFlag.SEPARATION
    assert separation.gap_rest_mm is separation.gap_peak_mm is separation.widening_mm is None
    assert separation.torn_fraction is not None
    assert "px" in separation.reason
    assert result.displacement_mm is None
    assert result.gap_mm is None
    assert result.cycles[0].excursion_mm is None
    assert result.cycles[0].excursion_px > 0
    assert np.isfinite(result.displacement_px).all()


def test_without_timing_cycles_are_frames_and_there_are_no_twitches():
    result = recorded(2).analysed(fps=None)
    (cycle,) = result.contraction.cycles
    assert cycle.start_s is None
    assert cycle.start_frame < cycle.peak_frame < cycle.end_frame
    assert result.twitches == ()


def test_halving_the_spacing_halves_the_millimetres():
    scene = recorded(0)
    x, y = scene.scene.spacing_mm
    (one,) = scene.as_it_is.contraction.cycles
    (half,) = scene.analysed(spacing=(x / 2, y / 2)).contraction.cycles
    assert half.excursion_mm == pytest.approx(one.excursion_mm / 2)
    assert half.excursion_px == pytest.approx(one.excursion_px)


# --- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((0, 90, 120)),
        np.full((1, 90, 120), 80),
        np.zeros((8, 90, 120)),
        np.full((8, 90, 120), 255),
        np.full((8, 90, 3), 80),
        np.full((8, 2, 200), 80),
    ],
    ids=["none", "one", "black", "white", "narrow", "flat"],
)
@pytest.mark.parametrize("spacing", [None, (0.1, 0.1)])
@pytest.mark.parametrize("fps", [None, 20.0])
def test_nothing_to_see_is_said_and_not_raised(frames, spacing, fps):
    result = concluded(frames, spacing=spacing, fps=fps)
    assert result.contraction.status in {Status.NONE_FOUND, Status.NOT_MEASURED}
    assert result.contraction.reason.endswith(".")
    assert result.contraction.separation.flag is SeparationFlag.INDETERMINATE
    assert result.contraction.cycles == ()
    assert result.twitches == ()


def test_too_few_frames_are_counted_in_a_clause_that_follows_because():
    result = recorded(2).analysed(frames=recorded(2).frames[:3]).contraction
    assert result.status is Status.NOT_MEASURED
    assert result.reason == "a contraction needs at least 5 different frames and the clip has 3."


def test_a_still_clip_of_a_tear_is_indeterminate():
    scene = recorded(2, **OPEN)
    result = scene.analysed(frames=np.repeat(scene.frames[:1], 20, axis=0)).contraction
    assert result.status is Status.NONE_FOUND
    assert result.separation.flag is SeparationFlag.INDETERMINATE


def test_a_shaking_probe_is_no_contraction():
    still = recorded(2).frames[0]
    shaken = [
        np.roll(still, (round(2 * np.sin(2.1 * k)), round(9 * np.sin(1.7 * k))), axis=(0, 1))
        for k in range(36)
    ]
    result = concluded(shaken, muscle=recorded(2).muscle)
    assert result.contraction.cycles == ()
    assert result.contraction.separation.flag is not SeparationFlag.SEPARATION
    assert result.twitches == ()


def test_a_change_of_gain_in_the_middle_changes_nothing():
    scene = recorded(2, **CLOSED)
    brighter = scene.frames.astype(np.int64)
    brighter[14:] = np.where(brighter[14:] > 0, brighter[14:] + 25, 0)
    plain = scene.as_it_is.contraction
    result = scene.analysed(frames=np.clip(brighter, 0, 255)).contraction
    assert result.separation.flag is SeparationFlag.SEPARATION
    assert result.cycles[0].excursion_mm == pytest.approx(plain.cycles[0].excursion_mm, rel=0.1)
    healthy = recorded(2).frames.astype(np.int64)
    healthy[14:] = np.clip(healthy[14:] + 25, 0, 255)
    assert recorded(2).analysed(frames=healthy).contraction.separation.flag is SeparationFlag.NONE


def test_missing_frames_leave_gaps_and_no_tear():
    scene = recorded(2)
    kept = np.r_[0:8, 11:17, 19:36:2]
    clip = Clip.from_array(scene.frames[kept], spacing_mm=scene.scene.spacing_mm, fps=18.0)
    clip = Clip(dataclasses.replace(clip.header, frame_numbers=kept), clip.decode)
    stage = MotionStage(clip.header)
    for index, frame in clip.frames():
        stage.observe(index, frame)
    result = stage.conclude(clip, NO_MUSCLE, NO_NEEDLE)
    assert result.contraction.separation.flag is SeparationFlag.NONE
    assert len(result.contraction.cycles) == 1


def test_two_muscles_that_slide_past_one_another_are_no_tear():
    still = recorded(2).frames[0]
    middle = still.shape[0] // 2
    frames = []
    for k in range(36):
        shift = round(14 * np.sin(np.pi * k / 35) ** 2)
        frame = still.copy()
        frame[60:middle] = np.roll(still[60:middle], shift, axis=1)
        frame[middle:] = np.roll(still[middle:], -shift, axis=1)
        frames.append(frame)
    result = concluded(frames, muscle=NO_MUSCLE).contraction
    assert result.status is Status.MEASURED
    assert result.separation.flag is SeparationFlag.NONE


def test_less_than_a_millimetre_is_no_contraction():
    result = recorded(3, excursion_mm=0.4, thickening=0).as_it_is.contraction
    assert result.status is Status.NONE_FOUND
    assert result.cycles == ()
    assert result.peak is None


def test_the_map_of_the_peak_shows_the_slide_at_the_deep_aponeurosis():
    scene = recorded(2)
    peak = scene.as_it_is.contraction.peak
    spacing = scene.scene.spacing_mm[0]
    moved = peak.moved_px * spacing
    true = scene.scene.displacement_mm(peak.frame, scene.rest_of(peak.points_px, peak.frame))
    top = scene.muscle.borders.superficial_y_px[peak.frame].min()
    slip = np.median(true[peak.points_px[..., 1] < top - 10], axis=0)
    error = np.linalg.norm(moved - (true - slip), axis=-1)
    assert np.nanmedian(error) < 0.3


def test_a_clip_that_starts_in_mid_contraction_has_a_cycle_that_starts_with_it():
    scene = recorded(2)
    truth = scene.contraction["cycles"][0]
    times = np.arange(len(scene.frames)) / scene.scene.fps
    begun = int(np.searchsorted(times, 0.5 * (truth["start_s"] + truth["peak_s"])))
    result = scene.analysed(frames=scene.frames[begun:]).contraction
    (cycle,) = result.cycles
    assert cycle.start_frame == 0
    assert cycle.end_s == pytest.approx(truth["end_s"] - times[begun], abs=0.15)
    assert result.separation.flag is SeparationFlag.NONE


@pytest.mark.parametrize("tear", [None, CLOSED], ids=["whole", "torn"])
def test_a_clip_that_starts_in_a_held_contraction_is_judged_whichever_end_is_rest(tear):
    scene = recorded(2, **(tear or {}))
    begun = int(scene.contraction["cycles"][0]["peak_s"] * scene.scene.fps)
    frames = np.concatenate([scene.frames[[begun] * 6], scene.frames[begun:]])
    frames[:6] += np.arange(6, dtype=np.uint8)[:, None, None]  # no repeats
    result = scene.analysed(frames=frames, muscle=NO_MUSCLE).contraction
    if tear is None:
        assert result.separation.flag is SeparationFlag.NONE
        assert "may start contracted" in result.reason
        assert not result.rest_known
    else:
        assert result.separation.flag is SeparationFlag.SEPARATION
        assert "may start" not in result.reason
        assert result.activation[0] > 0.8
        assert result.activation[-1] < 0.2


@pytest.mark.parametrize("tear", [None, CLOSED], ids=["whole", "torn"])
def test_a_doppler_box_neither_tears_a_muscle_nor_hides_a_tear(tear):
    scene = recorded(2, **(tear or {}))
    flow = np.random.default_rng(4)
    frames = scene.frames.copy()
    for frame in frames:
        # As luma shows it: patches of another grey, new in every frame, inside a still box.
        patches = cv2.resize(flow.uniform(0, 1, (8, 10)).astype(np.float32), (120, 90)) > 0.6
        box = frame[200:290, 20:140]
        box[patches] = flow.integers(60, 200)
        cv2.rectangle(frame, (20, 200), (139, 289), 220, 1)
    result = scene.analysed(frames=frames).contraction
    assert len(result.cycles) == 1
    wanted = SeparationFlag.NONE if tear is None else SeparationFlag.SEPARATION
    assert result.separation.flag is wanted, result.separation.reason
    assert result.collections == ()


# --- collections ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 2])
def test_vessels_in_a_healthy_muscle_are_no_collections_and_no_defect(seed):
    result = recorded(seed, vessels=3).as_it_is.contraction
    assert result.collections == ()
    assert result.separation.flag is SeparationFlag.NONE
    assert not result.separation.defect_at_rest


def muscle_with_a_dark_patch():
    """Return a muscle at rest, its frames with an ellipse nearly free of echoes, and the ellipse.

    The ellipse is given by its middle and half axes, px.
    """
    scene = recorded(2, contractions=0)
    top = float(np.median(scene.muscle.borders.superficial_y_px))
    deep = float(np.median(scene.muscle.borders.deep_y_px))
    middle, half = (200.0, 0.5 * (top + deep)), (45.0, 0.3 * (deep - top))
    y, x = np.mgrid[0 : scene.frames.shape[1], 0 : scene.frames.shape[2]]
    inside = ((x - middle[0]) / half[0]) ** 2 + ((y - middle[1]) / half[1]) ** 2 <= 1
    frames = scene.frames.copy()
    frames[:, inside] //= 12
    return scene, frames, middle, half


def test_a_dark_area_that_is_lit_underneath_is_a_collection_and_a_shadow_is_none():
    scene, frames, middle, half = muscle_with_a_dark_patch()
    (found,) = scene.analysed(frames=frames).contraction.collections
    assert np.hypot(*np.subtract(found.centre_px, middle)) < 8
    area = np.pi * np.prod(half) * np.prod(scene.scene.spacing_mm)
    assert found.area_mm2 == pytest.approx(area, rel=0.3)
    shadowed = scene.frames.copy()
    shadowed[:, int(middle[1]) :, 160:240] //= 12
    assert scene.analysed(frames=shadowed).contraction.collections == ()


def test_a_collection_stands_out_from_its_surroundings_however_the_picture_fades():
    scene, frames, middle, _ = muscle_with_a_dark_patch()
    fade = np.linspace(0.15, 1.0, frames.shape[2])
    faded = (frames * fade).astype(np.uint8)
    (found,) = scene.analysed(frames=faded).contraction.collections
    assert np.hypot(*np.subtract(found.centre_px, middle)) < 8
    without = (scene.frames * fade).astype(np.uint8)
    assert scene.analysed(frames=without).contraction.collections == ()
