"""The path of a cross-section: the one spot that outshines the picture, or outruns the tissue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usguide.model import Floats

APART_PX = 12.0
"""Distance beyond which two spots are two things: a cross-section's side lobes reach that far."""
OUTSHINES = 11.5
"""Height of the spot over the root mean square of the whole picture's detail. The out-of-plane
needle had 13.7 and more, the brightest spots of tissue, bone and aponeuroses 9.5 and less; tuned
on needle_outofplane_horizontal, muscle_isokinetic030, thickness_range_of_motion, needle_convex_07,
needle_block and a synthetic heel."""
UNRIVALLED = 1.2
"""Median ratio of its height to the second spot's; the same clips."""
PROMINENT = 9.5
LASTING = 0.1
"""Least prominence of the newest spot: the median of its height over the change around it, times
the median ratio of that height to the next spot's, over the stretch of its path that is worth most,
and ``LASTING`` times what all its stretches at that place are worth (:data:`LEAST_WORTH`). What is
new in tissue stays so while it moves, or was there by chance, and leads for a moment; a
cross-section that hardly outshines it leads again and again. Of 250 clips without a needle one had
more than 9.1, which hardly moved. Cross-sections of the second simulator had 9.7 and more, but for
its faintest with 5 to 8, those of our own scenes 44 and more. Tips of needles in the plane may have
as much; there the shaft is seen, too. Tuned on even seeds of ``benchmarks.second_needles`` and
``benchmarks.second_muscles``."""
BACK_PX = 20.0
"""Distance between two stretches' median places within which it is back (working px)."""
STEADY_STEP_PX = 10.0
"""A longer step between two frames is a hop to something else (working px)."""
STEADY = 0.2
"""Least share of the frames in the stretches, in which nothing hops, of one place: cross-sections
that come and go had 0.24 and more, what is as prominent in tissue 0.13 and less; the same clips."""
LEAST_STEADY = 8
"""Least frames in them."""
LEAST_WORTH = 3.0
"""Least worth of a stretch without a hop: the sum of the logarithms of the ratio to the next spot.
What is worth less may be chance and is not claimed: of 98 frames in which the spot could not be
seen 40 were claimed without this rule, 5 with it; the same clips."""
ALONE = 0.4
"""Median share of its brightness in the frame that does not go on to both sides, over the stretch
that is worth most, below which a spot is the less prominent: what shows anew of an aponeurosis or a
bone has their brightness beside it. Cross-sections that are hardly prominent had 0.50 and more,
spots on lines of two muscles without a needle 0.16 and 0.28; a plain cross-section in a layer may
have as little. Tuned on even seeds of the same clips."""
STEP_PX = 3.0
"""Scale of a spot's move in one frame, working px."""
BENEATH_PX = (6.0, 40.0)
ASIDE_PX = 3.0
ECHOED = 0.5
"""A spot so far below another (working px), hardly aside, is taken for what rings on after it if
the upper one is at least this share as high. It then is no rival, and counts for that share of it.
Tuned on needle_out_of_plane 81000-81019 and 83000-83029."""
MOVED_PX = 2.0
"""A spot that never moves further than this is not claimed: it may be a fixed reflector."""


@dataclass(frozen=True, slots=True, eq=False)
class SpotPath:
    """The spot in every observed frame.

    Parameters
    ----------
    position : ndarray, shape (frames, 2)
        Working px; NaN where not seen.
    confidence : ndarray, shape (frames,)
        Estimated probability that it is within 3 mm.
    """

    position: Floats
    confidence: Floats


def next_best(spots: NDArray[np.void], chosen: int, values: Floats) -> float:
    """Largest value of the spots that are apart from the chosen one, at least 1e-6."""
    away = np.hypot(spots["x"] - spots["x"][chosen], spots["y"] - spots["y"][chosen]) > APART_PX
    return float(values[away].max(initial=1e-6))


def follow_spot(frames: list[NDArray[np.void]], numbers: Floats) -> SpotPath | None:
    """Follow the one spot that outshines a clip, or return None where there is none.

    Parameters
    ----------
    frames : list of structured arrays of ``SPOT``
        Spots of every observed frame.
    numbers : ndarray, shape (frames,)
        When each was taken, in frames.
    """
    filled = [spots for spots in frames if len(spots)]
    if len(filled) < 3 or len(filled) < 0.5 * len(frames):
        return None
    heights = [spots["height"].astype(np.float64) for spots in frames]
    best = np.array([spots["height"][0] for spots in filled])
    second = np.array([next_best(s, 0, s["height"].astype(np.float64)) for s in filled])
    if np.median(best) < OUTSHINES or np.median(best / second) < UNRIVALLED:
        return None
    peak, front, height = along_path(frames, heights, cheapest(frames, heights, numbers))
    seen = height > 0.5 * OUTSHINES
    if np.count_nonzero(seen) < 3 or wandered(peak[seen]) < MOVED_PX:
        return None
    front[~seen] = np.nan
    return SpotPath(front, np.where(seen, height / (height + 0.15 * OUTSHINES), 0.0))


def follow_new_spot(
    frames: list[NDArray[np.void]], numbers: Floats, slides: Floats
) -> SpotPath | None:
    """Follow the one spot that is new wherever it goes, or return None where there is none.

    What tissue and bone show was there before; a needle's cross-section that moves through them was
    elsewhere, and nothing else is as new as it is. It may come and go: it is judged by the stretch
    in which it outruns the rest most, and by whether it comes back to where it was then.

    Parameters
    ----------
    frames : list of structured arrays of ``SPOT``
        New spots of every observed frame, the picture's slide taken out.
    numbers : ndarray, shape (frames,)
        When each was taken, in frames.
    slides : ndarray of float64, shape (frames, 2)
        That slide, working px.
    """
    shown = np.array([k for k, spots in enumerate(frames) if len(spots)], dtype=np.intp)
    if len(shown) < max(5.0, 0.5 * len(frames)):
        return None
    heights = [without_echoes(spots) for spots in frames]
    chosen = cheapest(frames, heights, numbers)
    peak, front, newness = along_path(frames, heights, chosen)
    ratio = np.zeros(len(frames))
    for k in shown:
        ratio[k] = newness[k] / max(next_best(frames[k], chosen[k], heights[k]), 0.1)
    worth = np.log(ratio.clip(0.1))
    stretches = without_hops(shown, peak[shown])
    worths = np.array([worth[stretch].sum() for stretch in stretches])
    steady = stretches[int(np.argmax(worths))]
    places = np.array([np.median(peak[stretch], axis=0) for stretch in stretches])
    apart = np.linalg.norm(places - places[int(np.argmax(worths))], axis=1)
    back = np.flatnonzero((worths >= LEAST_WORTH) & (apart < BACK_PX))
    if sum(len(stretches[k]) for k in back) < max(STEADY * len(frames), LEAST_STEADY):
        return None
    usual = float(np.median(newness[steady]))
    prominence = usual * float(np.median(ratio[steady])) + LASTING * float(worths[back].sum())
    alone = float(np.median([frames[k]["alone"][chosen[k]] for k in steady]))
    if prominence * min(alone / ALONE, 1.0) < PROMINENT:
        return None
    newest = steady[ratio[steady] > 1.0]
    if min(wandered((peak + slides)[newest]), wandered(peak[newest])) < MOVED_PX:
        return None
    seen = ratio > 1.0
    for stretch in np.flatnonzero(worths < LEAST_WORTH):
        seen[stretches[stretch]] = False
    in_picture = front + slides
    in_picture[~seen] = np.nan
    return SpotPath(in_picture, np.where(seen, ratio / (ratio + 0.4), 0.0))


def without_hops(frame: NDArray[np.intp], place: Floats) -> list[NDArray[np.intp]]:
    """Split frames (n,), with a place (n, 2) in working px each, where the path hops."""
    steps = np.linalg.norm(np.diff(place, axis=0), axis=1)
    hops = np.flatnonzero(steps > STEADY_STEP_PX * np.sqrt(np.diff(frame)))
    return np.split(frame, hops + 1)


def without_echoes(spots: NDArray[np.void]) -> Floats:
    """Heights of spots, less for those that may be reverberations of one above."""
    height = spots["height"].astype(np.float64)
    below = spots["y"][:, None] - spots["y"][None]
    aside = np.abs(spots["x"][:, None] - spots["x"][None])
    near, far = BENEATH_PX
    source = (below > near) & (below < far) & (aside < ASIDE_PX)
    source &= height[None] > ECHOED * height[:, None]
    return np.asarray(
        np.min(np.where(source, ECHOED * height[None], height[:, None]), axis=1, initial=np.inf)
    )


def wandered(position: Floats) -> float:
    """Range of a path, 5th to 95th percentile, px."""
    ends = np.quantile(position, [0.05, 0.95], axis=0)
    return float(np.linalg.norm(ends[1] - ends[0]))


def along_path(
    frames: list[NDArray[np.void]], values: list[Floats], chosen: list[int]
) -> tuple[Floats, Floats, Floats]:
    """Peaks and fronts (frames, 2), NaN where there is no spot, and values of the chosen spots."""
    peak = np.full((len(frames), 2), np.nan)
    front = peak.copy()
    value = np.zeros(len(frames))
    for k, index in enumerate(chosen):
        if index >= 0:
            spot = frames[k][index]
            peak[k] = spot["x"], spot["y"]
            front[k] = spot["front_x"], spot["front_y"]
            value[k] = values[k][index]
    return peak, front, value


def cheapest(frames: list[NDArray[np.void]], values: list[Floats], numbers: Floats) -> list[int]:
    """Choose one spot per frame: of high value, and close to where it was; -1 where none is."""
    links: list[NDArray[np.intp]] = []
    kept: list[int] = []
    total = np.zeros(0)
    for k, spots in enumerate(frames):
        if not len(spots):
            continue
        gain = 2 * np.log(np.maximum(values[k], 0.05))
        if kept:
            before = frames[kept[-1]]
            gap = max(1.0, float(numbers[k] - numbers[kept[-1]]))
            dx = spots["x"][None] - before["x"][:, None]
            dy = spots["y"][None] - before["y"][:, None]
            move = np.log1p((dx**2 + dy**2) / (STEP_PX**2 * gap))
            via = total[:, None] - move
            link = np.argmax(via, axis=0)
            total = via[link, np.arange(len(spots))] + gain
            links.append(link)
        else:
            total = gain
        kept.append(k)
    chosen = [-1] * len(frames)
    at = int(np.argmax(total))
    for position in range(len(kept) - 1, -1, -1):
        chosen[kept[position]] = at
        if position:
            at = int(links[position - 1][at])
    return chosen
