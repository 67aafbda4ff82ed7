"""First outlines of the band: a deep arc, a thickness and a taper, compared as wholes.

Fat, fascia and muscle are all full of bright lines, and in any one column each could be a border.
Over two centimetres only one pair can: two lines that start at the bone's edge, keep to the
fascia's shape and have one kind of tissue between them and others outside. So whole bands are
compared. For each deep arc (:mod:`usguide.fascia.arcs`) and each taper the strip is stretched until
borders and fibrils lie along rows; every row is described over its whole length, and each row is
tried as the superficial border.

What speaks for a band is a weighted sum of measured evidence, a conditional logit model: the
posterior of a band is ``exp(score) / sum(exp(scores))``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usguide.fascia.arcs import Fields, Surface, arc_of, deep_arcs
from usguide.fascia.evidence import DISTAL_SHARES, USUAL_SHARE, Stretching
from usguide.fascia.straighten import COLUMN_MM
from usguide.model import Bools, Floats

# Lengths in nominal mm.
ARCS = 12
NEAR_MM, DISTAL_MM = 3.0, (10.0, 22.0)
"""Where a band's thickness at the insertion, and far from it, is read."""
THICKNESS_MIN_MM = 0.3
DISTAL_SEEN_MM = 2.0
"""Less of the distal part tells nothing of the taper."""
CLEAR_MM = (1.0, 7.0)
"""Part of borders found elsewhere that is drawn on straight over the bone, nominal mm: clear of its
glow, and before the band bends."""
COMPARED_MM = 20.0
DIFFERENT_MM = 0.5
"""Two bands are different where one of their borders is, on average over 2 cm, this far apart."""

WEIGHTS = {
    # The deep border by itself.
    "step down along the deep border": 5.24,
    "line along the deep border": 2.09,
    "agreement with the fibrils' direction": -0.36,
    "tilt": -0.76,
    "bend": -0.14,
    "insertion after the end of the bone's line": -0.35,
    "insertion before it": -0.37,
    "insertion long before it": -0.07,
    # The band against the muscle.
    "fibrils last longer in the band than beneath": 0.42,
    "unrest in the band against beneath": 0.77,
    "level in the band against beneath": 2.00,
    "contrast in the band against beneath": -0.10,
    # The superficial border.
    "line along the superficial border, within 0.1 mm": 2.78,
    "line along the superficial border": 1.81,
    "the same line over the bone": 0.42,
    "the line's weakest fifth": 1.38,
    # The band against the fat.
    "change point": 2.18,
    "fibrils last longer in the band than above, widely": 0.18,
    "fibrils last longer in the band than above, at the border": 0.64,
    "unrest in the band against above, widely": -1.45,
    "unrest in the band against above, at the border": -1.05,
    "contrast in the band against above, widely": -1.31,
    "contrast in the band against above, at the border": -0.31,
    "difference of level at the border": 1.47,
    "difference of level, widely": 0.59,
    # The band by itself.
    "thickness far from usual": -0.11,
    "taper far from usual": -0.25,
    "persistence unlike near the superficial border": -0.58,
    "level unlike near the superficial border": -0.88,
    "unrest unlike near the superficial border": -1.18,
    "step into a gap beneath the superficial border": 4.0,
}
"""Maximum likelihood over 253 synthetic heels (seeds 43000-43159 and others), ridge 0.003; the last
is larger, because the ridge holds down what few heels have."""
_WEIGHTS: Floats = np.array(list(WEIGHTS.values()))


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """A band tried: where it starts, its deep border, and its thickness above that.

    Parameters
    ----------
    score : float
        Logarithm of its posterior, up to a constant.
    insertion_mm : float
        Along the strip.
    deep_mm, thickness_mm : ndarray of float64, shape (columns,)
        Offset of the deep border from the strip's centre line, and thickness over it.
    gap : ndarray of bool, shape (columns,)
        Where the band is interrupted.
    """

    score: float
    insertion_mm: float
    deep_mm: Floats
    thickness_mm: Floats
    gap: Bools


def outlines(
    fields: Fields,
    surface: Surface,
    pixel_mm: float,
    bounds_mm: tuple[float, float],
    count: int,
) -> list[Outline]:
    """Return the most likely, clearly different bands, best first.

    Parameters
    ----------
    fields : Fields
        Of the strip to search.
    surface : Surface
        The bone.
    pixel_mm : float
        Nominal size of a work pixel.
    bounds_mm : (float, float)
        Of the thickness at the insertion.
    count : int
        How many to return at most.
    """
    strip = fields.strip
    tried: list[Outline] = []
    for arc in deep_arcs(fields, surface, pixel_mm, ARCS):
        stretching = Stretching.of(strip, surface, arc, pixel_mm)
        for share in DISTAL_SHARES:
            taper = stretching.taper(share)
            heights, evidence = stretching.evidence(taper, share, bounds_mm)
            scores = evidence @ _WEIGHTS
            tried += [
                Outline(
                    float(scores[at]),
                    arc.insertion_mm,
                    arc.offset_mm,
                    heights[at] * taper,
                    arc.gap,
                )
                for at in _peaks(scores)
            ]
    found: list[Outline] = []
    near = (strip.band.distance_mm >= 0) & (strip.band.distance_mm <= COMPARED_MM)
    for one in sorted(tried, key=lambda outline: -outline.score):
        if all(_apart(one, other, near) > DIFFERENT_MM for other in found):
            found.append(one)
            if len(found) == count:
                break
    return found


def _peaks(scores: Floats) -> NDArray[np.int64]:
    padded = np.pad(scores, 1, constant_values=-np.inf)
    return np.flatnonzero((scores >= padded[:-2]) & (scores > padded[2:]))


def _apart(one: Outline, other: Outline, near: Bools) -> float:
    deep = np.abs(one.deep_mm - other.deep_mm)[near].mean()
    upper = np.abs(one.deep_mm - one.thickness_mm - other.deep_mm + other.thickness_mm)[near].mean()
    return float(max(deep, upper))


def outline_of(fields: Fields, ahead_mm: Floats, borders_mm: Floats, pixel_mm: float) -> Outline:
    """Make an outline of borders that are known in some columns.

    Over the bone they go straight on, and beyond the last column they stay where they are.

    Parameters
    ----------
    fields : Fields
        The straight strip.
    ahead_mm : ndarray of float64, shape (k,)
        Distance of the columns from the bone's edge.
    borders_mm : ndarray of float64, shape (2, k)
        Offset of the superficial and the deep border from the strip's centre line.
    pixel_mm : float
        Nominal size of a work pixel.
    """
    distance = fields.strip.band.distance_mm
    clear = (ahead_mm >= CLEAR_MM[0]) & (ahead_mm <= CLEAR_MM[1])
    upper, deep = (
        np.where(
            distance < CLEAR_MM[0],
            np.polyval(np.polyfit(ahead_mm[clear], border[clear], 1), distance),
            np.interp(distance, ahead_mm, border),
        )
        for border in borders_mm
    )
    arc = arc_of(fields, deep, 0.0, pixel_mm)
    return Outline(0.0, 0.0, deep, np.maximum(deep - upper, THICKNESS_MIN_MM), arc.gap)


def score_of(
    fields: Fields,
    surface: Surface,
    deep_mm: Floats,
    upper_mm: Floats,
    insertion_mm: float,
    pixel_mm: float,
) -> float:
    """Score any band, on its own borders; -inf where it is impossible.

    Parameters
    ----------
    fields, surface
        The strip and the bone.
    deep_mm, upper_mm : ndarray of float64, shape (columns,)
        Offsets of both borders from the strip's centre line, positive deep.
    insertion_mm : float
        Along the strip.
    pixel_mm : float
        Nominal size of a work pixel.
    """
    arc = arc_of(fields, deep_mm, insertion_mm, pixel_mm)
    stretching = Stretching.of(fields.strip, surface, arc, pixel_mm)
    ahead = stretching.ahead_mm
    thickness = np.maximum(deep_mm - upper_mm, THICKNESS_MIN_MM)
    near = (ahead >= 0) & (ahead <= NEAR_MM)
    if np.count_nonzero(near) < 2:
        return -np.inf
    height = round(float(np.median(thickness[near])), 1)
    taper = thickness / height
    # Over the bone straight on.
    line = np.polyfit(ahead[near], taper[near], 1)
    taper = np.where(ahead < 0, line[1] + line[0] * ahead, taper)
    distal = (ahead > DISTAL_MM[0]) & (ahead < DISTAL_MM[1])
    far = float(taper[distal].mean()) if distal.sum() * COLUMN_MM > DISTAL_SEEN_MM else USUAL_SHARE
    heights, evidence = stretching.evidence(taper, far, (height - 0.05, height + 0.05))
    return float(evidence[0] @ _WEIGHTS) if len(heights) else -np.inf
