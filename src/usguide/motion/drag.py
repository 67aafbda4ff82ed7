"""What the needle does to the tissue around it: places it hides, and motion it drags along."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, median_filter

from usguide.model import Bools, Floats, Header, NeedleTrack
from usguide.motion.history import Motion

NEEDLE_MARGIN_MM = 3.0
"""Distance from the shaft within which tissue is masked: half a block, the shaft, and
the tissue that sticks to it most."""

NEEDLE_MARGIN_SHARE = 0.075
"""The same without a scale, as a share of the region's width."""

STICTION = (0.05, 0.2)
"""How far tissue sticks to the needle before it slips, as shares of the needle's stroke: 0.5 and
2 mm of a 10 mm pass. With the depth itself they span what drag looks like."""

SETTLING_S = 0.5
"""How long before and after the needle passes a place is masked: tissue gives way ahead of a tip
and settles behind it for about as long as a twitch lasts, which no regression tells apart."""


def near_needle(
    points_px: Floats, frames: NDArray[np.int64], needle: NeedleTrack, header: Header
) -> Bools:
    """Points near the needle.

    Parameters
    ----------
    points_px : ndarray, shape (..., 2)
        Points of the region, (x, y).
    frames : ndarray of int64, shape (n,)
        Source frames.
    needle : NeedleTrack
        Where the needle was; while it is not seen it is taken to be where it was last seen, and
        before it is first seen, there.
    header : Header
        Scale and place of the region.

    Returns
    -------
    ndarray of bool, shape (n, ...)
    """
    near = np.zeros((len(frames), *points_px.shape[:-1]), dtype=np.bool_)
    if needle.tip_px is None:
        return near
    seen = np.flatnonzero(np.isfinite(needle.tip_px).all(axis=1))
    if not len(seen):
        return near
    spacing = header.calibration.spacing_mm
    scale = np.array(spacing if spacing is not None else (1.0, 1.0))
    margin = NEEDLE_MARGIN_MM
    if spacing is None:
        margin = NEEDLE_MARGIN_SHARE * header.region.width
    origin = header.region.origin_px
    stands = seen[np.clip(np.searchsorted(seen, frames, side="right") - 1, 0, None)]
    tips = (needle.tip_px[stands] - origin) * scale
    tails = tips
    if needle.tail_px is not None:
        known = (needle.tail_px[stands] - origin) * scale
        tails = np.where(np.isfinite(known), known, tips)
    places = points_px * scale
    for k, (tip, tail) in enumerate(zip(tips, tails, strict=True)):
        along = tail - tip
        length = max(float(along @ along), 1e-9)
        share = np.clip(((places - tip) @ along) / length, 0.0, 1.0)
        near[k] = np.linalg.norm(places - tip - share[..., None] * along, axis=-1) <= margin
    return near


def settling(near: Bools, step_s: float) -> Bools:
    """Also mask what the needle will reach, or has left, within the time tissue takes to settle."""
    entries = max(1, round(SETTLING_S / step_s))
    size = (2 * entries + 1, *(1 for _ in near.shape[1:]))
    return np.asarray(maximum_filter(near, size=size, mode="nearest"), dtype=np.bool_)


def needle_drive(motion: Motion, needle: NeedleTrack, window: int) -> Floats | None:
    """Return what the needle did, quick part only, now and a frame ago; shape (n, drives)."""
    depth = needle.insertion_depth_px
    if depth is None:
        return None
    depth = depth[motion.frames]
    known = np.flatnonzero(np.isfinite(depth))
    if len(known) < 5:
        return None
    full = np.interp(np.arange(len(depth)), known, depth[known])
    stroke = float(np.ptp(full))
    if stroke <= 0:
        return None
    courses = [full, *(stuck(full, share * stroke) for share in STICTION)]
    drives = []
    for course in courses:
        quick = course - median_filter(course, size=window, mode="nearest")
        drives += [quick, np.concatenate([quick[:1], quick[:-1]])]
    return np.stack(drives, axis=1)


def stuck(course: Floats, limit: float) -> Floats:
    """Follow a course as tissue does that sticks to the needle until it slips.

    The stop operator of dry friction: moves along by up to ``limit``, then lets go.
    """
    moved = np.zeros(len(course))
    for k in range(1, len(course)):
        moved[k] = np.clip(moved[k - 1] + course[k] - course[k - 1], -limit, limit)
    return moved


def dragged(values: Floats, weight: Floats, drive: Floats) -> Floats:
    """Part of every cell's motion that follows the needle's: robust regression over time.

    Parameters
    ----------
    values : ndarray, shape (n, cells, 2)
        Motion.
    weight : ndarray, shape (n, cells)
        Trust in it.
    drive : ndarray, shape (n, drives)
        What the needle did.

    Returns
    -------
    ndarray, shape (n, cells, 2)
    """
    robust = weight.copy()
    fitted = np.zeros_like(values)
    drive = drive / np.maximum(drive.std(axis=0), 1e-9)
    ridge = 1e-2 * len(drive) * np.eye(drive.shape[1])
    for _ in range(3):
        normal = np.einsum("nc,ni,nj->cij", robust, drive, drive) + ridge
        right = np.einsum("nc,ni,ncd->cid", robust, drive, values)
        fitted = np.einsum("ni,cid->ncd", drive, np.linalg.solve(normal, right))
        away = np.linalg.norm(values - fitted, axis=-1)
        typical = np.median(away, axis=0, keepdims=True) + 1e-3
        robust = weight / (1.0 + (away / (2.0 * typical)) ** 2)
    return fitted
