"""A needle in the image plane: how it is moved and how it echoes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from usguide.errors import ConfigError
from usguide.model import Floats
from usguide.synth.parameters import Choice, Number, Parameter, Switch, Value
from usguide.synth.scanner import Scanner, Scatterers
from usguide.synth.scene import Placement, Truth, rounded
from usguide.synth.tissue import smoothstep, wander
from usguide.synth.visibility import VISIBLE_DB, fading

PARAMETERS: dict[str, Parameter] = {
    "plane": Choice(("in", "out"), "shaft in the image plane, or across it", ("in",)),
    # Outer diameters of 25G and 18G: ISO 9626.
    "diameter_mm": Number(
        0.16,
        0.35,
        "mm",
        "needle diameter (dry needles 0.16-0.35 mm; hypodermic 25G 0.51 to 18G 1.27)",
        0.12,
        1.5,
        seldom=(0.51, 1.27),
        seldom_share=0.3,
    ),
    "angle_deg": Number(10.0, 70.0, "deg", "shaft below the skin's surface", 10.0, 70.0),
    "passes": Number(1, 6, "", "in-and-out passes", 0, 12, whole=True),
    "pass_hz": Number(0.6, 3.0, "Hz", "passes per second ('pistoning')", 0.2, 3.0),
    "stroke_mm": Number(4.0, 10.0, "mm", "length of a pass along the shaft", 1.0, 20.0),
    "target_at_mm": Number(
        1.5, 9.0, "mm", "where the deepest tip meets the band, from the insertion", 0.0, 25.0
    ),
    "enters": Switch(0.3, "the clip begins before the needle is in the picture"),
    "visibility": Number(
        0.35, 1.0, "", "0 hardly brighter than speckle, 1 as bright as bone", 0, 1
    ),
    "shaft_loss_db": Number(
        0.0,
        6.0,
        "dB",
        "how much weaker the shaft is than its tip, a centimetre behind it",
        0.0,
        30.0,
    ),
    "fade": Number(
        0.0, 0.5, "", "depth of the slow fading as the shaft leaves the plane", 0.0, 1.0
    ),
    "dropouts": Number(0, 1, "", "spells in which the needle is not seen at all", 0, 8, whole=True),
    "dropout_s": Number(0.15, 0.5, "s", "length of such a spell", 0.03, 5.0),
    "bend_mm": Number(-0.6, 0.6, "mm", "sideways bend of the shaft at its tip", -4.0, 4.0),
    "reverberation": Number(0.0, 0.7, "", "strength of the first line under the shaft", 0.0, 1.0),
    "drag_mm": Number(0.2, 1.0, "mm", "tissue dragged by the needle before it slips", 0.0, 4.0),
}

FASTEST_HZ = 3.0
"""Passes per second of brisk pistoning."""

LONGEST_MM = 150.0
"""A long spinal needle: what lies deeper along the shaft cannot be reached."""

_STEP_MM = 0.05
"""Between the scatterers of a shaft."""

THICK_MM = 0.55
"""From here on, front and back wall of the shaft are seen apart."""


def _lead(values: dict[str, Value], duration_s: float) -> float:
    """Time before the first pass: a moment's rest, or the way in."""
    return (0.28 if values["enters"] else 0.08) * min(duration_s, 4.0)


def most_passes(values: dict[str, Value]) -> int:
    """How many passes fit in the clip."""
    duration = (int(values["frames"]) - 1) / float(values["fps"])
    return int((duration - 1.3 * _lead(values, duration)) * FASTEST_HZ)


@dataclass(frozen=True, slots=True)
class Pass:
    """One advance and withdrawal, in seconds and mm along the shaft."""

    start_s: float
    deepest_s: float
    end_s: float
    depth_mm: float
    stroke_mm: float


class Needle:
    """An in-plane needle: shaft, kinematics and truth, for a target at rest.

    Parameters
    ----------
    scanner : Scanner
        Probe and settings.
    values : dict
        A value for each of ``PARAMETERS``.
    target_mm : (float, float)
        Where the first pass ends, (x, z).
    time_s : ndarray, shape (frames,)
        Time of every frame.
    rng : numpy.random.Generator
        Source of everything random about the needle.

    Raises
    ------
    ConfigError
        If the passes do not fit in the clip.
    """

    def __init__(
        self,
        scanner: Scanner,
        values: dict[str, Value],
        target_mm: tuple[float, float],
        time_s: Floats,
        rng: np.random.Generator,
    ) -> None:
        self._scanner = scanner
        self._v = {name: values[name] for name in PARAMETERS}
        angle = np.radians(float(values["angle_deg"]))
        self.direction = np.array([-np.cos(angle), np.sin(angle)])
        self.normal = np.array([np.sin(angle), np.cos(angle)])
        reach = target_mm[1] / np.sin(angle)
        self.entry_mm = np.array(target_mm) - reach * self.direction
        self.passes, self.depth_mm = self._kinematics(reach, time_s, rng)
        self.turn_deg = 0.6 * wander(rng, time_s, 3.0)
        self.fading = fading(self._v, time_s, rng)
        shaft = np.arange(0.0, max(float(self.depth_mm.max()), 0.0) + 2 * _STEP_MM, _STEP_MM)
        self._along = shaft
        self._reach = reach
        self._rough = 10 ** (2.0 * wander(rng, shaft, 9.0) / 20.0)
        self._level = 10 ** (self.level_db / 20.0) * scanner.line_amplitude(0.0, _STEP_MM)

    @property
    def level_db(self) -> float:
        """Level of the shaft above speckle.

        Steep and thin needles give less (doi 10.1016/j.rapm.2004.07.001); how much less is a
        choice that looks like recordings.
        """
        steep = max(0.0, float(self._v["angle_deg"]) - 15.0)
        thin = 3.0 * np.log2(float(self._v["diameter_mm"]) / 0.3)
        return float(13.0 + 15.0 * float(self._v["visibility"]) - 0.15 * steep + thin)

    def _kinematics(
        self, reach: float, time_s: Floats, rng: np.random.Generator
    ) -> tuple[list[Pass], Floats]:
        count, rate = int(self._v["passes"]), float(self._v["pass_hz"])
        duration = float(time_s[-1])
        lead = _lead(self._v, duration)
        room = duration - 1.3 * lead
        if count and count / rate > room:
            rate = count / max(room, 1e-6)
            if rate > FASTEST_HZ:
                raise ConfigError(
                    f"passes={count} do not fit in {duration:.2f} s at {FASTEST_HZ:g} Hz; "
                    "give more frames, a lower fps or fewer passes."
                )
        stroke = min(float(self._v["stroke_mm"]), 0.75 * reach)
        depth = np.full(len(time_s), reach - stroke)
        # In a single frame it is in: there is no time to enter.
        if self._v["enters"] and lead > 0.0:
            outside = self._outside_mm(reach)
            depth = outside + (reach - stroke - outside) * smoothstep(time_s / (0.9 * lead) - 0.1)
        passes = []
        start = lead
        for _ in range(count):
            length = 1.0 / rate
            deepest = reach + rng.uniform(-1.0, 0.6) * min(1.0, 0.2 * stroke)
            turn = start + rng.uniform(0.42, 0.55) * length
            pause = rng.uniform(0.0, 0.12) * length
            end = start + 0.97 * length
            advance = smoothstep((time_s - start) / (turn - start))
            retreat = 1.0 - smoothstep((time_s - turn - pause) / (end - turn - pause))
            depth += (deepest - reach + stroke) * advance * retreat
            passes.append(Pass(start, turn + pause / 2, end, deepest, deepest - reach + stroke))
            start += length
        return passes, depth

    def _outside_mm(self, reach: float) -> float:
        """Depth along the shaft at which the tip is still outside the picture, mm."""
        along = np.arange(0.0, reach, 0.2)
        shown = self._scanner.shows(self.entry_mm + along[:, None] * self.direction)
        return float(along[int(np.argmax(shown))]) - 1.0 if shown.any() else 0.0

    def shaft_mm(self, frame: int) -> Floats:
        """Points along the shaft from the entry to the tip, shape (k, 2)."""
        depth = max(float(self.depth_mm[frame]), 0.0)
        along = np.append(self._along[self._along < depth], depth)
        turn = np.radians(self.turn_deg[frame])
        direction = self.direction * np.cos(turn) + self.normal * np.sin(turn)
        normal = self.normal * np.cos(turn) - self.direction * np.sin(turn)
        bend = float(self._v["bend_mm"]) * (along / self._reach) ** 2
        points: Floats = self.entry_mm + along[:, None] * direction + bend[:, None] * normal
        return points

    def echo(self, frame: int) -> Scatterers:
        """Return the needle's echoes in one frame: shaft, tip and the lines beneath the shaft."""
        points = self.shaft_mm(frame)
        count = len(points)
        if self.depth_mm[frame] <= 0.0:
            nothing = np.empty(0, dtype=np.float32)
            return Scatterers(nothing, nothing, nothing, nothing)
        thick = float(self._v["diameter_mm"])
        # The tip's own pattern moves with it: roughness is fixed to the shaft, from the tip up.
        rough = self._rough[:count][::-1]
        amplitude = self._level * rough * 10 ** (self.fading[frame] / 20.0)
        from_tip = (count - 1 - np.arange(count)) * _STEP_MM
        amplitude = amplitude * (1.0 + 0.6 * np.exp(-0.5 * (from_tip / 0.35) ** 2))
        loss_db = float(self._v["shaft_loss_db"]) * (1.0 - np.exp(-from_tip / 4.0))
        amplitude = amplitude * 10 ** (-loss_db / 20.0)
        copies, weights = [points], [amplitude]
        if thick > THICK_MM:
            # The bevel: the back wall ends a little before the tip.
            back = points[: max(1, count - int(1.2 * thick / _STEP_MM))]
            copies.append(back + thick * self.normal)
            weights.append(0.6 * amplitude[: len(back)])
        first = float(self._v["reverberation"])
        if first > 0.02:
            # Sound bouncing inside the shaft arrives late: lines beneath, ever weaker.
            spacing = 0.35 + 1.2 * thick
            for k in range(1, 5):
                weight = 0.5 * first**k
                if weight < 0.01:
                    break
                copies.append(points + np.array([0.0, k * spacing]))
                weights.append(amplitude * weight)
        xz = np.concatenate(copies).astype(np.float32)
        return Scatterers(
            np.ascontiguousarray(xz[:, 0]),
            np.ascontiguousarray(xz[:, 1]),
            np.concatenate(weights).astype(np.float32),
            np.ones(len(xz), dtype=np.float32),
        )

    def truth(self, place: Placement, shown: list[int], shift_mm: Floats) -> Truth:
        """Return shaft, tip and passes in the frames shown, under the probe's sliding."""
        tips, tails, angles, visible, entries = [], [], [], [], []
        for frame in shown:
            shaft = self.shaft_mm(frame) + shift_mm[frame]
            tip, tail = shaft[-1], shaft[0]
            inside = self._scanner.shows(shaft)
            if inside.any():
                tail = shaft[int(np.argmax(inside))]
            ends = place.px(np.stack([tip, tail]))
            tips.append(ends[0])
            tails.append(ends[1])
            entries.append(place.px(shaft[0]))
            dx, dy = ends[0] - ends[1]
            angle = np.degrees(np.arctan2(dy, dx))
            angles.append(angle - 180.0 if angle > 90.0 else angle)
            in_skin = self.depth_mm[frame] > 0.0
            visible.append(bool(in_skin and inside[-1] and self.fading[frame] >= VISIBLE_DB))
        return {
            "plane": "in",
            "tip_px": rounded(np.array(tips), 3),
            "tail_px": rounded(np.array(tails), 3),
            "entry_px": rounded(np.array(entries), 3),
            "visible": visible,
            "fading_db": rounded(self.fading[shown], 2),
            "angle_deg": rounded(np.array(angles), 3),
            "depth_mm": rounded(self.depth_mm[shown], 4),
            "level_db": round(self.level_db, 2),
            "passes": [
                {
                    "start_s": round(each.start_s, 4),
                    "deepest_s": round(each.deepest_s, 4),
                    "end_s": round(each.end_s, 4),
                    "depth_mm": round(each.depth_mm, 4),
                    "stroke_mm": round(each.stroke_mm, 4),
                }
                for each in self.passes
            ],
        }
