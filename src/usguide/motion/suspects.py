"""Suspects: places where tissue parts across a dark gap that is neither a lane nor a shadow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usguide.model import Calibration, Floats, Frame
from usguide.motion.fascicles import between, direction
from usguide.motion.gap import PLAIN_SHARE, Gap, find_gap, out_of_the_dark
from usguide.motion.history import Motion
from usguide.motion.parting import DEPTH_LINES, Parting
from usguide.motion.shadow import lit
from usguide.motion.strip import DEPTHS, Belly, straighten
from usguide.motion.width import Ends, settled_at

PLACES = 3
"""Dark gaps examined at the peak of each contraction."""

MIN_JUMP_MM = 0.7
"""Least parting that is looked into; half of the 1.5 mm of widening that must not be missed."""

MIN_JUMP_SHARE = 0.012
"""The same without a scale, as a share of the region's width."""

MIN_CONTRAST, USUAL_CONTRAST, CLEAR_CONTRAST = 0.8, 1.8, 3.0
"""How many spreads of the muscle's brightness, over places as large as the gap, the gap is darker:
to be looked into, to need no stronger witness of motion, and to leave a doubt where the rest does
not fit. Tuned, as the next three, on synthetic tears (0.9 to 20) and on crops, mirror images,
reversals and grey maps of two real healthy clips (up to 2.0)."""

ACROSS, ACROSS_CONTRAST = 0.7, 0.4
"""Share of the depths at which tissue must part beyond doubt for a gap to be looked into that is
only so dark: where ends part across the muscle, coarse speckle must not hide the gap. It is 0.7 or
more in 12 of 55 torn muscles, and at most 0.6 in 87 whole ones (20 of our own scenes, 62 of another
simulator's, five real)."""

MAX_FLOOR = 0.85
"""Grey level of a gap as a share of the tissue's at its darker side, to be looked into: synthetic
tears of 2 mm reach 0.8. Over ``gap.PLAIN_SHARE`` it needs the stronger witness."""

LANE_ANGLE_DEG, LANE_ASPECT = 20.0, 1.5
"""A dark area within this angle of the fascicles, and so much longer than wide, is a lane between
them. Tears cross the fibres; fascicles vary by a few degrees about their common direction."""


EDGE_PX = 6
"""Width of the band at either edge of a gap that its own slope reaches into."""


@dataclass(frozen=True, slots=True, eq=False)
class Suspect:
    """A dark gap where tissue parts, between an entry at rest and the gap's own."""

    gap: Gap
    parting: Parting
    rest: int
    ends: Ends
    """Tissue beside the gap at its entry, left and right: points (rows, m, 2) in region px."""


def suspect_at(
    picture: Frame,
    resting: Frame,
    motion: Motion,
    belly: Belly,
    parting: Parting,
    rest: int,
    peak: int,
    cell: float,
) -> Suspect | None:
    """Look for a dark gap where tissue was seen to part.

    ``picture`` and ``resting`` are the frames at the peak and at rest.
    """
    frame = int(motion.frames[peak])
    strip = straighten(picture, belly, frame)
    per_line = DEPTHS // DEPTH_LINES
    rows = slice(parting.depths.start * per_line, parting.depths.stop * per_line)
    inner = (float(motion.x_px[parting.left]), float(motion.x_px[parting.right]))
    least = ACROSS_CONTRAST if parting.across >= ACROSS else MIN_CONTRAST
    gap = _dark_gap(strip, peak, rows, inner, cell, least)
    if gap is None:
        return None
    lines = belly.depth_lines(frame, DEPTHS)[gap.rows]
    if is_lane(picture, gap, lines) or not any(lit(picture, gap, belly, frame)):
        return None
    ends = beside(gap, lines, belly, cell)
    if ends is None:
        return None
    return Suspect(settled_at(rest, resting, gap, ends, motion, belly, cell), parting, rest, ends)


def beside(gap: Gap, lines: Floats, belly: Belly, cell: float) -> Ends | None:
    """Points of the tissue at both sides of a gap; None where too little of it is in the picture.

    Parameters
    ----------
    gap : Gap
        The gap.
    lines : ndarray, shape (k, width)
        y of each of its rows at every column, region px.
    belly : Belly
        Where the muscle lies.
    cell : float
        Spacing of the motion cells, px.
    """
    ends = []
    for side, sign in ((0, -1.0), (1, 1.0)):
        x = gap.edges[:, side, None] + sign * np.linspace(0.7 * cell, 2.5 * cell, 6)
        last = lines.shape[1] - 1
        shown = (x >= 0) & (x <= last)
        x = np.clip(x, 0, last)
        y = np.take_along_axis(lines, np.rint(x).astype(np.int64), axis=1)
        if np.count_nonzero(shown & belly.shows(x, y)) < 0.3 * x.size:
            return None
        ends.append(np.stack([x, y], axis=-1))
    return ends[0], ends[1]


def _dark_gap(
    strip: NDArray[np.float32],
    peak: int,
    rows: slice,
    inner: tuple[float, float],
    cell: float,
    least: float,
) -> Gap | None:
    """Find a gap of a least contrast between two columns, or where both lie inside one."""
    for columns in dict.fromkeys((inner, out_of_the_dark(strip, rows, inner))):
        gap = find_gap(strip, peak, rows, columns, cell)
        if gap is not None and gap.contrast >= least and gap.levels.share <= MAX_FLOOR:
            return gap
    return None


def faint(gap: Gap) -> bool:
    """Whether a gap is not clearly darker than the muscle is in places."""
    return gap.contrast < USUAL_CONTRAST or gap.levels.share > PLAIN_SHARE


def is_lane(picture: Frame, gap: Gap, lines: Floats) -> bool:
    """Whether a dark gap is only the lane between two fascicles: longer than wide, along them."""
    edges, lines = gap.edges[gap.core], lines[gap.core]
    middles = edges.mean(axis=1)
    columns = np.clip(np.rint(middles).astype(np.int64), 0, lines.shape[1] - 1)
    y = np.take_along_axis(lines, columns[:, None], axis=1)[:, 0]
    across = np.array([middles[-1] - middles[0], y[-1] - y[0]])
    length = float(np.hypot(*across))
    if len(middles) < 3 or length <= 0:
        return False
    axis_deg = float(np.degrees(np.arctan2(across[1], across[0])))
    width = gap.width * abs(across[1]) / length
    # Beside the gap only: its own edges may outshine the fascicles.
    left, right = int(edges[:, 0].min()), int(edges[:, 1].max())
    margin = int(2.0 * gap.width) + EDGE_PX
    top, bottom = int(y.min()) - 2, int(y.max()) + 3
    run = direction(
        picture,
        (
            (left - margin, top, left - EDGE_PX, bottom),
            (right + EDGE_PX, top, right + margin, bottom),
        ),
    )
    if run is None or 2.0 * length < LANE_ASPECT * width:
        return False
    return between(axis_deg, run) <= LANE_ANGLE_DEG


def smallest_jump(calibration: Calibration, width: int) -> float:
    """Least widening called one, px."""
    if calibration.spacing_mm is None:
        return MIN_JUMP_SHARE * width
    return MIN_JUMP_MM / calibration.spacing_mm[0]
