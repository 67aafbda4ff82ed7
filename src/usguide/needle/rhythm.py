"""Turns of a pistoning needle that hid while it turned, told from the rhythm of those in view."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from usguide.model import Floats

CYCLE = 2 * math.pi
LEAST_STROKES = 2
"""Strokes (in, or out) that must be in view from end to end before there is a rhythm."""
EVEN = 2.0
"""Longest of the middle strokes over the shortest that still is one rhythm: beyond it nothing is
told of what hid."""
LONG = 0.75
"""Share of a stroke that must be hidden before a turn can have hidden with it."""
AT_REST = 0.15
"""Share of the usual stroke that a needle moves at most, in the time of one, while it rests."""
BESIDE = 0.5
"""Share of the usual stroke by which the depth beside a hidden time may lie beyond it: a needle
that is elsewhere then does something else."""
OUT_OF_STEP_RAD = 1.3
"""Largest difference between where the rhythm and where the depth puts the needle afterwards, in
radians of a cycle: a fifth of it."""


def through_hidden_turns(
    depth: Floats, turns: list[int], seen: NDArray[np.intp], times: Floats
) -> Floats:
    """Continue steady pistoning through the times at which the tip was not seen.

    A needle that moves in and out evenly before and after it is lost has not stopped meanwhile,
    where the number of strokes that fit the time also fits the depths at both ends.

    Parameters
    ----------
    depth : ndarray, shape (n,)
        Depth along the shaft, NaN where the tip was not seen.
    turns : list of int
        Positions of the turns among those at which it was seen, lows and highs in turn, beginning
        with a low.
    seen : ndarray of intp, shape (m,)
        Where it was seen.
    times : ndarray, shape (n,)
        When, in any unit.

    Returns
    -------
    ndarray, shape (n,)
        The depth, with sinusoids where it was hidden between strokes; NaN where nothing is told.
        Where more strokes would have hidden than were in view, none is told: so little in view
        shows no rhythm.
    """
    out = depth.copy()
    known, when = depth[seen], times[seen]
    usual = float(np.median(np.diff(when)))
    whole = [
        (a, b) for a, b in itertools.pairwise(turns) if np.diff(when[a : b + 1]).max() < 2.5 * usual
    ]
    if len(whole) < LEAST_STROKES:
        return out
    lasted = np.array([when[b] - when[a] for a, b in whole])
    short, stroke_s, long = np.quantile(lasted, [0.25, 0.5, 0.75])
    if short <= 0 or long > EVEN * short:
        return out
    ends = np.array([[known[a], known[b]] for a, b in whole])
    low, high = float(np.median(ends.min(axis=1))), float(np.median(ends.max(axis=1)))
    stroke = high - low
    told = 0.0
    for k in np.flatnonzero(np.diff(when) > LONG * stroke_s):
        before, after = known[: k + 1], known[k + 1 :]
        if min(before[-1], after[0]) < low - BESIDE * stroke:
            continue
        if max(before[-1], after[0]) > high + BESIDE * stroke:
            continue
        since, until = when[k::-1] - when[k], when[k + 1 :] - when[k + 1]
        rested = rests(before[::-1], -since, stroke, stroke_s)
        will_rest = rests(after, until, stroke, stroke_s)
        if rested and will_rest:
            continue
        start = phase((before[::-1] - low) / stroke, since / stroke_s, resting=rested)
        end = phase((after - low) / stroke, until / stroke_s, resting=will_rest)
        expected = math.pi * (when[k + 1] - when[k]) / stroke_s
        least = (end - start) % CYCLE
        fitting = (expected - least) / CYCLE
        if rested or will_rest:  # it rested for a part of the time
            cycles = math.floor(fitting + OUT_OF_STEP_RAD / CYCLE)
        else:
            cycles = round(fitting)
        total = least + CYCLE * cycles
        if cycles < 0 or total > expected + OUT_OF_STEP_RAD:
            continue
        if not (rested or will_rest) and total < expected - OUT_OF_STEP_RAD:
            continue
        hidden = np.arange(seen[k] + 1, seen[k + 1])
        share = (times[hidden] - when[k]) / (when[k + 1] - when[k])
        out[hidden] = low + 0.5 * stroke * (1 - np.cos(start + share * total))
        told += total / math.pi
    return out if told <= len(whole) else depth


def rests(depth: Floats, apart: Floats, stroke: float, stroke_s: float) -> bool:
    """Whether the depth stays as it is for the time of a stroke, as far as it was seen."""
    near = depth[apart <= stroke_s]
    return bool(len(near) >= 3 and np.ptp(near) < AT_REST * stroke)


def phase(share: Floats, strokes: Floats, *, resting: bool) -> float:
    """Fit the phase of a cycle, 0 at its low and pi at its high.

    Parameters
    ----------
    share : ndarray, shape (n,)
        Depth as a share of the way in, the nearest in time first.
    strokes : ndarray, shape (n,)
        When, in strokes from the first, before (negative) or after it; those within one count.
    resting : bool
        Whether the needle stays as deep as it is: then it is at one end of its stroke.
    """
    if resting:
        return 0.0 if share[0] < 0.5 else math.pi
    near = np.abs(strokes) <= 1.0
    tried = np.linspace(0, CYCLE, 72, endpoint=False)
    cycle = 0.5 * (1 - np.cos(tried[:, None] + math.pi * strokes[near]))
    return float(tried[np.argmin(((cycle - share[near]) ** 2).sum(axis=1))])
