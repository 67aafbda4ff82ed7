"""The bytes of a DICOM file: its header, read without believing a length, and its pixel data.

pydicom allocates what a header promises before it looks whether that is there, and inflates a
deflated file whole. Both are bounded here.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.tag import BaseTag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from usguide.errors import UnreadableError

_LARGEST_ELEMENT = 1 << 20
"""Elements above this, bytes, are left in the file: nothing that is read here is so large, and
some vendors keep their raw data in private elements."""
_MAX_INFLATED = 1 << 28
"""Largest deflated file that is read, bytes inflated: it can only be held whole."""
_META_START = 144
"""Where the meta information begins behind preamble, mark and its own length (PS3.10 7.1)."""
_PIXEL_DATA = (0x7FE0, 0x0010)

_HEADER_ERRORS = (
    InvalidDicomError,
    BytesLengthException,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    NotImplementedError,
    ArithmeticError,
    struct.error,
    OSError,
    RecursionError,
    zlib.error,
)
"""What pydicom raises on a damaged header."""


@contextlib.contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Turn what pydicom raises on a damaged header into one sentence.

    Raises
    ------
    UnreadableError
        Naming the file.
    """
    try:
        with quietly():
            yield
    except _HEADER_ERRORS as error:
        raise UnreadableError(
            f"{path}: is not a DICOM file, or its header is damaged ({in_words(error)})."
        ) from error


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Silence pydicom, which reports what it repairs: what matters here is checked here."""
    log = logging.getLogger("pydicom")
    disabled = log.disabled
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        log.disabled = True
        try:
            yield
        finally:
            log.disabled = disabled


def in_words(error: BaseException | None) -> str:
    """Return what an exception says, in one line short enough for a message."""
    lines = str(error).strip().splitlines() if error is not None else []
    # pydicom announces what each of its decoders said, and then lists it.
    line = lines[-1] if lines and lines[0].endswith(":") else lines[0] if lines else ""
    return printable(line).strip().rstrip(" .:") or type(error).__name__


def printable(text: str) -> str:
    """Text of a header as it may stand in a sentence."""
    return "".join(c for c in text if c.isprintable())[:80]


class _BoundedReader(io.BufferedReader):
    """A file that is never asked for more than it holds, and so allocates no more."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._size = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """Read up to ``size`` bytes, all that is left where it is negative or None."""
        if size is not None and size > _LARGEST_ELEMENT:
            size = min(size, max(0, self._size - self.tell()))
        return super().read(size)


@dataclass(frozen=True, slots=True)
class Source:
    """Bytes of a DICOM file, inflated where it is deflated.

    Parameters
    ----------
    open : callable
        Opens them anew, at the beginning.
    size : int
        How many there are.
    """

    open: Callable[[], BinaryIO]
    size: int


@dataclass(frozen=True, slots=True)
class Element:
    """Where the value of the pixel data begins, its declared length, and its representation."""

    start: int
    length: int
    vr: str


def dicom_source(path: Path) -> Source:
    """Give access to a DICOM file's bytes.

    Raises
    ------
    UnreadableError
        If it is deflated and too large to be inflated.
    """
    inflated = _inflated(path)
    if inflated is None:
        return Source(lambda: _BoundedReader(path), path.stat().st_size)
    return Source(lambda: io.BytesIO(inflated), len(inflated))


def read_header(file: BinaryIO) -> Dataset:
    """Read the header and leave the file at the pixel data.

    Elements too large to mean anything here are left out. Raises what pydicom raises on a damaged
    header: use it inside :func:`explaining`.
    """
    return read_header_and_rest(file)[0]


def read_header_and_rest(file: BinaryIO) -> tuple[Dataset, list[BaseTag]]:
    """Read the header as :func:`read_header`, and name the elements that were left out."""
    dataset = pydicom.dcmread(
        file, stop_before_pixels=True, force=True, defer_size=_LARGEST_ELEMENT
    )
    large = []
    for tag in list(dataset.keys()):
        element: Any = dataset.get_item(tag, keep_deferred=True)
        if isinstance(element, RawDataElement) and element.value is None and element.length:
            del dataset[tag]
            large.append(tag)
    return dataset, large


def transfer_syntax(dataset: Dataset) -> UID:
    """Return how the pixel data is stored; where the file does not say, what pydicom guessed."""
    stated = UID(str(getattr(dataset, "file_meta", {}).get("TransferSyntaxUID") or ""))
    if stated:
        return stated
    implicit, little = dataset.original_encoding
    return UID(
        "1.2.840.10008.1.2"
        if implicit
        else "1.2.840.10008.1.2.1"
        if little
        else "1.2.840.10008.1.2.2"
    )


def pixel_data_element(file: BinaryIO, syntax: UID) -> Element:
    """Read the head of the pixel data, at which the file stands.

    Raises
    ------
    ValueError
        If there is something else, or nothing.
    """
    order = "<" if syntax.is_little_endian else ">"
    head = file.read(8)
    if len(head) < 8:
        raise ValueError("it holds no picture")
    if struct.unpack(f"{order}HH", head[:4]) != _PIXEL_DATA:
        raise ValueError("it holds no 8 or 16-bit pixel data")
    # Some files are not encoded as their transfer syntax says: look instead of trusting it.
    if head[4:6] not in (b"OB", b"OW", b"UN"):
        vr, length = "OW", struct.unpack(f"{order}L", head[4:])[0]
    else:
        vr, length = head[4:6].decode("latin-1"), struct.unpack(f"{order}L", file.read(4))[0]
    return Element(file.tell(), length, vr)


def _inflated(path: Path) -> bytes | None:
    """Return a deflated file's bytes as if it had not been deflated, None for any other file."""
    deflated = str(DeflatedExplicitVRLittleEndian).encode()
    with path.open("rb") as file:
        head = file.read(1024)
        if head[128:132] != b"DICM" or deflated not in head:
            return None
        length = struct.unpack("<L", head[140:144])[0]
        file.seek(0)
        plain = str(ExplicitVRLittleEndian).encode().ljust(len(deflated), b"\0")
        whole = io.BytesIO()
        meta = file.read(min(_META_START + length, path.stat().st_size))
        whole.write(meta.replace(deflated, plain, 1))
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        while piece := file.read(1 << 16):
            while piece and not inflater.eof:
                try:
                    whole.write(inflater.decompress(piece, 1 << 20))
                except zlib.error:
                    return whole.getvalue()  # damaged: the frames up to here are whole
                piece = inflater.unconsumed_tail
                if whole.tell() > _MAX_INFLATED:
                    raise UnreadableError(
                        f"{path}: would take more than {_MAX_INFLATED >> 20} MB when "
                        "decompressed; export it without deflation."
                    )
    return whole.getvalue()
