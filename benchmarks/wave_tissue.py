"""Scatterers of tissue for the wave simulator: loose ones, rows of them, and how strong they are.

Lengths are in mm, positions (x, z) from the middle of the array's face, z away from it. In
tissue of unit power loose scatterers have a strength of one over the root of their number per mm².
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d, map_coordinates

from benchmarks.wave_scanner import Floats

STEP_MM = 0.03
"""From scatterer to scatterer of a row: a quarter of the shortest wavelength, to act as one."""
ROW_STRENGTH = 1 / 1.5
"""Of a row of 0 dB, per mm. Where the beam meets it squarely it then echoes 4.3 to 5.3 dB over
tissue of unit power, at 6.5 to 12 MHz and f/1.3 to f/2.4."""


def bends(rng: np.random.Generator, length: int, scale: float) -> Floats:
    """Return a random curve of unit spread that changes over ``scale`` samples."""
    curve: Floats = gaussian_filter1d(rng.standard_normal(length + int(8 * scale)), scale)
    curve = curve[int(4 * scale) : int(4 * scale) + length]
    return curve * np.sqrt(2 * np.sqrt(np.pi) * scale)


def grains(rng: np.random.Generator, points: Floats, across: float, down: float) -> Floats:
    """Return a smooth random texture of unit spread at (x, z), its grains of the given sizes."""
    low = points.min(axis=0)
    cells = np.array([across, down]) / 2
    shape = tuple(((np.ptp(points, axis=0) / cells).astype(int) + 3).tolist())
    field = gaussian_filter(rng.standard_normal(shape), 1.0)
    texture: Floats = map_coordinates(field / field.std(), ((points - low) / cells).T + 1, order=1)
    return texture


def rows(
    rng: np.random.Generator,
    middle: Floats,
    length: Floats,
    angle: Floats,
    level_db: Floats,
    bend: float,
) -> tuple[Floats, Floats]:
    """Return the scatterers of short rows, gently bent, that fade towards their ends.

    One row for each of ``middle`` (n, 2), ``length`` (n,), ``angle`` (n,) in rad and ``level_db``,
    over the tissue's speckle where the beam meets it squarely.
    """
    count = (length / STEP_MM).astype(int) + 2
    row = np.repeat(np.arange(len(count)), count)
    place = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    u = place * STEP_MM - length[row] / 2
    scaled = 2 * u / length[row]
    bow = rng.normal(0, bend, (3, len(count)))
    v = bow[0][row] * scaled**2 + bow[1][row] * scaled**3
    v += 0.3 * bow[2][row] * np.sin(5 * scaled + 9 * bow[1][row])
    v -= bow[0][row] / 3
    e = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    n = np.stack([-e[:, 1], e[:, 0]], axis=1)
    points = middle[row] + u[:, None] * e[row] + v[:, None] * n[row]
    fading = np.cos(np.pi / 2 * scaled.clip(-1, 1)) ** 0.7
    return points, 10 ** (level_db[row] / 20) * STEP_MM * ROW_STRENGTH * fading


def curve_echoes(
    rng: np.random.Generator, curve: Floats, level_db: float, rough_mm: float, patchy_db: float
) -> tuple[Floats, Floats]:
    """Return the scatterers of a surface, rough to ``rough_mm``, its echo changing along it."""
    step = np.hypot(*np.diff(curve, axis=0).T)
    length = np.append(0, np.cumsum(step))
    at = np.arange(0, length[-1], STEP_MM)
    points = np.stack([np.interp(at, length, curve[:, k]) for k in (0, 1)], axis=1)
    points[:, 1] += rough_mm * bends(rng, len(at), 12)
    level = level_db + patchy_db * bends(rng, len(at), 60)
    return points, 10 ** (level / 20) * STEP_MM * ROW_STRENGTH
