"""A training phantom: even speckle, bright films and reflectors, dark and bright inclusions."""

from __future__ import annotations

import numpy as np

from usguide.model import Floats
from usguide.synth.parameters import Number, Parameter, Value
from usguide.synth.scanner import Scanner, Scatterers
from usguide.synth.scene import Placement, Truth
from usguide.synth.tissue import fibre, mottle, smoothstep, speckle, streaks, wander

PARAMETERS: dict[str, Parameter] = {
    "level_db": Number(-8.0, 0.0, "dB", "the phantom's speckle", -30.0, 10.0),
    "film_db": Number(10.0, 20.0, "dB", "bright film near the top", -30.0, 35.0),
    "floor": Number(0.75, 1.05, "", "bottom reflector, as a fraction of the depth", 0.3, 2.0),
    "floor_db": Number(18.0, 30.0, "dB", "bottom reflector", -30.0, 40.0),
    "inclusions": Number(0, 3, "", "dark or bright round targets", 0, 12, whole=True),
    "strands": Number(
        0, 14, "", "bright strands at all angles below 30 degrees", 0, 100, whole=True
    ),
}


class Phantom:
    """The tissue of a phantom; there is no fascia and no bone in it.

    Parameters
    ----------
    scanner : Scanner
        Probe and settings.
    values : dict
        A value for each of ``PARAMETERS``.
    rng : numpy.random.Generator
        Source of everything random in the phantom.
    """

    def __init__(
        self, scanner: Scanner, values: dict[str, Value], rng: np.random.Generator
    ) -> None:
        self._scanner = scanner
        margin = 3.0 + float(values["drift_mm"]) + abs(float(values["slip_mm"]))
        self._box = (-margin, -0.5, scanner.width_mm + margin, scanner.depth_mm + 1.0)
        self.tissue = self._tissue(values, rng)

    def _tissue(self, values: dict[str, Value], rng: np.random.Generator) -> Scatterers:
        sc, box = self._scanner, self._box
        base = float(values["level_db"])
        texture = mottle(rng, box, (6.0, 4.0), 1.0)
        targets = [
            (
                rng.uniform(0.1, 0.9) * sc.width_mm,
                rng.uniform(0.3, 0.85) * sc.depth_mm,
                rng.uniform(0.04, 0.12) * sc.depth_mm,
                rng.choice([-18.0, -12.0, 7.0]),
            )
            for _ in range(int(values["inclusions"]))
        ]
        bottom = float(values["floor"]) * sc.depth_mm

        def level(x: Floats, z: Floats) -> Floats:
            db = base + texture(x, z)
            for cx, cz, radius, contrast in targets:
                outside = np.hypot(x - cx, z - cz) - radius
                db = db + contrast * (1.0 - smoothstep(outside / 0.6 + 0.5))
            return np.asarray(db - 22.0 * smoothstep((z - bottom) / 0.5))

        parts = [speckle(sc, rng, box, level)]
        x = np.linspace(box[0], box[2], 100)
        tilt = np.tan(np.radians(rng.uniform(-6.0, 6.0)))
        floor = bottom + tilt * (x - sc.width_mm / 2.0) + 0.1 * wander(rng, x, 20.0)
        film = rng.uniform(0.04, 0.14) * sc.depth_mm + 0.2 * wander(rng, x, 25.0)
        for line, db in ((floor, float(values["floor_db"])), (film, float(values["film_db"]))):
            for below in (0.0, 0.35, 0.7):
                curve = np.stack([x, line + below], axis=1)
                parts.append(
                    fibre(sc, rng, curve, db - 14.0 * below, coherence=0.93, tapered=False)
                )
        count = int(values["strands"])
        centres = np.stack(
            [rng.uniform(0.0, sc.width_mm, count), rng.uniform(0.15, 0.9, count) * sc.depth_mm],
            axis=1,
        )
        parts += streaks(
            sc,
            rng,
            centres,
            rng.uniform(-30.0, 30.0, count),
            length_mm=(0.03 * sc.depth_mm, 0.2 * sc.depth_mm),
            level_db=(base + 8.0, base + 18.0),
            bend=0.06,
            coherence=0.97,
        )
        return Scatterers.join(parts)

    def shadowing_mm(self) -> list[Floats]:
        """Return nothing: sound passes everywhere."""
        return []

    def truth(self, place: Placement) -> Truth | None:  # noqa: ARG002
        """Return None: there is no fascia."""
        return None
