"""A scanner by wave physics: plane waves, every scatterer's echo in every element, beamforming.

Nothing is drawn in the picture's domain. Single (Born) scattering with exact delays, as in SIMUS
[1]_; what a picture shows of speckle, glare off the beam's axis, loss at slanting surfaces, grating
lobes and half-shadows follows from the interference of the echoes. Beamforming is delay-and-sum of
compounded plane waves [2]_. Lengths are in mm, times in µs, positions (x, z) from the middle of the
array's face, z away from it.

.. [1] D. Garcia, "SIMUS: an open-source simulator for medical ultrasound imaging",
   Comput. Methods Programs Biomed. 218, 106726 (2022).
.. [2] G. Montaldo et al., "Coherent plane-wave compounding for very high frame rate ultrasonography
   and transient elastography", IEEE Trans. UFFC 56, 489 (2009).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import fft

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

SOUND_MM_US = 1.54
PER_CYCLE = 8
"""Samples of an element's signal per cycle."""
BINS = 512
"""Directions in which an element looks for what hides a scatterer."""
WIDEST = 0.87
"""Sine of the widest angle at which an element hears: 60 degrees."""
EDGE = 0.06
"""Share of the face over which a plane wave fades at either end."""
HIDDEN_MM = 0.3
"""What lies this far behind a surface is hidden by it."""


@dataclass(frozen=True)
class Array:
    """A linear array and its pulse; ``bandwidth`` is the -6 dB width over the centre frequency."""

    elements: int
    pitch_mm: float
    frequency_mhz: float
    bandwidth: float

    @property
    def wave_mm(self) -> float:
        """The wavelength."""
        return SOUND_MM_US / self.frequency_mhz

    @property
    def place(self) -> Floats:
        """Where the elements' middles are, x."""
        return (np.arange(self.elements) - (self.elements - 1) / 2) * self.pitch_mm

    @property
    def width_mm(self) -> float:
        """Width of the face."""
        return self.elements * self.pitch_mm


@dataclass(frozen=True)
class Beam:
    """How the array sends and listens.

    The plane waves of ``angles`` (rad) are summed coherently in ``looks`` groups of neighbours, and
    the groups' powers added. ``gain`` and ``late_us``, shape (elements,), are what contact and fat
    do to each element. ``fall`` is the share by which the centre frequency falls over the depth;
    noise is in dB over the echo of unit tissue at the face, and grows with depth as the gain does.
    """

    angles: Floats
    looks: int
    f_number: float
    depth_mm: float
    gain: Floats
    late_us: Floats
    fall: float
    noise_db: float
    noise_per_cm_db: float


def horizon(array: Array, surface: Floats) -> Singles:
    """Return how far each element sees before it meets a surface, shape (elements, BINS).

    ``surface`` are points (n, 2), dense; the directions' sines are evenly spaced.
    """
    x, z = surface.T
    seen = np.full((array.elements, BINS), np.inf, np.float32)
    for number, place in enumerate(array.place):
        far = np.hypot(x - place, z)
        bins = ((x - place) / far + 1) / 2 * BINS
        np.minimum.at(seen[number], bins.astype(np.int64).clip(0, BINS - 1), far)
    return seen


def transmit(
    array: Array, beam: Beam, points: Floats, free: NDArray[np.bool_], surface: Floats
) -> tuple[Singles, Singles]:
    """Return when each plane wave meets each point, in µs, and how strong: (points, angles).

    A wave fades towards the ends of the face, which it leaves only there, and ends at the surface.
    """
    there = np.empty((len(points), len(beam.angles)), np.float32)
    sent = np.empty_like(there)
    numbers = np.arange(array.elements)

    def left(at: Floats, angle: float) -> Floats:
        start: Floats = (at[:, 0] - at[:, 1] * np.tan(angle)) / array.pitch_mm
        return start + (array.elements - 1) / 2

    for k, angle in enumerate(beam.angles):
        start, met = left(points, angle), left(surface, angle)
        lit = np.full(array.elements, np.inf)
        inside = (met > -0.5) & (met < array.elements - 0.5)
        np.minimum.at(lit, np.round(met[inside]).astype(np.int64), surface[inside, 1])
        near = np.round(start).astype(np.int64).clip(0, array.elements - 1)
        hidden = ~free & (points[:, 1] > lit[near] + HIDDEN_MM)
        edge = np.minimum(start, array.elements - 1 - start) / (EDGE * array.elements)
        sent[:, k] = np.where(hidden, 0, edge.clip(0, 1) * np.interp(start, numbers, beam.gain))
        late = np.interp(start, numbers, beam.late_us)
        there[:, k] = (points @ [np.sin(angle), np.cos(angle)]) / SOUND_MM_US + late
    return there, sent


@njit(
    "void(f4[:,:,::1],f8[:,::1],f8[::1],b1[::1],f4[:,::1],f4[:,::1],f8[::1],f8[:,::1],f8,f8,"
    "f4[:,::1])"
)
def _echo(rf, points, echo, free, there, sent, place, face, wave_mm, rate, seen):
    """Add the echoes of points to ``rf``, (elements, angles, samples), two samples each.

    ``there`` and ``sent``, (points, angles), are the plane waves' arrival in µs and strength;
    ``face`` (2, elements) holds gain and delay; ``free`` echoes are hidden by nothing.
    """
    elements, waves, samples = rf.shape
    pitch = place[1] - place[0]
    bins = seen.shape[1]
    for element in range(elements):
        for n in range(len(points)):
            across, z = points[n, 0] - place[element], points[n, 1]
            far = math.sqrt(across * across + z * z)
            sine = across / far
            if abs(sine) > WIDEST:
                continue
            if not free[n] and far > seen[element, int((sine + 1) / 2 * bins)] + HIDDEN_MM:
                continue
            phase = math.pi * pitch * sine / wave_mm
            weight = echo[n] * (z / far) / math.sqrt(far) * face[0, element]
            if abs(phase) > 1e-6:
                weight *= math.sin(phase) / phase
            back = far / SOUND_MM_US + face[1, element]
            for k in range(waves):
                sample = (there[n, k] + back) * rate
                first = int(sample)
                if first < 0 or first + 1 >= samples:
                    continue
                rest = sample - first
                rf[element, k, first] += weight * sent[n, k] * (1 - rest)
                rf[element, k, first + 1] += weight * sent[n, k] * rest


@njit("void(f8[:,:,::1],c8[:,:,::1],f8[::1],f8[::1],f8[::1],f8[::1],f8,f8,f8)")
def _sum(power, iq, x, z, place, angles, rate, mhz, f_number):
    """Add up the power of delayed and summed signals, shape (looks, rows, columns).

    ``iq`` (elements, angles, samples) is at baseband; ``rate`` in samples per µs.
    """
    elements, waves, samples = iq.shape
    looks = len(power)
    pitch = place[1] - place[0]
    half = (elements - 1) / 2
    steps = 1024
    turn = np.exp(2j * np.pi * np.arange(steps) / steps).astype(np.complex64)
    sine, cosine, tangent = np.sin(angles), np.cos(angles), np.tan(angles)
    there, sent = np.empty(waves), np.empty(waves)
    total, norm = np.empty(looks, np.complex64), np.empty(looks)
    for column in range(len(x)):
        middle = x[column] / pitch + half
        for row in range(len(z)):
            reach = max(z[row] / (2 * f_number) / pitch, 2.0)
            first, last = max(int(middle - reach + 1), 0), min(int(middle + reach), elements - 1)
            for k in range(waves):
                start = (x[column] - z[row] * tangent[k]) / pitch + half
                sent[k] = min(min(start, elements - 1 - start) / (EDGE * elements), 1.0)
                there[k] = (x[column] * sine[k] + z[row] * cosine[k]) / SOUND_MM_US
            total[:] = 0
            norm[:] = 1e-9
            for element in range(first, last + 1):
                across = x[column] - place[element]
                back = math.sqrt(across * across + z[row] * z[row]) / SOUND_MM_US
                off = (element - middle) / reach
                weight = np.float32(1 - off * off)
                for k in range(waves):
                    look = k * looks // waves
                    norm[look] += weight
                    if sent[k] <= 0:
                        continue
                    time = there[k] + back
                    sample = time * rate
                    near = int(sample)
                    if near + 1 >= samples:
                        continue
                    rest = np.float32(sample - near)
                    value = iq[element, k, near]
                    value += rest * (iq[element, k, near + 1] - value)
                    cycles = time * mhz
                    total[look] += weight * value * turn[int((cycles - int(cycles)) * steps)]
            for look in range(looks):
                size = total[look].real ** 2 + total[look].imag ** 2
                power[look, row, column] = size / norm[look] ** 2


def pulse(array: Array, length: int, shift: float) -> Floats:
    """Return the one-sided spectrum of a Gaussian pulse, its centre frequency times ``shift``."""
    cycles = np.arange(length // 2 + 1) * PER_CYCLE / length
    width = array.bandwidth / 2 / np.sqrt(np.log(2))
    spectrum: Floats = np.exp(-(((cycles - shift) / width) ** 2))
    return spectrum / np.sqrt(np.mean(spectrum**2))


def receive(
    array: Array,
    beam: Beam,
    points: Floats,
    echo: Floats,
    free: NDArray[np.bool_],
    surface: Floats,
    rng: np.random.Generator,
) -> NDArray[np.complex64]:
    """Return the elements' signals at baseband, shape (elements, angles, samples).

    ``points`` (n, 2) and ``echo`` (n,) are scatterers, in any order; ``surface`` (m, 2) hides what
    lies behind it, but for the ``free`` (n,). Four samples per cycle.
    """
    rate = array.frequency_mhz * PER_CYCLE
    span = beam.depth_mm * 2 / SOUND_MM_US * 1.25 + 2
    length = int(fft.next_fast_len(math.ceil(span * rate / 16), real=True)) * 16
    order = np.argsort(points[:, 1])
    points, echo, free = np.ascontiguousarray(points[order]), echo[order], free[order]
    there, sent = transmit(array, beam, points, free, surface)
    rf = np.zeros((array.elements, len(beam.angles), length), np.float32)
    face = np.stack([beam.gain, beam.late_us])
    seen = horizon(array, surface)
    _echo(rf, points, echo, free, there, sent, array.place, face, array.wave_mm, rate, seen)
    deep = (np.arange(length) / rate * SOUND_MM_US / 2 / beam.depth_mm).clip(0, 1)
    deep = deep.astype(np.float32)
    iq = np.empty((array.elements, len(beam.angles), length // 2), np.complex64)
    noise = 10 ** ((beam.noise_db + beam.noise_per_cm_db * deep[::2] * beam.depth_mm / 10) / 20)
    near, far = (pulse(array, length, shift).astype(np.float32) for shift in (1.0, 1 - beam.fall))
    band = length // PER_CYCLE * 2
    for number, signal in enumerate(rf):
        spectrum = fft.rfft(signal * (1 - deep)) * near + fft.rfft(signal * deep) * far
        wide = np.zeros((len(signal), length // 2), np.complex64)
        # The band from 0 to twice the centre frequency, which moves to 0.
        wide[:, : band // 2] = spectrum[:, band // 2 : band]
        wide[:, -(band // 2) :] = spectrum[:, : band // 2]
        static = rng.standard_normal((2, *wide.shape), np.float32) * noise
        iq[number] = fft.ifft(wide) + (static[0] + 1j * static[1])
    return iq


def image(array: Array, beam: Beam, iq: NDArray[np.complex64], x: Floats, z: Floats) -> Floats:
    """Return the level in dB at columns ``x`` and rows ``z``, shape (rows, columns)."""
    power = np.zeros((beam.looks, len(z), len(x)))
    rate = array.frequency_mhz * PER_CYCLE / 2
    _sum(power, iq, x, z, array.place, beam.angles, rate, array.frequency_mhz, beam.f_number)
    level: Floats = 10 * np.log10(power.mean(axis=0) * z[:, None] + 1e-12)
    return level
