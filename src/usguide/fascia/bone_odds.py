"""How likely a bright line is the under side of the heel bone, by all that tells it from others.

Bone stops the beam, but the shadow beneath it need not be black: clutter fills it, and copies of
the bone's own echo lie in it. Aponeuroses, septa and needles are bright lines over darkness, too.
So nothing decides alone. A calcaneus is bright, smooth and convex; its line is not drawn on beyond
its front edge, where tissue begins that echoes more than what lies beneath the bone.

What speaks for a bone is a weighted sum of such measured evidence, a logistic model: the logarithm
of the odds that the line is one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usguide.fascia.workspace import Image
from usguide.model import Floats

# Lengths in nominal mm.
BENEATH_MM = (1.0, 7.0)
"""Where the shadow is judged: past the line's own thickness."""
REVERBERATION_SHARE = 0.15
"""How far from twice the bone's depth, as a share of it, the reverberation between bone and probe
lies."""
AHEAD_MM = (2.0, 9.0)
"""Where before the edge the tissue is, at the depths of the shadow."""
BEYOND_MM, BEYOND_REACH_MM = (1.5, 7.0), 0.5
"""Where the line is drawn on straight beyond its edge, and how far from there it is looked for."""
END_MM = 6.0
"""How much of either end of the line gives its slope there."""
LEVEL_MAX = 1.2
"""A glare counts no more; levels are normalised, 1 the 99th percentile of the picture."""
LINE_PX = 2
"""How far above and below it the brightest work pixel of the line is looked for."""

# The weight of each evidence, and the least and the greatest it counts.
WEIGHTS = {
    "level of the line": (2.88, 0.6, 1.1),
    "level beneath": (-2.73, 0.0, 0.5),
    "level far beneath": (-0.91, 0.0, 0.5),
    "strongest echo beneath against the line": (-3.55, 0.0, 1.0),
    "level before the edge against beneath": (7.26, -0.2, 0.3),
    "level of the line drawn on beyond its edge": (-1.57, 0.3, 0.9),
    "steepening towards the edge": (11.33, 0.0, 0.35),
    "roughness, mm": (-10.89, 0.0, 0.2),
    "length, logarithm of mm": (2.25, 1.6, 2.5),
}
"""Maximum likelihood, ridge 0.01, on half of these, the other half kept aside: 80 synthetic heels,
half of them with flat, faint bones (0.5 to 1.3 mm high, 14 to 24 dB above fat), 120 pictures of
them with clutter, a decaying glow or copies of the bone in the shadow, 45 of another simulator; 100
muscles, 24 phantoms, 122 pictures of nothing or of streaks, 36 real recordings of muscles and
needles."""
OFFSET = -7.55


def evidence(levels: Image, x: Floats, y: Floats, pixel_mm: float) -> Floats:
    """Measure what speaks for a line being the heel bone, in the order of ``WEIGHTS``.

    Parameters
    ----------
    levels : ndarray of float32, shape (rows, columns)
        Normalised work picture, the bone's front towards the right.
    x, y : ndarray of float64, shape (n,)
        The line from back to front, work px, a column apart; the last point is the front edge.
    pixel_mm : float
        Nominal size of a work pixel.

    Returns
    -------
    ndarray of float64, shape (9,)
    """
    height, width = levels.shape
    columns, rows = np.rint(x).astype(np.int64), np.rint(y).astype(np.int64)
    near, far = (round(mm / pixel_mm) for mm in BENEATH_MM)

    def shown(down: NDArray[np.int64], at: NDArray[np.int64]) -> Floats:
        values = levels[np.clip(down, 0, height - 1), np.clip(at, 0, width - 1)]
        return np.where(down < height, np.minimum(values, LEVEL_MAX), np.nan)

    line = shown(rows + np.arange(-LINE_PX, LINE_PX + 1)[:, None], columns).max(axis=0)
    down = np.arange(near, height)[:, None]
    whole = shown(rows + down, columns)
    beneath = whole[: far - near + 1]
    strongest = np.where(
        np.abs((rows + down) / (2.0 * rows) - 1.0) < REVERBERATION_SHARE, np.nan, whole
    )
    edge_x, edge_y = columns[-1], rows[-1]
    first, last = (round(mm / pixel_mm) for mm in AHEAD_MM)
    ahead = shown(edge_y + np.arange(near, far + 1)[:, None], edge_x + np.arange(first, last))
    ahead = ahead[:, : max(width - edge_x - first, 0)]
    end = round(END_MM / pixel_mm)
    back, front = (_slope(x[part], y[part]) for part in (slice(end), slice(-end, None)))
    beyond = np.arange(*(round(mm / pixel_mm) for mm in BEYOND_MM))
    reach = round(BEYOND_REACH_MM / pixel_mm)
    straight = np.rint(edge_y + front * beyond).astype(np.int64)
    drawn_on = shown(straight + np.arange(-reach, reach + 1)[:, None], edge_x + beyond)
    drawn_on = drawn_on[:, : max(width - edge_x - beyond[0], 0)]
    level, level_beneath = float(line.mean()), _mean(beneath, 0.0)
    measured = np.array(
        [
            level,
            level_beneath,
            _mean(whole[far - near + 1 :], level_beneath),
            _mean(np.fmax.reduce(strongest, axis=0) / np.maximum(line, 0.1), 0.0),
            _mean(ahead, level_beneath) - level_beneath,
            _mean(np.fmax.reduce(drawn_on, axis=0), 0.0) / max(level, 0.1),
            front - back,
            _roughness(x, y) * pixel_mm,
            np.log(len(x) * pixel_mm),
        ]
    )
    bounds = np.array(list(WEIGHTS.values()))
    return np.asarray(np.clip(measured, bounds[:, 1], bounds[:, 2]))


def bone_odds(levels: Image, x: Floats, y: Floats, pixel_mm: float) -> float:
    """Return the logarithm of the odds that a line is the heel bone; as :func:`evidence`."""
    weights = np.array(list(WEIGHTS.values()))[:, 0]
    return float(evidence(levels, x, y, pixel_mm) @ weights + OFFSET)


def _mean(values: Floats, unseen: float) -> float:
    """Mean of what lies in the picture, or another value where nothing does."""
    seen = np.isfinite(values)
    return float(values[seen].mean()) if seen.any() else unseen


def _slope(x: Floats, y: Floats) -> float:
    apart = x - x.mean()
    return float(apart @ y / max(apart @ apart, 1e-9))


def _roughness(x: Floats, y: Floats) -> float:
    """Return the RMS distance of a line from its cubic, px."""
    along = (x - x.mean()) / max(np.ptp(x) / 2, 1.0)
    terms = np.stack([np.ones_like(along), along, along**2, along**3], axis=1)
    return float(np.sqrt(np.mean((y - terms @ np.linalg.lstsq(terms, y, rcond=None)[0]) ** 2)))
