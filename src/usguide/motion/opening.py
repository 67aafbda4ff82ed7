"""How far a gap opens: its width at rest and at the peak of a contraction, and its errors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from usguide.model import Z_95, Calibration, Floats, Measurement, Separation, SeparationFlag
from usguide.motion.contraction import Contraction
from usguide.motion.gap import Gap
from usguide.motion.history import Motion
from usguide.motion.strip import DEPTHS, Belly
from usguide.motion.width import Widths

EDGE_BIAS_MM, WIDTH_BIAS = 0.35, 0.05
"""SD of what no repetition averages out of a width: where blurred, frayed edges are put, and the
share of the gap in which rows taper. From the residuals of 30 synthetic tears (15 complete, 15
partial), whose intervals covered 80 to 90 % of the truth without it. It widens what is stated;
whether a gap widens at all is judged without it, since it is much the same at rest and peak."""

TORN_ROWS = 4
"""Half the interval of the torn part, in rows of the strip: the largest error of those 30 tears,
whose tapering ends are mostly read too short."""

HIDDEN = "blood or fluid that fills it hides how far its ends are apart"


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """The verdict, and the gap's width in every entry of the motion history, px (NaN unknown).

    ``error_px`` is its standard error with the systematic part.
    """

    separation: Separation
    gap_px: Floats
    error_px: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Opening:
    """A gap's widths at rest and at the peak, as measured and as stated in words."""

    finding: Finding
    rest_px: float
    widening_px: float
    error_px: float
    opens: str
    stays: str


def measure_opening(
    gap: Gap,
    measured: Widths,
    rest: int,
    motion: Motion,
    contraction: Contraction,
    belly: Belly,
    calibration: Calibration,
) -> Opening | Finding:
    """Measure a gap at rest and at the peak; a finding without numbers where either is unknown."""
    widths, errors = measured.value, measured.error
    activation = contraction.activation
    at_rest = _around(widths, activation <= max(0.1, activation[rest] + 0.02), rest)
    at_peak = _around(widths, activation >= 0.9 * activation[gap.entry], gap.entry)
    finding = Finding(
        Separation(SeparationFlag.NONE, ""), widths, _with_bias(errors, widths, calibration)
    )
    if len(at_rest) == 0 or len(at_peak) == 0:
        return finding
    rest_px, peak_px = float(np.median(widths[at_rest])), float(np.median(widths[at_peak]))
    rest_error = float(np.median(errors[at_rest]))
    peak_error = float(np.median(errors[at_peak]))
    # Few frames are at the very peak: what the others lack of it is added.
    reached = float(np.median(activation[at_peak]) - np.median(activation[at_rest]))
    full = float(activation[gap.entry] - activation[rest])
    if reached > 0.5 * full:
        peak_px = rest_px + (peak_px - rest_px) * full / reached
    widening = peak_px - rest_px
    widening_error = _paired_error(measured, at_rest, at_peak)
    middle_row = int(np.median(gap.rows[gap.core]))
    x = gap.centre
    frame = int(motion.frames[gap.entry])
    y = float(
        belly.depth_lines(frame, DEPTHS)[middle_row, int(np.clip(x, 0, len(belly.columns) - 1))]
    )

    def length(value: float, error: float) -> Measurement | None:
        if calibration.spacing_mm is None:
            return None
        scale = float(calibration.length_mm(np.array([1.0, 0.0])))
        margin = Z_95 * float(_with_bias(np.array(error), np.array(value), calibration))
        return Measurement(value, value - margin, value + margin, "px").scaled(scale, "mm")

    rest_mm = not_negative(length(rest_px, rest_error))
    peak_mm = not_negative(length(peak_px, peak_error))
    widening_mm = length(widening, widening_error)
    if gap.pooled:
        hidden = np.full(len(widths), np.nan)
        finding = replace(finding, gap_px=hidden, error_px=hidden)
        rest_mm = peak_mm = None
        opens = f"opens by {_said(widening, widening_mm)}; {HIDDEN}"
        stays = f"a dark area is seen at rest and does not widen on contraction; {HIDDEN}"
    else:
        at_rest_said, at_peak_said = _said(rest_px, rest_mm), _said(peak_px, peak_mm)
        opens = f"opens from {at_rest_said} to {at_peak_said}"
        stays = (
            f"a dark gap of {at_rest_said} at rest does not widen on contraction ({at_peak_said})"
        )
    stated = Separation(
        SeparationFlag.NONE,
        "",
        gap_rest_mm=rest_mm,
        gap_peak_mm=peak_mm,
        widening_mm=widening_mm,
        torn_fraction=_torn_fraction(len(gap.rows)) if belly.known else None,
        location_px=(x, y),
    )
    return Opening(
        replace(finding, separation=stated),
        rest_px,
        widening,
        widening_error,
        opens,
        stays,
    )


def _paired_error(widths: Widths, at_rest: NDArray[np.int64], at_peak: NDArray[np.int64]) -> float:
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


def not_negative(measurement: Measurement | None) -> Measurement | None:
    """Cut a width at zero: measured below a pixel, that of a closed gap may come out under it."""
    if measurement is None:
        return None
    value, low, high = (max(0.0, m) for m in (measurement.value, measurement.low, measurement.high))
    return Measurement(value, low, high, measurement.unit)


def _said(width_px: float, width_mm: Measurement | None) -> str:
    return f"{width_px:.0f} px" if width_mm is None else f"{width_mm.value:.1f} mm"
