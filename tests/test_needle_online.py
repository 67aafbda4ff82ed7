"""The needle followed frame by frame, without looking ahead."""

import numpy as np
import pytest

from test_needle import HEIGHT, NO_FASCIA, WIDTH, clip_of, errors, pistoning
from usguide import Options, analyze
from usguide.errors import ConfigError
from usguide.ingest.clip import Clip
from usguide.model import Hint, NeedlePlane, Status, Task
from usguide.needle import NeedleStage
from usguide.request import read_options

DEPTHS = pistoning(40)


def online(frames: np.ndarray):
    clip = Clip.from_array(frames, spacing_mm=(0.1, 0.1), fps=30.0)
    stage = NeedleStage(clip.header, online=True)
    for index, frame in clip.frames():
        stage.observe(index, frame)
    return stage.conclude(clip, NO_FASCIA)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return clip_of(DEPTHS)


@pytest.fixture(scope="module")
def whole(frames):
    return online(frames)


def test_a_moving_needle_is_found_soon_and_then_kept(whole) -> None:
    assert whole.status is Status.MEASURED
    assert "0 frames late" in whole.reason
    assert whole.tip_visible[15:].mean() > 0.9
    assert np.nanmedian(errors(whole, DEPTHS)) < 3


def test_later_frames_change_nothing(frames, whole) -> None:
    half = online(frames[:25])
    np.testing.assert_array_equal(half.tip_visible, whole.tip_visible[:25])
    np.testing.assert_allclose(half.tip_px, whole.tip_px[:25])
    np.testing.assert_allclose(half.tip_confidence, whole.tip_confidence[:25])


def test_without_a_needle_no_frame_claims_one() -> None:
    track = online(clip_of(np.full(20, -1.0)))
    assert track.status is Status.NONE_FOUND
    assert "online" in track.reason


def test_a_cross_section_that_outshines_the_picture_is_followed_too() -> None:
    rng = np.random.default_rng(1)
    x = np.linspace(80, 220, 40)
    yy, xx = np.mgrid[:HEIGHT, :WIDTH]
    spots = 200 * np.exp(-0.5 * (((xx - x[:, None, None]) / 4) ** 2 + ((yy - 90) / 4) ** 2))
    frames = np.clip(spots + rng.rayleigh(3, spots.shape), 0, 255).astype(np.uint8)
    track = online(frames)
    assert track.plane is NeedlePlane.OUT
    assert "0 frames late" in track.reason
    assert track.tip_visible[12:].mean() > 0.95
    assert np.nanmedian(np.abs(track.tip_px[:, 0] - x)) < 2
    half = online(frames[:25])
    np.testing.assert_array_equal(half.tip_px, track.tip_px[:25])


def among_bright_tissue(moves: bool) -> np.ndarray:
    """A spot no brighter than others that stay, which goes from (80, 90) to (220, 90) or stays."""
    rng = np.random.default_rng(1)
    x = np.linspace(80, 220, 60) if moves else np.full(60, 80.0)
    yy, xx = np.mgrid[:HEIGHT, :WIDTH]
    tissue = rng.rayleigh(6, (HEIGHT, WIDTH))
    for u, v in rng.uniform([40, 30], [WIDTH - 40, HEIGHT - 30], (12, 2)):
        tissue += 150 * np.exp(-0.5 * (((xx - u) / 4) ** 2 + ((yy - v) / 4) ** 2))
    spots = 120 * np.exp(-0.5 * (((xx - x[:, None, None]) / 4) ** 2 + ((yy - 90) / 4) ** 2))
    frames = np.maximum(spots, tissue) + rng.normal(0, 2, spots.shape)
    return np.clip(frames, 0, 255).astype(np.uint8)


def test_one_that_is_newer_than_all_else_is_followed_after_a_while() -> None:
    track = online(among_bright_tissue(moves=True))
    assert track.plane is NeedlePlane.OUT
    assert not track.tip_visible[:26].any()
    assert track.tip_visible[40:].mean() >= 0.9  # where it hops past another, not at once
    seen = np.flatnonzero(track.tip_visible)
    assert np.median(np.abs(track.tip_px[seen, 0] - np.linspace(80, 220, 60)[seen])) < 2
    assert online(among_bright_tissue(moves=False)).status is Status.NONE_FOUND


def test_hints_are_refused(frames) -> None:
    options = Options(tasks=frozenset({Task.NEEDLE}), hints=(Hint(1, None),), online=True)
    with pytest.raises(ConfigError, match="leave out one of the two"):
        analyze(Clip.from_array(frames[:3]), options)


def test_it_is_a_switch() -> None:
    assert read_options({"online": True}).online
    assert not read_options({}).online
    with pytest.raises(ConfigError, match="not true or false"):
        read_options({"online": "soon"})
