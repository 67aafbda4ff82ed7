"""A needle leaves bare what it is drawn back from; the end of a line that stays does not."""

import numpy as np
import pytest

from test_needle import clip_of, draw, pistoning, run, tissue
from usguide.model import Status
from usguide.needle.bared import PLAIN, bared

FRAMES, PLACES = 60, 120
DEPTHS = 60 + 25 * np.sin(np.linspace(0, 6 * np.pi, FRAMES))


def line(left: float) -> np.ndarray:
    """A plain line up to the end of every frame, of which so much is left beyond it."""
    covered = np.arange(PLACES) < DEPTHS[:, None]
    return np.where(covered, PLAIN, left * PLAIN).astype(np.float32)


@pytest.mark.parametrize("left", [0.0, 0.4, 1.0])
def test_what_is_gone_beyond_the_end_is_told(left: float) -> None:
    assert bared(line(left), DEPTHS) == pytest.approx(1 - left)


def test_layers_of_tissue_beyond_the_end_are_nothing_that_is_left() -> None:
    layers = np.where(np.arange(PLACES) // 2 % 2, 2 * PLAIN, -2 * PLAIN)
    covered = np.arange(PLACES) < DEPTHS[:, None]
    needle = np.where(covered, PLAIN, layers).astype(np.float32)
    assert bared(needle, DEPTHS) == pytest.approx(1.0, abs=0.1)
    stays = np.where(layers > 0, PLAIN, 0.0).astype(np.float32) + np.zeros((FRAMES, 1), np.float32)
    assert bared(stays, DEPTHS) == pytest.approx(0.0, abs=0.1)


def test_frames_without_an_end_and_places_that_it_does_not_pass_say_nothing() -> None:
    picture, depth = line(0.0), DEPTHS.copy()
    picture[:, 100:], picture[:, :30] = PLAIN, 0.0
    picture[10:20], depth[10:20] = PLAIN, np.nan
    assert bared(picture, depth) == pytest.approx(1.0)


def test_an_end_that_rests_or_is_never_seen_bares_nothing() -> None:
    assert bared(line(0.0), np.full(FRAMES, 60.5)) == 0.0
    assert bared(line(0.0), np.full(FRAMES, np.nan)) == 0.0
    assert bared(np.zeros((FRAMES, PLACES), np.float32), DEPTHS) == 0.0


def test_a_line_that_is_as_bright_beyond_its_end_is_declined() -> None:
    depths = pistoning(60, low=110.0, high=150.0)
    rng = np.random.default_rng(5)
    behind = draw(tissue(), 260.0, level=50.0).astype(np.float64)
    frames = [draw(behind + rng.normal(0, 3, behind.shape), d, level=60.0) for d in depths]
    stays = run(np.stack(frames), spacing_mm=(0.1, 0.1), fps=30.0)
    assert stays.status is Status.NONE_FOUND
    assert "as bright beyond its end" in stays.reason
    assert run(clip_of(depths), spacing_mm=(0.1, 0.1), fps=30.0).status is Status.MEASURED
