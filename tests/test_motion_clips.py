"""The motion stage on real recordings: healthy muscles contract, and none of them tears."""

import pytest

from motion_scenes import NO_NEEDLE
from real_clips import CLIPS, opened
from usguide.model import SeparationFlag, Status
from usguide.motion import MotionStage
from usguide.muscle import MuscleStage

pytestmark = [
    pytest.mark.clips,
    pytest.mark.slow,
    pytest.mark.skipif(not CLIPS.is_dir(), reason="the real recordings are not on this machine."),
]


# Onset and release in seconds; None where the clip begins or ends in the middle of the push. They
# come largely from this stage's own output and curves, so that they guard against change and do
# not measure accuracy; only isokinetic030 was checked against an M-mode picture.
PUSHES = {
    "muscle_isokinetic030_01_push_01": (0.08, None),
    "muscle_isokinetic120_01_push_01": (0.29, None),
    "muscle_isometric_max_01_push_01": (None, 2.5),
}
OTHERS = ("muscle_passive_ROM_01_push_01", "muscle_calf_ge_0")


def analysed(case):
    path = next((CLIPS / case).glob("clip.*"))
    clip = opened(f"{case}/{path.name}")
    motion, muscle = MotionStage(clip.header), MuscleStage(clip.header)
    for index, frame in clip.frames():
        motion.observe(index, frame)
        muscle.observe(index, frame)
    return clip, motion.conclude(clip, muscle.conclude(), NO_NEEDLE)


@pytest.mark.parametrize("case", [*PUSHES, *OTHERS])
def test_a_healthy_muscle_moves_and_is_not_torn(case):
    clip, result = analysed(case)
    found = result.contraction
    assert found.status is Status.MEASURED
    assert found.separation.flag is SeparationFlag.NONE, found.separation.reason
    assert found.collections == ()
    assert result.twitches == ()
    assert len(found.cycles) == 1
    if case in PUSHES:
        (cycle,) = found.cycles
        onset, release = PUSHES[case]
        assert cycle.start_s == pytest.approx(onset or 0.0, abs=0.12)
        last = float(clip.header.timing.time_s[-1])
        assert cycle.end_s == pytest.approx(release or last, abs=0.2)
        assert cycle.excursion_mm > 10
