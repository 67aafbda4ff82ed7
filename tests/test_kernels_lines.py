"""Line kernels against their slow, obvious twins."""

import math

import numpy as np
import pytest

from usguide.kernels.lines import (
    OUTSIDE,
    best_segments,
    directional_ridge,
    distinct_segments,
    sample_strip,
    segments_at_all_angles,
    shaft_profiles,
    steps_inside,
)

pytestmark = pytest.mark.kernel


def naive_ridge(hessian, gain, angle, strength):
    nx, ny = -math.sin(angle), math.cos(angle)
    value = -(nx * nx * hessian[0] + 2 * nx * ny * hessian[1] + ny * ny * hessian[2]) * gain
    value = value * strength
    return np.where(gain > 0, value, OUTSIDE)


def naive_segment(ridge, offset, slope, bias, low, high):
    """Try every first and last row."""
    rows, columns = ridge.shape
    samples = {}
    for y in range(rows):
        x = offset + slope * y
        left = math.floor(x)
        if 0 <= left < columns - 1:
            t = x - left
            raw = (1 - t) * ridge[y, left] + t * ridge[y, left + 1]
            samples[y] = min(max(raw, low), high) - bias if raw > 0.5 * OUTSIDE else -np.inf
    best = (0.0, 0, 0)
    for first in samples:
        total = 0.0
        for last in range(first, rows):
            if last not in samples:
                break
            total += samples[last]
            if total > best[0]:
                best = (total, first, last)
    return best


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def test_directional_ridge_is_minus_the_second_derivative_across(rng) -> None:
    hessian = rng.normal(size=(3, 5, 6)).astype(np.float32)
    gain = rng.uniform(0.5, 2, (5, 6)).astype(np.float32)
    gain[2, 3] = 0
    for angle in (-1.2, 0.0, 0.4):
        ridge = np.empty((5, 6), np.float32)
        directional_ridge(hessian, gain, angle, 1.3, ridge)
        naive = naive_ridge(hessian, gain, angle, 1.3)
        np.testing.assert_allclose(ridge, naive, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("slope", [-2.0, -0.37, 0.0, 0.62, 1.0])
def test_best_segments_equals_trying_every_pair_of_ends(rng, slope: float) -> None:
    ridge = rng.normal(size=(9, 11)).astype(np.float32)
    ridge[4, 5] = OUTSIDE
    rows, columns = ridge.shape
    lead = math.ceil(max(0.0, slope * (rows - 1)))
    segments = np.empty((4, columns + math.ceil(abs(slope) * (rows - 1))), np.float32)
    best_segments(ridge, slope, 0.3, -1.0, 2.0, segments)
    for k in range(segments.shape[1]):
        total, first, last = naive_segment(ridge, k - lead, slope, 0.3, -1.0, 2.0)
        assert segments[0, k] == pytest.approx(total, abs=1e-4)
        if total > 0:
            assert (segments[1, k], segments[2, k]) == (first, last)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("degrees", [-70.0, -30.0, 30.0, 70.0])
def test_a_drawn_line_is_found_with_its_shallow_end_first(degrees: float, stride: int) -> None:
    angle = math.radians(degrees)
    y, x = np.mgrid[0:40, 0:40].astype(np.float64)
    along = (x - 20) * math.cos(angle) + (y - 20) * math.sin(angle)
    across = -(x - 20) * math.sin(angle) + (y - 20) * math.cos(angle)
    on_line = np.where((np.abs(along) < 12) & (np.abs(across) < 1), 3.0, -1.0).astype(np.float32)
    # A response that is the same in every direction, given as a Hessian.
    hessian = np.stack([-on_line, np.zeros_like(on_line), -on_line])
    gain = np.ones((40, 40), np.float32)
    found = np.empty((5000, 6))
    count = segments_at_all_angles(
        np.ascontiguousarray(hessian[:, ::stride]),
        np.ascontiguousarray(gain[::stride]),
        np.ascontiguousarray(hessian.transpose(0, 2, 1)[:, ::stride]),
        np.ascontiguousarray(gain.T[::stride]),
        np.column_stack([np.radians([-70.0, -30.0, 30.0, 70.0]), np.ones(4)]),
        stride,
        0.5,
        -2.0,
        3.0,
        5.0,
        found,
    )
    best = found[:count][np.argmax(found[:count, 0])]
    assert math.degrees(best[1]) == pytest.approx(degrees)
    assert best[3] < best[5]
    assert best[0] == pytest.approx(24 * 2.5, rel=0.2)  # per px of arc, whatever the stride
    half = 12 * np.array([math.cos(angle), math.sin(angle)])
    half *= np.sign(half[1])
    np.testing.assert_allclose(best[2:4], 20 - half, atol=2)
    np.testing.assert_allclose(best[4:6], 20 + half, atol=2)


def test_distinct_segments_skips_what_repeats_a_stronger_one() -> None:
    segments = np.array(
        [
            [9.0, 0.5, 0, 0, 20 * math.cos(0.5), 20 * math.sin(0.5)],
            [8.0, 0.52, 1, 1, 20 * math.cos(0.5), 20 * math.sin(0.5)],  # nearly the same
            [7.0, 0.5, 0, 9, 20 * math.cos(0.5), 9 + 20 * math.sin(0.5)],  # parallel, apart
            [6.0, -0.5, 0, 0, 20, -9],  # crosses
            [5.0, 0.5, *(40 * np.array([1, math.tan(0.5)])), *(60 * np.array([1, math.tan(0.5)]))],
        ]
    )
    kept = np.empty(4, np.int64)
    count = distinct_segments(segments, 0.2, 3.0, 0.4, kept)
    assert kept[:count].tolist() == [0, 2, 3, 4]


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
            assert strip[i, j] == pytest.approx(3 * px + 5 * py, abs=1e-3)
    sample_strip(image, 12.0, 3.0, 0.0, 1.0, 1.0, strip)
    assert np.isfinite(strip[:3]).all()
    assert np.isnan(strip[3:]).all()


@pytest.mark.parametrize("degrees", [-130.0, -90.0, -12.0, 0.0, 33.0, 180.0])
def test_steps_inside_counts_until_the_mask_ends(degrees: float) -> None:
    mask = np.ones((9, 12), np.bool_)
    mask[2, 7] = mask[6, 3] = False
    dx, dy = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    for x, y in ((5.2, 4.4), (0.0, 0.0), (-0.7, 3.0), (7.0, 2.0)):
        steps = np.arange(30)
        column = np.rint(x + steps * dx).astype(int)
        row = np.rint(y + steps * dy).astype(int)
        inside = (column >= 0) & (column < 12) & (row >= 0) & (row < 9)
        inside[inside] = mask[row[inside], column[inside]]
        assert steps_inside(mask, x, y, dx, dy) == np.argmin(inside)


def test_shaft_profiles_average_the_line_and_its_flanks(rng) -> None:
    strip = rng.normal(size=(5, 9)).astype(np.float32)
    strip[3, 1] = np.nan
    profiles = np.empty((3, 5))
    shaft_profiles(strip, 1, 3, profiles)
    expected = np.stack([strip[:, a:b].mean(axis=1) for a, b in ((3, 6), (0, 2), (7, 9))])
    expected[:, 3] = 0
    np.testing.assert_allclose(profiles, expected, atol=1e-6)
