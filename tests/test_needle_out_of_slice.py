"""The end of a shaft that is not its tip: its tip has left the slice."""

import itertools

import numpy as np
import pytest

from usguide.needle import out_of_slice
from usguide.needle.out_of_slice import faded, in_slice, jumps, log_moves

FRAMES, PLACES = 60, 160
NUMBERS = np.arange(FRAMES, dtype=np.float64)
OUT = slice(25, 37)
DEPTHS = 90 + 20 * np.sin(np.linspace(0, 4 * np.pi, FRAMES))
SHORT = DEPTHS.copy()
SHORT[OUT] -= 25


def m_mode(end: np.ndarray, fading: slice = slice(0), seed: int = 0) -> np.ndarray:
    """A shaft that ends abruptly but in some frames, in which its last 20 px fade."""
    rng = np.random.default_rng(seed)
    left = end[:, None] - np.arange(PLACES)
    share = (left > 0).astype(float)
    share[fading] = np.clip(left[fading] / 20, 0, 1)
    return (4 * share + rng.normal(0, 0.5, share.shape)).astype(np.float32)


def test_an_end_that_retreats_at_once_fades_and_comes_back_is_not_the_tip() -> None:
    sure = in_slice(m_mode(SHORT, OUT), SHORT, NUMBERS)
    assert (sure[OUT] < 0.1).all()
    assert (np.delete(sure, np.r_[OUT]) > 0.9).all()


def test_mirrored_in_time_it_is_as_sure() -> None:
    picture = m_mode(SHORT, OUT)
    sure = in_slice(picture, SHORT, NUMBERS)
    assert (sure[OUT] < 0.1).all()
    back = in_slice(picture[::-1], SHORT[::-1], NUMBERS)
    np.testing.assert_allclose(back[::-1] < 0.5, sure < 0.5)


@pytest.mark.parametrize("fps", [30.0, 20.0])
def test_brisk_pistoning_is_no_leaving(fps: float) -> None:
    """By 10 mm at 3 Hz, 60 working px of a picture of 35 mm."""
    end = 90 + 30 * np.sin(6 * np.pi * np.arange(FRAMES) / fps)
    assert (in_slice(m_mode(end), end, NUMBERS * 30 / fps) > 0.9).all()


def test_a_withdrawal_over_some_frames_is_no_leaving_even_if_the_shaft_fades() -> None:
    way = (1 - np.cos(np.pi * np.clip((NUMBERS - 25) / 6, 0, 1))) / 2
    end = 120 - 50 * way
    assert (in_slice(m_mode(end, slice(25, FRAMES)), end, NUMBERS) > 0.5).all()


def test_a_jump_over_frames_that_are_not_claimed_says_nothing() -> None:
    end = SHORT.copy()
    end[OUT.start - 3 : OUT.start] = np.nan
    sure = in_slice(m_mode(SHORT), end, NUMBERS)
    assert (sure > 0.5).all()
    assert (sure[np.isnan(end)] == 1).all()


def test_few_claims_are_left_as_they_are() -> None:
    few = np.full(FRAMES, np.nan)
    few[[3, 9, 27]] = DEPTHS[[3, 9, 27]]
    assert (in_slice(m_mode(DEPTHS), few, NUMBERS) == 1).all()


def test_probabilities_are_those_of_the_enumerated_chain() -> None:
    rng = np.random.default_rng(4)
    end = 100 + rng.normal(0, 1, 10)
    end[5:8] -= 30
    picture, numbers = m_mode(end), np.arange(10.0)
    beyond = faded(picture, end)
    moves = log_moves(np.diff(end), np.ones(9, np.bool_))
    want, total = np.zeros(10), 0.0
    for later in itertools.product((0, 1), repeat=9):
        states = np.array((0, *later))
        score = beyond @ states + sum(
            moves[k, a, b] for k, (a, b) in enumerate(itertools.pairwise(states))
        )
        want += np.exp(score) * (states == 0)
        total += np.exp(score)
    np.testing.assert_allclose(in_slice(picture, end, numbers), want / total, rtol=1e-9)


def test_a_jump_is_what_the_steps_beside_it_do_not_prepare() -> None:
    np.testing.assert_allclose(jumps(np.array([0.0, -20.0, 1.0, 0.0])), [0, -20, 1, 0])
    np.testing.assert_allclose(jumps(np.array([5.0, 20.0, 5.0])), [0, 0, 0])
    np.testing.assert_allclose(jumps(np.array([2.0, 20.0, -9.0])), [0, 16, -9])


def test_ends_that_fade_more_than_usual_tell_and_places_outside_say_nothing() -> None:
    picture = m_mode(DEPTHS, OUT)
    odds = faded(picture, DEPTHS)
    assert odds[OUT].min() > 0 > np.delete(odds, np.r_[OUT]).max()
    assert np.abs(odds).max() <= out_of_slice.MOST_SAID
    picture[:, :90] = np.nan
    assert (faded(picture, DEPTHS)[DEPTHS < 90] == 0).all()
    assert (faded(picture, np.full(FRAMES, 20.0)) == 0).all()
