"""Fluid along the fascia: a layer without echoes that lies on a border, with tissue beyond it.

A perifascial collection is a secondary sign of plantar fasciitis (PMC5265197). Dark tissue and
shadow are not fluid: the layer must begin at the border, end again within a few millimetres at
tissue that has echoes, and run on along the band.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy import ndimage

from usguide.fascia.agreement import agreed, robust
from usguide.fascia.course import BorderPair
from usguide.fascia.workspace import Image
from usguide.model import Bools, Border, Floats, Measurement

# Lengths in nominal mm. Tuned on synthetic heels (seeds 5000-5047).
ALONG_MM = 0.1
ACROSS_MM = 0.1
REACH_MM = 20.0
"""Beyond two centimetres the borders are too uncertain to say what lies on them."""
AWAY_MM = 5.0
"""How far from the border tissue is looked at."""
THICKNESS_MAX_MM = 3.5
"""A dark layer that has not ended by then is shadow or dark muscle."""
BORDER_BLUR_MM = 0.6
"""A layer may begin this far from the border found."""
SMOOTHING_MM = (0.12, 0.8)
"""Standard deviations across and along the band: speckle is coarser along it."""
LENGTH_MIN_MM = 4.0
"""Dark places between muscle fibres reached 3 mm (synthetic heels, seeds 20000-20095)."""
THICKNESS_MIN_MM = 0.4
THICKNESS_SD_MM = 0.4
"""Standard deviation of its error."""
CONTRAST_MIN = 20.0
"""Grey levels that the tissue must be above no echo: about 5 dB of a 60 dB display."""
ECHO_MAX = 0.3
"""Level of fluid between no echo (0) and the tissue (1)."""
GAP_MM = 1.0
"""Stretches of one layer may be so far apart."""


@dataclass(frozen=True, slots=True, eq=False)
class FluidReading:
    """Dark layers along one border in one frame, in columns ``ALONG_MM`` apart.

    Parameters
    ----------
    distance_mm : ndarray, shape (columns,)
        Nominal distance from the insertion.
    thickness_mm : ndarray, shape (columns,)
        Of the layer on the border, nominal mm; 0 where there is none.
    lack : ndarray, shape (columns,)
        How much of the tissue's echo the layer lacks, 0 to 1.
    """

    distance_mm: Floats
    thickness_mm: Floats
    lack: Floats


def read_fluid(
    grey: Image, pair: BorderPair, floor: float, pixel_mm: float, *, deep: bool
) -> FluidReading | str:
    """Look for a dark layer on one border in one work picture, or say why it cannot be told.

    Parameters
    ----------
    grey : ndarray of float32, shape (rows, columns)
        Work picture in grey levels, the bone's front towards the right.
    pair : BorderPair
        Borders.
    floor : float
        Grey level of no echo.
    pixel_mm : float
        Nominal size of a work pixel.
    deep : bool
        Beneath the deep border, or above the superficial one.
    """
    band = pair.band
    distance = np.arange(0.0, min(REACH_MM, band.distance_mm[-1]), ALONG_MM)
    border = band.points(pair.lower_px if deep else pair.upper_px)
    outward = band.normal if deep else -band.normal
    at = [
        np.stack([np.interp(distance, band.distance_mm, part[:, k]) for k in (0, 1)], axis=1)
        for part in (border, outward)
    ]
    away = np.arange(0.0, AWAY_MM, ACROSS_MM) / pixel_mm
    points = (at[0][None] + away[:, None, None] * at[1][None]).astype(np.float32)
    levels = cv2.remap(
        grey, points[..., 0], points[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    levels = cv2.GaussianBlur(
        levels,
        (0, 0),
        sigmaX=SMOOTHING_MM[1] / ALONG_MM,
        sigmaY=SMOOTHING_MM[0] / ACROSS_MM,
        borderType=cv2.BORDER_REPLICATE,
    )
    tissue = float(np.median(levels))
    if tissue - floor < CONTRAST_MIN:
        what = "muscle beneath" if deep else "fat above"
        return f"the {what} the fascia is almost as dark as fluid"
    lack = np.asarray(1.0 - (levels - floor) / (tissue - floor), dtype=np.float64)
    thickness, deepest = _layers(lack)
    return FluidReading(distance, thickness, deepest)


def _layers(lack: Floats) -> tuple[Floats, Floats]:
    """Return thickness and lack of the layer that begins at the border, per column.

    The layer's edges are where half of the tissue's echo is lacking.
    """
    rows, columns = lack.shape
    dark = lack > 0.5
    start = round(BORDER_BLUR_MM / ACROSS_MM)
    thickness, deepest = np.zeros(columns), np.zeros(columns)
    for column in range(columns):
        first = int(np.argmax(dark[: start + 1, column]))
        if not dark[first, column]:
            continue
        lit = np.flatnonzero(~dark[first:, column])
        end = first + int(lit[0]) if lit.size else rows
        if (end - first) * ACROSS_MM <= THICKNESS_MAX_MM:
            thickness[column] = (end - first) * ACROSS_MM
            deepest[column] = lack[first:end, column].max()
    return thickness, deepest


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A layer of fluid on one border, nominal mm.

    Parameters
    ----------
    border : Border
        Which one.
    distance_mm, thickness_mm : ndarray, shape (columns,)
        From the insertion; median over frames.
    thickest : Measurement
        Thickness where it is greatest.
    confidence : float
        How much of the tissue's echo it lacks, 0 to 1.
    """

    border: Border
    distance_mm: Floats
    thickness_mm: Floats
    thickest: Measurement
    confidence: float

    def outline(self, pair: BorderPair, pixel_mm: float) -> Floats:
        """Return its outline on a pair of borders, shape (2 * columns + 1, 2), work px."""
        deep = self.border is Border.DEEP
        band = pair.band
        border = band.points(pair.lower_px if deep else pair.upper_px)
        outward = band.normal if deep else -band.normal
        near, away = (
            np.stack([np.interp(self.distance_mm, band.distance_mm, part[:, k]) for k in (0, 1)], 1)
            for part in (border, outward)
        )
        far = near + away * self.thickness_mm[:, None] / pixel_mm
        return np.concatenate([near, far[::-1], near[:1]])


def fluid(readings: Sequence[FluidReading | str], border: Border) -> list[Layer] | str:
    """Combine frames: the layers that most of them show, or why none can be told."""
    found = agreed(readings)
    if isinstance(found, str):
        return found
    columns = min(len(one.distance_mm) for one in found)
    thickness = np.median([one.thickness_mm[:columns] for one in found], axis=0)
    lack = np.median([one.lack[:columns] for one in found], axis=0)
    distance = found[0].distance_mm
    layers = []
    for run in _runs((thickness >= THICKNESS_MIN_MM) & (lack >= 1.0 - ECHO_MAX)):
        thickest = float(np.percentile(thickness[run], 90))
        frames = [float(np.percentile(one.thickness_mm[run], 90)) for one in found]
        measured = robust(frames, THICKNESS_SD_MM, "mm")
        if measured is None:
            continue
        layers.append(
            Layer(
                border,
                distance[run],
                thickness[run],
                replace(measured, value=min(max(thickest, measured.low), measured.high)),
                float(np.clip(np.median(lack[run]), 0.0, 1.0)),
            )
        )
    return layers


def _runs(shown: Bools) -> list[slice]:
    """Return the runs of columns that are long enough, short gaps closed."""
    pad = round(GAP_MM / ALONG_MM)
    closed = ndimage.binary_closing(np.pad(shown, pad), np.ones(pad))[pad:-pad]
    labels, _ = ndimage.label(closed)
    found = [where for (where,) in ndimage.find_objects(labels)]
    return [run for run in found if (run.stop - run.start) * ALONG_MM >= LENGTH_MIN_MM]
