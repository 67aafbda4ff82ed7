"""Point scatterers to beam lines: splatting with the round-trip phase, and the point spread.

The baseband signal of scatterers at depth z_k is ``sum_k a_k p(x - x_k, z - z_k) exp(-2i k z_k)``
with the wavenumber k = 2 pi / wavelength: the pulse travels there and back. The sum runs on a grid
of beams and depth samples. A scatterer is spread over 3 x 3 grid points with the quadratic
B-spline, whose variance (1/4 sample squared) does not depend on where between the grid points it
falls, so that motion below a sample neither pulsates nor jumps.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from usguide.kernels import kernel

SPLINE_VARIANCE = 0.25
"""Variance of the quadratic B-spline, in samples squared (exact)."""

_TURN = 4096
_angles = 2.0 * np.pi * np.arange(_TURN) / _TURN
ROTATION = np.ascontiguousarray(np.stack([np.cos(_angles), np.sin(_angles)]).astype(np.float32))
"""Cosine and sine of one turn, shape (2, 4096): phase to 0.09 degrees, the same everywhere."""


@kernel(
    "void(float32[:,:,::1], float32[::1], float32[::1], float32[::1], float32[:,::1],"
    " float64[:,::1], float64[::1], float32[:,::1])"
)
def splat(
    planes: NDArray[np.float32],
    lateral: NDArray[np.float32],
    depth: NDArray[np.float32],
    amplitude: NDArray[np.float32],
    reference: NDArray[np.float32],
    cycles_per_unit: NDArray[np.float64],
    grid: NDArray[np.float64],
    rotation: NDArray[np.float32],
) -> None:
    """Add complex scatterer amplitudes to a grid of beams and depth samples.

    Parameters
    ----------
    planes : ndarray of float32, shape (2 * looks, samples, beams)
        Real and imaginary part of every look, added to in place.
    lateral, depth, amplitude : ndarray of float32, shape (n,)
        Position in the grid's units, and amplitude.
    reference : ndarray of float32, shape (looks, n)
        Phase in cycles that each scatterer starts from.
    cycles_per_unit : ndarray of float64, shape (looks, 2)
        Round-trip cycles per unit of lateral position and of depth, for each look.
    grid : ndarray of float64, shape (4,)
        First lateral position, lateral step, first depth, depth step.
    rotation : ndarray of float32, shape (2, m)
        Cosine and sine of one turn.
    """
    looks = reference.shape[0]
    samples = planes.shape[1]
    beams = planes.shape[2]
    turn = rotation.shape[1]
    for k in range(lateral.shape[0]):
        a = amplitude[k]
        if a == 0.0:
            continue
        u = (lateral[k] - grid[0]) / grid[1]
        v = (depth[k] - grid[2]) / grid[3]
        column = math.floor(u + 0.5)
        row = math.floor(v + 0.5)
        if column < 1 or row < 1 or column >= beams - 1 or row >= samples - 1:
            continue
        du = u - column
        dv = v - row
        left = np.float32(0.5 * (0.5 - du) ** 2)
        right = np.float32(0.5 * (0.5 + du) ** 2)
        middle = np.float32(0.75 - du * du)
        above = np.float32(0.5 * (0.5 - dv) ** 2)
        below = np.float32(0.5 * (0.5 + dv) ** 2)
        centre = np.float32(0.75 - dv * dv)
        for look in range(looks):
            cycles = (
                reference[look, k]
                - cycles_per_unit[look, 0] * lateral[k]
                - cycles_per_unit[look, 1] * depth[k]
            )
            step = int((cycles - math.floor(cycles)) * turn)
            if step == turn:  # the fraction rounded up to a whole turn
                step = 0
            for part in range(2):
                value = a * rotation[part, step]
                plane = planes[2 * look + part]
                w = value * above
                plane[row - 1, column - 1] += w * left
                plane[row - 1, column] += w * middle
                plane[row - 1, column + 1] += w * right
                w = value * centre
                plane[row, column - 1] += w * left
                plane[row, column] += w * middle
                plane[row, column + 1] += w * right
                w = value * below
                plane[row + 1, column - 1] += w * left
                plane[row + 1, column] += w * middle
                plane[row + 1, column + 1] += w * right


@kernel("void(float32[:,:,::1], float32[:,::1], float32[:,:,::1])")
def spread_beam(
    planes: NDArray[np.float32], taps: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Convolve every row with the beam's profile at its own depth.

    Parameters
    ----------
    planes, out : ndarray of float32, shape (m, samples, beams)
        ``out`` is overwritten; its outermost ``(taps.shape[1] - 1) // 2`` beams are zero.
    taps : ndarray of float32, shape (samples, odd)
        Symmetric beam profile per depth sample.
    """
    half = taps.shape[1] // 2
    beams = planes.shape[2]
    for m in range(planes.shape[0]):
        for row in range(planes.shape[1]):
            source = planes[m, row]
            target = out[m, row]
            for column in range(beams):
                target[column] = 0.0
            for tap in range(taps.shape[1]):
                weight = taps[row, tap]
                if weight == 0.0:
                    continue
                shift = tap - half
                for column in range(half, beams - half):
                    target[column] += weight * source[column + shift]


@kernel("void(float32[:,:,::1], float32[::1], float32[:,:,::1])")
def spread_pulse(
    planes: NDArray[np.float32], taps: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Convolve every column with the pulse's envelope.

    Parameters
    ----------
    planes, out : ndarray of float32, shape (m, samples, beams)
        ``out`` is overwritten; its outermost ``(len(taps) - 1) // 2`` samples are zero.
    taps : ndarray of float32, shape (odd,)
        Symmetric pulse envelope.
    """
    half = taps.shape[0] // 2
    samples = planes.shape[1]
    for m in range(planes.shape[0]):
        for row in range(samples):
            target = out[m, row]
            for column in range(planes.shape[2]):
                target[column] = 0.0
            if row < half or row >= samples - half:
                continue
            for tap in range(taps.shape[0]):
                weight = taps[tap]
                source = planes[m, row + tap - half]
                for column in range(planes.shape[2]):
                    target[column] += weight * source[column]
