"""Where and when a clip is looked at closely for a twitch, and how its tissue moves there.

Speckle tracking over the whole picture says where something brief and local happens
(:mod:`usguide.motion.bursts`); every such place is framed, in space and in time, and followed in
one more pass over the clip (:mod:`usguide.motion.close_up`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usguide.model import Floats, Frames, Header, NeedleTrack
from usguide.motion.bursts import SLOW_S, Quick, Suspect, quick_motion, suspects
from usguide.motion.close_up import CloseUp, Window, follow
from usguide.motion.drag import near_needle, settling
from usguide.motion.history import Motion

MIN_PEAK_MM = 0.5
"""Least peak: half of the 1 mm that must not be missed."""

MIN_PEAK_SHARE = 0.013
"""The same without a scale, as a share of the region's width."""

SUSPECT_SHARE = 0.5
"""Motion that blocks of speckle must show to be looked into, as a share of the least peak."""

PAD_S = (0.15, 0.25)
"""How long before and after a suspected burst is looked at: what is slow at its ends, and the
rest before and after it."""

HALF_MM = (9.0, 6.0)
"""How far around a suspected place is looked: twice the size of a twitch."""

HALF_SHARE = (0.23, 0.15)
"""The same without a scale, as shares of the region's width."""

AT_ONCE = 1000
"""Entries looked at together, half a minute of a cine: what is needed for it grows with them."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A suspect with all that is needed to judge it: entries count from the clip's first."""

    first: int
    last: int
    window: Window
    explained: Floats
    """What probe and needle did, shape (entries, rows, columns, 2), in the measure of lengths."""
    noise: float
    shaking: float


def scale_and_least_peak(header: Header) -> tuple[Floats, float]:
    """Size of a pixel, and the least peak of a twitch: in mm, or in px without a scale."""
    spacing = header.calibration.spacing_mm
    if spacing is None:
        return np.ones(2), MIN_PEAK_SHARE * header.region.width
    return np.array(spacing, dtype=np.float64), MIN_PEAK_MM


def find_looks(
    motion: Motion,
    moving: list[tuple[float, float]],
    needle: NeedleTrack,
    header: Header,
    times: Floats,
    step_s: float,
) -> list[Look]:
    """Where and when to look closely in a clip.

    Parameters
    ----------
    motion : Motion
        Displacement history of the clip.
    moving : list of (float, float)
        Times, s, between which the muscle contracts: nothing is looked at there.
    needle : NeedleTrack
        Where the needle was.
    header : Header
        Scale and place of the region.
    times : ndarray, shape (n,)
        Seconds of every entry of the history.
    step_s : float
        Time between entries.
    """
    looks: list[Look] = []
    for stretch in _stretches(len(times), round(2 * SLOW_S / step_s)):
        looks += _looks(stretch, motion, moving, needle, header, times, step_s)
    return looks


def _looks(
    stretch: slice,
    motion: Motion,
    moving: list[tuple[float, float]],
    needle: NeedleTrack,
    header: Header,
    times: Floats,
    step_s: float,
) -> list[Look]:
    """Where and when to look closer in a stretch of the clip, but while the muscle contracts."""
    scale, least = scale_and_least_peak(header)
    part, part_times = motion.part(stretch), times[stretch]
    cells = np.stack(np.meshgrid(motion.x_px, motion.y_px), axis=-1)
    near = settling(near_needle(cells, part.frames, needle, header), step_s)
    quick = quick_motion(part, needle, near, step_s, scale)
    looks = []
    for suspect in suspects(quick, SUSPECT_SHARE * least, part_times):
        look = _look(suspect, quick, part, part_times, header, stretch.start)
        if look is None:
            continue
        if not any(a <= times[look.last] and times[look.first] <= b for a, b in moving):
            looks.append(look)
    return looks


def _look(
    suspect: Suspect,
    quick: Quick,
    motion: Motion,
    times: Floats,
    header: Header,
    offset: int,
) -> Look | None:
    """Frame a suspect in time and space; None at the ends of a clip, where half of it is cut."""
    begun, over = times[suspect.start] - PAD_S[0], times[suspect.end] + PAD_S[1]
    first = int(np.searchsorted(times, begun))
    last = int(np.searchsorted(times, over, side="right")) - 1
    if suspect.start - first < 1 or last - suspect.end < 1 or motion.lost[first : last + 1].any():
        return None
    region = header.region
    spacing = header.calibration.spacing_mm
    if spacing is None:
        half = (HALF_SHARE[0] * region.width, HALF_SHARE[1] * region.width)
    else:
        half = (HALF_MM[0] / spacing[0], HALF_MM[1] / spacing[1])
    span = slice(first, last + 1)
    return Look(
        first + offset,
        last + offset,
        Window.around(
            float(motion.x_px[suspect.column]),
            float(motion.y_px[suspect.row]),
            half,
            region.width,
            region.height,
        ),
        quick.explained[span].copy(),
        float(quick.noise[suspect.row, suspect.column]),
        float(quick.shaking[suspect.start : suspect.end + 1].max()),
    )


def _stretches(entries: int, overlap: int) -> list[slice]:
    """Part a clip into stretches of about ``AT_ONCE`` entries that overlap by so many."""
    count = max(1, math.ceil(entries / AT_ONCE))
    ends = np.linspace(0, entries, count + 1).astype(np.int64)
    return [
        slice(max(0, int(first) - overlap), int(last)) for first, last in itertools.pairwise(ends)
    ]


def close_ups(clip: Frames, motion: Motion, looks: list[Look]) -> Iterator[CloseUp]:
    """Read the clip once more and follow the tissue of every look, in their order."""
    cuts: list[list[NDArray[np.uint8]]] = [[] for _ in looks]
    if looks:
        entry_of = {int(frame): entry for entry, frame in enumerate(motion.frames)}
        over = max(look.last for look in looks)
        for index, frame in clip.frames():
            entry = entry_of.get(index)
            if entry is None:
                continue
            if entry > over:
                break
            for look, cut in zip(looks, cuts, strict=True):
                if look.first <= entry <= look.last:
                    cut.append(look.window.cut(frame))
    for look, cut in zip(looks, cuts, strict=True):
        yield follow(look.window, cut)
