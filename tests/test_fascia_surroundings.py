"""Other bones than the heel's, told by what lies over them and beyond what may be their edge."""

import numpy as np
import pytest

from usguide.fascia.calcaneus import find_calcaneus
from usguide.fascia.surroundings import beyond_edge, fat_level, heel_bone_odds

PIXEL_MM = 0.1
X = np.arange(20.0, 150.0)
Y = 150.0 + 15.0 * ((X - 85.0) / 65.0) ** 2
"""A dome, its top in the middle."""


def picture(over=0.6, tissue=0.3, runs_on=False):
    """A dome of bone under tissue; beyond it other tissue, or more of the same bone."""
    rows, columns = np.arange(320.0)[:, None], np.arange(320.0)
    fall = Y[-1] - Y[-2]
    row = np.interp(columns, X, Y) + fall * np.maximum(columns - X[-1], 0)
    bone = (columns <= X[-1]) | runs_on
    ground = np.where(rows < row, over, np.where(bone, 0.05, tissue))
    return np.maximum(ground, np.exp(-0.5 * ((rows - row) / 2) ** 2) * bone).astype(np.float32)


def odds(**kind):
    return heel_bone_odds(2.0, picture(**kind), X, Y, PIXEL_MM)


@pytest.mark.parametrize("level", [0.2, 0.6])
def test_the_fat_is_what_lies_over_the_line_and_not_the_skin(level):
    levels = picture(over=level)
    levels[:30] = 1.0
    assert fat_level(levels, X, Y, PIXEL_MM) == pytest.approx(level, abs=0.01)
    assert fat_level(levels, X, Y - 130.0, PIXEL_MM) == 0.0


def test_beyond_a_bone_that_ends_there_is_tissue_and_beyond_one_that_runs_on_its_shadow():
    _, rise, _ = beyond_edge(picture(), X, Y, PIXEL_MM)
    assert rise > 0.2
    level, rise, turn = beyond_edge(picture(runs_on=True), X, Y, PIXEL_MM)
    assert level == pytest.approx(1.0, abs=0.1)
    assert rise == pytest.approx(0.0, abs=0.02)
    assert abs(turn) < 0.2


def test_a_front_wall_over_the_bone_s_shadow_turns_down():
    flat = Y.min() + 0.0 * Y
    rows, columns = np.arange(320.0)[:, None], np.arange(320.0)
    row = flat[0] + 0.7 * np.maximum(columns - X[-1], 0)
    ground = np.where(rows < row, 0.6, 0.05)
    levels = np.maximum(ground, np.exp(-0.5 * ((rows - row) / 2) ** 2)).astype(np.float32)
    _, rise, turn = beyond_edge(levels, X, flat, PIXEL_MM)
    assert rise == pytest.approx(0.0, abs=0.05)
    assert turn == pytest.approx(0.7, abs=0.15)
    assert heel_bone_odds(2.0, levels, X, flat, PIXEL_MM) is not None


def test_at_the_picture_s_rim_nothing_is_said_of_what_lies_beyond():
    assert beyond_edge(picture()[:, :155], X, Y, PIXEL_MM) == (0.0, 0.0, 0.0)


def test_muscle_over_a_line_and_a_line_that_runs_on_speak_against_the_heel_bone():
    assert odds(over=0.35) < odds() - 2
    assert odds(runs_on=True) is None


def test_a_bone_may_end_where_its_line_fades_over_its_shadow():
    levels = picture(runs_on=True)
    beyond = levels[:, round(X[-1]) + 1 :]
    beyond[beyond > 0.65] = 0.65
    assert heel_bone_odds(2.0, levels, X, Y, PIXEL_MM) is not None


@pytest.mark.parametrize(("kind", "bones"), [({}, True), ({"runs_on": True}, False)])
def test_the_top_of_a_bone_that_runs_on_is_no_heel_bone(kind, bones):
    rng = np.random.default_rng(0)
    levels = picture(**kind)
    levels *= 1 + 0.2 * rng.standard_normal(levels.shape).astype(np.float32)
    found = find_calcaneus(levels, np.ones(levels.shape, bool), PIXEL_MM)
    assert isinstance(found, list) is bones
