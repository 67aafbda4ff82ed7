"""Steps in a sloping row against the general least-squares solver."""

import numpy as np
import pytest

from usguide.kernels.steps import step_between

pytestmark = pytest.mark.kernel

FLANK = 6


@pytest.mark.parametrize("slope", [0.8, 0.0, -0.8])
@pytest.mark.parametrize(("left", "right"), [(9, 12), (9, 10), (2, 5), (14, 17)])
def test_the_jump_is_that_of_solving_for_two_levels_and_a_slope(slope, left, right) -> None:
    rng = np.random.default_rng(2)
    place = np.arange(20)
    values = slope * place + 3.0 * (place >= right) + rng.normal(0, 0.3, 20)
    weight = rng.uniform(0.2, 1, 20)
    weight[[3, 18]] = 0
    runs = (place > left - FLANK) & (place < right + FLANK) & ((place <= left) | (place >= right))
    used = runs & (weight > 0)
    columns = np.column_stack([place <= left, place >= right, place])[used].astype(float)
    roots = np.sqrt(weight[used])
    fit, *_ = np.linalg.lstsq(columns * roots[:, None], values[used] * roots, rcond=None)
    before, after = (np.average(place[run], weights=weight[run]) for run in _sides(used, left))
    wanted = fit[1] - fit[0] + min(fit[2], 0.0) * (after - before)
    jump, error = step_between(values, weight, left, right, FLANK)
    assert jump == pytest.approx(wanted, abs=1e-9)
    residual = np.average((values[used] - columns @ fit) ** 2, weights=weight[used])
    counts = [np.count_nonzero(run) for run in _sides(used, left)]
    variance = residual * sum(counts) / (sum(counts) - 3)
    spread = sum(
        (weight[run] * (place[run] - middle) ** 2).sum()
        for run, middle in zip(_sides(used, left), (before, after), strict=True)
    )
    square = variance * (1 / counts[0] + 1 / counts[1] + (after - before) ** 2 / spread)
    assert error == pytest.approx(np.sqrt(square))


def _sides(used, left):
    first = used & (np.arange(len(used)) <= left)
    return first, used & ~first


def test_a_run_of_fewer_than_two_values_shows_nothing() -> None:
    weight = np.ones(10)
    weight[6:] = [0, 0, 0, 1]
    assert np.isnan(step_between(np.arange(10.0), weight, 4, 6, FLANK)).all()
