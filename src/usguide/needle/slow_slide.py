"""A needle moved too slowly for strokes: along its line, place after place is bared or covered.

From frame to frame the end of such a shaft moves less than it is measured to, and each frame may
find it at the next bright piece of tissue. But what a place on the line looks like changes once,
when the tip passes it, and later or earlier than at its neighbours: a front runs along the line.
That is looked for on every line that stands in most frames, whatever its ends look like. Bone
stays as it is, what fades or leaves the plane changes everywhere at once, and a fibre is carried
with the tissue beside it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usguide.model import Bools, Floats, Frames
from usguide.needle.bared import PLAIN
from usguide.needle.candidates import Workspace
from usguide.needle.carried import MOST_CARRIED, carried
from usguide.needle.evidence import Odds, appearance
from usguide.needle.mmode import MMode, depths_on, m_modes, stretches
from usguide.needle.pool import Pool
from usguide.needle.resemblance import resembling_odds
from usguide.needle.shaft_end import WITHIN_PX
from usguide.needle.sliding import slide_range
from usguide.needle.standing_lines import standing_lines
from usguide.needle.track import VISIBLE, Path, confidence, end_moves

FASTEST_PX = 2
"""Most that the front moves in a frame, working px. A faster tip makes strokes."""
PACE = 8
"""Frames from one look at the tissue beside it to the next: in fewer it moves too little."""
PASSING = 0.1
"""What each place that the front passes must bring: mean contrast over the clip, speckle noise."""
LEAST_WAY_PX = 25
"""Least way of the front, working px: 5 mm of a picture of 40 mm."""
LEAST_EXPLAINED = 0.5
"""Share of the variance over time of the places that it passes that the front must explain."""
LEAST_AHEAD = 0.15
"""Share that it must explain beyond what one change of all of them at once does. A real needle had
0.30 in nine renderings of its clip and synthetic ones that rest for most of it 0.18 and more, an
aponeurosis that bends as its muscle contracts 0.13."""
LEAST_AGREEING = 0.6
"""Share of the ends measured in single frames that must be at the front, within 3 mm."""


def slowly_moved(
    pool: Pool,
    odds: Odds,
    numbers: Floats,
    slides: Floats,
    clip: Frames,
    workspace: Workspace,
) -> Path | None:
    """Return the path of a needle that slides slowly, or None where none does.

    An end that is at the front is claimed, at even odds at least: what a single frame shows of such
    a tip may be no brighter than the tissue it lies in.

    Parameters
    ----------
    pool, odds, numbers
        As for :func:`usguide.needle.track.likeliest`, which found none.
    slides : ndarray, shape (frames, 2)
        Slide of the picture since the first frame, working px.
    clip : Frames
        The clip, read once more where lines stand in it.
    workspace : Workspace
        Sizes and masks of the clip.
    """
    parts = stretches(numbers)
    if not parts:
        return None
    looks = appearance(pool)
    lines = []
    for chosen in standing_lines(pool, odds, len(numbers)):
        there = chosen >= 0
        way = slide_range(pool, chosen[there])
        if way < LEAST_WAY_PX or not end_moves(pool, looks, chosen, way):
            continue
        lines.append((Path(chosen, there.astype(np.float64), moved=True), np.flatnonzero(there)))
    for seen in m_modes(pool, lines, numbers, slides, clip, workspace) if lines else ():
        fronts = np.full(len(numbers), np.nan)
        for part in parts:
            front = slow_front(seen.contrast[part], seen.beside[part], seen.claimed[part])
            if front is not None:
                fronts[part] = front
        chosen = ends_at(pool, seen, fronts)
        if np.any(chosen >= 0) and end_moves(pool, looks, chosen, LEAST_WAY_PX):
            again = resembling_odds(pool, odds, chosen, numbers)
            sure = np.maximum(confidence(again, chosen), VISIBLE)
            return Path(chosen, np.where(chosen >= 0, sure, 0.0), moved=True)
    return None


def ends_at(pool: Pool, seen: MMode, fronts: Floats) -> NDArray[np.int64]:
    """Choose of every frame the end that is nearest to the front, if it is at it.

    Parameters
    ----------
    pool : Pool
        The candidates.
    seen : MMode
        What lies along the line.
    fronts : ndarray, shape (frames,)
        Depth of the front on it, working px; NaN where none is known.

    Returns
    -------
    ndarray of int64, shape (frames,)
        -1 where there is none.
    """
    on_line, depth = depths_on(pool, seen.entry, seen.along)
    off = np.abs(depth - fronts[pool.frame])
    near = np.flatnonzero(on_line & (off < WITHIN_PX))
    nearest_last = near[np.argsort(-off[near], kind="stable")]
    chosen = np.full(len(fronts), -1, np.int64)
    chosen[pool.frame[nearest_last]] = nearest_last
    return chosen


def slow_front(
    contrast: NDArray[np.float32], beside: NDArray[np.float32], claimed: Floats
) -> Floats | None:
    """Find the front that runs along a line, if the frames' ends are at it and tissue rests.

    Parameters
    ----------
    contrast : ndarray of float32, shape (frames, places)
        The line's contrast to its flanks, in speckle noise, a working px apart; NaN outside the
        image.
    beside : ndarray of float32, shape (frames, 2, places)
        Level of the tissue on either side, grey levels; NaN outside the image.
    claimed : ndarray, shape (frames,)
        Depth of the end that a frame shows, working px; NaN where it shows none.

    Returns
    -------
    ndarray, shape (frames,), or None
        Its depth, working px; None where none is a needle's.
    """
    known = np.flatnonzero(np.isfinite(claimed))
    inside = np.flatnonzero(np.isfinite(contrast).all(axis=0))
    if not len(known) or len(inside) <= LEAST_WAY_PX:
        return None
    start, stop = int(inside[0]), int(inside[-1]) + 1
    looks = np.clip(np.nan_to_num(contrast[:, start:stop]), 0.0, PLAIN).astype(np.float64)
    change = looks - looks.mean(axis=0)
    front = likeliest_front(change)
    first, last = int(front.min()), int(front.max())
    if last - first < LEAST_WAY_PX:
        return None
    covered = np.arange(first, last) < front[:, None]
    depth = np.asarray(start + front, np.float64)
    agreeing = np.mean(np.abs(claimed[known] - depth[known]) < WITHIN_PX)
    needle = (
        runs_along(change[:, first:last], covered)
        and agreeing > LEAST_AGREEING
        and carried(beside, depth, PACE) < MOST_CARRIED
    )
    return depth if needle else None


def runs_along(change: Floats, covered: Bools) -> bool:
    """Whether a front explains how places change, and better than one change of all at once.

    Parameters
    ----------
    change, covered
        As for :func:`explained`.
    """
    share = explained(change, covered)
    return share > LEAST_EXPLAINED and share - explained_at_once(change) > LEAST_AHEAD


def likeliest_front(change: Floats) -> NDArray[np.int64]:
    """Find the front that moves one way and has the brightest behind it, the darkest before it.

    Parameters
    ----------
    change : ndarray, shape (frames, places)
        What each place looks like less its mean over time.

    Returns
    -------
    ndarray of int64, shape (frames,)
        How many places are covered, counted from the first.
    """
    frames, places = change.shape
    before = np.zeros((frames, places + 1))
    np.cumsum(change, axis=1, out=before[:, 1:])
    gain = 2.0 * before - before[:, -1:]
    withdrawn, most = one_way(gain[:, ::-1])
    advanced, value = one_way(gain)
    return places - withdrawn if most > value else advanced


def one_way(gain: Floats) -> tuple[NDArray[np.int64], float]:
    """Find the path that never goes back and gains most, and what it gains.

    Parameters
    ----------
    gain : ndarray, shape (frames, places)
        Of being at a place in a frame. Every step forward costs ``PASSING`` for each frame.

    Returns
    -------
    path : ndarray of int64, shape (frames,)
    value : float
    """
    frames, places = gain.shape
    value = gain[0]
    came = np.zeros((frames, places), np.int64)
    for k in range(1, frames):
        steps = np.full((FASTEST_PX + 1, places), -np.inf)
        for step in range(FASTEST_PX + 1):
            steps[step, step:] = value[: places - step] - step * PASSING * frames
        came[k] = np.argmax(steps, axis=0)
        value = steps.max(axis=0) + gain[k]
    path = np.empty(frames, np.int64)
    path[-1] = np.argmax(value)
    for k in range(frames - 1, 0, -1):
        path[k - 1] = path[k] - came[k, path[k]]
    return path, float(value.max())


def explained(change: Floats, covered: Bools) -> float:
    """Share of the variance over time that being covered, and so brighter, explains.

    Parameters
    ----------
    change : ndarray, shape (frames, places)
        What each place looks like less its mean over time.
    covered : ndarray of bool, shape (frames, places)
        When each is covered; every place in some frames, and in some not.
    """
    total = np.sum(change * covered, axis=0)
    count = np.count_nonzero(covered, axis=0)
    between = total * np.abs(total) * (1 / count + 1 / (len(covered) - count))
    return float(between.sum() / max(np.sum(change**2), 1e-9))


def explained_at_once(change: Floats) -> float:
    """Share of the variance over time that one change of all places at once explains, at most.

    Parameters
    ----------
    change : ndarray, shape (frames, places)
        What each place looks like less its mean over time.
    """
    total = np.cumsum(change, axis=0)[:-1]
    count = np.arange(1, len(change))[:, None]
    between = total * np.abs(total) * (1 / count + 1 / (len(change) - count))
    return float(np.abs(between.sum(axis=1)).max() / max(np.sum(change**2), 1e-9))
