"""Rates with their intervals: Wilson's against another implementation, and how they are written."""

import sys
from pathlib import Path

import pytest
from scipy.stats import binomtest

sys.path.insert(0, str(Path(__file__).parents[1]))  # the benchmark is not part of the package

from benchmarks.estimates import counted, wilson


@pytest.mark.parametrize(("part", "whole"), [(0, 7), (1, 1), (3, 10), (29, 30), (250, 400)])
def test_the_interval_is_wilsons(part, whole):
    other = binomtest(part, whole).proportion_ci(0.95, method="wilson")
    assert wilson(part, whole) == pytest.approx((other.low, other.high), abs=1e-6)


def test_a_count_is_written_with_its_interval():
    assert counted(5, 10) == "5 of 10 (24 to 76 %)"
    assert counted(0, 0) == "–"
