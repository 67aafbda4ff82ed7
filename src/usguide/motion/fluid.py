"""Collections: dark areas with a soft outline inside a muscle, as fluid and hematoma look.

Dark alone says little: vessels, shadows and the lanes between fascicles are dark too, and a muscle
is darker where it is deep or badly coupled. So an area is compared with what surrounds it: it must
be nearly without echoes, closed, compact, stand out on every side of it, and be there in most of
the frames looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.model import Bools, Collection, Floats, Frame, Header, Point
from usguide.motion.matching import working_scale
from usguide.motion.strip import Belly

GLANCES = 9
"""Frames kept for a second look, spread over the clip."""

SMOOTHING = 0.012
"""Standard deviation of the smoothing, as a share of the picture's longer side: some 0.5 mm, which
leaves little of the speckle and a fifth of the smallest collection's width."""

SURROUNDINGS = 0.5
"""Standard deviation of the surroundings a pixel is first compared with, in muscle thicknesses."""

EDGE_SHARES = (0.7, 0.6, 0.5, 0.4)
"""Grey level of an area's edge, as a share of its surroundings'. The higher draw the outline of
a soft one best, the lower ones part a black one from the dark lanes that run into it."""

DARK_SHARE = 0.4
"""Grey level of a collection, as a share of the tissue's around it. At both simulators' muscles
collections had up to 0.38, other areas of such a contrast and shape from 0.5."""

MIN_CONTRAST = 1.3
"""Least contrast-to-noise ratio of a collection against each of its four sides. At both simulators'
muscles collections had 1.3 to 3.7, lanes and dark corners up to 1.0."""

SURE_CONTRAST = 2.0
"""Contrast-to-noise ratio at which the confidence is 63 % of the share of frames; at the least
contrast it is about a half. Not fitted: the confidence ranks collections, it is no probability."""

MIN_AREA_MM2 = 20.0
"""Smaller ones are not told from vessels: a popliteal vessel is some 5 mm wide."""

MIN_AREA_SHARE = 0.008
"""The same without a scale, as a share of the region's area."""

MIN_SOLIDITY = 0.8
"""Area over that of the convex hull."""

LONGEST = 5.0
"""Length over width; longer ones are vessels and lanes between fascicles."""

TALLEST = 0.8
"""Height over the muscle's thickness; what spans the muscle parts or shades it."""

MIN_PERSISTENCE = 0.6
"""Share of the glances that must show it."""


@dataclass(slots=True)
class Glances:
    """A few reduced frames, spread evenly over a clip of unknown length."""

    frames: list[tuple[int, NDArray[np.uint8]]] = field(default_factory=list)
    _stride: int = 1
    _seen: int = 0

    def add(self, index: int, frame: Frame) -> None:
        """Keep a frame if its turn has come, and every other one when there are too many."""
        if self._seen % self._stride == 0:
            scale = working_scale(*frame.shape)
            size = (max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale)))
            small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
            self.frames.append((index, np.asarray(small, np.uint8)))
            if len(self.frames) > GLANCES:
                self.frames = self.frames[::2]
                self._stride *= 2
        self._seen += 1


@dataclass(frozen=True, slots=True, eq=False)
class _Area:
    centre: Floats
    extent: float
    area: float
    contrast: float
    outline: Floats


def find_collections(
    glances: Glances, belly: Belly, header: Header, rest: Bools, gap: tuple[Point, float] | None
) -> tuple[Collection, ...]:
    """Find collections in the muscle.

    Parameters
    ----------
    glances : Glances
        Frames to look at.
    belly : Belly
        Where the muscle lies; where it is not known nothing is claimed.
    header : Header
        Scale and place of the region.
    rest : ndarray of bool, shape (frames,)
        Source frames in which the muscle is at rest: contraction changes its brightness.
    gap : (point, width) or None
        Middle (region px) and largest width (px) of a gap already reported: its fluid is not
        reported twice.
    """
    looks = [(index, frame) for index, frame in glances.frames if rest[index]]
    if not belly.known or len(looks) < 2:
        return ()
    found = [_dark_areas(frame, index, belly, header) for index, frame in looks]
    collections = []
    for area in found[0]:
        if gap is not None and (
            np.hypot(*(area.centre - gap[0])) < max(gap[1], 0.5 * area.extent)
            and area.extent < 1.5 * gap[1] + 0.05 * header.region.width
        ):
            continue
        again = [
            any(np.hypot(*(other.centre - area.centre)) < 0.7 * area.extent for other in look)
            for look in found[1:]
        ]
        share = (1 + sum(again)) / (1 + len(again))
        if share >= MIN_PERSISTENCE:
            collections.append(_described(area, share, header))
    return tuple(collections)


def _dark_areas(frame: NDArray[np.uint8], index: int, belly: Belly, header: Header) -> list[_Area]:
    """Find closed, compact, nearly echo-free areas of one reduced frame, in region px."""
    rows, columns = frame.shape
    to_region = np.array([header.region.width / columns, header.region.height / rows])
    at = np.minimum(
        ((np.arange(columns) + 0.5) * to_region[0]).astype(np.int64), len(belly.columns) - 1
    )
    superficial, deep = (line[at] / to_region[1] for line in belly.borders(index))
    y = np.arange(rows)[:, None]
    inside = (y > superficial + 1) & (y < deep - 1)
    tissue = cv2.resize(
        header.tissue.astype(np.uint8), (columns, rows), interpolation=cv2.INTER_NEAREST
    )
    inside &= tissue > 0
    if np.count_nonzero(inside) < 100:
        return []
    calm = cv2.GaussianBlur(frame, (0, 0), SMOOTHING * max(rows, columns)).astype(np.float32)
    wide = SURROUNDINGS * float(np.median(deep - superficial))
    weight = inside.astype(np.float32)
    around = cv2.GaussianBlur(calm * weight, (0, 0), wide)
    around /= np.maximum(cv2.GaussianBlur(weight, (0, 0), wide), 1e-3)
    areas: list[_Area] = []
    taken = np.zeros_like(inside)
    for share in EDGE_SHARES:
        for area, shape in _closed(
            inside & (calm < share * around), calm, deep - superficial, header
        ):
            if not taken[shape].any():
                areas.append(area)
                taken |= shape
    return areas


def _closed(
    dark: Bools, calm: NDArray[np.float32], thickness: Floats, header: Header
) -> Iterator[tuple[_Area, Bools]]:
    """Yield the compact ones of some dark areas that stand out on all sides, and their pixels.

    ``thickness`` is the muscle's at every column, in px of the reduced frame.
    """
    rows, columns = dark.shape
    to_region = np.array([header.region.width / columns, header.region.height / rows])
    count, labels, stats, centres = cv2.connectedComponentsWithStats(
        dark.astype(np.uint8), connectivity=4
    )
    spacing = header.calibration.spacing_mm
    for k in range(1, count):
        x0, _, width, height, pixels = (int(v) for v in stats[k])
        area_px = pixels * float(to_region.prod())
        if spacing is not None:
            large = area_px * spacing[0] * spacing[1] >= MIN_AREA_MM2
        else:
            large = area_px >= MIN_AREA_SHARE * header.region.width * header.region.height
        thick = float(np.median(thickness[x0 : x0 + width]))
        if not large or x0 == 0 or x0 + width == columns or height > TALLEST * thick:
            continue
        shape = labels == k
        outlines, _ = cv2.findContours(
            shape.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        outline = max(outlines, key=len)
        hull = float(cv2.contourArea(cv2.convexHull(outline)))
        (_, sides, _) = cv2.minAreaRect(outline)
        if hull <= 0 or pixels / hull < MIN_SOLIDITY or max(sides) > LONGEST * min(sides):
            continue
        contrast = _contrast(calm, shape, 0.5 * min(sides))
        if contrast < MIN_CONTRAST:
            continue
        points = (outline[:, 0, :].astype(np.float64) + 0.5) * to_region - 0.5
        yield (
            _Area(
                (centres[k] + 0.5) * to_region - 0.5,
                float(max(sides) * to_region.max()),
                area_px,
                contrast,
                points[:: max(1, len(points) // 60)],
            ),
            shape,
        )


def _contrast(calm: NDArray[np.float32], inside: Bools, breadth: float) -> float:
    """Return an area's contrast-to-noise ratio against the least of its four sides; 0 if not dark.

    The ratio is Patterson and Foster's, (M - m) / sqrt(S**2 + s**2) of the levels' middles and
    standard deviations outside and inside (Ultrason Imaging 1983;5:195). What lies outside is a
    ring ``breadth`` px wide off the soft edge; its sides are those of the area's own axes, so that
    a dark lane between fascicles, which goes on beyond its ends, has none at them.
    """
    soft = 2.0 * SMOOTHING * max(calm.shape)
    away = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 5)
    y, x = np.nonzero((away > soft / 2) & (away <= soft / 2 + max(3.0, breadth)))
    level, core = calm[y, x], calm[inside]
    if len(level) == 0 or np.median(core) > DARK_SHARE * np.median(level):
        return 0.0
    own = np.stack(np.nonzero(inside)[::-1], axis=1).astype(np.float64)
    variance, axes = np.linalg.eigh(np.cov(own.T))
    off = (np.stack([x, y], axis=1) - own.mean(axis=0)) @ axes / np.sqrt(variance)
    side = 2 * (abs(off[:, 1]) > abs(off[:, 0])) + (off.max(axis=1) > -off.min(axis=1))
    least = min(float(np.median(level[side == k])) if np.any(side == k) else 0.0 for k in range(4))
    noise = max(1.0, float(np.hypot(level.std(), core.std())))
    return (least - float(np.median(core))) / noise


def _described(area: _Area, share: float, header: Header) -> Collection:
    """Put an area in millimetres and source pixels."""
    spacing = header.calibration.spacing_mm
    origin = header.region.origin_px
    centre = area.centre + origin
    outline = area.outline + origin
    extent_mm = None
    if spacing is not None:
        between = area.outline[:, None, :] - area.outline[None, :, :]
        extent_mm = float(header.calibration.length_mm(between).max())
    return Collection(
        area_mm2=None if spacing is None else area.area * spacing[0] * spacing[1],
        extent_mm=extent_mm,
        centre_px=(float(centre[0]), float(centre[1])),
        confidence=float(share * (1.0 - np.exp(-area.contrast / SURE_CONTRAST))),
        outline_px=tuple((float(x), float(y)) for x, y in outline),
    )
