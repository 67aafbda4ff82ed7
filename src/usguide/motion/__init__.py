"""What the tissue does: displacement, contractions, separation of muscle ends, twitches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from usguide.model import (
    Z_95,
    Bools,
    ContractionResult,
    Floats,
    Frame,
    Frames,
    Header,
    MotionMap,
    MotionResult,
    MuscleResult,
    NeedleTrack,
    Separation,
    SeparationFlag,
    Status,
)
from usguide.motion.contraction import Contraction, analyse, described, without_cycles
from usguide.motion.displacement import Tracker
from usguide.motion.fluid import Glances, find_collections
from usguide.motion.history import History, Motion
from usguide.motion.opening import Finding
from usguide.motion.parting import MIN_TRUST
from usguide.motion.separation import examine
from usguide.motion.strain import measure_strain
from usguide.motion.strip import Belly, belly_of
from usguide.motion.twitch import find_twitches

__all__ = ["MotionStage"]

MIN_FRAMES = 5
"""Distinct frames under which nothing is said about motion."""

AT_REST = 0.3
"""Activation up to which a muscle still looks as it does at rest."""


REST_UNKNOWN = (
    "It is not told which end of the movement is rest, since the clip stands still at one end of "
    "it first and at the other last: it may start contracted."
)


class MotionStage:
    """Follows the tissue through a clip and says what it did.

    Parameters
    ----------
    header : Header
        What the recording is.
    """

    def __init__(self, header: Header) -> None:
        self._header = header
        self._tracker = Tracker(header.tissue)
        self._history = History(header.region.width, header.region.height)
        self._glances = Glances()

    def observe(self, index: int, frame: Frame) -> None:
        """Track one distinct frame; frames come in order."""
        if self._tracker.usable:
            self._history.add(index, self._tracker.step(frame))
            self._glances.add(index, frame)

    def conclude(self, clip: Frames, muscle: MuscleResult, needle: NeedleTrack) -> MotionResult:
        """Say what moved; reads the clip once more where muscle ends seem to part.

        Parameters
        ----------
        clip : Frames
            The recording that was observed.
        muscle : MuscleResult
            Where the muscle lies.
        needle : NeedleTrack
            Where the needle was: its own motion and drag are no twitch.
        """
        if not self._tracker.usable:
            return _declined("the picture is too small to track speckle in.")
        if len(self._history) < MIN_FRAMES:
            return _declined(
                f"a contraction needs at least {MIN_FRAMES} different frames and the clip has "
                f"{len(self._history)}."
            )
        header = self._header
        motion = self._history.motion()
        belly = belly_of(muscle, header.region, header.tissue, header.calibration.aspect)
        zones = _zones(motion, belly)
        time_s = header.timing.time_s
        step_s = None if time_s is None else motion.step_s(time_s)
        size = header.calibration, header.region.width
        contraction = analyse(motion, *zones, *size, step_s)
        if needle.status is Status.MEASURED and not belly.known:
            # Without a muscle in view, what moves is what the needle drags along.
            contraction = without_cycles(contraction)
        finding = examine(clip, motion, contraction, belly)
        if not (contraction.rest_known or finding.separation.flag is SeparationFlag.SEPARATION):
            # The verdict must not hang on a guess; and a gap that opens says what is contraction.
            turned = analyse(motion, *zones, *size, step_s, turned=True)
            parted = examine(clip, motion, turned, belly)
            if parted.separation.flag is SeparationFlag.SEPARATION:
                contraction, finding = replace(turned, rest_known=True), parted
        return MotionResult(
            self._contraction_result(motion, contraction, finding, belly),
            *find_twitches(clip, motion, contraction, needle),
        )

    def _contraction_result(
        self, motion: Motion, contraction: Contraction, finding: Finding, belly: Belly
    ) -> ContractionResult:
        header = self._header
        if not contraction.significant:
            status, reason = Status.NONE_FOUND, "the muscle was not seen to contract or to move."
        else:
            status = Status.MEASURED
            count = len(contraction.cycles)
            reason = f"{count} contraction{'s' if count > 1 else ''} found."
            if not contraction.rest_known:
                reason += f" {REST_UNKNOWN}"
        separation = finding.separation
        gap_at = None
        if separation.location_px is not None and np.isfinite(finding.gap_px).any():
            gap_at = separation.location_px, float(np.nanmax(finding.gap_px))
        resting = np.zeros(header.frames, dtype=np.bool_)
        resting[motion.frames] = contraction.activation <= AT_REST
        collections = find_collections(self._glances, belly, header, resting, gap_at)
        if separation.location_px is not None:
            x, y = separation.location_px
            separation = replace(separation, location_px=(x + header.region.x, y + header.region.y))

        def spread(values: Floats | None) -> Floats | None:
            if values is None:
                return None
            full = np.full(header.frames, np.nan)
            full[motion.frames] = values
            return full

        gap = low = high = None
        if header.calibration.spacing_mm is not None and np.isfinite(finding.gap_px).any():
            scale = float(header.calibration.length_mm(np.array([1.0, 0.0])))
            gap = spread(finding.gap_px * scale)
            low = spread(np.maximum(finding.gap_px - Z_95 * finding.error_px, 0.0) * scale)
            high = spread((finding.gap_px + Z_95 * finding.error_px) * scale)
        time_s = header.timing.time_s
        strain, course, rate = measure_strain(
            motion,
            contraction,
            belly,
            header.calibration,
            None if time_s is None else time_s[motion.frames],
        )
        if strain.status is Status.MEASURED:
            strain = replace(strain, course=spread(course), rate_per_s=spread(rate))
        return ContractionResult(
            status=status,
            reason=reason,
            cycles=described(contraction, motion, header.timing),
            rest_known=contraction.rest_known,
            separation=separation,
            collections=collections,
            activation=spread(contraction.activation),
            displacement_px=spread(contraction.signed_px),
            displacement_mm=spread(contraction.signed_mm),
            gap_mm=gap,
            gap_low_mm=low,
            gap_high_mm=high,
            peak=_peak_map(motion, contraction, header),
            strain=strain,
        )


def _peak_map(motion: Motion, contraction: Contraction, header: Header) -> MotionMap | None:
    """Tissue motion from rest to the peak of the largest contraction; None without one."""
    if not contraction.cycles:
        return None
    cycle = max(contraction.cycles, key=lambda each: contraction.activation[each[1]])
    rest, peak = contraction.rest_before(cycle), cycle[1]
    moved = (motion.displacement_px[peak] - motion.displacement_px[rest]).astype(np.float64)
    moved -= contraction.slip_px[peak] - contraction.slip_px[rest]
    tracked = np.minimum(motion.quality[peak], motion.quality[rest]) >= MIN_TRUST
    moved[~tracked] = np.nan
    cells = np.stack(np.meshgrid(motion.x_px, motion.y_px), axis=-1)
    return MotionMap(int(motion.frames[peak]), cells + header.region.origin_px, moved)


def _zones(motion: Motion, belly: Belly) -> tuple[Bools, Bools]:
    """Cells between the probe and the muscle, and cells of the muscle, shape (rows, columns)."""
    middle = int(motion.frames[len(motion.frames) // 2])
    superficial, deep = belly.borders(middle)
    top = np.interp(motion.x_px, belly.columns, superficial)
    bottom = np.interp(motion.x_px, belly.columns, deep)
    y = motion.y_px[:, None]
    above = np.asarray(y < top - 0.5 * (motion.y_px[1] - motion.y_px[0]))
    inside = np.asarray((y >= top) & (y <= bottom))
    if np.count_nonzero(inside) < 8:
        inside = ~above
    return above, inside


def _declined(reason: str) -> MotionResult:
    return MotionResult(
        ContractionResult(
            status=Status.NOT_MEASURED,
            reason=reason,
            separation=Separation(SeparationFlag.INDETERMINATE, reason),
        ),
        twitches_reason=reason,
    )
