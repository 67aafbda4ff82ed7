"""What lies beyond a border: tissue, as an aponeurosis has on both sides, or dark, or nothing.

The probe's face and the skin under gel have nothing above, a bone has its shadow beneath, and the
picture's last line nothing.
"""

from __future__ import annotations

import numpy as np

from usguide.model import Bools, Floats
from usguide.muscle.bands import Band
from usguide.muscle.picture import COLUMNS, ROWS, Grid

_SKIRT, _NEAR, _FAR = 0.03, 0.05, 0.13
"""Parts of the height away from a line. Beyond the first is what is above it, so little because fat
is often thin. Between the others its two sides are compared for a bone: beyond the line's own
skirts, and not as deep as a bone's reverberations come back."""

_DARK = 0.4
"""Share of the grey level on the muscle's side from which on there is tissue beyond. Beneath four
bones that were taken for a deep aponeurosis 0 to 0.28 is left, beneath 230 aponeuroses of two
simulators, 19 images and six recordings of leg muscles 0.41 and more, 0.5 beneath all but three.
Above all of them it is 0.70 or more, and above three heels' skins 0 to 0.15."""

_LEAST = 0.3
"""Part of the width over which what is beyond must be in the picture."""

_LEAST_ROWS, _ENOUGH_ROWS = 3, 13
"""Rows that must be seen of what is above a line, and of what is beneath one down to a tenth of the
height, to be judged."""

_DOUBTED = 0.3
"""How much of its likelihood is left to a border beneath which no tissue is seen: of two lines, the
fainter one over the bone, or over the picture's last line, is the aponeurosis. A muscle that lies
on a bone, or fills the picture, is still found where all else speaks for it. The picture ends 0.03
to 0.09 of its height beneath four lines that were taken for a deep aponeurosis, 0.18 and more
beneath 165 aponeuroses of the same simulator and those of the recordings of leg muscles."""

_FAINT = 0.01
"""Likelihood from which on a border is asked what lies beyond it."""


def doubted(bands: list[Band], grid: Grid, tissue: Bools, side: int) -> list[Band]:
    """Take from borders the likelihood that what lies beyond them speaks against.

    Parameters
    ----------
    bands : list of Band
        That may bound a muscle above (``side`` -1) or beneath (+1).
    grid : ndarray of float32, shape (ROWS, COLUMNS)
        Grey levels.
    tissue : ndarray of bool, shape (ROWS, COLUMNS)
        Where they are echoes.
    side : int
        On which beyond is.
    """
    left = _left_beneath if side > 0 else _left_above
    return [
        Band(band.rows, band.probability * left(grid, tissue, band.rows), band.line)
        if band.probability > _FAINT
        else band
        for band in bands
    ]


def _left_above(grid: Grid, tissue: Bools, rows: Floats) -> float:
    """Nothing under the dark, all of it where too little is seen above."""
    end = min(ROWS, int(rows.max() + _FAR * ROWS) + 1)
    away = np.arange(end)[:, None] - rows
    above = away < -_SKIRT * ROWS
    beneath = (away > _SKIRT * ROWS) & (away < _FAR * ROWS)
    share = _share(grid[:end], tissue[:end], above, beneath, _LEAST_ROWS)
    return 1.0 if share is None else float(share >= _DARK)


def _left_beneath(grid: Grid, tissue: Bools, rows: Floats) -> float:
    """Nothing at the picture's end, and a part near it and over a shadow."""
    first = max(0, int(rows.min() - _FAR * ROWS))
    away = np.arange(first, ROWS)[:, None] - rows
    beneath = (away >= _NEAR * ROWS) & (away < _FAR * ROWS)
    above = (away <= -_NEAR * ROWS) & (away > -_FAR * ROWS)
    sides = grid[first:], tissue[first:], beneath, above
    share = _share(*sides, _ENOUGH_ROWS)
    if share is None:
        return 0.0 if _share(*sides, 1) is None else _DOUBTED
    return 1.0 if share >= _DARK else _DOUBTED


def _share(
    grid: Grid, tissue: Bools, beyond: Bools, muscle: Bools, least_rows: int
) -> float | None:
    """Grey level beyond a line as a share of that on the muscle's side; None of too little.

    Of either the median over all columns that show both sides.
    """
    sides = [tissue & side for side in (beyond, muscle)]
    counts = [np.count_nonzero(side, axis=0) for side in sides]
    seen = np.minimum(*counts) >= least_rows
    if np.count_nonzero(seen) < _LEAST * COLUMNS:
        return None
    level, whole = (
        float(np.median((grid * side).sum(axis=0)[seen] / count[seen]))
        for side, count in zip(sides, counts, strict=True)
    )
    return level / max(whole, 1e-6)
