"""What a person said of the tip in some frames: checked, and put in the place of the candidates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from usguide.errors import ConfigError
from usguide.model import Floats, Header, Hint
from usguide.needle.candidates import CANDIDATE, Candidates, Workspace

KNOWN = 40.0
"""Log odds of a tip that a person has shown: no path goes past it."""
ON_LINE_PX = 8.0
"""A candidate whose line passes this close to the tip shows its shaft (working px)."""
SHORT_PX = 20.0
"""Length of the shaft that is assumed where none is to be seen (working px)."""


def by_frame(hints: Sequence[Hint], header: Header) -> dict[int, Floats | None]:
    """Return the tip, region px, or None for 'not visible', of every distinct frame hinted at.

    Raises
    ------
    ConfigError
        If a hint is of no frame of the clip, lies outside the picture, or contradicts another.
    """
    found: dict[int, Floats | None] = {}
    region = header.region
    for hint in hints:
        if not 0 <= hint.frame < header.frames:
            raise ConfigError(
                f"hints: there is no frame {hint.frame}; the recording has frames 0 to "
                f"{header.frames - 1}."
            )
        tip = None
        if hint.tip_px is not None:
            tip = np.array(hint.tip_px) - region.origin_px
            if not (0 <= tip[0] <= region.width - 1 and 0 <= tip[1] <= region.height - 1):
                raise ConfigError(
                    f"hints: the tip of frame {hint.frame}, {hint.tip_px[0]:g}, "
                    f"{hint.tip_px[1]:g} px, is outside the picture; give source px within "
                    f"x {region.x} to {region.x + region.width - 1}, "
                    f"y {region.y} to {region.y + region.height - 1}."
                )
        repeated = int(header.timing.duplicate_of[hint.frame])
        frame = repeated if repeated >= 0 else hint.frame
        if frame in found and not _same(found[frame], tip):
            raise ConfigError(
                f"hints: frame {hint.frame} is hinted at twice, differently; give it once. "
                "Frames that repeat another count as the one they repeat."
            )
        found[frame] = tip
    return found


def _same(one: Floats | None, other: Floats | None) -> bool:
    if one is None or other is None:
        return one is other
    return bool(np.array_equal(one, other))


def heeded(
    candidates: list[Candidates], tips: dict[int, Floats | None], workspace: Workspace
) -> list[Candidates]:
    """Put what a person said in the place of the candidates of the frames hinted at.

    Parameters
    ----------
    candidates : list of structured arrays of ``CANDIDATE``
        Of every observed frame.
    tips : dict
        Position among the observed frames, and the tip in region px or None.
    workspace : Workspace
        Sizes of the clip.
    """
    out = list(candidates)
    for position, tip in tips.items():
        if tip is None:
            out[position] = np.zeros(0, CANDIDATE)
            continue
        near = min(
            (k for k in range(len(candidates)) if len(candidates[k])),
            key=lambda k: abs(k - position),
            default=None,
        )
        out[position] = through(
            tip, candidates[position], None if near is None else candidates[near], workspace
        )
    return out


def through(
    tip: Floats, here: Candidates, near: Candidates | None, workspace: Workspace
) -> Candidates:
    """Return one candidate that ends at a tip, along the line that passes closest to it."""
    pools = [pool for pool in (here, near) if pool is not None and len(pool)]
    for pool in pools:
        tails = np.column_stack([pool["tail_x"], pool["tail_y"]]).astype(np.float64)
        along = np.column_stack([pool["tip_x"], pool["tip_y"]]) - tails
        along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
        forward = np.sum((tip - tails) * along, axis=1)
        away = tip - tails - forward[:, None] * along
        distance = np.where(forward > 0, np.linalg.norm(away, axis=1), np.inf)
        best = int(np.argmin(distance))
        if distance[best] < ON_LINE_PX * workspace.scale:
            found = pool[best : best + 1].copy()
            found["tip_x"], found["tip_y"] = tip
            found["tail_x"], found["tail_y"] = tails[best] + away[best]
            return found
    found = pools[0][:1].copy() if pools else np.zeros(1, CANDIDATE)
    found["tip_x"], found["tip_y"] = tip
    found["tail_x"] = tip[0]
    found["tail_y"] = max(0.0, tip[1] - SHORT_PX * workspace.scale)
    return found


def known(frame: NDArray[np.int64], tips: dict[int, Floats | None]) -> NDArray[np.bool_]:
    """Which candidates, by their frames' positions, are tips that a person has shown."""
    shown = [position for position, tip in tips.items() if tip is not None]
    return np.isin(frame, shown)
