"""What speaks for a border at every place near its course.

A border is a bright line; a step, from the band to the tissue beyond; and the place where one
tissue ends and another begins. The last is what tells a border from a septum beyond it or a fibril
within it: those have the same tissue on both sides. Level differs along a band, with the beam's
shadows and gain, so what it is on either side is learned from the few millimetres around each
column, and each level in between is given to the side it is more like. The unrest of the fat's
lobules is compared right at the border. Beside what is measured stands what the network recognises
(:mod:`usguide.fascia.recognition`), which says better where the border is, but sees two centimetres
only, and one frame.

The weights are those of a conditional logit model: the odds that a border passes through a place,
among all places near its course in that column, are ``exp`` of the sum of both.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from usguide.fascia.recognition import Recognised
from usguide.fascia.straighten import (
    ROW_MM,
    Band,
    Strip,
    derivative_across,
    smoothed_along,
    usual_size,
)
from usguide.fascia.texture import unrest
from usguide.fascia.workspace import Image
from usguide.model import Bools, Floats

# Lengths in nominal mm.
REACH_MM = 1.2
"""How far from its course a border is looked for: beyond it, another band is as likely."""
AWAY_MM: Floats = np.arange(-REACH_MM, REACH_MM + ROW_MM / 2, ROW_MM)
"""Rows within that, positive deep."""
ROWS_MM: Floats = np.arange(-2.5, 2.5 + ROW_MM / 2, ROW_MM)
"""Rows about a course that are looked at, positive into the band."""
ALONG_MM = 2.0
"""Averaging along the border, standard deviation."""
LINE_MM, LINE_SATURATION = 0.15, 6.0
"""Scale of a border's line, and the multiple of the usual line strength beyond which a stronger
line counts little more."""
STEP_MM, STEP_LEVEL = 0.2, 0.12
"""Scale of a border's step, and a step that is plain to see."""
SIDE_MM = (0.5, 1.8)
"""Part of a tissue, from the border on, from which its level is learned."""
SUPERFICIAL_ALONG_MM, DEEP_ALONG_MM = 1.5, 4.0
"""Averaging of that level along the border, standard deviation."""
CLEAR_MM = 0.3
"""From the far border of a thin band."""
SD_MIN = 0.05
"""Least standard deviation of levels within a tissue: speckle."""
LEVEL_RATIO_MAX = 3.0
"""Greatest log-likelihood ratio of one level: no single spot decides."""
UNREST_MM, UNREST_ALONG_MM = (0.2, 0.8), 1.0
"""How far from the border unrest is compared, and its averaging along the border."""
LEARNED_MM = (0.5, 24.0)
"""Part of the band on which the spread of levels is learned."""
DEEP_FROM_MM = 1.5
"""Nearer to the insertion the front wall of the bone glows under the deep border."""
SUPERFICIAL_FROM_MM = -0.25
RECOGNISED_FROM_MM = 0.0
"""Over the bone the network is asked nothing: there it has seen one simulator's bone only."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Log odds per unit of each kind of evidence, and per squared mm off the course."""

    line: float
    step: float
    level: float
    unrest: float
    away: float
    recognised: float


SUPERFICIAL = Weights(2.8, 1.2, 0.3, -2.1, 0.05, 0.4)
DEEP = Weights(1.3, 3.9, 0.7, 0.0, 0.3, 0.6)
"""Maximum likelihood over 262 synthetic heels (seeds 55000-55039, 55100-55139, 57000-57059,
58000-58059 and others), one border, one column at a time; that of the distance from the course is
less, because neighbouring columns hold each other. That of what is recognised is four fifths of the
likeliest over 130 heels that the network was not trained on, half of them with a bulge: from 0.3
and 0.5 to 0.5 and 0.7 serves as well, on another simulator's heels too."""


def measured_odds(
    strip: Strip,
    offset_mm: Floats,
    thickness_mm: Floats,
    gap: Bools,
    pixel_mm: float,
    *,
    deep: bool,
) -> Image:
    """Return what is measured of every place within ``REACH_MM`` of a course, as log odds.

    Parameters
    ----------
    strip : Strip
        On the band.
    offset_mm, thickness_mm : ndarray of float64, shape (columns,)
        Course from the centre line, and thickness of the band.
    gap : ndarray of bool, shape (columns,)
        Where the band is interrupted: nothing is measured of it there.
    pixel_mm : float
        Nominal size of a work pixel.
    deep : bool
        Which border.

    Returns
    -------
    ndarray of float32, shape (rows, columns)
        Shallowest row first, the course in the middle one.
    """
    distance = strip.band.distance_mm
    weights, first = (DEEP, DEEP_FROM_MM) if deep else (SUPERFICIAL, SUPERFICIAL_FROM_MM)
    used = (distance >= LEARNED_MM[0]) & (distance <= LEARNED_MM[1]) & ~gap
    line, step, level, lasting = _measured(
        strip, offset_mm, thickness_mm, used, pixel_mm, deep=deep
    )
    score = (
        weights.line * line + weights.step * step + weights.level * level + weights.unrest * lasting
    )
    score -= score.mean(axis=0)
    score[:, (distance < first) | gap] = 0.0
    score -= np.float32(weights.away) * (AWAY_MM**2).astype(np.float32)[:, None]
    return np.asarray(score[::-1] if deep else score, dtype=np.float32)


def recognised_odds(
    band: Band,
    offset_mm: Floats,
    recognised: Recognised,
    pixel_mm: float,
    *,
    deep: bool,
) -> Image:
    """Return what is recognised of the same places; 0 in columns in which nothing is.

    Parameters and what is returned are those of :func:`measured_odds`. Where the band is
    interrupted, too: the network has learned where the borders of torn bands run.
    """
    places_px = (offset_mm + AWAY_MM[:, None]) / pixel_mm
    told = recognised.along(band, places_px, pixel_mm, deep=deep)
    told[:, band.distance_mm < RECOGNISED_FROM_MM] = 0.0
    return np.asarray((DEEP if deep else SUPERFICIAL).recognised * told, dtype=np.float32)


def _measured(
    strip: Strip,
    offset_mm: Floats,
    thickness_mm: Floats,
    used: Bools,
    pixel_mm: float,
    *,
    deep: bool,
) -> Image:
    """Line, step, level and unrest on the rows within ``REACH_MM``, the last towards the band.

    As for :func:`measured_odds`; the spread of levels is learned from the columns used.
    """
    inward = -1.0 if deep else 1.0
    image = strip.along(offset_mm + inward * ROWS_MM[:, None], pixel_mm)
    smooth = smoothed_along(image, ALONG_MM)
    line = -derivative_across(smooth, LINE_MM, order=2)
    line = np.tanh(line / (LINE_SATURATION * usual_size(line[::3]) + 1e-5))
    step = derivative_across(smooth, STEP_MM, order=1)
    step = np.tanh(step * (STEP_MM / ROW_MM / STEP_LEVEL))
    spread = (image - smooth)[:, used]
    sd = max(float(spread.std()) if spread.size else 0.0, SD_MIN)
    level = _level(image, thickness_mm, sd, deep)
    if deep:
        lasting = np.zeros_like(image)
    else:
        step, lasting = np.abs(step), _difference(unrest(image))
    near = np.abs(ROWS_MM) <= REACH_MM + ROW_MM / 2
    return np.stack([line, step, level, lasting])[:, near].astype(np.float32)


def _level(image: Image, thickness_mm: Floats, sd: float, deep: bool) -> Image:
    """Log-likelihood, in rows of a mm, that all levels from each row on are the band's."""
    rows = ROWS_MM[:, None]
    last = np.clip(thickness_mm - CLEAR_MM, SIDE_MM[0], SIDE_MM[1])
    band = ((rows > SIDE_MM[0] - ROW_MM / 2) & (rows < last + ROW_MM / 2)).astype(np.float32)
    away = -ROWS_MM
    beyond = (away > SIDE_MM[0] - ROW_MM / 2) & (away < SIDE_MM[1] + ROW_MM / 2)
    sides = np.stack([(band * image).sum(axis=0) / band.sum(axis=0), image[beyond].mean(axis=0)])
    inside, outside = smoothed_along(sides, DEEP_ALONG_MM if deep else SUPERFICIAL_ALONG_MM)
    if deep:
        # Muscle is darker than fascia. Where it is not, the level tells nothing.
        outside = np.minimum(outside, inside)
    ratio = (image - (inside + outside) / 2) * ((inside - outside) / sd**2)
    np.clip(ratio, -LEVEL_RATIO_MAX, LEVEL_RATIO_MAX, out=ratio)
    return np.asarray(np.cumsum(ratio[::-1], axis=0)[::-1] * np.float32(ROW_MM))


def _difference(values: Image) -> Image:
    """Mean of the rows on the band's side less that of the rows beyond, at every row."""
    near, far = (round(apart / ROW_MM) for apart in UNREST_MM)
    window = np.zeros(2 * far + 1, dtype=np.float32)
    window[far + near :] = 1.0 / (far - near + 1)
    window[: far - near + 1] = -1.0 / (far - near + 1)
    found: Image = np.asarray(
        cv2.filter2D(values, cv2.CV_32F, window[:, None], borderType=cv2.BORDER_REPLICATE),
        dtype=np.float32,
    )
    return smoothed_along(found, UNREST_ALONG_MM)
