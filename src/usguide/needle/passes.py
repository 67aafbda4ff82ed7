"""In-and-out passes: what the needle did along its shaft."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usguide.model import Bools, Floats, NeedlePass, Timing
from usguide.needle.rhythm import through_hidden_turns

LEAST_PASS_MM = 1.5
"""Shortest advance that counts as a pass: dry needling moves 4 mm and more."""
LEAST_PASS_FRACTION = 0.03
"""The same as a fraction of the region's diagonal, where no scale is known."""
SHARE_OF_USUAL = 0.35
"""A pass is also at least this much of the clip's usual pass; the way in does not count."""
STARTED = 0.1
"""A pass has started, and has ended, where this share of its advance is done, or left."""
SHORTEST_PASS_S = 1 / 3
"""No shorter time out of sight hides a whole pass where no rhythm is in view: brisk pistoning makes
three a second."""


def turning_points(depth: Floats, hysteresis: float) -> list[int]:
    """Return the indices at which the depth turns by more than ``hysteresis``: low, high, low, ...

    Parameters
    ----------
    depth : ndarray, shape (n,)
        Finite.
    hysteresis : float
        Smallest change that counts.

    Returns
    -------
    list of int
        Alternating lows and highs, beginning with a low; the first and last may be ends of the
        series.
    """
    turns: list[int] = []
    low = high = 0
    rising: bool | None = None
    for k, value in enumerate(depth):
        if value < depth[low]:
            low = k
        if value > depth[high]:
            high = k
        if rising is not True and value - depth[low] > hysteresis:
            turns.append(low)
            rising, high = True, k
        elif rising is not False and depth[high] - value > hysteresis:
            if rising:
                turns.append(high)
            rising, low = False, k
    if rising is not None:
        turns.append(high if rising else low)
    return turns if rising is None or len(turns) > 1 else []


def usual_stroke(known: Floats, turns: list[int], least: float) -> float:
    """Median of the strokes, each weighed by its length; 0 where there are none.

    A stroke is the lesser of an advance and the retreat from it.

    Tremor between two passes has as many turns as they have, but makes little way.
    """
    levels = known[turns]
    strokes = np.sort(
        [
            min(high - low, high - after)
            for low, high, after in zip(levels[0::2], levels[1::2], levels[2::2], strict=False)
        ]
    )
    strokes = strokes[strokes >= least]
    if not len(strokes):
        return 0.0
    way = np.cumsum(strokes)
    return float(strokes[np.searchsorted(way, 0.5 * way[-1])])


def find_passes(
    depth_px: Floats,
    depth_mm: Floats | None,
    inside: Bools | None,
    timing: Timing,
    diagonal_px: float,
) -> tuple[tuple[NeedlePass, ...], float | None]:
    """Find every advance along the shaft that is followed by a withdrawal.

    Parameters
    ----------
    depth_px : ndarray, shape (frames,)
        Depth along the shaft, NaN where the tip is not seen; turns that are not seen count only
        where the rhythm of those that are leads to them, and have no depth.
    depth_mm : ndarray, shape (frames,), or None
        The same in mm.
    inside : ndarray of bool, shape (frames,), or None
        Frames in which the tip is inside the fascia; None where the fascia is not known.
    timing : Timing
        When each frame was shown.
    diagonal_px : float
        Diagonal of the region, the yardstick where no scale is known.

    Returns
    -------
    passes : tuple of NeedlePass
    unsure_s : float or None
        For how long, in all, the tip was out of sight when there was time for a pass more than is
        told; None without a clock, as nothing then tells how long it was.
    """
    depth = depth_px if depth_mm is None else depth_mm
    seen = np.flatnonzero(np.isfinite(depth))
    if len(seen) < 3:
        return (), None
    least = LEAST_PASS_FRACTION * diagonal_px if depth_mm is None else LEAST_PASS_MM
    known = depth[seen]
    turns = turning_points(known, least)
    least = max(least, SHARE_OF_USUAL * usual_stroke(known, turns, least))
    turns = turning_points(known, least)
    when = timing.time_s
    times = frame_times(timing)
    depth, room, shortest = through_hidden_turns(depth, turns, seen, times, SHORTEST_PASS_S)
    unsure_s = None
    if when is not None:
        there = known[[0, -1]] >= shallow_between_passes(known, turns, least)
        unsure_s = time_unsure(when, timing.duplicate_of < 0, seen, room, there, shortest)
    told = np.flatnonzero(np.isfinite(depth))
    known = depth[told]
    turns = turning_points(known, least)
    passes = []
    for low, high, after in zip(turns[0::2], turns[1::2], turns[2::2], strict=False):
        advance = known[high] - known[low]
        retreat = known[high] - known[after]
        if min(advance, retreat) < least:
            continue
        rise, fall = known[low : high + 1], known[high : after + 1]
        start = low + int(np.flatnonzero(rise <= known[low] + STARTED * advance)[-1])
        end = high + int(np.flatnonzero(fall <= known[after] + STARTED * retreat)[0])
        first, deepest, last = (int(told[k]) for k in (start, high, end))
        measured = bool(np.isin(told[[low, high]], seen).all())
        seconds = None
        if inside is not None and when is not None:
            span = np.arange(first, last + 1)
            seconds = float(frame_durations(when)[span[inside[span]]].sum())
        passes.append(
            NeedlePass(
                start_frame=first,
                deepest_frame=deepest,
                end_frame=last,
                start_s=None if when is None else float(when[first]),
                deepest_s=None if when is None else float(when[deepest]),
                end_s=None if when is None else float(when[last]),
                depth_mm=None if depth_mm is None or not measured else float(advance),
                depth_px=float(depth_px[deepest] - depth_px[told[low]]),
                in_fascia_s=seconds,
            )
        )
    return tuple(passes), unsure_s


def shallow_between_passes(known: Floats, turns: list[int], least: float) -> float:
    """Depth above which a needle that is first, or last, seen is on its way in, or out.

    Where passes follow one another, half of what counts as a turn above the shallowest place
    between them; elsewhere such a turn above the median depth.
    """
    between = known[turns[2:-2:2]]
    return float(between.min() - 0.5 * least if len(between) else np.median(known) - least)


def time_unsure(
    when: Floats,
    distinct: Bools,
    seen: NDArray[np.intp],
    room: Bools,
    there: Bools,
    shortest: float,
) -> float:
    """For how long, in all, a needle was out of sight that may have made a pass that is not told.

    Parameters
    ----------
    when : ndarray, shape (frames,)
        When each frame was shown, seconds.
    distinct : ndarray of bool, shape (frames,)
        Which repeat no other: only in those can it have been missed.
    seen : ndarray of intp, shape (m,)
        In which the tip was seen.
    room : ndarray of bool, shape (m - 1,)
        Whether from each to the next there was time for one.
    there : ndarray of bool, shape (2,)
        Whether it was as deep as between passes when it was first seen, and last.
    shortest : float
        How long a pass takes at least, seconds.
    """
    lost = np.diff(np.concatenate([when[:1], when[seen], when[-1:]]))
    counted = np.cumsum(distinct)
    missed = np.diff(np.concatenate([[0], counted[seen], counted[-1:] + 1])) > 1
    before, after = there & (lost[[0, -1]] > shortest)
    return float(lost[missed & np.concatenate([[before], room, [after]])].sum())


def frame_times(timing: Timing) -> Floats:
    """When each frame was shown; their numbers where there is no clock."""
    if timing.time_s is not None:
        return timing.time_s
    return np.arange(len(timing.duplicate_of), dtype=np.float64)


def frame_durations(time_s: Floats) -> Floats:
    """How long each frame was shown; the last one as long as the one before."""
    if len(time_s) < 2:
        return np.zeros(len(time_s))
    steps = np.diff(time_s)
    return np.append(steps, steps[-1])
