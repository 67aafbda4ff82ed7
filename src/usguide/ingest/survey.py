"""One pass over a recording before it is measured: what changes, when, and a few samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usguide.errors import UnreadableError
from usguide.ingest.recording import Picture, Recording
from usguide.ingest.repeats import GRID, block_change
from usguide.model import Floats, Frame, Progress

SAMPLES = 9
"""Frames kept for looking at the screen, spread over the recording."""


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """What one pass over the frames found.

    Parameters
    ----------
    positions : ndarray of int64, shape (n,)
        Position of each decoded frame in the original recording.
    times_s : ndarray of float64, shape (n,)
        Presentation times, NaN where the container states none.
    changes : ndarray of float32, shape (n, GRID, GRID)
        Most changed block of every cell of the grid, against the previous frame.
    samples : ndarray of uint8, shape (k, height, width)
        Luma of a few frames spread over the recording.
    colours : tuple of callable
        Called without arguments, each gives one of the samples in RGB, uint8 of shape
        (height, width, 3); empty for grey recordings.
    """

    positions: NDArray[np.int64]
    times_s: Floats
    changes: NDArray[np.float32]
    samples: NDArray[np.uint8]
    colours: tuple[Callable[[], NDArray[np.uint8]], ...]


def survey(recording: Recording, progress: Progress | None = None) -> Survey:
    """Decode a recording once.

    Raises
    ------
    UnreadableError
        If it holds no frame.
    """
    positions: list[int] = []
    times_s: list[float] = []
    changes: list[NDArray[np.float32]] = []
    kept: list[tuple[int, Picture]] = []
    stride = 1
    previous: Frame | None = None
    still = np.zeros((GRID, GRID), dtype=np.float32)
    for index, picture in enumerate(recording.pictures()):
        positions.append(picture.position)
        times_s.append(np.nan if picture.time_s is None else picture.time_s)
        changes.append(still if previous is None else block_change(picture.luma, previous))
        previous = picture.luma
        if index % stride == 0:
            kept.append((index, picture))
            if len(kept) > SAMPLES:
                stride *= 2
                kept = [(i, sample) for i, sample in kept if i % stride == 0]
        if progress is not None:
            progress("read", index + 1, max(recording.expected, index + 1))
    if not kept:
        raise UnreadableError(
            f"{recording.path}: holds no frame that can be decoded; it is empty, cut short or "
            "damaged."
        )
    return Survey(
        positions=np.array(positions, dtype=np.int64),
        times_s=np.array(times_s, dtype=np.float64),
        changes=np.stack(changes),
        samples=np.stack([sample.luma for _, sample in kept]),
        colours=tuple(sample.colours for _, sample in kept if sample.colours is not None),
    )
