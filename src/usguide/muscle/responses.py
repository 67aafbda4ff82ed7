"""Response of a frame's coarse grid to borders of a muscle: bright lines and steps of brightness.

Every length here is a fraction of the picture's height or width, so that nothing depends on the
scanner, its zoom or its calibration. Constants were chosen on ten images of leg muscles from
several scanners (the even-numbered of a public set of twenty) and on 30 synthetic muscles.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.model import Bools
from usguide.muscle.picture import COLUMNS, ROWS, Grid, to_grid

_CONTRAST_WINDOW = (0.10, 0.07)
"""Standard deviation of the local-contrast window, as a part of height and width: narrower than the
shadow of poor contact, so that a band is judged against what lies in the same shadow."""

_NOISE_FLOOR = 0.65
"""Part of the whole picture's contrast added to the local one, so that bands of noise in a dark
bottom do not rank with bright ones."""

_SCALES = (1.5, 3.0, 5.0)
"""Standard deviations of the line filter in grid rows (0.6-2 % of the height)."""

_ALONG = 3.0
"""Standard deviation of the smoothing along the rows, in grid columns."""

_ONE_SIDED = 2.4
"""Weight of the fall of brightness on the muscle's side alone, against the curvature that falls on
both sides give: an aponeurosis under bright fat, or over a brighter muscle, is the edge of a bright
layer. At this weight speckle responds about as much to the one as to the other."""

_STEP_REACH = 14
"""Grid rows on either side of a step whose brightness is compared, 5 % of the height: more than the
fascicles of a muscle and the septa of fat are thick, less than the layers are. From 10 to 18 the
same muscles are found."""

_STEP_WEIGHT, _STEP_FLOOR = 1.4, 0.3
"""Response to a step of one standard deviation of the brightness on its two sides, and the part of
the whole picture's contrast added to that deviation. From 1.2 to 1.5 the same muscles are found."""

_STEP_INSIDE, _STEP_APART = 3, 4
"""Grid rows by which the crest of a bright layer lies inside its edge (half a band), and least
distance of two edges."""

_SKIN_EDGE = 0.06
"""Part of the height under the tissue's upper rim in which the lower edge of a bright layer is that
of the skin."""

_SKIN, _RIM = 0.02, 0.012
"""Parts of the height under the tissue's upper rim and over its lower one in which no band is
sought: skin is 1-2 mm thick in pictures 30-60 mm deep, and its first line, or the probe's own, is
no aponeurosis; nor is the picture's last line."""

_SKIN_MM = 2.0
"""The same of the skin where there is a scale. No muscle of seven real recordings and of 160 from
another simulator begins less than 2.7 mm under the probe; in three of 150 heels and two of those
160 the skin's lower edge was taken for an aponeurosis, 1.2 to 2.0 mm under it."""

_BESIDE_A_FAN = 1.0
"""Response beside a fan, where a line that leaves it at its flank is not seen: less than that of an
aponeurosis and more than that of what lies between fibres, so that the search follows the one out
of the picture and does not turn down to stay in it. From 0.8 to 1.2 the same muscles are found, but
for one of 160."""

_FACE_ROWS, _LEAST_FACE = 3, 0.25
"""Grid rows of the picture's top in which the probe's face begins on either side, and the part of
the width that it must take up for what lies under it to be told from the flanks."""


class Responses:
    """Responds to lines and steps in a clip's frames; holds what depends only on the tissue.

    Parameters
    ----------
    tissue : ndarray of bool, any shape
        Where the region shows echoes.
    depth_mm : float, optional
        Height of the picture, if known.

    Attributes
    ----------
    inside : ndarray of bool, shape (ROWS, COLUMNS)
        Where a border may lie: in the tissue, but for the skin and the lower rim.
    under_probe : ndarray of bool, shape (COLUMNS,)
        Columns that are shown from the probe's face on. Under a convex probe's flanks a muscle is
        seen aslant, and only as far as the fan goes. All where the face is narrow, a sector's.
    """

    def __init__(self, tissue: Bools, depth_mm: float | None = None) -> None:
        self._tissue = (to_grid(tissue) > 0.99).astype(np.float32)
        self._weight = np.maximum(self._local_mean(self._tissue), 1e-3)
        self._row_weight = np.maximum(_along_rows(self._tissue), 1e-3)
        self._rows_above, self._rows_below = (np.maximum(n, 1) for n in _beside(self._tissue))
        thickest = _SKIN if depth_mm is None else max(_SKIN, _SKIN_MM / depth_mm)
        skin, rim = round(thickest * ROWS), round(_RIM * ROWS)
        inside = cv2.erode(
            self._tissue,
            np.ones((skin + rim + 1, 1), dtype=np.uint8),
            anchor=(0, skin),
            borderType=cv2.BORDER_CONSTANT,
            borderValue=0,
        )
        self.inside: Bools = np.asarray(inside > 0, dtype=np.bool_)
        shown = self.has_tissue
        to_the_right = np.logical_or.accumulate(shown, axis=1)
        to_the_left = np.logical_or.accumulate(shown[:, ::-1], axis=1)[:, ::-1]
        self._beside_a_fan = to_the_right ^ to_the_left
        rim_row = np.argmax(self._tissue > 0, axis=0)
        top = int(np.argmax(shown.any(axis=1)))
        face = np.flatnonzero(shown[top : top + _FACE_ROWS].any(axis=0))
        self.under_probe: Bools = np.zeros(COLUMNS, dtype=np.bool_)
        if len(face):
            self.under_probe[face[0] : face[-1] + 1] = True
        if np.count_nonzero(self.under_probe) < _LEAST_FACE * COLUMNS:
            self.under_probe[:] = True
        self._under_skin = self.inside & (np.arange(ROWS)[:, None] >= rim_row + _SKIN_EDGE * ROWS)

    @property
    def has_tissue(self) -> Bools:
        """Where the working grid shows echoes, shape (ROWS, COLUMNS)."""
        return np.asarray(self._tissue > 0, dtype=np.bool_)

    @staticmethod
    def _local_mean(values: NDArray[np.floating[Any]]) -> Grid:
        tall, wide = _CONTRAST_WINDOW
        grid = np.asarray(values, dtype=np.float32)
        # Halving first: the window is far wider than a pixel, and the filter is the slow part.
        small = cv2.resize(grid, (COLUMNS // 4, ROWS // 4), interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), sigmaX=wide * COLUMNS / 4, sigmaY=tall * ROWS / 4)
        return np.asarray(
            cv2.resize(small, (COLUMNS, ROWS), interpolation=cv2.INTER_LINEAR), dtype=np.float32
        )

    def lines(self, grid: Grid) -> tuple[Grid, Grid]:
        """Strength of bright horizontal lines, as borders above a muscle and beneath one.

        In units of the local contrast; 0 above and below the tissue. The one is the larger of the
        line's curvature and of the fall of brightness below it, the other of the curvature and the
        fall above it.
        """
        mean = self._local_mean(grid * self._tissue) / self._weight
        centred = np.asarray((grid - mean) * self._tissue, dtype=np.float32)
        power = centred * centred
        variance = self._local_mean(power) / self._weight
        floor = _NOISE_FLOOR**2 * float(power.sum()) / max(float(self._tissue.sum()), 1.0)
        # Half a grey level: a constant picture has no contrast at all.
        flat = centred / np.sqrt(variance + floor + 0.25)
        above: Grid = np.full((ROWS, COLUMNS), -np.inf, dtype=np.float32)
        beneath = above.copy()
        along = _along_rows(flat)
        for scale in _SCALES:
            smooth = cv2.GaussianBlur(along, (1, 0), sigmaX=0, sigmaY=scale)
            ridge = -(scale**2) * cv2.Sobel(smooth, cv2.CV_32F, 0, 2, ksize=3)
            np.maximum(above, ridge, out=above)
            np.maximum(beneath, ridge, out=beneath)
            reach = round(scale)
            fall = _ONE_SIDED * (smooth[:-reach] - smooth[reach:])
            np.maximum(above[:-reach], fall, out=above[:-reach])
            np.maximum(beneath[reach:], -fall, out=beneath[reach:])
        for response in (above, beneath):
            response[~self.inside] = 0
            response[self._beside_a_fan] = _BESIDE_A_FAN
        return above, beneath

    def steps(self, grid: Grid) -> tuple[Grid, Grid]:
        """Strength of edges of bright layers, as borders above a muscle and beneath one.

        The difference of the mean grey levels *a* above and *b* below an edge, in units of their
        scatter (Welch's, without the counts),

            (a - b) / sqrt(var a + var b + floor)

        at its largest places, a little inside the brighter side. A white sheet has more contrast
        than all that is beside it, so that in units of the local contrast its edge is faint.
        """
        mean = float(grid[self._tissue > 0].mean()) if self._tissue.any() else 0.0
        # Means along the rows first: the scatter is that of layers and fibres, not of speckle.
        level = _along_rows((grid - mean) * self._tissue) / self._row_weight * self._tissue
        power = level * level
        floor = _STEP_FLOOR**2 * float(power.sum()) / max(float(self._tissue.sum()), 1.0)
        sums, powers = _beside(level), _beside(power)
        above, below = sums[0] / self._rows_above, sums[1] / self._rows_below
        scatter = powers[0] / self._rows_above - above * above
        scatter += powers[1] / self._rows_below - below * below
        step = (above - below) / np.sqrt(np.maximum(scatter, 0) + floor + 0.25)
        under: Grid = np.zeros((ROWS, COLUMNS), dtype=np.float32)
        over = under.copy()
        under[: -1 - _STEP_INSIDE] = _STEP_WEIGHT * _crests(step)[_STEP_INSIDE:]
        over[1 + _STEP_INSIDE :] = _STEP_WEIGHT * _crests(-step)[:-_STEP_INSIDE]
        under[~self._under_skin] = 0
        over[~self.inside] = 0
        return under, over


def _along_rows(values: NDArray[np.floating[Any]]) -> Grid:
    """Smooth along the rows only."""
    return np.asarray(cv2.GaussianBlur(values, (0, 1), sigmaX=_ALONG, sigmaY=0), dtype=np.float32)


def _beside(values: NDArray[np.floating[Any]]) -> tuple[Grid, Grid]:
    """Sum the rows above and below every boundary of two rows, shape (ROWS - 1, COLUMNS) each."""
    window = (1, _STEP_REACH)
    above, below = (
        cv2.boxFilter(
            values, -1, window, anchor=(0, end), normalize=False, borderType=cv2.BORDER_CONSTANT
        )
        for end in (_STEP_REACH - 1, 0)
    )
    return np.asarray(above[:-1], dtype=np.float32), np.asarray(below[1:], dtype=np.float32)


def _crests(step: NDArray[np.floating[Any]]) -> Grid:
    """Keep a response where it is the largest of its surroundings, and a row on either side."""
    largest = cv2.dilate(step, np.ones((2 * _STEP_APART + 1, 1), dtype=np.uint8))
    kept = np.where(step >= largest, step, 0)
    return np.asarray(cv2.dilate(kept, np.ones((3, 1), dtype=np.uint8)), dtype=np.float32)
