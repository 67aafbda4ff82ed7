"""Where the deep border may run: arcs that leave the calcaneus, judged on their own evidence.

The deep border starts on the bone. An arc that passes over the bone's top cannot be it, however
sharp a step it is, and that alone rules out the superficial border, usually the sharper of the two
in a diseased fascia. Where an arc meets the bone is its insertion.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from usguide.fascia.border_scores import drop_score, line_score
from usguide.fascia.calcaneus import Bone
from usguide.fascia.gaps import REACH_MM, interrupted
from usguide.fascia.straighten import COLUMN_MM, ROW_MM, Band, Strip, smoothed_along
from usguide.fascia.workspace import Image
from usguide.model import Bools, Floats

# Lengths in nominal mm.
CLEAR_OF_BONE_MM = 1.5
"""Past the insertion the front wall of the bone still glows under the border."""
JUDGED_MM = 22.0
LENGTH_MIN_MM = 5.0
PIVOT_MM = 6.0
HEIGHTS_MM: Floats = np.arange(-6.0, 6.01, 0.3)
"""Of the arc over the bone's end, ``PIVOT_MM`` ahead of it."""
TILTS_DEG: Floats = np.arange(-18.0, 22.1, 2.0)
BENDS_DEG: Floats = np.arange(-10.0, 10.1, 5.0)
"""Change of direction over 30 mm."""
FIBRILS_MM = (0.7, 1.4)
"""Where above the arc the fibrils' direction is read."""
BAND_MM, OVERLYING_MM = (0.2, 1.2), (8.0, 11.0)
"""Where above the arc the band is looked for, of which a rupture leaves none, and the fat over any
band."""
DIFFERENT_MM = 0.4
BONE_POINTS = 80
BONE_TANGENT_MM, BONE_UNSEEN_MM = 2.5, 4.0
"""Length that gives the bone's last direction, and how far it is drawn on unseen."""
FRONT_SLOPE = (0.35, 1.5)
"""Slope of the unseen front wall, tangent: 20 to 56 degrees."""
LATE_MM = 0.5
"""How far before or after the end of the bone's line an insertion is no surprise."""
FIRST_WEIGHTS: Floats = np.array([1.0, 0.3, 1.0, -0.01, -0.01, -0.24, -0.2, -0.36])
"""Of an arc's evidence, to choose those worth a closer look."""


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """The under side of the bone from its top on, then its front wall, drawn on where unseen.

    Parameters
    ----------
    along_mm, down_mm : ndarray of float64, shape (n,)
        Position from the end of the bone's line, along a straight strip and down from it.
    """

    along_mm: Floats
    down_mm: Floats

    @classmethod
    def of(cls, bone: Bone, straight: Band, pixel_mm: float) -> Surface:
        """Take the surface from the bone's line, as it lies about a straight band from its end."""
        along, down = straight.seen_from(np.stack([bone.x, bone.y], axis=1), pixel_mm).T
        # Where it falls more steeply than the band's normal it does not turn back.
        along = np.maximum.accumulate(along)
        last = along >= -BONE_TANGENT_MM
        fall = FRONT_SLOPE[0]
        if np.count_nonzero(last) > 2:
            fall = float(np.clip(np.polyfit(along[last], down[last], 1)[0], *FRONT_SLOPE))
        unseen = np.arange(0.1, BONE_UNSEEN_MM, 0.1)
        return cls(np.append(along, unseen), np.append(down, fall * unseen))

    def down_at(self, along_mm: float) -> float:
        """Return how far down the surface lies at a position along it."""
        return float(np.interp(along_mm, self.along_mm, self.down_mm))


@dataclass(frozen=True, slots=True, eq=False)
class Arc:
    """A deep border tried.

    Parameters
    ----------
    offset_mm : ndarray of float64, shape (columns,)
        From the strip's centre line, positive deep.
    insertion_mm : float
        Where it meets the bone, along the strip.
    slope : float
        Its slope there.
    evidence : ndarray of float64, shape (8,)
        Mean step down and mean line along it, agreement with the fibrils above it, squared tilt
        and bend, and how surprising its insertion is: late, early, very early.
    gap : ndarray of bool, shape (columns,)
        Where there is no band over it, though there is on both sides: a rupture.
    """

    offset_mm: Floats
    insertion_mm: float
    slope: float
    evidence: Floats
    gap: Bools


@dataclass(frozen=True, slots=True, eq=False)
class Fields:
    """A strip, and what speaks for arcs in each of its pixels: the same for all arcs.

    Parameters
    ----------
    strip : Strip
        Straight, its centre line through the end of the bone's line.
    drop, line : ndarray of float32, shape (rows, columns)
        Step down and line, -1 to 1.
    cosine, sine : ndarray of float32, shape (rows, columns)
        Of twice the direction of lines, times their coherence.
    band, overlying : ndarray of float32, shape (rows, columns)
        Mean level ``BAND_MM`` and ``OVERLYING_MM`` above each pixel.
    """

    strip: Strip
    band: Image
    overlying: Image
    drop: Image
    line: Image
    cosine: Image
    sine: Image

    @classmethod
    def of(cls, strip: Strip) -> Fields:
        """Read a strip."""
        drop = drop_score(smoothed_along(strip.levels, 1.0))
        band, overlying = (_mean_above(strip.levels, part) for part in (BAND_MM, OVERLYING_MM))
        return cls(
            strip, band, overlying, drop, line_score(strip.levels), *_orientation(strip.levels)
        )


def deep_arcs(fields: Fields, surface: Surface, pixel_mm: float, count: int) -> list[Arc]:
    """Find arcs that leave the bone, drop in level and run along the fibrils above them.

    ``y = a + tan(b) (s - 6 mm) + c (s - 6 mm)^2 / 2`` over a fixed grid.

    Parameters
    ----------
    fields : Fields
        Of the strip.
    surface : Surface
        The bone.
    pixel_mm : float
        Nominal size of a work pixel.
    count : int
        How many clearly different arcs to return at most.
    """
    distance = fields.strip.band.distance_mm
    height, tilt, bend = (
        part.reshape(-1, 1) for part in np.meshgrid(HEIGHTS_MM, TILTS_DEG, BENDS_DEG, indexing="ij")
    )
    slope, curve = np.tan(np.radians(tilt)), np.radians(bend) / 30.0
    top = int(np.argmin(surface.down_mm))
    stride = max((len(surface.down_mm) - top) // BONE_POINTS, 1)
    along, down = surface.along_mm[top::stride], surface.down_mm[top::stride]
    over = along - PIVOT_MM
    above = down <= height + slope * over + curve * over**2 / 2
    meets = above[:, 0] & ~above[:, -1]
    insertion = along[len(along) - 1 - np.argmax(above[:, ::-1], axis=1)][:, None]
    used = (distance >= insertion + CLEAR_OF_BONE_MM) & (distance <= insertion + JUDGED_MM)
    keep = meets & (used.sum(axis=1) * COLUMN_MM >= LENGTH_MIN_MM)
    height, tilt, bend, slope, curve, insertion, used = (
        part[keep] for part in (height, tilt, bend, slope, curve, insertion, used)
    )
    if not len(height):
        return []
    over = distance - PIVOT_MM
    offset = height + slope * over + curve * over**2 / 2
    evidence, gap = _evidence(
        fields,
        offset,
        slope + curve * over,
        used,
        insertion[:, 0],
        tilt[:, 0],
        bend[:, 0],
        pixel_mm,
    )
    score = evidence @ FIRST_WEIGHTS
    start, slope_there = insertion[:, 0], slope + curve * (insertion - PIVOT_MM)
    near = offset[:, (distance >= 0) & (distance <= 20.0)]
    chosen: list[int] = []
    for at in np.argsort(-score):
        if all(np.abs(near[at] - near[other]).mean() > DIFFERENT_MM for other in chosen):
            chosen.append(int(at))
            if len(chosen) == count:
                break
    return [
        Arc(offset[at], float(start[at]), float(slope_there[at, 0]), evidence[at], gap[at])
        for at in chosen
    ]


def arc_of(fields: Fields, offset_mm: Floats, insertion_mm: float, pixel_mm: float) -> Arc:
    """Judge any curve as a deep border; ``offset_mm`` has shape (columns,)."""
    distance = fields.strip.band.distance_mm
    used = (distance >= insertion_mm + CLEAR_OF_BONE_MM) & (distance <= insertion_mm + JUDGED_MM)
    curve, slope, _ = np.polyfit(distance[used] - PIVOT_MM, offset_mm[used], 2)
    bend = np.degrees(2 * curve) * 30.0
    evidence, gap = _evidence(
        fields,
        offset_mm[None],
        np.gradient(offset_mm, COLUMN_MM)[None],
        used[None],
        np.array([insertion_mm]),
        np.degrees(np.arctan([slope])),
        np.array([bend]),
        pixel_mm,
    )
    slope += 2 * curve * (insertion_mm - PIVOT_MM)
    return Arc(offset_mm, insertion_mm, float(slope), evidence[0], gap[0])


def _mean_above(levels: Image, part_mm: tuple[float, float]) -> Image:
    """Mean level from so far to so far above each pixel."""
    near, far = (round(above / ROW_MM) for above in part_mm)
    weights = np.zeros(2 * far + 1, dtype=np.float32)
    weights[: far - near + 1] = 1.0 / (far - near + 1)
    return np.asarray(
        cv2.filter2D(levels, cv2.CV_32F, weights[:, None], borderType=cv2.BORDER_REPLICATE)
    )


def _evidence(
    fields: Fields,
    offset_mm: Floats,
    slope: Floats,
    used: Bools,
    insertion_mm: Floats,
    tilt_deg: Floats,
    bend_deg: Floats,
    pixel_mm: float,
) -> tuple[Floats, Bools]:
    """Measure what speaks for arcs; all but the last three are of shape (arcs, columns)."""
    gap = _gaps(fields, offset_mm, used, insertion_mm, pixel_mm)
    used = used & ~gap
    columns = np.flatnonzero(used.any(axis=0))
    used, length = used[:, columns], np.maximum(used.sum(axis=1), 1)
    first = fields.strip.rows_px[0] * pixel_mm
    row = (offset_mm[:, columns] - first) / ROW_MM
    # Cosine and sine of twice the arc's direction.
    squared = slope[:, columns] ** 2
    cosine, sine = (1 - squared) / (1 + squared), 2 * slope[:, columns] / (1 + squared)

    def along(above_mm: float, *images: Image) -> list[Floats]:
        """Values of images above the arcs, 0 where they are not used."""
        rows = np.rint(row - above_mm / ROW_MM).astype(np.int64)
        inside = (rows >= 0) & (rows < len(fields.line)) & used
        at = np.where(inside, rows, 0), columns
        return [image[at] * inside for image in images]

    drop, line = along(0.0, fields.drop, fields.line)
    agreement = np.zeros(len(length))
    for above_mm in FIBRILS_MM:
        along_cosine, along_sine = along(above_mm, fields.cosine, fields.sine)
        agreement += (along_cosine * cosine + along_sine * sine).sum(axis=1)
    evidence = np.stack(
        [
            drop.sum(axis=1) / length,
            line.sum(axis=1) / length,
            agreement / len(FIBRILS_MM) / length,
            (tilt_deg / 8.0) ** 2,
            (bend_deg / 5.0) ** 2,
            np.clip(insertion_mm - LATE_MM, 0, 3) / 2,
            np.clip(-insertion_mm - LATE_MM, 0, 3) / 2,
            np.clip(-insertion_mm - 3.0, 0, 6) / 3,
        ],
        axis=1,
    )
    return evidence, gap


def _gaps(
    fields: Fields, offset_mm: Floats, used: Bools, insertion_mm: Floats, pixel_mm: float
) -> Bools:
    """Where the bands over arcs are interrupted, shape (arcs, columns), with band on both sides."""
    strip = fields.strip
    rows = np.rint((offset_mm - strip.rows_px[0] * pixel_mm) / ROW_MM).astype(np.int64)
    near = strip.band.distance_mm <= insertion_mm[:, None] + REACH_MM
    inside = used & near & (rows >= 0) & (rows < len(fields.band))
    at = np.where(inside, rows, 0), np.arange(rows.shape[1])
    level, overlying = (image[at] * inside for image in (fields.band, fields.overlying))
    gap: Bools = inside & interrupted(level, overlying)
    return gap


def _orientation(levels: Image) -> tuple[Image, Image]:
    """Cosine and sine of twice the direction of lines, times their coherence, per pixel.

    From the structure tensor, whose gradients are per ``ROW_MM`` both ways.
    """
    smooth = cv2.GaussianBlur(levels, (0, 0), sigmaX=0.6, sigmaY=1.5)
    gy = np.gradient(smooth, axis=0)
    gx = np.gradient(smooth, axis=1) * (ROW_MM / COLUMN_MM)
    jxx, jyy, jxy = (
        cv2.GaussianBlur(product, (0, 0), sigmaX=2.0 / COLUMN_MM, sigmaY=0.8 / ROW_MM)
        for product in (gx * gx, gy * gy, gx * gy)
    )
    energy = jxx + jyy + 1e-7
    return np.asarray((jyy - jxx) / energy), np.asarray(-2.0 * jxy / energy)
