"""One candidate looked at closely: its line and its tip, below a pixel, from the full frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from usguide.kernels.lines import sample_strip, shaft_profiles
from usguide.model import Floats, Frame
from usguide.needle.candidates import CANDIDATE, Candidates, Float32, Workspace

STEP_PX = 0.5
"""Spacing of the samples taken along and across a candidate, working px."""
HALF_WIDTH = 10
"""Samples on either side of the line."""
CORE = 2
"""Samples on either side of the line that are taken for the shaft: 1 working px."""
FLANK = 5
"""Samples between the line and the start of its flanks: 2.5 working px."""
REACH = 32
"""Samples looked at past either end of a candidate: 16 working px."""
WINDOW = 16
"""Samples before and after the tip whose means make the step: 8 working px."""


AHEAD = 24
"""Samples past a tip in which a line may go on: 12 working px."""
BENDS = np.rint(np.linspace(-0.28, 0.28, 9)[:, None] * np.arange(AHEAD)).astype(np.intp)
"""Columns by which lines bent by up to 16 degrees leave the straight one: an aponeurosis or a bone
curves on where a straight line has to leave it; a needle ends."""


def way_on(strip: Float32, flanks: Floats, last: int) -> float:
    """Contrast of the brightest line that leaves sample ``last`` within the bends, grey levels.

    Parameters
    ----------
    strip : ndarray of float32, shape (n, 2 * HALF_WIDTH + 1)
        Samples along (rows) and across (columns) the shaft, 0 outside the picture.
    flanks : ndarray, shape (n,)
        Level beside the line.
    last : int
        Sample of the tip.
    """
    rows = np.arange(last + 2, min(last + 2 + AHEAD, len(strip)))
    if len(rows) < AHEAD // 3:
        return 0.0
    columns = HALF_WIDTH + BENDS[:, : len(rows)]
    brightness = strip[rows, columns].mean(axis=1) - flanks[rows].mean()
    return float(brightness.max())


def quantile(values: Floats, share: float) -> float:
    """Quantile of a short array, between neighbours linearly: NumPy's own costs ten times this."""
    ordered = np.sort(values)
    at = share * (len(ordered) - 1)
    below = int(at)
    above = min(below + 1, len(ordered) - 1)
    return float(ordered[below] + (at - below) * (ordered[above] - ordered[below]))


def median(values: Floats) -> float:
    """Middle of a short array."""
    return quantile(values, 0.5)


def speckle_noise(small: Float32, workspace: Workspace) -> float:
    """Robust deviation of the reduced frame from its local mean, grey levels, at least 2."""
    detail = np.abs(small - cv2.blur(small, (9, 9)))[workspace.tissue]
    return max(2.0, 1.4826 * float(np.median(detail))) if detail.size else 2.0


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line in region px: a point, and the direction towards the tip."""

    x: float
    y: float
    angle_rad: float

    @property
    def along(self) -> Floats:
        """Unit vector towards the tip."""
        return np.array([math.cos(self.angle_rad), math.sin(self.angle_rad)])

    def at(self, distance: float) -> Floats:
        """Point at a distance from the origin of the line."""
        return np.array([self.x, self.y]) + distance * self.along


def strip_along(frame: Frame, line: Line, start: float, count: int, step: float) -> Float32:
    """Sample ``count`` rows from ``start`` (region px along the line)."""
    strip = np.empty((count, 2 * HALF_WIDTH + 1), np.float32)
    x, y = line.at(start)
    sample_strip(frame, x, y, line.angle_rad, step, step, strip)
    return strip


def centred(frame: Frame, line: Line, length: float, step: float) -> Line:
    """Move a line onto the crest of the bright band it runs along.

    The centroid of what rises above the median across the line, at every sample, weighted by how
    much rises, is fitted by a straight line; outliers lose their weight in a second pass.
    """
    count = max(4, int(length / step))
    strip = strip_along(frame, line, 0.0, count, step)
    strip = np.where(np.isfinite(strip), strip, np.float32(0))
    strip = np.asarray(cv2.blur(strip, (3, 7)), np.float32)
    near = strip[:, HALF_WIDTH - 7 : HALF_WIDTH + 8]
    lifted = np.maximum(near - np.sort(strip, axis=1)[:, HALF_WIDTH, None], 0) ** 2
    weight = lifted.sum(axis=1).astype(np.float64)
    if not np.any(weight > 0):
        return line
    offsets = np.arange(-7, 8) * step
    across = (lifted @ offsets) / np.maximum(weight, 1e-6)
    along = np.arange(count) * step
    weight = np.minimum(weight, quantile(weight, 0.75)) + 1e-9
    slope = intercept = 0.0
    for _ in range(3):
        share = weight / weight.sum()
        mean_along, mean_across = float(share @ along), float(share @ across)
        away = along - mean_along
        spread = float(share @ (away * away))
        if spread <= 0:
            return line
        slope = float(share @ (away * (across - mean_across))) / spread
        intercept = mean_across - slope * mean_along
        residual = across - (intercept + slope * along)
        weight = weight / (1 + (residual / step) ** 2)
    normal = np.array([-line.along[1], line.along[0]])
    x, y = np.array([line.x, line.y]) + intercept * normal
    return Line(float(x), float(y), line.angle_rad + math.atan(slope))


def step_at_each(profile: Floats, window: int) -> Floats:
    """Mean over the ``window`` samples up to each point less the mean over those after it."""
    total = np.concatenate([[0.0], np.cumsum(profile)])
    index = np.arange(len(profile) + 1)
    before = (total[index] - total[np.maximum(index - window, 0)]) / np.maximum(
        np.minimum(index, window), 1
    )
    ahead = np.minimum(index + window, len(profile))
    after = (total[ahead] - total[index]) / np.maximum(ahead - index, 1)
    return np.asarray(before - after)


def peak(values: Floats) -> float:
    """Position of the maximum, by a parabola through it and its neighbours."""
    k = int(np.argmax(values))
    if 0 < k < len(values) - 1:
        left, middle, right = values[k - 1 : k + 2]
        bend = left - 2 * middle + right
        if bend < 0:
            return k + 0.5 * float((left - right) / bend)
    return float(k)


def shaft_ends(profile: Floats, floor: float, first: int, last: int) -> list[float]:
    """Positions at which a bright profile may end, in samples; the likeliest first.

    The most likely place of a step between the level of the shaft's deeper half and the level
    beyond its end is the maximum of the sum of the profile less the middle of the two; the largest
    local step near it gives the fraction. Where the largest step of the whole deeper half is
    elsewhere (a bright tip after a faint stretch, a gap), that is the second answer. ``floor`` is
    the level of the profile where there is no shaft.
    """
    shaft = median(profile[first:last])
    past = median(profile[last:]) if last < len(profile) else floor
    middle = 0.5 * (shaft + max(past, floor))
    likely = first + int(np.argmax(np.cumsum(profile[first:] - middle))) + 1
    drops = step_at_each(profile, WINDOW)
    low = max(0, likely - WINDOW // 2)
    ends = [low + peak(drops[low : likely + WINDOW // 2 + 1])]
    drops[max(0, int(ends[0]) - WINDOW) : int(ends[0]) + WINDOW + 1] = -np.inf
    rest = drops[first : len(profile) - 2]
    if len(rest) and np.isfinite(rest.max()):
        ends.append(first + float(np.argmax(rest)))
    return ends


def quantile_in(levels: Floats, value: float) -> float:
    """Share of a sorted sample of the tissue's grey levels that lies below a value."""
    return float(np.searchsorted(levels, value)) / max(1, len(levels))


@dataclass(frozen=True, slots=True)
class Glance:
    """What all candidates of one frame share."""

    frame: Frame
    small: Float32
    noise: float
    """Speckle noise, grey levels."""
    levels: Floats
    """Sorted sample of the tissue's grey levels at the working size."""

    @classmethod
    def at(cls, frame: Frame, workspace: Workspace) -> Glance:
        """Reduce a frame and measure its noise and grey levels."""
        small = workspace.reduce(frame)
        levels = np.sort(cv2.blur(small, (5, 5))[workspace.tissue][::7]).astype(np.float64)
        return cls(frame, small, speckle_noise(small, workspace), levels)


def examine(glance: Glance, segment: Floats, workspace: Workspace) -> Candidates:
    """Measure one segment on the full frame.

    Parameters
    ----------
    glance : Glance
        The frame.
    segment : ndarray, shape (6,)
        Score, angle and ends (shallow, deep), working px.
    workspace : Workspace
        Sizes and masks of the clip.

    Returns
    -------
    structured array of ``CANDIDATE``, shape (1 or 2,)
        One per place where the shaft may end.
    """
    step = STEP_PX * workspace.scale
    tail = workspace.to_region(segment[2:4])
    delta = workspace.to_region(segment[4:6]) - tail
    length = float(np.hypot(*delta))
    line = centred(
        glance.frame,
        Line(float(tail[0]), float(tail[1]), math.atan2(delta[1], delta[0])),
        length,
        step,
    )
    shaft = int(length / step)
    strip = strip_along(glance.frame, line, -REACH * step, shaft + 2 * REACH + 1, step)
    profiles = np.empty((3, len(strip)))
    shaft_profiles(strip, CORE, FLANK, profiles)
    core, left, right = profiles
    # Beyond a tip the line may bend into one flank, and under a shaft lie its reverberations:
    # what the line stands out from is the darker side.
    darker = np.minimum(left, right)
    ridges = cv2.blur(np.where(np.isfinite(strip), strip, np.float32(0)), (2 * CORE - 1, 1))
    contrast = core - 0.5 * (left + right)
    ridge = core - np.maximum(left, right)

    profile = core - 0.5 * darker
    drops = step_at_each(profile, WINDOW)
    floor = median(darker) / 2
    ends = shaft_ends(profile, floor, REACH + shaft // 2, REACH + shaft)
    running = np.convolve(contrast, np.full(WINDOW, 1 / WINDOW), "valid")  # from each sample on
    out = np.zeros(len(ends), CANDIDATE)
    for record, end in zip(out, ends, strict=True):
        last = min(len(core) - 1, max(REACH + 2, round(end)))
        near = max(REACH, last - WINDOW // 2)
        tip = line.at((end - REACH - 0.5) * step)
        record["tip_x"], record["tip_y"] = tip
        record["tail_x"], record["tail_y"] = line.at(0.0)
        record["score"] = segment[0]
        record["contrast"] = median(contrast[REACH:last]) / glance.noise
        record["ridge"] = median(ridge[REACH:last]) / glance.noise
        record["near"] = contrast[max(REACH, last - WINDOW) : last].mean() / glance.noise
        deeper = running[REACH + (last - REACH) // 3 : max(last - WINDOW, REACH) + 1]
        record["weakest"] = (deeper.min() if len(deeper) else contrast[last]) / glance.noise
        record["step"] = drops[last] / glance.noise
        record["onward"] = way_on(np.asarray(ridges, np.float32), darker, last) / glance.noise
        record["echo"] = quantile_in(glance.levels, float(core[near:last].mean()))
        record["margin"] = workspace.distance_to_edge(tip)
        record["gap"], record["entry"] = workspace.way_in(line.at(0.0), line.along)
    return out
