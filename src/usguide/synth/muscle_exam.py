"""What is in front of the probe in a muscle scene: a muscle that contracts, and perhaps tears."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from usguide.model import Floats
from usguide.synth.contraction import Contraction, Cycle, Tear
from usguide.synth.elevation import Elevation
from usguide.synth.imaging import Imager
from usguide.synth.motion import Drift, Motion
from usguide.synth.muscle import Muscle
from usguide.synth.scanner import Scanner, Scatterers
from usguide.synth.scene import Placement, Truth, rounded


class MuscleWorld:
    """A muscle under a probe.

    Parameters
    ----------
    scanner : Scanner
        Probe and settings.
    muscle : Muscle
        Tissue.
    contraction : Contraction
        How the whole muscle moves.
    cycles : list of Cycle
        When.
    tear : Tear or None
        How its ends part.
    drift : Drift
        The probe's sliding.
    elevation : Elevation
        How the picture leaves the plane.
    rng : numpy.random.Generator
        Source of the echoes of the fluid in the gap.
    """

    def __init__(
        self,
        scanner: Scanner,
        muscle: Muscle,
        contraction: Contraction,
        cycles: list[Cycle],
        tear: Tear | None,
        drift: Drift,
        elevation: Elevation,
        rng: np.random.Generator,
    ) -> None:
        self.tissue = muscle.tissue
        self.motions: list[Motion] = [contraction, *([tear] if tear else []), drift]
        self._scanner = scanner
        self._muscle = muscle
        self._contraction = contraction
        self._cycles = cycles
        self._tear = tear
        self._drift = drift
        self._elevation = elevation
        belly = muscle.belly
        h = belly.height(self.tissue.x, self.tissue.z)
        self._in_muscle = ((h > 0) & (h < 1)).astype(np.float32)
        self._fluid = None if tear is None else self._fill(tear, rng)

    def _fill(self, tear: Tear, rng: np.random.Generator) -> Scatterers:
        """Return the fluid in the gap at rest, enough of it for the gap at its widest."""
        widest = tear.rest_mm + tear.widening_mm
        belly = self._muscle.belly
        deep = float(np.max(belly.deep_z(tear.edge.x_mm) - belly.superficial_z(tear.edge.x_mm)))
        count = int(self._scanner.density_per_mm2 * widest * deep)
        h, across = rng.uniform(0.0, 1.0, count), rng.uniform(-0.5, 0.5, count)
        line, gape = tear.edge.at(h)
        x = line + across * tear.rest_mm * gape
        top, bottom = belly.superficial_z(x), belly.deep_z(x)
        # As many points at every depth, in a gap that is narrower at some.
        amplitude = 10 ** (float(self._muscle.values["fluid_db"]) / 20.0) * np.sqrt(gape)
        return Scatterers(
            x.astype(np.float32),
            (top + h * (bottom - top)).astype(np.float32),
            amplitude.astype(np.float32),
            np.zeros(count, dtype=np.float32),
        )

    def instruments(self, frame: int) -> Scatterers | None:
        """Return the fluid in the gap, as bright however far the gap has opened."""
        fluid, tear = self._fluid, self._tear
        if fluid is None or tear is None:
            return None
        moved = self._moved(frame, np.stack([fluid.x, fluid.z], axis=1)).astype(np.float32)
        width = tear.rest_mm + tear.widening_mm * tear.amount(frame)
        spread = np.float32(np.sqrt(width / (tear.rest_mm + tear.widening_mm)))
        return Scatterers(
            np.ascontiguousarray(moved[:, 0]),
            np.ascontiguousarray(moved[:, 1]),
            fluid.amplitude * spread,
            fluid.coherence,
        )

    def transmission(self, frame: int, imager: Imager) -> NDArray[np.float32] | None:  # noqa: ARG002
        """Return None: nothing casts a shadow."""
        return None

    def brightness(self, frame: int) -> NDArray[np.float32] | None:
        """Return what contraction and leaving the plane make of every echo."""
        active = float(self._contraction.activation[frame])
        dimming = float(self._muscle.values["dimming_db"]) * active
        exchanged = self._elevation.factor(frame)
        if dimming == 0.0:
            return exchanged
        factor = np.float32(10 ** (dimming / 20) - 1.0) * self._in_muscle + np.float32(1.0)
        return factor if exchanged is None else factor * exchanged

    def truth(self, place: Placement, shown: list[int]) -> Truth:
        """Return the truth of muscle and contraction, for the frames shown."""
        return {
            "fascia": None,
            "needle": None,
            "twitches": [],
            "muscle": self._muscle_truth(place, shown),
            "contraction": self._contraction_truth(place, shown),
            "drift_mm": rounded(place.turn(self._drift.shift_mm)[shown], 4),
            "out_of_plane": rounded(self._elevation.exchanged[shown], 4),
        }

    def _moved(self, frame: int, points_mm: Floats) -> Floats:
        """Place of tissue points in one frame, shape (k, 2)."""
        moved = points_mm.copy()
        for motion in self.motions:
            step = motion.at(frame, points_mm[:, 0], points_mm[:, 1])
            if step is not None:
                moved += np.stack(step, axis=1)
        return moved

    def _muscle_truth(self, place: Placement, shown: list[int]) -> Truth:
        belly, width = self._muscle.belly, self._scanner.width_mm
        at = np.linspace(0.0, width, 15)
        wide = np.linspace(-30.0, width + 30.0, 200)
        lines: dict[str, list[Floats]] = {"superficial": [], "deep": []}
        thickness = []
        for frame in shown:
            depths = {}
            for side, z in (("superficial", belly.superficial_z), ("deep", belly.deep_z)):
                # A contraction moves the line's points along it; a tear does not move the line.
                line = np.stack([wide, np.asarray(z(wide))], axis=1)
                for motion in (self._contraction, self._drift):
                    step = motion.at(frame, line[:, 0], line[:, 1])
                    if step is not None:
                        line = line + np.stack(step, axis=1)
                depths[side] = np.interp(at, line[:, 0], line[:, 1])
                lines[side].append(place.px(np.stack([at, depths[side]], axis=1))[:, 1])
            middle = 0.5 * (depths["superficial"] + depths["deep"])
            tilt = math.atan(float(np.polyfit(at, middle, 1)[0]))
            thickness.append(
                float(np.mean(depths["deep"] - depths["superficial"])) * math.cos(tilt)
            )
        x = place.px(np.stack([at, at], axis=1))[:, 0]
        order = np.argsort(x)
        return {
            "x_px": rounded(x[order], 3),
            "superficial_y_px": rounded(np.array(lines["superficial"])[:, order], 3),
            "deep_y_px": rounded(np.array(lines["deep"])[:, order], 3),
            "thickness_mm": rounded(np.array(thickness), 4),
            "vessels": [
                {
                    "centre_px": rounded(place.px(np.array([x, z])), 2),
                    "diameter_mm": round(2.0 * radius, 3),
                }
                for x, z, radius in self._muscle.vessels_mm
            ],
            "atrophy": float(self._muscle.values["atrophy"]),
        }

    def _contraction_truth(self, place: Placement, shown: list[int]) -> Truth:
        contraction, tear = self._contraction, self._tear
        return {
            "activation": rounded(contraction.activation[shown], 5),
            "cycles": [
                {
                    "start_s": round(each.start_s, 4),
                    "peak_s": round(0.5 * (each.full_s + each.release_s), 4),
                    "end_s": round(each.end_s, 4),
                    "excursion_mm": round(each.height * contraction.excursion_mm, 4),
                }
                for each in self._cycles
            ],
            "separation": self._separation_truth(place, tear, shown),
            "collections": self._collections(place),
        }

    def _separation_truth(self, place: Placement, tear: Tear | None, shown: list[int]) -> Truth:
        if tear is None:
            return {"flag": "none", "tear": "none", "torn_fraction": 0.0}
        edge, belly = tear.edge, self._muscle.belly
        torn = np.flatnonzero(edge.gape > 0.05)
        h = np.linspace(edge.h[torn[0]], edge.h[torn[-1]], 41)
        centre, gape = edge.at(h)
        half = 0.5 * tear.rest_mm * gape
        widths, widest, along, middles = [], [], [], []
        # A hair outside the fluid, where the tissue of either end begins.
        hair = 1e-6
        for frame in shown:
            ends = []
            for side in (-1.0, 1.0):
                x = centre + side * (half + hair)
                top, bottom = belly.superficial_z(x), belly.deep_z(x)
                ends.append(self._moved(frame, np.stack([x, top + h * (bottom - top)], axis=1)))
            between = 0.5 * (ends[0] + ends[1])
            line = np.polyfit(between[:, 1], between[:, 0], 1)[0]
            normal = np.array([1.0, -line]) / math.hypot(1.0, line)
            gap = (ends[1] - ends[0]) @ normal
            inner = slice(10, 31)
            widths.append(float(np.mean(gap[inner])))
            widest.append(float(gap.max()))
            along.append(float(np.mean((ends[1] - ends[0])[inner, 0])))
            middles.append(place.px(between[20]))
        torn_fraction = float(edge.h[torn[-1]] - edge.h[torn[0]])
        active = self._contraction.activation[shown]
        rest, peak = int(np.argmin(active)), int(np.argmax(active))
        flag = "separation" if tear.widening_mm > 0 else "none"
        return {
            # A tear shown only at rest may or may not open: nobody can tell from this clip.
            "flag": flag if active.max() > 0 else "indeterminate",
            "tear": str(self._muscle.values["tear"]),
            "torn_fraction": round(torn_fraction, 4),
            "gap_mm": rounded(np.array(widths), 4),
            "gap_widest_mm": rounded(np.array(widest), 4),
            "gap_along_mm": rounded(np.array(along), 4),
            "gap_rest_mm": round(widths[rest], 4),
            "gap_peak_mm": round(widths[peak], 4),
            "widening_mm": round(widths[peak] - widths[rest], 4),
            "location_px": rounded(np.array(middles), 2),
        }

    def _collections(self, place: Placement) -> list[Truth]:
        if self._muscle.hematoma_mm is None:
            return []
        x, z, half_x, half_z = self._muscle.hematoma_mm
        return [
            {
                "area_mm2": round(math.pi * half_x * half_z, 3),
                "extent_mm": round(2.0 * max(half_x, half_z), 3),
                "centre_px": rounded(place.px(np.array([x, z])), 2),
            }
        ]
