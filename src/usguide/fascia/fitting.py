"""Smooth corrections of a border: a few degrees of freedom, judged over the border's length.

A fascia's border has no corners. Corrected as a whole, by ``a + b exp(-s / 6 mm) + c s / 20 mm``,
it follows the evidence of two centimetres of picture; moved column by column, it would jump to
the next fibril or septum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from usguide.fascia.straighten import (
    ROW_MM,
    Strip,
    derivative_across,
    smoothed_along,
    usual_size,
)
from usguide.fascia.texture import fascia_over_fat, features, separation
from usguide.fascia.workspace import Image
from usguide.kernels.curves import means_along
from usguide.model import Bools, Floats

# Lengths in nominal mm. Tuned on synthetic heels (seeds 0-19, 100-119, 200-219).
LENGTH_MM = (0.5, 24.0)
NEAR_MM, FAR_MM = 6.0, 20.0
DEEP_FROM_MM = 2.0
"""Nearer to the insertion the front wall of the bone glows under the border."""
PRICE = 0.05
"""Of a correction by (0.5, 0.8, 0.5) mm in one of its three parts, where a perfect line over the
whole length is worth 1."""
LINE_MM = 0.2
LINE_SATURATION = 8.0
"""Multiple of the usual line strength beyond which a stronger line counts little more."""
STEP_MM, FINE_STEP_MM = 0.5, 0.3
"""Standard deviation of the step looked for, to find a deep border and to place it."""
STEP_LEVEL = 0.15
SUPERFICIAL_LINE_WEIGHT = 3.0
WORTH_OF_LINE, WORTH_OF_SEPARATION = 3.0, 1.0
"""Against one unit of an outline's score."""
CLEAR_MM = 0.25
FAT_MM = 3.0
SKIN_MM = 1.8
"""Skin and the probe's face, which are no fat."""
THICKNESS_MIN_MM = 0.9
"""Nearest that the superficial border may come to the deep one."""


@dataclass(frozen=True, slots=True)
class Family:
    """Corrections to try, mm: of each of the three parts the step, and the most to either side."""

    level: tuple[float, float]
    near: tuple[float, float]
    far: tuple[float, float]

    def parts(self) -> Floats:
        """Return every combination, shape (k, 3)."""
        axes = [
            np.arange(-round(most / step), round(most / step) + 1) * step
            for step, most in (self.level, self.near, self.far)
        ]
        return np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)


DEEP = Family((0.1, 0.5), (0.15, 0.6), (0.1, 0.4))
SUPERFICIAL = Family((0.1, 0.4), (0.2, 0.6), (0.2, 0.4))
FINE = Family((0.05, 0.3), (0.1, 0.5), (0.1, 0.4))


def corrected(
    score: Image,
    strip: Strip,
    pixel_mm: float,
    offset_mm: Floats,
    family: Family,
    price: float,
    from_mm: float = LENGTH_MM[0],
) -> Floats:
    """Return the correction of a border with the greatest mean score along it.

    Parameters
    ----------
    score : ndarray of float32, shape (rows, columns)
        Worth of the border passing through each pixel of the strip.
    strip : Strip
        Where it lies.
    pixel_mm : float
        Nominal size of a work pixel.
    offset_mm : ndarray of float64, shape (columns,)
        Border so far, from the strip's centre line.
    family : Family
        Corrections to try.
    price : float
        Of a correction, see ``PRICE``.
    from_mm : float
        Distance from the insertion from which on the border is judged.
    """
    distance = np.maximum(strip.band.distance_mm, 0.0)
    columns = np.flatnonzero(
        (strip.band.distance_mm >= from_mm) & (strip.band.distance_mm <= LENGTH_MM[1])
    )
    shape = np.stack([np.ones_like(distance), np.exp(-distance / NEAR_MM), distance / FAR_MM])
    parts = family.parts()
    rows = (offset_mm[columns] - strip.rows_px[0] * pixel_mm) / ROW_MM
    worth = np.empty(len(parts))
    means_along(
        np.ascontiguousarray(score[:, columns], dtype=np.float32),
        rows,
        np.ascontiguousarray(shape[:, columns]) / ROW_MM,
        parts,
        worth,
    )
    paid = price * ((parts / (0.5, 0.8, 0.5)) ** 2).sum(axis=1)
    best = int(np.argmax(worth - paid))
    return np.asarray(offset_mm + parts[best] @ shape)


def line_score(levels: Image) -> Image:
    """Score bright lines along a strip, -1 to 1, against what is usual in it."""
    line = -derivative_across(smoothed_along(levels, 1.0), LINE_MM, order=2)
    saturated = line / (LINE_SATURATION * usual_size(line) + 0.0025)
    return np.asarray(np.tanh(saturated), dtype=np.float32)


def drop_score(levels: Image, step_mm: float = STEP_MM) -> Image:
    """Score steps down in level along a strip, -1 to 1."""
    step = derivative_across(levels, step_mm, order=1) * (step_mm / ROW_MM)
    return np.asarray(np.tanh(-step / STEP_LEVEL), dtype=np.float32)


def fit_deep(strip: Strip, pixel_mm: float, offset_mm: Floats) -> Floats:
    """Correct a deep border: a step down. A line near it is as likely the last fibril above it."""
    score = drop_score(smoothed_along(strip.levels, 1.0))
    return corrected(score, strip, pixel_mm, offset_mm, DEEP, 2.0 / 3.0 * PRICE, DEEP_FROM_MM)


class SuperficialFit:
    """Corrects outlines of a superficial border, and judges what comes of them.

    Parameters
    ----------
    strip : Strip
        Laid along the deep border.
    pixel_mm : float
        Nominal size of a work pixel.
    """

    def __init__(self, strip: Strip, pixel_mm: float) -> None:
        self._strip, self._pixel_mm = strip, pixel_mm
        self._values = features(strip.levels)
        self._line = line_score(strip.levels)
        self._rows_mm = strip.rows_px * pixel_mm
        depth_mm = strip.band.centre[:, 1] * pixel_mm + self._rows_mm[:, None]
        self._shallow = depth_mm < SKIN_MM

    def corrected(self, thickness_mm: Floats) -> Floats:
        """Correct a border: a line with fascia below it and fat above.

        What fascia and fat look like is learned from the border so far.
        """
        ratio = fascia_over_fat(self._values, *self._sides(-thickness_mm))
        ratio[self._rows_mm > -CLEAR_MM] = 0.0
        inside = np.cumsum(ratio[::-1], axis=0)[::-1] * ROW_MM
        score = SUPERFICIAL_LINE_WEIGHT * self._line + inside
        score[self._rows_mm > -THICKNESS_MIN_MM] = -3.0
        upper = corrected(score, self._strip, self._pixel_mm, -thickness_mm, SUPERFICIAL, PRICE)
        return -corrected(self._line, self._strip, self._pixel_mm, upper, FINE, 2 * PRICE)

    def worth(self, thickness_mm: Floats) -> float:
        """How much speaks for a border: its line, and how unlike the tissues on its sides are."""
        fascia, fat = self._sides(-thickness_mm)
        apart = separation(self._values, fascia, fat)
        distance = self._strip.band.distance_mm
        columns = np.flatnonzero((distance >= LENGTH_MM[0]) & (distance <= LENGTH_MM[1]))
        rows = np.rint((-thickness_mm[columns] - self._rows_mm[0]) / ROW_MM).astype(np.int64)
        line = float(self._line[np.clip(rows, 0, len(self._line) - 1), columns].mean())
        return WORTH_OF_LINE * line + WORTH_OF_SEPARATION * apart

    def _sides(self, upper_mm: Floats) -> tuple[Bools, Bools]:
        """Where fascia and fat surely are."""
        above = upper_mm - self._rows_mm[:, None]
        below = self._rows_mm[:, None]
        distance = self._strip.band.distance_mm
        used = (distance >= LENGTH_MM[0]) & (distance <= LENGTH_MM[1])
        return (
            used & (below < -CLEAR_MM) & (above < -CLEAR_MM),
            used & (above > CLEAR_MM) & (above < FAT_MM) & ~self._shallow,
        )
