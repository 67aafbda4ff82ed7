"""The claimed frames of a path smoothed: its line much, the tip's advance hardly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usguide.model import Floats
from usguide.needle.candidates import Candidates


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
    inverses = np.linalg.pinv(np.array(predicted_spread))
    for k in range(count - 2, -1, -1):
        back = filtered_spread[k] @ steps[k + 1].T @ inverses[k + 1]
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
"""The same across the shaft."""
TURN_WANDER_DEG = 0.1
"""Change of the speed of its turning in a frame, degrees per frame."""


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
