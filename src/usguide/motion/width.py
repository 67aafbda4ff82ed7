"""How wide a gap is in every frame: both edges, normal to them, freed of the beam's blur."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usguide.model import Floats, Frame, Frames
from usguide.motion.dark_interval import EDGE_SHARE, along_rows, darkest_interval
from usguide.motion.gap import Gap, settled
from usguide.motion.history import Motion
from usguide.motion.strip import DEPTHS, Belly, profile_of, smoothed, straighten

Ends = tuple[Floats, Floats]

BLUR_PER_FLANK = 1.5
"""See :func:`_blur`. The response 10 log10 Phi(sqrt(2) x / SD) of a Gaussian beam to an edge in
speckle, 30 dB deep, gives 3.1 on a grey scale linear in dB and 2.3 on a grey map of exponent 1.8;
lowered to 2.0 on four synthetic tears, where 3.1 widened gaps by half a millimetre."""


FIRM_SLACK, SLACK_SHARE, LOOSE_SLACK = 0.4, 0.5, 0.7
"""How far an edge may lie from where its end's motion puts it: motion cells where the end has not
moved, the share of its movement that is added, motion cells at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Width:
    """Width of a gap in one frame, normal to its edges, columns, with its standard error.

    ``rows``, shape (k,), is the width along the muscle in each row that the gap crosses; ``blur``
    is how much the beam was found to narrow the gap at either edge, 0 where the gap is closed.
    """

    value: float
    error: float
    rows: Floats
    blur: float


def measure_width(
    strip: NDArray[np.float32], gap: Gap, expected: Floats, slack: float, flank: int, row_px: float
) -> Width | None:
    """Measure a known gap in another frame.

    Parameters
    ----------
    strip : ndarray of float32, shape (rows, columns)
        The straightened muscle of that frame.
    gap : Gap
        The gap as seen at the peak.
    expected : ndarray, shape (k, 2)
        Where the motion of the two ends puts its edges in each of ``gap.rows``. They may have
        met: right < left.
    slack : float
        How far the edges may lie from there, columns.
    flank : int
        Columns of tissue at either side that set the grey level.
    row_px : float
        Distance between rows of the strip, in widths of a pixel.
    """
    centres = expected.mean(axis=1)
    halves = np.maximum(0.5 * (expected[:, 1] - expected[:, 0]), 0.0) + slack
    half = float(halves[gap.core].mean())
    reach = int(max(half + flank, float(halves.max()))) + 1
    steps = np.arange(-reach, reach + 1)
    columns = float(centres.mean()) + steps
    axis = np.arange(strip.shape[1], dtype=np.float64)
    profiles = np.stack(
        [
            np.interp(centre + steps, axis, strip[row])
            for row, centre in zip(gap.rows, centres, strict=True)
        ]
    )
    # Only laid over one another, or the rows of an oblique gap blur its edges.
    profiles = smoothed(profiles, 0.5, 0.8)
    core = profiles[gap.core]
    profile = profile_of(core)
    seen = (columns >= 0) & (columns <= strip.shape[1] - 1) & np.isfinite(profile)
    inside = slice(max(0, int(reach - half)), int(reach + half) + 1)
    outside = seen.copy()
    outside[inside] = False
    if not seen[inside].all() or np.count_nonzero(outside) < flank // 2:
        return None
    # As at the peak, the darker side counts: in a shadow the other one is brighter than the gap's.
    sides = [
        float(np.nanmedian(core[:, side]))
        for side in (outside & (steps < 0), outside & (steps > 0))
        if np.count_nonzero(side) >= flank // 4
    ]
    tissue = max(min(sides), 1.0)
    # A change of gain shifts all of a log-compressed picture, and so the muscle; what else lies
    # beside the gap than before does not. The gap cannot get darker than black.
    gain = float(np.nanmedian(strip)) - gap.muscle
    floor = max(0.0, min(gap.levels.floor + gain, 0.8 * tissue))
    dark = floor + EDGE_SHARE * (tissue - floor)
    first = reach - halves.astype(np.int64)
    edges = np.array(
        [
            np.array(darkest_interval(row[k : 2 * reach + 1 - k], dark)) + k
            for row, k in zip(profiles, first, strict=True)
        ]
    )
    # Speckle alone makes no dip of the mean profile half way down to the gap's level.
    if profile[inside].min() >= 0.5 * (floor + tissue):
        return Width(0.0, 0.5, edges[:, 1] - edges[:, 0], 0.0)
    # No edge is sharper than the beam; one that looks softer borders on dark tissue.
    blur = min(_blur(core, edges[gap.core, side], side, floor, tissue) for side in (0, 1))
    opened = edges[:, 1] - edges[:, 0] + 2.0 * blur
    widths = opened[gap.core]
    lean = 1.0
    if len(gap.rows) >= 3:
        line = along_rows(gap.rows, centres + edges.mean(axis=1))
        slope = float(np.polyfit(gap.rows.astype(np.float64), line, 1)[0]) / row_px
        lean = float(1.0 / np.hypot(1.0, slope))
    # Neighbouring rows share speckle: about every other one counts.
    error = float(np.hypot(widths.std() / np.sqrt(max(1.0, 0.5 * len(widths))), 0.5))
    return Width(max(float(widths.mean()) * lean, 0.0), error * lean, opened * lean, blur)


def _blur(
    profiles: NDArray[np.floating], edges: Floats, side: int, floor: float, tissue: float
) -> float:
    """How far outside the point at ``EDGE_SHARE`` the true edge lies, samples.

    A Gaussian beam blurs an edge, and on a logarithmic grey scale every gap looks too narrow for
    it, by 1.2 to 2 beam SDs at either edge for gaps 20 to 40 dB under the tissue. The beam's
    width is read off the edge itself: ``BLUR_PER_FLANK`` times the distance between the points
    a quarter and a half up its flank. The rows are laid over one another by their own edges, so
    that a frayed edge is not taken for a blurred one.
    """
    reach = 12
    steps = np.arange(-reach, reach + 1, dtype=np.float64)
    axis = np.arange(profiles.shape[1], dtype=np.float64)
    # Seen from the gap: rising from left to right.
    outward = steps if side == 1 else -steps
    mean = profile_of(
        np.stack(
            [
                np.interp(edge + outward, axis, row)
                for row, edge in zip(profiles, edges, strict=True)
            ]
        )
    )
    at = []
    for share in (0.25, 0.5):
        level = floor + share * (tissue - floor)
        above = np.flatnonzero((mean[1:] >= level) & (mean[:-1] < level))
        if len(above) == 0:
            return 0.0
        k = int(above[np.argmin(np.abs(above - reach))])
        at.append(steps[k] + (level - mean[k]) / (mean[k + 1] - mean[k]))
    return float(np.clip(BLUR_PER_FLANK * (at[1] - at[0]), 0.0, reach))


@dataclass(frozen=True, slots=True, eq=False)
class Widths:
    """Width of a suspected gap over the clip, px: per entry, its error, and per core row (n, k)."""

    value: Floats
    error: Floats
    rows: Floats


def widths_of(
    clip: Frames, motion: Motion, belly: Belly, gaps: Sequence[tuple[Gap, Ends]], cell: float
) -> list[Widths]:
    """Width of every gap in every frame, from one more pass over the clip.

    Parameters
    ----------
    clip, motion, belly
        The recording, its displacement history, and where the muscle lies.
    gaps : sequence of (Gap, (ndarray, ndarray))
        Each with the tissue beside it at its entry, left and right: points (rows, m, 2), region px.
    cell : float
        Spacing of the motion cells, px.
    """
    n = len(motion.frames)
    found = [
        Widths(
            np.full(n, np.nan), np.full(n, np.nan), np.full((n, len(gap.rows[gap.core])), np.nan)
        )
        for gap, _ in gaps
    ]
    blurs: list[list[float]] = [[] for _ in gaps]
    for entry, (index, frame) in zip(range(n), _known(clip, motion), strict=False):
        strip = straighten(frame, belly, index)
        for (gap, ends), widths, blur in zip(gaps, found, blurs, strict=True):
            width = _width_at(entry, strip, gap, ends, motion, belly, cell)
            if width is not None:
                widths.value[entry] = width.value
                widths.error[entry] = width.error
                widths.rows[entry] = width.rows[gap.core]
                if width.value > 0:
                    blur.append(width.blur)
    for widths, blur in zip(found, blurs, strict=True):
        # What the beam hides: all of a gap that looks closed, and half of the correction made.
        beam = float(np.median(blur)) if blur else 0.0
        widths.error[:] = np.hypot(widths.error, np.where(widths.value > 0, 0.5, 1.0) * beam)
    return found


def _width_at(
    entry: int,
    strip: NDArray[np.float32],
    gap: Gap,
    ends: Ends,
    motion: Motion,
    belly: Belly,
    cell: float,
) -> Width | None:
    """Measure a gap in one entry of the motion history, where its ends have moved to."""
    superficial, deep = belly.borders(int(motion.frames[entry]))
    row_px = belly.aspect * float(np.median(deep - superficial)) / DEPTHS
    moved = [moved_along(motion, gap, entry, end) for end in ends]
    edges = gap.edges + np.stack(moved, axis=1)
    # The further the ends have moved, the less their motion says where their edges are.
    slack = min(FIRM_SLACK * cell + SLACK_SHARE * float(np.mean(np.abs(moved))), LOOSE_SLACK * cell)
    return measure_width(strip, gap, edges, slack, int(2.5 * cell), row_px)


def settled_at(
    entry: int, picture: Frame, gap: Gap, ends: Ends, motion: Motion, belly: Belly, cell: float
) -> Gap:
    """Return a gap with the rows in which, at rest, no blood widens it.

    ``picture`` is the frame of ``entry``, at rest.
    """
    strip = straighten(picture, belly, int(motion.frames[entry]))
    narrow = _width_at(entry, strip, gap, ends, motion, belly, cell)
    return gap if narrow is None else settled(gap, DEPTHS, cell, [narrow.rows])


def _known(clip: Frames, motion: Motion) -> Iterator[tuple[int, Frame]]:
    """Frames that the motion history has an entry for."""
    wanted = set(motion.frames.tolist())
    return ((index, frame) for index, frame in clip.frames() if index in wanted)


def moved_along(motion: Motion, gap: Gap, entry: int, end: Floats) -> Floats:
    """Movement along x of one end of a gap, from the gap's entry to another, in every row.

    ``end``, shape (rows, m, 2), are points of the tissue beside the gap.
    """
    points = end.reshape(-1, 2)
    start = motion.at(gap.entry, points)
    now = points
    for _ in range(4):
        now = points + motion.at(entry, now) - start
    moved = (now - points)[:, 0].reshape(end.shape[:2])
    return along_rows(gap.rows, np.median(moved, axis=1))
