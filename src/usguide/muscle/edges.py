"""The edges of a band, below a pixel, at the picture's full height."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.kernels.surfaces import minimal_path, refine_rows, step_prices
from usguide.model import Floats
from usguide.muscle.picture import COLUMNS, ROWS

_REACH = 0.045
"""How far an edge may lie from the crest, as a part of the height (twice the thickest band)."""

_STEP = 0.010
"""Height on either side of an edge over which grey levels are compared, as a part of the height."""

_ALONG = 2.5
"""Standard deviation of the smoothing along the band, in grid columns."""

_RIM = 0.012
"""Part of the height at the picture's upper and lower margin in which no edge is sought: an edge
has tissue on both sides, which the probe's own line and the margin have not."""

_FAR_PRICE = 0.15
"""Price of an edge at the end of the reach, in typical drops: of two, the nearer one is meant."""

_SLOPE_PRICE = 1.0
_MAX_STEP = 2
"""Price of an edge that changes its distance from the crest by a row between grid columns, in
typical drops, and the most rows by which it may change."""


@dataclass(frozen=True, slots=True, eq=False)
class Edge:
    """One edge of a band: ``y_px`` and the width of its transition, each of shape (COLUMNS,).

    In region px, pixel centres at integers, at the centres of the grid's columns.
    """

    y_px: Floats
    blur_px: Floats


def find_edge(picture: NDArray[np.float32], rows: Floats, side: int, level: float = 0.5) -> Edge:
    """Find where a band ends, above (``side`` -1) or below (+1) its crest.

    The band is straightened along its crest and smoothed along its length; the edge is the minimal
    path over the drop of the mean grey level across it, moved from the half level of the
    transition to the one wanted.

    Parameters
    ----------
    picture : ndarray of float32, shape (height, COLUMNS)
        See :class:`usguide.muscle.picture.Narrower`.
    rows : ndarray of float64, shape (COLUMNS,)
        Crest of the band in grid rows.
    side : int
        -1 or +1.
    level : float
        How far up the transition the edge is put, 0 at the neighbour's grey level and 1 at the
        band's.
    """
    height = picture.shape[0]
    reach = max(3, round(_REACH * height))
    step = max(2, round(_STEP * height))
    crest = cv2.GaussianBlur(
        ((rows + 0.5) * height / ROWS - 0.5).astype(np.float32)[None], (0, 0), sigmaX=_ALONG
    )[0]
    # From a little inside the crest outwards, with room for the comparison at both ends.
    offsets = np.arange(-2 * step, reach + step + 1, dtype=np.float32)
    y = crest[None, :] + side * offsets[:, None]
    x = np.broadcast_to(np.arange(COLUMNS, dtype=np.float32), y.shape)
    strip = cv2.remap(
        picture,
        np.ascontiguousarray(x),
        np.ascontiguousarray(y),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    strip = cv2.GaussianBlur(strip, (0, 0), sigmaX=_ALONG, sigmaY=0.7)
    sums = np.zeros((len(offsets) + 1, COLUMNS), dtype=np.float64)
    np.cumsum(strip, axis=0, out=sums[1:])
    # drop[k]: mean of the `step` rows before strip row k + step - 1/2, minus that of those after.
    drop = (2 * sums[step:-step] - sums[: -2 * step] - sums[2 * step :]) / step
    rim = round(_RIM * height)
    far_side = y[2 * step - 1 :]
    drop[(far_side < rim) | (far_side > height - 1 - rim)] = 0
    scale = max(float(np.median(drop.max(axis=0))), 1e-6)
    position = offsets[0] + step - 0.5 + np.arange(len(drop))
    far = _FAR_PRICE * np.maximum(position, 0.0) / reach
    cost = (far[:, None] - drop / scale).astype(np.float32)
    path = minimal_path(cost, step_prices(_MAX_STEP, _SLOPE_PRICE))
    refined = refine_rows(cost, path.rows)
    offset = position[0] + refined
    contrast = np.maximum(drop[path.rows, np.arange(COLUMNS)], 1e-6)
    slope = np.maximum(
        strip[path.rows + step - 1, np.arange(COLUMNS)]
        - strip[path.rows + step, np.arange(COLUMNS)],
        contrast / (2 * step),
    )
    blur = contrast / slope
    edge = crest + side * (offset - (level - 0.5) * float(np.median(blur)))
    return Edge(np.asarray(edge, dtype=np.float64), blur)
