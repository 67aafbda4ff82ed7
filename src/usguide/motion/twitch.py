"""Local twitch responses: brief, local bursts of motion that nothing else explains.

From every cell's displacement are taken what is slow (a running median), what the whole picture
does (an affine motion: the probe), and what follows the needle (a regression on its depth: drag).
What remains must rise and fall back within the time a twitch lasts, in one small place.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, label, maximum_filter, median_filter

from usguide.model import Bools, Floats, Header, NeedleTrack, Status, Twitch
from usguide.motion.contraction import Contraction
from usguide.motion.history import Motion

SHORTEST_S, LONGEST_S = 0.1, 0.65
"""Duration of a twitch, 150 to 500 ms as reported, and a frame of 30 per second at either end
and for the slower return of the tissue."""

SLOW_S = 1.3
"""Window of the running median that takes slow motion off: twice the longest twitch."""

LARGEST_STEP_S = 0.09
"""Time between frames above which a burst of 150 ms may fall between two of them."""

MIN_PEAK_MM = 0.35
"""Least peak of what remains. A twitch of 1 mm over 3 by 1.5 mm is seen as about half of that
through blocks of 2 by 2 mm."""

MIN_PEAK_SHARE = 0.009
"""The same without a scale, as a share of the region's width."""

MIN_SIGNAL_TO_NOISE = 25.0
"""Least peak, in robust SDs of the residual motion of the place itself. Tuned on 30 synthetic
needlings of 3 s: their twitches stand 35 SDs and more out; what drag leaves, and noise in the
shadow of bone, 12 where the needle is followed by the picture and 24 where it is known."""

LARGEST_SHARE = 0.2
"""Share of the tracked picture beyond which a burst is not local."""

NEEDLE_MARGIN_MM = 3.0
"""Distance from the shaft within which tissue is masked: half a block, the shaft, and
the tissue that sticks to it most."""

NEEDLE_MARGIN_SHARE = 0.075
"""The same without a scale, as a share of the region's width."""

STICTION = (0.05, 0.2)
"""How far tissue sticks to the needle before it slips, as shares of the needle's stroke: 0.5 and
2 mm of a 10 mm pass. With the depth itself they span what drag looks like."""

SETTLING_S = 0.5
"""How long before and after the needle passes a place is masked: tissue gives way ahead of a tip
and settles behind it for about as long as a twitch lasts, which no regression tells apart."""

SAME_S, SAME_SHARE = 0.2, 0.15
"""Bursts closer than this in time, and in space as a share of the width, are one twitch."""

MIN_OVER_SHAKING = 1.0
"""Least peak, as a multiple of the quick motion of the whole picture at the time: a shaking probe
moves layers of tissue differently."""

MIN_QUALITY = 0.25
"""Tracking quality under which a cell does not count."""


AT_ONCE = 1000
"""Entries looked at together, half a minute of a cine: what is needed for it grows with them."""

MIN_KNOWN = 0.25
"""Share of a clip in which a cell must be seen for its noise to be its own."""


@dataclass(frozen=True, slots=True, eq=False)
class _Burst:
    """One connected burst in time and space, entries and cells."""

    peak: int
    start: int
    end: int
    cell: tuple[int, int]
    size: float
    snr: float


def find_twitches(
    motion: Motion, contraction: Contraction, needle: NeedleTrack, header: Header
) -> tuple[Twitch, ...]:
    """Find the twitches of a clip.

    Parameters
    ----------
    motion : Motion
        Displacement history.
    contraction : Contraction
        The clip's dominant movement: within it no twitch can be told from the contraction.
    needle : NeedleTrack
        Where the needle was. What a needle that is not followed drags along cannot be told from
        a twitch.
    header : Header
        Timing, scale and place of the region.

    Returns
    -------
    tuple of Twitch
        In order of time; none where the clip has no timing or too few frames a second, or where
        no needle is followed.
    """
    time_s = header.timing.time_s
    n = len(motion.frames)
    if needle.status is not Status.MEASURED or time_s is None or n < 8:
        return ()
    times = time_s[motion.frames]
    step_s = float(np.median(np.diff(times)))
    if not 0 < step_s <= LARGEST_STEP_S:
        return ()
    spacing = header.calibration.spacing_mm
    scale = np.array(spacing if spacing is not None else (1.0, 1.0), dtype=np.float64)
    width = header.region.width
    least = MIN_PEAK_MM if spacing is not None else MIN_PEAK_SHARE * width
    margin = NEEDLE_MARGIN_MM if spacing is not None else NEEDLE_MARGIN_SHARE * width

    settling = max(1, round(SETTLING_S / step_s))
    busy = [
        (times[start] - LONGEST_S, times[end] + LONGEST_S) for start, _, end in contraction.cycles
    ]
    settling = max(1, round(SETTLING_S / step_s))
    found = []
    for stretch in _stretches(n, round(2 * SLOW_S / step_s)):
        part, part_times = motion.part(stretch), times[stretch]
        near = _lasting(_near_needle(part, needle, header, scale, margin), settling)
        trusted = (part.quality >= MIN_QUALITY) & ~near
        residual, shaking = _residual(part, needle, trusted, step_s, scale)
        size, noise = _strength(residual, trusted)
        disturbed = part.lost.copy()
        disturbed[1:] |= part.lost[:-1]
        size[disturbed] = 0.0
        for burst in _bursts(size, noise, trusted, least, part_times):
            start_s, end_s = part_times[burst.start], part_times[burst.end]
            if any(begun <= end_s and start_s <= over for begun, over in busy):
                continue  # the muscle moves, or is still settling
            if burst.size < MIN_OVER_SHAKING * shaking[burst.start : burst.end + 1].max():
                continue
            found.append(_described(burst, residual, part, header, part_times, spacing is not None))
    return _merged(found, SAME_SHARE * width)


def _stretches(entries: int, overlap: int) -> list[slice]:
    """Part a clip into stretches of about ``AT_ONCE`` entries that overlap by so many."""
    count = max(1, math.ceil(entries / AT_ONCE))
    ends = np.linspace(0, entries, count + 1).astype(np.int64)
    return [
        slice(max(0, int(first) - overlap), int(last)) for first, last in itertools.pairwise(ends)
    ]


def _merged(found: list[Twitch], near_px: float) -> tuple[Twitch, ...]:
    """Keep the stronger of twitches that follow one another at once in one place."""
    kept: list[Twitch] = []
    for twitch in sorted(found, key=lambda t: t.confidence, reverse=True):
        if not any(
            twitch.start_s <= other.end_s + SAME_S
            and other.start_s <= twitch.end_s + SAME_S
            and np.hypot(*np.subtract(twitch.centre_px, other.centre_px)) <= near_px
            for other in kept
        ):
            kept.append(twitch)
    return tuple(sorted(kept, key=lambda twitch: twitch.start_s))


def _near_needle(
    motion: Motion, needle: NeedleTrack, header: Header, scale: Floats, margin: float
) -> Bools:
    """Cells within ``margin`` of the shaft in each entry, (n, rows, columns)."""
    shape = motion.quality.shape
    if needle.tip_px is None:
        return np.zeros(shape, dtype=np.bool_)
    origin = header.region.origin_px
    cells = np.stack(np.meshgrid(motion.x_px, motion.y_px), axis=-1) * scale
    tips = (needle.tip_px[motion.frames] - origin) * scale
    tails = tips.copy()
    if needle.tail_px is not None:
        known = (needle.tail_px[motion.frames] - origin) * scale
        tails = np.where(np.isfinite(known), known, tips)
    near = np.zeros(shape, dtype=np.bool_)
    last: Bools | None = None
    for k in range(shape[0]):
        if np.isfinite(tips[k]).all():
            along = tails[k] - tips[k]
            length = max(float(along @ along), 1e-9)
            share = np.clip(((cells - tips[k]) @ along) / length, 0.0, 1.0)
            away = np.linalg.norm(cells - tips[k] - share[..., None] * along, axis=-1)
            last = np.asarray(away <= margin)
        if last is not None:
            # A needle that is not seen for a while is still about where it was.
            near[k] = last
    return near


def _lasting(near: Bools, entries: int) -> Bools:
    """Also mask the places the needle will reach, or has left, within so many entries."""
    shape = (2 * entries + 1, 1, 1)
    return np.asarray(maximum_filter(near, size=shape, mode="nearest"), dtype=np.bool_)


def _residual(
    motion: Motion, needle: NeedleTrack, trusted: Bools, step_s: float, scale: Floats
) -> tuple[Floats, Floats]:
    """Take off what is slow, what the probe does and what the needle drags along.

    Returns what remains, and how large the probe's part was in each entry, shape (n,).
    """
    n, rows, columns = motion.quality.shape
    window = min(round(SLOW_S / step_s) | 1, (n // 2) * 2 - 1)
    moved = motion.displacement_px * scale.astype(np.float32)
    quick = moved - median_filter(moved, size=(window, 1, 1, 1), mode="nearest")
    flat: Floats = quick.reshape(n, -1, 2).astype(np.float64)
    weight = trusted.reshape(n, -1).astype(np.float64)
    x, y = np.meshgrid(np.linspace(-1, 1, columns), np.linspace(-1, 1, rows))
    basis = np.stack([np.ones(x.size), x.ravel(), y.ravel()], axis=1)
    probe = _affine(flat, weight, basis)
    shaking = np.median(np.linalg.norm(probe, axis=-1), axis=1)
    flat = flat - probe
    drive = _needle_drive(motion, needle, window)
    if drive is not None:
        flat = flat - _dragged(flat, weight, drive)
    return flat.reshape(n, rows, columns, 2), shaking


def _affine(values: Floats, weight: Floats, basis: Floats) -> Floats:
    """Robust affine field of every entry, by reweighting thrice; shape of ``values``."""
    robust = weight.copy()
    fitted = np.zeros_like(values)
    ridge = 1e-6 * np.eye(basis.shape[1])
    for _ in range(3):
        normal = np.einsum("nc,ci,cj->nij", robust, basis, basis) + ridge
        right = np.einsum("nc,ci,ncd->nid", robust, basis, values)
        fitted = np.einsum("ci,nid->ncd", basis, np.linalg.solve(normal, right))
        away = np.linalg.norm(values - fitted, axis=-1)
        typical = np.median(away, axis=1, keepdims=True) + 1e-3
        robust = weight / (1.0 + (away / (2.0 * typical)) ** 2)
    return fitted


def _needle_drive(motion: Motion, needle: NeedleTrack, window: int) -> Floats | None:
    """Return what the needle did, quick part only, now and a frame ago; shape (n, drives)."""
    depth = needle.insertion_depth_px
    if depth is None:
        return None
    depth = depth[motion.frames]
    known = np.flatnonzero(np.isfinite(depth))
    if len(known) < 5:
        return None
    full = np.interp(np.arange(len(depth)), known, depth[known])
    stroke = float(np.ptp(full))
    if stroke <= 0:
        return None
    courses = [full, *(_stuck(full, share * stroke) for share in STICTION)]
    drives = []
    for course in courses:
        quick = course - median_filter(course, size=window, mode="nearest")
        drives += [quick, np.concatenate([quick[:1], quick[:-1]])]
    return np.stack(drives, axis=1)


def _stuck(course: Floats, limit: float) -> Floats:
    """Follow a course as tissue does that sticks to the needle until it slips.

    The stop operator of dry friction: moves along by up to ``limit``, then lets go.
    """
    moved = np.zeros(len(course))
    for k in range(1, len(course)):
        moved[k] = np.clip(moved[k - 1] + course[k] - course[k - 1], -limit, limit)
    return moved


def _dragged(values: Floats, weight: Floats, drive: Floats) -> Floats:
    """Part of every cell's motion that follows the needle's: robust regression over time."""
    robust = weight.copy()
    fitted = np.zeros_like(values)
    drive = drive / np.maximum(drive.std(axis=0), 1e-9)
    ridge = 1e-2 * len(drive) * np.eye(drive.shape[1])
    for _ in range(3):
        normal = np.einsum("nc,ni,nj->cij", robust, drive, drive) + ridge
        right = np.einsum("nc,ni,ncd->cid", robust, drive, values)
        fitted = np.einsum("ni,cid->ncd", drive, np.linalg.solve(normal, right))
        away = np.linalg.norm(values - fitted, axis=-1)
        typical = np.median(away, axis=0, keepdims=True) + 1e-3
        robust = weight / (1.0 + (away / (2.0 * typical)) ** 2)
    return fitted


def _strength(residual: Floats, trusted: Bools) -> tuple[Floats, Floats]:
    """Size of the residual motion, smoothed over neighbouring cells, and its noise per cell."""
    weight = trusted.astype(np.float64)
    blur = (0.0, 0.6, 0.8)
    total = gaussian_filter(weight, blur)
    smooth = (
        np.stack(
            [gaussian_filter(residual[..., axis] * weight, blur) for axis in range(2)], axis=-1
        )
        / np.maximum(total, 1e-9)[..., None]
    )
    size = np.linalg.norm(smooth, axis=-1)
    known = total >= 0.3
    size[~known] = 0.0
    # The median of a 2-D Gaussian's radius is 1.18 SDs. Masked entries are no sign of calm, and
    # a cell that is mostly masked says too little about its own noise: the others speak for it.
    often = known.mean(axis=0) >= MIN_KNOWN
    noise = np.full(often.shape, np.inf)
    if often.any():
        seen = np.where(known[:, often], size[:, often], np.nan)
        noise[often] = np.nanmedian(seen, axis=0) / 1.18
        noise[~often] = np.median(noise[often])
    return size, np.maximum(noise, 1e-3)


def _bursts(
    size: Floats, noise: Floats, trusted: Bools, least: float, times: Floats
) -> list[_Burst]:
    """Find connected bursts that are strong, brief and local."""
    n = len(size)
    level = np.maximum(0.5 * least, 3.0 * noise)
    labels, count = label(size > level)
    found: list[_Burst] = []
    for index in range(1, count + 1):
        where = np.nonzero(labels == index)
        best = int(np.argmax(size[where]))
        peak, row, column = (int(axis[best]) for axis in where)
        top = float(size[peak, row, column])
        snr = top / float(noise[row, column])
        if top < least or snr < MIN_SIGNAL_TO_NOISE:
            continue
        course = size[:, row, column]
        start, end = _extent(course, peak, 0.3 * top)
        if start <= 0 or end >= n - 1:
            continue
        if not SHORTEST_S <= times[end] - times[start] <= LONGEST_S:
            continue
        tracked = trusted[peak]
        moving = (size[peak] > 0.4 * top) & tracked
        if np.count_nonzero(moving) > LARGEST_SHARE * np.count_nonzero(tracked):
            continue
        found.append(_Burst(peak, start, end, (row, column), top, snr))
    return found


def _extent(course: Floats, peak: int, level: float) -> tuple[int, int]:
    """First and last entry around a peak before the course falls to a level."""
    start = end = peak
    while start > 0 and course[start] > level:
        start -= 1
    while end < len(course) - 1 and course[end] > level:
        end += 1
    return start, end


def _described(
    burst: _Burst,
    residual: Floats,
    motion: Motion,
    header: Header,
    times: Floats,
    scaled: bool,
) -> Twitch:
    """Put a burst in seconds, millimetres and source pixels."""
    row, column = burst.cell
    window = slice(burst.start, burst.end + 1)
    course: NDArray[np.float64] = residual[window, row, column]
    speed = np.linalg.norm(np.diff(course, axis=0), axis=1) / np.diff(times[window])
    near_rows = slice(max(0, row - 1), row + 2)
    near_columns = slice(max(0, column - 2), column + 3)
    patch = np.linalg.norm(residual[burst.peak, near_rows, near_columns], axis=-1) ** 2
    y, x = np.meshgrid(motion.y_px[near_rows], motion.x_px[near_columns], indexing="ij")
    total = max(float(patch.sum()), 1e-12)
    centre = (
        float((x * patch).sum()) / total + header.region.x,
        float((y * patch).sum()) / total + header.region.y,
    )
    return Twitch(
        start_s=float(times[burst.start]),
        end_s=float(times[burst.end]),
        peak_mm=burst.size if scaled else None,
        peak_velocity_mm_s=float(speed.max()) if scaled else None,
        centre_px=centre,
        confidence=float(1.0 - np.exp(-burst.snr / (2.0 * MIN_SIGNAL_TO_NOISE))),
    )
