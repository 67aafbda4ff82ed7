"""The likeliest path of one needle through a whole clip, with frames in which it is not seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usguide.model import Floats
from usguide.needle.evidence import Pool

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


def move_cost(
    pool: Pool, earlier: NDArray[np.int64], later: NDArray[np.int64], gap: Floats
) -> Floats:
    """Cost of a needle going from one candidate to another, log odds.

    Parameters
    ----------
    pool : Pool
        The candidates.
    earlier, later : ndarray of int64, shapes (a,) and (b,)
        Which.
    gap : ndarray, shape (a,)
        Time between them in frames of the recording, at least 1.

    Returns
    -------
    ndarray of float64, shape (a, b)
        Sum of three heavy-tailed terms, ``log(1 + (move / scale)^2)``, whose scales grow with the
        square root of the gap: the shaft turns, shifts sideways, and slides along itself.
    """
    along_a, along_b = pool.along[earlier], pool.along[later]
    tip_a, tip_b = pool.tip[earlier], pool.tip[later]
    root = np.sqrt(gap)[:, None]
    cosine = np.clip(along_a @ along_b.T, -1, 1)
    turn = np.degrees(np.arccos(cosine)) / np.minimum(TURN_DEG * root, TURN_MOST_DEG)
    delta = tip_b[None] - tip_a[:, None]
    forward_a = np.einsum("abk,ak->ab", delta, along_a)
    forward_b = np.einsum("abk,bk->ab", delta, along_b)
    side_a = delta[..., 0] * along_a[:, None, 1] - delta[..., 1] * along_a[:, None, 0]
    side_b = delta[..., 0] * along_b[None, :, 1] - delta[..., 1] * along_b[None, :, 0]
    # The shallower tip lies on both shafts; the deeper one only on its own line's extension.
    across = np.where(forward_a > 0, side_b, side_a) / np.minimum(ACROSS_PX * root, ACROSS_MOST_PX)
    slide = 0.5 * (forward_a + forward_b) / np.minimum(ALONG_PX * root, ALONG_MOST_PX)
    return np.asarray(np.log1p(turn**2) + np.log1p(across**2) + np.log1p(slide**2))


def best_path(pool: Pool, odds: Floats, numbers: Floats) -> tuple[NDArray[np.int64], float]:
    """Choose at most one candidate per frame so that their odds less the moves' cost are largest.

    Parameters
    ----------
    pool : Pool
        The candidates.
    odds : ndarray, shape (n,)
        Log odds of each against 'no needle to be seen'.
    numbers : ndarray, shape (frames,)
        Position of every observed frame in the recording, increasing.

    Returns
    -------
    chosen : ndarray of int64, shape (frames,)
        Index of the candidate, -1 where the needle is not seen.
    total : float
        Log odds of the path against no needle in the clip.
    """
    frames = len(numbers)
    bounds = np.searchsorted(pool.frame, np.arange(frames + 1))
    value = np.full(len(pool.frame), -np.inf)
    previous = np.full(len(pool.frame), -1, dtype=np.int64)
    settled = -np.inf  # best path that ended before the memory reaches
    settled_at = -1
    for t in range(frames):
        here = np.arange(bounds[t], bounds[t + 1])
        if not len(here):
            continue
        first = max(0, t - MEMORY)
        if first > 0:
            old = np.arange(bounds[first - 1], bounds[first])
            if len(old) and value[old].max() > settled:
                settled_at = int(old[np.argmax(value[old])])
                settled = float(value[settled_at])
        start = -START
        origin = -1
        if settled - LOSE > 0:
            start = settled - LOSE - START
            origin = settled_at
        best = np.full(len(here), start)
        source = np.full(len(here), origin, dtype=np.int64)
        old = np.arange(bounds[first], bounds[t])
        if len(old):
            skipped = t - pool.frame[old]
            gap = np.maximum(numbers[t] - numbers[pool.frame[old]], 1.0)
            via = (value[old] - np.where(skipped > 1, 2 * LOSE, 0.0))[:, None]
            via = via - move_cost(pool, old, here, gap)
            k = np.argmax(via, axis=0)
            reached = via[k, np.arange(len(here))]
            better = reached > best
            best = np.where(better, reached, best)
            source = np.where(better, old[k], source)
        value[here] = best + odds[here]
        previous[here] = source
    chosen = np.full(frames, -1, dtype=np.int64)
    if not len(value) or value.max() <= 0:
        return chosen, 0.0
    at = int(np.argmax(value))
    total = float(value[at])
    while at >= 0:
        chosen[pool.frame[at]] = at
        at = int(previous[at])
    return chosen, total
