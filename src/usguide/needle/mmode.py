"""M-mode along the shaft: once its line is known, every frame is sampled along it once more."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usguide.kernels.shafts import CORE, FLANK, HALF_WIDTH
from usguide.kernels.strips import sample_strip, shaft_profiles
from usguide.model import Bools, Floats, Frames
from usguide.needle.candidates import Workspace
from usguide.needle.pool import SAME_OFFSET_PX, SAME_TURN_DEG, Pool
from usguide.needle.shaft import STEP_PX
from usguide.needle.smoothing import DENSE_GAP
from usguide.needle.track import Path

STRETCH = 600
"""Frames that are weighed together: what the weighing needs does not grow with the clip's length;
what is kept of each frame is its samples along the line."""
FEW = 16
"""Frames, one close after the other, that show what a place looks like at other times."""
LINE_FRAMES = 10.0
"""Time over which the claims' lines are averaged, frames."""
LINE_CLAIMS = 40
"""Claims on either side, at most, that are averaged."""
SAMPLES = 2
"""Samples of ``STEP_PX`` that are averaged along the line: places are a working px apart."""
BESIDE = 5
"""Samples of ``STEP_PX`` beyond the line's flanks in which the tissue beside it is looked at: what
is closer sticks to a needle, or is its own echo."""


@dataclass(frozen=True, slots=True, eq=False)
class MMode:
    """What lies along the line of some claims in every frame; lengths in working px."""

    entry: Floats
    """Where the line enters the tissue, shape (frames, 2)."""
    along: Floats
    """Its direction, shape (frames, 2)."""
    apart: Floats
    """Time to the nearest claim, frames, shape (frames,)."""
    contrast: NDArray[np.float32]
    """Its contrast to its flanks, in speckle noise, shape (frames, places); NaN outside the
    image."""
    beside: NDArray[np.float32]
    """Level of the tissue on either side, grey levels, shape (frames, 2, places); NaN outside the
    image."""
    claimed: Floats
    """Depth of the claims' tips, shape (frames,); NaN elsewhere."""


def m_mode(
    pool: Pool,
    path: Path,
    claims: NDArray[np.int64],
    numbers: Floats,
    slides: Floats,
    clip: Frames,
    workspace: Workspace,
) -> MMode:
    """Read the clip once more along the line of some of a path's claims; see `followed_along`."""
    return m_modes(pool, [(path, claims)], numbers, slides, clip, workspace)[0]


def m_modes(
    pool: Pool,
    lines: Sequence[tuple[Path, NDArray[np.int64]]],
    numbers: Floats,
    slides: Floats,
    clip: Frames,
    workspace: Workspace,
) -> list[MMode]:
    """Read the clip once more along several lines, each of some of a path's claims."""
    noise = frame_noise(pool, len(numbers))
    ways = []
    for path, claims in lines:
        point, along, apart = shaft_lines(pool, path, claims, numbers)
        point += slides
        gap = workspace.way_in(workspace.to_region(point), along)[0]
        ways.append((point - gap[:, None] * along, along, apart))
    sampled = sampled_along(clip, [way[:2] for way in ways], noise, workspace)
    seen = []
    for (path, claims), (entry, along, apart), (contrast, beside) in zip(
        lines, ways, sampled, strict=True
    ):
        claimed = np.full(len(numbers), np.nan)
        claimed[claims] = depths_on(pool, entry, along)[1][path.chosen[claims]]
        seen.append(MMode(entry, along, apart, contrast, beside, claimed))
    return seen


def stretches(numbers: Floats) -> list[slice]:
    """Stretches of frames that follow one another closely, at most ``STRETCH`` long.

    Shorter ones than ``FEW`` are left out: they do not show what places look like at other times.
    """
    starts = [0, *(np.flatnonzero(np.diff(numbers) > DENSE_GAP) + 1).tolist(), len(numbers)]
    found = []
    for first, end in itertools.pairwise(starts):
        parts = -(-(end - first) // STRETCH)
        edges = np.linspace(first, end, max(parts, 1) + 1).astype(int).tolist()
        found += [slice(a, b) for a, b in itertools.pairwise(edges) if b - a >= FEW]
    return found


def shaft_lines(
    pool: Pool, path: Path, claims: NDArray[np.int64], numbers: Floats
) -> tuple[Floats, Floats, Floats]:
    """Average the claims' lines about the time of every frame, outliers left out.

    Returns
    -------
    point, along : ndarray, shape (frames, 2)
        A point on the line, and its direction; working px, the picture's slide taken out.
    apart : ndarray, shape (frames,)
        Time to the nearest claim, frames.
    """
    chosen = path.chosen[claims]
    heading = np.arctan2(pool.along[chosen, 1], pool.along[chosen, 0])
    behind = pool.tip[chosen] - 10.0 * pool.along[chosen]
    point, along = np.empty((len(numbers), 2)), np.empty((len(numbers), 2))
    apart = np.empty(len(numbers))
    for k, now in enumerate(numbers):
        at = int(np.searchsorted(claims, k))
        near = slice(max(0, at - LINE_CLAIMS), at + LINE_CLAIMS)
        away = np.abs(numbers[claims[near]] - now)
        apart[k] = away.min()
        weight = path.confidence[claims[near]] * np.exp(-(away - apart[k]) / LINE_FRAMES)
        angle = agreed_mean(heading[near], weight, np.radians(SAME_TURN_DEG))
        along[k] = np.cos(angle), np.sin(angle)
        across = np.array([-along[k, 1], along[k, 0]])
        aside = agreed_mean(behind[near] @ across, weight, SAME_OFFSET_PX)
        forward = np.sum(weight * (behind[near] @ along[k])) / weight.sum()
        point[k] = forward * along[k] + aside * across
    return point, along, apart


def agreed_mean(values: Floats, weight: Floats, most: float) -> float:
    """Weighted mean of the values within ``most`` of their weighted median."""
    order = np.argsort(values, kind="stable")
    half = np.searchsorted(np.cumsum(weight[order]), 0.5 * weight.sum())
    weight = weight * (np.abs(values - values[order[min(half, len(order) - 1)]]) < most)
    return float(np.sum(weight * values) / weight.sum())


def frame_noise(pool: Pool, frames: int) -> Floats:
    """Speckle noise of every frame, grey levels; of one without candidates the usual one."""
    noise = np.full(frames, float(np.median(pool.records["noise"])))
    noise[pool.frame] = pool.records["noise"]
    return noise


def sampled_along(
    clip: Frames, ways: Sequence[tuple[Floats, Floats]], noise: Floats, workspace: Workspace
) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Sample every frame along some lines, a working px apart from where they enter the tissue.

    Parameters
    ----------
    clip : Frames
        Read once.
    ways : sequence of (entry, along)
        Where each line enters, working px, and its direction, in every frame: shape (frames, 2).
    noise : ndarray, shape (frames,)
        Speckle noise, grey levels.
    workspace : Workspace
        Sizes and masks of the clip.

    Returns
    -------
    list of (contrast, beside)
        Of each line, its contrast to its flanks in speckle noise, ndarray of float32, shape
        (frames, places), and the level of the tissue beyond either flank, grey levels, ndarray of
        float32, shape (frames, 2, places); NaN outside the image.
    """
    places = int(np.hypot(*workspace.size))
    step = STEP_PX * workspace.scale
    strip = np.empty((places * SAMPLES, 2 * (HALF_WIDTH + BESIDE) + 1), np.float32)
    profiles = np.empty((3, len(strip)))
    starts = [workspace.to_region(entry) for entry, _ in ways]
    sampled = [
        (np.empty((len(noise), places), np.float32), np.empty((len(noise), 2, places), np.float32))
        for _ in ways
    ]
    for k, (_, frame) in enumerate(clip.frames()):
        image = np.ascontiguousarray(frame)
        for (_, along), start, (contrast, beside) in zip(ways, starts, sampled, strict=True):
            angle = float(np.arctan2(along[k, 1], along[k, 0]))
            sample_strip(image, start[k, 0], start[k, 1], angle, step, step, strip)
            near = np.ascontiguousarray(strip[:, BESIDE:-BESIDE])
            shaft_profiles(near, CORE, FLANK, profiles)
            profiles[:, ~profiles.any(axis=0)] = np.nan
            line = profiles[0] - 0.5 * (profiles[1] + profiles[2])
            contrast[k] = line.reshape(places, SAMPLES).mean(axis=1) / noise[k]
            shaft_profiles(strip, CORE, HALF_WIDTH, profiles)
            profiles[:, ~profiles.any(axis=0)] = np.nan
            beside[k] = profiles[1:].reshape(2, places, SAMPLES).mean(axis=2)
    return sampled


def depths_on(pool: Pool, entry: Floats, along: Floats) -> tuple[Bools, Floats]:
    """Which of n candidates lie along the line of their frame, and how deep they end.

    Parameters
    ----------
    pool : Pool
        The candidates of the clip.
    entry, along : ndarray, shape (frames, 2)
        Where the line enters the tissue, and its direction, (x, y), working px.

    Returns
    -------
    on_line : ndarray of bool, shape (n,)
    depth : ndarray of float64, shape (n,)
        Along the line, working px.
    """
    away = pool.tip + pool.slide - entry[pool.frame]
    u = along[pool.frame]
    depth = np.einsum("kj,kj->k", away, u)
    aside = np.abs(away[:, 1] * u[:, 0] - away[:, 0] * u[:, 1])
    parallel = np.einsum("kj,kj->k", pool.along, u) > np.cos(np.radians(SAME_TURN_DEG))
    return parallel & (aside < SAME_OFFSET_PX), depth
