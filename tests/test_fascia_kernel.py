"""The fascia's kernel against a slow, obvious twin."""

import itertools

import numpy as np
import pytest

from usguide.kernels.open_path import open_path

pytestmark = pytest.mark.kernel


def best_by_trying_all(score, max_step, step_cost):
    """Total of the best open path, over every run of columns and every row in each."""
    rows, columns = score.shape
    best = 0.0
    for first in range(columns):
        for last in range(first, columns):
            for path in itertools.product(range(rows), repeat=last - first + 1):
                steps = np.abs(np.diff(path))
                if (steps > max_step).any():
                    continue
                total = sum(score[row, first + k] for k, row in enumerate(path))
                best = max(best, total - step_cost * steps.sum())
    return best


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("max_step", "step_cost"), [(1, 0.1), (2, 0.3)])
def test_open_path_is_the_best_of_all(seed, max_step, step_cost):
    score = np.random.default_rng(seed).normal(-0.2, 1, (4, 5)).astype(np.float32)
    total, first, path = open_path(score, max_step, step_cost)
    assert total == pytest.approx(best_by_trying_all(score, max_step, step_cost), rel=1e-5)
    gained = score[path, first + np.arange(len(path))].sum()
    assert gained - step_cost * np.abs(np.diff(path)).sum() == pytest.approx(total, rel=1e-5)


def test_open_path_of_a_worthless_picture_is_empty():
    total, _, path = open_path(np.full((3, 4), -1, dtype=np.float32), 1, 0.1)
    assert total == 0
    assert len(path) == 0
