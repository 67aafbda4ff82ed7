"""Where a clip may hold a twitch: places whose speckle moves or is lost for a moment.

From every cell's displacement are taken what is slow (a running median), what the whole picture
does (an affine motion: the probe), and what follows the needle (a regression on its depth: drag).
A twitch is often too quick and too local for blocks of speckle to be followed through it, so that
a moment in which a place no longer matches itself is as much a sign of one as motion that remains.
This only says where to look closer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, label, median_filter

from usguide.model import Bools, Floats, NeedleTrack
from usguide.motion.drag import dragged, needle_drive
from usguide.motion.history import Motion

SLOW_S = 1.3
"""Window of the running median that takes slow motion off: twice the longest twitch."""

LONGEST_S = 1.0
"""A place that stays disturbed for longer is not looked into: twice a twitch's 500 ms."""

LARGEST_SHARE = 0.2
"""Share of the tracked picture beyond which a burst is not local."""

MIN_QUALITY = 0.25
"""Tracking quality under which a cell's motion does not count."""

USUAL_QUALITY = 0.5
"""Quality that a place must usually have for its loss to mean something."""

MIN_DIP = 0.2
"""Loss of quality, of 1, that is looked into: noise of it is 0.02 to 0.05 on synthetic needlings
and a twitch of 2 mm takes 0.3 to 0.6."""

MIN_STRENGTH = 30.0
"""Least sum over cells and entries of what stands out, in multiples of the levels above. Twitches
of synthetic needlings reach 80 to 700; the flicker of speckle 10, places by the needle 45."""

MOST = 12
"""Places looked into in a stretch of a clip, the most disturbed ones."""

MIN_KNOWN = 0.25
"""Share of a clip in which a cell must be seen for its noise to be its own."""


@dataclass(frozen=True, slots=True, eq=False)
class Quick:
    """Quick motion of a stretch of a clip, in mm or in px without a scale.

    Parameters
    ----------
    explained : ndarray, shape (n, rows, columns, 2)
        What the probe and the needle account for.
    remaining : ndarray, shape (n, rows, columns)
        Size of what they do not, smoothed over neighbouring cells.
    noise : ndarray, shape (rows, columns)
        Its robust SD at every place.
    dip : ndarray, shape (n, rows, columns)
        Loss of tracking quality against the place's own usual one.
    shaking : ndarray, shape (n,)
        Median quick motion of the whole picture.
    usable : ndarray of bool, shape (n, rows, columns)
        Places that are looked at: away from the needle, usually well tracked.
    """

    explained: Floats
    remaining: Floats
    noise: Floats
    dip: Floats
    shaking: Floats
    usable: Bools


@dataclass(frozen=True, slots=True)
class Suspect:
    """A place and time to look closer at, as entries and a cell."""

    start: int
    end: int
    row: int
    column: int
    strength: float


def quick_motion(
    motion: Motion, needle: NeedleTrack, near: Bools, step_s: float, scale: Floats
) -> Quick:
    """Take off what is slow, what the probe does and what the needle drags along.

    Parameters
    ----------
    motion : Motion
        A stretch of the displacement history.
    needle : NeedleTrack
        Where the needle was.
    near : ndarray of bool, shape (n, rows, columns)
        Cells it is near to.
    step_s : float
        Time between entries.
    scale : ndarray, shape (2,)
        Size of a pixel.
    """
    n, rows, columns = motion.quality.shape
    window = min(round(SLOW_S / step_s) | 1, (n // 2) * 2 - 1)
    moved = motion.displacement_px * scale.astype(np.float32)
    quick = moved - median_filter(moved, size=(window, 1, 1, 1), mode="nearest")
    flat: Floats = quick.reshape(n, -1, 2).astype(np.float64)
    trusted = (motion.quality >= MIN_QUALITY) & ~near
    weight = trusted.reshape(n, -1).astype(np.float64)
    x, y = np.meshgrid(np.linspace(-1, 1, columns), np.linspace(-1, 1, rows))
    basis = np.stack([np.ones(x.size), x.ravel(), y.ravel()], axis=1)
    explained = _affine(flat, weight, basis)
    shaking = np.median(np.linalg.norm(explained, axis=-1), axis=1)
    drive = needle_drive(motion, needle, window)
    if drive is not None:
        explained = explained + dragged(flat - explained, weight, drive)
    shape = (n, rows, columns, 2)
    remaining, noise = _strength((flat - explained).reshape(shape), trusted)
    disturbed = motion.lost.copy()
    disturbed[1:] |= motion.lost[:-1]
    remaining[disturbed] = 0.0
    usual = median_filter(motion.quality, size=(window, 1, 1), mode="nearest")
    usable = ~near & (usual >= USUAL_QUALITY)
    dip = (usual - motion.quality).astype(np.float64)
    # What the whole picture loses at once is the probe's doing, or a new anchor's.
    seen = usable.any(axis=(1, 2))
    common = np.zeros(n)
    common[seen] = np.nanmedian(np.where(usable, dip, np.nan)[seen].reshape(seen.sum(), -1), axis=1)
    dip -= common[:, None, None]
    dip[disturbed] = 0.0
    return Quick(explained.reshape(shape), remaining, noise, dip, shaking, usable)


def suspects(quick: Quick, least: float, times: Floats) -> list[Suspect]:
    """Places and times at which something brief and local happens, the strongest first.

    Parameters
    ----------
    quick : Quick
        Quick motion of a stretch.
    least : float
        Least remaining motion looked into, in its unit.
    times : ndarray, shape (n,)
        Seconds.
    """
    level = np.maximum(least, 4.0 * quick.noise)
    flicker = 1.4826 * np.median(np.abs(quick.dip), axis=0)
    dark = np.maximum(MIN_DIP, 4.0 * flicker)
    strength = np.maximum(quick.remaining / level, quick.dip / dark) * quick.usable
    labels, count = label(strength > 1.0)
    found = []
    for index in range(1, count + 1):
        where = np.nonzero(labels == index)
        start, end = int(where[0].min()), int(where[0].max())
        if times[end] - times[start] > LONGEST_S:
            continue
        best = int(np.argmax(strength[where]))
        peak, row, column = (int(axis[best]) for axis in where)
        usable = np.count_nonzero(quick.usable[peak])
        if np.count_nonzero(strength[peak] > 1.0) > LARGEST_SHARE * usable:
            continue
        total = float(strength[where].sum())
        if total >= MIN_STRENGTH:
            found.append(Suspect(start, end, row, column, total))
    found.sort(key=lambda each: -each.strength)
    return found[:MOST]


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
