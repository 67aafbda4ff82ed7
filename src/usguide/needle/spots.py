"""The compact bright spots of a picture: a needle that crosses the image plane shows as one."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.kernels.echo_fronts import echo_fronts
from usguide.kernels.soft_maxima import soft_maxima
from usguide.model import Bools, Floats
from usguide.needle.ridges import Float32, halve

SPOTS = 12
"""Spots kept per frame."""
SPOT_SIGMA_PX = 1.5
"""Gaussian that a spot's core fills, working px. Its surroundings are taken at three times it, and
its place at twice it."""
FRONT_SIGMA_PX = 1.0
"""Gaussian under which the front of its echo is looked for, working px."""
USUAL_SHARE = 0.5
"""Share of the usual picture that is taken out of a frame to see a new spot's front: with all of
it, a needle that lingers is pushed aside by its own past, with none tissue is part of it."""
NEIGHBOURS_PX = 6
"""Of spots closer than this (working px) the brightest is kept, and none so close to the edge."""
BESIDE_PX = 10
"""How far to either side a spot is over, working px: 1.6 mm of a 32 mm picture."""
LOCAL_PX = 51
"""Side of the square over which a spot's surroundings are said to be how lively, working px."""

SPOT = np.dtype(
    [
        ("x", np.float32),
        ("y", np.float32),
        ("front_x", np.float32),  # where its echo begins
        ("front_y", np.float32),
        ("height", np.float32),  # how far it stands out
        ("alone", np.float32),  # of a new one: share of its brightness that its sides lack
    ]
)


def smoothed(image: Float32, sigmas: float) -> Float32:
    """Blur with a Gaussian of so many spot sigmas."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigmas * SPOT_SIGMA_PX), np.float32)


def standing_out(core: Float32, half: Float32, where: Bools) -> Float32:
    """How much brighter a smoothed picture is than its surroundings in some places, 0 elsewhere.

    The surroundings are taken at half the size: a wide blur is faster there.
    """
    around = cv2.resize(smoothed(half, 0.5 * 3), core.shape[::-1])
    return np.asarray(cv2.subtract(core, around, mask=where.view(np.uint8)), np.float32)


def apart_from_lines(core: Float32, y: NDArray[np.intp], x: NDArray[np.intp]) -> Float32:
    """How much brighter some px of a smoothed picture are than what lies to both of their sides.

    Interfaces run across the picture; where a needle presses on one, its bump moves like a spot.
    """
    tilted = 2 * (BESIDE_PX // 2) + 1  # a line may be tilted
    near_by = cv2.dilate(core, np.ones((tilted, 1), np.uint8))
    last = core.shape[1] - 1
    sides = near_by[y, np.maximum(x - BESIDE_PX, 0)], near_by[y, np.minimum(x + BESIDE_PX, last)]
    return np.asarray(core[y, x] - np.float32(0.5) * (sides[0] + sides[1]), np.float32)


def peaks(detail: Float32, edge_distance: Float32) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns where the detail is largest among its neighbours, and positive."""
    side = 2 * NEIGHBOURS_PX + 1
    highest = cv2.dilate(detail, np.ones((side, side), np.uint8))
    y, x = np.divmod(np.flatnonzero((detail >= highest) & (detail > 0)), detail.shape[1])
    within = edge_distance[y, x] > NEIGHBOURS_PX + 0.5
    return y[within], x[within]


def highest(height: Floats | Float32) -> NDArray[np.intp]:
    """Which of some spots are kept, the highest first."""
    return np.argsort(-height, kind="stable")[:SPOTS]


def placed(
    half: Float32, shown: Float32, y: NDArray[np.intp], x: NDArray[np.intp], height: Floats
) -> NDArray[np.void]:
    """Spots at peaks of given height, the highest first.

    Their places, by which they are followed, are a soft maximum of the picture nearby, blurred at
    half the size: the core's own glitter moves from frame to frame. Their fronts are looked for in
    what is shown.
    """
    most = highest(height)
    x, y = x[most].astype(np.int64), y[most].astype(np.int64)
    found = np.zeros(len(x), SPOT)
    found["height"] = height[most]
    places = np.empty((len(x), 2))
    rows, columns = shown.shape
    soft_maxima(smoothed(half, 0.5 * 2), rows, columns, x, y, NEIGHBOURS_PX, places)
    found["x"], found["y"] = places.T
    smooth = np.asarray(cv2.GaussianBlur(shown, (0, 0), FRONT_SIGMA_PX), np.float32)
    echo_fronts(smooth, x, y, places)
    found["front_x"], found["front_y"] = places.T
    return found


def local_mean(image: Float32, y: NDArray[np.intp], x: NDArray[np.intp]) -> Float32:
    """Mean over the surroundings of some places, taken at half the size."""
    half = halve(image)
    side = LOCAL_PX // 2
    mean = cv2.blur(half, (side, side))
    rows, columns = half.shape
    return np.asarray(mean[np.minimum(y // 2, rows - 1), np.minimum(x // 2, columns - 1)])


def find_spots(small: Float32, tissue: Bools, edge_distance: Float32) -> NDArray[np.void]:
    """Find the compact spots of a reduced frame, the brightest first.

    Parameters
    ----------
    small : ndarray of float32, shape (rows, columns)
        Grey levels at the working size.
    tissue : ndarray of bool, shape (rows, columns)
        Where there are echoes.
    edge_distance : ndarray of float32, shape (rows, columns)
        Distance to where there are none, px.

    Returns
    -------
    structured array of ``SPOT``, shape (at most ``SPOTS``,)
        Working px; ``height`` over the surroundings, in units of the root mean square of that
        difference over the whole picture.
    """
    half = halve(small)
    detail = standing_out(smoothed(small, 1), half, tissue)
    overall = math.sqrt(float(np.vdot(detail, detail)) / max(int(np.count_nonzero(tissue)), 1))
    if overall <= 0:
        return np.zeros(0, SPOT)
    y, x = peaks(detail, edge_distance)
    return placed(half, small, y, x, detail[y, x].astype(np.float64) / overall)


def find_new_spots(still: Float32, past: Float32, inside: Float32) -> NDArray[np.void]:
    """Find the compact spots that a frame has and the picture before it has not.

    Parameters
    ----------
    still : ndarray of float32, shape (rows, columns)
        A reduced frame, the picture's slide taken out, grey levels.
    past : ndarray of float32, shape (rows, columns)
        The mean of those before it.
    inside : ndarray of float32, shape (rows, columns)
        Distance to where one of them has no echoes, px; below 0 there.

    Returns
    -------
    structured array of ``SPOT``, shape (at most ``SPOTS``,)
        Working px; ``height`` of the change over its surroundings and over what lies to both
        sides, and no more than what the frame itself stands out there, from what is close by and
        from the usual level far around, in units of the root mean square of that change around it.
        Tissue over which a dark vessel or a gap has passed is new, too, and brighter than the
        vessel beside it, but not than the other tissue around. ``alone`` of the frame itself: 0 on
        a line that goes on to both sides, about 1 of a spot.
    """
    compared = inside > 0
    change = still - past
    half = halve(change)
    core = smoothed(change, 1)
    detail = standing_out(core, half, compared)
    overall = float(np.vdot(detail, detail)) / max(int(np.count_nonzero(compared)), 1)
    if overall <= 0:
        return np.zeros(0, SPOT)
    y, x = peaks(detail, inside)
    share = local_mean(compared.astype(np.float32), y, x)
    near = local_mean(np.minimum(detail * detail, 25 * overall), y, x)
    around = np.sqrt(0.8 * near / np.maximum(share, 1e-3) + 0.2 * overall)
    core_now = smoothed(still, 1)
    bright = standing_out(core_now, halve(still), compared)[y, x]
    usual = local_mean(still * compared, y, x) / np.maximum(share, 1e-3)
    most = np.minimum(detail[y, x], np.clip(np.minimum(bright, core_now[y, x] - usual), 0, None))
    height = np.clip(apart_from_lines(core, y, x), 0, most) / around
    found = placed(half, still - USUAL_SHARE * past, y, x, height)
    alone = apart_from_lines(core_now, y, x) / np.maximum(bright, 1e-3)
    found["alone"] = alone[highest(height)]
    return found
