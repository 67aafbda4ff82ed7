"""Where on its line the shaft ends, in all frames together.

What a place on the line looks like with the needle and without it, other frames show; so every
frame says of every place whether the shaft covers it, and a tip is where it does up to there and
not beyond. Places are a working px apart.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from usguide.model import Bools, Floats
from usguide.needle.path import ALONG_MOST_PX, ALONG_PX
from usguide.needle.track import MOST_SURE

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
WITHIN_PX = 15
"""3 mm of a picture of 40 mm, working px."""
NO_SIGN = 0.01
"""A probability below this is none."""
ROUNDS = 2
"""Each knows better than the one before which places were covered when. This and the constants
above were tuned on the needlings of even seeds of 8000-8029, 97000-97039 and 97100-97219; those of
odd seeds were kept apart."""


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
        The line's contrast to its flanks, in speckle noise; NaN outside the image.
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
    """Log odds of each place for being covered by the shaft.

    Covered or bare, what a place looks like is normally distributed, the shaft at least as bright
    as what it covers; but some covered places look bare, and some bare ones covered.

    Parameters
    ----------
    looks : ndarray of float64, shape (frames, places)
        Contrast of the line, in speckle noise.
    covered, bare : ndarray of float64, shape (frames, places)
        Probability of each.
    numbers : ndarray of float64, shape (frames,)
        When every frame was taken, in frames.

    Returns
    -------
    ndarray of float64, shape (frames, places)
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
