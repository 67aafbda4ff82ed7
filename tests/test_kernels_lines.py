"""Line kernels against their slow, obvious twins."""

import math

import numpy as np
import pytest

from usguide.kernels.lines import (
    BARRED,
    OUTSIDE,
    across,
    best_sums,
    distinct_segments,
    ends_of,
    keep_close,
    segments_at_all_angles,
    steps_inside,
)

pytestmark = pytest.mark.kernel

LIMITS = np.array([0.3, -1.0, 2.0], np.float32)


def naive_response(curvature, angle, strength):
    nx, ny = -math.sin(angle), math.cos(angle)
    second = nx * nx * curvature[0] + 2 * nx * ny * curvature[1] + ny * ny * curvature[2]
    return -second * strength


def naive_segment(response, offset, slope):
    """Try every first and last row."""
    rows, columns = response.shape
    bias, low, high = LIMITS
    samples = {}
    for y in range(rows):
        x = offset + slope * y
        left = math.floor(x)
        if 0 <= left < columns - 1:
            t = x - left
            raw = (1 - t) * response[y, left] + t * response[y, left + 1]
            samples[y] = min(max(raw, low), high) - bias if raw > BARRED else -np.inf
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


def test_across_is_minus_the_second_derivative_across_a_direction(rng) -> None:
    curvature = rng.normal(size=(3, 5, 6))
    for angle in (-1.2, 0.0, 0.4):
        weights = np.array(across(angle, 1.3))
        response = np.einsum("k,kyx->yx", weights, curvature)
        naive = naive_response(curvature, angle, 1.3)
        np.testing.assert_allclose(response, naive, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("slope", [-2.0, -0.37, 0.0, 0.62, 1.0])
def test_the_best_sum_and_its_ends_are_those_of_trying_every_pair(rng, slope: float) -> None:
    rows, columns, angle = 9, 11, 0.8
    curvature = rng.normal(size=(3, rows, columns)).astype(np.float32)
    curvature[:, 4, 5] = OUTSIDE, 0, OUTSIDE
    response = np.empty((rows, columns), np.float32)
    lead = math.ceil(max(0.0, slope * (rows - 1)))
    best = np.empty(columns + math.ceil(abs(slope) * (rows - 1)), np.float32)
    best_sums(curvature, angle, 1.5, slope, LIMITS, response, np.empty_like(best), best)
    np.testing.assert_allclose(response, naive_response(curvature, angle, 1.5), rtol=1e-4)
    for k, found in enumerate(best):
        total, first, last = naive_segment(response, k - lead, slope)
        assert found == pytest.approx(total, abs=1e-4)
        if total > 0:
            assert ends_of(response, k - lead, slope, LIMITS, found) == (first, last)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("degrees", [-70.0, -30.0, 30.0, 70.0])
def test_a_drawn_line_is_found_with_its_shallow_end_first(degrees: float, stride: int) -> None:
    angle = math.radians(degrees)
    y, x = np.mgrid[0:40, 0:40].astype(np.float64)
    along = (x - 20) * math.cos(angle) + (y - 20) * math.sin(angle)
    across = -(x - 20) * math.sin(angle) + (y - 20) * math.cos(angle)
    on_line = np.where((np.abs(along) < 12) & (np.abs(across) < 1), 3.0, -1.0).astype(np.float32)
    # A response that is the same in every direction, given as a Hessian.
    curvature = np.stack([-on_line, np.zeros_like(on_line), -on_line])
    found = np.empty((5000, 6))
    count = segments_at_all_angles(
        np.ascontiguousarray(curvature[:, ::stride]),
        np.ascontiguousarray(curvature.transpose(0, 2, 1)[:, ::stride]),
        np.column_stack([np.radians([-70.0, -30.0, 30.0, 70.0]), np.ones(4)]),
        stride,
        np.array([0.5, -2.0, 3.0], np.float32),
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


@pytest.mark.parametrize("degrees", [-130.0, -90.0, -12.0, 0.0, 33.0, 180.0])
def test_steps_inside_counts_until_the_mask_ends(degrees: float) -> None:
    mask = np.ones((9, 12), np.bool_)
    mask[2, 7] = mask[6, 3] = False
    dx, dy = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    points = np.array([(5.2, 4.4), (0.0, 0.0), (-0.7, 3.0), (7.0, 2.0)])
    counts = np.empty(4, np.int64)
    steps_inside(mask, points, np.tile([dx, dy], (4, 1)), counts)
    for (x, y), count in zip(points, counts, strict=True):
        steps = np.arange(30)
        column = np.rint(x + steps * dx).astype(int)
        row = np.rint(y + steps * dy).astype(int)
        inside = (column >= 0) & (column < 12) & (row >= 0) & (row < 9)
        inside[inside] = mask[row[inside], column[inside]]
        assert count == np.argmin(inside)


def test_segments_keep_close_where_no_sampled_part_of_them_is_far() -> None:
    rng = np.random.default_rng(4)
    distance = rng.uniform(0, 10, (9, 12)).astype(np.float32)
    segments = rng.uniform(-2, 13, (200, 6))  # some of them leave the picture
    close = np.empty(200, np.bool_)
    keep_close(distance, segments, 8.0, close)
    for segment, found in zip(segments, close, strict=True):
        start, end = segment[2:4], segment[4:6]
        points = [start + share * (end - start) for share in (0.25, 0.5, 0.75)]
        seen = [
            distance[np.clip(round(y), 0, 8).astype(int), np.clip(round(x), 0, 11).astype(int)]
            for x, y in points
        ]
        assert found == (max(seen) < 8.0)
    assert 0 < np.count_nonzero(close) < 200
