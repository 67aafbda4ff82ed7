"""Suspects: places where tissue parts across a dark gap that is no shadow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from usguide.model import Calibration, Floats, Frame
from usguide.motion.gap import Gap, find_gap
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

MIN_CONTRAST, USUAL_CONTRAST, CLEAR_CONTRAST = 0.4, 1.8, 3.0
"""How many spreads of the muscle's brightness, over places as large as the gap, the gap is darker:
to be looked into, as coarse speckle hides a narrow gap; to need no stronger witness of motion; and
to leave a doubt where the rest does not fit. Tuned on synthetic tears (0.4 to 20) and on crops,
mirror images, reversals and grey maps of real healthy clips."""

PLAIN_SHARE = 0.6
"""Grey level of a plainly dark gap as a share of the tissue's beside it: synthetic tears of 3 mm
reach 0.03 to 0.51, the dark lanes of two real healthy muscles 0.65 and more. Over it, too, a gap
needs the stronger witness."""


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
    gap = find_gap(strip, peak, rows, inner, cell)
    if gap is None or gap.contrast < MIN_CONTRAST or not any(lit(picture, gap, belly, frame)):
        return None
    ends = beside(gap, belly.depth_lines(frame, DEPTHS)[gap.rows], belly, cell)
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


def faint(gap: Gap) -> bool:
    """Whether a gap is not clearly darker than the muscle is in places."""
    return gap.contrast < USUAL_CONTRAST or gap.levels.share > PLAIN_SHARE


def smallest_jump(calibration: Calibration, width: int) -> float:
    """Least widening called one, px."""
    if calibration.spacing_mm is None:
        return MIN_JUMP_SHARE * width
    return MIN_JUMP_MM / calibration.spacing_mm[0]
