"""A first outline of the band: an arc, a thickness and a taper, judged over its whole length.

Beyond the bone's edge many places are a step down in level; only the deep border is one all
along an arc that starts at that edge and runs along the fibrils above it. It is taken first.

Above the deep border the picture is full of bright lines, and in any one column each of them could
be the superficial border. Over two centimetres only one can: the line that keeps to the fascia's
shape, with one kind of tissue below it and another above. The shape is that of the literature, an
exponential decline from the insertion, so a few tapers cover it; for each taper the strip is
stretched until borders and fibrils lie along rows, every row is averaged over its whole length,
and the superficial border is the change point of what is left, a profile over height.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.fascia.fitting import LENGTH_MM, SKIN_MM, drop_score, line_score
from usguide.fascia.straighten import COLUMN_MM, ROW_MM, Strip
from usguide.fascia.texture import features
from usguide.fascia.workspace import Image
from usguide.model import Bools, Floats

# Lengths in nominal mm.
DECLINE_MM = 9.0
"""Length over which the thickness declines (exponential, doi 10.1109/access.2019.2909409)."""
DISTAL_SHARES = (0.35, 0.5, 0.65, 0.8, 0.95)
"""Thickness far from the insertion over thickness there."""
USUAL_SHARE = 0.65
LENGTH_MIN_MM = 5.0
HEIGHT_MAX_MM = 12.5
USUAL_MM = 3.8
"""Middle of the prior over thickness, between controls (2-4 mm) and patients (+2.2 mm)."""

# Tuned on synthetic heels (seeds 0-19, 100-119, 200-219).
ARC_START_MM: Floats = np.arange(-2.4, 0.8, 0.3)
ARC_TILT_DEG: Floats = np.arange(-16.0, 20.1, 2.0)
ARC_BEND_DEG: Floats = np.arange(-10.0, 10.1, 5.0)
"""Change of direction over 30 mm."""
FIBRILS_MM = (0.7, 1.4)
"""Where above the arc the fibrils' direction is read."""
LINE_WEIGHT = 4.0
PERSISTENCE_WEIGHT = 0.35
UNREST_WEIGHT = 1.0
LEVEL_WEIGHT = 0.35
"""Weights against one unit of log-likelihood of the change point."""
PRIOR_WEIGHT = 0.3
SHARE_WEIGHT = 0.25
DIFFERENT_MM = 0.5
TEMPERATURE = 0.25
"""Score that makes one outline e times as likely as another."""
CLEAR_MM = 0.15
"""Half of what is left out between the two tissues: the border line itself."""
DEEP_BLUR_MM = 0.3
ABOVE_MM = 6.0
"""How much fat the band is told from: near enough to look alike, thick enough to be typical."""
VARIANCE_FLOOR = (2e-3, 4e-4, 4e-3)
"""Of level, persistence and unrest: rows are never more alike than speckle allows."""


def deep_arc(strip: Strip, pixel_mm: float) -> Floats:
    """Find the arc from the bone's edge that drops in level and runs along the fibrils above it.

    ``y = a + s tan(b) + c s^2 / 2``: start a, direction b and bend c over a fixed grid, scored by
    the mean of the step down along the arc and by how well its direction agrees with that of the
    fibrils just above it, less a price for leaving the bone's edge, for tilt and for bend.

    Parameters
    ----------
    strip : Strip
        Upright, its centre line through the bone's edge.
    pixel_mm : float
        Nominal size of a work pixel.

    Returns
    -------
    ndarray of float64, shape (columns,)
        Offset of the arc, nominal mm; level behind the edge.
    """
    distance = strip.band.distance_mm
    columns = np.flatnonzero((distance >= LENGTH_MM[0]) & (distance <= LENGTH_MM[1]))
    start, tilt, bend = (
        part.reshape(-1, 1)
        for part in np.meshgrid(ARC_START_MM, ARC_TILT_DEG, ARC_BEND_DEG, indexing="ij")
    )
    slope, curve = np.tan(np.radians(tilt)), np.radians(bend) / 30.0
    along = distance[columns]
    offset = start + slope * along + curve * along**2 / 2
    direction = np.arctan(slope + curve * along)
    first = strip.rows_px[0] * pixel_mm

    def at(image: Image, above_mm: float) -> Floats:
        rows = np.rint((offset - above_mm - first) / ROW_MM).astype(np.int64)
        inside = (rows >= 0) & (rows < len(image))
        return np.asarray(image[np.where(inside, rows, 0), columns] * inside)

    score = at(drop_score(strip.levels), 0.0).mean(axis=1)
    cosine, sine = _orientation(strip.levels)
    for above_mm in FIBRILS_MM:
        agreement = at(cosine, above_mm) * np.cos(2 * direction)
        agreement += at(sine, above_mm) * np.sin(2 * direction)
        score += agreement.mean(axis=1) / len(FIBRILS_MM)
    score -= 0.05 * start[:, 0] ** 2 + 0.01 * ((tilt[:, 0] / 8) ** 2 + (bend[:, 0] / 5) ** 2)
    best = int(np.argmax(score))
    ahead = np.maximum(distance, 0.0)
    return np.asarray(start[best] + slope[best] * ahead + curve[best] * ahead**2 / 2)


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


@dataclass(frozen=True, slots=True, eq=False)
class Outlines:
    """All the outlines tried, and how well each one explains the picture.

    Parameters
    ----------
    tapers : ndarray of float64, shape (tapers, columns)
        Thickness over that at the insertion, per column.
    heights_mm : ndarray of float64, shape (heights,)
        Thickness at the insertion.
    scores : ndarray of float64, shape (tapers, heights)
        Log-likelihood, up to a constant and ``TEMPERATURE``; -inf where impossible.
    """

    tapers: Floats
    heights_mm: Floats
    scores: Floats

    def best(self, count: int) -> list[tuple[float, Floats]]:
        """Return up to ``count`` clearly different outlines: score, and thickness per column."""
        inner = self.scores[:, 1:-1]
        peaks = (inner >= self.scores[:, :-2]) & (inner > self.scores[:, 2:]) & np.isfinite(inner)
        found: list[tuple[float, Floats]] = []
        for at in np.argsort(-np.where(peaks, inner, -np.inf), axis=None)[: int(peaks.sum())]:
            taper, height = np.unravel_index(int(at), inner.shape)
            thickness = self.heights_mm[height + 1] * self.tapers[taper]
            if all(np.abs(thickness - other).mean() > DIFFERENT_MM for _, other in found):
                found.append((float(inner[taper, height]), thickness))
            if len(found) == count:
                break
        return found

    def doubt(self, thickness_mm: Floats) -> Floats:
        """Spread of all outlines about one, weighted by their likelihood, per column.

        Large where another line would have done almost as well.
        """
        likelihood = np.exp((self.scores - self.scores.max()) / TEMPERATURE)
        likelihood /= likelihood.sum()
        variance = np.zeros(len(thickness_mm))
        for taper, row in zip(self.tapers, likelihood, strict=True):
            near = row > 1e-4
            away = self.heights_mm[near, None] * taper - thickness_mm
            variance += (row[near, None] * away**2).sum(axis=0)
        return np.asarray(np.sqrt(variance))


def outlines(strip: Strip, pixel_mm: float, thickness_mm: tuple[float, float]) -> Outlines | None:
    """Try every thickness and taper of the band above a lower border.

    Parameters
    ----------
    strip : Strip
        Laid along the lower border, which is its centre line.
    pixel_mm : float
        Nominal size of a work pixel.
    thickness_mm : (float, float)
        Bounds of the thickness at the insertion.

    Returns
    -------
    Outlines or None
        None where the band is too short or too shallow to judge.
    """
    distance = strip.band.distance_mm
    used = (distance >= LENGTH_MM[0]) & (distance <= LENGTH_MM[1])
    if np.count_nonzero(used) * COLUMN_MM < LENGTH_MIN_MM:
        return None
    heights = np.arange(0.0, HEIGHT_MAX_MM, ROW_MM)
    depth_mm = strip.band.centre[used, 1] * pixel_mm
    decline = np.exp(-np.maximum(distance, 0.0) / DECLINE_MM)
    tapers = np.stack([share + (1 - share) * decline for share in DISTAL_SHARES])
    scores = np.empty((len(tapers), len(heights)))
    for at, (share, taper) in enumerate(zip(DISTAL_SHARES, tapers, strict=True)):
        visible = heights < (depth_mm.min() - SKIN_MM) / taper[used].max()
        scores[at] = _scores(_stretched(strip, heights, taper, pixel_mm), used, visible)
        scores[at] -= SHARE_WEIGHT * ((share - USUAL_SHARE) / 0.25) ** 2
    scores -= PRIOR_WEIGHT * np.log(np.maximum(heights, ROW_MM) / USUAL_MM) ** 2
    scores[:, (heights < thickness_mm[0]) | (heights > thickness_mm[1])] = -np.inf
    return Outlines(tapers, heights, scores) if np.isfinite(scores).any() else None


def _stretched(strip: Strip, heights: Floats, taper: Floats, pixel_mm: float) -> Image:
    """Resample a strip so that row i lies ``heights[i] * taper`` above its centre line."""
    first_mm = strip.rows_px[0] * pixel_mm
    rows = (-heights[:, None] * taper - first_mm) / ROW_MM
    columns = np.broadcast_to(np.arange(len(taper)), rows.shape)
    return np.asarray(
        cv2.remap(
            strip.levels,
            columns.astype(np.float32),
            rows.astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )


def _scores(image: Image, used: Bools, visible: Bools) -> Floats:
    """Score every row as the superficial border: a line, and a change of tissue across it."""
    contrast = line_score(image)[:, used].mean(axis=1)
    looks = _looks(image, used)[:, visible]
    wide, narrow = _differences(looks, ABOVE_MM, HEIGHT_MAX_MM), _differences(looks, 1.1, 1.1)
    change = _change_point(looks)
    change += PERSISTENCE_WEIGHT * _bounded(wide[1] + 0.6 * narrow[1], 0.3)
    change -= UNREST_WEIGHT * _bounded(wide[2] + narrow[2], 0.6)
    change += LEVEL_WEIGHT * _bounded(np.abs(narrow[0]), 0.2)
    score = np.full(len(image), -np.inf)
    score[: len(change)] = change
    return np.asarray(score + LINE_WEIGHT * contrast)


def _bounded(difference: Floats, usual: float) -> Floats:
    return np.clip(difference / usual, -1.0, 1.0)


def _differences(looks: Floats, above_mm: float, below_mm: float) -> Floats:
    """Mean look of the rows below each row less that of the rows above it, shape (3, rows)."""
    clear, skip = round(CLEAR_MM / ROW_MM), round(DEEP_BLUR_MM / ROW_MM)
    count = looks.shape[1]
    sums = np.concatenate([np.zeros((len(looks), 1)), np.cumsum(looks, axis=1)], axis=1)
    row = np.arange(count)

    def mean(start: NDArray[np.int64], stop: NDArray[np.int64]) -> Floats:
        start, stop = np.clip(start, skip, count), np.clip(stop, skip, count)
        return np.asarray((sums[:, stop] - sums[:, start]) / np.maximum(stop - start, 1))

    below = mean(row - round(below_mm / ROW_MM), row - clear)
    above = mean(row + clear, row + clear + round(above_mm / ROW_MM))
    return np.asarray(below - above)


def _looks(image: Image, used: Bools) -> Floats:
    """Describe every row over its whole length: level, persistence, unrest; shape (3, rows).

    Means of logarithms, so that a hole in the band or a shadow across it counts by its length
    and not by its depth.
    """
    return np.asarray(features(image)[:, :, used].mean(axis=2), dtype=np.float64)


def _change_point(looks: Floats) -> Floats:
    """Log-likelihood, per row, that two tissues meet there rather than one going on.

    Each tissue is one Gaussian over the rows on its side, both of one covariance S; a single
    tissue has covariance T: ``(log det T - log det S) / 2``, shape (rows,). Rows too near to
    either end to judge cannot be borders.
    """
    clear, skip = round(CLEAR_MM / ROW_MM), round(DEEP_BLUR_MM / ROW_MM)
    reach, count = round(ABOVE_MM / ROW_MM), looks.shape[1]
    score = np.full(count, -np.inf)
    row = np.arange(skip + clear + 5, count - clear - 10)
    if row.size == 0:
        return score
    # Moments of any run of rows, from running sums.
    products = looks[:, None] * looks[None]
    sums = np.concatenate([np.zeros((len(looks), 1)), np.cumsum(looks, axis=1)], axis=1)
    squares = np.concatenate(
        [np.zeros((*products.shape[:2], 1)), np.cumsum(products, axis=2)], axis=2
    )

    def moments(start: NDArray[np.int64], stop: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
        size = (stop - start).astype(np.float64)
        return (
            size,
            (sums[:, stop] - sums[:, start]).T,
            np.moveaxis(squares[:, :, stop] - squares[:, :, start], 2, 0),
        )

    def scatter(size: Floats, total: Floats, square: Floats) -> Floats:
        mean = total / size[:, None]
        return np.asarray(square - size[:, None, None] * mean[:, :, None] * mean[:, None, :])

    below = moments(np.full_like(row, skip), row - clear)
    above = moments(row + clear, np.minimum(row + clear + reach, count))
    both = below[0] + above[0], below[1] + above[1], below[2] + above[2]
    floor = np.diag(VARIANCE_FLOOR)
    within = (scatter(*below) + scatter(*above)) / (both[0] - 2)[:, None, None] + floor
    whole = scatter(*both) / (both[0] - 1)[:, None, None] + floor
    score[row] = 0.5 * (np.linalg.slogdet(whole)[1] - np.linalg.slogdet(within)[1])
    return score
