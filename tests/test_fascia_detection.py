"""What a bone and the band that leaves it must look like to be a heel."""

from dataclasses import replace

import numpy as np
import pytest

from usguide import Clip
from usguide.fascia import detection
from usguide.fascia.candidates import THICKNESS_MM
from usguide.fascia.detection import UNLIKELY, detect, seen_again
from usguide.fascia.workspace import Workspace
from usguide.synth import make_scene


@pytest.fixture(scope="module")
def view():
    """Return a heel whose bone is on the left, its work picture and workspace."""
    scene = make_scene("heel", seed=8823, frames=1)
    clip = Clip.from_array(scene.array(), spacing_mm=scene.spacing_mm)
    workspace = Workspace.of(clip.header)
    picture = workspace.picture(clip[0])
    heel = detect(picture, workspace)
    assert not isinstance(heel, str)
    assert not heel.bone.mirrored
    return heel, picture, workspace


def looked_at_again(view, pair=None, picture=None):
    heel, own, workspace = view
    picture = own if picture is None else picture
    return seen_again(picture, workspace, heel, pair or heel.pair, (0.0, 0.0))


@pytest.mark.parametrize("thinner_mm", [0.5, -0.5])
def test_a_band_thicker_than_any_fascia_is_none(view, thinner_mm):
    heel, _, workspace = view
    lower = heel.pair.lower_px
    thickness_px = workspace.px(THICKNESS_MM[1] - thinner_mm)
    objection = looked_at_again(view, replace(heel.pair, upper_px=lower - thickness_px))
    assert (objection is None) is (thinner_mm > 0)
    assert objection is None or "thicker than any fascia" in objection


def test_a_band_beneath_what_echoes_less_than_fat_is_none(view):
    """A muscle lies over it, while over the bone lies fat."""
    heel, picture, _ = view
    assert looked_at_again(view) is None
    rows, columns = np.arange(len(picture))[:, None], np.arange(picture.shape[1])
    border = np.interp(columns, *heel.pair.band.points(heel.pair.upper_px).T)
    over = (rows < border - 2) & (columns > heel.bone.edge[0])
    dark = heel.scale.floor + 0.2 * (heel.scale.white - heel.scale.floor)
    objection = looked_at_again(view, picture=np.where(over, np.float32(dark), picture))
    assert objection is not None
    assert "under no fat" in objection


def test_fluid_over_a_band_leaves_the_fat_above_it(view):
    """A layer without echoes, 2.5 mm thick, is no want of fat."""
    heel, picture, workspace = view
    rows, columns = np.arange(len(picture))[:, None], np.arange(picture.shape[1])
    border = np.interp(columns, *heel.pair.band.points(heel.pair.upper_px).T)
    fluid = (rows < border - 2) & (rows > border - workspace.px(2.5))
    fluid &= columns > heel.bone.edge[0]
    shown = np.where(fluid, np.float32(heel.scale.floor), picture)
    assert looked_at_again(view, picture=shown) is None


@pytest.mark.parametrize("odds", [-0.1, 0.1])
def test_a_band_that_is_likelier_another_one_is_declined(view, monkeypatch, odds):
    _, picture, workspace = view
    monkeypatch.setattr(detection, "heel_odds", lambda *_judged: odds)
    found = detect(picture, workspace)
    assert (found == UNLIKELY) is (odds < 0)
    assert odds < 0 or found.odds == odds


@pytest.mark.parametrize(("bone_odds", "odds"), [(0.1, 0.5), (-0.1, 0.5), (-0.1, 2.5)])
def test_a_line_likelier_no_bone_is_believed_where_its_band_is_plain(
    view, monkeypatch, bone_odds, odds
):
    heel, picture, workspace = view
    line = replace(heel.bone, odds=bone_odds)
    monkeypatch.setattr(detection, "find_calcaneus", lambda *_seen: [line])
    monkeypatch.setattr(detection, "heel_odds", lambda *_judged: odds)
    found = detect(picture, workspace)
    assert (found == UNLIKELY) is (bone_odds < 0 and odds < 2)
