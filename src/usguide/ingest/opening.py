"""Open any recording: survey its frames, and settle their time, scale and region."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from usguide.errors import ConfigError
from usguide.ingest.clip import Clip
from usguide.ingest.graphics import drawn_in_grey
from usguide.ingest.printed_depth import is_never_imaged, picture_depth_px
from usguide.ingest.recording import Recording, ScaledBox, pseudonym
from usguide.ingest.repeats import GRID, find_repeats
from usguide.ingest.ruler import Ruler, read_ruler
from usguide.ingest.screen import find_region, tissue_mask, within_margins
from usguide.ingest.sources import read_source
from usguide.ingest.survey import Survey, survey
from usguide.model import (
    Bools,
    Calibration,
    CalibrationSource,
    Floats,
    Frame,
    Header,
    Options,
    Progress,
    Region,
    Timing,
    TimingSource,
    checked_rate,
    printable,
)

Box = tuple[int, int, int, int]

_PART_OF_REGION = 0.05
"""Share of the region from which on a picture with a scale of its own is part of it."""
_SCALES_AGREE = 0.005
"""Scales closer than this are one: half a per cent is below any length measured here."""
_RULER_AGREES = 0.03
"""How far the ruler may be from the stated scale before the reader is told."""
_END_MISSING_S = 0.5
"""Time without pictures at a video's end from which on the reader is told: sound that runs on
after the last picture, as telephones record it, is shorter."""


def open_clip(
    path: str | Path,
    *,
    spacing_mm: float | tuple[float, float] | None = None,
    region: Box | int | None = None,
    fps: float | None = None,
    progress: Progress | None = None,
) -> Clip:
    """Open an ultrasound recording.

    The frames are decoded once, to find the picture on the screen and the frames that repeat, and
    then again each time they are asked for; only a few are in memory at any time.

    Parameters
    ----------
    path : str or Path
        A DICOM file, a DICOMDIR or folder with one DICOM recording, a video, an image, or a
        folder of numbered images. Of several recordings in a folder, give the path of one.
    spacing_mm : float or (float, float), optional
        Millimetres per pixel, or along x and along y, instead of what the file says.
    region : (int, int, int, int) or int, optional
        x, y, width and height of the B-mode picture in source px, instead of finding it; or the
        number of one of several that a DICOM file states, from 1.
    fps : float, optional
        Frames per second, instead of the file's timing.
    progress : callable, optional
        Called as ``progress("read", done, total)`` while the frames are surveyed.

    Returns
    -------
    Clip

    Raises
    ------
    UnreadableError
        If the input is missing, empty, damaged or in no format known here.
    NotUltrasoundError
        If it holds other images than ultrasound.
    CalibrationError
        If ``spacing_mm`` cannot be a pixel spacing.
    ConfigError
        If ``region`` or ``fps`` make no sense for this recording.
    """
    path = Path(path)
    spacing = None if spacing_mm is None else Calibration.given(spacing_mm)
    rate = checked_rate(fps)
    recording = read_source(path)
    box: Region | None = None
    if isinstance(region, (int, np.integer)):
        recording = _with_one_picture(recording, int(region))
    elif region is not None:
        box = _checked_region(region, recording)
    seen = survey(recording, progress)
    return Clip(_header(recording, seen, spacing, box, rate), functools.partial(_luma, recording))


def open_as_asked(path: Path, options: Options, progress: Progress | None = None) -> Clip:
    """Open a recording with what the options say of it; see :func:`open_clip`."""
    return open_clip(
        path,
        spacing_mm=options.spacing_mm,
        region=options.region,
        fps=options.fps,
        progress=progress,
    )


# --- what the user asked for ------------------------------------------------------------------


def _with_one_picture(recording: Recording, chosen: int) -> Recording:
    """Return the recording as if it stated only the chosen one of its B-mode pictures."""
    scaled = tuple(box for box in recording.scaled if box.number == chosen)
    if scaled:
        return replace(recording, scaled=scaled)
    if not recording.scaled:
        raise ConfigError(
            f"{recording.path}: states no B-mode picture with a scale, so there is no number "
            f"{chosen}; give the region as x,y,width,height in pixels."
        )
    raise ConfigError(
        f"{recording.path}: there is no region {chosen}; the B-mode pictures that it states are "
        f"{_listed(recording.scaled)}."
    )


def _listed(scaled: Iterable[ScaledBox]) -> str:
    return "; ".join(box.in_words() for box in sorted(scaled, key=lambda box: box.number))


def _checked_region(region: Box, recording: Recording) -> Region:
    whole = [int(v) for v in region if isinstance(v, (int, float, np.number)) and v % 1 == 0]
    if len(region) != 4 or len(whole) != 4:
        raise ConfigError(f"The region {region} is not x, y, width and height in whole pixels.")
    x, y, width, height = whole
    if width < 1 or height < 1:
        raise ConfigError(
            f"The region {x},{y},{width},{height} is empty; give x,y,width,height in pixels."
        )
    if x < 0 or y < 0 or x + width > recording.width or y + height > recording.height:
        raise ConfigError(
            f"The region {x},{y},{width},{height} lies outside the frame of "
            f"{recording.width} x {recording.height} px; give x,y,width,height inside it."
        )
    return Region(x, y, width, height)


# --- putting it together ----------------------------------------------------------------------


def _luma(recording: Recording) -> Iterator[Frame]:
    """Decode from the beginning."""
    return (picture.luma for picture in recording.pictures())


def _header(
    recording: Recording,
    seen: Survey,
    given: Calibration | None,
    box: Region | None,
    fps: float | None,
) -> Header:
    notes = list(recording.warnings)
    frames = len(seen.positions)
    if frames < recording.expected:
        notes.append(
            f"Only {frames} of the {recording.expected} frames that the file promises are whole; "
            "the others are left out."
        )
    shown_s = float(seen.times_s[-1] - seen.times_s[0]) * frames / max(frames - 1, 1)
    if recording.expected_s - shown_s > _END_MISSING_S:
        notes.append(
            f"Its pictures end after {shown_s:.1f} of the {recording.expected_s:.1f} s that the "
            "file promises: it was cut short while being copied, or only sound follows."
        )
    if box is None and len(recording.scaled) > 1:
        notes.append(
            f"The file holds {len(recording.scaled)} B-mode pictures ({_listed(recording.scaled)});"
            f" number {recording.scaled[0].number} is used unless you choose another (--region N)."
        )
    region = box or find_region(seen.samples, recording.scaled[0].box if recording.scaled else None)
    ruler = read_ruler(seen.samples, region)
    if ruler.calibration is not None and not (recording.square or ruler.square):
        ruler = replace(
            ruler,
            calibration=None,
            reason="the ruler tells it along one axis only, and pixels are not square",
        )
    calibration = given or _scale(recording.scaled, region, ruler, notes)
    if box is None:
        notes += _unlikely(calibration, region)
    timing = _timing(recording, seen, region, fps, notes)
    return Header(
        path=recording.path,
        sha256=recording.sha256,
        kind=recording.kind,
        frames=frames,
        width=recording.width,
        height=recording.height,
        region=region,
        tissue=_tissue(seen, region) & ~ruler.mask(region),
        calibration=calibration,
        timing=timing,
        source_names=tuple(map(printable, recording.source_names)),
        study=recording.study or pseudonym(recording.sha256),
        name=printable(recording.name or recording.path.name),
        frame_numbers=seen.positions,
        warnings=tuple(notes),
    )


def _tissue(seen: Survey, region: Region) -> Bools:
    """Where the region shows echoes: inside fan and margins, under no graphics of any sample."""
    tissue = tissue_mask(None, region) & ~drawn_in_grey(seen.samples, region)
    if region.fan is None:
        tissue &= within_margins(seen.samples, region)
    for colours in seen.colours:
        tissue &= tissue_mask(colours(), region)
    return tissue


def _scale(
    scaled: tuple[ScaledBox, ...], region: Region, ruler: Ruler, notes: list[str]
) -> Calibration:
    """Scale of the stated box that the region lies in, else of the ruler, else none."""

    def overlap(box: Box) -> int:
        width = min(region.x + region.width, box[0] + box[2]) - max(region.x, box[0])
        height = min(region.y + region.height, box[1] + box[3]) - max(region.y, box[1])
        return max(0, width) * max(0, height)

    whole = region.width * region.height
    inside = [box for box in scaled if overlap(box.box) > _PART_OF_REGION * whole]
    best = max(inside, key=lambda entry: overlap(entry.box), default=None)
    if best is not None and any(not _same_scale(box, best) for box in inside):
        notes.append(
            f"The region spans B-mode pictures of different scales ({_listed(inside)}), so "
            "lengths are in pixels: choose one of them (--region N)."
        )
        return Calibration()
    if best is not None and 2 * overlap(best.box) > whole:
        read = ruler.calibration.mm_per_px_y if ruler.calibration is not None else None
        if read is not None and abs(read / best.mm_per_px[1] - 1) > _RULER_AGREES:
            notes.append(
                f"The file states {best.mm_per_px[1]:.4f} mm per pixel, but the ruler on the "
                f"screen says {read:.4f}: check which is right, and give it (--spacing)."
            )
        return Calibration(
            best.mm_per_px[0],
            best.mm_per_px[1],
            CalibrationSource.DICOM,
            1.0,
            "calibrated ultrasound region of the DICOM file",
        )
    if ruler.calibration is not None:
        return ruler.calibration
    notes.append(
        f"The size of a pixel is not known ({ruler.reason}), so lengths are in pixels: give it in "
        "millimetres (--spacing) if you know it."
    )
    return Calibration()


def _unlikely(calibration: Calibration, region: Region) -> list[str]:
    """Say of a scale that makes the picture deeper or shallower than any that it is unlikely."""
    if calibration.mm_per_px_y is None:
        return []
    deep_mm = picture_depth_px(region) * calibration.mm_per_px_y
    if not is_never_imaged(deep_mm):
        return []
    return [
        f"At {calibration.mm_per_px_y:.4g} mm per pixel the picture is {deep_mm:,.1f} mm deep, "
        "which no scanner shows, so the millimetres are likely to be wrong: check the scale, and "
        "give the right one (--spacing)."
    ]


def _same_scale(one: ScaledBox, other: ScaledBox) -> bool:
    pairs = zip(one.mm_per_px, other.mm_per_px, strict=True)
    return all(abs(a / b - 1) < _SCALES_AGREE for a, b in pairs)


def _timing(
    recording: Recording, seen: Survey, region: Region, fps: float | None, notes: list[str]
) -> Timing:
    time_s, source = _times(recording, seen, fps, notes)
    return Timing(time_s, source, find_repeats(_largest_change(seen.changes, region, recording)))


def _times(
    recording: Recording, seen: Survey, fps: float | None, notes: list[str]
) -> tuple[Floats | None, TimingSource]:
    """Seconds of every decoded frame, the first 0, and where they come from."""
    positions = seen.positions
    if fps is not None:
        return (positions - positions[0]) / fps, TimingSource.USER
    if len(positions) < 2:
        return None, TimingSource.NONE
    if recording.times is not None:
        stated = recording.times(positions)
        if np.isfinite(stated).all():
            return stated - stated[0], recording.timing_source
    shown = seen.times_s
    if np.isfinite(shown).all():
        if (np.diff(shown) > 0).all():
            return shown - shown[0], TimingSource.CONTAINER
        trouble = "The container's time stamps do not increase"
    else:
        trouble = "The recording carries no time stamps"
    if not any("figures per second" in note for note in notes):
        notes.append(
            f"{trouble}, so figures per second are left out: give the frame rate (--fps) if you "
            "know it."
        )
    return None, TimingSource.NONE


def _largest_change(
    changes: NDArray[np.float32], region: Region, recording: Recording
) -> NDArray[np.float32]:
    """Change of the most changed block in the cells that the region touches, shape (frames,)."""
    x0 = region.x * GRID // recording.width
    x1 = -(-(region.x + region.width) * GRID // recording.width)
    y0 = region.y * GRID // recording.height
    y1 = -(-(region.y + region.height) * GRID // recording.height)
    inside = changes[:, y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
    largest: NDArray[np.float32] = inside.reshape(len(changes), -1).max(axis=1)
    return largest
