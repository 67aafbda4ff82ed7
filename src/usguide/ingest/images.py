"""Single images, stacks of images in one file, and folders of numbered images.

A telephone stores what it photographs turned and says so (EXIF): pictures are turned as every
viewer turns them.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from usguide.errors import UnreadableError
from usguide.ingest.luma import luma_of_rgb, to_8_bit
from usguide.ingest.recording import Picture, Recording, check_size
from usguide.model import SourceKind

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".pgm", ".webp"})

_ERRORS = (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError)
"""What Pillow raises on what is not an image, or only half of one."""
_DEEP_MODES = frozenset({"I;16", "I;16L", "I;16B", "I;16N", "I", "F"})
_GREY_MODES = frozenset({"1", "L", "LA"})
_ON_ITS_SIDE = frozenset({5, 6, 7, 8})
"""Orientations of EXIF in which rows are stored as columns."""
_STACKS = frozenset({"TIFF", "PNG", "WEBP"})
"""Formats whose further pictures are frames; those of a JPEG are previews."""
_LARGEST_NUMBER = 10**15
"""A longer number in a name counts no frames, and would not fit beside the others."""


_Page = tuple[Path, int]
"""A file, and which of its pictures, from 0."""


def number_in(path: Path) -> int | None:
    """Return the last whole number in a file's name, None where there is none."""
    digits = re.findall(r"\d+", path.stem)
    return int(digits[-1]) if digits else None


def natural_key(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Order names as people do: 9 before 10."""
    parts = re.findall(r"\d+|\D+", path.stem.lower())
    return tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts)


def pictures_in(path: Path) -> int:
    """Return how many pictures an image file holds, one after the other.

    Raises
    ------
    UnreadableError
        If it is not an image.
    """
    with _open(path) as image:
        return int(getattr(image, "n_frames", 1)) if image.format in _STACKS else 1


def read_image(path: Path, sha256: str) -> Recording:
    """Open one image, or a stack of them in one file as the frames of a recording.

    Raises
    ------
    UnreadableError
        If it is not an image, is damaged, or the pictures of a stack differ in size.
    """
    count = pictures_in(path)
    if count == 1:
        return _recording(path, [(path, 0)], [0], sha256, SourceKind.IMAGE, ())
    pages = [(path, page) for page in range(count)]
    return _recording(path, pages, list(range(count)), sha256, SourceKind.IMAGES, ())


def positions_of(ordered: Sequence[Path]) -> tuple[list[int], tuple[str, ...]]:
    """Tell which frame of the original recording each image is, and what to say of it.

    The numbers in their names where these count frames, else 0, 1, 2...
    """
    numbers = [n for file in ordered if (n := number_in(file)) is not None]
    steps = [later - earlier for earlier, later in itertools.pairwise(numbers)]
    if (
        len(numbers) < len(ordered)
        or min(steps, default=1) < 1
        or max(numbers, default=0) > _LARGEST_NUMBER
    ):
        return list(range(len(ordered))), (
            "The images are not numbered one by one, so they are taken in the order of their "
            "names as consecutive frames.",
        )
    if missing := sum(steps) - len(steps):
        return numbers, (
            f"The numbers of the images leave out {missing} between {numbers[0]} and "
            f"{numbers[-1]}, which count as frames that are missing.",
        )
    return numbers, ()


def read_images(folder: Path, files: Sequence[Path], sha256: str) -> Recording:
    """Open a folder of images as the frames of one recording, in the order of their numbers.

    Raises
    ------
    UnreadableError
        If one of them is not an image, is damaged, holds several pictures or is of another size.
    """
    ordered = sorted(files, key=natural_key)
    for file in ordered:
        if (count := pictures_in(file)) > 1:
            raise UnreadableError(
                f"{folder}: {file.name} holds {count} pictures; give each such file by itself."
            )
    numbers, notes = positions_of(ordered)
    pages = [(file, 0) for file in ordered]
    return _recording(folder, pages, numbers, sha256, SourceKind.IMAGES, notes)


def _recording(
    path: Path,
    pages: Sequence[_Page],
    positions: Sequence[int],
    sha256: str,
    kind: SourceKind,
    notes: tuple[str, ...],
) -> Recording:
    sizes = [_size(page) for page in pages]
    for (file, number), size in zip(pages, sizes, strict=True):
        check_size(file, *size)
        if size != sizes[0]:
            first, other = (
                (pages[0][0].name, file.name)
                if path.is_dir()
                else ("its picture 1", f"its picture {number + 1}")
            )
            raise UnreadableError(
                f"{path}: {first} is {sizes[0][0]} x {sizes[0][1]} px and {other} is "
                f"{size[0]} x {size[1]} px; the frames of one recording are of one size, so put "
                "each recording in a folder of its own."
            )
    return Recording(
        path=path,
        sha256=sha256,
        kind=kind,
        width=sizes[0][0],
        height=sizes[0][1],
        pictures=functools.partial(_pictures, tuple(pages), tuple(positions), _largest_deep(pages)),
        expected=len(pages),
        source_names=tuple(file.name for file, _ in pages) if path.is_dir() else (),
        warnings=notes,
    )


@contextlib.contextmanager
def _open(path: Path) -> Iterator[Image.Image]:
    with contextlib.ExitStack() as opened:
        try:
            # Given a name, Pillow maps raw samples into memory and garbles those of a turned TIFF.
            file = opened.enter_context(path.open("rb"))
            with warnings.catch_warnings():
                # Sizes are checked against our own limit, before decoding.
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                image = opened.enter_context(Image.open(file))
        except UnidentifiedImageError as error:
            raise UnreadableError(f"{path}: is not an image, or is damaged.") from error
        except _ERRORS as error:
            raise UnreadableError(
                f"{path}: is not an image, or is damaged ({_first_line(error)})."
            ) from error
        yield image


@contextlib.contextmanager
def _page(page: _Page) -> Iterator[Image.Image]:
    path, number = page
    with _open(path) as image:
        try:
            if number:
                image.seek(number)
            yield image
        except (*_ERRORS, EOFError) as error:
            raise UnreadableError(
                f"{path}: is cut short or damaged ({_first_line(error)})."
            ) from error


def size_of(path: Path) -> tuple[int, int]:
    """Return width and height of an image as it is shown, without decoding it.

    Raises
    ------
    UnreadableError
        If it is not an image.
    """
    return _size((path, 0))


def _size(page: _Page) -> tuple[int, int]:
    with _page(page) as image:
        width, height = image.size
        # Pillow turns a TIFF itself.
        on_its_side = image.format != "TIFF" and (
            image.getexif().get(ExifTags.Base.Orientation) in _ON_ITS_SIDE
        )
        return (height, width) if on_its_side else (width, height)


def _shown(page: _Page, *, luma: bool) -> tuple[Image.Image, bool]:
    """Decode a picture, the way up it is shown, and tell whether it is grey by nature."""
    with _page(page) as image:
        grey = image.mode in _GREY_MODES or image.mode in _DEEP_MODES
        if luma:
            # A JPEG then hands over its luma channel instead of converting it.
            image.draft("L", image.size)
        image.load()
        return ImageOps.exif_transpose(image), grey


def entries_in(path: Path) -> set[str]:
    """Return the names of what an image says besides its pixels, never the values.

    Raises
    ------
    UnreadableError
        If it is not an image, or is damaged.
    """
    with _open(path) as image, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow reports what is odd in EXIF
        try:
            tags = [ExifTags.TAGS.get(tag, str(tag)) for tag in image.getexif()]
        except _ERRORS as error:
            raise UnreadableError(f"{path}: is damaged ({_first_line(error)}).") from error
        return {*tags, *(str(name) for name in image.info)}


def _pictures(
    pages: tuple[_Page, ...], positions: tuple[int, ...], largest: float
) -> Iterator[Picture]:
    for page, position in zip(pages, positions, strict=True):
        yield _picture(page, position, largest)


def _picture(page: _Page, position: int, largest: float) -> Picture:
    shown, grey = _shown(page, luma=True)
    if shown.mode in _DEEP_MODES:
        luma = _deep(np.asarray(shown), largest)
    elif shown.mode in _GREY_MODES:
        luma = np.array(shown.convert("L"), dtype=np.uint8)
    else:
        luma = luma_of_rgb(np.array(shown.convert("RGB"), dtype=np.uint8))
    return Picture(luma, None if grey else functools.partial(_colours, page), position)


def _colours(page: _Page) -> NDArray[np.uint8]:
    return np.array(_shown(page, luma=False)[0].convert("RGB"), dtype=np.uint8)


def _largest_deep(pages: Sequence[_Page]) -> float:
    """Largest sample of the pictures that have more than 8 bits; 0 where none has."""
    largest = 0.0
    for page in pages:
        with _page(page) as image:
            if image.mode in _DEEP_MODES:
                largest = max(largest, float(np.nan_to_num(np.asarray(image)).max(initial=0)))
    return largest


def _deep(samples: NDArray[np.generic], largest: float) -> NDArray[np.uint8]:
    """Reduce more than 8 bits to 8, at the depth that the largest value of all pictures needs.

    That is 8, 10, 12, 14 or 16 bits; fractions up to 1 are spread over the whole range.
    """
    if samples.dtype.kind == "f":
        samples = np.nan_to_num(samples)
        if largest <= 1:
            samples = samples * 255
    values = np.clip(samples, 0, 65535).astype(np.uint16)
    needed = int(min(largest, 65535)).bit_length()
    return to_8_bit(values, next(bits for bits in (8, 10, 12, 14, 16) if needed <= bits))


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].replace("\n", " ")[:160]
