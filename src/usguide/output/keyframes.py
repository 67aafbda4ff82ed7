"""Which frames of a clip are worth a picture, and what to say under it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from usguide.model import Analysis, NeedleTrack, SeparationFlag, Status
from usguide.output.tables import measured_frame


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """A distinct frame and its caption."""

    index: int
    caption: str


def key_frames(analysis: Analysis) -> tuple[KeyFrame, ...]:
    """Return the frames to picture, a frame once, in the order of the report's cards."""
    wanted = [*_fascia(analysis), *_needle(analysis.needle), *_muscle(analysis)]
    wanted += [*_contraction(analysis), *_twitch(analysis)]
    if not wanted and analysis.header.frames:
        frames = analysis.header.frames
        what = "The middle of the clip" if frames > 1 else "The picture"
        wanted = [KeyFrame(frames // 2, f"{what}: nothing in it could be measured.")]
    shown = measured_frame(analysis)
    captions: dict[int, list[str]] = {}
    for frame in wanted:
        captions.setdefault(int(shown[frame.index]), []).append(frame.caption)
    return tuple(KeyFrame(index, " ".join(said)) for index, said in captions.items())


def _fascia(analysis: Analysis) -> list[KeyFrame]:
    fascia = analysis.fascia
    if fascia.status is not Status.MEASURED or fascia.reference_frame is None:
        return []
    return [KeyFrame(fascia.reference_frame, "The fascia's borders, and its insertion (ring).")]


def _muscle(analysis: Analysis) -> list[KeyFrame]:
    muscle = analysis.muscle
    # Where the muscle contracts, the pictures of the contraction show its borders too.
    moving = analysis.motion.contraction.status is Status.MEASURED
    if muscle.status is not Status.MEASURED or muscle.reference_frame is None or moving:
        return []
    return [KeyFrame(muscle.reference_frame, "The muscle between its two aponeuroses.")]


def _needle(needle: NeedleTrack) -> list[KeyFrame]:
    """Return the deepest sighting and the one nearest to the fascia, where the tip was seen."""
    if needle.status is not Status.MEASURED or needle.tip_visible is None:
        return []
    seen = np.flatnonzero(needle.tip_visible)
    if not len(seen):
        return []
    frames = []
    depth = needle.insertion_depth_px
    if depth is not None and np.isfinite(depth[seen]).any():
        deepest = int(seen[np.nanargmax(depth[seen])])
        frames.append(KeyFrame(deepest, "The needle at its deepest; the ring is around its tip."))
    near = needle.tip_to_fascia_mm
    if near is not None and np.isfinite(near[seen]).any():
        closest = int(seen[np.nanargmin(near[seen])])
        inside = near[closest] < 0
        frames.append(
            KeyFrame(
                closest,
                "The tip at its farthest inside the fascia."
                if inside
                else "The tip at its closest to the fascia.",
            )
        )
    if not frames:
        surest = seen[0]
        if needle.tip_confidence is not None:
            surest = seen[np.nanargmax(np.nan_to_num(needle.tip_confidence[seen]))]
        frames.append(KeyFrame(int(surest), "The tip where it is seen best."))
    return frames


def _contraction(analysis: Analysis) -> list[KeyFrame]:
    contraction = analysis.motion.contraction
    largest = contraction.largest_cycle
    if contraction.status is not Status.MEASURED or largest is None:
        return []
    if not contraction.rest_known:
        return [
            KeyFrame(largest.start_frame, "At one end of the largest movement."),
            KeyFrame(largest.peak_frame, "At its other end; which one is rest is not told."),
        ]
    gap = ""
    if contraction.separation.flag is SeparationFlag.SEPARATION:
        known = contraction.gap_mm is not None
        gap = " The bracket spans the gap." if known else " The ring is where the ends part."
    return [
        KeyFrame(largest.start_frame, "At rest, before the largest contraction."),
        KeyFrame(largest.peak_frame, f"At the peak of the largest contraction.{gap}"),
    ]


def _twitch(analysis: Analysis) -> list[KeyFrame]:
    time_s = analysis.header.timing.time_s
    if time_s is None or not analysis.motion.twitches:
        return []
    surest = max(analysis.motion.twitches, key=lambda twitch: twitch.confidence)
    middle = (surest.start_s + surest.end_s) / 2
    frame = int(np.argmin(np.abs(time_s - middle)))
    return [KeyFrame(frame, "The surest twitch; the ring is where it moved.")]
