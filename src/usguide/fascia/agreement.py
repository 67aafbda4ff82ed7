"""One answer from several frames of a clip."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from usguide.model import Z_95, Measurement

Reading = TypeVar("Reading")


def agreed(readings: Sequence[Reading | str]) -> list[Reading] | str:
    """Return what was read where most frames could be read, else the commonest reason why not."""
    reasons = Counter(one for one in readings if isinstance(one, str))
    if 2 * reasons.total() >= len(readings):
        return reasons.most_common(1)[0][0] if reasons else "no frame was looked at"
    return [one for one in readings if not isinstance(one, str)]


def robust(
    values: Sequence[float],
    own_sd: float | tuple[float, float],
    unit: str,
    least: float = 0.0,
    most: float = np.inf,
) -> Measurement | None:
    """Return the median over frames; None where none is finite.

    Parameters
    ----------
    values : sequence of float
        One per frame.
    own_sd : float or (float, float)
        Standard deviation of the error that all frames share; where the value is too large and
        where it is too small, if they differ.
    unit : str
        Of the values.
    least, most : float
        Ends of what is possible.
    """
    known = np.array([value for value in values if np.isfinite(value)])
    if known.size == 0:
        return None
    middle = float(np.median(known))
    between = 1.4826 * float(np.median(np.abs(known - middle)))
    under, over = Z_95 * np.hypot(np.broadcast_to(own_sd, 2), between)
    low, high = max(middle - float(under), least), min(middle + float(over), most)
    return Measurement(middle, low, high, unit)
