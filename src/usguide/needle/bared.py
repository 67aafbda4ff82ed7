"""Whether a line is gone beyond its end: a needle drawn back leaves the places bare where it was.

The end of a fibre, of a fascia or of a needle's near part may be found now here and now there along
a line that stays as it is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usguide.model import Floats

LEAST_BARED = 0.45
"""Share of a line's contrast that must be gone beyond its end. Of needles that were followed to
their tips in 126 clips of both simulators it was 0.50 and more, and 0.70 in two recordings; of
fibres, of shafts whose far part is hardly seen, and of a line beside a cross-section 0.08 to 0.39.
One fibre of a contracting muscle had 0.50."""
LOUDEST = 4.0
"""Contrast, in speckle noise, beyond which more says no more."""
USUAL = 0.05, 0.95
"""Quantiles of the end's depths between which places are looked at."""


def bared(contrast: NDArray[np.float32], depth: Floats) -> float:
    """Share of the contrast of the places that an end passes that is gone when it is before them.

    Each place is compared with itself, and counts for the frames of the rarer of the two.

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
        1 where nothing is left of it; 0 where it stays, or the end passes no place.
    """
    known = np.isfinite(depth)
    if not known.any():
        return 0.0
    least, most = np.quantile(depth[known], USUAL)
    first, last = max(int(np.ceil(least)), 0), int(most)
    looks = np.nan_to_num(contrast[known, first:last].astype(np.float64))
    looks = np.clip(looks, 0.0, LOUDEST)
    covered = np.arange(first, first + looks.shape[1]) < depth[known, None]
    times = np.stack([np.count_nonzero(~covered, axis=0), np.count_nonzero(covered, axis=0)])
    weight = times.min(axis=0)
    sums = np.stack([np.sum(looks * ~covered, axis=0), np.sum(looks * covered, axis=0)])
    bare, shaft = (sums / np.maximum(times, 1)) @ weight
    return float(1 - bare / shaft) if shaft > 0 else 0.0
