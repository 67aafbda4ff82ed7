"""``frames.csv`` and ``fascia_profile.csv``: what was measured, for a spreadsheet."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from usguide.model import Analysis, Calibration, FasciaProfile, Floats

FRAME_COLUMNS = (
    "frame",
    "time_s",
    "duplicate_of",
    "source_name",
    "tip_x_px",
    "tip_y_px",
    "tip_x_mm",
    "tip_y_mm",
    "tip_visible",
    "tip_confidence",
    "tip_along_95_px",
    "tip_across_95_px",
    "tail_x_px",
    "tail_y_px",
    "shaft_angle_deg",
    "insertion_depth_mm",
    "tip_to_fascia_mm",
    "fascia_thickness_mm",
    "fascia_quality",
    "muscle_superficial_y_px",
    "muscle_deep_y_px",
    "muscle_thickness_mm",
    "contraction",
    "displacement_mm",
    "gap_mm",
    "gap_low_mm",
    "gap_high_mm",
    "muscle_strain",
    "muscle_strain_rate_per_s",
)

_FORMULAS = ("=", "+", "-", "@", "\t", "\r")

Cell = float | int | str | None
Column = Sequence[Cell] | NDArray[np.float64]


def write_frames(analysis: Analysis, path: Path) -> None:
    """Write one row per source frame; a cell is empty where nothing is known.

    A frame that repeats another carries the values of the frame it repeats, under its own number,
    time and name.
    """
    header = analysis.header
    timing = header.timing
    count = header.frames
    shown = measured_frame(analysis)
    columns = _measured_columns(analysis)
    own: dict[str, Column] = {
        "frame": range(count),
        "time_s": [None] * count if timing.time_s is None else timing.time_s,
        "duplicate_of": [int(of) if of >= 0 else None for of in timing.duplicate_of],
        "source_name": header.source_names or [None] * count,
    }
    _write(
        path,
        FRAME_COLUMNS,
        (
            [own[name][row] if name in own else columns[name][shown[row]] for name in FRAME_COLUMNS]
            for row in range(count)
        ),
    )


def write_profile(profile: FasciaProfile, path: Path) -> None:
    """Write the fascia's thickness along the band, from the insertion onwards.

    Columns are in the profile's unit, mm or px, and say so; the mid-line is in source px.
    """
    unit = profile.unit
    names = ("distance", "thickness", "thickness_low", "thickness_high")
    _write(
        path,
        [*(f"{name}_{unit}" for name in names), "midline_x_px", "midline_y_px"],
        zip(
            profile.distance,
            profile.thickness,
            profile.low,
            profile.high,
            *profile.midline_px.T,
            strict=True,
        ),
    )


def measured_frame(analysis: Analysis) -> NDArray[np.int64]:
    """Return for every source frame the distinct frame whose values it carries, shape (n,)."""
    duplicate_of = analysis.header.timing.duplicate_of
    return np.where(duplicate_of >= 0, duplicate_of, np.arange(len(duplicate_of)))


def _measured_columns(analysis: Analysis) -> dict[str, Column]:
    """Columns with an entry per source frame, unknown in the frames that only repeat another."""
    count = analysis.header.frames
    calibration = analysis.header.calibration
    needle, muscle = analysis.needle, analysis.muscle
    fascia, contraction = analysis.fascia, analysis.motion.contraction
    strain = contraction.strain
    unknown = np.full(count, np.nan)
    points = np.full((count, 2), np.nan)

    def known(values: Floats | None) -> Floats:
        return unknown if values is None else values

    tip = points if needle.tip_px is None else needle.tip_px
    tail = points if needle.tail_px is None else needle.tail_px
    ellipse = points if needle.tip_ellipse_px is None else needle.tip_ellipse_px
    tip_mm = _millimetres(tip, calibration)
    return {
        "tip_x_px": tip[:, 0],
        "tip_y_px": tip[:, 1],
        "tip_x_mm": tip_mm[:, 0],
        "tip_y_mm": tip_mm[:, 1],
        "tip_visible": [None] * count
        if needle.tip_visible is None
        else [int(visible) for visible in needle.tip_visible],
        "tip_confidence": known(needle.tip_confidence),
        "tip_along_95_px": ellipse[:, 0],
        "tip_across_95_px": ellipse[:, 1],
        "tail_x_px": tail[:, 0],
        "tail_y_px": tail[:, 1],
        "shaft_angle_deg": known(needle.shaft_angle_deg),
        "insertion_depth_mm": known(needle.insertion_depth_mm),
        "tip_to_fascia_mm": known(needle.tip_to_fascia_mm),
        "fascia_thickness_mm": known(fascia.frame_thickness_mm),
        "fascia_quality": known(fascia.frame_quality),
        "muscle_superficial_y_px": known(muscle.superficial_left_y_px),
        "muscle_deep_y_px": known(muscle.deep_left_y_px),
        "muscle_thickness_mm": known(muscle.frame_thickness_mm),
        "contraction": known(contraction.activation),
        "displacement_mm": known(contraction.displacement_mm),
        "gap_mm": known(contraction.gap_mm),
        "gap_low_mm": known(contraction.gap_low_mm),
        "gap_high_mm": known(contraction.gap_high_mm),
        "muscle_strain": known(None if strain is None else strain.course),
        "muscle_strain_rate_per_s": known(None if strain is None else strain.rate_per_s),
    }


def _millimetres(points_px: Floats, calibration: Calibration) -> Floats:
    if calibration.spacing_mm is None:
        return np.full_like(points_px, np.nan)
    return calibration.to_mm(points_px)


def for_spreadsheet(text: str) -> str:
    """Return text of which no spreadsheet makes a formula: an apostrophe before what begins one.

    Names of files and patients are anybody's (OWASP, CSV Injection). Numbers stay.
    """
    return f"'{text}" if text.startswith(_FORMULAS) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _write(path: Path, names: Sequence[str], rows: Iterable[Iterable[Cell]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(names)
        table.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return for_spreadsheet(value)
    if isinstance(value, int):
        return str(value)
    # Adding zero turns -0.0 into 0.0.
    return repr(round(float(value), 4) + 0.0) if math.isfinite(value) else ""
