"""Passes of which a turn hid: told from the rhythm, or not at all."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from test_needle_passes import passes_of, timing, waves

STROKE = 6  # frames


def hidden(depth, *spans):
    out = np.array(depth, dtype=np.float64)
    for first, past in spans:
        out[first:past] = np.nan
    return out


@pytest.fixture
def steady() -> np.ndarray:
    """Six passes of 12 frames each."""
    return waves(12 * 6 + 1, 6)


@pytest.mark.parametrize("first", range(13, 34, 3))
@pytest.mark.parametrize("long", [5, 8, 11, 14])
def test_a_steady_rhythm_goes_on_while_the_tip_is_hidden(steady, first: int, long: int) -> None:
    found = passes_of(hidden(steady, (first, first + long)))
    assert len(found) == 6
    for k, one in enumerate(found):
        assert one.deepest_frame == pytest.approx(12 * k + STROKE, abs=2)


def test_a_pass_whose_turns_hid_has_no_depth(steady) -> None:
    found = passes_of(hidden(steady, (27, 34)))
    assert [one.depth_mm is None for one in found] == [False, False, True, False, False, False]
    assert np.isnan(found[2].depth_px)


def test_a_needle_that_rests_on_both_sides_has_not_moved_meanwhile() -> None:
    depth = np.concatenate([waves(37, 3), np.full(40, 10.0)])
    assert len(passes_of(hidden(depth, (50, 65)))) == 3


def test_the_last_pass_is_told_though_it_came_to_rest_unseen() -> None:
    depth = np.concatenate([waves(37, 3), np.full(30, 10.0)])
    assert len(passes_of(hidden(depth, (27, 40)))) == 3


@pytest.mark.parametrize("first", range(34, 39))
@pytest.mark.parametrize(("long", "more"), [(8, 0), (16, 1), (28, 2)])
def test_a_needle_that_stopped_unseen_has_gone_on_for_as_many_passes_as_there_was_time_for(
    first: int, long: int, more: int
) -> None:
    depth = np.concatenate([waves(37, 3), np.full(60, 10.0)])
    assert len(passes_of(hidden(depth, (first, first + long)))) == 3 + more


def test_the_way_in_is_not_taken_for_the_rhythm() -> None:
    way_in = np.linspace(-10, 10, 20)
    depth = np.concatenate([way_in, waves(49, 4), np.full(5, 10.0)])
    assert len(passes_of(hidden(depth, (46, 60)))) == 4


def test_resting_between_strokes_does_not_slow_the_rhythm() -> None:
    rest = np.full(9, 10.0)
    depth = np.concatenate([rest, waves(13, 1), rest, waves(13 + 3 * 12, 4)])
    assert len(passes_of(hidden(depth, (44, 56)))) == 5


def test_an_uneven_needle_is_not_guessed_at() -> None:
    slow, quick = waves(41, 1), waves(9, 1)
    depth = np.concatenate([quick, slow, quick, slow, quick, slow])
    assert len(passes_of(depth)) == 6
    assert len(passes_of(hidden(depth, (52, 60)))) == 5


def test_a_needle_elsewhere_meanwhile_is_not_guessed_at(steady) -> None:
    deeper = steady.copy()
    deeper[40:] += 12
    assert len(passes_of(deeper)) == 6
    assert len(passes_of(hidden(deeper, (34, 46)))) == 5


@given(
    seed=st.integers(0, 500),
    share=st.floats(0.0, 0.9),
    cycles=st.integers(1, 7),
    clock=st.sampled_from([25.0, 1e9]),
)
def test_whatever_hides_passes_follow_one_another(seed, share, cycles, clock) -> None:
    rng = np.random.default_rng(seed)
    depth = waves(90, cycles) + rng.uniform(-0.4, 0.4, 90)
    depth[rng.uniform(size=90) < share] = np.nan
    first = int(rng.integers(0, 60))
    depth[first : first + int(rng.integers(0, 30))] = np.nan
    found = passes_of(depth, when=timing(90, clock))
    for one, after in itertools.pairwise(found):
        assert one.end_frame <= after.start_frame
    for one in found:
        assert one.start_frame <= one.deepest_frame <= one.end_frame
        assert one.depth_mm is None or 1.0 < one.depth_mm < 9.0
    assert len(found) <= cycles + 1


def test_a_long_loss_that_is_not_told_leaves_a_short_one_told(steady) -> None:
    longer = np.concatenate([steady, waves(12 * 20 + 1, 20)[1:]])
    lost = hidden(longer, (27, 34), (60, 60 + 12 * 18))
    assert [one.deepest_frame for one in passes_of(lost)[:5]] == [6, 18, 30, 42, 54]
    assert len(passes_of(lost)) == 5 + 3  # 18 hid
