"""The needle as one sees it who watches a clip arrive: no frame waits for a later one."""

from __future__ import annotations

import numpy as np

from usguide.model import Floats
from usguide.needle.description import Shafts
from usguide.needle.observations import FIRST_FRAMES, MEMORY_FRAMES, Observations
from usguide.needle.spot_path import SpotPath, follow_new_spot, follow_spot
from usguide.needle.track import CONVINCING, CONVINCING_BESIDE_SPOT, likeliest

LATELY = slice(-MEMORY_FRAMES, None)
NEW_BY_THEN = 20
"""Frames in which a spot must have been seen, newer than all else throughout, before it is taken
for a cross-section. In clips without one it was newer for a while, in up to 7 frames, and in 26 of
a phantom; in clips with one, to the end. Of a needle withdrawn in the plane the place where its tip
had been was so for long, and was seen in 8 frames."""


class Online:
    """Decides where the needle is in the newest frame; the plane is that of the first claim.

    Parameters
    ----------
    observations : Observations
        Of the clip, one frame longer at every call of :meth:`decide`.
    """

    def __init__(self, observations: Observations) -> None:
        self._seen = observations
        self._shafts: list[tuple[int, float]] = []
        self._crossing: list[tuple[Floats, float]] = []
        self._new_for = 0

    def decide(self) -> None:
        """Say where the needle is in the newest frame, as :func:`~.whole_clip.decide` does of all.

        A needle is not claimed before ``FIRST_FRAMES``.
        """
        numbers = self._seen.numbers(LATELY)
        spot, outshines = None, False
        if len(self._seen) >= FIRST_FRAMES and not any(k >= 0 for k, _ in self._shafts):
            spot = follow_spot(self._seen.spots[LATELY], numbers)
            outshines = spot is not None
            if spot is None:
                new_spots = self._seen.new_spots[LATELY]
                spot = follow_new_spot(new_spots, numbers, self._seen.slides(LATELY))
                self._new_for = 0 if spot is None else self._new_for + (spot.confidence[-1] > 0)
        shaft = -1, 0.0
        crosses = any(sure > 0 for _, sure in self._crossing)
        if not outshines and not crosses:
            shaft = self._shaft(numbers, CONVINCING if spot is None else CONVINCING_BESIDE_SPOT)
        self._shafts.append(shaft)
        sure = outshines or crosses or self._new_for >= NEW_BY_THEN
        if spot is None or shaft[0] >= 0 or not sure:
            self._crossing.append((np.full(2, np.nan), 0.0))
        else:
            self._crossing.append((spot.position[-1], float(spot.confidence[-1])))

    def found(self) -> Shafts | SpotPath | str:
        """Gather what was decided frame by frame, or why nothing was claimed."""
        position = np.array([place for place, _ in self._crossing])
        sure = np.array([confidence for _, confidence in self._crossing])
        if np.any(sure > 0):
            return SpotPath(position, sure)
        place = np.array([which for which, _ in self._shafts])
        if not np.any(place >= 0):
            return (
                "online: in no frame had a line or spot looked and moved as a needle does by then"
            )
        counts = [len(found) for found in self._seen.candidates]
        offsets = np.cumsum(counts) - counts
        records = np.concatenate(self._seen.candidates)[np.where(place >= 0, offsets + place, 0)]
        confidence = np.array([confidence for _, confidence in self._shafts])
        return Shafts(records, confidence, np.zeros(len(place), np.bool_))

    def _shaft(self, numbers: Floats, convincing: float) -> tuple[int, float]:
        """Which candidate of the newest frame is the needle (-1 for none), and how surely."""
        candidates = self._seen.candidates[LATELY]
        if len(candidates) < FIRST_FRAMES or not any(len(found) for found in candidates):
            return -1, 0.0
        pool, odds = self._seen.weighed(candidates, LATELY)
        path = likeliest(pool, odds, numbers, convincing=convincing)
        if path is None or path.chosen[-1] < 0:
            return -1, 0.0
        first = np.searchsorted(pool.frame, len(candidates) - 1)
        return int(path.chosen[-1] - first), float(path.confidence[-1])
