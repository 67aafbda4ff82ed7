"""The shape of a leg muscle, and of a tear through it. Lengths in mm.

The muscle's own depth h runs from 0 at the superficial to 1 at the deep aponeurosis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from usguide.errors import ConfigError
from usguide.model import Floats
from usguide.synth.motion import Coordinates
from usguide.synth.parameters import Value
from usguide.synth.scanner import Scanner
from usguide.synth.tissue import smoothstep, wander


@dataclass(frozen=True, slots=True)
class Belly:
    """The muscle between its aponeuroses, inner edges z = a + b x + c x^2, mm.

    Parameters
    ----------
    superficial, deep : (float, float, float)
        Coefficients a, b, c.
    """

    superficial: tuple[float, float, float]
    deep: tuple[float, float, float]

    def superficial_z(self, x: Coordinates) -> Coordinates:
        """Depth of the superficial aponeurosis' inner edge."""
        a, b, c = self.superficial
        return a + x * (b + c * x)

    def deep_z(self, x: Coordinates) -> Coordinates:
        """Depth of the deep aponeurosis' inner edge."""
        a, b, c = self.deep
        return a + x * (b + c * x)

    def height(self, x: Coordinates, z: Coordinates) -> Coordinates:
        """Depth within the muscle, 0 to 1; beyond outside."""
        top = self.superficial_z(x)
        return (z - top) / (self.deep_z(x) - top)

    def slope(self, x: Coordinates, h: Coordinates) -> Coordinates:
        """Slope dz/dx of the layer at depth h."""
        share = np.clip(h, 0.0, 1.0)
        above = self.superficial[1] + 2.0 * self.superficial[2] * x
        below = self.deep[1] + 2.0 * self.deep[2] * x
        return above + share * (below - above)


@dataclass(frozen=True, slots=True, eq=False)
class Edge:
    """The line of a tear through the muscle, and how wide it gapes along it.

    Parameters
    ----------
    h : ndarray, shape (k,)
        Depth within the muscle, 0 to 1, increasing.
    x_mm : ndarray, shape (k,)
        Position of the line.
    gape : ndarray, shape (k,)
        Relative width, 0 where the muscle is whole.
    """

    h: Floats
    x_mm: Floats
    gape: Floats

    def at(self, h: Coordinates) -> tuple[Floats, Floats]:
        """Position of the line at depths h, and the relative gape there; 0 outside the muscle."""
        x = np.interp(h, self.h, self.x_mm)
        return x, np.asarray(np.interp(h, self.h, self.gape, left=0.0, right=0.0))


def belly_of(scanner: Scanner, values: dict[str, Value]) -> Belly:
    """Return the muscle that the parameters describe.

    Raises
    ------
    ConfigError
        If it does not fit in the picture.
    """
    thickness = float(values["muscle_mm"]) * (1.0 - float(values["atrophy"]) / 3.0)
    top = float(values["fat_mm"]) + float(values["aponeurosis_mm"])
    if top + thickness + 2.0 > scanner.depth_mm:
        raise ConfigError(
            f"fat_mm and muscle_mm reach {top + thickness:.1f} mm in an image of "
            f"{scanner.depth_mm:.1f} mm; make depth_mm larger."
        )
    slopes = [np.tan(np.radians(float(values[f"{side}_tilt_deg"]))) for side in
              ("superficial", "deep")]  # fmt: skip
    middle = scanner.width_mm / 2.0
    # Given at the middle of the picture; the lines must not cross inside it.
    thinnest = thickness - abs(slopes[1] - slopes[0]) * middle
    highest = top - abs(slopes[0]) * middle
    if thinnest < 3.0 or highest < 1.0:
        raise ConfigError(
            "superficial_tilt_deg and deep_tilt_deg make the aponeuroses meet or leave the "
            "picture; make them smaller."
        )
    return Belly(
        (top - float(slopes[0]) * middle, float(slopes[0]), 0.0),
        (top + thickness - float(slopes[1]) * middle, float(slopes[1]), 0.0),
    )


def edge_of(
    scanner: Scanner, values: dict[str, Value], belly: Belly, rng: np.random.Generator
) -> Edge | None:
    """Return the line of the tear, or None for a whole muscle.

    Raises
    ------
    ConfigError
        If the tear is wider than the muscle shown.
    """
    kind = str(values["tear"])
    if kind == "none":
        return None
    rest = rest_gap_mm(values)
    width = rest + float(values["widening_mm"])
    if width > 0.8 * scanner.width_mm:
        raise ConfigError(
            f"gap and widening_mm make a tear of {width:.1f} mm in {scanner.width_mm:.1f} mm of "
            "muscle; make them smaller."
        )
    h = np.linspace(0.0, 1.0, 201)
    torn = 1.0 if kind == "complete" else float(values["torn_fraction"])
    if kind == "complete":
        # Both aponeuroses hold: the gap closes, round, at either end.
        gape = np.sqrt(np.clip(1.0 - np.abs(2.0 * h - 1.0) ** 6, 0.0, None))
    else:
        from_side = h if values["torn_side"] == "superficial" else 1.0 - h
        share = from_side / torn
        gape = np.sqrt(np.clip(1.0 - share**2, 0.0, None)) * np.sqrt(smoothstep(share / 0.12))
    thickness = float(belly.deep_z(np.array(0.0)) - belly.superficial_z(np.array(0.0)))
    lean = np.tan(np.radians(float(values["tear_lean_deg"])))
    frayed = 0.35 * wander(rng, h * thickness, 5.0)
    x = float(values["tear_x"]) * scanner.width_mm + lean * (h - 0.5) * thickness + frayed
    gape = gape * (1.0 + 0.08 * wander(rng, h * thickness, 4.0))
    return Edge(h, x, np.clip(gape, 0.0, None))


def rest_gap_mm(values: dict[str, Value]) -> float:
    """Width of the gap at rest."""
    return float(values["gap_mm" if values["open_at_rest"] else "closed_gap_mm"])
