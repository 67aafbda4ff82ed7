"""Heels of simulated waves: the physics of the scanner, the truth, and what it must not share."""

import ast
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from second_clips import run_again

sys.path.insert(0, str(Path(__file__).parents[1]))  # the benchmark is not part of the package

from benchmarks import wave_heel, wave_heels, wave_scanner, wave_screen, wave_tissue
from benchmarks.wave_scanner import PER_CYCLE, SOUND_MM_US, Array, Beam

ARRAY = Array(96, 0.2, 8.0, 0.6)
NOTHING = np.zeros((0, 2))


def beam(degrees=(-8.0, 0.0, 8.0), looks=1, depth_mm=22.0, **changed):
    settings = {
        "angles": np.radians(degrees),
        "looks": looks,
        "f_number": 1.6,
        "depth_mm": depth_mm,
        "gain": np.ones(ARRAY.elements),
        "late_us": np.zeros(ARRAY.elements),
        "fall": 0.0,
        "noise_db": -200.0,
        "noise_per_cm_db": 0.0,
    }
    return Beam(**(settings | changed))


def receive(points, echo=None, surface=NOTHING, free=None, **changed):
    points = np.array(points, dtype=np.float64)
    echo = np.ones(len(points)) if echo is None else echo
    free = np.zeros(len(points), np.bool_) if free is None else free
    rng = np.random.default_rng(0)
    return wave_scanner.receive(ARRAY, beam(**changed), points, echo, free, surface, rng)


def image(points, x, z, echo=None, surface=NOTHING, free=None, **changed):
    iq = receive(points, echo, surface, free, **changed)
    return wave_scanner.image(ARRAY, beam(**changed), iq, x, z)


def row(middle, degrees, length_mm=6.0):
    """Points 0.02 mm apart on a straight line."""
    along = np.arange(-length_mm / 2, length_mm / 2, 0.02)[:, None]
    return np.array(middle) + along * [np.cos(np.radians(degrees)), np.sin(np.radians(degrees))]


def test_signals_are_the_sum_of_every_points_pulse_at_every_element():
    """Against a sum of delayed Gaussian pulses, written out for each pair."""
    points = np.array([(-2.0, 7.0), (3.0, 12.0), (0.5, 18.0)])
    echo = np.array([1.0, -0.7, 1.5])
    iq = receive(points, echo, degrees=(5.0,))[:, 0]
    time = np.arange(iq.shape[1]) / (ARRAY.frequency_mhz * PER_CYCLE / 2)
    angle, frequency = np.radians(5.0), ARRAY.frequency_mhz
    spread = np.sqrt(np.log(2)) * 2 / (ARRAY.bandwidth * frequency) / (2 * np.pi)
    expected = np.zeros_like(iq)
    for (x, z), strength in zip(points, echo, strict=True):
        far = np.hypot(x - ARRAY.place, z)[:, None]
        sine = (x - ARRAY.place[:, None]) / far
        late = (x * np.sin(angle) + z * np.cos(angle) + far) / SOUND_MM_US
        heard = z / far / np.sqrt(far) * np.sinc(ARRAY.pitch_mm * sine / ARRAY.wave_mm)
        start = (x - z * np.tan(angle)) / ARRAY.pitch_mm + (ARRAY.elements - 1) / 2
        sent = np.clip(min(start, ARRAY.elements - 1 - start) / (0.06 * ARRAY.elements), 0, 1)
        pulse = np.exp(-(((time - late) / spread) ** 2) / 4)
        expected += strength * sent * heard * pulse * np.exp(-2j * np.pi * frequency * late)
    alike = np.vdot(expected, iq) / np.linalg.norm(expected) / np.linalg.norm(iq)
    assert abs(alike) > 0.999


@pytest.mark.parametrize("looks", [1, 3])
@pytest.mark.parametrize("place", [(0.0, 8.0), (4.0, 13.0), (-5.0, 18.0)])
def test_a_point_is_shown_where_it_is_and_small(place, looks):
    x, z = np.arange(-7.0, 7.0, 0.05), np.arange(5.0, 20.0, 0.03)
    level = image([place], x, z, looks=looks)
    row_, column = np.unravel_index(np.argmax(level), level.shape)
    assert (x[column], z[row_]) == pytest.approx(place, abs=0.06)
    strong = level > level.max() - 6
    assert np.ptp(x[strong.any(axis=0)]) < 0.6
    assert np.ptp(z[strong.any(axis=1)]) < 0.3


def test_even_tissue_is_fully_developed_speckle_of_even_level():
    random = np.random.default_rng(0)
    points = random.uniform([-12, 0.2], [12, 22], (80_000, 2))
    signs = random.choice([-1.0, 1.0], len(points))
    x, z = np.arange(-5, 5, 0.1), np.arange(4, 20, 0.06)
    level = image(points, x, z, signs)
    envelope = 10 ** (level / 20)
    assert envelope.mean() / envelope.std() == pytest.approx(1.91, abs=0.1)
    assert level.std() == pytest.approx(5.57, abs=0.4)
    assert level[z < 8].mean() == pytest.approx(level[z > 16].mean(), abs=1.0)
    smooth = image(points, x, z, signs, looks=3)
    assert smooth.std() < 0.8 * level.std()


def test_a_smooth_surface_fades_where_the_beam_meets_it_aslant():
    x, z = np.arange(-2, 2, 0.1), np.arange(8, 16, 0.05)
    square, aslant = (image(row((0, 12), degrees), x, z).max() for degrees in (0.0, 35.0))
    assert aslant < square - 15


def test_what_lies_behind_a_surface_is_hidden():
    surface = row((0.0, 8.0), 0.0, 18.0)
    places = np.array([(0.0, 7.0), (0.0, 12.0)])
    x, z = np.array([0.0]), np.arange(5.0, 15.0, 0.03)
    seen, hidden, copied = (
        image(places, x, z, surface=line, free=np.array([False, free]))
        for line, free in ((NOTHING, False), (surface, False), (surface, True))
    )
    behind = z > 10
    assert hidden[~behind].max() == pytest.approx(seen[~behind].max(), abs=0.5)
    assert hidden[behind].max() < seen[behind].max() - 60
    assert copied[behind].max() == pytest.approx(seen[behind].max(), abs=0.5)


def test_the_edge_of_a_shadow_is_half_lit():
    """Under the end of a surface half of the elements still see a point."""
    surface = row((-5.0, 8.0), 0.0, 10.0)
    x, z = np.array([0.05]), np.arange(11.0, 13.0, 0.03)
    alone, half = (image([(0.05, 12.0)], x, z, surface=line) for line in (NOTHING, surface))
    assert -12 < half.max() - alone.max() < -3


def test_elements_without_contact_darken_what_lies_under_them():
    gain = np.where(ARRAY.place > 3, 0.03, 1.0)
    x, z = np.array([-5.0, 6.5]), np.arange(7.0, 9.0, 0.03)
    places = [(-5.0, 8.0), (6.5, 8.0)]
    whole, lifted = (
        image(places, x, z, gain=loss).max(axis=0) for loss in (np.ones(ARRAY.elements), gain)
    )
    assert lifted[0] == pytest.approx(whole[0], abs=0.5)
    assert lifted[1] < whole[1] - 20


@pytest.mark.parametrize("seed", range(8))
def test_truth_is_the_heel_that_was_drawn(seed):
    """Borders lie half the thickness off the mid-line, and the bone turns down at the insertion."""
    heel = wave_heel.draw_heel(np.random.default_rng(seed))
    across = heel.deep - heel.superficial
    np.testing.assert_allclose(np.linalg.norm(across, axis=1), heel.thickness)
    np.testing.assert_allclose((heel.deep + heel.superficial) / 2, heel.midline)
    along = np.gradient(heel.midline, axis=0)
    np.testing.assert_allclose((along * across).sum(axis=1) / heel.thickness, 0, atol=0.003)
    np.testing.assert_allclose(heel.deep[heel.start], 0, atol=1e-9)
    assert np.linalg.norm(heel.bone, axis=1).min() < 0.05
    assert 1.6 <= heel.thickness.min() <= heel.thickness.max() <= 7.5
    assert np.all(np.diff(heel.bone[:, 0]) > 0)
    before, after = (np.interp(x, *heel.bone.T) for x in (-8.0, 6.0))
    assert after > before + 2
    assert np.all(np.interp(heel.bone[:, 0], *heel.superficial.T) < heel.bone[:, 1])


@pytest.mark.slow
def test_a_seed_is_one_heel_and_its_bone_lies_on_the_truth(monkeypatch):
    monkeypatch.setattr(wave_heels, "FRAMES", 2)
    monkeypatch.setattr(wave_heels, "PER_MM2", 30.0)
    frames, truth, _ = wave_heels.render(3)
    again, truth_again, _ = wave_heels.render(3)
    np.testing.assert_array_equal(frames, again)
    assert truth == truth_again
    assert frames.shape == (truth["frames"], truth["height"], truth["width"])
    assert np.any(frames[0] != frames[1])
    size = truth["calibration"]["mm_per_px"][0]
    x, y = np.array(truth["fascia"]["bone_px"]).T
    flat = (np.abs(np.gradient(y, x)) < 0.2) & (x > 10) & (x < truth["width"] - 10)
    reach = int(2 / size)
    off = [
        max(int(high) - reach, 0)
        + np.argmax(frames[0][max(int(high) - reach, 0) : int(high) + reach, column])
        - high
        for column, high in zip(np.round(x[flat]).astype(int), y[flat], strict=True)
    ]
    assert flat.sum() > 20
    assert np.median(np.abs(off)) * size < 0.3


@pytest.mark.slow
def test_clips_are_made_once_and_judged(tmp_path, capsys, monkeypatch):
    """Seed 3 is rendered, kept, read again and reported on."""
    monkeypatch.setattr(wave_heels, "FRAMES", 1)
    monkeypatch.setattr(wave_heels, "PER_MM2", 30.0)
    command = ["wave_heels", "--seeds", "3:3", "--folder", str(tmp_path), "--render"]
    monkeypatch.setattr(sys, "argv", command)
    wave_heels.main()
    assert len(list(tmp_path.iterdir())) == 2
    truth = json.loads((tmp_path / "wave00003.truth.json").read_text(encoding="utf-8"))
    assert {"insertion", "maximum", "stations"} <= truth["fascia"]["thickness_mm"].keys()
    said = run_again(wave_heels, "3:3", tmp_path, monkeypatch, capsys)
    assert "heels measured: " in said.out
    assert len(said.err.splitlines()) == 1


def test_it_takes_nothing_from_the_first_simulator_or_the_detectors():
    own = ("usguide", "painted", "tissue_examples", "second_scanner")
    for module in (wave_heel, wave_heels, wave_scanner, wave_screen, wave_tissue):
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        taken = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        taken += [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
        assert not [name for name in taken if any(part in name for part in own)]
