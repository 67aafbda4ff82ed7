"""Which two bands bound the superficial-most muscle."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from usguide.muscle.bands import Band
from usguide.muscle.picture import COLUMNS, ROWS

_GAP = (0.12, 0.85)
"""Mean distance of the two bands as a part of the height; a half of it at the narrowest place."""

_GAP_MM = (6.0, 80.0)
"""The same in mm, where there is a scale: from thin forearm and shin muscles (tibialis posterior,
about 10 mm) to quadriceps and gluteus maximus; a plantar fascia (2-8 mm) is no muscle."""

_CROSSED = 0.7
"""How much a certain aponeurosis between two bands speaks against them bounding one muscle: less
than all, for a row of fascicles looks a little like one, and there are many rows."""

_SAME = 0.03
"""Mean distance, as a part of the height, under which two bands are one aponeurosis."""

_DEPTH = 0.7
"""Part of the height over which the preference for the superficial-most muscle falls to 1/e."""

_USUAL_GAP, _GAP_SPREAD = 0.3, 1.5
"""Usual distance as a part of the height, and the spread of its logarithm: a weak preference."""

_USUAL_GAP_MM, _GAP_SPREAD_MM = 18.0, 0.7
"""The same where there is a scale: superficial leg muscles measure 10-35 mm, and a layer of
subcutaneous fat between two bright lines is mostly thinner."""


class Gaps(NamedTuple):
    """Distances of two bands that bound a muscle, as parts of the picture's height.

    Parameters
    ----------
    least, most : float
        Of their mean; a half of the least at the narrowest place.
    usual, spread : float
        The usual one, and the standard deviation of its logarithm.
    """

    least: float
    most: float
    usual: float
    spread: float


def gaps_of(depth_mm: float | None) -> Gaps:
    """Return the distances for a picture of a height in mm, if that is known."""
    least, most = _GAP
    if depth_mm is None:
        return Gaps(least, most, _USUAL_GAP, _GAP_SPREAD)
    thin, thick = (length / depth_mm for length in _GAP_MM)
    return Gaps(max(least / 2, thin), min(most, thick), _USUAL_GAP_MM / depth_mm, _GAP_SPREAD_MM)


def ranked_pairs(
    above: list[Band], beneath: list[Band], gaps: Gaps
) -> list[tuple[float, int, int]]:
    """Score every pair of bands as the borders of the superficial-most muscle, best first.

    Parameters
    ----------
    above, beneath : list of Band
        That may bound it, from the top down.
    gaps : Gaps
        What is known of their distance.

    Returns
    -------
    list of (float, int, int)
        Probability, and the indices of the two bands.
    """
    pairs: list[tuple[float, int, int]] = []
    rows, under = (
        np.array([band.rows for band in bands]).reshape(-1, COLUMNS) for bands in (above, beneath)
    )
    apart = (under - rows[:, None]) / ROWS
    narrowest, means = apart.min(axis=2).tolist(), apart.mean(axis=2).tolist()
    for i, upper in enumerate(above):
        # A muscle that ends where this one begins is the one nearer to the skin.
        first = 1.0
        for likely, k, j in pairs:
            if above[k].height < upper.height and beneath[j].height < upper.height + _SAME:
                first *= 1 - likely
        between = first * float(np.exp(-upper.height / _DEPTH))
        for j, lower in enumerate(beneath):
            mean = means[i][j]
            if narrowest[i][j] > gaps.least / 2 and gaps.least < mean < gaps.most:
                usual = np.exp(-0.5 * (np.log(mean / gaps.usual) / gaps.spread) ** 2)
                score = upper.probability * lower.probability * between * usual
                pairs.append((float(score), i, j))
            if mean > _SAME:
                between *= 1 - _CROSSED * lower.line
    return sorted(pairs, reverse=True)
