"""What is in front of the probe in a heel scene: the heel, and a needle and twitches if any."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usguide.model import Floats
from usguide.synth.heel import STATIONS_MM, Heel, shadow
from usguide.synth.imaging import Imager, Scanner, Scatterers
from usguide.synth.motion import Drift, Motion, Twitch
from usguide.synth.needle import VISIBLE_DB, Needle
from usguide.synth.scene import Placement, Truth, rounded


class HeelWorld:
    """A heel under a drifting probe.

    Parameters
    ----------
    scanner : Scanner
        Probe and settings.
    heel : Heel
        Tissue.
    drift : Drift
        The probe's sliding.
    needle : Needle or None
        In-plane needle.
    motions : list of Motion
        What else moves the tissue.
    """

    def __init__(
        self,
        scanner: Scanner,
        heel: Heel,
        drift: Drift,
        needle: Needle | None,
        motions: list[Motion],
    ) -> None:
        self.tissue = heel.tissue
        self.motions: list[Motion] = [*motions, drift]
        self._scanner = scanner
        self._heel = heel
        self._drift = drift
        self._needle = needle

    def instruments(self, frame: int) -> Scatterers | None:
        """Return the needle's echoes at their place in one frame."""
        if self._needle is None:
            return None
        echo = self._needle.echo(frame)
        right, down = (np.float32(value) for value in self._drift.shift_mm[frame])
        return Scatterers(echo.x + right, echo.z + down, echo.amplitude, echo.coherence)

    def transmission(self, frame: int, imager: Imager) -> NDArray[np.float32] | None:
        """Return the bone's shadow in one frame."""
        shift = self._drift.shift_mm[frame]
        return shadow(imager, [surface + shift for surface in self._heel.shadowing_mm()])

    def brightness(self, frame: int) -> NDArray[np.float32] | None:  # noqa: ARG002
        """Return None: the tissue's echoes do not change."""
        return None

    def truth(self, place: Placement, shown: list[int]) -> Truth:
        """Return the truth of fascia, needle and twitches, for the frames shown."""
        return {
            "fascia": self._fascia_truth(place),
            "needle": None
            if self._needle is None
            else self._needle_truth(place, self._needle, shown),
            "twitches": [
                twitch_truth(place, motion) for motion in self.motions if isinstance(motion, Twitch)
            ],
            "muscle": None,
            "contraction": None,
            "drift_mm": rounded(place.turn(self._drift.shift_mm)[shown], 4),
        }

    def _fascia_truth(self, place: Placement) -> Truth:
        heel, band = self._heel, self._heel.band
        shown = band.midline_mm[:, 0] <= self._scanner.width_mm
        reach = float(band.distance_mm[shown].max())
        thickness = band.thickness_mm[shown]
        thickest = int(np.argmax(thickness))
        step = slice(None, None, 5)
        v = heel.values
        width = float(v["rupture_mm"])
        bone = heel.bone_mm[(heel.bone_mm[:, 0] >= 0) & (heel.bone_mm[:, 0] <= heel.insertion_x)]
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
            "spur_px": rounded(place.px(heel.spur_mm), 2) if len(heel.spur_mm) else [],
            "fat_pad_mm": round(float(v["fat_pad_mm"]), 4),
            "disease": float(v["disease"]),
            "discontinuity": []
            if width == 0.0
            else [{"distance_mm": float(v["rupture_at_mm"]), "width_mm": width}],
        }

    def _needle_truth(self, place: Placement, needle: Needle, shown: list[int]) -> Truth:
        tips, tails, angles, visible, entries = [], [], [], [], []
        for frame in shown:
            shaft = needle.shaft_mm(frame) + self._drift.shift_mm[frame]
            tip, tail = shaft[-1], shaft[0]
            inside = self._inside(shaft)
            if inside.any():
                tail = shaft[int(np.argmax(inside))]
            ends = place.px(np.stack([tip, tail]))
            tips.append(ends[0])
            tails.append(ends[1])
            entries.append(place.px(shaft[0]))
            dx, dy = ends[0] - ends[1]
            angle = np.degrees(np.arctan2(dy, dx))
            angles.append(angle - 180.0 if angle > 90.0 else angle)
            visible.append(bool(inside[-1] and needle.fading[frame] >= VISIBLE_DB))
        return {
            "plane": "in",
            "tip_px": rounded(np.array(tips), 3),
            "tail_px": rounded(np.array(tails), 3),
            "entry_px": rounded(np.array(entries), 3),
            "visible": visible,
            "fading_db": rounded(needle.fading[shown], 2),
            "angle_deg": rounded(np.array(angles), 3),
            "depth_mm": rounded(needle.depth_mm[shown], 4),
            "level_db": round(needle.level_db, 2),
            "passes": [
                {
                    "start_s": round(each.start_s, 4),
                    "deepest_s": round(each.deepest_s, 4),
                    "end_s": round(each.end_s, 4),
                    "depth_mm": round(each.depth_mm, 4),
                    "stroke_mm": round(each.stroke_mm, 4),
                }
                for each in needle.passes
            ],
        }

    def _inside(self, points_mm: Floats) -> NDArray[np.bool_]:
        x, z = points_mm[:, 0], points_mm[:, 1]
        sc = self._scanner
        inside: NDArray[np.bool_] = (x >= 0) & (z >= 0) & (x <= sc.width_mm) & (z <= sc.depth_mm)
        return inside


def twitch_truth(place: Placement, twitch: Twitch) -> Truth:
    """Return when, where and how large a twitch is."""
    return {
        "start_s": round(twitch.start_s, 4),
        "end_s": round(twitch.end_s, 4),
        "peak_mm": round(twitch.peak_mm, 4),
        "peak_velocity_mm_s": round(twitch.peak_velocity_mm_s, 3),
        "centre_px": rounded(place.px(np.array(twitch.centre_mm)), 2),
        "size_mm": [round(size, 3) for size in twitch.size_mm],
    }
