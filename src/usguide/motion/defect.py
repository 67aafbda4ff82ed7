"""A defect that is seen at rest and stays: a dark gap from a border into the muscle.

Without ends that move apart nothing but its darkness speaks for a gap, so that more is asked of
it than of one that opens: it is nearly without echoes, reaches an aponeurosis, crosses a good part
of the muscle, and the tissue above and below it is lit, which it is not under or in a shadow.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usguide.model import Calibration, Frame
from usguide.motion.gap import FROM_BORDER, Gap, find_gap
from usguide.motion.shadow import lit
from usguide.motion.strip import DEPTHS, Belly, profile_of, straighten
from usguide.motion.suspects import CLEAR_CONTRAST, beside
from usguide.motion.width import Ends

MAX_LEVEL = 0.4
"""Grey level of a defect as a share of the tissue's beside it: the dark lanes of real healthy
muscle are at 0.65 and more, blood and fluid in synthetic tears at 0.03 to 0.3."""

MIN_CROSSED = 0.3
"""Share of the muscle's thickness that it crosses: a vessel of 5 mm in one of 20 mm is less."""

LEAST_MM, LEAST_SHARE = 1.5, 0.025
"""Least width of a dark stretch to be looked into; as a share of the region's width without a
scale."""

WIDEST_SHARE = 0.35
"""Share of the region's width that it spans at most: more is shadow or lost contact."""

WINDOW, STRIDE = 6, 3
"""Rows of the strip that are looked at together, a quarter of the muscle, and from one to the
next."""


def standing_gaps(
    picture: Frame, frame: int, entry: int, belly: Belly, cell: float, calibration: Calibration
) -> list[tuple[Gap, Ends]]:
    """Find gaps that are plainly dark in one picture, the largest first.

    Parameters
    ----------
    picture : ndarray of uint8, shape (height, width)
        The region in source frame ``frame``, entry ``entry`` of the motion history.
    frame, entry : int
        See above.
    belly : Belly
        Where the muscle lies; nothing is claimed where that is not known.
    cell : float
        Spacing of the motion cells, px.
    calibration : Calibration
        Size of a pixel.
    """
    if not belly.known:
        return []
    strip = straighten(picture, belly, frame)
    width = strip.shape[1]
    spacing = calibration.spacing_mm
    least = LEAST_SHARE * width if spacing is None else LEAST_MM / spacing[0]
    found: list[tuple[Gap, Ends]] = []
    for first in range(0, DEPTHS - WINDOW + 1, STRIDE):
        rows = slice(first, first + WINDOW)
        profile = profile_of(strip[rows])
        if not np.isfinite(profile).any():
            continue
        for start, end in _runs(profile < MAX_LEVEL * float(np.nanmedian(profile))):
            if not least <= end - start <= WIDEST_SHARE * width or start == 0 or end == width:
                continue
            gap = find_gap(strip, entry, rows, (float(start), float(end)), cell)
            if gap is None or not _plain(gap) or any(_same(gap, other) for other, _ in found):
                continue
            ends = beside(gap, belly.depth_lines(frame, DEPTHS)[gap.rows], belly, cell)
            if ends is not None and all(lit(picture, gap, belly, frame)):
                found.append((gap, ends))
    return sorted(found, key=lambda each: -len(each[0].rows) * each[0].width)


def _plain(gap: Gap) -> bool:
    """Whether a gap is dark enough, crosses enough, and reaches a border."""
    reaches = gap.rows[0] <= FROM_BORDER or gap.rows[-1] >= DEPTHS - 1 - FROM_BORDER
    dark = gap.levels.share <= MAX_LEVEL and gap.contrast >= CLEAR_CONTRAST
    return bool(dark and reaches and len(gap.rows) >= MIN_CROSSED * DEPTHS)


def _same(gap: Gap, other: Gap) -> bool:
    return abs(gap.centre - other.centre) < 0.5 * (gap.width + other.width)


def _runs(dark: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and beyond the last column of every run of True."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], dark, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in steps.reshape(-1, 2)]
