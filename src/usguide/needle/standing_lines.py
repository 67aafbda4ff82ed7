"""The lines of a clip, wherever on them each frame sees an end.

A needle that moves slowly, or is hardly brighter than the tissue that it lies in, ends at another
place in every other frame for all that single frames can tell; but its line is found in most of
them, whatever the picture's gain and grey curve.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from usguide.model import Floats
from usguide.needle.evidence import Odds
from usguide.needle.pool import SAME_OFFSET_PX, Pool, displacements, spread

LINES = 4
"""Lines that are looked at. Of the one real needle that was found so, in nine renderings of its
clip, the line was the second."""
FRAMES = 20
"""Frames, spread over the clip, that the lines are first looked for in."""
MOSTLY = 0.5
"""Share of the frames in which a line must be found."""
NONE_LIKE = -8.0
"""Log odds of a candidate that speaks no more for its line than none does: of those on the lines
of needles few have less, and what counts is in how many frames there is one."""


def standing_lines(pool: Pool, odds: Odds, frames: int) -> Iterator[NDArray[np.int64]]:
    """Give the lines that are found most often and look most like a needle, the best first.

    Parameters
    ----------
    pool : Pool
        The candidates of the clip.
    odds : Odds
        Their log odds.
    frames : int
        Number of observed frames.

    Yields
    ------
    chosen : ndarray of int64, shape (frames,)
        The candidate on the line that is most like a needle in each frame, -1 where there is none.
    """
    index = np.flatnonzero(np.isin(pool.frame, spread(frames, FRAMES)))
    if not len(index):
        return
    # Where each of those frames begins that has candidates.
    starts = np.flatnonzero(np.diff(pool.frame[index], prepend=-1))
    worth = np.maximum(odds.full - NONE_LIKE, 0.0)
    near = _beside(pool, index, index)
    left = worth[index].copy()
    for _ in range(LINES):
        total = np.maximum.reduceat((near < 0.5 * SAME_OFFSET_PX) * left, starts, axis=1).sum(
            axis=1
        )
        total[left == 0] = 0.0
        best = int(np.argmax(total))
        if total[best] == 0:
            return
        left[near[best] < SAME_OFFSET_PX] = 0.0
        away = _beside(pool, index[[best]], np.arange(len(pool.frame)))[0]
        on = np.flatnonzero(away < 0.5 * SAME_OFFSET_PX)
        chosen = np.full(frames, -1, np.int64)
        rising = on[np.argsort(odds.full[on], kind="stable")]
        chosen[pool.frame[rising]] = rising
        if np.mean(chosen >= 0) >= MOSTLY:
            yield chosen


def _beside(pool: Pool, origin: NDArray[np.int64], other: NDArray[np.int64]) -> Floats:
    """Distance of the others' tips from each origin's line, working px; inf if not parallel.

    For m origins and n others, ndarray of float64, shape (m, n).
    """
    parallel, _, sideways = displacements(pool, origin, other)
    return np.where(parallel, sideways, np.inf)
