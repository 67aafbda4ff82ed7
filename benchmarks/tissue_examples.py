"""Synthetic heels to learn their tissues from: strips, and which tissue each pixel shows.

One frame of each heel. Every second heel is drawn beyond the clinical ranges (``WIDE``): tissues of
other brightness, more septa or none, other shapes, other scanners; the others within them. Every
time one is seen it is stretched, tilted, shaded, blurred, made noisy, crossed by lines that are no
borders, measured with calipers, smoothed or sharpened, compressed, and its contrast and gain are
changed: what is left to learn is what tissue looks like on any scanner.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from usguide.errors import ConfigError
from usguide.fascia.calcaneus import find_calcaneus
from usguide.fascia.detection import Scale, turned
from usguide.fascia.straighten import COLUMN_MM, ROW_MM, Strip, straight_band
from usguide.fascia.tissues import COLUMNS, EDGE_COLUMN, FIRST_MM, ROWS, seen
from usguide.fascia.workspace import Image, Workspace
from usguide.ingest.clip import Clip
from usguide.model import Bools, Floats
from usguide.synth import make_scene

FIRST_SEED = 60_000
WIDE = {
    "septa_per_mm2": (0.5, 0.0, 2.5),
    "fascia_level_db": (0.5, -6.0, 7.0),
    "muscle_level_db": (0.4, -18.0, -4.0),
    "bulge_mm": (0.4, 0.6, 2.8),
    "distal_fraction": (0.3, 0.3, 1.0),
    "fluid_mm": (0.25, 0.4, 3.0),
    "fat_pad_mm": (0.3, 5.0, 17.0),
    "tilt_deg": (0.3, -10.0, 14.0),
    "bow_deg": (0.3, -10.0, 10.0),
    "bone_drop_mm": (0.3, 0.6, 5.0),
    "bone_dropout": (0.2, 0.2, 0.6),
    "axial_cycles": (0.3, 1.0, 4.0),
    "lateral_mm": (0.3, 0.3, 1.5),
    "dynamic_range_db": (0.3, 40.0, 90.0),
    "gamma": (0.3, 1.0, 3.0),
    "speckle_reduction": (0.3, 0.2, 1.0),
    "noise_db": (0.2, -54.0, -44.0),
    "tgc_error_db": (0.2, 2.0, 6.0),
}
"""How often a parameter leaves its clinical range, and between what it then lies."""
TORN = 6, (2.0, 6.0)
"""One heel in so many is torn, and how wide, mm."""
ROWS_MM = (FIRST_MM, FIRST_MM + ROWS * ROW_MM)
EDGE_ROW = round(-FIRST_MM / ROW_MM)
"""Where the bone's front edge lies in it."""
LAST_MM = 28.0
SKIN_MM = 1.8
LINES = 4
"""At most one fewer are drawn across a picture."""
ASTRAY = 0.2, 2.5
"""How often the bone's edge is found far from where it is, and how many times as far."""
MEASURED, MARKED = 0.25, 0.6
"""How often somebody measured before, and how often it was the fascia."""
DOTS_MM, ARM_MM, STROKE_MM = (0.5, 1.5), (0.4, 1.0), (0.08, 0.2)
"""Between a caliper's dots; half the length of its crosses, and of their strokes' width."""
RECORDINGS = 2
"""How many of each are shown at a time: what is seen must not depend on how it was recorded."""
COMPRESSED, PIXEL_MM, QUALITY = 0.7, (0.05, 0.15), (8.0, 90.0)
"""How often it was compressed, and the size of the pixels and JPEG's quality then."""
FAR_MM, FAR_WEIGHT = 6.0, 0.3
"""Pixels this far from both borders are easy, and count less."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A strip, its borders and the columns in which they are known.

    Parameters
    ----------
    levels : ndarray of float32, shape (rows, columns)
        Upright strip.
    upper, lower : ndarray of float64, shape (columns,)
        Rows of the borders.
    known : ndarray of bool, shape (columns,)
        Where there is a band; across a tear it goes on.
    edge : int
        Column of the bone's front edge.
    skin : float
        Row above which there is skin.
    """

    levels: Image
    upper: Floats
    lower: Floats
    known: Bools
    edge: int
    skin: float


def example(seed: int, folder: Path) -> Example | None:
    """Render a heel, or read it again, and cut its strip.

    None where its bone is not found, or where what was drawn does not fit in the picture.
    """
    path = folder / f"{seed}.npz"
    if path.exists():
        with np.load(path) as stored:
            values = [stored[name] for name in ("levels", "upper", "lower", "known", "at")]
        return Example(*values[:4], int(values[4][0]), float(values[4][1]))
    rng = np.random.default_rng(seed)
    changed = {
        name: float(rng.uniform(low, high))
        for name, (share, low, high) in WIDE.items()
        if seed % 2 and rng.random() < share
    }
    if seed % TORN[0] == 1:
        changed["rupture_mm"] = float(rng.uniform(*TORN[1]))
    try:
        scene = make_scene("heel", seed=seed, frames=1, **changed)
    except ConfigError:
        return None
    truth: Any = scene.truth["fascia"]
    clip = Clip.from_array(scene.array(), spacing_mm=scene.spacing_mm)
    space = Workspace.of(clip.header)
    picture = space.picture(next(iter(clip.frames()))[1])
    levels = Scale.of(picture, space.tissue).levels(picture)
    mirrored = truth["side"] == "right"
    bones = find_calcaneus(levels, space.tissue, space.pixel_mm)
    right = [] if isinstance(bones, str) else [one for one in bones if one.mirrored == mirrored]
    if not right:
        return None
    band = straight_band(right[0].edge, levels.shape[1], space.pixel_mm)
    strip = Strip.cut(turned(levels, mirrored), band, ROWS_MM, space.pixel_mm)

    def rows(name: str) -> tuple[Floats, Floats]:
        points = (np.array(truth[name]) + 0.5) / space.per_work_px - 0.5
        if mirrored:
            points[:, 0] = levels.shape[1] - 1 - points[:, 0]
        points = points[np.argsort(points[:, 0])]
        x = band.centre[:, 0]
        down_mm = (np.interp(x, *points.T) - right[0].edge[1]) * space.pixel_mm
        return (down_mm - ROWS_MM[0]) / ROW_MM, points[[0, -1], 0]

    upper, (first, last) = rows("superficial_px")
    lower, _ = rows("deep_px")
    x = band.centre[:, 0]
    known = (x >= first) & (x <= last) & (band.distance_mm <= LAST_MM)
    edge = int(np.argmin(np.abs(band.distance_mm)))
    skin = (SKIN_MM - right[0].edge[1] * space.pixel_mm - ROWS_MM[0]) / ROW_MM
    made = Example(strip.levels, upper, lower, known, edge, skin)
    np.savez_compressed(
        path,
        levels=made.levels.astype(np.float16),
        upper=upper,
        lower=lower,
        known=known,
        at=np.array([edge, skin]),
    )
    return made


def cut(one: Example, rng: np.random.Generator | None) -> tuple[Any, Any, Any, Any, Any]:
    """Cut what is trained on: the pictures, their tissues and their weight, its borders.

    Parameters
    ----------
    one : Example
        The heel.
    rng : numpy.random.Generator or None
        Distorts it; None leaves it as it is.

    Returns
    -------
    pictures : ndarray of float32, shape (RECORDINGS, ROWS, COLUMNS, 4)
        As :func:`usguide.fascia.tissues.seen`, each recorded in its own way; a single one where
        nothing is distorted.
    tissue : ndarray of int32, shape (ROWS, COLUMNS)
        0 for fat, 1 for fascia, 2 for muscle.
    weight : ndarray of float32, shape (ROWS, COLUMNS)
        How much each pixel counts.
    borders : ndarray of float32, shape (2, COLUMNS)
        Rows of the superficial and of the deep border.
    known : ndarray of float32, shape (COLUMNS,)
        1 where they are known, else 0.
    """
    along = across = 1.0
    shift = np.zeros(2)
    slope = 0.0
    if rng is not None:
        along, across = np.exp(rng.normal(0.0, [0.15, 0.12]))
        shift = rng.uniform([-8.0, -4.0], [8.0, 4.0])
        if rng.random() < ASTRAY[0]:
            shift *= ASTRAY[1]
        slope = float(np.tan(np.radians(rng.normal(0.0, 3.0)))) * COLUMN_MM / ROW_MM
    column = (np.arange(COLUMNS) - EDGE_COLUMN) / along + one.edge + shift[1]
    lift = slope * (column - one.edge)
    row = ((np.arange(ROWS) - EDGE_ROW) / across + EDGE_ROW + shift[0])[:, None] + lift
    picture = cv2.remap(
        np.asarray(one.levels, np.float32),
        np.broadcast_to(column, row.shape).astype(np.float32),
        row.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    source = np.arange(one.levels.shape[1])
    upper, lower = (np.interp(column, source, border) for border in (one.upper, one.lower))
    known = np.interp(column, source, one.known, left=0.0, right=0.0) > 0.99
    tissue = (row >= upper).astype(np.int32) + (row >= lower)
    near = np.minimum(np.abs(row - upper), np.abs(row - lower)) < FAR_MM / ROW_MM
    weight = (known & (row > one.skin)) * np.where(near, 1.0, FAR_WEIGHT)
    borders = (np.stack([upper, lower]) - lift - EDGE_ROW - shift[0]) * across + EDGE_ROW
    known &= (borders[0] > 0) & (borders[1] < ROWS)
    if rng is not None:
        picture = distorted(picture, rng)
        for _ in range(rng.integers(0, LINES)):
            picture = picture + line(rng)
        if rng.random() < MEASURED:
            picture = np.maximum(picture, calipers(borders, rng))
    shown = [picture] if rng is None else [recorded(picture, rng) for _ in range(RECORDINGS)]
    return (
        np.stack([seen(one.astype(np.float32)) for one in shown]),
        tissue,
        weight.astype(np.float32),
        borders.astype(np.float32),
        known.astype(np.float32),
    )


def line(rng: np.random.Generator) -> Any:
    """Draw a septum or a layer of fibres, bright or dark, that is no border."""
    row, column = rng.uniform(0.0, [ROWS, COLUMNS])
    away = (np.arange(COLUMNS) - column) * COLUMN_MM
    half_mm = rng.uniform(1.5, 15.0)
    bent = np.tan(np.radians(rng.normal(0.0, 7.0))) * away + rng.normal(0.0, 0.004) * away**2
    across = (np.arange(ROWS)[:, None] - row) * ROW_MM - bent
    strength = rng.uniform(-0.2, 0.4) * np.exp(-((away / half_mm) ** 4))
    return strength * np.exp(-0.5 * (across / rng.uniform(0.1, 0.3)) ** 2)


def calipers(borders: Floats, rng: np.random.Generator) -> Any:
    """Draw two crosses, and dots from one to the other, over a picture that was measured."""
    column = rng.uniform(EDGE_COLUMN - 4.0, COLUMNS)
    ends = np.array([[np.interp(column, np.arange(COLUMNS), border), column] for border in borders])
    if rng.random() > MARKED:
        ends = rng.uniform(0.0, [ROWS, COLUMNS], (2, 2))
    ends_mm = (ends + rng.normal(0.0, [2.0, 0.7], (2, 2))) * (ROW_MM, COLUMN_MM)
    rows_mm = ROW_MM * np.arange(ROWS)[:, None]
    columns_mm = COLUMN_MM * np.arange(COLUMNS)
    stroke, arm = rng.uniform(*STROKE_MM), rng.uniform(*ARM_MM)
    # No stroke is finer than what a column shows of it.
    wide = float(np.hypot(stroke, COLUMN_MM / 3.0))

    def mark(at_mm: Floats, high: float, long: float) -> Any:
        down, along = (rows_mm - at_mm[0]) / high, (columns_mm - at_mm[1]) / long
        return np.exp(-0.5 * (down**2 + along**2))

    marks = []
    for end in ends_mm:
        marks += [mark(end, stroke, arm), stroke / wide * mark(end, arm, wide)]
    if rng.random() < 0.5:
        count = int(np.linalg.norm(ends_mm[1] - ends_mm[0]) / rng.uniform(*DOTS_MM))
        for share in np.linspace(0.0, 1.0, count + 1)[1:-1]:
            at_mm = ends_mm[0] + share * (ends_mm[1] - ends_mm[0])
            marks.append(stroke / wide * mark(at_mm, stroke, wide))
    return rng.uniform(0.7, 1.3) * np.max(marks, axis=0)


def distorted(picture: Any, rng: np.random.Generator) -> Any:
    """Change contrast and gain, shade, smooth or sharpen as scanners do, add noise."""
    picture = np.clip(picture, 0.0, 1.5) ** np.exp(rng.normal(0.0, 0.3))
    picture = picture * np.exp(rng.normal(0.0, 0.15)) + rng.normal(0.0, 0.04)
    picture += rng.normal(0.0, 0.06) * np.linspace(-1.0, 1.0, ROWS)[:, None]
    picture += rng.normal(0.0, 0.04) * np.linspace(-1.0, 1.0, COLUMNS)
    if rng.random() < 0.4:
        away = (np.arange(COLUMNS) - rng.uniform(0.0, COLUMNS)) / rng.uniform(3.0, 9.0)
        picture *= 1.0 - rng.uniform(0.1, 0.6) * np.exp(-0.5 * away**2)
    if rng.random() < 0.2:
        picture = cv2.medianBlur(picture.astype(np.float32), 3)
    if rng.random() < 0.6:
        wide, high = rng.uniform(0.05, [0.9, 1.5])
        blurred = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), sigmaX=wide, sigmaY=high)
        picture = blurred + max(rng.uniform(-1.5, 1.0), 0.0) * 2.0 * (picture - blurred)
    if rng.random() < 0.5:
        picture = picture + rng.normal(0.0, rng.uniform(0.0, 0.06), picture.shape)
    return picture


def recorded(picture: Any, rng: np.random.Generator) -> Any:
    """Change brightness and gain a little, and compress with pixels of the recorder's own size."""
    picture = picture * np.exp(rng.normal(0.0, 0.05)) + rng.normal(0.0, 0.01)
    if rng.random() > COMPRESSED:
        return picture + rng.normal(0.0, 0.01, picture.shape)
    pixel_mm = np.exp(rng.uniform(*np.log(PIXEL_MM)))
    size = round(COLUMNS * COLUMN_MM / pixel_mm), round(ROWS * ROW_MM / pixel_mm)
    grey = np.clip(255.0 * picture, 0.0, 255.0).astype(np.uint8)
    # Blocks of eight pixels may begin anywhere in the strip.
    top, left = rng.integers(0, 8, 2)
    grey = np.pad(cv2.resize(grey, size), ((top, 0), (left, 0)), mode="edge")
    quality = round(rng.uniform(*QUALITY))
    _, stored = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, quality])
    grey = cv2.imdecode(stored, cv2.IMREAD_GRAYSCALE)[top:, left:]
    return cv2.resize(grey, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA) / 255.0
