"""Turns of a pistoning needle that hid while it turned, told from the rhythm of those in view."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from usguide.model import Bools, Floats

CYCLE = 2 * math.pi
LEAST_STROKES = 2
"""Strokes (in, or out) that must be in view from end to end before there is a rhythm."""
EVEN = 2.0
"""Longest of the middle strokes over the shortest that still is one rhythm: beyond it nothing is
told of what hid."""
LONG = 0.75
"""Share of a stroke that must be hidden before a turn can have hidden with it."""
BESIDE = 0.5
"""Share of the usual stroke by which the depth beside a hidden time may lie beyond it: a needle
that is elsewhere then does something else."""
AHEAD_RAD = 1.3
AHEAD_SHARE = 0.1
"""How far the needle may be ahead of its rhythm after a hidden time: so many radians of a cycle, a
fifth of it, and so much of what the rhythm leads one to expect. Tuned, like all that follows, on
the exact depths of 131 synthetic needlings (even seeds 200000-200260), each hidden at four random
times: the passes were right in 96 % of them, and in 96 % of as many of odd seeds."""
BEHIND_RAD = 0.7
"""A needle this little behind where it was in its cycle has not gone through nearly a whole one."""
EARLY = 0.1
"""How much less than a pass usually takes, in passes, may be left for the last of those that a
needle makes before it comes to rest unseen."""
QUICKER = 0.75
"""A pass that hid takes at least this share of the time of the quickest in view, twice its quickest
stroke. This and what is told of a needle that rests on one side were chosen on the exact depths of
120 and 90 synthetic needlings of the two simulators (even seeds), each hidden at four random times:
the passes were right in 75 and 69 % (72 and 62 % where the fewest were told of it), in 97 and
95 % where no time had room for more; in 180 and 67 of odd seeds in 71 and 71 % (65 and 64 %),
and in 96 and 95 %."""
STOPPED = 0.4
"""Strokes for which a needle must have stayed at an end of its stroke to have stopped there."""
PLAINLY = 0.7
"""Mean square misfit of a needle that stops to that of one that goes on, below which it does."""
THERE_RAD = 0.8
"""Radians before the end of a stroke at which a needle that comes to rest there is there."""


def through_hidden_turns(
    depth: Floats, turns: list[int], seen: NDArray[np.intp], times: Floats, shortest: float
) -> tuple[Floats, Bools, float]:
    """Continue steady pistoning through the times at which the tip was not seen.

    A needle that moves in and out evenly before and after it is lost has not stopped meanwhile: the
    strokes that hid are those that fit the time best, of the numbers that fit the depths at both
    ends. One that rests before or after has stopped at an unknown time: it is taken to go on for as
    many whole passes as there is time for. Of one that rests before and after nothing is told.

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
    shortest : float
        How long a pass takes at least where no rhythm tells, in that unit.

    Returns
    -------
    depth : ndarray, shape (n,)
        With sinusoids where it was hidden between strokes; NaN where nothing is told. No more
        strokes are told than were in view, and one, those of short times first: so little in view
        shows no rhythm.
    room : ndarray of bool, shape (m - 1,)
        Whether from each sight to the next there was time for a pass more than is told. A rhythm
        that goes on before and after it tells of one pass surely, and not of more: a needle may
        rest between two.
    shortest : float
        How long a pass takes at least, after those in view.
    """
    out = depth.copy()
    known, when = depth[seen], times[seen]
    lost = np.diff(when)
    usual = float(np.median(lost))
    whole = [(a, b) for a, b in itertools.pairwise(turns) if lost[a:b].max() < 2.5 * usual]
    if len(whole) < LEAST_STROKES:
        return out, lost > shortest, shortest
    ends = np.array([[known[a], known[b]] for a, b in whole])
    low, high = float(np.median(ends.min(axis=1))), float(np.median(ends.max(axis=1)))
    stroke = high - low
    lasted = half_cycles(known, when, whole, 0.5 * (low + high))
    short, stroke_s, long = np.quantile(lasted, [0.25, 0.5, 0.75])
    if short <= 0 or long > EVEN * short:
        return out, lost > shortest, shortest
    shortest = 2 * QUICKER * min(float(when[b] - when[a]) for a, b in whole)
    idle = lost.copy()
    strokes = 0.0
    long_lost = np.flatnonzero(lost > LONG * stroke_s)
    for k in long_lost[np.argsort(lost[long_lost], kind="stable")]:
        # Time runs backwards before it: so does the phase.
        before, after = (known[k::-1] - low) / stroke, (known[k + 1 :] - low) / stroke
        since = (when[k] - when[k::-1]) / stroke_s
        until = (when[k + 1 :] - when[k + 1]) / stroke_s
        gone_on = while_hidden(before, since, after, until, lost[k] / stroke_s)
        if gone_on is None:
            continue
        start, total, sure = gone_on
        if strokes + total / math.pi > len(whole) + 1:
            break
        idle[k] -= sure / math.pi * stroke_s
        hidden = np.arange(seen[k] + 1, seen[k + 1])
        share = (times[hidden] - when[k]) / lost[k]
        out[hidden] = low + 0.5 * stroke * (1 - np.cos(share * total - start))
        strokes += total / math.pi
    return out, idle > shortest, shortest


def while_hidden(
    before: Floats, since: Floats, after: Floats, until: Floats, lasted: float
) -> tuple[float, float, float] | None:
    """By how much a needle has gone on in its cycle while it was hidden.

    Parameters
    ----------
    before, since : ndarray, shape (n,)
        Depths as shares of the way in, and how many strokes before it was lost, the last one first.
    after, until : ndarray, shape (m,)
        The same from when it was found on.
    lasted : float
        For how many strokes it was hidden.

    Returns
    -------
    (float, float, float) or None
        Radians: the phase when it was lost, as of time that runs backwards; by how much it has gone
        on since, as told; and by how much it has surely. None where nothing is told.
    """
    if min(before[0], after[0]) < -BESIDE or max(before[0], after[0]) > 1 + BESIDE:
        return None
    start, stopped = phase(before, since)
    end, will_stop = phase(after, until)
    if stopped and will_stop:
        return None
    goes_on = not (stopped or will_stop)
    expected = math.pi * lasted
    least = (end + start + BEHIND_RAD) % CYCLE - BEHIND_RAD
    more = (expected - least) / CYCLE
    total = least + CYCLE * (round(more) if goes_on else max(0, math.floor(more + EARLY)))
    if total < -BEHIND_RAD or total > (1 + AHEAD_SHARE) * expected + AHEAD_RAD:
        return None
    return start, total, least + CYCLE * goes_on


def half_cycles(known: Floats, when: Floats, whole: list[tuple[int, int]], middle: float) -> Floats:
    """How long each stroke took, from the middle of one to the middle of the next.

    A needle may rest at either end of a stroke; its middle has one time. Where no two strokes that
    follow one another are in view, from end to end of each.

    Parameters
    ----------
    known, when : ndarray, shape (m,)
        Depth, and when.
    whole : list of (int, int)
        First and last position of every stroke that was seen from end to end.
    middle : float
        Depth half-way in.
    """
    crossed: dict[int, tuple[int, float]] = {}  # by where the stroke begins
    for a, b in whole:
        past = (known[a : b + 1] > middle) == (known[b] > known[a])
        if past[-1] and not past[0]:
            i = a + int(np.flatnonzero(~past)[-1])
            share = (middle - known[i]) / (known[i + 1] - known[i])
            crossed[a] = b, float(when[i] + share * (when[i + 1] - when[i]))
    steps = [crossed[b][1] - at for b, at in crossed.values() if b in crossed]
    return np.array(steps or [when[b] - when[a] for a, b in whole])


def phase(share: Floats, strokes: Floats) -> tuple[float, bool]:
    """Fit the phase of a cycle at a time, 0 at its low and pi at its high, to what follows.

    The needle goes on in its cycle, comes to rest at the end of the stroke that it is in, or leaves
    an end at which it rested.

    Parameters
    ----------
    share : ndarray, shape (n,)
        Depth as a share of the way in, from that time on.
    strokes : ndarray, shape (n,)
        When, in strokes from that time, rising from 0; those up to 1 count.

    Returns
    -------
    phase : float
        Radians.
    rests : bool
        Whether it rests at that time, at an end of its stroke: 0 or pi.
    """
    near = strokes <= 1.0
    share, angle = share[near], math.pi * strokes[near]
    tried = np.linspace(0, CYCLE, 72, endpoint=False)
    end = math.pi * np.floor(tried / math.pi + 1)
    goes_on = apart(tried[:, None] + angle, share)
    comes = apart(np.minimum(tried[:, None] + angle, end[:, None]), share)
    way = np.maximum(0.0, angle - math.pi * np.linspace(STOPPED, 1.0, 8)[:, None])
    leaves = apart(way, share).min(), apart(math.pi + way, share).min()
    on, to, off = int(np.argmin(goes_on)), int(np.argmin(comes)), int(np.argmin(leaves))
    plain = PLAINLY * goes_on[on] if len(share) >= 3 else -1.0
    if leaves[off] < plain and leaves[off] <= comes[to]:
        return math.pi * off, True
    if comes[to] < plain:
        rests = bool(end[to] - tried[to] < THERE_RAD)
        return float(end[to] if rests else tried[to]), rests
    return float(tried[on]), False


def apart(angle: Floats, share: Floats) -> Floats:
    """Mean square difference between cycles at some phases, (m, n), and depths (n,) as shares."""
    return np.asarray(np.mean((0.5 * (1 - np.cos(angle)) - share) ** 2, axis=1))
