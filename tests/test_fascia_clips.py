"""The fascia stage on real recordings: one heel with a caliper, and everything that is no heel."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from usguide.fascia import FasciaStage
from usguide.ingest.clip import Clip
from usguide.model import Side, Status

CLIPS = Path(__file__).parents[1].parent / "shared" / "clips"

pytestmark = [
    pytest.mark.clips,
    pytest.mark.skipif(not CLIPS.exists(), reason=f"the recordings in {CLIPS} are not here"),
]

NOT_HEELS = (
    "aponeurosis_masks",
    "muscle_calf_ge_0",
    "muscle_isokinetic030_01_push_01",
    "muscle_isokinetic120_01_push_01",
    "muscle_isometric_max_01_push_01",
    "muscle_passive_ROM_01_push_01",
    "needle_block",
    "needle_convex_01",
    "needle_convex_04",
    "needle_convex_05",
    "needle_convex_07",
    "needle_convex_08",
    "needle_convex_12",
    "needle_inplane_tissue",
    "needle_outofplane_horizontal",
    "needle_steep",
    "thickness_range_of_motion",
)


def frames_of(case, count=12):
    """Return up to ``count`` frames of one size spread over a case, and what is known of it."""
    folder = CLIPS / case
    about = json.loads((folder / "case.json").read_text(encoding="utf-8"))
    images = sorted([*folder.glob("frames/*.png"), *folder.glob("image.*")])
    if images:
        chosen = np.unique(np.linspace(0, len(images) - 1, count).astype(int))
        frames = [cv2.imread(str(images[i]), cv2.IMREAD_GRAYSCALE) for i in chosen]
    else:
        video = cv2.VideoCapture(str(next(folder.glob("clip.*"))))
        frames = []
        while len(frames) < count and video.grab():
            _, frame = video.retrieve()
            frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY))
    frames = np.stack([frame for frame in frames if frame.shape == frames[0].shape])
    if region := about.get("region_xywh"):
        x, y, width, height = region
        frames = frames[:, y : y + height, x : x + width]
    return np.ascontiguousarray(frames), about


def measure(frames, spacing_mm):
    clip = Clip.from_array(frames, spacing_mm=spacing_mm)
    stage = FasciaStage(clip.header)
    for index, frame in clip.frames():
        stage.observe(index, frame)
    return stage.conclude()


def test_the_normal_fascia_agrees_with_the_clinics_caliper():
    frames, about = frames_of("fascia_normal")
    result = measure(frames, tuple(about["mm_per_px"]))
    assert result.status is Status.MEASURED
    assert result.side is Side.LEFT
    assert result.thickness_mm.insertion.value == pytest.approx(about["caliper"]["mm"], abs=0.4)
    origin = np.array(about["region_xywh"][:2])
    for border, end in ((result.superficial_px, "p1"), (result.deep_px, "p2")):
        nearest = np.linalg.norm(border + origin - about["caliper"][end], axis=1).min()
        assert nearest * about["mm_per_px"][0] < 0.6


def test_the_photograph_gets_no_millimetres():
    frames, _ = frames_of("fascia_fasciopathy_photo")
    result = measure(frames, None)
    assert result.thickness_mm is None
    assert result.category is None


@pytest.mark.parametrize("case", NOT_HEELS)
def test_what_is_no_heel_is_declined(case):
    frames, about = frames_of(case)
    spacing = about.get("mm_per_px")
    result = measure(frames, tuple(spacing) if spacing else None)
    assert result.status is Status.NONE_FOUND
    assert result.reason.startswith("this is not a long-axis view of a heel")
