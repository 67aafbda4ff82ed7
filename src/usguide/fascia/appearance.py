"""What the fascia looks like: echogenicity, fibrils, fat pad, and what else is read beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage

from usguide.fascia.agreement import agreed, robust
from usguide.fascia.calcaneus import Bone
from usguide.fascia.convexity import read_biconvexity
from usguide.fascia.course import BorderPair
from usguide.fascia.fluid import FluidReading, read_fluid
from usguide.fascia.gaps import REACH_MM
from usguide.fascia.rupture import COLUMN_FINE_MM, read_lack
from usguide.fascia.spur import SpurReading, read_spur
from usguide.fascia.straighten import Band
from usguide.fascia.workspace import Image
from usguide.model import Z_95, Floats, Measurement

DB_PER_LEVEL = 60.0 / 255.0
"""Grey levels are logarithmic; a display of 60 dB is assumed (scanners offer 40-90 dB)."""

READ_MM = (0.0, 20.0)
"""Part of the band read: echogenicity differs 1-2 cm from the insertion
(doi 10.3390/diagnostics6020015)."""

FAT_MM = (0.8, 3.0)
"""Fat compared with, above the superficial border: clear of the border line, same depth."""

TENSOR_GRADIENT_MM = 0.15
TENSOR_WINDOW_MM = 0.6
"""Standard deviations of the Gaussians of the structure tensor: of its gradients, and of the window
over which their products are averaged."""

BICONVEXITY_SD_MM = 0.07, 0.65
"""Standard deviation of its error where it is too large and where too small. Borders that do not
bulge are hardly ever drawn as if they did; many that do are cut short. Chosen on 128 synthetic
heels (seeds 41000-41127): none of 65 flat ones was measured as more than 0.09 mm, and of 44 that
are biconvex by 0.4 mm or more two were measured as more than 1.0 mm too flat."""

SKIN_MM = 2.0
"""Depth within which the skin's first echo is looked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Appearance:
    """The look of the band in one frame; columns are those of a band ``COLUMN_MM`` apart."""

    echo_db: float
    """Level of the fascia against the fat pad."""
    coherence: float
    fat_pad_mm: float
    """Nominal mm; NaN where it cannot be seen."""
    distance_mm: Floats
    lack: Floats
    """How much each column lacks of the band's usual level, 0 (nothing) to 1 (all of it)."""
    biconvexity_mm: float | str
    """Nominal mm, or why it cannot be told; as are the following."""
    deep_fluid: FluidReading | str
    superficial_fluid: FluidReading | str
    spur: SpurReading | str


def read(
    grey: Image, pair: BorderPair, bone: Bone, floor: float, pixel_mm: float, reach_mm: float
) -> Appearance:
    """Read the band's appearance off one work picture.

    Parameters
    ----------
    grey : ndarray of float32, shape (rows, columns)
        Work picture in grey levels, the bone's front towards the right.
    pair : BorderPair
        Borders.
    bone : Bone
        Calcaneus, in the same frame.
    floor : float
        Grey level of no echo.
    pixel_mm : float
        Nominal size of a work pixel.
    reach_mm : float
        How far both borders can be followed.
    """
    band, upper, lower = _fine(pair)
    within = (band.distance_mm >= READ_MM[0]) & (band.distance_mm <= READ_MM[1])
    shares = np.linspace(0.15, 0.85, 15)
    inside = np.stack([_line(grey, band, upper + share * (lower - upper)) for share in shares])
    fat = np.stack(
        [_line(grey, band, upper - above / pixel_mm) for above in np.linspace(*FAT_MM, 12)]
    )
    echo_db = float(inside[:, within].mean() - fat[:, within].mean()) * DB_PER_LEVEL
    return Appearance(
        echo_db,
        _coherence(grey, band, upper, lower, within, pixel_mm),
        _fat_pad(grey, bone, pixel_mm),
        band.distance_mm,
        read_lack(inside, fat, floor),
        read_biconvexity(pair, reach_mm, pixel_mm),
        read_fluid(grey, pair, floor, pixel_mm, deep=True),
        read_fluid(grey, pair, floor, pixel_mm, deep=False),
        read_spur(grey, pair, bone, floor, pixel_mm),
    )


def _fine(pair: BorderPair) -> tuple[Band, Floats, Floats]:
    """Resample a pair of borders to columns ``COLUMN_FINE_MM`` apart, from the insertion on."""
    coarse = pair.band
    distance = np.arange(0.0, min(REACH_MM, coarse.distance_mm[-1]) + 1e-9, COLUMN_FINE_MM)

    def at(values: Floats) -> Floats:
        return np.interp(distance, coarse.distance_mm, values)

    centre = np.stack([at(coarse.centre[:, axis]) for axis in (0, 1)], axis=1)
    normal = np.stack([at(coarse.normal[:, axis]) for axis in (0, 1)], axis=1)
    return Band(distance, centre, normal), at(pair.upper_px), at(pair.lower_px)


def _line(grey: Image, band: Band, offset_px: Floats) -> Floats:
    """Grey levels along a curve at an offset from the band's centre line."""
    points = band.points(offset_px).astype(np.float32)
    values = cv2.remap(
        grey, points[:, :1], points[:, 1:], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(values[:, 0], dtype=np.float64)


def _coherence(
    grey: Image,
    band: Band,
    upper: Floats,
    lower: Floats,
    within: np.ndarray[tuple[int], np.dtype[np.bool_]],
    pixel_mm: float,
) -> float:
    """Mean coherence of the structure tensor inside the band.

    ``sqrt((Jxx - Jyy)^2 + 4 Jxy^2) / (Jxx + Jyy)``, 1 for parallel lines, 0 for no direction.
    """
    reach = float(max(np.abs(upper).max(), np.abs(lower).max())) * pixel_mm + 1.0
    offsets = np.arange(-reach, reach, COLUMN_FINE_MM) / pixel_mm
    strip = band.sample(grey, offsets)
    sigma = TENSOR_GRADIENT_MM / COLUMN_FINE_MM
    gx = ndimage.gaussian_filter(strip, sigma, order=(0, 1))
    gy = ndimage.gaussian_filter(strip, sigma, order=(1, 0))
    window = TENSOR_WINDOW_MM / COLUMN_FINE_MM
    jxx, jyy, jxy = (
        ndimage.gaussian_filter(product, window) for product in (gx * gx, gy * gy, gx * gy)
    )
    coherence = np.sqrt((jxx - jyy) ** 2 + 4 * jxy**2) / (jxx + jyy + 1e-6)
    margin = 0.1 * (lower - upper)
    inner = (offsets[:, None] > upper + margin) & (offsets[:, None] < lower - margin)
    inner &= within
    return float(coherence[inner].mean()) if inner.any() else float("nan")


def _fat_pad(grey: Image, bone: Bone, pixel_mm: float) -> float:
    """Skin and fat over the shallowest point of the bone, nominal mm."""
    top = int(np.argmin(bone.y))
    x, y = round(bone.x[top]), float(bone.y[top])
    reach = round(2.0 / pixel_mm)
    column = grey[: max(int(y), 1), max(x - reach, 0) : x + reach + 1].mean(axis=1)
    near = column[: max(round(SKIN_MM / pixel_mm), 1)]
    bright = np.flatnonzero(near > 0.5 * near.max())
    return (y - float(bright[0])) * pixel_mm if bright.size else float("nan")


def echogenicity(readings: Sequence[Appearance]) -> Measurement:
    """Ratio of echo amplitude, fascia over fat pad, from levels in dB."""
    value = np.array([reading.echo_db for reading in readings])
    middle = float(np.median(value))
    half = Z_95 * np.hypot(1.0, 1.4826 * np.median(np.abs(value - middle)))
    low, mid, high = (10 ** (db / 20) for db in (middle - half, middle, middle + half))
    return Measurement(float(mid), float(low), float(high), "1")


def fibrillar_score(readings: Sequence[Appearance]) -> Measurement | None:
    """Median coherence over frames."""
    return robust([reading.coherence for reading in readings], 0.05, "1", most=1.0)


def fat_pad(readings: Sequence[Appearance]) -> Measurement | None:
    """Median fat-pad thickness over frames, nominal mm."""
    return robust([reading.fat_pad_mm for reading in readings], 0.25, "mm")


def biconvexity(readings: Sequence[Appearance]) -> Measurement | str:
    """Median biconvexity over frames, nominal mm, or why it cannot be told."""
    found = agreed([reading.biconvexity_mm for reading in readings])
    if isinstance(found, str):
        return found
    measured = robust(found, BICONVEXITY_SD_MM, "mm", least=-np.inf)
    return measured or "the borders could not be followed"
