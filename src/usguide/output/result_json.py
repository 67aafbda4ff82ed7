"""``result.json``: everything measured, for machines.

Every key of the schema ``usguide/result/1`` is always there. Where a key does not apply a list is
empty and anything else is null; NaN and infinity are never written.
"""

from __future__ import annotations

import json
import math
from importlib import resources
from typing import Any

import numpy as np

from usguide.model import (
    Analysis,
    Collection,
    ContractionResult,
    FasciaResult,
    Floats,
    Header,
    Measurement,
    MuscleResult,
    NeedleTrack,
    Options,
    Separation,
    Strain,
    Task,
    Thickness,
    Twitch,
)

SCHEMA = "usguide/result/1"

Json = dict[str, Any]

# Digits after the point: 0.1 um, 0.1 ms and a ten-thousandth of a pixel are below anything
# measured here, and keep the file readable.
_DIGITS = 4


def result_document(analysis: Analysis) -> Json:
    """Return the analysis as plain dicts, lists, strings and finite numbers."""
    header = header_document(analysis.header)
    return {
        "schema": SCHEMA,
        "version": analysis.version,
        "source": header["source"],
        "region_px": header["region_px"],
        "calibration": header["calibration"],
        "timing": header["timing"],
        "options": options_document(analysis.options),
        "fascia": _fascia(analysis.fascia),
        "muscle": _muscle(analysis.muscle),
        "needle": _needle(analysis.needle),
        "twitches": [_twitch(twitch) for twitch in analysis.motion.twitches],
        "twitches_reason": analysis.motion.twitches_reason or None,
        "contraction": _contraction(analysis.motion.contraction),
        "seconds": {name: _number(spent) for name, spent in analysis.seconds.items()},
        "warnings": list(analysis.warnings),
    }


def header_document(header: Header) -> Json:
    """Return what is known before measuring: source, region, calibration, timing, warnings."""
    region, calibration, timing = header.region, header.calibration, header.timing
    spacing = calibration.spacing_mm
    return {
        "source": {
            "path": header.name,
            "sha256": header.sha256,
            "study": header.study,
            "kind": header.kind.value,
            "frames": header.frames,
            "width": header.width,
            "height": header.height,
        },
        "region_px": [region.x, region.y, region.width, region.height],
        "calibration": {
            "mm_per_px": None if spacing is None else [float(spacing[0]), float(spacing[1])],
            "source": calibration.source.value,
            "confidence": _number(calibration.confidence),
            "detail": calibration.detail,
        },
        "timing": {
            "source": timing.source.value,
            "fps": _number(timing.fps),
            "duration_s": _number(timing.duration_s),
            "duplicates": timing.duplicates,
        },
        "warnings": list(header.warnings),
    }


def options_document(options: Options) -> Json:
    """Return what the user asked for."""
    return {
        "tasks": [task.value for task in Task if task in options.tasks],
        "spacing_mm": None if options.spacing_mm is None else list(options.spacing_mm),
        "region_px": list(options.region) if isinstance(options.region, tuple) else None,
        "region_number": options.region if isinstance(options.region, int) else None,
        "fps": options.fps,
        "hints": [{"frame": one.frame, "tip_px": _point(one.tip_px)} for one in options.hints],
        "online": options.online,
    }


def to_json(document: Json) -> str:
    """Serialise; a NaN that slipped through is an error here, not in somebody's parser."""
    return json.dumps(document, allow_nan=False, ensure_ascii=False, indent=2) + "\n"


def result_schema() -> Json:
    """Return the JSON Schema (draft 2020-12) of ``result.json``."""
    text = resources.files("usguide.output").joinpath("result.schema.json").read_text("utf-8")
    schema: Json = json.loads(text)
    return schema


def _fascia(fascia: FasciaResult) -> Json:
    return {
        "status": fascia.status.value,
        "reason": fascia.reason,
        "confidence": _number(fascia.confidence),
        "insertion_px": _point(fascia.insertion_px),
        "side": None if fascia.side is None else fascia.side.value,
        "thickness_mm": _thickness(fascia.thickness_mm),
        "thickness_px": _thickness(fascia.thickness_px),
        "category": None if fascia.category is None else fascia.category.value,
        "echogenicity": measurement_document(fascia.echogenicity),
        "fibrillar_score": measurement_document(fascia.fibrillar_score),
        "fat_pad_mm": measurement_document(fascia.fat_pad_mm),
        "discontinuity": [
            {
                "distance_mm": _number(gap.distance_mm),
                "width_mm": _number(gap.width_mm),
                "confidence": _number(gap.confidence),
            }
            for gap in fascia.discontinuity
        ],
        "biconvexity_mm": measurement_document(fascia.biconvexity_mm),
        "fluid": [
            {
                "border": layer.border.value,
                "distance_mm": _number(layer.distance_mm),
                "extent_mm": _number(layer.extent_mm),
                "thickness_mm": measurement_document(layer.thickness_mm),
                "confidence": _number(layer.confidence),
                "outline_px": [_point(point) for point in layer.outline_px],
            }
            for layer in fascia.fluid
        ],
        "spur": None
        if fascia.spur is None
        else {
            "length_mm": measurement_document(fascia.spur.length_mm),
            "tip_px": _point(fascia.spur.tip_px),
            "confidence": _number(fascia.spur.confidence),
        },
        "not_measured": [{"what": one.what, "reason": one.reason} for one in fascia.not_measured],
        "borders_px": {
            "superficial": _polyline(fascia.superficial_px),
            "deep": _polyline(fascia.deep_px),
        },
        "bone_px": _polyline(fascia.bone_px),
        "reference_frame": fascia.reference_frame,
        "frames_used": fascia.frames_used,
    }


def _thickness(thickness: Thickness | None) -> Json | None:
    if thickness is None:
        return None
    return {
        "insertion": measurement_document(thickness.insertion),
        "maximum": measurement_document(thickness.maximum),
        "maximum_distance": _number(thickness.maximum_distance),
        "stations": [
            {
                "distance_mm": _number(station.distance_mm),
                **_interval(station.thickness),
            }
            for station in thickness.stations
        ],
    }


def _muscle(muscle: MuscleResult) -> Json:
    return {
        "status": muscle.status.value,
        "reason": muscle.reason,
        "thickness_mm": measurement_document(muscle.thickness_mm),
        "thickness_px": measurement_document(muscle.thickness_px),
        "echo_intensity": measurement_document(muscle.echo_intensity),
        "borders_px": {
            "superficial": _polyline(muscle.superficial_px),
            "deep": _polyline(muscle.deep_px),
        },
        "reference_frame": muscle.reference_frame,
    }


def _needle(needle: NeedleTrack) -> Json:
    return {
        "status": needle.status.value,
        "reason": needle.reason,
        "plane": None if needle.plane is None else needle.plane.value,
        "frames_visible": needle.frames_visible,
        "tip_95_px": _tip_95(needle),
        "passes": [
            {
                "start_frame": one.start_frame,
                "deepest_frame": one.deepest_frame,
                "end_frame": one.end_frame,
                "start_s": _number(one.start_s),
                "deepest_s": _number(one.deepest_s),
                "end_s": _number(one.end_s),
                "depth_mm": _number(one.depth_mm),
                "depth_px": _number(one.depth_px),
                "in_fascia_s": _number(one.in_fascia_s),
            }
            for one in needle.passes
        ],
        "passes_certain": needle.passes_certain,
        "closest_to_fascia_mm": _number(needle.closest_to_fascia_mm),
        "first_in_fascia_s": _number(needle.first_in_fascia_s),
        "in_fascia_s": _number(needle.in_fascia_s),
    }


def _tip_95(needle: NeedleTrack) -> list[float | None] | None:
    """Half axes of the tip's 95 % ellipse, along the shaft and across, median over the frames."""
    if needle.tip_ellipse_px is None or not needle.frames_visible:
        return None
    along, across = np.nanmedian(needle.tip_ellipse_px, axis=0)
    return [_number(along), _number(across)]


def _twitch(twitch: Twitch) -> Json:
    return {
        "start_s": _number(twitch.start_s),
        "end_s": _number(twitch.end_s),
        "peak_mm": _number(twitch.peak_mm),
        "peak_velocity_mm_s": _number(twitch.peak_velocity_mm_s),
        "centre_px": _point(twitch.centre_px),
        "confidence": _number(twitch.confidence),
        "needle_pass": twitch.needle_pass,
    }


def _contraction(contraction: ContractionResult) -> Json:
    return {
        "status": contraction.status.value,
        "reason": contraction.reason,
        "cycles": [
            {
                "start_frame": cycle.start_frame,
                "peak_frame": cycle.peak_frame,
                "end_frame": cycle.end_frame,
                "start_s": _number(cycle.start_s),
                "peak_s": _number(cycle.peak_s),
                "end_s": _number(cycle.end_s),
                "excursion_mm": _number(cycle.excursion_mm),
                "excursion_px": _number(cycle.excursion_px),
            }
            for cycle in contraction.cycles
        ],
        "rest_known": contraction.rest_known,
        "separation": _separation(contraction.separation),
        "collections": [_collection(one) for one in contraction.collections],
        "strain": None if contraction.strain is None else _strain(contraction.strain),
    }


def _strain(strain: Strain) -> Json:
    return {
        "status": strain.status.value,
        "reason": strain.reason,
        "peak": measurement_document(strain.peak),
        "peak_rate_per_s": measurement_document(strain.peak_rate_per_s),
    }


def _separation(separation: Separation) -> Json:
    return {
        "flag": separation.flag.value,
        "reason": separation.reason,
        "gap_rest_mm": measurement_document(separation.gap_rest_mm),
        "gap_peak_mm": measurement_document(separation.gap_peak_mm),
        "widening_mm": measurement_document(separation.widening_mm),
        "torn_fraction": measurement_document(separation.torn_fraction),
        "grade": separation.grade,
        "location_px": _point(separation.location_px),
        "defect_at_rest": separation.defect_at_rest,
    }


def _collection(collection: Collection) -> Json:
    return {
        "area_mm2": _number(collection.area_mm2),
        "extent_mm": _number(collection.extent_mm),
        "centre_px": _point(collection.centre_px),
        "confidence": _number(collection.confidence),
        "outline_px": [_point(point) for point in collection.outline_px],
    }


def measurement_document(measurement: Measurement | None) -> Json | None:
    """Return a measurement with its interval and unit, None where there is none."""
    return None if measurement is None else _interval(measurement)


def _interval(measurement: Measurement) -> Json:
    return {
        "value": _number(measurement.value),
        "low": _number(measurement.low),
        "high": _number(measurement.high),
        "unit": measurement.unit,
    }


def _number(value: float | None) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), _DIGITS)


def _point(point: tuple[float, float] | None) -> list[float | None] | None:
    if point is None or not all(math.isfinite(coordinate) for coordinate in point):
        return None
    return [_number(point[0]), _number(point[1])]


def _polyline(points: Floats | None) -> list[list[float]]:
    """Points of shape (k, 2) as a list; those with an unknown coordinate are left out."""
    if points is None:
        return []
    known = np.asarray(points, dtype=np.float64)
    known = known[np.isfinite(known).all(axis=1)]
    pairs: list[list[float]] = np.round(known, _DIGITS).tolist()
    return pairs
