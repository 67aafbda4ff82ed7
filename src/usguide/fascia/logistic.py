"""What speaks for something and against it, weighed: a logistic model with bounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from usguide.model import Floats


@dataclass(frozen=True, slots=True)
class Logistic:
    """The logarithm of the odds as a weighted sum of evidence.

    Parameters
    ----------
    terms : dict
        Of each evidence its weight, and the least and the greatest it counts.
    offset : float
        The logarithm of the odds where all evidence is 0.
    """

    terms: dict[str, tuple[float, float, float]]
    offset: float

    def clipped(self, measured: Floats) -> Floats:
        """Return evidence, shape (..., terms), each within its bounds."""
        _, least, most = np.array(list(self.terms.values())).T
        return np.asarray(np.clip(measured, least, most))

    def odds(self, measured: Floats) -> float:
        """Return the logarithm of the odds by evidence of shape (terms,)."""
        weights = np.array([weight for weight, _, _ in self.terms.values()])
        return float(self.offset + self.clipped(measured) @ weights)
