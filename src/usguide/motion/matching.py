"""Matching speckle: where small blocks of one frame are found in another.

Blocks on a grid are matched by normalised correlation to a fraction of a pixel, there and back.
Those that fail are looked for again where their neighbours went, and far around from a coarse
picture to a fine one; a vector that no neighbour resembles is dropped.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.kernels.block_matching import match_blocks
from usguide.kernels.subpixel import refine_blocks
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

ROUNDS = 2
"""Gauss-Newton steps: from the parabola's tenth of a pixel the second moves under a hundredth."""

MIN_TEXTURE = 3.0
"""Grey-level SD (of 255) under which a block is anechoic or saturated: nothing to track."""


def working_scale(height: int, width: int) -> float:
    """Factor by which a region is reduced before tracking; never above 1."""
    return min(1.0, WORK_WIDTH / max(height, width))


def pyramid(frame: Frame, scale: float) -> tuple[Image, ...]:
    """Working image as it is, smoothed, and its reductions by 2, 4 and 8, float32.

    Blocks are found in the smoothed image, whose noise hides fewer of them, and placed to a
    fraction of a pixel in the image as it is, whose detail says more exactly where they are.
    """
    if scale < 1.0:
        size = (
            max(1, round(frame.shape[1] * scale)),
            max(1, round(frame.shape[0] * scale)),
        )
        frame = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
    smooth = np.asarray(cv2.GaussianBlur(frame, (3, 3), 0), np.float32)
    levels = [np.ascontiguousarray(frame, np.float32), smooth]
    for _ in COARSE_BLOCKS:
        rows, columns = levels[-1].shape
        size = (max(1, columns // 2), max(1, rows // 2))
        levels.append(
            np.asarray(cv2.resize(levels[-1], size, interpolation=cv2.INTER_AREA), np.float32)
        )
    return tuple(levels)


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


class Matcher:
    """Finds a grid of blocks of one frame in another frame of the same clip.

    Parameters
    ----------
    tissue : ndarray of bool, shape (height, width)
        True where the region shows echoes.
    """

    def __init__(self, tissue: Bools) -> None:
        height, width = tissue.shape
        self.scale = working_scale(height, width)
        rows, columns = max(1, round(height * self.scale)), max(1, round(width * self.scale))
        self.usable: bool = columns >= 3 * BLOCK[0] and rows >= 3 * BLOCK[1]
        block_w, block_h = BLOCK
        x = np.linspace(block_w // 2 + 1, columns - block_w // 2 - 2, GRID[1])
        y = np.linspace(block_h // 2 + 1, rows - block_h // 2 - 2, GRID[0])
        self.grid = np.stack(np.meshgrid(np.rint(x), np.rint(y)), axis=-1)
        """Middles of the blocks, shape (rows, columns, 2), (x, y) in working px."""
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

    def match(
        self,
        reference: tuple[Image, ...],
        target: tuple[Image, ...],
        guess: Floats,
        *,
        thorough: bool,
        blind: bool = False,
    ) -> tuple[Floats, Floats, float]:
        """Displacement from one frame to another (working px), its quality, and the share matched.

        ``thorough`` also looks far around the guess where nothing was found near it; ``blind``
        says that the guess is none, so that what is found near it by chance is doubted too.
        """
        shift, quality, textured = self.refine(reference, target, self.grid, guess, self.on_tissue)
        if not textured.any():
            return guess, quality, 0.0
        kept = supported(shift, quality > 0)
        filled = fill(shift, quality * kept)
        again = textured & ~kept & self.in_view(filled)
        few = np.count_nonzero(again) <= 0.1 * np.count_nonzero(textured)
        if blind or not few:
            guesses = [] if few else [filled]
            if thorough:
                guesses.append(self._coarse(reference, target, filled))
            for other in guesses:
                doubted = ~kept
                if blind:
                    doubted |= np.abs(other - shift).max(axis=-1) > MAX_RETURN_ERROR
                retry = textured & doubted & self.in_view(other)
                if not retry.any():
                    continue
                retried, retried_quality, _ = self.refine(
                    reference, target, self.grid, other, retry
                )
                better = retry & (retried_quality > quality * kept)
                shift = np.where(better[..., None], retried, shift)
                quality = np.where(better, retried_quality, quality * kept)
                kept = supported(shift, quality > 0)
        quality = quality * kept
        shift = fill(shift, quality)
        visible = self.in_view(shift) | (quality > 0)
        count = int(np.count_nonzero(visible[textured]))
        # With most of the reference out of view the few points left say nothing of the rest.
        enough = count >= 0.3 * np.count_nonzero(textured)
        tracked = float(np.count_nonzero(quality > 0)) / count if count and enough else 0.0
        return shift, quality, tracked

    def in_view(self, shift: Floats) -> Bools:
        """Whether a block moved by ``shift`` (working px) still lies inside the image."""
        margin = np.array([BLOCK[0] // 2, BLOCK[1] // 2], dtype=np.float64)
        now = self.grid + shift
        inside = (now >= margin) & (now <= self.extent - 1 - margin)
        return np.asarray(inside.all(axis=-1), dtype=np.bool_)

    def refine(
        self,
        reference: tuple[Image, ...],
        target: tuple[Image, ...],
        at: Floats,
        guess: Floats,
        wanted: Bools,
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
            reference[1], target[1], corners, guess[chosen].astype(np.float32), *BLOCK, 2, 2, there
        )
        landed = np.rint(there[:, :2]).astype(np.int64)
        moved = corners + landed
        limit = self.extent.astype(np.int64) - np.array(BLOCK)
        reachable = ((moved >= 0) & (moved <= limit)).all(axis=1)
        promising = reachable & (there[:, 2] >= MIN_CORRELATION) & (there[:, 3] >= MIN_TEXTURE)
        back = np.empty((int(promising.sum()), 4), dtype=np.float32)
        match_blocks(
            target[1],
            reference[1],
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
        correlation = there[:, 2].copy()
        refine_blocks(reference[0], target[0], corners, *BLOCK, ROUNDS, MAX_RETURN_ERROR, there)
        shift[chosen] = np.where(good[:, None], there[:, :2], guess[chosen])
        quality[chosen] = np.where(good, np.clip((correlation - 0.5) / 0.45, 0.0, 1.0), 0.0)
        textured[chosen] = there[:, 3] >= MIN_TEXTURE
        return shift, quality, textured

    def _coarse(
        self, reference: tuple[Image, ...], target: tuple[Image, ...], guess: Floats
    ) -> Floats:
        """Search far around a guess, from an eighth of the working size down to a half."""
        shift = guess
        reaches = ((5, 5), (3, 3), (2, 2))
        for level, block, reach in zip((4, 3, 2), COARSE_BLOCKS, reaches, strict=True):
            rows, columns = reference[level].shape
            if columns < block[0] + 2 or rows < block[1] + 2:
                continue
            shrink = 0.5 ** (level - 1)
            every = 2 if level == 4 else 1
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
