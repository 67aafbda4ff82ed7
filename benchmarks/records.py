"""Compare one analysis with one truth, stage by stage: columns of numbers, a row per thing judged.

Every function returns columns (arrays of equal length) that :func:`gather` stacks over clips, with
a ``clip`` column to tell the clips apart. Truths are ``truth.json`` dictionaries, described in
``docs/truth.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from usguide.model import (
    ContractionResult,
    FasciaResult,
    Floats,
    Header,
    MuscleResult,
    NeedleTrack,
    SeparationFlag,
    Status,
    Twitch,
)

Columns = dict[str, NDArray[Any]]
Truth = dict[str, Any]

SUCCESS_MM = 3.0
"""A tip within this counts as found, as in the needle-tracking literature (TransKalman)."""

DROPOUT_DB = -40.0
"""From this loss on the needle is not in the picture at all; slow fading takes less."""

TWITCH_SLACK_S = 0.15
"""A claimed twitch is the true one if their times overlap after widening both by this."""


def gather(parts: Sequence[Columns]) -> Columns:
    """Stack the columns of all clips and number the clips."""
    parts = [part for part in parts if part]
    if not parts:
        return {}
    stacked = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    sizes = [len(next(iter(part.values()))) for part in parts]
    stacked["clip"] = np.repeat(np.arange(len(parts)), sizes)
    return stacked


def array(values: Sequence[Any]) -> Floats:
    """Return JSON numbers as floats, null as NaN."""
    return np.array(values, dtype=np.float64)


def needle_frames(track: NeedleTrack, truth: Truth, own: NDArray[np.bool_]) -> Columns:
    """Judge the tip in each frame of a synthetic clip that is its ``own``, not a repeat."""
    needle, spacing = truth["needle"], np.array(truth["calibration"]["mm_per_px"])
    true_tip, visible = array(needle["tip_px"]), np.array(needle["visible"], dtype=np.bool_)
    count = len(visible)
    tip = np.full((count, 2), np.nan) if track.tip_px is None else track.tip_px
    claimed = np.isfinite(tip[:, 0])
    angle = np.full(count, np.nan) if track.shaft_angle_deg is None else track.shaft_angle_deg
    confidence = np.full(count, np.nan) if track.tip_confidence is None else track.tip_confidence
    error = np.linalg.norm((tip - true_tip) * spacing, axis=1)
    turned = np.abs((angle - array(needle["angle_deg"]) + 90) % 180 - 90)
    parameters = truth["parameters"]
    columns: Columns = {
        "visible": visible,
        "claimed": claimed,
        "error_mm": error,
        "hit": claimed & (np.nan_to_num(error, nan=np.inf) < SUCCESS_MM),
        "angle_error_deg": turned,
        "confidence": confidence,
        "level_db": array(needle["fading_db"]) + needle["level_db"],
        "angle_deg": np.full(count, float(parameters["angle_deg"])),
        "depth_mm": true_tip[:, 1] * spacing[1],
        "diameter_mm": np.full(count, float(parameters["diameter_mm"])),
        "dropout": array(needle["fading_db"]) <= DROPOUT_DB,
        "dropouts": np.full(count, int(parameters["dropouts"])),
        "to_recover": _frames_to_recover(visible, claimed, error),
    }
    return {name: values[own] for name, values in columns.items()}


def _frames_to_recover(
    visible: NDArray[np.bool_], claimed: NDArray[np.bool_], error_mm: Floats
) -> Floats:
    """At each frame where the needle comes back: frames until the tip is found; else NaN."""
    found = visible & claimed & (np.nan_to_num(error_mm, nan=np.inf) < SUCCESS_MM)
    wait = np.full(len(visible), np.nan)
    for back in np.flatnonzero(visible[1:] & ~visible[:-1]) + 1:
        gone = np.flatnonzero(~visible[back:])
        end = back + (gone[0] if len(gone) else len(visible) - back)
        hits = np.flatnonzero(found[back:end])
        wait[back] = hits[0] if len(hits) else end - back
    return wait


def needle_clip(track: NeedleTrack, truth: Truth, own: NDArray[np.bool_], kind: str) -> Columns:
    """Judge a synthetic clip as a whole."""
    frames = needle_frames(track, truth, own)
    seen = frames["visible"]
    share = frames["hit"][seen].mean() if seen.any() else np.nan
    passes = truth["needle"]["passes"]
    return {
        "success": np.array([bool(share >= 0.95)]),
        "passes_right": np.array([len(track.passes) == len(passes)]),
        "passes_certain": np.array([bool(track.passes_certain)]),
        "plane_right": np.array([track.plane == truth["needle"]["plane"]]),
        "kind": np.array([kind]),
        "found": np.array([track.status is Status.MEASURED]),
    }


def fascia_stations(result: FasciaResult, truth: Truth) -> Columns:
    """Judge the thickness at the insertion, at the maximum (both station -1, 0) and beyond."""
    true = truth["fascia"]["thickness_mm"]
    wanted = [(-1.0, true["maximum"]), (0.0, true["insertion"])]
    wanted += [(s["distance_mm"], s["value"]) for s in true["stations"]]
    got = {}
    if result.thickness_mm is not None:
        got = {s.distance_mm: s.thickness for s in result.thickness_mm.stations}
        if result.thickness_mm.insertion is not None:
            got[0.0] = result.thickness_mm.insertion
        if result.thickness_mm.maximum is not None:
            got[-1.0] = result.thickness_mm.maximum
    rows = []
    for station, value in wanted:
        measured = got.get(station)
        rows.append(
            (
                station,
                value,
                np.nan if measured is None else measured.value - value,
                np.nan if measured is None else measured.low <= value <= measured.high,
                np.nan if measured is None else (measured.high - measured.low) / 2,
            )
        )
    station, value, error, covered, half = np.array(rows, dtype=np.float64).T
    return {
        "station_mm": station,
        "true_mm": value,
        "error_mm": error,
        "covered": covered,
        "half_width_mm": half,
        "measured": np.isfinite(error),
        "disease": np.full(len(rows), float(truth["fascia"]["disease"])),
        "at_insertion_mm": np.full(len(rows), float(true["insertion"])),
    }


def fascia_clip(result: FasciaResult, truth: Truth) -> Columns:
    """Judge side, insertion, borders and rupture of a synthetic clip."""
    true, spacing = truth["fascia"], np.array(truth["calibration"]["mm_per_px"])
    drift = np.zeros(2)
    if result.reference_frame is not None:
        drift = array(truth["drift_mm"][result.reference_frame]) / spacing
    insertion = border = np.nan
    if result.insertion_px is not None:
        away = np.array(result.insertion_px) - array(true["insertion_px"]) - drift
        insertion = float(np.linalg.norm(away * spacing))
    if result.superficial_px is not None and result.deep_px is not None:
        distances = []
        for found, name in ((result.superficial_px, "superficial_px"), (result.deep_px, "deep_px")):
            line = array(true[name]) + drift
            line = line[np.argsort(line[:, 0])]
            inside = (found[:, 0] >= line[0, 0]) & (found[:, 0] <= line[-1, 0])
            distances.append(np.abs(found[:, 1] - np.interp(found[:, 0], *line.T))[inside])
        away_y = np.concatenate(distances)
        border = float(np.mean(away_y) * spacing[1]) if len(away_y) else np.nan
    ruptured = bool(true["discontinuity"])
    place = [
        any(
            abs(claim.distance_mm - real["distance_mm"]) < claim.width_mm + real["width_mm"]
            for claim in result.discontinuity
        )
        for real in true["discontinuity"]
    ]
    return {
        "measured": np.array([result.status is Status.MEASURED]),
        "side_right": np.array([result.side is not None and result.side.value == true["side"]]),
        "insertion_error_mm": np.array([insertion]),
        "border_error_mm": np.array([border]),
        "ruptured": np.array([ruptured]),
        "rupture_found": np.array([all(place) and ruptured]),
        "rupture_claimed": np.array([len(result.discontinuity) > 0]),
        "rupture_mm": np.array([sum(r["width_mm"] for r in true["discontinuity"])]),
    }


def muscle_frames(result: MuscleResult, truth: Truth, own: NDArray[np.bool_]) -> Columns:
    """Judge the muscle's thickness in each frame of a synthetic clip that is no repeat."""
    true = array(truth["muscle"]["thickness_mm"])
    got = result.frame_thickness_mm
    got = np.full(len(true), np.nan) if got is None else got
    return {
        "true_mm": true[own],
        "error_mm": (got - true)[own],
        "measured": np.isfinite(got)[own],
    }


def muscle_clip(result: MuscleResult, truth: Truth) -> Columns:
    """Judge the interval of the muscle's thickness in the reference frame."""
    covered = np.nan
    if result.thickness_mm is not None and result.reference_frame is not None:
        true = truth["muscle"]["thickness_mm"][result.reference_frame]
        covered = float(result.thickness_mm.low <= true <= result.thickness_mm.high)
    return {"covered": np.array([covered])}


def separation_clip(result: ContractionResult, truth: Truth, kind: str) -> Columns:
    """Judge the separation flag, the gap and the count of contractions."""
    true = truth["contraction"]["separation"]
    torn = true["flag"] == "separation"
    flag = result.separation.flag
    gap_error = widening_error = np.nan
    if torn and result.separation.gap_peak_mm is not None:
        gap_error = result.separation.gap_peak_mm.value - true["gap_peak_mm"]
    if torn and result.separation.widening_mm is not None:
        widening_error = result.separation.widening_mm.value - true["widening_mm"]
    cycles = truth["contraction"]["cycles"]
    excursion = np.nan
    if len(cycles) == len(result.cycles) and cycles:
        excursion = float(
            np.mean(
                [
                    (got.excursion_mm if got.excursion_mm is not None else np.nan)
                    - want["excursion_mm"]
                    for got, want in zip(result.cycles, cycles, strict=True)
                ]
            )
        )
    return {
        "torn": np.array([torn]),
        "flagged": np.array([flag is SeparationFlag.SEPARATION]),
        "indeterminate": np.array([flag is SeparationFlag.INDETERMINATE]),
        "gap_error_mm": np.array([gap_error]),
        "widening_error_mm": np.array([widening_error]),
        "true_gap_mm": np.array([float(true.get("gap_peak_mm", 0.0))]),
        "true_widening_mm": np.array([float(true.get("widening_mm", 0.0))]),
        "open_at_rest": np.array([bool(truth["parameters"]["open_at_rest"])]),
        "kind": np.array([kind]),
        "cycles_right": np.array([len(cycles) == len(result.cycles)]),
        "excursion_error_mm": np.array([excursion]),
    }


def twitch_clip(claims: Sequence[Twitch], truth: Truth) -> Columns:
    """Count true twitches found, and claims that are none."""
    real = truth["twitches"]

    def same(claim: Twitch, twitch: Truth) -> bool:
        early = twitch["start_s"] - TWITCH_SLACK_S
        late = twitch["end_s"] + TWITCH_SLACK_S
        return claim.start_s <= late and claim.end_s >= early

    found = [any(same(claim, twitch) for claim in claims) for twitch in real]
    false = sum(not any(same(claim, twitch) for twitch in real) for claim in claims)
    return {
        "real": np.array([len(real)]),
        "found": np.array([sum(found)]),
        "false": np.array([false]),
        "minutes": np.array([truth["frames"] / truth["timing"]["fps"] / 60]),
    }


def calibration_clip(header: Header, truth: Truth) -> Columns:
    """Judge what was read off a screen: the spacing, right within 2 %, and the region."""
    true = np.array(truth["calibration"]["mm_per_px"])
    spacing = header.calibration.spacing_mm
    found = spacing is not None
    right = found and bool(np.all(np.abs(np.array(spacing) / true - 1) < 0.02))
    region, (x, y, width, height) = header.region, truth["region_px"]
    sides = np.array(
        [
            region.x - x,
            region.y - y,
            region.x + region.width - x - width,
            region.y + region.height - y - height,
        ]
    )
    return {
        "ruler": np.array([truth["ruler"] is not None]),
        "found": np.array([found]),
        "right": np.array([right]),
        "wrong": np.array([found and not right]),
        "region_right": np.array([bool(np.all(np.abs(sides) <= 3))]),
    }
