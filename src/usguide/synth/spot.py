"""A needle across the image plane: only the spot where it meets the plane is seen."""

from __future__ import annotations

import numpy as np

from usguide.model import Floats
from usguide.synth.parameters import Value
from usguide.synth.scanner import Scanner, Scatterers
from usguide.synth.scene import Placement, Truth, rounded
from usguide.synth.tissue import smoothstep, wander
from usguide.synth.visibility import VISIBLE_DB, fading


class Spot:
    """An out-of-plane needle: a wandering bright spot, with wings and a comet tail.

    Parameters
    ----------
    scanner : Scanner
        Probe and settings.
    values : dict
        A value for each of ``usguide.synth.needle.PARAMETERS``.
    target_mm : (float, float)
        Where the spot is on average, (x, z).
    time_s : ndarray, shape (frames,)
        Time of every frame.
    rng : numpy.random.Generator
        Source of everything random about the needle.
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
        stroke = float(values["stroke_mm"])
        # Tilting and advancing the needle moves the spot mostly sideways, and in depth.
        sideways = 0.5 * stroke * wander(rng, time_s, 3.0)
        deeper = 0.25 * stroke * wander(rng, time_s, 4.0)
        centre = np.clip(target_mm[0], 0.2 * scanner.width_mm, 0.8 * scanner.width_mm)
        self.spot_mm = np.stack(
            [
                np.clip(centre + sideways, 1.0, scanner.width_mm - 1.0),
                np.clip(target_mm[1] + deeper, 1.5, scanner.depth_mm - 2.0),
            ],
            axis=1,
        )
        self.fading = fading(values, time_s, rng)
        if values["enters"]:
            # Before the tip reaches the plane there is nothing to see.
            arrives = rng.uniform(0.08, 0.3) * float(time_s[-1])
            self.fading = np.where(time_s < arrives, -60.0, self.fading)
        self.level_db = 20.0 + 12.0 * float(values["visibility"])
        self._wing = rng.uniform(0.8, 1.6)
        self._tail = float(values["reverberation"])
        self._spacing = 0.3 + 0.9 * float(values["diameter_mm"])

    def echo(self, frame: int) -> Scatterers:
        """Return the spot's echoes: a point, side lobes beside it, ringing beneath it."""
        x, z = self.spot_mm[frame]
        step = 0.05
        aside = np.arange(-3.0 * self._wing, 3.0 * self._wing + step, step)
        # Side lobes arrive a little late: the wings hang down.
        wings = np.stack([x + aside, z + 0.06 * aside**2], axis=1)
        weights = [np.exp(-np.abs(aside) / (0.45 * self._wing))]
        rows = [wings]
        for k in range(1, 12):
            weight = 0.7 * self._tail * np.exp(-0.28 * (k - 1))
            if weight < 0.02:
                break
            narrow = np.abs(aside) < 0.4
            rows.append(wings[narrow] + np.array([0.0, k * self._spacing]))
            weights.append(weight * smoothstep(1.0 - np.abs(aside[narrow]) / 0.4))
        points = np.concatenate(rows).astype(np.float32)
        level = 10 ** ((self.level_db + self.fading[frame]) / 20.0)
        amplitude = np.concatenate(weights) * level * self._scanner.line_amplitude(0.0, step)
        return Scatterers(
            np.ascontiguousarray(points[:, 0]),
            np.ascontiguousarray(points[:, 1]),
            amplitude.astype(np.float32),
            np.ones(len(points), dtype=np.float32),
        )

    def truth(self, place: Placement, shown: list[int], shift_mm: Floats) -> Truth:
        """Return where the spot is in the frames shown, under the probe's sliding."""
        spots = (self.spot_mm + shift_mm)[shown]
        inside = np.array([self._scanner.shows(point) for point in spots])
        nothing = [None] * len(shown)
        return {
            "plane": "out",
            "tip_px": rounded(place.px(spots), 3),
            "tail_px": nothing,
            "entry_px": nothing,
            "visible": [bool(v) for v in inside & (self.fading[shown] >= VISIBLE_DB)],
            "fading_db": rounded(self.fading[shown], 2),
            "angle_deg": nothing,
            "depth_mm": nothing,
            "level_db": round(self.level_db, 2),
            "passes": [],
        }
