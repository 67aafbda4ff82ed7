"""The plantar fascia as a band: a mid-line and the thickness normal to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from usguide.model import Floats
from usguide.synth.parameters import Value

BICONVEXITY_MM = 25.0
"""Length of band whose bulge is called biconvex: past the thickest part of any patient's."""


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """The fascia as drawn: mid-line and thickness normal to it, from the insertion onwards.

    ``distance_mm`` and ``thickness_mm`` have shape (k,); the lines have shape (k, 2), (x, z).
    """

    distance_mm: Floats
    thickness_mm: Floats
    superficial_mm: Floats
    deep_mm: Floats

    @property
    def midline_mm(self) -> Floats:
        """Shape (k, 2)."""
        return 0.5 * (self.superficial_mm + self.deep_mm)

    def biconvexity_mm(self, reach_mm: float) -> float:
        """Bulge of the flatter border, where both together bulge most, from its own chord.

        Over the first ``BICONVEXITY_MM`` of the band, or ``reach_mm`` where that is less.
        """
        shown = self.distance_mm <= min(BICONVEXITY_MM, reach_mm) + 1e-9
        out = []
        for border, way in ((self.superficial_mm[shown], -1.0), (self.deep_mm[shown], 1.0)):
            chord = border[-1] - border[0]
            normal = np.array([-chord[1], chord[0]]) / np.hypot(*chord)
            out.append(way * (border - border[0]) @ normal)
        most = int(np.argmax(out[0] + out[1]))
        return float(min(out[0][most], out[1][most]))


def draw_band(values: dict[str, Value], insertion_x: float, reach_mm: float) -> Band:
    """Draw the fascia from its insertion to ``reach_mm`` along it."""
    step = 0.1
    distance = np.arange(0.0, reach_mm + step, step)
    at_insertion = float(values["thickness_mm"])
    far = float(values["distal_fraction"]) * at_insertion
    thickness = far + (at_insertion - far) * np.exp(-distance / float(values["decline_mm"]))
    bulge = (distance - float(values["bulge_at_mm"])) / 2.5
    thickness = thickness + float(values["bulge_mm"]) * np.exp(-0.5 * bulge**2)
    angle = np.radians(float(values["tilt_deg"]) + float(values["bow_deg"]) * distance / 30.0)
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    normal = np.stack([-np.sin(angle), np.cos(angle)], axis=1)
    superficial_z = float(values["fat_pad_mm"])
    start = np.array([insertion_x, superficial_z + at_insertion]) - normal[0] * thickness[0] / 2.0
    halfway = 0.5 * (direction[1:] + direction[:-1]) * step
    midline = start + np.concatenate([np.zeros((1, 2)), np.cumsum(halfway, axis=0)])
    half = 0.5 * thickness[:, None] * normal
    return Band(distance, thickness, midline - half, midline + half)
