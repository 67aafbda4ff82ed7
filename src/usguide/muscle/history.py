"""The same muscle from frame to frame: one belly, or none, for each frame of a clip."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from usguide.model import Floats
from usguide.muscle.bellies import Belly

UNLIKELY = 0.2
"""Score at which "no muscle here" is as likely as a belly. The best pairs of bands score up to 0.07
in synthetic heels, 0.08 in needlings and 0.02 in a real heel; they score 0.35-0.9 in leg muscles,
and where they score less, one of them is often the wrong side of a bright layer. (Two films with
speckle between them score as high as a muscle: fibres tell them apart.)"""

_JUMP = 0.05
"""Change of an edge from frame to frame, as a part of the height, that is no longer motion."""

_JUMP_PRICE = 1.2
_LOSS_PRICE = 0.7
"""Price, in log score, of a change to other bands, and of losing or finding the muscle: two changes
cost less than a loss and a find, so that fast motion between sparse frames is no loss."""

NEVER_CHOSEN = UNLIKELY * float(np.exp(-2 * _LOSS_PRICE))
"""Score below which a belly is chosen in no frame: "no muscle", with a loss before it and a find
after it at worst, is likelier."""


def follow(seen: Sequence[Sequence[Belly]], height: int) -> list[Belly | None]:
    """Choose one belly, or none, for each frame so that the whole clip is likeliest.

    Viterbi over the bellies of each frame: the sum of their log scores, less a price for each jump
    between frames. One frame in which another pair of bands looks better does not change the
    muscle, a clip in which it looks better does; and because the future is known, so does the
    first frame.

    Parameters
    ----------
    seen : sequence of sequences of Belly
        What each frame offers, in order.
    height : int
        Height of the region in px.
    """
    states: list[list[Belly | None]] = [[*bellies, None] for bellies in seen]
    if not states:
        return []
    total = np.array([_merit(state) for state in states[0]])
    came: list[list[int]] = []
    for before, now in pairwise(states):
        through = total[:, None] - _prices(before, now, height)
        came.append([int(k) for k in np.argmax(through, axis=0)])
        total = through.max(axis=0) + [_merit(state) for state in now]
    chosen = [int(np.argmax(total))]
    for origin in reversed(came):
        chosen.append(origin[chosen[-1]])
    return [state[k] for state, k in zip(states, reversed(chosen), strict=True)]


def _merit(state: Belly | None) -> float:
    return float(np.log(UNLIKELY if state is None else max(state.score, 1e-9)))


def _prices(before: Sequence[Belly | None], now: Sequence[Belly | None], height: int) -> Floats:
    """Price of every change between two frames, shape (len(before), len(now))."""
    prices = np.zeros((len(before), len(now)))
    for i, old in enumerate(before):
        for j, new in enumerate(now):
            if old is None or new is None:
                prices[i, j] = _LOSS_PRICE * (old is not new)
            else:
                jump = max(
                    np.abs(new.superficial_y_px - old.superficial_y_px).mean(),
                    np.abs(new.deep_y_px - old.deep_y_px).mean(),
                ) / (_JUMP * height)
                prices[i, j] = _JUMP_PRICE * (1 - np.exp(-(jump**2)))
    return prices
