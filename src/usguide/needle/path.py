"""The likeliest path of one needle through a whole clip, with frames in which it is not seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usguide.kernels import shaft_path
from usguide.model import Floats
from usguide.needle.pool import Pool

ALONG_PX = 6.0
"""Scale of a tip's advance in one frame, working px: 1 mm of a 35 mm picture. Pistoning by 10 mm
at 1.8 Hz peaks at 57 mm/s, 2 mm a frame at 30 frames/s; the heavy tail lets a biopsy gun jump."""
ALONG_MOST_PX = 60.0
"""Where frames are missing, the advance between two that remain says nothing beyond this."""
ACROSS_PX = 1.5
"""Scale of a sideways move of the shaft in one frame, working px."""
ACROSS_MOST_PX = 12.0
TURN_DEG = 1.5
"""Scale of the change of angle in one frame."""
TURN_MOST_DEG = 8.0
MEMORY = 12
"""Frames over which a needle that was lost is still expected near where it was."""
LOSE = 1.0
"""Cost of losing sight of the needle, and again of finding it (log odds)."""
START = 4.0
"""Cost of a needle that appears anywhere (log odds)."""


COSTS = np.empty(8)
COSTS[shaft_path.ALONG], COSTS[shaft_path.ALONG_MOST] = ALONG_PX, ALONG_MOST_PX
COSTS[shaft_path.ACROSS], COSTS[shaft_path.ACROSS_MOST] = ACROSS_PX, ACROSS_MOST_PX
COSTS[shaft_path.TURN], COSTS[shaft_path.TURN_MOST] = TURN_DEG, TURN_MOST_DEG
COSTS[shaft_path.LOSE], COSTS[shaft_path.START] = LOSE, START

KNOWN_COSTS = COSTS.copy()
KNOWN_COSTS[shaft_path.ALONG] *= 1.5
KNOWN_COSTS[[shaft_path.ACROSS, shaft_path.TURN]] *= 2.0
"""The same once the needle is known: what a candidate's odds then weigh has its place and angle in
it, and the moves must not weigh them again. Tuned as ``AGREEMENT`` of the track."""


def best_path(
    pool: Pool, odds: Floats, numbers: Floats, costs: Floats = COSTS
) -> tuple[NDArray[np.int64], float]:
    """Choose at most one candidate per frame so that their odds less the moves' cost are largest.

    Parameters
    ----------
    pool : Pool
        The candidates.
    odds : ndarray, shape (n,)
        Log odds of each against 'no needle to be seen'.
    numbers : ndarray, shape (frames,)
        Position of every observed frame in the recording, increasing.
    costs : ndarray, shape (8,)
        Of the moves, see :func:`shaft_path.move_cost`.

    Returns
    -------
    chosen : ndarray of int64, shape (frames,)
        Index of the candidate, -1 where the needle is not seen.
    total : float
        Log odds of the path against no needle in the clip.
    """
    frames = len(numbers)
    value = np.full(len(pool.frame), -np.inf)
    previous = np.full(len(pool.frame), -1, dtype=np.int64)
    shaft_path.best_values(
        np.searchsorted(pool.frame, np.arange(frames + 1)),
        pool.lines,
        np.asarray(odds, dtype=np.float64),
        numbers,
        MEMORY,
        costs,
        value,
        previous,
    )
    chosen = np.full(frames, -1, dtype=np.int64)
    if not len(value) or value.max() <= 0:
        return chosen, 0.0
    at = int(np.argmax(value))
    total = float(value[at])
    while at >= 0:
        chosen[pool.frame[at]] = at
        at = int(previous[at])
    return chosen, total
