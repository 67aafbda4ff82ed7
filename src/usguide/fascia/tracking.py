"""Follow a heel that was found once from frame to frame, instead of finding it again."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from usguide.fascia.borders import WITHIN_MM
from usguide.fascia.candidates import STRIP_ROWS_MM
from usguide.fascia.course import BorderPair
from usguide.fascia.detection import Heel, turned
from usguide.fascia.refinement import refine
from usguide.fascia.straighten import Strip
from usguide.fascia.workspace import Image, Workspace
from usguide.model import Floats

# Lengths in nominal mm. The template spans bone, edge and fascia, which move as one.
TEMPLATE_BACK_MM, TEMPLATE_AHEAD_MM = 8.0, 12.0
TEMPLATE_ABOVE_MM, TEMPLATE_BELOW_MM = 7.0, 3.0
SEARCH_MM = 1.6
"""How far the heel may move between two frames."""
STRIDE = 2
SIMILARITY_MIN = 0.5
"""Correlation with the frame the heel was found in, below which it is lost."""


@dataclass(frozen=True, slots=True, eq=False)
class Followed:
    """The heel in one frame."""

    pair: BorderPair
    shift_px: tuple[float, float]
    similarity: float


class Tracker:
    """A heel and what it looked like, to be found again nearby.

    Every frame is compared with the frame the heel was found in, not with the one before it, so
    that errors do not add up. Its borders are those found there, moved by as much as what is
    measured of them has moved since: where they are is told better by the whole search than by one
    frame's lines and steps, but these tell how they change.
    """

    def __init__(self, heel: Heel, picture: Image, workspace: Workspace) -> None:
        self.heel = heel
        self._workspace = workspace
        self._mirrored = heel.bone.mirrored
        self._shift = np.zeros(2)
        view = _shrunk(turned(picture, self._mirrored))
        rows, columns = view.shape
        x, y = (value / STRIDE for value in heel.bone.edge)
        px = workspace.px(1.0) / STRIDE
        self._left = int(np.clip(x - TEMPLATE_BACK_MM * px, 0, columns - 1))
        self._top = int(np.clip(y - TEMPLATE_ABOVE_MM * px, 0, rows - 1))
        right = int(np.clip(x + TEMPLATE_AHEAD_MM * px, self._left + 1, columns))
        bottom = int(np.clip(y + TEMPLATE_BELOW_MM * px, self._top + 1, rows))
        self._template = view[self._top : bottom, self._left : right].copy()
        self._first = self._measured(turned(picture, self._mirrored), (0.0, 0.0))

    def follow(self, picture: Image) -> Followed | None:
        """Find the heel in the next frame, or None where it is lost."""
        picture = turned(picture, self._mirrored)
        last = self._shift
        similarity = self._locate(_shrunk(picture))
        if similarity < SIMILARITY_MIN:
            self._shift = last
            return None
        shift = (float(self._shift[0]), float(self._shift[1]))
        pair = self._measured(picture, shift)
        if pair is None or self._first is None:
            return None
        found = self.heel.pair
        pair = replace(
            pair,
            upper_px=found.upper_px + pair.upper_px - self._first.upper_px,
            lower_px=found.lower_px + pair.lower_px - self._first.lower_px,
        )
        return Followed(pair, shift, similarity)

    def _measured(self, picture: Image, shift: tuple[float, float]) -> BorderPair | None:
        """Find the borders near where they were, by what is measured in this frame alone."""
        pixel_mm = self._workspace.pixel_mm
        band = self.heel.pair.band.moved(shift)
        strip = Strip.cut(picture, band, STRIP_ROWS_MM, pixel_mm)
        strip = replace(strip, levels=self.heel.scale.levels(strip.levels))
        return refine(strip, self.heel.pair, None, pixel_mm, WITHIN_MM)

    def _locate(self, view: Image) -> float:
        """Update the shift by template matching around the last one; return the correlation."""
        reach = max(int(self._workspace.px(SEARCH_MM) / STRIDE), 1)
        height, width = self._template.shape
        last = np.rint(self._shift / STRIDE).astype(int)
        left, top = self._left + last[0] - reach, self._top + last[1] - reach
        # Beyond the picture's rim there is nothing to match: the window is cut there.
        x0, y0 = max(left, 0), max(top, 0)
        x1 = min(left + width + 2 * reach, view.shape[1])
        y1 = min(top + height + 2 * reach, view.shape[0])
        if x1 - x0 < width or y1 - y0 < height:
            return 0.0
        correlation = cv2.matchTemplate(
            np.ascontiguousarray(view[y0:y1, x0:x1]), self._template, cv2.TM_CCOEFF_NORMED
        )
        match: Floats = np.nan_to_num(correlation).astype(np.float64)
        row, column = np.unravel_index(int(np.argmax(match)), match.shape)
        peak = _peak(match, int(row), int(column))
        self._shift = STRIDE * (np.array([x0, y0]) - [self._left, self._top] + peak)
        return float(match[row, column])


def _shrunk(picture: Image) -> Image:
    """Shrink a picture to the resolution that positions are matched on."""
    rows, columns = picture.shape
    size = (max(columns // STRIDE, 1), max(rows // STRIDE, 1))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def _peak(match: Floats, row: int, column: int) -> Floats:
    """Sub-pixel (x, y) of a maximum, by a parabola along each axis."""
    peak = np.array([column, row], dtype=np.float64)
    for axis, (line, at) in enumerate(((match[row], column), (match[:, column], row))):
        if 0 < at < len(line) - 1:
            bend = line[at - 1] + line[at + 1] - 2 * line[at]
            if bend < 0:
                peak[axis] += (line[at - 1] - line[at + 1]) / (2 * bend)
    return peak
