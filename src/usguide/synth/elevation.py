"""Leaving the plane: the tissue in the picture is exchanged for its neighbour."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from usguide.model import Floats
from usguide.synth.scanner import Scatterers


class Elevation:
    """Speckle that changes as the picture's plane leaves the tissue it began in.

    Two slices with echoes of their own are mixed as cosine and sine, so that the brightness stays
    and the correlation of the fields is the cosine. Interfaces, which reach across slices, stay.

    Parameters
    ----------
    tissue : Scatterers
        The first slice.
    exchanged : ndarray, shape (frames,)
        0 where the first slice is seen, 1 where its neighbour is.
    rng : numpy.random.Generator
        Source of the neighbour's echoes.
    """

    def __init__(self, tissue: Scatterers, exchanged: Floats, rng: np.random.Generator) -> None:
        self.exchanged = exchanged
        signs = rng.choice([-1.0, 1.0], len(tissue)).astype(np.float32)
        self._diffuse = (tissue.coherence == 0).astype(np.float32)
        self._neighbour = signs * self._diffuse

    def factor(self, frame: int) -> NDArray[np.float32] | None:
        """Return the factor for every scatterer's amplitude, or None for 1."""
        turned = 0.5 * math.pi * float(self.exchanged[frame])
        if turned == 0.0:
            return None
        stay = np.float32(math.cos(turned) - 1.0)
        change = np.float32(math.sin(turned))
        return np.asarray(1.0 + stay * self._diffuse + change * self._neighbour, dtype=np.float32)
