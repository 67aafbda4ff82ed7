"""Tissue that the needle drags along."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usguide.synth.motion import Coordinates
from usguide.synth.needle import Needle
from usguide.synth.tissue import smoothstep


class Drag:
    """Tissue sticks to the shaft and follows it until it slips.

    Parameters
    ----------
    needle : Needle
        What drags.
    hold_x_mm : float
        Left of here the tissue is attached to bone and does not follow.
    limit_mm : float
        How far the tissue follows before it slips.
    """

    def __init__(self, needle: Needle, hold_x_mm: float, limit_mm: float) -> None:
        self._needle = needle
        self._hold_x = hold_x_mm
        pulled = np.zeros(len(needle.depth_mm))
        for frame in range(1, len(pulled)):
            step = needle.depth_mm[frame] - needle.depth_mm[frame - 1]
            pulled[frame] = np.clip(pulled[frame - 1] + step, -limit_mm, limit_mm)
        self.pulled_mm: NDArray[np.float64] = pulled

    def at(
        self, frame: int, x: Coordinates, z: Coordinates
    ) -> tuple[Coordinates, Coordinates] | None:
        """Return the displacement (mm) of points at rest (mm)."""
        amount = float(self.pulled_mm[frame])
        if abs(amount) < 1e-6:
            return None
        needle = self._needle
        right, down = x - x.dtype.type(needle.entry_mm[0]), z - z.dtype.type(needle.entry_mm[1])
        dx, dz = (float(value) for value in needle.direction)
        along, across = right * dx + down * dz, down * dx - right * dz
        ahead = np.clip(along - float(needle.depth_mm[frame]), 0.0, None)
        pull = amount * np.exp(-0.5 * (across / 2.0) ** 2 - 0.5 * (ahead / 2.0) ** 2)
        pull = pull * smoothstep(along / 5.0) * smoothstep((x - self._hold_x) / 4.0)
        return pull * dx, pull * dz
