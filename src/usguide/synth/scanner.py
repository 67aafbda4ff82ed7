"""Probe and settings, and the point scatterers that it is pointed at.

Lengths are millimetres, x from the image's left edge to the right, z from the probe's face down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usguide.model import Fan

F32 = NDArray[np.float32]

SOUND_MM_PER_US = 1.54
"""Speed of sound in soft tissue, mm per microsecond (the value scanners assume)."""

FWHM = 2.0 * math.sqrt(2.0 * math.log(2.0))
"""Full width at half maximum of a Gaussian, in standard deviations."""

SCATTERERS_PER_CELL = 16.0
"""Scatterers per resolution cell (-6 dB width by -6 dB length); from 10 on, speckle is fully
developed."""


@dataclass(frozen=True, slots=True)
class Scatterers:
    """Point scatterers in the tissue's rest frame, all arrays float32 of shape (n,).

    Parameters
    ----------
    x, z : ndarray
        Position at rest, mm.
    amplitude : ndarray
        Amplitude; 1 throughout gives speckle of unit root-mean-square.
    coherence : ndarray
        0 where the phase is that of the depth (diffuse), 1 where neighbours are in phase whatever
        the tilt (a surface seen as one); between, the surface's angle matters that much less.
    """

    x: F32
    z: F32
    amplitude: F32
    coherence: F32

    def __len__(self) -> int:
        return len(self.x)

    @staticmethod
    def join(parts: list[Scatterers]) -> Scatterers:
        """Return all parts as one, ordered by depth so that neighbours are close in memory."""
        columns = [
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("x", "z", "amplitude", "coherence")
        ]
        order = np.argsort(columns[1], kind="stable")
        return Scatterers(*(column[order] for column in columns))


@dataclass(frozen=True, slots=True, eq=False)
class Scanner:
    """Probe and settings.

    Parameters
    ----------
    width_px, height_px : int
        Size of the image.
    spacing_mm : float
        Size of a pixel, the same along x and y.
    radius_mm : float
        Radius of a convex probe's face; 0 for a linear probe.
    half_angle_deg : float
        Half the opening angle of a convex probe.
    frequency_mhz : float
        Centre frequency.
    axial_mm, lateral_mm : float
        -6 dB length of the pulse and -6 dB two-way width of the beam at its focus.
    focus_mm : float
        Depth of the focus.
    looks_deg : tuple of float
        Steering angle of every compounded look.
    attenuation_db_cm_mhz : float
        One-way attenuation; the time gain undoes it for the echoes, and raises the noise.
    noise_db : float
        Electronic noise at the probe's face, relative to unit speckle.
    tgc_error_db : tuple of float
        Error of the time gain at five depths evenly from top to bottom.
    contact_db : tuple of float
        Gain of the echoes along the probe's face, evenly from its left to its right end: contact.
    gain_db : float
        Overall gain.
    dynamic_range_db : float
        What the grey scale spans.
    white_db : float
        Level shown as white, relative to unit speckle, before the gain.
    gamma : float
        Exponent of the grey map.
    pedestal : float
        What the grey map shows for nothing at all, as a fraction of white.
    speckle_reduction : float
        Weight of the edge-preserving smoothing that scanners apply, 0 for none.
    persistence : float
        Weight of the previous frame's picture, 0 for none.
    """

    width_px: int
    height_px: int
    spacing_mm: float
    frequency_mhz: float
    axial_mm: float
    lateral_mm: float
    focus_mm: float
    looks_deg: tuple[float, ...] = (0.0,)
    radius_mm: float = 0.0
    half_angle_deg: float = 0.0
    attenuation_db_cm_mhz: float = 0.5
    noise_db: float = -55.0
    tgc_error_db: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0)
    contact_db: tuple[float, ...] = (0.0,)
    gain_db: float = 0.0
    dynamic_range_db: float = 60.0
    white_db: float = 30.0
    gamma: float = 1.9
    pedestal: float = 0.0
    speckle_reduction: float = 0.0
    persistence: float = 0.0

    @property
    def width_mm(self) -> float:
        """Width of the image."""
        return (self.width_px - 1) * self.spacing_mm

    @property
    def depth_mm(self) -> float:
        """Depth of the image."""
        return (self.height_px - 1) * self.spacing_mm

    @property
    def wavelength_mm(self) -> float:
        """Wavelength in tissue."""
        return SOUND_MM_PER_US / self.frequency_mhz

    @property
    def convex(self) -> bool:
        """Whether the beams fan out."""
        return self.radius_mm > 0

    @property
    def density_per_mm2(self) -> float:
        """Scatterers per square millimetre for fully developed speckle."""
        return SCATTERERS_PER_CELL / (self.axial_mm * self.lateral_mm)

    @property
    def apex_mm(self) -> tuple[float, float]:
        """Where a convex probe's beams meet, (x, z)."""
        lowest = self.radius_mm * (1.0 - math.cos(math.radians(self.half_angle_deg)))
        return self.width_mm / 2.0, lowest - self.radius_mm

    @property
    def fan(self) -> Fan | None:
        """Geometry of a convex image, in px of the image."""
        if not self.convex:
            return None
        x, z = self.apex_mm
        return Fan(
            (x / self.spacing_mm, z / self.spacing_mm),
            self.radius_mm / self.spacing_mm,
            (self.depth_mm - z) / self.spacing_mm,
            -self.half_angle_deg,
            self.half_angle_deg,
        )

    def shows(self, points_mm: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Whether points (..., 2) lie in the picture."""
        x, z = points_mm[..., 0], points_mm[..., 1]
        inside = (x >= 0) & (z >= 0) & (x <= self.width_mm) & (z <= self.depth_mm)
        if self.convex:
            apex_x, apex_z = self.apex_mm
            radius = np.hypot(x - apex_x, z - apex_z)
            angle = np.degrees(np.abs(np.arctan2(x - apex_x, z - apex_z)))
            inside &= (radius >= self.radius_mm) & (radius <= self.depth_mm - apex_z)
            inside &= angle <= self.half_angle_deg
        return np.asarray(inside)

    def line_amplitude(self, level_db: float, step_mm: float) -> float:
        """Amplitude of points ``step_mm`` apart whose line shines ``level_db`` above speckle.

        Of a level line of points in phase, the beam gathers ``a sigma_x sqrt(2 pi) / step`` times
        the point spread's peak; unit speckle has ``density * peak^2 * pi sigma_x sigma_z = 1``.
        """
        sigma_x, sigma_z = self.lateral_mm / FWHM, self.axial_mm / FWHM
        peak = 1.0 / math.sqrt(self.density_per_mm2 * math.pi * sigma_x * sigma_z)
        return float(10 ** (level_db / 20) * step_mm / (peak * sigma_x * math.sqrt(2 * math.pi)))
