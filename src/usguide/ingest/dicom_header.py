"""What a DICOM header says about scale and time.

Scale comes from the ultrasound regions (PS3.3 C.8.5.5) and from nowhere else; time from what
FrameIncrementPointer points at (PS3.3 C.7.6.6), else from the display rate, and then it says so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from usguide.ingest.recording import ScaledBox
from usguide.model import Floats, TimingSource

_FORMAT_2D = 1
"""RegionSpatialFormat of a B-mode picture (PS3.3 C.8.5.5.1.1)."""
_UNIT_CM = 3
"""PhysicalUnitsXDirection / YDirection in centimetres (PS3.3 C.8.5.5.1.15)."""
_TISSUE = 1
"""RegionDataType of tissue (PS3.3 C.8.5.5.1.2); 2 is colour flow, on the same picture."""
_MM_PER_CM = 10.0
_PLAUSIBLE_MM_PER_PX = (1e-4, 10.0)
"""A micrometre per ten pixels to a centimetre per pixel: outside, the number is a dummy."""

_FRAME_TIME = 0x00181063
_FRAME_TIME_VECTOR = 0x00181065


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
        Boxes clipped to the image: tissue before colour flow, larger before smaller, then in
        file order.
    str
        A sentence where the file states scales that differ, otherwise empty.
    """
    found = []
    for order, region in enumerate(dataset.get("SequenceOfUltrasoundRegions") or []):
        scaled = _scaled_box(region, width, height)
        if scaled is not None:
            area = scaled.box[2] * scaled.box[3]
            tissue = number(region, "RegionDataType") == _TISSUE
            found.append((not tissue, -area, order, scaled))
    found.sort(key=lambda entry: entry[:3])
    boxes = tuple(entry[3] for entry in found)
    scales = {tuple(round(v, 6) for v in box.mm_per_px) for box in boxes}
    note = ""
    if len({box.box for box in boxes}) > 1:
        same = "of one scale" if len(scales) == 1 else "of different scales"
        x, y, w, h = boxes[0].box
        note = (
            f"The file holds {len(boxes)} B-mode pictures {same}; the one at "
            f"{x},{y},{w},{h} is used: give a region to choose another."
        )
    return boxes, note


def _scaled_box(region: Dataset, width: int, height: int) -> ScaledBox | None:
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
    return ScaledBox((left, top, right - left, bottom - top), spacing)


def frame_times(dataset: Dataset, frames: int) -> tuple[Floats | None, TimingSource, str]:
    """Find when each frame was shown.

    Parameters
    ----------
    dataset : Dataset
        The header.
    frames : int
        Frames of the original recording.

    Returns
    -------
    ndarray of float64, shape (frames,), or None
        Seconds, the first 0.
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
    if vector is not None and (_FRAME_TIME_VECTOR in pointers or not pointers):
        if len(vector) >= frames and (vector[1:frames] > 0).all():
            # The first entry is 0 by definition, some write a step there (C.7.6.5.1.2).
            steps = np.concatenate([[0.0], vector[1:frames]])
            return np.cumsum(steps) / 1000.0, TimingSource.FRAME_TIME_VECTOR, ""
        trouble = f"Its frame time vector of {len(vector)} steps does not fit {frames} frames; "
    else:
        trouble = ""

    step = number(dataset, "FrameTime")
    if step is not None and step > 0 and (_FRAME_TIME in pointers or not pointers or trouble):
        return (
            np.arange(frames, dtype=np.float64) * step / 1000.0,
            TimingSource.FRAME_TIME,
            (f"{trouble}the frame time of {step:g} ms is used instead." if trouble else ""),
        )

    for keyword, name in (
        ("CineRate", "cine rate"),
        ("RecommendedDisplayFrameRate", "recommended display rate"),
    ):
        rate = number(dataset, keyword)
        if rate is not None and rate > 0:
            return (
                np.arange(frames, dtype=np.float64) / rate,
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


def _as_list(value: Any) -> list[Any]:
    return (
        list(value) if isinstance(value, (list, tuple)) or hasattr(value, "__iter__") else [value]
    )


def _floats(value: Any) -> Floats | None:
    """Return numbers of a multi-valued element, None where there are none or they are not."""
    if value is None or value == "":
        return None
    try:
        numbers = np.array([float(v) for v in _as_list(value)], dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) and np.isfinite(numbers).all() else None
