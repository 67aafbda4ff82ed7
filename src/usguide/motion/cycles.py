"""Contraction cycles: onset, peak and release of every rise of an activation curve."""

from __future__ import annotations

import numpy as np

from usguide.model import Floats

RISE, FALL, REST = 0.35, 0.2, 0.1
"""Activation that starts a cycle, that ends it, and within which the muscle is at rest. As in
onset detection from force or EMG, a high level to be sure and a low one to date the event."""

STANDSTILL = 0.1
"""Share of the steepest change in a cycle's rise (or fall) under which the muscle stands still:
onset and release are dated where the curve leaves and regains its standstill."""


def find_cycles(activation: Floats) -> tuple[tuple[int, int, int], ...]:
    """Cycles (start, peak, end) of an activation curve, with hysteresis.

    A clip that starts or ends in mid-contraction gives a cycle that starts or ends with it.
    """
    cycles: list[tuple[int, int, int]] = []
    n = len(activation)
    position = 0
    while position < n:
        if activation[position] < RISE:
            position += 1
            continue
        stop = position
        while stop < n and activation[stop] >= FALL:
            stop += 1
        peak = position + int(np.argmax(activation[position:stop]))
        start = _standstill(activation[: peak + 1][::-1], peak)
        start = max(peak - start, cycles[-1][2] if cycles else 0)
        end = peak + _standstill(activation[peak:], n - 1 - peak)
        cycles.append((start, peak, end))
        position = stop
    return tuple(cycles)


def _standstill(falling: Floats, last: int) -> int:
    """How far from a peak a curve comes to rest, looking away from the peak; ``last`` if never."""
    low = np.flatnonzero(falling < FALL)
    if len(low) == 0:
        return last
    change = -np.diff(falling)
    steepest = float(change[: low[0]].max())
    for k in range(int(low[0]), len(change)):
        if change[k] <= STANDSTILL * steepest and (falling[k] <= REST or change[k] <= 0):
            return k
    return last
