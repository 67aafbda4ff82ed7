"""How deep the tips lie along their shafts."""

import dataclasses

import numpy as np
import pytest

from test_needle import clip_of, pistoning, run
from usguide.needle.candidates import Workspace
from usguide.needle.description import insertion_depth
from usguide.needle.smoothing import Shaft

FRAMES = 30
ALONG = np.array([np.cos(np.radians(10)), np.sin(np.radians(10))])
ADVANCE = 60 + 30 * np.sin(np.arange(FRAMES))


def shafts(tail_px: float = 20.0) -> Shaft:
    """A shaft that enters a picture at its left edge, (0, 40), and is seen from ``tail_px`` on."""
    along = np.tile(ALONG, (FRAMES, 1))
    entry = np.array([0.0, 40.0])
    tip, tail = entry + ADVANCE[:, None] * along, entry + tail_px * along
    return Shaft(np.arange(FRAMES), tip, tail, along, np.ones((FRAMES, 2)))


def tissue(rows: slice = slice(0, 200), columns: slice = slice(0, 200)) -> Workspace:
    shown = np.zeros((200, 200), np.bool_)
    shown[rows, columns] = True
    return Workspace(shown)


@pytest.mark.parametrize("online", [False, True])
def test_depth_is_along_the_shaft_from_the_edge(online: bool) -> None:
    np.testing.assert_allclose(insertion_depth(shafts(), tissue(), online=online), ADVANCE, atol=1)


def test_a_tip_beyond_the_picture_is_as_deep_as_it_is() -> None:
    cut = tissue(columns=slice(0, 70))
    assert ADVANCE.max() > 85
    np.testing.assert_allclose(insertion_depth(shafts(), cut, online=False), ADVANCE, atol=1)


def test_a_line_that_now_and_then_grazes_the_edge_is_no_less_deep_then() -> None:
    needle = shafts(tail_px=30.0)
    along = np.tile(ALONG, (FRAMES, 1))
    along[::7] = np.cos(np.radians(20)), np.sin(np.radians(20))  # enters 15 px later
    turned = dataclasses.replace(needle, along=along)
    cut = tissue(rows=slice(40, 200))
    assert np.ptp(insertion_depth(turned, cut, online=False) - ADVANCE) < 2
    assert np.ptp(insertion_depth(turned, cut, online=True) - ADVANCE) > 10


def test_why_the_number_of_passes_is_not_certain_is_said() -> None:
    clip = clip_of(pistoning())
    timed, clockless = run(clip, fps=30.0), run(clip)
    assert timed.passes_certain
    assert "certain" not in timed.reason
    assert not clockless.passes_certain
    assert len(clockless.passes) == len(timed.passes)
    assert "not certain without a clock" in clockless.reason
