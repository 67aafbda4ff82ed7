"""Separation: whether two muscle ends part when the muscle contracts.

Three witnesses must agree before a separation is flagged: the tissue on both sides of a place
moves apart by more than smooth stretching (speckle tracking), a dark gap lies there at the peak
with an edge on either side, and that gap widens from rest to peak beyond its interval. Healthy
muscle slides, thickens and darkens, and its dark lanes between bright fascicles open and close,
but the tissue on both sides of a lane moves together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from usguide.model import (
    Calibration,
    Floats,
    Frame,
    Frames,
    Measurement,
    Separation,
    SeparationFlag,
)
from usguide.motion.contraction import Contraction
from usguide.motion.fascicles import between, direction
from usguide.motion.gap import (
    PLAIN_SHARE,
    Gap,
    along_rows,
    find_gap,
    measure_width,
    out_of_the_dark,
)
from usguide.motion.history import Motion
from usguide.motion.parting import DEPTH_LINES, MIN_TRUST, Parting, change_between, find_partings
from usguide.motion.strip import DEPTHS, Belly, straighten

CYCLES = 3
"""The largest contractions of a clip that are examined."""

PLACES = 3
"""Places examined in each of them."""

MIN_JUMP_MM = 0.7
"""Least parting that is looked into; half of the 1.5 mm of widening that must not be missed."""

MIN_JUMP_SHARE = 0.012
"""The same without a scale, as a share of the region's width."""

MIN_CONTRAST, USUAL_CONTRAST, CLEAR_CONTRAST = 0.8, 1.8, 3.0
"""How many spreads of the muscle's brightness, over places as large as the gap, the gap is darker:
to be looked into, to need no stronger witness of motion, and to leave a doubt where the rest does
not fit. Tuned, as the next four, on synthetic tears (0.9 to 20) and on crops, mirror images,
reversals and grey maps of two real healthy clips (up to 2.0)."""

MAX_FLOOR = 0.85
"""Grey level of a gap as a share of the tissue's at its darker side, to be looked into: synthetic
tears of 2 mm reach 0.8. Over ``gap.PLAIN_SHARE`` it needs the stronger witness."""

MIN_JUMP_OF_WIDENING = 0.3
"""Least parting as a share of the gap's widening. Blocks at the ends also see the gap, so that
synthetic tears give 0.36 to 1 of it."""

FAINT_CORRELATION, FAINT_SIGNIFICANCE = 0.965, 4.0
"""What a gap that is not clearly dark needs of the two next: small synthetic tears reach 0.973 and
4.7 standard errors, changing lanes of real healthy muscle 0.893 and 2.6, or the one and not the
other."""

MIN_TORN = 0.1
"""Least share of the muscle's thickness; thinner clefts are told from fascicle lanes by nothing."""

LANE_ANGLE_DEG, LANE_ASPECT = 20.0, 1.5
"""A dark area within this angle of the fascicles, and so much longer than wide, is a lane between
them. Tears cross the fibres; fascicles vary by a few degrees about their common direction."""

MIN_CORRELATION = 0.92
"""Least correlation of gap width with contraction: synthetic tears reach 0.93 and more, changing
lanes of real healthy muscle 0.89."""

MIN_SIGNIFICANCE = 2.5
"""Least parting, in standard errors."""

MIN_COVERAGE = 0.35
"""Share of the muscle that must be tracked from rest to peak for 'none' to mean anything."""

EDGE_BIAS_MM, WIDTH_BIAS = 0.35, 0.05
"""SD of what no repetition averages out of a width: where blurred, frayed edges are put, and the
share of the gap in which rows taper. From the residuals of 30 synthetic tears (15 complete, 15
partial), whose intervals covered 80 to 90 % of the truth without it. It widens what is stated;
whether a gap widens at all is judged without it, since it is much the same at rest and peak."""

TORN_ROWS = 4
"""Half the interval of the torn part, in rows of the strip: the largest error of those 30 tears,
whose tapering ends are mostly read too short."""

Z95 = 1.96

WITHOUT_PARTING = "the muscle moves without parting: no dark gap lies between ends that move apart."


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """The verdict, and the gap's width in every entry of the motion history, px (NaN unknown).

    ``error_px`` is its standard error with the systematic part.
    """

    separation: Separation
    gap_px: Floats
    error_px: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Suspect:
    gap: Gap
    parting: Parting
    rest: int
    ends: tuple[Floats, Floats]
    """Tissue beside the gap at its entry, left and right: points (rows, m, 2) in region px."""


def examine(
    clip: Frames,
    motion: Motion,
    contraction: Contraction,
    belly: Belly,
) -> Finding:
    """Decide whether two muscle ends part in this clip.

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
    smallest = _smallest(calibration, clip.header.region.width)
    coverage = 0.0
    suspects: list[_Suspect] = []
    ranked = sorted(contraction.cycles, key=lambda c: contraction.activation[c[1]], reverse=True)[
        :CYCLES
    ]
    for cycle in ranked:
        rest, peak = contraction.rest_before(cycle), cycle[1]
        along, trust = change_between(motion, belly, rest, peak)
        coverage = max(coverage, float((trust >= MIN_TRUST).mean()))
        partings = [p for p in find_partings(along, trust) if p.jump_px >= smallest]
        partings = _apart(partings)[:PLACES]
        if partings:
            frame = int(motion.frames[peak])
            picture = clip[frame]
            for parting in partings:
                suspect = _suspect(picture, motion, belly, parting, rest, peak, cell)
                if suspect is not None:
                    suspects.append(suspect)
    if not suspects:
        if coverage < MIN_COVERAGE:
            return verdict(
                SeparationFlag.INDETERMINATE,
                f"only {100 * coverage:.0f} % of the muscle could be tracked from rest to peak and "
                f"{100 * MIN_COVERAGE:.0f} % are needed.",
            )
        return verdict(SeparationFlag.NONE, WITHOUT_PARTING)
    findings = []
    widths = _widths(clip, motion, belly, suspects, cell)
    for suspect, width in zip(suspects, widths, strict=True):
        finding = _judge(suspect, width, motion, contraction, belly, calibration)
        # Of what is hardly dark, only that it parts is worth saying.
        if not _faint(suspect.gap) or finding.separation.flag is SeparationFlag.SEPARATION:
            findings.append(finding)
    if not findings:
        return verdict(SeparationFlag.NONE, WITHOUT_PARTING)
    order = {SeparationFlag.SEPARATION: 0, SeparationFlag.INDETERMINATE: 1, SeparationFlag.NONE: 2}
    return min(
        findings,
        key=lambda f: (
            order[f.separation.flag],
            -(f.separation.widening_mm.value if f.separation.widening_mm else 0.0),
        ),
    )


def _apart(partings: list[Parting]) -> list[Parting]:
    """Drop partings that lie over a better one."""
    kept: list[Parting] = []
    for parting in partings:
        if not any(_overlap(p, parting) for p in kept):
            kept.append(parting)
    return kept


def _overlap(one: Parting, other: Parting) -> bool:
    """Whether two partings share columns and depths."""
    beside = one.left <= other.right and other.left <= one.right
    return beside and one.depths.start < other.depths.stop and other.depths.start < one.depths.stop


@dataclass(frozen=True, slots=True, eq=False)
class _Widths:
    """Width of a suspected gap over the clip, px: per entry, its error, and per row (n, k)."""

    value: Floats
    error: Floats
    rows: Floats


def _suspect(
    picture: Frame,
    motion: Motion,
    belly: Belly,
    parting: Parting,
    rest: int,
    peak: int,
    cell: float,
) -> _Suspect | None:
    """Look for a dark gap where tissue was seen to part."""
    frame = int(motion.frames[peak])
    strip = straighten(picture, belly, frame)
    per_line = DEPTHS // DEPTH_LINES
    rows = slice(parting.depths.start * per_line, parting.depths.stop * per_line)
    inner = (float(motion.x_px[parting.left]), float(motion.x_px[parting.right]))
    gap = _dark_gap(strip, peak, rows, inner, cell)
    if gap is None:
        return None
    lines = belly.depth_lines(frame, DEPTHS)[gap.rows]
    if _is_lane(picture, gap, lines):
        return None
    last = strip.shape[1] - 1
    ends = []
    for side, sign in ((0, -1.0), (1, 1.0)):
        x = gap.edges[:, side, None] + sign * np.linspace(0.7 * cell, 2.5 * cell, 6)
        if np.count_nonzero((x >= 0) & (x <= last)) < 0.3 * x.size:
            return None
        x = np.clip(x, 0, last)
        y = np.take_along_axis(lines, np.rint(x).astype(np.int64), axis=1)
        ends.append(np.stack([x, y], axis=-1))
    return _Suspect(gap, parting, rest, (ends[0], ends[1]))


def _dark_gap(
    strip: NDArray[np.float32], peak: int, rows: slice, inner: tuple[float, float], cell: float
) -> Gap | None:
    """Find a gap that is dark enough between two columns, or where both lie inside one."""
    for columns in dict.fromkeys((inner, out_of_the_dark(strip, rows, inner))):
        gap = find_gap(strip, peak, rows, columns, cell)
        if gap is not None and gap.contrast >= MIN_CONTRAST and gap.levels.share <= MAX_FLOOR:
            return gap
    return None


def _faint(gap: Gap) -> bool:
    """Whether a gap is not clearly darker than the muscle is in places."""
    return gap.contrast < USUAL_CONTRAST or gap.levels.share > PLAIN_SHARE


def _is_lane(picture: Frame, gap: Gap, lines: Floats) -> bool:
    """Whether a dark gap is only the lane between two fascicles: longer than wide, along them."""
    middles = gap.edges.mean(axis=1)
    columns = np.clip(np.rint(middles).astype(np.int64), 0, lines.shape[1] - 1)
    y = np.take_along_axis(lines, columns[:, None], axis=1)[:, 0]
    across = np.array([middles[-1] - middles[0], y[-1] - y[0]])
    length = float(np.hypot(*across))
    if len(middles) < 3 or length <= 0:
        return False
    axis_deg = float(np.degrees(np.arctan2(across[1], across[0])))
    width = gap.width * abs(across[1]) / length
    margin = int(2.0 * gap.width)
    run = direction(
        picture,
        (
            int(gap.edges.min()) - margin,
            int(y.min()) - 2,
            int(gap.edges.max()) + margin,
            int(y.max()) + 3,
        ),
    )
    if run is None or 2.0 * length < LANE_ASPECT * width:
        return False
    return between(axis_deg, run) <= LANE_ANGLE_DEG


def _widths(
    clip: Frames, motion: Motion, belly: Belly, suspects: list[_Suspect], cell: float
) -> list[_Widths]:
    """Width of every suspected gap in every frame, from one more pass over the clip."""
    n = len(motion.frames)
    found = [
        _Widths(np.full(n, np.nan), np.full(n, np.nan), np.full((n, len(s.gap.rows)), np.nan))
        for s in suspects
    ]
    blurs: list[list[float]] = [[] for _ in suspects]
    for entry, (index, frame) in zip(range(n), _known(clip, motion), strict=False):
        strip = straighten(frame, belly, index)
        superficial, deep = belly.borders(index)
        row_px = float(np.median(deep - superficial)) / DEPTHS
        for suspect, widths, blur in zip(suspects, found, blurs, strict=True):
            gap = suspect.gap
            moved = [_moved(motion, gap, entry, end) for end in suspect.ends]
            edges = gap.edges + np.stack(moved, axis=1)
            width = measure_width(strip, gap, edges, 0.7 * cell, int(2.5 * cell), row_px)
            if width is not None:
                widths.value[entry] = width.value
                widths.error[entry] = width.error
                widths.rows[entry] = width.rows
                if width.value > 0:
                    blur.append(width.blur)
    for widths, blur in zip(found, blurs, strict=True):
        # What the beam hides: all of a gap that looks closed, and half of the correction made.
        beam = float(np.median(blur)) if blur else 0.0
        widths.error[:] = np.hypot(widths.error, np.where(widths.value > 0, 0.5, 1.0) * beam)
    return found


def _known(clip: Frames, motion: Motion) -> Iterator[tuple[int, Frame]]:
    """Frames that the motion history has an entry for."""
    wanted = set(motion.frames.tolist())
    return ((index, frame) for index, frame in clip.frames() if index in wanted)


def _moved(motion: Motion, gap: Gap, entry: int, end: Floats) -> Floats:
    """Movement along x of one end of a gap, from the gap's entry to another, in every row.

    ``end``, shape (rows, m, 2), are points of the tissue beside the gap.
    """
    points = end.reshape(-1, 2)
    start = motion.at(gap.entry, points)
    now = points
    for _ in range(4):
        now = points + motion.at(entry, now) - start
    moved = (now - points)[:, 0].reshape(end.shape[:2])
    return along_rows(gap.rows, np.median(moved, axis=1))


def _judge(
    suspect: _Suspect,
    measured_widths: _Widths,
    motion: Motion,
    contraction: Contraction,
    belly: Belly,
    calibration: Calibration,
) -> Finding:
    """Weigh one suspected gap."""
    gap = suspect.gap
    faint = _faint(gap)
    widths, errors = measured_widths.value, measured_widths.error
    activation = contraction.activation
    at_rest = _around(widths, activation <= max(0.1, activation[suspect.rest] + 0.02), suspect.rest)
    at_peak = _around(widths, activation >= 0.9 * activation[gap.entry], gap.entry)
    finding = Finding(
        Separation(SeparationFlag.NONE, ""), widths, _with_bias(errors, widths, calibration)
    )
    if len(at_rest) == 0 or len(at_peak) == 0:
        if gap.contrast < CLEAR_CONTRAST:
            return _with(finding, SeparationFlag.NONE, "no gap is clear enough to be measured.")
        return _with(
            finding,
            SeparationFlag.INDETERMINATE,
            "ends seem to part, but the gap between them cannot be measured both at rest and at "
            "the peak of the contraction.",
        )
    rest_px, peak_px = float(np.median(widths[at_rest])), float(np.median(widths[at_peak]))
    rest_error = float(np.median(errors[at_rest]))
    peak_error = float(np.median(errors[at_peak]))
    widening = peak_px - rest_px
    widening_error = _paired_error(measured_widths, at_rest, at_peak)
    known = np.isfinite(widths)
    together = _correlation(widths[known], activation[known])
    torn = len(gap.torn) / DEPTHS
    jump, jump_error = suspect.parting.jump_px, suspect.parting.error_px
    # Also what the tissue right beside the gap did, where the fit over a wider part smears it.
    back = [_moved(motion, gap, suspect.rest, end) for end in suspect.ends]
    parted = max(jump, float(np.median(back[0] - back[1])))
    middle_row = gap.rows[len(gap.rows) // 2]
    x = gap.centre
    frame = int(motion.frames[gap.entry])
    y = float(
        belly.depth_lines(frame, DEPTHS)[middle_row, int(np.clip(x, 0, len(belly.columns) - 1))]
    )

    def length(value: float, error: float) -> Measurement | None:
        if calibration.spacing_mm is None:
            return None
        scale = float(calibration.length_mm(np.array([1.0, 0.0])))
        margin = Z95 * float(_with_bias(np.array(error), np.array(value), calibration))
        return Measurement(value, value - margin, value + margin, "px").scaled(scale, "mm")

    rest_mm, peak_mm = length(rest_px, rest_error), length(peak_px, peak_error)
    measured = Separation(
        SeparationFlag.NONE,
        "",
        gap_rest_mm=_not_negative(rest_mm),
        gap_peak_mm=_not_negative(peak_mm),
        widening_mm=length(widening, widening_error),
        torn_fraction=_torn_fraction(len(gap.torn)) if belly.known else None,
        location_px=(x, y),
    )
    finding = replace(finding, separation=measured)
    said = _said(rest_px, peak_px, rest_mm, peak_mm)
    widens = widening - Z95 * widening_error > 0 and widening >= 0.5 * _smallest(
        calibration, len(belly.columns)
    )
    if not widens:
        return _with(
            finding,
            SeparationFlag.NONE,
            f"a dark gap of {said[0]} at rest does not widen on contraction ({said[1]}).",
        )
    significance = FAINT_SIGNIFICANCE if faint else MIN_SIGNIFICANCE
    if jump < significance * jump_error or parted < MIN_JUMP_OF_WIDENING * widening:
        return _with(
            finding,
            SeparationFlag.NONE,
            "a dark area changes, but the tissue on both sides of it moves together.",
        )
    amiss = None
    if torn < MIN_TORN:
        amiss = f"it crosses only {100 * torn:.0f} % of the muscle"
    elif together < (FAINT_CORRELATION if faint else MIN_CORRELATION):
        amiss = "it does not follow the contraction"
    if amiss is not None:
        if gap.contrast < CLEAR_CONTRAST:
            return _with(
                finding, SeparationFlag.NONE, f"a dark area changes with movement, but {amiss}."
            )
        return _with(
            finding,
            SeparationFlag.INDETERMINATE,
            f"a gap opens from {said[0]} to {said[1]}, but {amiss}.",
        )
    return _with(
        finding,
        SeparationFlag.SEPARATION,
        f"two ends part on contraction: the gap between them opens from {said[0]} to {said[1]}.",
    )


def _paired_error(widths: _Widths, at_rest: NDArray[np.int64], at_peak: NDArray[np.int64]) -> float:
    """Return the standard error of the widening, px.

    Where the gap is open both at rest and at the peak, its rows are compared one by one: that a
    gap tapers, frays or holds blood is the same in both.
    """
    error = np.hypot(np.median(widths.error[at_rest]), np.median(widths.error[at_peak]))
    if np.median(widths.value[at_rest]) > 0:
        change = np.median(widths.rows[at_peak], axis=0) - np.median(widths.rows[at_rest], axis=0)
        # Neighbouring rows share speckle: about every other one counts.
        error = np.hypot(change.std() / np.sqrt(max(1.0, 0.5 * len(change))), 0.5)
    return float(error)


def _with(finding: Finding, flag: SeparationFlag, reason: str) -> Finding:
    separation = finding.separation
    grade = None
    if flag is SeparationFlag.SEPARATION and separation.torn_fraction is not None:
        grade = suggested_grade(separation.torn_fraction)
    return replace(finding, separation=replace(separation, flag=flag, reason=reason, grade=grade))


def suggested_grade(torn: Measurement) -> str | None:
    """Peetrons grade: 1 under 5 % of the muscle, 2 from 5 to 50 %, 3 complete (BJSM).

    None between a half and complete, for which the grading has no name.
    """
    if torn.high >= 1.0 and torn.low >= 0.5:
        return "3"
    if torn.value > 0.5:
        return None
    return "2" if torn.value >= 0.05 else "1"


def _torn_fraction(rows: int) -> Measurement:
    """Share of the strip's rows."""
    value = rows / DEPTHS
    margin = TORN_ROWS / DEPTHS
    return Measurement(value, max(0.0, value - margin), min(1.0, value + margin), "1")


def _with_bias(errors: Floats, widths: Floats, calibration: Calibration) -> Floats:
    """Add the systematic part to standard errors of widths, px; without a scale only its share."""
    edges = 0.0
    if calibration.spacing_mm is not None:
        edges = EDGE_BIAS_MM / calibration.spacing_mm[0]
    total: Floats = np.sqrt(errors**2 + edges**2 + (WIDTH_BIAS * widths) ** 2)
    return total


def _around(widths: Floats, wanted: NDArray[np.bool_], entry: int) -> NDArray[np.int64]:
    """Pick the nine measured entries nearest to one, among the wanted."""
    candidates = np.flatnonzero(wanted & np.isfinite(widths))
    nearest = np.argsort(np.abs(candidates - entry), kind="stable")[:9]
    return candidates[nearest]


def _correlation(a: Floats, b: Floats) -> float:
    if len(a) < 5 or np.std(a) == 0 or np.std(b) == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _smallest(calibration: Calibration, width: int) -> float:
    """Least widening called one, px."""
    if calibration.spacing_mm is None:
        return MIN_JUMP_SHARE * width
    return MIN_JUMP_MM / calibration.spacing_mm[0]


def _not_negative(measurement: Measurement | None) -> Measurement | None:
    if measurement is None:
        return None
    return Measurement(
        measurement.value, max(0.0, measurement.low), measurement.high, measurement.unit
    )


def _said(
    rest_px: float, peak_px: float, rest: Measurement | None, peak: Measurement | None
) -> tuple[str, str]:
    if rest is None or peak is None:
        return f"{rest_px:.0f} px", f"{peak_px:.0f} px"
    return f"{rest.value:.1f} mm", f"{peak.value:.1f} mm"
