"""A shaft of which a stretch is not seen: its end is the furthest, where it is seen to pass."""

import numpy as np
import pytest

from test_needle_bared import DEPTHS, FRAMES, PLACES, line
from usguide.needle.bared import PLAIN
from usguide.needle.candidates import CANDIDATE, Workspace
from usguide.needle.evidence import Odds
from usguide.needle.interrupted import is_its_end, to_the_furthest_end
from usguide.needle.mmode import MMode
from usguide.needle.pool import Pool
from usguide.needle.track import Path

ALONG = np.array([0.8, 0.6])
ENDS = (40.0, 80.0, 110.0)
"""How far along one line every frame has an end."""


def pool_of(aside: float = 0.0) -> Pool:
    """Three ends a frame along a line that advances, the furthest of them so far off the line."""
    frames = []
    for k in range(FRAMES):
        ends = np.zeros(len(ENDS), CANDIDATE)
        for one, far in zip(ends, ENDS, strict=True):
            off = aside * np.array([-ALONG[1], ALONG[0]]) * (far == ENDS[-1])
            one["tip_x"], one["tip_y"] = (far + 0.3 * k) * ALONG + off + 10
            one["tail_x"], one["tail_y"] = off + 10
        frames.append(ends)
    return Pool.of(frames, np.zeros((FRAMES, 2)), Workspace(np.ones((200, 200), np.bool_)))


@pytest.mark.parametrize(
    ("aside", "furthest", "end"), [(0.0, 2.0, 2), (0.0, -3.0, 1), (20.0, 2.0, 1)]
)
def test_the_furthest_likely_end_of_the_line_is_followed(
    aside: float, furthest: float, end: int
) -> None:
    pool = pool_of(aside)
    each = np.tile([3.0, 2.0, furthest], FRAMES)
    near = np.where(np.arange(FRAMES) % 3 == 0, np.arange(FRAMES) * 3, -1)
    path = Path(near, np.where(near >= 0, 0.9, 0.0), moved=True)
    odds = Odds(each, each)
    found = to_the_furthest_end(pool, odds, path, np.arange(float(FRAMES)))
    assert np.array_equal(found.chosen, np.arange(FRAMES) * 3 + end)
    assert found.moved


def seen(contrast: np.ndarray, beside: np.ndarray | None = None) -> MMode:
    """A line's M-mode in tissue that rests."""
    nothing = np.zeros((FRAMES, 2))
    rests = np.tile(np.random.default_rng(1).normal(80, 9, (2, PLACES)), (FRAMES, 1, 1))
    tissue = rests if beside is None else beside
    return MMode(nothing, nothing, np.zeros(FRAMES), contrast, tissue.astype(np.float32), DEPTHS)


def test_an_end_that_passes_the_places_of_its_line_is_the_shafts() -> None:
    assert is_its_end(seen(line(0.2)), DEPTHS)


def test_an_end_found_now_here_and_now_there_in_speckle_is_not() -> None:
    # What is nearer than each end is brighter on the mean, but no place by when it is passed.
    rng = np.random.default_rng(4)
    speckle = np.where(rng.random((FRAMES, PLACES)) < 0.5, PLAIN, 0.0)
    falling = np.linspace(1.0, 0.2, PLACES) * speckle
    assert not is_its_end(seen(falling.astype(np.float32)), DEPTHS)


def test_an_end_that_tissue_goes_with_is_not() -> None:
    slow = 60 + 20 * np.sin(np.linspace(0, 2 * np.pi, FRAMES))
    shaft = np.where(np.arange(PLACES) < slow[:, None], PLAIN, 0.0).astype(np.float32)
    texture = np.random.default_rng(2).normal(80, 9, 3 * PLACES)
    goes = np.stack([[np.roll(texture, round(at))[:PLACES]] * 2 for at in slow])
    assert is_its_end(seen(shaft), slow)
    assert not is_its_end(seen(shaft, goes), slow)


def test_an_end_that_is_known_in_no_frame_is_not() -> None:
    assert not is_its_end(seen(line(0.2)), np.full(FRAMES, np.nan))
