"""Graphics over the echoes are no tissue, and no stage follows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from usguide import analyze, open_clip
from usguide.ingest.graphics import drawn_in_grey
from usguide.model import Analysis, Bools, Options, Region, Task
from usguide.synth import Recording, make_scene

Frames = NDArray[np.uint8]


def drifting(frames: int = 8) -> Frames:
    """Speckle that drifts, shape (frames, 240, 320)."""
    noise = np.random.default_rng(3).normal(size=(240, 400)).astype(np.float32)
    speckle = np.abs(cv2.GaussianBlur(noise, (0, 0), 2.0))
    speckle = np.clip(90 * speckle / speckle.mean(), 0, 200)
    return np.stack([speckle[:, 4 * k : 4 * k + 320] for k in range(frames)]).astype(np.uint8)


def cross(frame: Frames, x: int, y: int, *, slanted: bool, arm: int = 6) -> None:
    """Draw a caliper's end in place."""
    for dx, dy in ((arm, arm), (arm, -arm)) if slanted else ((arm, 0), (0, arm)):
        cv2.line(frame, (x - dx, y - dy), (x + dx, y + dy), (225,) * 3, 1)


def found(samples: Frames) -> Bools:
    height, width = samples.shape[1:]
    return drawn_in_grey(samples, Region(0, 0, width, height))


def test_echoes_alone_are_no_graphics() -> None:
    assert not found(drifting()).any()
    assert not found(drifting(1)).any()


@pytest.mark.parametrize("slanted", [False, True])
@pytest.mark.parametrize("frames", [1, 8])
def test_calipers_are_found_with_the_dotted_line_between_them(slanted: bool, frames: int) -> None:
    samples = drifting(frames) if frames > 1 else drifting(1) // 2
    for frame in samples:
        cross(frame, 100, 60, slanted=slanted)
        cross(frame, 100, 160, slanted=slanted)
        frame[70:150:4, 100] = 225
    mask = found(samples)
    for y in (60, 100, 160):
        assert mask[y, 100]
    assert mask.mean() < 0.03


def test_text_is_found_where_it_stands_still() -> None:
    samples = drifting()
    for frame in samples:
        cv2.putText(frame, "LEFT HEEL", (60, 120), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (230,) * 3, 1)
    mask = found(samples)
    assert mask[112:118, 95:150].all()
    assert mask.mean() < 0.1


def test_a_bright_line_that_stands_still_is_tissue() -> None:
    samples = drifting()
    for frame in samples:
        cv2.line(frame, (0, 100), (319, 130), (220,) * 3, 4)
        cv2.line(frame, (0, 180), (319, 150), (220,) * 3, 3)
    assert not found(samples).any()


# --- what the stages make of it ----------------------------------------------------------------


def recorded(path: Path, frames: Frames, fps: float) -> Path:
    """Write RGB frames as H.264, as a screen recorder would."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=round(fps))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.options = "yuv420p", {"crf": "18", "preset": "veryfast"}
        for picture in frames:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def with_graphics(plain: Frames, ends: list[tuple[int, int]], box: tuple[int, int]) -> Frames:
    """Calipers with a dotted line, text, and a colour box with flow in it."""
    random = np.random.default_rng(0)
    drawn = plain.copy()
    height = drawn.shape[1]
    x, y = box
    for frame in drawn:
        for k, (cx, cy) in enumerate(ends):
            cross(frame, cx, cy, slanted=k > 1)
        (x0, y0), (x1, y1) = ends[:2]
        for t in np.linspace(0, 1, 15):
            frame[round(y0 + t * (y1 - y0)), round(x0 + t * (x1 - x0))] = 225
        cv2.putText(
            frame, "LEFT 2", (40, height - 40), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (230,) * 3, 1
        )
        cv2.rectangle(frame, (x, y), (x + 80, y + 50), (60, 220, 60), 1)
        flow = cv2.GaussianBlur(random.normal(size=(49, 79)), (0, 0), 4)
        frame[y + 1 : y + 50, x + 1 : x + 80][flow > flow.std()] = (200, 40, 20)
    return drawn


def both(
    folder: Path, scene: Recording, ends: list[tuple[int, int]], box: tuple[int, int], *tasks: Task
) -> list[Analysis]:
    """Analyse a scene without and with graphics over it."""
    plain = np.repeat(scene.array()[..., None], 3, axis=3)
    height, width = plain.shape[1:3]
    results = []
    for name, frames in (("plain", plain), ("drawn", with_graphics(plain, ends, box))):
        clip = open_clip(
            recorded(folder / f"{name}.mp4", frames, scene.fps),
            spacing_mm=scene.spacing_mm,
            region=(0, 0, width, height),
        )
        hidden = ~clip.header.tissue
        if name == "drawn":
            assert all(hidden[y, x] for x, y in ends)
            assert hidden[box[1] : box[1] + 50, box[0]].all()
        assert hidden.mean() < 0.08
        results.append(analyze(clip, Options(tasks=frozenset(tasks))))
    return results


def test_the_fascia_is_as_thick_under_calipers(tmp_path: Path) -> None:
    scene = make_scene("heel", seed=16, frames=6)
    x, y = (round(v) for v in scene.truth["fascia"]["insertion_px"])
    inwards = -60 if x > 280 else 60
    ends = [(x + inwards, y - 35), (x + inwards, y + 20), (x + 2 * inwards, y - 5)]
    plain, drawn = both(tmp_path, scene, ends, (180, 30), Task.FASCIA)
    assert plain.fascia.thickness_mm is not None
    assert drawn.fascia.thickness_mm is not None
    before, after = plain.fascia.thickness_mm, drawn.fascia.thickness_mm
    assert before.insertion is not None
    assert after.insertion is not None
    assert after.insertion.value == pytest.approx(before.insertion.value, abs=0.1)
    for one, other in zip(before.stations, after.stations, strict=True):
        assert other.thickness.value == pytest.approx(one.thickness.value, abs=0.1)


def test_a_muscle_moves_as_far_under_calipers(tmp_path: Path) -> None:
    scene = make_scene("muscle", seed=41, frames=40, tear="none")
    ends = [(280, 160), (340, 260), (190, 180), (140, 335)]
    plain, drawn = both(tmp_path, scene, ends, (360, 140), Task.MUSCLE, Task.CONTRACTION)
    assert plain.muscle.thickness_mm is not None
    assert drawn.muscle.thickness_mm is not None
    expected = plain.muscle.thickness_mm.value
    assert drawn.muscle.thickness_mm.value == pytest.approx(expected, abs=0.2)
    one, other = plain.motion.contraction, drawn.motion.contraction
    assert [cycle.excursion_mm for cycle in other.cycles] == pytest.approx(
        [cycle.excursion_mm for cycle in one.cycles], abs=0.5
    )
    assert other.separation.flag is one.separation.flag


def test_the_needle_is_not_led_astray_by_calipers(tmp_path: Path) -> None:
    scene = make_scene("phantom", seed=41, frames=30, geometry="linear")
    ends = [(280, 160), (340, 240), (186, 240), (140, 336)]
    plain, drawn = both(tmp_path, scene, ends, (392, 96), Task.NEEDLE)
    assert plain.needle.tip_px is not None
    assert drawn.needle.tip_px is not None
    apart = np.linalg.norm(drawn.needle.tip_px - plain.needle.tip_px, axis=1)
    assert np.nanpercentile(apart, 90) * scene.spacing_mm[0] < 0.5
    assert abs(drawn.needle.frames_visible - plain.needle.frames_visible) <= 2
