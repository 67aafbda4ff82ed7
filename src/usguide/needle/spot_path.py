"""The path of a cross-section: the one spot that outshines the picture, or outruns the tissue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usguide.model import Bools, Floats
from usguide.needle.candidates import Float32
from usguide.needle.spots import detail_of

APART_PX = 12.0
"""Distance beyond which two spots are two things: a cross-section's side lobes reach that far."""
OUTSHINES = 11.5
"""Height of the spot over the root mean square of the whole picture's detail. The out-of-plane
needle had 13.7 and more, the brightest spots of tissue, bone and aponeuroses 9.5 and less; tuned
on needle_outofplane_horizontal, muscle_isokinetic030, thickness_range_of_motion, needle_convex_07,
needle_block and a synthetic heel."""
UNRIVALLED = 1.2
"""Median ratio of its height to the second spot's; the same clips."""
OUTRUNS = 1.5
"""Median ratio of what is new in the moving spot to what is new in the next one: cross-sections had
1.7 and more, tissue at rest and contracting, and tips of needles in the plane, 1.4 and less. Tuned,
like the constants below, on needle_out_of_plane 31003-31027, a film that a needle presses on, heels
and muscles without a needle, and on muscle_isokinetic030, muscle_calf_ge_0, needle_convex_01, 07
and needle_block."""
LEAST_NEW = 1.0
"""Least median of what is new in it, in local deviations."""
STEADY_STEP_PX = 10.0
"""A longer step between two frames is a hop to something else (working px)."""
STEADY = 0.4
"""Least share of the frames in one stretch without a hop."""
STEP_PX = 3.0
"""Scale of a spot's move in one frame, working px."""
MOVED_PX = 2.0
"""A spot that never moves further than this is not claimed: it may be a fixed reflector."""
RIDE_PX, RIDE_MOVE_PX, RIDE_FRAMES = 40.0, 4.0, 8
"""Spots so near to the one followed are asked whether they went along, once it has gone this far,
within so many frames (working px)."""
SAME_PX = 1.5
"""Distance within which a spot is taken for the one expected there (working px)."""
RIDES = 0.12
"""Share of the neighbours that go along, of those found again, above which the spot is a part of
moving tissue. Cross-sections of synthetic needles had 0.03 and less (needle_out_of_plane
61000-61007), the torn end of a contracting muscle 0.27."""


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
    position, height = along_path(frames, heights, cheapest(frames, heights, numbers))
    seen = height > 0.5 * OUTSHINES
    if np.count_nonzero(seen) < 3 or wandered(position[seen]) < MOVED_PX:
        return None
    position[~seen] = np.nan
    return SpotPath(position, np.where(seen, height / (height + 0.15 * OUTSHINES), 0.0))


def follow_moving_spot(
    frames: list[NDArray[np.void]], numbers: Floats, mean: Float32, slides: Floats, tissue: Bools
) -> SpotPath | None:
    """Follow the one spot that is new wherever it goes, or return None where there is none.

    What tissue and bone show is in the clip's mean picture, too; a needle's cross-section that
    moves through them is not, and nothing else is as new as it is.

    Parameters
    ----------
    frames : list of structured arrays of ``SPOT``
        Spots of every observed frame.
    numbers : ndarray, shape (frames,)
        When each was taken, in frames.
    mean : ndarray of float32
        Mean picture of the clip at the working size, its slide taken out.
    slides : ndarray of float64, shape (frames, 2)
        That slide, working px.
    tissue : ndarray of bool
        Where there are echoes.
    """
    if min((len(spots) for spots in frames), default=0) < 2 or len(frames) < 6:
        return None
    usual = detail_of(mean, tissue)
    rows, columns = usual.shape
    new = []
    for spots, slide in zip(frames, slides, strict=True):
        x = np.clip(np.rint(spots["peak_x"] - slide[0]), 0, columns - 1).astype(np.intp)
        y = np.clip(np.rint(spots["peak_y"] - slide[1]), 0, rows - 1).astype(np.intp)
        left = np.maximum(spots["detail"] - np.maximum(usual[y, x], 0), 0) / spots["around"]
        new.append(left.astype(np.float64))
    chosen = cheapest(frames, new, numbers)
    position, novelty = along_path(frames, new, chosen)
    rivals = np.array(
        [next_best(spots, k, v) for spots, k, v in zip(frames, chosen, new, strict=True)]
    )
    ratio = novelty / np.maximum(rivals, 0.1)
    if np.median(ratio) < OUTRUNS or np.median(novelty) < LEAST_NEW:
        return None
    seen = (novelty > 0.4 * np.median(novelty)) & (ratio > 1.0)
    frame = np.flatnonzero(seen)
    steps = np.linalg.norm(np.diff(position[frame], axis=0), axis=1)
    hops = np.flatnonzero(steps > STEADY_STEP_PX * np.sqrt(np.diff(frame)))
    steady = frame[max(np.split(np.arange(len(frame)), hops + 1), key=len)]
    if len(steady) < STEADY * len(frames):
        return None
    here, in_tissue = position[steady], (position - slides)[steady]
    if min(wandered(here), wandered(in_tissue)) < MOVED_PX:
        return None
    position[~seen] = np.nan
    if rides_along(frames, position, slides):
        return None
    return SpotPath(position, np.where(seen, ratio / (ratio + 0.4), 0.0))


def rides_along(frames: list[NDArray[np.void]], position: Floats, slides: Floats) -> bool:
    """Whether the spots around a moving one go where it goes, as in a muscle that contracts.

    A needle passes through what it leaves in its place.

    Parameters
    ----------
    frames : list of structured arrays of ``SPOT``
        Spots of every observed frame.
    position : ndarray of float64, shape (frames, 2)
        The moving one, working px; NaN where not seen.
    slides : ndarray of float64, shape (frames, 2)
        Slide of the whole picture, working px.
    """
    gone = stayed = 0
    seen = np.flatnonzero(np.isfinite(position[:, 0]))
    for here in seen:
        later = seen[(seen > here) & (seen <= here + RIDE_FRAMES)]
        slid = slides[later] - slides[here]
        moves = position[later] - position[here] - slid
        far = np.flatnonzero(np.hypot(*moves.T) > RIDE_MOVE_PX)
        if not len(far):
            continue
        before, after = (_places(frames[k]) for k in (here, later[far[0]]))
        away = np.hypot(*(before - position[here]).T)
        near = before[(away > APART_PX) & (away < RIDE_PX)] + slid[far[0]]
        gone += _found_again(near + moves[far[0]], after)
        stayed += _found_again(near, after)
    return gone > RIDES * max(gone + stayed, 1)


def _places(spots: NDArray[np.void]) -> Floats:
    return np.column_stack([spots["x"], spots["y"]]).astype(np.float64)


def _found_again(expected: Floats, found: Floats) -> int:
    """How many of the expected places (n, 2) have one of the found (m, 2) on them."""
    apart = np.linalg.norm(expected[:, None] - found[None], axis=-1)
    return int(np.count_nonzero(apart.min(axis=1, initial=np.inf) < SAME_PX))


def wandered(position: Floats) -> float:
    """Range of a path, 5th to 95th percentile, px."""
    ends = np.quantile(position, [0.05, 0.95], axis=0)
    return float(np.linalg.norm(ends[1] - ends[0]))


def along_path(
    frames: list[NDArray[np.void]], values: list[Floats], chosen: list[int]
) -> tuple[Floats, Floats]:
    """Positions (frames, 2), NaN where there is no spot, and values of the chosen spots."""
    position = np.full((len(frames), 2), np.nan)
    value = np.zeros(len(frames))
    for k, index in enumerate(chosen):
        if index >= 0:
            position[k] = frames[k]["x"][index], frames[k]["y"][index]
            value[k] = values[k][index]
    return position, value


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
