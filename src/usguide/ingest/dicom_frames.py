"""Where each frame of a DICOM file lies, and its samples, one frame in memory at a time.

The frames of encapsulated pixel data are found by walking the fragments (PS3.5 A.4) and starting
a new frame where a fragment starts with the codec's own start marker, so that an absent, empty or
wrong offset table, and a missing NumberOfFrames, do no harm. What the file no longer holds is not
there to be decoded: a frame that is not whole is left out.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

ITEM = b"\xfe\xff\x00\xe0"
SEQUENCE_END = b"\xfe\xff\xdd\xe0"
"""Tags around fragments, in little endian (PS3.5 A.4)."""

_START_MARKERS = (b"\xff\xd8", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  ")
"""First bytes of a JPEG or JPEG-LS image, a JPEG 2000 code stream, and a JP2 file."""

Extent = tuple[int, int]
"""(offset, length) of bytes in the file."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the frames lie: for each, the extents that make it up; and how many are cut short."""

    frames: tuple[tuple[Extent, ...], ...]
    incomplete: int = 0


def native_layout(start: int, available: int, frame_bytes: int, expected: int | None) -> Layout:
    """Lay out unencapsulated frames: as many whole ones as the bytes hold.

    Parameters
    ----------
    start : int
        Offset of the pixel data's value.
    available : int
        Bytes of it that the file really holds.
    frame_bytes : int
        Size of a frame.
    expected : int or None
        NumberOfFrames; None where the file does not say.
    """
    whole = available // frame_bytes
    count = whole if expected is None else min(whole, expected)
    incomplete = 0 if expected is None else expected - count
    if expected is None and available - whole * frame_bytes > 1:  # one byte may be padding
        incomplete = 1
    return Layout(
        tuple(((start + i * frame_bytes, frame_bytes),) for i in range(count)), incomplete
    )


def fragments(file: BinaryIO, start: int, size: int, *, keep_cut: bool = False) -> Iterator[Extent]:
    """Yield the extents of the fragments after the offset table, from ``start``.

    Ends at the sequence delimiter, at the end of the file or where the structure breaks. With
    ``keep_cut``, what is left of a last fragment that was cut short is yielded too.
    """
    position, first = start, True
    while position + 8 <= size:
        file.seek(position)
        head = file.read(8)
        if len(head) < 8 or head[:4] != ITEM:
            return
        length = struct.unpack("<L", head[4:])[0]
        position += 8
        if position + length > size:
            if keep_cut and not first and position < size:
                yield position, size - position
            return
        if not first:
            yield position, length
        first = False
        position += length


def encapsulated_layout(
    file: BinaryIO, start: int, size: int, expected: int | None, *, frame_per_fragment: bool
) -> Layout:
    """Group fragments into frames.

    Parameters
    ----------
    file : file object
        The DICOM file.
    start, size : int
        Offset of the pixel data's value; size of the file.
    expected : int or None
        NumberOfFrames; None where the file does not say.
    frame_per_fragment : bool
        True for RLE, where the standard puts each frame in one fragment.
    """
    frames: list[list[Extent]] = []
    for extent in fragments(file, start, size):
        file.seek(extent[0])
        head = file.read(min(12, extent[1]))
        if frame_per_fragment or not frames or head.startswith(_START_MARKERS):
            frames.append([extent])
        else:
            frames[-1].append(extent)
    if expected is not None:
        frames = frames[:expected]
    incomplete = 0 if expected is None else expected - len(frames)
    return Layout(tuple(tuple(frame) for frame in frames), incomplete)


def read_extents(file: BinaryIO, extents: tuple[Extent, ...]) -> bytes:
    """Join the bytes of one frame."""
    parts = []
    for offset, length in extents:
        file.seek(offset)
        parts.append(file.read(length))
    return parts[0] if len(parts) == 1 else b"".join(parts)


class ExtentFile(io.RawIOBase):
    """A read-only file made of extents of another: the video stream inside a DICOM file."""

    def __init__(self, file: BinaryIO, extents: tuple[Extent, ...]) -> None:
        super().__init__()
        self._file = file
        self._extents = extents
        self._size = sum(length for _, length in extents)
        self._position = 0

    def readable(self) -> bool:
        """Say yes: reading is what it is for."""
        return True

    def seekable(self) -> bool:
        """Say yes: containers need it."""
        return True

    def tell(self) -> int:
        """Return the position in the joined bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move within the joined bytes."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Read up to ``size`` bytes, all that is left where it is negative."""
        if size < 0:
            size = max(0, self._size - self._position)
        parts, skipped = [], 0
        for offset, length in self._extents:
            inside = self._position - skipped
            if 0 <= inside < length and size > 0:
                take = min(size, length - inside)
                self._file.seek(offset + inside)
                parts.append(self._file.read(take))
                self._position += take
                size -= take
            skipped += length
        return b"".join(parts)

    def close(self) -> None:
        """Close the file underneath too."""
        if not self.closed:
            self._file.close()
        super().close()
