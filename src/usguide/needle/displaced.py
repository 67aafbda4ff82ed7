"""Strokes whose tip is out of the slice: the end that is seen turns back too early.

A shaft aslant to the slice ends in the picture where it leaves it, short of its tip by one length
as long as the tip is out. The strokes go on meanwhile: the needle turns where it always does, but
the end that is seen is drawn back further between them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usguide.model import Floats
from usguide.needle.passes import turning_points
from usguide.needle.smoothing import DENSE_GAP

TURN_PX = 8.0
"""Least change of depth that is a turn, working px."""
LEAST_PX = 15.0
"""Shortest length that is told: 3 mm of a picture of 40 mm, working px. A tip that is as close to
the end that is seen is not lost."""
SPREADS = 2.0
"""How far a place between strokes is from the usual one, over their usual deviation."""
ALIKE_PX = 10.0
"""How far it is at least, how far from one length short of it such places may be, and what the
strokes between them reach, with that length, beyond the deepest of the clip. This and the constants
above were chosen on 168 clips (seeds 8000-8029 and 100000-100029, and of the second simulator
140-219 and 400-439), in which a hidden tip is claimed in 105 frames rather than 195, and one in
view in as many. In 135 more (0-69 and 220-299), of which some had a say in ``LEAST_PX`` and in
that one place is enough, it is claimed in 294 rather than 360, and one in view in 4 fewer of the
needles that are followed either way."""


def hidden_tips(end: Floats) -> Floats:
    """Depth of a tip that is out of the slice, told from the strokes of the end that is seen.

    Where the end is drawn back further than it usually is between two strokes: once, or several
    times in succession, about equally far each time, while the strokes between do not reach as deep
    as the deepest either. Of the first place and of the last nothing is told: the needle comes in
    there, or goes out.

    Parameters
    ----------
    end : ndarray, shape (n,)
        Depth of the end that is seen, working px; NaN where it is not.

    Returns
    -------
    ndarray, shape (n,)
        How deep the tip is there, working px, and NaN elsewhere: it turns where it usually does,
        and between two such turns the end is short of it by one length. Where the end was lost on
        the way, it may have done anything else, and the end's own depth is told.
    """
    tip = np.full(len(end), np.nan)
    seen = np.flatnonzero(np.isfinite(end))
    depth = end[seen]
    turns = turning_points(depth, TURN_PX)
    lows, highs = np.array(turns[0::2], np.intp), np.array(turns[1::2], np.intp)
    run, usual = displaced(depth, lows, highs)
    if not len(run):
        return tip
    begin, stop = lows[run[[0, -1]]]
    deep = np.flatnonzero(depth > usual - ALIKE_PX / 2)
    deep = np.concatenate([[-1], deep, [len(depth)]])
    before, after = np.searchsorted(deep, [begin, stop])
    out = np.arange(deep[before - 1] + 1, deep[after])
    tip[seen[out]] = depth[out]
    if np.diff(seen[max(out[0] - 1, 0) : out[-1] + 2]).max() < DENSE_GAP:
        tip[seen[out]] = usual
        between = slice(begin + 1, stop)
        tip[seen[between]] = depth[between] + np.median(usual - depth[lows[run]])
    return tip


def displaced(
    depth: Floats, lows: NDArray[np.intp], highs: NDArray[np.intp]
) -> tuple[NDArray[np.intp], float]:
    """Find the longest run of places between strokes to which an end is drawn back too far.

    Parameters
    ----------
    depth : ndarray, shape (n,)
        Of the end, working px.
    lows, highs : ndarray of intp, shape (m,)
        Where it turns, in turn, beginning with a low.

    Returns
    -------
    run : ndarray of intp
        Which of the lows; none where there is no such run, or where others lie outside it.
    usual : float
        Depth of the others.
    """
    shallow = depth[lows]
    found, found_usual = lows[:0], np.nan
    shallowest_first = 1 + np.argsort(shallow[1:-1], kind="stable")
    for count in range(1, len(shallowest_first) + 1):
        run = np.sort(shallowest_first[:count])
        first, last = run[[0, -1]]
        others = np.delete(shallow, run)
        usual = float(np.median(others))
        least = max(ALIKE_PX, SPREADS * float(np.median(np.abs(others - usual))))
        lengths = usual - shallow[run]
        reached = depth[highs[first:last]].max(initial=-np.inf) + np.median(lengths)
        if (
            last - first < count
            and np.median(lengths) >= LEAST_PX
            and lengths.min() >= least
            and np.all(usual - np.delete(shallow, [0, *run, -1]) < least)
            and np.ptp(lengths) <= 2 * ALIKE_PX
            and reached <= depth[highs].max() + ALIKE_PX
        ):
            found, found_usual = run, usual
    return found, found_usual
