"""The needle stage on real recordings that are not part of the project."""

import json
import math

import cv2
import numpy as np
import pytest

from real_clips import CLIPS, opened
from usguide.ingest.clip import Clip
from usguide.model import FasciaResult, NeedleTrack, Status
from usguide.needle import NeedleStage

pytestmark = pytest.mark.clips


def follow(case: str) -> tuple[NeedleTrack, np.ndarray, np.ndarray]:
    folder = CLIPS / case
    path = next(folder.glob("clip.*"), folder / "frames")
    clip = opened(str(path.relative_to(CLIPS)))
    truth = json.loads((folder / "case.json").read_text(encoding="utf-8")).get("frames")
    ends = np.full((2, clip.header.frames, 2), np.nan)
    if isinstance(truth, dict):
        for k, name in enumerate(clip.header.source_names):
            marked = truth.get(name)
            if marked and marked.get("tip_px"):
                ends[0, k], ends[1, k] = marked["tip_px"], marked["tail_px"]
    return tracked(clip), ends[0], ends[1]


def tracked(clip: Clip) -> NeedleTrack:
    stage = NeedleStage(clip.header)
    for index, frame in clip.frames():
        stage.observe(index, frame)
    return stage.conclude(clip, FasciaResult(Status.NONE_FOUND, ""))


def shown(case: str, power: float, step: int) -> Clip:
    """A recording through another grey curve; if ``step`` is -1 mirrored and backwards in time."""
    folder = CLIPS / case
    clip = opened(str(next(folder.glob("clip.*"), folder / "frames").relative_to(CLIPS)))
    greys = np.rint(255 * (np.arange(256) / 255) ** power).astype(np.uint8)
    frames = [greys[cv2.resize(f, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)]
              for _, f in clip.frames()]  # fmt: skip
    return Clip.from_array(np.stack(frames)[::step, :, ::step], fps=25.0)


def test_block_line_and_tip() -> None:
    track, tip, tail = follow("needle_block")
    assert np.mean(np.linalg.norm(track.tip_px - tip, axis=1) < 15) >= 0.9
    along = tip - tail
    truth_deg = np.degrees(np.arctan2(along[:, 1], along[:, 0]))
    turn = np.abs((track.shaft_angle_deg - truth_deg + 90) % 180 - 90)
    assert np.nanmax(turn) < 2
    middle = 0.5 * (tip + tail) - track.tip_px
    radians = np.radians(track.shaft_angle_deg)
    offset = np.abs(middle[:, 1] * np.cos(radians) - middle[:, 0] * np.sin(radians))
    assert np.nanmax(offset) < 5


@pytest.mark.parametrize("number", ["01", "04", "05", "07", "08", "12"])
def test_convex_tips(number: str) -> None:
    track, tip, _ = follow(f"needle_convex_{number}")
    assert np.mean(np.linalg.norm(track.tip_px - tip, axis=1) < 10) >= 0.45


def test_the_cross_section_is_followed_out_of_plane() -> None:
    track, _, _ = follow("needle_outofplane_horizontal")
    assert track.status is Status.MEASURED
    case = json.loads((CLIPS / "needle_outofplane_horizontal" / "case.json").read_text())
    sensor = np.array([row or [math.nan] * 2 for row in case["sensor_mm"]], dtype=np.float64)
    error = track.tip_px * np.array(case["mm_per_px"]) - sensor[: len(track.tip_px)]
    error -= np.nanmedian(error, axis=0)
    # The echo and the sensor drift apart linearly along the path; the target is 0.7.
    assert np.nanmean(np.linalg.norm(error, axis=1)) < 1.0


@pytest.mark.parametrize(
    "case", ["muscle_isokinetic030_01_push_01", "muscle_calf_ge_0", "thickness_range_of_motion"]
)
def test_muscle_without_a_needle(case: str) -> None:
    track, _, _ = follow(case)
    assert track.status is Status.NONE_FOUND
    assert track.frames_visible == 0


def test_the_bone_is_never_taken_for_the_needle() -> None:
    track, _, _ = follow("needle_inplane_tissue")
    seen = track.tip_visible
    assert (track.tip_px[seen, 1] < 0.45 * 860).all()


def test_a_shaft_withdrawn_slowly_through_bright_tissue_is_followed() -> None:
    track, _, _ = follow("needle_inplane_tissue")
    assert track.status is Status.MEASURED
    seen = np.flatnonzero(track.tip_visible)
    assert len(seen) > 0.95 * 219  # the other frames are repeats
    assert (np.abs(track.shaft_angle_deg[seen] + 15) < 3).all()
    # By eye the shaft passes (750, 115) px from the first frame to the last.
    slope = np.tan(np.radians(track.shaft_angle_deg[seen]))
    there = track.tip_px[seen, 1] + (750 - track.tip_px[seen, 0]) * slope
    assert (np.abs(there - 115) < 15).all()
    # Its end by eye, before it moves out and near the end of the clip; 85 px are 3 mm.
    assert np.nanmedian(track.tip_px[60:160, 0]) == pytest.approx(510, abs=85)
    assert np.nanmedian(track.tip_px[380:420, 0]) == pytest.approx(705, abs=40)


@pytest.mark.parametrize(("power", "step"), [(0.75, 1), (1.4, 1), (1.0, -1), (1.3, -1)])
def test_a_slow_shaft_is_found_however_the_picture_is_shown(power: float, step: int) -> None:
    clip = shown("needle_inplane_tissue", power, step)
    track = tracked(clip)
    assert track.status is Status.MEASURED
    seen = np.flatnonzero(track.tip_visible)
    assert len(seen) > 0.95 * 219
    assert (np.abs(track.shaft_angle_deg[seen] + step * 15) < 3).all()
    assert (track.tip_px[seen, 1] < 0.45 * 430).all()


@pytest.mark.parametrize(("power", "step"), [(0.75, 1), (1.4, 1), (1.0, -1)])
def test_a_shaft_that_drags_tissue_is_found_however_the_picture_is_shown(
    power: float, step: int
) -> None:
    track = tracked(shown("needle_block", power, step))
    assert track.status is Status.MEASURED
    assert track.tip_visible.mean() > 0.9
