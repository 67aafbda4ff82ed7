"""Strip kernels against their slow, obvious twins."""

import math

import numpy as np
import pytest

from usguide.kernels.strips import levels_along, sample_strip, shaft_profiles

pytestmark = pytest.mark.kernel


@pytest.fixture
def rng():
    return np.random.default_rng(9)


def test_sample_strip_interpolates_and_marks_what_lies_outside() -> None:
    y, x = np.mgrid[0:12, 0:15]
    image = (3 * x + 5 * y).astype(np.uint8)
    strip = np.empty((6, 5), np.float32)
    angle = 0.3
    sample_strip(image, 4.0, 3.0, angle, 0.7, 1.1, strip)
    for i in range(6):
        for j in range(5):
            d = (j - 2) * 1.1
            px = 4.0 + i * 0.7 * math.cos(angle) - d * math.sin(angle)
            py = 3.0 + i * 0.7 * math.sin(angle) + d * math.cos(angle)
            assert strip[i, j] == pytest.approx(3 * px + 5 * py, abs=8 / 256)
    sample_strip(image, 12.0, 3.0, 0.0, 1.0, 1.0, strip)
    assert np.isfinite(strip[:3]).all()
    assert np.isnan(strip[3:]).all()


def test_shaft_profiles_average_the_line_and_its_flanks(rng) -> None:
    strip = rng.normal(size=(5, 9)).astype(np.float32)
    strip[3, 1] = np.nan
    profiles = np.empty((3, 5))
    shaft_profiles(strip, 1, 3, profiles)
    expected = np.stack([strip[:, a:b].mean(axis=1) for a, b in ((3, 6), (0, 2), (7, 9))])
    expected[:, 3] = 0
    np.testing.assert_allclose(profiles, expected, atol=1e-6)


def test_levels_along_are_means_over_the_line_and_its_flanks(rng) -> None:
    image = np.add.outer(2.0 * np.arange(60), 3.0 * np.arange(80)).astype(np.float32)
    point = rng.uniform(20, 40, (50, 2))
    angle = rng.uniform(0, 2 * np.pi, 50)
    along = np.column_stack([np.cos(angle), np.sin(angle)])
    left = np.column_stack([-along[:, 1], along[:, 0]])
    levels = np.empty((50, 2))
    lines = np.hstack([point, along])
    levels_along(image, lines, -2.0, 8.0, np.array([0.0, 0.8]), np.array([-3.0, 4.0]), levels)
    middle = point + 2.5 * along  # of the samples at -2, -1 ... 7 px, on a plane
    for side, beside in enumerate((0.4, 0.5)):
        at = middle + beside * left
        np.testing.assert_allclose(levels[:, side], 3 * at[:, 0] + 2 * at[:, 1], rtol=1e-5)


def test_levels_along_repeat_the_edge_beyond_it() -> None:
    image = np.arange(20, dtype=np.float32).reshape(4, 5)
    levels = np.empty((1, 2))
    beside = np.zeros(1)
    levels_along(image, np.array([[4.0, 1.0, 1.0, 0.0]]), 0.0, 6.0, beside, beside, levels)
    assert levels.tolist() == [[9.0, 9.0]]
