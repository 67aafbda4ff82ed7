"""The picture straightened along the band: columns of equal length, rows along the normal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np
from scipy import ndimage

from usguide.fascia.workspace import Image
from usguide.kernels.curves import crossings
from usguide.model import Floats

# Lengths in nominal mm.
REACH_MM = 33.0
"""How far the band is followed: past the last station, 30 mm."""
BEHIND_MM = 12.0
"""How far back over the bone strips begin: its line may run on past the insertion, and the
superficial border goes on over it."""
COLUMN_MM = 0.5
ROW_MM = 0.1
"""Between the columns and between the rows of a straightened picture."""
MIDLINE_SMOOTHING_MM = 3.0
"""Standard deviation along the line that a picture is straightened by."""


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """A straightened strip: columns along a centre line, rows along its normal, deep downwards.

    Parameters
    ----------
    distance_mm : ndarray of float64, shape (columns,)
        Nominal arc length from the insertion; negative over the bone.
    centre, normal : ndarray of float64, shape (columns, 2)
        Points in work px and unit vectors pointing deep.
    """

    distance_mm: Floats
    centre: Floats
    normal: Floats

    def points(self, offset_px: Floats) -> Floats:
        """Work points at an offset (px, positive deep) from the centre line, per column."""
        return np.asarray(self.centre + offset_px[:, None] * self.normal)

    def grid(self, offset_px: Floats) -> tuple[Floats, Floats]:
        """Work px, x and y apart, at offsets of shape (rows, columns) from the centre line."""
        x, y = (self.centre[:, axis] + offset_px * self.normal[:, axis] for axis in (0, 1))
        return x, y

    def offsets_of(self, points: Floats) -> Floats:
        """Return where a curve, shape (n, 2), crosses each column's normal, px from the centre."""
        offsets = np.empty(len(self.centre))
        crossings(
            np.ascontiguousarray(self.centre),
            np.ascontiguousarray(self.normal),
            np.ascontiguousarray(points),
            offsets,
        )
        return offsets

    def sample(self, image: Image, offsets_px: Floats) -> Image:
        """Bilinear samples, shape (offsets, columns); the picture's rim is repeated beyond it."""
        x, y = self.grid(offsets_px[:, None])
        return np.asarray(
            cv2.remap(
                image,
                x.astype(np.float32),
                y.astype(np.float32),
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
        )

    def at(self, along_mm: float, down_mm: float, pixel_mm: float) -> tuple[float, float]:
        """Return the work point at a distance and an offset on a straight band."""
        start, ahead, down = self._axes(pixel_mm)
        x, y = start + (along_mm * ahead + down_mm * down) / pixel_mm
        return float(x), float(y)

    def seen_from(self, points: Floats, pixel_mm: float) -> Floats:
        """Return distance and offset, mm, of work points, shape (..., 2), on a straight band."""
        start, *axes = self._axes(pixel_mm)
        return np.asarray((points - start) @ np.stack(axes, axis=1) * pixel_mm)

    def _axes(self, pixel_mm: float) -> tuple[Floats, Floats, Floats]:
        """Where a straight band's distance is 0, and the unit vectors ahead and down."""
        down = self.normal[0]
        ahead = np.array([down[1], -down[0]])
        return self.centre[0] - self.distance_mm[0] / pixel_mm * ahead, ahead, down

    def moved(self, shift: tuple[float, float]) -> Band:
        """Return the same band, its centre line moved by (x, y) work px."""
        return replace(self, centre=self.centre + np.asarray(shift))


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """A straightened piece of the picture: levels, and where they were taken.

    Parameters
    ----------
    band : Band
        Its columns.
    rows_px : ndarray of float64, shape (rows,)
        Offset of each row from the centre line, work px; ``ROW_MM`` apart.
    levels : ndarray of float32, shape (rows, columns)
        Normalised grey levels.
    """

    band: Band
    rows_px: Floats
    levels: Image

    @classmethod
    def cut(cls, levels: Image, band: Band, rows_mm: tuple[float, float], pixel_mm: float) -> Strip:
        """Sample a picture along a band, between two offsets."""
        rows_px = np.arange(rows_mm[0], rows_mm[1] + ROW_MM / 2, ROW_MM) / pixel_mm
        return cls(band, rows_px, band.sample(levels, rows_px))

    def along(self, offset_mm: Floats, pixel_mm: float) -> Image:
        """Sample levels at offsets from the centre line, shape (rows, columns)."""
        rows = (offset_mm - self.rows_px[0] * pixel_mm) / ROW_MM
        columns = np.broadcast_to(np.arange(rows.shape[1]), rows.shape)
        return np.asarray(
            cv2.remap(
                self.levels,
                columns.astype(np.float32),
                rows.astype(np.float32),
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
        )


def straight_band(
    edge: tuple[float, float], columns: int, pixel_mm: float, tilt: float = 0.0
) -> Band:
    """Lay a straight band from behind the bone's edge to the far side of the picture.

    Parameters
    ----------
    edge : (float, float)
        (x, y) in work px, from which distances are counted.
    columns : int
        Of the picture.
    pixel_mm : float
        Nominal size of a work pixel.
    tilt : float
        Against the picture's rows, rad, positive where the band goes deeper.
    """
    ahead = np.array([np.cos(tilt), np.sin(tilt)])
    distance = np.arange(-BEHIND_MM, REACH_MM + COLUMN_MM / 2, COLUMN_MM)
    centre = np.asarray(edge) + distance[:, None] / pixel_mm * ahead
    inside = (centre[:, 0] >= 0) & (centre[:, 0] <= columns - 1)
    normal = np.tile([-ahead[1], ahead[0]], (int(inside.sum()), 1))
    return Band(distance[inside], centre[inside], normal)


def straightened(band: Band, middle_px: Floats, edge: tuple[float, float], pixel_mm: float) -> Band:
    """Lay a new band along a curve on an old one, smoothed.

    Distances are counted from the foot of the perpendicular from the bone's front edge.
    """
    middle = band.points(middle_px)
    # Smoothed about the chord, so that the ends of a sloping band are not flattened.
    chord = np.linspace(middle[0], middle[-1], len(middle))
    smooth = chord + ndimage.gaussian_filter1d(
        middle - chord, MIDLINE_SMOOTHING_MM / COLUMN_MM, axis=0, mode="nearest"
    )
    steps = np.hypot(*np.diff(smooth, axis=0).T)
    arc = np.concatenate([[0.0], np.cumsum(steps)]) * pixel_mm
    along = np.gradient(smooth, axis=0)
    ahead = ((smooth - np.asarray(edge)) * along).sum(axis=1)
    nearest = int(np.argmin(np.abs(ahead)))
    origin = arc[nearest] - ahead[nearest] / max(np.hypot(*along[nearest]), 1e-9) * pixel_mm
    distance = np.arange(
        np.ceil((arc[0] - origin) / COLUMN_MM) * COLUMN_MM,
        arc[-1] - origin + 1e-9,
        COLUMN_MM,
    )
    centre = np.stack(
        [np.interp(distance + origin, arc, smooth[:, axis]) for axis in (0, 1)], axis=1
    )
    tangent = np.gradient(centre, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    return Band(distance, centre, np.stack([-tangent[:, 1], tangent[:, 0]], axis=1))


def smoothed_along(strip: Image, sigma_mm: float) -> Image:
    """Average a strip along its columns, with a Gaussian."""
    blurred = cv2.GaussianBlur(
        strip,
        (0, 0),
        sigmaX=sigma_mm / COLUMN_MM,
        sigmaY=1e-6,
        borderType=cv2.BORDER_REPLICATE,
    )
    return np.asarray(blurred)


def derivative_across(strip: Image, sigma_mm: float, order: int) -> Image:
    """First or second derivative down a strip's rows, per row, at the scale of a Gaussian."""
    filtered = cv2.sepFilter2D(
        strip,
        cv2.CV_32F,
        np.ones(1, dtype=np.float32),
        _differentiator(sigma_mm / ROW_MM, order),
        borderType=cv2.BORDER_REFLECT,
    )
    return np.asarray(filtered, dtype=np.float32)


@cache
def _differentiator(sigma: float, order: int) -> Image:
    """Weights of a Gaussian's first or second derivative; sigma in rows."""
    at = np.arange(-round(4 * sigma), round(4 * sigma) + 1)
    gauss = np.exp(-0.5 * (at / sigma) ** 2)
    gauss /= gauss.sum()
    weights = gauss * (at / sigma**2 if order == 1 else (at**2 / sigma**2 - 1) / sigma**2)
    return np.asarray(weights, dtype=np.float32)


def usual_size(values: Image) -> float:
    """Median of the absolute values; of an even number of them, the higher of the middle two."""
    sizes = np.abs(values).ravel()
    middle = len(sizes) // 2
    return float(np.partition(sizes, middle)[middle])
