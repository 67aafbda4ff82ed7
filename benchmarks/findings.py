"""How often a spur, fluid and a biconvex fascia are found, and falsely found, on synthetic heels.

    python -m benchmarks.findings [--heels N] [--seed FIRST]

Every heel is drawn from its clinical range. Spur, fluid (on either border) and bulge are each there
in half of them, in every combination. Prints a table in Markdown; shares with Wilson's interval.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.estimates import counted
from usguide.fascia import FasciaStage
from usguide.ingest.clip import Clip
from usguide.model import FasciaResult, Measurement, Status
from usguide.synth import Recording, make_scene

FRAMES = 3
FIRST_SEED = 40_000
LEAST = {"spur": 2.5, "fluid": 0.8, "biconvexity": 0.4}
"""Least size in mm of what counts as there to be found; what is smaller is left out."""
BARELY = 0.05
"""Biconvexity in mm up to which a band is not biconvex."""


@dataclass
class Tally:
    """What became of one kind of finding."""

    declined: int = 0
    there: int = 0
    found: int = 0
    absent: int = 0
    false: int = 0
    errors: list[float] = field(default_factory=list)
    covered: int = 0

    def add(self, truth: float, least: float, found: bool, size: Measurement | None) -> None:
        """Count a heel in which it was looked for."""
        if truth >= least:
            self.there += 1
            self.found += found
        elif truth <= BARELY:
            self.absent += 1
            self.false += found
        if size is not None and truth > BARELY:
            self.errors.append(size.value - truth)
            self.covered += size.low <= truth <= size.high


def heels(count: int, first: int) -> Iterator[Recording]:
    """Make the scenes."""
    for number in range(count):
        sizes = np.random.default_rng(first + number)
        spur, fluid, bulge = sizes.uniform((2.0, 0.6, 0.8), (6.0, 2.0, 2.5))
        yield make_scene(
            "heel",
            seed=first + number,
            frames=FRAMES,
            spur_mm=spur if number & 1 else 0.0,
            fluid_mm=fluid if number & 2 else 0.0,
            bulge_mm=bulge if number & 4 else 0.0,
            fluid_at="superficial" if number & 8 else "deep",
        )


def measure(scene: Recording) -> FasciaResult:
    """Measure a scene as ``analyze`` does."""
    clip = Clip.from_array(scene.array(), spacing_mm=scene.spacing_mm, fps=scene.fps)
    stage = FasciaStage(clip.header)
    for index, frame in clip.frames():
        stage.observe(index, frame)
    return stage.conclude()


def judge(result: FasciaResult, truth: Any, tallies: dict[str, Tally]) -> None:
    """Hold one result against its truth."""
    declined = {one.what.removesuffix("_mm") for one in result.not_measured}
    for name, tally in tallies.items():
        if result.status is not Status.MEASURED or name in declined:
            tally.declined += 1
            continue
        least = LEAST[name]
        if name == "spur":
            size = None if result.spur is None else result.spur.length_mm
            tally.add(truth["spur_mm"], least, size is not None, size)
        elif name == "fluid":
            drawn = truth["fluid"]
            right = [one for one in result.fluid if drawn and one.border.value == drawn["border"]]
            size = max((one.thickness_mm for one in right), key=lambda m: m.value, default=None)
            found = bool(result.fluid) if drawn is None else size is not None
            tally.add(0.0 if drawn is None else drawn["thickness_mm"], least, found, size)
        elif (size := result.biconvexity_mm) is not None:
            tally.add(max(truth["biconvexity_mm"], 0.0), least, size.low > 0, size)


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--heels", type=int, default=96)
    parser.add_argument("--seed", type=int, default=FIRST_SEED)
    asked = parser.parse_args()
    tallies = {name: Tally() for name in LEAST}
    for scene in heels(asked.heels, asked.seed):
        judge(measure(scene), scene.truth["fascia"], tallies)
    print(f"{asked.heels} synthetic heels, seeds from {asked.seed}.\n")
    print("| finding | found | falsely found | not looked for | error (mm) | interval covers |")
    print("|---|---|---|---|---|---|")
    for name, one in tallies.items():
        errors = np.array(one.errors) if one.errors else np.array([np.nan])
        covers = counted(one.covered, len(one.errors))
        print(
            f"| {name}, {LEAST[name]} mm and more | {counted(one.found, one.there)} "
            f"| {counted(one.false, one.absent)} | {one.declined} of {asked.heels} "
            f"| {errors.mean():+.1f} ± {errors.std():.1f} | {covers} |"
        )


if __name__ == "__main__":
    main()
