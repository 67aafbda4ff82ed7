"""Geometry of a sector or convex picture, from the outline of where echoes are ever seen.

Beside a picture nothing is ever lit, in it anything may be dark: a shadow, a probe's side without
contact. So a side is a straight line that many outermost echoes lie on and next to none beyond. One
side that is dark is where the other one's mirror image touches the outermost echoes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

from usguide.model import Bools, Fan, Floats

_ON_PX = 2.0
"""Distance within which an outermost echo lies on a straight side."""
_MIN_SEEN = 0.3
"""Share of the picture's rows in which the outermost echo lies on a side, if both sides are seen.
The shares and angles of this module were set on six convex clips of one scanner, ten sector
recordings, and 683 clips of the second simulator, 515 of them convex or trapezoid."""
_MIN_ALONE = 0.55
"""The same if the other side is not seen at all."""
_MIN_OBLIQUE = 0.5
"""The same if it is far from upright, as no edge of a rectangle is."""
_MIN_ARC, _CURVED_DEG = 0.4, 15.0
"""Share of the rays that must begin or end on an arc, and how far from straight down its end must
be for it to be told from a straight edge: a lone side then need not be seen that well."""
_MIN_TOGETHER, _MIN_GLIMPSED, _AS_STEEP_DEG = 0.3, 0.08, 2.0
"""The shares of both sides together and of either, if they are as steep as each other."""
_MAX_BEYOND = 0.1
"""Share of the rows in which something may be lit beyond a side: marks beside a picture."""
_BEYOND_COSTS = 2.0
"""How many echoes on a side one beyond it outweighs."""
_UPRIGHT_DEG, _FLATTEST_DEG = 2.0, 65.0
"""From straight down, of what is no side: of a rectangle's, of an arc's lower end."""
_MIN_OPENING_DEG = 12.0
"""Between the sides; below, the picture is a rectangle."""
_MAX_ASYMMETRY_DEG = 8.0
"""By how much one side may be steeper than the other, if both are plainly seen."""
_MIN_INSIDE = 0.97
"""Share of the echoes that must lie inside the fan."""
_MIN_FILLED = 0.3
"""Share of the fan near which echoes must be: shadows and water are dark."""
_SAME_ARC = 0.97
"""The arc on which rays end is the deepest one if hardly any echo lies beyond it."""
_RAY_DEG = 0.5
"""Width of a ray."""
_FIRST, _LAST = 15, 97
"""Percentiles, over rays, of where the echoes of a ray begin and end: a ray may be dark at either
end, and hardly ever is one lit beyond it."""
_TOUCHES = 99
"""Percentile, over rows, of how far out the outermost echoes of a dark side reach."""
_TRIALS = 300
"""Pairs of echoes through which a side is tried: of a side on which 0.08 of them lie, some two."""


class _Side(NamedTuple):
    """Line x = at + slope * y, and the share of rows whose outermost echo lies on it."""

    at: float
    slope: float
    seen: float

    @property
    def angle_deg(self) -> float:
        return math.degrees(math.atan(self.slope))


class _Rays(NamedTuple):
    """Where rays first and last hit echoes, px from the apex.

    ``cut`` tells which rays the screen cuts off, and ``edge`` how far away the farthest echo is
    where it does.
    """

    first: Floats
    last: Floats
    cut: Bools
    edge: float


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
        Pixels that are lit at any time, without screen furniture.
    beyond : ndarray of bool, shape (height, width), optional
        Other places that surely show echoes, across a dark gap.

    Returns
    -------
    Fan or None
        In the pixels of ``echoes``, which may cut it; None where no fan fits with confidence.
    """
    echoes = np.asarray(cv2.medianBlur(echoes.astype(np.uint8), 3)) > 0
    sides = _sides(echoes)
    if sides is None:
        return None
    left, right = sides
    apex_y = (left.at - right.at) / (right.slope - left.slope)
    apex = left.at + left.slope * apex_y, apex_y
    rows = np.flatnonzero(echoes.any(axis=1))
    if apex_y > rows[0] + 0.1 * len(rows):
        return None
    rays = _rays(echoes, apex, left.angle_deg, right.angle_deg)
    if not len(rays.first):
        return None
    inner = _arc(-rays.first, np.ones(len(rays.first), dtype=np.bool_))
    outer = _arc(rays.last, ~rays.cut)
    seen = max(left.seen, right.seen)
    if min(left.seen, right.seen) == 0.0 and seen < _MIN_ALONE:
        curved = right.angle_deg >= _CURVED_DEG
        if not curved or (seen < _MIN_OBLIQUE and inner is None and outer is None):
            return None
    near = float(np.percentile(rays.first, _FIRST)) if inner is None else -inner
    reach = _reach(rays)
    if beyond is not None:
        reach = max(reach, _reach(_rays(beyond, apex, left.angle_deg, right.angle_deg)))
    if outer is None or outer < _SAME_ARC * reach:
        outer = reach  # Dim echoes go on where the bright ones end, or the screen cuts the arc off.
    fan = Fan(apex, near, outer, left.angle_deg, right.angle_deg)
    return fan if _holds(fan, echoes) else None


def _sides(echoes: Bools) -> tuple[_Side, _Side] | None:
    """Left and right side, or None."""
    rows = np.flatnonzero(echoes.any(axis=1))
    if len(rows) < 30:
        return None
    # A left side is the right one in a mirror.
    last = echoes.shape[1] - 1
    points = []
    for seen in (echoes[rows, ::-1], echoes[rows]):
        x = last - seen[:, ::-1].argmax(axis=1)
        cut = x >= last - 1
        points.append((rows[~cut].astype(np.float64), x[~cut].astype(np.float64)))
    one, other = (_oblique(*outermost, len(rows)) for outermost in points)
    if one is None or (other is not None and not _agree(one, other) and other.seen > one.seen):
        one = _mirrored(other, *points[0])
    elif other is None or not _agree(one, other):
        other = _mirrored(one, *points[1])
    if one is None or other is None or one.angle_deg + other.angle_deg < _MIN_OPENING_DEG:
        return None
    return _Side(last - one.at, -one.slope, one.seen), other


def _agree(one: _Side, other: _Side) -> bool:
    """Whether two sides, both leaning outwards, are seen well enough to be those of a fan."""
    apart = abs(one.angle_deg - other.angle_deg)
    least = min(one.seen, other.seen)
    return (apart <= _MAX_ASYMMETRY_DEG and least >= _MIN_SEEN) or (
        apart <= _AS_STEEP_DEG and least >= _MIN_GLIMPSED and one.seen + other.seen >= _MIN_TOGETHER
    )


def _mirrored(side: _Side | None, y: Floats, x: Floats) -> _Side | None:
    """Return a dark side as steep as the other one, where it touches the outermost echoes."""
    if side is None or side.seen < _MIN_SEEN or not len(y):
        return None
    return _Side(float(np.percentile(x - side.slope * y, _TOUCHES)), side.slope, 0.0)


def _oblique(y: Floats, x: Floats, rows: int) -> _Side | None:
    """Find the oblique line that most of the rightmost echoes lie on, and hardly any beyond."""
    free = np.ones(len(y), dtype=np.bool_)
    random = np.random.default_rng(0)
    sides: list[_Side] = []
    for _ in range(2):  # A screen may cut a fan off: then its right edge is upright below.
        left = np.flatnonzero(free)
        if len(left) < 20:
            break
        first, second = left[random.integers(0, len(left), size=(2, _TRIALS))]
        apart = np.abs(y[first] - y[second]) > 0.1 * rows
        first, second = first[apart], second[apart]
        if not len(first):
            break
        slope = (x[second] - x[first]) / (y[second] - y[first])
        beyond = _beyond(y, x, (x[first] - slope * y[first])[:, None], slope[:, None])
        on = (np.abs(beyond) <= _ON_PX) & free
        inliers = on[int(_touched(beyond, free).argmax())]
        if np.count_nonzero(inliers) < max(20, _MIN_GLIMPSED * rows):
            break
        b, a = np.polyfit(y[inliers], x[inliers], 1)
        beyond = _beyond(y, x, a, b)
        near = np.abs(beyond) <= _ON_PX
        side = _Side(float(a), float(b), np.count_nonzero(near) / rows)
        if (
            _UPRIGHT_DEG <= side.angle_deg <= _FLATTEST_DEG
            and np.count_nonzero(beyond > _ON_PX) <= _MAX_BEYOND * rows
        ):
            sides.append(side)
        free &= ~near
    return max(sides, key=lambda side: side.seen, default=None)


def _touched(beyond: Floats, counted: Bools) -> Floats:
    """How many of the counted ends lie on each of some edges, less what lies beyond, (edges,)."""
    on = (np.abs(beyond) <= _ON_PX) & counted
    score: Floats = on.sum(axis=1) - _BEYOND_COSTS * (beyond > _ON_PX).sum(axis=1)
    return score


def _beyond(y: Floats, x: Floats, at: Floats | float, slope: Floats | float) -> Floats:
    """How far points lie to the right of lines, px."""
    away: Floats = (x - at - slope * y) / np.hypot(1.0, slope)
    return away


def _rays(echoes: Bools, apex: tuple[float, float], left_deg: float, right_deg: float) -> _Rays:
    """Follow the rays between two angles that hit any echoes."""
    ys, xs = np.nonzero(echoes)
    dx, dy = xs - apex[0], ys - apex[1]
    angle, radius = np.degrees(np.arctan2(dx, dy)), np.hypot(dx, dy)
    height, width = echoes.shape
    at_edge = (ys >= height - 2) | (xs <= 1) | (xs >= width - 2)
    at_edge &= (angle > left_deg) & (angle < right_deg)
    inside = (angle > left_deg + 1.0) & (angle < right_deg - 1.0)
    ray = ((angle[inside] - left_deg) / _RAY_DEG).astype(np.int64)
    rays = int((right_deg - left_deg) / _RAY_DEG) + 1
    first, last, cut = np.full(rays, np.inf), np.zeros(rays), np.zeros(rays, dtype=np.bool_)
    np.minimum.at(first, ray, radius[inside])
    np.maximum.at(last, ray, radius[inside])
    cut[ray[at_edge[inside]]] = True
    hit = last > 0
    return _Rays(first[hit], last[hit], cut[hit], float(radius[at_edge].max(initial=0.0)))


def _arc(ends: Floats, counted: Bools) -> float | None:
    """Where most counted rays end, and hardly any of all rays beyond, or None."""
    if not counted.any():
        return None
    beyond = ends - ends[counted, None]
    touched = _touched(beyond, counted)
    on = (np.abs(beyond[int(touched.argmax())]) <= _ON_PX) & counted
    if touched.max() <= 0 or np.count_nonzero(on) < _MIN_ARC * np.count_nonzero(counted):
        return None
    return float(np.median(ends[on]))


def _reach(rays: _Rays) -> float:
    """How far rays go that end on no arc."""
    return max(float(np.percentile(rays.last, _LAST)) if len(rays.last) else 0.0, rays.edge)


def _holds(fan: Fan, echoes: Bools) -> bool:
    """Whether nearly all echoes lie in the fan, and are in most parts of it."""
    height, width = echoes.shape
    mask = fan_mask(fan, 0, 0, width, height)
    size = max(3, min(height, width) // 20) | 1
    near = np.asarray(cv2.dilate(echoes.astype(np.uint8), np.ones((size, size), np.uint8)) > 0)
    inside = np.count_nonzero(mask & echoes) >= _MIN_INSIDE * np.count_nonzero(echoes)
    return bool(inside and near[mask].mean() >= _MIN_FILLED)
