"""Ranks against sorting."""

import numpy as np
import pytest

from usguide.kernels.ranks import median_of, ranked

pytestmark = pytest.mark.kernel


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def test_medians_are_those_of_numpy(rng) -> None:
    values = rng.normal(size=40)
    assert median_of(values, 5, 30) == pytest.approx(np.median(values[5:30:2]))
    assert median_of(values, 7, 7) == 0.0
    assert median_of(values, 5, 28) == pytest.approx(np.median(values[5:28:2]))


@pytest.mark.parametrize("count", [1, 2, 21, 40])
def test_ranks_are_those_of_sorting(rng, count: int) -> None:
    values = np.round(rng.normal(size=count), 1)  # some are equal
    for rank in range(count):
        assert ranked(values.copy(), rank) == np.sort(values)[rank]
