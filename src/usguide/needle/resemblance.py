"""Once a clip is known to hold a needle: how much each candidate is like it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from usguide.kernels.shaft_path import ends_beyond
from usguide.model import Floats
from usguide.needle.evidence import MOVED_TIP_PX, SAME_TIP_PX, Odds, appearance, weighted
from usguide.needle.pool import SAME_TURN_DEG, Pool, spread

NEIGHBOURS = 8
"""Claims, nearest in time, that a candidate is compared with."""
TURN_DEG = 4.0
"""Difference of angle that makes a shaft unlike another."""
ENTRY_PX = 8.0
"""Distance between the points of entry that does (working px)."""

WEIGHTS = {
    "bias": -3.36,
    "score": 0.79,
    "unlike": -0.65,
    "step": 0.59,
    "cut": 1.26,
    "echo": 1.85,
    "tissue": -5.0,
}
"""Conditional logit, fitted on the paths found in the clips that the weights of the evidence were
fitted on; but ``tissue``, of which they hold too little, was set so that it loses nothing."""

FEW = 8
"""Fewer frames before the needle came this far do not show that an end is the tissue's."""
MOSTLY = 0.5
"""Share of those frames above which it is: where the needle is, at most a few ends in a hundred
were as often there before it."""


WITHIN = 4.0
"""Frames within which a claim says where the tip was: pistoning takes some 5 from turn to turn."""
ASTRAY_PX = 3.0
"""Distance of a tip along the shaft from where the claims around it lead one to expect it, for each
frame between them, that is astray (working px)."""
COMPANY = 0.0, 1.0, 4.0
ASTRAY = 0.0, 0.75, 1.5
"""Worth of no claim, of one, and of one either side, and the cost of being astray of them (log
odds). On one side alone they say little: beyond the last claim the needle may be out of sight.
Tuned on needle_convex_01, 05, 07, needle_block and 55 synthetic clips."""


def differences(
    pool: Pool, entry: Floats, some: NDArray[np.int64], others: NDArray[np.int64]
) -> Floats:
    """Squared differences of angle and point of entry, in their units; shape (some, others)."""
    cosine = np.clip(pool.along[some] @ pool.along[others].T, -1, 1)
    apart = np.linalg.norm(entry[some][:, None] - entry[others][None], axis=-1)
    return np.asarray((np.degrees(np.arccos(cosine)) / TURN_DEG) ** 2 + (apart / ENTRY_PX) ** 2)


def there_without_the_needle(pool: Pool, claims: NDArray[np.int64]) -> Floats:
    """Share of the frames with the needle's tip further out in which an end is here all the same.

    A needle has one tip. Where it fades, a bright piece of tissue further along its line ends like
    it, but that end was there while the tip was elsewhere.

    Parameters
    ----------
    pool : Pool
        The candidates.
    claims : ndarray of int64, shape (m,)
        Candidates of some frames that are the needle.

    Returns
    -------
    ndarray of float64, shape (n,)
        0 to 1.
    """
    there = np.empty(len(pool.frame), np.int64)
    looked = np.empty_like(there)
    frames = pool.frame[claims]
    present = np.column_stack(
        [np.searchsorted(pool.frame, frames + next_one) for next_one in (0, 1)]
    )
    limits = np.array([MOVED_TIP_PX, SAME_TIP_PX, math.cos(math.radians(SAME_TURN_DEG))])
    ends_beyond(pool.lines, pool.frame, claims, present, limits, looked, there)
    return np.asarray(there / np.maximum(looked, FEW))


def resemblance(
    pool: Pool, odds: Odds, chosen: NDArray[np.int64], numbers: Floats
) -> dict[str, Floats]:
    """Compare every candidate with the claims of a path in other frames near it in time.

    Parameters
    ----------
    pool : Pool
        The candidates.
    odds : Odds
        Their log odds.
    chosen : ndarray of int64, shape (frames,)
        The path; -1 where it claims nothing.
    numbers : ndarray, shape (frames,)
        When each frame was taken.

    Returns
    -------
    dict
        ``score``, the log odds; ``unlike``, growing with the difference of angle and of the point
        of entry from the most similar of the nearest claims; and the tip's own features, which now
        only choose between ends of the same shaft: among them ``tissue``, how much more often than
        not an end is there before the needle is. Each of shape (n,).
    """
    gap = pool.records["gap"].astype(np.float64)
    entry = pool.tail - gap[:, None] * pool.along
    claims = np.flatnonzero(chosen >= 0)
    unlike = np.full(len(pool.frame), np.log1p(50.0))
    for frame in np.unique(pool.frame):
        here = pool.of_frame(int(frame))
        at = int(np.searchsorted(claims, frame))
        others = claims[max(0, at - NEIGHBOURS) : at + NEIGHBOURS + 1]
        others = others[others != frame]
        if not len(others):
            continue
        order = np.argsort(np.abs(numbers[others] - numbers[frame]), kind="stable")
        near = chosen[others[order[:NEIGHBOURS]]]
        difference = np.sort(differences(pool, entry, here, near), axis=1)
        unlike[here] = np.log1p(difference[:, : max(1, len(near) // 4)].mean(axis=1))
    looks = appearance(pool)
    before = there_without_the_needle(pool, chosen[claims[spread(len(claims))]])
    return {
        "score": odds.full,
        "unlike": unlike,
        **{name: looks[name] for name in ("step", "cut", "echo")},
        "tissue": np.clip(before - MOSTLY, 0.0, 1.0),
    }


def resembling_odds(pool: Pool, odds: Odds, chosen: NDArray[np.int64], numbers: Floats) -> Floats:
    """Log odds of every candidate, given that the clip holds the needle of a path."""
    return weighted(resemblance(pool, odds, chosen, numbers), WEIGHTS)


def expected_odds(pool: Pool, chosen: NDArray[np.int64], numbers: Floats) -> Floats:
    """Log odds of every candidate for being where the claims just before and after it expect it.

    Parameters
    ----------
    pool : Pool
        The candidates.
    chosen : ndarray of int64, shape (frames,)
        A path; -1 where it claims nothing.
    numbers : ndarray, shape (frames,)
        When each frame was taken.

    Returns
    -------
    ndarray of float64, shape (n,)
        Of the claim in its own frame none says anything.
    """
    claims = np.flatnonzero(chosen >= 0)
    if not len(claims):
        return np.zeros(len(pool.frame))
    earlier = np.searchsorted(claims, pool.frame) - 1
    later = np.searchsorted(claims, pool.frame, side="right")
    ends = [claims[np.clip(side, 0, len(claims) - 1)] for side in (earlier, later)]
    before, after = (chosen[end] for end in ends)
    now = numbers[pool.frame]
    since = np.where(earlier >= 0, now - numbers[ends[0]], np.inf)
    until = np.where(later < len(claims), numbers[ends[1]] - now, np.inf)
    had, has = since <= WITHIN, until <= WITHIN
    before = np.where(had, before, after)
    after = np.where(has, after, before)
    along = pool.along[before] + pool.along[after]
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
    forward = np.einsum("kj,kj->k", pool.tip - pool.tip[before], along)
    way = np.einsum("kj,kj->k", pool.tip[after] - pool.tip[before], along)
    both = had & has
    done = np.where(both, since / np.where(both, since + until, 1.0), 0.0)
    apart = np.where(both, 0.5 * (since + until), 2.0 * np.minimum(since, until))
    off = (forward - done * way) / (ASTRAY_PX * np.where(had | has, apart, 1.0))
    sides = had.astype(np.intp) + has
    return np.asarray(np.array(COMPANY)[sides] - np.array(ASTRAY)[sides] * np.log1p(off**2))
