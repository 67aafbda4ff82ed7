"""A muscle is as thick as before when the same picture is taken again."""

from pathlib import Path

import numpy as np
import pytest

import retakes
from ingest_files import region_item, write_dicom
from usguide import Clip, open_clip
from usguide.muscle import MuscleStage
from usguide.synth import make_scene

AGAIN_MM = 0.1
CALF = Path(__file__).parents[2] / "shared" / "clips" / "thickness_range_of_motion" / "frames"


def measured(frames, spacing_mm):
    clip = Clip.from_array(np.ascontiguousarray(frames), spacing_mm=spacing_mm)
    stage = MuscleStage(clip.header)
    for index, frame in clip.frames():
        stage.observe(index, frame)
    result = stage.conclude()
    assert result.thickness_mm is not None, result.reason
    return result


def thickness_mm(frames, spacing_mm):
    return measured(frames, spacing_mm).thickness_mm.value


def distances_mm(result, x_px, spacing_mm):
    """Vertical distance of the borders at some abscissae, in every frame."""
    borders = result.borders
    gap = borders.deep_y_px - borders.superficial_y_px
    return np.stack([np.interp(x_px, borders.x_px, row) for row in gap]) * spacing_mm[1]


def taken(name):
    """Return the frames of a synthetic muscle, by its seed, or of the real calf."""
    if name == "calf":
        if not CALF.is_dir():
            pytest.skip(f"{CALF} is not here")
        clip = open_clip(CALF)
        return np.stack([clip[0], clip[1]]), clip.header.calibration.spacing_mm
    scene = make_scene("muscle", seed=name, frames=2)
    return np.stack(list(scene.frames())), scene.spacing_mm


@pytest.fixture(params=[8801, 8802, 8803, "calf"], scope="module")
def scene(request):
    return taken(request.param)


@pytest.fixture(scope="module")
def before(scene):
    """The muscle measured as it is."""
    return measured(*scene)


@pytest.mark.parametrize("seed", [8801, 8802, 8803])
def test_when_the_stated_region_has_black_margins(seed, tmp_path):
    """A file's region may be larger than the picture: the skin's line is then still the skin's."""
    frames, spacing = taken(seed)
    values = []
    for margin in (0, 24):
        padded = np.pad(frames, ((0, 0), (margin, margin), (margin, margin)))
        height, width = padded.shape[1:]
        stated = region_item((0, 0, width - 1, height - 1), (spacing[0] / 10, spacing[1] / 10))
        path = tmp_path / f"{margin}.dcm"
        write_dicom(path, padded, FrameTime=50.0, SequenceOfUltrasoundRegions=[stated])
        clip = open_clip(path)
        stage = MuscleStage(clip.header)
        for index, frame in clip.frames():
            stage.observe(index, frame)
        values.append(stage.conclude().thickness_mm.value)
    assert values[1] == pytest.approx(values[0], abs=2 * AGAIN_MM)


def test_when_the_view_moves(scene):
    frames, spacing_mm = scene
    one, other = (thickness_mm(view, spacing_mm) for view in retakes.moved(frames))
    assert one == pytest.approx(other, abs=AGAIN_MM)


def test_when_mirrored(scene, before):
    frames, spacing_mm = scene
    again = thickness_mm(retakes.mirrored(frames), spacing_mm)
    assert again == pytest.approx(before.thickness_mm.value, abs=0.01)


def test_when_encoded_again(scene, before):
    frames, spacing_mm = scene
    again = thickness_mm(retakes.encoded(frames), spacing_mm)
    assert again == pytest.approx(before.thickness_mm.value, abs=AGAIN_MM)


@pytest.mark.parametrize("sign", [-1, 1])
def test_when_the_gain_is_turned_by_6_db(scene, before, sign):
    frames, spacing_mm = scene
    again = thickness_mm(retakes.gained(frames, sign * retakes.GREY_LEVELS_6_DB), spacing_mm)
    assert again == pytest.approx(before.thickness_mm.value, abs=AGAIN_MM)


def test_when_zoomed(scene, before):
    again = thickness_mm(*retakes.zoomed(*scene))
    assert again == pytest.approx(before.thickness_mm.value, abs=AGAIN_MM)


@pytest.mark.parametrize("side", ["left", "right"])
def test_when_a_tenth_of_the_view_is_cut_off(scene, before, side):
    frames, spacing_mm = scene
    cut = frames.shape[2] // 10
    left = cut if side == "left" else 0
    part = measured(frames[:, :, left : left + frames.shape[2] - cut], spacing_mm)
    x = part.borders.x_px
    whole = distances_mm(before, x + left, spacing_mm)
    change = distances_mm(part, x, spacing_mm) - whole
    assert np.abs(change.mean(axis=1)).max() < AGAIN_MM


def test_when_the_picture_ends_sooner(scene, before):
    frames, spacing_mm = scene
    again = thickness_mm(frames[:, : round(0.93 * frames.shape[1])], spacing_mm)
    assert again == pytest.approx(before.thickness_mm.value, abs=AGAIN_MM)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_when_stored_with_other_pixels(scene, before, factor):
    again = thickness_mm(*retakes.zoomed(*scene, factor))
    assert again == pytest.approx(before.thickness_mm.value, abs=AGAIN_MM)
