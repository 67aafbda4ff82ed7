"""What an earlier or a later examination says: from its results on disk, or from an analysis."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from usguide.errors import UnreadableError
from usguide.followup.quantities import Conditions, Quantity, Reading, Stage, station_column
from usguide.model import Analysis, Floats, Measurement
from usguide.output.result_json import SCHEMA, Json, result_document
from usguide.output.writing import PROFILE, RESULT


@dataclass(frozen=True, slots=True, eq=False)
class Thicknesses:
    """Fascia thickness from the insertion onwards in mm, with its 95 % interval; shapes (k,)."""

    distance_mm: Floats
    thickness_mm: Floats
    low_mm: Floats
    high_mm: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Examined:
    """One examination as it is compared.

    Parameters
    ----------
    recording : str
        Path of what was examined.
    sha256 : str
        Hash of its content.
    version : str
        Version of the program that measured.
    conditions : Conditions
        How it was recorded.
    readings : dict of str to Reading
        By name of the quantity.
    profile : Thicknesses or None
        None where there is no fascia, or no scale.
    """

    recording: str
    sha256: str
    version: str
    conditions: Conditions
    readings: dict[str, Reading]
    profile: Thicknesses | None


def is_result(path: Path) -> bool:
    """Return whether a path is that of results rather than of a recording."""
    return path.suffix.lower() == ".json" or (path / RESULT).is_file()


def read_result(path: Path, quantities: tuple[Quantity, ...]) -> Examined:
    """Read what ``analyze`` wrote.

    Parameters
    ----------
    path : Path
        The folder, or the ``result.json`` in it.
    quantities : tuple of Quantity
        What to read.

    Raises
    ------
    UnreadableError
        If it cannot be read or is no result of this program.
    """
    file = path / RESULT if path.is_dir() else path
    try:
        document = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise UnreadableError(f"{file} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise UnreadableError(
            f"{file}: is not a result of usguide (it is not JSON: {error}); give a folder that "
            "analyze wrote, or the recording."
        ) from error
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        raise UnreadableError(
            f"{file}: is not a result that this version reads (its schema is {schema}, not "
            f"{SCHEMA}); analyze the recording again."
        )
    try:
        return _examined(document, quantities, _profile(file.with_name(PROFILE)))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UnreadableError(
            f"{file}: is damaged ({type(error).__name__}: {error}); analyze the recording again."
        ) from error


def of_analysis(analysis: Analysis, quantities: tuple[Quantity, ...]) -> Examined:
    """Return an analysis as it is compared."""
    found = analysis.fascia.profile
    profile = None
    if found is not None and found.unit == "mm":
        profile = Thicknesses(found.distance, found.thickness, found.low, found.high)
    return _examined(result_document(analysis), quantities, profile)


def _examined(
    document: Json, quantities: tuple[Quantity, ...], profile: Thicknesses | None
) -> Examined:
    source, calibration = document["source"], document["calibration"]
    spacing = calibration["mm_per_px"]
    measured = _measured(document)
    reasons = {
        Stage.FASCIA: document["fascia"]["reason"],
        Stage.MUSCLE: document["muscle"]["reason"],
        Stage.GAP: document["contraction"]["separation"]["reason"],
    }
    return Examined(
        str(source["path"]),
        str(source["sha256"]),
        str(document["version"]),
        Conditions(
            str(calibration["source"]),
            None if spacing is None else (float(spacing[0]), float(spacing[1])),
            str(source["kind"]),
            (int(source["width"]), int(source["height"])),
            document["fascia"]["side"],
        ),
        {
            one.name: Reading(_measurement(measured.get(one.name)), str(reasons[one.stage] or ""))
            for one in quantities
        },
        profile,
    )


def _measured(document: Json) -> dict[str, Any]:
    """Return every quantity's part of the document, by the name of its column.

    A thickness without a scale is there in px: so that it is listed, and declined.
    """
    fascia, muscle = document["fascia"], document["muscle"]
    thickness = fascia["thickness_mm"] or fascia["thickness_px"] or {"stations": []}
    separation = document["contraction"]["separation"]
    found = {
        "fascia_insertion_mm": thickness.get("insertion"),
        "fascia_maximum_mm": thickness.get("maximum"),
        "muscle_thickness_mm": muscle["thickness_mm"] or muscle["thickness_px"],
        "muscle_echo_intensity": muscle["echo_intensity"],
        "gap_rest_mm": separation["gap_rest_mm"],
        "gap_peak_mm": separation["gap_peak_mm"],
        "widening_mm": separation["widening_mm"],
    }
    return found | {station_column(one["distance_mm"]): one for one in thickness["stations"]}


def _measurement(part: Any) -> Measurement | None:
    if part is None:
        return None
    return Measurement(
        float(part["value"]), float(part["low"]), float(part["high"]), str(part["unit"])
    )


def _profile(path: Path) -> Thicknesses | None:
    """Read the profile that lies beside a result, if there is one in millimetres."""
    if not path.is_file():
        return None
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = ("distance_mm", "thickness_mm", "thickness_low_mm", "thickness_high_mm")
    if not rows or names[0] not in rows[0]:
        return None
    table = np.array([[float(row[name]) for name in names] for row in rows])
    return Thicknesses(*table.T)
