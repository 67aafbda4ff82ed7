"""Geometry of a sector or convex picture, from the outline of where echoes are."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from usguide.model import Bools, Fan, Floats

_INLIER_PX = 2.0
"""Distance within which an outline point lies on a straight side."""
_MIN_SIDE = 0.3
"""Fraction of the outline's rows that must lie on each side, tuned with the rest of this module
on six convex clips of one scanner and four sector recordings."""
_MIN_OPENING_DEG = 12.0
"""Between the sides; below, the picture is a rectangle."""
_MAX_ASYMMETRY_DEG = 8.0
_SAME_ARC = 0.97
"""The outline's arc is the deepest one if hardly any echo lies beyond it."""
_MIN_INSIDE = 0.97
"""Fraction of the echoes that must lie inside the fan."""
_MIN_FILLED = 0.5
"""Fraction of the fan that must hold echoes: shadows and water are dark."""
_TRIALS = 200


def fan_mask(fan: Fan, x: int, y: int, width: int, height: int) -> Bools:
    """Pixels of a box that lie in the fan.

    Parameters
    ----------
    fan : Fan
        In source px.
    x, y, width, height : int
        The box, in source px.

    Returns
    -------
    ndarray of bool, shape (height, width)
    """
    dx = np.arange(x, x + width, dtype=np.float64)[None, :] - fan.apex_px[0]
    dy = np.arange(y, y + height, dtype=np.float64)[:, None] - fan.apex_px[1]
    radius = np.hypot(dx, dy)
    angle = np.degrees(np.arctan2(dx, dy))
    inside: Bools = (
        (radius >= fan.radius_min_px)
        & (radius <= fan.radius_max_px)
        & (angle >= fan.angle_left_deg)
        & (angle <= fan.angle_right_deg)
    )
    return inside


def fit_fan(echoes: Bools, beyond: Bools | None = None) -> Fan | None:
    """Fit a fan to where echoes are.

    Parameters
    ----------
    echoes : ndarray of bool, shape (height, width)
        One solid area: where the picture shows echoes, without screen furniture.
    beyond : ndarray of bool, shape (height, width), optional
        Other places that surely show echoes, across a dark gap.

    Returns
    -------
    Fan or None
        In the pixels of ``echoes``; None where no fan fits with confidence.
    """
    height, width = echoes.shape
    rows = np.flatnonzero(echoes.any(axis=1))
    if len(rows) < 30:
        return None
    left_x = echoes[rows].argmax(axis=1).astype(np.float64)
    right_x = width - 1.0 - echoes[rows][:, ::-1].argmax(axis=1)
    left = _side(rows, left_x, left_x > 1)
    right = _side(rows, right_x, right_x < width - 2)
    if left is None or right is None:
        return None
    left_deg, right_deg = math.degrees(math.atan(left[1])), math.degrees(math.atan(right[1]))
    if (
        right_deg - left_deg < _MIN_OPENING_DEG
        or abs(left_deg + right_deg) > _MAX_ASYMMETRY_DEG
        or left_deg > 0
        or right_deg < 0
    ):
        return None
    apex_y = (left[0] - right[0]) / (right[1] - left[1])
    apex = left[0] + left[1] * apex_y, apex_y
    if apex_y > rows[0] + 0.1 * len(rows):
        return None

    columns = np.flatnonzero(echoes.any(axis=0))
    top_y = echoes[:, columns].argmax(axis=0).astype(np.float64)
    bottom_y = height - 1.0 - echoes[::-1, columns].argmax(axis=0)
    ys, xs = np.nonzero(echoes)
    radii = np.hypot(xs - apex[0], ys - apex[1])
    inner = _arc(columns, top_y, top_y > 1, apex, left_deg, right_deg)
    outer = _arc(columns, bottom_y, bottom_y < height - 2, apex, left_deg, right_deg)
    if inner is None:
        inner = float(np.percentile(radii, 0.1))
    reach = float(np.percentile(radii, 99.9))
    if beyond is not None:
        ys, xs = np.nonzero(beyond)
        angle = np.degrees(np.arctan2(xs - apex[0], ys - apex[1]))
        within = (angle > left_deg) & (angle < right_deg)
        if np.count_nonzero(within) > 0.01 * len(radii):
            far = np.hypot(xs - apex[0], ys - apex[1])[within]
            reach = max(reach, float(np.percentile(far, 99.9)))
    if outer is None or outer < _SAME_ARC * reach:
        # The frame cuts the deepest arc off, or it is dark: the fan goes on to its last echoes.
        outer = max(reach, float(radii.max()))
    fan = Fan(apex, max(0.0, inner), outer, left_deg, right_deg)

    mask = fan_mask(fan, 0, 0, width, height)
    if not mask.any():
        return None
    inside = np.count_nonzero(mask & echoes) / np.count_nonzero(echoes)
    filled = np.count_nonzero(mask & echoes) / np.count_nonzero(mask)
    return fan if inside >= _MIN_INSIDE and filled >= _MIN_FILLED else None


def _side(
    rows: NDArray[np.int64], x: Floats, usable: NDArray[np.bool_]
) -> tuple[float, float] | None:
    """Line x = a + b * row that most outline points agree on; (a, b), or None."""
    y, x = rows[usable].astype(np.float64), x[usable]
    if len(y) < max(20, _MIN_SIDE * len(rows)):
        return None
    random = np.random.default_rng(0)
    first, second = random.integers(0, len(y), size=(2, _TRIALS))
    apart = np.abs(y[first] - y[second]) > 0.15 * len(rows)
    first, second = first[apart], second[apart]
    if not len(first):
        return None
    slope = (x[second] - x[first]) / (y[second] - y[first])
    offset = x[first] - slope * y[first]
    distance = np.abs(offset[:, None] + slope[:, None] * y - x) / np.hypot(1.0, slope)[:, None]
    agree = distance < _INLIER_PX
    best = int(agree.sum(axis=1).argmax())
    inliers = agree[best]
    if np.count_nonzero(inliers) < max(20, _MIN_SIDE * len(rows)):
        return None
    b, a = np.polyfit(y[inliers], x[inliers], 1)
    return float(a), float(b)


def _arc(
    columns: NDArray[np.int64],
    y: Floats,
    usable: NDArray[np.bool_],
    apex: tuple[float, float],
    left_deg: float,
    right_deg: float,
) -> float | None:
    """Radius on which most outline points between the sides lie, or None."""
    dx, dy = columns - apex[0], y - apex[1]
    angle = np.degrees(np.arctan2(dx, dy))
    usable = usable & (angle > left_deg + 1.0) & (angle < right_deg - 1.0)
    if np.count_nonzero(usable) < 10:
        return None
    radius = np.hypot(dx, dy)[usable]
    median = float(np.median(radius))
    near = np.abs(radius - median) < max(3.0, 0.02 * median)
    return median if np.count_nonzero(near) >= 0.5 * len(radius) else None
