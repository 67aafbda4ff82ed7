"""Spur, fluid and biconvexity: found where they were drawn, absent where not, declined aloud."""

import dataclasses
from functools import cache

import numpy as np
import pytest

from usguide.fascia import FasciaStage
from usguide.fascia.agreement import agreed, robust
from usguide.fascia.convexity import read_biconvexity
from usguide.fascia.course import BorderPair
from usguide.fascia.straighten import Band
from usguide.ingest.clip import Clip
from usguide.model import Border, FasciaResult, Status
from usguide.synth import make_scene

# None of these seeds was looked at when constants were chosen; how often a spur or fluid is found
# is in docs/measurements.md.
PLAIN = {"spur_mm": 0, "fluid_mm": 0, "bulge_mm": 0, "muscle_level_db": -8, "gain_db": 2}
SEEDS = (8104, 8109, 8110)


@cache
def measured(scene, *, mirrored: bool = False, scaled: bool = True) -> FasciaResult:
    frames = scene.array()
    if mirrored:
        frames = np.ascontiguousarray(frames[:, :, ::-1])
    clip = Clip.from_array(frames, spacing_mm=scene.spacing_mm if scaled else None, fps=scene.fps)
    stage = FasciaStage(clip.header)
    for index, frame in clip.frames():
        stage.observe(index, frame)
    result = stage.conclude()
    assert result.status is Status.MEASURED
    return result


@cache
def heel(seed: int, **fixed):
    usual = {"frames": 1, "disease": 0.2, "contact_shadow_db": 0, "thickness_mm": 4.0}
    return make_scene("heel", seed=seed, **usual | PLAIN | fixed)


@pytest.fixture(scope="module", params=SEEDS)
def plain(request):
    return measured(heel(request.param))


def test_a_plain_heel_has_neither_spur_nor_fluid_nor_bulge(plain):
    assert plain.spur is None
    assert plain.fluid == ()
    assert plain.not_measured == ()
    assert plain.biconvexity_mm.low <= 0 <= plain.biconvexity_mm.high


@pytest.mark.parametrize("seed", SEEDS)
def test_a_spur_is_found_with_its_length_and_its_tip(seed):
    scene = heel(seed, spur_mm=4.5)
    spur = measured(scene).spur
    truth = scene.truth["fascia"]
    assert spur is not None
    assert spur.length_mm.low <= truth["spur_mm"] <= spur.length_mm.high
    away = np.subtract(spur.tip_px, truth["spur_px"][-1]) * scene.spacing_mm
    assert np.hypot(*away) < 1.5
    assert 0 < spur.confidence <= 1


def test_echogenicity_follows_the_tissue_and_not_the_gain():
    usual, dark, bright, amplified = (
        measured(heel(8109, **fixed)).echogenicity
        for fixed in ({}, {"fascia_level_db": -8}, {"fascia_level_db": 7}, {"gain_db": 7})
    )
    assert dark.high < usual.low
    assert usual.high < bright.low
    assert amplified.value == pytest.approx(usual.value, rel=0.1)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_fat_pads_interval_holds_its_truth(seed):
    scene = heel(seed)
    fat, truth = measured(scene).fat_pad_mm, scene.truth["fascia"]["fat_pad_over_bone_mm"]
    assert fat.low <= truth <= fat.high
    assert fat.value == pytest.approx(truth, abs=0.4)


def test_a_mirrored_spur_is_as_long_and_lies_on_the_other_side():
    scene = heel(SEEDS[0], spur_mm=4.5)
    as_is, turned = measured(scene).spur, measured(scene, mirrored=True).spur
    assert turned.length_mm.value == pytest.approx(as_is.length_mm.value, abs=0.2)
    width = scene.size_px[0]
    assert turned.tip_px[0] == pytest.approx(width - 1 - as_is.tip_px[0], abs=3)


@pytest.mark.parametrize("border", ["deep", "superficial"])
@pytest.mark.parametrize("seed", SEEDS)
def test_fluid_is_found_on_its_border(seed, border):
    scene = heel(seed, fluid_mm=1.6, fluid_at=border)
    fluid = measured(scene).fluid
    truth = scene.truth["fascia"]["fluid"]
    assert [layer.border for layer in fluid] == [Border(border)]
    layer = fluid[0]
    assert layer.distance_mm == pytest.approx(truth["distance_mm"], abs=3.5)
    assert layer.thickness_mm.value == pytest.approx(truth["thickness_mm"], abs=0.8)
    assert layer.extent_mm <= truth["extent_mm"] + 2
    inside = np.array(layer.outline_px).mean(axis=0)
    column = int(inside[0])
    frame = scene.array()[0].astype(float)
    assert frame[int(inside[1]), column - 4 : column + 5].mean() < np.median(frame)


def test_what_a_length_decides_is_not_looked_for_without_a_scale():
    result = measured(heel(SEEDS[0], spur_mm=4.5, fluid_mm=1.6), scaled=False)
    assert result.spur is None
    assert result.fluid == ()
    assert {one.what for one in result.not_measured} == {
        "fat_pad_mm",
        "discontinuity",
        "biconvexity_mm",
        "fluid",
        "spur",
    }
    assert {one.reason for one in result.not_measured} == {"the clip has no scale"}


def test_in_a_muscle_as_dark_as_fluid_none_is_looked_for():
    result = measured(heel(SEEDS[1], fluid_mm=1.6, muscle_level_db=-30, gain_db=-6))
    assert all(layer.border is not Border.DEEP for layer in result.fluid)
    assert "fluid" in {one.what for one in result.not_measured}


# --- truth ------------------------------------------------------------------------------------


def test_the_drawn_fluid_is_empty_and_only_where_the_truth_says() -> None:
    scene = heel(SEEDS[2], fluid_mm=2.0, mirrored=False)
    dry = heel(SEEDS[2], mirrored=False).array()[0].astype(float)
    wet = scene.array()[0].astype(float)
    fluid, spacing = scene.truth["fascia"]["fluid"], scene.spacing_mm[0]
    deep = np.array(scene.truth["fascia"]["deep_px"])
    at = scene.truth["fascia"]["insertion_px"][0] + 8.0 / spacing
    row = int(np.interp(at, *deep.T) + fluid["thickness_mm"] / 2 / spacing)
    patch = np.s_[row - 3 : row + 4, int(at) - 10 : int(at) + 10]
    assert wet[patch].mean() < 0.5 * dry[patch].mean()
    assert fluid["extent_mm"] == pytest.approx(14.0, abs=0.5)
    changed = np.abs(wet - dry).mean(axis=0) > 3
    assert not changed[: int(scene.truth["fascia"]["insertion_px"][0] - 3 / spacing)].any()


def test_the_truth_of_biconvexity_follows_the_bulge() -> None:
    flat = heel(SEEDS[0], bow_deg=0, distal_fraction=1).truth["fascia"]["biconvexity_mm"]
    assert flat == pytest.approx(0.0, abs=0.01)
    bulging = {"bulge_mm": 2.0, "bulge_at_mm": 12, "bow_deg": 0, "distal_fraction": 1}
    found = heel(SEEDS[0], depth_mm=40, **bulging).truth["fascia"]["biconvexity_mm"]
    assert found == pytest.approx(1.0, abs=0.05), "half of it on each side"


def test_a_bulge_is_found_biconvex_or_its_interval_leaves_room_for_it():
    found = 0
    for seed in SEEDS:
        scene = heel(seed, bulge_mm=1.8, bulge_at_mm=10, bow_deg=0, distal_fraction=0.8)
        truth, result = scene.truth["fascia"]["biconvexity_mm"], measured(scene)
        assert truth > 0.6
        if result.biconvexity_mm is None:
            assert "biconvexity_mm" in {one.what for one in result.not_measured}
            continue
        assert result.biconvexity_mm.low <= truth <= result.biconvexity_mm.high
        found += result.biconvexity_mm.low > 0
    assert found


# --- biconvexity of given borders ---------------------------------------------------------------


def pair_of(upper_mm: np.ndarray, lower_mm: np.ndarray, pixel_mm: float) -> BorderPair:
    distance = np.arange(len(upper_mm)) * 0.5
    centre = np.stack([distance / pixel_mm + 40, np.full(len(distance), 100.0)], axis=1)
    band = Band(distance, centre, np.tile([0.0, 1.0], (len(distance), 1)))
    nothing = np.zeros(len(distance))
    whole = np.zeros(len(distance), dtype=bool)
    return BorderPair(
        band, upper_mm / pixel_mm, lower_mm / pixel_mm, whole, nothing, *[nothing] * 4
    )


S = np.arange(61) * 0.5
BULGE = np.exp(-0.5 * ((S - 12) / 3) ** 2)


@pytest.mark.parametrize(
    ("upper", "lower", "expected"),
    [
        (-2 - BULGE, 2 + BULGE, 1.0),  # a lens
        (-2 - BULGE, 2 + 0.5 * BULGE, 0.5),  # the flatter border counts
        (-2 - BULGE, 2 + 0 * S, 0.0),  # plano-convex
        (-2 + 0.03 * S, 2 - 0.03 * S, 0.0),  # tapering
        (-2 + BULGE, 2 - BULGE, 0.0),  # waisted: flat at its ends
    ],
)
@pytest.mark.parametrize("pixel_mm", [0.1, 0.17])
def test_biconvexity_is_the_bulge_of_the_flatter_border(upper, lower, expected, pixel_mm):
    found = read_biconvexity(pair_of(upper, lower, pixel_mm), 30.0, pixel_mm)
    assert found == pytest.approx(expected, abs=0.06)


def test_a_band_bowed_as_a_whole_is_not_biconvex():
    assert read_biconvexity(pair_of(-2 - BULGE, 2 - BULGE, 0.1), 30.0, 0.1) < 0.06


def test_a_tilted_lens_is_as_biconvex():
    pair = pair_of(-2 - BULGE, 2 + BULGE, 0.1)
    turn = np.array([[np.cos(0.2), -np.sin(0.2)], [np.sin(0.2), np.cos(0.2)]])
    tilted = Band(pair.band.distance_mm, pair.band.centre @ turn.T, pair.band.normal @ turn.T)
    found = read_biconvexity(dataclasses.replace(pair, band=tilted), 30.0, 0.1)
    assert found == pytest.approx(1.0, abs=0.06)


def test_a_short_band_is_declined():
    pair = pair_of(-2 - BULGE, 2 + BULGE, 0.1)
    assert "less than 15 mm" in read_biconvexity(pair, 12.0, 0.1)


# --- several frames -----------------------------------------------------------------------------


def test_most_frames_must_be_readable():
    assert agreed([1.0, "dark", 2.0]) == [1.0, 2.0]
    assert agreed([1.0, "dark"]) == "dark"
    assert agreed(["dark", "blurred", "blurred"]) == "blurred"


def test_frames_are_combined_robustly_and_stay_possible():
    found = robust([3.0, 3.2, 3.1, 9.0], 0.1, "mm")
    assert found.value == pytest.approx(3.15)
    assert found.low < 3.0 < found.high < 3.7
    assert robust([0.95], 0.1, "1", most=1.0).high == 1.0
    lopsided = robust([3.0, 3.0], (0.1, 0.5), "mm")
    assert (lopsided.low, lopsided.high) == pytest.approx((2.804, 3.98), abs=1e-3)
    assert robust([0.05], 0.1, "1").low == 0.0
    assert robust([float("nan")], 0.1, "1") is None
