"""The scanner at work: scatterers in, frames out.

For each look (one, or several steered ones that are compounded): complex summation of the
scatterers with their round-trip phase, the beam's profile at each depth, transmission (shadows),
electronic noise, the pulse's envelope, detection, time gain with its error, log compression, grey
map, persistence, scan conversion.
"""

from __future__ import annotations

import math
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.kernels.scatterers import ROTATION, SPLINE_VARIANCE, splat, spread_beam, spread_pulse
from usguide.model import Floats, Frame
from usguide.synth.scanner import F32, FWHM, Scanner, Scatterers

_MARGIN = 12
"""Beams and samples beyond the image, so that its edges are as its middle."""


def _gaussian_taps(sigma: Floats) -> Floats:
    """Rows of Gaussian taps, shape (len(sigma), odd), that sum to one."""
    half = max(1, math.ceil(3.0 * float(sigma.max())))
    offsets = np.arange(-half, half + 1)
    taps = np.exp(-0.5 * (offsets / sigma[:, None]) ** 2)
    return np.asarray(taps / taps.sum(axis=1, keepdims=True))


def _extent(sc: Scanner) -> tuple[float, float, float, float, float]:
    """Return the first and last depth, the first and last beam, and the mm of a lateral unit.

    Depths are mm from the probe's face and beams mm from the left; for a convex probe, mm from the
    apex and radians, of which one is so many mm long halfway down.
    """
    if not sc.convex:
        return 0.0, sc.depth_mm, 0.0, sc.width_mm, 1.0
    deepest = sc.depth_mm - sc.apex_mm[1]
    first, last = (math.radians(s * sc.half_angle_deg) for s in (-1, 1))
    return sc.radius_mm, deepest, first, last, sc.radius_mm + 0.5 * (deepest - sc.radius_mm)


def _beam_taps(
    sc: Scanner, travelled: Floats, depths: Floats, depth_step: float, lateral_step: float
) -> F32:
    """Return the beam's profile at every depth, in beams; shape (samples, odd)."""
    # The beam widens away from its focus as sqrt(1 + (distance / Rayleigh length)^2); twice
    # as wide as at the focus one image depth away from it.
    rayleigh = sc.depth_mm / math.sqrt(3.0)
    sigma_x = sc.lateral_mm / FWHM
    beam_mm = sigma_x * np.sqrt(1.0 + ((travelled - sc.focus_mm) / rayleigh) ** 2)
    beam = beam_mm / (lateral_step * (depths if sc.convex else 1.0))
    taps = _gaussian_taps(np.sqrt(np.maximum(beam**2 - SPLINE_VARIANCE, 0.05)))
    # Unit speckle at every depth: the beam's energy over the density of scatterers.
    per_sample = sc.density_per_mm2 * depth_step * lateral_step * (depths if sc.convex else 1.0)
    taps *= np.sqrt(2.0 * math.sqrt(math.pi) * beam / per_sample)[:, None]
    return np.ascontiguousarray(taps.astype(np.float32))


def _pulse_taps(pulse: float) -> F32:
    """Return the pulse's profile, whose standard deviation is ``pulse`` samples; shape (odd,)."""
    taps = _gaussian_taps(np.array([math.sqrt(max(pulse**2 - SPLINE_VARIANCE, 0.05))]))[0]
    taps *= math.sqrt(2.0 * math.sqrt(math.pi) * pulse)
    return np.ascontiguousarray(taps.astype(np.float32))


def _noise_and_gain(sc: Scanner, travelled: Floats, depth_mm: float) -> tuple[F32, F32]:
    """Return the electronic noise's amplitude and the gain in dB, each of shape (samples, 1)."""
    loss_db = 2.0 * sc.attenuation_db_cm_mhz * sc.frequency_mhz * travelled / 10.0
    # Time gain stops rising where the echoes have sunk into the noise.
    noise_db = np.minimum(sc.noise_db + loss_db, -12.0)
    noise = (10 ** (noise_db / 20) / math.sqrt(2.0)).astype(np.float32)[:, None]
    error_db = np.interp(travelled, np.linspace(0, depth_mm, 5), np.array(sc.tgc_error_db))
    return noise, (sc.gain_db + error_db).astype(np.float32)[:, None]


_SAME_TISSUE, _SMOOTHED_SAMPLES = 0.18, 2.0
"""Grey difference (of white) and distance (in beams and samples) within which speckle reduction
averages: chosen by eye."""


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
        first_depth, deepest, first, last, lateral_unit = _extent(sc)
        sigma_z, sigma_x = sc.axial_mm / FWHM, sc.lateral_mm / FWHM
        # A Gaussian sampled at 0.7 of its standard deviation loses nothing measurable.
        depth_step = min(sc.spacing_mm, 0.7 * sigma_z)
        lateral_step = 0.7 * sigma_x / lateral_unit
        samples = math.ceil((deepest - first_depth) / depth_step) + 1 + 2 * _MARGIN
        depths: Floats = first_depth + (np.arange(samples, dtype=np.float64) - _MARGIN) * depth_step
        travelled = np.maximum(depths - first_depth, 0.0)
        self._beam_taps = _beam_taps(sc, travelled, depths, depth_step, lateral_step)
        self._pulse_taps = _pulse_taps(sigma_z / depth_step)
        margin = self._beam_taps.shape[1] // 2 + 2
        beams = math.ceil((last - first) / lateral_step) + 1 + 2 * margin
        self.lateral = first + (np.arange(beams) - margin) * lateral_step
        """Lateral position of every beam: mm, or radians for a convex probe."""
        self.depth = depths
        """Depth of every sample: mm from the face, or from the apex for a convex probe."""
        self._grid = np.array([self.lateral[0], lateral_step, depths[0], depth_step])
        self.beam_spacing_mm = lateral_step * lateral_unit
        """Distance of neighbouring beams (halfway down, for a convex probe)."""
        angles = np.radians(np.array(sc.looks_deg))
        self._cycles = np.ascontiguousarray(
            np.stack([np.sin(angles) * lateral_unit, np.cos(angles)], axis=1)
            * (2.0 / sc.wavelength_mm)
        )
        shape = (2 * len(sc.looks_deg), samples, beams)
        self._planes = np.zeros(shape, dtype=np.float32)
        self._buffer = np.zeros(shape, dtype=np.float32)
        self._noise, self._gain_db = _noise_and_gain(sc, travelled, deepest - first_depth)
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
        """Lateral position and depth, in the beams' own coordinates, of points in mm.

        All of one shape; of a convex probe the lateral position is an angle, rad, and the depth is
        the distance from the apex, mm.
        """
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
        """Add scatterers at their present positions (mm) to the frame being made.

        ``x``, ``z`` and ``amplitude`` have shape (n,), ``reference`` (looks, n).
        """
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
        if sc.speckle_reduction > 0:
            smooth = cv2.bilateralFilter(grey, 7, _SAME_TISSUE, _SMOOTHED_SAMPLES)
            grey = np.asarray(
                cv2.addWeighted(
                    smooth, sc.speckle_reduction, grey, 1.0 - sc.speckle_reduction, 0.0
                ),
                dtype=np.float32,
            )
        grey = np.float32(sc.pedestal) + np.float32(1.0 - sc.pedestal) * grey
        if self._shown is not None and sc.persistence > 0:
            grey = sc.persistence * self._shown + (1.0 - sc.persistence) * grey
        self._shown = grey
        picture = cv2.remap(grey, *self._maps, cv2.INTER_LINEAR, borderValue=0.0)
        if sc.convex:
            picture[~self.inside] = 0.0
        return np.asarray(np.rint(picture * np.float32(255.0)), dtype=np.uint8)
