"""Contracting muscles on recordings from a second simulator, which shares nothing with our own.

    python -m benchmarks.second_muscles                      # writes its part of docs/benchmarks.md
    python -m benchmarks.second_muscles --seeds 0:79 --folder DIR [--render]   # other clips; prints

Drawn (:mod:`benchmarks.second_contracting`) and scanned (:mod:`benchmarks.second_scanner`) without
anything of ``usguide.synth`` or of the muscle and motion stages. With ``--folder`` the clips and
their truth are kept there and used again; with ``--render`` they are only made.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import page, records, second_runs
from benchmarks.estimates import counted, estimate
from benchmarks.second_contracting import render
from benchmarks.second_muscle_scene import KINDS
from benchmarks.tables import BRACKETS
from usguide import Options, analyze, open_clip
from usguide.model import Analysis, Collection, Measurement, SeparationFlag, Task

PUBLISHED = range(480, 520)
"""Nothing was fitted to them."""
TASKS = frozenset({Task.NEEDLE, Task.MUSCLE, Task.CONTRACTION})


def clip_of(seed: int, folder: Path) -> tuple[Path, dict[str, Any]]:
    """Return a seed's recording and its truth from a folder, made there if they are missing."""
    return second_runs.kept("muscle", render, seed, folder)


@dataclass
class Score:
    """What became of one clip; lengths are NaN where they are not stated or there are none."""

    seed: int
    kind: str
    true_flag: str
    flag: str
    rest: tuple[float, float]
    """Error of the gap at rest in mm, and whether its interval holds the truth."""
    peak: tuple[float, float]
    widening: tuple[float, float]
    open_mm: tuple[float, float]
    """The true gap at rest and at the peak."""
    cycles: tuple[int, int, int]
    """Found, true and whole, true and cut by an end of the clip."""
    excursion_error_mm: float
    thickness: tuple[float, float]
    collections: tuple[int, int, int]
    """Found, true, and claimed where there is none."""
    area_error: float
    """Mean, over the true area."""
    twitches: tuple[int, int, int]
    seconds: float
    reason: str

    @property
    def cycles_right(self) -> bool:
        """Whether all whole cycles are told, and none that is not there at least in part."""
        found, whole, cut = self.cycles
        return whole <= found <= whole + cut

    def wrong(self) -> str:
        """Say what is wrong with it, nothing where all is well."""
        said = []
        still = self.cycles[1] + self.cycles[2] == 0  # which leaves the flag open
        if self.flag != self.true_flag and not (still and self.flag == "indeterminate"):
            said.append(f"{self.flag} for {self.true_flag}")
        for name, (error, inside) in (("gap at rest", self.rest), ("gap at peak", self.peak)):
            if np.isfinite(error) and (abs(error) > 1 or not inside):
                said.append(f"{name} off by {error:+.1f} mm{'' if inside else ', outside'}")
        if not self.cycles_right:
            said.append(f"{self.cycles[0]} cycles for {self.cycles[1]} and {self.cycles[2]} cut")
        if np.isfinite(self.thickness[0]) and not self.thickness[1]:
            said.append(f"thickness off by {self.thickness[0]:+.1f} mm, outside")
        for name, (found, true, false) in (
            ("collections", self.collections),
            ("twitches", self.twitches),
        ):
            if found < true:
                said.append(f"{found} of {true} {name}")
            if false:
                said.append(f"{false} false {name}")
        return "; ".join(said)


def against(claim: Measurement | None, truth: float | None) -> tuple[float, float]:
    """Return the error of a measurement, and 1 where its interval holds the truth, else 0."""
    if claim is None or truth is None:
        return np.nan, np.nan
    return claim.value - truth, float(claim.low <= truth <= claim.high)


def collections_of(claims: tuple[Collection, ...], truth: dict[str, Any]) -> tuple[int, int, int]:
    """Count the true collections found, all true ones, and false claims.

    One is found by a claim whose centre is nearer to its own than a third of its extent, or 3 mm.
    A claim in the gap of a tear, where blood is as well, is neither found nor false.
    """
    size = truth["calibration"]["mm_per_px"][0]
    real = truth["contraction"]["collections"]
    false, found = 0, set()
    for claim in claims:
        apart = [np.hypot(*(np.array(claim.centre_px) - one["centre_px"])) * size for one in real]
        near = [k for k, far in enumerate(apart) if far < max(3.0, real[k]["extent_mm"] / 3)]
        found.update(near)
        separation = truth["contraction"]["separation"]
        if near or _in_gap(claim, separation, size):
            continue
        false += 1
    return len(found), len(real), false


def _in_gap(claim: Collection, separation: dict[str, Any], size: float) -> bool:
    if separation["tear"] is None:
        return False
    outline = np.array(separation["outline_px"])
    low, high = outline.min(axis=0) - 2 / size, outline.max(axis=0) + 2 / size
    return bool(np.all((low <= claim.centre_px) & (claim.centre_px <= high)))


def judge(analysis: Analysis, truth: dict[str, Any], scaled: bool = True) -> Score:
    """Compare an analysis with the truth; ``scaled`` tells whether it could know millimetres."""
    contraction = analysis.motion.contraction
    claim, true = contraction.separation, truth["contraction"]["separation"]
    torn = true["flag"] == "separation" or truth["kind"] == "stays"
    gaps = {
        name: against(getattr(claim, f"{name}_mm"), true[f"{name}_mm"] if torn else None)
        for name in ("gap_rest", "gap_peak", "widening")
    }
    cycles = truth["contraction"]["cycles"]
    excursion = np.nan
    if len(cycles) == len(contraction.cycles) and cycles and scaled:
        told = records.array([each.excursion_mm for each in contraction.cycles])
        excursion = float(np.mean(told - [each["excursion_mm"] for each in cycles]))
    muscle, depth = analysis.muscle, np.nan
    if truth["muscle"]["thickness_mm"] is not None and muscle.reference_frame is not None:
        depth = truth["muscle"]["thickness_mm"][muscle.reference_frame]
    thickness = against(muscle.thickness_mm, depth) if np.isfinite(depth) else (np.nan, np.nan)
    found = collections_of(contraction.collections, truth)
    areas = []
    size = truth["calibration"]["mm_per_px"][0]
    for one in truth["contraction"]["collections"]:
        for each in contraction.collections:
            far = np.hypot(*(np.array(each.centre_px) - one["centre_px"])) * size
            if far < max(3.0, one["extent_mm"] / 3) and each.area_mm2 is not None:
                areas.append(each.area_mm2 / one["area_mm2"] - 1)
    twitch = records.twitch_clip(analysis.motion.twitches, truth)
    return Score(
        truth["seed"],
        truth["kind"],
        true["flag"],
        claim.flag.value,
        gaps["gap_rest"],
        gaps["gap_peak"],
        gaps["widening"],
        (true["gap_rest_mm"], true["gap_peak_mm"]) if torn else (np.nan, np.nan),
        (len(contraction.cycles), len(cycles), truth["contraction"]["cut"]),
        excursion,
        thickness,
        found,
        float(np.mean(areas)) if areas else np.nan,
        (int(twitch["found"][0]), int(twitch["real"][0]), int(twitch["false"][0])),
        truth["frames"] / truth["timing"]["fps"],
        claim.reason,
    )


def score(seed: int, folder: Path) -> Score:
    """Analyse one clip as a user would; a video's scale is given, on its ruler, or not known."""
    path, truth = clip_of(seed, folder)
    size = truth["calibration"]["mm_per_px"]
    clip = open_clip(path, spacing_mm=tuple(size) if truth["scale"] == "given" else None)
    return judge(analyze(clip, Options(tasks=TASKS)), truth, truth["scale"] != "none")


def _lengths(pairs: list[tuple[float, float]]) -> list[str]:
    """Return how many lengths were measured, their mean absolute error, and the cover."""
    told = [(abs(error), inside) for error, inside in pairs if np.isfinite(error)]
    if not told:
        return ["0", "–", "–"]
    error, inside = np.array(told).T
    mean = estimate(error, np.arange(len(error)))
    return [str(len(told)), mean.text(), counted(int(inside.sum()), len(inside))]


def report(scores: list[Score]) -> str:
    """Return what was flagged, measured and counted, and what became of every kind of clip."""
    torn = [each for each in scores if each.true_flag == "separation"]
    whole = [each for each in scores if each.true_flag == "none"]
    still = [each for each in scores if each.true_flag == "indeterminate"]
    excursion = np.abs([each.excursion_error_mm for each in scores])
    found, real, false = np.sum([each.collections for each in scores], axis=0)
    seen, twitches, alarms = np.sum([each.twitches for each in scores], axis=0)
    minutes = sum(each.seconds for each in scores) / 60

    def flagged(some: list[Score], flag: str) -> str:
        return counted(sum(each.flag == flag for each in some), len(some))

    area = np.array([each.area_error for each in scores])
    rows = [
        ["separations flagged (sensitivity)", flagged(torn, "separation")],
        ["called indeterminate instead", flagged(torn, "indeterminate")],
        ["falsely flagged, of clips without one", flagged(whole, "separation")],
        ["falsely flagged, of torn muscles that never contract", flagged(still, "separation")],
        ["all contractions counted, and none else",
         counted(sum(each.cycles_right for each in scores), len(scores))],
        ["excursion, mean absolute error, mm",
         estimate(excursion, np.arange(len(scores))).text()],
        ["collections found", counted(int(found), int(real))],
        ["their area, mean absolute error over the true one",
         estimate(np.abs(area), np.arange(len(scores))).text()],
        ["false collections", f"{false} in {len(scores)} clips"],
        ["twitches found", counted(int(seen), int(twitches))],
        ["false twitches", f"{alarms} in {minutes:.1f} minutes"],
    ]  # fmt: skip
    lengths = [
        [name, *_lengths(pairs)]
        for name, pairs in {
            "gap at rest": [each.rest for each in scores],
            "gap at the peak": [each.peak for each in scores],
            "widening": [each.widening for each in scores],
            "muscle": [each.thickness for each in scores],
        }.items()
    ]
    kinds = []
    for kind in dict.fromkeys(KINDS):
        some = [each for each in scores if each.kind == kind]
        if not some:
            continue
        flags = [sum(each.flag == flag for each in some) for flag in SeparationFlag]
        right = sum(each.cycles_right for each in some)
        kinds.append([kind, str(len(some)), some[0].true_flag, *map(str, flags), str(right)])
    return "\n".join(
        [
            f"## Muscles of another simulator\n\n{page.machine()}\n\n"
            f"Seeds {scores[0].seed} to {scores[-1].seed} of `python -m benchmarks.second_muscles` "
            "([how it differs](synthetic.md)).\n",
            page.table(["", BRACKETS], rows),
            page.table(["mm", "measured", "mean absolute error", "truth inside"], lengths),
            page.table(
                ["clips", "number", "right answer", *SeparationFlag, "contractions counted"], kinds
            ),
        ]
    )


def said(one: Score) -> str:
    """Return what is printed of a clip."""
    return f"{one.kind}: {one.wrong() or 'right'}"


def main() -> None:
    """Run from the command line."""
    title = __doc__.splitlines()[0]
    second_runs.run(title, "second muscles", PUBLISHED, clip_of, score, said, report)


if __name__ == "__main__":
    main()
