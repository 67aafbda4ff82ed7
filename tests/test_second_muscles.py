"""The second simulator's muscles: how they move and tear, their truth, and how they are judged."""

import ast
import dataclasses
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from second_clips import run_again
from usguide.model import Collection

sys.path.insert(0, str(Path(__file__).parents[1]))  # the benchmark is not part of the package

from benchmarks import (
    second_contracting,
    second_muscle_drawing,
    second_muscle_scene,
    second_muscle_truth,
    second_muscles,
    second_scanner,
)
from benchmarks.second_muscle_scene import KINDS, Belly, Pull, Tear

X = np.arange(-40.0, 40.0, 0.1)
BELLY = Belly(X, np.full(len(X), 8.0), np.full(len(X), 20.0), (0.5, 0.5), 0.3)
PULL = Pull(
    slide_mm=6.0,
    superficial=0.2,
    shortening=0.0,
    pivot_mm=0.0,
    thickening=0.1,
    lift_mm=0.0,
    below=0.3,
    reach_mm=3.0,
    give_mm=10.0,
)
TEAR = Tear(
    x=2.0,
    lean=0.0,
    begin=0.0,
    end=1.0,
    sheaths=False,
    rest_mm=0.0,
    peak_mm=5.0,
    order=1.0,
    pulled=0.4,
    decay_mm=(20.0, 20.0),
    ragged=np.zeros(41),
    filler_db=-15.0,
    lumps_db=0.0,
)
OPEN_SEED = 3
"""A complete tear that is closed at rest."""


def column(*depths, x=2.0):
    return np.array([[x, z] for z in depths])


def test_even_and_odd_seeds_have_every_kind():
    kinds = [second_muscle_scene.KINDS[seed // 2 % len(KINDS)] for seed in range(2 * len(KINDS))]
    assert kinds[::2] == kinds[1::2] == list(KINDS)


def test_the_belly_slides_shears_and_thickens():
    """The deep edge by the slide, the superficial one by its share; lower layers give way."""
    moved = second_muscle_scene.pulled(BELLY, PULL, column(8.0, 14.0, 20.0, 60.0))
    np.testing.assert_allclose(moved[:3, 0], [1.2, 3.6, 6.0], atol=1e-9)
    np.testing.assert_allclose(moved[:3, 1], [0, 0.6, 1.2], atol=1e-9)
    assert moved[3, 0] == pytest.approx(0.3 * 6, abs=1e-3)
    assert abs(moved[3, 1]) < 0.03


def test_a_sloping_belly_slides_along_itself():
    slope = np.tan(0.2)
    belly = dataclasses.replace(BELLY, top=8 + slope * X, bottom=20 + slope * X)
    pull = dataclasses.replace(PULL, thickening=0.0)
    edge = np.stack([X, belly.bottom], axis=1)[100:-100]
    moved = edge + second_muscle_scene.pulled(belly, pull, edge)
    np.testing.assert_allclose(moved[:, 1], np.interp(moved[:, 0], X, belly.bottom), atol=1e-6)


def test_the_ends_of_a_tear_part_by_its_opening():
    """In opposite directions, less far away, and not in the aponeuroses that hold."""
    at = column(14.0)
    left, right = (
        second_muscle_scene.parted(BELLY, TEAR, at, np.array([side]))[0, 0] for side in (-1, 1)
    )
    assert (left, right) == pytest.approx((-0.4, 0.6))
    far = second_muscle_scene.parted(BELLY, TEAR, at - [20, 0], np.array([-1]))[0, 0]
    assert far == pytest.approx(-0.4 * np.exp(-1))
    for depth in (7.0, 8.0, 20.0, 22.0):
        assert not second_muscle_scene.parted(BELLY, TEAR, column(depth), np.array([1])).any()
    torn = dataclasses.replace(TEAR, sheaths=True)
    assert torn.width(np.array([0.0, 1.0]), np.full(2, 12.0)) == pytest.approx([1, 1])


def test_a_partial_tear_ends_round_in_the_muscle():
    partial = dataclasses.replace(TEAR, begin=0.0, end=0.5)
    width = partial.width(np.linspace(0, 1, 101), np.full(101, 12.0))
    assert width[:8].min() == 0
    assert width[8:26].min() == 1
    assert np.all(np.diff(width[25:51]) <= 0)
    assert not width[50:].any()


def test_the_gap_is_measured_normal_to_its_line():
    """The middle half counts, and a gap that leans is narrower than along the picture."""
    share = np.linspace(0, 1, 121)
    left = np.stack([12 * share, 8 + 12 * share], axis=1)
    assert second_muscle_truth.gap_width(left, left + np.array([4, 0])) == pytest.approx(
        4 * np.sqrt(0.5)
    )
    upright = np.stack([0 * share, 8 + 12 * share], axis=1)
    bulge = np.where(np.abs(share - 0.5) > 0.3, 9.0, 3.0)
    wide = upright + np.stack([bulge, 0 * share], axis=1)
    assert second_muscle_truth.gap_width(upright, wide) == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize("seed", range(0, 80, 2))
def test_cycles_are_where_the_activation_is(seed):
    """It rests where they start and end, and is at its level at the peak; the rest are cut."""
    random = np.random.default_rng(seed)
    kind = KINDS[seed // 2 % len(KINDS)]
    time, activation, fps, cycles, cut = second_muscle_drawing.draw_activation(random, kind)
    assert 70 <= len(time) <= 120
    assert 15 <= fps <= 60
    if kind in second_muscle_scene.STILL:
        assert not activation.any()
        return
    assert activation.max() == pytest.approx(1, abs=0.1)
    before = 0.0
    for each in cycles:
        moments = [each[name] for name in ("start_s", "peak_s", "end_s")]
        assert before <= moments[0] <= moments[1] <= moments[2] <= time[-1]
        start, peak, end = np.interp(moments, time, activation)
        assert max(start, end) < 0.12
        assert peak == pytest.approx(each["level"], abs=0.1)
        before = moments[2]
    assert cut == int(activation[0] > 0.5) + int(activation[-1] > 0.5)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A rendered torn muscle: its folder, truth and frames."""
    folder = tmp_path_factory.mktemp("muscles")
    truth = second_muscles.clip_of(OPEN_SEED, folder)[1]
    frames, again, _ = second_contracting.render(OPEN_SEED)
    assert {k: v for k, v in truth.items() if k != "file"} == again
    return folder, truth, frames


def test_the_gap_is_dark_where_the_truth_says(clip):
    """Darker than the muscle on both sides in the contraction, and as wide as stated."""
    _, truth, frames = clip
    true = truth["contraction"]["separation"]
    scene = second_muscle_drawing.draw_scene(OPEN_SEED)
    grid, size = second_scanner.pixels(scene.probe, scene.settings)
    frame = true["peak_frame"]
    left, right = second_muscle_truth.gap(scene, frame)
    assert second_muscle_truth.gap_width(left, right) == true["gap_peak_mm"]
    assert true["widening_mm"] > 1
    grey = []
    for across in (-0.5, 0.5, 1.5):
        place = (left + across * (right - left) - grid[0, 0]) / size
        x, y = np.rint(place[30:-30]).astype(int).T
        grey.append(frames[frame][y, x].mean())
    assert grey[1] < min(grey[0], grey[2]) - 15


def test_the_picture_moves_as_the_truth_says(clip):
    """A piece of a muscle in a frame is found again where the scatterers have gone."""
    _, _, frames = clip
    scene = second_muscle_drawing.draw_scene(OPEN_SEED)
    grid, size = second_scanner.pixels(scene.probe, scene.settings)
    centre = np.array([[0.4 * scene.probe.half_mm, 0.0], [-0.5 * scene.probe.half_mm, 0.0]])
    for k in (0, 1):
        edges = [np.interp(centre[k, 0], scene.belly.x, e)
                 for e in (scene.belly.top, scene.belly.bottom)]  # fmt: skip
        centre[k, 1] = np.mean(edges)
    way = second_muscle_scene.moving(scene, centre)
    moving = np.abs(np.diff(scene.activation)).argsort()[-8:]
    missed = []
    for frame in moving:
        now, after = (
            (second_muscle_scene.shown(scene, centre + way.at(k), k) - grid[0, 0]) / size
            for k in (frame, frame + 1)
        )
        for here, there in zip(now, after, strict=True):
            x, y = np.rint(here).astype(int)
            piece = frames[frame][y - 12 : y + 13, x - 16 : x + 17]
            around = frames[frame + 1][y - 24 : y + 25, x - 36 : x + 37]
            match = cv2.matchTemplate(around, piece, cv2.TM_CCOEFF_NORMED)
            best = np.array(cv2.minMaxLoc(match)[3]) - [20, 12]
            missed.append(np.linalg.norm((best - (there - here)) * size))
    assert np.median(missed) < 0.25


def test_the_aponeurosis_is_bright_below_the_true_edge(clip):
    _, truth, frames = clip
    muscle = truth["muscle"]
    x = np.rint(muscle["x_px"]).astype(int)
    size = truth["calibration"]["mm_per_px"][0]
    for frame in (0, truth["contraction"]["separation"]["peak_frame"]):
        deep = np.array(muscle["deep_y_px"][frame])
        below, above = (
            np.mean([frames[frame][np.rint(deep + far / size).astype(int), x] for far in ways])
            for ways in ((0.1, 0.2, 0.3), (-2.0, -1.5, -1.0))
        )
        assert below > above + 20


def test_blood_is_as_bright_however_wide_the_gap_is():
    """What fills it lies closer in a narrow one, and echoes less by the root of its width."""
    scene = second_muscle_drawing.draw_scene(OPEN_SEED)
    fill, _ = second_contracting.filling(np.random.default_rng(0), scene)
    rest, peak = (
        second_contracting.opened(scene, fill, k)
        for k in (int(np.argmin(scene.activation)), int(np.argmax(scene.activation)))
    )
    opening = scene.tear.opening(np.array([0.0, scene.activation.max()]))
    inside = peak > 0
    assert inside.any()
    ratio = (rest[inside] / peak[inside]) ** 2
    np.testing.assert_allclose(ratio, opening[0] / opening[1], rtol=0.05, atol=0.01)


def test_a_clip_is_kept_and_reported_on(clip, capsys, monkeypatch):
    folder, _, _ = clip
    said = run_again(second_muscles, f"{OPEN_SEED}:{OPEN_SEED}", folder, monkeypatch, capsys)
    assert said.err.startswith(f"{OPEN_SEED} complete: ")
    assert "separations flagged (sensitivity)" in said.out


def test_collections_are_found_false_or_in_the_gap():
    outline = [[100.0, 50.0], [130.0, 50.0], [130.0, 90.0], [100.0, 90.0]]
    truth = {
        "calibration": {"mm_per_px": [0.1, 0.1]},
        "contraction": {
            "collections": [{"centre_px": [200.0, 80.0], "extent_mm": 12.0, "area_mm2": 50.0}],
            "separation": {"tear": "complete", "outline_px": outline},
        },
    }

    def claims(*places):
        return tuple(Collection(40.0, 9.0, place, 0.9) for place in places)

    assert second_muscles.collections_of(claims((215.0, 80.0)), truth) == (1, 1, 0)
    assert second_muscles.collections_of(claims((115.0, 70.0)), truth) == (0, 1, 0)
    assert second_muscles.collections_of(claims((30.0, 70.0), (260.0, 80.0)), truth) == (0, 1, 2)


def test_a_contraction_cut_by_the_end_of_the_clip_may_be_told_or_not():
    one = second_muscles.Score(
        0, "whole", "none", "none", *[(np.nan, np.nan)] * 4, (2, 2, 1), 0.1,
        (np.nan, np.nan), (0, 0, 0), np.nan, (0, 0, 0), 3.0, "",
    )  # fmt: skip
    assert not one.wrong()
    assert dataclasses.replace(one, cycles=(3, 2, 1)).cycles_right
    for count in (1, 4):
        assert dataclasses.replace(one, cycles=(count, 2, 1)).wrong()
    flagged = dataclasses.replace(one, flag="separation", rest=(2.0, 0.0))
    assert flagged.wrong() == "separation for none; gap at rest off by +2.0 mm, outside"


def test_it_shares_nothing_with_what_it_checks():
    """Neither our own simulator nor a detector is used to draw and scan."""
    own = ("usguide",)
    drawn = (second_contracting, second_muscle_drawing, second_muscle_scene, second_muscle_truth)
    for module in drawn:
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        taken = [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
        taken += [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
        assert not [name for name in taken if any(part in name for part in own)]
