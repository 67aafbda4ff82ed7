"""Shaft kernels against their slow, obvious twins."""

import math

import numpy as np
import pytest

from usguide.kernels import shafts
from usguide.kernels.shaft_path import best_values, ends_beyond, move_cost, moved_along

pytestmark = pytest.mark.kernel


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def test_the_weakest_mean_is_that_of_trying_every_window(rng) -> None:
    values = rng.normal(size=60)
    means = [values[i : i + shafts.WINDOW].mean() for i in range(20, 40 - shafts.WINDOW + 1)]
    assert shafts.weakest_mean(values, 20, 40) == pytest.approx(min(means))


@pytest.mark.parametrize("count", [3, 10, 50])
def test_step_at_each_is_the_mean_before_less_the_mean_after(rng, count: int) -> None:
    profile = rng.normal(size=count)
    drops = np.empty(count + 1)
    shafts.step_at_each(profile, 8, drops)
    for i in range(count + 1):
        before, after = profile[max(0, i - 8) : i], profile[i : i + 8]
        naive = (before.mean() if len(before) else 0.0) - (after.mean() if len(after) else 0.0)
        assert drops[i] == pytest.approx(naive, abs=1e-9)


@pytest.mark.parametrize(("offset", "slope"), [(0.0, 0.0), (1.2, 0.05), (-0.8, -0.03)])
def test_the_crest_is_the_drawn_band(offset: float, slope: float) -> None:
    step, spread = 1.0, 0.5
    along = np.arange(40)[:, None] * step
    across = (np.arange(21)[None] - 10) * spread
    strip = 20 + 100 * np.exp(-0.5 * (across - offset - slope * along) ** 2)
    strip[3, 4] = np.nan  # outside the picture
    line = np.empty(2)
    shafts.crest(strip.astype(np.float32), step, spread, line)
    assert line[0] == pytest.approx(offset, abs=0.15)
    assert line[1] == pytest.approx(slope, abs=0.01)


def test_a_flat_strip_has_no_crest() -> None:
    line = np.ones(2)
    shafts.crest(np.full((20, 21), 7, np.float32), 1.0, 0.5, line)
    assert not line.any()


@pytest.mark.parametrize("end", [40, 52, 60])
def test_a_shaft_ends_at_the_step_of_its_profile(rng, end: int) -> None:
    profile = np.where(np.arange(90) < end, 60.0, 20.0) + rng.normal(size=90)
    drops = np.empty(91)
    shafts.step_at_each(profile, shafts.WINDOW, drops)
    ends = np.empty(2)
    count = shafts.shaft_ends(profile, drops, 20.0, 25, 50, ends)
    assert 1 <= count <= 2
    assert ends[0] == pytest.approx(end, abs=1)


def drawn(degrees: float, length: float) -> np.ndarray:
    """A bright bar of a length from (30, 20) on dark ground."""
    y, x = np.mgrid[:200, :200].astype(np.float64)
    angle = math.radians(degrees)
    along = (x - 30) * math.cos(angle) + (y - 20) * math.sin(angle)
    across = (y - 20) * math.cos(angle) - (x - 30) * math.sin(angle)
    bar = 150 * np.exp(-0.5 * (across / 1.2) ** 2) * (along > 0) * (along < length)
    return (30 + bar).astype(np.uint8)


@pytest.mark.parametrize("degrees", [10.0, 30.0, 50.0, 70.0])
def test_a_drawn_shaft_is_measured_below_a_pixel(degrees: float) -> None:
    angle = math.radians(degrees)
    along = np.array([math.cos(angle), math.sin(angle)])
    start = np.array([30.0, 20.0])
    # The search is a degree and a pixel off, and stops short.
    off = math.radians(degrees + 1)
    segment = np.concatenate([start + 1, start + 1 + 82 * np.array([math.cos(off), math.sin(off)])])
    rows = np.empty((2, shafts.COLUMNS + 1))
    count = shafts.measure_shafts(drawn(degrees, 90.0), segment[None], 0.5, rows)
    assert count >= 1
    tip, tail = rows[0, shafts.TIP :][:2], rows[0, shafts.TAIL :][:2]
    assert np.linalg.norm(tip - start - 90 * along) < 1.0
    turn = math.degrees(math.atan2(*(tip - tail)[::-1])) - degrees
    assert abs(turn) < 0.3
    assert rows[0, shafts.CONTRAST] > 60
    assert rows[0, shafts.STEP] > 60
    assert abs(rows[0, shafts.ONWARD]) < 10
    assert rows[0, shafts.COLUMNS] == 0


def test_a_band_that_bends_goes_on(rng) -> None:
    strip = rng.normal(0, 1, (80, 21)).astype(np.float32)
    flanks = np.zeros(80)
    assert shafts.way_on(strip, flanks, 40) < 3
    for i in range(42, 66):
        strip[i, 10 + round(0.21 * (i - 42))] += 60
    assert shafts.way_on(strip, flanks, 40) == pytest.approx(20, abs=3)


COSTS = np.array([6.0, 60.0, 1.5, 12.0, 1.5, 8.0, 1.0, 4.0])


def test_a_move_costs_by_turn_shift_and_slide() -> None:
    here = np.array([50.0, 50.0, 1.0, 0.0])
    assert move_cost(here, here, 1.0, COSTS) == 0.0
    slid = np.array([56.0, 50.0, 1.0, 0.0])
    assert move_cost(here, slid, 1.0, COSTS) == pytest.approx(math.log(2))
    assert move_cost(here, slid, 4.0, COSTS) == pytest.approx(math.log(1.25))
    aside = np.array([50.0, 51.5, 1.0, 0.0])
    assert move_cost(here, aside, 1.0, COSTS) == pytest.approx(math.log(2))
    angle = math.radians(1.5)
    turned = np.array([50.0, 50.0, math.cos(angle), math.sin(angle)])
    assert move_cost(here, turned, 1.0, COSTS) == pytest.approx(math.log(2), rel=1e-3)


def naive_values(bounds, lines, odds, numbers, memory):
    """Every line's best total, trying all that may come before."""
    time_of = np.repeat(np.arange(len(numbers)), np.diff(bounds))
    value = []
    for i, t in enumerate(time_of):
        options = [-COSTS[7]]
        for j in range(i):
            if time_of[j] == t:
                continue
            if t - time_of[j] > memory:
                if value[j] - COSTS[6] > 0:
                    options.append(value[j] - COSTS[6] - COSTS[7])
                continue
            gap = max(numbers[t] - numbers[time_of[j]], 1.0)
            lost = 2 * COSTS[6] if t - time_of[j] > 1 else 0.0
            options.append(value[j] - lost - move_cost(lines[j], lines[i], gap, COSTS))
        value.append(max(options) + odds[i])
    return np.array(value)


def random_lines(rng, count):
    angle = rng.uniform(0.4, 0.6, count)
    return np.column_stack([rng.uniform(0, 20, (count, 2)), np.cos(angle), np.sin(angle)])


def test_the_best_totals_are_those_of_trying_everything(rng) -> None:
    sizes = rng.integers(0, 4, 25)
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    lines = random_lines(rng, bounds[-1])
    odds = rng.normal(2, 3, len(lines))
    numbers = np.cumsum(rng.integers(1, 4, 25)).astype(np.float64)
    value, previous = np.empty(len(lines)), np.empty(len(lines), np.int64)
    best_values(bounds, lines, odds, numbers, 5, COSTS, value, previous)
    np.testing.assert_allclose(value, naive_values(bounds, lines, odds, numbers, 5), atol=1e-9)
    assert (previous < np.arange(len(lines))).all()


def naive_moved(lines, slide, times, quality, references, turn, limits):
    """Compare every line with every reference, time by time."""
    offset, same, moved = limits
    total = np.zeros(len(lines))
    for i, (x, y, ux, uy) in enumerate(lines):
        for time in set(times[references].tolist()) - {times[i]}:
            best = 0.0
            for j in references[times[references] == time]:
                dx, dy = lines[j, :2] - (x, y)
                if ux * lines[j, 2] + uy * lines[j, 3] <= math.cos(turn):
                    continue
                if abs(dy * ux - dx * uy) >= offset:
                    continue
                forward = dx * ux + dy * uy
                least = min(abs(forward), abs(forward + (slide[j] - slide[i]) @ (ux, uy)))
                if least < same:
                    best = 0.0
                    break
                if least > moved:
                    best = max(best, quality[j])
            total[i] += best
    return total


def test_what_has_moved_is_found_as_by_comparing_all_with_all(rng) -> None:
    times = np.repeat(np.arange(12), 6)
    lines = random_lines(rng, len(times))
    slide = rng.normal(0, 1, (len(times), 2))
    quality = rng.uniform(size=len(times))
    headings = np.arctan2(lines[:, 3], lines[:, 2])
    references = np.flatnonzero(times % 3 == 0)
    references = references[np.argsort(headings[references])]
    turn = math.radians(5)
    parallel = np.searchsorted(headings[references], headings[:, None] + [-turn, turn])
    limits = np.array([4.0, 0.5, 5.0])
    total = np.empty(len(times))
    moved_along(lines, slide, times, quality, references, parallel, limits, total)
    naive = naive_moved(lines, slide, times, quality, references, turn, limits)
    assert np.count_nonzero(naive) > 20
    np.testing.assert_allclose(total, naive, atol=1e-9)


def test_a_line_has_moved_where_it_is_further_along_and_no_longer_where_it_was() -> None:
    line = np.array([100.0, 50.0, 0.6, 0.8])
    further = line + np.array([6.0, 8.0, 0.0, 0.0])
    beside = line + np.array([8.0, -6.0, 0.0, 0.0])
    lines = np.stack([line, further, beside, line, further])
    slide = np.zeros((5, 2))
    times = np.array([0, 1, 1, 2, 2])
    limits = np.array([4.0, 3.0, 5.0])
    parallel = np.tile([0, 2], (5, 1))
    total = np.empty(5)
    quality = np.array([1.0, 0.5, 1.0, 1.0, 1.0])
    moved_along(lines, slide, times, quality, np.array([1, 2]), parallel, limits, total)
    assert total[0] == 0.5  # further along at time 1
    moved_along(lines, slide, times, quality, np.array([3, 4]), parallel, limits, total)
    assert total[0] == 0.0  # also still in its place at time 2
    # What stays in the picture while the tissue slides under it has not moved.
    slide[1:3] = [-6.0, -8.0]
    moved_along(lines, slide, times, quality, np.array([1, 2]), parallel, limits, total)
    assert total[0] == 0.0


def test_ends_beyond_a_claim_are_counted_as_by_comparing_all_with_all(rng) -> None:
    lines = random_lines(rng, 60)
    lines[:, :2] = rng.uniform(0, 30, (60, 2))
    times = np.sort(rng.integers(0, 8, 60))
    claims = np.array([3, 20, 21, 50])
    present = np.array([(np.sum(times < t), np.sum(times <= t)) for t in times[claims]])
    further, near, least_cosine = 2.0, 6.0, 0.995
    looked, there = np.empty(60, np.int64), np.empty(60, np.int64)
    limits = np.array([further, near, least_cosine])
    ends_beyond(lines, times, claims, present, limits, looked, there)
    tip, along = lines[:, :2], lines[:, 2:]
    beyond = np.array([(times != times[k]) & ((tip - tip[k]) @ along[k] > further) for k in claims])
    one = (np.linalg.norm(tip[:, None] - tip, axis=2) < near) & (along @ along.T > least_cosine)
    seen = np.array([(one & (times == times[k])).any(axis=1) for k in claims])
    np.testing.assert_array_equal(looked, beyond.sum(axis=0))
    np.testing.assert_array_equal(there, (beyond & seen).sum(axis=0))
    assert 0 < there.sum() < looked.sum()
