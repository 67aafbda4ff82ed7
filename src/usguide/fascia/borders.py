"""Both borders of the fascia, on a picture straightened along the band.

The superficial border is a bright line or a step either way (normal fascia is brighter than the
fat above or equal to it, diseased fascia darker); the deep border is a step down, from fascia to
muscle. Neither is unique in its column: fat septa, fibrils and perimysium are bright lines too.
What singles the fascia out is that both borders start at the bone's front edge and run on side by
side, smoothly, with tissue of one kind between them. So the search goes from the whole to the
part: an outline judged over the whole length (:mod:`usguide.fascia.outline`), smooth corrections
of it (:mod:`usguide.fascia.fitting`), and at last both borders together, column by column, within
a fraction of a millimetre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from usguide.fascia.fitting import (
    DEEP_LINE_WEIGHT,
    SuperficialFit,
    drop_score,
    fit_deep,
    line_score,
)
from usguide.fascia.outline import deep_arc, outlines
from usguide.fascia.straighten import (
    COLUMN_MM,
    ROW_MM,
    Band,
    Strip,
    smoothed_along,
    straightened,
    upright_band,
)
from usguide.fascia.workspace import Image
from usguide.kernels.surfaces import joint_step_prices, refine_rows, two_surfaces
from usguide.model import Floats

# Lengths in nominal mm.
THICKNESS_MIN_MM, THICKNESS_MAX_MM = 1.4, 9.0
"""At the insertion; beyond any reported fascia: controls 2-4 mm, patients +2.2 mm
(doi 10.1186/1757-1146-2-32)."""
LINE_MM = 1.2
"""A band thinner than this along most of its length is a single bright line."""
THIN_MM = 0.7
"""Least thickness anywhere along the band."""
BAND_MIN_MM = 6.0
UPRIGHT_ROWS_MM = (-14.0, 10.0)
"""Rows first searched about the bone's edge: the thickest fascia, tilted by 15-20 degrees."""
OUTLINE_ROWS_MM = (-13.5, 2.0)
"""Rows about a first lower border, from which the outline is taken."""
STRIP_ROWS_MM = (-THICKNESS_MAX_MM / 2 - 2.5, THICKNESS_MAX_MM / 2 + 2.5)
WITHIN_MM = 0.4
"""How far a border may be, in any column, from the smooth curve fitted to all of it."""

OUTLINES = 5
"""Outlines that are fitted before one is chosen."""
TANGENT_COLUMNS = 8
BONE_TANGENT_MM, BONE_LOST_MM = 2.5, 2.0
"""Length that gives the bone's last direction, and how far it is followed unseen."""
ALONG_MM = 1.5
"""Averaging along the band, standard deviation."""

# Prices are per column of ``COLUMN_MM``, where a perfect border is worth 1. Tuned on synthetic
# heels (seeds 0-19, 100-119).
SLOPE_PRICE = 4.0
"""Times the squared slope of each border against its course."""
TAPER_PRICE = 12.0
"""Times the squared change of thickness per length against the course."""


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """Where both borders run on a band.

    Parameters
    ----------
    band : Band
        The strip they were found on.
    upper_px, lower_px : ndarray of float64, shape (columns,)
        Offsets from the centre line, work px, positive deep.
    doubt_px : ndarray of float64, shape (columns,)
        Standard deviation of the thickness over all the outlines that might be right.
    """

    band: Band
    upper_px: Floats
    lower_px: Floats
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
            np.interp(band.distance_mm, self.band.distance_mm, self.doubt_px),
        )


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


def refine(strip: Strip, course: Course, pixel_mm: float) -> BorderPair | None:
    """Move both borders, together and column by column, to the best evidence near a course.

    Two-surface dynamic programming within ``WITHIN_MM`` of the course. What it adds is averaged
    along the band, because the picture's grain is coarser than its columns.

    Parameters
    ----------
    strip : Strip
        On the course's own band.
    course : Course
        Where the borders run, as smooth curves.
    pixel_mm : float
        Nominal size of a work pixel.
    """
    levels = smoothed_along(strip.levels, ALONG_MM)
    lines, drops = line_score(strip.levels), drop_score(levels)
    deep = (drops + DEEP_LINE_WEIGHT * lines) / (1 + DEEP_LINE_WEIGHT)
    scores: list[Image] = [lines, np.asarray(deep, dtype=np.float32)]
    # Each border is searched on its own few rows about the course, stacked to one image.
    reach = round(WITHIN_MM / ROW_MM)
    row_px = ROW_MM / pixel_mm
    shifts = np.arange(-reach, reach + 1)
    columns = np.arange(len(course.upper_px))
    offsets: list[Floats] = [course.upper_px, course.lower_px]
    windows: list[Image] = []
    for score, offset in zip(scores, offsets, strict=True):
        rows = (offset - strip.rows_px[0]) / row_px + shifts[:, None]
        whole = np.clip(np.floor(rows).astype(np.int64), 0, len(score) - 2)
        share = np.clip(rows - whole, 0.0, 1.0)
        windows.append(
            (score[whole, columns] * (1 - share) + score[whole + 1, columns] * share).astype(
                np.float32
            )
        )
    height = 2 * len(shifts)
    cost = np.full((2, height, len(columns)), np.inf, dtype=np.float32)
    cost[0, : len(shifts)] = -windows[0]
    cost[1, len(shifts) :] = -windows[1]
    # A gap of n rows here is a thickness of (course + (n - stacked) rows).
    least = np.ceil(THIN_MM / ROW_MM - course.thickness_px / row_px) + len(shifts)
    slope = ROW_MM / COLUMN_MM
    found = two_surfaces(
        cost[0],
        cost[1],
        None,
        np.clip(least, 1, height - 1).astype(np.int64),
        height - 1,
        joint_step_prices(1, SLOPE_PRICE * slope**2, TAPER_PRICE * slope**2),
    )
    if not np.isfinite(found.cost):
        return None
    moved: list[Floats] = []
    spread: list[Floats] = []
    evidence: list[Floats] = []
    for at, (rows, window) in enumerate(zip((found.upper, found.lower), windows, strict=True)):
        near = rows - at * len(shifts)
        shift = refine_rows(-window, near) - reach
        moved.append(offsets[at] + row_px * ndimage.gaussian_filter1d(shift, ALONG_MM / COLUMN_MM))
        spread.append(row_px * sharpness(window))
        evidence.append(window[near, columns].astype(np.float64))
    return BorderPair(
        strip.band, moved[0], moved[1], course.doubt_px, spread[0], spread[1], *evidence
    )


def sharpness(window: Image) -> Floats:
    """Spread, in rows, of where a border may be given its score profile, per column.

    The standard deviation of ``exp(score / 0.2)`` over the window searched.
    """
    rows = np.arange(len(window))[:, None]
    weight = np.exp((window - window.max(axis=0)) / 0.2)
    weight /= weight.sum(axis=0)
    mean = (weight * rows).sum(axis=0)
    return np.asarray(np.sqrt((weight * (rows - mean) ** 2).sum(axis=0)), dtype=np.float64)


def insertion(bone: tuple[Floats, Floats], deep: Floats, pixel_mm: float) -> tuple[float, float]:
    """Find where the deep border leaves the bone.

    The bone goes on past its front lower edge, down its front wall, so its line alone does not
    say where the edge is; but there it passes from above the fascia's deep border to below it.

    Parameters
    ----------
    bone : (x, y) of ndarray of float64
        Surface, work px, the front towards the right.
    deep : ndarray of float64, shape (n, 2)
        Deep border, (x, y) in work px, from behind the edge on.
    pixel_mm : float
        Nominal size of a work pixel.
    """
    x, y = bone
    ahead = deep[deep[:, 0] >= x[-1]]
    if len(ahead) < 2:
        return float(x[-1]), float(y[-1])
    # Behind the end of the bone's line the border is drawn on straight.
    line = np.polyfit(ahead[:TANGENT_COLUMNS, 0], ahead[:TANGENT_COLUMNS, 1], 1)
    above = np.flatnonzero(y <= np.polyval(line, x))
    at = int(above[-1]) if above.size else len(x) - 1
    if at < len(x) - 1 or len(x) < 3:
        return float(x[at]), float(y[at])
    # The bone's line was lost before it came down to the border: go on in its last direction.
    last = x >= x[-1] - BONE_TANGENT_MM / pixel_mm
    fall = float(np.polyfit(x[last], y[last], 1)[0])
    approach = max(fall - line[0], 0.1)
    onward = min((np.polyval(line, x[-1]) - y[-1]) / approach, BONE_LOST_MM / pixel_mm)
    return float(x[-1] + onward), float(y[-1] + max(fall, 0.0) * onward)


def find_borders(
    levels: Image, bone: tuple[Floats, Floats], pixel_mm: float
) -> tuple[BorderPair, tuple[float, float]] | None:
    """Find the fascia's borders from the bone's front edge onwards.

    Parameters
    ----------
    levels : ndarray of float32, shape (rows, columns)
        Normalised work picture, the bone's front towards the right.
    bone : (x, y) of ndarray of float64
        The bone's surface, work px; it may run on past the front lower edge.
    pixel_mm : float
        Nominal size of a work pixel.

    Returns
    -------
    (BorderPair, (float, float)) or None
        The borders, and the insertion, (x, y) in work px.
    """
    edge = float(bone[0][-1]), float(bone[1][-1])
    band = upright_band(edge, levels.shape[1], pixel_mm)
    if len(band.distance_mm) < BAND_MIN_MM / COLUMN_MM:
        return None
    strip = Strip.cut(levels, band, UPRIGHT_ROWS_MM, pixel_mm)
    deep_mm = fit_deep(strip, pixel_mm, deep_arc(strip, pixel_mm))
    edge = insertion(bone, band.points(deep_mm / pixel_mm), pixel_mm)
    band = straightened(band, deep_mm / pixel_mm, edge, pixel_mm)
    strip = Strip.cut(levels, band, OUTLINE_ROWS_MM, pixel_mm)
    tried = outlines(strip, pixel_mm, (THICKNESS_MIN_MM, THICKNESS_MAX_MM))
    if tried is None:
        return None
    fit = SuperficialFit(strip, pixel_mm)
    fitted = [(score, fit.corrected(thickness)) for score, thickness in tried.best(OUTLINES)]
    if not fitted:
        return None
    # A fibril or a septum fitted on both its sides is no band, as long as there is another one.
    fitted = [one for one in fitted if np.median(one[1]) > LINE_MM] or fitted
    _, thickness_mm = max(fitted, key=lambda one: one[0] + fit.worth(one[1]))
    course = Course(
        band,
        -thickness_mm / pixel_mm,
        np.zeros(len(thickness_mm)),
        tried.doubt(thickness_mm) / pixel_mm,
    )
    band = straightened(band, course.middle_px, edge, pixel_mm)
    course = course.carried_to(band)
    pair = refine(Strip.cut(levels, band, STRIP_ROWS_MM, pixel_mm), course, pixel_mm)
    return None if pair is None else (pair, edge)
