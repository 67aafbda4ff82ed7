"""Biconvexity: whether both borders bulge outwards, as a lens, instead of tapering side by side.

A biconvex fascia at the first examination went with a poor response to treatment (odds ratio 4.76,
Fleischer 2015). There it is judged by eye; here it is a length. Each border's chord joins its own
ends over the first 25 mm. Where both borders together stand out most from their chords, the
smaller of the two distances is the biconvexity: positive where both bulge, zero or negative where
one is straight or hollow, as in a band that tapers or is bowed as a whole.
"""

from __future__ import annotations

import numpy as np

from usguide.fascia.course import BorderPair
from usguide.model import Floats

REACH_MM = 25.0
REACH_MIN_MM = 15.0
"""On less than this a bulge cannot be told from a taper."""
END_MM = 1.0
"""Length over which an end of a chord is averaged."""


def read_biconvexity(pair: BorderPair, reach_mm: float, pixel_mm: float) -> float | str:
    """Return the biconvexity in nominal mm, or say why it cannot be told.

    Parameters
    ----------
    pair : BorderPair
        Borders.
    reach_mm : float
        How far they can be followed.
    pixel_mm : float
        Nominal size of a work pixel.
    """
    distance = pair.band.distance_mm
    reach = min(reach_mm, REACH_MM)
    shown = (distance >= 0) & (distance <= reach)
    if reach < REACH_MIN_MM:
        return f"the fascia is followed for less than {REACH_MIN_MM:.0f} mm"
    along = distance[shown]
    upper, lower = (
        pair.band.points(offset)[shown] * pixel_mm for offset in (pair.upper_px, pair.lower_px)
    )
    above, beneath = -_off_chord(upper, along), _off_chord(lower, along)
    most = int(np.argmax(above + beneath))
    return float(min(above[most], beneath[most]))


def _off_chord(border: Floats, along: Floats) -> Floats:
    """Distance of a border from the chord between its ends, positive deep, shape (n,)."""
    first = border[along <= along[0] + END_MM].mean(axis=0)
    last = border[along >= along[-1] - END_MM].mean(axis=0)
    chord = (last - first) / np.hypot(*(last - first))
    return np.asarray((border - first) @ np.array([-chord[1], chord[0]]))
