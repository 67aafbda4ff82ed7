"""Combs of ticks or dots beside a picture, or on its edge: where a ruler is, not what it says."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.model import Floats, Frame

_CONTRASTS = (22, 60, 110)
"""Grey levels by which marks stand out of their surroundings: faint ones on the plain screen, and
brighter ones over echoes, which would join them to the speckle at the lower levels."""
_AXIS_PX = 28
"""Longest mark along the ruler, px; longer ones are axis lines, and are taken away."""
_MAX_LENGTH = 0.04
"""Longest mark across the ruler, as a share of the frame's width."""
_ALIGNED_PX = 1.6
"""Marks of one ruler end, start or are centred within this distance of one line."""
_MIN_MARKS = 3
"""Fewest marks of a comb."""
LONG = 5
"""Marks from which on an unnumbered comb is certainly a ruler, and one number may be enough."""
_MAX_COMBS = 8
"""Combs that are looked at further, the most complete first."""
_MIN_STEP_PX = 6.0
"""Narrowest spacing of neighbouring marks that is tried."""
_OFF_PX = 1.2
"""Farthest that a mark may lie from its place in the comb."""
_MAX_MISSING = 0.3
"""Share of the places in a comb that may be hidden by focus markers or cursors."""
_EDGE = 0.15
"""How far inside the picture a ruler may be, as a share of the picture's width."""
_MIN_SPAN = 0.55
"""Least length of a ruler, as a share of the picture beside it."""


@dataclass(frozen=True, slots=True, eq=False)
class Comb:
    """Evenly spaced marks on a straight line along y.

    Parameters
    ----------
    origin_px : float
        y of place 0, the first mark.
    step_px : float
        Distance between neighbouring places.
    places : ndarray of int64, shape (n,)
        Place of each mark, increasing from 0.
    boxes : ndarray of int64, shape (n, 4)
        x, y, width, height of each mark.
    """

    origin_px: float
    step_px: float
    places: NDArray[np.int64]
    boxes: NDArray[np.int64]

    @property
    def span_px(self) -> float:
        """Distance from the first to the last mark."""
        return float(self.places[-1]) * self.step_px

    def longest(self) -> set[int]:
        """Places of the larger marks; all of them where all are alike."""
        size = self.boxes[:, 2:].max(axis=1)
        return set(self.places[size >= 0.75 * size.max()].tolist())

    @property
    def left(self) -> int:
        """Leftmost column of the marks."""
        return int(self.boxes[:, 0].min())

    @property
    def right(self) -> int:
        """Column after the rightmost one of the marks."""
        return int((self.boxes[:, 0] + self.boxes[:, 2]).max())


def stand_out(still: Frame) -> NDArray[np.uint8]:
    """Small bright things: what a top-hat of a 24th of the frame leaves of it, of its shape."""
    size = max(15, min(still.shape) // 24) | 1
    return np.asarray(
        cv2.morphologyEx(still, cv2.MORPH_TOPHAT, np.ones((size, size), np.uint8)), np.uint8
    )


def find_combs(still: Frame, box: tuple[int, int, int, int]) -> list[Comb]:
    """Find combs of marks along y, beside the picture or on its edge, and about as long.

    Parameters
    ----------
    still : ndarray of uint8, shape (height, width)
        What stays of the screen over time.
    box : (int, int, int, int)
        x, y, width and height of the picture.

    Returns
    -------
    list of Comb
        The most complete first.
    """
    shown = stand_out(still)
    combs: list[tuple[float, Comb]] = []
    for contrast in _CONTRASTS:
        combs += _combs(*_marks(shown, contrast, box), box)
    combs.sort(key=lambda entry: -entry[0])
    kept: list[Comb] = []
    for _, comb in combs:
        if all(
            abs(comb.left - other.left) > 20 or abs(comb.step_px / other.step_px - 1) > 0.01
            for other in kept
        ):
            kept.append(comb)
    return kept[:_MAX_COMBS]


def _combs(
    boxes: NDArray[np.int64], centres: Floats, box: tuple[int, int, int, int]
) -> list[tuple[float, Comb]]:
    """Fit a comb to every set of aligned marks; each with how complete it is."""
    combs: list[tuple[float, Comb]] = []
    _, top, _, reach = box
    bottom = top + reach
    for anchors in (boxes[:, 0], boxes[:, 0] + boxes[:, 2], boxes[:, 0] + boxes[:, 2] / 2):
        order = np.argsort(anchors, kind="stable")
        start = 0
        for stop in range(1, len(order) + 1):
            if stop < len(order) and anchors[order[stop]] - anchors[order[stop - 1]] <= _ALIGNED_PX:
                continue
            group = order[start:stop]
            start = stop
            if len(group) < _MIN_MARKS or np.ptp(anchors[group]) > 3 * _ALIGNED_PX:
                continue
            group = group[np.argsort(centres[group])]
            found = _comb(boxes[group], centres[group])
            if found is None:
                continue
            score, comb = found
            end = comb.origin_px + comb.span_px
            inside = comb.origin_px > top - 0.1 * reach and end < bottom + 0.1 * reach
            if inside and comb.span_px >= _MIN_SPAN * reach:
                combs.append((score, comb))
    return combs


def _marks(
    shown: NDArray[np.uint8], contrast: int, box: tuple[int, int, int, int]
) -> tuple[NDArray[np.int64], Floats]:
    """Boxes and centres (y) of the small bright marks that could be ticks or dots.

    Those beside the picture and on its edge: speckle is full of small bright marks.
    """
    height, width = shown.shape
    bright = (shown >= contrast).astype(np.uint8)
    axis = cv2.morphologyEx(bright, cv2.MORPH_OPEN, np.ones((_AXIS_PX, 1), np.uint8))
    bright &= 1 - np.asarray(axis, np.uint8)
    longest = max(14.0, _MAX_LENGTH * width)
    left, _, across, _ = box
    # So far inside that what is cut here and reaches the edge is too long for a mark.
    inside = round(_EDGE * across + longest) + 2
    bright[:, left + inside : max(left + inside, left + across - inside)] = 0
    _, _, found, _ = cv2.connectedComponentsWithStats(bright, connectivity=8)
    stats = np.asarray(found, dtype=np.int64)
    thickest = max(6.0, 0.022 * height)
    x, w, h = stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
    outside = (x > left + (1 - _EDGE) * across) | (x + w < left + _EDGE * across)
    # Ticks and dots are filled, characters are not; a dot of 3 x 3 px is a plus sign.
    solid = stats[:, cv2.CC_STAT_AREA] >= np.where(w * h <= 9, 0.5, 0.7) * w * h
    fits = outside & (w >= 2) & (w <= longest) & (h <= thickest) & (h <= w + 3)
    fits[0] = False
    chosen = [k for k in np.flatnonzero(fits) if solid[k] or _is_cross(bright, stats[k])]
    centres = []
    for label in chosen:
        x, y, w, h = stats[label, :4]
        # Weighted by brightness, for an edge between two rows is blurred by the encoder.
        weights = shown[y : y + h, x : x + w].sum(axis=1, dtype=np.float64)
        centres.append(float(y + (weights * np.arange(h)).sum() / weights.sum()))
    return stats[chosen, :4], np.array(centres, dtype=np.float64)


def _is_cross(bright: NDArray[np.uint8], stats: NDArray[np.int64]) -> bool:
    """Whether a mark is a plus sign: its middle row and column are full, its corners empty."""
    x, y, w, h = stats[:4]
    if abs(w - h) > 2 or min(w, h) < 5:
        return False
    mark = bright[y : y + h, x : x + w]
    row, column = mark[(h - 1) // 2 : h // 2 + 1], mark[:, (w - 1) // 2 : w // 2 + 1]
    corners = mark[[0, 0, -1, -1], [0, -1, 0, -1]]
    return bool(row.any(axis=0).all() and column.any(axis=1).all() and not corners.any())


def _comb(boxes: NDArray[np.int64], y: Floats) -> tuple[float, Comb] | None:
    """Fit the even spacing that most of the aligned marks, sorted by y, agree on."""
    best: tuple[float, NDArray[np.bool_], float, float] | None = None
    for gap in (1, 2, 3):
        for first in range(len(y) - gap):
            step = y[first + gap] - y[first]
            if step < _MIN_STEP_PX:
                continue
            place = (y - y[first]) / step
            fits = np.abs(place - np.rint(place)) * step <= _OFF_PX + 0.02 * step
            # One mark per place.
            ranks = np.rint(place[fits])
            if len(np.unique(ranks)) < len(ranks):
                continue
            needed = ranks.max() - ranks.min() + 1
            between = (y >= y[fits].min()) & (y <= y[fits].max())
            strangers = np.count_nonzero(between & ~fits)
            score = len(ranks) - 0.7 * (needed - len(ranks)) - 0.7 * strangers
            if best is None or score > best[0] + 1e-9:
                best = score, fits, step, y[first]
    if best is None:
        return None
    score, fits, step, origin = best
    place = np.rint((y[fits] - origin) / step)
    place -= place.min()
    design = np.stack([np.ones_like(place), place], axis=1)
    (first_y, step), *_ = np.linalg.lstsq(design, y[fits], rcond=None)
    residual = y[fits] - first_y - step * place
    missing = 1.0 - len(place) / (place[-1] + 1.0)
    if (
        len(place) < _MIN_MARKS
        or np.abs(residual).max() > _OFF_PX
        or missing > _MAX_MISSING
        or np.count_nonzero(fits) < 0.6 * len(y)
    ):
        return None
    return score, Comb(float(first_y), float(step), place.astype(np.int64), boxes[fits])
