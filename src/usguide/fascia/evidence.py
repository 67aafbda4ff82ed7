"""What speaks for a whole band, measured on a strip stretched until the band's borders are rows."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.fascia.arcs import BAND_MM, JUDGED_MM, Arc, Surface
from usguide.fascia.border_scores import LENGTH_MM, SKIN_MM, line_score
from usguide.fascia.gaps import LACK_MIN, bridged
from usguide.fascia.straighten import ROW_MM, Strip, smoothed_along
from usguide.fascia.texture import features
from usguide.fascia.workspace import Image
from usguide.model import Bools, Floats

# Lengths in nominal mm.
DECLINE_MM = 9.0
"""Length over which the thickness declines (exponential, doi 10.1109/access.2019.2909409)."""
DISTAL_SHARES = (0.4, 0.55, 0.7, 0.85, 1.0)
"""Thickness far from the insertion over thickness there."""
USUAL_SHARE, SHARE_SPREAD = 0.65, 0.25
USUAL_MM = 3.8
"""Middle of the range of thickness, between controls (2-4 mm) and patients (+2.2 mm)."""
HEIGHTS_MM: Floats = np.arange(0.0, 11.0, ROW_MM)
ROWS_MIN = 25
EVIDENCE = 31
"""How many numbers speak for a band."""
CLEAR_MM = 0.15
"""Half of what is left out between two tissues: the border line itself."""
DEEP_BLUR_MM = 0.3
"""Left out above the deep border, which is blurred."""
WIDE_MM, TYPICAL_MM, NARROW_MM = 6.0, 12.5, 1.1
"""How much fat the band is told from (near enough to look alike, thick enough to be typical), how
much of the band, and how much of either lies right at the border."""
OVER_BONE_MM = 0.2
"""The superficial border runs on at least so far above the bone."""
BEHIND_MM = (-6.0, -0.5)
UNSEEN_LINE, UNSEEN_COLUMNS = 0.3, 4
"""What a line counts where it cannot be seen, and the fewest columns that are counted."""
BENEATH_MM: Floats = np.arange(-1.5, 2.6, ROW_MM)
BENEATH_FROM_MM = 2.5
VARIANCE_FLOOR = (2e-3, 4e-4, 4e-3, 4e-3)
"""Of level, persistence, unrest and contrast: rows are never more alike than speckle allows."""
USUAL: Floats = np.array([0.2, 0.3, 0.6, 0.3])
"""Differences of level, persistence, unrest and contrast that are plain to see."""
INTO_GAP_MM = (0.2, 0.9)
"""How far above and below the top of a gap the levels are compared."""
BOUND = 3.0
"""Multiple of them beyond which a greater difference says no more."""


@dataclass(frozen=True, slots=True, eq=False)
class Stretching:
    """A strip to be stretched along one deep arc, and what is the same for all bands on it.

    Parameters
    ----------
    strip, surface, arc
        The straight strip, the bone and the arc.
    pixel_mm : float
        Nominal size of a work pixel.
    ahead_mm : ndarray of float64, shape (columns,)
        Distance of each column from the arc's insertion.
    deep_mm : ndarray of float64, shape (columns,)
        The arc, straight on over the bone.
    beneath : ndarray of float64, shape (2, 4)
        Mean look of the millimetre above the arc, and of the two beneath it.
    """

    strip: Strip
    surface: Surface
    arc: Arc
    pixel_mm: float
    ahead_mm: Floats
    deep_mm: Floats
    beneath: Floats

    @classmethod
    def of(cls, strip: Strip, surface: Surface, arc: Arc, pixel_mm: float) -> Stretching:
        """Lay a strip along an arc."""
        distance = strip.band.distance_mm
        ahead = distance - arc.insertion_mm
        start = np.interp(arc.insertion_mm, distance, arc.offset_mm)
        deep = np.where(ahead < 0, start + arc.slope * ahead, arc.offset_mm)
        used = (ahead >= BENEATH_FROM_MM) & (ahead <= JUDGED_MM) & ~arc.gap
        image = bridged(strip.along(deep + BENEATH_MM[:, None], pixel_mm), arc.gap)
        looks = features(image)[:, :, used]
        inner = (BENEATH_MM > -1.2) & (BENEATH_MM < -0.2)
        outer = (BENEATH_MM > 0.4) & (BENEATH_MM < 2.2)
        beneath = np.stack([looks[:, rows].mean(axis=(1, 2)) for rows in (inner, outer)])
        return cls(strip, surface, arc, pixel_mm, ahead, deep, beneath.astype(np.float64))

    def taper(self, share: float) -> Floats:
        """Thickness over that at the insertion; over the bone it goes on in its own direction."""
        ahead = self.ahead_mm
        decline = np.exp(-np.maximum(ahead, 0.0) / DECLINE_MM)
        over_bone = 1 - (1 - share) * ahead / (2 * DECLINE_MM)
        return np.asarray(np.where(ahead < 0, over_bone, share + (1 - share) * decline))

    def evidence(
        self, taper: Floats, share: float, bounds_mm: tuple[float, float]
    ) -> tuple[Floats, Floats]:
        """Measure what speaks for every thickness at the insertion, given the taper.

        Parameters
        ----------
        taper : ndarray of float64, shape (columns,)
            Thickness over that at the insertion.
        share : float
            The taper far from the insertion.
        bounds_mm : (float, float)
            Of the thickness at the insertion.

        Returns
        -------
        heights_mm : ndarray of float64, shape (k,)
            Thicknesses at the insertion that are possible.
        evidence : ndarray of float64, shape (k, 31)
            In the order of :data:`usguide.fascia.outline.WEIGHTS`.
        """
        ahead = self.ahead_mm
        forwards = (ahead >= LENGTH_MM[0]) & (ahead <= JUDGED_MM)
        depth_mm = self.strip.band.centre[:, 1] * self.pixel_mm + self.deep_mm
        count = int(np.sum(((depth_mm - SKIN_MM) / taper)[forwards].min() > HEIGHTS_MM))
        if count < ROWS_MIN:
            return np.empty(0), np.empty((0, EVIDENCE))
        heights = HEIGHTS_MM[:count]
        image = self.strip.along(self.deep_mm - HEIGHTS_MM[:, None] * taper, self.pixel_mm)
        torn, image = image, bridged(image, self.arc.gap)
        into_gap = self._step_into_gap(torn, image)[:count]
        forwards &= ~self.arc.gap
        line = line_score(image)
        behind = self._line_over_bone(line, taper)
        values = features(image)[:, :count, forwards]
        looks = values.mean(axis=2).astype(np.float64)
        # A hole in the band, or a shadow across it, is not to darken all of it.
        looks[0] = np.median(values[0], axis=1)
        change = change_point(looks)
        possible = np.isfinite(change)
        possible &= (heights >= bounds_mm[0]) & (heights <= bounds_mm[1])
        within, unlike = _within(looks)
        wide, narrow = (
            _differences(looks, WIDE_MM, TYPICAL_MM),
            _differences(looks, NARROW_MM, NARROW_MM),
        )
        against_muscle = np.tile(self.beneath[0] - self.beneath[1], (count, 1)).T
        against_muscle[0] = within - self.beneath[1, 0]
        level, lasting, unrest, contrast = (_bounded(against_muscle, at) for at in range(4))
        columns = [
            *np.tile(self.arc.evidence, (count, 1)).T,
            *(lasting, unrest, level, contrast),
            *_lines(line, forwards, behind)[:, :count],
            np.where(possible, change, 0.0),
            *(
                _bounded(wide, 1),
                _bounded(narrow, 1),
                _bounded(wide, 2),
                _bounded(narrow, 2),
                _bounded(wide, 3),
                _bounded(narrow, 3),
            ),
            *(np.abs(_bounded(narrow, 0)), np.abs(_bounded(wide, 0))),
            np.log(np.maximum(heights, ROW_MM) / USUAL_MM) ** 2,
            np.full(count, ((share - USUAL_SHARE) / SHARE_SPREAD) ** 2),
            *(np.abs(_bounded(unlike, at)) for at in (1, 0, 2)),
            into_gap,
        ]
        return heights[possible], np.stack(columns, axis=1)[possible]

    def _step_into_gap(self, image: Image, whole: Image) -> Floats:
        """Step down in level at every row where the band is broken, as a share of what lacks there.

        A rupture reaches from border to border, and the fat above it is whole. ``whole`` is the
        image with the gap bridged.
        """
        gap = cv2.erode(self.arc.gap.astype(np.uint8)[None], np.ones((1, 3), np.uint8))[0] > 0
        if not gap.any():
            return np.zeros(len(image))
        near, far = (round(apart / ROW_MM) for apart in INTO_GAP_MM)
        within = slice(round(BAND_MM[0] / ROW_MM), round(BAND_MM[1] / ROW_MM))
        lack = float((whole - image)[within][:, gap].mean())
        sums = np.concatenate([[0.0], np.cumsum(image[:, gap].mean(axis=1))])
        row = np.arange(len(image))
        above = _means(sums, row + near, row + far, 0)
        step = above - _means(sums, row - far + 1, row - near + 1, 0)
        step[row < far] = 0.0
        return np.clip(step / max(lack, LACK_MIN), -1.0, 1.0)

    def _line_over_bone(self, line: Image, taper: Floats) -> Floats:
        """Mean line along every row over the bone, where the row stays clear of the bone.

        A thin fascia bends round the bone's front edge; its border is not seen in the bone's echo.
        """
        distance, surface = self.strip.band.distance_mm, self.surface
        columns = (self.ahead_mm >= BEHIND_MM[0]) & (self.ahead_mm <= BEHIND_MM[1])
        columns &= distance >= surface.along_mm[0]
        bone = np.interp(distance[columns], surface.along_mm, surface.down_mm)
        border = self.deep_mm[columns] - HEIGHTS_MM[:, None] * taper[columns]
        near = _highest(line, 5)[:, columns]
        seen = np.where(border < bone - OVER_BONE_MM, near, UNSEEN_LINE)
        counted = int(np.count_nonzero(columns))
        unknown = max(UNSEEN_COLUMNS - counted, 0)
        total = seen.sum(axis=1) + unknown * UNSEEN_LINE
        return np.asarray(total / (counted + unknown), dtype=np.float64)


def _lines(line: Image, forwards: Bools, behind: Floats) -> Floats:
    """Line along every row: within 0.1 mm, exactly, over the bone, its weakest fifth."""
    near = _highest(line, 3)
    weakest = _fifth(smoothed_along(near, 1.5)[:, forwards])
    return np.stack(
        [
            near[:, forwards].mean(axis=1),
            line[:, forwards].mean(axis=1),
            behind,
            weakest,
        ]
    ).astype(np.float64)


def _highest(line: Image, rows: int) -> Image:
    """Greatest value within so many rows of each pixel."""
    return np.asarray(cv2.dilate(line, np.ones((rows, 1), dtype=np.uint8)))


def _fifth(values: Image) -> Floats:
    """Return the lowest quintile of each row: ``np.quantile``, without its overhead."""
    ordered = np.sort(values, axis=1)
    whole, part = divmod(0.2 * (ordered.shape[1] - 1), 1)
    low = ordered[:, int(whole)]
    return np.asarray(low + part * (ordered[:, int(np.ceil(whole + part))] - low))


def _bounded(looks: Floats, feature: int) -> Floats:
    return np.asarray(np.clip(looks[feature] / USUAL[feature], -BOUND, BOUND))


def _within(looks: Floats) -> tuple[Floats, Floats]:
    """Mean level below each row, and how unlike the upper third of that is to the rest."""
    skip = round(DEEP_BLUR_MM / ROW_MM)
    sums = np.concatenate([np.zeros((len(looks), 1)), np.cumsum(looks, axis=1)], axis=1)
    stop = np.maximum(np.arange(looks.shape[1]) - 1, skip + 2)
    third = np.maximum((stop - skip) // 3, 2)
    upper = (sums[:, stop] - sums[:, stop - third]) / third
    rest = (sums[:, stop - third] - sums[:, [skip]]) / np.maximum(stop - third - skip, 1)
    return (sums[0, stop] - sums[0, skip]) / (stop - skip), upper - rest


def _differences(looks: Floats, above_mm: float, below_mm: float) -> Floats:
    """Mean look of the rows below each row less that of the rows above it, shape (4, rows)."""
    clear, skip = round(CLEAR_MM / ROW_MM), round(DEEP_BLUR_MM / ROW_MM)
    count = looks.shape[1]
    sums = np.concatenate([np.zeros((len(looks), 1)), np.cumsum(looks, axis=1)], axis=1)
    row = np.arange(count)
    below = _means(sums, row - round(below_mm / ROW_MM), row - clear, skip)
    above = _means(sums, row + clear, row + clear + round(above_mm / ROW_MM), skip)
    return np.asarray(below - above)


def _means(sums: Floats, start: NDArray[np.int64], stop: NDArray[np.int64], first: int) -> Floats:
    """Mean from each start to its stop, given sums before every row; from row ``first`` on."""
    count = sums.shape[-1] - 1
    start, stop = np.clip(start, first, count), np.clip(stop, first, count)
    return np.asarray((sums[..., stop] - sums[..., start]) / np.maximum(stop - start, 1))


def change_point(looks: Floats) -> Floats:
    """Log-likelihood, per row, that two tissues meet there rather than one going on.

    Each tissue is one Gaussian over the rows on its side, both of one covariance S; a single
    tissue has covariance T: ``(log det T - log det S) / 2``, shape (rows,). Rows too near to
    either end to judge cannot be borders.
    """
    clear, skip = round(CLEAR_MM / ROW_MM), round(DEEP_BLUR_MM / ROW_MM)
    reach, count = round(WIDE_MM / ROW_MM), looks.shape[1]
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
