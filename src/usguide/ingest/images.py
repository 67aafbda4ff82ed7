"""Single images and folders of numbered images."""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from usguide.errors import UnreadableError
from usguide.ingest.luma import luma_of_rgb, to_8_bit
from usguide.ingest.recording import Picture, Recording, check_size
from usguide.model import SourceKind

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".pgm", ".webp"})

_ERRORS = (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError)
"""What Pillow raises on what is not an image, or only half of one."""
_DEEP_MODES = frozenset({"I;16", "I;16L", "I;16B", "I;16N", "I", "F"})


def number_in(path: Path) -> int | None:
    """Return the last whole number in a file's name, None where there is none."""
    digits = re.findall(r"\d+", path.stem)
    return int(digits[-1]) if digits else None


def natural_key(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Order names as people do: 9 before 10."""
    parts = re.findall(r"\d+|\D+", path.stem.lower())
    return tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts)


def read_image(path: Path, sha256: str) -> Recording:
    """Open one image."""
    return _recording(path, [path], sha256, SourceKind.IMAGE, ())


def read_images(folder: Path, files: Sequence[Path], sha256: str) -> Recording:
    """Open a folder of images as the frames of one recording, in the order of their numbers."""
    ordered = sorted(files, key=natural_key)
    notes: tuple[str, ...] = ()
    numbers = [number_in(file) for file in ordered]
    if any(n is None for n in numbers) or len(set(numbers)) != len(numbers):
        notes = (
            "The images are not numbered one by one, so they are taken in the order of their "
            "names as consecutive frames.",
        )
    return _recording(folder, ordered, sha256, SourceKind.IMAGES, notes)


def _recording(
    path: Path,
    files: Sequence[Path],
    sha256: str,
    kind: SourceKind,
    notes: tuple[str, ...],
) -> Recording:
    sizes = [_size(file) for file in files]
    for file, size in zip(files, sizes, strict=True):
        check_size(file, *size)
        if size != sizes[0]:
            raise UnreadableError(
                f"{path}: {files[0].name} is {sizes[0][0]} x {sizes[0][1]} px and {file.name} is "
                f"{size[0]} x {size[1]} px; the frames of one recording are of one size, so put "
                "each recording in a folder of its own."
            )
    numbers = [number_in(file) for file in files]
    known = [n for n in numbers if n is not None]
    numbered = len(set(known)) == len(files) and kind is SourceKind.IMAGES
    positions = known if numbered else list(range(len(files)))
    return Recording(
        path=path,
        sha256=sha256,
        kind=kind,
        width=sizes[0][0],
        height=sizes[0][1],
        pictures=functools.partial(_pictures, tuple(files), tuple(positions)),
        expected=len(files),
        source_names=tuple(file.name for file in files) if kind is SourceKind.IMAGES else (),
        warnings=notes,
    )


def _open(path: Path) -> Image.Image:
    with warnings.catch_warnings():
        # Sizes are checked against our own limit, before decoding.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            return Image.open(path)
        except _ERRORS as error:
            raise UnreadableError(
                f"{path}: is not an image, or is damaged ({_first_line(error)})."
            ) from error


def _size(path: Path) -> tuple[int, int]:
    with _open(path) as image:
        return image.size


def entries_in(path: Path) -> set[str]:
    """Return the names of what an image says besides its pixels, never the values."""
    with _open(path) as image, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow reports what is odd in EXIF
        try:
            tags = [ExifTags.TAGS.get(tag, str(tag)) for tag in image.getexif()]
        except _ERRORS as error:
            raise UnreadableError(f"{path}: is damaged ({_first_line(error)}).") from error
        return {*tags, *(str(name) for name in image.info)}


def _pictures(files: tuple[Path, ...], positions: tuple[int, ...]) -> Iterator[Picture]:
    for file, position in zip(files, positions, strict=True):
        yield _picture(file, position)


def _picture(path: Path, position: int) -> Picture:
    with _open(path) as image:
        try:
            # A JPEG then hands over its luma channel instead of converting it.
            grey_by_nature = image.mode in ("L", "1", "LA") or image.mode in _DEEP_MODES
            image.draft("L", image.size)
            image.load()
        except _ERRORS as error:
            raise UnreadableError(
                f"{path}: is cut short or damaged ({_first_line(error)})."
            ) from error
        if image.mode in _DEEP_MODES:
            luma = _deep(np.asarray(image))
        elif image.mode in ("L", "1", "LA"):
            luma = np.array(image.convert("L"), dtype=np.uint8)
        else:
            luma = luma_of_rgb(np.array(image.convert("RGB"), dtype=np.uint8))
    return Picture(luma, None if grey_by_nature else functools.partial(_colours, path), position)


def _colours(path: Path) -> NDArray[np.uint8]:
    with _open(path) as image:
        return np.array(image.convert("RGB"), dtype=np.uint8)


def _deep(samples: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Reduce more than 8 bits to 8, at the depth the values need (8, 10, 12, 14 or 16 bits)."""
    if samples.dtype.kind == "f":
        samples = np.nan_to_num(samples)
    values = np.clip(samples, 0, 65535).astype(np.uint16)
    needed = int(values.max(initial=0)).bit_length()
    return to_8_bit(values, next(bits for bits in (8, 10, 12, 14, 16) if needed <= bits))


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].replace("\n", " ")[:160]
