"""Screens: the ruler tells the truth, repeats repeat, the picture underneath is untouched."""

import numpy as np
import pytest

from usguide.errors import ConfigError
from usguide.synth import make_scene, write

SMALL = {
    "frames": 8, "width_px": 240, "height_px": 200, "looks": "1", "screen": True,
    "lateral_mm": 1.0, "axial_cycles": 4.0,
}  # fmt: skip


def test_the_picture_shows_through_the_screen_unchanged() -> None:
    screen = make_scene("heel", seed=1, caliper=False, cursor=False, container_fps=0, **SMALL)
    plain = make_scene("heel", seed=1, **{**SMALL, "screen": False})
    x, y, width, height = screen.truth["region_px"]
    for seen, scan in zip(screen.frames(), plain.frames(), strict=True):
        assert np.array_equal(seen[y : y + height, x : x + width], scan)


def test_truth_is_in_the_screens_own_pixels() -> None:
    screen = make_scene("needling", seed=1, container_fps=0, **SMALL)
    plain = make_scene("needling", seed=1, **{**SMALL, "screen": False})
    shift = np.array(screen.truth["region_px"][:2])
    for key in ("tip_px", "tail_px"):
        moved = np.array(screen.truth["needle"][key]) - plain.truth["needle"][key]
        assert np.allclose(moved, shift, atol=2e-3)
    points = np.array([[100.0, 90.0]])
    assert np.allclose(screen.displacement_mm(5, points + shift), plain.displacement_mm(5, points))


@pytest.mark.parametrize("side", ["left", "right", "below"])
@pytest.mark.parametrize("kind", ["ticks", "dots"])
def test_the_marks_are_drawn_where_the_truth_says(side: str, kind: str) -> None:
    scene = make_scene(
        "heel", seed=2, ruler=kind, ruler_side=side, pitch_mm=5, numbered=False, text=False,
        grey_bar=False, ruler_gap_px=5, theme="black", container_fps=0, clock=False, **SMALL,
    )  # fmt: skip
    frame = next(iter(scene.frames()))
    marks = np.array(scene.truth["ruler"]["marks_px"])
    along = 0 if side == "below" else 1
    assert np.allclose(np.diff(marks[:, along]) * scene.spacing_mm[0], 5.0, atol=0.01)
    for x, y in np.rint(marks).astype(int):
        assert frame[y, x] > 100


def test_a_recorder_faster_than_the_scan_repeats_frames_exactly() -> None:
    scene = make_scene("heel", seed=1, fps=20, container_fps=60, clock=False, **SMALL)
    timing = scene.truth["timing"]
    frames = scene.array()
    assert len(frames) == 24 == scene.truth["frames"]
    repeats = np.array(timing["duplicate_of"])
    assert np.count_nonzero(repeats >= 0) == 16
    for index, first in enumerate(repeats):
        if first >= 0:
            assert np.array_equal(frames[index], frames[first])
    with pytest.raises(ConfigError, match="below the scan"):
        make_scene("heel", seed=1, fps=20, container_fps=10, **SMALL)


def test_text_boxes_hold_the_text_and_say_whose_it_is() -> None:
    scene = make_scene("heel", seed=3, text=True, theme="black", container_fps=0, **SMALL)
    frame = next(iter(scene.frames()))
    labels = scene.truth["screen"]["text"]
    assert any(label["identifying"] for label in labels)
    for label in labels:
        x, y, width, height = label["box_px"]
        assert frame[y : y + height, x : x + width].max() > 100, label["text"]


def test_a_screen_survives_the_video_encoder(tmp_path) -> None:
    av = pytest.importorskip("av")
    scene = make_scene("muscle", seed=1, contractions=0, container_fps=60, **SMALL)
    path, _ = write(scene, tmp_path / "screen.mp4", crf=18)
    with av.open(str(path)) as container:
        decoded = [(f.time, f.to_ndarray(format="gray")) for f in container.decode(video=0)]
    assert len(decoded) == scene.count
    assert np.allclose([time for time, _ in decoded], scene.times_s, atol=1e-3)
    kept = decoded[0][1].astype(float)
    assert np.abs(kept - next(iter(scene.frames()))).mean() < 8.0
