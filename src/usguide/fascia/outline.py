"""A first outline of the band: one thickness and one taper, judged over its whole length.

Above the deep border the picture is full of bright lines, and in any one column each of them could
be the superficial border. Over two centimetres only one can: the line that keeps to the fascia's
shape, with one kind of tissue below it and another above. The shape is that of the literature, an
exponential decline from the insertion, so a few tapers cover it; for each taper the strip is
stretched until borders and fibrils lie along rows, every row is averaged over its whole length,
and the superficial border is the change point of what is left, a profile over height.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

from usguide.fascia.straighten import COLUMN_MM, ROW_MM, Strip, smoothed_along
from usguide.fascia.workspace import Image
from usguide.model import Floats

# Lengths in nominal mm.
DECLINE_MM = 9.0
"""Length over which the thickness declines (exponential, doi 10.1109/access.2019.2909409)."""
DISTAL_SHARES = (0.45, 0.6, 0.75, 0.9, 1.05)
"""Thickness far from the insertion over thickness there."""
LENGTH_MM = (0.5, 24.0)
HEIGHT_MAX_MM = 12.5
SKIN_MM = 1.8
"""Skin and the probe's face, which are no fat."""
USUAL_MM = 3.8
"""Middle of the prior over thickness, between controls (2-4 mm) and patients (+2.2 mm)."""

# Tuned on synthetic heels (seeds 0-19).
LINE_WEIGHT = 1.5
PRIOR_WEIGHT = 0.5
PERSISTENCE_MM = 2.0
SMOOTHING_ROWS = 3.0
CLEAR_MM = 0.15
"""Half of what is left out between the two tissues: the border line itself."""
VARIANCE_FLOOR = (2e-3, 2e-3, 4e-4)
"""Of level, energy and persistence: rows are never more alike than speckle allows."""


def outline(strip: Strip, pixel_mm: float, thickness_mm: tuple[float, float]) -> Floats | None:
    """Estimate the thickness of the band above a lower border.

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
    ndarray of float64, shape (columns,), or None
        Thickness, nominal mm; None where the band is too short or too shallow to judge.
    """
    distance = strip.band.distance_mm
    used = (distance >= LENGTH_MM[0]) & (distance <= LENGTH_MM[1])
    if np.count_nonzero(used) * COLUMN_MM < 5.0:
        return None
    heights = np.arange(0.0, HEIGHT_MAX_MM, ROW_MM)
    depth_mm = strip.band.centre[used, 1] * pixel_mm
    best: tuple[float, Floats] | None = None
    for share in DISTAL_SHARES:
        taper = share + (1 - share) * np.exp(-np.maximum(distance, 0.0) / DECLINE_MM)
        visible = heights < (depth_mm.min() - SKIN_MM) / taper[used].max()
        score = _scores(_stretched(strip, heights, taper, pixel_mm), used, visible)
        score -= PRIOR_WEIGHT * np.log(np.maximum(heights, ROW_MM) / USUAL_MM) ** 2
        score[(heights < thickness_mm[0]) | (heights > thickness_mm[1])] = -np.inf
        top = int(np.argmax(score))
        if np.isfinite(score[top]) and (best is None or score[top] > best[0]):
            best = float(score[top]), heights[top] * taper
    return None if best is None else best[1]


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


def _scores(image: Image, used: np.ndarray, visible: np.ndarray) -> Floats:
    """Score every row as the superficial border: a line, and a change of tissue across it."""
    across = np.gradient(image, axis=0)
    lasting = smoothed_along(across, PERSISTENCE_MM)

    def profile(values: Image) -> Floats:
        mean = values[:, used].mean(axis=1).astype(np.float64)
        return np.asarray(ndimage.gaussian_filter1d(mean, SMOOTHING_ROWS))

    energy, outlasting = profile(across * across), profile(lasting * lasting)
    looks = np.stack(
        [
            image[:, used].mean(axis=1),
            0.5 * np.log(energy + 1e-5),
            0.5 * np.log((outlasting + 1e-6) / (energy + 1e-5)),
        ]
    )
    line = -ndimage.gaussian_filter1d(smoothed_along(image, 1.0), 2.0, axis=0, order=2)
    contrast = np.tanh(line / (4.0 * np.median(np.abs(line)) + 0.0025))[:, used].mean(axis=1)
    return np.asarray(LINE_WEIGHT * contrast + _change_point(looks[:, visible], len(visible)))


def _change_point(looks: Floats, rows: int) -> Floats:
    """Log-likelihood, per row, of two tissues that meet at each row; shape (rows,).

    Each tissue is one Gaussian over the rows on its side, both of the same covariance S:
    ``-log(det S) / 2``. Rows that are not visible cannot be borders.
    """
    score = np.full(rows, -np.inf)
    clear = round(CLEAR_MM / ROW_MM)
    skip = 3  # the deep border's own blur
    count = looks.shape[1]
    floor = np.diag(VARIANCE_FLOOR)
    for row in range(skip + clear + 5, count - clear - 10):
        below, above = looks[:, skip : row - clear], looks[:, row + clear :]
        freedom = below.shape[1] + above.shape[1] - 2
        scatter = np.cov(below) * (below.shape[1] - 1) + np.cov(above) * (above.shape[1] - 1)
        score[row] = -0.5 * np.linalg.slogdet(scatter / freedom + floor)[1]
    return score
