"""What lies beyond a border: tissue, as an aponeurosis has on both sides, or dark, or nothing.

The probe's face and the skin under gel have nothing above, a bone has its shadow beneath, and the
picture's last line nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usguide.model import Bools
from usguide.muscle.bands import Band
from usguide.muscle.picture import COLUMNS, ROWS, Grid

_SKIRT, _NEAR, _FAR = 0.03, 0.05, 0.13
"""Parts of the height away from a line. Beyond the first is what is above it, so little because fat
is often thin. Between the others its two sides are compared for a bone: beyond the line's own
skirts, and not as deep as a bone's reverberations come back."""

_DARK = 0.4
"""Share of the grey level on the muscle's side from which on there is tissue beyond. Beneath four
bones that were taken for a deep aponeurosis 0 to 0.28 is left, beneath 150 aponeuroses of the same
simulator 0.52 and more, beneath those of 19 images and six recordings of leg muscles as much as
above them. Above all of these it is 0.70 or more, and above three heels' skins 0 to 0.15."""

_LEAST = 0.3
"""Part of the width over which what is beyond must be in the picture."""

_LEAST_ROWS = 3
"""Of what is above, to be judged."""

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
        Band(
            band.rows,
            band.probability * left(grid, tissue, np.rint(band.rows).astype(np.int64)),
            band.line,
        )
        if band.probability > _FAINT
        else band
        for band in bands
    ]


def _left_above(grid: Grid, tissue: Bools, crest: NDArray[np.int64]) -> float:
    """Nothing under the dark, all of it where too little is seen above."""
    skirt, far = round(_SKIRT * ROWS), round(_FAR * ROWS)
    end = int(crest.max()) + far
    grid, tissue = grid[:end], tissue[:end]
    row = np.arange(len(grid))[:, None]
    above = tissue & (row < crest - skirt)
    beneath = tissue & (row > crest + skirt) & (row < crest + far)
    counts = [np.count_nonzero(side, axis=0) for side in (above, beneath)]
    seen = (counts[0] >= _LEAST_ROWS) & (counts[1] > 0)
    if np.count_nonzero(seen) < _LEAST * COLUMNS:
        return 1.0
    left, whole = (
        float(np.median((grid * side).sum(axis=0)[seen] / count[seen]))
        for side, count in zip((above, beneath), counts, strict=True)
    )
    return float(left >= _DARK * whole)


def _left_beneath(grid: Grid, tissue: Bools, crest: NDArray[np.int64]) -> float:
    """Nothing at the picture's end, and a part near it and over a shadow."""
    away = np.arange(round(_NEAR * ROWS), round(_FAR * ROWS))[:, None]
    columns = np.arange(COLUMNS)

    def shown(row: NDArray[np.int64]) -> Bools:
        inside = (row >= 0) & (row < ROWS)
        return np.asarray(inside & tissue[np.clip(row, 0, ROWS - 1), columns], dtype=np.bool_)

    if np.count_nonzero(shown(crest + away[0])) < _LEAST * COLUMNS:
        return 0.0
    above, beneath = crest - away, crest + away
    seen = (shown(above) & shown(beneath)).all(axis=0)
    if np.count_nonzero(seen) < _LEAST * COLUMNS:
        return _DOUBTED
    left, whole = (
        float(np.median(grid[side[:, seen], columns[seen]].mean(axis=0)))
        for side in (beneath, above)
    )
    return 1.0 if left >= _DARK * whole else _DOUBTED
