"""Passes from a depth curve, and the smoother."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from usguide.model import Timing, TimingSource
from usguide.needle.passes import find_passes, turning_points
from usguide.needle.smoothing import smoothed


def timing(count: int, fps: float = 25.0) -> Timing:
    return Timing(np.arange(count) / fps, TimingSource.USER, np.full(count, -1))


def passes_of(depth_mm, inside=None, when=None):
    depth = np.asarray(depth_mm, dtype=np.float64)
    return find_passes(depth * 10, depth, inside, when or timing(len(depth)), 800.0)[0]


def waves(count: int, cycles: int, stroke: float = 6.0) -> np.ndarray:
    return 10 + stroke * 0.5 * (1 - np.cos(np.linspace(0, 2 * np.pi * cycles, count)))


@given(cycles=st.integers(1, 8), noise=st.floats(0, 0.3), seed=st.integers(0, 99))
def test_every_cycle_is_one_pass_whatever_the_noise(cycles: int, noise: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    depth = waves(40 * cycles, cycles) + rng.uniform(-noise, noise, 40 * cycles)
    found = passes_of(depth)
    assert len(found) == cycles
    for k, one in enumerate(found):
        assert one.start_frame < one.deepest_frame < one.end_frame
        assert abs(one.deepest_frame - (40 * k + 20)) <= 6
        assert one.depth_mm == pytest.approx(6, abs=0.7)
        assert one.depth_px == pytest.approx(60, abs=7)


def test_an_advance_that_stays_is_no_pass() -> None:
    assert (
        passes_of(np.concatenate([np.full(10, 5.0), np.linspace(5, 15, 20), np.full(30, 15.0)]))
        == ()
    )


def test_a_withdrawal_alone_is_no_pass() -> None:
    assert passes_of(np.linspace(15, 2, 40)) == ()


def test_a_tremor_is_no_pass() -> None:
    assert passes_of(waves(100, 5, stroke=1.0)) == ()


def test_tremor_between_passes_is_none_of_them() -> None:
    depth = np.concatenate([waves(41, 2), waves(61, 3, stroke=1.7)])
    assert len(passes_of(depth)) == 2


def test_frames_without_a_tip_do_not_break_a_pass() -> None:
    depth = waves(40, 1)
    depth[8:12] = np.nan
    assert len(passes_of(depth)) == 1


def unsure(depth_mm, when=None) -> float | None:
    depth = np.asarray(depth_mm, dtype=np.float64)
    return find_passes(depth * 10, depth, None, when or timing(len(depth)), 800.0)[1]


def test_time_out_of_sight_that_may_hide_a_pass_is_told() -> None:
    depth = waves(100, 1)
    assert unsure(depth) == 0
    depth[20:30] = np.nan  # 10 frames and one more from sight to sight, at 25 frames/s
    depth[40:44] = np.nan  # no pass is as short
    assert unsure(depth) == pytest.approx(11 / 25)
    clockless = Timing(None, TimingSource.NONE, np.full(100, -1))
    assert unsure(depth, clockless) is None


@pytest.mark.parametrize(("hidden", "frames"), [(12, 0), (24, 25), (36, 37)])
def test_passes_at_rest_are_told_for_certain_where_there_was_no_time_for_another(
    hidden: int, frames: int
) -> None:
    depth = np.concatenate([waves(61, 3), np.full(100, 10.0)])  # 20 frames each
    depth[75 : 75 + hidden] = np.nan
    assert unsure(depth) == pytest.approx(frames / 25)
    assert len(passes_of(depth)) == 3


def test_a_rhythm_that_goes_on_tells_one_hidden_pass_for_certain_and_no_more() -> None:
    depth = waves(121, 6)  # 20 frames each
    depth[45:65] = np.nan
    assert unsure(depth) == 0
    depth[45:95] = np.nan
    assert unsure(depth) == pytest.approx(51 / 25)


def test_a_needle_may_make_passes_before_it_is_first_seen_but_not_before_it_comes_in() -> None:
    coming = np.concatenate([np.full(30, np.nan), np.linspace(1, 10, 9), waves(61, 3)])
    there = np.concatenate([np.full(30, np.nan), waves(61, 3)])
    assert unsure(coming) == unsure(coming[::-1]) == 0
    assert unsure(there) == pytest.approx(30 / 25)
    assert unsure(there[::-1]) == pytest.approx(30 / 25)


def test_frames_that_repeat_hide_nothing() -> None:
    depth = waves(60, 1)
    depth[21:40] = np.nan
    repeats = np.full(60, -1)
    repeats[21:40] = 20
    assert unsure(depth, Timing(np.arange(60) / 25, TimingSource.USER, repeats)) == 0
    assert unsure(depth) > 0


def test_without_a_tip_or_with_two_frames_there_are_none() -> None:
    assert passes_of(np.full(20, np.nan)) == ()
    assert passes_of([1.0, 5.0]) == ()


def test_seconds_need_a_clock_and_millimetres_a_scale() -> None:
    still = Timing(None, TimingSource.NONE, np.full(40, -1))
    one = find_passes(waves(40, 1) * 10, None, None, still, 800.0)[0][0]
    assert (one.start_s, one.deepest_s, one.end_s, one.depth_mm, one.in_fascia_s) == (None,) * 5


def test_time_inside_the_fascia_is_summed_over_the_pass() -> None:
    inside = np.zeros(40, np.bool_)
    inside[18:23] = True
    assert passes_of(waves(40, 1), inside)[0].in_fascia_s == pytest.approx(5 / 25)


def test_turning_points_alternate_from_a_low() -> None:
    curve = np.array([5.0, 0, 5, 1, 6, 5.8, 6, 0.5])
    assert turning_points(curve, 1.0) == [1, 2, 3, 4, 7]
    assert turning_points(np.full(5, 2.0), 1.0) == []


def test_the_smoother_follows_a_ramp_and_quiets_noise() -> None:
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.5, 2.0, 80))
    truth = 3 + 0.7 * times
    noisy = truth + rng.normal(0, 0.5, 80)
    out, deviation = smoothed(noisy, times, np.full(80, 0.5), 0.01)
    assert np.std(out - truth) < 0.5 * np.std(noisy - truth)
    assert (deviation < 0.5).all()
    assert np.mean(np.abs(out - truth) < 1.96 * deviation) > 0.85
    exact, _ = smoothed(truth, times, np.full(80, 0.5), 0.1)
    np.testing.assert_allclose(exact, truth, atol=2e-3)


def test_the_smoother_leaves_two_values_alone() -> None:
    pair = np.array([1.0, 5.0])
    noise = np.ones(2)
    out, deviation = smoothed(pair, np.array([0.0, 1.0]), noise, 0.1)
    assert out is pair
    assert deviation is noise
