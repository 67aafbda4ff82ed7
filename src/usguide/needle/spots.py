"""A needle that crosses the image plane: one bright spot that outshines everything else."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.model import Bools, Floats
from usguide.needle.candidates import Float32

SPOTS = 3
"""Spots kept per frame."""
SPOT_SIGMA_PX = 1.5
"""Gaussian that a spot's core fills, working px. Its surroundings are taken at three times it, and
its place at twice it: the core's own glitter moves from frame to frame."""
APART_PX = 12
"""Distance between two spots (working px): side lobes of a cross-section reach that far."""
OUTSHINES = 11.5
"""Height of the spot over the root mean square of the whole picture's detail. The out-of-plane
needle had 13.7 and more, the brightest spots of tissue, bone and aponeuroses 9.5 and less; tuned
on needle_outofplane_horizontal, muscle_isokinetic030, thickness_range_of_motion, needle_convex_07,
needle_block and a synthetic heel."""
UNRIVALLED = 1.2
"""Median ratio of its height to the second spot's; the same clips."""
STEP_PX = 3.0
"""Scale of a spot's move in one frame, working px."""
MOVED_PX = 2.0
"""A spot that never moves further than this is not claimed: it may be a fixed reflector."""

SPOT = np.dtype([("x", np.float32), ("y", np.float32), ("height", np.float32)])


def find_spots(small: Float32, tissue: Bools) -> NDArray[np.void]:
    """Find the brightest compact spots of a reduced frame, brightest first.

    Parameters
    ----------
    small : ndarray of float32, shape (rows, columns)
        Grey levels at the working size.
    tissue : ndarray of bool, shape (rows, columns)
        Where there are echoes.

    Returns
    -------
    structured array of ``SPOT``, shape (at most ``SPOTS``,)
        Working px; ``height`` over the surroundings, in units of the root mean square of that
        difference over the whole picture.
    """
    core = cv2.GaussianBlur(small, (0, 0), SPOT_SIGMA_PX)
    whole = cv2.GaussianBlur(small, (0, 0), 2 * SPOT_SIGMA_PX)
    around = cv2.GaussianBlur(small, (0, 0), 3 * SPOT_SIGMA_PX)
    detail = np.where(tissue, core - around, 0).astype(np.float32)
    rms = float(np.sqrt(np.mean(detail[tissue] ** 2))) if tissue.any() else 0.0
    found = np.zeros(SPOTS, SPOT)
    if rms <= 0:
        return found[:0]
    left = detail.copy()
    rows, columns = detail.shape
    for k in range(SPOTS):
        y, x = np.unravel_index(int(np.argmax(left)), left.shape)
        height = float(left[y, x])
        if height <= 0:
            return found[:k]
        near = np.s_[max(0, y - 6) : min(rows, y + 7), max(0, x - 6) : min(columns, x + 7)]
        weight = whole[near].astype(np.float64) ** 8  # a soft maximum, below a pixel
        weight /= max(float(weight.max()), 1e-9)
        dy, dx = np.mgrid[near]
        total = max(float(weight.sum()), 1e-9)
        found[k] = (weight * dx).sum() / total, (weight * dy).sum() / total, height / rms
        cv2.circle(left, (int(x), int(y)), APART_PX, 0, -1)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class SpotPath:
    """The spot in every observed frame.

    Parameters
    ----------
    position : ndarray, shape (frames, 2)
        Working px; NaN where not seen.
    confidence : ndarray, shape (frames,)
        Estimated probability that it is within 3 mm.
    """

    position: Floats
    confidence: Floats


def follow_spot(frames: list[NDArray[np.void]], numbers: Floats) -> SpotPath | None:
    """Follow the one spot that outshines a clip, or return None where there is none.

    Parameters
    ----------
    frames : list of structured arrays of ``SPOT``
        Spots of every observed frame.
    numbers : ndarray, shape (frames,)
        When each was taken, in frames.
    """
    filled = [spots for spots in frames if len(spots)]
    if len(filled) < 3 or len(filled) < 0.5 * len(frames):
        return None
    best = np.array([spots["height"][0] for spots in filled])
    second = np.array([spots["height"][1] if len(spots) > 1 else 1e-6 for spots in filled])
    if np.median(best) < OUTSHINES or np.median(best / second) < UNRIVALLED:
        return None
    chosen = cheapest(frames, numbers)
    position = np.full((len(frames), 2), np.nan)
    height = np.zeros(len(frames))
    for k, index in enumerate(chosen):
        if index >= 0:
            spot = frames[k][index]
            position[k] = spot["x"], spot["y"]
            height[k] = spot["height"]
    seen = height > 0.5 * OUTSHINES
    if np.count_nonzero(seen) < 3:
        return None
    ends = np.quantile(position[seen], [0.05, 0.95], axis=0)
    if np.linalg.norm(ends[1] - ends[0]) < MOVED_PX:
        return None
    position[~seen] = np.nan
    return SpotPath(position, np.where(seen, height / (height + 0.15 * OUTSHINES), 0.0))


def cheapest(frames: list[NDArray[np.void]], numbers: Floats) -> list[int]:
    """Choose one spot per frame: bright, and close to where it was; -1 where there are none."""
    links: list[NDArray[np.intp]] = []
    kept: list[int] = []
    total = np.zeros(0)
    for k, spots in enumerate(frames):
        if not len(spots):
            continue
        gain = 2 * np.log(np.maximum(spots["height"].astype(np.float64), 1e-3))
        if kept:
            before = frames[kept[-1]]
            gap = max(1.0, float(numbers[k] - numbers[kept[-1]]))
            dx = spots["x"][None] - before["x"][:, None]
            dy = spots["y"][None] - before["y"][:, None]
            move = np.log1p((dx**2 + dy**2) / (STEP_PX**2 * gap))
            via = total[:, None] - move
            link = np.argmax(via, axis=0)
            total = via[link, np.arange(len(spots))] + gain
            links.append(link)
        else:
            total = gain
        kept.append(k)
    chosen = [-1] * len(frames)
    at = int(np.argmax(total))
    for position in range(len(kept) - 1, -1, -1):
        chosen[kept[position]] = at
        if position:
            at = int(links[position - 1][at])
    return chosen
