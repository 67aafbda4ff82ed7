"""Once a needle is known: an end of tissue on its line is not its tip."""

import numpy as np
import pytest

from usguide.needle.candidates import CANDIDATE, Workspace
from usguide.needle.pool import Pool
from usguide.needle.resemblance import expected_odds, there_without_the_needle

ALONG = np.array([0.8, 0.6])
NEEDLE = 20 + 15 * (1 - np.cos(np.linspace(0, 6 * np.pi, 40)))
"""How far the tip is along its line: 20 to 50 working px."""


def ends_at(advances: list[list[float]], turned_deg: float = 0.0) -> Pool:
    """Candidates on one line, their tips so far along it; those after a frame's first turned."""
    cosine, sine = np.cos(np.radians(turned_deg)), np.sin(np.radians(turned_deg))
    turned = np.array([[cosine, -sine], [sine, cosine]]) @ ALONG
    frames = []
    for advance in advances:
        some = np.zeros(len(advance), CANDIDATE)
        for k, far in enumerate(advance):
            tip = np.array([20.0, 20.0]) + far * ALONG
            some["tip_x"][k], some["tip_y"][k] = tip
            some["tail_x"][k], some["tail_y"][k] = tip - 15 * (turned if k else ALONG)
        frames.append(some)
    return Pool.of(frames, np.zeros((len(advances), 2)), Workspace(np.ones((200, 200), np.bool_)))


def test_an_end_that_was_there_before_the_needle_is_told() -> None:
    pool = ends_at([[far, 90.0] for far in NEEDLE] + [[90.0]] * 5)
    before = there_without_the_needle(pool, np.arange(0, 80, 2))
    needle = np.arange(len(pool.frame)) % 2 == 0
    needle[80:] = False
    assert np.all(before[~needle] > 0.95)
    assert np.all(before[needle] == 0)


def test_an_end_within_the_needle_is_not() -> None:
    """Gaps in a shaft make ends, where it has come past."""
    pool = ends_at([[far, far - 12.0] if far > 40 else [far] for far in NEEDLE])
    claims = np.array([pool.of_frame(k)[0] for k in range(len(NEEDLE))])
    assert np.all(there_without_the_needle(pool, claims) < 0.5)


def test_a_line_that_crosses_it_there_says_nothing() -> None:
    pool = ends_at([[far, 90.0] for far in NEEDLE] + [[90.0]], turned_deg=30.0)
    assert there_without_the_needle(pool, np.arange(0, 80, 2))[-1] == 0


@pytest.mark.parametrize("frames", [1, 3])
def test_few_frames_say_little(frames: int) -> None:
    pool = ends_at([[20.0, 90.0]] * frames + [[90.0]])
    before = there_without_the_needle(pool, np.arange(0, 2 * frames, 2))
    assert before[-1] == pytest.approx(frames / 8)


NUMBERS = np.arange(40.0)


def test_a_tip_between_those_before_and_after_it_is_expected() -> None:
    pool = ends_at([[far, far + 25.0] for far in NEEDLE])
    odds = expected_odds(pool, np.arange(0, 80, 2), NUMBERS)
    inside = (pool.frame > 0) & (pool.frame < 39)
    assert np.all(odds[0::2][inside[0::2]] > 2)
    assert np.all(odds[1::2] < odds[0::2] - 2)


def test_a_claim_says_nothing_of_itself() -> None:
    pool = ends_at([[far] for far in NEEDLE])
    chosen = np.full(40, -1)
    chosen[20] = 20
    odds = expected_odds(pool, chosen, NUMBERS)
    assert odds[20] == 0
    assert np.count_nonzero(odds) == 8
    assert np.all(expected_odds(pool, np.full(40, -1), NUMBERS) == 0)


def test_a_claim_on_one_side_says_less_the_longer_ago_it_was() -> None:
    pool = ends_at([[50.0]] * 40)
    chosen = np.where(NUMBERS < 20, np.arange(40), -1)
    odds = expected_odds(pool, chosen, NUMBERS)
    assert np.all(odds[1:19] > odds[20])
    assert odds[20] > 0
    assert np.all(odds[24:] == 0)
    moved = ends_at([[50.0]] * 20 + [[62.0]] * 20)
    after = expected_odds(moved, chosen, NUMBERS)[20:24]
    assert np.all(np.diff(after) > 0)
