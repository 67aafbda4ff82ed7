"""All candidates of a clip, and how they lie to one another."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usguide.model import Bools, Floats
from usguide.needle.candidates import Candidates, Workspace

REFERENCES = 64
"""Frames, spread over the clip, that every candidate is compared with."""
SAME_TURN_DEG = 5.0
SAME_OFFSET_PX = 4.0
"""Lines closer than this at the tip, and as parallel, are taken for one (working px)."""


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """All candidates of a clip in working px, ordered by frame, the picture's slide taken out.

    Parameters
    ----------
    frame : ndarray of int64, shape (n,)
        Position of the frame among those observed.
    records : structured array of ``CANDIDATE``, shape (n,)
        As stored.
    slide : ndarray of float64, shape (n, 2)
        Slide of the picture in the candidate's frame, which was taken out of its place.
    tip, tail, along : ndarray of float64, shape (n, 2)
        Working px; ``along`` is the unit vector from tail to tip.
    """

    frame: NDArray[np.int64]
    records: Candidates
    slide: Floats
    tip: Floats
    tail: Floats
    along: Floats

    @classmethod
    def of(cls, frames: list[Candidates], drift: Floats, workspace: Workspace) -> Pool:
        """Gather the candidates of every observed frame.

        Parameters
        ----------
        frames : list of structured arrays
            Candidates of each frame, region px.
        drift : ndarray, shape (len(frames), 2)
            Slide of the picture since the first frame, working px.
        workspace : Workspace
            Sizes and masks of the clip.
        """
        records = np.concatenate(frames)
        frame = np.repeat(np.arange(len(frames)), [len(f) for f in frames])
        tip = workspace.to_working(
            np.column_stack([records["tip_x"], records["tip_y"]]).astype(np.float64)
        )
        tail = workspace.to_working(
            np.column_stack([records["tail_x"], records["tail_y"]]).astype(np.float64)
        )
        tip -= drift[frame]
        tail -= drift[frame]
        along = tip - tail
        along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
        return cls(frame, records, drift[frame], tip, tail, along)

    @property
    def lines(self) -> Floats:
        """Tip and unit vector of each, shape (n, 4), working px."""
        return np.ascontiguousarray(np.hstack([self.tip, self.along]))

    def of_frame(self, frame: int) -> NDArray[np.int64]:
        """Which candidates one observed frame has."""
        return np.arange(*np.searchsorted(self.frame, [frame, frame + 1]))

    @property
    def length(self) -> Floats:
        """Length of each shaft, working px."""
        return np.asarray(np.linalg.norm(self.tip - self.tail, axis=1))

    @property
    def inclination_deg(self) -> Floats:
        """Angle of each shaft from the horizontal, 0 to 90."""
        return np.degrees(np.arctan2(np.abs(self.along[:, 1]), np.abs(self.along[:, 0])))


def spread(count: int, most: int = REFERENCES) -> NDArray[np.int64]:
    """Choose at most so many of ``count`` positions, spread evenly."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


def displacements(
    pool: Pool, origin: NDArray[np.int64], other: NDArray[np.int64]
) -> tuple[Bools, Floats, Floats]:
    """Compare the lines and tips of two sets of candidates, all with all.

    Parameters
    ----------
    pool : Pool
        The candidates.
    origin, other : ndarray of int64, shapes (a,) and (b,)
        Which.

    Returns
    -------
    parallel : ndarray of bool, shape (a, b)
        Whether they are within ``SAME_TURN_DEG``.
    forward, sideways : ndarray of float64, shape (a, b)
        The other tip along the origin's line, and its distance from that line, working px.
    """
    along = pool.along[origin]
    parallel = along @ pool.along[other].T > math.cos(math.radians(SAME_TURN_DEG))
    dx = pool.tip[other, 0] - pool.tip[origin, 0][:, None]
    dy = pool.tip[other, 1] - pool.tip[origin, 1][:, None]
    forward = dx * along[:, :1] + dy * along[:, 1:]
    sideways = np.abs(dy * along[:, :1] - dx * along[:, 1:])
    return parallel, forward, sideways


def slid_with_picture(pool: Pool, origin: NDArray[np.int64], other: NDArray[np.int64]) -> Floats:
    """How far the picture slid along each origin's line between two candidates; (a, b)."""
    along = pool.along[origin]
    dx = pool.slide[other, 0] - pool.slide[origin, 0][:, None]
    dy = pool.slide[other, 1] - pool.slide[origin, 1][:, None]
    return np.asarray(dx * along[:, :1] + dy * along[:, 1:])


def on_line_of(pool: Pool, index: int, others: NDArray[np.int64]) -> Bools:
    """Which of some candidates lie along the line of one."""
    parallel, _, sideways = displacements(pool, np.array([index]), others)
    return np.asarray(parallel[0] & (sideways[0] < SAME_OFFSET_PX))
