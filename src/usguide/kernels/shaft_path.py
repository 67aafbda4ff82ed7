"""The likeliest sequence of directed lines through time, with times at which there is none."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from usguide.kernels import kernel

# Entries of ``costs``.
ALONG, ALONG_MOST, ACROSS, ACROSS_MOST, TURN, TURN_MOST, LOSE, START = range(8)


@kernel("float64(float64[::1], float64[::1], float64, float64[::1])")
def move_cost(
    earlier: NDArray[np.float64],
    later: NDArray[np.float64],
    gap: float,
    costs: NDArray[np.float64],
) -> float:
    """Cost of a shaft going from one place to another, log odds.

    Sum of three heavy-tailed terms, ``log(1 + (move / scale)^2)``, whose scales grow with the
    square root of the gap: the shaft turns, shifts sideways, and slides along itself.

    Parameters
    ----------
    earlier, later : ndarray of float64, shape (4,)
        Tip x and y, px, and the unit vector towards the tip.
    gap : float
        Time between them, at least 1.
    costs : ndarray of float64, shape (8,)
        ``ALONG``, ``ACROSS`` (px) and ``TURN`` (degrees) are scales, each with the most it grows
        to.
    """
    root = math.sqrt(gap)
    dx = later[0] - earlier[0]
    dy = later[1] - earlier[1]
    cosine = min(max(earlier[2] * later[2] + earlier[3] * later[3], -1.0), 1.0)
    forward_a = dx * earlier[2] + dy * earlier[3]
    forward_b = dx * later[2] + dy * later[3]
    # The shallower tip lies on both shafts; the deeper one only on its own line's extension.
    line = later if forward_a > 0 else earlier
    across = dx * line[3] - dy * line[2]
    across /= min(costs[ACROSS] * root, costs[ACROSS_MOST])
    turn = math.degrees(math.acos(cosine)) / min(costs[TURN] * root, costs[TURN_MOST])
    slide = 0.5 * (forward_a + forward_b) / min(costs[ALONG] * root, costs[ALONG_MOST])
    return math.log((1.0 + turn * turn) * (1.0 + across * across) * (1.0 + slide * slide))


@kernel(
    "void(int64[::1], float64[:,::1], float64[::1], float64[::1], int64, float64[::1], "
    "float64[::1], int64[::1])"
)
def best_values(
    bounds: NDArray[np.int64],
    lines: NDArray[np.float64],
    odds: NDArray[np.float64],
    numbers: NDArray[np.float64],
    memory: int,
    costs: NDArray[np.float64],
    value: NDArray[np.float64],
    previous: NDArray[np.int64],
) -> None:
    """Find, for every line, the best total of a sequence that ends in it.

    Parameters
    ----------
    bounds : ndarray of int64, shape (times + 1,)
        Lines ``bounds[t]`` to ``bounds[t + 1]`` belong to time ``t``.
    lines : ndarray of float64, shape (n, 4)
        See :func:`move_cost`.
    odds : ndarray of float64, shape (n,)
        Log odds of each against 'none'.
    numbers : ndarray of float64, shape (times,)
        When.
    memory : int
        Times over which a line that was lost is still expected near where it was.
    costs : ndarray of float64, shape (8,)
        See :func:`move_cost`; ``LOSE`` is the cost of none following one, and again of one
        following none, ``START`` of one that appears anywhere.
    value : ndarray of float64, shape (n,)
        Output: the totals.
    previous : ndarray of int64, shape (n,)
        Output: the line before, -1 where there is none.
    """
    times = len(numbers)
    settled = -np.inf  # the best sequence that ended before the memory reaches
    settled_at = -1
    lose = costs[LOSE]
    for t in range(times):
        first = max(0, t - memory)
        if first > 0:
            for old in range(bounds[first - 1], bounds[first]):
                if value[old] > settled:
                    settled = value[old]
                    settled_at = old
        for here in range(bounds[t], bounds[t + 1]):
            best = -costs[START]
            source = -1
            if settled - lose > 0:
                best += settled - lose
                source = settled_at
            for s in range(t - 1, first - 1, -1):
                gap = max(numbers[t] - numbers[s], 1.0)
                lost = 2.0 * lose if t - s > 1 else 0.0
                for old in range(bounds[s], bounds[s + 1]):
                    via = value[old] - lost
                    if via <= best:  # no move pays
                        continue
                    via -= move_cost(lines[old], lines[here], gap, costs)
                    if via > best:
                        best = via
                        source = old
            value[here] = best + odds[here]
            previous[here] = source


@kernel(
    "void(float64[:,::1], float64[:,::1], int64[::1], float64[::1], int64[::1], int64[:,::1], "
    "float64[::1], float64[::1])"
)
def moved_along(
    lines: NDArray[np.float64],
    slide: NDArray[np.float64],
    times: NDArray[np.int64],
    quality: NDArray[np.float64],
    references: NDArray[np.int64],
    parallel: NDArray[np.int64],
    limits: NDArray[np.float64],
    total: NDArray[np.float64],
) -> None:
    """Sum, over some times, how good the best line is that has moved along each line.

    A line may offer two ends at any time: it has moved only where none is at the old place.

    Parameters
    ----------
    lines : ndarray of float64, shape (n, 4)
        See :func:`move_cost`, the picture's slide taken out.
    slide : ndarray of float64, shape (n, 2)
        That slide, px: what stays in the picture has not moved either.
    times : ndarray of int64, shape (n,)
        When each is.
    quality : ndarray of float64, shape (n,)
        How good each is.
    references : ndarray of int64, shape (m,)
        The lines of the times that are looked at, by rising angle.
    parallel : ndarray of int64, shape (n, 2)
        First, and one past the last, of the references that are parallel to each line.
    limits : ndarray of float64, shape (3,)
        Largest distance between lines taken for one, the largest distance of a tip that has not
        moved, and the least of one that has.
    total : ndarray of float64, shape (n,)
        Output.
    """
    offset, same, moved = limits
    # What is read of the references, in the order in which it is read; their times are numbered.
    count = len(references)
    latest = 0
    for i in range(len(times)):
        latest = max(latest, times[i])
    number = np.full(latest + 1, -1)
    tips = np.empty((count, 2))
    slides = np.empty((count, 2))
    when = np.empty(count, np.int64)
    worth = np.empty(count)
    looked_at = 0
    for r in range(count):
        j = references[r]
        tips[r, 0] = lines[j, 0]
        tips[r, 1] = lines[j, 1]
        slides[r, 0] = slide[j, 0]
        slides[r, 1] = slide[j, 1]
        worth[r] = quality[j]
        if number[times[j]] < 0:
            number[times[j]] = looked_at
            looked_at += 1
        when[r] = number[times[j]]
    best = np.zeros(looked_at)
    for i in range(len(times)):
        x, y, ux, uy = lines[i]
        slid = slide[i, 0] * ux + slide[i, 1] * uy
        # Values are chosen rather than branched to: which is taken cannot be foreseen.
        for r in range(parallel[i, 0], parallel[i, 1]):
            dx = tips[r, 0] - x
            dy = tips[r, 1] - y
            forward = dx * ux + dy * uy
            shown = forward + slides[r, 0] * ux + slides[r, 1] * uy - slid
            least = min(abs(forward), abs(shown))
            seen = worth[r] if least > moved else 0.0
            seen = np.inf if least < same else seen
            seen = seen if abs(dy * ux - dx * uy) < offset else 0.0
            so_far = best[when[r]]
            best[when[r]] = seen if seen > so_far else so_far
        if number[times[i]] >= 0:
            best[number[times[i]]] = 0.0
        whole = 0.0
        for time in range(looked_at):
            whole += best[time] if best[time] < np.inf else 0.0
            best[time] = 0.0
        total[i] = whole


@kernel(
    "void(float64[:,::1], int64[::1], int64[::1], int64[:,::1], float64[::1], int64[::1], "
    "int64[::1])"
)
def ends_beyond(
    lines: NDArray[np.float64],
    times: NDArray[np.int64],
    claims: NDArray[np.int64],
    present: NDArray[np.int64],
    limits: NDArray[np.float64],
    looked: NDArray[np.int64],
    there: NDArray[np.int64],
) -> None:
    """Count how often an end further along a claimed line was there already at the claim's time.

    Parameters
    ----------
    lines : ndarray of float64, shape (n, 4)
        See :func:`move_cost`.
    times : ndarray of int64, shape (n,)
        When each is.
    claims : ndarray of int64, shape (m,)
        Which lines are claimed.
    present : ndarray of int64, shape (m, 2)
        First line of the time of each claim, and one past the last.
    limits : ndarray of float64, shape (3,)
        Distance along the claimed line from which on an end is further, distance within which two
        ends are one, px, and the cosine above which their lines are parallel.
    looked : ndarray of int64, shape (n,)
        Output: how many claims of other times each end is further than.
    there : ndarray of int64, shape (n,)
        Output: at the times of how many of those claims a line ends there.
    """
    further, near, least_cosine = limits
    looked[:] = 0
    there[:] = 0
    for c in range(len(claims)):
        x, y, ux, uy = lines[claims[c]]
        at = times[claims[c]]
        for i in range(len(times)):
            forward = (lines[i, 0] - x) * ux + (lines[i, 1] - y) * uy
            if times[i] == at or forward <= further:
                continue
            looked[i] += 1
            for j in range(present[c, 0], present[c, 1]):
                dx = lines[i, 0] - lines[j, 0]
                dy = lines[i, 1] - lines[j, 1]
                cosine = lines[i, 2] * lines[j, 2] + lines[i, 3] * lines[j, 3]
                if dx * dx + dy * dy < near * near and cosine > least_cosine:
                    there[i] += 1
                    break
