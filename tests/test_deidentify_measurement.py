"""A de-identified copy measures what its original measures.

The originals are the sample clips, put on a larger screen with a name outside the picture.
"""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from ingest_files import region_item, write_dicom
from usguide import Options, analyze, open_clip
from usguide.ingest.deidentify import deidentify
from usguide.ingest.sources import read_source
from usguide.model import Header, Task
from usguide.output.result_json import Json, result_document
from usguide.output.tables import write_frames

SAMPLES = Path(__file__).parents[1] / "sample_data"
HEEL, MUSCLE = SAMPLES / "heel_needling.dcm", SAMPLES / "muscle_tear_screen.mp4"
LEFT, TOP = 60, 50
NAME = "Mustermann"
DIFFERENT = ("source", "seconds")
"""Of a result: the file's name and hash, and how long the computation took."""


@cache
def frames(path: Path, every: int, count: int) -> NDArray[np.uint8]:
    """Pictures of a sample, (frames, height, width), cut out of its screen."""
    rows, columns = open_clip(path).header.region.slices
    shown = [picture.luma[rows, columns] for picture in read_source(path).pictures()]
    return np.stack(shown[::every][:count])


def on_a_screen(path: Path, picture: NDArray[np.uint8], **timing: Any) -> Path:
    """Write a calibrated DICOM cine of a picture on a screen that names the patient."""
    count, height, width = picture.shape
    screen = np.zeros((count, height + 2 * TOP, width + 2 * LEFT), np.uint8)
    for frame in screen:
        cv2.putText(frame, NAME, (5, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 255, 1)
    screen[:, TOP : TOP + height, LEFT : LEFT + width] = picture
    box = (LEFT, TOP, LEFT + width - 1, TOP + height - 1)
    regions = [region_item(box, (0.0075, 0.0072))]
    names = {"PatientName": f"{NAME}^Erika", "SequenceOfUltrasoundRegions": regions}
    return write_dicom(path, screen, **(names | timing))


def beginning_of_the_screen(path: Path, count: int) -> Path:
    """Copy so many frames of the recorded screen as they are coded, with its ruler."""
    with av.open(str(MUSCLE)) as whole, av.open(str(path), "w") as part:
        stream = whole.streams.video[0]
        target = part.add_stream_from_template(stream)
        for packet in itertools.islice(whole.demux(stream), count):
            packet.stream = target
            part.mux(packet)
    return path


def measured(path: Path, tasks: set[Task], **given: Any) -> tuple[Json, str, Header]:
    """Return all a result says of the tissue, its row for each frame, and the header read."""
    clip = open_clip(path, **given)
    analysis = analyze(clip, Options(tasks=frozenset(tasks)))
    document = result_document(analysis)
    table = path.with_suffix(".csv")
    write_frames(analysis, table)
    kept = {key: value for key, value in document.items() if key not in DIFFERENT}
    return kept, table.read_text(), clip.header


def numbers(document: Any) -> list[float]:
    """Every number of a document, in its order."""
    if isinstance(document, dict):
        return [number for value in document.values() for number in numbers(value)]
    if isinstance(document, list):
        return [number for value in document for number in numbers(value)]
    return [float(document)] if isinstance(document, (int, float)) else []


def test_the_fascia_and_the_needle_measure_the_same_in_a_copy(tmp_path: Path) -> None:
    original = on_a_screen(tmp_path / "heel.dcm", frames(HEEL, 1, 30), FrameTime=40.0)
    copy = tmp_path / "copy.dcm"
    assert deidentify(original, copy).clean
    tasks = {Task.FASCIA, Task.NEEDLE}
    before, tips_before, header = measured(original, tasks)
    after, tips_after, _ = measured(copy, tasks)
    assert before["fascia"]["status"] == before["needle"]["status"] == "measured"
    assert header.calibration.spacing_mm == pytest.approx((0.075, 0.072))
    thickness = before["fascia"]["thickness_mm"]
    assert thickness["insertion"] is not None
    assert thickness["stations"]
    assert before["needle"]["frames_visible"] > 15
    assert after == before
    assert tips_after == tips_before


def test_the_excursion_of_a_muscle_is_the_same_in_a_copy(tmp_path: Path) -> None:
    steps = [0.0, *np.resize([100.0, 98.0, 103.0], 29)]
    original = on_a_screen(
        tmp_path / "calf.dcm",
        frames(MUSCLE, 6, 30),
        FrameTimeVector=steps,
        FrameIncrementPointer=0x00181065,
    )
    copy = tmp_path / "copy.dcm"
    assert deidentify(original, copy).clean
    tasks = {Task.MUSCLE, Task.CONTRACTION}
    before, excursion_before, header = measured(original, tasks)
    after, excursion_after, _ = measured(copy, tasks)
    assert before["muscle"]["status"] == before["contraction"]["status"] == "measured"
    assert header.timing.time_s is not None
    assert header.timing.time_s[-1] == pytest.approx(sum(steps) / 1000)
    assert after == before
    assert excursion_after == excursion_before


def test_the_audit_says_how_to_analyse_a_copy_that_has_lost_its_ruler(tmp_path: Path) -> None:
    original, copy = beginning_of_the_screen(tmp_path / "original.mkv", 60), tmp_path / "copy.mp4"
    audit = deidentify(original, copy)
    assert audit.clean
    (done,) = audit.copies
    assert open_clip(copy).header.calibration.spacing_mm is None
    before, _, old = measured(original, {Task.MUSCLE})
    after, _, new = measured(copy, {Task.MUSCLE}, **done.document()["analyze_with"])
    assert "--spacing 0.085" in " ".join(done.sentences())
    assert before["muscle"]["status"] == "measured"
    assert done.document()["analyze_with"] == {"spacing_mm": list(old.calibration.spacing_mm)}
    assert new.region == old.region
    one, other = (next(iter(read_source(path).pictures())).luma for path in (original, copy))
    np.testing.assert_array_equal(other[old.region.slices], one[old.region.slices])
    np.testing.assert_array_equal(new.timing.distinct, old.timing.distinct)
    # The container rounds its time stamps to its own time base.
    np.testing.assert_allclose(new.timing.time_s, old.timing.time_s, atol=1e-3)
    np.testing.assert_allclose(numbers(after["muscle"]), numbers(before["muscle"]), atol=1e-6)
