"""A clip: what is known of a recording, and its frames on demand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from usguide.errors import ConfigError
from usguide.ingest.recording import pseudonym
from usguide.model import (
    Calibration,
    Frame,
    Header,
    Region,
    SourceKind,
    Timing,
    TimingSource,
    checked_rate,
)


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """A recording: its header, and its frames decoded on demand, a few in memory at a time.

    Parameters
    ----------
    header : Header
        What is known before measuring.
    decode : callable
        Called without arguments, starts decoding from the beginning and yields the luma of every
        source frame in order, uint8 of shape (header.height, header.width).
    """

    header: Header
    decode: Callable[[], Iterator[Frame]]

    def frames(self) -> Iterator[tuple[int, Frame]]:
        """Yield (index, region of the frame) for every distinct frame, any number of times."""
        duplicate_of = self.header.timing.duplicate_of
        rows, columns = self.header.region.slices
        for index, frame in enumerate(self.decode()):
            if duplicate_of[index] < 0:
                yield index, np.ascontiguousarray(frame[rows, columns])

    def __getitem__(self, index: int) -> Frame:
        """Return one source frame's region, uint8 (region.height, region.width)."""
        if not 0 <= index < self.header.frames:
            raise IndexError(f"frame {index} of a clip of {self.header.frames}")
        rows, columns = self.header.region.slices
        for position, frame in enumerate(self.decode()):
            if position == index:
                return np.ascontiguousarray(frame[rows, columns])
        raise IndexError(f"frame {index} could not be decoded")

    @classmethod
    def from_array(
        cls,
        frames: NDArray[np.uint8] | Sequence[Frame],
        *,
        spacing_mm: float | tuple[float, float] | None = None,
        fps: float | None = None,
    ) -> Clip:
        """Wrap frames already in memory, for synthetic scenes and for method developers.

        Parameters
        ----------
        frames : ndarray of uint8, shape (n, height, width), or as many of shape (height, width)
            Luma.
        spacing_mm : float or (float, float), optional
            Millimetres per pixel, or along x and along y.
        fps : float, optional
            Frames per second; without it, the clip has no timing.

        Raises
        ------
        CalibrationError
            If ``spacing_mm`` cannot be a pixel spacing.
        ConfigError
            If the frames are of another type or shape, or without pixels; or the rate is no rate.
        """
        stack = np.asarray(frames)
        if stack.ndim != 3 or stack.dtype != np.uint8 or 0 in stack.shape[1:]:
            raise ConfigError(
                f"The frames are {stack.dtype} of shape {stack.shape}; give grey levels, uint8 "
                "of shape (frames, height, width)."
            )
        fps = checked_rate(fps)
        count, height, width = stack.shape
        sha256 = hashlib.sha256(np.ascontiguousarray(stack).tobytes()).hexdigest()
        return cls(
            Header(
                path=Path("array"),
                sha256=sha256,
                kind=SourceKind.ARRAY,
                frames=count,
                width=width,
                height=height,
                region=Region(0, 0, width, height),
                tissue=np.ones((height, width), dtype=np.bool_),
                calibration=Calibration.given(spacing_mm),
                timing=Timing(
                    None if fps is None else np.arange(count) / fps,
                    TimingSource.NONE if fps is None else TimingSource.USER,
                    np.full(count, -1, dtype=np.int64),
                ),
                source_names=(),
                frame_numbers=np.arange(count, dtype=np.int64),
                study=pseudonym(sha256),
                name="array",
            ),
            lambda: iter(stack),
        )
