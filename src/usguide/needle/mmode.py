"""M-mode along the shaft: once its line is known, where the needle ends on it in all frames.

A frame alone ends a faint shaft at the next bright piece of tissue. What a place on the line looks
like with the needle and without it, other frames show; so every frame says of every place whether
the shaft covers it, and a tip is where it does up to there and not beyond.
"""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from usguide.kernels.shafts import CORE, FLANK, HALF_WIDTH
from usguide.kernels.strips import sample_strip, shaft_profiles
from usguide.model import Bools, Floats, Frames
from usguide.needle.candidates import CANDIDATE, Candidates, Workspace
from usguide.needle.path import ALONG_MOST_PX, ALONG_PX, MEMORY
from usguide.needle.pool import SAME_OFFSET_PX, SAME_TURN_DEG, Pool
from usguide.needle.shaft import STEP_PX
from usguide.needle.smoothing import DENSE_GAP
from usguide.needle.track import MOST_SURE, VISIBLE, Path

STRETCH = 600
"""Frames that are weighed together: what a clip needs at once does not grow with its length."""
FEW = 16
"""Frames, one close after the other, that show what a place looks like at other times."""
LINE_FRAMES = 10.0
"""Time over which the claims' lines are averaged, frames."""
LINE_CLAIMS = 40
"""Claims on either side, at most, that are averaged."""
SAMPLES = 2
"""Samples of ``STEP_PX`` that are averaged along the line: places are a working px apart."""
MARGIN_PX = 4
"""Places this close to a tip are taken neither for covered nor for bare."""
USUAL_WEIGHT = 4.0
"""Frames that what is usual for the shaft, and for tissue, counts for at a place in the clip."""
CLIP_WEIGHT = 3.0
"""Frames that the clip counts for at a place about a time."""
ABOUT_FRAMES = 8.0
"""Time over which a place keeps its looks, as tissue slides and the line turns, frames."""
NOISE = 0.47
"""Standard deviation of the contrast at one place from frame to frame, in speckle noise, at
least."""
FADED = 0.3
"""Share of the covered places that look bare: a shaft has gaps, and stretches in shadow."""
LIT = 0.1
"""Share of the bare places that look covered: what the needle has passed may stay bright."""
INDEPENDENT = 0.4
"""Share of the places whose speckle is their own: an echo is about 2.5 px long."""
HIDDEN = 4.5
"""Log odds that the places must show for a tip: there are as many to choose from."""
LOSE = 2.0
"""Cost of losing sight of the needle, and again of finding it (log odds)."""
END_PX = 1.5
"""Scale of the distance at which an end that was measured speaks for a place."""
END_WEIGHT = 0.5
"""Weight of its log odds."""
WITHIN_PX = 15
"""3 mm of a picture of 40 mm, working px."""
NO_SIGN = 0.01
"""A probability below this is none."""
ROUNDS = 2
"""Each knows better than the one before which places were covered when. This and the constants
above, from ``MARGIN_PX`` on, were tuned on the needlings of even seeds of 8000-8029, 97000-97039
and 97100-97219; those of odd seeds were kept apart."""


def followed_along(
    pool: Pool,
    path: Path,
    odds: Floats,
    numbers: Floats,
    slides: Floats,
    clip: Frames,
    workspace: Workspace,
    out_of_sight: Bools,
) -> tuple[Candidates, Floats]:
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
    shafts : structured array of ``CANDIDATE``, shape (frames,)
        Region px; of a frame without a claim it means nothing. Where an end was measured close to
        the tip, it is that one. Frames that stand alone in time are as in the path.
    confidence : ndarray, shape (frames,)
        Estimated probability that the tip is within 3 mm.
    """
    out, sure = pool.records[path.chosen], path.confidence.copy()
    parts = stretches(numbers)
    if not parts:
        return out, sure
    claims = np.flatnonzero(path.confidence >= VISIBLE)
    point, along, apart = shaft_lines(pool, path, claims, numbers)
    point += slides
    gap = workspace.way_in(workspace.to_region(point), along)[0]
    entry = point - gap[:, None] * along
    noise = frame_noise(pool, len(numbers))
    contrast = contrast_along(clip, entry, along, noise, workspace)
    on_line, depth = depths_on(pool, entry, along)
    claimed = np.full(len(numbers), np.nan)
    claimed[claims] = depth[path.chosen[claims]]
    shown = ~out_of_sight & (apart <= MEMORY)
    shallow = float(np.median(pool.records["gap"][path.chosen[claims]]))
    for part in parts:
        ends = np.flatnonzero(on_line & (pool.frame >= part.start) & (pool.frame < part.stop))
        where = pool.frame[ends] - part.start
        worth = ends_worth(where, depth[ends], odds[ends], contrast[part].shape)
        tip, sure[part] = tips_along(
            contrast[part], claimed[part], path.confidence[part], worth, numbers[part], shown[part]
        )
        out[part] = shafts_to(tip, shallow, entry[part], along[part], workspace)
        # An end that was measured there is more exact.
        off = np.abs(depth[ends] - tip[where])
        closest_last = np.argsort(-off, kind="stable")
        measured = closest_last[off[closest_last] < END_PX]
        out[part][where[measured]] = pool.records[ends[measured]]
    return out, sure


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


def contrast_along(
    clip: Frames, entry: Floats, along: Floats, noise: Floats, workspace: Workspace
) -> NDArray[np.float32]:
    """Sample every frame along its line: the line's contrast to its flanks, in speckle noise.

    Returns
    -------
    ndarray of float32, shape (frames, places)
        A working px apart, from where the line enters the tissue; NaN outside the image.
    """
    places = int(np.hypot(*workspace.size))
    step = STEP_PX * workspace.scale
    start = workspace.to_region(entry)
    strip = np.empty((places * SAMPLES, 2 * HALF_WIDTH + 1), np.float32)
    profiles = np.empty((3, len(strip)))
    out = np.empty((len(entry), places), np.float32)
    for k, (_, frame) in enumerate(clip.frames()):
        angle = float(np.arctan2(along[k, 1], along[k, 0]))
        x, y = start[k]
        sample_strip(np.ascontiguousarray(frame), x, y, angle, step, step, strip)
        shaft_profiles(strip, CORE, FLANK, profiles)
        line = profiles[0] - 0.5 * (profiles[1] + profiles[2])
        line[~profiles.any(axis=0)] = np.nan
        out[k] = line.reshape(places, SAMPLES).mean(axis=1) / noise[k]
    return out


def depths_on(pool: Pool, entry: Floats, along: Floats) -> tuple[Bools, Floats]:
    """Which candidates lie along the line of their frame, and how deep they end."""
    away = pool.tip + pool.slide - entry[pool.frame]
    u = along[pool.frame]
    depth = np.einsum("kj,kj->k", away, u)
    aside = np.abs(away[:, 1] * u[:, 0] - away[:, 0] * u[:, 1])
    parallel = np.einsum("kj,kj->k", pool.along, u) > np.cos(np.radians(SAME_TURN_DEG))
    return parallel & (aside < SAME_OFFSET_PX), depth


def ends_worth(
    frame: NDArray[np.int64], depth: Floats, odds: Floats, shape: tuple[int, int]
) -> Floats:
    """Weigh what the ends that were measured say for every place: log odds from 0, ``shape``."""
    worth = np.zeros(shape)
    places = np.arange(shape[1])
    for k, at, value in zip(frame, depth, odds, strict=True):
        near = slice(max(0, int(at - 4 * END_PX)), max(0, int(at + 4 * END_PX) + 2))
        value = value - 0.5 * ((places[near] - at) / END_PX) ** 2
        worth[k, near] = np.maximum(worth[k, near], END_WEIGHT * np.logaddexp(0.0, value))
    return worth


def tips_along(
    contrast: NDArray[np.float32],
    claimed: Floats,
    confidence: Floats,
    worth: Floats,
    numbers: Floats,
    shown: Bools,
) -> tuple[Floats, Floats]:
    """Find where the shaft ends in every frame, of all frames at once.

    Expectation and maximisation by turns: what places look like with the needle and without it,
    and where its tip was.

    Parameters
    ----------
    contrast : ndarray of float32, shape (frames, places)
        As from :func:`contrast_along`.
    claimed, confidence : ndarray, shape (frames,)
        Depth of the tip as far as it is known, working px, NaN elsewhere; and how surely.
    worth : ndarray, shape (frames, places)
        Log odds that a tip is at a place, from what is known otherwise.
    numbers : ndarray, shape (frames,)
        When every frame was taken, in frames.
    shown : ndarray of bool, shape (frames,)
        Frames in which it may be visible.

    Returns
    -------
    tip : ndarray, shape (frames,)
        Median of where it may be, working px.
    sure : ndarray, shape (frames,)
        Estimated probability that the tip is there.
    """
    places = np.arange(contrast.shape[1])
    known = np.isfinite(claimed)
    at = np.where(known, claimed, 0.0)[:, None]
    weight = np.where(known, confidence, 0.0)[:, None]
    covered = weight * (places < at - MARGIN_PX)
    bare = weight * (places > at + MARGIN_PX)
    inside = np.isfinite(contrast)
    looks = np.where(inside, contrast, 0.0).astype(np.float64)
    there = np.zeros_like(looks)
    for _ in range(ROUNDS):
        cover = inside * log_cover(looks, inside * covered, inside * bare, numbers)
        odds = np.cumsum(cover, axis=1) - cover + worth
        there = tip_probability(odds, numbers, shown)
        below = np.cumsum(there, axis=1)
        bare, covered = np.zeros_like(there), np.zeros_like(there)
        bare[:, MARGIN_PX:] = below[:, :-MARGIN_PX]
        covered[:, :-MARGIN_PX] = below[:, -1:] - below[:, MARGIN_PX:]
    below = np.cumsum(there, axis=1)
    seen = below[:, -1]
    first = np.argmax(below >= 0.5 * seen[:, None], axis=1)
    rows = np.arange(len(first))
    share = (0.5 * seen - (below - there)[rows, first]) / np.maximum(there[rows, first], 1e-12)
    near = np.abs(places - first[:, None]) <= WITHIN_PX
    sure = MOST_SURE * np.sum(there * near, axis=1)
    return first - 0.5 + share, np.where(sure < NO_SIGN, 0.0, sure)


def log_cover(looks: Floats, covered: Floats, bare: Floats, numbers: Floats) -> Floats:
    """Log odds of each place for being covered by the shaft, (frames, places).

    Covered or bare, what a place looks like is normal, the shaft at least as bright as what it
    covers; but some covered places look bare, and some bare ones covered.
    """
    tissue, tissue_spread = usual_looks(looks, bare, numbers, np.array(-np.inf))
    shaft, shaft_spread = usual_looks(looks, covered, numbers, tissue)
    likely = 0.5 * ((looks - tissue) ** 2 / tissue_spread - (looks - shaft) ** 2 / shaft_spread)
    likely = np.clip(likely + 0.5 * np.log(tissue_spread / shaft_spread), -30.0, 30.0)
    as_covered = np.logaddexp(np.log1p(-FADED) + likely, np.log(FADED))
    as_bare = np.logaddexp(np.log1p(-LIT), np.log(LIT) + likely)
    return np.asarray(INDEPENDENT * (as_covered - as_bare))


def usual_looks(
    looks: Floats, weight: Floats, numbers: Floats, least: Floats
) -> tuple[Floats, Floats]:
    """Mean and variance of what places look like in the frames of some weight.

    Of each place about the time; where there are too few such frames, in the clip; where there are
    too few of those, of all places.

    Parameters
    ----------
    looks, weight : ndarray, shape (frames, places)
    numbers : ndarray, shape (frames,)
        When.
    least : ndarray
        What the mean is not taken below unless frames about the time show it.
    """
    total = max(float(weight.sum()), 1.0)
    mean = np.asarray(np.sum(weight * looks, keepdims=True) / total)
    variance = np.asarray(np.sum(weight * (looks - mean) ** 2, keepdims=True) / total)
    sums = np.stack([weight, weight * looks, weight * looks**2])
    for (count, first, second), prior in (
        (sums.sum(axis=1, keepdims=True), USUAL_WEIGHT),
        (about(sums, numbers), CLIP_WEIGHT),
    ):
        mean = np.maximum(mean, least) if prior == CLIP_WEIGHT else mean
        new = (first + prior * mean) / (count + prior)
        left = np.maximum(second - 2 * new * first + new**2 * count, 0.0)
        mean, variance = new, (left + prior * variance) / (count + prior)
    return mean, variance + NOISE**2


def about(sums: Floats, numbers: Floats) -> Floats:
    """Sum over the frames about each, the less the further they are; axis 1 of three is time."""
    out = sums.copy()
    fade = np.exp(-np.diff(numbers) / ABOUT_FRAMES)
    for k in range(1, len(numbers)):
        out[:, k] += fade[k - 1] * out[:, k - 1]
    later = np.zeros_like(sums[:, 0])
    for k in range(len(numbers) - 2, -1, -1):
        later = fade[k] * (later + sums[:, k + 1])
        out[:, k] += later
    return out


def tip_probability(odds: Floats, numbers: Floats, shown: Bools) -> Floats:
    """Probability that the tip is visible and at each place, given all frames, (frames, places).

    Forward and backward through a chain in which the tip moves along the line, seen or not.

    Parameters
    ----------
    odds : ndarray, shape (frames, places)
        Log odds of each frame for a tip at a place against none.
    numbers : ndarray, shape (frames,)
        When.
    shown : ndarray of bool, shape (frames,)
        Frames in which it may be visible.
    """
    frames, places = odds.shape
    top = np.maximum(odds.max(axis=1, keepdims=True), HIDDEN)
    fit = np.empty((frames, 2, places))
    fit[:, 0] = np.exp(odds - top) * shown[:, None]
    fit[:, 1] = np.exp(HIDDEN - top)
    moves = [tip_moves(gap, places) for gap in np.round(np.diff(numbers) * 4) / 4]
    change = 1 / (1 + np.exp(LOSE))
    change = np.array([[1 - change, change], [change, 1 - change]])
    forward = np.empty_like(fit)
    forward[0] = fit[0] / fit[0].sum()
    for k in range(1, frames):
        now = change @ (forward[k - 1] @ moves[k - 1]) * fit[k]
        forward[k] = now / now.sum()
    backward = np.full((2, places), 1.0)
    there = np.empty_like(odds)
    for k in range(frames - 1, -1, -1):
        both = forward[k] * backward
        there[k] = both[0] / both.sum()
        if k:
            backward = change @ (backward * fit[k]) @ moves[k - 1]
            backward /= backward.sum()
    return there


@lru_cache(maxsize=16)
def tip_moves(gap: float, places: int) -> Floats:
    """Probability of a tip's move between any two places in some frames, (places, places)."""
    scale = min(ALONG_PX * np.sqrt(max(gap, 1.0)), ALONG_MOST_PX)
    apart = np.arange(places)
    move = (1 + ((apart[:, None] - apart) / scale) ** 2) ** -1.5
    return np.asarray(move / (2 * scale))
