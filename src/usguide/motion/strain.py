"""Strain of the muscle along its own axis, from rest: how much its tissue shortens or lengthens.

The Lagrangian (engineering) strain of a line of tissue is its change in length over its length at
rest, (l - L) / L, so that shortening is negative (e.g. D'hooge et al., Eur J Echocardiogr
2000;1:154). Lengths are arcs along the mid-line between the two aponeuroses. At each depth of the
muscle every two points a fixed distance apart give one value; their median is hardly moved by a
gap, which only the pairs across it see.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from usguide.model import Z_95, Bools, Calibration, Floats, Measurement, Status, Strain
from usguide.motion.contraction import Contraction, smoothed
from usguide.motion.cycles import REST
from usguide.motion.history import Motion
from usguide.motion.parting import MIN_TRUST, change_between
from usguide.motion.strip import Belly

BASE = 4
"""Distance of two points, cells: a sixth of the picture, some 8 mm. The accumulated error of
displacement, 0.06 mm, is a percent of that in one pair, and a gap is seen by few of them."""

MIN_PAIRS = 0.3
"""Share of the pairs that must be tracked in a frame."""

MIN_FRAMES = 0.5
"""Share of the frames of the largest contraction in which that must hold."""


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """Strain in every entry of the motion history; NaN where too little was tracked.

    ``error``, shape (n,), is the standard error from the spread over the depths.
    """

    strain: Floats
    error: Floats


def measure_strain(
    motion: Motion,
    contraction: Contraction,
    belly: Belly,
    calibration: Calibration,
    time_s: Floats | None,
) -> tuple[Strain, Floats, Floats]:
    """Measure the strain of the muscle from rest to the peak of its largest contraction.

    Parameters
    ----------
    motion, contraction, belly
        How the tissue moved, when, and where the muscle lies.
    calibration : Calibration
        Only the pixel's shape matters: strain has no unit.
    time_s : ndarray, shape (n,), or None
        Time of every entry.

    Returns
    -------
    strain : Strain
        What is stated; its per-frame arrays are left to the caller.
    course, rate : ndarray, shape (n,)
        Strain and its rate (1/s) in every entry; NaN where unknown.
    """
    unknown = np.full(len(motion.frames), np.nan)
    if not belly.known:
        why = "the muscle's aponeuroses were not found, and its axis is not known."
        return Strain(Status.NOT_MEASURED, why), unknown, unknown
    if not contraction.cycles:
        why = "the muscle was not seen to contract or to move."
        return Strain(Status.NONE_FOUND, why), unknown, unknown
    cycle = max(contraction.cycles, key=lambda each: contraction.activation[each[1]])
    spacing = calibration.spacing_mm or (1.0, 1.0)
    course = strain_since(motion, belly, contraction.rest_before(cycle), spacing)
    known = np.isfinite(course.strain)
    start, peak, end = cycle
    if not known[peak] or known[start : end + 1].mean() < MIN_FRAMES:
        why = "too little of the muscle could be tracked from rest to the peak of the contraction."
        return Strain(Status.NOT_MEASURED, why), unknown, unknown
    still = known & (contraction.activation <= REST)
    noise = _spread(course.strain, still)
    strain = course.strain - (np.median(course.strain[still]) if still.any() else 0.0)
    value = float(np.nanmedian(strain[max(0, peak - 1) : peak + 2]))
    margin = Z_95 * float(np.hypot(course.error[peak], noise))
    stated = Measurement(value, value - margin, value + margin, "1")
    if time_s is None:
        return Strain(Status.MEASURED, "the file has no timing: no rate.", stated), strain, unknown
    calm = smoothed(np.interp(time_s, time_s[known], strain[known]), float(np.diff(time_s).mean()))
    rate = np.where(known, np.gradient(calm, time_s), np.nan)
    fastest = start + int(np.nanargmax(np.abs(rate[start : peak + 1])))
    # The error of a slope is at least that of its rise over the time that it takes.
    over_s = float(course.error[peak] / max(time_s[peak] - time_s[start], 1e-9))
    speed, doubt = float(rate[fastest]), Z_95 * float(np.hypot(_spread(rate, still), over_s))
    peak_rate = Measurement(speed, speed - doubt, speed + doubt, "1/s")
    reason = "between its aponeuroses, from rest to the peak of the largest contraction."
    return Strain(Status.MEASURED, reason, stated, peak_rate), strain, rate


def strain_since(
    motion: Motion, belly: Belly, rest: int, spacing_mm: tuple[float, float]
) -> Course:
    """Strain of the muscle in every entry since one at rest.

    Parameters
    ----------
    motion : Motion
        Displacement history.
    belly : Belly
        Where the muscle lies.
    rest : int
        Entry at rest.
    spacing_mm : (float, float)
        Size of a pixel along x and y, in any unit.
    """
    n, columns = len(motion.frames), len(motion.x_px)
    first = np.arange(columns - BASE)
    second = first + BASE
    strain, error = np.full(n, np.nan), np.full(n, np.nan)
    arc_at_rest = _arc(belly, int(motion.frames[rest]), spacing_mm)
    for entry in range(n):
        along, trust = change_between(motion, belly, rest, entry)
        arc = _arc(belly, int(motion.frames[entry]), spacing_mm)
        now = np.interp(motion.x_px, belly.columns, arc)
        then = np.interp(motion.x_px - along, belly.columns, arc_at_rest)
        tracked = trust >= MIN_TRUST
        both = tracked[:, first] & tracked[:, second]
        length = then[:, second] - then[:, first]
        both &= length > 0
        if both.mean() < MIN_PAIRS:
            continue
        change = (now[second] - now[first]) / np.where(both, length, np.inf) - 1.0
        change[~both] = np.nan
        by_depth = np.nanmedian(change[both.any(axis=1)], axis=1)
        strain[entry] = np.nanmedian(change)
        # Neighbouring depths share blocks of speckle: about every third one counts.
        error[entry] = by_depth.std() / np.sqrt(max(1.0, len(by_depth) / 3.0))
    return Course(strain, error)


def _arc(belly: Belly, frame: int, spacing_mm: tuple[float, float]) -> Floats:
    """Length along the muscle's mid-line from the left edge to every column."""
    superficial, deep = belly.borders(frame)
    rise = np.diff(0.5 * (superficial + deep)) * spacing_mm[1]
    arc: Floats = np.concatenate([[0.0], np.cumsum(np.hypot(spacing_mm[0], rise))])
    return arc


def _spread(values: Floats, among: Bools) -> float:
    """Robust SD of some values."""
    if np.count_nonzero(among) < 2:
        return 0.0
    chosen = values[among]
    return 1.4826 * float(np.median(np.abs(chosen - np.median(chosen))))
