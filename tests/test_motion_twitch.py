"""Local twitches: found beside a moving needle, measured from close by, and not made up."""

from functools import cache

import cv2
import numpy as np
import pytest

from motion_scenes import NO_NEEDLE, concluded, recorded
from usguide.ingest.clip import Clip
from usguide.model import NeedlePass, NeedleTrack, Status, Twitch
from usguide.motion import looks
from usguide.motion import twitch as twitches
from usguide.motion.close_up import Window, follow
from usguide.motion.drag import SETTLING_S, near_needle, settling, stuck
from usguide.motion.history import Motion
from usguide.motion.twitch import elicited

NEEDLING = {"frames": 70, "fps": 30, "width_px": 480, "height_px": 400, "drift_mm": 0.5}
LARGE = {"twitches": 1, "twitch_mm": 2.5, "twitch_s": 0.3}


@cache
def needling(seed, followed=True, spacing=True, **parameters):
    return analysed(seed, followed, spacing, **parameters)


def analysed(seed, followed=True, spacing=True, **parameters):
    scene = recorded(seed, "needling", **(NEEDLING | parameters))
    truth = scene.truth["needle"]

    def points(key):
        return np.array([[np.nan] * 2 if p is None else p for p in truth[key]], float)

    depth = np.array([np.nan if d is None else d for d in truth["depth_mm"]], float)
    needle = NeedleTrack(
        Status.MEASURED,
        "given.",
        tip_px=points("tip_px"),
        tail_px=points("tail_px"),
        insertion_depth_px=depth / scene.scene.spacing_mm[0],
    )
    result = concluded(
        scene.frames,
        needle=needle if followed else NO_NEEDLE,
        spacing=scene.scene.spacing_mm if spacing else None,
        fps=scene.scene.fps,
    )
    return scene, result


def test_a_twitch_is_found_while_the_needle_moves_and_none_without():
    scene, result = needling(2, **LARGE)
    (truth,) = scene.truth["twitches"]
    (twitch,) = result.twitches
    assert twitch.start_s == pytest.approx(truth["start_s"], abs=0.1)
    assert twitch.end_s == pytest.approx(truth["end_s"], abs=0.12)
    away = np.subtract(twitch.centre_px, truth["centre_px"]) * scene.scene.spacing_mm[0]
    assert np.hypot(*away) < 3
    assert 0.6 < twitch.peak_mm / abs(truth["peak_mm"]) <= 1.1
    assert twitch.peak_velocity_mm_s <= truth["peak_velocity_mm_s"] * 1.2
    assert result.twitches_reason == ""
    assert needling(2, twitches=0)[1].twitches == ()
    assert needling(2, twitches=0)[1].twitches_reason == ""


def test_without_a_scale_a_twitch_has_a_place_and_no_millimetres():
    scene, result = needling(2, spacing=False, **LARGE)
    (twitch,) = result.twitches
    (truth,) = scene.truth["twitches"]
    assert twitch.peak_mm is None
    assert twitch.peak_velocity_mm_s is None
    assert np.hypot(*np.subtract(twitch.centre_px, truth["centre_px"])) < 40


def test_a_twitch_without_a_followed_needle_is_less_sure():
    (followed,) = needling(2, **LARGE)[1].twitches
    scene, result = needling(2, followed=False, **LARGE)
    (truth,) = scene.truth["twitches"]
    near = [one for one in result.twitches if abs(one.start_s - truth["start_s"]) < 0.1]
    assert len(near) == 1
    assert near[0].confidence < 0.65 < followed.confidence
    assert all(one.confidence <= twitches.SHARE_ALONE for one in result.twitches)
    assert all(one.needle_pass is None for one in result.twitches)


@pytest.mark.parametrize(
    ("fps", "frames", "said"),
    [(None, 40, "no timing"), (30.0, 5, "has 5 different frames"), (5.0, 40, "every 0.2 s")],
)
def test_what_no_twitch_can_be_told_in_is_said(fps, frames, said):
    clip = Clip.from_array(np.zeros((frames, 64, 64), np.uint8), fps=fps)
    still = np.zeros((frames, 1, 1), np.float32)
    per_frame = np.zeros(frames)
    motion = Motion(
        np.arange(frames), still[..., None].repeat(2, -1), still, per_frame, per_frame > 0,
        np.zeros((frames, 2)), np.zeros(1), np.zeros(1),
    )  # fmt: skip
    assert said in twitches.why_not_looked_for(motion, clip.header)


def test_a_clip_looked_at_in_stretches_shows_the_same_twitch_once(monkeypatch):
    (whole,) = needling(2, **LARGE)[1].twitches
    monkeypatch.setattr(looks, "AT_ONCE", 50)
    (parted,) = analysed(2, **LARGE)[1].twitches
    assert parted.start_s == pytest.approx(whole.start_s, abs=0.1)
    assert np.hypot(*np.subtract(parted.centre_px, whole.centre_px)) < 15


def test_stretches_cover_the_clip_and_overlap(monkeypatch):
    monkeypatch.setattr(looks, "AT_ONCE", 100)
    stretches = looks._stretches(250, 30)
    assert stretches == [slice(0, 83), slice(53, 166), slice(136, 250)]


def bulged(texture, amount):
    """The texture with its middle pulled to the right by so many px at the centre."""
    rows, columns = texture.shape
    x, y = np.meshgrid(np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32))
    bump = np.exp(-0.5 * (((x - 80) / 30) ** 2 + ((y - 60) / 14) ** 2))
    return cv2.remap(texture, x - np.float32(amount) * bump.astype(np.float32), y, cv2.INTER_LINEAR)


def test_a_close_look_follows_a_burst_that_blocks_cannot():
    noise = np.random.default_rng(3).normal(size=(120, 160)).astype(np.float32)
    texture = cv2.GaussianBlur(noise, (0, 0), 2.0)
    texture = np.clip(127 + 300 * texture, 0, 255).astype(np.uint8)
    course = np.array([0, 0, 6, 14, 18, 14, 9, 4, 0, 0], float)
    window = Window(100, 50, 260, 170)
    seen = follow(window, [bulged(texture, amount) for amount in course])
    i, j = np.unravel_index(
        np.linalg.norm(seen.points_px - [180, 110], axis=-1).argmin(), seen.likeness.shape
    )
    moved = seen.displacement_px[:, i, j, 0]
    assert np.abs(moved - course).max() < 0.2 * course.max()
    assert seen.likeness[i, j] > 0.95
    assert seen.missed_px[i, j] < 2


def test_tissue_that_came_back_as_another_does_not_look_alike():
    random = np.random.default_rng(4)
    first, last = (
        cv2.GaussianBlur(
            random.normal(127, 120, (90, 120)).clip(0, 255).astype(np.uint8), (0, 0), 2
        )
        for _ in range(2)
    )
    seen = follow(Window(0, 0, 120, 90), [first, last])
    assert np.median(seen.likeness) < twitches.MIN_LIKENESS


def test_a_window_stays_inside_the_region_and_keeps_a_working_size():
    window = Window.around(5, 390, (30, 20), 480, 400)
    assert (window.x0, window.y0, window.x1, window.y1) == (0, 370, 36, 400)
    assert min(window.cut(np.zeros((400, 480), np.uint8)).shape) >= 32


def header():
    return Clip.from_array(np.zeros((9, 100, 100), np.uint8), spacing_mm=(0.5, 0.5), fps=4).header


def test_points_within_the_margin_of_the_shaft_are_near_it_also_while_it_is_not_seen():
    tip = np.full((9, 2), np.nan)
    tail = np.full((9, 2), np.nan)
    tip[4], tail[4] = (50, 50), (20, 20)
    needle = NeedleTrack(Status.MEASURED, "given.", tip_px=tip, tail_px=tail)
    points = np.array([[50.0, 50.0], [35.0, 38.0], [60.0, 60.0], [10.0, 80.0]])
    near = near_needle(points, np.arange(9), needle, header())
    assert (near == [True, True, False, False]).all()
    assert not near_needle(points, np.arange(9), NO_NEEDLE, header()).any()


def test_what_the_needle_leaves_stays_masked_while_tissue_settles():
    near = np.zeros((9, 1), np.bool_)
    near[4] = True
    step_s = SETTLING_S / 2
    assert settling(near, step_s)[:, 0].tolist() == [False, False, *[True] * 5, False, False]


def test_tissue_sticks_and_slips():
    assert stuck(np.array([0.0, 1.0, 3.0, 2.0, 2.5]), 1.5).tolist() == [0.0, 1.0, 1.5, 0.5, 1.0]


@pytest.mark.parametrize(
    ("start_s", "number"),
    [(0.5, None), (1.2, 1), (2.05, 1), (2.5, None), (3.1, 2), (9.0, None)],
    ids=["before", "in the first", "right after it", "between", "in the second", "long after"],
)
def test_a_twitch_names_the_pass_it_began_in(start_s, number):
    passes = tuple(
        NeedlePass(0, 1, 2, start, start + 0.4, start + 1.0, 8.0, 80.0) for start in (1.0, 3.0)
    )
    twitch = Twitch(start_s, start_s + 0.3, 1.5, 20.0, (10.0, 10.0), 0.9)
    assert elicited(twitch, passes).needle_pass == number
    assert elicited(twitch, ()) == twitch
