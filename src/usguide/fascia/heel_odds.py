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
from usguide.fascia.logistic import Logistic
from usguide.model import Floats

# Lengths in nominal mm.
JUDGED_MM = 20.0
"""Part of the band whose doubt and sharpness count."""
DOUBT_MM = 0.2
"""Added to doubt before its logarithm is taken: less makes no difference."""
MODEL = Logistic(
    {
        "odds of the bone": (0.41, -3.0, 4.0),
        "how far the band is seen, logarithm of mm": (3.22, np.log(8.0), np.log(30.0)),
        "doubt about it, logarithm of mm": (-1.47, np.log(0.2), np.log(5.0)),
        "blur of its borders, logarithm of mm": (-4.53, np.log(0.05), np.log(2.0)),
    },
    offset=-16.25,
)
"""Maximum likelihood that the side is right and the stations are, on average, within 1 mm, over all
the heels that the lines of a picture each may be, likely or not (:mod:`benchmarks.fit_odds`), on
the even half of these: 340 heels of another simulator, 116 of ours, 280 clips without a heel, and
real ones of muscles and needles. On the odd half blur weighs as much (-4.1), the bone's odds a
little more (0.54). Heels of simulated waves had no part in it."""


def evidence(
    bone_odds: float, pair: BorderPair, followed_mm: float, pixel_mm: float
) -> Floats | None:
    """Measure what speaks for a bone and a band being a heel, in the order of ``MODEL``.

    The blur is the geometric mean of both borders': one of them may be blurred by how it lies to
    the beam, and is no more doubtful where the other is sharp.

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

    Returns
    -------
    ndarray of float64, shape (4,)
        None where nothing of the band is seen.
    """
    judged = (pair.band.distance_mm >= 0) & (pair.band.distance_mm <= JUDGED_MM)
    # Of a rupture nothing is seen, however sure the rest of the band is.
    judged &= ~pair.gap
    if not judged.any():
        return None
    doubt_px = np.hypot(*pair.doubt_px[:, judged].mean(axis=1))
    upper_px, lower_px = (sd[judged].mean() for sd in (pair.upper_sd_px, pair.lower_sd_px))
    return np.array(
        [
            bone_odds,
            np.log(max(followed_mm, 1.0)),
            np.log(DOUBT_MM + doubt_px * pixel_mm),
            np.log(upper_px * lower_px * pixel_mm**2) / 2,
        ]
    )


def heel_odds(bone_odds: float, pair: BorderPair, followed_mm: float, pixel_mm: float) -> float:
    """Return the logarithm of the odds that a bone and a band are a heel, measured right.

    Parameters as of :func:`evidence`.
    """
    measured = evidence(bone_odds, pair, followed_mm, pixel_mm)
    return -np.inf if measured is None else MODEL.odds(measured)


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
