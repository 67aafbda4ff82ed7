"""Whether a line is gone beyond its end: a needle drawn back leaves the places bare where it was.

The end of a fibre, of a fascia or of a needle's near part may be found now here and now there along
a line that stays as it is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usguide.model import Bools, Floats

LEAST_BARED = 0.5
"""Share of a line's contrast that must be gone beyond its end. Of needles that were followed to
their tips in 185 clips of both simulators it was 0.59 and more; of a line beside a cross-section
0.24. Of the likeliest lines of clips without a needle, claimed or not, it was up to 0.48 for three
that stay as they are, and 0.57 and more for those of tissue that moves, which it does not tell."""
PLAIN = 2.0
"""Contrast, in speckle noise, from which a place is plainly brighter than its flanks, or plainly
darker: more says no more. Tissue beyond a tip is as much the one as the other, layer by layer, and
comes to nothing on the whole."""
USUAL = 0.05, 0.95
"""Quantiles of the end's depths between which places are looked at."""


def bared(contrast: NDArray[np.float32], depth: Floats) -> float:
    """Share of the contrast of the places that an end passes that is gone when it is before them.

    Parameters
    ----------
    contrast : ndarray of float32, shape (frames, places)
        The line's contrast to its flanks, in speckle noise, a working px apart; NaN outside the
        image.
    depth : ndarray, shape (frames,)
        Where the end is, working px; NaN where that is not known.

    Returns
    -------
    float
        1 where nothing is left of it, and more where the places are darker than their flanks; 0
        where it stays, or the end passes no place.
    """
    looks, covered = places_passed(contrast, depth)
    if not covered.any() or covered.all():
        return 0.0
    shaft = float(looks[covered].mean())
    return 1 - float(looks[~covered].mean()) / shaft if shaft > 0 else 0.0


def places_passed(contrast: NDArray[np.float32], depth: Floats) -> tuple[Floats, Bools]:
    """Look at the places between which an end usually is, in the frames in which it is known.

    Parameters
    ----------
    contrast, depth
        As for :func:`bared`.

    Returns
    -------
    looks : ndarray of float64, shape (known, passed)
        Contrast of each place, in speckle noise, from ``-PLAIN`` to ``PLAIN``.
    covered : ndarray of bool, shape (known, passed)
        Whether the end is beyond it.
    """
    known = np.isfinite(depth)
    least, most = np.quantile(depth[known], USUAL) if known.any() else (0.0, 0.0)
    first, last = max(int(np.ceil(least)), 0), int(most)
    looks = np.clip(np.nan_to_num(contrast[known, first:last]), -PLAIN, PLAIN).astype(np.float64)
    return looks, np.arange(first, first + looks.shape[1]) < depth[known, None]
