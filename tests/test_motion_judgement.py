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


def verdict(rest_px, peak_px, parted_px, error_px=1.0, contrast=5.0, frayed_px=0.0, shown_px=None):
    """Judge a gap that opens from one width to another while its right side moves away.

    ``frayed_px`` is the SD of what its rows widen by; ``shown_px`` how wide the picture at the peak
    shows it, if not as wide as it is read.
    """
    shown = peak_px if shown_px is None else shown_px
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
        np.tile([205 - shown / 2, 205 + shown / 2], (len(ROWS), 1)),
        slice(None),
        Levels(80, 80, 20),
        contrast,
    )
    ends = beside(gap, belly.depth_lines(0, 24)[ROWS], belly, CELL)
    parting = Parting(slice(3, 6), 10, 13, parted_px, error_px)
    fray = frayed_px * np.resize([-1.0, 1.0], len(ROWS)) * ACTIVATION[:, None]
    value = rest_px + (peak_px - rest_px) * ACTIVATION
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


@pytest.mark.parametrize(
    ("error_px", "contrast", "shown_px", "flag"),
    [
        (1, 5, 60, "indeterminate"),
        (1, 5, 8, "none"),
        (20, 5, 60, "none"),
        (1, 2.5, 60, "none"),
    ],
    ids=["a wide gap", "a narrow gap", "ends that may not part", "a gap that is not clear"],
)
def test_a_gap_in_view_that_is_read_as_closed_is_not_called_none(
    error_px, contrast, shown_px, flag
):
    found = verdict(5, 5, 35, error_px, contrast, shown_px=shown_px)
    assert found.flag.value == flag
    assert ("cannot be measured" in found.reason) == (flag == "indeterminate")


@pytest.mark.parametrize(
    ("error_px", "contrast", "flag"),
    [(1, 5, "indeterminate"), (6, 5, "none"), (1, 2.5, "none")],
    ids=["ends that part", "ends that may not part", "a gap that is not clear"],
)
def test_a_widening_that_is_not_certain_is_not_called_none_at_a_clear_gap(error_px, contrast, flag):
    found = verdict(17, 25, 12, error_px, contrast, frayed_px=20)
    assert found.flag.value == flag
    assert ("is not certain" in found.reason) == (flag == "indeterminate")


@pytest.mark.parametrize(
    ("error_px", "contrast", "flag"),
    [(4, 5, "indeterminate"), (6, 5, "none"), (4, 2.5, "none")],
    ids=["tissue that parts", "tissue that moves together", "a gap that is not clear"],
)
def test_tissue_that_parts_by_less_than_a_clear_gap_widens_leaves_it_open(error_px, contrast, flag):
    found = verdict(0, 80, 12, error_px, contrast)
    assert found.flag.value == flag
    assert ("parts by much less" in found.reason) == (flag == "indeterminate")
    assert ("moves together" in found.reason) == (flag == "none")
