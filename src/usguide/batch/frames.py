"""One clip's part of the frames dataset: ``frames.csv`` with types and the clip's key."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from usguide.output.tables import FRAME_COLUMNS
from usguide.output.writing import FRAMES

FRAMES_SCHEMA_NAME = "usguide/frames/1"

_UNITS = {"_px": "px", "_mm": "mm", "_deg": "deg", "_per_s": "1/s", "_s": "s"}
"""By how a column's name ends; the first that fits."""


def frames_schema() -> pa.Schema:
    """Return the columns of the dataset with their types, units as metadata."""
    fields = [pa.field("clip", pa.string(), nullable=False)]
    for name in FRAME_COLUMNS:
        unit = next((unit for end, unit in _UNITS.items() if name.endswith(end)), None)
        about = None if unit is None else {"unit": unit}
        fields.append(pa.field(name, _type_of(name), metadata=about))
    return pa.schema(fields, metadata={"schema": FRAMES_SCHEMA_NAME})


def _type_of(name: str) -> pa.DataType:
    if name in ("frame", "duplicate_of"):
        return pa.int32()
    if name == "source_name":
        return pa.string()
    return pa.bool_() if name == "tip_visible" else pa.float64()


def write_frames_part(directory: Path, key: str, path: Path) -> None:
    """Write a finished clip's frames as Parquet.

    Parameters
    ----------
    directory : Path
        Where the clip's results are.
    key : str
        The clip's key: the column ``clip``.
    path : Path
        Where the part goes.
    """
    schema = frames_schema()
    table = pacsv.read_csv(
        directory / FRAMES,
        convert_options=pacsv.ConvertOptions(
            column_types={name: _type_of(name) for name in FRAME_COLUMNS},
            strings_can_be_null=True,
            null_values=[""],
            true_values=["1"],
            false_values=["0"],
        ),
        read_options=pacsv.ReadOptions(use_threads=False),
    )
    clip = pa.repeat(pa.scalar(key), table.num_rows)
    pq.write_table(table.add_column(0, "clip", clip).cast(schema), path, compression="zstd")
