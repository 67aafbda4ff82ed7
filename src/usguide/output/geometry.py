"""Where what was found lies in one frame."""

from __future__ import annotations

import math

import numpy as np

from usguide.model import Borders, FasciaProfile, FasciaResult, Floats, Header, MuscleResult


def borders_at(result: FasciaResult | MuscleResult, index: int) -> tuple[Floats, ...]:
    """Superficial and deep border in one frame, each (k, 2) in source px; none where unknown."""
    if index == result.reference_frame and (
        result.superficial_px is not None and result.deep_px is not None
    ):
        return result.superficial_px, result.deep_px
    return () if result.borders is None else result.borders.at(index)


def within_tissue(line: Floats, header: Header) -> Floats:
    """Part (k, 2) of a line (n, 2) in source px from its first to its last point in the tissue.

    A muscle's borders go on as lines to the sides of the region, of which a fan shows less.
    """
    known = np.flatnonzero(np.isfinite(line).all(axis=1))
    column, row = np.rint(line[known] - header.region.origin_px).astype(np.intp).T
    rows, columns = header.tissue.shape
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    inside[inside] = header.tissue[row[inside], column[inside]]
    seen = known[inside]
    return line[seen[0] : seen[-1] + 1] if len(seen) else line[:0]


def drop_since_reference(fascia: FasciaResult, index: int) -> Floats | None:
    """How far (x, y) in px the fascia has moved since its reference frame; None where unknown."""
    if index == fascia.reference_frame:
        return np.zeros(2)
    borders, reference = fascia.borders, fascia.reference_frame
    if borders is None or reference is None:
        return None
    moved = borders.deep_y_px[index] - borders.deep_y_px[reference]
    moved = moved[np.isfinite(moved)]
    return np.array([0.0, float(np.median(moved))]) if len(moved) else None


def thickness_caliper(
    profile: FasciaProfile, distance: float, spacing_mm: tuple[float, float] | None
) -> Floats | None:
    """Return the ends (2, 2) in source px between which the thickness was measured.

    Superficial end first; None where nothing was measured.

    Parameters
    ----------
    profile : FasciaProfile
        The band, in the fascia's reference frame.
    distance : float
        From the insertion, along the band, in the profile's unit.
    spacing_mm : (float, float), optional
        Of a pixel, x and y; without one the profile is in px.
    """
    if len(profile.distance) == 0:
        return None
    at = int(np.abs(profile.distance - distance).argmin())
    thickness = profile.thickness[at]
    if not (math.isclose(profile.distance[at], distance, abs_tol=1e-6) and np.isfinite(thickness)):
        return None
    spacing = np.ones(2) if profile.unit == "px" or spacing_mm is None else np.array(spacing_mm)
    midline = profile.midline_px * spacing
    along = midline[min(at + 1, len(midline) - 1)] - midline[max(at - 1, 0)]
    if not np.linalg.norm(along) > 0:
        return None
    # Towards the skin on either side of the picture.
    up = np.array([along[1], -along[0]]) / np.linalg.norm(along) * (1 if along[0] > 0 else -1)
    ends: Floats = np.stack([midline[at] + side * thickness / 2 * up for side in (1, -1)]) / spacing
    return ends


def muscle_axes(muscle: MuscleResult, index: int, x_px: float) -> tuple[Floats, Floats]:
    """Return unit vectors (px) along and across the muscle at ``x_px``."""
    slope = 0.0
    borders: Borders | None = muscle.borders
    if borders is not None and len(borders.x_px) > 1:
        middle = (borders.superficial_y_px[index] + borders.deep_y_px[index]) / 2
        known = np.isfinite(middle) & (np.abs(borders.x_px - x_px) <= np.ptp(borders.x_px) / 4)
        if np.count_nonzero(known) > 1:
            slope = float(np.polyfit(borders.x_px[known], middle[known].astype(np.float64), 1)[0])
    along = np.array([1.0, slope]) / math.hypot(1.0, slope)
    return along, np.array([-along[1], along[0]])
