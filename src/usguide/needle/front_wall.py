"""The front wall of a shaft that is claimed by an echo beneath it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from usguide.model import Floats
from usguide.needle.pool import Pool
from usguide.needle.track import VISIBLE, Path

ABOVE_PX = 2.5, 12.0
"""How far above an echo its front wall may lie, working px: closer, both are one line; the back
wall of the thickest needle and the first reverberation are up to 2 mm, 10 px of a picture of 40 mm,
beneath it."""
TURNED_DEG = 3.0
"""Angle between the two, at most: half of it is what either is measured to."""
BEHIND_PX = 3.0, 20.0
"""How far the front wall may end before the place above its echo's end, working px, and how far
beyond it: a back wall ends before the bevel. These bounds, and that the front wall has at
least the contrast, too, were chosen on 340 synthetic clips of both simulators and on recordings of
convex probes, in which other lines lie above the shaft."""


def on_front_wall(pool: Pool, path: Path, odds: Floats) -> Path:
    """Put the claims of a path on the front wall of their shaft.

    Sound comes back from the front wall first, so that the back wall and the reverberations of a
    shaft lie beneath it, parallel, no longer and no brighter. A claim that has such a line above it
    is one of those; the needle's line would go back and forth between the two.

    Parameters
    ----------
    pool : Pool
        The candidates.
    path : Path
        The needle as it was followed.
    odds : ndarray, shape (n,)
        Log odds of every candidate, to choose between the ends that one line above may have.
    """
    chosen = path.chosen.copy()
    for k in np.flatnonzero(path.confidence >= VISIBLE):
        above = fronts(pool, int(chosen[k]), pool.of_frame(int(k)))
        if len(above):
            brightest = np.lexsort((odds[above], pool.records["score"][above]))[-1]
            chosen[k] = above[brightest]
    return replace(path, chosen=chosen)


def fronts(pool: Pool, claim: int, others: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which of some candidates of a claim's frame may be the front wall of which it is an echo.

    ``others`` are candidates by number, int64 of shape (n,); those that may be are returned.
    """
    along, away = pool.along[claim], pool.tip[others] - pool.tip[claim]
    way = np.sign(along[0])
    higher = way * (away[:, 0] * along[1] - away[:, 1] * along[0])
    parallel = pool.along[others] @ along > np.cos(np.radians(TURNED_DEG))
    before, beyond = BEHIND_PX
    least, most = ABOVE_PX
    may = parallel & (higher > least) & (higher < most)
    may &= (way * away[:, 0] > -before) & (away @ along < beyond)
    for strength in ("score", "contrast"):
        values = pool.records[strength]
        may &= values[others] >= values[claim]
    return np.asarray(others[may])
