"""Speckle tracking: how far every part of the image has moved since the clip's rest anchor.

Speckle is matched against an *anchor*, an earlier frame, and not against the frame before: as long
as the tissue still resembles the anchor, errors do not add up at all. When it no longer does, the
frame before becomes the next anchor and carries the displacement gathered so far. Whenever the
tissue comes back near the pose of an older anchor, the tracker returns to that one, so that drift
is bounded by the length of a movement and not by the length of the clip.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from usguide.model import Bools, Floats, Frame
from usguide.motion.field import Field, resample
from usguide.motion.matching import GRID, Image, Matcher, fill, pyramid, supported

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
class _Anchor:
    """A frame to match against, and the displacement its tissue had already undergone."""

    levels: tuple[Image, ...]
    base: Floats
    trust: Floats
    """Whether the tissue at each point was in view before, 0 to 1: what entered the picture since
    has no known displacement, however well it is matched from now on."""
    age: int
    """How many changes of anchor separate it from the clip's first frame."""


class Tracker:
    """Follows the tissue of one clip, frame by frame.

    Parameters
    ----------
    tissue : ndarray of bool, shape (height, width)
        True where the region shows echoes.
    """

    def __init__(self, tissue: Bools) -> None:
        self._matcher = Matcher(tissue)
        self._anchor: _Anchor | None = None
        self._keyframes: list[_Anchor] = []
        self._previous: tuple[Image, ...] = ()
        self._field: Field | None = None
        self._shift = np.zeros((*GRID, 2))  # since the anchor, working px
        self._quality = np.zeros(GRID)
        self._velocity = np.zeros((*GRID, 2))
        self._blind = True  # no velocity is known to guess from
        self._since_return = 0

    @property
    def usable(self) -> bool:
        """Whether the picture is large enough to match blocks in."""
        return self._matcher.usable

    def step(self, frame: Frame) -> Field:
        """Track the next frame; the first one defines zero displacement."""
        levels = pyramid(frame, self._matcher.scale)
        if self._anchor is None or self._field is None:
            self._anchor = _Anchor(levels, np.zeros((*GRID, 2)), np.ones(GRID), 0)
            self._keyframes = [self._anchor]
            self._previous = levels
            self._field = self._make_field(
                np.zeros((*GRID, 2)), np.where(self._matcher.on_tissue, 1.0, 0.0), 1.0, False
            )
            return self._field

        guess = self._shift + self._velocity
        fresh = self._anchor.levels is self._previous
        shift, quality, tracked = self._matcher.match(
            self._anchor.levels, levels, guess, thorough=fresh, blind=self._blind
        )
        self._blind = lost = False
        if tracked < MIN_ANCHORED and not fresh:
            self._renew_anchor()
            shift, quality, tracked = self._matcher.match(
                self._anchor.levels, levels, self._velocity, thorough=True
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
            then, _ = resample(
                self._matcher.grid + moved_from,
                before.displacement_px / self._matcher.to_region,
                before.quality,
                self._matcher.grid + shift,
                0.7 * self._matcher.spacing,
            )
            self._velocity = total - then
        self._shift = shift
        self._quality = quality
        self._previous = levels
        self._field = field
        if lost:
            self._blind = True
            self._velocity = np.zeros((*GRID, 2))
            self._adopt(_Anchor(levels, *self._base_here(), self._anchor.age + 1))
        return field

    def _make_field(self, shift: Floats, quality: Floats, tracked: float, lost: bool) -> Field:
        assert self._anchor is not None
        return Field(
            (self._matcher.grid + shift + 0.5) * self._matcher.to_region - 0.5,
            (self._anchor.base + shift) * self._matcher.to_region,
            np.minimum(quality, self._anchor.trust),
            tracked,
            lost,
        )

    def _base_here(self) -> tuple[Floats, Floats]:
        """Displacement gathered so far by the tissue now at the grid points, and its trust.

        Working px. A point that was matched badly for once is held by its neighbours; only tissue
        that none of them saw before is not trusted.
        """
        assert self._anchor is not None
        assert self._field is not None
        positions = self._matcher.grid + self._shift
        base, _ = resample(
            positions,
            self._field.displacement_px / self._matcher.to_region,
            self._field.quality,
            self._matcher.grid,
            0.5 * self._matcher.spacing,
        )
        _, trust = resample(
            positions, base, self._anchor.trust, self._matcher.grid, 0.5 * self._matcher.spacing
        )
        return base, trust

    def _renew_anchor(self) -> None:
        """Take the frame before as the anchor."""
        assert self._anchor is not None
        assert self._field is not None
        base, trust = self._base_here()
        self._velocity, _ = resample(
            self._matcher.grid + self._shift,
            self._velocity,
            self._field.quality,
            self._matcher.grid,
            0.7 * self._matcher.spacing,
        )
        self._adopt(_Anchor(self._previous, base, trust, self._anchor.age + 1))

    def _adopt(self, anchor: _Anchor) -> None:
        """Match against a new anchor from now on, and keep it if its pose is a new one."""
        self._anchor = anchor
        self._shift = np.zeros((*GRID, 2))
        self._quality = np.where(self._matcher.on_tissue, 1.0, 0.0)
        poses = [float(np.median(np.abs(k.base - anchor.base))) for k in self._keyframes]
        if min(poses) > 0.25 * self._matcher.spacing:
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
        here, _ = resample(
            self._matcher.grid + shift,
            self._anchor.base + shift,
            np.ones(GRID),
            self._matcher.grid,
            0.7 * self._matcher.spacing,
        )
        older = [k for k in self._keyframes if k.age < self._anchor.age]
        near = sorted(older, key=lambda k: float(np.median(np.abs(here - k.base))))
        for candidate in near[:1]:
            if np.median(np.abs(here - candidate.base)) > 0.5 * self._matcher.spacing:
                break
            self._since_return = 0
            again = self._matcher.match(
                candidate.levels, levels, here - candidate.base, thorough=False
            )
            if again[2] >= MIN_ANCHORED:
                self._anchor = candidate
                return again
        return None

    def _chain(
        self, levels: tuple[Image, ...], shift: Floats, quality: Floats
    ) -> tuple[Floats, Floats]:
        """Follow the tissue that no longer resembles the anchor from the frame before.

        A part of the picture that deforms faster than the rest, such as the end of a torn
        muscle, would otherwise be taken to move like its neighbours.
        """
        before = self._shift
        at = np.rint(self._matcher.grid + before)
        weak = (
            self._matcher.on_tissue
            & (quality == 0)
            & self._matcher.in_view(at - self._matcher.grid)
        )
        if not weak.any():
            return shift, quality
        step = fill(shift - before, quality)
        moved, trust, _ = self._matcher.refine(self._previous, levels, at, step, weak)
        step = np.where((trust > 0)[..., None], moved, step)
        kept = supported(step, (quality > 0) | (trust > 0)) & (trust > 0)
        shift = np.where((quality > 0)[..., None], shift, before + step)
        known = self._quality > 0
        quality = np.where(kept, trust * np.where(known, CHAINED, CHAINED**2), quality)
        return shift, quality
