"""Where a compact echo begins."""

import numpy as np
import pytest
from numpy.typing import NDArray

from usguide.kernels.echo_fronts import ABOVE, echo_fronts

pytestmark = pytest.mark.kernel
YY, XX = np.mgrid[:80, :100].astype(np.float32)


def bump(x: float, y: float, height: float) -> NDArray[np.float32]:
    return np.float32(height) * np.exp(-0.5 * (((XX - x) / 1.5) ** 2 + ((YY - y) / 1.5) ** 2))


def front(image: NDArray[np.float32], x: int, y: int) -> NDArray[np.float64]:
    found = np.empty((1, 2))
    echo_fronts(np.ascontiguousarray(image, np.float32), np.array([x]), np.array([y]), found)
    return found[0]


def test_a_small_round_echo_is_placed_in_its_middle() -> None:
    x, y = front(bump(50.3, 40, 100), 50, 40)
    assert x == pytest.approx(50.3, abs=0.1)
    assert y == pytest.approx(40, abs=0.3)


def test_reverberations_that_lean_do_not_move_it() -> None:
    image = bump(50, 34, 60)
    upright = image + bump(50, 37.5, 100) + bump(50, 41, 50)
    leaning = image + bump(52, 37.5, 100) + bump(54, 41, 50)
    straight, aslant = front(upright, 50, 38), front(leaning, 52, 38)
    assert abs(aslant[0] - straight[0]) < 0.5
    assert abs(aslant[1] - straight[1]) <= 1.5
    assert aslant[0] < 51  # the brightest place is at 52, the middle beyond it


def test_it_moves_with_the_picture() -> None:
    image = bump(50, 34, 60) + bump(51, 37, 100)
    moved = np.roll(image, (5, -7), (0, 1))
    np.testing.assert_allclose(
        front(moved, 44, 42), front(image, 51, 37) + np.array([-7, 5]), atol=1e-5
    )


def test_speckle_above_an_echo_is_not_climbed() -> None:
    rng = np.random.default_rng(4)
    found = []
    for _ in range(20):
        speckle = rng.normal(0, 12, XX.shape).astype(np.float32)
        found.append(front(speckle + bump(50, 40, 100), 50, 40))
    assert np.median(np.array(found)[:, 1]) > 38
    assert np.abs(np.array(found)[:, 0] - 50).max() < 1.5


def test_no_front_is_far_above_its_spot_nor_outside_the_picture() -> None:
    column = np.float32(100) * np.exp(-0.5 * ((XX - 50) / 1.5) ** 2)  # goes on up to the top
    assert front(column, 50, 40)[1] >= 40 - ABOVE - 0.5
    for x, y in ((0, 0), (99, 0), (0, 79), (99, 79)):
        place = front(bump(x, y, 100), x, y)
        assert np.all(place > -1)
        assert place[0] < 100
        assert place[1] < 80


def test_a_picture_without_echoes_has_the_spot_itself() -> None:
    np.testing.assert_array_equal(front(np.zeros_like(XX), 50, 40), [50, 40])
