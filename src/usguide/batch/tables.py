"""``clips.parquet``, ``clips.csv`` and ``failures.csv``: the archive in one table."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from usguide.batch.archive import Unreadable
from usguide.batch.column import Row
from usguide.batch.columns import CLIPS_SCHEMA_NAME, COLUMNS, tasks_in_words
from usguide.batch.identity import Known
from usguide.batch.store import Store, replacing
from usguide.model import printable
from usguide.output.tables import for_spreadsheet
from usguide.output.writing import REPORT

FAILURE_COLUMNS = ("path", "key", "reason")

_TYPES = {"text": pa.string(), "number": pa.float64(), "count": pa.int64()}


def clips_schema() -> pa.Schema:
    """Return the table's columns and types, with units and meanings as metadata."""
    return pa.schema(
        [
            pa.field(
                one.name, _TYPES[one.kind], metadata={"unit": one.unit, "description": one.about}
            )
            for one in COLUMNS
        ],
        metadata={"schema": CLIPS_SCHEMA_NAME},
    )


def clip_rows(store: Store, clips: Sequence[Known]) -> list[dict[str, Any]]:
    """Return a row per recording, finished, failed or still to do, in the archive's order."""
    first: dict[str, str] = {}
    rows = []
    for clip in clips:
        entry, path = clip.entry, printable(str(clip.entry.path))
        row: dict[str, Any] = {one.name: None for one in COLUMNS}
        row["tasks"] = tasks_in_words(entry.options)
        record = store.record(clip.key)
        if record is not None:
            row |= {name: value for name, value in record.items() if name in row}
            report = store.clip_directory(clip.key) / REPORT
            row["report"] = report.relative_to(store.root).as_posix()
        elif (failure := store.failure(clip.key)) is not None:
            row |= {"outcome": "failed", "reason": failure["reason"]}
        known = {
            "key": clip.key,
            "path": path,
            "sha256": clip.sha256,
            "duplicate_of": first.get(clip.key),
            "subject": entry.subject or None,
            "session": entry.session or None,
            "time_point": entry.time_point or None,
            "side": entry.side or None,
        }
        first.setdefault(clip.key, path)
        rows.append(row | known)
    return rows


def write_tables(store: Store, rows: Sequence[Row], unreadable: Sequence[Unreadable]) -> None:
    """Write the table of clips twice, and what failed."""
    table = pa.Table.from_pylist(list(rows), schema=clips_schema())
    with replacing(store.root / "clips.parquet") as partial:
        pq.write_table(table, partial, compression="zstd")
    with replacing(store.root / "clips.csv") as partial:
        write_csv(table, partial)
    failed = [
        (row["path"], row["key"], row["reason"]) for row in rows if row["outcome"] == "failed"
    ]
    closed = [(printable(str(one.path)), "", one.reason) for one in unreadable]
    with (
        replacing(store.root / "failures.csv") as partial,
        partial.open("w", encoding="utf-8", newline="") as file,
    ):
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(FAILURE_COLUMNS)
        lines.writerows(
            [for_spreadsheet(str(cell)) for cell in line] for line in [*failed, *closed]
        )


def write_csv(table: pa.Table, path: Path) -> None:
    """Write a table as CSV, of whose texts no spreadsheet makes a formula."""
    rows = [
        {
            name: for_spreadsheet(cell) if isinstance(cell, str) else cell
            for name, cell in row.items()
        }
        for row in table.to_pylist()
    ]
    pacsv.write_csv(pa.Table.from_pylist(rows, schema=table.schema), path)
