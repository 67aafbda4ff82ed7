"""How likely a heel is measured right: its bone, its band, and what several frames say of it.

A line over a shadow may be the bone and the band that leaves it another one than the fascia. What
tells is less how clear the band's borders are than whether another band would do as well, how
sharply each border is placed, and how far the band is seen. The side of the picture on which the
bone's front is seen by chance, too, has a shorter band, and the band beneath a line down the bone's
front a doubtful one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from usguide.fascia.course import BorderPair

# Lengths in nominal mm.
JUDGED_MM = 20.0
"""Part of the band whose doubt and sharpness count."""
FOLLOWED_MM = (8.0, 30.0)
"""A longer band says no more."""
BONE_ODDS_MAX = 4.0
DOUBT_MM = 0.2
"""Added to doubt and disagreement before their logarithms are taken: less makes no difference."""
BONE, FOLLOWED, DOUBT, SHARPNESS, OFFSET = 0.47, 3.54, -1.44, -3.91, -15.08
"""Weights of the bone's odds and of the logarithms of the rest: maximum likelihood that the side is
right and the stations are, on average, within 1 mm, over all the heels that the lines in one frame
each may be: 168 of another simulator (even seeds of ``benchmarks.second_heels`` below 490), 56 of
ours, and 210 pictures without a heel; the bone's odds of its line alone. How often they are right
on other heels, with what lies around the line, is in ``docs/benchmarks.md``."""


def heel_odds(bone_odds: float, pair: BorderPair, followed_mm: float, pixel_mm: float) -> float:
    """Return the logarithm of the odds that a bone and a band are a heel, measured right.

    Parameters
    ----------
    bone_odds : float
        Logarithm of the odds that the line is the heel bone.
    pair : BorderPair
        The band's borders.
    followed_mm : float
        How far the band is seen.
    pixel_mm : float
        Nominal size of a work pixel.
    """
    judged = (pair.band.distance_mm >= 0) & (pair.band.distance_mm <= JUDGED_MM)
    # Of a rupture nothing is seen, however sure the rest of the band is.
    judged &= ~pair.gap
    if not judged.any():
        return -np.inf
    doubt_px = float(np.hypot(*pair.doubt_px[:, judged].mean(axis=1)))
    sharp_px = float(np.hypot(pair.upper_sd_px, pair.lower_sd_px)[judged].mean())
    return float(
        OFFSET
        + BONE * min(bone_odds, BONE_ODDS_MAX)
        + FOLLOWED * np.log(np.clip(followed_mm, *FOLLOWED_MM))
        + DOUBT * np.log(DOUBT_MM + doubt_px * pixel_mm)
        + SHARPNESS * np.log(sharp_px * pixel_mm)
    )


def doubted(pair: BorderPair, others: Sequence[BorderPair]) -> BorderPair:
    """Return a band in doubt also by how much thinner and thicker it was found in other frames."""
    if not others:
        return pair
    distance = pair.band.distance_mm
    apart = np.stack(
        [np.interp(distance, one.band.distance_mm, one.thickness_px) for one in others]
    )
    apart -= pair.thickness_px
    either = np.stack([np.minimum(apart, 0.0), np.maximum(apart, 0.0)])
    squared = (either**2).sum(axis=1) / (1 + len(others))
    return replace(pair, doubt_px=np.sqrt(pair.doubt_px**2 + squared))
