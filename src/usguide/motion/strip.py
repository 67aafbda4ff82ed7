"""The muscle laid straight: a picture whose columns are the region's and whose rows are depths.

Between its two borders the muscle is sampled at constant fractions of its thickness, so that a
muscle that tilts, bends or thickens keeps its tissue in the same row.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.model import Bools, Floats, Frame, MuscleResult, Region

DEPTHS = 24
"""Rows of the strip: a torn fraction in steps of 4 %, under the 5 % of Peetrons' first grade."""

OVERSAMPLING = 3
"""Lines averaged in a row."""


@dataclass(frozen=True, slots=True, eq=False)
class Belly:
    """Where the muscle lies in every frame, in region px.

    Parameters
    ----------
    columns : ndarray, shape (width,)
        The region's columns.
    x : ndarray, shape (k,)
        Abscissae of the borders.
    superficial, deep : ndarray of float32, shape (frames, k)
        y of the two borders; NaN where not found.
    usual : (ndarray, ndarray)
        Median of each border over the clip, shape (k,), for the frames without.
    known : bool
        Whether the borders were found at all; otherwise most of the region stands in for the
        muscle, and fractions of its thickness mean nothing.
    tissue : ndarray of bool, shape (height, width)
        Where the region shows tissue: not in the corners that a fan leaves black, nor where
        something is drawn over it.
    aspect : float
        Height of a pixel over its width.
    """

    columns: Floats
    x: Floats
    superficial: NDArray[np.float32]
    deep: NDArray[np.float32]
    usual: tuple[Floats, Floats]
    known: bool
    tissue: Bools
    aspect: float = 1.0

    def borders(self, frame: int) -> tuple[Floats, Floats]:
        """Superficial and deep y at every column in one source frame."""
        found = []
        for lines, usual in zip((self.superficial, self.deep), self.usual, strict=True):
            row = np.asarray(lines[min(frame, len(lines) - 1)], dtype=np.float64)
            row = np.where(np.isfinite(row), row, usual)
            found.append(np.interp(self.columns, self.x, row))
        superficial, deep = found
        return superficial, np.maximum(deep, superficial + 1.0)

    def depth_lines(self, frame: int, rows: int) -> Floats:
        """Y of ``rows`` lines at constant fractions of the thickness, shape (rows, width)."""
        superficial, deep = self.borders(frame)
        share = (np.arange(rows) + 0.5) / rows
        lines: Floats = superficial[None, :] + share[:, None] * (deep - superficial)[None, :]
        return lines

    def shows(self, x: NDArray[np.floating], y: NDArray[np.floating]) -> Bools:
        """Whether points of the region, px, lie in the tissue; those outside take the nearest's."""
        height, width = self.tissue.shape
        row = np.clip(np.rint(y), 0, height - 1).astype(np.int64)
        column = np.clip(np.rint(x), 0, width - 1).astype(np.int64)
        return np.asarray(self.tissue[row, column], dtype=np.bool_)


def belly_of(muscle: MuscleResult, region: Region, tissue: Bools, aspect: float = 1.0) -> Belly:
    """Borders of the muscle, or the middle of the region where none were found.

    ``tissue``, shape (height, width), is where the region shows tissue; ``aspect`` is that of a
    pixel, as of a :class:`Belly`.
    """
    columns = np.arange(region.width, dtype=np.float64)
    borders = muscle.borders
    if borders is not None:
        both = np.isfinite(borders.superficial_y_px) & np.isfinite(borders.deep_y_px)
        seen = both.any(axis=0)
        if np.count_nonzero(seen) >= 2:
            superficial = borders.superficial_y_px[:, seen] - np.float32(region.y)
            deep = borders.deep_y_px[:, seen] - np.float32(region.y)
            usual = (
                np.nanmedian(superficial, axis=0).astype(np.float64),
                np.nanmedian(deep, axis=0).astype(np.float64),
            )
            if np.median(usual[1] - usual[0]) >= DEPTHS / 2:
                x = borders.x_px[seen] - region.x
                return Belly(columns, x, superficial, deep, usual, True, tissue, aspect)
    ends = np.array([0.0, region.width - 1.0])
    top = np.full(2, 0.12 * region.height)
    bottom = np.full(2, 0.95 * region.height)
    return Belly(
        columns,
        ends,
        top.astype(np.float32)[None],
        bottom.astype(np.float32)[None],
        (top, bottom),
        False,
        tissue,
        aspect,
    )


def straighten(frame: Frame, belly: Belly, index: int) -> NDArray[np.float32]:
    """Grey levels of the muscle laid straight, (DEPTHS, columns); NaN where there is no tissue."""
    lines = belly.depth_lines(index, DEPTHS * OVERSAMPLING).astype(np.float32)
    columns = np.broadcast_to(np.arange(frame.shape[1], dtype=np.float32), lines.shape)
    sampled = cv2.remap(
        frame,
        np.ascontiguousarray(columns),
        lines,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    pooled = sampled.reshape(DEPTHS, OVERSAMPLING, -1).mean(axis=1, dtype=np.float32)
    pooled[~belly.shows(columns[::OVERSAMPLING], lines[1::OVERSAMPLING])] = np.nan
    return np.asarray(pooled, dtype=np.float32)


def smoothed(strip: NDArray[np.float32], along: float, across: float) -> NDArray[np.float32]:
    """Smooth a strip by a Gaussian; what is no tissue, NaN, does not count and stays so.

    ``strip`` is of shape (rows, columns), ``along`` and ``across`` are standard deviations in
    columns and in rows.
    """
    shown = np.isfinite(strip)
    if shown.all():
        return np.asarray(cv2.GaussianBlur(strip, (0, 0), sigmaX=along, sigmaY=across), np.float32)
    weight = cv2.GaussianBlur(shown.astype(np.float32), (0, 0), sigmaX=along, sigmaY=across)
    total = cv2.GaussianBlur(
        np.where(shown, strip, np.float32(0)), (0, 0), sigmaX=along, sigmaY=across
    )
    return np.where(shown, total / np.maximum(weight, np.float32(1e-6)), np.float32(np.nan))


def profile_of(strip: NDArray[np.floating]) -> Floats:
    """Mean of the rows of a strip in each column, NaN where fewer than half of them show tissue.

    From shape (rows, columns) to (columns,).
    """
    shown = np.isfinite(strip)
    count = np.count_nonzero(shown, axis=0)
    total = np.where(shown, strip, 0.0).sum(axis=0, dtype=np.float64)
    mean: Floats = np.where(2 * count >= len(strip), total / np.maximum(count, 1), np.nan)
    return mean
