"""The speckle obeys the laws that speckle obeys."""

import numpy as np
import pytest
from scipy import stats

from usguide.synth.imaging import Imager
from usguide.synth.scanner import FWHM, Scanner, Scatterers

AXIAL_MM, LATERAL_MM = 0.25, 0.50
QUIET = {"noise_db": -140.0}


def scanner(**changes) -> Scanner:
    base = {
        "width_px": 480, "height_px": 480, "spacing_mm": 0.0625, "frequency_mhz": 10.0,
        "axial_mm": AXIAL_MM, "lateral_mm": LATERAL_MM, "focus_mm": 15.0, **QUIET,
    }  # fmt: skip
    return Scanner(**{**base, **changes})


def tissue(sc: Scanner, seed: int) -> Scatterers:
    rng = np.random.default_rng(seed)
    count = int(sc.density_per_mm2 * (sc.width_mm + 6) * (sc.depth_mm + 6))
    return Scatterers.join(
        [
            Scatterers(
                rng.uniform(-3, sc.width_mm + 3, count).astype(np.float32),
                rng.uniform(-3, sc.depth_mm + 3, count).astype(np.float32),
                np.ones(count, dtype=np.float32),
                np.zeros(count, dtype=np.float32),
            )
        ]
    )


def envelope(sc: Scanner, seed: int = 0, shift: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    imager = Imager(sc, np.random.default_rng(99))
    medium = tissue(sc, seed)
    x, z = (medium.x + np.float32(shift[0]), medium.z + np.float32(shift[1]))
    imager.add(x, z, medium.amplitude, imager.reference(medium))
    return imager.envelope()[20:-20, 20:-20]


@pytest.fixture(scope="module")
def speckle() -> list[np.ndarray]:
    return [envelope(scanner(), seed) for seed in range(4)]


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def test_fully_developed_speckle_has_the_rayleigh_ratio(speckle) -> None:
    # sqrt(pi / (4 - pi)) = 1.913
    ratios = [field.mean() / field.std() for field in speckle]
    assert np.mean(ratios) == pytest.approx(1.913, abs=0.05)


def test_its_logarithm_spreads_by_5_57_db(speckle) -> None:
    spreads = [np.std(20 * np.log10(np.maximum(field, 1e-6))) for field in speckle]
    assert np.mean(spreads) == pytest.approx(8.686 * np.pi / (2 * np.sqrt(6)), abs=0.15)


def test_a_rayleigh_law_is_not_rejected(speckle) -> None:
    # Two -6 dB widths apart, samples are independent: correlation of intensities below 1e-4.
    step_z, step_x = 7, 9
    for field in speckle:
        samples = field[::step_z, ::step_x].ravel().astype(float)
        scale = np.sqrt(np.mean(samples**2) / 2)
        assert stats.kstest(samples, stats.rayleigh(scale=scale).cdf).pvalue > 0.01


def test_speckle_is_as_bright_at_every_depth(speckle) -> None:
    rows = np.mean([np.sqrt((field**2).mean(axis=1)) for field in speckle], axis=0)
    bands = rows[: len(rows) // 8 * 8].reshape(8, -1).mean(axis=1)
    assert np.allclose(bands, 1.0, atol=0.06)


def half_width(lags_mm: np.ndarray, values: np.ndarray) -> float:
    """Full width at half maximum of a symmetric peak given from its middle outwards."""
    below = int(np.argmax(values < 0.5))
    share = (values[below - 1] - 0.5) / (values[below - 1] - values[below])
    return 2 * (lags_mm[below - 1] + share * (lags_mm[below] - lags_mm[below - 1]))


def test_speckle_is_as_long_and_wide_as_pulse_and_beam() -> None:
    """The autocovariance of the intensity is as wide as the point spread at -6 dB."""
    sc = scanner()
    imager = Imager(sc, np.random.default_rng(0))
    steps = np.diff(imager.depth)[0], np.diff(imager.lateral)[0]
    focus = int(np.argmin(np.abs(imager.depth - sc.focus_mm)))
    sums = {0: np.zeros(14), 1: np.zeros(14)}
    for seed in range(4):
        field = envelope(sc, seed)[focus - 100 : focus + 60] ** 2
        field = field - field.mean()
        for axis in (0, 1):
            moved = np.moveaxis(field, axis, 0)
            for lag in range(14):
                sums[axis][lag] += np.mean(moved[: len(moved) - lag] * moved[lag:])
    for axis, expected in ((0, AXIAL_MM), (1, LATERAL_MM)):
        curve = sums[axis] / sums[axis][0]
        assert half_width(np.arange(14) * steps[axis], curve) == pytest.approx(expected, rel=0.08)


def test_the_beam_is_narrowest_at_its_focus() -> None:
    wide = scanner(focus_mm=3.0)
    imager = Imager(wide, np.random.default_rng(0))

    def width_at(depth: float) -> float:
        point = np.array([15.0], dtype=np.float32), np.array([depth], dtype=np.float32)
        imager.add(*point, np.ones(1, np.float32), np.zeros((1, 1), np.float32))
        field = imager.envelope()
        row = field[int(np.argmin(np.abs(imager.depth - depth)))]
        return float(np.sqrt((row * (imager.lateral - 15.0) ** 2).sum() / row.sum()) * FWHM)

    assert width_at(3.0) == pytest.approx(LATERAL_MM, rel=0.05)
    assert width_at(25.0) > 1.2 * width_at(3.0)


@pytest.mark.parametrize("axis", [0, 1])
def test_speckle_decorrelates_with_displacement_as_the_point_spread_predicts(axis) -> None:
    sc = scanner()
    size = (LATERAL_MM, AXIAL_MM)[axis] / FWHM
    still = envelope(sc)[90:330] ** 2
    for moved_by in (0.5 * size, 1.0 * size, 2.0 * size):
        shift = (moved_by, 0.0) if axis == 0 else (0.0, moved_by)
        moved = envelope(sc, shift=shift)[90:330] ** 2
        # Intensities correlate as exp(-d^2 / 2 sigma^2) for a Gaussian point spread.
        assert correlation(still, moved) == pytest.approx(
            np.exp(-0.5 * (moved_by / size) ** 2), abs=0.06
        )


def test_a_picture_of_moved_tissue_is_the_moved_picture() -> None:
    sc = scanner(dynamic_range_db=60.0)
    shift = 8
    imager, again = (Imager(sc, np.random.default_rng(5)) for _ in range(2))
    medium = tissue(sc, 1)
    reference = imager.reference(medium)
    imager.add(medium.x, medium.z, medium.amplitude, reference)
    before = imager.show(imager.envelope()).astype(float)
    down = np.float32(shift * sc.spacing_mm)
    again.add(medium.x, medium.z + down, medium.amplitude, reference)
    after = again.show(again.envelope()).astype(float)
    assert correlation(before[60:-60, 20:-20], after[60 + shift : -60 + shift, 20:-20]) > 0.98


def test_compounding_averages_independent_looks() -> None:
    three = envelope(scanner(looks_deg=(-8.0, 0.0, 8.0)))
    assert three.mean() / three.std() == pytest.approx(1.913 * np.sqrt(3), rel=0.08)


def test_noise_rises_with_the_gain_that_undoes_attenuation() -> None:
    sc = scanner(noise_db=-50.0, attenuation_db_cm_mhz=0.5)
    empty = Imager(sc, np.random.default_rng(3)).envelope()
    rms = np.sqrt((empty**2).mean(axis=1))
    depth = Imager(sc, np.random.default_rng(3)).depth
    at = [float(20 * np.log10(rms[int(np.argmin(np.abs(depth - d)))])) for d in (5.0, 15.0)]
    assert at[1] - at[0] == pytest.approx(2 * 0.5 * 10.0 * 1.0, abs=0.8)  # dB over a centimetre
    assert at[0] == pytest.approx(-50.0 + 2 * 0.5 * 10.0 * 0.5, abs=0.8)


def test_a_line_shines_as_far_above_speckle_as_asked() -> None:
    sc = scanner()
    imager = Imager(sc, np.random.default_rng(0))
    x = np.arange(-2.0, sc.width_mm + 2.0, 0.05).astype(np.float32)
    line = Scatterers(
        x,
        np.full_like(x, sc.focus_mm),
        np.full_like(x, sc.line_amplitude(20.0, 0.05)),
        np.ones_like(x),
    )
    imager.add(line.x, line.z, line.amplitude, imager.reference(line))
    level = 20 * np.log10(imager.envelope().max(axis=0)[40:-40])
    assert np.allclose(level, 20.0, atol=0.6)


def test_a_tilted_surface_fades_as_its_echoes_turn_away() -> None:
    """A coherent line across the phase of its own depth is dark; seen as one surface it is not."""
    sc = scanner()
    peaks = {}
    for tilt in (0.0, 8.0):
        for coherence in (0.0, 1.0):
            imager = Imager(sc, np.random.default_rng(0))
            x = np.arange(2.0, 28.0, 0.02).astype(np.float32)
            z = (15.0 + np.tan(np.radians(tilt)) * (x - 15.0)).astype(np.float32)
            line = Scatterers(x, z, np.full_like(x, 0.1), np.full_like(x, coherence))
            imager.add(line.x, line.z, line.amplitude, imager.reference(line))
            peaks[tilt, coherence] = float(imager.envelope().max(axis=0)[60:-60].mean())
    assert peaks[8.0, 0.0] < 0.3 * peaks[0.0, 0.0]
    assert peaks[8.0, 1.0] > 0.7 * peaks[0.0, 1.0]


def test_persistence_keeps_a_share_of_the_last_picture() -> None:
    sc = scanner(persistence=0.5, dynamic_range_db=60.0, gamma=1.0, white_db=0.0)
    imager = Imager(sc, np.random.default_rng(0))
    bright = np.full((len(imager.depth), len(imager.lateral)), 1.0, dtype=np.float32)
    assert imager.show(bright).min() == 255
    assert imager.show(bright * 0).max() == 128
    assert imager.show(bright * 0).max() == 64


def test_convex_speckle_is_as_bright_everywhere_and_as_developed() -> None:
    sc = scanner(
        width_px=640, spacing_mm=0.12, axial_mm=0.5, lateral_mm=0.9, focus_mm=25.0,
        frequency_mhz=5.0, radius_mm=50.0, half_angle_deg=28.0,
    )  # fmt: skip
    rng = np.random.default_rng(4)
    count = int(sc.density_per_mm2 * (sc.width_mm + 6) * (sc.depth_mm + 6))
    x = rng.uniform(-3, sc.width_mm + 3, count).astype(np.float32)
    z = rng.uniform(-3, sc.depth_mm + 3, count).astype(np.float32)
    medium = Scatterers(x, z, np.ones_like(x), np.zeros_like(x))
    imager = Imager(sc, np.random.default_rng(0))
    imager.add(x, z, medium.amplitude, imager.reference(medium))
    field = imager.envelope()[20:-20, 20:-20]
    rows = np.sqrt((field**2).mean(axis=1))
    bands = rows[: len(rows) // 6 * 6].reshape(6, -1).mean(axis=1)
    assert np.allclose(bands, 1.0, atol=0.08)
    assert field.mean() / field.std() == pytest.approx(1.913, abs=0.07)
