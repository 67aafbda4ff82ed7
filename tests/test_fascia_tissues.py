"""The network that tells fat, fascia and muscle apart, and the pictures it was trained on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks.painted_strips import painted
from benchmarks.tissue_examples import RECORDINGS, Example, cut, example
from hypothesis import given
from hypothesis import strategies as st

from usguide.fascia import tissues as tissues_module
from usguide.fascia.straighten import COLUMN_MM, ROW_MM, Band, Strip
from usguide.fascia.tissues import (
    COLUMNS,
    EDGE_COLUMN,
    FIRST_MM,
    LAYERS,
    PLACES,
    ROWS,
    STRIDE,
    Tissues,
    convolved,
    log_probabilities,
)
from usguide.fascia.workspace import Image

SEEDS = 70_000, 70_003
"""Not among those trained on."""


@pytest.fixture(scope="module", params=SEEDS)
def heel(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Example:
    made = example(request.param, tmp_path_factory.mktemp("heels"))
    assert made is not None
    return made


@pytest.mark.parametrize("at", range(len(LAYERS)))
def test_a_layer_is_what_it_is_by_definition(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shape, step, dilation = LAYERS[at]
    rng = np.random.default_rng(at)
    values = rng.normal(size=(8, 12, shape[2])).astype(np.float32)
    weights = rng.normal(size=shape).astype(np.float32)
    bias = rng.normal(size=shape[3]).astype(np.float32)
    layers = [(np.zeros(0), np.zeros(0))] * at + [(weights, bias)]
    monkeypatch.setattr(tissues_module, "_layers", lambda: layers)
    expected = np.tile(bias, (8 // step[0], 12 // step[1], 1)).astype(float)
    for row, column, tap_row, tap_column in np.ndindex(*expected.shape[:2], *shape[:2]):
        from_row = row * step[0] + (tap_row - shape[0] // 2) * dilation
        from_column = column * step[1] + (tap_column - shape[1] // 2) * dilation
        if 0 <= from_row < 8 and 0 <= from_column < 12:
            expected[row, column] += values[from_row, from_column] @ weights[tap_row, tap_column]
    np.testing.assert_allclose(convolved(values, at), expected, rtol=1e-4, atol=1e-3)


def test_probabilities_sum_to_one() -> None:
    levels = np.random.default_rng(0).uniform(0, 1, (ROWS, COLUMNS)).astype(np.float32)
    likely = log_probabilities(levels)
    assert likely.shape == (ROWS // STRIDE, COLUMNS, 3)
    np.testing.assert_allclose(np.exp(likely).sum(axis=2), 1.0, atol=1e-5)


def test_all_pairs_of_borders_of_a_column_together_are_certain() -> None:
    levels = np.random.default_rng(1).uniform(0, 1, (ROWS, COLUMNS)).astype(np.float32)
    tissues = Tissues.of(strip_of(levels, EDGE_COLUMN), 0.1)
    column = 30
    pairs = tissues.superficial[:, None, column] + tissues.deep[None, :, column]
    likelihood = np.exp(pairs[np.triu_indices(len(pairs))].astype(np.float64))
    assert likelihood.sum() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(("before", "beyond"), [(16, 40), (30, 60), (7, 25)])
def test_what_is_looked_at_lies_about_the_bones_edge(
    before: int, beyond: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A strip that shows more, or ends sooner, is cut or goes on as it ends."""
    monkeypatch.setattr(tissues_module, "PLACES", ((0, 0),))
    rng = np.random.default_rng(2)
    levels = rng.uniform(0, 1, (ROWS + 41, before + beyond)).astype(np.float32)
    columns = np.clip(np.arange(COLUMNS) - EDGE_COLUMN + before, 0, before + beyond - 1)
    tissues = Tissues.of(strip_of(levels, before), 0.1)
    same = Tissues.of(strip_of(levels[:ROWS, columns], EDGE_COLUMN), 0.1)
    np.testing.assert_allclose(tissues.deep, same.deep, atol=1e-4)


def test_tissues_are_recognised_on_average_over_places_of_the_bones_edge() -> None:
    """Of a longer strip, whose parts are what is looked at from each place."""
    beyond = np.abs(PLACES).max(axis=0)
    shape = ROWS + 2 * beyond[1], COLUMNS + 2 * beyond[0]
    levels = np.random.default_rng(4).uniform(0, 1, shape).astype(np.float32)
    strip = strip_of(levels, EDGE_COLUMN + beyond[0])
    strip = replace(strip, rows_px=strip.rows_px - beyond[1] * ROW_MM / 0.1)
    inside = slice(4, -4)
    expected = np.zeros((ROWS // STRIDE, COLUMNS, 3))[inside, inside]
    for ahead, down in PLACES:
        top, left = beyond[1] + down, beyond[0] + ahead
        answer = log_probabilities(levels[top : top + ROWS, left : left + COLUMNS])
        answer = np.roll(answer, (down // STRIDE, ahead), axis=(0, 1))[inside, inside]
        expected += answer / len(PLACES)
    tissues = Tissues.of(strip, 0.1)
    fat_over_fascia = np.diff(tissues.superficial, axis=0)[inside, inside]
    np.testing.assert_allclose(fat_over_fascia, expected[..., 0] - expected[..., 1], atol=1e-2)


def test_columns_that_are_not_looked_at_say_nothing() -> None:
    levels = np.random.default_rng(3).uniform(0, 1, (ROWS, COLUMNS)).astype(np.float32)
    tissues = Tissues.of(strip_of(levels, EDGE_COLUMN), 0.1)
    assert tissues.worth(np.empty((2, 0)), np.empty(0)) == 0.0
    assert tissues.worth(np.zeros((2, 2)), np.array([-20.0, 40.0])) == 0.0
    inside = tissues.worth(np.array([[-4.0], [0.0]]), np.array([5.0]))
    both = tissues.worth(np.array([[-4.0, 0.0], [0.0, 0.0]]), np.array([5.0, 40.0]))
    assert both == inside


def test_the_likeliest_borders_of_clear_tissues_are_theirs() -> None:
    upper_mm, lower_mm = -4.1, 0.5
    down_mm = FIRST_MM + STRIDE * ROW_MM * np.arange(ROWS // STRIDE + 1)
    superficial, deep = (
        np.tile(-3.0 * np.abs(down_mm - at)[:, None], (1, COLUMNS)).astype(np.float32)
        for at in (upper_mm, lower_mm)
    )
    ahead_mm = np.arange(0.0, 19.0, COLUMN_MM)
    found = Tissues(superficial, deep).likeliest(ahead_mm)
    assert found.shape == (2, len(ahead_mm))
    np.testing.assert_allclose(found[0], upper_mm, atol=0.11)
    np.testing.assert_allclose(found[1], lower_mm, atol=0.11)


def strip_of(levels: Image, edge: int) -> Strip:
    """Make a strip of a tenth of a millimetre per pixel, with the bone's edge in a column."""
    columns = np.arange(levels.shape[1])
    centre = np.stack([5.0 * columns, np.zeros(len(columns))], axis=1)
    band = Band(COLUMN_MM * (columns - edge), centre, np.tile([0.0, 1.0], (len(columns), 1)))
    return Strip(band, (FIRST_MM + ROW_MM * np.arange(len(levels))) / 0.1, levels)


@pytest.mark.parametrize("away_mm", [-1.5, 1.5])
@pytest.mark.parametrize("border", [0, 1])
def test_borders_of_heels_not_trained_on_are_the_more_likely(
    heel: Example, border: int, away_mm: float
) -> None:
    columns = np.flatnonzero(heel.known)[2:34]
    rows_mm = FIRST_MM + ROW_MM * np.stack([heel.upper, heel.lower])[:, columns]
    ahead_mm = COLUMN_MM * (columns - heel.edge)
    tissues = Tissues.of(strip_of(heel.levels.astype(np.float32), heel.edge), 0.1)
    moved = rows_mm.copy()
    moved[border] += away_mm
    assert tissues.worth(rows_mm, ahead_mm) > tissues.worth(moved, ahead_mm) + 1.0


def test_an_example_is_kept_and_read_again(tmp_path: Path) -> None:
    first, again = example(SEEDS[0], tmp_path), example(SEEDS[0], tmp_path)
    assert first is not None
    assert again is not None
    np.testing.assert_allclose(first.levels, again.levels, atol=1e-3)
    np.testing.assert_array_equal(first.known, again.known)
    assert (first.edge, first.skin) == (again.edge, again.skin)


@pytest.mark.parametrize("seed", range(8))
def test_a_painted_strip_has_a_band_that_leaves_the_bone(seed: int) -> None:
    one = painted(seed)
    assert one.levels.shape == (ROWS, len(one.known))
    columns = np.flatnonzero(one.known)
    assert columns[0] == one.edge
    assert len(columns) > COLUMNS - EDGE_COLUMN
    thickness_mm = ROW_MM * (one.lower - one.upper)[columns]
    assert thickness_mm.min() > 0.9
    assert one.skin < one.upper.min()
    again = painted(seed)
    np.testing.assert_array_equal(again.levels, one.levels)


def test_painted_tissues_change_at_their_borders() -> None:
    """On average over many strips, more than between any other rows as far apart."""
    changes = np.zeros((2, 3))
    for seed in range(24):
        one = painted(seed)
        columns = np.flatnonzero(one.known)[4:]
        for side, border in enumerate((one.upper, one.lower)):
            for at, moved_mm in enumerate((-1.0, 0.0, 1.0)):
                row = np.rint(border[columns] + moved_mm / ROW_MM).astype(int)
                rows = np.clip(row + np.arange(-4, 4)[:, None], 0, ROWS - 1)
                near = one.levels[rows, columns]
                changes[side, at] += abs(near[:4].mean() - near[4:].mean()) / 24
    assert np.all(changes[:, 1] > 1.5 * changes[:, [0, 2]].max(axis=1))


@given(seed=st.integers(0, 99))
def test_a_distorted_example_keeps_its_tissues(seed: int) -> None:
    """What is drawn in three grey levels is cut in three grey levels, wherever it has gone."""
    columns = 90
    upper = 120.0 + np.linspace(0, 12, columns)
    lower = upper + 30.0
    row = np.arange(ROWS)[:, None]
    levels = 0.2 + 0.6 * ((row >= upper) & (row < lower))
    one = Example(
        levels.astype(np.float32), upper, lower, np.ones(columns, bool), round(12 / COLUMN_MM), 0.0
    )
    pictures, tissue, weight, borders, known = cut(one, np.random.default_rng(seed))
    assert pictures.shape == (RECORDINGS, ROWS, COLUMNS, 4)
    assert cut(one, None)[0].shape == (1, ROWS, COLUMNS, 4)
    at = np.flatnonzero(known)
    first = np.argmax(tissue[:, at] == 1, axis=0), np.argmax(tissue[:, at] == 2, axis=0)
    assert np.all((first[0] - borders[0, at] >= 0) & (first[0] - borders[0, at] < 1.01))
    assert np.all((first[1] - borders[1, at] >= 0) & (first[1] - borders[1, at] < 1.01))
    column = np.flatnonzero(weight.max(axis=0) > 0)
    assert column.size > 20
    middle = np.array([np.flatnonzero(tissue[:, at] == 1).mean() for at in column])
    # The band is brighter than its surroundings: 1 mm inside either border against 1 mm outside.
    half = (tissue[:, column] == 1).sum(axis=0) / 2
    for picture in pictures:
        inside = picture[np.rint(middle).astype(int), column, 1]
        outside = picture[np.rint(middle - half - 8).astype(int), column, 1]
        assert np.median(inside - outside) > 0
