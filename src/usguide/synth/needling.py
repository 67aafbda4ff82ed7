"""What is in front of the probe when a needle may be: tissue, bone, needle, twitches."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from usguide.model import Floats
from usguide.synth.elevation import Elevation
from usguide.synth.imaging import Imager
from usguide.synth.motion import Drift, Motion, Twitch
from usguide.synth.scanner import Scatterers
from usguide.synth.scene import Placement, Truth, rounded
from usguide.synth.shadow import shadow


class Anatomy(Protocol):
    """Tissue that a needle may be put into."""

    @property
    def tissue(self) -> Scatterers:
        """Scatterers at rest."""
        ...

    def shadowing_mm(self) -> list[Floats]:
        """Return the surfaces that nothing is seen behind, each (k, 2)."""
        ...

    def truth(self, place: Placement) -> Truth | None:
        """Return the fascia's geometry at rest, or None without one."""
        ...


class Instrument(Protocol):
    """A needle, in the picture's plane or across it."""

    def echo(self, frame: int) -> Scatterers:
        """Return its echoes in one frame, without the probe's sliding."""
        ...

    def truth(self, place: Placement, shown: list[int], shift_mm: Floats) -> Truth:
        """Return where it is in the frames shown, under the probe's sliding, (frames, 2) in mm."""
        ...


class NeedlingWorld:
    """Tissue under a drifting probe, and a needle if there is one.

    Parameters
    ----------
    anatomy : Anatomy
        Tissue and bone.
    drift : Drift
        The probe's sliding.
    needle : Instrument or None
        The needle.
    motions : list of Motion
        What else moves the tissue.
    elevation : Elevation
        How the picture leaves the plane.
    """

    def __init__(
        self,
        anatomy: Anatomy,
        drift: Drift,
        needle: Instrument | None,
        motions: list[Motion],
        elevation: Elevation,
    ) -> None:
        self.tissue = anatomy.tissue
        self.motions: list[Motion] = [*motions, drift]
        self._anatomy = anatomy
        self._drift = drift
        self._needle = needle
        self._elevation = elevation

    def instruments(self, frame: int) -> Scatterers | None:
        """Return the needle's echoes at their place in one frame."""
        if self._needle is None:
            return None
        echo = self._needle.echo(frame)
        right, down = (np.float32(value) for value in self._drift.shift_mm[frame])
        return Scatterers(echo.x + right, echo.z + down, echo.amplitude, echo.coherence)

    def transmission(self, frame: int, imager: Imager) -> NDArray[np.float32] | None:
        """Return the bone's shadow in one frame, or None without bone."""
        surfaces = self._anatomy.shadowing_mm()
        if not surfaces:
            return None
        shift = self._drift.shift_mm[frame]
        return shadow(imager, [surface + shift for surface in surfaces])

    def brightness(self, frame: int) -> NDArray[np.float32] | None:
        """Return what leaving the plane makes of every echo."""
        return self._elevation.factor(frame)

    def truth(self, place: Placement, shown: list[int]) -> Truth:
        """Return the truth of fascia, needle and twitches, for the frames shown."""
        shift = self._drift.shift_mm
        return {
            "fascia": self._anatomy.truth(place),
            "needle": None if self._needle is None else self._needle.truth(place, shown, shift),
            "twitches": [
                twitch_truth(place, motion) for motion in self.motions if isinstance(motion, Twitch)
            ],
            "muscle": None,
            "contraction": None,
            "drift_mm": rounded(place.turn(shift)[shown], 4),
            "out_of_plane": rounded(self._elevation.exchanged[shown], 4),
        }


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
