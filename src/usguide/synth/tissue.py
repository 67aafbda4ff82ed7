"""Building blocks of tissue: speckle with a level, and fibres, septa and interfaces in it."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from usguide.model import Floats
from usguide.synth.scanner import Scanner, Scatterers

Level = Callable[[Floats, Floats], Floats]
"""Echo level in dB above unit speckle at points (x, z) in mm."""

FIBRE_STEP_MM = 0.05
"""Distance of the points that make up a fibre: a third of the finest wavelength simulated."""


def speckle(
    scanner: Scanner,
    rng: np.random.Generator,
    box_mm: tuple[float, float, float, float],
    level: Level,
) -> Scatterers:
    """Return diffuse scatterers that fill ``box_mm`` (x0, z0, x1, z1)."""
    x0, z0, x1, z1 = box_mm
    count = int(scanner.density_per_mm2 * (x1 - x0) * (z1 - z0))
    x, z = rng.uniform(x0, x1, count), rng.uniform(z0, z1, count)
    amplitude = 10.0 ** (level(x, z) / 20.0)
    return Scatterers(
        x.astype(np.float32),
        z.astype(np.float32),
        amplitude.astype(np.float32),
        np.zeros(count, dtype=np.float32),
    )


def fibre(
    scanner: Scanner,
    rng: np.random.Generator,
    points_mm: Floats,
    level_db: float | Floats,
    *,
    coherence: float,
    roughness_db: float = 3.0,
    thickness_mm: float = 0.0,
    tapered: bool = True,
) -> Scatterers:
    """Return a curve of echoing points: a septum, a fibril, an interface.

    Parameters
    ----------
    scanner : Scanner
        Whose speckle the level refers to.
    rng : numpy.random.Generator
        Source of the variation along the curve.
    points_mm : ndarray, shape (k, 2)
        The curve, (x, z).
    level_db : float or ndarray, shape (k,)
        Level above unit speckle where the curve lies square to the beam.
    coherence : float
        0 to 1, see ``Scatterers.coherence``.
    roughness_db : float
        Standard deviation of the level along the curve, over some tenths of a millimetre.
    thickness_mm : float
        Standard deviation of the points' depth about the curve.
    tapered : bool
        Whether the level fades towards both ends.
    """
    steps = np.hypot(*np.diff(points_mm, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    count = max(3, int(along[-1] / FIBRE_STEP_MM))
    at = np.linspace(0.0, along[-1], count)
    x = np.interp(at, along, points_mm[:, 0])
    z = np.interp(at, along, points_mm[:, 1])
    level = np.broadcast_to(np.asarray(level_db, dtype=np.float64), along.shape)
    db = np.interp(at, along, level) + roughness_db * _smooth_noise(rng, count, 8)
    amplitude = scanner.line_amplitude(0.0, FIBRE_STEP_MM) * 10.0 ** (db / 20.0)
    if tapered:
        amplitude = amplitude * np.sin(np.pi * (np.arange(count) + 0.5) / count) ** 0.7
    if thickness_mm > 0:
        z = z + thickness_mm * rng.standard_normal(count)
    return Scatterers(
        x.astype(np.float32),
        z.astype(np.float32),
        amplitude.astype(np.float32),
        np.full(count, coherence, dtype=np.float32),
    )


def streaks(
    scanner: Scanner,
    rng: np.random.Generator,
    centres_mm: Floats,
    angle_deg: Floats,
    *,
    length_mm: tuple[float, float],
    level_db: tuple[float, float],
    bend: float,
    coherence: float,
) -> list[Scatterers]:
    """Return one short, slightly bent fibre at every centre.

    Parameters
    ----------
    scanner, rng
        As for ``fibre``.
    centres_mm : ndarray, shape (n, 2)
        Middle of each fibre, (x, z).
    angle_deg : ndarray, shape (n,)
        Direction of each fibre, image axes.
    length_mm, level_db : (float, float)
        Ranges that length and level are drawn from.
    bend : float
        Largest sag in the middle, as a fraction of the length.
    coherence : float
        As for ``fibre``.
    """
    along = np.linspace(-0.5, 0.5, 9)
    made = []
    for (x, z), angle in zip(centres_mm, np.radians(angle_deg), strict=True):
        length = rng.uniform(*length_mm)
        sag = rng.uniform(-bend, bend) * length * (1.0 - 4.0 * along**2)
        wave = rng.uniform(-bend, bend) * 0.5 * length * np.sin(2.0 * np.pi * along)
        right, down = length * along, sag + wave
        curve = np.stack(
            [
                x + right * np.cos(angle) - down * np.sin(angle),
                z + right * np.sin(angle) + down * np.cos(angle),
            ],
            axis=1,
        )
        made.append(fibre(scanner, rng, curve, rng.uniform(*level_db), coherence=coherence))
    return made


def mottle(
    rng: np.random.Generator,
    box_mm: tuple[float, float, float, float],
    size_mm: tuple[float, float],
    spread_db: float,
) -> Level:
    """Return a smooth random level: blobs of ``size_mm`` (x, z), ``spread_db`` in deviation."""
    x0, z0, x1, z1 = box_mm
    shape = (int((z1 - z0) / size_mm[1]) + 4, int((x1 - x0) / size_mm[0]) + 4)
    grid = rng.standard_normal(shape) * spread_db * 1.5  # interpolation takes a third of it away

    def level(x: Floats, z: Floats) -> Floats:
        rows, columns = (z - z0) / size_mm[1] + 1.0, (x - x0) / size_mm[0] + 1.0
        return np.asarray(
            map_coordinates(grid, np.stack([rows, columns]), order=2, mode="nearest"),
            dtype=np.float64,
        )

    return level


def smoothstep(value: NDArray[np.floating]) -> NDArray[np.floating]:
    """Rise from 0 at 0 to 1 at 1 with level ends, clipped outside; of the values' shape."""
    t = np.clip(value, 0.0, 1.0)
    rise: NDArray[np.floating] = t * t * (3.0 - 2.0 * t)
    return rise


def wander(rng: np.random.Generator, at: Floats, period: float) -> Floats:
    """Return a smooth random curve of unit deviation at ``at``, of its shape.

    It varies over ``period``, in the unit of ``at``.
    """
    phases = rng.uniform(0.0, 2.0 * np.pi, 5)
    rates = 2.0 * np.pi / period * np.array([0.31, 0.52, 0.73, 1.0, 1.27])
    waves = np.sin(np.asarray(at)[..., None] * rates + phases)
    return np.asarray(waves.sum(axis=-1) * np.sqrt(2.0 / len(rates)))


def _smooth_noise(rng: np.random.Generator, count: int, width: int) -> Floats:
    """White noise of unit variance smoothed over about ``width`` samples."""
    noise = rng.standard_normal((1, count))
    smooth = cv2.GaussianBlur(noise, (0, 0), sigmaX=width / 2.0, borderType=cv2.BORDER_REFLECT)
    return np.asarray(smooth[0] * np.sqrt(np.sqrt(np.pi) * width))
