"""The heel bone over a shadow that is not black, and bright lines that are none."""

import cv2
import numpy as np
import pytest

from usguide.fascia import FasciaStage
from usguide.fascia.bone_odds import MODEL, Profile, evidence, line_odds
from usguide.fascia.calcaneus import find_calcaneus
from usguide.fascia.front_edge import front_edges
from usguide.ingest.clip import Clip
from usguide.model import Status
from usguide.synth import make_scene

PIXEL_MM = 0.1
X = np.arange(20.0, 150.0)
FRAME_DB = 60.0
"""Dynamic range taken for the pictures' grey levels."""
SEEDS = (60001, 60006, 60012, 60016)


def measure(frames, spacing_mm):
    clip = Clip.from_array(frames, spacing_mm=spacing_mm)
    stage = FasciaStage(clip.header)
    for index, frame in clip.frames():
        stage.observe(index, frame)
    return stage.conclude()


def bone_row(truth, spacing_mm, width):
    """Row of the bone in every column, and which columns it shades."""
    line = np.array(truth["bone_px"])
    line = line[np.argsort(line[:, 0])]
    columns = np.arange(width)
    past = columns - truth["insertion_px"][0]
    past = (-past if truth["side"] == "right" else past) * spacing_mm[0]
    row = np.interp(columns, *line.T) + np.maximum(past, 0.0) * 0.9 / spacing_mm[1]
    return row, past < 2.5


def added(frame, echo):
    """Add an echo, an amplitude, to a frame."""
    own = 10.0 ** (frame * FRAME_DB / 255 / 20)
    level_db = 20 * np.log10(np.hypot(own, echo))
    return np.clip(np.rint(level_db * 255 / FRAME_DB), 0, 255).astype(np.uint8)


def with_haze(frame, truth, spacing_mm, below_fat_db):
    """Fill the shadow with speckle, so many dB below the fat over the bone."""
    row, shaded = bone_row(truth, spacing_mm, frame.shape[1])
    down_mm = (np.arange(len(frame))[:, None] - row) * spacing_mm[1]
    fat = np.median(frame[(down_mm > -4) & (down_mm < -1) & shaded])
    rng = np.random.default_rng(1)
    grain = np.array([0.2, 0.6]) / spacing_mm[::-1]
    parts = [
        cv2.GaussianBlur(rng.standard_normal(frame.shape), (0, 0), grain[1], sigmaY=grain[0])
        for _ in range(2)
    ]
    speckle = np.hypot(*parts)
    speckle *= 10 ** ((fat * FRAME_DB / 255 - below_fat_db) / 20) / np.sqrt((speckle**2).mean())
    return added(frame, speckle * shaded * np.clip((down_mm - 0.7) / 0.6, 0, 1))


def with_copies(frame, truth, spacing_mm, weaker_db, apart_mm):
    """Repeat the bone's echo beneath it, each copy so many dB weaker than the last."""
    row, shaded = bone_row(truth, spacing_mm, frame.shape[1])
    columns = np.flatnonzero(shaded)
    echo = np.zeros(frame.shape)
    around = np.arange(-round(0.6 / spacing_mm[1]), round(0.6 / spacing_mm[1]) + 1)[:, None]
    own = np.rint(row[columns]).astype(int) + around
    amplitude = 10.0 ** (frame[np.clip(own, 0, len(frame) - 1), columns] * FRAME_DB / 255 / 20)
    for order in (1, 2, 3):
        at = own + round(order * apart_mm / spacing_mm[1])
        inside = (at >= 0) & (at < len(frame))
        copied = amplitude * 10 ** (-weaker_db * order / 20)
        echo[at[inside], np.broadcast_to(columns, at.shape)[inside]] += copied[inside]
    return added(frame, echo)


SHADOWS = {
    "faint haze": lambda *heel: with_haze(*heel, 14.0),
    "grey haze": lambda *heel: with_haze(*heel, 10.0),
    "copies": lambda *heel: with_copies(*heel, 8.0, 4.0),
}


@pytest.fixture(scope="module", params=SEEDS)
def heel(request):
    scene = make_scene("heel", seed=request.param, frames=1)
    return scene, scene.array()[0]


@pytest.mark.parametrize("shadow", SHADOWS)
def test_a_heel_over_a_grey_shadow_is_measured(heel, shadow):
    scene, frame = heel
    truth = scene.truth["fascia"]
    result = measure(SHADOWS[shadow](frame, truth, scene.spacing_mm)[None], scene.spacing_mm)
    assert result.status is Status.MEASURED
    assert result.side.value == truth["side"]
    away = np.subtract(result.insertion_px, truth["insertion_px"]) * scene.spacing_mm
    assert np.hypot(*away) < 2.0
    true = {one["distance_mm"]: one["value"] for one in truth["thickness_mm"]["stations"]}
    for one in result.thickness_mm.stations:
        assert one.thickness.low <= true[one.distance_mm] <= one.thickness.high


@pytest.mark.parametrize("seed", [7300, 7318, 61017, 61024, 61043, 61056])
def test_a_bright_aponeurosis_over_a_dark_muscle_is_no_bone(seed):
    """Each of these was taken for a heel while only the darkness beneath the line was asked for."""
    scene = make_scene("muscle", seed=seed, frames=1)
    result = measure(scene.array(), scene.spacing_mm)
    assert result.status is Status.NONE_FOUND
    assert result.thickness_mm is None


def test_the_bright_wall_of_a_phantom_is_no_bone():
    """It lies along the lower edge of a fan, with black beneath it."""
    scene = make_scene("phantom", seed=66009, frames=6, geometry="convex")
    assert measure(scene.array(), scene.spacing_mm).status is Status.NONE_FOUND


def picture(row, beneath=0.0, drawn_on=False, ahead=0.3):
    """A bright line along rows at ``X``, tissue over it and before it, and what lies beneath."""
    rows = np.arange(300)[:, None]
    columns = np.arange(300)
    fall = (row[-1] - row[-20]) / 19
    line = np.interp(columns, X, row) + fall * np.maximum(columns - X[-1], 0)
    shown = (columns <= X[-1]) | drawn_on
    under = (rows > line) & (columns <= X[-1])
    ground = np.where(rows > line, np.where(under, beneath, ahead), 0.4)
    bright = np.exp(-0.5 * ((rows - line) / 2.0) ** 2) * shown
    return np.maximum(ground, bright).astype(np.float32)


CONVEX = 100.0 + 20.0 * np.clip((X - 80.0) / 70.0, 0.0, None) ** 2
STRAIGHT = 100.0 + 0.1 * (X - X[0])


def odds_of(levels, row):
    return line_odds(levels, Profile.of(levels, X, row, PIXEL_MM), PIXEL_MM)


def test_a_convex_line_over_a_shadow_is_likelier_bone_than_a_straight_one():
    convex, straight = (odds_of(picture(row), row) for row in (CONVEX, STRAIGHT))
    assert convex > 3.0
    assert convex > straight + 2.0


@pytest.mark.parametrize("shadow", [0.0, 0.15])
def test_a_straight_line_that_runs_on_is_no_bone_even_over_a_dark_muscle(shadow):
    levels = picture(STRAIGHT, beneath=shadow, drawn_on=True, ahead=shadow)
    assert odds_of(levels, STRAIGHT) < 0.0


def test_the_greyer_the_shadow_the_less_likely_is_a_bone():
    odds = [odds_of(picture(CONVEX, beneath=level), CONVEX) for level in (0.0, 0.1, 0.2, 0.4)]
    assert (np.diff(odds) < 0).all()
    assert odds[1] > 0.0


@pytest.mark.parametrize("first", [0, 100, 290])
def test_what_lies_outside_the_picture_is_no_evidence(first):
    """The line may end at any of the picture's margins."""
    levels = picture(CONVEX)
    x = np.arange(first, first + 10.0)
    for row in (np.full(10, 3.0), np.full(10, 296.0)):
        measured = evidence(levels, Profile.of(levels, x, row, PIXEL_MM), PIXEL_MM)
        assert measured.shape == (len(MODEL.terms),)
        assert np.isfinite(measured).all()


@pytest.mark.parametrize("end", [0, 40, 129])
def test_a_line_that_ends_sooner_is_what_would_be_measured_of_it_alone(end):
    levels = picture(CONVEX, beneath=0.2)
    profile = Profile.of(levels, X, CONVEX, PIXEL_MM).until(end)
    alone = Profile.of(levels, X[: end + 1], CONVEX[: end + 1], PIXEL_MM)
    for name in ("x", "y", "line", "beneath", "strongest"):
        np.testing.assert_allclose(getattr(profile, name), getattr(alone, name), rtol=1e-5)


def drawn_on(slope):
    """The course of a level bone of 80 columns, drawn on from there at a slope."""
    return 100.0 + slope * np.maximum(X - 99.0, 0.0)


@pytest.mark.parametrize("slope", [-0.3, 0.0, 0.5])
def test_a_line_may_end_anywhere_before_its_own_end(slope):
    ends = front_edges(X, drawn_on(slope), PIXEL_MM)
    assert ends[0] == np.max(ends)
    assert np.abs(X[ends] - 99.0).min() <= 10.0


def test_a_line_that_came_down_the_front_wall_ends_before_it():
    ends = front_edges(X, drawn_on(1.0), PIXEL_MM)
    assert np.max(X[ends]) == pytest.approx(99.0, abs=12.0)


def test_a_wall_that_rises_to_its_end_is_no_heel():
    """A line as steep as a front wall, over a shadow, with room before its upper end."""
    row = 180.0 - 0.5 * (X - X[0])
    levels = picture(row)
    found = find_calcaneus(levels, np.ones(levels.shape, bool), PIXEL_MM)
    assert isinstance(found, str) or all(
        np.ptp(bone.y) / np.ptp(bone.x) < np.tan(np.radians(23.0)) for bone in found
    )


@pytest.mark.parametrize("brightness", [0.4, 1.4])
def test_a_fainter_line_at_twice_the_depth_of_a_bone_is_its_copy(brightness):
    row = CONVEX + 40.0
    levels = 0.7 * picture(row)
    rows, columns = np.arange(300)[:, None], np.arange(300)
    over = np.interp(columns, X, row / 2)
    bright = brightness * np.exp(-0.5 * ((rows - over) / 2.0) ** 2) * (columns <= X[-1])
    levels = np.maximum(levels, bright).astype(np.float32)
    found = find_calcaneus(levels, np.ones(levels.shape, bool), PIXEL_MM)
    lower = [] if isinstance(found, str) else [bone for bone in found if bone.y.mean() > 120]
    assert bool(lower) == (brightness < 0.7)


def found_edges(levels):
    found = find_calcaneus(levels, np.ones(levels.shape, bool), PIXEL_MM)
    return [] if isinstance(found, str) else [bone.edge for bone in found]


def test_the_bone_is_found_over_a_copy_that_is_clearer():
    """The copy lies over black, the bone over mirrored tissue that the copy ends."""
    rng = np.random.default_rng(0)
    rows, columns = np.arange(300)[:, None], np.arange(300)
    line = np.interp(columns, X, CONVEX)
    own, copied = (np.exp(-0.5 * ((rows - at) / 2.0) ** 2) for at in (line, 2.0 * line))
    mirrored = 0.3 * rng.rayleigh(1.0, (300, 300)) * (rows > line) * (rows < 2.0 * line)
    grain = cv2.GaussianBlur(rng.standard_normal((300, 300)), (0, 0), 4.0)
    ground = np.where(rows > line, np.where(columns > X[-1], 0.4, 0.0), 0.6 + 0.5 * grain)
    within = (columns >= X[0]) & (columns <= X[-1])
    levels = ground + within * (cv2.GaussianBlur(mirrored, (0, 0), 1.5) + own + 0.8 * copied)
    edges = found_edges(levels.astype(np.float32))
    assert edges
    assert all(y < 160 for _, y in edges)


@pytest.mark.parametrize("shadow", [0.1, 0.2])
def test_a_bone_whose_line_runs_on_into_the_tissue_ends_where_its_shadow_does(shadow):
    """Before its edge the line runs on as bright, up through tissue of one level."""
    columns, rows = np.arange(420.0), np.arange(300)[:, None]
    edge = 270
    bone = 130.0 + 25.0 * np.clip((columns - 200.0) / 70.0, 0.0, None) ** 2
    line = np.where(columns > edge, bone[edge] - 0.3 * (columns - edge), bone)
    ground = np.where(rows > line, np.where(columns <= edge, shadow, 0.4), 0.5)
    bright = np.exp(-0.5 * ((rows - line) / 2.0) ** 2) * ((columns >= 150) & (columns <= 330))
    edges = found_edges(np.maximum(ground, bright).astype(np.float32))
    assert edges
    assert edges[0] == pytest.approx((edge, bone[edge]), abs=10.0)


@pytest.mark.parametrize(("deeper_mm", "found"), [(20.0, True), (35.0, False)])
def test_a_line_far_deeper_than_any_heel_s_fat_pad_is_no_heel_bone(deeper_mm, found):
    levels = np.pad(picture(CONVEX), ((round(deeper_mm / PIXEL_MM), 100), (0, 0)), "edge")
    assert bool(found_edges(levels)) is found
