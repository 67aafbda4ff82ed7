"""M-mode along the shaft: once its line is known, every frame is sampled along it once more.

A frame alone ends a faint shaft at the next bright piece of tissue; where it ends in all of them
together, :mod:`usguide.needle.shaft_end` tells, and whether that is its tip,
:mod:`usguide.needle.out_of_slice`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usguide.kernels.shafts import CORE, FLANK, HALF_WIDTH
from usguide.kernels.strips import sample_strip, shaft_profiles
from usguide.model import Bools, Floats, Frames
from usguide.needle.candidates import CANDIDATE, Candidates, Workspace
from usguide.needle.description import Shafts
from usguide.needle.displaced import hidden_tips
from usguide.needle.out_of_slice import in_slice
from usguide.needle.path import MEMORY
from usguide.needle.pool import SAME_OFFSET_PX, SAME_TURN_DEG, Pool
from usguide.needle.shaft import STEP_PX
from usguide.needle.shaft_end import tips_along
from usguide.needle.smoothing import DENSE_GAP
from usguide.needle.track import VISIBLE, Path

STRETCH = 600
"""Frames that are weighed together: what the weighing needs does not grow with the clip's length;
what is kept of each frame is its samples along the line."""
FEW = 16
"""Frames, one close after the other, that show what a place looks like at other times."""
LINE_FRAMES = 10.0
"""Time over which the claims' lines are averaged, frames."""
LINE_CLAIMS = 40
"""Claims on either side, at most, that are averaged."""
SAMPLES = 2
"""Samples of ``STEP_PX`` that are averaged along the line: places are a working px apart."""
BESIDE = 5
"""Samples of ``STEP_PX`` beyond the line's flanks in which the tissue beside it is looked at: what
is closer sticks to a needle, or is its own echo."""
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


@dataclass(frozen=True, slots=True, eq=False)
class MMode:
    """What lies along the line of some claims in every frame; lengths in working px."""

    entry: Floats
    """Where the line enters the tissue, shape (frames, 2)."""
    along: Floats
    """Its direction, shape (frames, 2)."""
    apart: Floats
    """Time to the nearest claim, frames, shape (frames,)."""
    contrast: NDArray[np.float32]
    """Its contrast to its flanks, in speckle noise, shape (frames, places); NaN outside the
    image."""
    beside: NDArray[np.float32]
    """Level of the tissue on either side, grey levels, shape (frames, 2, places); NaN outside the
    image."""
    claimed: Floats
    """Depth of the claims' tips, shape (frames,); NaN elsewhere."""


def m_mode(
    pool: Pool,
    path: Path,
    claims: NDArray[np.int64],
    numbers: Floats,
    slides: Floats,
    clip: Frames,
    workspace: Workspace,
) -> MMode:
    """Read the clip once more along the line of some of a path's claims; see `followed_along`."""
    point, along, apart = shaft_lines(pool, path, claims, numbers)
    point += slides
    gap = workspace.way_in(workspace.to_region(point), along)[0]
    entry = point - gap[:, None] * along
    noise = frame_noise(pool, len(numbers))
    contrast, beside = sampled_along(clip, entry, along, noise, workspace)
    claimed = np.full(len(numbers), np.nan)
    claimed[claims] = depths_on(pool, entry, along)[1][path.chosen[claims]]
    return MMode(entry, along, apart, contrast, beside, claimed)


def stretches(numbers: Floats) -> list[slice]:
    """Stretches of frames that follow one another closely, at most ``STRETCH`` long.

    Shorter ones than ``FEW`` are left out: they do not show what places look like at other times.
    """
    starts = [0, *(np.flatnonzero(np.diff(numbers) > DENSE_GAP) + 1).tolist(), len(numbers)]
    found = []
    for first, end in itertools.pairwise(starts):
        parts = -(-(end - first) // STRETCH)
        edges = np.linspace(first, end, max(parts, 1) + 1).astype(int).tolist()
        found += [slice(a, b) for a, b in itertools.pairwise(edges) if b - a >= FEW]
    return found


def shafts_to(
    tip: Floats, shallow: float, entry: Floats, along: Floats, workspace: Workspace
) -> Candidates:
    """Describe shafts on known lines, from one depth to the tips (working px): nothing measured."""
    out = np.zeros(len(tip), CANDIDATE)
    for end, depth in (("tip", tip), ("tail", np.minimum(shallow, tip))):
        place = workspace.to_region(entry + depth[:, None] * along)
        out[f"{end}_x"], out[f"{end}_y"] = place.T
    return out


def shaft_lines(
    pool: Pool, path: Path, claims: NDArray[np.int64], numbers: Floats
) -> tuple[Floats, Floats, Floats]:
    """Average the claims' lines about the time of every frame, outliers left out.

    Returns
    -------
    point, along : ndarray, shape (frames, 2)
        A point on the line, and its direction; working px, the picture's slide taken out.
    apart : ndarray, shape (frames,)
        Time to the nearest claim, frames.
    """
    chosen = path.chosen[claims]
    heading = np.arctan2(pool.along[chosen, 1], pool.along[chosen, 0])
    behind = pool.tip[chosen] - 10.0 * pool.along[chosen]
    point, along = np.empty((len(numbers), 2)), np.empty((len(numbers), 2))
    apart = np.empty(len(numbers))
    for k, now in enumerate(numbers):
        at = int(np.searchsorted(claims, k))
        near = slice(max(0, at - LINE_CLAIMS), at + LINE_CLAIMS)
        away = np.abs(numbers[claims[near]] - now)
        apart[k] = away.min()
        weight = path.confidence[claims[near]] * np.exp(-(away - apart[k]) / LINE_FRAMES)
        angle = agreed_mean(heading[near], weight, np.radians(SAME_TURN_DEG))
        along[k] = np.cos(angle), np.sin(angle)
        across = np.array([-along[k, 1], along[k, 0]])
        aside = agreed_mean(behind[near] @ across, weight, SAME_OFFSET_PX)
        forward = np.sum(weight * (behind[near] @ along[k])) / weight.sum()
        point[k] = forward * along[k] + aside * across
    return point, along, apart


def agreed_mean(values: Floats, weight: Floats, most: float) -> float:
    """Weighted mean of the values within ``most`` of their weighted median."""
    order = np.argsort(values, kind="stable")
    half = np.searchsorted(np.cumsum(weight[order]), 0.5 * weight.sum())
    weight = weight * (np.abs(values - values[order[min(half, len(order) - 1)]]) < most)
    return float(np.sum(weight * values) / weight.sum())


def frame_noise(pool: Pool, frames: int) -> Floats:
    """Speckle noise of every frame, grey levels; of one without candidates the usual one."""
    noise = np.full(frames, float(np.median(pool.records["noise"])))
    noise[pool.frame] = pool.records["noise"]
    return noise


def sampled_along(
    clip: Frames, entry: Floats, along: Floats, noise: Floats, workspace: Workspace
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Sample every frame along its line, a working px apart from where it enters the tissue.

    Returns
    -------
    contrast : ndarray of float32, shape (frames, places)
        The line's contrast to its flanks, in speckle noise; NaN outside the image.
    beside : ndarray of float32, shape (frames, 2, places)
        Level of the tissue beyond either flank, grey levels; NaN outside the image.
    """
    places = int(np.hypot(*workspace.size))
    step = STEP_PX * workspace.scale
    start = workspace.to_region(entry)
    strip = np.empty((places * SAMPLES, 2 * (HALF_WIDTH + BESIDE) + 1), np.float32)
    profiles = np.empty((3, len(strip)))
    contrast = np.empty((len(entry), places), np.float32)
    beside = np.empty((len(entry), 2, places), np.float32)
    for k, (_, frame) in enumerate(clip.frames()):
        angle = float(np.arctan2(along[k, 1], along[k, 0]))
        x, y = start[k]
        sample_strip(np.ascontiguousarray(frame), x, y, angle, step, step, strip)
        near = np.ascontiguousarray(strip[:, BESIDE:-BESIDE])
        shaft_profiles(near, CORE, FLANK, profiles)
        profiles[:, ~profiles.any(axis=0)] = np.nan
        line = profiles[0] - 0.5 * (profiles[1] + profiles[2])
        contrast[k] = line.reshape(places, SAMPLES).mean(axis=1) / noise[k]
        shaft_profiles(strip, CORE, HALF_WIDTH, profiles)
        profiles[:, ~profiles.any(axis=0)] = np.nan
        beside[k] = profiles[1:].reshape(2, places, SAMPLES).mean(axis=2)
    return contrast, beside


def depths_on(pool: Pool, entry: Floats, along: Floats) -> tuple[Bools, Floats]:
    """Which of n candidates lie along the line of their frame, and how deep they end.

    Parameters
    ----------
    pool : Pool
        The candidates of the clip.
    entry, along : ndarray, shape (frames, 2)
        Where the line enters the tissue, and its direction, (x, y), working px.

    Returns
    -------
    on_line : ndarray of bool, shape (n,)
    depth : ndarray of float64, shape (n,)
        Along the line, working px.
    """
    away = pool.tip + pool.slide - entry[pool.frame]
    u = along[pool.frame]
    depth = np.einsum("kj,kj->k", away, u)
    aside = np.abs(away[:, 1] * u[:, 0] - away[:, 0] * u[:, 1])
    parallel = np.einsum("kj,kj->k", pool.along, u) > np.cos(np.radians(SAME_TURN_DEG))
    return parallel & (aside < SAME_OFFSET_PX), depth


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
