"""What a user asks of an analysis, in words or numbers, as options."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from usguide.errors import ConfigError
from usguide.model import Hint, Options, Task

CONFIGURABLE = ("output", "task", "spacing", "region", "fps", "hints", "online", "overlay")
"""Options that a configuration file may hold."""


def settle(given: Mapping[str, Any], config: Path | None) -> dict[str, Any]:
    """Join what the line says with what a configuration file says; the line wins.

    Parameters
    ----------
    given : mapping
        By option; None for what is not given.
    config : Path or None
        A TOML file of options.

    Raises
    ------
    ConfigError
        If the file cannot be read, or names or holds what is no option.
    """
    asked = {} if config is None else _read_config(config)
    return asked | {key: value for key, value in given.items() if value is not None}


def _read_config(path: Path) -> dict[str, Any]:
    try:
        asked = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path}: the configuration cannot be read: {error.strerror or error}."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not a TOML file: {error}.") from error
    unknown = sorted(set(asked) - set(CONFIGURABLE))
    if unknown:
        known = ", ".join(CONFIGURABLE)
        raise ConfigError(f"{path}: there is no option {', '.join(unknown)}; there are {known}.")
    if not isinstance(asked.get("overlay", True), bool):
        raise ConfigError(f"{path}: overlay is not true or false.")
    for name, what in (("output", "folder"), ("hints", "file")):
        if not isinstance(asked.get(name, ""), str):
            raise ConfigError(f"{path}: {name} is not the name of a {what} in quotes.")
    try:
        read_options(asked)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return asked


def read_options(asked: Mapping[str, Any]) -> Options:
    """Turn what was asked for, on the line or in a file, into options.

    Parameters
    ----------
    asked : mapping
        ``task`` (a name or a list of them), ``spacing``, ``region`` and ``fps``, as text or as
        numbers, ``hints``, a JSON file, and ``online``, true or false; what is missing or None
        keeps its default.

    Raises
    ------
    ConfigError
        If one of them is no task or not the numbers it should be, or the file is no list of hints;
        as :class:`usguide.model.Options` says.
    """
    spacing = _numbers("spacing", asked.get("spacing"), (1, 2), "MM or X,Y")
    region = _numbers("region", asked.get("region"), (1, 4), "X,Y,W,H in whole pixels, or N")
    fps = _numbers("fps", asked.get("fps"), (1,), "a number")
    return Options(
        tasks=_tasks(asked.get("task", "auto")),
        spacing_mm=None if spacing is None else (spacing[0], spacing[-1]),
        region=None if region is None else _region(region),
        fps=None if fps is None else fps[0],
        hints=() if asked.get("hints") is None else read_hints(Path(asked["hints"])),
        online=_switch("online", asked.get("online", False)),
    )


def _switch(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{name}: {value!r} is not true or false.")
    return value


def read_hints(path: Path) -> tuple[Hint, ...]:
    """Read what a person knows of the needle: ``[{"frame": 3, "tip_px": [x, y]}, ...]``.

    ``"tip_px": null`` says that the tip is not visible in that frame.

    Raises
    ------
    ConfigError
        If the file cannot be read or is no such list.
    """
    form = '[{"frame": 3, "tip_px": [x, y]}, {"frame": 9, "tip_px": null}]'
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: the hints cannot be read: {error.strerror or error}.") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: the hints cannot be read ({error}); give {form}.") from None
    if not isinstance(rows, list):
        raise ConfigError(f"{path}: the hints are no list; give {form}.")
    hints = []
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or set(row) != {"frame", "tip_px"}:
            raise ConfigError(f"{path}: hint {number} has not frame and tip_px; give {form}.")
        frame, tip = row["frame"], row["tip_px"]
        if type(frame) is not int:
            raise ConfigError(f"{path}: hint {number}: frame {frame!r} is no whole number.")
        if tip is not None and not (
            isinstance(tip, list)
            and len(tip) == 2
            and all(type(value) in (int, float) and math.isfinite(value) for value in tip)
        ):
            raise ConfigError(f"{path}: hint {number}: tip_px {tip!r} is not [x, y] or null.")
        hints.append(Hint(frame, None if tip is None else (float(tip[0]), float(tip[1]))))
    return tuple(hints)


def _tasks(names: object) -> frozenset[Any]:
    wanted = [names] if isinstance(names, str) else names
    known = ["auto", *(task.value for task in Task)]
    if not isinstance(wanted, list) or not wanted:
        raise ConfigError(f"task: {names!r} is no task; there are {', '.join(known)}.")
    for name in wanted:
        if name not in known:
            raise ConfigError(f"task: {name!r} is no task; there are {', '.join(known)}.")
    return frozenset(Task) if "auto" in wanted else frozenset(Task(name) for name in wanted)


def _numbers(name: str, value: object, counts: tuple[int, ...], form: str) -> list[float] | None:
    """Read "1,2", 1 or [1, 2] as so many numbers."""
    if value is None:
        return None
    parts: Any = value.split(",") if isinstance(value, str) else value
    parts = parts if isinstance(parts, list) else [parts]
    try:
        # float(True) is 1.0.
        numbers = [] if any(isinstance(part, bool) for part in parts) else [*map(float, parts)]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) not in counts:
        raise ConfigError(f"{name}: {value!r} is not {form}.")
    return numbers


def _region(region: list[float]) -> tuple[int, int, int, int] | int:
    if not all(value.is_integer() for value in region):
        raise ConfigError(f"region: {region} is not X,Y,W,H in whole pixels, or N.")
    if len(region) == 1:
        return int(region[0])
    x, y, width, height = (int(value) for value in region)
    return x, y, width, height
