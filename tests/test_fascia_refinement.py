"""A border is looked for within a millimetre of its course: bulges are followed, septa are not."""

from dataclasses import replace

import numpy as np
import pytest

from usguide.fascia.border_odds import REACH_MM, measured_odds
from usguide.fascia.course import Course
from usguide.fascia.detection import FOLLOWED_EVIDENCE_MIN, followed_mm
from usguide.fascia.recognition import Recognised
from usguide.fascia.refinement import refine
from usguide.fascia.straighten import COLUMN_MM, ROW_MM, Band, Strip, straight_band
from usguide.fascia.tissues import COLUMNS, EDGE_COLUMN, FIRST_MM, ROWS, STRIDE, Tissues

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


def recognised(upper_mm, lower_mm, sure=5.0, tilt=0.0):
    """Tissues as a network would see them that is as sure of every row, the bone's edge at 0.

    Along a strip of that tilt, from which the borders are counted.
    """
    row_mm = STRIDE * ROW_MM
    depth = FIRST_MM + row_mm * (np.arange(ROWS // STRIDE)[:, None] + 0.5)
    ahead = COLUMN_MM * (np.arange(COLUMNS) - EDGE_COLUMN)
    summed = [
        np.concatenate([np.zeros((1, COLUMNS)), np.cumsum(ratio, axis=0)]).astype(np.float32)
        for border in (upper_mm, lower_mm)
        for ratio in [np.where(depth < np.interp(ahead, DISTANCE_MM, border), sure, -sure)]
    ]
    return Recognised.of(Tissues(*summed), straight_band((0.0, 80.0), 400, PIXEL_MM, tilt))


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
    pair = refine(strip, straight(strip), None, PIXEL_MM)
    top = (DISTANCE_MM > 8) & (DISTANCE_MM < 12)
    for found, true in ((pair.upper_px, upper), (pair.lower_px, lower)):
        assert np.abs(found * PIXEL_MM - true)[top].mean() < 0.45 * height_mm + 0.1


@pytest.mark.parametrize("moved_mm", [-0.6, 0.5])
def test_a_course_beside_the_borders_is_brought_to_them(moved_mm):
    flat = np.zeros_like(DISTANCE_MM)
    strip = strip_of(flat - HALF_MM, flat + HALF_MM)
    pair = refine(strip, straight(strip, moved_mm=moved_mm), None, PIXEL_MM)
    judged = (DISTANCE_MM > 2) & (DISTANCE_MM < 25)
    assert pair.upper_px[judged] * PIXEL_MM == pytest.approx(-HALF_MM, abs=0.12)
    assert pair.lower_px[judged] * PIXEL_MM == pytest.approx(HALF_MM, abs=0.2)


def test_a_line_within_a_tissue_is_no_border():
    flat = np.zeros_like(DISTANCE_MM)
    judged = (DISTANCE_MM > 2) & (DISTANCE_MM < 25)
    # A fibril in the band, as bright as the superficial border; a fibre layer in the muscle.
    for line_mm, moved_mm in ((-HALF_MM + 0.7, 0.35), (HALF_MM + 0.7, 0.35)):
        strip = strip_of(flat - HALF_MM, flat + HALF_MM, septum_mm=flat + line_mm)
        pair = refine(strip, straight(strip, moved_mm=moved_mm), None, PIXEL_MM)
        assert np.abs(pair.upper_px * PIXEL_MM + HALF_MM)[judged].mean() < 0.15
        assert np.abs(pair.lower_px * PIXEL_MM - HALF_MM)[judged].mean() < 0.2


def test_a_bulge_that_only_is_recognised_is_followed():
    flat = np.zeros_like(DISTANCE_MM)
    lower = flat + HALF_MM + bulge(0.5)
    strip = strip_of(flat - HALF_MM, lower)
    # Muscle as bright as the fascia: no step shows the deep border.
    beneath = np.broadcast_to(ROWS_MM[:, None] > 0.5, strip.levels.shape)
    strip.levels[beneath] = np.random.default_rng(1).normal(FASCIA, 0.05, np.count_nonzero(beneath))
    top = (DISTANCE_MM > 8) & (DISTANCE_MM < 12)
    off = [
        np.abs(refine(strip, straight(strip), told, PIXEL_MM).lower_px * PIXEL_MM - lower)[top]
        for told in (None, recognised(flat - HALF_MM, lower))
    ]
    assert off[0].mean() > 0.35
    assert off[1].mean() < 0.2


def test_where_the_band_is_torn_what_is_recognised_still_leads():
    flat = np.zeros_like(DISTANCE_MM)
    lower = flat + HALF_MM + bulge(0.8)
    gap = np.abs(DISTANCE_MM - 10.0) < 2.5
    strip = strip_of(flat - HALF_MM, lower)
    strip.levels[:, gap] = 0.0
    off = [
        np.abs(refine(strip, straight(strip, gap), told, PIXEL_MM).lower_px * PIXEL_MM - lower)[gap]
        for told in (None, recognised(flat - HALF_MM, lower))
    ]
    assert off[0].mean() > 0.3
    assert off[1].mean() < 0.15


def test_what_is_recognised_decides_and_beyond_it_what_is_measured():
    flat = np.zeros_like(DISTANCE_MM)
    strip = strip_of(flat - HALF_MM, flat + HALF_MM)
    told = recognised(flat - HALF_MM - 0.4, flat + HALF_MM)
    upper_mm = refine(strip, straight(strip), told, PIXEL_MM).upper_px * PIXEL_MM
    seen = (DISTANCE_MM > 2) & (DISTANCE_MM < 17)
    assert upper_mm[seen] == pytest.approx(-HALF_MM - 0.4, abs=0.1)
    beyond = (DISTANCE_MM > 22) & (DISTANCE_MM < 26)
    assert upper_mm[beyond] == pytest.approx(-HALF_MM, abs=0.15)


def test_how_sharply_a_border_is_placed_both_say():
    flat = np.zeros_like(DISTANCE_MM)
    strip = strip_of(flat - HALF_MM, flat + HALF_MM)
    judged = (DISTANCE_MM > 2) & (DISTANCE_MM < 17)
    alone, agreeing, against = (
        refine(strip, straight(strip), told, PIXEL_MM).upper_sd_px[judged].mean()
        for told in (
            None,
            recognised(flat - HALF_MM, flat + HALF_MM, sure=1.0),
            recognised(flat - HALF_MM - 0.8, flat + HALF_MM, sure=1.0),
        )
    )
    assert agreeing < alone < against


def test_what_is_recognised_is_read_where_the_picture_is():
    sloping = 0.1 * DISTANCE_MM
    told = recognised(sloping - HALF_MM, sloping + HALF_MM)
    # Columns half as far apart, on a centre line that follows the slope.
    distance = np.arange(0.0, 19.0, COLUMN_MM / 2)
    centre = np.stack([distance, 8.0 + 0.1 * distance], axis=1) / PIXEL_MM
    band = Band(distance, centre, np.tile([0.0, 1.0], (len(distance), 1)))
    offsets = np.arange(-3.0, 3.0, ROW_MM)
    places = np.tile(offsets[:, None], len(distance)) / PIXEL_MM
    for deep, there_mm in ((False, -HALF_MM), (True, HALF_MM)):
        likelihood = told.along(band, places, PIXEL_MM, deep=deep)
        best = offsets[np.argmax(likelihood, axis=0)]
        assert best == pytest.approx(there_mm, abs=STRIDE * ROW_MM)


@pytest.mark.parametrize("tilt", [-0.25, 0.0, 0.25])
def test_what_is_recognised_along_a_tilted_strip_is_read_on_any_other(tilt):
    flat = np.zeros_like(DISTANCE_MM)
    told = recognised(flat - HALF_MM, flat + HALF_MM, tilt=tilt)
    x_mm = np.arange(1.0, 17.0, COLUMN_MM)
    centre = np.stack([x_mm, 8.0 + np.tan(tilt) * x_mm], axis=1) / PIXEL_MM
    band = Band(x_mm, centre, np.tile([0.0, 1.0], (len(x_mm), 1)))
    offsets = np.arange(-3.0, 3.0, ROW_MM)
    places = np.tile(offsets[:, None], len(x_mm)) / PIXEL_MM
    for deep, there_mm in ((False, -HALF_MM), (True, HALF_MM)):
        likelihood = told.along(band, places, PIXEL_MM, deep=deep)
        best = offsets[np.argmax(likelihood, axis=0)]
        assert best == pytest.approx(there_mm / np.cos(tilt), abs=STRIDE * ROW_MM)


def test_beyond_what_the_network_looks_at_nothing_is_told():
    flat = np.zeros_like(DISTANCE_MM)
    told = recognised(flat - HALF_MM, flat + HALF_MM)
    distance = np.arange(0.0, 26.0, COLUMN_MM)
    centre = np.stack([distance / PIXEL_MM, np.full(len(distance), 80.0)], axis=1)
    band = Band(distance, centre, np.tile([0.0, 1.0], (len(distance), 1)))
    places = np.tile(np.arange(-1.0, 1.0, ROW_MM)[:, None], len(distance)) / PIXEL_MM
    spread = np.ptp(told.along(band, places, PIXEL_MM, deep=True), axis=0)
    beyond = distance > COLUMN_MM * (COLUMNS - 1 - EDGE_COLUMN)
    assert np.all(spread[beyond] == 0.0)
    assert np.all(spread[~beyond] > 1.0)


def test_no_border_goes_further_than_it_may():
    upper, lower = -HALF_MM - bulge(2.5), HALF_MM + bulge(2.5)
    strip = strip_of(upper, lower)
    course = straight(strip)
    for within_mm in (0.4, REACH_MM):
        pair = refine(strip, course, None, PIXEL_MM, within_mm)
        for found, was in ((pair.upper_px, course.upper_px), (pair.lower_px, course.lower_px)):
            assert np.abs(found - was).max() * PIXEL_MM <= within_mm + ROW_MM


def test_what_is_missing_tells_nothing_of_a_border():
    flat = np.zeros_like(DISTANCE_MM)
    strip = strip_of(flat - HALF_MM, flat + HALF_MM)
    gap = (DISTANCE_MM > 8) & (DISTANCE_MM < 12)
    for deep, offset in ((False, flat - HALF_MM), (True, flat + HALF_MM)):
        score = measured_odds(strip, offset, flat + 2 * HALF_MM, gap, PIXEL_MM, deep=deep)
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
        np.median(refine(strip, straight(strip), None, PIXEL_MM).lower_sd_px[judged])
        for strip in (sharp, faint)
    ]
    assert spreads[0] < spreads[1]


@pytest.mark.parametrize(
    ("faint_mm", "reach_mm"),
    [
        ((30, 31), 26.5),
        ((8, 13), 26.5),
        ((18, 31), 18.0),
        ((8, 31), 8.0),
        ((-4, 31), 0.0),
        ((5, 20), 5.0),
    ],
)
def test_a_band_is_followed_to_the_last_place_where_it_is_seen(faint_mm, reach_mm):
    strip = strip_of(np.full(len(DISTANCE_MM), -HALF_MM), np.full(len(DISTANCE_MM), HALF_MM))
    pair = refine(strip, straight(strip), None, PIXEL_MM)
    faint = (faint_mm[0] <= DISTANCE_MM) & (faint_mm[1] > DISTANCE_MM)
    lower = np.where(faint, 0.0, 1.1 * FOLLOWED_EVIDENCE_MIN)
    pair = replace(pair, upper_evidence=np.ones(len(faint)), lower_evidence=lower)
    assert followed_mm(pair) == pytest.approx(reach_mm, abs=COLUMN_MM)
