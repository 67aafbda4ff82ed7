"""A heel in the sagittal long axis: skin, fat pad with septa, calcaneus, plantar fascia, muscle.

Built with the calcaneus on the left; a mirrored scene is flipped as a whole. Lengths in mm, x from
the image's left edge, z from the probe's face.
"""

from __future__ import annotations

import numpy as np

from usguide.errors import ConfigError
from usguide.model import STATIONS_MM, Bools, Floats
from usguide.synth.band import draw_band
from usguide.synth.calcaneus import Calcaneus
from usguide.synth.parameters import Choice, Number, Parameter, Switch, Value
from usguide.synth.scanner import Scanner, Scatterers
from usguide.synth.scene import Placement, Truth, rounded
from usguide.synth.tissue import fibre, mottle, smoothstep, speckle, streaks, wander

PARAMETERS: dict[str, Parameter] = {
    "thickness_mm": Number(
        1.5, 8.0, "mm", "fascia thickness at the insertion (2-4 mm in controls, PMC7425221)"
    ),
    "distal_fraction": Number(
        0.45, 0.85, "", "thickness far from the insertion over thickness there", 0.2, 1.0
    ),
    "decline_mm": Number(
        5.0,
        14.0,
        "mm",
        "length of the exponential decline (doi 10.1109/access.2019.2909409)",
        2,
        50,
    ),
    "bulge_mm": Number(
        0.8, 2.5, "mm", "extra thickness of a local bulge; 0 for none", 0.0, 4.0, chance=0.2
    ),
    "bulge_at_mm": Number(4.0, 18.0, "mm", "where the bulge is, from the insertion", 0.0, 40.0),
    "disease": Number(0.0, 1.0, "", "0 healthy, 1 hypoechoic with lost fibrils and deep border"),
    "fascia_level_db": Number(-2.0, 2.0, "dB", "healthy fascia against the fat pad", -15.0, 10.0),
    "fluid_mm": Number(
        0.6, 2.0, "mm", "thickness of a perifascial fluid film; 0 for none", 0.0, 4.0, chance=0.15
    ),
    "fluid_at": Choice(("deep", "superficial"), "border that the film lies on", drawn=("deep",)),
    "rupture_mm": Number(0.0, 0.0, "mm", "width of a gap in the fascia; 0 for none", 0.0, 15.0),
    "rupture_at_mm": Number(
        5.0, 11.0, "mm", "middle of the rupture, from the insertion", 2.0, 40.0
    ),
    "fat_pad_mm": Number(
        7.0, 13.0, "mm", "skin and fat over the fascia, compressed (20 +- 2 mm free, PMID 16513397)"
    ),
    "septa_per_mm2": Number(0.5, 1.1, "1/mm2", "density of fat septa", 0.0, 4.0),
    "insertion_x": Number(0.33, 0.5, "", "insertion as a fraction of the image's width", 0.2, 0.7),
    "tilt_deg": Number(-4.0, 6.0, "deg", "direction of the fascia at its insertion", -15.0, 20.0),
    "bow_deg": Number(-5.0, 5.0, "deg", "change of that direction over 30 mm", -15.0, 15.0),
    "bone_drop_mm": Number(
        1.2, 3.0, "mm", "height of the calcaneus above its front edge", 0.5, 6.0
    ),
    "bone_level_db": Number(22.0, 30.0, "dB", "bone square to the beam, above fat", 5.0, 40.0),
    "bone_rough_mm": Number(0.01, 0.07, "mm", "roughness of the bone surface", 0.0, 1.0),
    "bone_mirror": Switch(
        0.0, "reverberation between bone and probe: a second line, twice as deep"
    ),
    "bone_dropout": Number(
        0.0, 0.25, "", "fraction of the bone surface that gives no echo", 0, 0.9
    ),
    "spur_mm": Number(2.0, 6.0, "mm", "length of a heel spur; 0 for none", 0.0, 12.0, chance=0.2),
    "muscle_level_db": Number(-14.0, -8.0, "dB", "flexor muscle under the fascia", -30.0, 0.0),
}

FLUID_DB = -40.0
"""Fluid has no echoes of its own: what is seen in it is noise and what its surroundings spill."""
FLUID_MIDDLE_MM, FLUID_HALF_MM = 8.0, 7.0
"""Where the film is thickest, in front of the insertion, and half its length, along x."""

SKIN_MM = 1.6
"""Thickness of skin and gel line as drawn."""


class Heel:
    """The tissue of a heel and its truth.

    Parameters
    ----------
    scanner : Scanner
        Probe and settings.
    values : dict
        A value for each of ``PARAMETERS``.
    rng : numpy.random.Generator
        Source of everything random in the tissue.

    Raises
    ------
    ConfigError
        If the heel does not fit in the image.
    """

    def __init__(
        self, scanner: Scanner, values: dict[str, Value], rng: np.random.Generator
    ) -> None:
        self._scanner = scanner
        self.values = {name: values[name] for name in PARAMETERS}
        self.insertion_x = float(values["insertion_x"]) * scanner.width_mm
        # Room for what the sliding probe brings into the picture.
        margin = 3.0 + float(values["drift_mm"]) + abs(float(values["slip_mm"]))
        self._box = (-margin, -0.5, scanner.width_mm + margin, scanner.depth_mm + 1.0)
        self.band = draw_band(
            self.values, self.insertion_x, 1.3 * (self._box[2] - self.insertion_x)
        )
        insertion_z = float(self.band.deep_mm[0, 1])
        if insertion_z + 3.0 > scanner.depth_mm:
            raise ConfigError(
                f"fat_pad_mm and thickness_mm put the insertion {insertion_z:.1f} mm deep in an "
                f"image of {scanner.depth_mm:.1f} mm; make depth_mm larger."
            )
        self._check_rupture()
        self.bone = Calcaneus(scanner, self.values, self.band, self.insertion_x, self._box[0], rng)
        x = np.arange(self._box[0], self._box[2], 0.1)
        bone = np.interp(x, *self.bone.surface_mm.T)
        deep = np.interp(x, *self.band.deep_mm.T)
        # Over the bone the band runs on in its own direction and thins to nothing.
        slope = float(np.tan(np.radians(float(self.values["tilt_deg"]))))
        first = self.band.superficial_mm[0]
        line = np.where(
            x < first[0],
            first[1] + slope * (x - first[0]),
            np.interp(x, *self.band.superficial_mm.T),
        )
        on_bone = x < self.insertion_x
        self._x = x
        self._deep = np.where(on_bone, bone, deep)
        self._superficial = np.where(on_bone, np.minimum(line, bone - 0.4), line)
        self.tissue = self._tissue(rng)

    def _check_rupture(self) -> None:
        width, at = float(self.values["rupture_mm"]), float(self.values["rupture_at_mm"])
        end = np.interp(at + width / 2.0, self.band.distance_mm, self.band.midline_mm[:, 0])
        if width > 0 and (end > self._scanner.width_mm or width / 2.0 > at):
            raise ConfigError(
                f"A rupture of {width:.1f} mm at {at:.1f} mm does not lie on the fascia shown; "
                "change rupture_mm, rupture_at_mm or insertion_x."
            )

    def _rupture(self, x: Floats) -> Floats:
        """1 inside the rupture at position x, falling to 0 within 0.3 mm of its edges."""
        width = float(self.values["rupture_mm"])
        if width == 0.0:
            return np.zeros_like(x)
        distance = np.interp(x, self.band.midline_mm[:, 0], self.band.distance_mm, left=-1e3)
        outside = np.abs(distance - float(self.values["rupture_at_mm"])) - width / 2.0
        return np.asarray(1.0 - smoothstep(outside / 0.3 + 0.5))

    def _film_mm(self, x: Floats) -> Floats:
        """Thickness of the fluid film at position x, along z."""
        away = (x - self.insertion_x - FLUID_MIDDLE_MM) / FLUID_HALF_MM
        return np.asarray(float(self.values["fluid_mm"]) * np.clip(1.0 - away**2, 0.0, None))

    def _in_fluid(self, x: Floats, z: Floats) -> Bools:
        """Whether points lie in the fluid film."""
        if self.values["fluid_at"] == "deep":
            above = z - np.interp(x, self._x, self._deep)
        else:
            above = np.interp(x, self._x, self._superficial) - z
        return np.asarray((above > 0.0) & (above < self._film_mm(x)))

    def _fluid_truth(self) -> Truth | None:
        """Return where the film lies and how thick it is, normal to the band."""
        thickest = float(self.values["fluid_mm"])
        if thickest == 0.0:
            return None
        band = self.band
        first, middle, last = np.interp(
            self.insertion_x + FLUID_MIDDLE_MM + FLUID_HALF_MM * np.array([-1.0, 0.0, 1.0]),
            band.midline_mm[:, 0],
            band.distance_mm,
        )
        angle = float(self.values["tilt_deg"]) + float(self.values["bow_deg"]) * middle / 30.0
        return {
            "border": self.values["fluid_at"],
            "distance_mm": round(float(middle), 2),
            "extent_mm": round(float(last - first), 2),
            "thickness_mm": round(thickest * float(np.cos(np.radians(angle))), 4),
        }

    def _tissue(self, rng: np.random.Generator) -> Scatterers:
        v, sc, box = self.values, self._scanner, self._box
        disease = float(v["disease"])
        fat = mottle(rng, box, (3.0, 0.6), 4.0)
        coarse = mottle(rng, box, (9.0, 4.0), 1.2)
        muscle_texture = mottle(rng, box, (5.0, 1.2), 2.0)
        fascia_texture = mottle(rng, box, (5.0, 0.35), 1.5 + disease)
        fascia_db = float(v["fascia_level_db"]) - 7.0 * disease
        muscle_db = float(v["muscle_level_db"])
        muscle_mm = rng.uniform(7.0, 12.0)

        def level(x: Floats, z: Floats) -> Floats:
            superficial = np.interp(x, self._x, self._superficial)
            deep = np.interp(x, self._x, self._deep)
            below = smoothstep((z - deep) / 0.3 + 0.5)
            # The deep border of a diseased fascia is lost: the levels run into one another.
            edge = 0.25 + 0.5 * disease
            in_band = smoothstep((z - superficial) / 0.25 + 0.5) * (
                1.0 - smoothstep((z - deep) / edge + 0.5)
            )
            torn = self._rupture(x) * in_band
            db = fat(x, z) + 2.5 * (z < SKIN_MM)
            db = db * (1.0 - below) + below * (muscle_db + muscle_texture(x, z))
            beyond = smoothstep((z - deep - muscle_mm) / 2.0)
            db = db + beyond * 3.0
            db = db * (1.0 - in_band) + in_band * (fascia_db + fascia_texture(x, z))
            db = db * (1.0 - torn) + torn * -17.0
            return np.where(self._in_fluid(x, z), FLUID_DB, db + coarse(x, z))

        parts = [speckle(sc, rng, box, level)]
        parts += self._skin(rng) + self._septa(rng) + self._fascia_fibres(rng)
        parts += self._muscle_fibres(rng, muscle_mm) + self.bone.echo(rng)
        return Scatterers.join(parts)

    def _skin(self, rng: np.random.Generator) -> list[Scatterers]:
        x = np.linspace(self._box[0], self._box[2], 60)
        made = []
        for depth, db in ((0.15, 16.0), (0.5, 12.0), (SKIN_MM, 9.0)):
            z = depth + 0.05 * wander(rng, x, 15.0)
            curve = np.stack([x, z], axis=1)
            made.append(fibre(self._scanner, rng, curve, db, coherence=0.9, tapered=False))
        return made

    def _septa(self, rng: np.random.Generator) -> list[Scatterers]:
        x0, _, x1, _ = self._box
        deepest = float(self._superficial.max())
        count = int(float(self.values["septa_per_mm2"]) * (x1 - x0) * deepest)
        centres = np.stack([rng.uniform(x0, x1, count), rng.uniform(1.0, deepest, count)], axis=1)
        centres = centres[centres[:, 1] < np.interp(centres[:, 0], self._x, self._superficial)]
        centres = centres[~self._in_fluid(*centres.T)]
        angles = rng.normal(0.0, 8.0, len(centres))
        steep = rng.uniform(size=len(centres)) < 0.12
        angles[steep] = rng.uniform(-50.0, 50.0, int(steep.sum()))
        return streaks(
            self._scanner,
            rng,
            centres,
            angles,
            length_mm=(0.8, 4.5),
            level_db=(2.0, 17.0),
            bend=0.10,
            coherence=0.8,
        )

    def _fascia_fibres(self, rng: np.random.Generator) -> list[Scatterers]:
        sc, disease = self._scanner, float(self.values["disease"])
        made = []
        area = float(np.sum(self._deep - self._superficial) * 0.1)
        base = float(self.values["fascia_level_db"])
        for _ in range(int(area * 1.1 * (1.0 - 0.75 * disease))):
            length, share = rng.uniform(3.0, 12.0), rng.uniform(0.06, 0.94)
            start = rng.uniform(self._x[0], self._x[-1] - length)
            x = np.linspace(start, start + length, 24)
            superficial = np.interp(x, self._x, self._superficial)
            deep = np.interp(x, self._x, self._deep)
            z = superficial + share * (deep - superficial)
            db = base + rng.uniform(0.0, 10.0) - 5.0 * disease - 60.0 * self._rupture(x)
            curve = np.stack([x, z], axis=1)
            made.append(fibre(sc, rng, curve, db, coherence=0.8))
        on_bone = self._x < self.insertion_x
        for border, bright, lost in (
            (self._superficial, 11.0, 2.0 * disease),
            (self._deep, 8.0, 14.0 * disease),
        ):
            keep = np.ones_like(on_bone) if border is self._superficial else ~on_bone
            curve = np.stack([self._x, border], axis=1)[keep]
            levels = bright - lost + base - 60.0 * self._rupture(curve[:, 0])
            made.append(
                fibre(
                    sc,
                    rng,
                    curve,
                    levels,
                    coherence=0.8,
                    roughness_db=4.0,
                    thickness_mm=0.04,
                    tapered=False,
                )
            )
        return made

    def _muscle_fibres(self, rng: np.random.Generator, muscle_mm: float) -> list[Scatterers]:
        base = float(self.values["muscle_level_db"])
        _, _, x1, z1 = self._box
        count = int(0.25 * (x1 - self.insertion_x) * (z1 - float(self._deep.min())))
        x = rng.uniform(self.insertion_x - 2.0, x1, count)
        z = np.interp(x, self._x, self._deep) + rng.uniform(0.4, 1.6 * muscle_mm, count)
        dry = ~self._in_fluid(x, z)
        x, z, count = x[dry], z[dry], int(dry.sum())
        made = streaks(
            self._scanner,
            rng,
            np.stack([x, z], axis=1),
            rng.normal(float(self.values["tilt_deg"]) + 3.0, 5.0, count),
            length_mm=(1.5, 7.0),
            level_db=(base + 2.0, base + 16.0),
            bend=0.05,
            coherence=0.8,
        )
        x = np.linspace(self.insertion_x, x1, 60)
        z = np.interp(x, self._x, self._deep) + muscle_mm + 0.5 * wander(rng, x, 20.0)
        curve = np.stack([x, z], axis=1)
        made.append(fibre(self._scanner, rng, curve, 6.0, coherence=0.85, thickness_mm=0.1))
        return made

    def shadowing_mm(self) -> list[Floats]:
        """Surfaces that nothing is seen behind, each (k, 2)."""
        return self.bone.shadowing_mm()

    def truth(self, place: Placement) -> Truth:
        """Return the fascia's geometry at rest."""
        band, v = self.band, self.values
        shown = band.midline_mm[:, 0] <= self._scanner.width_mm
        reach = float(band.distance_mm[shown].max())
        thickness = band.thickness_mm[shown]
        thickest = int(np.argmax(thickness))
        step = slice(None, None, 5)
        width = float(v["rupture_mm"])
        bone, spur = self.bone.surface_mm, self.bone.spur_mm
        bone = bone[(bone[:, 0] >= 0) & (bone[:, 0] <= self.insertion_x)]
        return {
            "side": "right" if place.mirrored else "left",
            "insertion_px": rounded(place.px(band.deep_mm[0]), 2),
            "thickness_mm": {
                "insertion": round(float(thickness[0]), 4),
                "maximum": round(float(thickness[thickest]), 4),
                "maximum_distance_mm": round(float(band.distance_mm[thickest]), 2),
                "stations": [
                    {
                        "distance_mm": station,
                        "value": round(
                            float(np.interp(station, band.distance_mm, band.thickness_mm)), 4
                        ),
                    }
                    for station in STATIONS_MM
                    if station <= reach
                ],
            },
            "profile": {
                "distance_mm": rounded(band.distance_mm[shown][step], 3),
                "thickness_mm": rounded(thickness[step], 4),
            },
            "superficial_px": rounded(place.px(band.superficial_mm[shown][step]), 2),
            "deep_px": rounded(place.px(band.deep_mm[shown][step]), 2),
            "bone_px": rounded(place.px(bone[step]), 2),
            "spur_px": rounded(place.px(spur), 2) if len(spur) else [],
            "fat_pad_mm": round(float(v["fat_pad_mm"]), 4),
            "fat_pad_over_bone_mm": round(float(bone[:, 1].min()), 4),
            "spur_mm": round(float(v["spur_mm"]), 4),
            "biconvexity_mm": round(band.biconvexity_mm(reach), 4),
            "fluid": self._fluid_truth(),
            "disease": float(v["disease"]),
            "discontinuity": []
            if width == 0.0
            else [{"distance_mm": float(v["rupture_at_mm"]), "width_mm": width}],
        }
