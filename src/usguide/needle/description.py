"""What a path says of the needle: its tip, shaft and depth in every frame, its passes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from usguide.model import (
    Bools,
    FasciaResult,
    Floats,
    Header,
    NeedlePlane,
    NeedleTrack,
    Status,
)
from usguide.needle.candidates import Candidates, Workspace
from usguide.needle.passes import find_passes
from usguide.needle.proximity import distance_to_fascia, repeated, time_inside
from usguide.needle.smoothing import Shaft, half_axes, smooth_path, smoothed
from usguide.needle.spot_path import SpotPath
from usguide.needle.track import VISIBLE

SPOT_NOISE_PX = 1.0
"""Standard deviation of a spot's measured place, working px: where an echo begins is told by a few
of its pixels, in which speckle and needle interfere anew in every frame. In a recording of one that
is moved slowly it scatters by 0.8 px in depth and 0.3 px across, now and then by several."""
SPOT_WANDER_PX = 0.3
"""Change of its speed in one frame, working px per frame."""

ENTRY_CLAIMS = 61
"""Claims, 2 s of a cine, of whose shafts the middle place of entry counts."""


@dataclass(frozen=True, slots=True, eq=False)
class Shafts:
    """A needle in the plane, in every observed frame.

    Parameters
    ----------
    records : structured array of ``CANDIDATE``, shape (n,)
        Region px; where it is not claimed it means nothing.
    confidence : ndarray, shape (n,)
        Estimated probability that the tip is within 3 mm.
    out_of_slice : ndarray of bool, shape (n,)
        Where the tip is not seen, but the rest of the shaft shows how deep it is.
    moved : bool
        Whether the tip slid along the shaft, against the tissue.
    """

    records: Candidates
    confidence: Floats
    out_of_slice: Bools
    moved: bool = True


@dataclass(frozen=True, slots=True)
class Description:
    """What was looked at, in which a path is to be described.

    Parameters
    ----------
    header : Header
        The clip.
    workspace : Workspace
        Its sizes and masks.
    frames : ndarray of int64, shape (n,)
        Which source frames were observed.
    numbers : ndarray, shape (n,)
        When each was taken, in frames.
    hints : dict
        By source frame, the tip that a person has shown, region px, or None for 'not visible'.
    online : bool
        Whether every frame was decided without later ones.
    """

    header: Header
    workspace: Workspace
    frames: NDArray[np.int64]
    numbers: Floats
    hints: dict[int, Floats | None]
    online: bool

    @property
    def late(self) -> str:
        """What the reason says of a needle followed online."""
        if not self.online:
            return ""
        return "; online: each tip from its frame and those before it, 0 frames late"

    def in_plane(self, shafts: Shafts, fascia: FasciaResult) -> NeedleTrack:
        """Describe a shaft that was followed; the fascia for distances to its borders."""
        header = self.header
        origin = header.region.origin_px
        calibration = header.calibration
        shown = shafts.confidence >= VISIBLE
        frames = self.frames
        confidence = np.zeros(header.frames)
        confidence[frames] = shafts.confidence
        if not shown.any():
            return none_found("a needle may be in view, but nowhere surely enough to point to it")
        known = np.flatnonzero(shown | shafts.out_of_slice)
        shaft = smooth_path(
            shafts.records[known],
            known,
            self.numbers[known],
            self.workspace.scale,
            smooth=not self.online,
        )
        moves = np.full(header.frames, np.nan)
        moves[frames[known]] = insertion_depth(shaft, self.workspace, online=self.online)
        moves_mm = None
        if calibration.spacing_mm is not None:
            moves_mm = np.full(header.frames, np.nan)
            moves_mm[frames[known]] = moves[frames[known]] * calibration.length_mm(shaft.along)
        seen, rows = shown[known], frames[shown]
        tip = np.full((header.frames, 2), np.nan)
        tail, angle = tip.copy(), np.full(header.frames, np.nan)
        depth, depth_mm = angle.copy(), None if moves_mm is None else angle.copy()
        ellipse = tip.copy()
        tip[rows] = shaft.tip[seen] + origin
        tail[rows] = shaft.tail[seen] + origin
        ellipse[rows] = half_axes(shaft.deviation[seen], self.workspace.scale)
        hinted = {k: known_tip for k, known_tip in self.hints.items() if known_tip is not None}
        for frame, known_tip in hinted.items():
            tip[frame] = known_tip + origin
        angle[rows] = undirected_deg(shaft.along[seen])
        depth[rows] = moves[rows]
        if depth_mm is not None and moves_mm is not None:
            depth_mm[rows] = moves_mm[rows]
        relation = distance_to_fascia(tip, fascia, calibration)
        inside = None if relation is None else repeated(relation[1], header.timing)
        first_inside_s, inside_s = time_inside(inside, header.timing)
        visible = np.isfinite(tip[:, 0])
        passes, unsure_s = find_passes(
            moves,
            moves_mm,
            inside,
            header.timing,
            float(np.hypot(header.region.width, header.region.height)),
        )
        share = f"seen in {len(rows)} of {len(frames)} distinct frames"
        if hinted:
            share += f", in {len(hinted)} of them shown by hand"
        if unsure_s is None:
            clockless = header.timing.time_s is None
            share += "; how many passes it made is not certain" + (
                " without a clock" if clockless else ", as it was hardly seen"
            )
        elif unsure_s:
            share += (
                f"; how many passes it made while lost, for {unsure_s:.1f} s in all, is not certain"
            )
        share += self.late
        return NeedleTrack(
            Status.MEASURED,
            f"an in-plane needle, {share}"
            if shafts.moved
            else f"an in-plane needle by its looks alone, in too few frames to move, {share}",
            NeedlePlane.IN,
            tip_px=tip,
            tail_px=tail,
            tip_visible=visible,
            tip_confidence=confidence,
            tip_ellipse_px=ellipse,
            shaft_angle_deg=angle,
            insertion_depth_px=depth,
            insertion_depth_mm=depth_mm,
            tip_to_fascia_mm=None if relation is None else relation[0],
            passes=passes,
            passes_certain=unsure_s == 0,
            closest_to_fascia_mm=closest(relation),
            first_in_fascia_s=first_inside_s,
            in_fascia_s=inside_s,
        )

    def out_of_plane(self, path: SpotPath, fascia: FasciaResult) -> NeedleTrack:
        """Describe a cross-section that was followed."""
        header = self.header
        seen = np.flatnonzero(np.isfinite(path.position[:, 0]))
        rows = self.frames[seen]
        numbers = self.numbers[seen]
        noise = np.full(len(seen), SPOT_NOISE_PX)
        position, deviation = path.position[seen], np.column_stack([noise, noise])
        if not self.online:  # smoothing looks ahead
            for axis in (0, 1):
                position[:, axis], deviation[:, axis] = smoothed(
                    position[:, axis], numbers, noise, SPOT_WANDER_PX
                )
        tip = np.full((header.frames, 2), np.nan)
        ellipse = tip.copy()
        tip[rows] = self.workspace.to_region(position) + header.region.origin_px
        ellipse[rows] = half_axes(deviation, self.workspace.scale)
        unknown = np.full(header.frames, np.nan)
        confidence = np.zeros(header.frames)
        confidence[self.frames] = path.confidence
        relation = distance_to_fascia(tip, fascia, header.calibration)
        return NeedleTrack(
            Status.MEASURED,
            "a needle that crosses the image plane: only its cross-section is in view, seen in "
            f"{len(seen)} of {len(self.frames)} distinct frames; it may not be the tip{self.late}",
            NeedlePlane.OUT,
            tip_px=tip,
            tail_px=np.full_like(tip, np.nan),
            tip_visible=np.isfinite(tip[:, 0]),
            tip_confidence=confidence,
            tip_ellipse_px=ellipse,
            shaft_angle_deg=unknown,
            insertion_depth_px=unknown,
            insertion_depth_mm=None if header.calibration.spacing_mm is None else unknown,
            tip_to_fascia_mm=None if relation is None else relation[0],
            closest_to_fascia_mm=closest(relation),
        )


def insertion_depth(shaft: Shaft, workspace: Workspace, *, online: bool) -> Floats:
    """Depth of n tips along their shafts, from where these enter the picture, region px.

    A line that grazes the picture's edge enters it now here and now there: of the places around a
    time the middle one counts, online that of the frame.
    """
    gap = workspace.way_in(shaft.tail, shaft.along)[0] * workspace.scale
    entry = shaft.tail - gap[:, None] * shaft.along
    if not online:
        entry = median_filter(entry, (ENTRY_CLAIMS, 1))
    return np.asarray(np.sum((shaft.tip - entry) * shaft.along, axis=1))


def none_found(reason: str) -> NeedleTrack:
    """Return the result of a clip in which no needle is claimed."""
    return NeedleTrack(Status.NONE_FOUND, reason)


def closest(relation: tuple[Floats, Bools] | None) -> float | None:
    """Smallest distance of the tip to the fascia in mm, 0 if it was inside; None if unknown."""
    return None if relation is None else max(0.0, float(np.nanmin(relation[0])))


def undirected_deg(along: Floats) -> Floats:
    """Angle of undirected lines of direction (n, 2), image axes, in (-90, 90] degrees."""
    degrees = np.degrees(np.arctan2(along[:, 1], along[:, 0]))
    return np.asarray(90.0 - (90.0 - degrees) % 180.0)
