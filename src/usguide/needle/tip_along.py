"""The tip of every frame on the line of a shaft, once that is known.

A frame alone ends a faint shaft at the next bright piece of tissue; where it ends in all of them
together, :mod:`usguide.needle.shaft_end` tells; whether that is its tip,
:mod:`usguide.needle.out_of_slice` and :mod:`usguide.needle.displaced`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usguide.model import Bools, Floats, Frames
from usguide.needle.candidates import CANDIDATE, Candidates, Workspace
from usguide.needle.description import Shafts
from usguide.needle.displaced import hidden_tips
from usguide.needle.mmode import MMode, depths_on, m_mode, stretches
from usguide.needle.out_of_slice import in_slice
from usguide.needle.path import MEMORY
from usguide.needle.pool import Pool
from usguide.needle.shaft_end import tips_along
from usguide.needle.track import VISIBLE, Path

RUNS_OUT_PX = 6.0
"""A shaft that is seen as close as this to where the picture ends runs out of it, working px. In
303 clips of both simulators it was in 32 frames of two, and the tips of two in view in 10."""
END_PX = 1.5
"""Scale of the distance at which an end that was measured speaks for a place, working px."""
END_WEIGHT = 0.5
"""Weight of its log odds. Both were tuned as :mod:`usguide.needle.shaft_end` was."""


def followed_along(
    pool: Pool,
    path: Path,
    odds: Floats,
    numbers: Floats,
    slides: Floats,
    clip: Frames,
    workspace: Workspace,
    out_of_sight: Bools,
) -> tuple[Shafts, MMode | None, Floats]:
    """Find the tip of every frame along the line that a path's claims give.

    Parameters
    ----------
    pool : Pool
        The candidates of the clip.
    path : Path
        The needle as it was followed from its ends.
    odds : ndarray, shape (n,)
        Log odds of every candidate for being that needle.
    numbers : ndarray, shape (frames,)
        When every observed frame was taken, in frames.
    slides : ndarray, shape (frames, 2)
        Slide of the picture since the first frame, working px.
    clip : Frames
        The clip, to be read once more; its distinct frames are those observed.
    workspace : Workspace
        Sizes and masks of the clip.
    out_of_sight : ndarray of bool, shape (frames,)
        Where the needle is known not to be visible.

    Returns
    -------
    shafts : Shafts
        Where an end was measured close to the tip, it is that one. Frames that stand alone in time
        are as in the path.
    seen : MMode or None
        What lies along the line; None where all frames stand alone in time.
    depths : ndarray, shape (frames,)
        Depth on it of the tips that are claimed so, working px; NaN elsewhere.
    """
    out, sure = pool.records[path.chosen], path.confidence.copy()
    out_of_slice = np.zeros(len(numbers), np.bool_)
    parts = stretches(numbers)
    depths = np.full(len(numbers), np.nan)
    if not parts:
        return Shafts(out, sure, out_of_slice), None, depths
    claims = np.flatnonzero(path.confidence >= VISIBLE)
    seen = m_mode(pool, path, claims, numbers, slides, clip, workspace)
    on_line, depth = depths_on(pool, seen.entry, seen.along)
    shown = ~out_of_sight & (seen.apart <= MEMORY)
    shallow = float(np.median(pool.records["gap"][path.chosen[claims]]))
    for part in parts:
        ends = np.flatnonzero(on_line & (pool.frame >= part.start) & (pool.frame < part.stop))
        where = pool.frame[ends] - part.start
        worth = ends_worth(where, depth[ends], odds[ends], seen.contrast[part].shape)
        tip, sure[part] = tips_along(
            seen.contrast[part],
            seen.claimed[part],
            path.confidence[part],
            worth,
            numbers[part],
            shown[part],
        )
        place = workspace.to_region(seen.entry[part] + tip[:, None] * seen.along[part])
        sure[part] *= workspace.way_in(place, -seen.along[part])[0] > RUNS_OUT_PX
        seen_to = np.where(sure[part] >= VISIBLE, tip, np.nan)
        sure[part] *= in_slice(seen.contrast[part], seen_to, numbers[part])
        unseen = hidden_tips(np.where(sure[part] >= VISIBLE, tip, np.nan))
        out_of_slice[part] = np.isfinite(unseen)
        sure[part][out_of_slice[part]] = 0.0
        tip = np.where(out_of_slice[part], unseen, tip)
        depths[part] = np.where(sure[part] >= VISIBLE, tip, np.nan)
        out[part] = shafts_to(tip, shallow, seen.entry[part], seen.along[part], workspace)
        # An end that was measured there is more exact.
        off = np.abs(depth[ends] - tip[where])
        closest_last = np.argsort(-off, kind="stable")
        measured = closest_last[off[closest_last] < END_PX]
        out[part][where[measured]] = pool.records[ends[measured]]
    return Shafts(out, sure, out_of_slice), seen, depths


def shafts_to(
    tip: Floats, shallow: float, entry: Floats, along: Floats, workspace: Workspace
) -> Candidates:
    """Describe shafts on known lines, from one depth to the tips (working px): nothing measured."""
    out = np.zeros(len(tip), CANDIDATE)
    for end, depth in (("tip", tip), ("tail", np.minimum(shallow, tip))):
        place = workspace.to_region(entry + depth[:, None] * along)
        out[f"{end}_x"], out[f"{end}_y"] = place.T
    return out


def ends_worth(
    frame: NDArray[np.int64], depth: Floats, odds: Floats, shape: tuple[int, int]
) -> Floats:
    """Weigh what the ends that were measured say for every place.

    Parameters
    ----------
    frame, depth, odds : ndarray, shape (n,)
        In which frame each end is, at which depth (working px), and its log odds.
    shape : (int, int)
        Frames and places.

    Returns
    -------
    ndarray of float64, shape (frames, places)
        Log odds, 0 where there is no end.
    """
    worth = np.zeros(shape)
    places = np.arange(shape[1])
    for k, at, value in zip(frame, depth, odds, strict=True):
        near = slice(max(0, int(at - 4 * END_PX)), max(0, int(at + 4 * END_PX) + 2))
        value = value - 0.5 * ((places[near] - at) / END_PX) ** 2
        worth[k, near] = np.maximum(worth[k, near], END_WEIGHT * np.logaddexp(0.0, value))
    return worth
