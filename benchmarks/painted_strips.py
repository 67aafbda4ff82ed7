"""Strips painted without a scanner, to learn tissues from that no single simulator draws.

A network that sees one simulator's heels only learns that simulator's speckle, fibres and septa
too. Here nothing is modelled: a bone's edge, two borders and three textures are drawn with levels,
grains and streaks so wide apart that the borders themselves are all that the pictures share.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.tissue_examples import LAST_MM, ROWS_MM, Example
from usguide.fascia.straighten import COLUMN_MM, ROW_MM
from usguide.model import Floats

BEHIND_MM, AHEAD_MM = 10.0, 27.0
"""What is painted over the bone and before its edge: what the network sees, and some to shift."""
FINE_MM = COLUMN_MM / 2
"""Between columns while speckle is drawn."""
X_MM = np.arange(-BEHIND_MM, AHEAD_MM, FINE_MM)
Y_MM = np.arange(ROWS_MM[0], ROWS_MM[1], ROW_MM)[:, None]
SHAPE = len(Y_MM), len(X_MM)
GREY, REVERBERATING, CURVED = 0.4, 0.25, 0.2
"""How often a shadow is filled with clutter, or with copies of the bone, and a probe curved."""


def painted(seed: int) -> Example:
    """Paint a strip.

    Parameters
    ----------
    seed : int
        Draws everything.

    Returns
    -------
    Example
        With its borders known from the bone's edge on.
    """
    rng = np.random.default_rng(seed)
    upper, lower, bone = _borders(rng)
    skin_mm = float(upper.min() - rng.uniform(2.0, 16.0))
    level_db = _tissues(rng, upper, lower, skin_mm)
    level_db = _bone(rng, level_db, lower, bone)
    level_db = level_db + rng.uniform(-0.3, 0.3) * Y_MM
    if rng.random() < 0.4:
        level_db = level_db + rng.uniform(0.0, 4.0) * _noise(rng, rng.uniform(2.0, 8.0), 30.0)
    levels = _shown(rng, level_db)
    top = max(round((skin_mm - rng.uniform(1.0, 4.0) - ROWS_MM[0]) / ROW_MM), 0)
    # Above it is nothing, or what a strip repeats beyond its picture, or more skin.
    above = rng.choice(3)
    if above < 2:
        levels[:top] = above * levels[top]
    if rng.random() < CURVED:
        # The face of a convex probe.
        across_mm, radius_mm = X_MM - rng.normal(8.0, 10.0), rng.uniform(20.0, 80.0)
        face_mm = ROWS_MM[0] + top * ROW_MM + across_mm**2 / (2.0 * radius_mm)
        levels[np.minimum(face_mm, upper - 0.5) > Y_MM] = 0.0
    low, high = np.percentile(levels, [5.0, 99.0])
    levels = ((levels - low) / max(high - low, 1e-3))[:, ::2].astype(np.float32)
    x_mm = X_MM[::2]
    return Example(
        levels,
        (upper[::2] - ROWS_MM[0]) / ROW_MM,
        (lower[::2] - ROWS_MM[0]) / ROW_MM,
        (x_mm >= 0.0) & (x_mm <= LAST_MM),
        int(np.argmin(np.abs(x_mm))),
        (skin_mm - ROWS_MM[0]) / ROW_MM,
    )


def _borders(rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Superficial and deep border and the bone's surface, mm below the edge, per column."""
    ahead = np.maximum(X_MM, 0.0)
    slope = np.tan(np.radians(rng.normal(0.0, 4.0)))
    lower = rng.normal(0.0, 0.2) + slope * X_MM + rng.normal(0.0, 0.004) * X_MM**2
    lower = lower + rng.uniform(0.0, 0.25) * np.sin(
        X_MM / rng.uniform(2.0, 8.0) + rng.uniform(0.0, 6.3)
    )
    thickness = rng.uniform(1.4, 8.5) if rng.random() < 0.6 else rng.uniform(2.0, 4.5)
    far = rng.uniform(0.35, 1.0)
    band = thickness * (far + (1.0 - far) * np.exp(-ahead / rng.uniform(4.0, 14.0)))
    if rng.random() < 0.35:
        away = (X_MM - rng.uniform(2.0, 12.0)) / rng.uniform(2.0, 5.0)
        bulge = rng.uniform(0.4, 2.5) * np.exp(-0.5 * away**2) * (1.0 - np.exp(-ahead / 2.0))
        band = band + bulge
        lower = lower + rng.uniform(0.0, 0.5) * bulge
    rough = rng.uniform(0.0, 0.08) * _noise(rng, rng.uniform(1.0, 4.0), 1.0)[0]
    upper = np.maximum(lower - np.maximum(band + rough, 1.0), ROWS_MM[0] + 1.0)
    behind = np.maximum(-X_MM, 0.0)
    bone = -rng.uniform(0.3, 4.0) * (1.0 - np.exp(-behind / rng.uniform(2.0, 8.0)))
    bone = bone + rng.uniform(0.0, 0.15) * _noise(rng, rng.uniform(0.5, 2.0), 1.0)[0]
    upper = np.where(X_MM < 0.0, np.minimum(upper, bone - 0.2), upper)
    return upper, lower, bone


def _tissues(rng: np.random.Generator, upper: Floats, lower: Floats, skin_mm: float) -> Floats:
    """Levels of fat, fascia, muscle and skin, of the lines between and within them, dB."""
    # Streaks and layers run along the band.
    down = Y_MM - 0.5 * (upper + lower)

    def streaks(strength: float, along: tuple[float, float], across: tuple[float, float]) -> Any:
        drawn = _noise(rng, rng.uniform(*along), rng.uniform(*across))
        rows = np.asarray((down - ROWS_MM[0]) / ROW_MM % (len(Y_MM) - 1), np.float32)
        columns = np.broadcast_to(np.arange(SHAPE[1], dtype=np.float32), SHAPE)
        return strength * cv2.remap(drawn, np.ascontiguousarray(columns), rows, cv2.INTER_LINEAR)

    fat = rng.uniform(0.5, 4.0) * _noise(rng, rng.uniform(1.0, 10.0), rng.uniform(0.4, 5.0))
    fat = fat + rng.uniform(0.0, 3.0) * _noise(rng, rng.uniform(0.4, 3.0), rng.uniform(0.1, 0.6))
    fat = fat + _lines(rng, 12, rng.uniform(5.0, 35.0), rng.uniform(2.0, 12.0))
    fascia = rng.uniform(-8.0, 7.0) + streaks(rng.uniform(0.0, 5.0), (2.0, 25.0), (0.08, 0.4))
    fascia = fascia + rng.uniform(0.0, 2.0) * _noise(rng, rng.uniform(1.0, 8.0), 1.0)
    muscle = rng.uniform(-14.0, 0.0) + streaks(rng.uniform(0.0, 5.0), (1.0, 15.0), (0.1, 0.6))
    muscle = muscle + _lines(rng, 8, rng.uniform(4.0, 15.0), rng.uniform(2.0, 10.0))

    def line(at: Floats, strength: float) -> Any:
        shown = 1.0 + 0.4 * _noise(rng, rng.uniform(2.0, 8.0), 20.0)[0]
        return strength * shown * np.exp(-0.5 * ((Y_MM - at) / rng.uniform(0.08, 0.25)) ** 2)

    if rng.random() < 0.3:
        fat = fat + line(upper - rng.uniform(0.8, 6.0), rng.uniform(2.0, 9.0))
    if rng.random() < 0.3:
        muscle = muscle + line(lower + rng.uniform(1.5, 7.0), rng.uniform(2.0, 9.0))
    if rng.random() < 0.15:
        fat = np.where(upper - rng.uniform(0.3, 1.5) < Y_MM, fat - rng.uniform(6.0, 20.0), fat)
    if rng.random() < 0.2:
        away = (X_MM - rng.uniform(0.0, 15.0)) / rng.uniform(1.0, 4.0)
        inside = (down / (rng.uniform(0.2, 0.5) * (lower - upper))) ** 2
        fascia = fascia - rng.uniform(2.0, 9.0) * np.exp(-0.5 * (away**2 + inside))
    if rng.random() < 0.12:
        start, wide = rng.uniform(2.0, 18.0), rng.uniform(1.5, 6.0)
        torn = (X_MM - start - 0.3 * down * rng.normal()) / wide
        fascia = np.where((torn > 0.0) & (torn < 1.0), fascia - rng.uniform(8.0, 30.0), fascia)
    soft_mm = rng.uniform(0.3, 1.0) if rng.random() < 0.25 else rng.uniform(0.02, 0.1)
    deep = _step((Y_MM - lower) / soft_mm)
    shown = _step((Y_MM - upper) / rng.uniform(0.02, 0.1))
    level = fat * (1.0 - shown) + shown * (fascia * (1.0 - deep) + muscle * deep)
    level = level + line(upper, rng.uniform(-1.0, 10.0))
    if soft_mm < 0.3:
        level = level + line(lower, rng.uniform(-1.0, 8.0)) * (X_MM > 0.0)
    return np.where(skin_mm > Y_MM, rng.uniform(2.0, 12.0), level)


def _bone(rng: np.random.Generator, level_db: Floats, lower: Floats, bone: Floats) -> Floats:
    """Draw the bone, its shadow, perhaps a spur."""
    bright = rng.uniform(10.0, 28.0)
    if rng.random() < 0.3:
        bright = bright - 15.0 * _step(_noise(rng, 1.5, 20.0)[0] * 4.0 - rng.uniform(2.0, 8.0))
    front = rng.uniform(0.0, 1.0) * np.maximum(Y_MM, 0.0)
    shadow = ((X_MM < 0.0) & (bone < Y_MM)) | ((Y_MM > 0.0) & (X_MM >= 0.0) & (front > X_MM))
    empty: Any = -rng.uniform(25.0, 80.0)
    if rng.random() < GREY:
        # Clutter of its own grain, that falls with depth or does not.
        empty = -rng.uniform(2.0, 25.0) - rng.uniform(0.0, 2.0) * np.maximum(Y_MM - bone, 0.0)
        empty = empty + rng.uniform(0.0, 3.0) * _noise(rng, rng.uniform(0.5, 8.0), 1.0)
    level_db = np.where(shadow, empty, level_db)
    wide = rng.uniform(0.1, 0.25)
    echo = np.where((X_MM < 0.0) & (np.abs(Y_MM - bone) < wide), bright, -100.0)
    wall = (Y_MM > 0.0) & (rng.uniform(0.0, 5.0) > Y_MM) & (np.abs(X_MM - front) < 0.3)
    echo = np.where(wall, bright - rng.uniform(3.0, 20.0), echo)
    if rng.random() < REVERBERATING:
        # Copies of the bone beneath it, each fainter.
        apart_mm, loss = rng.uniform(1.0, 12.0), rng.uniform(4.0, 15.0)
        copy, down_mm = np.divmod(Y_MM - bone, apart_mm)
        there = (X_MM < 0.0) & (copy > 0) & (down_mm < 2.0 * wide)
        echo = np.where(there, np.maximum(echo, bright - loss * copy), echo)
    if rng.random() < 0.2:
        length = rng.uniform(1.0, 5.0)
        spur = (X_MM >= 0.0) & (length > X_MM)
        along = lower - rng.uniform(0.0, 0.6) * X_MM / length
        level_db = np.where(spur & (along < Y_MM), empty, level_db)
        echo = np.where(spur & (np.abs(Y_MM - along) < wide), bright, echo)
    return np.maximum(level_db, echo)


def _shown(rng: np.random.Generator, level_db: Floats) -> NDArray[np.float32]:
    """Speckle, blur, add noise and compress."""
    amplitude = np.asarray(10.0 ** (level_db / 20.0), np.float32)
    lateral, axial = rng.uniform(0.15, 0.7) / FINE_MM, rng.uniform(0.06, 0.3) / ROW_MM
    looks = []
    for _ in range(rng.integers(1, 4)):
        parts = [
            cv2.GaussianBlur(
                amplitude * rng.standard_normal(SHAPE, np.float32),
                (0, 0),
                sigmaX=lateral,
                sigmaY=axial,
            )
            for _ in range(2)
        ]
        looks.append(np.hypot(*parts) * np.sqrt(lateral * axial))
    echo = np.hypot(np.mean(looks, axis=0), 10.0 ** (rng.uniform(-70.0, -30.0) / 20.0))
    noise = 10.0 ** (rng.uniform(-70.0, -35.0) / 20.0) * rng.rayleigh(size=SHAPE)
    shown = 20.0 * np.log10(echo + noise)
    white = np.percentile(shown, rng.uniform(97.0, 99.9))
    shown = np.clip(1.0 + (shown - white) / rng.uniform(35.0, 80.0), 0.0, 1.0)
    return np.asarray(shown ** rng.uniform(0.7, 1.7), np.float32)


def _lines(rng: np.random.Generator, most: int, tilt_deg: float, strength_db: float) -> Any:
    """Draw curved bright lines anywhere."""
    drawn = np.zeros(SHAPE)
    for _ in range(rng.integers(0, most + 1)):
        x, y = rng.uniform(X_MM[0], X_MM[-1]), rng.uniform(*ROWS_MM)
        away = X_MM - x
        tilt = np.tan(np.radians(np.clip(rng.normal(0.0, tilt_deg), -70.0, 70.0)))
        off = Y_MM - y - tilt * away - rng.normal(0.0, 0.01) * away**2
        wide = rng.uniform(0.08, 0.3) * np.hypot(1.0, tilt)
        ends = np.exp(-((away / rng.uniform(1.0, 8.0)) ** 4))
        np.maximum(
            drawn, rng.uniform(0.4, 1.0) * ends * np.exp(-0.5 * (off / wide) ** 2), out=drawn
        )
    return strength_db * drawn


def _noise(rng: np.random.Generator, along_mm: float, across_mm: float) -> NDArray[np.float32]:
    """Smooth noise of unit variance."""
    white = rng.standard_normal(SHAPE, np.float32)
    smooth = cv2.GaussianBlur(white, (0, 0), sigmaX=along_mm / FINE_MM, sigmaY=across_mm / ROW_MM)
    return np.asarray(smooth / smooth.std(), np.float32)


def _step(values: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-np.clip(values, -30.0, 30.0)))
