"""Grey text and calipers drawn over the echoes: they stand still, and have strokes.

What is drawn in colour is told by its colour (``screen.tissue_mask``). What is drawn in grey is as
bright as echoes are; but it stays as it is while the echoes under it flicker, and it is a row of
letters, or a cross with four arms as bright as each other and nothing between them. Both are
asked for: still bright tissue is common, and so are crossing fibres.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.ingest.burned_text import rows_of_letters
from usguide.model import Bools, Frame, Region

_STILL_LEVELS = 22
"""Grey levels by which an encoder changes what stands still."""
_MOVING_LEVELS = 12
"""Median range of grey levels over the samples from which on a picture moves."""
_LETTERS, _LETTERS_OF_STILL = 4, 6
"""Letters in a row that make a text; more where the picture does not move either."""
_CONTRAST, _CONTRAST_OF_STILL = 50, 110
"""Grey levels by which a cross stands out of what is around it; more where nothing moves."""
_AROUND_PX = 15
"""Side of the top-hat's square: what is narrower stands out of it."""
_ARMS_PX = (4, 6, 9)
"""Lengths of a caliper's arms."""
_ALIKE = 0.45
"""Darkest pixel along the arms, as a share of the brightest: a cross is drawn with one pen."""
_MARGIN_PX = 2
"""Left out around a cross and beside a dotted line."""
_MOST_CROSSES = 8
"""More crosses than four measurements have are no calipers."""
_DOTS = 0.12
"""Share of the line between two crosses that is drawn, at least, if it is dotted."""


def drawn_in_grey(samples: NDArray[np.uint8], region: Region) -> Bools:
    """Find grey text and calipers in the picture.

    Parameters
    ----------
    samples : ndarray of uint8, shape (k, height, width)
        Luma of a few frames spread over the recording.
    region : Region
        The B-mode picture.

    Returns
    -------
    ndarray of bool, shape (region.height, region.width)
        Under graphics, with a margin.
    """
    inside = samples[(slice(None), *region.slices)]
    swing = np.ptp(inside, axis=0)
    moving = len(samples) > 2 and float(np.median(swing)) >= _MOVING_LEVELS
    still: Frame = np.ascontiguousarray(inside.min(axis=0))
    steady = swing <= _STILL_LEVELS
    drawn = rows_of_letters(still, steady, _LETTERS if moving else _LETTERS_OF_STILL)
    return drawn | _calipers(still, steady, _CONTRAST if moving else _CONTRAST_OF_STILL)


def _calipers(still: Frame, steady: Bools, contrast: int) -> Bools:
    """Crosses and the dotted lines between them."""
    around = np.ones((_AROUND_PX, _AROUND_PX), np.uint8)
    shown = np.asarray(cv2.morphologyEx(still, cv2.MORPH_TOPHAT, around), np.uint8)
    shown[~steady] = 0
    mask = np.zeros(still.shape, dtype=np.uint8)
    crosses: list[tuple[int, int, int]] = []
    for arm in _ARMS_PX[::-1]:
        for lines, between in _PENS:
            for x, y in _crosses(shown, contrast, arm, lines, between):
                if all(max(abs(x - a), abs(y - b)) > arm for a, b, _ in crosses):
                    crosses.append((x, y, arm))
    if len(crosses) > _MOST_CROSSES:
        return mask > 0
    for x, y, arm in crosses:
        reach = arm + _MARGIN_PX
        corner = (x - reach, y - reach)
        cv2.rectangle(mask, corner, (x + reach, y + reach), 1, -1)
    for (x0, y0, _), (x1, y1, _) in itertools.combinations(crosses, 2):
        count = max(abs(x1 - x0), abs(y1 - y0)) + 1
        xs = np.rint(np.linspace(x0, x1, count)).astype(int)
        ys = np.rint(np.linspace(y0, y1, count)).astype(int)
        free = mask[ys, xs] == 0
        dots = shown[ys, xs][free] >= contrast
        if dots.size and dots.mean() >= _DOTS:
            cv2.line(mask, (x0, y0), (x1, y1), 1, 2 * _MARGIN_PX + 1)
    return mask > 0


_UPRIGHT = ((1, 0), (0, 1), (-1, 0), (0, -1))
_SLANTED = ((1, 1), (-1, 1), (-1, -1), (1, -1))
_PENS = ((_UPRIGHT, _SLANTED), (_SLANTED, _UPRIGHT))
"""Directions of the arms of + and of x, and of what is between them."""


def _crosses(
    shown: NDArray[np.uint8],
    contrast: int,
    arm: int,
    lines: tuple[tuple[int, int], ...],
    between: tuple[tuple[int, int], ...],
) -> list[tuple[int, int]]:
    """Centres (x, y) of crosses with arms of a length, as bright to their ends."""
    reach = range(1, arm + 1)
    pen = _star(lines, reach, arm) | _star(lines, (0,), arm)
    low = np.asarray(cv2.erode(shown, pen, borderType=cv2.BORDER_CONSTANT, borderValue=(0.0,)))
    high = np.asarray(cv2.dilate(shown, pen))
    empty = np.asarray(cv2.dilate(shown, _star(between, (arm // 2 + 1, arm), arm)))
    found = (low >= contrast) & (low >= _ALIKE * high) & (empty <= 0.5 * low)
    count, _, _, centres = cv2.connectedComponentsWithStats(found.astype(np.uint8), connectivity=8)
    return [(round(float(x)), round(float(y))) for x, y in np.asarray(centres)[1:count]]


def _star(
    directions: tuple[tuple[int, int], ...], steps: Iterable[int], arm: int
) -> NDArray[np.uint8]:
    """Structuring element of the pixels so many steps from the middle."""
    star = np.zeros((2 * arm + 1, 2 * arm + 1), np.uint8)
    for (dx, dy), k in itertools.product(directions, steps):
        star[arm + k * dy, arm + k * dx] = 1
    return star
