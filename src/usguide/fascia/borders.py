"""Both borders of the fascia, on a picture straightened along the band.

The superficial border is a bright line or a step either way (normal fascia is brighter than the
fat above or equal to it, diseased fascia darker); the deep border is a step down, from fascia to
muscle. Neither is unique in its column: fat septa, fibrils and perimysium are bright lines too.
What singles the fascia out is that both borders start at the bone's front edge and run on side by
side, smoothly, with tissue of one kind between them. So the search goes from the whole to the
part: an outline judged over the whole length (:mod:`usguide.fascia.outline`), smooth corrections
of it (:mod:`usguide.fascia.fitting`), and at last both borders together, column by column, within
a millimetre, by their lines and by the tissue on their sides (:mod:`usguide.fascia.refinement`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from usguide.fascia.arcs import Fields, Surface
from usguide.fascia.calcaneus import Bone
from usguide.fascia.fitting import (
    FINE_STEP_MM,
    SuperficialFit,
    drop_score,
    fit_deep,
    line_score,
)
from usguide.fascia.gaps import bridged
from usguide.fascia.outline import Outline, outlines, score_of
from usguide.fascia.refinement import REACH_MM, border_score
from usguide.fascia.straighten import (
    COLUMN_MM,
    ROW_MM,
    Band,
    Strip,
    smoothed_along,
    straightened,
    upright_band,
)
from usguide.fascia.tissues import Tissues
from usguide.fascia.workspace import Image
from usguide.kernels.surfaces import joint_step_prices, refine_rows, two_surfaces
from usguide.model import Bools, Floats

# Lengths in nominal mm.
THICKNESS_MIN_MM, THICKNESS_MAX_MM = 1.4, 9.0
"""At the insertion; beyond any reported fascia: controls 2-4 mm, patients +2.2 mm
(doi 10.1186/1757-1146-2-32)."""
LINE_MM, LINE_JUDGED_MM = 1.2, (0.5, 12.0)
"""A band thinner than this along most of this part of it is a single bright line."""
THIN_MM = 0.7
"""Least thickness anywhere along the band."""
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
WORTH_OF_RECOGNITION = 0.05
"""Of the mean log-likelihood per column of the tissues seen: pixels that touch are no independent
witnesses. Chosen on synthetic heels that the network was not trained on."""
RECOGNISED_MM = (1.0, 17.0)
"""Part of the band in which they are compared."""
GROWTH_NEAR_MM, GROWTH_FAR_MM, GROWTH_PRICE = (2.5, 7.5), (12.5, 17.5), 2.0
"""Thickness declines away from the insertion (doi 10.1109/access.2019.2909409) or stays: where it
grows from one part of the band to the other, the price per mm."""
SAME_MM = 0.4
"""Bands whose borders are, on average, no further apart are one band, fitted from two outlines."""
TAIL = 0.025
"""Likelihood left out at either end of the thicknesses that may be right."""
TANGENT_MM = (2.0, 7.0)
"""Part of the deep border that is drawn on straight to the bone."""
MEETING_SD_MM, BONE_END_SD_MM, BONE_END_WORTH = 0.4, 0.7, 9.0
"""How far the deep border drawn on is from the bone at the insertion, how far the end of the bone's
line is from it, and the most that may speak for the latter: a spur, or a wall seen far down, ends
elsewhere. Tuned on synthetic heels."""
ALONG_MM = 1.5
"""Averaging along the band, standard deviation."""

SLOPE_PRICE, TAPER_PRICE = 0.7, 0.6
"""Of a border's moving by ``ROW_MM`` against its course from one column to the next, and of the
thickness changing so, against log odds per column. Tuned on synthetic heels (seeds 55000-55039
and others) and on another simulator's; from half to twice as much serves as well."""


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """Where both borders run on a band.

    Parameters
    ----------
    band : Band
        The strip they were found on.
    upper_px, lower_px : ndarray of float64, shape (columns,)
        Offsets from the centre line, work px, positive deep.
    gap : ndarray of bool, shape (columns,)
        Where the band is interrupted.
    doubt_px : ndarray of float64, shape (2, columns)
        How much thinner and how much thicker the band may be, by the other bands that might be
        right: 95 % of their likelihood.
    """

    band: Band
    upper_px: Floats
    lower_px: Floats
    gap: Bools
    doubt_px: Floats

    @property
    def thickness_px(self) -> Floats:
        """Distance between the borders along the band's normal, work px."""
        return self.lower_px - self.upper_px

    @property
    def middle_px(self) -> Floats:
        """Offset of the mid-line."""
        return (self.upper_px + self.lower_px) / 2

    def carried_to(self, band: Band) -> Course:
        """Return the same two curves as offsets on another band."""
        return Course(
            band,
            band.offsets_of(self.band.points(self.upper_px)),
            band.offsets_of(self.band.points(self.lower_px)),
            self._at(band, self.gap) > 0.5,
            np.stack([self._at(band, side) for side in self.doubt_px]),
        )

    def _at(self, band: Band, values: Floats | Bools) -> Floats:
        return np.interp(band.distance_mm, self.band.distance_mm, values)


@dataclass(frozen=True, slots=True, eq=False)
class BorderPair(Course):
    """Both borders as found in a picture.

    Parameters
    ----------
    upper_sd_px, lower_sd_px : ndarray of float64, shape (columns,)
        How sharply the picture places each border.
    upper_evidence, lower_evidence : ndarray of float64, shape (columns,)
        Border score at the border, -1 to 1; a tenth is a good line.
    """

    upper_sd_px: Floats
    lower_sd_px: Floats
    upper_evidence: Floats
    lower_evidence: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Fitted:
    """A band fitted to the picture, its insertion in work px, and the logarithm of its odds."""

    pair: BorderPair
    edge: tuple[float, float]
    score: float


def refine(
    strip: Strip, course: Course, pixel_mm: float, within_mm: float = REACH_MM
) -> BorderPair | None:
    """Move both borders, together and column by column, to the best evidence near a course.

    Two-surface dynamic programming over :func:`usguide.fascia.refinement.border_score`. What it
    adds is averaged along the band, because the picture's grain is coarser than its columns.

    Parameters
    ----------
    strip : Strip
        On the course's own band.
    course : Course
        Where the borders run.
    pixel_mm : float
        Nominal size of a work pixel.
    within_mm : float
        How far from the course they may be, at most ``REACH_MM``.
    """
    row_px = ROW_MM / pixel_mm
    thickness_mm = course.thickness_px * pixel_mm
    offsets: list[Floats] = [course.upper_px, course.lower_px]
    windows: list[Image] = []
    for offset, deep in zip(offsets, (False, True), strict=True):
        score = border_score(
            strip, offset * pixel_mm, thickness_mm, course.gap, pixel_mm, deep=deep
        )
        beyond = (len(score) - 1) // 2 - round(within_mm / ROW_MM)
        windows.append(score[beyond : len(score) - beyond])
    reach, height, columns = len(windows[0]) // 2, 2 * len(windows[0]), len(thickness_mm)
    # Each border is searched on its own few rows about the course, stacked to one image.
    cost = np.full((2, height, columns), np.inf, dtype=np.float32)
    cost[0, : height // 2] = -windows[0]
    cost[1, height // 2 :] = -windows[1]
    # A gap of n rows here is a thickness of (course + (n - stacked) rows).
    least = np.ceil(THIN_MM / ROW_MM - course.thickness_px / row_px) + height // 2
    found = two_surfaces(
        cost[0],
        cost[1],
        None,
        np.clip(least, 1, height - 1).astype(np.int64),
        height - 1,
        joint_step_prices(1, SLOPE_PRICE, TAPER_PRICE),
    )
    if not np.isfinite(found.cost):
        return None
    moved: list[Floats] = []
    spread: list[Floats] = []
    for at, (rows, window) in enumerate(zip((found.upper, found.lower), windows, strict=True)):
        shift = refine_rows(-window, rows - at * (height // 2)) - reach
        moved.append(offsets[at] + row_px * ndimage.gaussian_filter1d(shift, ALONG_MM / COLUMN_MM))
        spread.append(row_px * sharpness(window))
    levels = smoothed_along(strip.levels, ALONG_MM)
    evidence = [
        _evidence(score, strip, offset)
        for score, offset in zip(
            (line_score(strip.levels), drop_score(levels, FINE_STEP_MM)), moved, strict=True
        )
    ]
    return BorderPair(
        strip.band,
        moved[0],
        moved[1],
        course.gap,
        course.doubt_px,
        spread[0],
        spread[1],
        *evidence,
    )


def _evidence(score: Image, strip: Strip, offset_px: Floats) -> Floats:
    """Highest score within a tenth of a millimetre of a curve on the strip, per column."""
    rows = (offset_px - strip.rows_px[0]) / (strip.rows_px[1] - strip.rows_px[0])
    near = np.clip(np.rint(rows).astype(np.int64) + np.array([[-1], [0], [1]]), 0, len(score) - 1)
    return np.asarray(score[near, np.arange(len(offset_px))].max(axis=0), dtype=np.float64)


def sharpness(window: Image) -> Floats:
    """Spread, in rows, of where a border may be given its log odds, per column.

    Parameters
    ----------
    window : ndarray of float32, shape (rows, columns)
        Log odds of every place searched.
    """
    rows = np.arange(len(window))[:, None]
    weight = np.exp(window - window.max(axis=0))
    weight /= weight.sum(axis=0)
    mean = (weight * rows).sum(axis=0)
    return np.asarray(np.sqrt((weight * (rows - mean) ** 2).sum(axis=0)), dtype=np.float64)


def insertion(surface: Surface, deep_mm: Floats) -> float:
    """Find where the deep border leaves the bone, along the strip from the end of the bone's line.

    The bone goes on past its front lower edge, down its front wall, so its line alone does not
    say where the edge is; but there it meets the fascia's deep border, drawn on straight because
    the bone's echo hides where it begins. Where the two run at a small angle to each other, where
    they meet is uncertain, and the end of the bone's line says more: what is returned is the most
    likely place given both.

    Parameters
    ----------
    surface : Surface
        The bone.
    deep_mm : ndarray of float64, shape (n, 2)
        Points of the deep border in the surface's coordinates, ``TANGENT_MM`` of it from clear
        of the bone on.
    """
    slope, start = np.polyfit(deep_mm[:, 0], deep_mm[:, 1], 1)
    top = int(np.argmin(surface.down_mm))
    along, down = surface.along_mm[top:], surface.down_mm[top:]
    apart = (down - start - slope * along) / MEETING_SD_MM
    unusual = np.minimum((along / BONE_END_SD_MM) ** 2, BONE_END_WORTH)
    return float(along[np.argmin(apart**2 + unusual)])


def find_borders(
    levels: Image, bone: Bone, pixel_mm: float
) -> tuple[BorderPair, tuple[float, float]] | None:
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
    (BorderPair, (float, float)) or None
        The borders, and the insertion, (x, y) in work px.
    """
    upright = upright_band(bone.edge, levels.shape[1], pixel_mm)
    if upright.distance_mm[-1] < BAND_MIN_MM:
        return None
    fields = Fields.of(Strip.cut(levels, upright, UPRIGHT_ROWS_MM, pixel_mm))
    surface = Surface.of(bone, pixel_mm)
    tried = outlines(fields, surface, pixel_mm, (THICKNESS_MIN_MM, THICKNESS_MAX_MM), OUTLINES)
    tissues = Tissues.of(fields.strip.levels)
    fitted = [
        one
        for outline in tried
        if (one := _fitted(levels, fields, surface, outline, tissues, pixel_mm)) is not None
    ]
    # A single bright line has clear borders on both sides, and is no band.
    fitted = [one for one in fitted if not _is_line(one.pair, pixel_mm)] or fitted
    if not fitted:
        return None
    best = max(fitted, key=lambda one: one.score)
    return replace(_consensus(best, fitted, pixel_mm), doubt_px=_doubt(best, fitted)), best.edge


def _consensus(best: _Fitted, fitted: list[_Fitted], pixel_mm: float) -> BorderPair:
    """Average the likeliest band with those that are hardly different, by their likelihood.

    Which of them is the best by a hair depends on the picture's grain, and on how it was cut.
    """
    band = best.pair.band
    judged = (band.distance_mm >= RECOGNISED_MM[0]) & (band.distance_mm <= RECOGNISED_MM[1])
    borders = np.stack([best.pair.upper_px, best.pair.lower_px])
    total, sum_px = 1.0, borders.copy()
    for one in fitted:
        if one is best:
            continue
        course = one.pair.carried_to(band)
        other = np.stack([course.upper_px, course.lower_px])
        apart = np.abs(other - borders)[:, judged].mean(axis=1).max() * pixel_mm
        if apart < SAME_MM:
            odds = float(np.exp(one.score - best.score))
            total, sum_px = total + odds, sum_px + odds * other
    upper_px, lower_px = sum_px / total
    return replace(best.pair, upper_px=upper_px, lower_px=lower_px)


def _is_line(pair: BorderPair, pixel_mm: float) -> bool:
    distance = pair.band.distance_mm
    judged = (distance >= LINE_JUDGED_MM[0]) & (distance <= LINE_JUDGED_MM[1])
    thickness = pair.thickness_px[judged] * pixel_mm
    return bool(thickness.size) and float(np.median(thickness)) < LINE_MM


def _doubt(best: _Fitted, fitted: list[_Fitted]) -> Floats:
    """How much thinner and thicker the bands are that might be right, shape (2, columns).

    Per column, the thickness below and the one above which ``TAIL`` of the likelihood lies.
    """
    distance = best.pair.band.distance_mm
    odds = np.exp([one.score - best.score for one in fitted])
    thickness = np.stack(
        [np.interp(distance, one.pair.band.distance_mm, one.pair.thickness_px) for one in fitted]
    )
    order = np.argsort(thickness, axis=0)
    thickness = np.take_along_axis(thickness, order, axis=0)
    below = np.cumsum(odds[order], axis=0) / odds.sum()
    columns = np.arange(len(distance))
    least = thickness[np.argmax(below >= TAIL, axis=0), columns]
    most = thickness[np.argmax(below >= 1.0 - TAIL, axis=0), columns]
    best_px = best.pair.thickness_px
    return np.stack([np.maximum(best_px - least, 0.0), np.maximum(most - best_px, 0.0)])


def _fitted(
    levels: Image,
    fields: Fields,
    surface: Surface,
    outline: Outline,
    tissues: Tissues,
    pixel_mm: float,
) -> _Fitted | None:
    """Fit an outline to the picture: smooth corrections first, then column by column."""
    upright = fields.strip.band
    bone_end = upright.at(0.0, 0.0, pixel_mm)
    edge = upright.at(outline.insertion_mm, surface.down_at(outline.insertion_mm), pixel_mm)
    band = straightened(upright, outline.deep_mm / pixel_mm, edge, pixel_mm)
    laid = Strip.cut(levels, band, OUTLINE_ROWS_MM, pixel_mm)
    along_mm = upright.distance_mm - outline.insertion_mm
    gap = np.interp(band.distance_mm, along_mm, outline.gap) > 0.5
    laid = replace(laid, levels=bridged(laid.levels, gap))
    thickness_mm = np.interp(band.distance_mm, along_mm, outline.thickness_mm)
    deep_mm = fit_deep(laid, pixel_mm, np.zeros(len(thickness_mm)))
    fit = SuperficialFit(laid, pixel_mm)
    thickness_mm = fit.corrected(thickness_mm)
    course = Course(
        band, -thickness_mm / pixel_mm, deep_mm / pixel_mm, gap, np.zeros((2, len(thickness_mm)))
    )
    clear = (band.distance_mm >= TANGENT_MM[0]) & (band.distance_mm <= TANGENT_MM[1])
    if np.count_nonzero(clear) > 2:
        deep = (band.points(course.lower_px)[clear] - bone_end) * pixel_mm
        start = insertion(surface, deep)
        edge = upright.at(start, surface.down_at(start), pixel_mm)
    band = straightened(band, course.middle_px, edge, pixel_mm)
    course = course.carried_to(band)
    pair = refine(Strip.cut(levels, band, STRIP_ROWS_MM, pixel_mm), course, pixel_mm)
    if pair is None:
        return None
    upper_mm, lower_mm = (
        upright.offsets_of(pair.band.points(offset)) * pixel_mm
        for offset in (pair.upper_px, pair.lower_px)
    )
    start_mm = (edge[0] - bone_end[0]) * pixel_mm
    again = score_of(fields, surface, lower_mm, upper_mm, start_mm, pixel_mm)
    tissue = fit.worth(thickness_mm)
    ahead_mm = upright.distance_mm - start_mm
    judged = (ahead_mm >= RECOGNISED_MM[0]) & (ahead_mm <= RECOGNISED_MM[1]) & ~outline.gap
    rows = (np.stack([upper_mm, lower_mm]) - UPRIGHT_ROWS_MM[0]) / ROW_MM
    seen = tissues.worth(rows[:, judged], np.flatnonzero(judged))
    score = WORTH_OF_EVIDENCE * again + WORTH_OF_TISSUE * tissue + WORTH_OF_RECOGNITION * seen
    return _Fitted(pair, edge, score - GROWTH_PRICE * max(_growth_mm(pair, pixel_mm), 0.0))


def _growth_mm(pair: BorderPair, pixel_mm: float) -> float:
    """How much thicker the band is far from the insertion than near it; 0 where not seen so far."""
    distance, thickness = pair.band.distance_mm, pair.thickness_px * pixel_mm
    near, far = (
        thickness[(distance >= first) & (distance <= last)]
        for first, last in (GROWTH_NEAR_MM, GROWTH_FAR_MM)
    )
    return float(far.mean() - near.mean()) if near.size and far.size else 0.0
