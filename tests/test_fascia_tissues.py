"""The network that tells fat, fascia and muscle apart, and the pictures it was trained on."""

from pathlib import Path

import numpy as np
import pytest
from benchmarks.tissue_examples import COLUMNS, ROWS, Example, cut, example
from hypothesis import given
from hypothesis import strategies as st

from usguide.fascia.straighten import COLUMN_MM, ROW_MM
from usguide.fascia.tissues import Tissues, convolved, log_probabilities

SEEDS = 70_000, 70_003
"""Not among those trained on."""


@pytest.fixture(scope="module", params=SEEDS)
def heel(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Example:
    made = example(request.param, tmp_path_factory.mktemp("heels"))
    assert made is not None
    return made


@pytest.mark.parametrize("dilation", [(1, 1), (2, 1), (4, 3)])
@pytest.mark.parametrize("taps", [(3, 3), (7, 5)])
def test_a_convolution_is_what_it_is_by_definition(
    dilation: tuple[int, int], taps: tuple[int, int]
) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(9, 11, 2)).astype(np.float32)
    weights = rng.normal(size=(*taps, 2, 3)).astype(np.float32)
    expected = np.zeros((9, 11, 3))
    for row, column, tap_row, tap_column in np.ndindex(9, 11, *taps):
        at = (
            row + (tap_row - taps[0] // 2) * dilation[0],
            column + (tap_column - taps[1] // 2) * dilation[1],
        )
        if 0 <= at[0] < 9 and 0 <= at[1] < 11:
            expected[row, column] += values[at] @ weights[tap_row, tap_column]
    np.testing.assert_allclose(convolved(values, weights, dilation), expected, atol=1e-4)


@pytest.mark.parametrize("shape", [(240, 76), (281, 40), (61, 91)])
def test_probabilities_of_any_strip_sum_to_one(shape: tuple[int, int]) -> None:
    levels = np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)
    likely = log_probabilities(levels)
    assert likely.shape == (*shape, 3)
    np.testing.assert_allclose(np.exp(likely).sum(axis=2), 1.0, atol=1e-5)


@given(seed=st.integers(0, 999))
def test_two_pairs_of_borders_differ_by_the_likelihood_of_the_tissues_between(seed: int) -> None:
    rng = np.random.default_rng(seed)
    levels = rng.uniform(0, 1, (60, 20)).astype(np.float32)
    likely = log_probabilities(levels)
    tissues = Tissues.of(levels)
    columns = np.arange(4, 16)

    def by_definition(borders: np.ndarray) -> float:
        row = np.arange(60)[:, None]
        tissue = (row >= borders[0]).astype(int) + (row >= borders[1])
        return float(sum(likely[row.ravel(), at, tissue[:, at - 4]].sum() for at in columns)) / 12

    one, other = np.sort(rng.integers(0, 61, (2, 2, 12)), axis=1)
    assert tissues.worth(one.astype(float), columns) - tissues.worth(
        other.astype(float), columns
    ) == pytest.approx(by_definition(one) - by_definition(other), abs=2e-3)


def test_no_columns_say_nothing() -> None:
    tissues = Tissues.of(np.zeros((40, 12), dtype=np.float32))
    assert tissues.worth(np.empty((2, 0)), np.empty(0, dtype=np.int64)) == 0.0


@pytest.mark.parametrize("away_mm", [-1.5, 1.5])
@pytest.mark.parametrize("border", [0, 1])
def test_borders_of_heels_not_trained_on_are_the_more_likely(
    heel: Example, border: int, away_mm: float
) -> None:
    columns = np.flatnonzero(heel.known)[2:34]
    rows = np.stack([heel.upper, heel.lower])[:, columns]
    tissues = Tissues.of(heel.levels.astype(np.float32))
    moved = rows.copy()
    moved[border] += away_mm / ROW_MM
    assert tissues.worth(rows, columns) > tissues.worth(moved, columns) + 1.0


def test_an_example_is_kept_and_read_again(tmp_path: Path) -> None:
    first, again = example(SEEDS[0], tmp_path), example(SEEDS[0], tmp_path)
    assert first is not None
    assert again is not None
    np.testing.assert_allclose(first.levels, again.levels, atol=1e-3)
    np.testing.assert_array_equal(first.known, again.known)
    assert (first.edge, first.skin) == (again.edge, again.skin)


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
    picture, tissue, weight = cut(one, np.random.default_rng(seed))
    assert picture.shape == (ROWS, COLUMNS, 2)
    column = np.flatnonzero(weight.max(axis=0) > 0)
    assert column.size > 20
    middle = np.array([np.flatnonzero(tissue[:, at] == 1).mean() for at in column])
    # The band is brighter than its surroundings: 1 mm inside either border against 1 mm outside.
    half = (tissue[:, column] == 1).sum(axis=0) / 2
    inside = picture[np.rint(middle).astype(int), column, 1]
    outside = picture[np.rint(middle - half - 8).astype(int), column, 1]
    assert np.median(inside - outside) > 0
