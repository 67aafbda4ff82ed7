"""Minimal paths: the compiled searches against slow twins, and sub-pixel positions."""

import itertools

import numpy as np
import pytest

from usguide.kernels.surfaces import (
    joint_step_prices,
    minimal_path,
    refine_rows,
    step_prices,
    two_surfaces,
)


def naive_path_cost(cost, prices):
    """Try every path."""
    height, width = cost.shape
    s = len(prices) // 2
    best = np.inf
    for rows in itertools.product(range(height), repeat=width):
        steps = np.diff(rows)
        if np.all(np.abs(steps) <= s):
            total = cost[list(rows), range(width)].sum() + prices[steps + s].sum()
            best = min(best, total)
    return best


def pair_cost(upper, lower, upper_cost, lower_cost, between, prices):
    s = len(prices) // 2
    columns = np.arange(upper_cost.shape[1])
    total = upper_cost[upper, columns].sum() + lower_cost[lower, columns].sum()
    total += sum(between[u:v, c].sum() for c, (u, v) in enumerate(zip(upper, lower, strict=True)))
    return total + prices[np.diff(upper) + s, np.diff(lower) + s].sum()


def naive_pair_cost(upper_cost, lower_cost, between, gap_min, gap_max, prices):
    """Dynamic programming over all (upper, lower) pairs, written as one reads it."""
    height, width = upper_cost.shape
    s = len(prices) // 2

    def own(c):
        return {
            (u, v): upper_cost[u, c] + lower_cost[v, c] + between[u:v, c].sum()
            for u in range(height)
            for v in range(height)
            if gap_min[c] <= v - u <= gap_max[c]
        }

    best = own(0)
    for c in range(1, width):
        best = {
            (u, v): here
            + min(
                (
                    before + prices[u - p + s, v - q + s]
                    for (p, q), before in best.items()
                    if abs(u - p) <= s and abs(v - q) <= s
                ),
                default=np.inf,
            )
            for (u, v), here in own(c).items()
        }
    return min(best.values(), default=np.inf)


@pytest.mark.kernel
@pytest.mark.parametrize("max_step", [1, 2])
def test_minimal_path_is_the_cheapest_of_all(max_step):
    rng = np.random.default_rng(max_step)
    prices = step_prices(max_step, 0.3)
    for _ in range(5):
        cost = rng.normal(size=(5, 5)).astype(np.float32)
        found = minimal_path(cost, prices)
        steps = np.diff(found.rows)
        assert np.abs(steps).max() <= max_step
        along = cost[found.rows, np.arange(5)].sum() + prices[steps + max_step].sum()
        assert found.cost == pytest.approx(along, abs=1e-5)
        assert found.cost == pytest.approx(naive_path_cost(cost, prices), abs=1e-5)


@pytest.mark.kernel
@pytest.mark.parametrize("max_step", [1, 2])
def test_two_surfaces_are_the_cheapest_pair(max_step):
    rng = np.random.default_rng(10 + max_step)
    for trial in range(4):
        upper_cost, lower_cost, between = rng.normal(size=(3, 9, 6)).astype(np.float32)
        gap_min = rng.integers(1, 3, 6)
        gap_max = gap_min + rng.integers(1, 4, 6)
        prices = rng.random((2 * max_step + 1, 2 * max_step + 1)).astype(np.float32)
        found = two_surfaces(upper_cost, lower_cost, between, gap_min, gap_max, prices)
        gap = found.lower - found.upper
        assert np.all((gap >= gap_min) & (gap <= gap_max)), trial
        assert np.abs(np.diff(found.upper)).max() <= max_step
        assert np.abs(np.diff(found.lower)).max() <= max_step
        parts = (upper_cost, lower_cost, between)
        along = pair_cost(found.upper, found.lower, *parts, prices)
        assert found.cost == pytest.approx(along, abs=1e-4)
        assert found.cost == pytest.approx(
            naive_pair_cost(*parts, gap_min, gap_max, prices), abs=1e-4
        )


@pytest.mark.kernel
def test_forbidden_pixels_are_avoided_and_no_way_through_is_said():
    cost = np.zeros((4, 3), dtype=np.float32)
    cost[2] = -1
    cost[2, 1] = np.inf
    assert minimal_path(cost, step_prices(1, 0.0)).rows[1] != 2
    cost[:, 1] = np.inf
    blocked = minimal_path(cost, step_prices(1, 0.0))
    assert blocked.cost == np.inf
    assert np.all(blocked.rows == -1)
    pair = two_surfaces(cost, cost, None, 1, 3, joint_step_prices(1, 0.0, 0.0))
    assert pair.cost == np.inf
    assert np.all(pair.upper == -1)
    assert np.all(pair.lower == -1)


@pytest.mark.kernel
def test_gap_wider_than_the_image_has_no_pair():
    cost = np.zeros((4, 3), dtype=np.float32)
    assert two_surfaces(cost, cost, None, 4, 9, joint_step_prices(1, 0.0, 0.0)).cost == np.inf


def test_bad_bounds_are_refused():
    cost = np.zeros((4, 3), dtype=np.float32)
    prices = joint_step_prices(1, 0.0, 0.0)
    with pytest.raises(ValueError, match="at least one row"):
        two_surfaces(cost, cost, None, 0, 2, prices)
    with pytest.raises(ValueError, match="below the smallest"):
        two_surfaces(cost, cost, None, 3, 2, prices)
    with pytest.raises(ValueError, match="shape"):
        two_surfaces(cost, cost[:, :2], None, 1, 2, prices)


def test_gap_price_keeps_borders_parallel_where_one_fades():
    rows, columns = np.mgrid[:60, :80].astype(np.float32)
    bent = 15 + 6 * np.sin(columns / 25)
    upper_cost = -np.exp(-(((rows - bent) / 1.5) ** 2))
    lower_cost = -np.exp(-(((rows - bent - 20) / 1.5) ** 2))
    lower_cost[:, 30:55] = 0
    rng = np.random.default_rng(3)
    noise = 0.2 * rng.normal(size=(2, 60, 80)).astype(np.float32)
    found = two_surfaces(
        upper_cost + noise[0], lower_cost + noise[1], None, 5, 40, joint_step_prices(1, 0.1, 0.5)
    )
    assert np.abs(found.upper - bent[0]).max() < 2.5
    assert np.abs(found.lower - bent[0] - 20).max() < 2.5


def test_refined_rows_find_a_parabola_and_keep_the_rim():
    rows = np.arange(12, dtype=np.float32)[:, None]
    true = np.array([3.3, 5.0, 7.45])
    cost = ((rows - true) ** 2).astype(np.float32)
    np.testing.assert_allclose(refine_rows(cost, np.array([3, 5, 7])), true, atol=1e-5)
    np.testing.assert_allclose(refine_rows(cost, np.array([5, 3, 9]), reach=3), true, atol=1e-5)
    rim = np.broadcast_to(rows, (12, 2)).astype(np.float32)
    np.testing.assert_array_equal(refine_rows(rim, np.array([0, 0])), [0, 0])
    flat = np.zeros((12, 2), dtype=np.float32)
    np.testing.assert_allclose(refine_rows(flat, np.array([4, 6]), reach=2), [4, 6])
