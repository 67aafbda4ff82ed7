"""Synthetic muscles for the motion tests: small, drawn once, with their exact truth."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from usguide.ingest.clip import Clip
from usguide.model import Borders, MotionResult, MuscleResult, NeedleTrack, Status
from usguide.motion import MotionStage
from usguide.synth import Scene, make_scene

NO_MUSCLE = MuscleResult(Status.NONE_FOUND, "not looked for.")
NO_NEEDLE = NeedleTrack(Status.NONE_FOUND, "not looked for.")

SMALL = {
    "frames": 36,
    "fps": 18,
    "contractions": 1,
    "width_px": 400,
    "height_px": 320,
    "depth_mm": 34,
    "looks": "1",
}
COMPLETE = {"tear": "complete", "widening_mm": 4}


@dataclass(frozen=True)
class Recorded:
    scene: Scene
    frames: np.ndarray
    truth: dict

    @property
    def contraction(self) -> dict:
        return self.truth["contraction"]

    @property
    def muscle(self) -> MuscleResult:
        """The true borders: these tests are about motion, not about finding the muscle."""
        truth = self.truth["muscle"]
        return MuscleResult(
            Status.MEASURED,
            "given.",
            borders=Borders(
                np.array(truth["x_px"], np.float64),
                np.array(truth["superficial_y_px"], np.float32),
                np.array(truth["deep_y_px"], np.float32),
            ),
        )

    def rest_of(self, points_px, frame):
        """Where the tissue now at points was at rest."""
        rest = points_px.copy()
        for _ in range(60):
            moved = rest + self.scene.displacement_mm(frame, rest) / self.scene.spacing_mm[0]
            rest = rest + 0.5 * (points_px - moved)
        return rest

    @cached_property
    def as_it_is(self) -> MotionResult:
        """What is found in it; several tests look at the same one."""
        return self.analysed()

    def analysed(self, **changes) -> MotionResult:
        frames = changes.pop("frames", self.frames)
        if changes.pop("flip", False):
            frames = frames[:, :, ::-1]
        options = {"muscle": self.muscle, "spacing": self.scene.spacing_mm, "fps": self.scene.fps}
        return concluded(frames, **(options | changes))


@lru_cache(maxsize=16)
def _recorded(name: str, seed: int, parameters: tuple) -> Recorded:
    scene = make_scene(name, seed=seed, **dict(parameters))
    return Recorded(scene, scene.array(), scene.truth)


def recorded(seed: int, name: str = "muscle", **parameters) -> Recorded:
    base = SMALL if name == "muscle" else {}
    return _recorded(name, seed, tuple(sorted((base | parameters).items())))


def concluded(frames, *, muscle=NO_MUSCLE, needle=NO_NEEDLE, spacing=(0.1, 0.1), fps=20.0):
    clip = Clip.from_array(np.asarray(frames, np.uint8), spacing_mm=spacing, fps=fps)
    stage = MotionStage(clip.header)
    for index, frame in clip.frames():
        stage.observe(index, frame)
    return stage.conclude(clip, muscle, needle)
