"""Where the under side of the heel bone ends: its front lower edge, on the bone's line.

The line may run on, down the front wall of the bone or along a spur. The under side is convex: it
only steepens towards its edge. So it ends where it turns down steeply; and where a line that was
falling levels out or rises, a spur grows from it. Or the line was drawn on along what leaves the
bone, a fascia as bright, or up a septum of the fat: so every place before may be its end, too, and
what lies around each tells which (:mod:`usguide.fascia.surroundings`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usguide.model import Floats

# Lengths in nominal mm.
STEP_MM = 0.1
SPUR_MAX_MM = 8.0
"""Spurs of more than a centimetre are rare, and none has been seen to be followed so far."""
KINK_MIN = 0.3
"""Least change of slope, from falling to level, of a line that no longer is the bone's own. Of 142
synthetic heels, 30 of them another simulator's, all 45 bones with more had a spur, and of those
with less one."""
KINK_BEFORE_MM, KINK_AFTER_MM, KINK_END_MM = 2.5, 3.0, 1.2
"""Parts of the line whose slopes are compared, and the least that lies beyond a kink."""
BONE_MIN_MM = 5.0
"""Least bone before a spur, as much as is asked of any bone: a short line that levels out is
neither (a wall in needle_convex_07, a phantom)."""
UNDER_SIDE_MIN_MM = 2.5
FRONT_MM = 6.0
STEEP = float(np.tan(np.radians(38.0)))
"""The under side ends where the surface turns down more steeply than this: what follows is the
front wall of the bone, seen edge-on and faint."""
EVERY_MM = 2.0
"""How far apart the other places are where a line may end: nearer ones are one end to
:mod:`usguide.fascia.calcaneus`."""
END_MM = 3.0
"""Length of the line before its edge that is no under side either where it falls so steeply: the
line came down the front wall. Right edges of 246 heels of two simulators: 34 degrees at most but
for a hundredth."""


def front_edges(x: Floats, y: Floats, pixel_mm: float) -> list[int]:
    """Find where the under side may end on a line: where its course ends, or anywhere before.

    Parameters
    ----------
    x, y : ndarray of float64, shape (n,)
        The line from back to front, work px, a column apart, ``y`` positive deep.
    pixel_mm : float
        Nominal size of a work pixel.

    Returns
    -------
    list of int
        Indices, that of :func:`front_edge` first; none down the front wall, if others are not.
    """
    every, bone, end = (round(mm / pixel_mm) for mm in (EVERY_MM, BONE_MIN_MM, END_MM))
    course = front_edge(x, y, pixel_mm)
    edges = np.array([course, *range(course - every, bone - 1, -every)])
    back = np.maximum(edges - end, 0)
    level = (y[edges] - y[back]) < STEEP * np.maximum(edges - back, 1)
    return [int(edge) for edge in (edges[level] if level.any() else edges)]


def front_edge(x: Floats, y: Floats, pixel_mm: float) -> int:
    """Find the index of a bone's front lower edge on its line.

    Parameters
    ----------
    x, y : ndarray of float64, shape (n,)
        The line from back to front, work px, a column apart, ``y`` positive deep.
    pixel_mm : float
        Nominal size of a work pixel.
    """
    end = len(x) - 1
    if end < 2:
        return end
    end = int(np.searchsorted(x, _kink_x(x, y, pixel_mm)))
    slope = np.gradient(y[: end + 1], x[: end + 1])
    steep = np.flatnonzero(slope > STEEP)
    # Only a turn near the front counts; the back of the bone may be rough.
    steep = steep[steep > end - round(FRONT_MM / pixel_mm)]
    steep = steep[steep > round(UNDER_SIDE_MIN_MM / pixel_mm)]
    return int(steep[0]) if steep.size else end


def _kink_x(x: Floats, y: Floats, pixel_mm: float) -> float:
    """Return where a falling line levels out near its end; without a kink, its end."""
    at_x = np.arange(x[0], x[-1], STEP_MM / pixel_mm)
    at_y = np.interp(at_x, x, y)
    before, after, end, bone = (
        round(mm / STEP_MM) for mm in (KINK_BEFORE_MM, KINK_AFTER_MM, KINK_END_MM, BONE_MIN_MM)
    )
    first = max(len(at_x) - round(SPUR_MAX_MM / STEP_MM), bone)
    at = np.arange(first, len(at_x) - end)
    kinks = _slopes(at_y, at - before, at) - _slopes(at_y, at, np.minimum(at + after, len(at_y)))
    if not at.size or kinks.max() * pixel_mm / STEP_MM < KINK_MIN:
        return float(x[-1])
    return float(at_x[at[np.argmax(kinks)]])


def _slopes(y: Floats, start: NDArray[np.int64], stop: NDArray[np.int64]) -> Floats:
    """Slope per sample of the least-squares line through each ``y[start:stop]``.

    From running sums: ``12 sum((k - mean k) y) / (n (n^2 - 1))`` over the ``n`` samples ``k``.
    """
    sums = np.zeros((2, len(y) + 1))
    np.cumsum([y, np.arange(len(y)) * y], axis=1, out=sums[:, 1:])
    total, moment = sums[:, stop] - sums[:, start]
    count = stop - start
    return np.asarray(12 * (moment - (start + stop - 1) / 2 * total) / (count * (count**2.0 - 1.0)))
