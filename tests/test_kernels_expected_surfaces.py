import itertools

import numpy as np
import pytest

from usguide.kernels.expected_surfaces import expected_surfaces, spread_along

pytestmark = pytest.mark.kernel


def every_path(rows, columns):
    """All paths of at most one row's change per column."""
    for path in itertools.product(range(rows), repeat=columns):
        if np.abs(np.diff(path)).max(initial=0) <= 1:
            yield np.array(path)


def by_enumeration(upper, lower, gap_min, step_price):
    """Average over all pairs of paths, one by one."""
    rows, columns = upper.shape
    at = np.arange(columns)
    total, sums = 0.0, np.zeros((2, columns))
    for one, other in itertools.product(every_path(rows, columns), repeat=2):
        if (other - one < gap_min).any():
            continue
        odds = upper[one, at].sum() + lower[other, at].sum()
        moved = np.abs(np.diff(one)).sum() + np.abs(np.diff(other)).sum()
        weight = np.exp(odds - step_price * moved)
        total += weight
        sums += weight * np.stack([one, other])
    return sums / total


@pytest.mark.parametrize("gap_min", [-2, 0, 1])
def test_is_the_average_over_all_pairs_of_paths(gap_min):
    rng = np.random.default_rng(3)
    upper, lower = rng.normal(0.0, 1.5, (2, 3, 4)).astype(np.float32)
    gaps = np.array([gap_min, 0, gap_min, -1])
    found = expected_surfaces(upper, lower, gaps, 0.7)
    expected = by_enumeration(upper.astype(float), lower.astype(float), gaps, 0.7)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_follows_what_is_beyond_doubt():
    odds = np.full((2, 9, 12), -30.0, np.float32)
    upper = 2 + np.arange(12) // 4
    lower = 7 - np.arange(12) // 6
    odds[0, upper, np.arange(12)] = 30.0
    odds[1, lower, np.arange(12)] = 30.0
    found = expected_surfaces(odds[0], odds[1], np.zeros(12, np.int64), 0.7)
    np.testing.assert_allclose(found, [upper, lower], atol=1e-6)


def test_lies_between_two_places_as_likely_and_hardly_moves_when_either_gains():
    odds = np.full((1, 11, 6), -30.0, np.float32)
    odds[0, [2, 8]] = 0.0
    sure = np.full((11, 6), -30.0, np.float32)
    sure[10] = 30.0
    gaps = np.full(6, -10)
    np.testing.assert_allclose(expected_surfaces(odds[0], sure, gaps, 0.7)[0], 5.0, atol=1e-6)
    odds[0, 8] += 0.01
    changed = expected_surfaces(odds[0], sure, gaps, 0.7)[0]
    assert np.all((changed > 5.0) & (changed < 5.1))


def test_is_no_other_for_odds_that_are_all_higher():
    rng = np.random.default_rng(5)
    upper, lower = rng.normal(0.0, 2.0, (2, 5, 7)).astype(np.float32)
    gaps = np.zeros(7, np.int64)
    found = expected_surfaces(upper, lower, gaps, 0.3)
    again = expected_surfaces(upper + 700.0, lower - 500.0, gaps, 0.3)
    np.testing.assert_allclose(again, found, atol=1e-3)


def test_no_pair_is_possible():
    odds = np.zeros((4, 5), np.float32)
    gaps = np.array([0, 0, 4, 0, 0])
    assert np.isnan(expected_surfaces(odds, odds, gaps, 0.5)).all()


def test_a_step_reaches_the_eight_neighbours():
    values = np.zeros((4, 5))
    values[1, 2] = 1.0
    out = np.empty((4, 5))
    spread_along(values, 0.5, out)
    expected = np.zeros((4, 5))
    expected[0:3, 1:4] = [[0.25, 0.5, 0.25], [0.5, 1.0, 0.5], [0.25, 0.5, 0.25]]
    np.testing.assert_array_equal(out, expected)
