"""Scenes: reproducible, exact where they say so, and refusing what cannot be."""

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest

from usguide.errors import ConfigError, OutputError
from usguide.synth import SCENES, make_scene, write
from usguide.synth.needle import LONGEST_MM
from usguide.synth.parameters import stream

SMALL = {
    "frames": 6, "width_px": 180, "height_px": 150, "looks": "1", "lateral_mm": 1.0,
    "axial_cycles": 4.0,
}  # fmt: skip


def test_a_seed_gives_the_same_frames_and_truth_every_time() -> None:
    first, second = (make_scene("needling", seed=5, **SMALL) for _ in range(2))
    assert np.array_equal(first.array(), second.array())
    assert first.truth == second.truth
    assert not np.array_equal(first.array(), make_scene("needling", seed=6, **SMALL).array())


def test_fixing_one_parameter_leaves_the_others_as_drawn() -> None:
    free = make_scene("heel", seed=2, **SMALL).parameters
    fixed = make_scene("heel", seed=2, thickness_mm=4.6, **SMALL).parameters
    assert fixed["thickness_mm"] == 4.6
    assert {k: v for k, v in free.items() if k != "thickness_mm"} == {
        k: v for k, v in fixed.items() if k != "thickness_mm"
    }


def test_parameters_may_come_as_text() -> None:
    text = {name: str(value) for name, value in SMALL.items()}
    spoken = make_scene("heel", seed=2, mirrored="true", thickness_mm="3.5", **text)
    meant = make_scene("heel", seed=2, mirrored=True, thickness_mm=3.5, **SMALL)
    assert spoken.parameters == meant.parameters


def test_a_mirrored_scene_is_the_mirror_image_with_mirrored_truth() -> None:
    plain = make_scene("needling", seed=3, mirrored=False, **SMALL)
    mirror = make_scene("needling", seed=3, mirrored=True, **SMALL)
    assert np.array_equal(plain.array()[:, :, ::-1], mirror.array())
    tip, flipped = (np.array(s.truth["needle"]["tip_px"]) for s in (plain, mirror))
    assert np.allclose(flipped[:, 0], 179 - tip[:, 0], atol=2e-3)
    assert np.allclose(flipped[:, 1], tip[:, 1])
    moved, flipped = (
        np.array(s.truth["displacement"]["displacement_mm"]).reshape(6, 9, 11, 2)
        for s in (plain, mirror)
    )
    assert np.allclose(flipped[:, :, ::-1], moved * [-1, 1], atol=2e-4)


def test_the_truth_states_the_thickness_that_was_asked_for() -> None:
    truth = make_scene("heel", seed=1, thickness_mm=4.6, bulge_mm=0, **SMALL).truth
    fascia = truth["fascia"]
    assert fascia["thickness_mm"]["insertion"] == pytest.approx(4.6)
    spacing = truth["calibration"]["mm_per_px"][0]
    superficial, deep = np.array(fascia["superficial_px"]), np.array(fascia["deep_px"])
    assert np.allclose(
        np.linalg.norm(deep - superficial, axis=1) * spacing,
        fascia["profile"]["thickness_mm"],
        atol=0.02,
    )


def test_the_needle_is_brightest_where_the_truth_says_it_is() -> None:
    scene = make_scene(
        "needling", seed=4, frames=8, passes=0, width_px=280, height_px=240, looks="3",
        visibility=1.0, shaft_loss_db=0, enters=False, fade=0.0, dropouts=0, bend_mm=0.0,
        angle_deg=35.0, thickness_mm=4.0,
    )  # fmt: skip
    truth = scene.truth["needle"]
    for index, frame in enumerate(scene.frames()):
        tip, tail = np.array(truth["tip_px"][index]), np.array(truth["tail_px"][index])
        points = tip + np.linspace(0.05, 0.9, 60)[:, None] * (tail - tip)
        across = np.array([-(tail - tip)[1], (tail - tip)[0]]) / np.linalg.norm(tail - tip)
        means = []
        for offset in (-6.0, 0.0, 6.0):
            x, y = np.rint(points + offset * across).astype(int).T
            inside = (x >= 0) & (y >= 0) & (x < 280) & (y < 240)
            means.append(frame[y[inside], x[inside]].mean())
        assert means[1] > 1.5 * max(means[0], means[2])


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("spleen", {}, "no scene spleen"),
        ("heel", {"colour": 1}, "no parameter colour"),
        ("heel", {"frames": 0}, "frames=0 is not possible"),
        ("heel", {"frames": 2.5}, "not a whole number"),
        ("heel", {"thickness_mm": "thick"}, "not a number"),
        ("heel", {"thickness_mm": float("nan")}, "not possible"),
        ("heel", {"mirrored": "maybe"}, "neither true nor false"),
        ("heel", {"looks": 2}, "not known"),
        ("muscle", {"frequency_mhz": 25, "lateral_mm": 0.1, "depth_mm": 200}, "million scatterers"),
        ("heel", {"depth_mm": 9.0, "fat_pad_mm": 12.0}, "make depth_mm larger"),
        ("heel", {"rupture_mm": 3, "rupture_at_mm": 38}, "does not lie on the fascia"),
        ("needling", {"passes": 6, "frames": 10, "fps": 30}, "do not fit"),
        ("needling", {"twitches": 5, "twitch_s": 0.5, "frames": 10}, "do not fit"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(name, parameters, said) -> None:
    with pytest.raises(ConfigError, match=said):
        make_scene(name, seed=0, **parameters)


def test_a_dicom_carries_scale_timing_and_nearly_the_same_pixels(tmp_path: Path) -> None:
    scene = make_scene("needling", seed=3, fps=25, **SMALL)
    path, truth = write(scene, tmp_path / "clip.dcm")
    ds = pydicom.dcmread(path)
    region = ds.SequenceOfUltrasoundRegions[0]
    assert region.PhysicalDeltaX * 10 == pytest.approx(scene.spacing_mm[0])
    assert ds.FrameTimeVector == [0, 40, 40, 40, 40, 40]
    assert np.abs(ds.pixel_array.astype(float) - scene.array()).mean() < 3.0  # JPEG
    assert json.loads(truth.read_text()) == scene.truth


def test_nothing_is_overwritten_unasked_and_nothing_half_written_stays(tmp_path: Path) -> None:
    scene = make_scene("heel", seed=0, **SMALL)
    write(scene, tmp_path / "clip.npz")
    with pytest.raises(OutputError, match="exists"):
        write(scene, tmp_path / "clip.npz")
    write(scene, tmp_path / "clip.npz", overwrite=True)
    with pytest.raises(ConfigError, match="cannot write"):
        write(scene, tmp_path / "clip.gif")
    with pytest.raises(OutputError, match="cannot be written"):
        write(scene, tmp_path / "absent" / "clip.npz")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.npz", "clip.truth.json"]


def test_a_convex_picture_is_a_fan_and_black_outside_it() -> None:
    scene = make_scene("phantom", seed=1, geometry="convex", **SMALL | {"width_px": 400})
    fan = scene.truth["fan"]
    frame = next(iter(scene.frames()))
    y, x = np.mgrid[: frame.shape[0], : frame.shape[1]]
    right, down = x - fan["apex_px"][0], y - fan["apex_px"][1]
    radius, angle = np.hypot(right, down), np.degrees(np.arctan2(right, down))
    outside = (
        (radius < fan["radius_min_px"] - 1)
        | (radius > fan["radius_max_px"] + 1)
        | (angle < fan["angle_left_deg"] - 1)
        | (angle > fan["angle_right_deg"] + 1)
    )
    assert not frame[outside].any()
    assert np.median(frame[~outside]) > 5


def test_a_convex_picture_is_made_as_wide_as_its_fan() -> None:
    small = {name: value for name, value in SMALL.items() if name != "width_px"}
    scene = make_scene("phantom", seed=1, geometry="convex", **small)
    fan = scene.truth["fan"]
    half = fan["radius_max_px"] * np.sin(np.radians(fan["angle_right_deg"]))
    assert fan["apex_px"][0] + half <= scene.size_px[0]
    assert scene.size_px[0] - (fan["apex_px"][0] + half) < 3


def test_a_needle_across_the_plane_is_a_bright_spot_without_a_shaft() -> None:
    scene = make_scene(
        "needle_out_of_plane", seed=2, visibility=1.0, fade=0, dropouts=0, enters=False,
        noise_db=-90, **SMALL | {"width_px": 280, "height_px": 240, "looks": "3"},
    )  # fmt: skip
    needle = scene.truth["needle"]
    assert needle["plane"] == "out"
    assert needle["angle_deg"] == [None] * 6 == needle["tail_px"]
    for frame, (x, y) in zip(scene.frames(), needle["tip_px"], strict=True):
        x, y = round(x), round(y)
        assert frame[y - 1 : y + 3, x - 2 : x + 3].max() > np.percentile(frame, 98)


def test_a_needle_that_enters_is_not_there_at_first() -> None:
    needle = make_scene(
        "needling", seed=1, enters=True, fade=0, dropouts=0, **SMALL | {"frames": 40, "fps": 20}
    ).truth["needle"]
    assert not needle["visible"][0]
    assert any(needle["visible"])
    assert needle["depth_mm"][0] < 0.5 * max(needle["depth_mm"])


def test_a_twitch_moves_the_tissue_around_it_and_nothing_far_away() -> None:
    scene = make_scene(
        "needling", seed=3, twitches=1, twitch_mm=3, twitch_s=0.4, passes=0, drift_mm=0,
        enters=False, **SMALL | {"frames": 40, "fps": 20},
    )  # fmt: skip
    twitch = scene.truth["twitches"][0]
    far = [[5.0, 5.0]]
    moved = [
        scene.displacement_mm(k, np.array([twitch["centre_px"], *far])) for k in range(scene.count)
    ]
    size = np.linalg.norm(np.array(moved), axis=2)
    assert size[:, 0].max() == pytest.approx(3.0, rel=0.1)
    assert size[:, 1].max() < 0.05
    during = np.flatnonzero(size[:, 0] > 1e-9) / 20
    assert during[0] >= twitch["start_s"]
    assert during[-1] <= twitch["end_s"]
    assert twitch["end_s"] - twitch["start_s"] == pytest.approx(0.4)


def test_tissue_is_dragged_along_the_shaft_no_farther_than_it_slips() -> None:
    scene = make_scene(
        "needling", seed=5, drag_mm=0.8, passes=2, drift_mm=0, bend_mm=0, enters=False,
        target_at_mm=9, **SMALL | {"frames": 50, "fps": 20},
    )  # fmt: skip
    needle = scene.truth["needle"]
    moved = np.array(scene.truth["displacement"]["displacement_mm"])
    size = np.linalg.norm(moved, axis=2)
    assert 0.3 < size.max() <= 0.8 + 1e-3
    frame, point = np.unravel_index(np.argmax(size), size.shape)
    shaft = np.array(needle["tip_px"][frame]) - needle["tail_px"][frame]
    along = moved[frame, point] @ shaft / np.linalg.norm(shaft) / size.max()
    assert abs(along) > 0.98


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize(
    "odd",
    [{"frames": 1}, {"frames": 2, "width_px": 16, "height_px": 16}, {"frames": 3, "fps": 1}],
)
def test_every_scene_can_be_short_small_and_slow(name: str, odd: dict[str, int]) -> None:
    scene = make_scene(name, seed=3, lateral_mm=1.5, axial_cycles=6, geometry="linear", **odd)
    frames = scene.array()
    assert frames.shape == (odd["frames"], scene.size_px[1], scene.size_px[0])
    assert frames.std() > 1
    json.dumps(scene.truth, allow_nan=False)


def test_bone_mirrored_by_the_probe_is_a_second_line_twice_as_deep() -> None:
    small = SMALL | {"frames": 1, "depth_mm": 34, "fat_pad_mm": 9, "thickness_mm": 3}
    plain, mirrored = (
        make_scene("heel", seed=2, bone_mirror=m, mirrored=False, bone_dropout=0, **small)
        for m in (False, True)
    )
    bone = np.array(plain.truth["fascia"]["bone_px"])
    x, y = bone[np.argmin(bone[:, 1])]
    extra = mirrored.array()[0].astype(float) - plain.array()[0]
    row, column = np.unravel_index(np.argmax(extra), extra.shape)
    assert extra.max() > 25
    assert row == pytest.approx(2 * y, abs=3)
    assert abs(column - x) * plain.spacing_mm[0] < 4


def test_speckle_reduction_smooths_speckle_but_keeps_the_bone() -> None:
    plain, smooth = (
        make_scene("heel", seed=2, speckle_reduction=share, **SMALL).array()[0].astype(float)
        for share in (0, 1)
    )
    fat = np.s_[20:45, 20:160]
    assert smooth[fat].std() < 0.85 * plain[fat].std()
    assert smooth.max() > 0.85 * plain.max()


def test_needles_are_mostly_filaments_and_some_hypodermic() -> None:
    diameter = SCENES["needling"]["diameter_mm"]
    drawn = np.array([diameter.draw(stream(seed, "diameter_mm")) for seed in range(2000)])
    filament = drawn <= 0.35
    assert filament.mean() == pytest.approx(0.7, abs=0.04)
    assert drawn[filament].min() < 0.17
    assert drawn[~filament].min() >= 0.51
    assert 1.2 < drawn.max() <= 1.27


@pytest.mark.parametrize("name", ["needling", "phantom"])
@pytest.mark.parametrize("angle", [10, 70])
def test_the_tip_stays_in_the_picture_from_the_flattest_to_the_steepest(name, angle) -> None:
    for seed in range(4):
        scene = make_scene(
            name, seed=seed, angle_deg=angle, enters=False, dropouts=0, fade=0,
            **{**SMALL, "frames": 40, "fps": 20},
        )  # fmt: skip
        needle = scene.truth["needle"]
        assert all(needle["visible"])
        assert max(needle["depth_mm"]) <= LONGEST_MM + 1.0


@pytest.mark.parametrize("kind", ["needling", "phantom", "needle_out_of_plane"])
@pytest.mark.parametrize("seed", [4, 5])
def test_a_single_frame_of_any_needle_scene_can_be_made(kind: str, seed: int) -> None:
    scene = make_scene(kind, seed=seed, frames=1)
    assert len(scene.array()) == 1
    assert np.isfinite(scene.truth["needle"]["tip_px"]).all()
