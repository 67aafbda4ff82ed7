"""Where a needle could be in one frame: bright straight segments that end inside the picture."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.kernels.lines import distinct_segments, keep_close, steps_inside
from usguide.model import Bools, Floats, Frame
from usguide.needle.ridges import Float32, Level, halve, line_segments, reduced

Candidates = NDArray[np.void]

CANDIDATE = np.dtype(
    [
        ("tip_x", np.float32),
        ("tip_y", np.float32),
        ("tail_x", np.float32),
        ("tail_y", np.float32),
        ("score", np.float32),  # sum of the clipped, normalised ridge along the shaft
        ("contrast", np.float32),  # shaft against its two flanks, in units of speckle noise
        ("ridge", np.float32),  # shaft against the brighter of its flanks
        ("near", np.float32),  # the same over the last 8 working px of the shaft
        ("weakest", np.float32),  # the least of those over the deeper two thirds of the shaft
        ("step", np.float32),  # drop of the profile at the tip, in units of speckle noise
        ("onward", np.float32),  # contrast of the brightest way on past the tip, bent or straight
        ("echo", np.float32),  # brightness at the tip: quantile among the frame's tissue
        ("margin", np.float32),  # from the tip to the edge of the tissue, working px
        ("gap", np.float32),  # from the tail to the edge of the tissue, working px
        ("entry", np.float32),  # depth at which the line enters the tissue, 0 to 1
        ("noise", np.float32),  # speckle noise of the frame, grey levels
    ]
)
"""One candidate; positions in region px, tip the deeper end."""

WORKING_SIDE_PX = 200.0
"""Geometric mean side of the image that is searched: a shaft of a hundredth of the picture is two
pixels wide there, which is what the finest scale looks for."""
LEVELS = 2
"""Thin shafts at the working size; at half of it the blurred ones of convex images."""
ANGLES_RAD = np.radians(np.concatenate([np.arange(-84.0, -5.5, 3.0), np.arange(6.0, 84.5, 3.0)]))
"""3 degrees off loses one working px over 40, the length of a short shaft. Within 4 degrees of
horizontal a line is taken for an interface: no needle reaches depth along it."""
CANDIDATES = 20
EDGE_PX = 7.0
"""A line that keeps closer than this to the edge of the tissue belongs to the edge (working px)."""
SHORTEST_PX = 10.0
"""Shortest shaft that is looked for, working px (a twentieth of the picture)."""


class Workspace:
    """What every frame of a clip shares: the working size, masks and pyramid.

    ``some`` and ``quarter`` are samples of the tissue, places in the flattened working picture:
    every seventh px, and every second of every second row.

    Parameters
    ----------
    tissue : ndarray of bool, shape (rows, columns)
        Where the region shows echoes.
    """

    def __init__(self, tissue: Bools) -> None:
        height, width = tissue.shape
        self.scale = max(1.0, math.sqrt(height * width) / WORKING_SIDE_PX)
        self.size = max(1, round(width / self.scale)), max(1, round(height / self.scale))
        mask = cv2.resize(tissue.astype(np.float32), self.size, interpolation=cv2.INTER_AREA)
        self.tissue: Bools = mask > 0.5
        padded = np.pad(self.tissue.astype(np.uint8), 1)
        distance = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
        self.edge_distance: Float32 = np.ascontiguousarray(distance, np.float32)
        self.levels = [Level.of(self.tissue)]
        for _ in range(LEVELS - 1):
            self.levels.append(self.levels[-1].halved())
        self.some = np.flatnonzero(self.tissue)[::7]
        every_second = np.zeros_like(self.tissue)
        every_second[::2, ::2] = True
        self.quarter = np.flatnonzero(self.tissue & every_second)
        rows = np.flatnonzero(self.tissue.any(axis=1))
        self.top = float(rows[0]) if len(rows) else 0.0
        self.depth = float(max(1, rows[-1] - rows[0])) if len(rows) else 1.0

    def reduce(self, frame: Frame) -> Float32:
        """Shrink a frame to the working size by area averaging."""
        return np.rint(reduced(frame, *self.size))

    def to_region(self, points: Floats) -> Floats:
        """Working px to region px: pixel centres at integers in both."""
        return (points + 0.5) * self.scale - 0.5

    def to_working(self, points: Floats) -> Floats:
        """Region px to working px."""
        return (points + 0.5) / self.scale - 0.5

    def distance_to_edge(self, points: Floats) -> Floats:
        """Distance in working px from points in region px, (n, 2), to where the tissue ends."""
        height, width = self.tissue.shape
        x, y = np.rint(self.to_working(points)).astype(np.intp).T
        shown = (x >= 0) & (y >= 0) & (x < width) & (y < height)
        distance = self.edge_distance[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
        return np.where(shown, distance, 0.0)

    def along_the_edge(self, segments: Floats) -> Bools:
        """Whether segments (n, 6) run along the edge of the tissue, as a fan's own sides do."""
        close = np.empty(len(segments), np.bool_)
        keep_close(self.edge_distance, segments, EDGE_PX, close)
        return close

    def way_in(self, tail: Floats, along: Floats) -> tuple[Floats, Floats]:
        """Follow shafts back from their tails to where their lines enter the tissue.

        Parameters
        ----------
        tail : ndarray, shape (n, 2)
            Region px.
        along : ndarray, shape (n, 2)
            Unit vectors towards the tips.

        Returns
        -------
        gap : ndarray, shape (n,)
            Distance from the tail, working px.
        entry : ndarray, shape (n,)
            Depth of the entry, 0 at the top of the tissue and 1 at its bottom.
        """
        start = self.to_working(tail)
        steps = np.empty(len(start), np.int64)
        steps_inside(self.tissue, start, -along, steps)
        gap = steps.astype(np.float64)
        depth = (start[:, 1] - np.maximum(0, gap - 1) * along[:, 1] - self.top) / self.depth
        return gap, np.clip(depth, 0.0, 1.0)


def plausibility(segments: Floats, workspace: Workspace) -> Floats:
    """Score of each segment as a shaft, from where it lies alone.

    Fibres and interfaces fill a picture with long bright lines. What a needle's line does more
    often than theirs: it is oblique, and comes in from above the middle, close to where the line
    meets the edge of the tissue.
    """
    ends = segments[:, 4:6] - segments[:, 2:4]
    along = ends / np.maximum(np.linalg.norm(ends, axis=1, keepdims=True), 1e-6)
    gap, entry = workspace.way_in(workspace.to_region(segments[:, 2:4]), along)
    return np.asarray(
        np.log(segments[:, 0])
        - np.maximum(0.0, 1 - np.abs(np.degrees(segments[:, 1])) / 12)
        - 2 * np.maximum(0.0, entry - 0.5)
        - np.minimum(gap / WORKING_SIDE_PX, 0.25) / 0.25
    )


def search(small: Float32, workspace: Workspace) -> Floats:
    """Find the distinct segments of a reduced frame over all pyramid levels.

    Returns
    -------
    ndarray of float64, shape (at most ``CANDIDATES``, 6)
        Score, angle in radians, and (x, y) of the shallow and of the deep end, working px; the
        most plausible first.
    """
    image = small
    found = []
    for k, level in enumerate(workspace.levels):
        image = halve(image) if k > 0 else image
        # Lines are half as long in the pixels of the next level, and angles half as fine.
        segments = line_segments(image, level, ANGLES_RAD[:: 2**k])
        height, width = image.shape
        factor = np.array([small.shape[1] / width, small.shape[0] / height])
        segments[:, 0] *= math.sqrt(factor[0])  # fewer samples but less noise in each
        segments[:, 2:] = (segments[:, 2:] + 0.5) * np.tile(factor, 2) - 0.5
        found.append(segments)
    segments = np.concatenate(found)
    lengths = np.hypot(segments[:, 4] - segments[:, 2], segments[:, 5] - segments[:, 3])
    segments = segments[(lengths >= SHORTEST_PX) & ~workspace.along_the_edge(segments)]
    segments = np.ascontiguousarray(segments[np.argsort(-segments[:, 0], kind="stable")])
    kept = np.empty(3 * CANDIDATES, np.int64)
    count = distinct_segments(segments, math.radians(10.0), 5.0, 0.4, kept)
    segments = segments[kept[:count]]
    order = np.argsort(-plausibility(segments, workspace), kind="stable")[:CANDIDATES]
    return segments[order]
