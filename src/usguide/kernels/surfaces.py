"""Minimal paths across an image: one border, or two borders found jointly.

Both searches are exact dynamic programs from the left column to the right. A *surface* is one row
per column; its row may change by at most ``s`` from a column to the next, and every change has a
price of its own, so a bounded slope and any smoothness penalty are one table.

Costs are to be made small on the wanted border and may be negative; ``inf`` forbids a pixel.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from usguide.kernels import kernel

Image = NDArray[np.float32]
Rows = NDArray[np.int64]


class Surface(NamedTuple):
    """One border.

    ``rows`` is int64 of shape (columns,), -1 everywhere if no path is allowed; ``cost`` the sum
    along it, ``inf`` if no path is allowed.
    """

    rows: Rows
    cost: float


class SurfacePair(NamedTuple):
    """Two borders; ``upper`` and ``lower`` are rows as in :class:`Surface`."""

    upper: Rows
    lower: Rows
    cost: float


def step_prices(max_step: int, price: float) -> Image:
    """Price of changing row by -max_step ... max_step: ``price`` times the square of the change.

    Returns
    -------
    ndarray of float32, shape (2 * max_step + 1,)
        For :func:`minimal_path`.
    """
    steps = np.arange(-max_step, max_step + 1, dtype=np.float32)
    return np.asarray(price * steps**2, dtype=np.float32)


def joint_step_prices(max_step: int, price: float, gap_price: float) -> Image:
    """Prices of the steps of two borders: each border's own slope, and the change of their gap.

    ``price * (du**2 + dl**2) / 2 + gap_price * (dl - du)**2`` for the upper border's step ``du``
    and the lower one's ``dl``. A high ``gap_price`` keeps the borders parallel while both bend.

    Returns
    -------
    ndarray of float32, shape (2 * max_step + 1, 2 * max_step + 1)
        Indexed (upper step, lower step), for :func:`two_surfaces`.
    """
    steps = np.arange(-max_step, max_step + 1, dtype=np.float32)
    du, dl = steps[:, None], steps[None, :]
    return np.asarray(price * (du**2 + dl**2) / 2 + gap_price * (dl - du) ** 2, dtype=np.float32)


def minimal_path(cost: Image, prices: Image) -> Surface:
    """Find the cheapest single border across an image.

    Parameters
    ----------
    cost : ndarray of float32, shape (rows, columns)
        Price of passing through each pixel.
    prices : ndarray of float32, shape (2 s + 1,)
        Price of a row change of -s ... s between neighbouring columns, see :func:`step_prices`.

    Returns
    -------
    Surface
        Of total cost ``sum_c cost[r_c, c] + sum_c prices[r_c - r_(c-1) + s]``.
    """
    by_column = np.ascontiguousarray(cost.T, dtype=np.float32)
    rows = np.full(by_column.shape[0], -1, dtype=np.int64)
    total = _minimal_path(by_column, np.ascontiguousarray(prices, dtype=np.float32), rows)
    return Surface(rows, float(total))


def two_surfaces(
    upper_cost: Image,
    lower_cost: Image,
    between_cost: Image | None,
    gap_min: int | Rows,
    gap_max: int | Rows,
    prices: Image,
) -> SurfacePair:
    """Find the cheapest pair of borders, jointly, a bounded distance apart.

    Exact over all pairs (upper row, gap): two borders searched one after the other may both settle
    on the stronger edge, or cross; a pair cannot.

    Parameters
    ----------
    upper_cost, lower_cost : ndarray of float32, shape (rows, columns)
        Price of the upper (lower) border passing through each pixel.
    between_cost : ndarray of float32, shape (rows, columns), or None
        Price of each pixel between the borders, upper row included and lower row excluded; finite.
        Summed, so scale it by the typical gap if a mean is meant.
    gap_min, gap_max : int or ndarray of int64, shape (columns,)
        Bounds of ``lower - upper`` in rows, at least 1, per column if wanted.
    prices : ndarray of float32, shape (2 s + 1, 2 s + 1)
        Price of the steps of the upper (first axis) and lower border between neighbouring columns,
        see :func:`joint_step_prices`.

    Returns
    -------
    SurfacePair
        Time grows as rows * (largest gap - smallest gap + 1) * columns * (2 s + 1)**2, about
        0.4 ms per million; forbidden rows of the upper border, and of the lower one above and below
        all others, take none. Working memory is a byte for each (row, gap, column).

    Raises
    ------
    ValueError
        If the images differ in shape, a gap bound is below 1 or the bounds cross.
    """
    if upper_cost.shape != lower_cost.shape or (
        between_cost is not None and between_cost.shape != upper_cost.shape
    ):
        raise ValueError("the cost images differ in shape")
    height, width = upper_cost.shape
    smallest = np.array(np.broadcast_to(gap_min, (width,)), dtype=np.int64)
    largest = np.minimum(np.broadcast_to(gap_max, (width,)), height - 1).astype(np.int64)
    if width and smallest.min() < 1:
        raise ValueError("the gap between two borders must be at least one row")
    upper = np.full(width, -1, dtype=np.int64)
    lower = upper.copy()
    if width == 0 or np.any(largest < smallest):
        if np.any(np.broadcast_to(gap_max, (width,)) < smallest):
            raise ValueError("a largest gap is below the smallest")
        return SurfacePair(upper, lower, float("inf"))

    # The region's price is a difference of running sums, so it splits between the two borders.
    running = np.zeros((height, width))
    if between_cost is not None:
        np.cumsum(between_cost[:-1], axis=0, dtype=np.float64, out=running[1:])
    from_upper = np.ascontiguousarray((upper_cost - running).T, dtype=np.float32)
    from_lower = np.ascontiguousarray((lower_cost + running).T, dtype=np.float32)
    total = _two_surfaces(
        from_upper,
        from_lower,
        smallest,
        largest,
        np.ascontiguousarray(prices, dtype=np.float32),
        upper,
        lower,
    )
    return SurfacePair(upper, lower, float(total))


def refine_rows(cost: Image, rows: Rows, reach: int = 1) -> NDArray[np.float64]:
    """Move each row of a border to the sub-pixel minimum of the cost in its column.

    The lowest cost within ``reach`` rows is taken, then the vertex of the parabola through it and
    its two neighbours; a column where that is no minimum (flat, at the image's rim or at the end
    of the reach) keeps the whole row found.

    Parameters
    ----------
    cost : ndarray of float32, shape (rows, columns)
        The cost the border was found on, or a sharper one.
    rows : ndarray of int64, shape (columns,)
        Row of the border in each column, all inside the image.
    reach : int
        How far from the given row the minimum may lie.

    Returns
    -------
    ndarray of float64, shape (columns,)
        Within ``reach + 0.5`` of ``rows``.
    """
    height, width = cost.shape
    columns = np.arange(width)
    offsets = np.arange(-reach, reach + 1)
    offsets = offsets[np.argsort(np.abs(offsets), kind="stable")]  # a tie stays where it is
    window = np.clip(rows + offsets[:, None], 0, height - 1)
    best = window[np.argmin(cost[window, columns], axis=0), columns]
    here = cost[best, columns].astype(np.float64)
    above = cost[np.maximum(best - 1, 0), columns].astype(np.float64)
    below = cost[np.minimum(best + 1, height - 1), columns].astype(np.float64)
    inside = (best > 0) & (best < height - 1) & np.isfinite(above + here + below)
    minimum = inside & (above >= here) & (below >= here) & (above + below > 2 * here)
    offset = np.zeros(width)
    np.divide(above - below, 2 * (above + below - 2 * here), out=offset, where=minimum)
    refined: NDArray[np.float64] = best + offset
    return refined


@kernel("float32(float32[:, ::1], float32[::1], int64[::1])")
def _minimal_path(cost: Image, prices: Image, rows: Rows) -> np.float32:
    """Fill ``rows`` with the cheapest path over ``cost`` (columns, rows); return its cost."""
    width, height = cost.shape
    s = len(prices) // 2
    came = np.zeros((width, height), dtype=np.int8)
    # Padded by s forbidden rows on either side, so that no step needs a bound check.
    before = np.full(height + 2 * s, np.inf, dtype=np.float32)
    best = np.empty(height, dtype=np.float32)
    before[s : s + height] = cost[0]
    for c in range(1, width):
        best[:] = np.inf
        origin = came[c]
        for k in range(2 * s + 1):
            price = prices[k]
            source = before[2 * s - k : 2 * s - k + height]
            step = np.int8(k - s)
            for r in range(height):
                total = source[r] + price
                better = total < best[r]
                best[r] = total if better else best[r]
                origin[r] = step if better else origin[r]
        for r in range(height):
            before[r + s] = best[r] + cost[c, r]
    row = np.int64(np.argmin(before[s : s + height]))
    lowest = np.float32(before[row + s])
    if not np.isfinite(lowest):
        return lowest
    for c in range(width - 1, -1, -1):
        rows[c] = row
        row -= came[c, row]
    return lowest


@kernel(
    "float32(float32[:, ::1], float32[:, ::1], int64[::1], int64[::1], float32[:, ::1],"
    " int64[::1], int64[::1])"
)
def _two_surfaces(
    from_upper: Image,
    from_lower: Image,
    gap_min: Rows,
    gap_max: Rows,
    prices: Image,
    upper: Rows,
    lower: Rows,
) -> np.float32:
    """Fill ``upper`` and ``lower`` with the cheapest pair; return its cost.

    Costs are (columns, rows). A state is (upper row u, gap g); a table row holds all gaps of one
    u, so the innermost loop runs over contiguous gaps and is vectorised.
    """
    width, height = from_upper.shape
    s = len(prices) // 2
    first = gap_min.min()
    gaps = gap_max.max() - first + 1
    came = np.zeros((width, height, gaps), dtype=np.uint8)
    # Padded so that no step needs a bound check: s rows of u, and 2 s gaps (both borders move).
    before = np.full((height + 2 * s, gaps + 4 * s), np.inf, dtype=np.float32)
    after = before.copy()
    best = np.empty(gaps, dtype=np.float32)
    for c in range(width):
        # Rows that the lower border may pass: what is forbidden is not searched.
        top = 0
        while top < height and from_lower[c, top] == np.inf:
            top += 1
        bottom = height - 1
        while bottom >= top and from_lower[c, bottom] == np.inf:
            bottom -= 1
        for u in range(height):
            target = after[u + s, 2 * s : 2 * s + gaps]
            target[:] = np.inf
            # Gaps allowed here: the column's bounds, and the lower border on one of those rows.
            start = max(gap_min[c], top - u) - first
            stop = min(gap_max[c], bottom - u) - first + 1
            if stop <= start or from_upper[c, u] == np.inf:
                continue
            count = stop - start
            reached = best[:count]
            if c == 0:
                reached[:] = 0
            else:
                reached[:] = np.inf
                origin = came[c, u, start:stop]
                for i in range(2 * s + 1):
                    for j in range(2 * s + 1):
                        price = prices[i, j]
                        # The steps were du = i - s and dl = j - s: the state before was
                        # (u - du, g - (dl - du)).
                        shift = start + 2 * s + i - j
                        source = before[u + 2 * s - i, shift : shift + count]
                        code = np.uint8(i * (2 * s + 1) + j)
                        for g in range(count):
                            total = source[g] + price
                            better = total < reached[g]
                            reached[g] = total if better else reached[g]
                            origin[g] = code if better else origin[g]
            for g in range(count):
                target[start + g] = (
                    reached[g] + from_upper[c, u] + from_lower[c, u + first + start + g]
                )
        before, after = after, before

    lowest = np.float32(np.inf)
    row = 0
    gap = 0
    for u in range(height):
        for g in range(gaps):
            if before[u + s, 2 * s + g] < lowest:
                lowest = before[u + s, 2 * s + g]
                row = u
                gap = g
    if not np.isfinite(lowest):
        return lowest
    for c in range(width - 1, -1, -1):
        upper[c] = row
        lower[c] = row + first + gap
        if c > 0:
            i, j = divmod(int(came[c, row, gap]), 2 * s + 1)
            row -= i - s
            gap -= j - i
    return lowest
