"""How likely a bright line is the under side of the heel bone, by all that tells it from others.

Bone stops the beam, but the shadow beneath it need not be black: clutter fills it, and copies of
the bone's own echo lie in it. Aponeuroses, septa and needles are bright lines over darkness, too.
So nothing decides alone. A calcaneus is bright, smooth and convex; its line is not drawn on beyond
its front edge, where tissue begins that echoes more than what lies beneath the bone.

What speaks for a bone is a weighted sum of such measured evidence, a logistic model: the logarithm
of the odds that the line is one. Other bones are told by what lies around them, which is looked at
for the likeliest lines only (:mod:`usguide.fascia.surroundings`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usguide.fascia.logistic import Logistic
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

MODEL = Logistic(
    {
        "level of the line": (2.88, 0.6, 1.1),
        "level beneath": (-2.73, 0.0, 0.5),
        "strongest echo beneath against the line": (-3.55, 0.0, 1.0),
        "level before the edge against beneath": (7.26, -0.2, 0.3),
        "level of the line drawn on beyond its edge": (-1.57, 0.3, 0.9),
        "steepening towards the edge": (11.33, 0.0, 0.35),
        "roughness, mm": (-10.89, 0.0, 0.2),
        "length, logarithm of mm": (2.25, 1.6, 2.5),
    },
    offset=-7.55,
)
"""Maximum likelihood, ridge 0.01, on half of these, the other half kept aside: 80 synthetic heels,
half of them with flat, faint bones (0.5 to 1.3 mm high, 14 to 24 dB above fat), 120 pictures of
them with clutter, a decaying glow or copies of the bone in the shadow, 45 of another simulator; 100
muscles, 24 phantoms, 122 pictures of nothing or of streaks, 36 real recordings of muscles and
needles. The level deeper than ``BENEATH_MM``, fitted together with these, is left out: as many
right edges of 656 heels and as many lines of 316 other clips are as likely without it.
:mod:`benchmarks.fit_odds` fits them afresh."""


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """A line from back to front, work px, a column apart, and what is on and beneath it.

    Parameters
    ----------
    x, y : ndarray of float64, shape (n,)
        The line, in a picture turned so that the bone's front is on the right.
    line : ndarray of float64, shape (n,)
        Its level in each column, levels normalised as everywhere here.
    beneath : ndarray of float64, shape (2, n)
        Sum of the levels in ``BENEATH_MM`` in each column, and how many there are.
    strongest : ndarray of float64, shape (n,)
        The strongest echo beneath it, reverberations left out; NaN where nothing is shown.
    """

    x: Floats
    y: Floats
    line: Floats
    beneath: Floats
    strongest: Floats

    @classmethod
    def of(cls, levels: Image, x: Floats, y: Floats, pixel_mm: float) -> Profile:
        """Measure a line in a normalised work picture, float32 of shape (rows, columns)."""
        columns, rows = np.rint(x).astype(np.int64), np.rint(y).astype(np.int64)
        line = shown(levels, rows + np.arange(-LINE_PX, LINE_PX + 1)[:, None], columns)
        near, far = (round(mm / pixel_mm) for mm in BENEATH_MM)
        down = np.arange(near, len(levels))[:, None]
        whole = shown(levels, rows + down, columns)
        # Twice as deep as the line lies the reverberation between it and the probe.
        twice = np.abs((rows + down) / (2.0 * rows) - 1.0) < REVERBERATION_SHARE
        part = whole[: far - near + 1]
        beneath = np.stack([np.nansum(part, axis=0), np.isfinite(part).sum(axis=0)])
        strongest = np.fmax.reduce(np.where(twice, np.nan, whole), axis=0)
        return cls(x, y, line.max(axis=0), beneath, strongest)

    def until(self, end: int) -> Profile:
        """Return the same line, ending at this index."""
        part = np.s_[..., : end + 1]
        fields = (self.x, self.y, self.line, self.beneath, self.strongest)
        return Profile(*(field[part] for field in fields))


def shown(levels: Image, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Floats:
    """Levels at rows, shape (k, n), of columns, shape (n,); NaN below the picture."""
    height, width = levels.shape
    values = levels[np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)]
    return np.where(rows < height, np.minimum(values, LEVEL_MAX), np.nan)


def evidence(levels: Image, profile: Profile, pixel_mm: float) -> Floats:
    """Measure what speaks for a line being the heel bone, in the order of ``MODEL``.

    Parameters
    ----------
    levels : ndarray of float32, shape (rows, columns)
        Normalised work picture, the bone's front towards the right.
    profile : Profile
        The line; its last point is the front edge.
    pixel_mm : float
        Nominal size of a work pixel.

    Returns
    -------
    ndarray of float64, shape (8,)
    """
    x, y, line = profile.x, profile.y, profile.line
    width = levels.shape[1]
    edge_x, edge_y = round(x[-1]), round(y[-1])
    near, far = (round(mm / pixel_mm) for mm in BENEATH_MM)
    first, last = (round(mm / pixel_mm) for mm in AHEAD_MM)
    depths = edge_y + np.arange(near, far + 1)[:, None]
    ahead = shown(levels, depths, np.arange(edge_x + first, min(edge_x + last, width)))
    end = round(END_MM / pixel_mm)
    back, front = (_slope(x[part], y[part]) for part in (slice(end), slice(-end, None)))
    beyond = np.arange(*(round(mm / pixel_mm) for mm in BEYOND_MM))
    beyond = beyond[edge_x + beyond < width]
    reach = round(BEYOND_REACH_MM / pixel_mm)
    straight = np.rint(edge_y + front * beyond).astype(np.int64)
    drawn_on = shown(levels, straight + np.arange(-reach, reach + 1)[:, None], edge_x + beyond)
    total, count = profile.beneath.sum(axis=1)
    level, beneath = float(line.mean()), float(total / max(count, 1.0))
    return np.array(
        [
            level,
            beneath,
            _mean(profile.strongest / np.maximum(line, 0.1), 0.0),
            _mean(ahead, beneath) - beneath,
            _mean(np.fmax.reduce(drawn_on, axis=0), 0.0) / max(level, 0.1),
            front - back,
            _roughness(x, y) * pixel_mm,
            np.log(len(x) * pixel_mm),
        ]
    )


def line_odds(levels: Image, profile: Profile, pixel_mm: float) -> float:
    """Return the logarithm of the odds that a line is the heel bone, whatever lies around it."""
    return MODEL.odds(evidence(levels, profile, pixel_mm))


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
