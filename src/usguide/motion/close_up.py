"""A close look at one place for a moment: dense motion that blocks of speckle are too coarse for.

Within a twitch neighbouring millimetres move differently and fast. OpenCV's dense inverse search
(Kroeger et al., ECCV 2016) follows that from frame to frame, at a cost that is affordable in a
small window only. The motion found directly between the first frame and the last says where the
tissue ends up; what the steps from frame to frame miss of it is spread over them.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from usguide.model import Floats, Frame
from usguide.motion.matching import working_scale

STEP = 6
"""Distance between followed points, working px: half a millimetre."""

SMOOTHING_ROUNDS = 3
"""Iterations of the variational refinement: the preset's 5 change 0.05 px and take half as long
again."""

PATCH = (15, 11)
"""Width and height of the patches in which tissue is compared with itself, working px."""

LEAST_SIDE = 32
"""Least width and height of a window, working px: two levels of dense inverse search."""


@dataclass(frozen=True, slots=True, eq=False)
class CloseUp:
    """Motion of the tissue in a window of the region.

    Parameters
    ----------
    points_px : ndarray, shape (rows, columns, 2)
        Where the followed tissue lies in the first frame, region px.
    displacement_px : ndarray, shape (n, rows, columns, 2)
        How far it has moved since, px.
    missed_px : ndarray, shape (rows, columns)
        How far the steps, added up, end from where the tissue is found directly, px.
    likeness : ndarray, shape (rows, columns)
        Correlation of the tissue around each point in the first and the last frame.
    """

    points_px: Floats
    displacement_px: Floats
    missed_px: Floats
    likeness: Floats


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the region, (x, y) of its first pixel and beyond its last."""

    x0: int
    y0: int
    x1: int
    y1: int

    @classmethod
    def around(
        cls, x: float, y: float, half: tuple[float, float], width: int, height: int
    ) -> Window:
        """Return the window that reaches so far from a point, within the region."""
        return cls(
            max(0, int(x - half[0])),
            max(0, int(y - half[1])),
            min(width, int(x + half[0]) + 1),
            min(height, int(y + half[1]) + 1),
        )

    def cut(self, frame: Frame) -> NDArray[np.uint8]:
        """Return that part of a frame at working size."""
        scale = working_scale(*frame.shape)
        part = frame[self.y0 : self.y1, self.x0 : self.x1]
        size = (
            max(LEAST_SIDE, round(part.shape[1] * scale)),
            max(LEAST_SIDE, round(part.shape[0] * scale)),
        )
        return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)


def follow(window: Window, cuts: list[NDArray[np.uint8]]) -> CloseUp:
    """Follow the tissue of a window through its frames.

    Parameters
    ----------
    window : Window
        Where they were cut from.
    cuts : list of ndarray of uint8, shape (height, width)
        The frames, at least two.
    """
    height, width = cuts[0].shape
    engine = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    engine.setVariationalRefinementIterations(SMOOTHING_ROUNDS)
    y, x = np.meshgrid(
        np.arange(STEP, height - STEP, STEP), np.arange(STEP, width - STEP, STEP), indexing="ij"
    )
    start: Floats = np.stack([x, y], axis=-1).astype(np.float64)
    whole = _flow(engine, cuts[0], cuts[-1])
    moved = _chained(engine, cuts, start)
    missed = sampled(whole, start) - moved[-1]
    share = np.linspace(0.0, 1.0, len(cuts))[:, None, None, None]
    to_region = np.array([(window.x1 - window.x0) / width, (window.y1 - window.y0) / height])
    return CloseUp(
        (start + 0.5) * to_region - 0.5 + np.array([window.x0, window.y0], dtype=np.float64),
        (moved + share * missed) * to_region,
        np.asarray(np.linalg.norm(missed * to_region, axis=-1), dtype=np.float64),
        sampled(_likeness(cuts[0], cuts[-1], whole)[..., None], start)[..., 0],
    )


def sampled(field: NDArray[np.float32], points: Floats) -> Floats:
    """Interpolate a field (height, width, k) at points (..., 2); beyond it the rim counts."""
    at = (points[..., 1], points[..., 0])
    values = [
        map_coordinates(field[..., k], at, order=1, mode="nearest") for k in range(field.shape[2])
    ]
    return np.stack(values, axis=-1).astype(np.float64)


def _flow(
    engine: cv2.DISOpticalFlow, before: NDArray[np.uint8], after: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Dense displacement (height, width, 2), px, from one frame to another."""
    nothing = np.zeros((*before.shape, 2), np.float32)
    return np.asarray(engine.calc(before, after, nothing), np.float32)


def _chained(engine: cv2.DISOpticalFlow, cuts: list[NDArray[np.uint8]], start: Floats) -> Floats:
    """Displacement of points from the first frame on, shape (n, rows, columns, 2)."""
    now = start
    moved = [np.zeros_like(start)]
    for before, after in itertools.pairwise(cuts):
        step = _flow(engine, before, after)
        now = now + sampled(step, now)
        moved.append(now - start)
    return np.stack(moved)


def _likeness(
    first: NDArray[np.uint8], last: NDArray[np.uint8], flow: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Normalised correlation of patches of the first frame with where they went in the last."""
    rows, columns = first.shape
    x, y = np.meshgrid(np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32))
    a = first.astype(np.float32)
    b = np.asarray(
        cv2.remap(last, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR), np.float32
    )

    def mean(image: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.boxFilter(image, -1, PATCH), np.float32)

    covariance = mean(a * b) - mean(a) * mean(b)
    spread = (mean(a * a) - mean(a) ** 2) * (mean(b * b) - mean(b) ** 2)
    return np.asarray(covariance / np.sqrt(np.maximum(spread, 1.0)), np.float32)
