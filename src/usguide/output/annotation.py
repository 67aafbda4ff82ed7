"""What is drawn on a frame for each thing that was found in it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from usguide.model import (
    Analysis,
    Floats,
    Frame,
    Header,
    Status,
    Twitch,
)
from usguide.output import drawing
from usguide.output.drawing import Colour, Picture, View
from usguide.output.geometry import (
    borders_at,
    drop_since_reference,
    muscle_axes,
    thickness_caliper,
    within_tissue,
)

FASCIA = drawing.SKY_BLUE
BONE = drawing.YELLOW
MUSCLE = drawing.BLUISH_GREEN
NEEDLE = drawing.ORANGE
GAP = drawing.REDDISH_PURPLE
TWITCH = drawing.VERMILION
UNSURE = drawing.GREY

# How long the tip's path stays behind it, and the same in frames where there is no timing.
TRAIL_S = 1.5
TRAIL_FRAMES = 30
# Bounds the work on very fast recordings.
_TRAIL_LENGTH = 150

# A twitch lasts 150-500 ms: too short to notice unless its ring stays a little.
_TWITCH_LINGERS_S = 0.4

# The gap's place is known where it is widest; the ends have moved away from it in frames where it
# is less than this share as wide, or the muscle contracts by less, and a mark there would point at
# intact muscle.
GAP_SHOWN_SHARE = 0.5

# Radius of the ring around the insertion, in strokes.
_RING = 4.0

# Lengths a scale bar may have, in mm, and the share of the picture's width it should stay under.
_BAR_MM = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
_BAR_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """A colour and what it stands for."""

    colour: Colour
    text: str


def legend(analysis: Analysis) -> tuple[LegendEntry, ...]:
    """Return an entry for each kind of thing drawn anywhere in the clip."""
    entries = []
    if analysis.fascia.status is Status.MEASURED:
        entries.append(LegendEntry(FASCIA, "fascia"))
        if analysis.fascia.bone_px is not None:
            entries.append(LegendEntry(BONE, "bone"))
        if analysis.fascia.fluid:
            entries.append(LegendEntry(GAP, "fluid along the fascia"))
    if analysis.muscle.status is Status.MEASURED:
        entries.append(LegendEntry(MUSCLE, "muscle borders"))
    if analysis.needle.status is Status.MEASURED:
        entries.append(LegendEntry(NEEDLE, "needle (grey: unsure)"))
    contraction = analysis.motion.contraction
    if contraction.separation.has_gap or contraction.collections:
        entries.append(LegendEntry(GAP, "gap or collection"))
    if analysis.motion.twitches:
        entries.append(LegendEntry(TWITCH, "twitch"))
    return tuple(entries)


class Annotator:
    """Draws one analysis on frames of its clip, through one view.

    Parameters
    ----------
    analysis : Analysis
        What was found.
    view : View
        Where source pixels land on the canvas.
    """

    def __init__(self, analysis: Analysis, view: View) -> None:
        self.analysis = analysis
        self.view = view
        tip = analysis.needle.tip_px
        visible = analysis.needle.tip_visible
        self._tips = (
            np.empty(0, dtype=np.int64)
            if tip is None or visible is None
            else np.flatnonzero(visible & np.isfinite(tip).all(axis=1))
        )
        gap_mm = analysis.motion.contraction.gap_mm
        self._gap_shown_mm = (
            math.inf if gap_mm is None else GAP_SHOWN_SHARE * float(np.nanmax(gap_mm, initial=0.0))
        )
        # Position of each frame among the distinct ones.
        self._order = np.cumsum(analysis.header.timing.duplicate_of < 0)

    def draw(self, canvas: Picture, index: int, frame: Frame) -> None:
        """Paint distinct frame ``index`` and what was found in it onto a canvas of the view.

        ``frame`` is its region, uint8 of shape (region.height, region.width).
        """
        header = self.analysis.header
        canvas[: self.view.height, : self.view.width] = 0
        self.view.place(canvas, frame, header.region)
        part = canvas[: self.view.height, : self.view.width]
        self._region(part)
        self._fascia(part, index)
        self._muscle(part, index)
        self._collections(part)
        self._gap(part, index)
        self._trail(part, index)
        self._needle(part, index)
        self._twitches(part, index)
        self._scale_bar(part)

    def _line(
        self, canvas: Picture, points_px: Floats, colour: Colour, opacity: float = 0.85
    ) -> None:
        drawing.line(
            canvas,
            self.view.canvas_px(points_px),
            colour,
            width=self.view.stroke,
            opacity=opacity,
        )

    def _region(self, canvas: Picture) -> None:
        header = self.analysis.header
        region = header.region
        if (region.width, region.height) == (header.width, header.height):
            return
        # Two pixels off, so that the soft edge of the line does not brighten echoes.
        left, top = region.x - 2, region.y - 2
        right, bottom = region.x + region.width + 1, region.y + region.height + 1
        corners = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
        outline = self.view.canvas_px(np.array(corners, dtype=np.float64))
        drawing.line(canvas, outline, drawing.mix(drawing.INK, drawing.GREY, 0.5))

    def _fascia(self, canvas: Picture, index: int) -> None:
        fascia = self.analysis.fascia
        if fascia.status is not Status.MEASURED:
            return
        for border in borders_at(fascia, index):
            self._line(canvas, border, FASCIA)
        drop = drop_since_reference(fascia, index)
        if drop is None:
            return
        if fascia.bone_px is not None:
            self._line(canvas, fascia.bone_px + drop, BONE, opacity=0.7)
        for layer in fascia.fluid:
            self._line(canvas, np.array(layer.outline_px) + drop, GAP)
        if fascia.spur is not None:
            self._spur(canvas, np.array(fascia.spur.tip_px) + drop)
        if fascia.insertion_px is not None:
            at = self.view.canvas_px(np.array(fascia.insertion_px) + drop)
            stroke = self.view.stroke
            drawing.ring(canvas, at, _RING * stroke, drawing.INK, width=stroke + 2)
            drawing.ring(canvas, at, _RING * stroke, FASCIA, width=stroke)
        self._thickness(canvas, drop)

    def _thickness(self, canvas: Picture, drop: Floats) -> None:
        """Draw where the stated thicknesses were measured, as calipers across the band."""
        fascia = self.analysis.fascia
        stated = fascia.thickness_mm or fascia.thickness_px
        if fascia.profile is None or stated is None:
            return
        spacing = self.analysis.header.calibration.spacing_mm
        # Below the band and the insertion's ring, and above it: the two may lie close together.
        letter, ring = self.view.letter, _RING * self.view.stroke
        named = (
            (0.0, stated.insertion, "", 1, ring + letter),
            (stated.maximum_distance, stated.maximum, "max ", 0, -1.6 * letter),
        )
        for station in stated.stations:
            ends = thickness_caliper(fascia.profile, station.distance_mm, spacing)
            if ends is not None:
                self._line(canvas, ends + drop, FASCIA, opacity=0.5)
        for distance, measured, name, end, down in named:
            if distance is None or measured is None or (name and measured == stated.insertion):
                continue
            ends = thickness_caliper(fascia.profile, distance, spacing)
            if ends is None:
                continue
            self._line(canvas, ends + drop, FASCIA, opacity=1.0)
            x, y = self.view.canvas_px(ends[end] + drop)
            drawing.words(
                canvas,
                f"{name}{measured.value:.1f} {measured.unit}",
                (x, y + down),
                FASCIA,
                size=letter,
                plate=True,
            )

    def _spur(self, canvas: Picture, tip_px: Floats) -> None:
        at = self.view.canvas_px(tip_px)
        drawing.ring(canvas, at, 3.0 * self.view.stroke, BONE, width=self.view.stroke)
        drawing.words(
            canvas,
            "spur",
            (at[0] + self.view.letter, at[1] + self.view.letter),
            BONE,
            size=self.view.letter,
            plate=True,
        )

    def _muscle(self, canvas: Picture, index: int) -> None:
        muscle = self.analysis.muscle
        if muscle.status is Status.MEASURED:
            for border in borders_at(muscle, index):
                self._line(canvas, within_tissue(border, self.analysis.header), MUSCLE)

    def _collections(self, canvas: Picture) -> None:
        for collection in self.analysis.motion.contraction.collections:
            if len(collection.outline_px) > 2:
                outline = np.array([*collection.outline_px, collection.outline_px[0]])
                self._line(canvas, outline, GAP, opacity=0.3 + 0.6 * collection.confidence)

    def _gap(self, canvas: Picture, index: int) -> None:
        """Mark the gap between the torn ends while it is open, by its width where that is known."""
        contraction = self.analysis.motion.contraction
        separation = contraction.separation
        calibration = self.analysis.header.calibration
        if not separation.has_gap or separation.location_px is None:
            return
        centre = np.array(separation.location_px)
        gap_mm = contraction.gap_mm
        if gap_mm is None or calibration.spacing_mm is None:
            if contraction.activation is None or contraction.activation[index] >= GAP_SHOWN_SHARE:
                at = self.view.canvas_px(centre)
                drawing.ring(canvas, at, 8.0 * self.view.stroke, GAP, width=self.view.stroke)
            return
        if not gap_mm[index] >= self._gap_shown_mm:
            return
        along, across = muscle_axes(self.analysis.muscle, index, centre[0])
        half = along * gap_mm[index] / float(calibration.length_mm(along)) / 2
        serif = across * self.analysis.header.region.height / 40
        self._line(canvas, np.array([centre - half, centre + half]), GAP, opacity=1.0)
        for end in (centre - half, centre + half):
            self._line(canvas, np.array([end - serif, end + serif]), GAP, opacity=1.0)
        x, y = self.view.canvas_px(centre + half - serif)
        drawing.words(
            canvas,
            f"gap {gap_mm[index]:.1f} mm",
            (x + self.view.letter, y),
            GAP,
            size=self.view.letter,
            plate=True,
        )

    def _trail(self, canvas: Picture, index: int) -> None:
        tip, confidence = self.analysis.needle.tip_px, self.analysis.needle.tip_confidence
        if tip is None:
            return
        header = self.analysis.header
        until = int(np.searchsorted(self._tips, index, side="right"))
        recent = self._tips[max(until - _TRAIL_LENGTH, 0) : until]
        ages = np.array([_age(header, int(frame), index) for frame in recent])
        recent = recent[ages < 1]
        points = self.view.canvas_px(tip[recent])
        for start, age in enumerate(ages[ages < 1][:-1]):
            # A tip lost in between may have been anywhere.
            if self._order[recent[start + 1]] - self._order[recent[start]] > 1:
                continue
            sure = 1.0 if confidence is None else float(confidence[recent[start + 1]])
            drawing.line(
                canvas,
                points[start : start + 2],
                drawing.mix(UNSURE, NEEDLE, sure),
                width=self.view.stroke + 1,
                opacity=0.75 * (1 - float(age)),
            )

    def _needle(self, canvas: Picture, index: int) -> None:
        needle = self.analysis.needle
        tip, tail = needle.tip_px, needle.tail_px
        if tip is None or needle.tip_visible is None or not needle.tip_visible[index]:
            return
        sure = 1.0 if needle.tip_confidence is None else float(needle.tip_confidence[index])
        colour = drawing.mix(UNSURE, NEEDLE, sure)
        if tail is not None:
            self._line(canvas, np.array([tail[index], tip[index]]), colour, opacity=0.6)
        at, stroke = self.view.canvas_px(tip[index]), self.view.stroke
        # A ring, so that the echo of the tip itself stays to be checked.
        drawing.ring(canvas, at, 6.0 * stroke, drawing.INK, width=stroke + 2)
        drawing.ring(canvas, at, 6.0 * stroke, colour, width=stroke + 1)

    def _twitches(self, canvas: Picture, index: int) -> None:
        time_s = self.analysis.header.timing.time_s
        if time_s is None:
            return
        now = float(time_s[index])
        size = self.analysis.header.region
        for twitch in self.analysis.motion.twitches:
            if twitch.start_s <= now <= twitch.end_s + _TWITCH_LINGERS_S:
                at = self.view.canvas_px(np.array(twitch.centre_px))
                radius = min(size.width, size.height) * self.view.scale / 14
                drawing.ring(canvas, at, radius, drawing.INK, width=self.view.stroke + 3)
                drawing.ring(canvas, at, radius, TWITCH, width=self.view.stroke + 1)
                drawing.words(
                    canvas,
                    _twitch_words(twitch),
                    (at[0] + radius * 0.8, at[1] - radius - self.view.letter),
                    TWITCH,
                    size=self.view.letter,
                    plate=True,
                )

    def _scale_bar(self, canvas: Picture) -> None:
        """Draw a horizontal bar of a round length in the region's lower right corner."""
        header, view = self.analysis.header, self.view
        spacing, region = header.calibration.spacing_mm, header.region
        if spacing is None:
            return
        fitting = [mm for mm in _BAR_MM if mm / spacing[0] <= _BAR_SHARE * region.width]
        if not fitting:
            return
        length = fitting[-1] / spacing[0] * view.scale
        inset = 0.6 * view.letter
        right, bottom = view.canvas_px(
            np.array([region.x + region.width, region.y + region.height], dtype=np.float64)
        )
        end = np.array([right - inset, bottom - inset])
        bar = np.array([end - [length, 0.0], end])
        drawing.line(canvas, bar, drawing.INK, width=view.stroke + 4)
        drawing.line(canvas, bar, drawing.WHITE, width=view.stroke + 1)
        text = f"{fitting[-1]:g} mm"
        mask = drawing.lettering(text, view.letter)
        drawing.words(
            canvas,
            text,
            (end[0] - length / 2 - mask.shape[1] / 2, end[1] - 1.5 * mask.shape[0]),
            drawing.WHITE,
            size=view.letter,
            plate=True,
        )


def _age(header: Header, frame: int, now: int) -> float:
    """How faded a tip of an earlier frame is: 0 now, 1 gone."""
    time_s = header.timing.time_s
    if time_s is None:
        return (now - frame) / TRAIL_FRAMES
    return float(time_s[now] - time_s[frame]) / TRAIL_S


def _twitch_words(twitch: Twitch) -> str:
    return "twitch" if twitch.peak_mm is None else f"twitch {twitch.peak_mm:.1f} mm"
