"""The plantar fascia: where it is, how thick it is, and what it looks like."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from usguide.fascia import appearance
from usguide.fascia.appearance import Appearance
from usguide.fascia.course import BorderPair
from usguide.fascia.detection import Heel, detect, followed_mm, seen_again, turned
from usguide.fascia.findings import UNSCALED
from usguide.fascia.findings import findings as combined
from usguide.fascia.fluid import Layer
from usguide.fascia.heel_odds import doubted
from usguide.fascia.thickness import (
    PROFILE_MM,
    FrameProfile,
    Profile,
    category,
    combine,
    frame_profile,
    summary,
)
from usguide.fascia.tracking import Followed, Tracker
from usguide.fascia.workspace import Image, Workspace
from usguide.model import (
    Z_95,
    Borders,
    FasciaProfile,
    FasciaResult,
    Floats,
    Frame,
    Header,
    PerifascialFluid,
    Point,
    Side,
    Spur,
    Status,
)

__all__ = ["FasciaStage"]

LOOKS_FIRST = 3
"""Frames at the beginning, of a clip or of a heel found, that are all looked at closely."""
ODDS_SURE = 3.0
"""Logarithm of the odds of a heel that is looked for afresh in one frame only."""
LONE_ODDS_MIN = 0.0
"""Logarithm of the odds of a heel above which it is seen also where it is followed to in those of
the first frames in which none was found: a less likely one must be found again from scratch."""
LOOK_EVERY = SEARCH_EVERY = 12
"""Later, every so many frames the heel is looked for where it was followed to, or, where there is
none to follow, in the whole picture."""
READ_EVERY = 48
"""Frames between two readings of the fascia's appearance, after the first looks."""
CONFIRMED_MIN = 0.4
"""Share of the looks that must show the heel: an accident is not seen again and again."""
QUALITY_SHARE_MIN = 0.75
"""A frame much below the clip's usual quality is off-plane or blurred, and is left out."""
BORDER_COLUMNS = 96
HEIGHT_MIN_PX = 40


@dataclass(frozen=True, slots=True, eq=False)
class _Record:
    """What is kept of one frame: some hundred bytes."""

    index: int
    quality: float
    profile: FrameProfile
    upper_y_px: NDArray[np.float32]
    lower_y_px: NDArray[np.float32]


@dataclass(slots=True, eq=False)
class _Series:
    """A heel that was found, and the frames it was followed through."""

    tracker: Tracker
    index: int
    records: list[_Record] = field(default_factory=list)
    readings: list[Appearance] = field(default_factory=list)
    looks: int = 1
    seen: int = 1
    doubted: bool = False
    """Whether the last look at it failed: then every frame is looked at until it is seen again."""

    @property
    def due(self) -> bool:
        """Whether the next frame is to be looked at closely."""
        first = self.looks < LOOKS_FIRST
        return self.doubted or first or len(self.records) % LOOK_EVERY == 0

    def confirmed(self, least: int) -> bool:
        """Say whether it was looked at often enough and mostly seen."""
        return self.looks >= least and self.seen >= CONFIRMED_MIN * self.looks


class FasciaStage:
    """Measures the plantar fascia of a clip, one frame at a time.

    Parameters
    ----------
    header : Header
        What is known of the clip.
    """

    def __init__(self, header: Header) -> None:
        self._header = header
        self._workspace = Workspace.of(header)
        self._series: list[_Series] = []
        self._observed = 0
        self._first: list[tuple[int, Image, Heel | None]] = []
        self._rest = 0  # frames to go before the whole picture is searched
        self._looks = 0
        self._found = 0
        self._reasons: dict[str, int] = {}
        region = header.region
        self._x_px: Floats = region.x + np.linspace(0, region.width - 1, BORDER_COLUMNS)

    def observe(self, index: int, frame: Frame) -> None:
        """Measure one frame; ``frame`` is the region, uint8 (region.height, region.width)."""
        if min(frame.shape) < HEIGHT_MIN_PX:
            return
        picture = self._workspace.picture(frame)
        self._observed += 1
        series = self._series[-1] if self._series else None
        followed = series.tracker.follow(picture) if series and not self._first else None
        if series is None or followed is None:
            self._search(index, picture)
            return
        recorded = len(series.records)
        close = series.due and (recorded < LOOKS_FIRST or recorded % READ_EVERY == 0)
        if series.due and not self._sees_again(picture, series, followed):
            self._search(index, picture)
            return
        # Where a heel was in view, it is searched for as soon as it is lost.
        self._rest = 0
        self._record(index, picture, series, followed, close=close)

    def _record(
        self, index: int, picture: Image, series: _Series, followed: Followed, *, close: bool
    ) -> None:
        """Keep what one frame shows of a heel."""
        reach = followed_mm(followed.pair)
        evidence = _evidence(followed.pair)
        bone = series.tracker.heel.bone
        series.records.append(
            _Record(
                index,
                float(np.clip(evidence, 0, 1) * np.clip(followed.similarity, 0, 1)),
                frame_profile(followed.pair, reach, self._workspace.pixel_mm),
                *self._border_rows(followed.pair, reach, bone.mirrored),
            )
        )
        if close:
            series.readings.append(
                appearance.read(
                    turned(picture, bone.mirrored),
                    followed.pair,
                    bone.moved(followed.shift_px),
                    series.tracker.heel.scale.floor,
                    self._workspace.pixel_mm,
                    reach,
                )
            )

    def conclude(self) -> FasciaResult:
        """Combine the frames."""
        self._settle()
        if self._observed == 0:
            return FasciaResult(Status.NONE_FOUND, "no frame is large enough to show a heel")
        series = [one for one in self._series if one.records]
        if not self._found:
            reason = max(self._reasons, key=self._reasons.__getitem__, default="no heel in view")
            return FasciaResult(
                Status.NONE_FOUND, f"this is not a long-axis view of a heel: {reason}"
            )
        # Either one heel was in view for a while, or most frames showed one, as single images do.
        if self._found < CONFIRMED_MIN * self._looks:
            least = min(LOOKS_FIRST, self._observed)
            series = [one for one in series if one.confirmed(least)]
        if not series:
            return FasciaResult(
                Status.NONE_FOUND,
                "this is not a long-axis view of a heel: a bone and fascia were seen in only "
                f"{self._found} of the {self._looks} frames searched",
            )
        return self._measured(max(series, key=_weight))

    def _search(self, index: int, picture: Image) -> None:
        """Look for a heel in the whole picture, if it is time to.

        Where there is one and it is not sure, it is looked for afresh in the next frames too.
        """
        if self._rest > 0 and not self._first:
            self._rest -= 1
            return
        heel = detect(picture, self._workspace)
        if isinstance(heel, str):
            self._count(heel)
            if not self._first:
                self._rest = SEARCH_EVERY - 1 if self._observed >= LOOKS_FIRST else 0
                return
        else:
            self._count(None)
        found = None if isinstance(heel, str) else heel
        self._first.append((index, picture, found))
        sure = found is not None and found.odds >= ODDS_SURE
        if sure or len(self._first) == LOOKS_FIRST:
            self._settle()

    def _settle(self) -> None:
        """Take the likeliest heel of the first looks, if enough show it, and measure it in all.

        A frame in which none was found may show a likely one where it is followed to.
        """
        first, self._first = self._first, []
        heels = [(at, heel) for at, (_, _, heel) in enumerate(first) if heel is not None]
        if not heels:
            return
        at, heel = max(heels, key=lambda one: one[1].odds)
        index, picture, _ = first[at]
        others = [other.pair for where, other in heels if where != at]
        heel = replace(heel, pair=doubted(heel.pair, others))
        series = _Series(
            Tracker(heel, picture, self._workspace),
            index,
            looks=len(first),
            seen=len(heels),
        )
        for number, view, found in first:
            followed = series.tracker.follow(view)
            if followed is None:
                continue
            if found is None and heel.odds >= LONE_ODDS_MIN:
                series.seen += self._objection(view, series, followed) is None
            self._record(number, view, series, followed, close=True)
        if series.confirmed(len(first)):
            self._series.append(series)
        else:
            self._rest = SEARCH_EVERY - 1

    def _sees_again(self, picture: Image, series: _Series, followed: Followed) -> bool:
        """Look for a heel where it was followed to."""
        objection = self._objection(picture, series, followed)
        if objection is None or not series.doubted:
            # A doubt that lasts is one doubt, however often it is renewed.
            series.looks += 1
            series.seen += objection is None
            self._rest = SEARCH_EVERY
            self._count(objection)
        series.doubted = objection is not None
        return objection is None

    def _objection(self, picture: Image, series: _Series, followed: Followed) -> str | None:
        """Say why no heel is seen where it was followed to, or None."""
        return seen_again(
            picture, self._workspace, series.tracker.heel, followed.pair, followed.shift_px
        )

    def _count(self, objection: str | None) -> None:
        """Count a frame that was looked at closely, and why no heel was seen in it."""
        self._looks += 1
        if objection is None:
            self._found += 1
        else:
            self._reasons[objection] = self._reasons.get(objection, 0) + 1

    def _source(self, points: Floats, mirrored: bool) -> Floats:
        return self._workspace.to_source(points, mirrored=mirrored)

    def _point(self, point: Floats, mirrored: bool) -> Point:
        x, y = self._source(point, mirrored)
        return float(x), float(y)

    def _fluid(self, layer: Layer, pair: BorderPair, mirrored: bool) -> PerifascialFluid:
        outline = self._source(layer.outline(pair, self._workspace.pixel_mm), mirrored)
        return PerifascialFluid(
            layer.border,
            float(layer.distance_mm.mean()),
            float(np.ptp(layer.distance_mm)),
            layer.thickest,
            layer.confidence,
            tuple((float(x), float(y)) for x, y in outline),
        )

    def _border_rows(
        self, pair: BorderPair, reach_mm: float, mirrored: bool
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Both borders as functions of the common source abscissae."""
        shown = (pair.band.distance_mm >= 0) & (pair.band.distance_mm <= reach_mm)
        rows = []
        for offset in (pair.upper_px, pair.lower_px):
            points = self._source(pair.band.points(offset)[shown], mirrored)
            points = points[np.argsort(points[:, 0])]
            y = np.full(len(self._x_px), np.nan)
            if len(points):
                y = np.interp(self._x_px, points[:, 0], points[:, 1], left=np.nan, right=np.nan)
            rows.append(y.astype(np.float32))
        return rows[0], rows[1]

    def _measured(self, series: _Series) -> FasciaResult:
        header, workspace = self._header, self._workspace
        quality = np.full(header.frames, np.nan)
        for record in series.records:
            quality[record.index] = record.quality
        usual = float(np.median([record.quality for record in series.records]))
        used = [r for r in series.records if r.quality >= QUALITY_SHARE_MIN * usual]
        heel = series.tracker.heel
        pair, mirrored = heel.pair, heel.bone.mirrored
        px_per_mm = _px_per_mm(pair, workspace)
        profile = combine([record.profile for record in used], 1.0 / float(px_per_mm[0]))
        calibrated = header.calibration.spacing_mm is not None
        thickness_mm = summary(profile, "mm") if calibrated else None
        scale_px = float(np.median(px_per_mm))
        thickness_px = summary(profile, "px", scale_px, stations=calibrated)
        reach = PROFILE_MM[np.isfinite(profile.thickness)].max(initial=0.0)
        shown = (pair.band.distance_mm >= 0) & (pair.band.distance_mm <= reach)
        superficial, deep = (
            self._source(pair.band.points(offset)[shown], mirrored)
            for offset in (pair.upper_px, pair.lower_px)
        )
        bone = np.stack([heel.bone.x, heel.bone.y], axis=1)
        frame_px = np.full(header.frames, np.nan)
        for record in series.records:
            frame_px[record.index] = record.profile.thickness[0] * scale_px
        findings = combined(series.readings) if calibrated else UNSCALED
        spur = findings.spur and Spur(
            findings.spur[0],
            self._point(np.add(heel.bone.edge, findings.spur[1]), mirrored),
            findings.spur[2],
        )
        return FasciaResult(
            Status.MEASURED,
            "" if calibrated else "the clip has no scale: lengths are in pixels",
            confidence=float(expit(heel.odds)),
            insertion_px=self._point(np.array(heel.bone.edge), mirrored),
            side=Side.RIGHT if mirrored else Side.LEFT,
            thickness_mm=thickness_mm,
            thickness_px=thickness_px,
            category=category(thickness_mm.maximum) if thickness_mm else None,
            echogenicity=appearance.echogenicity(series.readings),
            fibrillar_score=appearance.fibrillar_score(series.readings),
            fat_pad_mm=findings.fat_pad,
            discontinuity=findings.discontinuity,
            biconvexity_mm=findings.biconvexity,
            fluid=tuple(self._fluid(layer, pair, mirrored) for layer in findings.fluid),
            spur=spur,
            not_measured=findings.not_measured,
            superficial_px=superficial,
            deep_px=deep,
            bone_px=self._source(bone, mirrored),
            reference_frame=series.index,
            frames_used=len(used),
            profile=_profile(profile, pair, self, mirrored, scale_px, calibrated),
            borders=self._borders(series),
            frame_thickness_px=frame_px,
            frame_thickness_mm=frame_px / scale_px if calibrated else None,
            frame_quality=quality,
        )

    def _borders(self, series: _Series) -> Borders:
        upper = np.full((self._header.frames, len(self._x_px)), np.nan, dtype=np.float32)
        lower = upper.copy()
        for record in series.records:
            upper[record.index] = record.upper_y_px
            lower[record.index] = record.lower_y_px
        return Borders(self._x_px, upper, lower)


def _profile(
    profile: Profile,
    pair: BorderPair,
    stage: FasciaStage,
    mirrored: bool,
    scale_px: float,
    calibrated: bool,
) -> FasciaProfile:
    known = np.isfinite(profile.thickness)
    distance = PROFILE_MM[known]
    under, over = Z_95 * profile.sd[:, known]
    value = profile.thickness[known]
    middle = pair.band.points((pair.upper_px + pair.lower_px) / 2)
    points = np.stack(
        [np.interp(distance, pair.band.distance_mm, middle[:, axis]) for axis in (0, 1)], axis=1
    )
    scale = 1.0 if calibrated else scale_px
    return FasciaProfile(
        distance * scale,
        value * scale,
        np.maximum(value - under, 0) * scale,
        (value + over) * scale,
        stage._source(points, mirrored),
        "mm" if calibrated else "px",
    )


def _px_per_mm(pair: BorderPair, workspace: Workspace) -> Floats:
    """Source pixels per nominal mm across the band, per column: pixels need not be square."""
    ahead = pair.band.distance_mm >= 0
    across = pair.band.normal[ahead] * workspace.per_work_px
    return np.asarray(np.linalg.norm(across, axis=1) / workspace.pixel_mm)


def _evidence(pair: BorderPair) -> float:
    near = (pair.band.distance_mm >= 0) & (pair.band.distance_mm <= 15.0)
    return float((pair.upper_evidence + pair.lower_evidence)[near].mean() / 2)


def _weight(series: _Series) -> float:
    return sum(record.quality for record in series.records)
