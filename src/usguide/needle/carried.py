"""Whether the tissue beside a line goes where its end goes: it is a fibre, and no needle then."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from usguide.model import Floats

MOST_CARRIED = 0.36
"""Share of an end's way that the tissue on both sides of the line may go with it. 5 to 7.5 working
px off the line it was at most 0.33 beside the needles of 116 synthetic clips of both simulators,
and beside four fibres of contracting muscles that were taken for needles 0.63, 0.58, 0.40 and 0.38;
at half that distance tissue sticks to a shaft."""
PACE = 4
"""Frames from one look at the tissue to the one that it is compared with: 0.1 s of a cine."""
STRIDE = 2
"""Frames from one comparison to the next."""
REACH_PX = 10
"""Farthest that tissue is looked for in that time, working px: 2 mm of a picture of 40 mm. Moves
of the end that are longer say nothing: what went with them would not be found."""
LEAST_WAY_PX = 20.0
"""Root of the sum of the squares of the moves that must be had. A match is off by some 2 px now and
then, which makes as much as 0.6 of few or short moves beside needles."""
ABOUT_PX = 30
"""How far before and beyond the places where the end was the tissue is looked at, working px."""


def carried(beside: NDArray[np.float32], depth: Floats, pace: int = PACE) -> float:
    """Share of an end's way along its line that the tissue beside the line goes with it.

    The slope of the regression of the tissue's moves on those of the end, on the side on which it
    is less: a thick shaft's reverberations move on one side.

    Parameters
    ----------
    beside : ndarray of float32, shape (frames, 2, places)
        Level of the tissue on either side, grey levels, at places a working px apart; NaN outside
        the image.
    depth : ndarray, shape (frames,)
        Where the end is, working px; NaN where that is not known.
    pace : int
        Frames from one look at the tissue to the one that it is compared with.

    Returns
    -------
    float
        0 where the end hardly moves within reach, or the tissue beside it is not seen.
    """
    known = np.isfinite(depth)
    if not known.any():
        return 0.0
    places = np.arange(beside.shape[2])
    about = (places > depth[known].min() - ABOUT_PX) & (places < depth[known].max() + ABOUT_PX)
    beside = beside[:, :, about & np.isfinite(beside).all(axis=(0, 1))]
    if beside.shape[2] <= 2 * REACH_PX:
        return 0.0
    with_it, squares = np.zeros(2), 0.0
    for k in range(0, len(depth) - pace, STRIDE):
        move = depth[k + pace] - depth[k]
        if np.abs(move) < REACH_PX:
            with_it += move * shift_along(beside[k], beside[k + pace])
            squares += move**2
    return float(with_it.min() / squares) if squares >= LEAST_WAY_PX**2 else 0.0


def shift_along(before: NDArray[np.float32], after: NDArray[np.float32]) -> Floats:
    """Shift of each profile, px, at which it is most alike (normalised cross-correlation).

    Parameters
    ----------
    before, after : ndarray of float32, shape (n, places)
        Profiles, longer than twice ``REACH_PX``.

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    middle = before[:, REACH_PX:-REACH_PX]
    windows = sliding_window_view(after, middle.shape[1], axis=1)
    middle = middle - middle.mean(axis=1, keepdims=True)
    windows = windows - windows.mean(axis=2, keepdims=True)
    alike = np.einsum("ij,ikj->ik", middle, windows)
    alike /= np.maximum(np.sqrt(np.einsum("ikj,ikj->ik", windows, windows)), 1e-6)
    return np.asarray(np.argmax(alike, axis=1) - REACH_PX, np.float64)
