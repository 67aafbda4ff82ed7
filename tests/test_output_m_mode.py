"""The muscle's line over time, and where the report shows it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import output_analyses as made
from usguide.model import Analysis, Borders, Status
from usguide.output.m_mode import MMode, m_mode
from usguide.output.writing import write_results


@pytest.fixture(scope="module")
def full() -> Analysis:
    return with_borders(made.measured(made.clip()))


def with_borders(analysis: Analysis) -> Analysis:
    """A muscle across the whole picture, whose deep border sinks by a pixel a frame."""
    header = analysis.header
    x = np.array([header.region.x, header.region.x + header.region.width - 1.0])
    top = np.full((header.frames, 2), header.region.y + 10, np.float32)
    sinking = np.arange(header.frames, dtype=np.float32)[:, None]
    muscle = replace(analysis.muscle, borders=Borders(x, top, top + 20 + sinking))
    return replace(analysis, muscle=muscle)


def test_the_line_keeps_its_share_of_the_thickness(full: Analysis) -> None:
    header = full.header
    gathered = MMode.of(full)
    assert gathered is not None
    rows = np.arange(header.region.height, dtype=np.float64)[:, None]
    frame = np.broadcast_to(np.minimum(3 * rows, 255), (header.region.height, header.region.width))
    for index in np.flatnonzero(header.timing.duplicate_of < 0):
        gathered.add(int(index), np.ascontiguousarray(frame, np.uint8))
    taken = np.array(gathered.frames)
    assert gathered.picture.shape == (header.region.width, len(taken))
    depth = 10 + gathered.share * (20 + taken)
    assert gathered.picture.mean(axis=0) == pytest.approx(3 * depth, abs=1.5)


def test_repeated_frames_are_left_out(full: Analysis) -> None:
    gathered = MMode.of(full)
    assert gathered is not None
    frame = np.full((full.header.region.height, full.header.region.width), 9, np.uint8)
    for index in range(full.header.frames):
        gathered.add(index, frame)
    assert not set(gathered.frames) & set(made.DUPLICATES)


def test_the_report_shows_it_only_for_a_muscle_that_moves(full: Analysis, tmp_path: Path) -> None:
    page = write_results(full, made.clip(), tmp_path / "moving", overlay=False)
    assert "The muscle over time" in page.read_text(encoding="utf-8")
    contraction = replace(full.motion.contraction, status=Status.NONE_FOUND)
    still = replace(full, motion=replace(full.motion, contraction=contraction))
    assert MMode.of(still) is None
    assert m_mode(still, None) is None
    page = write_results(still, made.clip(), tmp_path / "still", overlay=False)
    assert "The muscle over time" not in page.read_text(encoding="utf-8")


def test_without_the_muscle_s_borders_there_is_no_line(full: Analysis) -> None:
    assert MMode.of(replace(full, muscle=replace(full.muscle, borders=None))) is None
