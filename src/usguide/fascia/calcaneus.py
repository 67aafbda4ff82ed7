"""The heel bone: a bright line over a shadow, that ends in a front edge.

Brightness alone does not tell bone from fascia, fat septa, aponeuroses or a needle. Bone stops the
beam: below it the picture is empty, but for a haze of clutter and copies of the bone's own echo. So
every pixel is scored by its own level minus the level *and the variation* of what lies beneath, as
far as no haze explains them, and a bone is the connected run of columns that gathers the greatest
sum (:mod:`usguide.kernels.open_path`). How hazy the shadow is nobody knows beforehand, so several
are tried, and the lines found are judged by all that tells a bone from other lines
(:mod:`usguide.fascia.bone_odds`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy import ndimage

from usguide.fascia.bone_odds import BENEATH_MM, LEVEL_MAX, Profile, line_odds
from usguide.fascia.front_edge import front_edges
from usguide.fascia.surroundings import heel_bone_odds
from usguide.fascia.workspace import Image
from usguide.kernels.open_path import open_path
from usguide.model import Bools, Floats

# Lengths in nominal mm. The heel's fat pad is 14-26 mm thick unloaded and compresses to 0.62 of
# that under the probe (PMID 16513397); a probe pressed hard leaves a third.
DEPTH_MIN_MM, DEPTH_MAX_MM = 3.0, 40.0
"""Where the heel bone's under side lies: past the skin, and no deeper than an unloaded fat pad and
gel between skin and probe; 33 mm at most in 300 heels of two simulators."""
SHADOW_SEEN_MM = 2.5
"""Least shadow in view; a line nearer to the bottom cannot be told from any bright line."""
ROOM_MIN_MM = 8.0
"""Least picture in front of the edge: the fascia must be followed somewhere."""
LENGTH_MIN_MM = 5.0
EDGE_OVER_BOTTOM_MM = 4.0
"""Least tissue in view beneath the front edge. A line followed nearer to the bottom runs on down
the bone's front: 5.0 mm and more on 330 heels of two simulators, 3.5 and less on three whose band
lay far below the fascia."""
COPY_WITHIN_MM, COPY_RATIO = 0.5, 1.1
"""How near to half its depth a line is looked for of which a bone-like line may be a copy, and the
least level of it against its copy's: 1.17 to 1.64 over eight copies, 0.99 at most over the bones of
some 400 heels of two simulators. Two fainter copies, 0.96 and 0.98, are taken for bones."""
SLOPE_MAX = float(np.tan(np.radians(23.0)))
"""Greatest slope of the under side as a whole: -15 to 22 degrees in 273 lines of two simulators;
front walls that were taken for it had 25 and more."""
SAME_MM = 1.0
"""Two lines this near to each other, on average, are one bone: it glows a millimetre thick."""

# Levels are normalised (0 the floor, 1 the 99th percentile of the picture). Tuned on
# fascia_normal, fascia_fasciopathy_photo, muscle_*, needle_convex_12 and needle_steep.
SHADOW_WEIGHT = 2.0
LEVEL_MIN = 0.45
ECHO_MAX = 0.4
"""Level beneath a line above which more echo counts no more against it: a copy of the bone's echo
counts as a grey patch does."""
HAZES = (0.0, 0.1, 0.2, 0.3)
"""Level and variation that clutter may leave in a shadow."""
HAZE_WEIGHT = 0.5
"""The hazier the shadow, the brighter the line must be: it is told from tissue by little else."""
OFF_TISSUE_SCORE = -0.3
STEP_COST = 0.1
MEAN_SCORE_MIN = 0.12
"""Mean score of a line that is worth judging by its odds."""
LINE_ODDS_MIN, LINE_ODDS_SURE = -1.5, 3.0
"""Logarithm of the odds of a line below which nothing that lies around it makes it a bone; and
above which no hazier shadow is tried."""
ODDS_MIN = -1.0
"""Logarithm of the odds below which a line is no bone, whatever band leaves it."""
SEEN_SHARE, GAP_MM, FADING_MM = 0.66, 2.5, 3.0
"""Of the line's usual level, below which the bone's echo is lost; for how long it may be; and how
much of the front may fade because it turns away from the beam."""
STRIDE = 2
"""Work pixels per pixel of the search grid."""
CANDIDATES = 3
LINES, SAME_EDGE_MM = 8, 2.0
"""Lines, the likeliest, around which is looked; and how near to each other the ends of one line
are that need not both be judged."""


@dataclass(frozen=True, slots=True, eq=False)
class Bone:
    """A calcaneus surface in work pixels of a picture turned so that its front is on the right.

    Parameters
    ----------
    x, y : ndarray of float64, shape (n,)
        The under side from back to front; the last point is the front lower edge.
    odds : float
        Logarithm of the odds that it is the heel bone.
    mirrored : bool
        Whether the picture was mirrored, i.e. the bone lies on the right as displayed.
    """

    x: Floats
    y: Floats
    odds: float
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

    One line may be among them with several ends: which is the front edge, the band tells.

    Parameters
    ----------
    levels : ndarray of float32, shape (rows, columns)
        Normalised, lightly smoothed work picture as displayed.
    tissue : ndarray of bool, shape (rows, columns)
        Where echoes are shown.
    pixel_mm : float
        Nominal size of a work pixel.
    """
    bones, crossing = lines(levels, tissue, pixel_mm)
    judged = sorted(likeliest(bones, levels, pixel_mm), key=lambda one: -one.odds)
    chosen = [bone for bone in judged if bone.odds >= ODDS_MIN][:CANDIDATES]
    ending: list[Bone] = []
    leaving: list[Bone] = []
    for bone in chosen:
        deep = _edge_over_bottom(bone, tissue) * pixel_mm < EDGE_OVER_BOTTOM_MM
        # Where the likeliest end of a line may be out of view, no other is its front edge.
        if deep or any(bone.lies_on(other, SAME_MM / pixel_mm) for other in leaving):
            leaving.append(bone)
        else:
            ending.append(bone)
    if ending:
        return ending
    if leaving:
        return "the bone-like line ends so near the bottom that its front edge may be out of view"
    if bones:
        return "no bright line over a shadow has the shape of a heel bone and ends like one"
    if crossing:
        return "the bone-like line crosses the whole picture: it has no front edge"
    return "no bright line with a shadow beneath it"


def lines(levels: Image, tissue: Bools, pixel_mm: float) -> tuple[list[Bone], bool]:
    """Find bright lines over shadows, each with every place where it may end.

    Parameters as of :func:`find_calcaneus`.

    Returns
    -------
    list of Bone
        With the odds of the line alone.
    crossing : bool
        Whether one of them crosses the whole picture.
    """
    level = np.minimum(levels, LEVEL_MAX)
    beneath = _beneath(np.minimum(levels, ECHO_MAX), *(mm / pixel_mm for mm in BENEATH_MM))
    hidden = _hidden(tissue, pixel_mm)
    crossing = False
    bones: list[Bone] = []
    for haze in HAZES:
        score = bone_score(level, beneath, haze)
        score[hidden] = OFF_TISSUE_SCORE
        for columns, rows in _lines(score, pixel_mm):
            read = _orientations(levels, columns, rows, pixel_mm)
            crossing |= not read
            # A copy of the bone is clearer than the bone over the haze it lies in.
            bones += [bone for bone in read if not _is_copy(bone, levels, tissue, pixel_mm)]
        if any(bone.odds > LINE_ODDS_SURE for bone in bones):
            break
    return bones, crossing


def likeliest(bones: list[Bone], levels: Image, pixel_mm: float) -> list[Bone]:
    """Judge the likeliest of the lines that may be bones also by what lies around them."""
    pictures = {False: levels, True: levels[:, ::-1]}
    judged: list[Bone] = []
    for bone in sorted(bones, key=lambda one: -one.odds):
        if bone.odds < LINE_ODDS_MIN or len(judged) == LINES:
            break
        known = any(
            bone.lies_on(other, SAME_MM / pixel_mm)
            and abs(bone.x[-1] - other.x[-1]) < SAME_EDGE_MM / pixel_mm
            for other in judged
        )
        if known:
            continue
        odds = heel_bone_odds(bone.odds, pictures[bone.mirrored], bone.x, bone.y, pixel_mm)
        if odds is not None:
            judged.append(replace(bone, odds=odds))
    return judged


def _is_copy(bone: Bone, levels: Image, tissue: Bools, pixel_mm: float) -> bool:
    """Say whether a brighter line runs half-way up to the probe: this one is its reverberation."""
    columns = np.rint(bone.x).astype(np.int64)
    if bone.mirrored:
        columns = levels.shape[1] - 1 - columns
    face = np.argmax(tissue[:, columns], axis=0)
    within = round(COPY_WITHIN_MM / pixel_mm)
    halfway, own = (
        np.minimum(levels[np.clip(rows, 0, len(levels) - 1), columns], LEVEL_MAX).mean(axis=1).max()
        for rows in (
            np.rint(course).astype(np.int64) + np.arange(-within, within + 1)[:, None]
            for course in ((face + bone.y) / 2, bone.y)
        )
    )
    return bool(halfway > COPY_RATIO * own)


def _edge_over_bottom(bone: Bone, tissue: Bools) -> float:
    """Rows from a bone's front edge down to the end of the tissue."""
    x, y = bone.edge
    rows, columns = tissue.shape
    column = int(np.clip(columns - 1 - x if bone.mirrored else x, 0, columns - 1))
    return float(rows - 1 - np.argmax(tissue[::-1, column]) - y)


def _lines(score: Image, pixel_mm: float) -> Iterator[tuple[Floats, Floats]]:
    """Yield the columns and rows of the best lines in a score, on the search grid."""
    height, width = (side // STRIDE for side in score.shape)
    whole = score[: height * STRIDE, : width * STRIDE]
    coarse = np.asarray(
        cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), dtype=np.float32
    )
    reach = max(int(SAME_MM / pixel_mm / STRIDE), 1)
    for _ in range(CANDIDATES):
        total, first, path = open_path(coarse, 2, STEP_COST)
        if len(path) * STRIDE * pixel_mm < LENGTH_MIN_MM:
            return
        columns = first + np.arange(len(path))
        if total / len(path) >= MEAN_SCORE_MIN:
            at = np.stack([columns, path]).astype(np.float64) * STRIDE + (STRIDE - 1) / 2
            yield at[0], at[1]
        for column, row in zip(columns, path, strict=True):
            coarse[max(row - reach, 0) : row + reach + 1, column] = OFF_TISSUE_SCORE


def _hidden(tissue: Bools, pixel_mm: float) -> Bools:
    """Where no bone is looked for: off the tissue, in the skin, too deep, no shadow in view."""
    hidden = ~tissue
    hidden[: round(DEPTH_MIN_MM / pixel_mm)] = True
    hidden[round(DEPTH_MAX_MM / pixel_mm) :] = True
    hidden[max(len(hidden) - round((BENEATH_MM[0] + SHADOW_SEEN_MM) / pixel_mm), 0) :] = True
    return hidden


def bone_score(level: Image, beneath: Image, haze: float) -> Image:
    """Score every pixel as bone surface: its level, against level and variation beneath it.

    ``s = I - 2 max(B - h, 0) - h / 2 - 0.45`` with B the mean + SD of the 1-7 mm beneath, averaged
    over 1 mm across, and h the haze of the shadow.
    """
    emptiness = SHADOW_WEIGHT * np.maximum(beneath - np.float32(haze), 0.0)
    return np.asarray(level - emptiness - (HAZE_WEIGHT * haze + LEVEL_MIN), dtype=np.float32)


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


def _orientations(
    levels: Image,
    columns: Floats,
    path: Floats,
    pixel_mm: float,
) -> list[Bone]:
    """Read a line as a calcaneus with its front to the right, to the left, or either.

    The front has picture left beyond it; where both ends have room for a fascia, and where the line
    may end at several places, the caller decides.
    """
    width = levels.shape[1]
    bones = []
    for mirrored in (False, True):
        picture = levels[:, ::-1] if mirrored else levels
        x = width - 1 - columns[::-1] if mirrored else columns
        y = path[::-1] if mirrored else path
        profile = Profile.of(picture, *_surface(picture, x, y, pixel_mm), pixel_mm)
        ends = front_edges(profile.x, profile.y, pixel_mm)
        for end in ends:
            under = profile.until(end)
            room_mm = (width - 1 - under.x[-1]) * pixel_mm
            slope = (under.y[-1] - under.y[0]) / max(end, 1)
            if room_mm >= ROOM_MIN_MM and abs(slope) <= SLOPE_MAX:
                odds = line_odds(picture, under, pixel_mm)
                bones.append(Bone(under.x, under.y, odds, mirrored))
                # Beyond doubt where its course ends.
                if end == ends[0] and odds > LINE_ODDS_SURE:
                    break
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
