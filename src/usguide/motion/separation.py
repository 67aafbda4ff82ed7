"""Separation: whether two muscle ends part when the muscle contracts.

Three witnesses must agree before a separation is flagged: the tissue on both sides of a place
moves apart by more than smooth stretching (speckle tracking), a dark gap lies there at the peak
with an edge on either side, and that gap widens from rest to peak beyond its interval. Healthy
muscle slides, thickens and darkens, and its dark lanes between bright fascicles open and close,
but the tissue on both sides of a lane moves together.
"""

from __future__ import annotations

from itertools import islice

import numpy as np

from usguide.model import Frames, Separation, SeparationFlag
from usguide.motion.contraction import Contraction
from usguide.motion.defect import standing_gaps
from usguide.motion.history import Motion
from usguide.motion.judgement import judge, standing
from usguide.motion.opening import Finding
from usguide.motion.parting import MIN_TRUST, apart, change_between, find_partings
from usguide.motion.strip import Belly
from usguide.motion.suspects import PLACES, Suspect, faint, smallest_jump, suspect_at
from usguide.motion.width import settled_at, widths_of

CYCLES = 3
"""The largest contractions of a clip that are examined."""

MIN_COVERAGE = 0.35
"""Share of the muscle that must be tracked from rest to peak for 'none' to mean anything."""

WELL_TRACKED = 0.8
"""Share from which on it is not worth saying how much was tracked."""


def without_parting(coverage: float) -> str:
    """Say that nothing parts, and in how much of the muscle that was looked for."""
    where = (
        ""
        if coverage >= WELL_TRACKED
        else f", in the {100 * coverage:.0f} % of it that could be tracked from rest to peak"
    )
    return (
        f"the muscle moves without parting{where}: no dark gap lies between ends that move apart."
    )


def examine(clip: Frames, motion: Motion, contraction: Contraction, belly: Belly) -> Finding:
    """Decide whether two muscle ends part in this clip, and if not, whether a gap stands in it.

    Parameters
    ----------
    clip : Frames
        The recording; read again only where something is suspected.
    motion : Motion
        Displacement history of the clip.
    contraction : Contraction
        Its dominant movement.
    belly : Belly
        Where the muscle lies.
    """
    found = _parting(clip, motion, contraction, belly)
    if found.separation.flag is SeparationFlag.NONE and not found.separation.defect_at_rest:
        return _standing(clip, motion, contraction, belly) or found
    return found


def _standing(
    clip: Frames, motion: Motion, contraction: Contraction, belly: Belly
) -> Finding | None:
    """Look for a gap that is as wide at rest as at the peak of the largest contraction."""
    cycle = max(contraction.cycles, key=lambda each: contraction.activation[each[1]])
    rest, peak = contraction.rest_before(cycle), cycle[1]
    cell = float(motion.x_px[1] - motion.x_px[0])
    calibration = clip.header.calibration
    frame = int(motion.frames[peak])
    gaps = standing_gaps(clip[frame], frame, peak, belly, cell, calibration)[:PLACES]
    if not gaps:
        return None
    resting = clip[int(motion.frames[rest])]
    gaps = [(settled_at(rest, resting, gap, ends, motion, belly, cell), ends) for gap, ends in gaps]
    for (gap, _), widths in zip(gaps, widths_of(clip, motion, belly, gaps, cell), strict=True):
        found = standing(gap, widths, rest, motion, contraction, belly, calibration)
        if found is not None:
            return found
    return None


def _parting(clip: Frames, motion: Motion, contraction: Contraction, belly: Belly) -> Finding:
    """Decide whether two ends part."""
    n = len(motion.frames)
    unknown = np.full(n, np.nan)

    def verdict(flag: SeparationFlag, reason: str) -> Finding:
        return Finding(Separation(flag, reason), unknown, unknown)

    if not contraction.cycles:
        return verdict(
            SeparationFlag.INDETERMINATE,
            "the muscle was not seen to contract, and a tear shows itself on contraction.",
        )
    cell = float(motion.x_px[1] - motion.x_px[0])
    calibration = clip.header.calibration
    smallest = smallest_jump(calibration, clip.header.region.width)
    coverage = 0.0
    suspects: list[Suspect] = []
    ranked = sorted(contraction.cycles, key=lambda c: contraction.activation[c[1]], reverse=True)[
        :CYCLES
    ]
    for cycle in ranked:
        rest, peak = contraction.rest_before(cycle), cycle[1]
        along, trust = change_between(motion, belly, rest, peak)
        coverage = max(coverage, float((trust >= MIN_TRUST).mean()))
        partings = [p for p in find_partings(along, trust) if p.jump_px >= smallest]
        partings = apart(partings)
        if partings:
            frame = int(motion.frames[peak])
            picture, resting = clip[frame], clip[int(motion.frames[rest])]
            places = (
                suspect_at(picture, resting, motion, belly, parting, rest, peak, cell)
                for parting in partings
            )
            suspects += islice((place for place in places if place is not None), PLACES)
    if not suspects:
        if coverage < MIN_COVERAGE:
            return verdict(
                SeparationFlag.INDETERMINATE,
                f"only {100 * coverage:.0f} % of the muscle could be tracked from rest to peak and "
                f"{100 * MIN_COVERAGE:.0f} % are needed.",
            )
        return verdict(SeparationFlag.NONE, without_parting(coverage))
    findings = []
    widths = widths_of(clip, motion, belly, [(s.gap, s.ends) for s in suspects], cell)
    for suspect, width in zip(suspects, widths, strict=True):
        finding = judge(suspect, width, motion, contraction, belly, calibration)
        # Of what is hardly dark, only that it parts is worth saying.
        if not faint(suspect.gap) or finding.separation.flag is SeparationFlag.SEPARATION:
            findings.append((finding, suspect.gap.pooled))
    if not findings:
        return verdict(SeparationFlag.NONE, without_parting(coverage))
    order = {SeparationFlag.SEPARATION: 0, SeparationFlag.INDETERMINATE: 1, SeparationFlag.NONE: 2}
    # Blood that hides a gap in one look hides it. Of equals the first: seen in the largest
    # contraction, where most parts.
    finding, _ = min(findings, key=lambda each: (order[each[0].separation.flag], not each[1]))
    return finding
