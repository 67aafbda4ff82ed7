"""The scale from the ruler on the screen, where its numbers can be read for certain.

The spacing of ticks alone does not tell 5 mm from 10 mm, so it is never used alone: a comb of
marks becomes a scale only if the numbers beside it grow with their place in the comb, by a step
that rulers have, and with no other reading about as likely; or, without numbers, if one usual
spacing alone makes the picture as deep as is printed beside it. Centimetres and millimetres are
told apart by a printed unit, a printed depth, or the depth they imply, which must be one that a
scanner can image. A wrong scale is worse than none: in doubt, there is none.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usguide.ingest.printed_depth import (
    PrintedDepth,
    find_depths,
    fits_depth,
    is_imaged,
    marks_by_depth,
    picture_depth_px,
)
from usguide.ingest.ruler_numbers import Reading, labels_beside, read_numbers
from usguide.ingest.ticks import LONG, Comb, find_combs, stand_out
from usguide.model import Bools, Calibration, CalibrationSource, Frame, Region

_MM = {"cm": 10.0, "mm": 1.0}
_SURE_SEVERAL, _SURE_ONE = 0.95, 0.85
"""How sure a scale is, 0 to 1, that several numbers beside the marks tell, and that one tells."""
_SURE_NAMED, _SURE_UNNAMED = 0.9, 0.85
"""The same for the printed depth, with a word that names it and without. Judged by how much has to
be misread for each to be wrong; in the benchmark no scale that was read was wrong."""
_LIGHT = 128
"""Median grey level beside the picture from which on marks and text are dark on it."""
_SQUARE = 0.015
"""How far the two rulers of a screen may differ where its pixels are square."""
_STEP_RATIOS = np.array([1.0, 0.2, 0.25, 0.4, 0.5, 2.0, 2.5, 4.0, 5.0])
"""Distances of marks across over those of marks down: 1, 2, 2.5, 5 and 10 mm are usual."""
_AGREE = "the rulers down and across agree"
_STRETCHED = 0.1
"""Up to which they differ where its pixels are not; farther off, one of them is no ruler."""


@dataclass(frozen=True, slots=True, eq=False)
class Ruler:
    """What the rulers on a screen say.

    Parameters
    ----------
    calibration : Calibration or None
        None where no scale is certain.
    reason : str
        Why there is none, for the reader; empty where there is one.
    marks : ndarray of int64, shape (n, 4)
        x, y, width, height of the marks found, which are no echoes.
    square : bool
        Whether rulers down and across show that pixels are as wide as high.
    """

    calibration: Calibration | None
    reason: str
    marks: NDArray[np.int64]
    square: bool = False

    def mask(self, region: Region, margin: int = 2) -> Bools:
        """Pixels of the region under marks, shape (region.height, region.width)."""
        mask = np.zeros((region.height, region.width), dtype=np.bool_)
        for x, y, width, height in self.marks - [region.x, region.y, 0, 0]:
            rows = slice(max(0, y - margin), max(0, y + height + margin))
            mask[rows, max(0, x - margin) : max(0, x + width + margin)] = True
        return mask


def read_ruler(samples: NDArray[np.uint8], region: Region) -> Ruler:
    """Read the rulers of a screen.

    Parameters
    ----------
    samples : ndarray of uint8, shape (k, height, width)
        Luma of a few frames spread over the recording.
    region : Region
        The B-mode picture.
    """
    still = _still(samples, region)
    none = np.empty((0, 4), dtype=np.int64)
    if min(region.width, region.height) < 64:
        return Ruler(None, "the picture is too small to show a ruler", none)
    down = find_combs(still, (region.x, region.y, region.width, region.height))
    turned = np.ascontiguousarray(still.T)
    across = find_combs(turned, (region.y, region.x, region.height, region.width))
    marks = np.concatenate(
        [none, *(comb.boxes for comb in down), *(c.boxes[:, [1, 0, 3, 2]] for c in across)]
    )
    if not down and not across:
        return Ruler(None, "no ruler was found beside the picture", none)

    shown = stand_out(still)
    depths = functools.cache(lambda: find_depths(shown, region))
    scales, doubt = _by_numbers(down, across, shown, region, depths)
    if not scales:
        # The numbers' own doubt is about their unit only, and the depth has not settled it.
        scales = [] if doubt else _by_depth(down, across, depths(), region)
    if not scales:
        return Ruler(None, doubt or _unread(down, across), marks)
    if max(s.mm_per_px for s in scales) > (1 + _SQUARE) * min(s.mm_per_px for s in scales):
        return Ruler(None, "the rulers on the screen contradict each other", marks)
    how = _agreement(down, across)
    if how is None:
        return Ruler(None, "the rulers down and across do not fit together", marks)
    best = max(scales, key=lambda scale: scale.weight)
    detail = (
        f"ruler on the screen: {len(best.comb.places)} marks, {best.comb.step_px:.2f} px or "
        f"{best.mark_mm:g} mm apart, {best.by}; {how}"
    )
    calibration = Calibration(
        best.mm_per_px, best.mm_per_px, CalibrationSource.RULER, best.confidence, detail
    )
    return Ruler(calibration, "", marks, square=how == _AGREE)


@dataclass(frozen=True, slots=True)
class _Scale:
    """What the marks of a comb stand for, how that is known, and how well."""

    comb: Comb
    mark_mm: float
    by: str
    confidence: float
    weight: float

    @property
    def mm_per_px(self) -> float:
        return self.mark_mm / self.comb.step_px


def _still(samples: NDArray[np.uint8], region: Region) -> Frame:
    """Return what stays of the screen over time, bright on dark also where it is dark on light."""
    still: Frame = samples.min(axis=0)
    beside = np.ones(still.shape, dtype=np.bool_)
    beside[region.slices] = False
    if beside.any() and np.median(still[beside]) >= _LIGHT:
        still[beside] = 255 - samples.max(axis=0)[beside]
    return still


def _by_numbers(
    down: list[Comb],
    across: list[Comb],
    shown: NDArray[np.uint8],
    region: Region,
    depths: Callable[[], list[PrintedDepth]],
) -> tuple[list[_Scale], str]:
    """Scales that the numbers beside the combs tell for certain, or why they tell none."""
    scales = []
    for combs, along_x, zero in ((down, False, region.y), (across, True, region.x)):
        for comb in combs:
            for labels in labels_beside(comb, shown, along_x):
                reading = read_numbers(labels, comb, zero)
                if reading is None:
                    continue
                unit = reading.unit or _unit(comb, reading, region, depths)
                if unit is None:
                    return [], "the ruler's numbers may be centimetres or millimetres"
                several = reading.numbers > 1
                by = (
                    f"as {reading.numbers} numbers beside them say ({unit})"
                    if several
                    else f"as a number beside them says ({unit})"
                )
                confidence = _SURE_SEVERAL if several else _SURE_ONE
                mark_mm = reading.step * _MM[unit]
                scales.append(_Scale(comb, mark_mm, by, confidence, reading.score))
    return scales, ""


def _by_depth(
    down: list[Comb], across: list[Comb], depths: list[PrintedDepth], region: Region
) -> list[_Scale]:
    """Scales at which the picture is as deep as printed beside it."""
    return [
        _Scale(
            told.comb,
            told.mark_mm,
            f"for the picture is then as deep as the {told.depth.mm:g} mm printed beside it",
            _SURE_NAMED if told.depth.named else _SURE_UNNAMED,
            len(told.comb.places),
        )
        for told in marks_by_depth(down, across, depths, region)
    ]


def _unread(down: list[Comb], across: list[Comb]) -> str:
    """Say what the user needs to know about a ruler without numbers."""
    comb = max(down or across, key=lambda comb: len(comb.places))
    if len(comb.places) < LONG:
        return "what may be a ruler shows no numbers that can be read for certain"
    return (
        "what may be a ruler shows no numbers that can be read for certain; its marks are "
        f"{comb.step_px:.1f} px apart, so it is {5 / comb.step_px:.4f} mm per pixel if they stand "
        f"for 5 mm, {10 / comb.step_px:.4f} if for 10 mm"
    )


def _unit(
    comb: Comb, reading: Reading, region: Region, depths: Callable[[], list[PrintedDepth]]
) -> str | None:
    """Find the unit that makes the picture as deep as scanners image, or as it says it is."""
    depth = picture_depth_px(region) / comb.step_px * reading.step
    possible = [unit for unit, mm in _MM.items() if is_imaged(depth * mm, region)]
    if len(possible) == 2:
        printed = {u for u in possible for d in depths() if fits_depth(d, depth * _MM[u], region)}
        if len(printed) == 1:
            return printed.pop()
        if region.fan is not None and region.fan.radius_min_px > 0:
            # A curved probe's picture is never a few centimetres deep only.
            return "cm"
    return possible[0] if len(possible) == 1 else None


def _agreement(down: list[Comb], across: list[Comb]) -> str | None:
    """Say how rulers along x and y bear out that pixels are square; None if they do not."""
    long = [[c for c in combs if len(c.places) >= LONG] for combs in (down, across)]
    how = "pixels are taken to be square"
    for one in long[0]:
        for other in long[1]:
            off = float(np.abs(other.step_px / one.step_px / _STEP_RATIOS - 1).min())
            if off <= _SQUARE:
                return _AGREE
            if off <= _STRETCHED:
                how = ""
    return how or None
