"""The verdict on one suspected gap: which witnesses decide, and what is said where they do not."""

import numpy as np
import pytest

from usguide.model import (
    Borders,
    Calibration,
    CalibrationSource,
    MuscleResult,
    Region,
    SeparationFlag,
    Status,
)
from usguide.motion.contraction import Contraction
from usguide.motion.dark_interval import Levels
from usguide.motion.gap import Gap
from usguide.motion.history import Motion
from usguide.motion.judgement import judge
from usguide.motion.parting import Parting
from usguide.motion.strip import belly_of
from usguide.motion.suspects import Suspect, beside
from usguide.motion.width import Widths

ENTRIES, PEAK = 41, 20
ACTIVATION = 1.0 - np.abs(np.arange(ENTRIES) - PEAK) / PEAK
CELL = 17.0
SCALE = Calibration(0.1, 0.1, CalibrationSource.USER, 1.0)
ROWS = np.arange(4, 20)


def verdict(rest_px, peak_px, parted_px, contrast=5.0, frayed_px=0.0, pulsing=False):
    """Judge a gap that opens from one width to another while its right side moves away.

    ``frayed_px`` is the SD of what its rows widen by; ``pulsing`` says that it opens and closes
    all the time in between.
    """
    lines = (np.full((1, 400), y, np.float32) for y in (80, 180))
    muscle = MuscleResult(Status.MEASURED, "given.", borders=Borders(np.arange(400.0), *lines))
    belly = belly_of(muscle, Region(0, 0, 400, 300), np.ones((300, 400), bool))
    x, y = np.arange(8.0, 400.0, CELL), np.arange(10.0, 300.0, 20.0)
    moved = np.zeros((ENTRIES, len(y), len(x), 2), np.float32)
    moved[:, :, x > 205, 0] = parted_px * ACTIVATION[:, None, None]
    motion = Motion(
        np.arange(ENTRIES),
        moved,
        np.ones(moved.shape[:3], np.float32),
        np.ones(ENTRIES),
        np.zeros(ENTRIES, bool),
        np.zeros((ENTRIES, 2)),
        x,
        y,
    )
    contraction = Contraction(
        ACTIVATION, 20 * ACTIVATION, None, np.zeros((ENTRIES, 2)), ((0, PEAK, 40),), 20, True, True
    )
    gap = Gap(
        PEAK,
        ROWS,
        np.tile([205 - peak_px / 2, 205 + peak_px / 2], (len(ROWS), 1)),
        slice(None),
        Levels(80, 80, 20),
        contrast,
        80,
    )
    ends = beside(gap, belly.depth_lines(0, 24)[ROWS], belly, CELL)
    parting = Parting(slice(3, 6), 10, 13, parted_px, 1.0)
    fray = frayed_px * np.resize([-1.0, 1.0], len(ROWS)) * ACTIVATION[:, None]
    opened = np.where(pulsing & (np.arange(ENTRIES) % 2 == 1), 1 - ACTIVATION, ACTIVATION)
    value = rest_px + (peak_px - rest_px) * opened
    widths = Widths(value, np.full(ENTRIES, 0.5), value[:, None] + fray)
    return judge(
        Suspect(gap, parting, 0, ends), widths, motion, contraction, belly, SCALE
    ).separation


def test_a_gap_that_opens_as_far_as_its_ends_part_is_a_separation():
    found = verdict(10, 50, parted_px=40)
    assert found.flag is SeparationFlag.SEPARATION
    assert found.widening_mm.value == pytest.approx(4.0, abs=0.3)


def test_a_gap_that_stays_is_none_though_something_seems_to_part():
    found = verdict(30, 30, parted_px=12)
    assert found.flag is SeparationFlag.NONE
    assert "does not widen" in found.reason


@pytest.mark.parametrize(("contrast", "flag"), [(5, "indeterminate"), (2.5, "none")])
def test_a_widening_that_is_not_certain_is_not_called_none_at_a_clear_gap(contrast, flag):
    found = verdict(17, 25, 12, contrast, frayed_px=20)
    assert found.flag.value == flag
    assert ("is not certain" in found.reason) == (flag == "indeterminate")


@pytest.mark.parametrize(("contrast", "flag"), [(5, "indeterminate"), (2.5, "none")])
def test_a_clear_gap_that_opens_by_itself_leaves_it_open(contrast, flag):
    found = verdict(10, 50, 40, contrast, pulsing=True)
    assert found.flag.value == flag
    assert "does not follow the contraction" in found.reason
