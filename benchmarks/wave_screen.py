"""How the wave simulator's scanner is set, and the pictures that its screen shows and a file keeps.

Levels are in dB; lengths in mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.wave_scanner import Array, Beam, Floats
from benchmarks.wave_tissue import bends


@dataclass(frozen=True)
class Settings:
    """What the scanner's screen and the recorder are set to; levels in dB."""

    dynamic_range_db: float
    white_db: float
    gamma: float
    gain_error_db: Floats
    persistence: float
    median_px: int
    bilateral: bool
    size_mm: float
    border_px: int
    codec: str
    quality: int


def draw_settings(rng: np.random.Generator) -> Settings:
    """Draw the screen's and the recorder's settings."""
    codec = str(rng.choice(["native", "jpeg", "h264"]))
    dynamic_range = rng.uniform(50, 75)
    return Settings(
        dynamic_range_db=dynamic_range,
        white_db=dynamic_range * rng.uniform(0.45, 0.68),
        gamma=rng.uniform(0.85, 1.3),
        gain_error_db=rng.normal(0, 1.5, 7),
        persistence=rng.uniform(0, 0.6),
        median_px=int(rng.choice([0, 0, 3])),
        bilateral=bool(rng.random() < 0.4),
        size_mm=rng.uniform(0.05, 0.09),
        border_px=int(rng.choice([0, 8, 24])),
        codec=codec,
        quality=int(rng.integers(75, 96) if codec == "jpeg" else rng.integers(18, 27)),
    )


def draw_beam(rng: np.random.Generator, array: Array, depth_mm: float) -> Beam:
    """Draw how the array sends and listens, and what the skin does to it."""
    looks = int(rng.choice([1, 2, 3]))
    widest = np.radians(rng.uniform(6, 13))
    gain = 1 + 0.05 * rng.standard_normal(array.elements)
    if rng.random() < 0.25:
        share = np.linspace(0, 1, array.elements)
        lost = rng.uniform(0.05, 0.15)
        gain *= 0.03 + 0.97 / (1 + np.exp((share - 1 + lost) * 40))
    late = rng.uniform(0, 0.025) * bends(rng, array.elements, 4.0 / array.pitch_mm / 2)
    return Beam(
        angles=np.linspace(-widest, widest, 3 * looks if looks > 1 else 5),
        looks=looks,
        f_number=rng.uniform(1.3, 2.4),
        depth_mm=depth_mm,
        gain=gain,
        late_us=late,
        fall=rng.uniform(0, 0.25),
        noise_db=rng.uniform(-52, -34),
        noise_per_cm_db=rng.uniform(0, 5),
    )


def pictures(
    settings: Settings, levels: list[Floats], x: Floats, z: Floats, fat_mm: float
) -> tuple[NDArray[np.uint8], Floats]:
    """Return the frames as displayed, and (x, z) of the first pixel's middle.

    ``levels`` are of columns ``x`` and rows ``z``; the gain is set by what lies 2 mm deep and more,
    down to ``fat_mm``.
    """
    size, margin = settings.size_mm, settings.border_px
    columns, depths = np.arange(x[0], x[-1], size), np.arange(0.0, z[-1], size)
    above = (z > 2) & (z < fat_mm)
    base = np.median(levels[0][above])
    supports = np.linspace(0, z[-1], len(settings.gain_error_db))
    gain = np.interp(z, supports, settings.gain_error_db)[:, None]
    across = ((columns - x[0]) / (x[1] - x[0])).astype(np.float32)
    down = ((depths - z[0]) / (z[1] - z[0])).astype(np.float32)
    across, down = np.meshgrid(across, down)
    frames = []
    kept = None
    for level in levels:
        grey = (level + gain - base - settings.white_db) / settings.dynamic_range_db + 1
        grey = grey.clip(0, 1)
        kept = grey if kept is None else (
            settings.persistence * kept + (1 - settings.persistence) * grey
        )  # fmt: skip
        shown = cv2.remap(kept.astype(np.float32), across, down, cv2.INTER_LINEAR)
        shown = 255 * shown**settings.gamma
        if settings.median_px:
            shown = cv2.medianBlur(shown, settings.median_px)
        if settings.bilateral:
            shown = cv2.bilateralFilter(shown, 7, 30, 2.5)
        shown = np.pad(shown, margin)
        # H.264 wants even sides.
        shown = shown[: len(shown) // 2 * 2, : shown.shape[1] // 2 * 2]
        frames.append(np.clip(np.round(shown), 0, 255).astype(np.uint8))
    return np.stack(frames), np.array([columns[0], depths[0]]) - margin * size
