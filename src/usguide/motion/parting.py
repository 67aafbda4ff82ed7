"""Where tissue parts: a jump in displacement along the muscle that stretching does not explain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from usguide.kernels.steps import step_between
from usguide.model import Floats
from usguide.motion.history import Motion, bilinear
from usguide.motion.strip import Belly

DEPTH_LINES = 12
"""Depths of the muscle at which displacement is read."""

WINDOW = 3
"""Depths averaged: a quarter of the muscle's thickness."""

FLANK = 4
"""Cells at either side of a gap taken as its ends, about 8 mm of a 48 mm wide image."""

WIDEST = 9
"""Cells that a gap may span."""

TRACKING_ERROR = 0.03
"""Error of an accumulated displacement as a share of it: 1 to 2 % on synthetic muscle, and more
where tissue leaves the plane."""

LAYER_ERROR = 0.35
"""How far a straightened line may stray from the tissue's own layer, in lines: where layers slide
over one another, straying looks like parting."""

MIN_TRUST = 0.15
"""Quality under which a cell does not speak."""


@dataclass(frozen=True, slots=True, eq=False)
class Parting:
    """A place where tissue on both sides moves apart between rest and peak.

    Parameters
    ----------
    depths : slice
        Lines (of ``DEPTH_LINES``) over which it was seen.
    left, right : int
        Cells that bound it.
    jump_px : float
        By how much more than smooth stretching the right side moved to the right of the left.
    error_px : float
        Standard error of that.
    """

    depths: slice
    left: int
    right: int
    jump_px: float
    error_px: float


def change_between(motion: Motion, belly: Belly, rest: int, peak: int) -> tuple[Floats, Floats]:
    """Displacement along the muscle from rest to peak, at the peak's positions.

    Returns
    -------
    along : ndarray, shape (DEPTH_LINES, columns)
        Displacement along the image's x, px: the straightened muscle's own axis.
    trust : ndarray, shape (DEPTH_LINES, columns)
        Quality at rest and at peak, the lesser of both.
    """
    frame = int(motion.frames[peak])
    lines = belly.depth_lines(frame, DEPTH_LINES)
    x = motion.x_px
    y = np.stack([np.interp(x, belly.columns, line) for line in lines])
    now = np.stack([np.broadcast_to(x, y.shape), y], axis=-1).reshape(-1, 2)
    at_peak = motion.at(peak, now)
    then = now
    for _ in range(4):  # where that tissue was at rest: a fixed point of the rest field
        then = now - (at_peak - motion.at(rest, then))
    moved = now - then
    trust = np.minimum(_quality(motion, peak, now), _quality(motion, rest, then))
    width = belly.columns[-1]
    outside = (then[:, 0] < -0.02 * width) | (then[:, 0] > 1.02 * width)
    shown = belly.shows(now[:, 0], now[:, 1]) & belly.shows(then[:, 0], then[:, 1])
    trust = np.where(outside | ~shown, 0.0, trust)
    return moved[:, 0].reshape(y.shape), trust.reshape(y.shape)


def _quality(motion: Motion, entry: int, points: Floats) -> Floats:
    found: Floats = bilinear(motion.quality[entry][..., None], motion.x_px, motion.y_px, points)[
        :, 0
    ]
    return found


def find_partings(along: Floats, trust: Floats) -> list[Parting]:
    """Every depth window's strongest partings that share no columns, best first.

    Beside a gap the displacement is a + b x on both sides, with one slope b (the muscle's own
    stretch or shortening) and a step between them. Shortening is not credited to the step.
    """
    found = []
    columns = along.shape[1]
    sliding = np.abs(np.gradient(along, axis=0))
    for first in range(along.shape[0] - WINDOW + 1):
        rows = slice(first, first + WINDOW)
        weight = trust[rows].mean(axis=0)
        u = (along[rows] * trust[rows]).sum(axis=0) / np.maximum(trust[rows].sum(axis=0), 1e-9)
        weight = np.where(weight >= MIN_TRUST, weight, 0.0)
        doubt = np.hypot(TRACKING_ERROR * u, LAYER_ERROR * sliding[rows].mean(axis=0))
        seen: list[Parting] = []
        # An end is where tissue was still seen: fluid between two ends shows nothing to track.
        ends = np.flatnonzero(weight > 0)
        for left in ends[(ends >= 1) & (ends < columns - 2)]:
            for right in ends[(ends > left) & (ends <= min(left + WIDEST, columns - 2))]:
                jump, error = step_between(u, weight, left, right, FLANK)
                if np.isnan(error):
                    continue
                error = float(np.hypot(error, doubt[left : right + 1].mean()))
                if jump > 2 * error:
                    seen.append(Parting(rows, int(left), int(right), jump, error))
        found += apart(sorted(seen, key=_certain, reverse=True))
    return sorted(found, key=_certain, reverse=True)


def apart(partings: list[Parting]) -> list[Parting]:
    """Drop partings that lie over a better one, which comes before them."""
    kept: list[Parting] = []
    for parting in partings:
        if not any(_overlap(other, parting) for other in kept):
            kept.append(parting)
    return kept


def _overlap(one: Parting, other: Parting) -> bool:
    """Whether two partings share columns and depths."""
    deep = one.depths.start < other.depths.stop and other.depths.start < one.depths.stop
    return deep and _beside(one, other)


def _beside(one: Parting, other: Parting) -> bool:
    """Whether two partings share columns."""
    return one.left <= other.right and other.left <= one.right


def _certain(parting: Parting) -> float:
    """Parting beyond two standard errors, px."""
    return parting.jump_px - 2 * parting.error_px
