"""The synthetic clips of the benchmark: kinds, seeds, and what is fixed in each.

Seeds start at 7000, away from the seeds that tests and tuning use. Whatever is not fixed here is
drawn from the clinical ranges of the scene (``usguide.synth.SCENES``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from usguide import Clip
from usguide.model import Task
from usguide.synth import Recording, make_scene

FIRST_SEED = 7000


@dataclass(frozen=True)
class Case:
    """One synthetic clip, made when first needed."""

    scene: str
    seed: int
    tasks: frozenset[Task]
    fixed: dict[str, object] = field(default_factory=dict)

    @cached_property
    def recording(self) -> Recording:
        """The scene, made once."""
        return make_scene(self.scene, seed=self.seed, **self.fixed)

    def frames(self) -> NDArray[np.uint8]:
        """Render all frames, uint8 (frames, height, width)."""
        return np.stack(list(self.recording.frames()))

    @property
    def truth(self) -> dict[str, Any]:
        """The scene's truth."""
        return dict(self.recording.truth)

    def clip(self, frames: NDArray[np.uint8]) -> Clip:
        """Wrap the frames as a calibrated clip, as a DICOM file would give it."""
        return Clip.from_array(frames, spacing_mm=self.recording.spacing_mm, fps=self.recording.fps)


def heels(count: int) -> Iterator[Case]:
    """Heels of all thicknesses and states; a fascia of every third one is ruptured."""
    for k in range(count):
        fixed: dict[str, object] = {"frames": 12}
        if k % 3 == 2:
            fixed["rupture_mm"] = 2.0 + 4.0 * ((k // 3) % 4) / 3
        yield Case("heel", FIRST_SEED + k, frozenset({Task.FASCIA}), fixed)


def needlings(count: int) -> Iterator[Case]:
    """Needlings; every second one has one or two twitches of at least 1 mm."""
    tasks = frozenset({Task.NEEDLE, Task.CONTRACTION})
    for k in range(count):
        fixed: dict[str, object] = {"frames": 90}
        if k % 2:
            fixed["twitches"] = 1 + (k // 2) % 2
        yield Case("needling", FIRST_SEED + 1000 + k, tasks, fixed)


def muscles(count: int) -> Iterator[Case]:
    """Contracting muscles: whole, partly and completely torn; some with a slipping probe."""
    tasks = frozenset({Task.MUSCLE, Task.CONTRACTION})
    for k in range(count):
        fixed: dict[str, object] = {
            "frames": 75,
            "tear": ("none", "partial", "complete", "none")[k % 4],
            "open_at_rest": bool((k // 4) % 2),
        }
        if k % 4 == 3:
            fixed["slip_mm"] = 3.0 + (k % 3)
        if k % 8 == 6:
            fixed["widening_mm"] = 0.0  # a defect that stays as it is: no separation
            fixed["open_at_rest"] = True
        yield Case("muscle", FIRST_SEED + 2000 + k, tasks, fixed)


def screens(count: int) -> Iterator[Case]:
    """Screens with rulers of every kind; every sixth has none and must be declined."""
    for k in range(count):
        fixed: dict[str, object] = {"screen": True, "frames": 8}
        if k % 6 == 5:
            fixed["ruler"] = "none"
        yield Case(("heel", "muscle")[k % 2], FIRST_SEED + 3000 + k, frozenset(), fixed)
