"""Whether a bright line is a bone's surface: the one that casts a shadow."""

from __future__ import annotations

import numpy as np

from usguide.model import Bools, Floats
from usguide.muscle.picture import COLUMNS, ROWS, Grid

_NEAR, _FAR = 0.05, 0.13
"""From where to where, as parts of the height away from a line, the echoes on its two sides are
compared: beyond the line's own skirts, and not as deep as a bone's reverberations come back."""

_SHADOW = 0.4
"""Share of the grey level above a line that is left beneath a bone. Beneath four bones that were
taken for a deep aponeurosis 0 to 0.28 is left, beneath 150 aponeuroses of the same simulator 0.52
and more, beneath those of 19 images and six recordings of leg muscles as much as above them."""

_LEAST = 0.3
"""Part of the width over which both sides must be in the picture."""


def casts_shadow(grid: Grid, tissue: Bools, rows: Floats) -> bool:
    """Say whether it is dark beneath a line, in the middle of all columns that show both sides.

    Parameters
    ----------
    grid : ndarray of float32, shape (ROWS, COLUMNS)
        Grey levels.
    tissue : ndarray of bool, shape (ROWS, COLUMNS)
        Where they are echoes.
    rows : ndarray of float64, shape (COLUMNS,)
        The line, in grid rows.
    """
    away = np.arange(round(_NEAR * ROWS), round(_FAR * ROWS))[:, None]
    crest = np.rint(rows).astype(np.int64)
    above, beneath = crest - away, crest + away
    inside = (above[-1] >= 0) & (beneath[-1] < ROWS)
    columns = np.arange(COLUMNS)[inside]
    above, beneath = above[:, inside], beneath[:, inside]
    seen = (tissue[above, columns] & tissue[beneath, columns]).all(axis=0)
    if np.count_nonzero(seen) < _LEAST * COLUMNS:
        return False
    levels = (np.median(grid[side, columns].mean(axis=0)[seen]) for side in (beneath, above))
    left, whole = (float(level) for level in levels)
    return left < _SHADOW * whole
