"""Where drawn lines lie: calipers across the band, as long as stated, borders within the tissue."""

import dataclasses

import numpy as np
import pytest

from output_analyses import clip
from usguide.model import FasciaProfile
from usguide.output.geometry import thickness_caliper, within_tissue

SPACING_MM = (0.05, 0.11)


def profile(midline_mm: np.ndarray, thickness_mm: np.ndarray, spacing_mm=SPACING_MM, unit="mm"):
    steps = np.linalg.norm(np.diff(midline_mm, axis=0), axis=1)
    return FasciaProfile(
        np.append(0.0, np.cumsum(steps)),
        thickness_mm,
        thickness_mm - 0.5,
        thickness_mm + 0.5,
        midline_mm / np.array(spacing_mm),
        unit,
    )


@pytest.mark.parametrize("direction", [1.0, -1.0])
def test_a_caliper_stands_on_the_band_and_is_as_long_as_it_is_thick(direction):
    steps = np.arange(9)[:, None] * 0.5
    midline = np.array([20.0, 12.0]) + steps * np.array([direction * 0.8, 0.6])
    thickness = np.linspace(3.0, 4.0, 9)
    band = profile(midline, thickness)
    superficial, deep = thickness_caliper(band, 2.0, SPACING_MM) * SPACING_MM
    assert np.linalg.norm(deep - superficial) == pytest.approx(3.5)
    assert np.dot(deep - superficial, [direction * 0.8, 0.6]) == pytest.approx(0, abs=1e-9)
    assert superficial[1] < deep[1]
    np.testing.assert_allclose((superficial + deep) / 2, midline[4])


def test_without_a_scale_it_is_drawn_in_pixels():
    midline = np.stack([np.arange(5.0), np.full(5, 7.0)], axis=1)
    band = profile(midline, np.full(5, 4.0), (1.0, 1.0), "px")
    np.testing.assert_allclose(thickness_caliper(band, 0.0, None), [[0, 5], [0, 9]])


def test_where_nothing_was_measured_nothing_is_drawn():
    midline = np.stack([np.arange(5.0), np.full(5, 7.0)], axis=1)
    thickness = np.array([4.0, 4.0, np.nan, 4.0, 4.0])
    band = profile(midline, thickness, (1.0, 1.0))
    assert thickness_caliper(band, 2.0, (1.0, 1.0)) is None
    assert thickness_caliper(band, 30.0, (1.0, 1.0)) is None
    nowhere = FasciaProfile(*[np.empty(0)] * 4, np.empty((0, 2)), "mm")
    assert thickness_caliper(nowhere, 0.0, (1.0, 1.0)) is None
    alone = FasciaProfile(*(np.array([v]) for v in (0.0, 4.0, 3.0, 5.0)), midline[:1], "mm")
    assert thickness_caliper(alone, 0.0, (1.0, 1.0)) is None


def test_a_border_is_drawn_from_its_first_to_its_last_point_in_the_tissue():
    header = clip().header
    left, top = header.region.origin_px
    tissue = np.zeros((header.region.height, header.region.width), np.bool_)
    tissue[5:, 4:8] = True
    tissue[5:, 6] = False  # something drawn over it
    fan = dataclasses.replace(header, tissue=tissue)
    x = left + np.arange(-2.0, header.region.width + 2)
    line = np.column_stack([x, np.full(len(x), top + 6.0)])
    assert within_tissue(line, fan)[:, 0] == pytest.approx(left + np.arange(4.0, 8.0))
    line[x == left + 4, 1] = np.nan
    assert within_tissue(line, fan)[:, 0] == pytest.approx(left + np.arange(5.0, 8.0))
    assert within_tissue(line - (0.0, 3.0), fan).shape == (0, 2)
    line[x == left + 6, 1] = np.nan  # where it is not known it stays interrupted
    assert np.isnan(within_tissue(line, fan)[:, 1]).tolist() == [False, True, False]
