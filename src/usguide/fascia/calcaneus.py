"""The heel bone: a bright line with nothing but shadow beneath it, that ends in a front edge.

Brightness alone does not tell bone from fascia, fat septa, aponeuroses or a needle. Bone stops the
beam: below it the picture is not only dark but empty, down to its bottom. So every pixel is scored
by its own level minus the level *and the variation* of what lies beneath, and the bone is the
connected run of columns that gathers the greatest sum (:mod:`usguide.kernels.open_path`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy import ndimage

from usguide.fascia.front_edge import front_edge
from usguide.fascia.workspace import Image
from usguide.kernels.open_path import open_path
from usguide.model import Bools, Floats

# Lengths in nominal mm. The heel's fat pad is 14-26 mm thick unloaded and compresses to 0.62 of
# that under the probe (PMID 16513397); a probe pressed hard leaves a third.
DEPTH_MIN_MM = 3.0
SHADOW_NEAR_MM, SHADOW_FAR_MM = 1.0, 7.0
"""Where beneath the line the shadow is judged: past the line's own thickness, above the usual
first reverberation (which lies as deep again as the bone)."""
SHADOW_SEEN_MM = 2.5
"""Least shadow in view; a line nearer to the bottom cannot be told from any bright line."""
ROOM_MIN_MM = 8.0
"""Least picture in front of the edge: the fascia must be followed somewhere."""
LENGTH_MIN_MM = 5.0

# Levels are normalised (0 the floor, 1 the 99th percentile of the picture). Tuned on
# fascia_normal, fascia_fasciopathy_photo, muscle_*, needle_convex_12 and needle_steep.
SHADOW_WEIGHT = 2.0
LEVEL_MIN = 0.45
LEVEL_MAX = 1.2
OFF_TISSUE_SCORE = -0.3
STEP_COST = 0.1
MEAN_SCORE_MIN = 0.17
"""Synthetic bones beneath a shaded fat pad have 0.19 to 0.22; muscle that has as much is declined
for its lack of a shadow, or of a band that leaves it."""
DEEP_SHADOW_MAX = 0.3
REVERBERATION_SHARE = 0.15
ECHO_SHARE = 0.7
SEEN_SHARE, GAP_MM, FADING_MM = 0.66, 2.5, 3.0
"""Of the line's usual level, below which the bone's echo is lost; for how long it may be; and how
much of the front may fade because it turns away from the beam."""
STRIDE = 2
"""Work pixels per pixel of the search grid."""
CANDIDATES = 3


@dataclass(frozen=True, slots=True, eq=False)
class Bone:
    """A calcaneus surface in work pixels of a picture turned so that its front is on the right.

    Parameters
    ----------
    x, y : ndarray of float64, shape (n,)
        The under side from back to front; the last point is the front lower edge.
    score : float
        Mean score per column, about 0 (doubtful) to 0.7 (beyond doubt).
    mirrored : bool
        Whether the picture was mirrored, i.e. the bone lies on the right as displayed.
    """

    x: Floats
    y: Floats
    score: float
    mirrored: bool

    @property
    def edge(self) -> tuple[float, float]:
        """(x, y) of the front lower edge."""
        return float(self.x[-1]), float(self.y[-1])

    def moved(self, shift_px: tuple[float, float]) -> Bone:
        """Return the same bone, moved by (x, y) work px."""
        return replace(self, x=self.x + shift_px[0], y=self.y + shift_px[1])

    def lies_on(self, other: Bone, within_px: float) -> bool:
        """Say whether at least half of this bone lies, on average, so near to another one."""
        shared = (self.x >= other.x[0]) & (self.x <= other.x[-1])
        if self.mirrored is not other.mirrored or 2 * np.count_nonzero(shared) < len(shared):
            return False
        apart = self.y[shared] - np.interp(self.x[shared], other.x, other.y)
        return float(np.abs(apart).mean()) < within_px


def find_calcaneus(levels: Image, tissue: Bools, pixel_mm: float) -> list[Bone] | str:
    """Find the lines that may be the heel bone, best first, or say why there is none.

    Parameters
    ----------
    levels : ndarray of float32, shape (rows, columns)
        Normalised, lightly smoothed work picture as displayed.
    tissue : ndarray of bool, shape (rows, columns)
        Where echoes are shown.
    pixel_mm : float
        Nominal size of a work pixel.
    """
    score = bone_score(levels, tissue, pixel_mm)
    height, width = (side // STRIDE for side in score.shape)
    whole = score[: height * STRIDE, : width * STRIDE]
    coarse = np.asarray(
        cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), dtype=np.float32
    )
    reasons: list[str] = []
    bones: list[Bone] = []
    for _ in range(CANDIDATES):
        total, first, path = open_path(coarse, 2, STEP_COST)
        length_mm = len(path) * STRIDE * pixel_mm
        if length_mm < LENGTH_MIN_MM:
            break
        columns = first + np.arange(len(path))
        fine = columns.astype(np.float64) * STRIDE + (STRIDE - 1) / 2
        rows = path.astype(np.float64) * STRIDE + (STRIDE - 1) / 2
        reason = _objection(levels, fine, rows, pixel_mm)
        if total / len(path) < MEAN_SCORE_MIN:
            reason = "no bright line with an empty shadow beneath it"
        if reason is None:
            bones.extend(_orientations(levels, fine, rows, pixel_mm, total))
        else:
            reasons.append(reason)
        for column, row in zip(columns, path, strict=True):
            reach = max(int(1.0 / pixel_mm / STRIDE), 1)
            coarse[max(row - reach, 0) : row + reach + 1, column] = OFF_TISSUE_SCORE
    if bones:
        return bones
    return reasons[0] if reasons else "no bright line with an empty shadow beneath it"


def bone_score(levels: Image, tissue: Bools, pixel_mm: float) -> Image:
    """Score every pixel as bone surface: its level, against level and variation beneath it.

    ``s = min(I, 1.2) - 2 (mean + SD of I over the 1-7 mm beneath) - 0.45``, the mean and SD
    averaged over 1 mm across.
    """
    level = np.minimum(levels, LEVEL_MAX)
    beneath = _beneath(level, SHADOW_NEAR_MM / pixel_mm, SHADOW_FAR_MM / pixel_mm)
    score = level - SHADOW_WEIGHT * beneath - LEVEL_MIN
    rows = levels.shape[0]
    score[: round(DEPTH_MIN_MM / pixel_mm)] = OFF_TISSUE_SCORE
    score[max(rows - round((SHADOW_NEAR_MM + SHADOW_SEEN_MM) / pixel_mm), 0) :] = OFF_TISSUE_SCORE
    score[~tissue] = OFF_TISSUE_SCORE
    return np.asarray(score, dtype=np.float32)


def _beneath(level: Image, near: float, far: float) -> Image:
    """Mean plus SD over the rows ``near`` to ``far`` below each pixel, smoothed across."""
    rows, columns = level.shape
    first, height = round(near), max(round(far) - round(near), 1)
    # Nothing is shown below the picture: means are of what lies within it.
    shown = np.clip(rows - first - np.arange(rows), 1, height)[:, None].astype(np.float32)
    lower = np.zeros((rows + height, columns), dtype=np.float32)
    lower[: max(rows - first, 0)] = level[first:]
    mean, square = (
        np.asarray(window_sum(lower, cv2.CV_32F, (1, height), anchor=(0, 0), normalize=False))
        for window_sum in (cv2.boxFilter, cv2.sqrBoxFilter)
    )
    mean, square = mean[:rows] / shown, square[:rows] / shown
    spread = np.sqrt(np.maximum(square - mean**2, 0))
    return np.asarray(cv2.blur(mean + spread, (2 * round(near / 2) + 1, 1)), dtype=np.float32)


def _objection(levels: Image, x: Floats, y: Floats, pixel_mm: float) -> str | None:
    """Why a bright line over darkness is not the heel bone, or None."""
    height, width = levels.shape
    if max(x[0], width - 1 - x[-1]) * pixel_mm < ROOM_MIN_MM:
        return "the bone-like line crosses the whole picture: it has no front edge"
    columns, rows = x.astype(np.int64), y.astype(np.int64)
    row = np.arange(height)[:, None]
    beneath = np.where(row > rows + SHADOW_NEAR_MM / pixel_mm, levels[:, columns], np.nan)
    if np.nanmean(beneath) > DEEP_SHADOW_MAX:
        return "echoes return below the bone-like line: it casts no shadow"
    # The first reverberation lies as deep again as the bone, and is no tissue.
    beneath[np.abs(row / (2.0 * rows) - 1.0) < REVERBERATION_SHARE] = np.nan
    strongest = np.nanmax(np.nan_to_num(beneath, nan=-1.0), axis=0)
    if np.mean(strongest > ECHO_SHARE * levels[rows, columns]) > 0.5:
        return "another bright line lies below the bone-like line: it casts no shadow"
    return None


def _orientations(
    levels: Image,
    columns: Floats,
    path: Floats,
    pixel_mm: float,
    total: float,
) -> list[Bone]:
    """Read a line as a calcaneus with its front to the right, to the left, or either.

    The front is the end with picture left beyond it; where both ends have room for a fascia, the
    caller decides by which side holds one.
    """
    width = levels.shape[1]
    score = float(total) / len(path)
    room_mm = {False: (width - 1 - columns[-1]) * pixel_mm, True: columns[0] * pixel_mm}
    bones = []
    for mirrored in sorted(room_mm, key=lambda m: -room_mm[m]):
        if room_mm[mirrored] < ROOM_MIN_MM:
            continue
        picture = levels[:, ::-1] if mirrored else levels
        x = width - 1 - columns[::-1] if mirrored else columns
        y = path[::-1] if mirrored else path
        fine_x, fine_y = _surface(picture, x, y, pixel_mm)
        end = front_edge(fine_x, fine_y, pixel_mm)
        bones.append(Bone(fine_x[: end + 1], fine_y[: end + 1], score, mirrored))
    return bones


def _surface(
    levels: Image, columns: Floats, path: Floats, pixel_mm: float
) -> tuple[Floats, Floats]:
    """Refine a coarse path to the brightest row near it in every work column, smoothed."""
    x = np.arange(round(columns[0] - 0.5), round(columns[-1] + 0.5) + 1)
    coarse = np.rint(np.interp(x, columns, path)).astype(int)
    reach = max(round(0.4 / pixel_mm), 1)
    offsets = np.arange(-reach, reach + 1)
    window = np.clip(coarse[:, None] + offsets, 0, levels.shape[0] - 1)
    nearby = levels[window, x[:, None]]
    # Centroid of the echo rather than its maximum: bone saturates, and a plateau has no peak.
    weight = np.maximum(nearby - 0.7 * nearby.max(axis=1, keepdims=True), 1e-6)
    y = (window * weight).sum(axis=1) / weight.sum(axis=1)
    # Where the bone gives no echo, the brightest row is a fibril above it: bridge such gaps, but
    # not the front, which fades because it turns away from the beam.
    strength = nearby.max(axis=1)
    gaps, count = ndimage.label(strength < SEEN_SHARE * np.median(strength))
    short = np.bincount(gaps.ravel(), minlength=count + 1) <= GAP_MM / pixel_mm
    short[np.append(gaps[-round(FADING_MM / pixel_mm) :], [0, gaps[0]])] = False
    seen = ~short[gaps]
    y = np.interp(x, x[seen], y[seen])
    y = ndimage.median_filter(y, size=2 * reach + 1, mode="nearest")
    y = ndimage.gaussian_filter1d(y, 0.5 / pixel_mm, mode="nearest")
    return x.astype(np.float64), y
