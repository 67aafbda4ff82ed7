"""Whether the end of a shaft that is seen is its tip, or where it leaves the slice.

A shaft aslant to the slice ends in the picture where it leaves it. When its tip goes out, the end
retreats within a frame or two and then goes on as before, where a withdrawal gathers and loses
speed over several frames; and as the slice is thickest in its middle, the shaft fades towards such
an end, while a tip is as bright as the shaft, or brighter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from usguide.model import Floats

LEAST_CLAIMS = 8
"""Fewer do not show how the needle moves."""
LEAST_JUMP_PX = 10.0
"""Shortest retreat that may be the tip's going out: 2 mm of a picture of 40 mm, working px."""
LEAST_JUMP = 3.0
"""The same, over how far the clip's needle usually jumps."""
BESIDE = 2.0
"""A jump is what a frame's step has beyond this many times the steps beside it: the speed of
pistoning is a half-wave, so that no step of a stroke of three frames or more stands out."""
USUAL_JUMPS = 95
"""Percentile of the jumps that is usual: going out and coming back are a few of a clip's."""
PERCENTILE_SPREADS = 1.6
"""What that percentile is of the spread of a law with heavy tails, about."""
LEAST_SPREAD_PX = 2.0
"""Noise of an end, working px."""
FREEDOM = 4.0
"""Degrees of freedom of the jumps' law."""
GOING = 4.0
"""Cost of the tip's going out of the slice, and again of coming back (log odds)."""
REACH_PX = 80.0
"""An end that goes out jumps by any length up to this, as likely as any other."""
BEFORE_PX = np.arange(-25, -12)
"""Places of the shaft, and then of its last millimetre, from its end, working px."""
LAST_PX = np.arange(-8, -2)
LEAST_FADING = 1.0
"""Spread of how much tips fade, at least, in speckle noise."""
FADES = 1.5
"""How much more an end fades where it leaves the slice, in that spread."""
INDEPENDENT = 0.4
"""Share of the frames that say something of their own: a shaft's bright places stay."""
MOST_SAID = 0.6
"""Most that the fading of one frame's end says (log odds). This and the constants above were tuned
on the even seeds of the second simulator's 0-69 and of the needlings 8000-8029 and 99300-99329;
those of odd seeds were kept apart."""


def in_slice(contrast: NDArray[np.float32], tip: Floats, numbers: Floats) -> Floats:
    """Probability that the end of the shaft is the tip in every frame, given all frames.

    Forward and backward through a chain of two states: the tip is in the slice, or beyond what is
    seen of the shaft. It is in it in the first frame.

    Parameters
    ----------
    contrast : ndarray of float32, shape (frames, places)
        The line's contrast to its flanks, in speckle noise, at places a working px apart; NaN
        outside the image.
    tip : ndarray, shape (frames,)
        Where the shaft ends, working px; NaN where it is not claimed.
    numbers : ndarray, shape (frames,)
        When every frame was taken, in frames.

    Returns
    -------
    ndarray of float64, shape (frames,)
        1 where nothing is claimed.
    """
    out = np.ones(len(tip))
    claimed = np.flatnonzero(np.isfinite(tip))
    if len(claimed) < LEAST_CLAIMS:
        return out
    beyond = faded(contrast[claimed], tip[claimed])
    close = np.diff(numbers[claimed]) < 1.5 * np.median(np.diff(numbers))
    moves = log_moves(np.diff(tip[claimed]), close)
    fit = np.stack([np.zeros_like(beyond), beyond], axis=1)
    forward, backward = np.empty_like(fit), np.zeros_like(fit)
    forward[0] = 0.0, -np.inf
    for k, move in enumerate(moves, 1):
        forward[k] = np.logaddexp.reduce(forward[k - 1][:, None] + move, axis=0) + fit[k]
    for k in range(len(moves) - 1, -1, -1):
        backward[k] = np.logaddexp.reduce(moves[k] + fit[k + 1] + backward[k + 1], axis=1)
    both = forward + backward
    out[claimed] = np.exp(both[:, 0] - np.logaddexp.reduce(both, axis=1))
    return out


def log_moves(step: Floats, close: NDArray[np.bool_]) -> Floats:
    """Log probability density of the shaft's end's steps, by where the tip is before and after.

    Parameters
    ----------
    step : ndarray, shape (n,)
        From every claimed end to the next one, working px.
    close : ndarray of bool, shape (n,)
        Which of them are of one frame; the others say nothing.

    Returns
    -------
    ndarray of float64, shape (n, 2, 2)
        Before, and after: in the slice, beyond.
    """
    step = np.where(close, step, 0.0)
    jump = jumps(step)
    out = np.zeros((len(step), 2, 2))
    if not close.any():
        out[:, 0, 1] = -np.inf
        return out
    usual = np.percentile(np.abs(jump[close]), USUAL_JUMPS) / PERCENTILE_SPREADS
    spread = max(LEAST_SPREAD_PX, float(usual))
    out[:, 0, 0] = out[:, 1, 1] = np.where(close, student.logpdf(jump, FREEDOM, scale=spread), 0.0)
    going = -GOING - np.log(REACH_PX)
    out[:, 0, 1] = np.where(jump < -max(LEAST_JUMP_PX, LEAST_JUMP * spread), going, -np.inf)
    out[:, 1, 0] = np.where(close, np.where(step >= 0, going, -np.inf), -GOING)
    return out


def jumps(step: Floats) -> Floats:
    """By how much each step exceeds the steps beside it that go the same way, with its sign."""
    beside = np.pad(step, 1)
    way = np.sign(step)
    same = np.maximum(way * beside[:-2], 0.0) + np.maximum(way * beside[2:], 0.0)
    return np.asarray(way * np.maximum(np.abs(step) - BESIDE * same, 0.0))


def faded(contrast: NDArray[np.float32], tip: Floats) -> Floats:
    """Log odds that an end is where the shaft leaves the slice, from how the shaft fades to it.

    Against how it usually does in the clip; 0 where too little of it is seen.

    Parameters
    ----------
    contrast : ndarray of float32, shape (n, places)
        In speckle noise.
    tip : ndarray, shape (n,)
        Where the shaft ends, working px.
    """
    rows, end = np.arange(len(tip))[:, None], np.round(tip).astype(int)[:, None]
    before, last = (
        contrast[rows, np.maximum(end + part, 0)].mean(axis=1, dtype=np.float64)
        for part in (BEFORE_PX, LAST_PX)
    )
    fading = np.where(end[:, 0] + BEFORE_PX[0] >= 0, before - last, np.nan)
    known = np.isfinite(fading)
    if not known.any():
        return np.zeros(len(tip))
    usual, spread = np.median(fading[known]), max(LEAST_FADING, float(np.std(fading[known])))
    more = np.where(known, (fading - usual) / spread, 0.0)
    return np.clip(INDEPENDENT * FADES * (more - FADES / 2), -MOST_SAID, MOST_SAID) * known
