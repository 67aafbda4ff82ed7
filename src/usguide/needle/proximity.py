"""How close the tip came to the fascia, and how long it was inside."""

from __future__ import annotations

import numpy as np

from usguide.model import Bools, Calibration, FasciaResult, Floats, Timing
from usguide.needle.passes import frame_durations


def distance_to_polyline(point: Floats, line: Floats) -> float:
    """Distance from a point (2,) to a polyline (k, 2), in the units of both."""
    a, b = line[:-1], line[1:]
    along = b - a
    t = np.einsum("kj,kj->k", point - a, along) / np.maximum(
        np.einsum("kj,kj->k", along, along), 1e-12
    )
    nearest = a + np.clip(t, 0.0, 1.0)[:, None] * along
    return float(np.min(np.linalg.norm(point - nearest, axis=1)))


def borders_at(fascia: FasciaResult, frame: int) -> tuple[Floats, Floats] | None:
    """Superficial and deep border in one frame, each (k, 2) in source px, or None."""
    if fascia.borders is not None:
        top, bottom = fascia.borders.at(frame)
        known = np.isfinite(top[:, 1]) & np.isfinite(bottom[:, 1])
        if np.count_nonzero(known) >= 2:
            return top[known], bottom[known]
    if fascia.superficial_px is None or fascia.deep_px is None:
        return None
    if len(fascia.superficial_px) < 2 or len(fascia.deep_px) < 2:
        return None
    return fascia.superficial_px, fascia.deep_px


def distance_to_fascia(
    tip_px: Floats, fascia: FasciaResult, calibration: Calibration
) -> tuple[Floats, Bools] | None:
    """Signed distance of the tip to the nearest border of the fascia, negative inside the band.

    Parameters
    ----------
    tip_px : ndarray, shape (frames, 2)
        Source px, NaN where not seen.
    fascia : FasciaResult
        What the fascia stage found.
    calibration : Calibration
        Size of a pixel; without one nothing is returned.

    Returns
    -------
    distance_mm : ndarray, shape (frames,)
        NaN where unknown.
    inside : ndarray of bool, shape (frames,)
        Whether the tip lies between the borders.
    """
    if calibration.spacing_mm is None:
        return None
    distance = np.full(len(tip_px), np.nan)
    inside = np.zeros(len(tip_px), dtype=np.bool_)
    for frame in np.flatnonzero(np.isfinite(tip_px[:, 0])):
        borders = borders_at(fascia, int(frame))
        if borders is None:
            continue
        top, bottom = borders
        x, y = tip_px[frame]
        nearest = min(
            distance_to_polyline(calibration.to_mm(tip_px[frame]), calibration.to_mm(line))
            for line in (top, bottom)
        )
        covered = (
            max(top[:, 0].min(), bottom[:, 0].min())
            <= x
            <= min(top[:, 0].max(), bottom[:, 0].max())
        )
        between = bool(
            covered and np.interp(x, *ordered(top)) <= y <= np.interp(x, *ordered(bottom))
        )
        inside[frame] = between
        distance[frame] = -nearest if between else nearest
    if not np.any(np.isfinite(distance)):
        return None
    return distance, inside


def ordered(line: Floats) -> tuple[Floats, Floats]:
    """X and y of a border, by increasing x."""
    by_x = np.argsort(line[:, 0], kind="stable")
    return line[by_x, 0], line[by_x, 1]


def time_inside(inside: Bools | None, timing: Timing) -> tuple[float | None, float | None]:
    """When the tip was first inside the fascia, and for how long in all, seconds.

    Parameters
    ----------
    inside : ndarray of bool, shape (frames,), or None
        Frames in which it is; None where the fascia is not known.
    timing : Timing
        When each frame was shown.

    Returns
    -------
    first_s, total_s : float or None
        None where there is no clock or no fascia; ``first_s`` also where it never was inside.
    """
    if inside is None or timing.time_s is None:
        return None, None
    frames = np.flatnonzero(inside)
    first = float(timing.time_s[frames[0]]) if len(frames) else None
    return first, float(frame_durations(timing.time_s)[frames].sum())


def repeated(inside: Bools, timing: Timing) -> Bools:
    """Let frames that repeat another one say what that one says."""
    return inside[np.where(timing.duplicate_of >= 0, timing.duplicate_of, np.arange(len(inside)))]
