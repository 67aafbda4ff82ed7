"""The verdict on one suspected gap: what the witnesses must show, and what is then stated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from usguide.model import Z_95, Calibration, Floats, Measurement, SeparationFlag
from usguide.motion.contraction import Contraction
from usguide.motion.gap import Gap
from usguide.motion.history import Motion
from usguide.motion.opening import HIDDEN, Finding, Opening, measure_opening
from usguide.motion.strip import DEPTHS, Belly
from usguide.motion.suspects import CLEAR_CONTRAST, Suspect, faint, smallest_jump
from usguide.motion.width import Widths, moved_along

MIN_JUMP_OF_WIDENING = 0.25
"""Least parting as a share of the gap's widening. Blocks at the ends also see the gap, and tissue
a block away from a partial tear moves less than its ends: synthetic tears give 0.27 to 1 of it."""

FAINT_CORRELATION, FAINT_SIGNIFICANCE = 0.945, 4.0
"""What a gap that is not clearly dark needs of the two next: small synthetic tears reach 0.95 and
4.7 standard errors, changing lanes of real healthy muscle 0.893 and 2.6, or the one and not the
other."""

MIN_TORN = 0.1
"""Least share of the muscle's thickness; thinner clefts are told from fascicle lanes by nothing."""

MIN_CORRELATION = 0.92
"""Least correlation of gap width with contraction: synthetic tears reach 0.93 and more, changing
lanes of real healthy muscle 0.89."""

MIN_SIGNIFICANCE = 2.5
"""Least parting, in standard errors."""

MISREAD = 0.5
"""Width read at the peak as a share of the gap's that the picture shows there, under which the
reading is no evidence: a complete tear of 5 mm full of echoing blood was read as closed."""

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
    if isinstance(opening, Finding):
        if gap.contrast < CLEAR_CONTRAST:
            return _with(opening, SeparationFlag.NONE, "no gap is clear enough to be measured.")
        return _with(opening, SeparationFlag.INDETERMINATE, UNMEASURED)
    finding, widening = opening.finding, opening.widening_px
    jump, jump_error = suspect.parting.jump_px, suspect.parting.error_px
    is_faint = faint(gap)
    parts = jump >= (FAINT_SIGNIFICANCE if is_faint else MIN_SIGNIFICANCE) * jump_error
    clear = gap.contrast >= CLEAR_CONTRAST
    if not _widens(opening, calibration, belly):
        if gap.pooled:
            return _with(
                finding,
                SeparationFlag.INDETERMINATE,
                f"ends seem to part, but {HIDDEN}.",
            )
        if clear and parts and opening.rest_px + widening < MISREAD * gap.width:
            return _with(finding, SeparationFlag.INDETERMINATE, UNMEASURED)
        # That a widening is not certain does not say that there is none.
        if clear and parts and widening >= 0.5 * smallest_jump(calibration, len(belly.columns)):
            return _with(
                finding,
                SeparationFlag.INDETERMINATE,
                f"ends seem to part, but that the gap between them {opening.opens} is not certain.",
            )
        return _with(finding, SeparationFlag.NONE, f"{opening.stays}.")
    known = np.isfinite(widths.value)
    together = _correlation(widths.value[known], contraction.activation[known])
    torn = len(gap.rows) / DEPTHS
    # Also what the tissue right beside the gap did, where the fit over a wider part smears it.
    back = [moved_along(motion, gap, suspect.rest, end) for end in suspect.ends]
    parted = max(jump, float(np.median(back[0] - back[1])))
    enough = parted >= MIN_JUMP_OF_WIDENING * widening
    # Tissue that parts, but by less than a clear gap widens, is no tissue that moves together.
    if not (parts and (enough or clear)):
        return _with(
            finding,
            SeparationFlag.NONE,
            "a dark area changes, but the tissue on both sides of it moves together.",
        )
    amiss = None
    if torn < MIN_TORN:
        amiss = f"it crosses only {100 * torn:.0f} % of the muscle"
    elif together < (FAINT_CORRELATION if is_faint else MIN_CORRELATION):
        amiss = "it does not follow the contraction"
    elif not enough:
        amiss = "the tissue on both sides of it parts by much less"
    if amiss is not None:
        if not (clear or gap.pooled):
            return _with(
                finding, SeparationFlag.NONE, f"a dark area changes with movement, but {amiss}."
            )
        return _with(
            finding,
            SeparationFlag.INDETERMINATE,
            f"a gap {opening.opens}, but {amiss}.",
        )
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
