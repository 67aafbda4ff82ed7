"""The motion stage as a whole: what it says of scenes with known truth, and of bad input."""

import numpy as np
import pytest

from usguide.ingest.clip import Clip
from usguide.model import MuscleResult, NeedleTrack, SeparationFlag, Status
from usguide.motion import MotionStage

NO_MUSCLE = MuscleResult(Status.NONE_FOUND, "not looked for.")
NO_NEEDLE = NeedleTrack(Status.NONE_FOUND, "not looked for.")


def concluded(frames, *, muscle=NO_MUSCLE, needle=NO_NEEDLE, spacing=(0.1, 0.1), fps=20.0):
    clip = Clip.from_array(np.asarray(frames, np.uint8), spacing_mm=spacing, fps=fps)
    stage = MotionStage(clip.header)
    for index, frame in clip.frames():
        stage.observe(index, frame)
    return stage.conclude(clip, muscle, needle)


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((0, 90, 120)),
        np.full((1, 90, 120), 80),
        np.zeros((8, 90, 120)),
        np.full((8, 90, 120), 255),
        np.full((8, 90, 3), 80),
        np.full((8, 2, 200), 80),
    ],
    ids=["none", "one", "black", "white", "narrow", "flat"],
)
@pytest.mark.parametrize("spacing", [None, (0.1, 0.1)])
@pytest.mark.parametrize("fps", [None, 20.0])
def test_nothing_to_see_is_said_and_not_raised(frames, spacing, fps):
    result = concluded(frames, spacing=spacing, fps=fps)
    assert result.contraction.status in {Status.NONE_FOUND, Status.NOT_MEASURED}
    assert result.contraction.reason.endswith(".")
    assert result.contraction.separation.flag is SeparationFlag.INDETERMINATE
    assert result.contraction.cycles == ()
    assert result.twitches == ()
