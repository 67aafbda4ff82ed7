"""Gaps in a band: found where it is whole on both sides, and bridged."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from usguide.fascia.gaps import bridged, interrupted
from usguide.fascia.straighten import COLUMN_MM

COLUMNS = 60
BAND, FAT = 0.55, 0.6


def row(level: float, start: int = 0, stop: int = 0, within: float = 0.1) -> np.ndarray:
    levels = np.full((1, COLUMNS), level, dtype=np.float32)
    levels[0, start:stop] = within
    return levels


def columns(mm: float) -> int:
    return round(mm / COLUMN_MM)


@given(start_mm=st.floats(3, 17), width_mm=st.floats(2, 7))
def test_a_gap_is_found_where_it_is(start_mm: float, width_mm: float) -> None:
    start, width = columns(start_mm), columns(width_mm)
    found = np.flatnonzero(interrupted(row(BAND, start, start + width), row(FAT))[0])
    assert found[0] == pytest.approx(start, abs=2)
    assert found[-1] + 1 == pytest.approx(start + width, abs=2)


@pytest.mark.parametrize(
    ("band", "fat"),
    [
        (row(BAND), row(FAT)),
        (row(BAND, 20, 28), row(FAT, 20, 28)),  # the probe has lost contact
        (row(BAND, 20, 22), row(FAT)),  # a vessel
        (row(BAND, 20, 28, within=0.4), row(FAT)),  # a darker part
        (row(BAND, 40, COLUMNS), row(FAT)),  # the band ends
        (row(BAND, 0, 12), row(FAT)),
        (row(BAND, 15, 45), row(FAT)),  # longer than any rupture
        (row(0.15, 20, 28, within=0.0), row(FAT)),  # hardly a band at all
    ],
)
def test_what_is_no_gap_is_not_taken_for_one(band: np.ndarray, fat: np.ndarray) -> None:
    assert not interrupted(band, fat).any()


def test_each_row_is_a_band_of_its_own() -> None:
    both = np.concatenate([row(BAND), row(BAND, 20, 28)])
    gap = interrupted(both, np.concatenate([row(FAT), row(FAT)]))
    assert not gap[0].any()
    assert gap[1].any()


@given(seed=st.integers(0, 99), start=st.integers(1, 40), width=st.integers(1, 16))
def test_only_the_gap_is_drawn_across(seed: int, start: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    levels = rng.uniform(0, 1, (5, COLUMNS)).astype(np.float32)
    gap = np.zeros(COLUMNS, dtype=bool)
    gap[start : start + width] = True
    across = bridged(levels, gap)
    np.testing.assert_array_equal(across[:, ~gap], levels[:, ~gap])
    for one, drawn in zip(levels, across, strict=True):
        at = np.flatnonzero(gap)
        expected = np.interp(at, np.flatnonzero(~gap), one[~gap])
        np.testing.assert_allclose(drawn[gap], expected, atol=1e-6)


@pytest.mark.parametrize("gap", [np.zeros(COLUMNS, bool), np.ones(COLUMNS, bool)])
def test_where_nothing_or_everything_lacks_nothing_is_drawn(gap: np.ndarray) -> None:
    levels = row(BAND, 20, 28)
    np.testing.assert_array_equal(bridged(levels, gap), levels)
