"""An interrupted shaft: what is nearer is bright and plainly ends, but the shaft goes on beyond."""

from __future__ import annotations

import numpy as np

from usguide.model import Floats
from usguide.needle.bared import LEAST_BARED, bared, places_passed
from usguide.needle.carried import MOST_CARRIED, carried
from usguide.needle.evidence import Odds
from usguide.needle.mmode import MMode
from usguide.needle.path import best_path
from usguide.needle.pool import SAME_OFFSET_PX, Pool, displacements
from usguide.needle.slow_slide import runs_along
from usguide.needle.track import EVEN, GENEROSITY, Path, confidence


def to_the_furthest_end(pool: Pool, odds: Odds, path: Path, numbers: Floats) -> Path:
    """Follow the furthest end of a path's line that is likely one, in every frame.

    Parameters
    ----------
    pool : Pool
        The candidates of the clip.
    odds : Odds
        Their log odds. An end of which a claim would be as likely right as wrong counts.
    path : Path
        The needle as it was followed, to an end beyond which its line is as bright.
    numbers : ndarray, shape (frames,)
        When every observed frame was taken, in frames.
    """
    claims = np.flatnonzero(path.seen)
    furthest = np.full(len(pool.frame), -np.inf)
    for frame, now in enumerate(numbers):
        here = pool.of_frame(frame)
        here = here[odds.full[here] > EVEN]
        nearest = path.chosen[claims[np.argmin(np.abs(numbers[claims] - now))]]
        parallel, forward, sideways = displacements(pool, np.array([nearest]), here)
        on_line = np.flatnonzero(parallel[0] & (sideways[0] < SAME_OFFSET_PX))
        if len(on_line):
            end = here[on_line[np.argmax(forward[0][on_line])]]
            furthest[end] = odds.full[end] + GENEROSITY
    chosen, _ = best_path(pool, furthest, numbers)
    return Path(chosen, confidence(odds.full, chosen), moved=True)


def is_its_end(seen: MMode, depth: Floats) -> bool:
    """Whether the end found further along is the shaft's: its passing explains the line's looks.

    Where a shaft fades, speckle beyond ends now here and now there, and nothing passes.

    Parameters
    ----------
    seen : MMode
        What lies along the line.
    depth : ndarray, shape (frames,)
        Where the end is, working px; NaN where that is not known.
    """
    if bared(seen.contrast, depth) < LEAST_BARED or carried(seen.beside, depth) > MOST_CARRIED:
        return False
    looks, covered = places_passed(seen.contrast, depth)
    passed = covered.any(axis=0) & ~covered.all(axis=0)
    change = looks[:, passed] - looks[:, passed].mean(axis=0)
    return runs_along(change, covered[:, passed])
