"""A heel that was found is followed: its borders move with it and with what is measured."""

import cv2
import numpy as np
import pytest

from usguide.fascia.detection import Heel, detect
from usguide.fascia.tracking import Tracker
from usguide.fascia.workspace import Workspace
from usguide.ingest.clip import Clip
from usguide.synth import make_scene


@pytest.fixture(scope="module")
def found():
    """A work picture, its workspace and the heel in it."""
    scene = make_scene("heel", seed=8812, frames=1)
    clip = Clip.from_array(np.stack(list(scene.frames())), spacing_mm=scene.spacing_mm)
    workspace = Workspace.of(clip.header)
    picture = workspace.picture(clip[0])
    heel = detect(picture, workspace)
    assert isinstance(heel, Heel), heel
    return picture, workspace, heel


def seen(pair):
    return (pair.band.distance_mm >= 0) & (pair.band.distance_mm <= 15)


def test_in_its_own_frame_a_heel_is_where_it_was_found(found):
    picture, workspace, heel = found
    followed = Tracker(heel, picture, workspace).follow(picture)
    assert followed.similarity == pytest.approx(1.0, abs=1e-3)
    np.testing.assert_allclose(followed.pair.upper_px, heel.pair.upper_px, atol=0.1)
    np.testing.assert_allclose(followed.pair.lower_px, heel.pair.lower_px, atol=0.1)


@pytest.mark.parametrize("shift", [(6.0, -4.0), (-7.5, 5.5)])
def test_a_heel_that_moves_keeps_its_thickness(found, shift):
    picture, workspace, heel = found
    moved = cv2.warpAffine(
        picture,
        np.array([[1.0, 0.0, shift[0]], [0.0, 1.0, shift[1]]]),
        picture.shape[::-1],
        borderMode=cv2.BORDER_REPLICATE,
    )
    followed = Tracker(heel, picture, workspace).follow(moved)
    expected = np.array(shift) * (-1 if heel.bone.mirrored else 1, 1)
    assert followed.shift_px == pytest.approx(expected, abs=0.3)
    near = seen(heel.pair)
    apart = (followed.pair.thickness_px - heel.pair.thickness_px)[near] * workspace.pixel_mm
    assert np.abs(apart).mean() < 0.03


@pytest.mark.parametrize("factor", [0.95, 1.05])
def test_a_fascia_that_is_compressed_becomes_thinner(found, factor):
    picture, workspace, heel = found
    # Stretched about the insertion, from top to bottom.
    edge_y = heel.bone.edge[1]
    stretched = cv2.warpAffine(
        picture,
        np.array([[1.0, 0.0, 0.0], [0.0, factor, (1 - factor) * edge_y]]),
        picture.shape[::-1],
        borderMode=cv2.BORDER_REPLICATE,
    )
    followed = Tracker(heel, picture, workspace).follow(stretched)
    near = seen(heel.pair)
    ratio = followed.pair.thickness_px[near].mean() / heel.pair.thickness_px[near].mean()
    assert ratio - 1 == pytest.approx(factor - 1, abs=0.02)
