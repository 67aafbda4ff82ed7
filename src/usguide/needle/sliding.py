"""What only a needle does: slide along itself, far and briskly, against the tissue."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usguide.model import Bools, Floats
from usguide.needle.pool import Pool, displacements, on_line_of, slid_with_picture, spread

BRISK_PX = (1.5, 12.0)
"""Advance in a frame that is brisk, working px: 8 to 60 mm/s of a 35 mm picture at 30 frames/s.
Tissue slides more slowly, and where an end is found now here and now there, it hops further."""
BRISK_GAP = 2.5
"""Frames further apart than this do not show how a needle moves."""
TRUE_PX = 1.5
TRUE_DEG = 3.0
"""How far a brisk move may lead off the line in a frame, working px, and turn it."""


def most_claimed_line(pool: Pool, chosen: NDArray[np.int64]) -> tuple[int, Bools]:
    """One of some claims, and which of them lie along its line: the line with the most of them.

    What a path does, it must do along one line: a path that hops between lines has not slid.
    """
    references = chosen[spread(len(chosen))]
    on_line = [on_line_of(pool, int(index), chosen) for index in references]
    crowded = int(np.argmax([np.count_nonzero(same) for same in on_line]))
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


def brisk_share(pool: Pool, chosen: NDArray[np.int64], numbers: Floats) -> float:
    """Share of the moves from frame to frame that are brisk along the shaft, and true to its line.

    Along the most claimed line, against the tissue and in the picture, as for :func:`slide_range`.

    Parameters
    ----------
    pool : Pool
        The candidates.
    chosen : ndarray of int64, shape (frames,)
        The path; -1 where it claims nothing.
    numbers : ndarray, shape (frames,)
        When every observed frame was taken, in frames.
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
    advance = np.minimum(np.abs(forward), np.abs(forward + slid)) / gap
    low, high = BRISK_PX
    brisk = (advance >= low) & (advance <= high) & (sideways < TRUE_PX * gap) & straight
    _, same = most_claimed_line(pool, chosen[claims])
    brisk &= same[1:] & same[:-1]
    follow = gap <= BRISK_GAP
    return float(brisk[follow].mean()) if follow.any() else 0.0
