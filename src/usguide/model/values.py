"""What every result is made of: arrays, intervals, a status, two borders through a clip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Point = tuple[float, float]

Progress = Callable[[str, int, int], None]
"""Called as ``progress(stage_name, done, total)``; ``total`` is 0 where it is not known yet."""


def unwatched(name: str, done: int, total: int) -> None:
    """Progress that nobody asked for."""


def printable(text: str) -> str:
    """Return text that UTF-8 can hold: on Unix, names of files may be in any encoding."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class Status(StrEnum):
    """Whether a stage measured, and if not why, in one word; ``reason`` says it in a sentence."""

    MEASURED = "measured"
    NONE_FOUND = "none_found"  # its anatomy or instrument is not in view
    NOT_MEASURED = "not_measured"  # in view, but not measurable
    NOT_REQUESTED = "not_requested"


@dataclass(frozen=True, slots=True)
class Measurement:
    """A value with its 95 % interval.

    Parameters
    ----------
    value, low, high : float
        Finite, with ``low <= value <= high``.
    unit : str
        Unit as printed, e.g. ``"mm"``, ``"px"``, ``"1"``.

    Raises
    ------
    ValueError
        If the numbers are not finite and ordered.
    """

    value: float
    low: float
    high: float
    unit: str

    def __post_init__(self) -> None:
        if not (np.isfinite(self.low) and np.isfinite(self.high)):
            raise ValueError(f"interval [{self.low}, {self.high}] is not finite")
        if not self.low <= self.value <= self.high:
            raise ValueError(f"{self.value} lies outside its interval [{self.low}, {self.high}]")

    def scaled(self, factor: float, unit: str) -> Measurement:
        """Return the same measurement times a positive ``factor``, in ``unit``."""
        return Measurement(self.value * factor, self.low * factor, self.high * factor, unit)


@dataclass(frozen=True, slots=True, eq=False)
class Borders:
    """Two borders as functions of x, per frame, in source px.

    Parameters
    ----------
    x_px : ndarray, shape (k,)
        Common abscissae, increasing.
    superficial_y_px, deep_y_px : ndarray of float32, shape (frames, k)
        NaN where a border is not known.
    """

    x_px: Floats
    superficial_y_px: NDArray[np.float32]
    deep_y_px: NDArray[np.float32]

    def at(self, frame: int) -> tuple[Floats, Floats]:
        """Superficial and deep border in one frame, each (k, 2); y is NaN where it is not known."""
        top, bottom = self.superficial_y_px[frame], self.deep_y_px[frame]
        return np.column_stack([self.x_px, top]), np.column_stack([self.x_px, bottom])


Z_95 = 1.96
"""Half-width of a 95 % interval in standard deviations."""


@dataclass(frozen=True, slots=True)
class NotMeasured:
    """One finding that could not be looked for although its stage measured, and why."""

    what: str
    reason: str
