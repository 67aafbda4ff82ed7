"""Both borders of the fascia at once, on a picture straightened along the band.

The superficial border is a bright line or a step either way (normal fascia is brighter than the
fat above or equal to it, diseased fascia darker); the deep border is a step down, from fascia to
muscle. Neither is unique in its column: fat septa, fibrils and perimysium are bright lines too.
What singles the fascia out is that both borders start at the bone's front edge and run on side by
side, and that the tissue between them is of one kind (:mod:`usguide.fascia.texture`). So they are
searched together: first on the upright picture, from edges alone; then along the band found, with
what that band has taught about the tissues.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from usguide.fascia.outline import outline
from usguide.fascia.straighten import (
    COLUMN_MM,
    ROW_MM,
    Band,
    Strip,
    held_to_bone,
    smoothed_along,
    straightened,
    upright_band,
)
from usguide.fascia.texture import TissueModel, features
from usguide.fascia.workspace import Image
from usguide.kernels.surfaces import joint_step_prices, refine_rows, two_surfaces
from usguide.model import Floats

# Lengths in nominal mm.
THICKNESS_MIN_MM, THICKNESS_MAX_MM = 1.0, 9.0
"""Beyond any reported fascia: controls 2-4 mm, patients +2.2 mm (doi 10.1186/1757-1146-2-32)."""
ANCHOR_MM = 1.2
"""How far from the bone's front edge the deep border may start."""
REFINE_MM = 0.3
BAND_MIN_MM = 6.0
UPRIGHT_ROWS_MM = (-14.0, 10.0)
"""Rows first searched about the bone's edge: the thickest fascia, tilted by 15-20 degrees."""
OUTLINE_ROWS_MM = (-13.5, 2.0)
"""Rows about a first lower border, from which the outline is taken."""
STRIP_ROWS_MM = (-THICKNESS_MAX_MM / 2 - 2.5, THICKNESS_MAX_MM / 2 + 2.5)
WITHIN_MM = (1.2, 0.8)
"""How far from the outline, and then from the borders found by it, the borders may be."""

# Prices are per column of ``COLUMN_MM``, where a perfect border is worth 1. Tuned on
# fascia_normal and synthetic heels.
THICKNESS_PRICE = 0.03
"""Per mm of thickness: breaks ties towards the thinner band."""
SLOPE_PRICE = 0.5
"""Times the squared slope of each border against the strip."""
TAPER_PRICE = 3.0
"""Times the squared change of thickness per length: the profile declines smoothly over centimetres
(doi 10.1109/access.2019.2909409), fusiform swelling included."""
TISSUE_PRICE = 0.7
"""Per mm of tissue that looks as unlike its class as one unit of log-likelihood ratio."""


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """Where both borders run on a band.

    Parameters
    ----------
    band : Band
        The strip they were found on.
    upper_px, lower_px : ndarray of float64, shape (columns,)
        Offsets from the centre line, work px, positive deep.
    """

    band: Band
    upper_px: Floats
    lower_px: Floats

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
        )


@dataclass(frozen=True, slots=True, eq=False)
class BorderPair(Course):
    """Both borders as found in a picture.

    Parameters
    ----------
    upper_sd_px, lower_sd_px : ndarray of float64, shape (columns,)
        How sharply the picture places each border.
    upper_evidence, lower_evidence : ndarray of float64, shape (columns,)
        Border score at the border, -1 to 1.
    """

    upper_sd_px: Floats
    lower_sd_px: Floats
    upper_evidence: Floats
    lower_evidence: Floats


def border_scores(strip: Image) -> tuple[Image, Image]:
    """Score every pixel of a strip as superficial and as deep border, -1 to 1.

    Both are squashed against what is usual in the strip, so that gain and contrast do not matter
    and no single glint outweighs a faint but continuous line.
    """
    fine = 0.2 / ROW_MM
    line = -ndimage.gaussian_filter1d(strip, fine, axis=0, order=2, mode="nearest") * fine**2
    wide = 0.5 / ROW_MM
    step = ndimage.gaussian_filter1d(strip, wide, axis=0, order=1, mode="nearest") * wide
    line, step = _squashed(line), _squashed(step)
    upper = np.maximum(line, 0.8 * np.abs(step))
    return upper.astype(np.float32), (-step).astype(np.float32)


def _squashed(feature: Image) -> Image:
    scale = 2.0 * float(np.median(np.abs(feature))) + 0.01
    return np.asarray(np.tanh(feature / scale))


def search(
    strip: Strip,
    pixel_mm: float,
    *,
    bone_offset_px: Floats,
    tissue: TissueModel | None,
    along_mm: float = 1.0,
    stride: int = 1,
    max_step: int = 1,
    near: tuple[Course, float] | None = None,
) -> BorderPair | None:
    """Find both borders on a straightened strip.

    Parameters
    ----------
    strip : Strip
        Where to look.
    pixel_mm : float
        Nominal size of a work pixel.
    bone_offset_px : ndarray of float64, shape (columns,)
        Bone surface behind its front edge and the edge at the insertion, NaN elsewhere; the deep
        border is held to it.
    tissue : TissueModel or None
        What fat, fascia and muscle look like, where that is known.
    along_mm : float
        How far the borders are averaged along the band, standard deviation.
    stride : int
        Rows per row of the search grid.
    max_step : int
        Greatest change of grid row between neighbouring columns.
    near : (Course, float), optional
        Borders on the same columns, and how many mm from them the new ones may be.
    """
    band, rows_px = strip.band, strip.rows_px
    upper_score, lower_score = border_scores(smoothed_along(strip.levels, along_mm))
    upper_cost, lower_cost = -upper_score, -lower_score
    held = np.isfinite(bone_offset_px)
    away_mm = (rows_px[:, None] - bone_offset_px[held]) * pixel_mm
    lower_cost[:, held] = np.minimum((away_mm / ANCHOR_MM) ** 2, 9.0) - 1.0
    upper_cost[:, band.distance_mm < 0] *= 0.5  # the fascia need not reach over the bone
    upper_path, lower_path = upper_cost, lower_cost
    if tissue is not None:
        # What lies above the upper border is fat, below it fascia; below the lower one, muscle.
        values = features(strip.levels)
        price = np.float32(TISSUE_PRICE * ROW_MM)
        upper_path = upper_cost + price * np.cumsum(tissue.against_fat(values), axis=0)
        against_muscle = tissue.against_muscle(values)
        against_muscle[:, held] = 0.0
        lower_path = lower_cost - price * np.cumsum(against_muscle, axis=0)
    if near is not None:
        before, wander_mm = near
        for cost, border in ((upper_path, before.upper_px), (lower_path, before.lower_px)):
            cost[np.abs(rows_px[:, None] - border) * pixel_mm > wander_mm] = np.inf
    grid_mm = ROW_MM * stride
    slope = grid_mm / COLUMN_MM  # of a step of one grid row per column
    # The search grid keeps the best score of each group of rows, so that thin lines survive.
    pooled_upper, pooled_lower = _pooled(upper_path, stride), _pooled(lower_path, stride)
    gap_min = np.where(band.distance_mm < 0, 0.3, THICKNESS_MIN_MM) / grid_mm
    gap_max = min(round(THICKNESS_MAX_MM / grid_mm), pooled_upper.shape[0] - 1)
    if gap_max <= gap_min.max():
        return None
    found = two_surfaces(
        pooled_upper,
        pooled_lower,
        np.full(pooled_upper.shape, THICKNESS_PRICE * grid_mm, dtype=np.float32),
        np.maximum(np.rint(gap_min), 1).astype(np.int64),
        gap_max,
        joint_step_prices(max_step, SLOPE_PRICE * slope**2, TAPER_PRICE * slope**2),
    )
    if not np.isfinite(found.cost):
        return None
    # The tissues decide which line is the border; where on the line, the line alone.
    reach = max(stride, round(REFINE_MM / ROW_MM))
    upper = refine_rows(upper_cost, found.upper * stride + stride // 2, reach=reach)
    lower = refine_rows(lower_cost, found.lower * stride + stride // 2, reach=reach)
    columns = np.arange(len(band.distance_mm))
    at = [np.clip(np.rint(r).astype(int), 0, len(rows_px) - 1) for r in (upper, lower)]
    row_px = ROW_MM / pixel_mm
    return BorderPair(
        band,
        rows_px[0] + upper * row_px,
        rows_px[0] + lower * row_px,
        sharpness(upper_score, upper) * row_px,
        sharpness(lower_score, lower) * row_px,
        upper_score[at[0], columns].astype(np.float64),
        lower_score[at[1], columns].astype(np.float64),
    )


def _pooled(cost: Image, stride: int) -> Image:
    rows = cost.shape[0] // stride * stride
    return np.ascontiguousarray(cost[:rows].reshape(-1, stride, cost.shape[1]).min(axis=1))


def sharpness(score: Image, rows: Floats) -> Floats:
    """Spread, in rows, of where each border may be given its score profile.

    The standard deviation of ``exp(score / 0.2)`` over the 1 mm on either side of the border.
    """
    reach = round(1.0 / ROW_MM)
    offsets = np.arange(-reach, reach + 1)
    window = np.rint(rows).astype(int) + offsets[:, None]
    inside = (window >= 0) & (window < score.shape[0])
    nearby = score[np.clip(window, 0, score.shape[0] - 1), np.arange(score.shape[1])]
    weight = np.exp((nearby - nearby.max(axis=0)) / 0.2) * inside
    return np.asarray(np.sqrt((weight * offsets[:, None] ** 2).sum(axis=0) / weight.sum(axis=0)))


def find_borders(
    levels: Image, edge: tuple[float, float], bone: tuple[Floats, Floats], pixel_mm: float
) -> tuple[BorderPair, TissueModel] | None:
    """Find the fascia's borders from the bone's front edge onwards.

    Parameters
    ----------
    levels : ndarray of float32, shape (rows, columns)
        Normalised work picture, the bone's front towards the right.
    edge : (float, float)
        The bone's front lower edge, (x, y) in work px.
    bone : (x, y) of ndarray of float64
        Its surface.
    pixel_mm : float
        Nominal size of a work pixel.
    """
    band = upright_band(edge, levels.shape[1], pixel_mm)
    if len(band.distance_mm) < BAND_MIN_MM / COLUMN_MM:
        return None
    strip = Strip.cut(levels, band, UPRIGHT_ROWS_MM, pixel_mm)
    pair = search(
        strip,
        pixel_mm,
        bone_offset_px=held_to_bone(band, bone),
        tissue=None,
        along_mm=0.75,
        stride=2,
        max_step=2,
    )
    if pair is None:
        return None
    # From edges alone the lower border is right, and the upper one often a fibril or a septum.
    band = straightened(band, pair.lower_px, edge, pixel_mm)
    strip = Strip.cut(levels, band, OUTLINE_ROWS_MM, pixel_mm)
    thickness_mm = outline(strip, pixel_mm, (THICKNESS_MIN_MM, THICKNESS_MAX_MM))
    if thickness_mm is None:
        return None
    lower = np.zeros(len(thickness_mm))
    upper = -thickness_mm / pixel_mm
    tissue = None
    for within_mm in WITHIN_MM:
        guess = Course(band, upper, lower)
        band = straightened(band, guess.middle_px, edge, pixel_mm)
        guess = guess.carried_to(band)
        strip = Strip.cut(levels, band, STRIP_ROWS_MM, pixel_mm)
        tissue = learn_tissue(strip, guess, pixel_mm)
        pair = search(
            strip,
            pixel_mm,
            bone_offset_px=held_to_bone(band, bone),
            tissue=tissue,
            near=(guess, within_mm),
        )
        if pair is None:
            return None
        upper, lower = pair.upper_px, pair.lower_px
    return None if tissue is None else (pair, tissue)


def learn_tissue(strip: Strip, borders: Course, pixel_mm: float) -> TissueModel:
    """Learn what fat, fascia and muscle look like on either side of borders on a strip."""
    rows_mm = strip.rows_px[:, None] * pixel_mm
    above_upper = borders.upper_px * pixel_mm - rows_mm
    below_lower = rows_mm - borders.lower_px * pixel_mm
    ahead = strip.band.distance_mm >= 0
    return TissueModel.learn(
        features(strip.levels),
        ahead & (below_lower < -0.3) & (above_upper < -0.3),
        ahead & (above_upper > 0.3) & (above_upper < 3.0),
        ahead & (below_lower > 0.5) & (below_lower < 3.0),
    )
