"""A fascia is as thick as before when the same picture is taken again.

Moving the view and clipping at black are not asked for yet: where two bands look equally like a
fascia, they may change which one is taken.
"""

from pathlib import Path

import cv2
import numpy as np
import pytest

import retakes
from usguide import Clip, Options, analyze, open_clip
from usguide.fascia import FasciaStage
from usguide.model import Task
from usguide.synth import make_scene

AGAIN_MM = 0.1
AGAIN_SHARE = 0.02
"""The same of a band that is more than twice as thick as a healthy one: of two fits of such a band,
8 mm thick and as likely as each other, a zoom changes which is taken, by 0.12 mm."""
STATIONS_MM = (5.0, 10.0, 15.0)
HEEL = Path(__file__).parents[2] / "shared" / "clips" / "fascia_normal"


def stations_mm(frames, spacing_mm):
    """Thickness at the insertion, at the greatest and at every station."""
    clip = Clip.from_array(np.ascontiguousarray(frames), spacing_mm=spacing_mm)
    stage = FasciaStage(clip.header)
    for index, frame in clip.frames():
        stage.observe(index, frame)
    result = stage.conclude()
    assert result.thickness_mm is not None, result.reason
    measured = result.thickness_mm
    return {station.distance_mm: station.thickness.value for station in measured.stations} | {
        "insertion": measured.insertion.value,
        "maximum": measured.maximum.value,
    }


def taken(name):
    """Return a frame of a synthetic heel, by its seed, or of the real one."""
    if name == "real heel":
        if not HEEL.is_dir():
            pytest.skip(f"{HEEL} is not here")
        (path,) = (path for path in HEEL.iterdir() if path.name != "case.json")
        clip = open_clip(path)
        return clip[0][None], clip.header.calibration.spacing_mm
    scene = make_scene("heel", seed=name, frames=1)
    return np.stack(list(scene.frames())), scene.spacing_mm


@pytest.fixture(params=[8812, 8813, 8814, "real heel"], scope="module")
def heel(request):
    return taken(request.param)


@pytest.fixture(scope="module")
def before(heel):
    """The heel's thickness as it is."""
    return stations_mm(*heel)


@pytest.fixture(scope="module")
def with_room(heel):
    """The heel with room above and below its grey levels, so that no echo is clipped."""
    frames = (30 + 0.75 * heel[0]).astype(np.uint8)
    return frames, stations_mm(frames, heel[1])


def test_when_mirrored(heel, before):
    frames, spacing_mm = heel
    again = stations_mm(retakes.mirrored(frames), spacing_mm)
    assert again == pytest.approx(before, abs=0.01)


@pytest.mark.parametrize("sign", [-1, 1])
def test_when_the_gain_is_turned_by_6_db(heel, with_room, sign):
    frames, plain = with_room
    again = stations_mm(retakes.gained(frames, sign * retakes.GREY_LEVELS_6_DB), heel[1])
    assert again == pytest.approx(plain, abs=0.01)


def test_when_zoomed(heel, before):
    again = stations_mm(*retakes.zoomed(*heel))
    assert again == pytest.approx(before, abs=AGAIN_MM, rel=AGAIN_SHARE)


@pytest.mark.parametrize("crf", [18, 26])
def test_when_encoded_again(heel, before, crf):
    frames, spacing_mm = heel
    again = stations_mm(retakes.encoded(frames, crf), spacing_mm)
    # Where the fascia begins is placed less well than how thick it is further on.
    assert {at: again[at] for at in again if at in STATIONS_MM} == pytest.approx(
        {at: before[at] for at in before if at in STATIONS_MM}, abs=AGAIN_MM
    )


STORED = {
    "as it is": lambda grey: grey,
    "darker": lambda grey: grey // 2,
    "with more contrast": lambda grey: (255 * (grey / 255) ** 2).astype(np.uint8),
    "with less contrast": lambda grey: (255 * (grey / 255) ** 0.7).astype(np.uint8),
    "softer": lambda grey: cv2.GaussianBlur(grey, (0, 0), 2),
    "larger": lambda grey: cv2.resize(grey, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC),
    "smaller": lambda grey: cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
}


@pytest.mark.parametrize("how", STORED)
def test_the_real_heel_cut_out_and_stored_otherwise(tmp_path, how):
    """Nothing but the picture is left, and its region has to be found again."""
    (frame,), spacing_mm = taken("real heel")
    stored = STORED[how](frame)
    cv2.imwrite(str(tmp_path / "heel.png"), stored)
    spacing = spacing_mm[0] * len(frame) / len(stored)
    clip = open_clip(tmp_path / "heel.png", spacing_mm=spacing)
    assert clip.header.region.height == len(stored)
    thickness = analyze(clip, Options(tasks=frozenset({Task.FASCIA}))).fascia.thickness_mm
    assert thickness.insertion.value == pytest.approx(2.84, abs=AGAIN_MM)
    assert thickness.stations[0].thickness.value == pytest.approx(2.48, abs=AGAIN_MM)
