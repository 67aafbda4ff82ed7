"""The needle: where its tip was in every frame, and what it did."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.errors import ConfigError
from usguide.model import (
    Bools,
    FasciaResult,
    Floats,
    Frame,
    Header,
    Hint,
    NeedlePlane,
    NeedleTrack,
    Status,
)
from usguide.needle.candidates import Candidates, Float32, Workspace, search
from usguide.needle.drift import Drift
from usguide.needle.evidence import LEAST_FRAMES, Odds, Pool, log_odds
from usguide.needle.hints import KNOWN, by_frame, heeded, known
from usguide.needle.passes import distance_to_fascia, find_passes, repeated, time_inside
from usguide.needle.shaft import Glance, examine
from usguide.needle.spots import SpotPath, find_spots, follow_moving_spot, follow_spot
from usguide.needle.track import SURE_ALONE, Path, half_axes, likeliest, smooth_path, smoothed

SMALLEST_SIDE_PX = 24
"""A region with a shorter side has no room for a shaft and its flanks."""
NOMINAL_FPS = 30.0
"""Rate at which the needle's kinematics are stated; real times are converted to it."""
SPOT_NOISE_PX = 0.3
"""Standard deviation of a spot's measured place, working px."""
SPOT_WANDER_PX = 0.3
"""Change of its speed in one frame, working px per frame."""
MEMORY_FRAMES = 90
"""Frames that are looked back on online: 3 s of a cine."""
FIRST_FRAMES = 8
"""Frames that online must have gone by before a needle is claimed: the mean picture of fewer is the
needle's own."""
VISIBLE = 0.5
"""Least confidence that is claimed: where the tip is more likely than not within 3 mm."""


class NeedleStage:
    """Collects a few candidates per frame and decides over the whole clip.

    Parameters
    ----------
    header : Header
        The clip.
    hints : sequence of Hint
        What a person knows of the tip in some frames, which the path honours.
    online : bool
        Find the tip of every frame from that frame and those before it, as one would who saw them
        arrive, without waiting for a later one. Only needles in the plane are followed so.

    Raises
    ------
    ConfigError
        If a hint is of no frame of the clip, lies outside the picture, or contradicts another; or
        if there are hints although the clip is to be followed online.
    """

    def __init__(self, header: Header, hints: Sequence[Hint] = (), *, online: bool = False) -> None:
        if online and hints:
            raise ConfigError(
                "online: hints are of the whole clip, which is not known online; "
                "leave out one of the two."
            )
        self._header = header
        self._online = online
        self._hints = by_frame(hints, header)
        self._usable = min(header.region.width, header.region.height) >= SMALLEST_SIDE_PX
        self._workspace = Workspace(header.tissue)
        self._drift = Drift(self._workspace.tissue)
        self._frames: list[int] = []
        self._candidates: list[Candidates] = []
        self._spots: list[NDArray[np.void]] = []
        self._slides: list[Floats] = []
        self._at_once: list[tuple[int, float]] = []
        rows, columns = self._workspace.tissue.shape
        self._sum = np.zeros((rows, columns), np.float64)
        self._squares = np.zeros((rows, columns), np.float64)

    def observe(self, index: int, frame: Frame) -> None:
        """Look at one distinct frame, in order.

        Parameters
        ----------
        index : int
            Its place in the recording.
        frame : ndarray of uint8, shape (region.height, region.width)
            The region.
        """
        if not self._usable:
            return
        glance = Glance.at(frame, self._workspace)
        slide = self._drift.follow(glance.small)
        self._remember(glance.small, slide)
        found = examine(glance, search(glance.small, self._workspace), self._workspace)
        self._frames.append(index)
        self._spots.append(
            find_spots(glance.small, self._workspace.tissue, self._workspace.edge_distance)
        )
        self._slides.append(slide)
        self._candidates.append(found)
        if self._online:
            self._at_once.append(self._decide_now())

    def _decide_now(self) -> tuple[int, float]:
        """Which candidate of the newest frame is the needle (-1 for none), and how surely."""
        candidates = self._candidates[-MEMORY_FRAMES:]
        if len(candidates) < FIRST_FRAMES or not any(len(found) for found in candidates):
            return -1, 0.0
        mean = np.asarray(self._sum / len(self._frames), np.float32)
        pool, odds = self._evidence(candidates, self._slides[-MEMORY_FRAMES:], mean)
        path = likeliest(pool, odds, self._numbers()[-MEMORY_FRAMES:])
        if path is None or path.chosen[-1] < 0:
            return -1, 0.0
        first = np.searchsorted(pool.frame, len(candidates) - 1)
        return int(path.chosen[-1] - first), float(path.confidence[-1])

    def _conclude_online(self, fascia: FasciaResult) -> NeedleTrack:
        """Gather what was decided frame by frame."""
        pool = Pool.of(self._candidates, np.array(self._slides), self._workspace)
        offsets = np.searchsorted(pool.frame, np.arange(len(self._frames)))
        place = np.array([which for which, _ in self._at_once])
        sure = np.array([confidence for _, confidence in self._at_once])
        if not np.any(place >= 0):
            return none_found(
                "online: in no frame had a line looked and moved as a needle does by then"
            )
        path = Path(np.where(place >= 0, offsets + place, -1), sure, moved=True)
        return self._describe(pool, path, fascia)

    def _remember(self, small: Float32, slide: Floats) -> None:
        """Add a frame to the running mean and deviation of the picture, its slide taken out."""
        shift = np.array([[1.0, 0.0, -slide[0]], [0.0, 1.0, -slide[1]]])
        still = cv2.warpAffine(
            small, shift, small.shape[::-1], borderMode=cv2.BORDER_REPLICATE
        ).astype(np.float64)
        self._sum += still
        self._squares += still * still

    def conclude(self, fascia: FasciaResult) -> NeedleTrack:
        """Decide where the needle was in every frame, and what it did.

        Parameters
        ----------
        fascia : FasciaResult
            What the fascia stage found, for distances to its borders.
        """
        header = self._header
        if not self._usable:
            return none_found(
                f"the picture is only {header.region.width} x {header.region.height} px: "
                "too small to show a needle"
            )
        count = len(self._frames)
        if count == 0:
            return none_found("no frame could be looked at")
        if self._online:
            return self._conclude_online(fascia)
        tips = {
            k: self._hints[frame] for k, frame in enumerate(self._frames) if frame in self._hints
        }
        spots = [s[:0] if tips.get(k, ()) is None else s for k, s in enumerate(self._spots)]
        shaft = any(tip is not None for tip in tips.values())
        # A spot that outshines the whole picture comes first: its wings make lines, while a
        # shaft in view has many spots as bright as its tip.
        spot = None if shaft else follow_spot(spots, self._numbers())
        if spot is not None:
            return self._describe_spot(spot, fascia)
        mean = np.asarray(self._sum / count, np.float32)
        candidates = heeded(self._candidates, tips, self._workspace)
        odds = None
        if any(len(found) for found in candidates):
            pool, odds = self._evidence(candidates, self._slides, mean)
            shown = known(pool.frame, tips)
            odds = Odds(
                np.where(shown, KNOWN, odds.appearance),
                np.where(shown, KNOWN, odds.full),
                odds.novelty,
            )
            path = likeliest(pool, odds, self._numbers(), shown)
            if path is not None:
                return self._describe(pool, path, fascia)
        spot = follow_moving_spot(
            spots, self._numbers(), mean, np.array(self._slides), self._workspace.tissue
        )
        if spot is not None:
            return self._describe_spot(spot, fascia)
        if odds is None:
            return none_found("no frame shows a straight bright line that ends inside the picture")
        return none_found(why_not(odds, count))

    def _evidence(
        self, candidates: list[Candidates], slides: list[Floats], mean: Float32
    ) -> tuple[Pool, Odds]:
        count = len(self._frames)
        pool = Pool.of(candidates, np.array(slides), self._workspace)
        variance = np.maximum(self._squares / count - (self._sum / count) ** 2, 0)
        deviation = np.sqrt(variance).astype(np.float32)
        return pool, log_odds(pool, mean, deviation, len(candidates))

    def _numbers(self) -> Floats:
        """When each observed frame was taken, in frames at ``NOMINAL_FPS``."""
        frames = np.array(self._frames)
        if self._header.timing.time_s is not None:
            times = self._header.timing.time_s[frames] * NOMINAL_FPS
            return np.asarray(times, dtype=np.float64)
        return np.asarray(self._header.frame_numbers[frames], dtype=np.float64)

    def _describe(self, pool: Pool, path: Path, fascia: FasciaResult) -> NeedleTrack:
        header = self._header
        origin = header.region.origin_px
        calibration = header.calibration
        claimed = np.flatnonzero(path.confidence >= VISIBLE)
        frames = np.array(self._frames)
        confidence = np.zeros(header.frames)
        confidence[frames] = path.confidence
        if not len(claimed):
            return none_found("a needle may be in view, but nowhere surely enough to point to it")
        shaft = smooth_path(
            pool.records[path.chosen[claimed]],
            claimed,
            self._numbers()[claimed],
            self._workspace.scale,
            smooth=not self._online,
        )
        rows = frames[claimed]
        tip = np.full((header.frames, 2), np.nan)
        tail, angle = tip.copy(), np.full(header.frames, np.nan)
        depth = angle.copy()
        ellipse = tip.copy()
        tip[rows] = shaft.tip + origin
        tail[rows] = shaft.tail + origin
        ellipse[rows] = half_axes(shaft.deviation, self._workspace.scale)
        hinted = {k: known for k, known in self._hints.items() if known is not None}
        for frame, known_tip in hinted.items():
            tip[frame] = known_tip + origin
        angle[rows] = undirected_deg(shaft.along)
        into = self._workspace.way_in(shaft.tip, shaft.along)[0] * self._workspace.scale
        depth[rows] = into
        depth_mm = None
        if calibration.spacing_mm is not None:
            depth_mm = np.full(header.frames, np.nan)
            depth_mm[rows] = into * calibration.length_mm(shaft.along)
        relation = distance_to_fascia(tip, fascia, calibration)
        inside = None if relation is None else repeated(relation[1], header.timing)
        first_inside_s, inside_s = time_inside(inside, header.timing)
        visible = np.isfinite(tip[:, 0])
        passes = find_passes(
            depth,
            depth_mm,
            inside,
            header.timing,
            float(np.hypot(header.region.width, header.region.height)),
        )
        share = f"seen in {len(claimed)} of {len(frames)} distinct frames"
        if hinted:
            share += f", in {len(hinted)} of them shown by hand"
        if self._online:
            share += "; online: each tip from its frame and those before it, 0 frames late"
        return NeedleTrack(
            Status.MEASURED,
            f"an in-plane needle, {share}"
            if path.moved
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
            closest_to_fascia_mm=closest(relation),
            first_in_fascia_s=first_inside_s,
            in_fascia_s=inside_s,
        )

    def _describe_spot(self, path: SpotPath, fascia: FasciaResult) -> NeedleTrack:
        header = self._header
        seen = np.flatnonzero(np.isfinite(path.position[:, 0]))
        rows = np.array(self._frames)[seen]
        numbers = self._numbers()[seen]
        noise = np.full(len(seen), SPOT_NOISE_PX)
        smooth = [
            smoothed(path.position[seen, axis], numbers, noise, SPOT_WANDER_PX) for axis in (0, 1)
        ]
        position = np.column_stack([value for value, _ in smooth])
        deviation = np.column_stack([spread for _, spread in smooth])
        tip = np.full((header.frames, 2), np.nan)
        ellipse = tip.copy()
        tip[rows] = self._workspace.to_region(position) + header.region.origin_px
        ellipse[rows] = half_axes(deviation, self._workspace.scale)
        unknown = np.full(header.frames, np.nan)
        confidence = np.zeros(header.frames)
        confidence[np.array(self._frames)] = path.confidence
        relation = distance_to_fascia(tip, fascia, header.calibration)
        return NeedleTrack(
            Status.MEASURED,
            "a needle that crosses the image plane: only its cross-section is in view, seen in "
            f"{len(seen)} of {len(self._frames)} distinct frames; it may not be the tip",
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


def none_found(reason: str) -> NeedleTrack:
    """Return the result of a clip in which no needle is claimed."""
    return NeedleTrack(Status.NONE_FOUND, reason)


def why_not(odds: Odds, frames: int) -> str:
    """Say why no candidate is claimed, in one sentence."""
    if frames < LEAST_FRAMES:
        return "bright lines are in view, but none is surely a needle in a single frame"
    if np.count_nonzero(odds.appearance > SURE_ALONE) > 0.2 * frames:
        return (
            "a line like a needle is in view, but it never moves along itself, so it cannot be "
            "told from bone or fascia"
        )
    return "bright lines are in view, but none looks and moves as a needle does"


def closest(relation: tuple[Floats, Bools] | None) -> float | None:
    """Smallest distance of the tip to the fascia in mm, 0 if it was inside; None if unknown."""
    return None if relation is None else max(0.0, float(np.nanmin(relation[0])))


def undirected_deg(along: Floats) -> Floats:
    """Angle of undirected lines of direction (n, 2), image axes, in (-90, 90] degrees."""
    degrees = np.degrees(np.arctan2(along[:, 1], along[:, 0]))
    return np.asarray(90.0 - (90.0 - degrees) % 180.0)
