"""Contracting muscle: displacement, thickness and gap are what the parameters ask for."""

import cv2
import numpy as np
import pytest

from usguide.errors import ConfigError
from usguide.synth import make_scene

SMALL = {
    "frames": 24, "width_px": 240, "height_px": 200, "looks": "1", "contractions": 1,
    "lateral_mm": 1.0, "axial_cycles": 3.0,
}  # fmt: skip


def gap_of(**parameters):
    scene = make_scene("muscle", seed=1, **{**SMALL, **parameters})
    return scene, scene.truth["contraction"]["separation"]


def test_a_healthy_muscle_slides_thickens_and_has_no_gap() -> None:
    scene, separation = gap_of(tear="none", drift_mm=0, excursion_mm=5, thickening=0.1)
    truth = scene.truth
    assert separation["flag"] == "none"
    thickness = np.array(truth["muscle"]["thickness_mm"])
    activation = np.array(truth["contraction"]["activation"])
    assert thickness.max() / thickness[0] == pytest.approx(1 + 0.1 * activation.max(), rel=0.01)
    deep = truth["muscle"]["deep_y_px"][0][7]
    at_deep = [[truth["muscle"]["x_px"][7], deep]]
    peak = int(np.argmax(activation))
    moved = scene.displacement_mm(peak, np.array(at_deep))[0]
    assert abs(moved[0]) == pytest.approx(5 * activation[peak], rel=0.02)


def test_both_ends_part_by_what_was_asked_for() -> None:
    _, separation = gap_of(
        tear="complete", open_at_rest=True, gap_mm=5, widening_mm=4, tear_lean_deg=0, excursion_mm=0
    )
    gap = np.array(separation["gap_mm"])
    assert separation["flag"] == "separation"
    assert gap[0] == pytest.approx(5, rel=0.15)
    assert gap.max() - gap[0] == pytest.approx(4, rel=0.15)


def test_a_closed_tear_opens_only_when_the_muscle_contracts() -> None:
    _, separation = gap_of(tear="complete", open_at_rest=False, closed_gap_mm=0.3, widening_mm=4)
    assert separation["gap_rest_mm"] < 0.5
    assert separation["gap_peak_mm"] > 3.0


def test_a_partial_tear_tears_its_fraction_from_its_side() -> None:
    scene, separation = gap_of(
        tear="partial", torn_fraction=0.4, torn_side="deep", tear_lean_deg=0, excursion_mm=0
    )
    assert separation["torn_fraction"] == pytest.approx(0.4, abs=0.03)
    muscle = scene.truth["muscle"]
    middle = 0.5 * (muscle["superficial_y_px"][0][7] + muscle["deep_y_px"][0][7])
    assert separation["location_px"][0][1] > middle


def test_a_defect_that_does_not_widen_is_no_separation() -> None:
    _, separation = gap_of(tear="complete", open_at_rest=True, widening_mm=0)
    assert separation["flag"] == "none"
    assert separation["widening_mm"] < 0.3


def test_a_tear_shown_only_at_rest_decides_nothing() -> None:
    _, separation = gap_of(tear="complete", contractions=0)
    assert separation["flag"] == "indeterminate"
    assert separation["widening_mm"] == 0


def test_the_gap_is_dark_where_the_truth_puts_it_and_widens_in_the_picture() -> None:
    scene, separation = gap_of(
        tear="complete", open_at_rest=True, gap_mm=5, widening_mm=5, tear_lean_deg=0,
        muscle_level_db=-4, fluid_db=-30, noise_db=-90, looks="3", excursion_mm=1, drift_mm=0,
        fat_mm=4, muscle_mm=15, depth_mm=32, mirrored=False, lateral_mm=0.4,
    )  # fmt: skip
    frames = scene.array().astype(float)
    widths = []
    peak = int(np.argmax(separation["gap_mm"]))
    for index in (0, peak):
        x, y = (round(v) for v in separation["location_px"][index])
        profile = frames[index, y - 5 : y + 6].mean(axis=0)
        assert profile[x] < 0.4 * np.median(profile)
        dark = profile < 0.5 * np.median(profile)
        left = x - int(np.argmin(dark[x::-1]))
        right = x + int(np.argmin(dark[x:]))
        widths.append((right - left) * scene.spacing_mm[0])
    asked = [separation["gap_along_mm"][index] for index in (0, peak)]
    assert widths == pytest.approx(asked, abs=1.2)


def test_contractions_are_as_many_as_asked_for() -> None:
    scene = make_scene("muscle", seed=1, **{**SMALL, "contractions": 3, "frames": 90})
    activation = np.array(scene.truth["contraction"]["activation"])
    rises = np.count_nonzero(np.diff((activation > 0.5).astype(int)) == 1)
    assert rises == 3 == len(scene.truth["contraction"]["cycles"])
    assert activation[0] == activation[-1] == 0


def test_a_slip_moves_everything_alike() -> None:
    scene = make_scene("muscle", seed=1, **{**SMALL, "contractions": 0}, slip_mm=4, drift_mm=0)
    moved = np.array(scene.truth["displacement"]["displacement_mm"])
    assert np.allclose(np.abs(moved[-1, :, 0]), 4, atol=1e-3)
    assert np.ptp(moved, axis=1).max() < 1e-3


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"tear": "complete", "gap_mm": 45, "open_at_rest": True}, "make them smaller"),
        ({"muscle_mm": 60}, "make depth_mm larger"),
        ({"tear": "partial", "hematoma_mm": 60}, "does not fit"),
        ({"contractions": 8, "frames": 20}, "do not fit"),
        ({"superficial_tilt_deg": 12, "deep_tilt_deg": -12, "muscle_mm": 6}, "make them smaller"),
        ({"tear": "torn"}, "not known"),
    ],
)
def test_impossible_muscles_are_refused(parameters, said) -> None:
    with pytest.raises(ConfigError, match=said):
        make_scene("muscle", seed=0, **parameters)


def test_the_muscle_below_may_slide_the_other_way() -> None:
    scene = make_scene(
        "muscle", seed=1, **SMALL, under_slide=-1, excursion_mm=6, drift_mm=0, depth_mm=45,
        muscle_mm=15, thickening=0, mirrored=False,
    )  # fmt: skip
    peak = int(np.argmax(scene.truth["contraction"]["activation"]))
    deep_y = scene.truth["muscle"]["deep_y_px"][0][7]
    x = scene.truth["muscle"]["x_px"][7]
    deep = deep_y + 10 / scene.spacing_mm[0]
    above, below = scene.displacement_mm(peak, np.array([[x, deep_y], [x, deep]]))
    assert above[0] < -4
    assert below[0] > 4


def test_a_clip_may_begin_contracted_and_its_truth_still_counts_from_rest() -> None:
    scene = make_scene("muscle", seed=1, **SMALL, starts_contracted=True, drift_mm=0)
    truth = scene.truth
    activation = np.array(truth["contraction"]["activation"])
    assert activation[0] > 0.9
    assert activation[-1] == 0
    assert truth["contraction"]["cycles"][0]["start_s"] < 0
    moved = np.array(truth["displacement"]["displacement_mm"])
    assert np.abs(moved[0]).max() > 1
    assert np.abs(moved[-1]).max() < 1e-3


def test_turning_the_gain_brightens_the_later_frames_only() -> None:
    plain, turned = (
        make_scene("muscle", seed=1, **SMALL, gain_step_db=step, persistence=0)
        .array()
        .astype(float)
        for step in (0, 8)
    )
    rise = (turned - plain).mean(axis=(1, 2))
    assert np.all(rise[:6] == 0)
    assert np.all(rise[-6:] > 8)


def test_a_vessel_is_a_dark_disc_and_no_collection() -> None:
    scene = make_scene(
        "muscle", seed=4, vessels=3, muscle_level_db=-3, fluid_db=-30, drift_mm=0, depth_mm=32,
        **SMALL | {"frames": 1, "contractions": 0, "lateral_mm": 0.4, "looks": "3"},
    )  # fmt: skip
    truth = scene.truth
    assert truth["contraction"]["collections"] == []
    frame = scene.array()[0].astype(float)
    for vessel in truth["muscle"]["vessels"]:
        x, y = (round(value) for value in vessel["centre_px"])
        around = frame[max(y - 25, 0) : y + 26, max(x - 25, 0) : x + 26]
        assert frame[y, x] < 0.6 * np.median(around)


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_picture_moves_as_the_displacement_says(mirrored: bool) -> None:
    scene = make_scene(
        "muscle", seed=2, excursion_mm=5, thickening=0.1, drift_mm=1, mirrored=mirrored,
        out_of_plane=0, persistence=0, noise_db=-90, contact_shadow_db=0,
        **SMALL | {"lateral_mm": 0.5, "looks": "3"},
    )  # fmt: skip
    frames = scene.array()
    activation = np.array(scene.truth["contraction"]["activation"])
    later = int(np.argmax(activation > 0.3))
    muscle = scene.truth["muscle"]
    checked = 0
    for column in (4, 7, 10):
        x = muscle["x_px"][column]
        y = muscle["deep_y_px"][0][column] - 12
        moved = scene.displacement_mm(later, np.array([[x, y]]))[0] / scene.spacing_mm
        column0, row0 = round(x) - 14, round(y) - 10
        block = frames[0, row0 : row0 + 21, column0 : column0 + 29]
        score = cv2.matchTemplate(frames[later], block, cv2.TM_CCOEFF_NORMED)
        _, best, _, (at_x, at_y) = cv2.minMaxLoc(score)
        assert best > 0.5
        assert np.hypot(at_x - column0 - moved[0], at_y - row0 - moved[1]) < 2.0
        checked += np.hypot(*moved) > 3.0
    assert checked >= 2
