"""Which way the fascicles run: a dark lane between two of them runs along, a tear across."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Box = tuple[int, int, int, int]

MIN_COHERENCE = 0.2
"""Structure-tensor coherence under which no direction stands out."""


def direction(frame: NDArray[np.uint8], boxes: Sequence[Box]) -> float | None:
    """Direction of the bright lines in boxes (x0, y0, x1, y1) of a picture, degrees.

    Returns atan2(dy, dx) of the undirected line in (-90, 90], from the structure tensor of all
    boxes together; None where no direction stands out.
    """
    rows, columns = frame.shape
    xx = yy = xy = 0.0
    for box in boxes:
        x0, x1 = max(0, box[0]), min(columns, box[2])
        y0, y1 = max(0, box[1]), min(rows, box[3])
        if x1 - x0 < 8 or y1 - y0 < 8:
            continue
        patch = cv2.GaussianBlur(frame[y0:y1, x0:x1], (0, 0), 1.5).astype(np.float32)
        gx = np.asarray(cv2.Sobel(patch, cv2.CV_32F, 1, 0), np.float64)
        gy = np.asarray(cv2.Sobel(patch, cv2.CV_32F, 0, 1), np.float64)
        xx += float((gx * gx).sum())
        yy += float((gy * gy).sum())
        xy += float((gx * gy).sum())
    coherence = float(np.hypot(xx - yy, 2.0 * xy)) / max(xx + yy, 1e-9)
    if coherence < MIN_COHERENCE:
        return None
    # The gradient's main direction is square to the lines.
    return _undirected(float(np.degrees(0.5 * np.arctan2(2.0 * xy, xx - yy))) + 90.0)


def between(first_deg: float, second_deg: float) -> float:
    """Angle between two undirected lines, 0 to 90 degrees."""
    return abs(_undirected(first_deg - second_deg))


def _undirected(angle_deg: float) -> float:
    return 90.0 - (90.0 - angle_deg) % 180.0
