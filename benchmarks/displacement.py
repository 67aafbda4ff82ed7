"""Compare the displacement of a contracting muscle with the truth: its error and its drift."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.records import Columns, Truth, array
from usguide import Clip
from usguide.model import ContractionResult
from usguide.motion.displacement import Tracker
from usguide.motion.history import History
from usguide.motion.parting import MIN_TRUST
from usguide.synth import Recording

REST = 0.02
"""Activation up to which the truth calls the muscle at rest."""

EVERY = 4
"""Frames between two at which the field is compared: neighbours show the same speckle."""

ROUNDS = 40
"""Halving steps in which the place at rest of a point is found: 2^-40 of a deformation."""


def displacement_frames(result: ContractionResult, truth: Truth, own: NDArray[np.bool_]) -> Columns:
    """Judge the displacement in each frame that is no repeat against the muscle's slide.

    The true curve is the slide of the deep aponeurosis, which the stage's curve stands for; which
    way it counts as positive is left open.
    """
    activation = array(truth["contraction"]["activation"])[own]
    slides = [cycle["excursion_mm"] for cycle in truth["contraction"]["cycles"]]
    true = activation * max(slides, default=0.0)
    nothing = np.full(len(own), np.nan)
    got = (nothing if result.displacement_mm is None else result.displacement_mm)[own]
    if np.nansum(got * true) < 0:
        got = -got
    return {"true_mm": true, "error_mm": got - true, "moving": activation > REST}


def drift_clip(result: ContractionResult, truth: Truth, own: NDArray[np.bool_]) -> Columns:
    """Judge what is left of the displacement at rest after the last contraction, in mm.

    The displacement is added up from frame to frame; at rest again, it should be what it was before
    the first contraction. Clips that begin or end contracted say nothing about it.
    """
    columns = displacement_frames(result, truth, own)
    active = np.flatnonzero(columns["moving"])
    left = np.nan
    if len(active):
        before, after = columns["error_mm"][: active[0]], columns["error_mm"][active[-1] + 1 :]
        if np.isfinite(before).any() and np.isfinite(after).any():
            left = float(np.nanmean(after) - np.nanmean(before))
    return {"left_mm": np.array([left]), "cycles": np.array([len(truth["contraction"]["cycles"])])}


def displacement_cells(clip: Clip, scene: Recording) -> Columns:
    """Judge the displacement since the first frame in every cell that the stage would trust.

    Cells whose place at rest is not unique (inside a gap) have no truth and are left out.
    """
    header = clip.header
    tracker, history = Tracker(header.tissue), History(header.region.width, header.region.height)
    for index, frame in clip.frames():
        history.add(index, tracker.step(frame))
    motion = history.motion()
    cells = np.stack(np.meshgrid(motion.x_px, motion.y_px), axis=-1).reshape(-1, 2)
    points = cells + header.region.origin_px
    spacing = np.array(header.calibration.spacing_mm)
    activation = array(scene.truth["contraction"]["activation"])
    parts: list[Columns] = []
    for entry in range(0, len(motion.frames), EVERY):
        frame = int(motion.frames[entry])
        rest = points.copy()
        for _ in range(ROUNDS):
            rest += 0.5 * (points - rest - scene.displacement_mm(frame, rest) / spacing)
        moved = scene.displacement_mm(frame, rest)
        known = np.linalg.norm((points - rest) * spacing - moved, axis=1) < 0.05
        true = moved - scene.displacement_mm(0, rest)
        found = motion.displacement_px[entry].reshape(-1, 2) * spacing
        trusted = known & (motion.quality[entry].ravel() >= MIN_TRUST)
        error = np.linalg.norm(found - true, axis=1)[trusted]
        moving = np.full(len(error), activation[frame] > REST)
        parts.append({"error_mm": error, "moving": moving})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
