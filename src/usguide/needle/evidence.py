"""How much each candidate looks and behaves like a needle, over the whole clip.

A needle enters the picture, ends inside it and moves along itself; interfaces (bone, fascia,
aponeuroses, reverberation bands, the bottom of a tank) span the picture or stay where they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from usguide.kernels import shaft_path
from usguide.kernels.strips import levels_along
from usguide.model import Floats
from usguide.needle.candidates import WORKING_SIDE_PX
from usguide.needle.pool import SAME_OFFSET_PX, SAME_TURN_DEG, Pool, spread
from usguide.needle.ridges import Float32

LEAST_FRAMES = 4
"""Fewer frames say nothing of what a line does over time."""
SELDOM = 0.05
"""Share of the clip below which finding a line again counts for little."""
ROUNDS = 3
"""A line that slides speaks for the lines it slid from, as far as it is itself like a needle: each
round knows that better, and what outshines a faint needle but stays where it is fades."""
SAME_TIP_PX = 3.0
"""A tip that is again within this distance has not moved (working px)."""
MOVED_TIP_PX = 5.0
"""A tip at least this far along the same line has (working px)."""

CORE_PX = np.array([-0.8, 0.0, 0.8])
FLANKS_PX = np.array([-6.0, -4.0, 4.0, 6.0])
"""Where a line and its two sides are looked at, working px across it."""

# --- weights ---
APPEARANCE = {
    "bias": -17.37,
    "score": 2.65,
    "mean": -1.00,
    "symmetry": 4.58,
    "step": 0.19,
    "cut": 3.83,
    "break": -1.06,
    "onward": -0.22,
    "echo": 12.00,
    "edge": -9.52,
    "gap": -9.32,
    "entry": -3.95,
    "deep": -20.00,
    "flat": -2.00,
    "level": -8.00,
}
"""Weights of a conditional logit model: in every frame, at most one candidate is the needle.
Fitted with the sign and size of each bounded on needle_convex_01, 05, 07, needle_block,
thickness_range_of_motion, muscle_isokinetic030, muscle_calf_ge_0, fascia_normal and 52 synthetic
clips: needles in heels and phantoms at 10 to 69 degrees, heels, muscles and phantoms without one
(seeds 31000-31031, 33000-33203, 81000-81019). A clip counts for at most 15 frames, a real frame 2.5
times."""
FULL = {
    "bias": -18.66,
    "score": 1.49,
    "mean": -1.00,
    "symmetry": 1.22,
    "step": 0.31,
    "cut": 3.50,
    "break": -1.61,
    "onward": -0.80,
    "echo": 12.00,
    "edge": -9.02,
    "gap": -5.03,
    "entry": -1.99,
    "deep": -20.00,
    "flat": -2.00,
    "level": -8.00,
    "before": 1.14,
    "after": 0.88,
    "novel": 1.88,
    "slid": 1.96,
}
"""The same with what the line does over time."""
# --- end of weights ---


def change_on_the_line(deviation: Float32, pool: Pool) -> Floats:
    """Log ratio of the change over time on the shaft near its tip to that on its flanks.

    Parameters
    ----------
    deviation : ndarray of float32
        Standard deviation over time of every working px, grey levels.
    pool : Pool
        The candidates.

    Returns
    -------
    ndarray of float64, shape (n, 2)
        Just before the tip, and just beyond it: a needle that went further at another time.
    """
    smooth = np.asarray(cv2.GaussianBlur(deviation, (0, 0), 1.0), np.float32)
    levels = np.empty((len(pool.frame), 2))
    out = np.empty((len(pool.frame), 2))
    for column, span in enumerate(((-12.0, 0.0), (0.0, 10.0))):
        levels_along(smooth, pool.lines, *span, CORE_PX, FLANKS_PX, levels)
        out[:, column] = np.log((levels[:, 0] + 1.0) / (levels[:, 1] + 1.0))
    return out


def novelty(mean: Float32, pool: Pool) -> Floats:
    """Share of each shaft's contrast near its tip that the clip's mean picture has not, (n,).

    What stays where it is (bone, fascia, reverberations) is in the mean picture as it is in the
    frame: 0. A shaft is there for a part of the time: up to 1. Where it is there at other times
    but not now: below 0.
    """
    levels = np.empty((len(pool.frame), 2))
    levels_along(mean, pool.lines, -8.0, 0.0, CORE_PX, FLANKS_PX, levels)
    usual = levels[:, 0] - levels[:, 1]
    near = pool.records["near"].astype(np.float64) * pool.records["noise"]
    return np.asarray((near - usual) / np.maximum(near, 1.0))


def recurrence(pool: Pool, quality: Floats, frames: int) -> Floats:
    """Share of the clip in which a line is there again with its tip moved along it.

    Parameters
    ----------
    pool : Pool
        The candidates.
    quality : ndarray, shape (n,)
        How much each looks like a needle, 0 to 1.
    frames : int
        Number of observed frames.

    Returns
    -------
    ndarray of float64, shape (n,)
        0 to 1; 0 where there is nothing to compare with.
    """
    some = spread(frames)
    # From straight down, so that no two shafts that both point down are a whole turn apart.
    headings = np.arctan2(pool.along[:, 0], pool.along[:, 1])
    references = np.flatnonzero(np.isin(pool.frame, some))
    references = references[np.argsort(headings[references])]
    turn = math.radians(SAME_TURN_DEG) * np.array([-1.0, 1.0])
    total = np.empty(len(pool.frame))
    shaft_path.moved_along(
        pool.lines,
        pool.slide,
        pool.frame,
        quality,
        references,
        np.searchsorted(headings[references], headings[:, None] + turn),
        np.array([SAME_OFFSET_PX, SAME_TIP_PX, MOVED_TIP_PX]),
        total,
    )
    return np.asarray(total / np.maximum(len(some) - np.isin(pool.frame, some), 1e-9))


def appearance(pool: Pool) -> dict[str, Floats]:
    """Describe each candidate as one frame shows it: named features, each of shape (n,)."""
    records = pool.records
    field = {name: records[name].astype(np.float64) for name in records.dtype.names or ()}
    inclination = pool.inclination_deg
    near = field["near"]
    return {
        "score": np.log(field["score"] / 60.0),
        "mean": field["score"] / np.maximum(pool.length, 1.0),
        "symmetry": np.clip(field["ridge"] / np.maximum(field["contrast"], 1.0), -0.5, 1.0),
        "step": np.clip(field["step"], -1, 6),
        "cut": np.clip(field["step"] / np.maximum(near, 1.0), 0.0, 1.2),
        "break": np.clip(0.7 - field["weakest"] / np.maximum(field["contrast"], 1.0), 0.0, 1.2),
        "onward": np.clip(field["onward"] / np.maximum(near, 1.0), 0.0, 1.2),
        "echo": field["echo"],
        "edge": (field["margin"] < 5).astype(np.float64),
        "gap": np.clip(field["gap"] / WORKING_SIDE_PX, 0, 0.25),
        "entry": field["entry"],
        "deep": np.clip(field["entry"] - 0.5, 0, 0.5),
        "flat": np.clip((12 - inclination) / 12, 0, 1),
        "level": np.clip((7 - inclination) / 7, 0, 1),
    }


@dataclass(frozen=True, slots=True, eq=False)
class Odds:
    """Log odds of every candidate against 'no needle to be seen' in its frame, shape (n,)."""

    appearance: Floats
    """From the frame alone."""
    full: Floats
    """With what the line does over the clip."""


def weighted(features: dict[str, Floats], weights: dict[str, float]) -> Floats:
    """Sum of the features by their weights, plus the bias."""
    total = np.full(len(features["score"]), weights["bias"])
    for name, values in features.items():
        total += weights[name] * values
    return total


def log_odds(pool: Pool, mean: Float32, deviation: Float32, frames: int) -> Odds:
    """Weigh the evidence for every candidate.

    Parameters
    ----------
    pool : Pool
        The candidates.
    mean, deviation : ndarray of float32
        Mean and standard deviation over time of every working px, grey levels, the picture's slide
        taken out.
    frames : int
        Number of observed frames.
    """
    features = appearance(pool)
    alone = weighted(features, APPEARANCE)
    if frames < LEAST_FRAMES:
        return Odds(alone, alone)
    change = change_on_the_line(deviation, pool)
    features |= {
        "before": change[:, 0],
        "after": change[:, 1],
        "novel": np.clip(novelty(mean, pool), -0.5, 1.0),
    }
    full = alone
    for _ in range(ROUNDS):
        best = np.full(frames, -np.inf)
        np.maximum.at(best, pool.frame, full)
        slid = recurrence(pool, np.exp(full - best[pool.frame]), frames)
        full = weighted(features | {"slid": np.log1p(slid / SELDOM)}, FULL)
    return Odds(alone, full)
