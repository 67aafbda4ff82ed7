"""What the tissues recognised in a picture say of a border, on any band laid through it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from usguide.fascia.straighten import COLUMN_MM, ROW_MM, Band
from usguide.fascia.tissues import COLUMNS, EDGE_COLUMN, FIRST_MM, STRIDE, Tissues
from usguide.fascia.workspace import Image
from usguide.model import Floats

RATIO_MAX = 3.0
"""Greatest log-likelihood ratio of one row: where the network is sure and wrong, a line or a step
that is plain to see still decides. Likelier than 1.5 and than no limit on synthetic heels that the
network was not trained on."""


@dataclass(frozen=True, slots=True, eq=False)
class Recognised:
    """Tissues recognised about the bone's edge, to be asked about curves that cross them.

    Parameters
    ----------
    superficial, deep : ndarray of float32, shape (rows + 1, columns)
        Log-likelihood that the tissue changes before the row, up to a constant of each column, as
        :class:`usguide.fascia.tissues.Tissues` has it.
    straight : Band
        Of the strip in which they were recognised.
    """

    superficial: Image
    deep: Image
    straight: Band

    @classmethod
    def of(cls, tissues: Tissues, straight: Band) -> Recognised:
        """Take what was recognised, no row of it counting more than ``RATIO_MAX``."""
        return cls(_limited(tissues.superficial), _limited(tissues.deep), straight)

    def along(self, band: Band, offset_px: Floats, pixel_mm: float, *, deep: bool) -> Image:
        """Log-likelihood of a border at offsets from another band's centre line.

        Parameters
        ----------
        band : Band
            Any band through the picture.
        offset_px : ndarray of float64, shape (rows, columns)
            Offsets along its normals, work px, positive deep.
        pixel_mm : float
            Nominal size of a work pixel.
        deep : bool
            Which border.

        Returns
        -------
        ndarray of float32, shape (rows, columns)
            Less its mean in each column; 0 in columns that were not looked at.
        """
        points = np.stack(band.grid(offset_px), axis=-1)
        ahead_mm, down_mm = np.moveaxis(self.straight.seen_from(points, pixel_mm), -1, 0)
        columns = ahead_mm / COLUMN_MM + EDGE_COLUMN
        likelihood = cv2.remap(
            self.deep if deep else self.superficial,
            columns.astype(np.float32),
            ((down_mm - FIRST_MM) / (STRIDE * ROW_MM)).astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        likelihood = likelihood - likelihood.mean(axis=0)
        likelihood[:, ((columns < 0) | (columns > COLUMNS - 1)).any(axis=0)] = 0.0
        return np.asarray(likelihood, dtype=np.float32)


def _limited(summed: Image) -> Image:
    ratio = np.clip(np.diff(summed, axis=0), -RATIO_MAX, RATIO_MAX)
    return np.concatenate([np.zeros_like(summed[:1]), np.cumsum(ratio, axis=0)])
