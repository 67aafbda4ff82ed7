"""``result.json`` keeps its schema, whatever was measured."""

import dataclasses
import json
import math
from typing import Any

import jsonschema
import numpy as np
import pytest

import output_analyses as made
from usguide.model import Analysis, Hint, Measurement, Options, Task, Thickness
from usguide.output.result_json import (
    header_document,
    result_document,
    result_schema,
    to_json,
)

# The contract of usguide/result/1, written out once more so that a key cannot be dropped from
# the writer and the schema together.
CONTRACT: dict[str, Any] = {
    "schema": None,
    "version": None,
    "source": dict.fromkeys(("path", "sha256", "kind", "frames", "width", "height")),
    "region_px": None,
    "calibration": dict.fromkeys(("mm_per_px", "source", "confidence", "detail")),
    "timing": dict.fromkeys(("source", "fps", "duration_s", "duplicates")),
    "fascia": {
        **dict.fromkeys(
            (
                "status",
                "reason",
                "confidence",
                "insertion_px",
                "side",
                "thickness_mm",
                "thickness_px",
                "category",
                "echogenicity",
                "fibrillar_score",
                "fat_pad_mm",
                "discontinuity",
                "biconvexity_mm",
                "fluid",
                "spur",
                "not_measured",
                "frames_used",
            )
        ),
        "borders_px": dict.fromkeys(("superficial", "deep")),
    },
    "muscle": {
        **dict.fromkeys(("status", "reason", "thickness_mm", "echo_intensity")),
        "borders_px": dict.fromkeys(("superficial", "deep")),
    },
    "needle": dict.fromkeys(
        ("status", "reason", "plane", "frames_visible", "passes", "closest_to_fascia_mm")
    ),
    "twitches": None,
    "twitches_reason": None,
    "contraction": {
        **dict.fromkeys(("status", "reason", "cycles", "rest_known", "collections")),
        "separation": dict.fromkeys(
            (
                "flag",
                "reason",
                "gap_rest_mm",
                "gap_peak_mm",
                "widening_mm",
                "torn_fraction",
                "grade",
                "location_px",
            )
        ),
    },
    "warnings": None,
}

ANALYSES = {
    "everything": lambda: made.measured(made.clip()),
    "everything, in px, without timing": lambda: made.measured(
        made.clip(calibrated=False, timed=False)
    ),
    "nothing": lambda: made.nothing_measured(made.clip()),
    "nothing, in px, without timing": lambda: made.nothing_measured(
        made.clip(calibrated=False, timed=False)
    ),
    "one frame": lambda: made.nothing_measured(made.clip(frames=1)),
}


@pytest.fixture(params=ANALYSES.values(), ids=ANALYSES.keys())
def analysis(request: pytest.FixtureRequest) -> Analysis:
    return request.param()


def missing(contract: dict[str, Any], document: dict[str, Any], path: str = "") -> list[str]:
    lacking = []
    for key, inner in contract.items():
        if key not in document:
            lacking.append(path + key)
        elif inner is not None:
            lacking += missing(inner, document[key], f"{path}{key}.")
    return lacking


def test_result_is_valid_json_of_the_schema(analysis: Analysis) -> None:
    document = json.loads(to_json(result_document(analysis)))
    jsonschema.Draft202012Validator(result_schema()).validate(document)


def test_every_key_is_always_there(analysis: Analysis) -> None:
    assert missing(CONTRACT, result_document(analysis)) == []


def test_the_schema_requires_every_key() -> None:
    schema = result_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    document = result_document(made.measured(made.clip()))
    for key in CONTRACT:
        without = {name: value for name, value in document.items() if name != key}
        with pytest.raises(jsonschema.ValidationError, match=f"'{key}' is a required"):
            jsonschema.validate(without, schema)


def test_numbers_come_through() -> None:
    document = result_document(made.measured(made.clip()))
    assert document["calibration"]["mm_per_px"] == [0.25, 0.2]
    assert document["fascia"]["thickness_mm"]["insertion"] == {
        "value": 3.4,
        "low": 3.2,
        "high": 3.6,
        "unit": "mm",
    }
    first = document["fascia"]["thickness_mm"]["stations"][0]
    assert first["distance_mm"] == 5.0
    assert first["low"] < first["value"] < first["high"]
    assert document["region_px"] == [10, 20, 140, 90]
    assert document["timing"]["duplicates"] == 3
    assert document["needle"]["plane"] == "in"
    assert document["contraction"]["separation"]["flag"] == "separation"


def test_everything_that_was_asked_for_comes_through() -> None:
    asked = Options(
        frozenset({Task.NEEDLE}),
        spacing_mm=(0.25, 0.2),
        region=2,
        fps=20.0,
        hints=(Hint(3, (60.0, 50.5)), Hint(9, None)),
        online=True,
    )
    whole = dataclasses.replace(made.measured(made.clip()), options=asked)
    document = result_document(whole)
    jsonschema.validate(document, result_schema())
    assert document["options"] == {
        "tasks": ["needle"],
        "spacing_mm": [0.25, 0.2],
        "region_px": None,
        "region_number": 2,
        "fps": 20.0,
        "hints": [{"frame": 3, "tip_px": [60.0, 50.5]}, {"frame": 9, "tip_px": None}],
        "online": True,
    }


def test_what_is_unknown_is_null_and_lists_stay_lists() -> None:
    document = result_document(made.nothing_measured(made.clip(calibrated=False, timed=False)))
    assert document["calibration"]["mm_per_px"] is None
    assert document["timing"]["fps"] is None
    assert document["timing"]["duration_s"] is None
    assert document["fascia"]["thickness_mm"] is None
    assert document["fascia"]["borders_px"] == {"superficial": [], "deep": []}
    assert document["twitches"] == document["needle"]["passes"] == []


def test_not_a_number_never_reaches_the_file() -> None:
    whole = made.measured(made.clip())
    border = np.array([[1.0, 2.0], [math.nan, 3.0], [4.0, 5.0]])
    holed = dataclasses.replace(
        whole,
        fascia=dataclasses.replace(
            whole.fascia,
            superficial_px=border,
            insertion_px=(math.nan, 1.0),
            thickness_mm=Thickness(Measurement(3.0, 2.0, 4.0, "mm"), None, math.inf),
        ),
    )
    document = json.loads(to_json(result_document(holed)))
    assert document["fascia"]["borders_px"]["superficial"] == [[1.0, 2.0], [4.0, 5.0]]
    assert document["fascia"]["insertion_px"] is None
    assert document["fascia"]["thickness_mm"]["maximum_distance"] is None
    with pytest.raises(ValueError, match="JSON"):
        to_json({"stray": math.nan})


def test_info_says_what_the_result_says() -> None:
    analysis = made.measured(made.clip())
    document = result_document(analysis)
    known = header_document(analysis.header)
    assert set(known) == {"source", "region_px", "calibration", "timing", "warnings"}
    assert all(document[key] == value for key, value in known.items())
