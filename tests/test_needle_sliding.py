"""What tells a needle's path from ends of tissue: it slides along itself, far and by strokes."""

import numpy as np
import pytest

from usguide.needle.candidates import CANDIDATE, Workspace
from usguide.needle.pool import Pool
from usguide.needle.sliding import longest_stroke, most_claimed_line, slide_range, veer_deg

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


def stroke(pool: Pool, numbers=None) -> float:
    every = np.arange(len(pool.frame))
    return longest_stroke(pool, every, every.astype(float) if numbers is None else numbers)


PISTONING = 20 * (1 - np.cos(np.linspace(0, 6 * np.pi, 60)))
FRAMES = np.arange(60.0)


def test_a_pistoning_needle_goes_all_the_way_in_one_stroke() -> None:
    pool = pool_of(PISTONING)
    assert 36 < stroke(pool) < 41  # the turns are too slow to be moves
    assert slide_range(pool, np.arange(60)) == pytest.approx(40, abs=1)


def test_brisk_pistoning_makes_strokes() -> None:
    brisk = 28 * (1 - np.cos(0.2 * np.pi * FRAMES))  # 10 mm of a 35 mm picture at 3 Hz
    assert stroke(pool_of(brisk)) == pytest.approx(56, abs=1)


def test_an_end_found_here_and_there_makes_no_stroke() -> None:
    assert stroke(pool_of(np.repeat([0.0, 30.0, 0.0, 30.0], 15))) == 0.0


@pytest.mark.parametrize(("moves", "longest"), [(1, 0.0), (2, 0.0), (3, 18.0), (4, 24.0)])
def test_a_stroke_is_of_three_moves_and_more(moves: int, longest: float) -> None:
    there = 6.0 * np.arange(moves + 1)
    pool = pool_of(np.resize(np.concatenate([there, there[-2:0:-1]]), 60))
    assert stroke(pool) == pytest.approx(longest, abs=0.1)


def test_an_end_that_creeps_makes_none() -> None:
    assert stroke(pool_of(np.linspace(0, 30, 60))) == 0.0


def test_a_line_that_moves_sideways_makes_none() -> None:
    assert stroke(pool_of(PISTONING, sideways=PISTONING)) == 0.0


def test_what_moves_with_the_tissue_or_stays_in_the_picture_makes_none() -> None:
    with_tissue = PISTONING[:, None] * ALONG
    assert stroke(pool_of(PISTONING, slide=with_tissue)) == 0.0
    assert stroke(pool_of(np.zeros(60), slide=with_tissue)) == 0.0
    assert slide_range(pool_of(PISTONING, slide=with_tissue), np.arange(60)) < 1


def test_sparse_frames_show_no_stroke() -> None:
    assert stroke(pool_of(PISTONING), numbers=10.0 * np.arange(60)) == 0.0


def test_only_the_most_claimed_line_counts() -> None:
    streak = np.where(np.arange(60) < 35, 60.0, 0.0)  # another line, 60 px to the side
    pool = pool_of(np.where(streak > 0, 0.0, PISTONING), sideways=streak)
    _, same = most_claimed_line(pool, np.arange(60))
    np.testing.assert_array_equal(same, streak > 0)
    assert stroke(pool) == 0.0
    assert slide_range(pool, np.arange(60)) < 1


@pytest.mark.parametrize("angle_deg", [0.0, 4.0, 12.0])
def test_a_fibre_that_its_muscle_carries_veers_from_its_line(angle_deg: float) -> None:
    sideways = np.tan(np.radians(angle_deg)) * 0.25 * PISTONING
    pool = pool_of(0.25 * PISTONING, sideways=sideways)
    assert veer_deg(pool, np.arange(60), FRAMES) == pytest.approx(angle_deg, abs=0.1)


def test_a_veer_that_the_way_as_a_whole_has_not_is_chance() -> None:
    """Frame by frame a line's place scatters; what carries a fibre carries it all along."""
    saw = 4 * (np.arange(60) % 4) + 20 * np.repeat([0, 1], 30)
    drawn = -0.2 * saw + np.repeat([0.0, 5.5], 30)
    assert veer_deg(pool_of(saw, sideways=drawn), np.arange(60), FRAMES) == 0.0
    assert veer_deg(pool_of(saw, sideways=-0.2 * saw), np.arange(60), FRAMES) > 7.5


def test_a_probe_that_turns_slowly_makes_no_veer() -> None:
    turned = np.linspace(0, 8, 60)  # px to the side over the clip
    assert veer_deg(pool_of(PISTONING, sideways=turned), np.arange(60), FRAMES) < 3


def test_what_hardly_moves_shows_no_veer() -> None:
    assert veer_deg(pool_of(0.02 * PISTONING, sideways=PISTONING), np.arange(60), FRAMES) == 0.0
