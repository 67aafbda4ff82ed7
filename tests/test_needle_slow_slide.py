"""A needle moved too slowly for strokes: told by the front that its M-mode shows."""

import itertools

import numpy as np
import pytest

from test_needle import clip_of, errors, run
from test_needle_carried import beside
from usguide.model import Status
from usguide.needle import track, whole_clip
from usguide.needle.slow_slide import (
    FASTEST_PX,
    PASSING,
    explained,
    explained_at_once,
    likeliest_front,
    one_way,
    slow_front,
)

FRAMES, PLACES = 90, 120
WITHDRAWN = np.linspace(95, 50, FRAMES)


def m_mode(depth: np.ndarray, seed: int = 0) -> np.ndarray:
    """Tissue of uneven brightness that lies still, and an uneven shaft over it, so far."""
    rng = np.random.default_rng(seed)
    tissue = rng.normal(0, 0.7, PLACES)
    tissue[70:74] = 3.0  # a bright piece that stays where the tip has passed it
    shaft = 2.0 + rng.normal(0, 0.7, PLACES)
    covered = np.arange(PLACES) < depth[:, None]
    picture = np.where(covered, np.maximum(tissue, shaft), tissue)
    return (picture + rng.normal(0, 0.6, picture.shape)).astype(np.float32)


AT_REST = beside(np.zeros(FRAMES), PLACES)


@pytest.mark.parametrize("depth", [WITHDRAWN, WITHDRAWN[::-1]], ids=["withdrawn", "advanced"])
@pytest.mark.parametrize("seed", range(3))
def test_a_slow_slide_is_seen_either_way(depth: np.ndarray, seed: int) -> None:
    front = slow_front(m_mode(depth, seed), AT_REST, depth)
    assert front is not None
    assert np.abs(front - depth)[10:-10].max() < 6


def test_a_needle_that_rests_for_most_of_the_clip_is_seen() -> None:
    depth = np.r_[np.full(60, 95.0), np.linspace(95, 50, 30)]
    assert slow_front(m_mode(depth), AT_REST, depth) is not None


def test_few_ends_and_places_outside_the_image_do_not_hide_it() -> None:
    claimed = np.where(np.arange(FRAMES) % 9 == 0, WITHDRAWN, np.nan)
    cut = m_mode(WITHDRAWN)
    cut[:, :8] = np.nan
    cut[:, 110:] = np.nan
    assert slow_front(cut, AT_REST, claimed) is not None


def test_a_line_that_rests_is_no_needle_wherever_its_end_is_found() -> None:
    assert slow_front(m_mode(np.full(FRAMES, 95.0)), AT_REST, WITHDRAWN) is None


@pytest.mark.parametrize("places", [range(40, 95), range(PLACES)], ids=["a part", "all"])
def test_what_fades_everywhere_at_once_is_no_needle(places: range) -> None:
    depth = np.full(FRAMES, 95.0)
    fading = m_mode(depth)
    fading[FRAMES // 2 :, places] = m_mode(np.zeros(FRAMES), 0)[FRAMES // 2 :, places]
    assert slow_front(fading, AT_REST, WITHDRAWN) is None


def test_a_front_that_no_end_agrees_with_is_no_needle() -> None:
    assert slow_front(m_mode(WITHDRAWN), AT_REST, WITHDRAWN - 30) is None


def test_a_front_with_the_bright_part_beyond_it_is_no_needle() -> None:
    assert slow_front(m_mode(WITHDRAWN)[:, ::-1], AT_REST, PLACES - WITHDRAWN) is None


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_what_the_tissue_beside_it_goes_with_is_a_fibre(share: float) -> None:
    gone = beside(share * (WITHDRAWN - WITHDRAWN[0]), PLACES)
    assert (slow_front(m_mode(WITHDRAWN), gone, WITHDRAWN) is not None) == (share < 0.5)


@pytest.mark.parametrize("moves", [True, False])
def test_where_nothing_else_tells_a_needle_the_front_does(
    monkeypatch: pytest.MonkeyPatch, moves: bool
) -> None:
    monkeypatch.setattr(whole_clip, "likeliest", lambda *_: None)
    depths = np.linspace(170, 110, 60) if moves else np.full(60, 140.0)
    needle = run(clip_of(depths, level=80.0), spacing_mm=(0.1, 0.1), fps=20.0)
    assert (needle.status is Status.MEASURED) == moves
    if moves:
        assert needle.tip_visible.mean() > 0.95
        assert np.nanmedian(errors(needle, depths)) < 3


def test_a_line_that_does_not_end_at_its_front_is_no_needle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(whole_clip, "likeliest", lambda *_: None)
    monkeypatch.setattr(track, "LEAST_CUT", 1.3)  # more than any profile drops
    slow = clip_of(np.linspace(170, 110, 60), level=80.0)
    assert run(slow, spacing_mm=(0.1, 0.1), fps=20.0).status is Status.NONE_FOUND


def test_nothing_known_is_no_needle() -> None:
    assert slow_front(m_mode(WITHDRAWN), AT_REST, np.full(FRAMES, np.nan)) is None
    assert slow_front(np.full((FRAMES, PLACES), np.nan, np.float32), AT_REST, WITHDRAWN) is None


def test_the_front_is_where_the_shaft_ends() -> None:
    picture = m_mode(WITHDRAWN).astype(np.float64)
    front = likeliest_front(picture - picture.mean(axis=0))
    assert np.abs(front - WITHDRAWN)[10:-10].max() < 6


def test_the_path_is_the_best_of_all_that_never_go_back() -> None:
    gain = np.random.default_rng(5).normal(size=(4, 5))
    best = -np.inf
    for way in itertools.product(range(5), repeat=4):
        steps = np.diff(way)
        if (steps >= 0).all() and (steps <= FASTEST_PX).all():
            value = gain[np.arange(4), way].sum() - PASSING * 4 * steps.sum()
            best = max(best, value)
    path, value = one_way(gain)
    assert value == pytest.approx(best)
    steps = np.diff(path)
    assert (steps >= 0).all()
    assert (steps <= FASTEST_PX).all()


def test_shares_of_the_variance_are_those_of_means_on_either_side() -> None:
    rng = np.random.default_rng(6)
    change = rng.normal(size=(12, 3))
    change -= change.mean(axis=0)
    covered = np.arange(12)[:, None] < np.array([3, 6, 10])
    squares = 0.0
    for place in range(3):
        parts = change[covered[:, place], place], change[~covered[:, place], place]
        sign = np.sign(parts[0].mean() - parts[1].mean())
        squares += sign * sum(len(part) * part.mean() ** 2 for part in parts)
    assert explained(change, covered) == pytest.approx(squares / np.sum(change**2))
    shares = [explained(change, np.tile(np.arange(12)[:, None] < k, 3)) for k in range(1, 12)]
    assert explained_at_once(change) == pytest.approx(np.abs(shares).max())
