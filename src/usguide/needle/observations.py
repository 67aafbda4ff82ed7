"""What the frames of a clip show, gathered one by one: lines and spots that may be a needle."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.model import Floats, Frame, Header
from usguide.needle.candidates import Candidates, Workspace, search
from usguide.needle.drift import Drift
from usguide.needle.evidence import Odds, log_odds
from usguide.needle.pool import Pool
from usguide.needle.ridges import Float32
from usguide.needle.shaft import Glance, examine
from usguide.needle.spots import SPOT, find_new_spots, find_spots

NOMINAL_FPS = 30.0
"""Rate at which the needle's kinematics are stated; real times are converted to it."""
MEMORY_FRAMES = 90
"""Frames before a frame against which a spot is new, and online all that are looked back on: 3 s
of a cine."""
FIRST_FRAMES = 8
"""Fewest frames whose mean shows the picture without the needle: in that of fewer it stands out."""
LOOKED_BACK_AT = 4
"""First frames, of which the frames before them say nothing or too little: what is new in them is
told, offline, from those after."""
ALL = slice(None)


class Observations:
    """Candidates and spots of every observed frame, and what the picture is like over them.

    Parameters
    ----------
    header : Header
        The clip.
    """

    def __init__(self, header: Header) -> None:
        self.workspace = Workspace(header.tissue)
        self.frames: list[int] = []
        self.candidates: list[Candidates] = []
        self.spots: list[NDArray[np.void]] = []
        self.new_spots: list[NDArray[np.void]] = []
        self._header = header
        self._drift = Drift(self.workspace.tissue)
        self._slides: list[Floats] = []
        shape = self.workspace.tissue.shape
        self._sum = np.zeros(shape, np.float64)
        self._squares = np.zeros(shape, np.float64)
        self._past = np.zeros(shape, np.float32)
        self._first: list[Float32] = []

    def __len__(self) -> int:
        """How many frames were observed."""
        return len(self.frames)

    def add(self, index: int, frame: Frame) -> None:
        """Look at one distinct frame, in order; see :meth:`NeedleStage.observe`."""
        workspace = self.workspace
        glance = Glance.at(frame, workspace)
        slide = self._drift.follow(glance.small)
        self._slides.append(slide)
        still = _at_rest(glance.small, slide)
        self.new_spots.append(self._newly_seen(still))
        self._remember(still)
        self.frames.append(index)
        self.spots.append(find_spots(glance.small, workspace.tissue, workspace.edge_distance))
        self.candidates.append(examine(glance, search(glance.small, workspace), workspace))

    def numbers(self, part: slice = ALL) -> Floats:
        """When each observed frame was taken, in frames at ``NOMINAL_FPS``, shape (n,)."""
        frames = np.array(self.frames[part])
        if self._header.timing.time_s is not None:
            times = self._header.timing.time_s[frames] * NOMINAL_FPS
            return np.asarray(times, dtype=np.float64)
        return np.asarray(self._header.frame_numbers[frames], dtype=np.float64)

    def slides(self, part: slice = ALL) -> Floats:
        """Slide (x, y) of the picture since the first frame, working px, shape (n, 2)."""
        return np.array(self._slides[part])

    def new_in_all(self) -> list[NDArray[np.void]]:
        """Gather the new spots: of the first frames, those that the later ones have not."""
        first, later = len(self._first), len(self.frames) - len(self._first)
        if later < FIRST_FRAMES:
            return self.new_spots
        mean = ((self._sum - sum(self._first)) / later).astype(np.float32)
        inside = self.workspace.edge_distance - float(np.abs(self._slides).max())
        looked_back = [find_new_spots(still, mean, inside) for still in self._first]
        return looked_back + self.new_spots[first:]

    def weighed(self, candidates: list[Candidates], part: slice = ALL) -> tuple[Pool, Odds]:
        """Pool the candidates of some frames, and weigh them by all frames observed so far.

        Parameters
        ----------
        candidates : list of structured arrays of ``CANDIDATE``
            Of each of those frames.
        part : slice
            Which of the observed frames they are of.
        """
        pool = Pool.of(candidates, self.slides(part), self.workspace)
        mean = self._sum / len(self.frames)
        variance = np.maximum(self._squares / len(self.frames) - mean**2, 0)
        deviation = np.sqrt(variance).astype(np.float32)
        return pool, log_odds(pool, mean.astype(np.float32), deviation, len(candidates))

    def _newly_seen(self, still: Float32) -> NDArray[np.void]:
        """Spots that the frames before this one have not, where all of them showed tissue."""
        if not self.frames:
            return np.zeros(0, SPOT)
        slid = float(np.abs(self._slides[-MEMORY_FRAMES:]).max())
        return find_new_spots(still, self._past, self.workspace.edge_distance - slid)

    def _remember(self, still: Float32) -> None:
        """Add a frame to the mean and deviation of the picture, and to its recent mean."""
        cv2.accumulate(still, self._sum)
        cv2.accumulateSquare(still, self._squares)
        cv2.accumulateWeighted(still, self._past, 1.0 / min(len(self.frames) + 1, MEMORY_FRAMES))
        if len(self._first) < LOOKED_BACK_AT:
            self._first.append(still)


def _at_rest(small: Float32, slide: Floats) -> Float32:
    """Take the picture's slide out of a reduced frame."""
    shift = np.array([[1.0, 0.0, -slide[0]], [0.0, 1.0, -slide[1]]])
    size = small.shape[::-1]
    return np.asarray(cv2.warpAffine(small, shift, size, borderMode=cv2.BORDER_REPLICATE))
