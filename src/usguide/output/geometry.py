"""Where what was found lies in one frame."""

from __future__ import annotations

import math

import numpy as np

from usguide.model import Borders, FasciaResult, Floats, MuscleResult


def borders_at(result: FasciaResult | MuscleResult, index: int) -> tuple[Floats, ...]:
    """Superficial and deep border in one frame, each (k, 2) in source px; none where unknown."""
    if index == result.reference_frame and (
        result.superficial_px is not None and result.deep_px is not None
    ):
        return result.superficial_px, result.deep_px
    return () if result.borders is None else result.borders.at(index)


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
