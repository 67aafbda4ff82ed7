"""A heel that was found, and what is kept of the frames it was followed through."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from usguide.fascia.appearance import Appearance
from usguide.fascia.thickness import FrameProfile
from usguide.fascia.tracking import Tracker

LOOKS_FIRST = 3
"""Frames at the beginning, of a clip or of a heel found, that are all looked at closely."""
LOOK_EVERY = SEARCH_EVERY = 12
"""Later, every so many frames the heel is looked for where it was followed to, or, where there is
none to follow, in the whole picture."""
CONFIRMED_MIN = 0.4
"""Share of the looks that must show the heel: an accident is not seen again and again."""


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """What is kept of one frame, some hundred bytes.

    ``quality`` is 0 to 1; the rows of both borders are float32 of shape (columns,), source px, at
    the abscissae of :class:`usguide.fascia.description.Description`, NaN where not seen.
    """

    index: int
    quality: float
    profile: FrameProfile
    upper_y_px: NDArray[np.float32]
    lower_y_px: NDArray[np.float32]


@dataclass(slots=True, eq=False)
class Series:
    """A heel that was found, and the frames it was followed through."""

    tracker: Tracker
    index: int
    records: list[Record] = field(default_factory=list)
    readings: list[Appearance] = field(default_factory=list)
    looks: int = 1
    seen: int = 1
    doubted: bool = False
    """Whether the last look at it failed: then every frame is looked at until it is seen again."""

    @property
    def due(self) -> bool:
        """Whether the next frame is to be looked at closely."""
        first = self.looks < LOOKS_FIRST
        return self.doubted or first or len(self.records) % LOOK_EVERY == 0

    def confirmed(self, least: int) -> bool:
        """Say whether it was looked at often enough and mostly seen."""
        return self.looks >= least and self.seen >= CONFIRMED_MIN * self.looks

    @property
    def weight(self) -> float:
        """How much it was seen: the sum of its frames' quality."""
        return sum(record.quality for record in self.records)
