"""Where a smooth picture is brightest near some of its pixels."""

import cv2
import numpy as np
import pytest

from usguide.kernels.soft_maxima import soft_maxima

pytestmark = pytest.mark.kernel

REACH = 4
PLACES = np.array([(5, 7), (30, 20), (46, 33), (0, 0), (60, 40)])


@pytest.mark.parametrize("half", [(20, 30), (21, 31), (41, 61)])
def test_it_is_the_weighted_mean_of_the_enlarged_picture(half: tuple[int, int]) -> None:
    small = np.random.default_rng(5).normal(20, 15, half).astype(np.float32)
    rows, columns = 41, 61
    x, y = PLACES.T.copy()
    places = np.empty((len(x), 2))
    soft_maxima(small, rows, columns, x, y, REACH, places)
    large = np.maximum(cv2.resize(small, (columns, rows)), 0).astype(np.float64)
    for k, (column, row) in enumerate(PLACES):
        i, j = np.mgrid[row - REACH : row + REACH + 1, column - REACH : column + REACH + 1]
        within = (i >= 0) & (j >= 0) & (i < rows) & (j < columns)
        i, j = i[within], j[within]
        weight = (large[i, j] / large[i, j].max()) ** 8
        naive = np.average(j, weights=weight), np.average(i, weights=weight)
        np.testing.assert_allclose(places[k], naive, atol=1e-3)


def test_in_the_dark_a_pixel_stays_where_it_is() -> None:
    places = np.empty((1, 2))
    dark = np.full((20, 30), -3, np.float32)
    soft_maxima(dark, 40, 60, np.array([31]), np.array([12]), REACH, places)
    np.testing.assert_array_equal(places, [[31, 12]])
