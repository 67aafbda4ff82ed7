"""What a reader hands over: pictures in order, and what the file says about time and scale."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from usguide.errors import UnreadableError
from usguide.model import Floats, Frame, SourceKind, TimingSource

MAX_FRAME_PX = 25_000_000
"""Largest frame decoded, px: three 4K screens, or a telephone's photograph of one, and what fits
into 1 GB with every decoder at hand; a header that promises more is refused before anything is
allocated."""
_PSEUDONYM_LENGTH = 12
"""Hexadecimal digits: 48 bits, a chance of one in 5 million of two alike among 10,000 studies."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One decoded frame.

    Parameters
    ----------
    luma : ndarray of uint8, shape (height, width)
        Brightness, 0 to 255.
    colours : callable or None
        Called without arguments, gives the same frame as uint8 RGB, shape (height, width, 3);
        None where the frame is grey by nature. Costs a conversion, so only samples are asked.
    position : int
        Position of the frame in the original recording.
    time_s : float or None
        Presentation time, where the container carries one per frame.
    """

    luma: Frame
    colours: Callable[[], NDArray[np.uint8]] | None = None
    position: int = 0
    time_s: float | None = None


@dataclass(frozen=True, slots=True)
class ScaledBox:
    """A B-mode picture whose scale the file states.

    Parameters
    ----------
    box : (int, int, int, int)
        x, y, width and height in px.
    mm_per_px : (float, float)
        Along x and y.
    number : int
        Which one it is in the order of the file, from 1.
    """

    box: tuple[int, int, int, int]
    mm_per_px: tuple[float, float]
    number: int = 1

    def in_words(self) -> str:
        """Return its number, place and scale for a sentence."""
        place = ",".join(str(value) for value in self.box)
        across, down = (f"{value:.4g}" for value in self.mm_per_px)
        scale = across if across == down else f"{across} x {down}"
        return f"{self.number} at {place}, {scale} mm per pixel"


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A file as its reader sees it, before anybody looks at the picture.

    Parameters
    ----------
    path : Path
        What was opened.
    sha256 : str
        Hash of the bytes.
    kind : SourceKind
        Container family.
    width, height : int
        Size of a frame in px.
    pictures : callable
        Starts decoding from the beginning and yields every whole frame in order, the same ones
        every time.
    expected : int
        Frames the file promises, 0 where it does not say.
    expected_s : float
        How long the file promises to last, in s, 0 where it does not say or says its frames.
    times : callable or None
        From positions in the original recording, int64 of shape (n,), to seconds, where the
        header states them (NaN where not); frames of a container carry their own instead.
    timing_source : TimingSource
        Where the times come from.
    scaled : tuple of ScaledBox
        B-mode boxes with a stated scale, the one to use first.
    source_names : tuple of str
        Name of each frame's own file, for a folder of images.
    study : str
        Pseudonym of the examination it belongs to.
    name : str
        Name under which results speak of it: that of the file, unless that names the patient.
    square : bool
        False where the file says that its pixels are not as wide as high.
    warnings : tuple of str
        Sentences for the reader.
    """

    path: Path
    sha256: str
    kind: SourceKind
    width: int
    height: int
    pictures: Callable[[], Iterator[Picture]]
    expected: int = 0
    expected_s: float = 0.0
    times: Callable[[NDArray[np.int64]], Floats] | None = None
    timing_source: TimingSource = TimingSource.NONE
    scaled: tuple[ScaledBox, ...] = ()
    source_names: tuple[str, ...] = ()
    study: str = ""
    name: str = ""
    square: bool = True
    warnings: tuple[str, ...] = field(default=())


def pseudonym(identity: str) -> str:
    """Return a pseudonym of an examination, the same in every run.

    A hash without a key: who already knows the identity can recognise it, nobody can read it back.
    """
    return hashlib.sha256(f"usguide study {identity}".encode()).hexdigest()[:_PSEUDONYM_LENGTH]


def check_size(path: Path, width: int, height: int) -> None:
    """Refuse a frame size that is empty or too large to be a screen.

    Raises
    ------
    UnreadableError
        Before anything of that size is allocated.
    """
    if width < 1 or height < 1:
        raise UnreadableError(
            f"{path}: its frames are {width} x {height} px, so there is no picture."
        )
    if width * height > MAX_FRAME_PX:
        raise UnreadableError(
            f"{path}: its header promises frames of {width} x {height} px, more than "
            f"the {MAX_FRAME_PX // 10**6} million that are read; the file is damaged, or scale it "
            "down."
        )
