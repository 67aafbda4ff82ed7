"""A heel spur: the bone's surface running on, past its front lower edge, into the fascia.

In the picture it is a line about as bright as the bone that leaves the edge along the deep border,
with shadow directly beneath it; without a spur there is muscle there. Where the bone's line runs on
along a spur, :mod:`usguide.fascia.front_edge` has already ended the bone where the spur begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from usguide.fascia.agreement import agreed, robust
from usguide.fascia.calcaneus import Bone
from usguide.fascia.course import BorderPair
from usguide.fascia.workspace import Image
from usguide.model import Bools, Floats, Measurement

# Lengths in nominal mm. Tuned on synthetic heels (seeds 5000-5047).
STEP_MM = 0.1
REACH_MM = 12.0
"""Farther from the edge nothing is looked for: spurs of more than a centimetre are rare."""
LINE_MM = (-1.4, 0.5)
"""Where the line may lie about the deep border: above it, inside the fascia."""
UNDER_MM = (0.9, 2.6)
"""Beneath the line: clear of its own thickness, above what lies behind a shadow's edge."""
SMOOTHING_MM = 0.2
MUSCLE_FROM_MM = 8.0
"""Fascia and muscle are compared with this far from the insertion and farther."""
BRIGHT_MIN = 0.2
"""Level of the line between the fascia's (0) and the bone's (1)."""
DARK_MIN = 0.6
"""Depth of the shadow between the muscle's level (0) and no echo (1)."""
BRIGHT_SURE = 0.5
"""A line this bright is beyond doubt."""
LENGTH_MIN_MM = 1.2
"""Shorter ones are not told from the rounded edge of the bone."""
LENGTH_SD_MM = 1.0
"""Root mean square of a length's error: a line that fades towards its tip is read too short."""
GAP_MM = 0.6
START_MAX_MM = 1.5
BEFORE_MM, AFTER_MM = 2.5, 3.0
"""Bone and spur whose slopes are compared."""
LEVELS_OUT_MIN = 0.2
"""Least change of slope from the bone to the spur: the bone itself only steepens. Tuned, as the
brightness is, on synthetic heels (seeds 5000-5047, 20000-20095)."""
CONTRAST_MIN = 10.0
"""Grey levels between bone and fascia, and between muscle and no echo, below which neither line nor
shadow can be judged."""


@dataclass(frozen=True, slots=True, eq=False)
class SpurReading:
    """What one frame says of a spur.

    Parameters
    ----------
    length_mm : float
        From the bone's edge along the line, nominal mm; 0 where there is none.
    tip : (float, float)
        (x, y) of its end from the bone's front edge as it was found, in work px.
    brightness : float
        Mean level along it, between the fascia's (0) and the bone's (1).
    """

    length_mm: float
    tip: tuple[float, float]
    brightness: float


def read_spur(
    grey: Image, pair: BorderPair, bone: Bone, floor: float, pixel_mm: float
) -> SpurReading | str:
    """Look for a spur in one work picture, or say why it cannot be told.

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
    """
    ahead = pair.band.distance_mm >= 0
    border = pair.band.points(pair.lower_px)[ahead]
    superficial = pair.band.points(pair.upper_px)[ahead]
    surface = np.stack([bone.x, bone.y], axis=1)
    far = border[:, 0] > bone.edge[0] + MUSCLE_FROM_MM / pixel_mm
    if not far.any():
        return "the fascia is not seen far enough from the bone to compare with"
    bone_level = float(np.percentile(_levels(grey, surface, (-0.3, 0.5), pixel_mm).max(axis=0), 75))
    shares = np.linspace(0.15, 0.85, 15)[:, None, None]
    inside = _at(grey, (superficial + shares * (border - superficial))[:, far])
    fascia_level = float(np.percentile(inside, 90))
    muscle_level = float(np.median(_levels(grey, border[far], (0.6, 4.0), pixel_mm)))
    if bone_level - fascia_level < CONTRAST_MIN:
        return "the bone is no brighter than the fascia"
    if muscle_level - floor < CONTRAST_MIN:
        return "the muscle is as dark as a shadow"
    start = bone.edge[0]
    course = np.concatenate([surface[surface[:, 0] < border[0, 0]], border])
    x = np.arange(start, min(start + REACH_MM / pixel_mm, course[-1, 0]), STEP_MM / pixel_mm)
    path = np.stack([x, np.interp(x, course[:, 0], course[:, 1])], axis=1)
    line = _levels(grey, path, LINE_MM, pixel_mm)
    highest = line.argmax(axis=0)
    path[:, 1] += (LINE_MM[0] + highest * STEP_MM) / pixel_mm
    beneath = _levels(grey, path, UNDER_MM, pixel_mm).mean(axis=0)
    bright = (_smooth(line.max(axis=0)) - fascia_level) / (bone_level - fascia_level)
    dark = 1.0 - (_smooth(beneath) - floor) / (muscle_level - floor)
    run = _first_run((bright > BRIGHT_MIN) & (dark > DARK_MIN))
    if run is None:
        return SpurReading(0.0, (0.0, 0.0), 0.0)
    back = np.linspace(start - BEFORE_MM / pixel_mm, start, 20)
    back = back[back >= surface[0, 0]]
    falling = np.stack([back, np.interp(back, *surface.T)], axis=1)
    after = path[run][: round(AFTER_MM / STEP_MM)]
    if len(falling) < 3 or _rise(falling) - _rise(after) < LEVELS_OUT_MIN:
        return SpurReading(0.0, (0.0, 0.0), 0.0)
    tip = path[run.stop - 1]
    length_mm = float(np.hypot(*(tip - (start, np.interp(start, *course.T))))) * pixel_mm
    from_edge = float(tip[0] - bone.edge[0]), float(tip[1] - bone.edge[1])
    return SpurReading(length_mm, from_edge, float(bright[run].mean()))


def spur(
    readings: Sequence[SpurReading | str],
) -> tuple[Measurement, tuple[float, float], float] | str | None:
    """Combine frames.

    Returns
    -------
    tuple, None or str
        Length in nominal mm, end from the bone's front edge (work px) and confidence; None where
        there is no spur; or why it cannot be told.
    """
    found = agreed(readings)
    if isinstance(found, str):
        return found
    length = robust([one.length_mm for one in found], LENGTH_SD_MM, "mm")
    if length is None or length.value < LENGTH_MIN_MM:
        return None
    tip = np.median([one.tip for one in found], axis=0)
    seen = sum(one.length_mm >= LENGTH_MIN_MM for one in found) / len(found)
    bright = min(float(np.median([one.brightness for one in found])) / BRIGHT_SURE, 1.0)
    return length, (float(tip[0]), float(tip[1])), seen * bright


def _rise(points: Floats) -> float:
    """Slope of a line through points, shape (n, 2), positive where it falls deeper."""
    return float(np.polyfit(points[:, 0], points[:, 1], 1)[0]) if len(points) > 1 else 0.0


def _levels(grey: Image, path: Floats, rows_mm: tuple[float, float], pixel_mm: float) -> Floats:
    """Grey levels above and below a path along the beam, shape (rows, points)."""
    offsets = np.arange(rows_mm[0], rows_mm[1] + STEP_MM / 2, STEP_MM) / pixel_mm
    return _at(grey, path[None] + np.stack([0 * offsets, offsets], axis=1)[:, None])


def _at(grey: Image, points: Floats) -> Floats:
    """Bilinear grey levels at work points of shape (..., 2)."""
    where = points[..., ::-1].reshape(-1, 2).T
    values = ndimage.map_coordinates(grey, where, order=1, mode="nearest")
    return np.asarray(values.reshape(points.shape[:-1]), dtype=np.float64)


def _smooth(values: Floats) -> Floats:
    return np.asarray(ndimage.gaussian_filter1d(values, SMOOTHING_MM / STEP_MM))


def _first_run(shown: Bools) -> slice | None:
    """Return the first run of True, short gaps closed, if it starts where it should."""
    pad = round(GAP_MM / STEP_MM)
    closed = ndimage.binary_closing(np.pad(shown, pad), np.ones(pad))[pad:-pad]
    labels, _ = ndimage.label(closed)
    where = np.flatnonzero(labels == 1)
    if where.size == 0 or where[0] * STEP_MM > START_MAX_MM:
        return None
    return slice(int(where[0]), int(where[-1]) + 1)
