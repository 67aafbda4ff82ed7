"""What tells a needle's path from ends of tissue: it slides along itself, far and briskly."""

import numpy as np
import pytest

from usguide.needle.candidates import CANDIDATE, Workspace
from usguide.needle.pool import Pool
from usguide.needle.sliding import brisk_share, most_claimed_line, slide_range

ALONG = np.array([0.8, 0.6])


def pool_of(advance, *, sideways=0.0, slide=None) -> Pool:
    """One candidate a frame, on one line, its tip so far along it (working px)."""
    advance = np.asarray(advance, dtype=np.float64)
    tip = np.array([40.0, 40.0]) + advance[:, None] * ALONG
    tip += np.broadcast_to(np.asarray(sideways), advance.shape)[:, None] * np.array([-0.6, 0.8])
    frames = []
    for (x, y), (u, v) in zip(tip, tip - 30 * ALONG, strict=True):
        one = np.zeros(1, CANDIDATE)
        one["tip_x"], one["tip_y"], one["tail_x"], one["tail_y"] = x, y, u, v
        frames.append(one)
    drift = np.zeros((len(tip), 2)) if slide is None else slide
    return Pool.of(frames, drift, Workspace(np.ones((200, 200), np.bool_)))


def brisk(pool: Pool, numbers=None) -> float:
    every = np.arange(len(pool.frame))
    return brisk_share(pool, every, every.astype(float) if numbers is None else numbers)


PISTONING = 20 * (1 - np.cos(np.linspace(0, 6 * np.pi, 60)))


def test_a_pistoning_needle_moves_briskly_most_of_the_time() -> None:
    pool = pool_of(PISTONING)
    assert brisk(pool) > 0.6
    assert slide_range(pool, np.arange(60)) == pytest.approx(40, abs=1)


def test_an_end_found_here_and_there_does_not() -> None:
    assert brisk(pool_of(np.repeat([0.0, 30.0, 0.0, 30.0], 15))) == 0.0


def test_an_end_that_creeps_does_not() -> None:
    assert brisk(pool_of(np.linspace(0, 40, 60))) == 0.0


def test_a_line_that_moves_sideways_does_not() -> None:
    assert brisk(pool_of(PISTONING, sideways=PISTONING)) == 0.0


def test_what_moves_with_the_tissue_or_stays_in_the_picture_does_not() -> None:
    with_tissue = PISTONING[:, None] * ALONG
    assert brisk(pool_of(PISTONING, slide=with_tissue)) == 0.0
    assert brisk(pool_of(np.zeros(60), slide=with_tissue)) == 0.0
    assert slide_range(pool_of(PISTONING, slide=with_tissue), np.arange(60)) < 1


def test_sparse_frames_show_no_brisk_move() -> None:
    assert brisk(pool_of(PISTONING), numbers=10.0 * np.arange(60)) == 0.0


def test_only_the_most_claimed_line_counts() -> None:
    streak = np.where(np.arange(60) < 35, 60.0, 0.0)  # another line, 60 px to the side
    pool = pool_of(np.where(streak > 0, 0.0, PISTONING), sideways=streak)
    _, same = most_claimed_line(pool, np.arange(60))
    np.testing.assert_array_equal(same, streak > 0)
    assert brisk(pool) == 0.0
    assert slide_range(pool, np.arange(60)) < 1
