"""The candidates of one frame looked at closely: line and tip, from the frame at its full size."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from usguide.kernels import shafts
from usguide.model import Floats, Frame
from usguide.needle.candidates import CANDIDATE, Candidates, Workspace
from usguide.needle.ridges import Float32

STEP_PX = 0.5
"""Spacing of the samples taken along and across a candidate, working px: a shaft is taken as 2.5
of them wide, its flanks begin at 2.5, and 16 are looked at past either end."""


def _local_mean(small: Float32, side: int) -> Float32:
    """Mean over a square around every px of a reduced frame, whose levels are whole numbers."""
    return np.asarray(cv2.boxFilter(small.astype(np.uint8), cv2.CV_32F, (side, side)), np.float32)


def speckle_noise(small: Float32, workspace: Workspace) -> float:
    """Robust deviation of the reduced frame from its local mean, grey levels, at least 2."""
    detail = np.abs(small - _local_mean(small, 9)).ravel().take(workspace.quarter)
    if not detail.size:
        return 2.0
    middle = detail.size // 2
    return max(2.0, 1.4826 * float(np.partition(detail, middle)[middle]))


@dataclass(frozen=True, slots=True)
class Glance:
    """What all candidates of one frame share."""

    frame: Frame
    small: Float32
    noise: float
    """Speckle noise, grey levels."""
    levels: Floats
    """Sorted sample of the tissue's grey levels at the working size."""

    @classmethod
    def at(cls, frame: Frame, workspace: Workspace) -> Glance:
        """Reduce a frame and measure its noise and grey levels."""
        small = workspace.reduce(frame)
        levels = np.sort(_local_mean(small, 5).ravel().take(workspace.some)).astype(np.float64)
        return cls(frame, small, speckle_noise(small, workspace), levels)


def examine(glance: Glance, segments: Floats, workspace: Workspace) -> Candidates:
    """Measure the segments of a frame at its full size.

    Parameters
    ----------
    glance : Glance
        The frame.
    segments : ndarray, shape (n, 6)
        Score, angle and ends (shallow, deep), working px.
    workspace : Workspace
        Sizes and masks of the clip.

    Returns
    -------
    structured array of ``CANDIDATE``
        One or two per segment: one per place where the shaft may end.
    """
    ends = np.column_stack(
        [workspace.to_region(segments[:, 2:4]), workspace.to_region(segments[:, 4:6])]
    )
    rows = np.empty((2 * len(segments), shafts.COLUMNS + 1))
    count = shafts.measure_shafts(glance.frame, ends, STEP_PX * workspace.scale, rows)
    rows = rows[:count]
    tip, tail = rows[:, shafts.TIP : shafts.TIP + 2], rows[:, shafts.TAIL : shafts.TAIL + 2]
    out = np.zeros(count, CANDIDATE)
    out["tip_x"], out["tip_y"] = tip.T
    out["tail_x"], out["tail_y"] = tail.T
    out["score"] = segments[rows[:, shafts.COLUMNS].astype(np.intp), 0]
    for name, column in (
        ("contrast", shafts.CONTRAST),
        ("ridge", shafts.RIDGE),
        ("near", shafts.NEAR),
        ("weakest", shafts.WEAKEST),
        ("step", shafts.STEP),
        ("onward", shafts.ONWARD),
    ):
        out[name] = rows[:, column] / glance.noise
    out["noise"] = glance.noise
    below = np.searchsorted(glance.levels, rows[:, shafts.LEVEL])
    out["echo"] = below / max(1, len(glance.levels))
    out["margin"] = workspace.distance_to_edge(tip)
    along = tip - tail
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
    out["gap"], out["entry"] = workspace.way_in(tail, along)
    return out
