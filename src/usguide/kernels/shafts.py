"""Straight bright segments looked at closely: their crest, where they end, and what is beside."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from usguide.kernels import kernel
from usguide.kernels.lines import Float32
from usguide.kernels.ranks import median_of, ranked
from usguide.kernels.strips import sample_strip, shaft_profiles

HALF_WIDTH = 10
"""Samples on either side of a line."""
CORE = 2
"""Samples on either side of the line that are taken for the shaft."""
FLANK = 5
"""Samples between the line and the start of its flanks."""
REACH = 32
"""Samples looked at past either end."""
WINDOW = 16
"""Samples before and after a tip whose means make the step."""
NEAR_CREST = 7
"""Samples on either side of the line among which its crest is looked for."""
AHEAD = 24
"""Samples past a tip in which a line may go on."""
BENDS = 9
STEEPEST_BEND = 0.28
"""Lines bent by up to 16 degrees leave the straight one: an aponeurosis or a bone curves on where a
straight line has to leave it; a needle ends."""

# Columns of a measured end.
TIP, TAIL, CONTRAST, RIDGE, NEAR, WEAKEST, STEP, ONWARD, LEVEL = 0, 2, 4, 5, 6, 7, 8, 9, 10
COLUMNS = 11


@kernel("void(float32[:,::1], float64, float64, float64[::1])")
def crest(strip: Float32, step: float, spread: float, line: NDArray[np.float64]) -> None:
    """Fit a straight line to the crest of the bright band in a strip.

    The centroid of what rises above the median across the line, squared, is fitted at every sample
    along it, weighted by how much rises; outliers lose their weight in two further passes.

    Parameters
    ----------
    strip : ndarray of float32, shape (n, 2 * HALF_WIDTH + 1)
        As from :func:`usguide.kernels.strips.sample_strip`; NaN counts as 0.
    step, spread : float
        Distance between samples along the line, and across it.
    line : ndarray of float64, shape (2,)
        Output: offset across the line at its start, and slope; both 0 where nothing rises.
    """
    count, across = strip.shape
    middle = across // 2
    line[:] = 0.0
    # Averaged over 3 samples both ways, one way after the other.
    across_mean = np.empty((count, across))
    for i in range(count):
        before = 0.0
        here = 0.0 if np.isnan(strip[i, 0]) else strip[i, 0]
        for j in range(across):
            beyond = 0.0
            if j + 1 < across and not np.isnan(strip[i, j + 1]):
                beyond = strip[i, j + 1]
            across_mean[i, j] = (before + here + beyond) / (min(across, j + 2) - max(0, j - 1))
            before = here
            here = beyond
    smooth = np.empty((count, across))
    for i in range(count):
        above = across_mean[max(0, i - 1)]
        here_mean = across_mean[i]
        below = across_mean[min(count - 1, i + 1)]
        # At either end there is one neighbour less.
        more = 1.0 if i > 0 else 0.0
        less = 1.0 if i < count - 1 else 0.0
        for j in range(across):
            total = more * above[j] + here_mean[j] + less * below[j]
            smooth[i, j] = total / (1.0 + more + less)
    lifted = np.zeros(count)
    where = np.zeros(count)
    row = np.empty(across)
    for i in range(count):
        for j in range(across):
            row[j] = smooth[i, j]
        base = ranked(row, middle)
        total = 0.0
        moment = 0.0
        for j in range(middle - NEAR_CREST, middle + NEAR_CREST + 1):
            rise = max(smooth[i, j] - base, 0.0)
            total += rise * rise
            moment += rise * rise * (j - middle)
        lifted[i] = total
        where[i] = spread * moment / max(total, 1e-6)
    if not np.any(lifted > 0):
        return
    cap = ranked(lifted.copy(), (3 * (count - 1)) // 4)
    weight = np.minimum(lifted, cap) + 1e-9
    for _ in range(3):
        total = weight.sum()
        at = 0.0
        off = 0.0
        for i in range(count):
            at += weight[i] * i * step
            off += weight[i] * where[i]
        at /= total
        off /= total
        variance = 0.0
        joint = 0.0
        for i in range(count):
            away = i * step - at
            variance += weight[i] * away * away
            joint += weight[i] * away * (where[i] - off)
        if variance <= 0:
            return
        line[1] = joint / variance
        line[0] = off - line[1] * at
        for i in range(count):
            residual = (where[i] - line[0] - line[1] * i * step) / spread
            weight[i] /= 1.0 + residual * residual


@kernel("float64(float64[::1], int64, int64)")
def weakest_mean(values: NDArray[np.float64], first: int, last: int) -> float:
    """Least mean of ``WINDOW`` neighbours in ``values[first:last]``, which are as many or more."""
    total = values[first : first + WINDOW].sum()
    least = total
    for i in range(first, last - WINDOW):
        total += values[i + WINDOW] - values[i]
        least = min(least, total)
    return float(least / WINDOW)


@kernel("void(float64[::1], int64, float64[::1])")
def step_at_each(profile: NDArray[np.float64], window: int, drops: NDArray[np.float64]) -> None:
    """Write the mean of the ``window`` samples before each point less that of those from it on.

    ``drops`` has one entry more than ``profile``: a step may be after the last sample.
    """
    count = len(profile)
    before = 0.0
    after = profile[: min(window, count)].sum()
    for i in range(count + 1):
        first = max(i - window, 0)
        last = min(i + window, count)
        drops[i] = before / max(i - first, 1) - after / max(last - i, 1)
        if i < count:
            before += profile[i]
            after -= profile[i]
        if i >= window:
            before -= profile[i - window]
        if i + window < count:
            after += profile[i + window]


@kernel("int64(float64[::1], float64[::1], float64, int64, int64, float64[::1])")
def shaft_ends(
    profile: NDArray[np.float64],
    drops: NDArray[np.float64],
    floor: float,
    first: int,
    last: int,
    ends: NDArray[np.float64],
) -> int:
    """Find where a bright profile may end, in samples; the likeliest first.

    The most likely place of a step between the level of the shaft's deeper half and the level
    beyond its end is the maximum of the sum of the profile less the middle of the two; the largest
    local step near it, by a parabola, gives the fraction. Where the largest step of the whole
    deeper half is elsewhere (a bright tip after a faint stretch, a gap), that is the second answer.

    Parameters
    ----------
    profile, drops : ndarray of float64, shapes (n,) and (n + 1,)
        Levels along the line, and :func:`step_at_each` of them.
    floor : float
        The level of the profile where there is no shaft.
    first, last : int
        The deeper half of the shaft as far as it is known.
    ends : ndarray of float64, shape (2,)
        Output.

    Returns
    -------
    int
        How many ends: 1 or 2.
    """
    count = len(profile)
    shaft = median_of(profile, first, last)
    past = median_of(profile, last, count) if last < count else floor
    middle = 0.5 * (shaft + max(past, floor))
    total = 0.0
    most = -np.inf
    likely = first + 1
    for i in range(first, count):
        total += profile[i] - middle
        if total > most:
            most = total
            likely = i + 1
    best = max(0, likely - WINDOW // 2)
    for i in range(best, min(count, likely + WINDOW // 2) + 1):
        if drops[i] > drops[best]:
            best = i
    ends[0] = best
    if max(0, likely - WINDOW // 2) < best < min(count, likely + WINDOW // 2):
        bend = drops[best - 1] - 2.0 * drops[best] + drops[best + 1]
        if bend < 0:
            ends[0] += 0.5 * (drops[best - 1] - drops[best + 1]) / bend
    second = -1
    for i in range(first, count - 2):
        apart = i < int(ends[0]) - WINDOW or i > int(ends[0]) + WINDOW
        if apart and (second < 0 or drops[i] > drops[second]):
            second = i
    if second < 0:
        return 1
    ends[1] = second
    return 2


@kernel("float64(float32[:,::1], float64[::1], int64)")
def way_on(strip: Float32, flanks: NDArray[np.float64], last: int) -> float:
    """Contrast of the brightest line that leaves sample ``last`` within the bends, grey levels.

    Parameters
    ----------
    strip : ndarray of float32, shape (n, 2 * HALF_WIDTH + 1)
        As from :func:`usguide.kernels.strips.sample_strip`; NaN counts as 0.
    flanks : ndarray of float64, shape (n,)
        Level beside the line.
    last : int
        Sample of the tip.
    """
    count, across = strip.shape
    start = last + 2
    stop = min(start + AHEAD, count)
    if stop - start < AHEAD // 3:
        return 0.0
    beside = 0.0
    for i in range(start, stop):
        beside += flanks[i]
    best = -np.inf
    for bend in range(BENDS):
        slope = STEEPEST_BEND * (2.0 * bend / (BENDS - 1) - 1.0)
        total = 0.0
        for i in range(start, stop):
            column = across // 2 + round(slope * (i - start))
            for j in range(column - 1, column + 2):
                if not np.isnan(strip[i, j]):
                    total += strip[i, j] / 3.0
        best = max(best, total)
    return float((best - beside) / (stop - start))


@kernel("int64(uint8[:,::1], float64[:,::1], float64, float64[:,::1])")
def measure_shafts(
    frame: NDArray[np.uint8],
    segments: NDArray[np.float64],
    step: float,
    measured: NDArray[np.float64],
) -> int:
    """Measure each segment on the full frame, once for every place where it may end.

    Parameters
    ----------
    frame : ndarray of uint8, shape (rows, columns)
        Grey levels.
    segments : ndarray of float64, shape (n, 4)
        x and y of the shallow and of the deep end, px.
    step : float
        Distance between samples along and across a segment, px.
    measured : ndarray of float64, shape (2 n, COLUMNS + 1)
        Output: tip x and y, tail x and y, then grey levels: contrast of the shaft to its flanks
        (median), to the brighter flank (median), contrast over the last ``WINDOW`` samples, the
        least such mean over the deeper two thirds, the drop at the tip, the way on past it, the
        mean level at the tip; last, which segment.

    Returns
    -------
    int
        How many rows were filled.
    """
    filled = 0
    bend = np.empty(2)
    ends = np.empty(2)
    for s in range(segments.shape[0]):
        x = segments[s, 0]
        y = segments[s, 1]
        dx = segments[s, 2] - x
        dy = segments[s, 3] - y
        length = math.hypot(dx, dy)
        angle = math.atan2(dy, dx)
        shaft = int(length / step)
        strip = np.empty((max(4, shaft // 2), 2 * HALF_WIDTH + 1), np.float32)
        sample_strip(frame, x, y, angle, 2.0 * step, step, strip)
        crest(strip, 2.0 * step, step, bend)
        x -= bend[0] * math.sin(angle)
        y += bend[0] * math.cos(angle)
        angle += math.atan(bend[1])
        ux = math.cos(angle)
        uy = math.sin(angle)

        strip = np.empty((shaft + 2 * REACH + 1, 2 * HALF_WIDTH + 1), np.float32)
        start = -REACH * step
        sample_strip(frame, x + start * ux, y + start * uy, angle, step, step, strip)
        profiles = np.empty((3, len(strip)))
        shaft_profiles(strip, CORE, FLANK, profiles)
        count = len(strip)
        core = profiles[0]
        # Beyond a tip the line may bend into one flank, and under a shaft lie its reverberations:
        # what the line stands out from is the darker side.
        darker = np.empty(count)
        profile = np.empty(count)
        contrast = np.empty(count)
        ridge = np.empty(count)
        for i in range(count):
            left = profiles[1, i]
            right = profiles[2, i]
            darker[i] = min(left, right)
            profile[i] = core[i] - 0.5 * darker[i]
            contrast[i] = core[i] - 0.5 * (left + right)
            ridge[i] = core[i] - max(left, right)
        drops = np.empty(count + 1)
        step_at_each(profile, WINDOW, drops)
        floor = 0.5 * median_of(darker, 0, count)
        found = shaft_ends(profile, drops, floor, REACH + shaft // 2, REACH + shaft, ends)
        for e in range(found):
            last = min(count - 1, max(REACH + 2, round(ends[e])))
            row = measured[filled]
            along = (ends[e] - REACH - 0.5) * step
            row[TIP] = x + along * ux
            row[TIP + 1] = y + along * uy
            row[TAIL] = x
            row[TAIL + 1] = y
            row[CONTRAST] = median_of(contrast, REACH, last)
            row[RIDGE] = median_of(ridge, REACH, last)
            row[NEAR] = contrast[max(REACH, last - WINDOW) : last].mean()
            first = REACH + (last - REACH) // 3
            stop = max(last, REACH + WINDOW)
            few = stop - first < WINDOW
            row[WEAKEST] = contrast[last] if few else weakest_mean(contrast, first, stop)
            row[STEP] = drops[last]
            row[ONWARD] = way_on(strip, darker, last)
            row[LEVEL] = core[max(REACH, last - WINDOW // 2) : last].mean()
            row[COLUMNS] = s
            filled += 1
    return filled
