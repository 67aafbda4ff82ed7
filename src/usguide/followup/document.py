"""``compare.json``: a comparison for machines, with the schema ``usguide/comparison/1``."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from usguide import __version__
from usguide.followup.change import Change, DetectableChange
from usguide.followup.comparison import Comparison
from usguide.followup.examined import Examined
from usguide.followup.words import headline
from usguide.output.result_json import Json, measurement_document

SCHEMA = "usguide/comparison/1"


def comparison_document(comparison: Comparison) -> Json:
    """Return a comparison as plain dicts, lists, strings and finite numbers."""
    return {
        "schema": SCHEMA,
        "version": __version__,
        "before": _examined(comparison.before),
        "after": _examined(comparison.after),
        "sides": comparison.sides.value,
        "summary": headline(comparison),
        "changes": [_change(one) for one in comparison.changes],
        "notes": list(comparison.notes),
    }


def comparison_schema() -> Json:
    """Return the JSON Schema (draft 2020-12) of ``compare.json``."""
    text = resources.files("usguide.followup").joinpath("comparison.schema.json")
    schema: dict[str, Any] = json.loads(text.read_text("utf-8"))
    return schema


def _examined(one: Examined) -> Json:
    return {
        "recording": one.recording,
        "sha256": one.sha256,
        "version": one.version,
        "scale": one.conditions.scale,
    }


def _change(one: Change) -> Json:
    return {
        "name": one.name,
        "label": one.label,
        "before": measurement_document(one.before),
        "after": measurement_document(one.after),
        "change": measurement_document(one.change),
        "minimal_detectable_change": _detectable(one.detectable),
        "verdict": one.verdict.value,
        "reason": one.reason,
    }


def _detectable(one: DetectableChange | None) -> Json | None:
    if one is None:
        return None
    return {
        "low": round(one.low, 4),
        "high": round(one.high, 4),
        "unit": one.unit,
        "basis": one.basis,
    }
