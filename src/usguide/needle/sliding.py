"""What only a needle does: slide along itself, far and by strokes, against the tissue."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from usguide.model import Bools, Floats
from usguide.needle.pool import (
    SAME_OFFSET_PX,
    Pool,
    displacements,
    slid_with_picture,
    spread,
)

MOVE_PX = (0.6, 18.0)
"""Advance in a frame that may be a needle's, working px: 3 to 95 mm/s of a 35 mm picture at 30
frames/s; brisk pistoning, 10 mm at 3 Hz, peaks at 94. Noise moves an end less, and one found now
here and now there hops further."""
MOVE_GAP = 2.5
"""Frames further apart than this do not show how a needle moves."""
STROKE_MOVES = 3
"""Least successive moves the same way that make a stroke. Where an end is found here and there by
chance, two moves go the same way in one of three cases, three in one of twelve."""
TRUE_PX = 1.5
TRUE_DEG = 3.0
"""How far such a move may lead off the line in a frame, working px, and turn it."""
PAIR_FRAMES = 8.0
PAIR_PX = 4.0
LEAST_PAIRS = 3
"""Claims at most so long apart and at least so far show where an end travels, if there are as many
pairs of them: a hand or a probe that turns slowly does not count."""


def most_claimed_line(pool: Pool, chosen: NDArray[np.int64]) -> tuple[int, Bools]:
    """One of some claims, and which of them lie along its line: the line with the most of them.

    What a path does, it must do along one line: a path that hops between lines has not slid.
    """
    references = chosen[spread(len(chosen))]
    parallel, _, sideways = displacements(pool, references, chosen)
    on_line = parallel & (sideways < SAME_OFFSET_PX)
    crowded = int(np.argmax(np.count_nonzero(on_line, axis=1)))
    return int(references[crowded]), on_line[crowded]


def slide_range(pool: Pool, chosen: NDArray[np.int64]) -> float:
    """Range of the tips along the most claimed line, 5th to 95th percentile, working px.

    The lesser of the range against the tissue and the range in the picture: what moves with the
    tissue is part of it, and what stays in the picture while the tissue slides is where the beam
    fades.
    """
    line, same = most_claimed_line(pool, chosen)
    origin = np.array([line])
    _, against_tissue, _ = displacements(pool, origin, chosen[same])
    in_picture = against_tissue + slid_with_picture(pool, origin, chosen[same])
    ranges = []
    for advance in (against_tissue[0], in_picture[0]):
        low, high = np.quantile(advance, [0.05, 0.95])
        ranges.append(float(high - low))
    return min(ranges)


def longest_stroke(pool: Pool, chosen: NDArray[np.int64], numbers: Floats) -> float:
    """How far the tip goes along its line in one stroke, working px.

    Along the most claimed line, against the tissue and in the picture, as for :func:`slide_range`.
    A needle goes in or out in several frames; an end of tissue that is found now here and now
    there returns at once.

    Parameters
    ----------
    pool : Pool
        The candidates.
    chosen : ndarray of int64, shape (frames,)
        The path; -1 where it claims nothing.
    numbers : ndarray, shape (frames,)
        When every observed frame was taken, in frames.

    Returns
    -------
    float
        Longest way by ``STROKE_MOVES`` or more successive moves the same way; 0 where there are
        none.
    """
    claims = np.flatnonzero(chosen >= 0)
    gap = np.maximum(np.diff(numbers[claims]), 1.0)
    before, after = chosen[claims[:-1]], chosen[claims[1:]]
    along = pool.along[before]
    moved = pool.tip[after] - pool.tip[before]
    slid = np.einsum("kj,kj->k", pool.slide[after] - pool.slide[before], along)
    forward = np.einsum("kj,kj->k", moved, along)
    sideways = np.abs(moved[:, 1] * along[:, 0] - moved[:, 0] * along[:, 1])
    straight = np.einsum("kj,kj->k", along, pool.along[after]) > np.cos(np.radians(TRUE_DEG))
    way = np.where(np.sign(forward) == np.sign(forward + slid), np.sign(forward), 0.0)
    advance = np.minimum(np.abs(forward), np.abs(forward + slid))
    low, high = MOVE_PX
    moves = (advance >= low * gap) & (advance <= high * gap) & (gap <= MOVE_GAP)
    moves &= (sideways < TRUE_PX * gap) & straight
    _, same = most_claimed_line(pool, chosen[claims])
    moves &= same[1:] & same[:-1]
    turns = np.flatnonzero(~moves[1:] | ~moves[:-1] | (way[1:] != way[:-1])) + 1
    runs = np.split(np.where(moves, advance, 0.0), turns)
    return max((float(run.sum()) for run in runs if len(run) >= STROKE_MOVES), default=0.0)


def veer_deg(pool: Pool, chosen: NDArray[np.int64], numbers: Floats) -> float:
    """Angle between where the tips travel and where their shafts point, degrees from 0.

    A needle's tip travels along its shaft. A fibre is carried with its muscle, whichever way that
    goes: along the aponeuroses, to which the fibres are inclined. It does so whenever it moves: an
    angle that the moves from frame to frame show, but not the way over the whole clip, is chance.

    Parameters
    ----------
    pool : Pool
        The candidates.
    chosen : ndarray of int64, shape (frames,)
        The path; -1 where it claims nothing.
    numbers : ndarray, shape (frames,)
        When every observed frame was taken, in frames.

    Returns
    -------
    float
        Median over pairs of claims of the most claimed line, or the angle of the line through all
        its tips, whichever is the less; 0 where too few show it, or the two are not to one side.
    """
    claims = np.flatnonzero(chosen >= 0)
    _, same = most_claimed_line(pool, chosen[claims])
    when, line = numbers[claims[same]], chosen[claims[same]]
    veers = []
    for k in range(len(line)):
        later = np.arange(k + 1, np.searchsorted(when, when[k] + PAIR_FRAMES, side="right"))
        moved = pool.tip[line[later]] - pool.tip[line[k]]
        along = pool.along[line[later]] + pool.along[line[k]]
        along /= np.linalg.norm(along, axis=1, keepdims=True)
        forward = np.einsum("kj,kj->k", moved, along)
        far = np.flatnonzero(np.abs(forward) > PAIR_PX)
        if len(far):
            m, (x, y) = moved[far[0]], along[far[0]]
            veers.append(math.degrees(math.atan((m[1] * x - m[0] * y) / forward[far[0]])))
    if len(veers) < LEAST_PAIRS:
        return 0.0
    usual, overall = float(np.median(veers)), travel_deg(pool, line)
    return min(abs(usual), abs(overall)) if usual * overall > 0 else 0.0


def travel_deg(pool: Pool, line: NDArray[np.int64]) -> float:
    """Angle from where some shafts point, on the whole, to the line through their tips."""
    x, y = np.median(pool.along[line], axis=0)
    tips = pool.tip[line] - np.median(pool.tip[line], axis=0)
    forward, sideways = tips @ np.array([x, y]), tips @ np.array([-y, x])
    return math.degrees(math.atan(forward @ sideways / max(float(forward @ forward), 1e-9)))
