"""A scanner in Fourier optics: echoes of point scatterers to the pictures that a recorder stores.

It shares nothing with ``usguide.synth``: radio-frequency lines with a gammatone pulse, pupils with
defocus in place of Gaussian beams, shadow with clutter and mirrored echoes, and post-processing.
Lengths are in mm, positions (x, z) from the middle of the probe's face, z away from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from scipy import fft
from scipy.ndimage import gaussian_filter1d, map_coordinates
from tests.ingest_files import region_item, write_dicom

Floats = NDArray[np.float64]
Frames = NDArray[np.uint8]

SOUND_MM_US = 1.54
LINES = 224
SAMPLES_PER_WAVE = 6
"""Of the radio-frequency line, per wavelength on the way there and back."""
KEPT = 4
"""Every so many samples of the analytic line are kept: it is demodulated, so nothing is lost."""
FPS = 15
PER_CELL = 10
"""Scatterers of Gaussian strength in a resolution cell: speckle all but fully developed."""


@dataclass(frozen=True)
class Probe:
    """Where the lines run: ``linear``, ``trapezoid`` (flat, fanned out) or ``convex``.

    ``half_mm`` is half the face's width, ``radius_mm`` that of a convex face, or how far above the
    face the outer lines of a trapezoid meet; both are ignored for a linear probe.
    """

    kind: str
    half_mm: float
    depth_mm: float
    frequency_mhz: float
    radius_mm: float = np.inf

    @property
    def wave_mm(self) -> float:
        """Half a wavelength: depth per cycle of an echo."""
        return SOUND_MM_US / self.frequency_mhz / 2

    @property
    def step_mm(self) -> float:
        """Depth per sample of a radio-frequency line."""
        return self.wave_mm / SAMPLES_PER_WAVE

    def beam(self, points: Floats) -> tuple[Floats, Floats]:
        """Turn (x, z) of shape (..., 2) into line numbers and depths along the line."""
        x, z = points[..., 0], points[..., 1]
        if self.kind == "linear":
            place, depth = x / self.half_mm, z
        elif self.kind == "trapezoid":
            foot = x * self.radius_mm / (self.radius_mm + z)
            place, depth = foot / self.half_mm, z * np.hypot(1, foot / self.radius_mm)
        else:
            half = np.arcsin(self.half_mm / self.radius_mm)
            place = np.arctan2(x, z + self.radius_mm) / half
            depth = np.hypot(x, z + self.radius_mm) - self.radius_mm
        return (place + 1) / 2 * (LINES - 1), depth

    @property
    def sag_mm(self) -> float:
        """How far the ends of a convex face lie above its middle."""
        if self.kind != "convex":
            return 0.0
        return self.radius_mm - float(np.sqrt(self.radius_mm**2 - self.half_mm**2))

    def direction(self, points: Floats) -> Floats:
        """Return the unit vectors along the lines at (x, z), both of shape (n, 2)."""
        along = np.stack([points[:, 0] / self.radius_mm, 1 + points[:, 1] / self.radius_mm], axis=1)
        along /= np.linalg.norm(along, axis=1, keepdims=True)
        return along

    def spacing(self, depth: Floats) -> Floats:
        """Distance in mm of neighbouring lines at each depth."""
        return 2 * self.half_mm / (LINES - 1) * (1 + depth / self.radius_mm)

    def width_mm(self) -> float:
        """Width of the picture: of the lines at the greatest depth."""
        if self.kind == "convex":
            return 2 * self.half_mm * (1 + self.depth_mm / self.radius_mm)
        return float(self.spacing(np.array(self.depth_mm)) * (LINES - 1))


@dataclass(frozen=True)
class Settings:
    """What the scanner and the recorder are set to; levels in dB."""

    f_number: float
    focus_mm: float
    bandwidth: float
    dynamic_range_db: float
    white_db: float
    noise_db: float
    noise_per_cm_db: float
    gain_error_db: Floats
    """Eight supports along the depth."""
    lifted: float
    """Share of the lines without contact, at the right if positive, at the left if negative."""
    shadow: str
    shadow_db: float
    shadow_per_cm_db: float
    mirror_db: float
    median_px: int
    bilateral: bool
    sharpen: float
    persistence: float
    gamma: float
    looks: int
    width_px: int
    border_px: int
    codec: str
    quality: int


def draw_probe(rng: np.random.Generator, kind: str, deep_mm: float) -> Probe:
    """Draw a probe of a kind, set deep enough to see below ``deep_mm``."""
    depth = float(np.clip(rng.uniform(deep_mm * 1.3 + 4, deep_mm * 1.6 + 16), 20, 60))
    fast = 13.0 if depth < 35 else 10.0
    if kind == "linear":
        return Probe(kind, rng.uniform(18, 26), depth, rng.uniform(6.5, fast))
    if kind == "trapezoid":
        half = rng.uniform(16, 22)
        return Probe(
            kind, half, depth, rng.uniform(6.5, fast), half / np.tan(rng.uniform(0.12, 0.3))
        )
    return Probe(kind, rng.uniform(20, 27), depth, rng.uniform(4.5, 8), rng.uniform(40, 65))


def draw_settings(rng: np.random.Generator, shadow: str, deep_mm: float) -> Settings:
    """Draw the scanner's settings."""
    lifted = rng.uniform(0.05, 0.18) * rng.choice([-1, 1]) if rng.random() < 0.25 else 0.0
    dynamic_range = rng.uniform(45, 75)
    settings = Settings(
        f_number=rng.uniform(2.2, 4.2),
        focus_mm=deep_mm * rng.uniform(0.6, 1.6),
        bandwidth=rng.uniform(0.45, 0.8),
        dynamic_range_db=dynamic_range,
        white_db=dynamic_range * rng.uniform(0.32, 0.55),
        noise_db=rng.uniform(-60, -38),
        noise_per_cm_db=rng.uniform(1, 6),
        gain_error_db=rng.normal(0, 1.8, 8),
        lifted=float(lifted),
        shadow=shadow,
        shadow_db=rng.uniform(-28, -10),
        shadow_per_cm_db=rng.uniform(1, 7),
        mirror_db=rng.uniform(-34, -18),
        median_px=int(rng.choice([0, 0, 3, 5])),
        bilateral=bool(rng.random() < 0.35),
        sharpen=rng.uniform(0.3, 1.2) if rng.random() < 0.4 else 0.0,
        persistence=rng.uniform(0, 0.7),
        gamma=rng.uniform(0.8, 1.35),
        looks=int(rng.choice([1, 2, 3])),
        width_px=int(rng.integers(300, 901)),
        border_px=int(rng.choice([0, 8, 24])),
        codec=str(rng.choice(["native", "jpeg", "h264"])),
        quality=int(rng.integers(18, 29)),
    )
    if settings.codec == "jpeg":
        settings = replace(settings, quality=int(rng.integers(60, 96)))
    return settings


def pulse(probe: Probe, settings: Settings, length: int, shift: float) -> NDArray[np.complex64]:
    """Return the one-sided spectrum of a fourth-order gammatone, its peak at its echo's depth.

    ``settings.bandwidth`` is the -6 dB width over the centre frequency, which ``shift`` multiplies.
    """
    cycles = fft.fftfreq(length, probe.step_mm) * probe.wave_mm
    decay = settings.bandwidth / 2 / np.sqrt(2 ** (2 / 4) - 1)
    spectrum = (1 + 1j * (cycles - shift) / decay) ** -4
    spectrum *= np.exp(2j * np.pi * cycles * 3 / (2 * np.pi * decay)) * (cycles > 0)
    return (spectrum / np.sqrt(np.mean(np.abs(spectrum) ** 2))).astype(np.complex64)


def optics(probe: Probe, settings: Settings, depth: Floats) -> NDArray[np.complex64]:
    """Return the lateral transfer function, shape (lines, depths): pupil and Fresnel defocus."""
    wave = 2 * probe.wave_mm
    cycles = np.abs(fft.fftfreq(LINES))[:, None] / probe.spacing(depth)
    pupil = np.clip(1 - cycles * wave * settings.f_number, 0, None) ** 1.2
    blur = wave * settings.focus_mm * (depth / settings.focus_mm - 1)
    blur = np.clip(blur, -6 * wave * settings.f_number**2, 6 * wave * settings.f_number**2)
    transfer = pupil * np.exp(0.5j * np.pi * blur * cycles**2)
    return (transfer / np.sqrt(np.mean(np.abs(transfer) ** 2, axis=0))).astype(np.complex64)


def wander(rng: np.random.Generator, distance: Floats, length: float) -> Floats:
    """Return a curve of unit spread that changes over ``length``."""
    supports = np.arange(distance[0], distance[-1] + length, length)
    wander: Floats = np.interp(distance, supports, rng.standard_normal(len(supports)))
    return gaussian_filter1d(wander, 0.3 * length / (distance[1] - distance[0]))


def grain(rng: np.random.Generator, u: Floats, v: Floats, along: float, across: float) -> Floats:
    """Return a smooth random texture of about unit spread, its grains of the given lengths."""
    shape = (int(np.ptp(u) / along) + 6, int(np.ptp(v) / across) + 6)
    knots = rng.standard_normal(shape)
    where = np.stack([(u - u.min()) / along + 2, (v - v.min()) / across + 2])
    texture: Floats = map_coordinates(knots, where, order=2, prefilter=False) * 1.8
    return texture


def scatterers(
    rng: np.random.Generator,
    probe: Probe,
    settings: Settings,
    per_cell: float = PER_CELL,
    above_mm: float = 1.0,
) -> tuple[Floats, float]:
    """Return points all over the picture, shape (n, 2), and the spread of echo of unit power.

    They begin ``above_mm`` over the middle of the face.
    """
    wide = probe.width_mm() / 2 + 2
    cell = probe.wave_mm / settings.bandwidth * 2 * probe.wave_mm * settings.f_number
    count = int(per_cell / cell * 2 * wide * probe.depth_mm)
    points = rng.uniform([-wide, -above_mm], [wide, probe.depth_mm + 1], (count, 2))
    density = count / (2 * wide * (probe.depth_mm + 1 + above_mm))
    # Shared out to four samples, an echo keeps two thirds of its spread along each axis.
    unit = 1 / np.sqrt(density * probe.spacing(np.array(0.0)) * probe.step_mm * (2 / 3) ** 2)
    return points, float(unit)


def surface_echoes(
    rng: np.random.Generator, probe: Probe, curve: Floats, amplitude: float, gloss: float
) -> tuple[Floats, Floats]:
    """Return points on a smooth surface and their echoes: bright where the beam meets it squarely.

    The echoes of one line add up to ``amplitude``; those of a rough surface lie a little behind it.
    """
    fine = np.repeat(curve, 4, axis=0).astype(np.float64)
    fine = np.stack([gaussian_filter1d(fine[:, k], 3) for k in (0, 1)], axis=1)
    step = np.gradient(fine, axis=0)
    length = np.hypot(*step.T) + 1e-9
    beam = probe.direction(fine)
    square = np.abs(step[:, 0] * beam[:, 1] - step[:, 1] * beam[:, 0]) / length
    echo = amplitude * (square**gloss + 0.06) * length / probe.spacing(fine[:, 1])
    later = fine + beam * rng.exponential(0.18, len(fine))[:, None]
    patches = 1 + 0.3 * gaussian_filter1d(rng.standard_normal(len(fine)), 30) * 10
    rough = amplitude * (square**5 + 0.01) * length / probe.spacing(fine[:, 1])
    rough *= rng.choice([-1.5, 1.5], len(fine))
    return np.concatenate([fine, later]), np.concatenate([echo * patches.clip(0.2), rough])


def dense(curve: Floats) -> Floats:
    """Return a curve with points no farther apart than a line."""
    if len(curve) < 2:
        return curve
    number = np.arange(0, len(curve) - 1, 0.1)
    return np.stack([np.interp(number, np.arange(len(curve)), curve[:, k]) for k in (0, 1)], axis=1)


def deposit(probe: Probe, points: Floats, echo: Floats, length: int) -> NDArray[np.float32]:
    """Add echoes to their radio-frequency lines, shared out to the four nearest samples."""
    line, depth = probe.beam(points)
    row = depth / probe.step_mm
    inside = (line > 0) & (line < LINES - 1) & (row > 0) & (row < length - 1)
    line, row, echo = line[inside], row[inside], echo[inside]
    near, top = line.astype(np.int64), row.astype(np.int64)
    right, down = line - near, row - top
    echo = echo / np.sqrt(probe.spacing(depth[inside]) / probe.spacing(np.array(0.0)))
    field = np.zeros(LINES * length)
    for beside, across in ((0, 1 - right), (1, right)):
        for below, along in ((0, 1 - down), (1, down)):
            field += np.bincount(
                (near + beside) * length + top + below, echo * across * along, LINES * length
            )
    return field.reshape(LINES, length).astype(np.float32)


def first_depth(probe: Probe, surface: Floats) -> Floats:
    """Return the depth at which each line meets a densely sampled surface, infinity if never."""
    line, depth = probe.beam(surface)
    first = np.full(LINES, np.inf)
    number = np.round(line).astype(np.int64)
    inside = (number >= 0) & (number < LINES) & (depth > 0)
    np.minimum.at(first, number[inside], depth[inside])
    return first


def shade(
    field: NDArray[np.float32],
    probe: Probe,
    settings: Settings,
    bone: Floats,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Return the lines with the bone's shadow and what fills it.

    Black: nothing. Grey: speckle that weakens with depth, and echoes off the neighbouring lines.
    Mirror: what lies above the bone, again at its own depth behind the bone, as it came off the
    probe's face a second time; the bone itself so reappears at twice its depth.
    """
    depth = np.arange(field.shape[1]) * probe.step_mm
    first = first_depth(probe, bone)
    behind = np.clip((depth - first[:, None] - 0.35) / 0.5, 0, None)
    lit = np.exp(-(np.minimum(behind, 9.0) ** 2))
    # The aperture looks past the edge of the bone: the shadow's side is soft, the more so in depth.
    far = depth / probe.depth_mm
    lit = gaussian_filter1d(lit, 1.2, axis=0) * (1 - far) + gaussian_filter1d(lit, 6, axis=0) * far
    lit = lit.astype(np.float32)
    shaded = field * lit
    if settings.shadow == "black":
        return shaded
    into = np.where(np.isfinite(first)[:, None], depth - first[:, None], 0.0).clip(0)
    fall = 10 ** ((settings.shadow_db - settings.shadow_per_cm_db * into / 10) / 20)
    if settings.shadow == "grey":
        smeared = gaussian_filter1d(field, LINES / 9, axis=0) * np.float32(4)
        fill = rng.standard_normal(field.shape, np.float32) / 3 + smeared
        return shaded + fill * ((1 - lit) * fall).astype(np.float32)
    mirrored = np.zeros_like(field)
    for number in np.flatnonzero(first < probe.depth_mm):
        start = int(first[number] / probe.step_mm)
        echoes = field[number, : min(start + start // 20, field.shape[1] - start)]
        mirrored[number, start : start + len(echoes)] = echoes
    faint = rng.standard_normal(field.shape, np.float32) * np.float32(0.03)
    gain = np.float32(10 ** (settings.mirror_db / 20))
    return shaded + (mirrored * gain + faint * fall.astype(np.float32)) * (1 - lit)


def scan(
    probe: Probe,
    settings: Settings,
    points: Floats,
    echo: Floats,
    bone: Floats,
    static: np.random.Generator,
    rng: np.random.Generator,
) -> Floats:
    """Return the envelope in dB over a scatterer of unit power, shape (lines, depths).

    ``static`` draws what stays from frame to frame, ``rng`` the thermal noise.
    """
    field = shade(deposit(probe, points, echo, samples(probe)), probe, settings, bone, static)
    return detect(probe, settings, field, optics(probe, settings, kept_depths(probe)), rng)


def samples(probe: Probe) -> int:
    """Return how many samples a radio-frequency line has."""
    return int(fft.next_fast_len(int(probe.depth_mm / probe.step_mm) + 40))


def kept_depths(probe: Probe) -> Floats:
    """Return the depths in mm of the kept samples."""
    return np.arange(0, samples(probe), KEPT) * probe.step_mm


def echoes(
    probe: Probe,
    settings: Settings,
    lines: NDArray[np.complex64],
    transfer: NDArray[np.complex64],
    shift: float = 1.0,
) -> NDArray[np.complex64]:
    """Return what is received, shape (lines, depths), of the spectra of radio-frequency lines."""
    length = lines.shape[1]
    analytic = fft.ifft(lines * pulse(probe, settings, length, shift), axis=1)[:, ::KEPT]
    seen: NDArray[np.complex64] = fft.ifft(fft.fft(analytic, axis=0) * transfer, axis=0)
    return seen


def detect(
    probe: Probe,
    settings: Settings,
    field: NDArray[np.float32],
    transfer: NDArray[np.complex64],
    rng: np.random.Generator,
) -> Floats:
    """Return the envelope in dB of radio-frequency lines, with noise, shape (lines, depths).

    ``transfer`` is that of the :func:`optics` at the kept depths.
    """
    depth = kept_depths(probe)
    noise_db = settings.noise_db + settings.noise_per_cm_db * depth / 10
    lines = fft.fft(field, axis=1)
    total: Floats = np.zeros((LINES, len(depth)))
    for look in range(settings.looks):
        shift = 1 + 0.22 * (look - (settings.looks - 1) / 2)
        seen = echoes(probe, settings, lines, transfer, shift)
        noise = rng.standard_normal((2, *seen.shape), np.float32)
        noise = gaussian_filter1d(noise, 0.6, axis=2) * np.float32(1.4)
        total += np.abs(seen + (noise[0] + 1j * noise[1]) * 10 ** (noise_db / 20))
    level: Floats = 20 * np.log10(total / settings.looks + 1e-6)
    gain = np.interp(
        depth, np.linspace(0, probe.depth_mm, len(settings.gain_error_db)), settings.gain_error_db
    )
    return level + gaussian_filter1d(gain, len(depth) / 16) + contact(settings, depth)


def contact(settings: Settings, depth: Floats) -> Floats:
    """Return what lines without contact lose, and what rings on under their face, in dB."""
    place = np.linspace(0, 1, LINES) if settings.lifted > 0 else np.linspace(1, 0, LINES)
    off = 1 / (1 + np.exp((1 - abs(settings.lifted) - place) * 25))
    loss: Floats = -35.0 * off[:, None] * (1 - np.exp(-depth / 3.0))
    return loss


def pixels(probe: Probe, settings: Settings) -> tuple[Floats, float]:
    """Return (x, z) of every pixel, shape (rows, columns, 2), and the pixel's size in mm.

    A picture has black margins of ``border_px`` on all sides.
    """
    size = probe.width_mm() / settings.width_px
    sag = probe.sag_mm
    rows = int((probe.depth_mm + sag) / size)
    margin = settings.border_px
    z = (np.arange(-margin, rows + margin) + 0.5) * size - sag
    x = (np.arange(-margin, settings.width_px + margin) + 0.5) * size - probe.width_mm() / 2
    # H.264 wants even sides.
    x, z = x[: len(x) // 2 * 2], z[: len(z) // 2 * 2]
    return np.stack(np.meshgrid(x, z), axis=-1), size


def pictures(probe: Probe, settings: Settings, levels: Sequence[Floats]) -> Frames:
    """Return the frames as displayed: converted, compressed to grey and post-processed."""
    grid, _ = pixels(probe, settings)
    line, depth = probe.beam(grid)
    outside = (line < 0) | (line > LINES - 1) | (depth < 0) | (depth > probe.depth_mm)
    column = (depth / probe.step_mm / KEPT).astype(np.float32)
    frames: list[Frames] = []
    kept: Floats | None = None
    for level in levels:
        grey = np.clip((level - settings.white_db) / settings.dynamic_range_db + 1, 0, 1)
        kept = grey if kept is None else settings.persistence * kept + (
            1 - settings.persistence) * grey  # fmt: skip
        shown = cv2.remap(
            kept.astype(np.float32), column, line.astype(np.float32), cv2.INTER_LINEAR
        )
        shown = 255 * shown**settings.gamma
        if settings.median_px:
            shown = cv2.medianBlur(shown, settings.median_px)
        if settings.bilateral:
            shown = cv2.bilateralFilter(shown, 7, 30, 2.5)
        if settings.sharpen:
            shown += settings.sharpen * (shown - cv2.GaussianBlur(shown, (0, 0), 2.0))
        shown[outside] = 0
        frames.append(np.clip(np.round(shown), 0, 255).astype(np.uint8))
    return np.stack(frames)


def store(path: Path, frames: Frames, size_mm: float, settings: Settings, fps: int = FPS) -> Path:
    """Write a calibrated DICOM, native or JPEG, or an H.264 video, which states no scale."""
    if settings.codec == "h264":
        return _video(path.with_suffix(".mp4"), frames, settings.quality, fps)
    height, width = frames.shape[1:]
    regions = [region_item((0, 0, width - 1, height - 1), (size_mm / 10, size_mm / 10))]
    more: dict[str, object] = {"SequenceOfUltrasoundRegions": regions, "FrameTime": 1000 / fps}
    if settings.codec == "jpeg":
        options = [cv2.IMWRITE_JPEG_QUALITY, settings.quality]
        coded = [bytes(cv2.imencode(".jpg", frame, options)[1]) for frame in frames]
        more["transfer_syntax"] = "1.2.840.10008.1.2.4.50"
        more["pixel_bytes"] = encapsulate(coded)
    return write_dicom(path.with_suffix(".dcm"), frames, **more)


def _video(path: Path, frames: Frames, crf: int, fps: int) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.height, stream.width = frames.shape[1:]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(crf), "preset": "veryfast"}
        for picture in frames:
            shown = av.VideoFrame.from_ndarray(picture, format="gray")
            container.mux(stream.encode(shown.reformat(format="yuv420p")))
        container.mux(stream.encode())
    return path
