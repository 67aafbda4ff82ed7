"""A border is looked for within a millimetre of its course: bulges are followed, septa are not."""

import numpy as np
import pytest

from usguide.fascia.border_odds import REACH_MM, border_odds
from usguide.fascia.course import Course
from usguide.fascia.refinement import refine
from usguide.fascia.straighten import COLUMN_MM, ROW_MM, Band, Strip

PIXEL_MM = 0.1
DISTANCE_MM = np.arange(-3.0, 27.0, COLUMN_MM)
ROWS_MM = np.arange(-7.0, 7.0 + ROW_MM / 2, ROW_MM)
FAT, FASCIA, MUSCLE, LINE = 0.5, 0.6, 0.25, 0.25
HALF_MM = 1.8


def bulge(height_mm):
    return height_mm * np.exp(-0.5 * ((DISTANCE_MM - 10.0) / 2.5) ** 2)


def strip_of(upper_mm, lower_mm, seed=0, septum_mm=None):
    """Draw fat, fascia and muscle with speckle; a line on the superficial border."""
    rng = np.random.default_rng(seed)
    depth = ROWS_MM[:, None]
    blurred = [np.clip((depth - border) / 0.3 + 0.5, 0, 1) for border in (upper_mm, lower_mm)]
    levels = FAT + (FASCIA - FAT) * blurred[0] + (MUSCLE - FASCIA) * blurred[1]
    levels += LINE * np.exp(-0.5 * ((depth - upper_mm) / 0.15) ** 2)
    if septum_mm is not None:
        levels += LINE * np.exp(-0.5 * ((depth - septum_mm) / 0.15) ** 2)
    levels += rng.normal(0.0, 0.05, levels.shape)
    columns = len(DISTANCE_MM)
    centre = np.stack([DISTANCE_MM / PIXEL_MM, np.full(columns, 80.0)], axis=1)
    band = Band(DISTANCE_MM, centre, np.tile([0.0, 1.0], (columns, 1)))
    return Strip(band, ROWS_MM / PIXEL_MM, levels.astype(np.float32))


def straight(strip, gap=None, moved_mm=0.0):
    columns = len(DISTANCE_MM)
    return Course(
        strip.band,
        np.full(columns, (-HALF_MM + moved_mm) / PIXEL_MM),
        np.full(columns, (HALF_MM + moved_mm) / PIXEL_MM),
        np.zeros(columns, dtype=bool) if gap is None else gap,
        np.zeros((2, columns)),
    )


@pytest.mark.parametrize("height_mm", [0.3, 0.6])
@pytest.mark.parametrize("seed", [0, 1])
def test_both_borders_of_a_bulge_are_followed(height_mm, seed):
    upper, lower = -HALF_MM - bulge(height_mm), HALF_MM + bulge(height_mm)
    strip = strip_of(upper, lower, seed)
    pair = refine(strip, straight(strip), PIXEL_MM)
    top = (DISTANCE_MM > 8) & (DISTANCE_MM < 12)
    for found, true in ((pair.upper_px, upper), (pair.lower_px, lower)):
        assert np.abs(found * PIXEL_MM - true)[top].mean() < 0.45 * height_mm + 0.1


@pytest.mark.parametrize("moved_mm", [-0.6, 0.5])
def test_a_course_beside_the_borders_is_brought_to_them(moved_mm):
    flat = np.zeros_like(DISTANCE_MM)
    strip = strip_of(flat - HALF_MM, flat + HALF_MM)
    pair = refine(strip, straight(strip, moved_mm=moved_mm), PIXEL_MM)
    judged = (DISTANCE_MM > 2) & (DISTANCE_MM < 25)
    assert pair.upper_px[judged] * PIXEL_MM == pytest.approx(-HALF_MM, abs=0.12)
    assert pair.lower_px[judged] * PIXEL_MM == pytest.approx(HALF_MM, abs=0.2)


def test_a_line_within_a_tissue_is_no_border():
    flat = np.zeros_like(DISTANCE_MM)
    judged = (DISTANCE_MM > 2) & (DISTANCE_MM < 25)
    # A fibril in the band, as bright as the superficial border; a fibre layer in the muscle.
    for line_mm, moved_mm in ((-HALF_MM + 0.7, 0.35), (HALF_MM + 0.7, 0.35)):
        strip = strip_of(flat - HALF_MM, flat + HALF_MM, septum_mm=flat + line_mm)
        pair = refine(strip, straight(strip, moved_mm=moved_mm), PIXEL_MM)
        assert np.abs(pair.upper_px * PIXEL_MM + HALF_MM)[judged].mean() < 0.15
        assert np.abs(pair.lower_px * PIXEL_MM - HALF_MM)[judged].mean() < 0.2


def test_no_border_goes_further_than_it_may():
    upper, lower = -HALF_MM - bulge(2.5), HALF_MM + bulge(2.5)
    strip = strip_of(upper, lower)
    course = straight(strip)
    for within_mm in (0.4, REACH_MM):
        pair = refine(strip, course, PIXEL_MM, within_mm)
        for found, was in ((pair.upper_px, course.upper_px), (pair.lower_px, course.lower_px)):
            assert np.abs(found - was).max() * PIXEL_MM <= within_mm + ROW_MM


def test_what_is_missing_tells_nothing_of_a_border():
    flat = np.zeros_like(DISTANCE_MM)
    strip = strip_of(flat - HALF_MM, flat + HALF_MM)
    gap = (DISTANCE_MM > 8) & (DISTANCE_MM < 12)
    for deep, offset in ((False, flat - HALF_MM), (True, flat + HALF_MM)):
        score = border_odds(strip, offset, flat + 2 * HALF_MM, gap, PIXEL_MM, deep=deep)
        assert np.ptp(score[:, gap] - score[:, gap][:, :1], axis=1).max() < 1e-5
        assert np.ptp(score[:, ~gap & (DISTANCE_MM > 2)], axis=0).min() > 1.0


def test_the_sharper_the_picture_the_narrower_the_spread():
    flat = np.zeros_like(DISTANCE_MM)
    sharp = strip_of(flat - HALF_MM, flat + HALF_MM)
    faint = Strip(sharp.band, sharp.rows_px, 0.5 + 0.2 * (sharp.levels - 0.5))
    noise = np.random.default_rng(4).normal(0.0, 0.05, faint.levels.shape).astype(np.float32)
    faint = Strip(sharp.band, sharp.rows_px, faint.levels + noise)
    judged = (DISTANCE_MM > 2) & (DISTANCE_MM < 25)
    spreads = [
        np.median(refine(strip, straight(strip), PIXEL_MM).lower_sd_px[judged])
        for strip in (sharp, faint)
    ]
    assert spreads[0] < spreads[1]
