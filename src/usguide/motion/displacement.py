"""Speckle tracking: how far every part of the image has moved since the clip's rest anchor.

Blocks of speckle are matched (normalised correlation, sub-pixel, from coarse to fine, forward and
backward) against an *anchor*, an earlier frame, and not against the frame before: as long as the
tissue still resembles the anchor, errors do not add up at all. When it no longer does, the frame
before becomes the next anchor and carries the displacement gathered so far. Whenever the tissue
comes back near the pose of an older anchor, the tracker returns to that one, so that drift is
bounded by the length of a movement and not by the length of the clip.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.kernels.block_matching import match_blocks
from usguide.model import Bools, Floats, Frame

Image = NDArray[np.float32]

GRID = (16, 24)
"""Rows and columns of the grid of tracked points."""

WORK_WIDTH = 400
"""Frames are reduced to at most this many pixels along their longer side: 0.1 to 0.15 mm a pixel
for the 40-60 mm that a muscle image spans, a tenth of which the sub-pixel peak resolves."""

BLOCK = (21, 17)
"""Width and height of a block in working px: 2 to 3 mm, within the 2-4 mm usual in speckle
tracking; smaller ones find false matches, larger ones smear the motion of neighbouring ends."""

COARSE_BLOCKS = ((15, 11), (17, 13), (21, 17))
"""Blocks at 1/8, 1/4 and 1/2 of the working size."""

MIN_CORRELATION = 0.6
"""Below it a match may be chance: the best of about a hundred unrelated blocks, each of some 35
speckles, correlates with about 0.17 * 2.5 = 0.45."""

MAX_RETURN_ERROR = 1.0
"""A block matched there and back must return to within this many working px."""

MIN_TEXTURE = 3.0
"""Grey-level SD (of 255) under which a block is anechoic or saturated: nothing to track."""

MIN_ANCHORED = 0.65
"""Share of the trackable points that must match the anchor, or a newer anchor is taken. Tuned on
synthetic speckle and two of the real clips: higher renews anchors needlessly, lower keeps biased
matches."""

MIN_TRACKED = 0.2
"""Share of points matched from one frame to the next under which the image was lost: a cut, the
probe lifted, or tissue leaving the plane."""

CHAINED = 0.7
"""Quality of a point followed from the frame before, relative to one matched to the anchor."""

KEYFRAMES = 8
"""How many former anchors are kept for returning to."""


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """Where the tissue is in one frame, on the grid of tracked points.

    Parameters
    ----------
    position_px : ndarray of float64, shape (rows, columns, 2)
        Where the tracked tissue lies now, (x, y) in region px.
    displacement_px : ndarray of float64, shape (rows, columns, 2)
        How far it has moved since the rest anchor (the clip's first frame), region px.
    quality : ndarray of float64, shape (rows, columns)
        0 (not matched; the displacement is filled in from the neighbours) to 1.
    tracked : float
        Share of the trackable points that matched.
    lost : bool
        Whether the tie to the frame before is broken.
    """

    position_px: Floats
    displacement_px: Floats
    quality: Floats
    tracked: float
    lost: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Anchor:
    """A frame to match against, and the displacement its tissue had already undergone."""

    levels: tuple[Image, ...]
    base: Floats
    age: int
    """How many changes of anchor separate it from the clip's first frame."""


def working_scale(height: int, width: int) -> float:
    """Factor by which a region is reduced before tracking; never above 1."""
    return min(1.0, WORK_WIDTH / max(height, width))


def pyramid(frame: Frame, scale: float) -> tuple[Image, ...]:
    """Working image and its reductions by 2, 4 and 8, float32, finest first."""
    if scale < 1.0:
        size = (
            max(1, round(frame.shape[1] * scale)),
            max(1, round(frame.shape[0] * scale)),
        )
        frame = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
    image = np.asarray(cv2.GaussianBlur(frame, (3, 3), 0), np.float32)
    levels = [image]
    for _ in COARSE_BLOCKS:
        rows, columns = levels[-1].shape
        size = (max(1, columns // 2), max(1, rows // 2))
        levels.append(
            np.asarray(cv2.resize(levels[-1], size, interpolation=cv2.INTER_AREA), np.float32)
        )
    return tuple(levels)


def resample(
    positions: Floats, values: Floats, weights: Floats, at: Floats, bandwidth: float
) -> Floats:
    """Gaussian-weighted mean of scattered vectors at other points.

    Parameters
    ----------
    positions, values : ndarray, shape (n, 2)
        Where the vectors are, and the vectors.
    weights : ndarray, shape (n,)
        Trust in each.
    at : ndarray, shape (m, 2)
        Where they are wanted; beyond the data the nearest ones decide.
    bandwidth : float
        SD of the weighting, in the unit of the positions.
    """
    squared = (at[:, None, 0] - positions[None, :, 0]) ** 2
    squared += (at[:, None, 1] - positions[None, :, 1]) ** 2
    squared /= bandwidth * bandwidth
    pull = np.exp(-0.5 * squared) + 1e-4 / (1.0 + squared * squared)
    pull *= weights + 1e-9
    resampled: Floats = (pull @ values) / pull.sum(axis=1, keepdims=True)
    return resampled


def fill(values: Floats, weights: Floats) -> Floats:
    """Replace untrusted vectors of a grid by the Gaussian mean of the trusted ones near them."""
    kept = weights > 0
    if kept.all() or not kept.any():
        return values if kept.any() else np.zeros_like(values)
    filled = values.copy()
    rest = ~kept
    for sigma in (1.0, 2.5, 8.0):
        weight = cv2.GaussianBlur(weights, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
        blurred = cv2.GaussianBlur(
            values * weights[..., None], (0, 0), sigma, borderType=cv2.BORDER_CONSTANT
        )
        usable = rest & (weight > 1e-3)
        filled[usable] = (blurred / np.maximum(weight, 1e-12)[..., None])[usable]
        rest &= ~usable
    filled[rest] = np.average(values[kept], axis=0, weights=weights[kept])
    return filled


def supported(vectors: Floats, valid: Bools) -> Bools:
    """Keep the valid vectors that at least two of their eight valid neighbours resemble."""
    tolerance = 2.0 + 0.2 * np.linalg.norm(vectors, axis=-1)
    padded = np.pad(vectors, ((1, 1), (1, 1), (0, 0)))
    present = np.pad(valid, 1)
    rows, columns = valid.shape
    friends = np.zeros(valid.shape, dtype=np.int64)
    for i in range(3):
        for j in range(3):
            if (i, j) == (1, 1):
                continue
            away = padded[i : i + rows, j : j + columns] - vectors
            near = np.abs(away).max(axis=-1) <= tolerance
            friends += near & present[i : i + rows, j : j + columns]
    kept: Bools = valid & (friends >= 2)
    return kept


class Tracker:
    """Follows the tissue of one clip, frame by frame.

    Parameters
    ----------
    tissue : ndarray of bool, shape (height, width)
        True where the region shows echoes.
    """

    def __init__(self, tissue: Bools) -> None:
        height, width = tissue.shape
        self.scale = working_scale(height, width)
        rows, columns = max(1, round(height * self.scale)), max(1, round(width * self.scale))
        self.usable = columns >= 3 * BLOCK[0] and rows >= 3 * BLOCK[1]
        block_w, block_h = BLOCK
        x = np.linspace(block_w // 2 + 1, columns - block_w // 2 - 2, GRID[1])
        y = np.linspace(block_h // 2 + 1, rows - block_h // 2 - 2, GRID[0])
        self.grid = np.stack(np.meshgrid(np.rint(x), np.rint(y)), axis=-1)
        """Anchor points, shape (rows, columns, 2), (x, y) in working px."""
        self.extent = np.array([columns, rows], dtype=np.float64)
        self.to_region = np.array([width / columns, height / rows], dtype=np.float64)
        self.spacing = float(np.mean([x[1] - x[0], y[1] - y[0]]))
        if self.usable:
            covered = cv2.resize(
                tissue.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA
            )
            share = cv2.boxFilter(covered, -1, BLOCK)
            index = self.grid.astype(np.int64)
            self.on_tissue: Bools = share[index[..., 1], index[..., 0]] >= 0.8
        self._anchor: _Anchor | None = None
        self._keyframes: list[_Anchor] = []
        self._previous: tuple[Image, ...] = ()
        self._field: Field | None = None
        self._shift = np.zeros((*GRID, 2))  # since the anchor, working px
        self._quality = np.zeros(GRID)
        self._velocity = np.zeros((*GRID, 2))
        self._since_return = 0

    def step(self, frame: Frame) -> Field:
        """Track the next frame; the first one defines zero displacement."""
        levels = pyramid(frame, self.scale)
        if self._anchor is None or self._field is None:
            self._anchor = _Anchor(levels, np.zeros((*GRID, 2)), 0)
            self._keyframes = [self._anchor]
            self._previous = levels
            self._field = self._make_field(
                np.zeros((*GRID, 2)), np.where(self.on_tissue, 1.0, 0.0), 1.0, False
            )
            return self._field

        guess = self._shift + self._velocity
        fresh = self._anchor.levels is self._previous
        shift, quality, tracked = self._match(self._anchor, levels, guess, thorough=fresh)
        lost = False
        if tracked < MIN_ANCHORED and not fresh:
            self._renew_anchor()
            shift, quality, tracked = self._match(
                self._anchor, levels, self._velocity, thorough=True
            )
        if tracked < MIN_TRACKED:
            lost = True
            quality = np.zeros(GRID)
            shift = self._shift
        elif self._anchor.levels is not self._previous:
            shift, quality = self._chain(levels, shift, quality)
        self._since_return += 1
        total = self._anchor.base + shift
        returned = None if lost and self._since_return < 2 else self._return(levels, shift)
        if returned is not None:
            shift, quality, tracked = returned
            total = self._anchor.base + shift
            lost = False
        before, moved_from = self._field, self._shift
        field = self._make_field(shift, quality, tracked, lost)
        if returned is None:
            self._velocity = shift - moved_from
        else:
            at = (before.position_px / self.to_region).reshape(-1, 2)
            now = (self.grid + shift).reshape(-1, 2)
            then = resample(
                at,
                before.displacement_px.reshape(-1, 2) / self.to_region,
                before.quality.ravel(),
                now,
                0.7 * self.spacing,
            ).reshape(*GRID, 2)
            self._velocity = total - then
        self._shift = shift
        self._quality = quality
        self._previous = levels
        self._field = field
        if lost:
            self._velocity = np.zeros((*GRID, 2))
            self._adopt(_Anchor(levels, self._base_here(), self._anchor.age + 1))
        return field

    def _make_field(self, shift: Floats, quality: Floats, tracked: float, lost: bool) -> Field:
        assert self._anchor is not None
        return Field(
            (self.grid + shift) * self.to_region,
            (self._anchor.base + shift) * self.to_region,
            quality,
            tracked,
            lost,
        )

    def _base_here(self) -> Floats:
        """Displacement gathered so far by the tissue now at the grid points, working px."""
        assert self._field is not None
        weights = np.maximum(self._field.quality.ravel(), 1e-3)
        return resample(
            (self._field.position_px / self.to_region).reshape(-1, 2),
            (self._field.displacement_px / self.to_region).reshape(-1, 2),
            weights,
            self.grid.reshape(-1, 2),
            0.5 * self.spacing,
        ).reshape(*GRID, 2)

    def _renew_anchor(self) -> None:
        """Take the frame before as the anchor."""
        assert self._anchor is not None
        assert self._field is not None
        base = self._base_here()
        self._velocity = resample(
            (self._field.position_px / self.to_region).reshape(-1, 2),
            self._velocity.reshape(-1, 2),
            np.maximum(self._field.quality.ravel(), 1e-3),
            self.grid.reshape(-1, 2),
            0.7 * self.spacing,
        ).reshape(*GRID, 2)
        self._adopt(_Anchor(self._previous, base, self._anchor.age + 1))

    def _adopt(self, anchor: _Anchor) -> None:
        """Match against a new anchor from now on, and keep it if its pose is a new one."""
        self._anchor = anchor
        self._shift = np.zeros((*GRID, 2))
        self._quality = np.where(self.on_tissue, 1.0, 0.0)
        poses = [float(np.median(np.abs(k.base - anchor.base))) for k in self._keyframes]
        if min(poses) > 0.25 * self.spacing:
            self._keyframes.append(anchor)
            if len(self._keyframes) > KEYFRAMES:
                # The first is the rest anchor; of the others, drop the one most like another.
                crowd = [
                    min(
                        float(np.median(np.abs(k.base - other.base)))
                        for other in self._keyframes
                        if other is not k
                    )
                    for k in self._keyframes[1:]
                ]
                del self._keyframes[1 + int(np.argmin(crowd))]

    def _return(
        self, levels: tuple[Image, ...], shift: Floats
    ) -> tuple[Floats, Floats, float] | None:
        """Match an older anchor if the tissue is near its pose again; None if it is not."""
        assert self._anchor is not None
        if self._since_return < 3 or self._anchor.age == 0:
            return None
        here = resample(
            (self.grid + shift).reshape(-1, 2),
            (self._anchor.base + shift).reshape(-1, 2),
            np.ones(self.grid[..., 0].size),
            self.grid.reshape(-1, 2),
            0.7 * self.spacing,
        ).reshape(*GRID, 2)
        older = [k for k in self._keyframes if k.age < self._anchor.age]
        near = sorted(older, key=lambda k: float(np.median(np.abs(here - k.base))))
        for candidate in near[:1]:
            if np.median(np.abs(here - candidate.base)) > 0.5 * self.spacing:
                break
            self._since_return = 0
            again = self._match(candidate, levels, here - candidate.base, thorough=False)
            if again[2] >= MIN_ANCHORED:
                self._anchor = candidate
                return again
        return None

    def _match(
        self, anchor: _Anchor, levels: tuple[Image, ...], guess: Floats, *, thorough: bool
    ) -> tuple[Floats, Floats, float]:
        """Displacement since an anchor (working px), its quality, and the share matched.

        ``thorough`` also looks far around the guess where nothing was found near it.
        """
        shift, quality, textured = self._refine(
            anchor.levels[0], levels[0], self.grid, guess, self.on_tissue
        )
        if not textured.any():
            return guess, quality, 0.0
        kept = supported(shift, quality > 0)
        filled = fill(shift, quality * kept)
        again = textured & ~kept & self._in_view(filled)
        if np.count_nonzero(again) > 0.1 * np.count_nonzero(textured):
            guesses = [filled]
            if thorough:
                guesses.append(self._coarse(anchor.levels, levels, filled))
            for other in guesses:
                todo = textured & ~kept & self._in_view(other)
                if not todo.any():
                    continue
                retried, retried_quality, _ = self._refine(
                    anchor.levels[0], levels[0], self.grid, other, todo
                )
                better = todo & (retried_quality > quality * kept)
                shift = np.where(better[..., None], retried, shift)
                quality = np.where(better, retried_quality, quality * kept)
                kept = supported(shift, quality > 0)
        quality = quality * kept
        shift = fill(shift, quality)
        visible = self._in_view(shift) | (quality > 0)
        count = int(np.count_nonzero(visible[textured]))
        # With most of the anchor out of view the few points left say nothing of the rest.
        enough = count >= 0.3 * np.count_nonzero(textured)
        tracked = float(np.count_nonzero(quality > 0)) / count if count and enough else 0.0
        return shift, quality, tracked

    def _chain(
        self, levels: tuple[Image, ...], shift: Floats, quality: Floats
    ) -> tuple[Floats, Floats]:
        """Follow the tissue that no longer resembles the anchor from the frame before.

        A part of the picture that deforms faster than the rest, such as the end of a torn
        muscle, would otherwise be taken to move like its neighbours.
        """
        before = self._shift
        at = np.rint(self.grid + before)
        weak = self.on_tissue & (quality == 0) & self._in_view(at - self.grid)
        if not weak.any():
            return shift, quality
        step = fill(shift - before, quality)
        moved, trust, _ = self._refine(self._previous[0], levels[0], at, step, weak)
        step = np.where((trust > 0)[..., None], moved, step)
        kept = supported(step, (quality > 0) | (trust > 0)) & (trust > 0)
        shift = np.where((quality > 0)[..., None], shift, before + step)
        known = self._quality > 0
        quality = np.where(kept, trust * np.where(known, CHAINED, CHAINED**2), quality)
        return shift, quality

    def _in_view(self, shift: Floats) -> Bools:
        """Whether a block moved by ``shift`` (working px) still lies inside the image."""
        margin = np.array([BLOCK[0] // 2, BLOCK[1] // 2], dtype=np.float64)
        now = self.grid + shift
        inside = (now >= margin) & (now <= self.extent - 1 - margin)
        return np.asarray(inside.all(axis=-1), dtype=np.bool_)

    def _refine(
        self, reference: Image, target: Image, at: Floats, guess: Floats, wanted: Bools
    ) -> tuple[Floats, Floats, Bools]:
        """Match the wanted blocks (their middles ``at``) near a guess, there and back.

        At full working size. Returns displacement, quality, and which blocks have texture.
        """
        shift = np.array(guess, dtype=np.float64)
        quality = np.zeros(GRID)
        textured: Bools = np.zeros(GRID, dtype=np.bool_)
        chosen = np.nonzero(wanted)
        half = np.array([BLOCK[0] // 2, BLOCK[1] // 2], dtype=np.int64)
        corners = at[chosen].astype(np.int64) - half
        there = np.empty((len(corners), 4), dtype=np.float32)
        match_blocks(
            reference, target, corners, guess[chosen].astype(np.float32), *BLOCK, 2, 2, there
        )
        landed = np.rint(there[:, :2]).astype(np.int64)
        moved = corners + landed
        limit = self.extent.astype(np.int64) - np.array(BLOCK)
        reachable = ((moved >= 0) & (moved <= limit)).all(axis=1)
        promising = reachable & (there[:, 2] >= MIN_CORRELATION) & (there[:, 3] >= MIN_TEXTURE)
        back = np.empty((int(promising.sum()), 4), dtype=np.float32)
        match_blocks(
            target,
            reference,
            moved[promising],
            (-landed[promising]).astype(np.float32),
            *BLOCK,
            1,
            1,
            back,
        )
        error = np.full(len(corners), np.inf)
        # The block matched back is the one at the rounded place: compare with the same rounding.
        drift = back[:, :2] + landed[promising]
        slip = there[promising, :2] - landed[promising]
        error[promising] = np.linalg.norm(slip + drift, axis=1)
        good = error <= MAX_RETURN_ERROR
        shift[chosen] = np.where(good[:, None], there[:, :2], guess[chosen])
        quality[chosen] = np.where(good, np.clip((there[:, 2] - 0.5) / 0.45, 0.0, 1.0), 0.0)
        textured[chosen] = there[:, 3] >= MIN_TEXTURE
        return shift, quality, textured

    def _coarse(
        self, reference: tuple[Image, ...], target: tuple[Image, ...], guess: Floats
    ) -> Floats:
        """Search far around a guess, from an eighth of the working size down to a half."""
        shift = guess
        reaches = ((5, 5), (3, 3), (2, 2))
        for level, block, reach in zip((3, 2, 1), COARSE_BLOCKS, reaches, strict=True):
            rows, columns = reference[level].shape
            if columns < block[0] + 2 or rows < block[1] + 2:
                continue
            shrink = 0.5**level
            every = 2 if level == 3 else 1
            points = self.grid[::every, ::every]
            limit = np.array([columns - block[0], rows - block[1]])
            corners = np.rint(points * shrink).astype(np.int64) - np.array(block) // 2
            corners = np.clip(corners, 0, limit).reshape(-1, 2)
            found = np.empty((len(corners), 4), dtype=np.float32)
            near = (shift[::every, ::every].reshape(-1, 2) * shrink).astype(np.float32)
            match_blocks(reference[level], target[level], corners, near, *block, *reach, found)
            grid_shape = points.shape[:2]
            vectors = found[:, :2].astype(np.float64).reshape(*grid_shape, 2) / shrink
            sound = (found[:, 2] >= 0.5) & (found[:, 3] >= 0.5 * MIN_TEXTURE)
            trust = (sound * found[:, 2]).astype(np.float64).reshape(grid_shape)
            vectors = fill(vectors, trust) if trust.any() else shift[::every, ::every]
            if every > 1:
                vectors = np.repeat(np.repeat(vectors, every, axis=0), every, axis=1)
                vectors = vectors[: GRID[0], : GRID[1]]
            shift = cv2.medianBlur(vectors.astype(np.float32), 3).astype(np.float64)
        return shift
