"""The compiled means of scattered vectors against their formula."""

import numpy as np
import pytest

from usguide.kernels.scattered import FAR_WEIGHT, gaussian_means

pytestmark = pytest.mark.kernel


def run(positions, vectors, trust, at, bandwidth):
    means, mean_trust = np.empty((len(at), 2)), np.empty(len(at))
    gaussian_means(
        np.asarray(positions, np.float64),
        np.asarray(vectors, np.float64),
        np.asarray(trust, np.float64),
        np.asarray(at, np.float64),
        bandwidth,
        means,
        mean_trust,
    )
    return means, mean_trust


def test_means_follow_the_formula():
    rng = np.random.default_rng(0)
    positions, vectors = rng.uniform(0, 20, (30, 2)), rng.normal(size=(30, 2))
    trust, at = rng.uniform(0.1, 1, 30), rng.uniform(-5, 25, (12, 2))
    squared = ((at[:, None] - positions) ** 2).sum(axis=-1) / 2.5**2
    bell = np.exp(-0.5 * squared)
    pull = trust * (bell + FAR_WEIGHT / (1 + squared**2))
    means, mean_trust = run(positions, vectors, trust, at, 2.5)
    assert means == pytest.approx(pull @ vectors / pull.sum(axis=1, keepdims=True), abs=1e-4)
    assert mean_trust == pytest.approx(bell @ trust / np.maximum(bell.sum(axis=1), 1), abs=1e-6)


def test_far_away_the_nearest_vector_decides_and_is_not_trusted():
    means, trust = run([(0, 0), (10, 0)], [(1, 0), (5, 0)], [1, 1], [(40, 0)], 1.0)
    assert means[0, 0] > 4
    assert trust[0] == pytest.approx(0, abs=1e-6)


def test_a_vector_without_trust_gives_way_to_its_neighbours():
    means, trust = run([(0, 0), (1, 0)], [(9, 9), (1, 2)], [1e-3, 1], [(0, 0)], 1.0)
    assert means[0] == pytest.approx((1, 2), abs=0.05)
    assert 0.3 < trust[0] < 0.5
