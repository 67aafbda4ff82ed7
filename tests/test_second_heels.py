"""The second heel simulator: its physics, its truth, its tables, and what it must not share."""

import ast
import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from second_clips import run_again
from usguide import open_clip

sys.path.insert(0, str(Path(__file__).parents[1]))  # the benchmark is not part of the package

from benchmarks import second_heels, second_scanner
from benchmarks.second_scanner import LINES, Probe, Settings

PROBES = {
    "linear": Probe("linear", 20.0, 30.0, 8.0),
    "trapezoid": Probe("trapezoid", 18.0, 30.0, 8.0, 90.0),
    "convex": Probe("convex", 22.0, 30.0, 6.0, 50.0),
}
SETTINGS = Settings(
    f_number=3.0,
    focus_mm=15.0,
    bandwidth=0.6,
    dynamic_range_db=60.0,
    white_db=25.0,
    noise_db=-80.0,
    noise_per_cm_db=0.0,
    gain_error_db=np.zeros(8),
    lifted=0.0,
    shadow="black",
    shadow_db=-20.0,
    shadow_per_cm_db=1.0,
    mirror_db=-20.0,
    median_px=0,
    bilateral=False,
    sharpen=0.0,
    persistence=0.0,
    gamma=1.0,
    looks=1,
    width_px=400,
    border_px=8,
    codec="native",
    quality=80,
)
NO_BONE = np.array([[0.0, 1e6]])


def scan(probe, points, echo, bone=NO_BONE, **changed):
    settings = dataclasses.replace(SETTINGS, **changed)
    randoms = (np.random.default_rng(k) for k in (1, 2))
    return second_scanner.scan(probe, settings, points, echo, bone, *randoms)


@pytest.fixture(scope="module")
def tissue():
    """Even tissue under the linear probe: points and echoes of unit power."""
    random = np.random.default_rng(0)
    count = 600_000
    points = random.uniform([-21, 0], [21, 31], (count, 2))
    probe = PROBES["linear"]
    density = count / (42 * 31) * probe.spacing(np.array(0.0)) * probe.step_mm
    return points, random.standard_normal(count) * 1.5 / np.sqrt(density)


def test_even_tissue_is_fully_developed_speckle(tissue):
    level = scan(PROBES["linear"], *tissue)[40:-40, 90:-90]
    envelope = 10 ** (level / 20)
    assert envelope.mean() / envelope.std() == pytest.approx(1.91, abs=0.06)
    assert level.std() == pytest.approx(5.57, abs=0.25)
    assert level.mean() == pytest.approx(0.0, abs=4)


def test_two_looks_smooth_the_speckle(tissue):
    one, two = (scan(PROBES["linear"], *tissue, looks=n)[40:-40, 90:-90] for n in (1, 2))
    assert two.std() < 0.9 * one.std()


@pytest.mark.parametrize("kind", PROBES)
@pytest.mark.parametrize("place", [(0.0, 9.0), (6.0, 15.0), (-7.0, 22.0)])
def test_a_point_is_shown_where_it_is(kind, place):
    probe = PROBES[kind]
    level = scan(probe, np.array([place]), np.array([500.0]))
    settings = dataclasses.replace(SETTINGS, white_db=level.max(), dynamic_range_db=12.0)
    (frame,) = second_scanner.pictures(probe, settings, [level])
    grid, size = second_scanner.pixels(probe, settings)
    bright = frame.astype(np.float64) ** 2
    shown = (grid * bright[..., None]).sum(axis=(0, 1)) / bright.sum()
    assert size == pytest.approx(grid[0, 1, 0] - grid[0, 0, 0])
    np.testing.assert_allclose(shown, place, atol=0.2)


def test_resolution_is_worse_off_the_focus():
    point, echo = np.array([[0.0, 15.0]]), np.array([500.0])
    widths = []
    for focus in (15.0, 5.0):
        level = scan(PROBES["linear"], point, echo, focus_mm=focus)
        widths.append(np.sum(level.max(axis=1) > level.max() - 6))
    assert widths[1] > widths[0]


def test_what_fills_the_shadow(tissue):
    """Black nothing, grey speckle at its level, mirror the bone again at twice its depth."""
    probe = PROBES["linear"]
    x = np.arange(-21, 21, 0.02)
    bone = np.stack([x, np.full_like(x, 9.0)], axis=1)
    points = np.concatenate([tissue[0], bone])
    echo = np.concatenate([tissue[1], np.full(len(bone), 12.0)])
    depth = np.arange(2_000) * probe.step_mm * second_scanner.KEPT
    under = {}
    for shadow in second_heels.SHADOWS:
        level = scan(probe, points, echo, bone, shadow=shadow)
        under[shadow] = level[LINES // 2 - 15 : LINES // 2 + 15].mean(axis=0)
    deep = depth[: len(under["grey"])]
    inside = (deep > 12) & (deep < 17)
    assert under["black"][inside].mean() < -33
    assert -30 < under["grey"][inside].mean() < -15
    copy = (deep > 16) & (deep < 20)
    assert deep[copy][np.argmax(under["mirror"][copy])] == pytest.approx(18.0, abs=0.3)


@pytest.mark.parametrize("seed", range(8))
def test_truth_is_the_heel_that_was_drawn(seed):
    """Borders lie half the thickness off the mid-line on both sides, along its normal."""
    heel = second_heels.draw_heel(np.random.default_rng(seed))
    across = heel.deep - heel.superficial
    np.testing.assert_allclose(np.linalg.norm(across, axis=1), heel.thickness)
    np.testing.assert_allclose((heel.deep + heel.superficial) / 2, heel.midline)
    along = np.gradient(heel.midline, axis=0)
    np.testing.assert_allclose((along * across).sum(axis=1) / heel.thickness, 0, atol=0.003)
    np.testing.assert_allclose(np.diff(heel.distance), 0.1)
    np.testing.assert_allclose(np.linalg.norm(np.diff(heel.midline, axis=0), axis=1), 0.1)
    np.testing.assert_allclose(heel.deep[heel.start], 0, atol=1e-9)
    assert np.linalg.norm(heel.bone, axis=1).min() < 0.5
    assert 1.5 <= heel.thickness.min() <= heel.thickness.max() <= 8


def test_a_seed_is_one_heel_and_its_bone_lies_on_the_truth():
    frames, truth, _ = second_heels.render(0)
    again, truth_again, _ = second_heels.render(0)
    np.testing.assert_array_equal(frames, again)
    assert truth == truth_again
    assert frames.shape == (truth["frames"], truth["height"], truth["width"])
    assert all(np.any(frames[k] != frames[k + 1]) for k in range(len(frames) - 1))
    size = truth["calibration"]["mm_per_px"][0]
    line = np.array(truth["fascia"]["bone_px"])
    x, y = line.T
    slope = np.abs(np.gradient(y, x))
    flat = (slope < 0.2) & (x > 10) & (x < truth["width"] - 10)
    off = []
    for column, row in zip(np.round(x[flat]).astype(int), y[flat], strict=True):
        reach = int(2 / size)
        top = max(int(row) - reach, 0)
        off.append(top + np.argmax(frames[0][top : int(row) + reach, column]) - row)
    assert flat.sum() > 20
    assert np.median(np.abs(off)) * size < 0.4


@pytest.mark.parametrize("codec", ["native", "jpeg", "h264"])
def test_recordings_open_with_their_scale(tmp_path, codec):
    random = np.random.default_rng(0)
    frames = random.integers(20, 200, (3, 96, 128), dtype=np.uint8)
    settings = dataclasses.replace(SETTINGS, codec=codec, quality=20 if codec == "h264" else 90)
    path = second_scanner.store(tmp_path / "heel", frames, 0.07, settings)
    clip = open_clip(path, spacing_mm=0.07 if path.suffix == ".mp4" else None)
    assert clip.header.frames == 3
    assert clip.header.calibration.spacing_mm == pytest.approx((0.07, 0.07))


def test_clips_are_made_once_and_judged(tmp_path, capsys, monkeypatch):
    """Seeds 0 and 1 are rendered, kept, read again and reported on."""
    command = ["second_heels", "--seeds", "0:1", "--folder", str(tmp_path), "--render"]
    monkeypatch.setattr(sys, "argv", command)
    second_heels.main()
    assert len(list(tmp_path.iterdir())) == 4
    truth = json.loads((tmp_path / "heel00000.truth.json").read_text(encoding="utf-8"))
    assert {"insertion", "maximum", "stations"} <= truth["fascia"]["thickness_mm"].keys()
    said = run_again(second_heels, "0:1", tmp_path, monkeypatch, capsys)
    assert "heels measured: " in said.out
    assert len(said.err.splitlines()) == 2


def judged(error, covered, reason="", confidence=0.9):
    """Return a score with the same error at the maximum, the insertion and 5 mm."""
    error = np.array(error, dtype=np.float64)
    stations = {
        "station_mm": np.array([-1.0, 0.0, 5.0]),
        "error_mm": error,
        "covered": np.where(np.isfinite(error), covered, np.nan),
        "measured": np.isfinite(error),
    }
    clip = {"side_right": np.array([not reason]), "insertion_error_mm": np.array([0.5])}
    sure = np.nan if reason else confidence
    return second_heels.Score(4, "linear", "grey", reason, sure, stations, clip)


def test_confidence_is_compared_with_what_was_right():
    wrong_side = judged([0.1, 0.1, 0.1], 1.0, confidence=0.96)
    wrong_side.clip["side_right"][:] = False
    rows = second_heels.reliability(
        [
            judged([0.2, -0.4, 0.6], 1.0, confidence=0.97),
            judged([9.0, -0.9, 1.0], 1.0, confidence=1.0),
            wrong_side,
            judged([0.2, 1.5, -0.7], 0.0, confidence=0.95),
            judged([0.2, 1.5, 0.4], 0.0, confidence=0.8),
            judged([np.nan] * 3, 0.0, "there is no bone"),
        ]
    )
    assert [(name, share.split(" (")[0]) for name, share in rows] == [
        ("0 to 0.7", "–"),
        ("0.7 to 0.85", "1 of 1"),
        ("0.85 to 0.95", "–"),
        ("0.95 to 1", "2 of 4"),
    ]


def test_the_table_counts_what_was_measured_and_what_was_wrong():
    nothing = [np.nan] * 3
    scores = [
        judged([0.2, -0.4, 0.6], 1.0),
        judged([1.5, 1.2, -0.2], 0.0),
        judged(nothing, 0.0, "there is no bone"),
    ]
    assert second_heels.figures(scores, 0.0)[:5] == ["2 of 3", "0.80", "1.16", "+0.40", "50 %"]
    assert second_heels.figures(scores, 0.0)[5].startswith("1: 50 %")
    assert second_heels.figures(scores)[0] == "4 of 6"
    assert second_heels.figures(scores[2:], 0.0)[0] == "0 of 1"
    text = second_heels.report(scores)
    assert "heels measured: 2 of 3 (" in text
    assert "| there is no bone | 1 |" in text


def test_it_takes_nothing_from_the_first_simulator_or_the_detectors():
    own = ("usguide.synth", "usguide.fascia", "usguide.kernels", "painted", "tissue_examples")
    for module in (second_heels, second_scanner):
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        taken = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        taken += [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
        assert not [name for name in taken if any(part in name for part in own)]
