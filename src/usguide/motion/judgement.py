"""The verdict on one suspected gap: what the witnesses must show, and what is then stated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from usguide.model import Z_95, Calibration, Floats, Measurement, SeparationFlag
from usguide.motion.contraction import Contraction
from usguide.motion.gap import Gap
from usguide.motion.history import Motion
from usguide.motion.opening import HIDDEN, Finding, Opening, measure_opening
from usguide.motion.strip import Belly
from usguide.motion.suspects import CLEAR_CONTRAST, Suspect, faint, smallest_jump
from usguide.motion.width import Widths

FAINT_CORRELATION, FAINT_SIGNIFICANCE = 0.945, 4.0
"""What a gap that is not clearly dark needs of correlation and of parting, in standard errors:
small synthetic tears reach 0.95 and 4.7, changing lanes of real healthy muscle 0.893 and 2.6, or
the one and not the other."""

MIN_CORRELATION = 0.78
"""Least correlation with contraction of the width of a gap that is clearly dark: synthetic tears,
also those whose ends part late or whose cycles are miscounted, reach 0.81 and more, of some 250
clips without one a shadow 0.74; what changes of itself, as a vessel does, has none."""

UNMEASURED = (
    "ends seem to part, but the gap between them cannot be measured both at rest and at the peak "
    "of the contraction."
)


def judge(
    suspect: Suspect,
    widths: Widths,
    motion: Motion,
    contraction: Contraction,
    belly: Belly,
    calibration: Calibration,
) -> Finding:
    """Weigh one suspected gap."""
    gap = suspect.gap
    opening = measure_opening(gap, widths, suspect.rest, motion, contraction, belly, calibration)
    clear = gap.contrast >= CLEAR_CONTRAST
    in_doubt = SeparationFlag.INDETERMINATE if clear else SeparationFlag.NONE
    if isinstance(opening, Finding):
        return _with(opening, in_doubt, UNMEASURED)
    finding, widening = opening.finding, opening.widening_px
    if not _widens(opening, calibration, belly):
        if gap.pooled:
            reason = f"ends seem to part, but {HIDDEN}."
            return _with(finding, SeparationFlag.INDETERMINATE, reason)
        # That a widening is not certain does not say that there is none.
        if clear and widening >= 0.5 * smallest_jump(calibration, len(belly.columns)):
            reason = (
                f"ends seem to part, but that the gap between them {opening.opens} is not certain."
            )
            return _with(finding, SeparationFlag.INDETERMINATE, reason)
        return _with(finding, SeparationFlag.NONE, f"{opening.stays}.")
    jump, jump_error = suspect.parting.jump_px, suspect.parting.error_px
    if faint(gap) and jump < FAINT_SIGNIFICANCE * jump_error:
        reason = "a dark area changes, but the tissue on both sides of it moves together."
        return _with(finding, SeparationFlag.NONE, reason)
    known = np.isfinite(widths.value)
    together = _correlation(widths.value[known], contraction.activation[known])
    if together < (FAINT_CORRELATION if faint(gap) else MIN_CORRELATION):
        flag = SeparationFlag.INDETERMINATE if gap.pooled else in_doubt
        doubtful = flag is SeparationFlag.INDETERMINATE
        seen = f"a gap {opening.opens}" if doubtful else "a dark area changes with movement"
        return _with(finding, flag, f"{seen}, but it does not follow the contraction.")
    return _with(
        finding,
        SeparationFlag.SEPARATION,
        f"two ends part on contraction: the gap between them {opening.opens}.",
    )


def standing(
    gap: Gap,
    widths: Widths,
    rest: int,
    motion: Motion,
    contraction: Contraction,
    belly: Belly,
    calibration: Calibration,
) -> Finding | None:
    """Say of a gap that nothing parts across that it is there at rest and stays; None if not so."""
    opening = measure_opening(gap, widths, rest, motion, contraction, belly, calibration)
    if isinstance(opening, Finding) or _widens(opening, calibration, belly):
        return None
    finding = opening.finding
    rest_mm = finding.separation.gap_rest_mm
    if (rest_mm.low if rest_mm is not None else opening.rest_px) <= 0.0:
        return None
    found = _with(finding, SeparationFlag.NONE, f"a defect seen at rest: {opening.stays}.")
    return replace(found, separation=replace(found.separation, defect_at_rest=True))


def _widens(opening: Opening, calibration: Calibration, belly: Belly) -> bool:
    """Whether the gap widens beyond its interval, and by enough to be called so."""
    enough = 0.5 * smallest_jump(calibration, len(belly.columns))
    return opening.widening_px > Z_95 * opening.error_px and opening.widening_px >= enough


def _with(finding: Finding, flag: SeparationFlag, reason: str) -> Finding:
    separation = finding.separation
    grade = None
    if flag is SeparationFlag.SEPARATION and separation.torn_fraction is not None:
        grade = suggested_grade(separation.torn_fraction)
    return replace(finding, separation=replace(separation, flag=flag, reason=reason, grade=grade))


def suggested_grade(torn: Measurement) -> str | None:
    """Peetrons grade: 1 under 5 % of the muscle, 2 from 5 to 50 %, 3 complete.

    Peetrons, Eur Radiol 2002;12:35. None between a half and complete, for which the grading has
    no name.
    """
    if torn.high >= 1.0 and torn.low >= 0.5:
        return "3"
    if torn.value > 0.5:
        return None
    return "2" if torn.value >= 0.05 else "1"


def _correlation(a: Floats, b: Floats) -> float:
    if len(a) < 5 or np.std(a) == 0 or np.std(b) == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])
