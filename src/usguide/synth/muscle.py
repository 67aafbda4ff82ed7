"""A leg muscle in the long axis: skin, fat, aponeuroses, pennate fibres, the muscle below.

The proximal end is on the left; a mirrored scene is flipped as a whole. Lengths in mm.
"""

from __future__ import annotations

import numpy as np

from usguide.errors import ConfigError
from usguide.model import Floats
from usguide.synth.belly import Belly, Edge, rest_gap_mm
from usguide.synth.parameters import Choice, Number, Parameter, Switch, Value
from usguide.synth.scanner import Scanner, Scatterers
from usguide.synth.tissue import fibre, mottle, smoothstep, speckle, streaks, wander

PARAMETERS: dict[str, Parameter] = {
    "muscle_mm": Number(11.0, 20.0, "mm", "thickness between the aponeuroses", 4.0, 60.0),
    "fat_mm": Number(3.0, 8.0, "mm", "skin and fat over the muscle", 2.0, 40.0),
    "superficial_tilt_deg": Number(-4.0, 4.0, "deg", "superficial aponeurosis", -12.0, 12.0),
    "deep_tilt_deg": Number(-4.0, 4.0, "deg", "deep aponeurosis", -12.0, 12.0),
    "pennation_deg": Number(10.0, 25.0, "deg", "fibres against the deep aponeurosis", 0.0, 40.0),
    "aponeurosis_mm": Number(0.7, 1.6, "mm", "thickness of an aponeurosis", 0.2, 4.0),
    "aponeurosis_db": Number(10.0, 18.0, "dB", "aponeurosis above the fat", 0.0, 35.0),
    "muscle_level_db": Number(-11.0, -4.0, "dB", "muscle against the fat", -30.0, 6.0),
    "fibre_contrast_db": Number(8.0, 18.0, "dB", "brightest fibres above the muscle", 0.0, 30.0),
    "atrophy": Number(
        0.2, 1.0, "", "0 healthy, 1 two thirds as thick and 9 dB brighter", 0.0, 1.0, chance=0.15
    ),
    "contractions": Number(1, 2, "", "contractions in the clip", 0, 8, whole=True),
    "excursion_mm": Number(2.0, 8.0, "mm", "slide of the deep aponeurosis", 0.0, 25.0),
    "under_slide": Number(
        0.3, 0.7, "", "slide of the muscle below, of the excursion; negative: it slides back", -1, 1
    ),
    "thickening": Number(0.0, 0.18, "", "gain in thickness at full contraction", -0.3, 0.6),
    "starts_contracted": Switch(0.0, "the clip begins in the middle of the first contraction"),
    "unequal": Number(0.0, 0.25, "", "how much weaker later contractions may be", 0.0, 1.0),
    "dimming_db": Number(
        -2.0, 1.0, "dB", "change of the muscle's echoes at full contraction", -9, 9
    ),
    "vessels": Number(
        0, 0, "", "vessels in cross-section: round, dark, no tear", 0, 12, whole=True
    ),
    "tear": Choice(("none", "partial", "complete"), "tear", ("none",)),
    "torn_fraction": Number(
        0.25, 0.7, "", "torn part of the thickness of a partial tear (Peetrons 2: 5-50 %)", 0.05, 1
    ),
    "torn_side": Choice(("deep", "superficial"), "aponeurosis that a partial tear starts from"),
    "tear_x": Number(0.35, 0.65, "", "place of the tear as a fraction of the width", 0.1, 0.9),
    "tear_lean_deg": Number(-25.0, 25.0, "deg", "lean of the tear from upright", -50.0, 50.0),
    "open_at_rest": Switch(0.5, "whether the gap is seen at rest"),
    "gap_mm": Number(3.0, 9.0, "mm", "gap at rest of an open tear", 0.0, 60.0),
    "closed_gap_mm": Number(0.2, 0.7, "mm", "gap at rest of a closed tear", 0.0, 3.0),
    "widening_mm": Number(1.5, 7.0, "mm", "what full contraction adds to the gap", 0.0, 30.0),
    "retraction": Number(0.6, 0.95, "", "share of it taken by the proximal end", 0.0, 1.0),
    "fluid_db": Number(-30.0, -18.0, "dB", "echoes in the gap", -60.0, 0.0),
    "hematoma_mm": Number(
        6.0,
        16.0,
        "mm",
        "length of a collection beside a tear (6-16 mm, PMC2667601); 0 for none",
        0.0,
        60.0,
        chance=0.25,
    ),
}


_EMPTY_DB = -80.0
"""Tissue's own level inside the gap: nothing; the fluid there moves differently."""


class Muscle:
    """The tissue of a leg muscle.

    Parameters
    ----------
    scanner : Scanner
        Probe and settings.
    values : dict
        A value for each of ``PARAMETERS``.
    belly : Belly
        The muscle's shape.
    edge : Edge or None
        The tear.
    rng : numpy.random.Generator
        Source of everything random in the tissue.

    Raises
    ------
    ConfigError
        If the collection does not fit in the picture.
    """

    def __init__(
        self,
        scanner: Scanner,
        values: dict[str, Value],
        belly: Belly,
        edge: Edge | None,
        rng: np.random.Generator,
    ) -> None:
        self._scanner = scanner
        self.values = {name: values[name] for name in PARAMETERS}
        self.belly = belly
        self.edge = edge
        # Room on the right for what a contraction draws into the picture.
        reach = float(values["excursion_mm"]) + float(values["widening_mm"]) + 3.0
        reach += float(values["drift_mm"]) + abs(float(values["slip_mm"]))
        self._box = (-reach, -0.5, scanner.width_mm + reach, scanner.depth_mm + 3.0)
        self.hematoma_mm = self._hematoma(rng)
        self.vessels_mm = [self._vessel(rng) for _ in range(int(self.values["vessels"]))]
        self.tissue = self._tissue(rng)

    def _vessel(self, rng: np.random.Generator) -> tuple[float, float, float]:
        """Return centre x, z and radius of a vessel in the muscle or between it and the next."""
        x, radius = rng.uniform(0.1, 0.9) * self._scanner.width_mm, rng.uniform(0.6, 1.8)
        top = float(self.belly.superficial_z(np.array(x))) + radius + 0.5
        bottom = float(self.belly.deep_z(np.array(x)))
        sheet = float(self.values["aponeurosis_mm"])
        in_muscle = rng.uniform(top, max(bottom - radius - 0.5, top))
        beneath = bottom + sheet + radius + rng.uniform(0.3, 2.0)
        return x, in_muscle if rng.uniform() < 0.5 else beneath, radius

    def _hematoma(self, rng: np.random.Generator) -> tuple[float, float, float, float] | None:
        """Centre x, z and half axes of the collection: flat, along the fibres."""
        length = float(self.values["hematoma_mm"])
        if length == 0.0 or self.edge is None:
            return None
        if length > 0.9 * self._scanner.width_mm:
            raise ConfigError(
                f"hematoma_mm={length:g} does not fit in a picture of "
                f"{self._scanner.width_mm:.1f} mm; make it smaller."
            )
        x = float(self.values["tear_x"]) * self._scanner.width_mm + rng.uniform(-1.0, 1.0)
        top = float(self.belly.superficial_z(np.array(x)))
        bottom = float(self.belly.deep_z(np.array(x)))
        half = min(0.5 * length * rng.uniform(0.35, 0.6), 0.42 * (bottom - top))
        centre = bottom - half - 0.4 if self.values["torn_side"] == "deep" else top + half + 0.4
        return x, centre, length / 2.0, half

    def _gap(self, x: Floats, z: Floats) -> tuple[Floats, Floats]:
        """Depth inside the gap at rest (mm, negative outside) and the relative gape there."""
        if self.edge is None:
            return np.full_like(x, -1e3), np.zeros_like(x)
        line, gape = self.edge.at(self.belly.height(x, z))
        return np.asarray(0.5 * rest_gap_mm(self.values) * gape - np.abs(x - line)), gape

    def _tissue(self, rng: np.random.Generator) -> Scatterers:
        v, sc, box, belly = self.values, self._scanner, self._box, self.belly
        angle = np.radians(float(v["deep_tilt_deg"]) + float(v["pennation_deg"]))
        cos, sin = float(np.cos(angle)), float(np.sin(angle))
        fat = mottle(rng, box, (4.0, 0.8), 3.0)
        big = (-90.0, -90.0, 190.0, 190.0)
        fascicles = mottle(rng, big, (7.0, 0.9), 3.0)
        coarse = mottle(rng, box, (7.0, 5.0), 2.0)
        below = mottle(rng, box, (5.0, 4.0), 3.5)
        muscle_db = float(v["muscle_level_db"]) + 9.0 * float(v["atrophy"])
        fluid_db = float(v["fluid_db"])
        sheet = float(v["aponeurosis_mm"])

        def level(x: Floats, z: Floats) -> Floats:
            top, bottom = belly.superficial_z(x), belly.deep_z(x)
            along, across = x * cos + z * sin, z * cos - x * sin
            inner = muscle_db + fascicles(along, across)
            inside, gape = self._gap(x, z)
            # Ends bunch up and look brighter over a millimetre or two.
            inner = inner + 4.0 * gape * np.exp(-np.clip(-inside, 0.0, None) / 1.2)
            wet = smoothstep(inside / 0.3 + 0.5)
            inner = inner * (1.0 - wet) + _EMPTY_DB * wet
            inner = self._with_hematoma(x, z, inner, fluid_db)
            deeper = muscle_db - 1.0 + below(x, z) - 0.35 * (z - bottom)
            db = np.where(z < top, fat(x, z), np.where(z > bottom, deeper, inner))
            sheets = ((z > top - sheet) & (z < top)) | ((z > bottom) & (z < bottom + sheet))
            db = self._with_vessels(x, z, db)
            db = np.where(sheets, 0.45 * float(v["aponeurosis_db"]), db)
            return np.asarray(db + coarse(x, z))

        parts = [speckle(sc, rng, box, level)]
        parts += self._over(rng) + self._sheets(rng)
        parts += self._fascicles(rng, np.degrees(angle)) + self._under(rng)
        return Scatterers.join(parts)

    def _with_vessels(self, x: Floats, z: Floats, db: Floats) -> Floats:
        for cx, cz, radius in self.vessels_mm:
            outside = np.hypot(x - cx, z - cz) - radius
            wall = 8.0 * np.exp(-0.5 * (outside / 0.2) ** 2)
            wet = 1.0 - smoothstep(outside / 0.25 + 0.5)
            db = db * (1.0 - wet) - 28.0 * wet + wall
        return db

    def _with_hematoma(self, x: Floats, z: Floats, db: Floats, fluid_db: float) -> Floats:
        if self.hematoma_mm is None:
            return db
        cx, cz, half_x, half_z = self.hematoma_mm
        radius = np.hypot((x - cx) / half_x, (z - cz) / half_z)
        wet = 1.0 - smoothstep((radius - 1.0) * min(half_x, half_z) / 0.8 + 0.5)
        return np.asarray(db * (1.0 - wet) + (fluid_db + 3.0) * wet)

    def _over(self, rng: np.random.Generator) -> list[Scatterers]:
        """Skin and the septa of the fat."""
        x0, _, x1, _ = self._box
        x = np.linspace(x0, x1, 80)
        made = []
        for depth, db in ((0.15, 16.0), (0.6, 10.0), (1.4, 8.0)):
            curve = np.stack([x, depth + 0.05 * wander(rng, x, 15.0)], axis=1)
            made.append(fibre(self._scanner, rng, curve, db, coherence=0.9, tapered=False))
        deepest = float(self.belly.superficial_z(x).max())
        count = int(0.25 * (x1 - x0) * deepest)
        centres = np.stack([rng.uniform(x0, x1, count), rng.uniform(1.2, deepest, count)], axis=1)
        keep = centres[:, 1] < self.belly.superficial_z(centres[:, 0]) - 1.0
        return made + streaks(
            self._scanner,
            rng,
            centres[keep],
            rng.normal(0.0, 9.0, int(keep.sum())),
            length_mm=(2.0, 9.0),
            level_db=(4.0, 17.0),
            bend=0.12,
            coherence=0.85,
        )

    def _sheets(self, rng: np.random.Generator) -> list[Scatterers]:
        """Both aponeuroses: a few bright lines each, over their thickness."""
        x = np.linspace(self._box[0], self._box[2], 120)
        sheet, bright = float(self.values["aponeurosis_mm"]), float(self.values["aponeurosis_db"])
        made = []
        for line, direction in ((self.belly.superficial_z(x), -1.0), (self.belly.deep_z(x), 1.0)):
            for share in np.linspace(0.08, 1.0, max(2, round(sheet / 0.3))):
                z = line + direction * share * sheet * (1.0 + 0.06 * wander(rng, x, 12.0))
                levels = bright - 5.0 * share + 4.0 * wander(rng, x, 11.0)
                curve = np.stack([x, z], axis=1)
                made.append(
                    fibre(
                        self._scanner,
                        rng,
                        curve,
                        levels,
                        coherence=0.9,
                        roughness_db=2.5,
                        thickness_mm=0.05,
                        tapered=False,
                    )
                )
        return made

    def _fascicles(self, rng: np.random.Generator, angle_deg: float) -> list[Scatterers]:
        """Return the connective tissue between the fibres: oblique streaks, cut by a tear."""
        x0, _, x1, _ = self._box
        base = float(self.values["muscle_level_db"])
        contrast = float(self.values["fibre_contrast_db"])
        thickness = float(
            self.belly.deep_z(np.array(0.0)) - self.belly.superficial_z(np.array(0.0))
        )
        count = int(0.30 * (x1 - x0) * thickness * (1.0 - 0.5 * float(self.values["atrophy"])))
        made = []
        for _ in range(count):
            length = rng.uniform(2.0, 10.0)
            along = np.linspace(-0.5, 0.5, max(12, int(length / 0.25)))
            tilt = np.radians(angle_deg + rng.normal(0.0, 2.5))
            x = rng.uniform(x0, x1) + length * along * np.cos(tilt)
            h = rng.uniform(0.03, 0.97)
            middle = float(np.mean(x))
            z = float(self.belly.superficial_z(np.array(middle))) + h * thickness
            z = z + length * along * np.sin(tilt) + rng.uniform(-0.03, 0.03) * length * along**2
            inside, _ = self._gap(x, z)
            depth = self.belly.height(x, z)
            db = base + contrast * rng.uniform(0.1, 1.0) ** 1.5 + 2.0
            levels = np.full_like(x, db)
            levels[(depth < 0.02) | (depth > 0.98)] = -60.0
            levels = levels - 50.0 * smoothstep(inside / 0.3 + 0.5)
            for cx, cz, radius in self.vessels_mm:
                levels = np.where(np.hypot(x - cx, z - cz) < radius, -60.0, levels)
            if self.hematoma_mm is not None:
                levels = np.minimum(levels, self._with_hematoma(x, z, levels, -60.0))
            curve = np.stack([x, z], axis=1)
            made.append(fibre(self._scanner, rng, curve, levels, coherence=0.97))
        return made

    def _under(self, rng: np.random.Generator) -> list[Scatterers]:
        """Streaks of the muscle below, flatter and weaker."""
        x0, _, x1, z1 = self._box
        deepest = float(self.belly.deep_z(np.array([x0, x1])).min())
        count = int(0.06 * (x1 - x0) * max(z1 - deepest, 0.0))
        centres = np.stack([rng.uniform(x0, x1, count), rng.uniform(deepest, z1, count)], axis=1)
        keep = centres[:, 1] > self.belly.deep_z(centres[:, 0]) + 2.5
        base = float(self.values["muscle_level_db"])
        return streaks(
            self._scanner,
            rng,
            centres[keep],
            rng.normal(-4.0, 6.0, int(keep.sum())),
            length_mm=(2.0, 9.0),
            level_db=(base - 4.0, base + 11.0),
            bend=0.05,
            coherence=0.9,
        )
