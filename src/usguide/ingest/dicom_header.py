"""What a DICOM header says about scale, time and identity.

Scale comes from the ultrasound regions (PS3.3 C.8.5.5) and from nowhere else; time from what
FrameIncrementPointer points at (PS3.3 C.7.6.6), else from the display rate, and then it says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.valuerep import PersonName

from usguide.ingest.recording import ScaledBox, pseudonym
from usguide.model import FRAME_STEP_S, Floats, TimingSource

_FORMAT_2D = 1
"""RegionSpatialFormat of a B-mode picture (PS3.3 C.8.5.5.1.1)."""
_UNIT_CM = 3
"""PhysicalUnitsXDirection / YDirection in centimetres (PS3.3 C.8.5.5.1.15)."""
_TISSUE = 1
"""RegionDataType of tissue (PS3.3 C.8.5.5.1.2); 2 is colour flow, on the same picture."""
_MM_PER_CM = 10.0
_PLAUSIBLE_MM_PER_PX = (1e-4, 10.0)
"""A micrometre per ten pixels to a centimetre per pixel: outside, the number is a dummy."""

_IDENTIFYING = (
    "PatientName",
    "OtherPatientNames",
    "PatientID",
    "OtherPatientIDs",
    "PatientBirthDate",
    "AccessionNumber",
)
_SHORTEST_WORD = 3
"""Shorter parts of a name are in any file's name."""

Times = Callable[[NDArray[np.int64]], Floats]

FRAME_TIME, FRAME_TIME_VECTOR = 0x00181063, 0x00181065
"""Tags of what FrameIncrementPointer points at (PS3.3 C.7.6.6)."""


def number(dataset: Dataset, keyword: str) -> float | None:
    """Return a finite number of the header, None where it is absent, empty or not a number."""
    value = dataset.get(keyword)
    try:
        result = float(value)
    except (TypeError, ValueError):
        return None
    return result if np.isfinite(result) else None


def scaled_boxes(dataset: Dataset, width: int, height: int) -> tuple[tuple[ScaledBox, ...], str]:
    """Find the B-mode regions that state a scale in centimetres.

    Returns
    -------
    tuple of ScaledBox
        Boxes clipped to the image, numbered in file order, the one to use first: tissue before
        colour flow, larger before smaller.
    str
        A sentence where the header's pixel spacing is not that of such a picture, otherwise empty.
    """
    found: dict[tuple[int, int, int, int], tuple[bool, int, ScaledBox]] = {}
    for region in _items(dataset, "SequenceOfUltrasoundRegions"):
        stated = _scaled_box(region, width, height)
        # The same picture is often stated again for its colours.
        if stated is not None and stated[0] not in found:
            box, spacing = stated
            scaled = ScaledBox(box, spacing, len(found) + 1)
            tissue = number(region, "RegionDataType") == _TISSUE
            found[box] = (not tissue, -box[2] * box[3], scaled)
    ordered = sorted(found.values(), key=lambda entry: (entry[0], entry[1], entry[2].number))
    boxes = tuple(entry[2] for entry in ordered)
    if not boxes and (spacing_mm := _floats(dataset.get("PixelSpacing"))) is not None:
        stated_mm = " x ".join(f"{value:g}" for value in spacing_mm[:2])
        return boxes, (
            f"The header's pixel spacing of {stated_mm} mm is not stated for an ultrasound "
            "picture, so it is not used: give it (--spacing) if you know that it holds."
        )
    return boxes, ""


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """Items of a sequence, none where the element is no sequence."""
    value = dataset.get(keyword)
    return [item for item in _as_list(value) if isinstance(item, Dataset)] if value else []


def _scaled_box(
    region: Dataset, width: int, height: int
) -> tuple[tuple[int, int, int, int], tuple[float, float]] | None:
    if number(region, "RegionSpatialFormat") != _FORMAT_2D:
        return None
    for axis in ("X", "Y"):
        if number(region, f"PhysicalUnits{axis}Direction") != _UNIT_CM:
            return None
    deltas = number(region, "PhysicalDeltaX"), number(region, "PhysicalDeltaY")
    corners = [
        number(region, f"RegionLocation{name}") for name in ("MinX0", "MinY0", "MaxX1", "MaxY1")
    ]
    spacing = abs(deltas[0] or 0.0) * _MM_PER_CM, abs(deltas[1] or 0.0) * _MM_PER_CM
    low, high = _PLAUSIBLE_MM_PER_PX
    if not all(low < value < high for value in spacing):
        return None
    # Both corners belong to the box (C.8.5.5.1.3); a box of one column or row is a dummy.
    known = [int(value) for value in corners if value is not None]
    if len(known) < 4:
        return None
    x0, y0, x1, y1 = known
    left, top = max(x0, 0), max(y0, 0)
    right, bottom = min(x1 + 1, width), min(y1 + 1, height)
    if right - left < 2 or bottom - top < 2:
        return None
    return (left, top, right - left, bottom - top), spacing


def frame_times(dataset: Dataset, frames: int) -> tuple[Times | None, TimingSource, str]:
    """Find when each frame was shown.

    Parameters
    ----------
    dataset : Dataset
        The header.
    frames : int
        Frames of the original recording.

    Returns
    -------
    callable or None
        From positions in the original recording to seconds, 0 for the first; NaN beyond what is
        stated.
    TimingSource
        What was believed.
    str
        A sentence where the reader should be told, otherwise empty.
    """
    if frames < 2:
        return None, TimingSource.NONE, ""
    pointer = dataset.get("FrameIncrementPointer")
    pointers = {int(tag) for tag in np.atleast_1d(_as_list(pointer))} if pointer else set()

    vector = _floats(dataset.get("FrameTimeVector"))
    if vector is not None and (FRAME_TIME_VECTOR in pointers or not pointers):
        steps = vector[1:frames]
        if len(vector) >= frames and (_is_step(steps)).all():
            # The first entry is 0 by definition, some write a step there (C.7.6.5.1.2).
            times_s = np.append(np.cumsum(np.append(0.0, steps)) / 1000.0, np.nan)
            return _stated(times_s), TimingSource.FRAME_TIME_VECTOR, ""
        trouble = f"Its frame time vector of {len(vector)} steps does not fit {frames} frames; "
    else:
        trouble = ""

    step = number(dataset, "FrameTime")
    if step is not None and _is_step(step) and (FRAME_TIME in pointers or not pointers or trouble):
        words = f"{trouble}the frame time of {step:g} ms is used instead." if trouble else ""
        return _regular(step / 1000.0), TimingSource.FRAME_TIME, words

    for keyword, name in (
        ("CineRate", "cine rate"),
        ("RecommendedDisplayFrameRate", "recommended display rate"),
    ):
        rate = number(dataset, keyword)
        if rate is not None and rate > 0 and _is_step(1000.0 / rate):
            return (
                _regular(1.0 / rate),
                TimingSource.CINE_RATE,
                (
                    f"{trouble or 'The file states no frame times; '}its {name} of {rate:g} "
                    "frames/s is used, which is how fast to play it, not always how fast it was "
                    "recorded."
                ),
            )
    return (
        None,
        TimingSource.NONE,
        (
            f"{trouble or 'The file states no timing; '}figures per second are left out: give the "
            "frame rate if you know it."
        ),
    )


def _stated(times_s: Floats) -> Times:
    """Look times up; whatever lies beyond them has the last one, which is NaN."""

    def at(positions: NDArray[np.int64]) -> Floats:
        times: Floats = times_s[np.minimum(positions, len(times_s) - 1)]
        return times

    return at


def _regular(step_s: float) -> Times:
    return lambda positions: np.multiply(positions, step_s, dtype=np.float64)


def _is_step(step_ms: Any) -> Any:
    """Whether milliseconds between two frames are possible."""
    low, high = FRAME_STEP_S
    return (step_ms >= 1000 * low) & (step_ms <= 1000 * high)


# --- identity ---------------------------------------------------------------------------------


def study_of(dataset: Dataset, sha256: str) -> str:
    """Return the pseudonym of a recording's study, of its content where it states no study."""
    study = str(dataset.get("StudyInstanceUID") or "").strip()
    return pseudonym(study or sha256)


def harmless_name(name: str, dataset: Dataset, study: str) -> str:
    """Return a file's name, or another where it holds what identifies the patient.

    Parameters
    ----------
    name : str
        Without folders.
    dataset : Dataset
        The header, whose identifying values are looked for in the name.
    study : str
        Pseudonym to put in its place.
    """
    words = set()
    for keyword in _IDENTIFYING:
        for value in _as_list(dataset.get(keyword) or ()):
            words |= {word for word in re.split(r"[\W_]+", str(value).casefold()) if word}
    if any(len(word) >= _SHORTEST_WORD and word in name.casefold() for word in words):
        return f"study_{study}{PurePath(name).suffix}"
    return name


def _as_list(value: Any) -> list[Any]:
    many = hasattr(value, "__iter__") and not isinstance(value, (str, bytes, PersonName))
    return list(value) if many else [value]


def _floats(value: Any) -> Floats | None:
    """Return numbers of a multi-valued element, None where there are none or they are not."""
    if value is None or value == "":
        return None
    try:
        numbers = np.array([float(v) for v in _as_list(value)], dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) and np.isfinite(numbers).all() else None
