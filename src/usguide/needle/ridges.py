"""Bright straight lines of a picture, at every angle, one pyramid level at a time."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.kernels.lines import segments_at_all_angles
from usguide.kernels.ridges import (
    area_means,
    in_local_units,
    second_derivatives,
    weigh_directions,
)
from usguide.model import Bools, Floats, Frame

Float32 = NDArray[np.float32]

SIGMA_PX = 1.4
"""Gaussian sigma of the ridge filter at each level of the pyramid, px of that level."""
LIMITS = np.array([0.7, -1.5, 3.0], np.float32)
"""Bias, lowest and highest response of a sample, in local deviations. A shaft may have gaps of a
few px but its response is above the bias on average, and no bright spot counts for more than a
piece of shaft. Tuned on needle_convex_01, 05, 07, needle_block and needle_steep."""
STRIDE = 2
"""Along a line every second pixel is looked at: the filter makes neighbours alike."""
STRENGTH = (0.7, 1.6)
LOUDEST = 3.0
"""Local deviations beyond which a response says nothing more of how much there is of its kind."""
LEAST_SCORE = 13.0
"""Sum below which a segment is not looked at: lines of pure speckle reach about 15."""
MOST_SEGMENTS = 10000
"""Room for the segments of one picture: more are not looked at."""


def reduced(image: Frame | Float32, width: int, height: int) -> Float32:
    """Shrink a picture by averaging the area that each pixel covers."""
    small = np.empty((height, width), np.float32)
    area_means(image, small)
    return small


def halve(image: Float32) -> Float32:
    """Shrink by two, averaging."""
    height, width = image.shape
    return reduced(image, max(1, width // 2), max(1, height // 2))


def inside(mask: Bools) -> Bools:
    """Leave a rim of two sigma at fan edges and graphics, where a ridge filter sees edges."""
    rim = round(2 * SIGMA_PX)
    kernel = np.ones((2 * rim + 1, 2 * rim + 1), np.uint8)
    eroded = cv2.erode(mask.astype(np.uint8), kernel, borderValue=1)
    return np.asarray(eroded > 0)


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """One level of the pyramid."""

    mask: Bools
    """Where a ridge is looked for."""
    weight: Float32
    """The same, 0 or 1."""
    count: int
    """How many px that are."""
    near: Float32
    """Share of the surroundings, a fifth of the picture, that the mask has; at half the size."""

    @classmethod
    def of(cls, tissue: Bools) -> Level:
        """Prepare a level that shows tissue in some places."""
        mask = inside(tissue)
        weight = mask.astype(np.float32)
        return cls(
            mask, weight, int(np.count_nonzero(mask)), np.maximum(around(weight), np.float32(1e-3))
        )

    def halved(self) -> Level:
        """Prepare the level below this one."""
        return Level.of(halve(self.weight) > 0.5)


def around(image: Float32) -> Float32:
    """Mean over a fifth of the picture around every second px of every second row."""
    window = 2 * (max(image.shape) // 20) + 1
    return np.asarray(cv2.blur(halve(image), (window, window)))


def local_gain(power: Float32, level: Level) -> Float32:
    """One over the local deviation of the second derivatives, 0 outside the mask.

    Their mean square over all directions, 0 outside the mask and overwritten, is averaged over a
    fifth of the picture, with the strongest capped so that a bright bone does not hide a faint
    shaft near it.
    """
    overall = float(np.vdot(power, level.weight)) / max(level.count, 1)
    cv2.threshold(power, 9 * overall, 0.0, cv2.THRESH_TRUNC, dst=power)
    near = around(power) / level.near
    quantisation = 0.01  # square of a tenth of a grey level: keeps flat pictures silent
    gain = 1 / np.sqrt(0.7 * near + np.float32(0.3 * overall + quantisation))
    return np.asarray(cv2.resize(gain, level.mask.shape[::-1]) * level.weight)


def strengths(curvature: Float32, angles_rad: Floats) -> Floats:
    """Weigh each of some angles by how little there is along it in the whole picture.

    Tissue lies in layers: what runs along them is everywhere and bright, what runs across them is
    rare. The mean square of the directional ridge, which the three derivatives give for every
    angle at once, says how much clutter a shaft at that angle has to stand out from.

    Returns
    -------
    ndarray of float64, shape (n, 2)
        Angle, and the root of the mean square over all angles to that at this angle, between
        ``STRENGTH`` limits.
    """
    directions = np.empty((len(angles_rad), 2))
    directions[:, 0] = angles_rad
    weigh_directions(curvature, STRIDE, LOUDEST, *STRENGTH, directions)
    return directions


def line_segments(image: Float32, level: Level, angles_rad: Floats) -> Floats:
    """Find the best segment of every straight line through one pyramid level.

    Returns
    -------
    ndarray of float64, shape (n, 6)
        Score, angle in radians, and (x, y) of the shallow and of the deep end, px of the level.
    """
    rows, columns = image.shape
    smooth = np.asarray(
        cv2.GaussianBlur(image, (0, 0), SIGMA_PX, borderType=cv2.BORDER_REFLECT), np.float32
    )
    hessian = np.empty((3, rows, columns), np.float32)
    power = np.empty((rows, columns), np.float32)
    second_derivatives(smooth, level.weight, hessian, power)
    gain = local_gain(power, level)
    curvature = np.empty((3, -(-rows // STRIDE), columns), np.float32)
    curvature_t = np.empty((3, -(-columns // STRIDE), rows), np.float32)
    in_local_units(hessian, gain, STRIDE, curvature, curvature_t)
    found = np.empty((MOST_SEGMENTS, 6))
    count = segments_at_all_angles(
        curvature,
        curvature_t,
        strengths(curvature, angles_rad),
        STRIDE,
        LIMITS,
        LEAST_SCORE,
        found,
    )
    return found[:count]
