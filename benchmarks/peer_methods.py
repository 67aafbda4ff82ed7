"""What a user would reach for otherwise: one sensible setting each, stated in its first line.

The peers get help that usguide does not: a first tip (MIL), the truth to choose a band by (minimal
path).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.filters import sato
from skimage.graph import route_through_array
from skimage.measure import LineModelND, ransac

Frames = NDArray[np.uint8]
Tips = NDArray[np.float64]

ANGLES_DEG = (8.0, 75.0)
"""Inclinations from the horizontal that a peer may take for a needle."""


# --- needle: (tip, angle) per frame, NaN where none is claimed ---------------------------------


def _longest(segments: NDArray[Any] | None) -> tuple[NDArray[np.float64], float] | None:
    """Deeper end and angle of the longest line steep enough for a needle."""
    if segments is None:
        return None
    lines = segments.reshape(-1, 4).astype(np.float64)
    step = lines[:, 2:] - lines[:, :2]
    tilt = np.abs((np.degrees(np.arctan2(step[:, 1], step[:, 0])) + 90) % 180 - 90)
    length = np.hypot(*step.T) * ((tilt > ANGLES_DEG[0]) & (tilt < ANGLES_DEG[1]))
    best = int(np.argmax(length))
    if length[best] == 0:
        return None
    ends = lines[best].reshape(2, 2)
    tip, tail = ends[np.argmax(ends[:, 1])], ends[np.argmin(ends[:, 1])]
    angle = np.degrees(np.arctan2(*(tip - tail)[::-1]))
    return tip, float((angle + 90) % 180 - 90)


def hough(frames: Frames) -> tuple[Tips, Tips]:
    """Take the longest line of OpenCV's Canny(50, 150) on a 5 x 5 blur and HoughLinesP."""
    tips, angles = np.full((len(frames), 2), np.nan), np.full(len(frames), np.nan)
    for k, frame in enumerate(frames):
        edges = cv2.Canny(cv2.GaussianBlur(frame, (5, 5), 0), 50, 150)
        found = _longest(
            cv2.HoughLinesP(edges, 1, np.pi / 180, 40, minLineLength=40, maxLineGap=10)
        )
        if found is not None:
            tips[k], angles[k] = found
    return tips, angles


def ridge_ransac(frames: Frames) -> tuple[Tips, Tips]:
    """Fit a RANSAC line (2 px) to the top 1 % of scikit-image's Sato ridges (sigma 2, bright)."""
    tips, angles = np.full((len(frames), 2), np.nan), np.full(len(frames), np.nan)
    for k, frame in enumerate(frames):
        ridge = sato(frame.astype(np.float64), sigmas=[2], black_ridges=False)
        y, x = np.nonzero(ridge > np.quantile(ridge, 0.99))
        points = np.stack([x, y], axis=1).astype(np.float64)
        if len(points) < 30:
            continue
        model, inliers = ransac(
            points, LineModelND, min_samples=2, residual_threshold=2, max_trials=100, rng=0
        )
        if model is None or inliers is None:
            continue
        kept = points[inliers]
        tip, tail = kept[np.argmax(kept[:, 1])], kept[np.argmin(kept[:, 1])]
        tips[k] = tip
        angles[k] = (np.degrees(np.arctan2(*(tip - tail)[::-1])) + 90) % 180 - 90
    return tips, angles


def hough_kalman(frames: Frames) -> tuple[Tips, Tips]:
    """Smooth the tips of those Hough lines by a constant-velocity Kalman filter, as published."""
    tips, angles = hough(frames)
    kalman = cv2.KalmanFilter(4, 2)
    kalman.transitionMatrix = np.array(
        [[1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=np.float32
    )
    kalman.measurementMatrix = np.eye(2, 4, dtype=np.float32)
    kalman.processNoiseCov = np.eye(4, dtype=np.float32)
    kalman.measurementNoiseCov = 25 * np.eye(2, dtype=np.float32)
    kalman.errorCovPost = 1000 * np.eye(4, dtype=np.float32)
    smooth, started = np.full_like(tips, np.nan), False
    for k, tip in enumerate(tips):
        state = kalman.predict()
        if np.isfinite(tip[0]):
            if not started:
                kalman.statePost = np.array([*tip, 0, 0], dtype=np.float32)[:, None]
                started = True
            state = kalman.correct(tip.astype(np.float32)[:, None])
        if started:
            smooth[k] = state[:2, 0]
    return smooth, angles


def mil(frames: Frames, first_tip: NDArray[np.float64], side: int = 41) -> tuple[Tips, Tips]:
    """Follow a 41 x 41 px box around the true first tip with OpenCV's MIL tracker."""
    tips = np.full((len(frames), 2), np.nan)
    tracker = cv2.TrackerMIL.create()
    corner = np.clip(np.rint(first_tip - side // 2), 0, None).astype(int)
    tracker.init(cv2.cvtColor(frames[0], cv2.COLOR_GRAY2BGR), (*corner.tolist(), side, side))
    tips[0] = first_tip
    for k in range(1, len(frames)):
        found, box = tracker.update(cv2.cvtColor(frames[k], cv2.COLOR_GRAY2BGR))
        if found:
            tips[k] = box[0] + box[2] / 2, box[1] + box[3] / 2
    return tips, np.full(len(frames), np.nan)


NEEDLE: dict[str, Callable[[Frames], tuple[Tips, Tips]]] = {
    "OpenCV Canny + HoughLinesP": hough,
    "Hough + Kalman": hough_kalman,
    "scikit-image ridge + RANSAC": ridge_ransac,
}


# --- displacement between two frames, (height, width, 2) px ------------------------------------


def farneback(before: Frames, after: Frames) -> NDArray[np.float32]:
    """Run OpenCV's Farneback with its documentation's values (0.5, 3 levels, window 15)."""
    flow = cv2.calcOpticalFlowFarneback(before, after, None, 0.5, 3, 15, 3, 5, 1.2, 0)
    return np.asarray(flow, dtype=np.float32)


def dis(before: Frames, after: Frames) -> NDArray[np.float32]:
    """Run OpenCV's DIS with the medium preset."""
    engine = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(engine.calc(before, after, None), dtype=np.float32)


# --- borders -----------------------------------------------------------------------------------


def minimal_path(frame: Frames, y_px: NDArray[np.float64], x_px: NDArray[np.float64]) -> Tips:
    """Trace scikit-image's minimal path, down a band's middle, within 3 % of the true border.

    It is shown which band to follow; returns y at every column.
    """
    height, width = frame.shape
    cost = 1.0 + 255.0 - cv2.GaussianBlur(frame, (0, 0), 1.5).astype(np.float64)
    true = np.interp(np.arange(width), x_px, y_px)
    rows = np.arange(height)[:, None]
    cost[np.abs(rows - true) > 0.03 * height] = 1e6
    start, end = (int(true[0]), 0), (int(true[-1]), width - 1)
    path = np.array(route_through_array(cost, start, end, fully_connected=True)[0])
    return np.array([path[path[:, 1] == column, 0].mean() for column in range(width)])


METHODS = (hough, hough_kalman, ridge_ransac, mil, farneback, dis, minimal_path)
"""All of them."""
