"""Strokes of a shaft whose tip is out of the slice."""

import numpy as np

from test_needle import clip_of, errors, run
from usguide.needle.displaced import LEAST_PX, hidden_tips

STROKE = 24
"""Frames of a stroke in and out."""
TIP = 100 - 30 * np.cos(2 * np.pi * np.arange(7 * STROKE) / STROKE)
OUT = slice(int(2.7 * STROKE), int(5.3 * STROKE))
"""Between a retreat and an advance, so that three places between strokes are in it."""


def shortened(by: float, when: slice = OUT) -> np.ndarray:
    end = TIP.copy()
    end[when] -= by
    return end


def test_strokes_that_are_all_displaced_tell_where_the_tip_is() -> None:
    rng = np.random.default_rng(2)
    tip = hidden_tips(shortened(25) + rng.normal(0, 1, len(TIP)))
    told = np.isfinite(tip)
    assert (
        np.abs(tip - TIP)[told].max() < 18
    )  # on the way to the first such turn, and from the last
    between = slice(3 * STROKE, 5 * STROKE)
    np.testing.assert_allclose(tip[between], TIP[between], atol=4)
    assert not np.delete(told, np.r_[OUT]).any()
    assert told[OUT].mean() > 0.9


def test_time_may_run_backwards_and_frames_may_be_missing() -> None:
    end = shortened(25)
    np.testing.assert_allclose(hidden_tips(end[::-1])[::-1], hidden_tips(end))
    end[::5] = np.nan
    tip = hidden_tips(end)
    assert np.isfinite(tip[OUT]).mean() > 0.7
    assert np.isnan(tip[np.isnan(end)]).all()


def test_where_the_end_was_lost_meanwhile_only_its_own_depth_is_known() -> None:
    end = shortened(25)
    end[OUT.stop - 6 : OUT.stop + 4] = np.nan
    tip = hidden_tips(end)
    told = np.isfinite(tip)
    assert told[OUT].mean() > 0.8
    np.testing.assert_array_equal(tip[told], end[told])


def test_an_end_that_turns_where_it_usually_does_is_the_tip() -> None:
    rng = np.random.default_rng(2)
    uneven = TIP + np.repeat(rng.uniform(-0.3 * LEAST_PX, 0.3 * LEAST_PX, 7), STROKE)
    assert np.isnan(hidden_tips(uneven)).all()
    assert np.isnan(hidden_tips(shortened(0.9 * LEAST_PX))).all()


def test_a_needle_drawn_back_further_that_reaches_as_deep_is_seen_to_its_tip() -> None:
    end = TIP.copy()
    end[OUT] = 130 + (end[OUT] - 130) * 85 / 60  # from 45 instead of from 70
    assert np.isnan(hidden_tips(end)).all()


def test_one_place_between_strokes_tells_it_and_the_way_in_and_out_do_not() -> None:
    tip = hidden_tips(shortened(25, slice(3 * STROKE - 4, 3 * STROKE + 5)))
    told = np.flatnonzero(np.isfinite(tip))
    np.testing.assert_array_equal(told, 3 * STROKE + np.arange(-4, 5))
    np.testing.assert_allclose(tip[told], 70)
    assert np.isnan(hidden_tips(shortened(25, slice(0, STROKE // 2)))).all()
    assert np.isnan(hidden_tips(shortened(25, slice(-STROKE // 2, None)))).all()
    assert np.isnan(hidden_tips(np.full(len(TIP), np.nan))).all()


def test_the_tip_is_not_claimed_meanwhile_but_the_passes_are_counted() -> None:
    tip = 120 - 30 * np.cos(2 * np.pi * np.arange(len(TIP)) / STROKE)
    end = tip.copy()
    end[OUT] -= 35
    track = run(clip_of(end), spacing_mm=(0.1, 0.1), fps=30.0)
    visible = track.tip_visible
    out = np.arange(OUT.start + 2, OUT.stop - 2)
    assert visible[out].mean() < 0.15
    np.testing.assert_array_equal(np.isfinite(track.insertion_depth_mm), visible)
    others = np.delete(visible, np.r_[OUT])
    assert others.mean() > 0.95
    assert np.nanmedian(errors(track, tip)[visible]) < 3
    assert len(track.passes) == 7
    assert track.passes_certain
    assert all(abs(each.depth_mm - 6.0) < 1.0 for each in track.passes)
