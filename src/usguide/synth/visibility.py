"""When a needle is seen: fading as it leaves the plane, and spells in which it is gone."""

from __future__ import annotations

import numpy as np

from usguide.model import Floats
from usguide.synth.parameters import Value
from usguide.synth.tissue import wander

VISIBLE_DB = -10.0
"""Truth calls a needle visible down to this loss from fading and dropouts."""

_GONE_DB = -60.0
"""Below any noise: not in the picture."""


def fading(values: dict[str, Value], time_s: Floats, rng: np.random.Generator) -> Floats:
    """Return the loss in dB per frame, 0 or negative.

    Parameters
    ----------
    values : dict
        With ``fade``, ``dropouts`` and ``dropout_s``.
    time_s : ndarray, shape (frames,)
        Time of every frame.
    rng : numpy.random.Generator
        Source of when.
    """
    out_of_plane = np.clip(wander(rng, time_s, 1.5), 0.0, None)
    loss = -14.0 * float(values["fade"]) * out_of_plane
    length = float(values["dropout_s"])
    for _ in range(int(values["dropouts"])):
        start = rng.uniform(0.1, 0.9) * max(float(time_s[-1]) - length, 0.0)
        loss[(time_s >= start) & (time_s < start + length)] = _GONE_DB
    return np.asarray(loss)
