"""Blood that pools beside a gap: it must not widen what is measured, or the gap is not stated."""

import numpy as np
import pytest

from motion_scenes import recorded
from usguide.model import SeparationFlag
from usguide.motion.gap import find_gap
from usguide.motion.pool import clear_rows, middle_half

STEP = 23.0


def noisy(widths, seed=0):
    return np.asarray(widths, float) + np.random.default_rng(seed).normal(0, 3, len(widths))


def disc(rows, radius):
    y = np.linspace(-0.95, 0.95, rows)
    return 2 * radius * np.sqrt(1 - y**2)


def test_blood_that_pools_beside_a_gap_does_not_widen_it():
    rng = np.random.default_rng(1)
    strip = rng.normal(90, 8, (24, 300)).astype(np.float32)
    strip[:, 130:170] = 12  # the gap
    strip[:10, 90:210] = 12  # the pool
    gap = find_gap(strip, 0, slice(12, 18), (135.0, 165.0), 15.0)
    assert gap.width == pytest.approx(40, abs=3)
    assert gap.rows[gap.core].min() >= 10
    assert len(gap.rows) >= 22
    assert not gap.pooled


@pytest.mark.parametrize("shape", ["even", "tapering"])
def test_without_a_pool_the_middle_half_of_a_gap_is_measured(shape):
    strip = np.random.default_rng(1).normal(90, 8, (24, 300)).astype(np.float32)
    for row in range(24):
        half = 20 if shape == "even" else 30 - row
        strip[row, 150 - half : 150 + half] = 12
    gap = find_gap(strip, 0, slice(9, 15), (140.0, 160.0), 15.0)
    assert gap.core == middle_half(len(gap.rows))


def test_a_gap_is_found_whole_where_only_part_of_its_width_was_seen_to_part():
    strip = np.random.default_rng(1).normal(90, 8, (24, 400)).astype(np.float32)
    strip[:, 120:280] = 12
    gap = find_gap(strip, 0, slice(9, 15), (100.0, 260.0), 15.0)
    assert gap.edges[gap.core].mean(axis=0) == pytest.approx([119.5, 279.5], abs=1.5)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_pool_that_hides_at_the_peak_is_seen_at_rest(mirrored):
    pool = np.r_[np.full(9, 80.0), np.zeros(15)]
    rest, peak = noisy(40 + pool), noisy(110 + 0.4 * pool)
    if mirrored:
        rest, peak = rest[::-1], peak[::-1]
    rows = clear_rows([rest, peak], None, STEP)
    assert (rest[rows] < 55).all()
    assert rows.stop - rows.start >= 4
    assert clear_rows([peak], None, STEP) == middle_half(24)


def test_a_pool_over_most_of_the_tear_leaves_nothing_to_measure():
    assert clear_rows([noisy(np.r_[np.full(6, 40.0), np.full(14, 150.0)])], None, STEP) is None


@pytest.mark.parametrize("mouth", [0, -1])
def test_a_round_dark_area_at_a_border_is_fluid_and_one_that_gapes_there_a_tear(mouth):
    tear = 90 * np.sqrt(1 - np.linspace(0, 0.95, 12) ** 2)
    tear, fluid = (noisy(w)[:: 1 if mouth == 0 else -1] for w in (tear, disc(12, 60)))
    assert clear_rows([tear], mouth, STEP) == middle_half(12)
    assert clear_rows([fluid], mouth, STEP) is None
    # Across the whole muscle both ends of a gap close.
    assert clear_rows([disc(12, 60)], None, STEP) == middle_half(12)


def test_speckle_in_a_few_rows_of_a_closed_gap_is_no_pool():
    closed = np.array([12, 10, 6, 0, 0, 0, 0, 0, 4, 2, 0, 0, 2, 20, 60, 18], float)
    assert clear_rows([closed, noisy(np.full(16, 78.0))], 0, STEP) == middle_half(16)


def test_a_tear_full_of_blood_parts_but_its_gap_is_not_stated():
    result = recorded(
        4,
        tear="partial",
        open_at_rest="true",
        hematoma_mm=14,
    ).as_it_is
    separation = result.contraction.separation
    assert separation.flag is SeparationFlag.SEPARATION
    assert separation.gap_peak_mm is None
    assert separation.widening_mm is not None
    assert "hides" in separation.reason
    assert result.contraction.gap_mm is None
