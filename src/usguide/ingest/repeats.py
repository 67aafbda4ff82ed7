"""Frames that only repeat the one before: a screen recorder is faster than the scanner.

A lossy recorder re-encodes a repeat a little differently, so that small differences do not prove
that a frame is new; and resting tissue differs little from frame to frame, so that they do not
prove that it is a repeat either. What tells them apart is the neighbourhood: a repeat stands
between frames that do change, and differs several times less than they do, down at the level of the
encoder's own corrections. A recording is only searched for lossy repeats where such frames are
common, as they are whenever a recorder outruns a scanner.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from usguide.model import Floats, Frame

BLOCK_PX = 16
"""Side of the blocks over which a change is averaged: one H.264 macroblock."""
GRID = 8
"""The picture is divided in GRID x GRID cells; each remembers its most changed block."""

IDENTICAL = 0.02
"""Mean change of a block, grey levels, at or under which nothing has changed but rounding."""
CODEC_FLOOR = 3.0
"""Change, grey levels, that an encoder alone makes in the most changed blocks of a repeat. In two
re-encoded screen recordings the repeats lie under it and the new frames over it."""
CONTRAST = 2.0
"""A repeat changes at most half as much as the new frames on both sides of it; tuned on two
re-encoded screen recordings."""
REACH = 6
"""Frames on either side among which there must be a new one: a 61 frames/s recorder of a
10 frames/s scan repeats each frame five times."""
CADENCE = 10
"""Moving frames in a row from which the recorder's cadence is known."""
STEADY = 0.1
"""Largest share of neighbours among the new frames of a recorder that is at least twice as fast as
the scanner; while a needle turns back, its frames change little too, but the others follow each
other."""
COMMON = 0.2
"""Fraction of the frames that must look like lossy repeats before any is taken for one."""


def block_change(frame: Frame, previous: Frame) -> NDArray[np.float32]:
    """Most changed block of every cell of the grid.

    Parameters
    ----------
    frame, previous : ndarray of uint8, shape (height, width)

    Returns
    -------
    ndarray of float32, shape (GRID, GRID)
        Mean absolute difference, grey levels, of each cell's most changed block.
    """
    height, width = frame.shape
    difference = cv2.absdiff(frame, previous)
    blocks = max(1, width // BLOCK_PX), max(1, height // BLOCK_PX)
    means = cv2.resize(difference.astype(np.float32), blocks, interpolation=cv2.INTER_AREA)
    means = np.asarray(means, dtype=np.float32).reshape(blocks[1], blocks[0])
    rows = np.linspace(0, blocks[1], GRID + 1).astype(int)[:-1]
    columns = np.linspace(0, blocks[0], GRID + 1).astype(int)[:-1]
    by_row = np.maximum.reduceat(means, rows, axis=0)
    return np.maximum.reduceat(by_row, columns, axis=1)


def find_repeats(changes: NDArray[np.float32]) -> NDArray[np.int64]:
    """Tell which frames repeat an earlier one.

    Parameters
    ----------
    changes : ndarray of float32, shape (frames,)
        Change of the most changed block against the previous frame; the first entry is ignored.

    Returns
    -------
    ndarray of int64, shape (frames,)
        Index of the frame that each frame repeats, -1 for a frame of its own.
    """
    count = len(changes)
    repeats = np.zeros(count, dtype=np.bool_)
    if count > 1:
        change = changes.astype(np.float64)
        change[0] = change[1:].max()
        repeats = change <= IDENTICAL
        lossy = _quieter_than_neighbours(change)
        if not _never_neighbours(change, lossy | repeats):
            lossy &= change <= CODEC_FLOOR
        if np.count_nonzero(lossy | repeats) >= COMMON * count:
            repeats |= lossy
            repeats |= _out_of_cadence(change, repeats)
        repeats[0] = False
    own = np.where(repeats, 0, np.arange(count))
    original = np.maximum.accumulate(own)
    return np.where(repeats, original, -1).astype(np.int64)


def _out_of_cadence(change: Floats, repeats: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Flag quiet frames that come sooner after a larger change than new frames ever do.

    While nothing moves, a new frame hardly differs more than a repeat; but new frames keep the
    distance that they have while something moves.
    """
    distances = _between_moving(change, repeats)
    if len(distances) < CADENCE:
        return np.zeros(len(change), dtype=np.bool_)
    least = int(np.percentile(distances, 10))
    largest_near = maximum_filter1d(change, 2 * least - 1, mode="nearest")
    early: NDArray[np.bool_] = (change <= CODEC_FLOOR) & (change < largest_near)
    return early


def _never_neighbours(change: Floats, repeats: NDArray[np.bool_]) -> bool:
    """Whether new frames hardly ever follow each other while something moves."""
    distances = _between_moving(change, repeats)
    return len(distances) >= CADENCE and float(np.mean(distances == 1)) <= STEADY


def _between_moving(change: Floats, repeats: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many frames lie from each new frame to the next, where both have moved."""
    new = np.flatnonzero(~repeats)
    moving = change[new] > CODEC_FLOOR
    return np.diff(new)[moving[1:] & moving[:-1]]


def _quieter_than_neighbours(change: Floats) -> NDArray[np.bool_]:
    """Flag where both sides hold, within reach, a change several times larger."""
    size = REACH
    before = maximum_filter1d(change, size, origin=(size - 1) // 2, mode="nearest")
    after = maximum_filter1d(change[::-1], size, origin=(size - 1) // 2, mode="nearest")[::-1]
    quieter: NDArray[np.bool_] = change * CONTRAST <= np.minimum(before, after)
    return quieter
