"""Lines that stand in a clip, wherever on them its frames see an end."""

import numpy as np
import pytest

from usguide.needle.candidates import CANDIDATE, Workspace
from usguide.needle.evidence import Odds
from usguide.needle.pool import Pool
from usguide.needle.standing_lines import LINES, MOSTLY, NONE_LIKE, standing_lines

FRAMES = 40
ENTRIES = np.array([[20.0, 30.0], [20.0, 90.0], [180.0, 20.0]])
ALONG = np.array([[0.9, np.sqrt(0.19)], [0.95, np.sqrt(1 - 0.95**2)], [-0.8, 0.6]])


def clip_of(there: np.ndarray, looks: list[float], seed: int = 0) -> tuple[Pool, Odds]:
    """Lines that are there in some frames, (frames, lines), with ends anywhere on them."""
    rng = np.random.default_rng(seed)
    frames, worth = [], []
    for k in range(len(there)):
        lines = np.flatnonzero(there[k])
        records = np.zeros(len(lines), CANDIDATE)
        tail = ENTRIES[lines]
        tip = tail + rng.uniform(30, 90, len(lines))[:, None] * ALONG[lines]
        records["tail_x"], records["tail_y"] = tail.T
        records["tip_x"], records["tip_y"] = tip.T
        frames.append(records)
        worth.extend(looks[line] for line in lines)
    pool = Pool.of(frames, np.zeros((len(there), 2)), Workspace(np.ones((200, 200), np.bool_)))
    return pool, Odds(np.array(worth), np.array(worth))


def lines_of(pool: Pool, chosen: np.ndarray) -> np.ndarray:
    """Which of the lines each chosen candidate lies on."""
    along = pool.along[chosen[chosen >= 0]]
    return np.argmax(along @ ALONG.T, axis=1)


@pytest.mark.parametrize("seed", range(3))
def test_a_line_is_found_whose_ends_are_anywhere(seed: int) -> None:
    pool, odds = clip_of(np.ones((FRAMES, 3), np.bool_), [-1.0, -2.0, -3.0], seed)
    found = list(standing_lines(pool, odds, FRAMES))
    assert [set(lines_of(pool, chosen)) for chosen in found] == [{0}, {1}, {2}]
    assert all((chosen >= 0).all() for chosen in found)
    assert all((pool.frame[chosen] == np.arange(FRAMES)).all() for chosen in found)


def test_a_line_that_is_there_more_often_comes_before_one_that_looks_better() -> None:
    there = np.ones((FRAMES, 3), np.bool_)
    there[::3, 0] = False
    pool, odds = clip_of(there, [0.0, -1.0, NONE_LIKE])
    assert lines_of(pool, next(standing_lines(pool, odds, FRAMES)))[0] == 1


def test_a_line_of_few_frames_does_not_stand() -> None:
    there = np.ones((FRAMES, 3), np.bool_)
    there[: int((1 - MOSTLY) * FRAMES) + 1, 0] = False
    pool, odds = clip_of(there, [5.0, -1.0, NONE_LIKE - 1])
    found = list(standing_lines(pool, odds, FRAMES))
    assert [set(lines_of(pool, chosen)) for chosen in found] == [{1}]


def test_the_end_that_is_most_like_a_needles_is_chosen() -> None:
    pool, _ = clip_of(np.ones((FRAMES, 1), np.bool_), [0.0])
    frame = np.repeat(pool.frame, 2)
    twice = np.repeat(np.arange(FRAMES), 2)
    both = Pool(frame, pool.records[twice], pool.slide[twice], pool.tip[twice], pool.tail[twice],
                pool.along[twice])  # fmt: skip
    looks = np.where(np.arange(2 * FRAMES) % 2 == 0, -3.0, 1.0)
    (chosen,) = standing_lines(both, Odds(looks, looks), FRAMES)
    assert (chosen % 2 == 1).all()


def test_no_more_lines_than_are_looked_at_and_none_where_nothing_is() -> None:
    headings = np.radians(np.linspace(10, 80, LINES + 3))
    records = np.zeros(len(headings), CANDIDATE)
    records["tip_x"], records["tip_y"] = 90 * np.cos(headings), 90 * np.sin(headings)
    pool = Pool.of([records] * FRAMES, np.zeros((FRAMES, 2)), Workspace(np.ones((200, 200), bool)))
    odds = np.zeros(len(pool.frame))
    assert len(list(standing_lines(pool, Odds(odds, odds), FRAMES))) == LINES
    poor = odds + NONE_LIKE
    assert not list(standing_lines(pool, Odds(poor, poor), FRAMES))


def test_frames_without_a_candidate_count_for_no_line() -> None:
    there = np.ones((FRAMES, 3), np.bool_)
    there[1::2] = False  # the frames after them must not count twice
    there[::2, 1] = False
    there[:, 2] = False
    pool, odds = clip_of(there, [-1.0, -2.0, -3.0])
    (chosen,) = standing_lines(pool, odds, FRAMES)
    assert np.array_equal(chosen >= 0, np.arange(FRAMES) % 2 == 0)
    seldom = np.zeros((FRAMES, 3), np.bool_)
    seldom[1] = True  # none of the frames looked at first
    pool, odds = clip_of(seldom, [-1.0, -2.0, -3.0])
    assert not list(standing_lines(pool, odds, FRAMES))
