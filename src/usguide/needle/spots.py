"""The compact bright spots of a frame: a needle that crosses the image plane shows as one."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.model import Bools
from usguide.needle.candidates import Float32

SPOTS = 40
"""Spots kept per frame: before the clip's mean picture is known, bone and fibres outshine many a
needle's cross-section."""
SPOT_SIGMA_PX = 1.5
"""Gaussian that a spot's core fills, working px. Its surroundings are taken at three times it, and
its place at twice it: the core's own glitter moves from frame to frame."""
NEIGHBOURS_PX = 6
"""Of spots closer than this (working px) the brightest is kept, and none so close to the edge."""
BESIDE_PX = 10
"""How far to either side a spot is over, working px: 1.6 mm of a 32 mm picture."""
LOCAL_PX = 51
"""Side of the square over which a spot's surroundings are said to be how bright, working px."""

SPOT = np.dtype(
    [
        ("x", np.float32),
        ("y", np.float32),
        ("height", np.float32),  # over its surroundings, against the whole picture
        ("detail", np.float32),  # the same in grey levels, and over what is to both sides
        ("peak_x", np.float32),  # the brightest working px of its core
        ("peak_y", np.float32),
        ("around", np.float32),  # root mean square of the detail near it, grey levels
    ]
)


def detail_of(small: Float32, tissue: Bools) -> Float32:
    """How much brighter each working px is than its surroundings, 0 where there is no tissue."""
    core = cv2.GaussianBlur(small, (0, 0), SPOT_SIGMA_PX)
    surroundings = cv2.GaussianBlur(small, (0, 0), 3 * SPOT_SIGMA_PX)
    return np.asarray(np.where(tissue, core - surroundings, 0), np.float32)


def apart_from_lines(small: Float32, detail: Float32) -> Float32:
    """Detail that does not go on to both sides, as an interface does: the lesser of the two.

    Interfaces run across the picture; where a needle presses on one, its bump moves like a spot.
    """
    core = cv2.GaussianBlur(small, (0, 0), SPOT_SIGMA_PX)
    brightest = cv2.dilate(core, np.ones((BESIDE_PX + 1, 1), np.uint8))  # a line may be tilted
    padded = cv2.copyMakeBorder(brightest, 0, 0, BESIDE_PX, BESIDE_PX, cv2.BORDER_REPLICATE)
    beside = 0.5 * (padded[:, : -2 * BESIDE_PX] + padded[:, 2 * BESIDE_PX :])
    return np.asarray(np.minimum(detail, np.maximum(core - beside, 0)), np.float32)


def find_spots(small: Float32, tissue: Bools, edge_distance: Float32) -> NDArray[np.void]:
    """Find the compact spots of a reduced frame that stand out most, the brightest first.

    Parameters
    ----------
    small : ndarray of float32, shape (rows, columns)
        Grey levels at the working size.
    tissue : ndarray of bool, shape (rows, columns)
        Where there are echoes.
    edge_distance : ndarray of float32, shape (rows, columns)
        Distance to where there are none, px.

    Returns
    -------
    structured array of ``SPOT``, shape (at most ``SPOTS``,)
        Working px; ``height`` over the surroundings, in units of the root mean square of that
        difference over the whole picture.
    """
    detail = detail_of(small, tissue)
    overall = float(np.sqrt(np.mean(detail[tissue] ** 2))) if tissue.any() else 0.0
    if overall <= 0:
        return np.zeros(0, SPOT)
    share = cv2.blur(tissue.astype(np.float32), (LOCAL_PX, LOCAL_PX))
    near = cv2.blur(np.minimum(detail * detail, 25 * overall**2), (LOCAL_PX, LOCAL_PX))
    around = np.sqrt(0.8 * near / np.maximum(share, 1e-3) + 0.2 * overall**2)
    side = 2 * NEIGHBOURS_PX + 1
    peaks = (detail >= cv2.dilate(detail, np.ones((side, side), np.uint8))) & (detail > 0)
    y, x = np.nonzero(peaks & (edge_distance > NEIGHBOURS_PX + 0.5))
    most = np.argsort(-detail[y, x] / around[y, x], kind="stable")[:SPOTS]
    x, y = x[most], y[most]
    found = np.zeros(len(x), SPOT)
    found["peak_x"], found["peak_y"] = x, y
    found["detail"] = apart_from_lines(small, detail)[y, x]
    found["around"] = around[y, x]
    found["height"] = detail[y, x] / overall
    # A soft maximum, below a pixel.
    near_by = np.arange(-NEIGHBOURS_PX, NEIGHBOURS_PX + 1)
    whole = cv2.GaussianBlur(small, (0, 0), 2 * SPOT_SIGMA_PX)
    weight = whole[y[:, None, None] + near_by[:, None], x[:, None, None] + near_by]
    weight = (weight / np.maximum(weight.max(axis=(1, 2), keepdims=True), 1e-6)) ** 8
    weight /= np.maximum(weight.sum(axis=(1, 2), keepdims=True), 1e-6)
    found["x"] = x + weight.sum(axis=1) @ near_by
    found["y"] = y + weight.sum(axis=2) @ near_by
    return found[np.argsort(-found["height"], kind="stable")]
