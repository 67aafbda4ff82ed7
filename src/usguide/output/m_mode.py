"""The muscle over time: one line of tissue along its axis in every frame, side by side.

The line runs at a constant share of the muscle's thickness, through the gap where there is one and
through the middle of the muscle otherwise, so that ends that part leave a dark lens between them.
"""

from __future__ import annotations

from typing import Self

import cv2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from usguide.model import Analysis, Borders, Floats, Frame, Status
from usguide.output.chart_page import BRIGHT_GREEN, BRIGHT_ORANGE, as_svg, key_above, new_page

MOST_COLUMNS = 900
"""Columns of the picture, over twice what is seen of it; of longer clips every few frames."""

HALF_WIDTH = 0.03
"""Half of the share of the muscle's thickness that is averaged around the line."""

LINES = 5
"""Lines averaged."""


class MMode:
    """Gathers the line from the frames of a clip as they pass.

    Parameters
    ----------
    analysis : Analysis
        Of a clip with a muscle that moves: see :meth:`of`.
    borders : Borders
        The muscle's two borders.
    """

    def __init__(self, analysis: Analysis, borders: Borders) -> None:
        header = analysis.header
        self._region = header.region
        self._columns = np.arange(header.region.width, dtype=np.float64) + header.region.x
        self._borders = borders
        self._usual = tuple(
            np.nanmedian(lines, axis=0) for lines in (borders.superficial_y_px, borders.deep_y_px)
        )
        own = np.flatnonzero(header.timing.duplicate_of < 0)
        self._wanted = set(own[:: -(-len(own) // MOST_COLUMNS)].tolist())
        self.share = self._share_of(analysis)
        """Depth of the line, as a share of the muscle's thickness."""
        self.frames: list[int] = []
        """Source frames it was taken from."""
        self._lines: list[NDArray[np.uint8]] = []

    @classmethod
    def of(cls, analysis: Analysis) -> Self | None:
        """Return one for a muscle whose borders are known and that moves; None otherwise."""
        borders = analysis.muscle.borders
        moves = analysis.motion.contraction.status is Status.MEASURED
        if not moves or borders is None:
            return None
        seen = np.isfinite(borders.superficial_y_px) & np.isfinite(borders.deep_y_px)
        return cls(analysis, borders) if seen.any(axis=0).sum() >= 2 else None

    @property
    def picture(self) -> NDArray[np.uint8]:
        """Grey levels, shape (width of the region, frames)."""
        return np.stack(self._lines, axis=1)

    def add(self, index: int, frame: Frame) -> None:
        """Take the line of one frame, uint8 (region.height, region.width), if it is wanted."""
        if index not in self._wanted:
            return
        superficial, deep = self._at(index)
        shares = self.share + np.linspace(-HALF_WIDTH, HALF_WIDTH, LINES)[:, None]
        y = superficial + np.clip(shares, 0.0, 1.0) * (deep - superficial) - self._region.y
        x = np.broadcast_to(self._columns - self._region.x, y.shape)
        sampled = cv2.remap(
            frame,
            np.ascontiguousarray(x, np.float32),
            np.ascontiguousarray(y, np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        self.frames.append(index)
        self._lines.append(np.rint(sampled.mean(axis=0)).astype(np.uint8))

    def _at(self, index: int) -> tuple[Floats, Floats]:
        """Y of both borders at every column in one source frame, source px."""
        both = []
        for lines, usual in zip(
            (self._borders.superficial_y_px, self._borders.deep_y_px), self._usual, strict=True
        ):
            row = np.where(np.isfinite(lines[index]), lines[index], usual)
            known = np.isfinite(row)
            both.append(np.interp(self._columns, self._borders.x_px[known], row[known]))
        return both[0], both[1]

    def _share_of(self, analysis: Analysis) -> float:
        separation = analysis.motion.contraction.separation
        cycle = analysis.motion.contraction.largest_cycle
        if separation.location_px is None or cycle is None:
            return 0.5
        x, y = separation.location_px
        superficial, deep = (
            float(np.interp(x, self._columns, line)) for line in self._at(cycle.peak_frame)
        )
        return float(np.clip((y - superficial) / max(deep - superficial, 1.0), 0.05, 0.95))


def m_mode(analysis: Analysis, gathered: MMode | None) -> Markup | None:
    """Draw the line over time, with the contraction's cycles and the gap where it is widest."""
    if gathered is None or len(gathered.frames) < 2:
        return None
    header, contraction = analysis.header, analysis.motion.contraction
    time_s = header.timing.time_s
    when = header.frame_numbers.astype(np.float64) if time_s is None else time_s
    taken = when[gathered.frames]
    # Frames need not be evenly spaced: every column shows the latest one.
    even = np.linspace(taken[0], taken[-1], len(taken))
    picture = gathered.picture[:, np.maximum(np.searchsorted(taken, even, side="right") - 1, 0)]
    spacing = header.calibration.spacing_mm
    scale, unit = (1.0, "px") if spacing is None else (spacing[0], "mm")
    figure, axes = new_page()
    axes.imshow(
        picture,
        cmap="gray",
        vmin=0,
        vmax=255,
        aspect="auto",
        extent=(taken[0], taken[-1], header.region.width * scale, 0.0),
        interpolation="nearest",
    )
    axes.grid(visible=False)
    for number, cycle in enumerate(contraction.cycles):
        axes.axvline(
            when[cycle.peak_frame], color=BRIGHT_GREEN, linewidth=1.2, linestyle=(0, (4, 3)),
            label=None if number else "peak of a contraction",
        )  # fmt: skip
    separation = contraction.separation
    largest, gap_mm = contraction.largest_cycle, separation.gap_peak_mm
    if largest and gap_mm and separation.has_gap and separation.location_px and spacing:
        middle = (separation.location_px[0] - header.region.x) * scale
        half = 0.5 * gap_mm.value
        axes.plot(
            [when[largest.peak_frame]] * 2, [middle - half, middle + half], "_-",
            color=BRIGHT_ORANGE, markersize=9, linewidth=2, label="gap",
        )  # fmt: skip
    axes.set_xlabel("frame (no timing in the file)" if time_s is None else "time (s)")
    axes.set_ylabel(f"along the muscle ({unit})")
    key_above(axes)
    return as_svg(figure, "m_mode")
