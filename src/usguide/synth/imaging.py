"""The scanner: scatterers in, frames out.

For each look (one, or several steered ones that are compounded): complex summation of the
scatterers with their round-trip phase, the beam's profile at each depth, transmission (shadows),
electronic noise, the pulse's envelope, detection, time gain with its error, log compression, grey
map, persistence, scan conversion. Lengths are millimetres, x from the image's left edge to the
right, z from the probe's face downwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.kernels.scatterers import ROTATION, SPLINE_VARIANCE, splat, spread_beam, spread_pulse
from usguide.model import Fan, Floats, Frame

F32 = NDArray[np.float32]

SOUND_MM_PER_US = 1.54
"""Speed of sound in soft tissue, mm per microsecond (the value scanners assume)."""

FWHM = 2.0 * math.sqrt(2.0 * math.log(2.0))
"""Full width at half maximum of a Gaussian, in standard deviations."""

SCATTERERS_PER_CELL = 16.0
"""Scatterers per resolution cell (-6 dB width by -6 dB length); from 10 on, speckle is fully
developed."""

_MARGIN = 12
"""Beams and samples beyond the image, so that its edges are as its middle."""


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


def _gaussian_taps(sigma: Floats) -> Floats:
    """Rows of Gaussian taps, shape (len(sigma), odd), that sum to one."""
    half = max(1, math.ceil(3.0 * float(sigma.max())))
    offsets = np.arange(-half, half + 1)
    taps = np.exp(-0.5 * (offsets / sigma[:, None]) ** 2)
    return np.asarray(taps / taps.sum(axis=1, keepdims=True))


class Imager:
    """Turns scatterers into frames, one after another.

    Parameters
    ----------
    scanner : Scanner
        Probe and settings.
    rng : numpy.random.Generator
        Source of the electronic noise.
    """

    def __init__(self, scanner: Scanner, rng: np.random.Generator) -> None:
        self.scanner = scanner
        self._rng = rng
        sc = scanner
        sigma_z, sigma_x = sc.axial_mm / FWHM, sc.lateral_mm / FWHM
        if sc.convex:
            deepest = sc.depth_mm - sc.apex_mm[1]
            first_depth = sc.radius_mm
            lateral_unit = sc.radius_mm + 0.5 * (deepest - sc.radius_mm)
            first, last = (math.radians(s * sc.half_angle_deg) for s in (-1, 1))
        else:
            first_depth, deepest, lateral_unit = 0.0, sc.depth_mm, 1.0
            first, last = 0.0, sc.width_mm
        # A Gaussian sampled at 0.7 of its standard deviation loses nothing measurable.
        depth_step = min(sc.spacing_mm, 0.7 * sigma_z)
        lateral_step = 0.7 * sigma_x / lateral_unit
        samples = math.ceil((deepest - first_depth) / depth_step) + 1 + 2 * _MARGIN
        depths = first_depth + (np.arange(samples) - _MARGIN) * depth_step
        travelled = np.maximum(depths - first_depth, 0.0)
        # The beam widens away from its focus as sqrt(1 + (distance / Rayleigh length)^2); twice
        # as wide as at the focus one image depth away from it.
        rayleigh = sc.depth_mm / math.sqrt(3.0)
        beam_mm = sigma_x * np.sqrt(1.0 + ((travelled - sc.focus_mm) / rayleigh) ** 2)
        beam = beam_mm / (lateral_step * (depths if sc.convex else 1.0))
        taps = _gaussian_taps(np.sqrt(np.maximum(beam**2 - SPLINE_VARIANCE, 0.05)))
        margin = taps.shape[1] // 2 + 2
        beams = math.ceil((last - first) / lateral_step) + 1 + 2 * margin
        # Unit speckle at every depth: the beam's energy over the density of scatterers.
        per_sample = sc.density_per_mm2 * depth_step * lateral_step * (depths if sc.convex else 1.0)
        taps *= np.sqrt(2.0 * math.sqrt(math.pi) * beam / per_sample)[:, None]
        pulse = sigma_z / depth_step
        pulse_taps = _gaussian_taps(np.array([math.sqrt(max(pulse**2 - SPLINE_VARIANCE, 0.05))]))[0]
        pulse_taps *= math.sqrt(2.0 * math.sqrt(math.pi) * pulse)
        self.lateral = first + (np.arange(beams) - margin) * lateral_step
        """Lateral position of every beam: mm, or radians for a convex probe."""
        self.depth = depths
        """Depth of every sample: mm from the face, or from the apex for a convex probe."""
        self._grid = np.array([self.lateral[0], lateral_step, depths[0], depth_step])
        self.beam_spacing_mm = lateral_step * lateral_unit
        """Distance of neighbouring beams (halfway down, for a convex probe)."""
        self._beam_taps = np.ascontiguousarray(taps.astype(np.float32))
        self._pulse_taps = np.ascontiguousarray(pulse_taps.astype(np.float32))
        angles = np.radians(np.array(sc.looks_deg))
        self._cycles = np.ascontiguousarray(
            np.stack([np.sin(angles) * lateral_unit, np.cos(angles)], axis=1)
            * (2.0 / sc.wavelength_mm)
        )
        shape = (2 * len(sc.looks_deg), samples, beams)
        self._planes = np.zeros(shape, dtype=np.float32)
        self._buffer = np.zeros(shape, dtype=np.float32)
        loss_db = 2.0 * sc.attenuation_db_cm_mhz * sc.frequency_mhz * travelled / 10.0
        # Time gain stops rising where the echoes have sunk into the noise.
        noise_db = np.minimum(sc.noise_db + loss_db, -12.0)
        self._noise = (10 ** (noise_db / 20) / math.sqrt(2.0)).astype(np.float32)[:, None]
        error_db = np.interp(
            travelled, np.linspace(0, deepest - first_depth, 5), np.array(sc.tgc_error_db)
        )
        self._gain_db = (sc.gain_db + error_db).astype(np.float32)[:, None]
        contact_db = np.interp(
            (self.lateral - first) / (last - first),
            np.linspace(0.0, 1.0, len(sc.contact_db)),
            np.array(sc.contact_db),
        )
        self._contact = (10 ** (contact_db / 20.0)).astype(np.float32)
        self._shown: F32 | None = None

    @cached_property
    def _maps(self) -> tuple[F32, F32]:
        """Column and row of the beam grid under every pixel, for scan conversion."""
        sc = self.scanner
        x = np.arange(sc.width_px) * sc.spacing_mm
        z = np.arange(sc.height_px) * sc.spacing_mm
        lateral, depth = self.beam_coordinates(*np.meshgrid(x, z))
        return (
            ((lateral - self._grid[0]) / self._grid[1]).astype(np.float32),
            ((depth - self._grid[2]) / self._grid[3]).astype(np.float32),
        )

    @cached_property
    def inside(self) -> NDArray[np.bool_]:
        """Where the picture shows echoes, shape (height_px, width_px)."""
        sc = self.scanner
        x, z = np.meshgrid(np.arange(sc.width_px), np.arange(sc.height_px))
        return sc.shows(np.stack([x, z], axis=-1) * sc.spacing_mm)

    def beam_coordinates(
        self, x: NDArray[np.floating], z: NDArray[np.floating]
    ) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Lateral position and depth, in the beams' own coordinates, of points in mm."""
        if not self.scanner.convex:
            return x, z
        apex_x, apex_z = self.scanner.apex_mm
        right, down = x - apex_x, z - apex_z
        return np.arctan2(right, down), np.hypot(right, down)

    def reference(self, scatterers: Scatterers) -> F32:
        """Phase in cycles from which each scatterer starts, shape (looks, n)."""
        lateral, depth = self.beam_coordinates(
            scatterers.x.astype(np.float64), scatterers.z.astype(np.float64)
        )
        cycles = self._cycles[:, :1] * lateral + self._cycles[:, 1:] * depth
        cycles *= scatterers.coherence
        return np.ascontiguousarray((cycles - np.floor(cycles)).astype(np.float32))

    def add(
        self,
        x: NDArray[np.floating],
        z: NDArray[np.floating],
        amplitude: F32,
        reference: F32,
    ) -> None:
        """Add scatterers at their present positions to the frame being made."""
        lateral, depth = self.beam_coordinates(x, z)
        splat(
            self._planes,
            np.ascontiguousarray(lateral, dtype=np.float32),
            np.ascontiguousarray(depth, dtype=np.float32),
            amplitude,
            reference,
            self._cycles,
            self._grid,
            ROTATION,
        )

    def envelope(self, transmission: F32 | None = None) -> F32:
        """Finish the frame being made: detected amplitude on the beam grid, looks averaged.

        Parameters
        ----------
        transmission : ndarray of float32, shape (samples, beams), optional
            Two-way amplitude that reaches each point and comes back: the shadows.
        """
        planes, buffer = self._planes, self._buffer
        spread_beam(planes, self._beam_taps, buffer)
        buffer *= self._contact if transmission is None else transmission * self._contact
        for plane in buffer:
            plane += self._noise * self._white(plane.shape)
        spread_pulse(buffer, self._pulse_taps, planes)
        total = np.zeros(planes.shape[1:], dtype=np.float32)
        for real, imaginary in zip(planes[::2], planes[1::2], strict=True):
            total += cv2.magnitude(real, imaginary)
        total /= len(self.scanner.looks_deg)
        planes[:] = 0.0
        return total

    def _white(self, shape: tuple[int, ...]) -> F32:
        """Return noise of unit variance; beams are interpolated from every third."""
        samples, beams = shape
        sparse = self._rng.standard_normal((samples, beams // 3 + 1), dtype=np.float32)
        noise = cv2.resize(sparse, (beams, samples), interpolation=cv2.INTER_LINEAR)
        # Between two samples, linear interpolation keeps two thirds of the variance on average.
        return np.asarray(noise * np.float32(math.sqrt(1.5)), dtype=np.float32)

    def show(self, envelope: F32) -> Frame:
        """Log compression, grey map, persistence and scan conversion to a uint8 frame."""
        sc = self.scanner
        level = (20.0 / math.log(10.0)) * cv2.log(np.maximum(envelope, np.float32(1e-6)))
        level += self._gain_db
        level += np.float32(sc.dynamic_range_db - sc.white_db)
        level *= np.float32(1.0 / sc.dynamic_range_db)
        np.clip(level, 0.0, 1.0, out=level)
        grey: F32 = np.asarray(cv2.pow(level, sc.gamma), dtype=np.float32)
        grey = np.float32(sc.pedestal) + np.float32(1.0 - sc.pedestal) * grey
        if self._shown is not None and sc.persistence > 0:
            grey = sc.persistence * self._shown + (1.0 - sc.persistence) * grey
        self._shown = grey
        picture = cv2.remap(grey, *self._maps, cv2.INTER_LINEAR, borderValue=0.0)
        if sc.convex:
            picture[~self.inside] = 0.0
        return np.asarray(np.rint(picture * np.float32(255.0)), dtype=np.uint8)
