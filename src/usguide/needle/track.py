"""From the candidates of a clip to one needle: which path, how sure, and smoothed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usguide.model import Bools, Floats
from usguide.needle.candidates import Candidates
from usguide.needle.evidence import (
    LEAST_FRAMES,
    SAME_OFFSET_PX,
    Odds,
    Pool,
    appearance,
    displacements,
    slid_with_picture,
    spread,
)
from usguide.needle.path import best_path
from usguide.needle.resemblance import resembling_odds

GENEROSITY = 1.5
"""Added to every candidate's log odds while a path is sought: what makes a needle of a path is
that it holds together over the clip, which no single frame can say. Tuned, like all constants
below, on needle_convex_01, 05, 07, needle_block, needle_steep, thickness_range_of_motion,
muscle_isokinetic030 and 11 synthetic scenes."""
ALTERNATIVES = 4
"""Paths looked at: a bright bone may hold together better than a needle, but does not move."""
SLID_PX = 5.0
"""Range of the tip along the shaft, against the tissue, that a needle must cover (working px)."""
CHANCE_PX = 2.0
"""Range that ends of tissue are found to slide by chance: a path that slides little has to be the
more convincing."""
CONVINCING = 2.3
"""Least sum of the mean log odds of the claims before and after the moves are paid, times the share
of the slide that is beyond chance. Needles of the tuning clips that are followed rightly had 2.46
and more, steady paths in clips without one at most 2.1."""
STEADY = 0.2
"""Least share of the frames that a path must claim..."""
ENOUGH = 12
"""... or as many as these: 0.4 s of a cine, a quick stab. A few scattered frames may happen to hold
lines that agree."""
LEAST_CUT = 0.65
"""Least median drop of the profile at the tip, as a share of the shaft's contrast there. Needles
had 0.8 and more; ends put on a bone, or on an aponeurosis that goes on, 0.36 to 0.55."""
SURE_ALONE = 3.0
"""Least log odds of appearance in a clip too short to show motion. Of 33 frames of a calf one
reached it; needles reach it in a third of the frames."""
UNRIVALLED = 1.5
"""Log odds by which such a needle must be ahead of every other line in its frame."""
MOST_SURE = 0.97
"""Share of the frames that are right where the evidence could not be better: of the frames with
log odds of 5 and more that it was fitted on, 99 %, less what other scanners may take."""
SHARPNESS = 0.60
EVEN = -0.8
"""Slope of the confidence in the log odds of the claim, and the log odds at which it is half of
``MOST_SURE``. Fitted by maximum likelihood on the 1173 claimed frames of the clips that the weights
of the evidence were fitted on, where 3 mm was taken as 10 px in the convex clips and 15 in the
block, no clip counting for more than 15 frames."""


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """One needle through the observed frames.

    Parameters
    ----------
    chosen : ndarray of int64, shape (frames,)
        Index into the pool, -1 where it is not seen.
    confidence : ndarray of float64, shape (frames,)
        Estimated probability that the tip is within 3 mm.
    moved : bool
        Whether the tip slid along the shaft, against the tissue.
    """

    chosen: NDArray[np.int64]
    confidence: Floats
    moved: bool

    @property
    def seen(self) -> Bools:
        """Frames in which the path claims the needle."""
        return np.asarray(self.chosen >= 0)


def slide_range(pool: Pool, chosen: NDArray[np.int64]) -> float:
    """Range of the tips along one line, 5th to 95th percentile, working px.

    Only tips on the same line count, so that a path that hops between lines has not slid; the
    line with the most claims is taken. The lesser of the range against the tissue and the range
    in the picture: what moves with the tissue is part of it, and what stays in the picture while
    the tissue slides is where the beam fades.
    """
    references = chosen[spread(len(chosen))]
    on_line = [chosen[on_line_of(pool, int(index), chosen)] for index in references]
    crowded = int(np.argmax([len(same) for same in on_line]))
    origin, same = references[crowded : crowded + 1], on_line[crowded]
    _, against_tissue, _ = displacements(pool, origin, same)
    in_picture = against_tissue + slid_with_picture(pool, origin, same)
    ranges = []
    for advance in (against_tissue[0], in_picture[0]):
        low, high = np.quantile(advance, [0.05, 0.95])
        ranges.append(float(high - low))
    return min(ranges)


def on_line_of(pool: Pool, index: int, others: NDArray[np.int64]) -> Bools:
    """Which of some candidates lie along the line of one."""
    parallel, _, sideways = displacements(pool, np.array([index]), others)
    return np.asarray(parallel[0] & (sideways[0] < SAME_OFFSET_PX))


def sure_alone(pool: Pool, odds: Odds, index: int) -> bool:
    """Whether one frame shows a candidate to be a needle, with no other line as good."""
    ahead = odds.appearance[index]
    here = pool.of_frame(int(pool.frame[index]))
    rivals = odds.appearance[here[~on_line_of(pool, index, here)]]
    return bool(ahead > SURE_ALONE and np.all(rivals < ahead - UNRIVALLED))


def likeliest(pool: Pool, odds: Odds, numbers: Floats, shown: Bools | None = None) -> Path | None:
    """Return the path that is most a needle, or None where none is.

    Parameters
    ----------
    pool : Pool
        The candidates of the clip.
    odds : Odds
        Their log odds.
    numbers : ndarray, shape (frames,)
        When every observed frame was taken, in frames.
    shown : ndarray of bool, shape (n,), optional
        Candidates that a person has shown to be the needle: there is one, whether it moves or not.
    """
    generous = odds.full + GENEROSITY
    given = shown is not None and bool(shown.any())
    looks = appearance(pool)
    best: NDArray[np.int64] | None = None
    best_score = 0.0
    best_moved = False
    for _ in range(ALTERNATIVES):
        chosen, total = best_path(pool, generous, numbers)
        seen = chosen[chosen >= 0]
        if not len(seen):
            break
        slid = slide_range(pool, seen)
        mean = total / len(seen) + float(odds.full[seen].mean())
        steady = len(seen) >= max(3.0, min(STEADY * len(chosen), ENOUGH))
        moved = (
            slid > SLID_PX
            and mean * slid / (slid + CHANCE_PX) > CONVINCING
            and steady
            and float(np.median(looks["cut"][seen])) > LEAST_CUT
        )
        alone = len(chosen) < LEAST_FRAMES and all(sure_alone(pool, odds, k) for k in seen)
        score = total * slid / (slid + SLID_PX) if moved else 0.2 * total
        if given:
            best, best_moved = chosen, True
            break
        if (moved or alone) and score > best_score:
            best, best_score, best_moved = chosen, score, moved
        for index in seen:
            here = pool.of_frame(int(pool.frame[index]))
            generous[here[on_line_of(pool, int(index), here)]] = -np.inf
    if best is None:
        return None
    if best_moved:
        # Knowing the needle, claim what resembles it, and nothing that does not.
        again = resembling_odds(pool, odds, best, numbers)
        if shown is not None:
            again = np.where(shown, odds.full, again)
        best, _ = best_path(pool, again, numbers)
    else:
        again = odds.appearance
    return Path(best, confidence(again, best), best_moved)


def confidence(odds: Floats, chosen: NDArray[np.int64]) -> Floats:
    """Estimate how probably the tip is within 3 mm in each frame; 0 where none is chosen.

    A logistic in the log odds of the chosen candidate, which already weigh how well the frame shows
    it and how much it resembles the needle of the rest of the clip, below a ceiling.

    Parameters
    ----------
    odds : ndarray, shape (n,)
        Log odds of every candidate against 'not seen'.
    chosen : ndarray of int64, shape (frames,)
        The path; -1 where it claims nothing.
    """
    out = np.zeros(len(chosen))
    seen = chosen >= 0
    out[seen] = MOST_SURE / (1 + np.exp(-SHARPNESS * (odds[chosen[seen]] - EVEN)))
    return out


def smoothed(values: Floats, times: Floats, noise: Floats, wander: float) -> tuple[Floats, Floats]:
    """Rauch-Tung-Striebel smoothing of a value whose rate wanders.

    Parameters
    ----------
    values, times, noise : ndarray, shape (n,)
        Measurements, when, and their standard deviations; times increase.
    wander : float
        Standard deviation of the change of the rate over one unit of time.

    Returns
    -------
    smooth, deviation : ndarray, shape (n,)
        Smoothed values, and their standard deviations; what was measured where there are fewer
        than 3.
    """
    count = len(values)
    if count < 3:
        return values, noise
    state = np.array([values[0], 0.0])
    spread = np.diag([noise[0] ** 2, (10 * noise[0] + 10 * wander) ** 2])  # rate unknown
    predicted, predicted_spread, filtered, filtered_spread, steps = [], [], [], [], []
    for k in range(count):
        dt = float(times[k] - times[k - 1]) if k else 0.0
        move = np.array([[1.0, dt], [0.0, 1.0]])
        grown = wander**2 * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
        state = move @ state
        spread = move @ spread @ move.T + grown
        predicted.append(state)
        predicted_spread.append(spread)
        steps.append(move)
        gain = spread[:, 0] / (spread[0, 0] + noise[k] ** 2)
        state = state + gain * (values[k] - state[0])
        spread = spread - np.outer(gain, spread[0])
        filtered.append(state)
        filtered_spread.append(spread)
    out, deviation = np.empty(count), np.empty(count)
    out[-1], deviation[-1] = state[0], np.sqrt(spread[0, 0])
    for k in range(count - 2, -1, -1):
        back = filtered_spread[k] @ steps[k + 1].T @ np.linalg.pinv(predicted_spread[k + 1])
        state = filtered[k] + back @ (state - predicted[k + 1])
        spread = filtered_spread[k] + back @ (spread - predicted_spread[k + 1]) @ back.T
        out[k], deviation[k] = state[0], np.sqrt(max(spread[0, 0], 0.0))
    return out, deviation


DENSE_GAP = 4.0
"""Frames closer than this follow each other; wider gaps start a new stretch to smooth."""
TIP_NOISE_PX = 0.5
"""Standard deviation of a measured tip along its shaft, working px."""
SIDE_NOISE_PX = 0.25
"""The same across, and of the line at either end of a shaft."""
SLIDE_WANDER_PX = 3.0
"""Change of the needle's speed in a frame, working px per frame: pistoning by 10 mm at 1.8 Hz
reverses 2 mm a frame within 8 frames."""
SIDE_WANDER_PX = 0.1
TURN_WANDER_DEG = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Shaft:
    """Smoothed geometry in the claimed frames, region px; every array of shape (n,) or (n, 2)."""

    frames: NDArray[np.int64]
    tip: Floats
    tail: Floats
    along: Floats
    deviation: Floats
    """Standard deviation of the smoothed tip along its shaft and across it, shape (n, 2)."""


COVERING = 2.448
"""Half axes of the ellipse that holds 95 % of a normal spread, in its deviations: the root of the
chi-squared quantile of two degrees of freedom, 5.991."""
EXTRA_PX = (3.0, 1.0)
"""Deviation of what smoothing cannot see, along the shaft and across it, working px: the beam's
width at the tip, and now and then a wrong end. Chosen on the clips that the weights of the evidence
were fitted on, so that the ellipse holds the true tip in about 95 % of the frames."""


def half_axes(deviation: Floats, scale: float) -> Floats:
    """Half axes (n, 2) of the 95 % ellipse of smoothed tips, region px, along and across.

    Parameters
    ----------
    deviation : ndarray, shape (n, 2)
        Of the smoother, region px.
    scale : float
        Region px per working px.
    """
    return np.asarray(COVERING * np.hypot(deviation, np.array(EXTRA_PX) * scale))


def smooth_path(
    records: Candidates,
    frames: NDArray[np.int64],
    numbers: Floats,
    scale: float,
    *,
    smooth: bool = True,
) -> Shaft:
    """Smooth the claimed frames of a path: its line much, its tip's advance hardly.

    Parameters
    ----------
    records : structured array of ``CANDIDATE``, shape (n,)
        Candidates of the claimed frames, in order.
    frames : ndarray of int64, shape (n,)
        Observed frames they belong to.
    numbers : ndarray, shape (n,)
        When, in frames.
    scale : float
        Region px per working px.
    smooth : bool
        Otherwise leave every frame as it is: smoothing looks ahead.
    """
    tip = np.column_stack([records["tip_x"], records["tip_y"]]).astype(np.float64)
    tail = np.column_stack([records["tail_x"], records["tail_y"]]).astype(np.float64)
    length = np.maximum(np.linalg.norm(tip - tail, axis=1), 1e-6)
    angle = np.unwrap(np.arctan2(tip[:, 1] - tail[:, 1], tip[:, 0] - tail[:, 0]))
    pieces = np.split(np.arange(len(frames)), np.flatnonzero(np.diff(numbers) > DENSE_GAP) + 1)
    new_tip, new_angle = tip.copy(), angle.copy()
    deviation = np.tile([TIP_NOISE_PX * scale, SIDE_NOISE_PX * scale], (len(frames), 1))
    for piece in pieces:
        if len(piece) < 3 or not smooth:
            continue
        t = numbers[piece]
        turn_noise = np.arctan2(2 * SIDE_NOISE_PX * scale, length[piece])
        new_angle[piece], _ = smoothed(angle[piece], t, turn_noise, np.radians(TURN_WANDER_DEG))
        middle = float(np.median(angle[piece]))
        along = np.array([np.cos(middle), np.sin(middle)])
        across = np.array([-along[1], along[0]])
        forward, deviation[piece, 0] = smoothed(
            tip[piece] @ along,
            t,
            np.full(len(piece), TIP_NOISE_PX * scale),
            SLIDE_WANDER_PX * scale,
        )
        side, deviation[piece, 1] = smoothed(
            tip[piece] @ across,
            t,
            np.full(len(piece), SIDE_NOISE_PX * scale),
            SIDE_WANDER_PX * scale,
        )
        new_tip[piece] = forward[:, None] * along + side[:, None] * across
    direction = np.column_stack([np.cos(new_angle), np.sin(new_angle)])
    tail = new_tip - length[:, None] * direction
    return Shaft(frames, new_tip, tail, direction, deviation)
