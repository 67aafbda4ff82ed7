"""Bands that may be the fascia, fitted to the picture along one straight strip of it.

From the whole to the part: outlines judged over the whole length (:mod:`usguide.fascia.outline`),
and one drawn after the tissues recognised; and then both borders together, column by column,
within a millimetre, by the tissues recognised and, where none are, by lines and by the tissue on
their sides (:mod:`usguide.fascia.refinement`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from usguide.fascia.arcs import Fields, Surface
from usguide.fascia.border_scores import superficial_worth
from usguide.fascia.calcaneus import Bone
from usguide.fascia.course import BorderPair, Course
from usguide.fascia.gaps import bridged
from usguide.fascia.insertion import TANGENT_MM, find_insertion
from usguide.fascia.outline import Outline, outline_of, outlines, score_of
from usguide.fascia.recognition import Recognised
from usguide.fascia.refinement import refine
from usguide.fascia.straighten import ROW_MM, Strip, straight_band, straightened
from usguide.fascia.tissues import Tissues, looked_at
from usguide.fascia.workspace import Image
from usguide.model import Floats

# Lengths in nominal mm.
THICKNESS_MM = 1.4, 9.0
"""At the insertion; beyond any reported fascia: controls 2-4 mm, patients +2.2 mm
(doi 10.1186/1757-1146-2-32)."""
BAND_MIN_MM = 6.0
FIRST_ROWS_MM = (-16.0, 12.0)
"""Rows first searched about the bone's edge: the thickest fascia, tilted by 15-20 degrees."""
OUTLINE_ROWS_MM = (-13.5, 2.0)
"""Rows about a first lower border, from which the outline is taken."""
STRIP_ROWS_MM = (-THICKNESS_MM[1] / 2 - 2.5, THICKNESS_MM[1] / 2 + 2.5)
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
FAT_MM, FAT_PERCENTILE = np.arange(0.5, 5.0, ROW_MM), 70.0
"""Where above a superficial border its fat is, and the percentile of what is there that counts: so
1.9 mm of fat are enough, and a layer of fluid leaves more tissue over it."""
TISSUE_SHARE_MIN, TISSUE_LENGTH = 0.35, 0.75
"""Least level of the tissue over a band, against the band's, and the share of the band over which
there must be so much: 0.71 and more above the bands found in 25 heels of another simulator, about 0
above most that begin at the skin. One that runs into the skin is none."""
LEVEL_MIN = 0.02
"""Least level that a band is taken to have."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A band fitted to the picture.

    Parameters
    ----------
    pair : BorderPair
        Its borders.
    edge : (float, float)
        Its insertion, (x, y) in work px.
    worth : float
        What its superficial line, the tissues on its sides and its taper add to the logarithm of
        its odds.
    """

    pair: BorderPair
    edge: tuple[float, float]
    worth: float


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A picture and its bone as seen along a straight strip from the bone's edge onwards.

    Lines, steps and tissues are looked for along the strip's columns: those of a band are plainest
    on one that runs as the band does.

    Parameters
    ----------
    levels : ndarray of float32, shape (rows, columns)
        Normalised work picture, the bone's front towards the right.
    fields : Fields
        The strip, and what speaks for deep borders in it.
    surface : Surface
        The bone's.
    tissues : Tissues
        As recognised in it.
    recognised : Recognised
        The same, to be asked about other curves.
    pixel_mm : float
        Nominal size of a work pixel.
    """

    levels: Image
    fields: Fields
    surface: Surface
    tissues: Tissues
    recognised: Recognised
    pixel_mm: float

    @classmethod
    def along(cls, levels: Image, bone: Bone, tilt: float, pixel_mm: float) -> Look | None:
        """Look along a strip tilted against the picture's rows (rad, positive deeper).

        None where there is no room for a band.
        """
        straight = straight_band(bone.edge, levels.shape[1], pixel_mm, tilt)
        if straight.distance_mm[-1] < BAND_MIN_MM:
            return None
        strip = Strip.cut(levels, straight, FIRST_ROWS_MM, pixel_mm)
        tissues = Tissues.of(strip, pixel_mm)
        return cls(
            levels,
            Fields.of(strip),
            Surface.of(bone, straight, pixel_mm),
            tissues,
            Recognised.of(tissues, straight),
            pixel_mm,
        )

    def candidates(self) -> list[Candidate]:
        """Fit bands to the picture; none where there is nothing like one."""
        tried = outlines(self.fields, self.surface, self.pixel_mm, THICKNESS_MM, OUTLINES)
        fitted = [*(self._fitted(outline) for outline in tried), self.proposed()]
        return [one for one in fitted if one is not None]

    def proposed(self) -> Candidate | None:
        """Fit the band that the tissues recognised speak for."""
        distance = self.fields.strip.band.distance_mm
        ahead = distance[looked_at(distance) & (distance >= 0)]
        borders_mm = self.tissues.likeliest(ahead)
        return self._fitted(outline_of(self.fields, ahead, borders_mm, self.pixel_mm))

    def evidence(self, one: Candidate) -> float:
        """Say what its borders and the tissues add to a band's odds; -inf where impossible."""
        straight, pixel_mm, pair = self.fields.strip.band, self.pixel_mm, one.pair
        upper_mm, lower_mm = borders_mm = np.stack(
            [
                straight.offsets_of(pair.band.points(offset)) * pixel_mm
                for offset in (pair.upper_px, pair.lower_px)
            ]
        )
        start_mm = float(straight.seen_from(np.asarray(one.edge), pixel_mm)[0])
        again = score_of(self.fields, self.surface, lower_mm, upper_mm, start_mm, pixel_mm)
        ahead_mm = straight.distance_mm - start_mm
        judged = (ahead_mm >= RECOGNISED_MM[0]) & (ahead_mm <= RECOGNISED_MM[1])
        judged &= np.interp(ahead_mm, pair.band.distance_mm, pair.gap) <= 0.5
        seen = self.tissues.worth(borders_mm[:, judged], straight.distance_mm[judged])
        return WORTH_OF_EVIDENCE * again + WORTH_OF_RECOGNITION * seen

    def _fitted(self, outline: Outline) -> Candidate | None:
        """Fit an outline to the picture, column by column."""
        straight, pixel_mm = self.fields.strip.band, self.pixel_mm
        start_mm = outline.insertion_mm
        edge = straight.at(start_mm, self.surface.down_at(start_mm), pixel_mm)
        band = straightened(straight, outline.deep_mm / pixel_mm, edge, pixel_mm)
        laid = Strip.cut(self.levels, band, OUTLINE_ROWS_MM, pixel_mm)
        along_mm = straight.distance_mm - start_mm
        gap = np.interp(band.distance_mm, along_mm, outline.gap) > 0.5
        laid = replace(laid, levels=bridged(laid.levels, gap))
        thickness_mm = np.interp(band.distance_mm, along_mm, outline.thickness_mm)
        deep, doubt = np.zeros(len(thickness_mm)), np.zeros((2, len(thickness_mm)))
        course = Course(band, deep - thickness_mm / pixel_mm, deep, gap, doubt)
        clear = (band.distance_mm >= TANGENT_MM[0]) & (band.distance_mm <= TANGENT_MM[1])
        if np.count_nonzero(clear) > 2:
            points = straight.seen_from(band.points(course.lower_px)[clear], pixel_mm)
            start_mm = find_insertion(self.surface, points)
            edge = straight.at(start_mm, self.surface.down_at(start_mm), pixel_mm)
        band = straightened(band, course.middle_px, edge, pixel_mm)
        course = course.carried_to(band)
        strip = Strip.cut(self.levels, band, STRIP_ROWS_MM, pixel_mm)
        pair = refine(strip, course, self.recognised, pixel_mm)
        if pair is None or not beneath_tissue(self.levels, pair, pixel_mm):
            return None
        growth = GROWTH_PRICE * max(_growth_mm(pair, pixel_mm), 0.0)
        worth = WORTH_OF_TISSUE * superficial_worth(laid, thickness_mm, pixel_mm) - growth
        return Candidate(pair, edge, worth)


def fat_share(levels: Image, pair: BorderPair, pixel_mm: float) -> Floats:
    """Measure the level of what lies over a band against the band's, in each column of it.

    Parameters
    ----------
    levels : ndarray of float32, shape (rows, columns)
        Normalised work picture.
    pair : BorderPair
        The band's borders.
    pixel_mm : float
        Nominal size of a work pixel.

    Returns
    -------
    ndarray of float64, shape (k,)
        In the columns that lie in ``RECOGNISED_MM``; of a band without any nothing can be said.
    """
    band, thickness = pair.band, pair.thickness_px
    judged = (band.distance_mm >= RECOGNISED_MM[0]) & (band.distance_mm <= RECOGNISED_MM[1])
    if not judged.any():
        return np.empty(0)
    inside = np.linspace(0.1, 0.9, len(FAT_MM))[:, None] * thickness
    shown = []
    for down in (-FAT_MM[:, None] / pixel_mm, inside):
        x, y = (axis[:, judged].astype(np.float32) for axis in band.grid(pair.upper_px + down))
        # Beyond the picture there is no tissue.
        values = cv2.remap(levels, x, y, cv2.INTER_LINEAR, borderValue=0)
        shown.append(np.percentile(values, FAT_PERCENTILE, axis=0))
    fat, own = shown
    return np.asarray(fat / max(float(np.median(own)), LEVEL_MIN))


def beneath_tissue(levels: Image, pair: BorderPair, pixel_mm: float) -> bool:
    """Say whether there is tissue over a band, as :func:`fat_share` has it: the skin has none."""
    share = fat_share(levels, pair, pixel_mm)
    return bool(share.size) and float(np.quantile(share, 1.0 - TISSUE_LENGTH)) >= TISSUE_SHARE_MIN


def _growth_mm(pair: BorderPair, pixel_mm: float) -> float:
    """How much thicker the band is far from the insertion than near it; 0 where not seen so far."""
    distance, thickness = pair.band.distance_mm, pair.thickness_px * pixel_mm
    near, far = (
        thickness[(distance >= first) & (distance <= last)]
        for first, last in (GROWTH_NEAR_MM, GROWTH_FAR_MM)
    )
    return float(far.mean() - near.mean()) if near.size and far.size else 0.0
