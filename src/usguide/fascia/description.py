"""A heel that was followed, as the result states it: in source pixels and millimetres."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from usguide.fascia import appearance
from usguide.fascia.course import BorderPair
from usguide.fascia.findings import UNSCALED
from usguide.fascia.findings import findings as combined
from usguide.fascia.fluid import Layer
from usguide.fascia.series import Series
from usguide.fascia.thickness import PROFILE_MM, Profile, category, combine, summary
from usguide.fascia.workspace import Workspace
from usguide.model import (
    Z_95,
    Borders,
    FasciaProfile,
    FasciaResult,
    Floats,
    Header,
    PerifascialFluid,
    Point,
    Side,
    Spur,
    Status,
)

QUALITY_SHARE_MIN = 0.75
"""A frame much below the clip's usual quality is off-plane or blurred, and is left out."""
BORDER_COLUMNS = 96
"""Abscissae at which the borders of every frame are kept."""


class Description:
    """Puts what was found in a clip's work pictures into source pixels and millimetres.

    Parameters
    ----------
    header : Header
        What is known of the clip.
    workspace : Workspace
        How its work pictures are made.
    """

    def __init__(self, header: Header, workspace: Workspace) -> None:
        self._header = header
        self._workspace = workspace
        region = header.region
        self._x_px: Floats = region.x + np.linspace(0, region.width - 1, BORDER_COLUMNS)

    def described(self, series: Series) -> FasciaResult:
        """Combine the frames of a series."""
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
            profile=self._profile(profile, pair, mirrored, scale_px),
            borders=self._borders(series),
            frame_thickness_px=frame_px,
            frame_thickness_mm=frame_px / scale_px if calibrated else None,
            frame_quality=quality,
        )

    def _borders(self, series: Series) -> Borders:
        upper = np.full((self._header.frames, len(self._x_px)), np.nan, dtype=np.float32)
        lower = upper.copy()
        for record in series.records:
            upper[record.index] = record.upper_y_px
            lower[record.index] = record.lower_y_px
        return Borders(self._x_px, upper, lower)

    def _profile(
        self, profile: Profile, pair: BorderPair, mirrored: bool, scale_px: float
    ) -> FasciaProfile:
        """Thickness along the band, in mm, or in px where the clip has no scale."""
        calibrated = self._header.calibration.spacing_mm is not None
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
            self._source(points, mirrored),
            "mm" if calibrated else "px",
        )

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

    def border_rows(
        self, pair: BorderPair, reach_mm: float, mirrored: bool
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the y of both borders at the common abscissae, source px, float32 (n,) each.

        NaN where a border is not shown, which is beyond ``reach_mm`` from the insertion.
        """
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


def _px_per_mm(pair: BorderPair, workspace: Workspace) -> Floats:
    """Source pixels per nominal mm across the band, per column: pixels need not be square."""
    ahead = pair.band.distance_mm >= 0
    across = pair.band.normal[ahead] * workspace.per_work_px
    return np.asarray(np.linalg.norm(across, axis=1) / workspace.pixel_mm)
