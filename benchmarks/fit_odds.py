"""Fit how likely a line is the heel bone, and a heel measured right, to clips with their truth.

    python -m benchmarks.fit_odds FOLDER...

A folder holds clips beside their truth (``docs/truth.md``), as ``usguide synth`` and the ``--folder
DIR --render`` of the simulators' benchmarks write them; a clip whose truth has no fascia shows no
heel. The models' weights (:class:`usguide.fascia.logistic.Logistic`) are fitted to every second
clip of a folder, and printed beside those in use, with the mean log-likelihood of either half: what
is kept aside must gain as well. Of a picture all lines and bands are judged that the detector may
choose from, each picture weighing as much as any other.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.optimize import minimize

from usguide import open_clip
from usguide.fascia import bone_odds, heel_odds, surroundings
from usguide.fascia.bone_odds import Profile
from usguide.fascia.calcaneus import Bone, likeliest, lines
from usguide.fascia.detection import Heel, Scale, followed_mm, heel_of, turned
from usguide.fascia.logistic import Logistic
from usguide.fascia.workspace import Image, Workspace
from usguide.model import Bools, Floats

MODELS = {
    "bone_odds": bone_odds.MODEL,
    "surroundings": surroundings.MODEL,
    "heel_odds": heel_odds.MODEL,
}
EDGE_MM, THICKNESS_MM = 3.0, 1.0
"""How near a right line ends to the bone's edge; how far off a right heel's stations are."""
BONE_ODDS_MIN = -3.0
"""Lines less likely than this lead to no band."""
RIDGE = 1e-4
"""On the squares of the weights, each times the range in which its evidence counts."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """What one picture has to say of each model: rows of evidence, and which are right."""

    folder: str
    aside: bool
    rows: dict[str, list[tuple[Floats, bool]]]


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What is known of a picture, none of it if it shows no heel."""

    fascia: dict[str, Any] | None
    mm_per_px: Floats
    drift_px: Floats

    @classmethod
    def of(cls, truth: dict[str, Any]) -> Truth:
        """Read what a clip's sidecar says of its first frame."""
        size = np.asarray(truth["calibration"]["mm_per_px"])
        drift = np.asarray(truth.get("drift_mm") or [[0.0, 0.0]])[0]
        return cls(truth.get("fascia"), size, drift / size)

    def ends(self, bone: Bone, workspace: Workspace) -> bool:
        """Say whether a line ends at the heel bone's front edge."""
        if self.fascia is None or bone.mirrored is not (self.fascia["side"] == "right"):
            return False
        edge = workspace.to_source(np.array(bone.edge), mirrored=bone.mirrored)
        apart = (edge - self.fascia["insertion_px"] - self.drift_px) * self.mm_per_px
        return float(np.hypot(*apart)) < EDGE_MM

    def agrees(self, heel: Heel, pixel_mm: float) -> bool:
        """Say whether a heel lies on the right side, its stations right on average."""
        if self.fascia is None or heel.bone.mirrored is not (self.fascia["side"] == "right"):
            return False
        known = self.fascia["thickness_mm"]
        stations = [(0.0, known["insertion"])]
        stations += [(one["distance_mm"], one["value"]) for one in known["stations"]]
        band, reach = heel.pair.band.distance_mm, followed_mm(heel.pair)
        errors = [
            abs(float(np.interp(at, band, heel.pair.thickness_px)) * pixel_mm - value)
            for at, value in stations
            if at <= reach and value is not None
        ]
        return bool(errors) and float(np.mean(errors)) < THICKNESS_MM


def pictures(folder: Path) -> Iterator[Picture]:
    """Judge the clips of a folder: their first frame, and another where no heel is in view."""
    for number, sidecar in enumerate(sorted(folder.glob("*.truth.json"))):
        truth = json.loads(sidecar.read_text(encoding="utf-8"))
        stem = sidecar.name.removesuffix(".truth.json")
        path = next(one for one in folder.glob(f"{stem}.*") if one != sidecar)
        known = Truth.of(truth)
        clip = open_clip(path, spacing_mm=tuple(known.mm_per_px))
        workspace = Workspace.of(clip.header)
        wanted = {0} if known.fascia else {0, clip.header.frames // 2}
        for index, frame in clip.frames():
            if index in wanted:
                rows = judged(workspace.picture(frame), workspace, known)
                yield Picture(folder.name, number % 2 == 1, rows)
            if index >= max(wanted):
                break


def judged(
    picture: Image, workspace: Workspace, truth: Truth
) -> dict[str, list[tuple[Floats, bool]]]:
    """Measure all lines and bands of a picture."""
    rows: dict[str, list[tuple[Floats, bool]]] = {name: [] for name in MODELS}
    pixel_mm = workspace.pixel_mm
    scale = Scale.of(picture, workspace.tissue)
    levels = scale.levels(picture)
    found, _ = lines(levels, workspace.tissue, pixel_mm)
    alone = {(bone.mirrored, bone.edge): bone.odds for bone in found}
    for bone in found:
        view = turned(levels, bone.mirrored)
        line = Profile.of(view, bone.x, bone.y, pixel_mm)
        measured = bone_odds.evidence(view, line, pixel_mm)
        rows["bone_odds"].append((measured, truth.ends(bone, workspace)))
    for bone in likeliest(found, levels, pixel_mm):
        view = turned(levels, bone.mirrored)
        odds = alone[bone.mirrored, bone.edge]
        around = surroundings.evidence(odds, view, bone.x, bone.y, pixel_mm)
        if around is not None:
            rows["surroundings"].append((around, truth.ends(bone, workspace)))
        if bone.odds < BONE_ODDS_MIN:
            continue
        heel = heel_of(view, bone, scale, pixel_mm)
        if isinstance(heel, Heel):
            seen = followed_mm(heel.pair)
            band = heel_odds.evidence(heel.bone.odds, heel.pair, seen, pixel_mm)
            if band is not None:
                rows["heel_odds"].append((band, truth.agrees(heel, pixel_mm)))
    return rows


def fitted(model: Logistic, seen: list[list[tuple[Floats, bool]]]) -> Logistic:
    """Fit a model's weights and offset to pictures, each one's rows weighing 1 together."""
    evidence, right, share = gathered(seen)
    clipped = np.column_stack([model.clipped(evidence), np.ones(len(right))])
    _, least, most = np.array(list(model.terms.values())).T
    width = np.append(most - least, 0.0)

    def loss(weights: Floats) -> float:
        wrong = np.logaddexp(0.0, np.where(right, -1.0, 1.0) * (clipped @ weights))
        return float(share @ wrong + RIDGE * np.sum((weights * width) ** 2))

    now = [weight for weight, _, _ in model.terms.values()]
    best = minimize(loss, np.array([*now, model.offset]), method="BFGS").x
    terms = zip(model.terms.items(), best, strict=False)
    return replace(
        model,
        terms={name: (float(weight), *bounds[1:]) for (name, bounds), weight in terms},
        offset=float(best[-1]),
    )


def likelihood(model: Logistic, seen: list[list[tuple[Floats, bool]]]) -> float:
    """Return the mean log-likelihood of pictures."""
    evidence, right, share = gathered(seen)
    odds = np.array([model.odds(one) for one in evidence])
    return -float(share @ np.logaddexp(0.0, np.where(right, -odds, odds)))


def gathered(seen: list[list[tuple[Floats, bool]]]) -> tuple[Floats, Bools, Floats]:
    """Stack rows of evidence, which of them are right, and the share of each in all."""
    rows = [(*row, 1.0 / len(part)) for part in seen for row in part]
    evidence, right, share = (np.array(column) for column in zip(*rows, strict=True))
    return evidence, right.astype(bool), share / share.sum()


def report(every: list[Picture]) -> str:
    """Print the weights in use and those fitted, and what either make of both halves."""
    written = []
    for name, model in MODELS.items():
        seen = [one.rows[name] for one in every if not one.aside]
        if not any(seen):
            continue
        afresh = fitted(model, seen)
        written += [name, "    now fitted"]
        for term, (weight, _, _) in model.terms.items():
            written.append(f"{weight:7.2f} {afresh.terms[term][0]:7.2f}  {term}")
        written.append(f"{model.offset:7.2f} {afresh.offset:7.2f}  offset")
        for folder in dict.fromkeys(one.folder for one in every):
            for aside in (False, True):
                part = [
                    one.rows[name] for one in every if (one.folder, one.aside) == (folder, aside)
                ]
                if any(part):
                    half = "aside" if aside else "fitted to"
                    gain = (likelihood(one, part) for one in (model, afresh))
                    written.append("{:7.3f} {:7.3f}  ".format(*gain) + f"{folder}, {half}")
    return "\n".join(written)


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    cv2.setNumThreads(1)
    folders = parser.parse_args(arguments).folders
    print(report([picture for folder in folders for picture in pictures(folder)]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
