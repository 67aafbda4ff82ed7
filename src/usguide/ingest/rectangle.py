"""The rectangle that a B-mode picture fills on a screen, told from the text and rulers beside it.

A column is in the picture while it is about as alive as the columns inside, and one over a bone's
shadow while it changes as they do. The edge is then where brightness steps along a whole side,
since an encoder smears texture over it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usguide.model import Bools

CHANGE = 5
"""Range of grey levels over the sampled frames from which on a place changes."""
_STEP = 2.0
"""How much larger than its neighbours the step along a side is where it marks the edge."""
_TEXT_WIDTH = 0.5
"""Share of the picture's width from which on what adjoins it is surely no block of text."""
_EDGE_LEVEL = 0.6
"""A column or row belongs to the picture while it has this share of the texture inside."""
_SPARSE_LEVEL = 0.25
"""The same where the picture may be dark: only up to a clear edge."""
_MIN_RECTANGULAR = 0.8
"""Where dropping the emptier sides would lose more than the rest, the picture is no rectangle.
Tuned, with the shares above, on eight real screens of five vendors."""
_SHADOWED_HEIGHT = 0.2
"""Share of the picture's height that tissue above a shadow at its side takes at least."""
_SHADOWED_CHANGE = 0.5
"""How much of such tissue changes, as a share of what does in the picture. Set, with the share
above, by eye on 90 heels of the second simulator; 90 others and 44 real recordings were checked."""

Box = tuple[int, int, int, int]


def picture_rectangle(samples: NDArray[np.uint8], alive: Bools, solid: Bools, reach: int) -> Box:
    """Return the box (left, top, right, bottom), px, ends exclusive, around a solid area.

    Parameters
    ----------
    samples : ndarray of uint8, shape (k, height, width)
        Luma of a few frames.
    alive, solid : ndarray of bool, shape (height, width)
        Where they are textured or change, and the area in which most places are, text left out.
    reach : int
        How far beyond the area its edge may be, px.
    """
    if _no_furniture(samples, alive, solid):
        solid = alive
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    across = int(columns[0]), int(columns[-1]) + 1
    down = int(rows[0]), int(rows[-1]) + 1
    wide_across, wide_down = across, down
    if solid is not alive:
        x = _wide_part(solid[slice(*down)].mean(axis=0))
        y = _wide_part(solid[:, slice(*x)].mean(axis=1))
        if (x[1] - x[0]) * (y[1] - y[0]) >= _MIN_RECTANGULAR * np.ptp(across) * np.ptp(down):
            changing = solid & (np.ptp(samples, axis=0) >= CHANGE)
            if len(samples) > 2:
                x = _with_shadows(changing[slice(*down)], solid[slice(*down)], x)
                y = _with_shadows(changing[:, slice(*x)].T, solid[:, slice(*x)].T, y)
            columns_alive = alive[slice(*y)].mean(axis=0)
            across, wide_across = (
                _grown(columns_alive, x, _EDGE_LEVEL),
                _grown(columns_alive, x, _SPARSE_LEVEL),
            )
            rows_alive = alive[:, slice(*across)].mean(axis=1)
            down, wide_down = (
                _grown(rows_alive, y, _EDGE_LEVEL),
                _grown(rows_alive, y, _SPARSE_LEVEL),
            )
    luma = samples.mean(axis=0, dtype=np.float32)
    left, right = _snapped(luma[slice(*down)], across, wide_across, reach)
    top, bottom = _snapped(luma[:, left:right].T, down, wide_down, reach)
    return left, top, right, bottom


def _no_furniture(samples: NDArray[np.uint8], alive: Bools, solid: Bools) -> bool:
    """Whether all that is alive outside a solid area changes: then it is picture too."""
    if len(samples) < 3:
        return False
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    outside = alive.copy()
    outside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = False
    still = outside & (np.ptp(samples, axis=0) < CHANGE)
    return bool(np.count_nonzero(still) < 0.2 * np.count_nonzero(outside))


def _wide_part(profile: NDArray[np.floating]) -> tuple[int, int]:
    """Range in which a solid area is about as wide as in its middle: without text stuck to it."""
    inside = np.flatnonzero(profile > 0)
    quarter = len(inside) // 4
    typical = float(np.median(profile[inside[quarter : len(inside) - quarter]]))
    wide = np.flatnonzero(profile >= _TEXT_WIDTH * typical)
    return int(wide[0]), int(wide[-1]) + 1


def _with_shadows(changing: Bools, solid: Bools, part: tuple[int, int]) -> tuple[int, int]:
    """Grow a range over lower columns that change as it does: tissue above a shadow, no text.

    Parameters
    ----------
    changing, solid : ndarray of bool, shape (rows, columns)
        Where the solid area changes, and where it is.
    part : (int, int)
        Columns in which the solid area is surely picture.
    """
    height = solid.sum(axis=0)
    share = changing.sum(axis=0) / np.maximum(height, 1)
    share[height < _SHADOWED_HEIGHT * np.median(height[slice(*part)])] = 0.0
    return _grown(share, part, _SHADOWED_CHANGE)


def _grown(profile: NDArray[np.floating], part: tuple[int, int], share: float) -> tuple[int, int]:
    """Grow a range while the level beside it is at least a share of the level inside."""
    low, high = part
    quarter = (high - low) // 4
    level = share * float(np.median(profile[low + quarter : high - quarter]))
    while low > 0 and profile[low - 1] >= level:
        low -= 1
    while high < len(profile) and profile[high] >= level:
        high += 1
    return low, high


def _snapped(
    luma: NDArray[np.float32], sure: tuple[int, int], possible: tuple[int, int], reach: int
) -> tuple[int, int]:
    """Move both ends of a range to where brightness steps along the whole side.

    Parameters
    ----------
    luma : ndarray of float32, shape (sides, positions)
    sure, possible : (int, int)
        Ends as far as they surely, and as they possibly, reach.
    reach : int
        How much farther to look.

    Returns
    -------
    (int, int)
        The outermost clear step at either end; without one, ``sure``.
    """
    positions = luma.shape[1]
    steps = np.zeros(positions + 1)
    # Texture steps up here and down there; an edge steps one way along most of its length.
    steps[1:-1] = np.abs(np.median(np.diff(luma, axis=1), axis=0))
    ends = []
    for end, outer, outward in ((sure[0], possible[0], -1), (sure[1], possible[1], 1)):
        if end < 3 or end > positions - 3:
            ends.append(0 if outward < 0 else positions)
            continue
        start, stop = sorted((outer + outward * reach, end - outward * reach))
        start, stop = max(1, start), min(positions, stop + 1)
        window = steps[start:stop]
        clear = np.flatnonzero(
            window >= max(_STEP * (1.0 + float(np.median(window))), 0.5 * float(window.max()))
        )
        ends.append(start + int(clear[0 if outward < 0 else -1]) if len(clear) else end)
    return ends[0], max(ends[1], ends[0] + 1)
