"""A straight band through the picture: how it lies, and where points lie about it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from usguide.fascia.straighten import BEHIND_MM, COLUMN_MM, REACH_MM, straight_band

EDGE = (220.0, 130.0)
tilts = st.floats(-0.4, 0.4)
lengths = st.floats(-20.0, 20.0)


@given(tilt=tilts, pixel_mm=st.floats(0.05, 0.2), along_mm=lengths, down_mm=lengths)
def test_points_are_found_where_they_were_put(tilt, pixel_mm, along_mm, down_mm):
    band = straight_band(EDGE, 500, pixel_mm, tilt)
    there = np.array(band.at(along_mm, down_mm, pixel_mm))
    assert np.linalg.norm(there - EDGE) * pixel_mm == pytest.approx(np.hypot(along_mm, down_mm))
    assert band.seen_from(there, pixel_mm) == pytest.approx([along_mm, down_mm], abs=1e-9)


@given(tilt=tilts)
def test_columns_lie_along_it_and_rows_across(tilt):
    band = straight_band(EDGE, 500, 0.1, tilt)
    assert band.seen_from(band.centre, 0.1) == pytest.approx(
        np.stack([band.distance_mm, 0 * band.distance_mm], axis=1), abs=1e-9
    )
    rise = np.diff(band.centre[:, 1]) / np.diff(band.centre[:, 0])
    assert rise == pytest.approx(np.tan(tilt))
    assert np.hypot(*np.diff(band.centre, axis=0).T) * 0.1 == pytest.approx(COLUMN_MM)
    across = (np.gradient(band.centre, axis=0) * band.normal).sum(axis=1)
    assert across == pytest.approx(0.0, abs=1e-9)
    assert np.all(band.normal[:, 1] > 0)


def test_it_ends_with_the_picture():
    assert straight_band(EDGE, 500, 0.1).distance_mm[[0, -1]] == pytest.approx([-BEHIND_MM, 27.5])
    wide = straight_band(EDGE, 2000, 0.1, 0.3)
    assert wide.distance_mm[[0, -1]] == pytest.approx([-BEHIND_MM, REACH_MM])
