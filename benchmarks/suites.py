"""The synthetic clips of the benchmark: kinds, seeds, and what is fixed in each.

Seeds start at 7000, away from the seeds that tests and tuning use, unless others are asked for.
What is fixed follows from a scene's place in the set, so that a set from other seeds is of the same
make. Whatever is not fixed is drawn from the clinical ranges of the scene
(``usguide.synth.SCENES``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from usguide import Clip, open_clip
from usguide.model import Task
from usguide.synth import Recording, make_scene, write

FIRST_SEED = 7000


@dataclass(frozen=True)
class Case:
    """One synthetic clip, made when first needed."""

    scene: str
    seed: int
    tasks: frozenset[Task]
    fixed: dict[str, object] = field(default_factory=dict)
    kind: str = ""

    @cached_property
    def recording(self) -> Recording:
        """The scene, made once."""
        return make_scene(self.scene, seed=self.seed, **self.fixed)

    @property
    def truth(self) -> dict[str, Any]:
        """The scene's truth."""
        return dict(self.recording.truth)

    def open(self, folder: Path) -> Clip:
        """Write the scene as a recording and open it as a user would: everything is in the way.

        A DICOM file with its calibrated region, or a video where the scene is shown on a screen.
        """
        path = folder / f"{self.scene}{self.seed}{'.mp4' if self.fixed.get('screen') else '.dcm'}"
        if not path.exists():
            write(self.recording, path)
        return open_clip(path)


def heels(count: int, first: int = FIRST_SEED) -> Iterator[Case]:
    """Heels of all thicknesses and states; a fascia of every third one is ruptured."""
    for k in range(count):
        fixed: dict[str, object] = {"frames": 12}
        if k % 3 == 2:
            fixed["rupture_mm"] = 2.0 + 4.0 * ((k // 3) % 4) / 3
        yield Case("heel", first + k, frozenset({Task.FASCIA}), fixed)


def needlings(count: int, first: int = FIRST_SEED + 1000) -> Iterator[Case]:
    """Needlings of a heel in and across the plane, and of phantoms, linear and convex.

    Every second heel has one or two twitches of at least 1 mm.
    """
    for k in range(count):
        fixed: dict[str, object] = {"frames": 75}
        if k % 6 == 4:
            scene = "needle_out_of_plane"
        elif k % 6 == 5:
            scene = "phantom"
            fixed["geometry"] = ("convex", "linear")[k // 6 % 2]
        else:
            scene = "needling"
            if k % 2:
                fixed["twitches"] = 1 + k // 2 % 2
        tasks = {Task.NEEDLE} if scene == "phantom" else {Task.NEEDLE, Task.CONTRACTION}
        yield Case(scene, first + k, frozenset(tasks), fixed)


HAZARDS: tuple[tuple[str, dict[str, object]], ...] = (
    ("whole", {}),
    ("whole, probe slips", {"slip_mm": 4.0}),
    ("whole, gain turned", {"gain_step_db": 6.0}),
    ("whole, lower muscle slides back", {"under_slide": -0.6}),
    ("whole, starts contracted", {"starts_contracted": True}),
    ("defect that does not widen", {"tear": "complete", "open_at_rest": True, "widening_mm": 0.0}),
)
"""Muscles without a separation, and what may be mistaken for one."""


def muscles(count: int, first: int = FIRST_SEED + 2000) -> Iterator[Case]:
    """Contracting muscles: one half torn, partly or completely, closed or open at rest."""
    tasks = frozenset({Task.MUSCLE, Task.CONTRACTION})
    for k in range(count):
        fixed: dict[str, object] = {"frames": 60, "tear": "none"}
        if k % 2:
            fixed["tear"] = ("partial", "complete")[k // 2 % 2]
            fixed["open_at_rest"] = bool(k // 4 % 2)
            kind = f"{fixed['tear']} tear, {'open' if fixed['open_at_rest'] else 'closed'} at rest"
        else:
            kind, more = HAZARDS[k // 2 % len(HAZARDS)]
            fixed |= more
        yield Case("muscle", first + k, tasks, fixed, kind)


def screens(count: int, first: int = FIRST_SEED + 3000) -> Iterator[Case]:
    """Screens with rulers of every kind; every sixth has none and must be declined."""
    for k in range(count):
        fixed: dict[str, object] = {"screen": True, "frames": 8}
        if k % 6 == 5:
            fixed["ruler"] = "none"
        yield Case(("heel", "muscle")[k % 2], first + k, frozenset(), fixed)
