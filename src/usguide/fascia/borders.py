"""Both borders of the fascia, on a picture straightened along the band.

The superficial border is a bright line or a step either way (normal fascia is brighter than the
fat above or equal to it, diseased fascia darker); the deep border is a step down, from fascia to
muscle. Neither is unique in its column: fat septa, fibrils and perimysium are bright lines too.
What singles the fascia out is that both borders start at the bone's front edge and run on side by
side, smoothly, with tissue of one kind between them. So the search goes from the whole to the
part: an outline judged over the whole length (:mod:`usguide.fascia.outline`), smooth corrections
of it (:mod:`usguide.fascia.fitting`), and at last both borders together, column by column, within
a millimetre, by their lines, by the tissue on their sides and by the tissues recognised
(:mod:`usguide.fascia.refinement`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from usguide.fascia.arcs import Fields, Surface
from usguide.fascia.calcaneus import Bone
from usguide.fascia.course import BorderPair, Course
from usguide.fascia.fitting import SuperficialFit, fit_deep
from usguide.fascia.gaps import bridged
from usguide.fascia.insertion import TANGENT_MM, find_insertion
from usguide.fascia.outline import Outline, outline_of, outlines, score_of
from usguide.fascia.recognition import Recognised
from usguide.fascia.refinement import refine
from usguide.fascia.straighten import ROW_MM, Strip, straightened, upright_band
from usguide.fascia.tissues import Tissues, looked_at
from usguide.fascia.workspace import Image
from usguide.model import Floats

# Lengths in nominal mm.
THICKNESS_MIN_MM, THICKNESS_MAX_MM = 1.4, 9.0
"""At the insertion; beyond any reported fascia: controls 2-4 mm, patients +2.2 mm
(doi 10.1186/1757-1146-2-32)."""
LINE_MM, LINE_JUDGED_MM = 1.0, (0.5, 12.0)
"""A band thinner than this along most of this part of it is a single bright line. A fascia of
1.5 mm at its insertion may be 1.1 mm thick farther on."""
BAND_MIN_MM = 6.0
UPRIGHT_ROWS_MM = (-16.0, 12.0)
"""Rows first searched about the bone's edge: the thickest fascia, tilted by 15-20 degrees."""
OUTLINE_ROWS_MM = (-13.5, 2.0)
"""Rows about a first lower border, from which the outline is taken."""
STRIP_ROWS_MM = (-THICKNESS_MAX_MM / 2 - 2.5, THICKNESS_MAX_MM / 2 + 2.5)
WITHIN_MM = 0.4
"""How far a border that was found in one frame may be from there in another."""

OUTLINES = 8
"""Outlines that are fitted before one is chosen."""
WORTH_OF_EVIDENCE, WORTH_OF_TISSUE = 0.55, 1.3
"""Of the evidence measured again on a fitted band, and of its line and its tissues: maximum
likelihood over the same heels as :data:`usguide.fascia.outline.WEIGHTS`."""
WORTH_OF_RECOGNITION = 0.9
"""Of the mean log-likelihood per column of the tissues seen. Chosen on synthetic heels that the
network was not trained on, another simulator's among them."""
RECOGNISED_MM = (1.0, 17.0)
"""Part of the band in which they are compared."""
GROWTH_NEAR_MM, GROWTH_FAR_MM, GROWTH_PRICE = (2.5, 7.5), (12.5, 17.5), 2.0
"""Thickness declines away from the insertion (doi 10.1109/access.2019.2909409) or stays: where it
grows from one part of the band to the other, the price per mm."""
FAT_MM, FAT_SHARE, FAT_LEVEL_MIN = np.arange(0.5, 5.0, ROW_MM), 70.0, 0.35
"""Where above a superficial border there must be tissue, and the least level, against the band's,
of this percentile of what is there: 0.71 and more above the bands found in 25 heels of another
simulator, about 0 above most that begin at the skin. So 1.9 mm of fat are enough; a layer of fluid
leaves more tissue over it."""
FAT_LENGTH = 0.75
"""Share of the band over which there must be so much: one that runs into the skin is none."""
SAME_MM = 0.4
"""Bands whose borders are, on average, less than half as far apart are one band, fitted from two
outlines; as far apart they are two."""
OVERSURE = 2.0
"""How many times as large as they should be the differences between the scores of bands are, for
how likely each of them is right. Chosen on synthetic heels as is
:data:`usguide.fascia.thickness.SHARPNESS_SHARE`."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The borders, the insertion, (x, y) in work px, and the tissues that shaped them."""

    pair: BorderPair
    insertion: tuple[float, float]
    recognised: Recognised


@dataclass(frozen=True, slots=True, eq=False)
class _Fitted:
    """A band fitted to the picture, its insertion in work px, and the logarithm of its odds."""

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
    upright = upright_band(bone.edge, levels.shape[1], pixel_mm)
    if upright.distance_mm[-1] < BAND_MIN_MM:
        return None
    fields = Fields.of(Strip.cut(levels, upright, UPRIGHT_ROWS_MM, pixel_mm))
    surface = Surface.of(bone, pixel_mm)
    tried = outlines(fields, surface, pixel_mm, (THICKNESS_MIN_MM, THICKNESS_MAX_MM), OUTLINES)
    tissues = Tissues.of(fields.strip, pixel_mm)
    recognised = Recognised.of(tissues, bone.edge)
    ahead = upright.distance_mm[looked_at(upright.distance_mm) & (upright.distance_mm >= 0)]
    proposed = outline_of(fields, ahead, tissues.likeliest(ahead), pixel_mm)
    fitted = [
        one
        for outline in (*tried, proposed)
        if (
            one := _fitted(
                levels,
                fields,
                surface,
                outline,
                tissues,
                recognised,
                pixel_mm,
                drawn=outline is proposed,
            )
        )
        is not None
    ]
    # A single bright line has clear borders on both sides, and is no band.
    fitted = [one for one in fitted if not _is_line(one.pair, pixel_mm)] or fitted
    if not fitted:
        return None
    best = max(fitted, key=lambda one: one.score)
    pair = replace(best.pair, doubt_px=_doubt(best, fitted))
    mean, edge = _consensus(replace(best, pair=pair), fitted, pixel_mm)
    # Once more from there: where the borders end up still hangs a little on where they began.
    strip = Strip.cut(levels, mean.band, STRIP_ROWS_MM, pixel_mm)
    return Found(refine(strip, mean, recognised, pixel_mm) or mean, edge, recognised)


def _consensus(
    best: _Fitted, fitted: list[_Fitted], pixel_mm: float
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


def _doubt(best: _Fitted, fitted: list[_Fitted]) -> Floats:
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


def _fitted(
    levels: Image,
    fields: Fields,
    surface: Surface,
    outline: Outline,
    tissues: Tissues,
    recognised: Recognised,
    pixel_mm: float,
    *,
    drawn: bool,
) -> _Fitted | None:
    """Fit an outline to the picture, column by column.

    An outline of few parameters is first corrected smoothly; one that was drawn after the picture
    follows it already.
    """
    upright = fields.strip.band
    bone_end = upright.at(0.0, 0.0, pixel_mm)
    edge = upright.at(outline.insertion_mm, surface.down_at(outline.insertion_mm), pixel_mm)
    band = straightened(upright, outline.deep_mm / pixel_mm, edge, pixel_mm)
    laid = Strip.cut(levels, band, OUTLINE_ROWS_MM, pixel_mm)
    along_mm = upright.distance_mm - outline.insertion_mm
    gap = np.interp(band.distance_mm, along_mm, outline.gap) > 0.5
    laid = replace(laid, levels=bridged(laid.levels, gap))
    thickness_mm = np.interp(band.distance_mm, along_mm, outline.thickness_mm)
    deep_mm = np.zeros(len(thickness_mm))
    fit = SuperficialFit(laid, pixel_mm)
    if not drawn:
        deep_mm = fit_deep(laid, pixel_mm, deep_mm)
        thickness_mm = fit.corrected(thickness_mm)
    course = Course(
        band, -thickness_mm / pixel_mm, deep_mm / pixel_mm, gap, np.zeros((2, len(thickness_mm)))
    )
    clear = (band.distance_mm >= TANGENT_MM[0]) & (band.distance_mm <= TANGENT_MM[1])
    if np.count_nonzero(clear) > 2:
        deep = (band.points(course.lower_px)[clear] - bone_end) * pixel_mm
        start = find_insertion(surface, deep)
        edge = upright.at(start, surface.down_at(start), pixel_mm)
    band = straightened(band, course.middle_px, edge, pixel_mm)
    course = course.carried_to(band)
    pair = refine(Strip.cut(levels, band, STRIP_ROWS_MM, pixel_mm), course, recognised, pixel_mm)
    if pair is None or not beneath_fat(levels, pair, pixel_mm):
        return None
    upper_mm, lower_mm = (
        upright.offsets_of(pair.band.points(offset)) * pixel_mm
        for offset in (pair.upper_px, pair.lower_px)
    )
    start_mm = (edge[0] - bone_end[0]) * pixel_mm
    again = score_of(fields, surface, lower_mm, upper_mm, start_mm, pixel_mm)
    if not np.isfinite(again):
        return None
    tissue = fit.worth(thickness_mm)
    ahead_mm = upright.distance_mm - start_mm
    judged = (ahead_mm >= RECOGNISED_MM[0]) & (ahead_mm <= RECOGNISED_MM[1]) & ~outline.gap
    borders_mm = np.stack([upper_mm, lower_mm])[:, judged]
    seen = tissues.worth(borders_mm, upright.distance_mm[judged])
    score = WORTH_OF_EVIDENCE * again + WORTH_OF_TISSUE * tissue + WORTH_OF_RECOGNITION * seen
    return _Fitted(pair, edge, score - GROWTH_PRICE * max(_growth_mm(pair, pixel_mm), 0.0))


def beneath_fat(levels: Image, pair: BorderPair, pixel_mm: float) -> bool:
    """Say whether there is tissue over a band: the skin's surface has none.

    Parameters
    ----------
    levels : ndarray of float32, shape (rows, columns)
        Normalised work picture.
    pair : BorderPair
        The band's borders; of one without a part in ``RECOGNISED_MM`` nothing can be said.
    pixel_mm : float
        Nominal size of a work pixel.
    """
    band, thickness = pair.band, pair.thickness_px
    judged = (band.distance_mm >= RECOGNISED_MM[0]) & (band.distance_mm <= RECOGNISED_MM[1])
    if not judged.any():
        return False
    inside = np.linspace(0.1, 0.9, len(FAT_MM))[:, None] * thickness
    shown = []
    for down in (-FAT_MM[:, None] / pixel_mm, inside):
        x, y = (axis[:, judged].astype(np.float32) for axis in band.grid(pair.upper_px + down))
        # Beyond the picture there is no tissue.
        values = cv2.remap(levels, x, y, cv2.INTER_LINEAR, borderValue=0)
        shown.append(np.percentile(values, FAT_SHARE, axis=0))
    fat, own = shown
    return bool(np.quantile(fat, 1.0 - FAT_LENGTH) >= FAT_LEVEL_MIN * np.median(own))


def _growth_mm(pair: BorderPair, pixel_mm: float) -> float:
    """How much thicker the band is far from the insertion than near it; 0 where not seen so far."""
    distance, thickness = pair.band.distance_mm, pair.thickness_px * pixel_mm
    near, far = (
        thickness[(distance >= first) & (distance <= last)]
        for first, last in (GROWTH_NEAR_MM, GROWTH_FAR_MM)
    )
    return float(far.mean() - near.mean()) if near.size and far.size else 0.0
