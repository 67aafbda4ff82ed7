"""A shaft's back wall and reverberations lie beneath it, and are no needles of their own."""

import numpy as np
import pytest

from usguide.needle.candidates import CANDIDATE, Workspace
from usguide.needle.front_wall import on_front_wall
from usguide.needle.pool import Pool
from usguide.needle.track import Path

FRAMES = 20
TIP = np.array([100.0, 80.0])


def lines(
    beneath_px: float,
    score: float,
    *,
    contrast: float = 4.0,
    forward_px: float = -5.0,
    turned_deg: float = 0.0,
    way: int,
) -> Pool:
    """A shaft of score 100 and contrast 6 in every frame, and another line so far beneath it."""
    some = np.zeros(2, CANDIDATE)
    for k, turn in enumerate((0.0, turned_deg)):
        angle = np.radians(30.0 + turn)
        along = np.array([way * np.cos(angle), np.sin(angle)])
        across = np.array([-way * np.sin(angle), np.cos(angle)])  # downwards
        tip = TIP + k * (forward_px * along + beneath_px * across)
        some["tip_x"][k], some["tip_y"][k] = tip
        some["tail_x"][k], some["tail_y"][k] = tip - 60 * along
    some["score"] = 100.0, score
    some["contrast"] = 6.0, contrast
    size = Workspace(np.ones((200, 200), np.bool_))
    return Pool.of([some] * FRAMES, np.zeros((FRAMES, 2)), size)


def claims(which: int) -> Path:
    """Claims of one of the two in every second frame, of the shaft in the others."""
    chosen = 2 * np.arange(FRAMES)
    chosen[::2] += which
    return Path(chosen, np.full(FRAMES, 0.9), moved=True)


@pytest.mark.parametrize("way", [-1, 1])
@pytest.mark.parametrize("beneath_px", [4.0, 7.0])
def test_claims_that_go_back_and_forth_are_put_on_the_shaft(way: int, beneath_px: float) -> None:
    pool = lines(beneath_px, 60.0, way=way)
    path = on_front_wall(pool, claims(1), np.zeros(2 * FRAMES))
    assert path.chosen.tolist() == (2 * np.arange(FRAMES)).tolist()


@pytest.mark.parametrize(
    "other",
    [
        {"beneath_px": 7.0, "score": 150.0},  # a fascia on which the needle lies
        {"beneath_px": 20.0, "score": 60.0},
        {"beneath_px": 1.0, "score": 60.0},  # the same line
        {"beneath_px": 7.0, "score": 60.0, "forward_px": -40.0},
        {"beneath_px": 7.0, "score": 60.0, "forward_px": 20.0},  # an echo goes no further
        {"beneath_px": 7.0, "score": 60.0, "turned_deg": 5.0},
        {"beneath_px": 7.0, "score": 60.0, "contrast": 9.0},  # longer, but fainter than the claim
    ],
)
def test_other_lines_above_a_claim_are_not_its_front_wall(other: dict[str, float]) -> None:
    pool = lines(**other, way=1)
    before = claims(1)
    path = on_front_wall(pool, before, np.zeros(2 * FRAMES))
    assert path.chosen.tolist() == before.chosen.tolist()


def test_frames_without_a_claim_stay_without_one() -> None:
    pool = lines(7.0, 60.0, way=1)
    before = Path(np.full(FRAMES, -1), np.zeros(FRAMES), moved=True)
    assert (on_front_wall(pool, before, np.zeros(2 * FRAMES)).chosen == -1).all()


def test_of_the_ends_of_the_line_above_the_likeliest_is_taken() -> None:
    pool = lines(7.0, 60.0, way=1)
    records = np.concatenate([pool.records[:2], pool.records[:1]])
    records["tip_x"][2] -= 5.0 * np.cos(np.radians(30.0))
    records["tip_y"][2] -= 5.0 * np.sin(np.radians(30.0))
    size = Workspace(np.ones((200, 200), np.bool_))
    pool = Pool.of([records], np.zeros((1, 2)), size)
    path = Path(np.array([1]), np.array([0.9]), moved=True)
    for best in (0, 2):
        odds = np.where(np.arange(3) == best, 2.0, 0.0)
        assert on_front_wall(pool, path, odds).chosen.tolist() == [best]
