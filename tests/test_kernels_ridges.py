"""Ridge kernels against their slow, obvious twins."""

import numpy as np
import pytest

from usguide.kernels.lines import OUTSIDE
from usguide.kernels.ridges import (
    area_means,
    in_local_units,
    second_derivatives,
    weigh_directions,
)

pytestmark = pytest.mark.kernel


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.mark.parametrize("size", [(7, 5), (6, 5), (12, 10), (1, 1)])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_area_means_are_those_of_the_picture_repeated(rng, size: tuple[int, int], kind) -> None:
    image = rng.integers(0, 256, (12, 10)).astype(kind)
    height, width = size
    reduced = np.empty(size, np.float32)
    area_means(image, reduced)
    # Every pixel as often as there are rows and columns wanted, and so whole numbers for each.
    repeated = np.repeat(np.repeat(image.astype(np.float64), height, axis=0), width, axis=1)
    naive = repeated.reshape(height, 12, width, 10).mean(axis=(1, 3))
    np.testing.assert_allclose(reduced, naive, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("size", [(7, 9), (12, 40), (1, 1), (2, 1), (1, 5)])
def test_second_derivatives_are_those_of_sobel(rng, size: tuple[int, int]) -> None:
    smooth = rng.normal(scale=20, size=size).astype(np.float32)
    weight = (rng.random(size) < 0.7).astype(np.float32)
    hessian = np.empty((3, *size), np.float32)
    power = np.empty(size, np.float32)
    second_derivatives(smooth, weight, hessian, power)
    around = np.pad(smooth.astype(np.float64), 1, mode="reflect")
    apart = {0: [0.25, 0.5, 0.25], 1: [-0.5, 0.0, 0.5], 2: [1.0, -2.0, 1.0]}
    for part, (across, down) in enumerate(((2, 0), (1, 1), (0, 2))):
        naive = sum(
            apart[down][i] * apart[across][j] * around[i : i + size[0], j : j + size[1]]
            for i in range(3)
            for j in range(3)
        )
        np.testing.assert_allclose(hessian[part], naive, atol=1e-4)
    angle = np.linspace(0, np.pi, 180, endpoint=False)[:, None, None]
    nx, ny = np.cos(angle), np.sin(angle)
    second = nx * nx * hessian[0] + 2 * nx * ny * hessian[1] + ny * ny * hessian[2]
    np.testing.assert_allclose(power, weight * (second**2).mean(axis=0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_local_units_are_laid_out_both_ways_and_marked_outside(rng, stride: int) -> None:
    hessian = rng.normal(size=(3, 7, 10)).astype(np.float32)
    gain = rng.uniform(0.5, 2, (7, 10)).astype(np.float32)
    gain[2:4, 5:8] = 0
    rows, columns = -(-7 // stride), -(-10 // stride)
    curvature = np.empty((3, rows, 10), np.float32)
    curvature_t = np.empty((3, columns, 7), np.float32)
    in_local_units(hessian, gain, stride, curvature, curvature_t)
    naive = hessian * gain
    naive[:, gain == 0] = np.array([[OUTSIDE], [0], [OUTSIDE]])
    np.testing.assert_allclose(curvature, naive[:, ::stride])
    np.testing.assert_allclose(curvature_t, naive.transpose(0, 2, 1)[:, ::stride])


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_directions_are_weighed_by_what_is_clipped_and_tissue(rng, stride: int) -> None:
    curvature = rng.normal(scale=2, size=(3, 7, 10)).astype(np.float32)
    curvature[0] *= 0.3
    curvature[:, 2:4, 5:8] = np.array([[[OUTSIDE]], [[0]], [[OUTSIDE]]])
    directions = np.column_stack([np.radians([-80.0, -45.0, 0.0, 10.0, 60.0]), np.zeros(5)])
    weigh_directions(curvature, stride, 1.5, 0.8, 1.2, directions)
    parts = curvature[:, :, ::stride].astype(np.float64)
    xx, xy, yy = np.clip(parts, -1.5, 1.5)[:, parts[0] < OUTSIDE]
    nx, ny = -np.sin(directions[:, :1]), np.cos(directions[:, :1])
    power = ((nx * nx * xx + 2 * nx * ny * xy + ny * ny * yy) ** 2).sum(axis=1)
    naive = np.clip(np.sqrt(power.mean() / power), 0.8, 1.2)
    assert len(np.unique(naive)) > 3
    np.testing.assert_allclose(directions[:, 1], naive, rtol=1e-5)


def test_directions_weigh_alike_where_there_is_nothing() -> None:
    directions = np.column_stack([np.radians([-45.0, 10.0]), np.zeros(2)])
    weigh_directions(np.zeros((3, 7, 10), np.float32), 2, 1.5, 0.8, 1.2, directions)
    assert directions[:, 1].tolist() == [1.0, 1.0]
