"""The fascia stage on synthetic heels, on pictures without one, and on odd input."""

import numpy as np
import pytest

from usguide.fascia import FasciaStage
from usguide.ingest.clip import Clip
from usguide.model import Side, Status
from usguide.synth import make_scene


def measure(clip):
    stage = FasciaStage(clip.header)
    for index, frame in clip.frames():
        stage.observe(index, frame)
    return stage.conclude()


@pytest.fixture(scope="module")
def heel():
    return make_scene("heel", seed=16, frames=2)


@pytest.fixture(scope="module")
def frames(heel):
    return heel.array()


def clip_of(frames, heel):
    return Clip.from_array(frames, spacing_mm=heel.spacing_mm, fps=heel.fps)


def test_a_heel_is_found_on_its_side_with_its_insertion(heel, frames):
    result = measure(clip_of(frames, heel))
    truth = heel.truth["fascia"]
    assert result.status is Status.MEASURED
    assert result.side == Side(truth["side"])
    away = np.subtract(result.insertion_px, truth["insertion_px"]) * heel.spacing_mm
    assert np.hypot(*away) < 1.5
    assert result.frames_used == 2
    assert result.profile.unit == "mm"
    assert (np.diff(result.profile.distance) > 0).all()
    assert (result.profile.low <= result.profile.thickness).all()
    assert (result.profile.thickness <= result.profile.high).all()


def test_the_borders_enclose_the_drawn_fascia(heel, frames):
    result = measure(clip_of(frames, heel))
    truth = heel.truth["fascia"]
    for found, drawn in (
        (result.superficial_px, truth["superficial_px"]),
        (result.deep_px, truth["deep_px"]),
    ):
        drawn = np.array(drawn)
        drawn = drawn[np.argsort(drawn[:, 0])]
        y = np.interp(found[:, 0], drawn[:, 0], drawn[:, 1])
        assert np.median(np.abs(found[:, 1] - y)) * heel.spacing_mm[1] < 0.5


def test_the_mirrored_heel_has_the_same_thickness_on_the_other_side(heel, frames):
    as_is = measure(clip_of(frames, heel))
    mirrored = measure(clip_of(np.ascontiguousarray(frames[:, :, ::-1]), heel))
    assert mirrored.side is not as_is.side
    for one, other in zip(as_is.thickness_mm.stations, mirrored.thickness_mm.stations, strict=True):
        assert one.thickness.value == pytest.approx(other.thickness.value, abs=0.1)


def test_without_a_scale_there_are_no_millimetres(frames):
    result = measure(Clip.from_array(frames))
    assert result.status is Status.MEASURED
    assert result.thickness_mm is None
    assert result.category is None
    assert result.fat_pad_mm is None
    assert result.thickness_px.insertion.unit == "px"
    assert result.thickness_px.stations == ()
    assert result.profile.unit == "px"


@pytest.mark.parametrize("shape", [(1, 60, 3), (1, 3, 60), (2, 200, 300), (1, 1500, 2000)], ids=str)
@pytest.mark.parametrize("fill", [0, 128, 255, "noise"])
@pytest.mark.parametrize("spacing_mm", [None, (0.1, 0.08)])
def test_a_picture_without_a_heel_is_declined(shape, fill, spacing_mm):
    rng = np.random.default_rng(1)
    frames = (
        rng.integers(0, 256, shape, dtype=np.uint8)
        if fill == "noise"
        else np.full(shape, fill, dtype=np.uint8)
    )
    result = measure(Clip.from_array(frames, spacing_mm=spacing_mm))
    assert result.status is Status.NONE_FOUND
    assert result.reason
    assert result.thickness_mm is None


def test_a_clip_of_which_no_frame_was_shown_is_declined(frames):
    result = FasciaStage(Clip.from_array(frames).header).conclude()
    assert result.status is Status.NONE_FOUND
    assert result.reason
