"""What is kept of every frame's displacement: a quantised field, coarser the longer the clip."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from usguide.model import Bools, Floats
from usguide.motion.field import Field, resample
from usguide.motion.matching import GRID

BUDGET = 8_000_000
"""Bytes of history at which its rows are halved: 4000 frames of 16 rows, 8000 of 8. Columns
stay, since muscles lie along the image."""

FEWEST_ROWS = 4
"""Rows that are always kept: 480 bytes a frame."""

SKIN_ROWS = 1
"""Rows of tracked points nearest the probe, in the first 2 mm or so: skin."""

STEPS_PER_UNIT = 16384
"""Displacements are kept to 1/16384 of the region's longer side (0.03 px of 512), in int16."""


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Displacement of the tissue over a whole clip, on cells fixed in the region.

    Parameters
    ----------
    frames : ndarray of int64, shape (n,)
        Source frame of each entry.
    displacement_px : ndarray of float32, shape (n, rows, columns, 2)
        How far the tissue now in each cell has moved since the first frame, (x, y) px.
    quality : ndarray of float32, shape (n, rows, columns)
        Trust in each, 0 to 1.
    tracked : ndarray of float64, shape (n,)
        Share of the trackable points matched in each frame.
    lost : ndarray of bool, shape (n,)
        Frames whose tie to the frame before is broken.
    skin_px : ndarray, shape (n, 2)
        Displacement of the tissue nearest the probe; NaN where it was not tracked.
    x_px, y_px : ndarray, shapes (columns,) and (rows,)
        Cell centres in region px.
    """

    frames: NDArray[np.int64]
    displacement_px: NDArray[np.float32]
    quality: NDArray[np.float32]
    tracked: Floats
    lost: Bools
    skin_px: Floats
    x_px: Floats
    y_px: Floats

    def step_s(self, time_s: Floats) -> float:
        """Usual time between its entries, s, from that of every source frame, shape (frames,)."""
        return float(np.median(np.diff(time_s[self.frames])))

    def part(self, entries: slice) -> Motion:
        """Return a stretch of it; displacements are still since the first frame of the clip."""
        return replace(
            self,
            frames=self.frames[entries],
            displacement_px=self.displacement_px[entries],
            quality=self.quality[entries],
            tracked=self.tracked[entries],
            lost=self.lost[entries],
            skin_px=self.skin_px[entries],
        )

    def at(self, entry: int, points_px: Floats) -> Floats:
        """Displacement in one entry at points (m, 2) of the region, bilinear, clamped."""
        return bilinear(self.displacement_px[entry], self.x_px, self.y_px, points_px)


def bilinear(values: NDArray[np.floating], x: Floats, y: Floats, points: Floats) -> Floats:
    """Interpolate (rows, columns, k) values on a regular grid at points (m, 2); shape (m, k)."""
    rows, columns = values.shape[:2]
    fx = np.clip((points[:, 0] - x[0]) / (x[1] - x[0]), 0, columns - 1)
    fy = np.clip((points[:, 1] - y[0]) / (y[1] - y[0]), 0, rows - 1)
    j = np.minimum(fx.astype(np.int64), columns - 2)
    i = np.minimum(fy.astype(np.int64), rows - 2)
    u = (fx - j)[:, None]
    v = (fy - i)[:, None]
    upper = values[i, j] * (1 - u) + values[i, j + 1] * u
    lower = values[i + 1, j] * (1 - u) + values[i + 1, j + 1] * u
    result: Floats = np.asarray(upper * (1 - v) + lower * v, dtype=np.float64)
    return result


@dataclass(slots=True)
class History:
    """Gathers the fields of a clip as they come.

    Parameters
    ----------
    width, height : int
        Size of the region in px.
    """

    width: int
    height: int
    _rows: int = GRID[0]
    _frames: list[int] = field(default_factory=list)
    _displacement: list[NDArray[np.int16]] = field(default_factory=list)
    _quality: list[NDArray[np.uint8]] = field(default_factory=list)
    _tracked: list[float] = field(default_factory=list)
    _lost: list[bool] = field(default_factory=list)
    _skin: list[tuple[float, float]] = field(default_factory=list)

    @property
    def unit_px(self) -> float:
        """Size of a quantisation step in px."""
        return max(self.width, self.height) / STEPS_PER_UNIT

    @property
    def x_px(self) -> Floats:
        """Cell centres along x."""
        x: Floats = (np.arange(GRID[1], dtype=np.float64) + 0.5) * (self.width / GRID[1]) - 0.5
        return x

    @property
    def y_px(self) -> Floats:
        """Cell centres along y."""
        y: Floats = (np.arange(self._rows, dtype=np.float64) + 0.5) * (self.height / self._rows)
        return y - 0.5

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, index: int, measured: Field) -> None:
        """Keep what matters of one frame's field."""
        x, y = self.x_px, self.y_px
        cells = np.stack(np.meshgrid(x, y), axis=-1)
        bandwidth = 0.5 * np.array([x[1] - x[0], y[1] - y[0]])
        there, trust = resample(
            measured.position_px / bandwidth,
            measured.displacement_px,
            measured.quality,
            cells / bandwidth,
            1.0,
        )
        steps = np.clip(np.rint(there / self.unit_px), -32767, 32767)
        self._frames.append(index)
        self._displacement.append(steps.astype(np.int16))
        self._quality.append(np.rint(trust * 255).astype(np.uint8))
        self._tracked.append(measured.tracked)
        self._lost.append(measured.lost)
        self._skin.append(_skin(measured))
        if self._rows > FEWEST_ROWS and 5 * self._rows * GRID[1] * len(self) > BUDGET:
            self._halve()

    def _halve(self) -> None:
        """Merge the rows in pairs."""
        self._rows //= 2
        for k, (steps, quality) in enumerate(zip(self._displacement, self._quality, strict=True)):
            pairs = steps.reshape(self._rows, 2, GRID[1], 2)
            self._displacement[k] = np.rint(pairs.mean(axis=1)).astype(np.int16)
            merged = quality.reshape(self._rows, 2, GRID[1]).mean(axis=1)
            self._quality[k] = np.rint(merged).astype(np.uint8)

    def motion(self) -> Motion:
        """Everything gathered, as arrays."""
        return Motion(
            np.array(self._frames, dtype=np.int64),
            np.stack(self._displacement).astype(np.float32) * np.float32(self.unit_px),
            np.stack(self._quality).astype(np.float32) / np.float32(255),
            np.array(self._tracked),
            np.array(self._lost, dtype=np.bool_),
            np.array(self._skin, dtype=np.float64).reshape(-1, 2),
            self.x_px,
            self.y_px,
        )


def _skin(measured: Field) -> tuple[float, float]:
    """Median displacement of the points nearest the probe, px."""
    trusted = measured.quality[:SKIN_ROWS] > 0
    if np.count_nonzero(trusted) < 0.25 * trusted.size:
        return float("nan"), float("nan")
    x, y = np.median(measured.displacement_px[:SKIN_ROWS][trusted], axis=0)
    return float(x), float(y)
