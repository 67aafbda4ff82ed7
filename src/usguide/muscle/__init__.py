"""The muscle stage: two aponeuroses, the thickness and the echo intensity between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usguide.model import (
    Borders,
    Floats,
    Frame,
    Header,
    Measurement,
    MuscleResult,
    Status,
)
from usguide.muscle.bellies import Belly, BellyFinder, node_centres
from usguide.muscle.history import NEVER_CHOSEN, follow
from usguide.muscle.streaks import Streaks

_SMALLEST_PX = 32
"""Least width and height of a picture in which two bands and a muscle can be told apart."""

_SEEN = 1 / 3
"""Part of the frames in which the muscle must be seen for the clip to be one of it."""

_TEXTURE_EVERY = 16
"""One frame in so many is asked for fibres: they do not come and go."""

_LAYERS_EVERY = 4
"""One frame in so many is searched for the edges of bright layers while none bounds a muscle: in
every frame, a clip without a muscle takes half as long again."""

_LEAST_STREAKS = Streaks(share=0.28, lean=0.06)
"""What streaks must reach, one or the other, for there to be fibres. The share is 0.31 or more in
19 images of leg muscles, 33 frames of a calf and five real clips, and at most 0.26 in speckle
between two films (18 synthetic phantoms, the needle in it or not); the lean is 0.05 there at most.
Of another simulator's muscles, every eighth has a smaller share, in coarser speckle; all but four
of those lean by 0.07 or more (the even ones of 80 were looked at when this was chosen)."""


class MuscleStage:
    """Find the superficial-most muscle belly and follow its borders through a clip.

    Parameters
    ----------
    header : Header
        The clip whose frames will be shown.
    """

    def __init__(self, header: Header) -> None:
        self._header = header
        region = header.region
        self._large_enough = min(region.width, region.height) >= _SMALLEST_PX
        self._finder = BellyFinder(header.tissue, header.calibration)
        self._indices: list[int] = []
        self._seen: list[list[Belly]] = []

    def observe(self, index: int, frame: Frame) -> None:
        """Look at one distinct frame of the clip, uint8 of shape (region.height, region.width)."""
        if self._large_enough:
            looked = len(self._seen)
            layers = looked % _LAYERS_EVERY == 0 or bool(self._seen[-1])
            texture = looked % _TEXTURE_EVERY == 0
            self._indices.append(index)
            self._seen.append(self._finder.find(frame, NEVER_CHOSEN, layers, texture))

    def conclude(self) -> MuscleResult:
        """Choose one muscle for the whole clip and measure it."""
        if not self._large_enough:
            return MuscleResult(
                Status.NOT_MEASURED,
                f"the picture is less than {_SMALLEST_PX} px wide or high, too small to tell "
                "aponeuroses from speckle",
            )
        if not self._seen:
            return MuscleResult(Status.NOT_MEASURED, "the clip holds no readable frame")
        chosen = follow(self._seen, self._header.region.height)
        found = [(i, b) for i, b in zip(self._indices, chosen, strict=True) if b is not None]
        if len(found) < max(1.0, _SEEN * len(chosen)):
            return MuscleResult(
                Status.NONE_FOUND,
                "no two long bright bands with a muscle between them cross the picture",
            )
        streaks = [belly.streaks for _, belly in found if belly.streaks is not None]
        known = [one for one in streaks if np.isfinite(one).all()]
        if known and np.all(np.median(known, axis=0) < _LEAST_STREAKS):
            return MuscleResult(
                Status.NONE_FOUND,
                "there is speckle without the streaks of fibres between the two bright bands",
            )
        return self._summarise(found, len(chosen))

    def _summarise(self, found: list[tuple[int, Belly]], looked: int) -> MuscleResult:
        region = self._header.region
        frames = self._header.frames
        thickness = np.array([belly.thickness_px for _, belly in found])
        # The middle frame is one that exists, so that its picture shows the number reported.
        reference, typical = found[int(np.argsort(thickness, kind="stable")[len(found) // 2])]
        x = node_centres(region.width) + region.x

        def per_frame(values: list[float], offset: float = 0.0) -> Floats:
            column = np.full(frames, np.nan)
            column[[index for index, _ in found]] = np.array(values) + offset
            return column

        def line(y: NDArray[np.float32]) -> Floats:
            return np.stack([x, y + region.y], axis=1)

        superficial = np.full((frames, len(x)), np.nan, dtype=np.float32)
        deep = superficial.copy()
        for index, belly in found:
            superficial[index] = belly.superficial_y_px + region.y
            deep[index] = belly.deep_y_px + region.y
        below = np.median([belly.thickness_px - belly.thickness_low_px for _, belly in found])
        above = np.median([belly.thickness_high_px - belly.thickness_px for _, belly in found])
        value = typical.thickness_px
        thickness_px = Measurement(
            value, max(0.0, value - float(below)), value + float(above), "px"
        )
        frame_px = per_frame([belly.thickness_px for _, belly in found])
        calibration = self._header.calibration
        # Both thicknesses are normal to the mid-line; a millimetre is that of the vertical axis.
        mm_per_px = (
            None
            if calibration.spacing_mm is None
            else float(calibration.length_mm(np.array([0.0, 1.0])))
        )
        missed = looked - len(found)
        return MuscleResult(
            Status.MEASURED,
            "two aponeuroses bound a muscle"
            + (f"; not seen in {missed} of {looked} frames" if missed else ""),
            thickness_mm=None if mm_per_px is None else thickness_px.scaled(mm_per_px, "mm"),
            thickness_px=thickness_px,
            echo_intensity=_echo_intensity([belly for _, belly in found]),
            superficial_px=line(typical.superficial_y_px),
            deep_px=line(typical.deep_y_px),
            superficial_outer_px=line(typical.superficial_outer_y_px),
            deep_outer_px=line(typical.deep_outer_y_px),
            reference_frame=reference,
            borders=Borders(x, superficial, deep),
            frame_thickness_px=frame_px,
            frame_thickness_mm=None if mm_per_px is None else frame_px * mm_per_px,
            superficial_left_y_px=per_frame([b.superficial_left_y_px for _, b in found], region.y),
            deep_left_y_px=per_frame([b.deep_left_y_px for _, b in found], region.y),
        )


def _echo_intensity(bellies: list[Belly]) -> Measurement | None:
    """Median over the frames of the mean grey level, with the median half-width."""
    levels = np.array([[belly.echo_intensity, belly.echo_spread] for belly in bellies])
    levels = levels[np.isfinite(levels).all(axis=1)]
    if len(levels) == 0:
        return None
    value, spread = (float(level) for level in np.median(levels, axis=0))
    return Measurement(value, max(0.0, value - spread), min(255.0, value + spread), "grey level")
