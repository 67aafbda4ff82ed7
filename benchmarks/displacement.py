"""Compare the displacement of a contracting muscle with the truth: its error and its drift."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.records import Columns, Truth, array
from usguide.model import ContractionResult

REST = 0.02
"""Activation up to which the truth calls the muscle at rest."""


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
