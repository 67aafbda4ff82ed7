"""The picture the detectors work on: square pixels of known nominal size, graphics painted out.

Whatever the recording's resolution, lengths in the detectors are *nominal* millimetres: true ones
where the clip is calibrated, and otherwise those of a picture assumed to be
``NOMINAL_DEPTH_MM`` deep, which only sets the scale of the filters and is never reported.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from usguide.kernels.ridges import area_means
from usguide.model import Bools, Floats, Frame, Header

Image = NDArray[np.float32]

PIXEL_MM = 0.1
"""Work pixel: below half the axial resolution of a 5-15 MHz probe (about 0.2-0.4 mm)."""

SMOOTHING_MM = 0.15
"""Standard deviation of the Gaussian that takes out what is finer than a speckle."""

NOMINAL_DEPTH_MM = 35.0
"""Depth assumed for an uncalibrated picture: heel examinations are set to 3-4 cm."""

GRAPHICS_MM = 2.5
"""Graphics up to this size hide little enough to be painted out."""

MAX_SIDE = 640
"""Longest side of the work picture; a deeper picture gets coarser pixels, not more of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Workspace:
    """How region pixels become work pixels, and back.

    Parameters
    ----------
    pixel_mm : float
        Nominal size of a (square) work pixel.
    per_work_px : ndarray of float64, shape (2,)
        Region pixels per work pixel, (x, y).
    origin_px : ndarray of float64, shape (2,)
        (x, y) of the region's first pixel in the source frame.
    tissue : ndarray of bool, shape (rows, columns)
        Work pixels that show echoes, or whose echoes can be made up for.
    hidden, nearest : ndarrays
        Region pixels under graphics, as flat indices, and the tissue pixel that stands in for
        each of them.
    """

    pixel_mm: float
    per_work_px: Floats
    origin_px: Floats
    tissue: Bools
    hidden: NDArray[np.int64]
    nearest: NDArray[np.int64]

    @classmethod
    def of(cls, header: Header) -> Workspace:
        """Lay the work grid over a clip's region."""
        region = header.region
        spacing = header.calibration.spacing_mm
        if spacing is None:
            spacing = (NOMINAL_DEPTH_MM / region.height,) * 2
        sides_mm = np.array([region.width * spacing[0], region.height * spacing[1]])
        pixel_mm = max(PIXEL_MM, float(sides_mm.max()) / MAX_SIDE)
        # An even number, so that a mirrored picture falls into the same blocks of two.
        columns, rows = 2 * np.maximum(np.rint(sides_mm / pixel_mm / 2).astype(int), 1)
        per_work_px = np.array([region.width / columns, region.height / rows])
        tissue = header.tissue
        hidden = np.flatnonzero(~tissue)
        nearest = hidden
        if 0 < hidden.size < tissue.size:
            row, column = ndimage.distance_transform_edt(
                ~tissue, return_distances=False, return_indices=True
            )
            nearest = (row * region.width + column).ravel()[hidden].astype(np.int64)
        shown = cv2.resize(
            tissue.astype(np.float32), (int(columns), int(rows)), interpolation=cv2.INTER_AREA
        )
        # Calipers and letters are painted out and then looked through; only where nothing is
        # shown over a larger area, as outside a fan, is there nothing to see.
        side = 2 * round(GRAPHICS_MM / pixel_mm / 2) + 1
        visible = cv2.morphologyEx(
            (shown > 0.5).astype(np.uint8),
            cv2.MORPH_CLOSE,
            np.ones((side, side), np.uint8),
            borderType=cv2.BORDER_REPLICATE,
        )
        return cls(pixel_mm, per_work_px, region.origin_px, visible > 0, hidden, nearest)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of the work picture."""
        rows, columns = self.tissue.shape
        return rows, columns

    def picture(self, frame: Frame) -> Image:
        """Return the region as a work picture, float32 grey levels, smoothed below a speckle."""
        if self.hidden.size:
            frame = frame.copy()
            flat = frame.reshape(-1)
            flat[self.hidden] = flat[self.nearest]
        rows, columns = self.shape
        # Averaging is right when shrinking; enlarging needs interpolation to stay smooth.
        if self.per_work_px.min() >= 1:
            grey = np.empty((rows, columns), np.float32)
            area_means(frame, grey)
            np.rint(grey, out=grey)
        else:
            grey = cv2.resize(frame, (columns, rows)).astype(np.float32)
        return np.asarray(cv2.GaussianBlur(grey, (0, 0), SMOOTHING_MM / self.pixel_mm))

    def to_source(self, points: Floats, *, mirrored: bool) -> Floats:
        """Map work points, shape (..., 2), of a (mirrored) work picture to source px."""
        points = np.array(points, dtype=np.float64)
        if mirrored:
            points[..., 0] = self.shape[1] - 1 - points[..., 0]
        mapped: Floats = (points + 0.5) * self.per_work_px - 0.5 + self.origin_px
        return mapped

    def px(self, mm: float) -> float:
        """Work pixels in a nominal length."""
        return mm / self.pixel_mm
