"""Distances to the fascia, and time inside it."""

import numpy as np
import pytest

from usguide.model import (
    Borders,
    Calibration,
    CalibrationSource,
    FasciaResult,
    Status,
    Timing,
    TimingSource,
)
from usguide.needle.proximity import distance_to_fascia, repeated, time_inside

MM = Calibration(0.1, 0.2, CalibrationSource.USER, 1.0, "given")


def band() -> FasciaResult:
    x = np.linspace(0, 200, 21)
    return FasciaResult(
        Status.MEASURED,
        "",
        superficial_px=np.column_stack([x, np.full(21, 100.0)]),
        deep_px=np.column_stack([x, np.full(21, 120.0)]),
    )


@pytest.mark.parametrize(
    ("y", "distance_mm", "inside"),
    [(80.0, 4.0, False), (105.0, -1.0, True), (112.0, -1.6, True), (150.0, 6.0, False)],
)
def test_distance_to_the_fascia_is_negative_inside(y, distance_mm, inside) -> None:
    tips = np.array([[100.0, y], [np.nan, np.nan]])
    distance, within = distance_to_fascia(tips, band(), MM)
    assert distance[0] == pytest.approx(distance_mm)
    assert within[0] == inside
    assert np.isnan(distance[1])
    assert not within[1]


def test_beside_the_band_is_not_inside_it() -> None:
    _, within = distance_to_fascia(np.array([[260.0, 110.0]]), band(), MM)
    assert not within[0]


def test_no_scale_or_no_fascia_gives_no_distance() -> None:
    tips = np.array([[100.0, 80.0]])
    assert distance_to_fascia(tips, band(), Calibration()) is None
    assert distance_to_fascia(tips, FasciaResult(Status.NONE_FOUND, ""), MM) is None


def test_where_the_band_moves_its_borders_in_that_frame_count() -> None:
    x = np.linspace(0, 200, 21)
    down = np.array([[0.0], [10.0], [np.nan]])
    moving = Borders(
        x, (100 + down + 0 * x).astype(np.float32), (120 + down + 0 * x).astype(np.float32)
    )
    fascia = FasciaResult(
        Status.MEASURED,
        "",
        superficial_px=band().superficial_px,
        deep_px=band().deep_px,
        borders=moving,
    )
    distance, within = distance_to_fascia(np.full((3, 2), [100.0, 105.0]), fascia, MM)
    assert distance == pytest.approx([-1.0, 1.0, -1.0])
    assert within.tolist() == [True, False, True]


def test_time_in_the_fascia_counts_repeated_frames_as_what_they_repeat() -> None:
    inside = np.zeros(12, np.bool_)
    inside[[4, 6]] = True
    repeats = np.where(np.arange(12) % 2 == 1, np.arange(12) - 1, -1)
    clock = Timing(np.arange(12) / 10, TimingSource.USER, repeats)
    assert time_inside(repeated(inside, clock), clock) == pytest.approx((0.4, 0.4))
    assert time_inside(np.zeros(12, np.bool_), clock) == (None, 0.0)
    assert time_inside(None, clock) == (None, None)
    assert time_inside(inside, Timing(None, TimingSource.NONE, repeats)) == (None, None)
