"""Contraction: from a field of displacements to the course of the movement that dominates it.

The dominant displacement is the first principal component of the field over the clip, in space
and time together, so that it also follows a torn muscle whose ends move in opposite directions.
What the tissue between the probe and the muscle does is the probe's own slip on the skin, and is
taken off first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.ndimage import gaussian_filter1d, median_filter

from usguide.model import Bools, Calibration, Cycle, Floats, Timing
from usguide.motion.cycles import REST, find_cycles
from usguide.motion.history import Motion

MIN_EXCURSION_MM = 1.0
"""Smallest movement called a contraction: twice the accumulated tracking error aimed at."""

MIN_EXCURSION_SHARE = 0.015
"""The same without a scale, as a share of the region's width: 1 mm of some 65."""

MIN_SIGNAL_TO_NOISE = 6.0
"""Excursion over frame-to-frame jitter under which a movement is not told from noise."""

STARTS_MOVING = 0.3
"""Share of a clip's steepest change over which its start or its end is no standstill."""

SMOOTHING_S = 0.04
"""SD of the smoothing of the displacement curve: below the 100 ms in which muscle force rises."""

AT_ONCE = 1024
"""Entries whose displacements are held in double precision at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class Contraction:
    """The dominant movement of a clip.

    Parameters
    ----------
    activation : ndarray, shape (n,)
        0 at rest to 1 at the largest excursion, per entry of the motion history.
    signed_px, signed_mm : ndarray, shape (n,)
        Displacement of the moving tissue from rest; positive towards +x. mm None if unknown.
    slip_px : ndarray, shape (n, 2)
        Movement of the probe over the skin.
    cycles : tuple of (start, peak, end)
        Entries of the history.
    excursion_px : float
        Largest excursion of the clip.
    significant : bool
        Whether that is a movement at all.
    rest_known : bool
        Whether the clip tells which end of the movement is rest.
    """

    activation: Floats
    signed_px: Floats
    signed_mm: Floats | None
    slip_px: Floats
    cycles: tuple[tuple[int, int, int], ...]
    excursion_px: float
    significant: bool
    rest_known: bool

    def rest_before(self, cycle: tuple[int, int, int]) -> int:
        """Entry that stands for rest in a cycle: its start, or its end where that is calmer."""
        start, _, end = cycle
        return start if self.activation[start] <= self.activation[end] else end


def probe_slip(motion: Motion, above_muscle: Bools) -> Floats:
    """Displacement of the tissue over the muscle, shape (n, 2): what the probe slips by.

    Parameters
    ----------
    motion : Motion
        Displacement history.
    above_muscle : ndarray of bool, shape (rows, columns)
        Cells between the probe and the muscle; where they are few, the skin speaks for them.
    """
    n = len(motion.frames)
    medians = motion.skin_px.copy()
    if np.count_nonzero(above_muscle) >= motion.displacement_px.shape[2] // 2:
        values = motion.displacement_px[:, above_muscle]
        good = motion.quality[:, above_muscle] > 0.3
        enough = good.sum(axis=1) >= max(3, 0.3 * good.shape[1])
        masked = np.where(good[..., None], values, np.nan)
        medians[enough] = np.nanmedian(masked[enough], axis=1)
    known = np.flatnonzero(np.isfinite(medians).all(axis=1))
    if len(known) < 0.5 * n:
        return np.zeros((n, 2))
    return np.stack(
        [np.interp(np.arange(n), known, medians[known, axis]) for axis in range(2)], axis=1
    )


def dominant_mode(displacement: NDArray[np.floating], weights: Floats) -> tuple[Floats, Floats]:
    """First principal component of displacement: a curve over time and a pattern in space.

    Parameters
    ----------
    displacement : ndarray, shape (n, cells, 2)
        Displacement from the first frame.
    weights : ndarray, shape (cells,)
        Trust in each cell over the clip.

    Returns
    -------
    curve : ndarray, shape (n,)
        Displacement of the tissue that moves most (90th percentile of the pattern).
    pattern : ndarray, shape (cells, 2)
        Movement of each cell per unit of the curve.
    """
    n = len(displacement)
    flat = displacement.reshape(n, -1)
    trust = np.repeat(np.sqrt(weights), 2)
    rest = np.median(flat, axis=0)
    gram = np.zeros((flat.shape[1], flat.shape[1]))
    for start in range(0, n, AT_ONCE):
        part = (flat[start : start + AT_ONCE] - rest) * trust
        gram += part.T @ part
    _, vectors = eigh(gram, subset_by_index=(len(gram) - 1, len(gram) - 1))
    lead = vectors[:, -1]
    pattern = np.where(trust > 0, lead / np.maximum(trust, 1e-9), 0.0).reshape(-1, 2)
    curve = flat @ (trust * lead) - rest @ (trust * lead)
    moving = np.linalg.norm(pattern[weights > 0], axis=1)
    size = float(np.percentile(moving, 90)) if len(moving) else 0.0
    if size <= 0.0:
        return np.zeros(n), np.zeros_like(pattern)
    if (pattern[:, 0] * weights).sum() < 0:
        pattern, curve = -pattern, -curve
    return curve * size, pattern / size


def smoothed(curve: Floats, step_s: float | None) -> Floats:
    """Take single-frame outliers and jitter off a curve."""
    if len(curve) < 5:
        return curve
    sigma = 1.0 if step_s is None else float(np.clip(SMOOTHING_S / step_s, 0.5, 5.0))
    calm: Floats = gaussian_filter1d(median_filter(curve, 3, mode="nearest"), sigma, mode="nearest")
    return calm


def rest_is_high(curve: Floats) -> tuple[bool, bool]:
    """Whether rest lies at the upper end of the curve, and whether the clip tells.

    Recordings start at rest and mostly end there. The start decides if it stands still near one
    end of the range; if the clip starts in mid-movement, its end decides; if that does not either,
    the level at which the muscle dwells. A clip that stands still at one end of the movement first
    and at the other last may as well have started contracted.
    """
    low, high = np.percentile(curve, [1, 99])
    span = max(high - low, 1e-12)
    window = max(1, min(5, len(curve) // 10))
    pace = np.abs(np.diff(curve))
    fast = STARTS_MOVING * float(pace.max(initial=0.0))
    said: list[bool] = []
    for part, change in ((curve[:window], pace[:window]), (curve[-window:], pace[-window:])):
        share = (np.median(part) - low) / span
        if len(change) and np.median(change) > fast:
            continue
        if not 0.25 <= share <= 0.75:
            said.append(bool(share > 0.75))
    if not said:
        return bool(np.median(curve) > 0.5 * (low + high)), True
    return said[0], said[0] == said[-1]


def analyse(
    motion: Motion,
    above_muscle: Bools,
    in_muscle: Bools,
    calibration: Calibration,
    width_px: int,
    step_s: float | None,
    *,
    turned: bool = False,
) -> Contraction:
    """Find the dominant movement of a clip and its cycles.

    Parameters
    ----------
    motion : Motion
        Displacement history.
    above_muscle, in_muscle : ndarray of bool, shape (rows, columns)
        Cells between probe and muscle, and in the muscle.
    calibration : Calibration
        Size of a pixel.
    width_px : int
        Width of the region.
    step_s : float or None
        Time between distinct frames.
    turned : bool
        Take for rest what does not look like it.
    """
    n = len(motion.frames)
    slip = probe_slip(motion, above_muscle)
    relative = motion.displacement_px[:, in_muscle]
    relative -= slip[:, None, :].astype(np.float32)
    weights = motion.quality[:, in_muscle].mean(axis=0).astype(np.float64)
    weights[weights < 0.15] = 0.0
    raw, pattern = dominant_mode(relative, weights)
    curve = smoothed(raw, step_s)
    low, high = np.percentile(curve, [1, 99])
    rest_high, rest_known = rest_is_high(curve)
    activation = high - curve if rest_high != turned else curve - low
    excursion = float(activation.max()) if n else 0.0
    jitter = float(np.median(np.abs(np.diff(raw, 2)))) / 0.6745 / np.sqrt(6.0) if n > 4 else 0.0
    scale_mm = None
    if calibration.spacing_mm is not None and excursion > 0:
        lengths = calibration.length_mm(pattern)[weights > 0]
        scale_mm = float(np.percentile(lengths, 90)) if len(lengths) else 0.0
        least = MIN_EXCURSION_MM / max(scale_mm, 1e-9)
    else:
        least = MIN_EXCURSION_SHARE * width_px
    activation = np.clip(activation / excursion, 0.0, 1.0) if excursion > 0 else np.zeros(n)
    rest_level = float(np.median(curve[activation <= REST])) if excursion > 0 else 0.0
    signed = curve - rest_level
    cycles = tuple(
        (start, peak, end)
        for start, peak, end in find_cycles(activation)
        if activation[peak] - min(activation[start], activation[end]) >= least / excursion
    )
    significant = n >= 5 and len(cycles) > 0 and excursion >= MIN_SIGNAL_TO_NOISE * jitter
    return Contraction(
        activation=activation if significant else np.zeros(n),
        signed_px=signed,
        signed_mm=None if scale_mm is None else signed * scale_mm,
        slip_px=slip,
        cycles=cycles if significant else (),
        excursion_px=excursion,
        significant=significant,
        rest_known=rest_known,
    )


def without_cycles(contraction: Contraction) -> Contraction:
    """Return the same movement, not taken for a contraction."""
    still = np.zeros_like(contraction.activation)
    return replace(contraction, activation=still, cycles=(), significant=False, rest_known=True)


def described(contraction: Contraction, motion: Motion, timing: Timing) -> tuple[Cycle, ...]:
    """Cycles in source frames, seconds and millimetres."""
    cycles = []
    for start, peak, end in contraction.cycles:
        first, top, last = (int(motion.frames[k]) for k in (start, peak, end))
        start_s, peak_s, end_s = (
            None if timing.time_s is None else float(timing.time_s[f]) for f in (first, top, last)
        )
        rest = min(start, end, key=lambda k: contraction.activation[k])
        moved_px = abs(float(contraction.signed_px[peak] - contraction.signed_px[rest]))
        moved_mm = None
        if contraction.signed_mm is not None:
            moved_mm = abs(float(contraction.signed_mm[peak] - contraction.signed_mm[rest]))
        cycles.append(Cycle(first, top, last, start_s, peak_s, end_s, moved_mm, moved_px))
    return tuple(cycles)
