"""How likely a heel is measured right, and which of several frames' heels is taken."""

from dataclasses import replace

import numpy as np
import pytest

import usguide.fascia as stage_module
from usguide import Clip
from usguide.fascia import FasciaStage
from usguide.fascia.course import BorderPair
from usguide.fascia.detection import UNLIKELY, detect
from usguide.fascia.heel_odds import doubted, heel_odds
from usguide.fascia.straighten import straight_band
from usguide.synth import make_scene

PIXEL_MM = 0.1


def band(thickness_mm=3.0, doubt_mm=0.1, sharp_mm=0.3):
    laid = straight_band((60.0, 120.0), 500, PIXEL_MM)
    columns = np.ones(len(laid.distance_mm))
    return BorderPair(
        laid,
        -thickness_mm / PIXEL_MM * columns,
        0 * columns,
        columns < 0,
        np.tile(doubt_mm / PIXEL_MM, (2, len(columns))),
        *(sharp_mm / PIXEL_MM * columns,) * 2,
        *(0.4 * columns,) * 2,
    )


def odds(bone=3.0, followed_mm=25.0, **kind):
    return heel_odds(bone, band(**kind), followed_mm, PIXEL_MM)


def test_doubt_blur_and_a_short_band_speak_against_a_heel():
    assert odds(doubt_mm=0.8) < odds() - 1
    assert odds(sharp_mm=0.5) < odds() - 1
    assert odds(followed_mm=13.0) < odds() - 1
    assert odds(bone=1.0) < odds() - 0.5


def test_one_blurred_border_counts_less_than_two():
    whole = band()
    blurred = replace(whole, upper_sd_px=3 * whole.upper_sd_px)
    both = replace(blurred, lower_sd_px=3 * whole.lower_sd_px)
    once, twice = (odds() - heel_odds(3.0, one, 25.0, PIXEL_MM) for one in (blurred, both))
    assert 0 < once == pytest.approx(twice / 2)


def test_a_plain_band_makes_up_for_a_doubtful_bone():
    plain = {"followed_mm": 28.0, "doubt_mm": 0.05, "sharp_mm": 0.2}
    assert odds(bone=-0.8, **plain) > 0 > odds(bone=-0.8, followed_mm=16.0, sharp_mm=0.5)


def test_beyond_all_doubt_more_says_no_more():
    assert odds(followed_mm=60.0) == odds(followed_mm=30.0)
    assert odds(bone=8.0) == odds(bone=4.0)


def test_of_a_rupture_nothing_is_judged():
    whole = band()
    gap = (whole.band.distance_mm > 5) & (whole.band.distance_mm < 9)
    torn = replace(whole, gap=gap, upper_sd_px=np.where(gap, 30.0, whole.upper_sd_px))
    assert heel_odds(3.0, torn, 25.0, PIXEL_MM) == pytest.approx(odds())


def test_a_thicker_band_in_another_frame_widens_one_side_only():
    once = band(doubt_mm=0.0)
    thinner, thicker = doubted(once, [band(5.0)]).doubt_px * PIXEL_MM
    assert thinner == pytest.approx(0.0)
    assert thicker == pytest.approx(2.0 / np.sqrt(2))
    assert doubted(once, []) is once


@pytest.fixture(scope="module")
def clip():
    scene = make_scene("heel", seed=8813, frames=4)
    return Clip.from_array(np.stack(list(scene.frames())), spacing_mm=scene.spacing_mm)


def measured(clip, heel_in_frame, monkeypatch):
    """Measure a clip of which what is found in each frame searched is changed first."""
    frames = iter(range(clip.header.frames))
    monkeypatch.setattr(
        stage_module, "detect", lambda *seen: heel_in_frame(next(frames), detect(*seen))
    )
    stage = FasciaStage(clip.header)
    for index, frame in clip.frames():
        stage.observe(index, frame)
    return stage.conclude()


def test_the_likeliest_of_the_first_frames_is_taken_and_measured_in_all(clip, monkeypatch):
    result = measured(clip, lambda at, heel: replace(heel, odds=(0.5, 2.0, 1.0)[at]), monkeypatch)
    assert result.reference_frame == 1
    assert result.confidence == pytest.approx(1 / (1 + np.exp(-2.0)))
    assert np.isfinite(result.frame_thickness_px).all()


@pytest.mark.parametrize(
    ("objection", "is_one"),
    [(None, True), (UNLIKELY, False)],
)
def test_a_heel_in_one_of_three_frames_must_be_seen_again(clip, monkeypatch, objection, is_one):
    monkeypatch.setattr(stage_module, "seen_again", lambda *_seen: objection)
    result = measured(
        clip, lambda at, heel: replace(heel, odds=1.0) if at == 0 else UNLIKELY, monkeypatch
    )
    assert (result.thickness_mm is not None) is is_one


def test_a_heel_that_is_sure_is_looked_for_in_one_frame(clip, monkeypatch):
    looked = []

    def sure(at, heel):
        looked.append(at)
        return replace(heel, odds=4.0)

    result = measured(clip, sure, monkeypatch)
    assert looked == [0]
    assert result.reference_frame == 0
    assert np.isfinite(result.frame_thickness_px).all()


def test_frames_that_disagree_widen_the_interval(clip, monkeypatch):
    def thicker(at, heel):
        pair = replace(heel.pair, upper_px=heel.pair.upper_px - 20 * (at == 1))
        return replace(heel, pair=pair, odds=2.5 - at)

    alike = measured(clip, lambda at, heel: replace(heel, odds=2.5 - at), monkeypatch)
    apart = measured(clip, thicker, monkeypatch)
    one, other = (result.thickness_mm.stations[0].thickness for result in (alike, apart))
    assert other.value == pytest.approx(one.value, abs=0.05)
    assert other.high > one.high + 0.5
    assert other.low == pytest.approx(one.low, abs=0.1)
