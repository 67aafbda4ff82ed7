"""Both borders of the fascia, on a picture straightened along the band.

The superficial border is a bright line or a step either way (normal fascia is brighter than the
fat above or equal to it, diseased fascia darker); the deep border is a step down, from fascia to
muscle. Neither is unique in its column: fat septa, fibrils and perimysium are bright lines too.
What singles the fascia out is that both borders start at the bone's front edge and run on side by
side, smoothly, with tissue of one kind between them. So bands are fitted as wholes
(:mod:`usguide.fascia.candidates`) and judged against each other: as the picture lies, and where the
likeliest slopes also along it, because the network that recognises tissues has seen few steep ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from usguide.fascia.calcaneus import Bone
from usguide.fascia.candidates import RECOGNISED_MM, STRIP_ROWS_MM, Candidate, Look
from usguide.fascia.course import BorderPair
from usguide.fascia.refinement import refine
from usguide.fascia.straighten import Strip, straightened
from usguide.fascia.workspace import Image
from usguide.model import Floats

# Lengths in nominal mm.
LINE_MM, LINE_JUDGED_MM = 1.0, (0.5, 12.0)
"""A band thinner than this along most of this part of it is a single bright line. A fascia of
1.5 mm at its insertion may be 1.1 mm thick farther on."""
WITHIN_MM = 0.4
"""How far a border that was found in one frame may be from there in another."""
TILT_MIN = float(np.radians(4.0))
"""Slope of the likeliest band, rad, from which on the picture is also looked at along it: less than
the usual slope, 5 degrees, of the strips painted for the network to learn from."""
SAME_MM = 0.4
"""Bands whose borders are, on average, less than half as far apart are one band, fitted from two
outlines; as far apart they are two."""
OVERSURE = 2.0
"""The scores of bands differ by so many times as much as the logarithms of how likely each of them
is right. Chosen on one frame each of 149 synthetic heels, 18 of them another simulator's."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The borders, and the insertion, (x, y) in work px."""

    pair: BorderPair
    insertion: tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """A band, its insertion in work px, and the logarithm of its odds."""

    pair: BorderPair
    edge: tuple[float, float]
    score: float


def find_borders(levels: Image, bone: Bone, pixel_mm: float) -> Found | None:
    """Find the fascia's borders from the bone's front edge onwards.

    Parameters
    ----------
    levels : ndarray of float32, shape (rows, columns)
        Normalised work picture, the bone's front towards the right.
    bone : Bone
        The bone's surface; it may run on past the front lower edge.
    pixel_mm : float
        Nominal size of a work pixel.

    Returns
    -------
    Found or None
        None where there is no room for a band, or nothing like one.
    """
    level = Look.along(levels, bone, 0.0, pixel_mm)
    if level is None:
        return None
    found = level.candidates()
    fitted = _judged(found, [level], pixel_mm)
    if not fitted:
        return None
    tilt = _tilt(_likeliest(fitted).pair)
    tilted = Look.along(levels, bone, tilt, pixel_mm) if abs(tilt) >= TILT_MIN else None
    if tilted is not None:
        proposed = tilted.proposed()
        found += [] if proposed is None else [proposed]
        fitted = _judged(found, [level, tilted], pixel_mm) or fitted
    best = _likeliest(fitted)
    pair = replace(best.pair, doubt_px=_doubt(best, fitted))
    mean, edge = _consensus(replace(best, pair=pair), fitted, pixel_mm)
    # Once more from there, by the tissues as they were recognised along the band: where the borders
    # end up still hangs a little on where they began.
    strip = Strip.cut(levels, mean.band, STRIP_ROWS_MM, pixel_mm)
    refined = refine(strip, mean, (tilted or level).recognised, pixel_mm)
    return Found(refined or mean, edge)


def _judged(found: list[Candidate], looks: list[Look], pixel_mm: float) -> list[_Judged]:
    """Judge bands by what each look says of them, on average.

    Single bright lines have clear borders on both sides, and are no bands: they are left out.
    """
    fitted = [
        _Judged(one.pair, one.edge, score)
        for one in found
        if np.isfinite(score := one.worth + float(np.mean([look.evidence(one) for look in looks])))
    ]
    return [one for one in fitted if not _is_line(one.pair, pixel_mm)] or fitted


def _likeliest(fitted: list[_Judged]) -> _Judged:
    return max(fitted, key=lambda one: one.score)


def _tilt(pair: BorderPair) -> float:
    """Slope of a band's mid-line as a whole, rad."""
    distance = pair.band.distance_mm
    judged = (distance >= RECOGNISED_MM[0]) & (distance <= RECOGNISED_MM[1])
    x, y = pair.band.points(pair.middle_px)[judged].T
    return float(np.arctan(np.polyfit(x, y, 1)[0])) if len(x) > 2 else 0.0


def _consensus(
    best: _Judged, fitted: list[_Judged], pixel_mm: float
) -> tuple[BorderPair, tuple[float, float]]:
    """Average the likeliest band, and its insertion, with those that hardly differ.

    They are weighed by their likelihood: which of them is the best by a hair depends on the
    picture's grain, and on how it was cut.
    """
    band = best.pair.band
    judged = (band.distance_mm >= RECOGNISED_MM[0]) & (band.distance_mm <= RECOGNISED_MM[1])
    borders = np.stack([best.pair.upper_px, best.pair.lower_px])
    total, sum_px, sum_edge = 0.0, np.zeros_like(borders), np.zeros(2)
    for one in fitted:
        course = one.pair.carried_to(band)
        other = np.stack([course.upper_px, course.lower_px])
        apart = np.abs(other - borders)[:, judged].mean(axis=1).max() * pixel_mm
        alike = float(np.clip(2.0 - 2.0 * apart / SAME_MM, 0.0, 1.0))
        part = alike * float(np.exp(one.score - best.score))
        total += part
        sum_px += part * other
        sum_edge += part * np.array(one.edge)
    upper_px, lower_px = sum_px / total
    x, y = sum_edge / total
    mean = replace(best.pair, upper_px=upper_px, lower_px=lower_px)
    laid = straightened(band, mean.middle_px, (float(x), float(y)), pixel_mm)
    return mean.carried_to(laid), (float(x), float(y))


def _is_line(pair: BorderPair, pixel_mm: float) -> bool:
    distance = pair.band.distance_mm
    judged = (distance >= LINE_JUDGED_MM[0]) & (distance <= LINE_JUDGED_MM[1])
    thickness = pair.thickness_px[judged] * pixel_mm
    return bool(thickness.size) and float(np.median(thickness)) < LINE_MM


def _doubt(best: _Judged, fitted: list[_Judged]) -> Floats:
    """How much thinner and thicker the bands are that might be right, shape (2, columns).

    Per column, the root of the mean squared difference of those thinner, and of those thicker,
    weighed by their odds.
    """
    distance = best.pair.band.distance_mm
    odds = np.exp(np.array([one.score - best.score for one in fitted]) / OVERSURE)
    thickness = np.stack(
        [np.interp(distance, one.pair.band.distance_mm, one.pair.thickness_px) for one in fitted]
    )
    apart = thickness - best.pair.thickness_px
    either = np.stack([np.minimum(apart, 0.0), np.maximum(apart, 0.0)])
    return np.asarray(np.sqrt(odds @ either**2 / odds.sum()))
