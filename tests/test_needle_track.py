"""Which path is a needle's: judged by all that it can be seen to do."""

import dataclasses

import numpy as np
import pytest

from usguide.needle.candidates import CANDIDATE, Workspace
from usguide.needle.evidence import Odds
from usguide.needle.pool import Pool
from usguide.needle.track import likeliest

ALONG = np.array([0.8, 0.6])
FRAMES = np.arange(60.0)
PISTONING = 10 * (1 - np.cos(2 * np.pi * FRAMES / 24))
"""How far the tip is along its line: 0 to 20 working px."""
FAINT = np.isin(np.arange(60) % 12, [4, 5, 6, 7])
"""The middle of every stroke."""


def pool_of(advance, along=ALONG, onward: float = 0.0) -> Pool:
    """One shaft a frame, its tip so far along its line, that looks like a needle's."""
    frames = []
    for far in advance:
        one = np.zeros(1, CANDIDATE)
        x, y = np.array([60.0, 60.0]) + far * along
        one["tip_x"], one["tip_y"] = x, y
        one["tail_x"], one["tail_y"] = (x, y) - (60 + far) * along
        one["onward"] = onward
        for name, value in {"contrast": 4, "near": 4, "step": 4, "echo": 0.95, "score": 60}.items():
            one[name] = value
        frames.append(one)
    return Pool.of(frames, np.zeros((60, 2)), Workspace(np.ones((200, 200), np.bool_)))


def odds(shown: float, faint: float) -> Odds:
    each = np.where(FAINT, faint, shown)
    return Odds(each, each)


def test_strokes_make_a_needle_of_a_path_that_hardly_looks_like_one() -> None:
    path = likeliest(pool_of(PISTONING), odds(0.3, 1.0), FRAMES)
    assert path is not None
    assert path.moved
    assert np.count_nonzero(path.seen) > 50


@pytest.mark.parametrize(("moves", "claimed"), [(2, False), (3, True)])
def test_an_end_that_returns_after_two_moves_must_convince_by_its_looks(
    moves: int, claimed: bool
) -> None:
    there = 6.0 * np.arange(moves + 1)
    to_and_fro = np.resize(np.concatenate([there, there[-2:0:-1]]), 60)
    assert (likeliest(pool_of(to_and_fro), odds(0.5, 0.5), FRAMES) is not None) == claimed
    assert likeliest(pool_of(to_and_fro), odds(4.0, 4.0), FRAMES) is not None


@pytest.mark.parametrize(
    ("gap", "degrees", "looks", "claimed"),
    [(1, 12.0, 2.0, False), (3, 12.0, 2.0, True), (1, 40.0, 2.0, True), (1, 12.0, 3.0, True)],
)
def test_a_layer_that_ends_now_here_and_now_far_on_must_convince_where_strokes_could_be_seen(
    gap: int, degrees: float, looks: float, claimed: bool
) -> None:
    along = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    here_and_there = np.where(np.arange(60) % 30 < 15, 0.0, 60.0) + 0.2 * (np.arange(60) % 2)
    pool = pool_of(here_and_there, along)
    path = likeliest(pool, odds(looks, looks), gap * FRAMES)
    assert (path is not None) == claimed


@pytest.mark.parametrize(("frames", "claimed"), [(11, False), (13, True)])
def test_a_path_of_few_frames_is_no_needle(frames: int, claimed: bool) -> None:
    shown = np.where(np.abs(FRAMES - 24.0) <= (frames - 1) / 2, 4.0, -9.0)
    path = likeliest(pool_of(PISTONING), Odds(shown, shown), FRAMES)
    assert (path is not None) == claimed


def test_a_needle_that_rests_but_for_one_stroke_has_slid() -> None:
    stab = np.interp(FRAMES, [40.0, 43.0, 46.0], [0.0, 18.0, 0.0])
    path = likeliest(pool_of(stab), odds(2.0, 2.0), FRAMES)
    assert path is not None
    assert path.moved


@pytest.mark.parametrize(("looks", "claimed"), [(-0.45, False), (0.3, True)])
def test_strokes_alone_make_no_needle(looks: float, claimed: bool) -> None:
    path = likeliest(pool_of(PISTONING), odds(looks, looks), FRAMES)
    assert (path is not None) == claimed


@pytest.mark.parametrize(("degrees", "claimed"), [(12.0, False), (20.0, False), (28.0, True)])
def test_what_lies_as_layers_do_must_look_the_better(degrees: float, claimed: bool) -> None:
    along = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    path = likeliest(pool_of(PISTONING, along), odds(0.3, 0.3), FRAMES)
    assert (path is not None) == claimed
    assert likeliest(pool_of(PISTONING, along), odds(2.0, 2.0), FRAMES) is not None


@pytest.mark.parametrize(("degrees", "claimed"), [(15.0, False), (45.0, True)])
def test_what_lies_as_layers_do_and_curves_on_is_none(degrees: float, claimed: bool) -> None:
    along = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    path = likeliest(pool_of(PISTONING, along, onward=5.0), odds(4.0, 4.0), FRAMES)
    assert (path is not None) == claimed


@pytest.mark.parametrize(("aslant", "claimed"), [(0.1, True), (0.25, False)])
def test_a_line_that_veers_once_it_is_followed_is_none(aslant: float, claimed: bool) -> None:
    # One stroke is plain and straight; in those that show once the line is known it is carried.
    later = np.arange(60) >= 15
    across = np.array([ALONG[1], -ALONG[0]])
    off = aslant * np.outer(np.where(later, PISTONING - 10, 0.0), across)
    pool = pool_of(PISTONING)
    pool = dataclasses.replace(pool, tip=pool.tip + off, tail=pool.tail + off)
    shown = np.where(later, -3.0, 2.0)
    path = likeliest(pool, Odds(shown, shown), FRAMES)
    assert (path is not None) == claimed
