"""The simulator's kernels against slow, obvious twins."""

import numpy as np
import pytest

from usguide.kernels.scatterers import ROTATION, splat, spread_beam, spread_pulse

pytestmark = pytest.mark.kernel


def spline(distance: float) -> float:
    """Quadratic B-spline."""
    d = abs(distance)
    if d <= 0.5:
        return 0.75 - d * d
    return 0.5 * (1.5 - d) ** 2 if d < 1.5 else 0.0


def test_splat_spreads_each_scatterer_with_its_round_trip_phase() -> None:
    rng = np.random.default_rng(1)
    n, looks, samples, beams = 12, 2, 9, 8
    lateral = rng.uniform(10.0, 10.7, n).astype(np.float32)
    depth = rng.uniform(-0.1, 0.9, n).astype(np.float32)
    amplitude = rng.uniform(0.5, 2.0, n).astype(np.float32)
    amplitude[3] = 0.0
    reference = rng.uniform(0, 1, (looks, n)).astype(np.float32)
    cycles = np.array([[0.0, 13.0], [2.0, 12.5]])
    grid = np.array([10.0, 0.1, 0.0, 0.1])
    planes = np.zeros((2 * looks, samples, beams), dtype=np.float32)
    splat(planes, lateral, depth, amplitude, reference, cycles, grid, ROTATION)

    expected = np.zeros((looks, samples, beams), dtype=complex)
    for k in range(n):
        u, v = (lateral[k] - grid[0]) / grid[1], (depth[k] - grid[2]) / grid[3]
        column, row = int(np.floor(u + 0.5)), int(np.floor(v + 0.5))
        if not (1 <= column < beams - 1 and 1 <= row < samples - 1):
            continue
        for look in range(looks):
            phase = reference[look, k] - cycles[look] @ [lateral[k], depth[k]]
            value = amplitude[k] * np.exp(2j * np.pi * phase)
            for r in range(samples):
                for c in range(beams):
                    expected[look, r, c] += value * spline(u - c) * spline(v - r)
    # The phase is taken from a table of 4096 steps.
    assert np.allclose(planes[::2] + 1j * planes[1::2], expected, atol=6e-3)
    assert np.abs(expected).max() > 0.5


def test_scatterers_off_the_grid_add_nothing() -> None:
    planes = np.zeros((2, 6, 6), dtype=np.float32)
    far = np.array([-1e6, 1e6, 0.0, 5.4], dtype=np.float32)
    one = np.ones(4, dtype=np.float32)
    splat(
        planes, far, np.full(4, 3, np.float32), one, np.zeros((1, 4), np.float32),
        np.array([[0.0, 1.0]]), np.array([0.0, 1.0, 0.0, 1.0]), ROTATION,
    )  # fmt: skip
    assert not planes.any()


def test_spread_beam_convolves_each_row_with_its_own_taps() -> None:
    rng = np.random.default_rng(2)
    planes = rng.normal(size=(2, 4, 11)).astype(np.float32)
    taps = rng.uniform(size=(4, 5)).astype(np.float32)
    taps = taps + taps[:, ::-1]
    taps[1, [0, 4]] = 0.0
    out = np.full_like(planes, 7.0)
    spread_beam(planes, taps, out)
    for m in range(2):
        for row in range(4):
            expected = np.convolve(planes[m, row], taps[row], mode="valid")
            assert np.allclose(out[m, row, 2:-2], expected, atol=1e-5)
    assert not out[:, :, [0, 1, -2, -1]].any()


def test_spread_pulse_convolves_columns() -> None:
    rng = np.random.default_rng(3)
    planes = rng.normal(size=(2, 10, 5)).astype(np.float32)
    taps = np.array([0.2, 0.5, 0.2], dtype=np.float32)
    out = np.full_like(planes, 7.0)
    spread_pulse(planes, taps, out)
    for m in range(2):
        for column in range(5):
            expected = np.convolve(planes[m, :, column], taps, mode="valid")
            assert np.allclose(out[m, 1:-1, column], expected, atol=1e-5)
    assert not out[:, [0, -1]].any()
