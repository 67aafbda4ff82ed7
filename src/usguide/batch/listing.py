"""A listing of clips: a CSV with a row a clip, its options, and whose it is."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path

from usguide.errors import ConfigError, UnreadableError
from usguide.model import Options
from usguide.request import read_options

OPTION_COLUMNS = {"task": "tasks", "spacing": "spacing_mm", "region": "region", "fps": "fps"}
"""What a column gives, by its name: a field of :class:`usguide.model.Options`."""
IDENTITY_COLUMNS = ("subject", "session", "time_point", "side")
COLUMNS = ("path", *OPTION_COLUMNS, *IDENTITY_COLUMNS)
DELIMITERS = ",;\t"
"""Spreadsheets write one or another, by the country they are set to."""


@dataclass(frozen=True, slots=True)
class Row:
    """A clip as the listing gives it; ``line`` is where."""

    line: int
    path: Path
    options: Options
    subject: str
    session: str
    time_point: str
    side: str


def read_listing(path: Path, options: Options) -> tuple[list[Row], list[str]]:
    """Read a listing.

    Parameters
    ----------
    path : Path
        UTF-8 with a header line, whose cells tell which delimiter parts them all: comma, semicolon
        or tab. ``path`` is required, absolute or from the listing's own folder.
        ``task`` (several joined by ``;``), ``spacing``, ``region`` and ``fps`` are written as on
        the command line, with ``;`` or ``,`` between numbers; ``subject``, ``session``,
        ``time_point`` and ``side`` are kept as they are.
    options : Options
        What holds where a cell is empty.

    Returns
    -------
    rows : list of Row
    unused : list of str
        Names of columns that mean nothing here.

    Raises
    ------
    UnreadableError
        If it cannot be read as UTF-8 text.
    ConfigError
        If a column is missing or an option makes no sense; the message names the line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            file.seek(0)
            table = csv.DictReader(file, delimiter=max(DELIMITERS, key=header.count), strict=True)
            names = [name.strip() for name in table.fieldnames or ()]
            table.fieldnames = names
            if "path" not in names:
                raise ConfigError(
                    f"{path}: has no column 'path' (it has {', '.join(names) or 'none'}); the "
                    f"columns are {', '.join(COLUMNS)}, of which path is required."
                )
            rows = [_row(path, table.line_num, cells, options) for cells in table]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnreadableError(f"{path}: is not a CSV in UTF-8 ({error}).") from error
    return rows, [name for name in names if name and name not in COLUMNS]


def _row(listing: Path, line: int, cells: dict[str, str | None], options: Options) -> Row:
    text = {name: (cells.get(name) or "").strip() for name in COLUMNS}
    if not text["path"]:
        raise ConfigError(f"{listing}, line {line}: the path is empty; give each clip's path.")
    try:
        settled = _settled(text, options)
    except ConfigError as error:
        raise ConfigError(f"{listing}, line {line}: {error}") from error
    return Row(
        line,
        listing.parent / text["path"],
        settled,
        *(text[name] for name in IDENTITY_COLUMNS),
    )


def _settled(text: dict[str, str], options: Options) -> Options:
    asked: dict[str, object] = {
        name: text[name].replace(";", ",") for name in OPTION_COLUMNS if text[name]
    }
    if "task" in asked:
        asked["task"] = [name.strip() for name in str(asked["task"]).split(",")]
    given = read_options(asked)
    return replace(
        options, **{OPTION_COLUMNS[name]: getattr(given, OPTION_COLUMNS[name]) for name in asked}
    )
