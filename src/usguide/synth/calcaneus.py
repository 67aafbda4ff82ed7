"""The heel bone of a synthetic heel: its surface, its spur, and what they echo."""

from __future__ import annotations

import numpy as np

from usguide.model import Floats
from usguide.synth.band import Band
from usguide.synth.parameters import Value
from usguide.synth.scanner import Scanner, Scatterers
from usguide.synth.shadow import SHADOW_DB
from usguide.synth.tissue import fibre, smoothstep, wander


class Calcaneus:
    """The bone that the fascia comes from, on the left of the picture.

    Parameters
    ----------
    scanner : Scanner
        Probe and settings.
    values : dict
        With the parameters of ``usguide.synth.heel`` about bone and spur.
    band : Band
        The fascia, which leaves the bone at its front lower edge.
    insertion_x, left_mm : float
        Where its front edge is and where its surface begins, x in mm.
    rng : numpy.random.Generator
        Source of the bone's shape.
    """

    def __init__(
        self,
        scanner: Scanner,
        values: dict[str, Value],
        band: Band,
        insertion_x: float,
        left_mm: float,
        rng: np.random.Generator,
    ) -> None:
        self._scanner = scanner
        self._values = values
        self._band = band
        self.insertion_x = insertion_x
        self.surface_mm = self._surface(left_mm, rng)
        """Shape (k, 2), (x, z)."""

    def _surface(self, left_mm: float, rng: np.random.Generator) -> Floats:
        """Draw the surface: convex, then steeply down past its front edge."""
        drop = float(self._values["bone_drop_mm"])
        edge, edge_z = self.insertion_x, float(self._band.deep_mm[0, 1])
        front = rng.uniform(5.0, 9.0)
        apex = edge - front
        back = max(apex + 3.0, 6.0)
        x = np.arange(left_mm, edge + 10.0, 0.1)
        z = edge_z - drop * (1.0 - np.clip((x - apex) / front, 0.0, None) ** 2.2)
        z += rng.uniform(1.5, 4.0) * (np.clip(apex - x, 0.0, None) / back) ** 2
        past = x > edge
        z[past] = edge_z + np.tan(np.radians(rng.uniform(32.0, 54.0))) * (x[past] - edge)
        rough = float(self._values["bone_rough_mm"]) * wander(rng, x, 2.5)
        return np.stack([x, z + rough * smoothstep((edge - x) / 1.5)], axis=1)

    def echo(self, rng: np.random.Generator) -> list[Scatterers]:
        """Return the echoes of the bone, of its glow, its mirror line and its spur."""
        sc, surface, edge_x = self._scanner, self.surface_mm, self.insertion_x
        x = surface[:, 0]
        db = np.full(len(x), float(self._values["bone_level_db"]))
        db -= 8.0 * smoothstep((x - edge_x + 1.0) / 2.0)
        db -= 14.0 * smoothstep((x - edge_x) / 6.0)
        db -= 8.0 * smoothstep((2.0 - x) / 5.0)
        lost = float(self._values["bone_dropout"])
        if lost > 0:
            missing = wander(rng, x, 4.0)
            db -= 28.0 * (missing > np.quantile(missing, 1.0 - lost))
        made = []
        # Roughness within the surface layer: what makes the line as thick as it looks.
        for depth, loss in ((0.0, 0.0), (0.15, 7.0), (0.3, 13.0), (0.5, 19.0)):
            curve = surface + np.array([0.0, depth])
            made.append(
                fibre(
                    sc,
                    rng,
                    curve,
                    db - loss,
                    coherence=0.82,
                    roughness_db=3.5,
                    thickness_mm=0.03,
                    tapered=False,
                )
            )
        # Past its edge the bone is rough and oblique: a broad glow rather than a line.
        front = surface[x > edge_x]
        glow = float(self._values["bone_level_db"]) - 8.0 - 6.0 * np.linspace(0.0, 1.0, len(front))
        made += [
            fibre(sc, rng, front, glow, coherence=0.0, roughness_db=5.0, thickness_mm=0.45)
            for _ in range(4)
        ]
        if self._values["bone_mirror"]:
            made.append(self._mirror_line(rng, db))
        spur = self.spur_mm
        if len(spur):
            made.append(
                fibre(sc, rng, spur, 20.0, coherence=0.93, thickness_mm=0.05, tapered=False)
            )
        return made

    def _mirror_line(self, rng: np.random.Generator, bone_db: Floats) -> Scatterers:
        """Return the bone's top once more, twice as deep, where sound came and went twice."""
        surface = self.surface_mm
        top = np.abs(surface[:, 0] - surface[np.argmin(surface[:, 1]), 0]) < 3.5
        line = surface[top] * np.array([1.0, 2.0])
        # It lies in the shadow, which takes its share of everything drawn there.
        return fibre(
            self._scanner, rng, line, bone_db[top] - 20.0 - SHADOW_DB, coherence=0.95,
            thickness_mm=0.05,
        )  # fmt: skip

    @property
    def spur_mm(self) -> Floats:
        """Upper surface of the spur into the fascia, shape (k, 2); empty where there is none."""
        length = float(self._values["spur_mm"])
        if length == 0.0:
            return np.empty((0, 2))
        along = np.linspace(0.0, length, 30)
        line = np.stack(
            [np.interp(along, self._band.distance_mm, self._band.deep_mm[:, k]) for k in range(2)],
            axis=1,
        )
        line[:, 1] -= 0.6 * np.sin(np.pi * along / length)
        return line

    def shadowing_mm(self) -> list[Floats]:
        """Surfaces that nothing is seen behind, each (k, 2)."""
        solid = self.surface_mm[self.surface_mm[:, 0] < self.insertion_x + 2.5]
        return [solid] + ([self.spur_mm] if len(self.spur_mm) else [])
