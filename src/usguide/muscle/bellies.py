"""The muscle bellies of one frame, and what is measured between their borders."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from usguide.model import Bools, Calibration, Floats, Frame
from usguide.muscle.bands import CUBIC, STEP_SHARES, Band, add_edges, find_lines
from usguide.muscle.edges import Edge, find_edge
from usguide.muscle.pairs import gaps_of, ranked_pairs
from usguide.muscle.picture import COLUMNS, ROWS, Grid, Narrower, column_centres, to_grid
from usguide.muscle.responses import Responses
from usguide.muscle.streaks import Streaks, find_streaks
from usguide.muscle.surroundings import doubted

NODES = 32
"""Abscissae at which borders are kept for each frame."""

KEPT = 3
"""Pairs of bands kept for each frame, for the clip as a whole to choose from."""

_SETTLED = 0.5
"""Score of two lines from which on the edges of bright layers are not looked for: they are a muscle
likelier than not."""

_LEFT = 0.25
"""Part of the width to which a straight line is fitted for the heights at the left edge: observers
judge an aponeurosis by its neighbourhood, and over the whole width it is curved."""

_BLOCKS = 8
_T_BLOCKS = 2.365
"""Student's t for 95 % and eight blocks."""

_INNER_LEVEL = 0.65
"""How far up the transition, from the neighbour's grey level to the band's, an inner edge is put.
Observers put it about half-way (three of them, 33 images: the thickness at 0.5 is theirs + 0.04
mm). But a bright band, smeared by the pulse and shown as a logarithm, reaches into the muscle, so
that at 0.5 a synthetic muscle is 0.33 mm thinner than between the ends of the scatterers (48
scenes), and at 0.9 still by 0.12 mm. Transitions and speckle are as wide in the real images as in
the synthetic ones, so nothing in a picture tells the two definitions apart: 0.65 lies between."""

_CHOICE, _BLOOM = 0.65, 0.8
"""What the width of the edges' transitions leaves open, as parts of the two widths together.

Observers put an edge within half a transition of its half level (95 % of 33 images, three
observers), 0.65 below the level used here; the scatterers of synthetic bands end up to 0.95 above
the half level (24 scenes, pulses of 0.26-0.58 mm, bands 10-18 dB bright), 0.8 above this one."""


@dataclass(frozen=True, slots=True, eq=False)
class Belly:
    """A muscle belly seen in one frame; lengths in px of the region.

    Parameters
    ----------
    score : float
        Probability, 0 to 1, that the two bands bound the superficial-most muscle.
    streaks : Streaks or None
        What speaks for fibres between them; None where it was not looked at.
    superficial_y_px, deep_y_px : ndarray of float32, shape (NODES,)
        Inner edges of the aponeuroses at the nodes.
    superficial_outer_y_px, deep_outer_y_px : ndarray of float32, shape (NODES,)
        Their outer edges.
    superficial_left_y_px, deep_left_y_px : float
        The inner edges at the region's left edge.
    thickness_px, thickness_low_px, thickness_high_px : float
        Between the inner edges, normal to the mid-line, with the interval of this frame.
    echo_intensity, echo_spread : float
        Mean grey level between the inner edges, 0 to 255, and half its 95 % interval.
    """

    score: float
    streaks: Streaks | None
    superficial_y_px: NDArray[np.float32]
    deep_y_px: NDArray[np.float32]
    superficial_outer_y_px: NDArray[np.float32]
    deep_outer_y_px: NDArray[np.float32]
    superficial_left_y_px: float
    deep_left_y_px: float
    thickness_px: float
    thickness_low_px: float
    thickness_high_px: float
    echo_intensity: float
    echo_spread: float


def node_centres(width: int) -> Floats:
    """Region x of the nodes, shape (NODES,)."""
    return np.asarray(column_centres(width).reshape(NODES, -1).mean(axis=1), dtype=np.float64)


class BellyFinder:
    """Finds the muscle bellies in the frames of one clip.

    Parameters
    ----------
    tissue : ndarray of bool, shape (height, width)
        Where the region shows echoes.
    calibration : Calibration
        Size of a pixel, if known.
    """

    def __init__(self, tissue: Bools, calibration: Calibration) -> None:
        self._narrower = Narrower(tissue)
        self._height, self._width = tissue.shape
        self._calibration = calibration
        depth_mm = None
        if calibration.spacing_mm is not None:
            depth_mm = float(self._to_mm(np.array([0.0, self._height]))[1])
        self._gaps = gaps_of(depth_mm)
        self._responses = Responses(self._narrower.tissue, depth_mm)

    def find(
        self,
        frame: Frame,
        least_score: float = 0.0,
        layers: bool = True,
        texture: bool = False,
    ) -> list[Belly]:
        """Find the likeliest bellies of a frame, best first; their scores are probabilities.

        Borders that are the edges of ``layers``, and the streaks between borders (``texture``), are
        looked for where they are wanted.
        """
        picture = self._narrower(frame)
        grid = to_grid(picture)
        above, beneath = self._borders(grid, layers)

        @cache
        def upper(band: int, side: int, level: float) -> Edge:
            return find_edge(picture, above[band].rows, side, level)

        @cache
        def lower(band: int, side: int, level: float) -> Edge:
            return find_edge(picture, beneath[band].rows, side, level)

        ranked = ranked_pairs(above, beneath, self._gaps)[:KEPT]
        bellies = []
        for score, i, j in ranked:
            if score > max(0.1 * ranked[0][0], least_score):
                inner, deep = upper(i, 1, _INNER_LEVEL), lower(j, -1, _INNER_LEVEL)
                streaks = None
                if texture:
                    streaks = find_streaks(picture, self._narrower.tissue, inner.y_px, deep.y_px)
                borders = upper(i, -1, 0.5), inner, deep, lower(j, 1, 0.5)
                bellies.append(self._measure(score, streaks, grid, *borders))
        return bellies

    def _borders(self, grid: Grid, layers: bool) -> tuple[list[Band], list[Band]]:
        """Find the bands that may bound a muscle above, and those that may bound it beneath."""
        inside, lines = self._responses.inside, self._responses.lines(grid)
        found = [find_lines(line, inside) for line in lines]
        borders = self._doubted(grid, found)
        pairs = ranked_pairs(*borders, self._gaps)
        if layers and (not pairs or pairs[0][0] < _SETTLED):
            steps = self._responses.steps(grid)
            found = [
                add_edges(bands, line, step, inside, share)
                for bands, line, step, share in zip(found, lines, steps, STEP_SHARES, strict=True)
            ]
            borders = self._doubted(grid, found)
        return borders

    def _doubted(self, grid: Grid, found: list[list[Band]]) -> tuple[list[Band], list[Band]]:
        """Take likelihood from borders beyond which there is no tissue."""
        tissue = self._responses.has_tissue
        above, beneath = found
        return doubted(above, grid, tissue, -1), doubted(beneath, grid, tissue, 1)

    def _measure(
        self,
        score: float,
        streaks: Streaks | None,
        grid: Grid,
        outer: Edge,
        inner: Edge,
        deep: Edge,
        deep_outer: Edge,
    ) -> Belly:
        x = column_centres(self._width)
        gap = deep.y_px - inner.y_px
        shown = self._shown(inner.y_px) & self._shown(deep.y_px) & self._responses.under_probe
        if not shown.any():
            shown[:] = True
        # Normal to the mid-line: the vertical distance times the cosine of its tilt.
        along = self._to_mm(np.array([1.0, _line(x, (deep.y_px + inner.y_px) / 2)[0]]))
        cosine = float(along[0] / np.linalg.norm(along))
        thickness = float(gap[shown].mean()) * cosine
        wobble = gap - CUBIC @ (CUBIC.T @ gap)
        blocks = [part.mean() for part in np.array_split(wobble[shown], _BLOCKS) if len(part)]
        scatter = _T_BLOCKS * np.std(blocks) / np.sqrt(len(blocks))
        blur = float(np.median(inner.blur_px[shown]) + np.median(deep.blur_px[shown]))
        below, above = (float(np.hypot(scatter, part * blur)) for part in (_CHOICE, _BLOOM))
        echo, echo_spread = self._echo(grid, inner.y_px, deep.y_px)

        def at_nodes(y: Floats) -> NDArray[np.float32]:
            return np.asarray(y.reshape(NODES, -1).mean(axis=1), dtype=np.float32)

        return Belly(
            score=score,
            streaks=streaks,
            superficial_y_px=at_nodes(inner.y_px),
            deep_y_px=at_nodes(deep.y_px),
            superficial_outer_y_px=at_nodes(outer.y_px),
            deep_outer_y_px=at_nodes(deep_outer.y_px),
            superficial_left_y_px=_at_left(x, inner.y_px),
            deep_left_y_px=_at_left(x, deep.y_px),
            thickness_px=thickness,
            thickness_low_px=max(0.0, thickness - below * cosine),
            thickness_high_px=thickness + above * cosine,
            echo_intensity=echo,
            echo_spread=echo_spread,
        )

    def _shown(self, y_px: Floats) -> Bools:
        """Say at which columns an edge lies in the picture: a fan has less of the upper one."""
        row = np.clip((y_px + 0.5) * ROWS / self._height, 0, ROWS - 1).astype(np.int64)
        return np.asarray(self._responses.has_tissue[row, np.arange(COLUMNS)], dtype=np.bool_)

    def _to_mm(self, vector_px: Floats) -> Floats:
        """Scale a vector to mm, or leave it where there is no calibration."""
        known = self._calibration.spacing_mm is not None
        return self._calibration.to_mm(vector_px) if known else vector_px

    def _echo(self, grid: Grid, top_px: Floats, bottom_px: Floats) -> tuple[float, float]:
        """Mean grey level between the inner edges, and half its 95 % interval.

        The interval is that of the mean of eight blocks side by side, which differ as the muscle
        does along its length.
        """
        row = (np.arange(ROWS)[:, None] + 0.5) * self._height / ROWS - 0.5
        inside = (row > top_px) & (row < bottom_px) & self._responses.has_tissue
        count = np.count_nonzero(inside, axis=0).reshape(_BLOCKS, -1).sum(axis=1)
        total = (grid * inside).sum(axis=0, dtype=np.float64).reshape(_BLOCKS, -1).sum(axis=1)
        levels = total[count > 0] / count[count > 0]
        if len(levels) == 0:
            return float("nan"), float("nan")
        spread = np.std(levels, ddof=1) / np.sqrt(len(levels)) if len(levels) > 1 else 0.0
        return float(np.mean(levels)), float(_T_BLOCKS * spread)


def _line(x: Floats, y: Floats) -> tuple[float, float]:
    """Fit a line by least squares: its slope, and its height at x = 0."""
    middle = float(x.mean())
    across = x - middle
    slope = float(across @ y) / float(across @ across)
    return slope, float(y.mean()) - slope * middle


def _at_left(x: Floats, y: Floats) -> float:
    """Height at region x = 0 of the line through the left part of an edge, outliers set aside."""
    count = round(_LEFT * COLUMNS)
    x, y = x[:count], y[:count]
    slope, left = _line(x, y)
    rest = np.abs(y - left - slope * x)
    keep = rest <= max(3 * 1.4826 * float(np.median(rest)), 1e-6)
    return _line(x[keep], y[keep])[1]
