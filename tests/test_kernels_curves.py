"""Where curves cross lines, against the obvious way to say it."""

import numpy as np
import pytest

from usguide.kernels.curves import crossings

pytestmark = pytest.mark.kernel


@pytest.fixture
def rng():
    return np.random.default_rng(8)


def test_a_curve_crosses_lines_where_interpolating_between_its_points_says(rng) -> None:
    points = np.column_stack([np.arange(0, 40, 1.5), rng.normal(10, 1, 27)])
    angle = rng.uniform(-0.2, 0.2, 12)
    normal = np.column_stack([np.sin(angle), np.cos(angle)])
    centre = np.column_stack([np.linspace(-6, 46, 12), np.full(12, 9.0)])  # some beyond its ends
    offsets = np.empty(12)
    crossings(centre, normal, points, offsets)
    for at, direction, offset in zip(centre, normal, offsets, strict=True):
        tangent = np.array([direction[1], -direction[0]])
        along, across = (points - at) @ tangent, (points - at) @ direction
        assert np.all(np.diff(along) > 0)
        assert offset == pytest.approx(np.interp(0.0, along, across), abs=1e-9)
