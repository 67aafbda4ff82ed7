"""The second simulator's needles: how they echo and move, their truth, and how they are judged."""

import ast
import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from second_clips import run_again
from usguide.model import NeedlePlane, NeedleTrack, Status

sys.path.insert(0, str(Path(__file__).parents[1]))  # the benchmark is not part of the package

from benchmarks import (
    second_needle_echo,
    second_needle_path,
    second_needles,
    second_needling,
    second_scanner,
    second_tissue,
)
from benchmarks.second_needle_echo import Look
from benchmarks.second_needle_path import STEP_MM, Needle
from benchmarks.second_needling import LAST_MM, VISIBLE_DB
from benchmarks.second_scanner import Probe

LINEAR = Probe("linear", 20.0, 30.0, 8.0)
SEED = 31
"""In the plane, short, bright."""


def needle(angle_deg=30.0, length_mm=20.0, **changed):
    """Return a straight needle from the middle of the face to the right, in one frame."""
    along = np.arange(0, 60, STEP_MM)[:, None]
    turned = np.radians(angle_deg)
    values = {
        "plane": "in",
        "diameter_mm": 0.4,
        "angle_deg": angle_deg,
        "path": along * [np.cos(turned), np.sin(turned)],
        "inserted": np.array([length_mm]),
        "turned": np.zeros(1),
        "away": np.zeros(1),
        "distal_mm": np.inf,
        "dropped": np.zeros(1),
        "aslant": 0.0,
        "passes": [],
        "dropouts": 0,
    }
    return Needle(**values | changed)


LOOK = Look(
    level_db=40.0,
    fall_db=0.2,
    steered_deg=0.0,
    gloss=1.0,
    tip_db=0.0,
    spacing_mm=0.4,
    rings=0,
    ring_db=6.0,
    tails=np.array([]),
    tail_db=20.0,
    tail_mm=3.0,
    ghost_db=np.inf,
    wing_db=200.0,
    shadow_db=0.0,
    patches=np.zeros(3000),
    veils=np.zeros(second_scanner.LINES),
)


def echoes(one, **changed):
    """Return the shaft's points from the tip, their echoes, and all points and echoes."""
    shaft = second_needle_path.shaft_at(one, 0)
    look = dataclasses.replace(LOOK, **changed)
    random = np.random.default_rng(0)
    points, echo, _ = second_needle_echo.needle_echoes(random, LINEAR, one, look, shaft, 0)
    return shaft, echo[: len(shaft)], points, echo


@pytest.mark.parametrize("angle", [20.0, 50.0])
def test_the_echo_falls_with_the_angle_to_the_beam(angle):
    """A line adds up to the level, less ``fall_db`` for each degree beyond the steered ones."""
    steered = {"steered_deg": 30.0}
    shaft, echo, _, _ = echoes(needle(angle), **steered)
    crossed = LINEAR.spacing(shaft[:, 1]) / (STEP_MM * np.cos(np.radians(angle)))
    level = 20 * np.log10(np.median(echo * crossed))
    assert level == pytest.approx(40 - 0.2 * max(angle - 30, 0), abs=0.3)


def test_what_is_out_of_the_slice_fades():
    """The square of how far it is; in a distal dropout only the end of the shaft."""
    full = echoes(needle())[1]
    np.testing.assert_allclose(echoes(needle(away=np.ones(1)))[1], full * np.exp(-1))
    lost = echoes(needle(dropped=np.full(1, 5.0), distal_mm=10.0))[1] / full
    assert lost[0] < 1e-10
    np.testing.assert_allclose(lost[int(10 / STEP_MM) + 1 :], 1)
    assert np.all(echoes(needle(dropped=np.full(1, 5.0)))[1] < 1e-10 * full)


def test_reverberation_hangs_under_the_shaft():
    """Each ring deeper by the spacing and weaker by ``ring_db``."""
    shaft, echo, points, all_echoes = echoes(needle(), rings=2)
    count = len(shaft)
    for ring in (1, 2):
        part = slice(-count * (3 - ring), -count * (2 - ring) or None)
        below = points[part] - points[:count]
        np.testing.assert_allclose(below, np.tile([0, 0.4 * ring], (count, 1)), atol=1e-9)
        np.testing.assert_allclose(all_echoes[part], echo * 10 ** (-6 * ring / 20))


@pytest.mark.parametrize("kind", ["linear", "convex"])
def test_the_ghost_is_as_deep_as_the_shaft_is_far_from_its_element(kind):
    """It lies on the line of the element that looks at the shaft at right angles, shallower."""
    probe = dataclasses.replace(LINEAR, kind=kind, radius_mm=50.0 if kind == "convex" else np.inf)
    turned = np.radians(30)
    distance = np.arange(5.0, 15.0, 0.5)[:, None]
    shaft = distance * [np.cos(turned), np.sin(turned)]
    normal = np.tile([np.sin(turned), -np.cos(turned)], (len(shaft), 1))
    shown = second_needle_echo.ghost(probe, shaft, normal)
    line, depth = probe.beam(shown)
    if kind == "linear":
        np.testing.assert_allclose(shown, distance * [1 / np.cos(turned), np.tan(turned)])
    foot = shaft + normal * depth[:, None]
    foot_line, foot_depth = probe.beam(foot)
    np.testing.assert_allclose(foot_depth, 0, atol=1e-9)
    np.testing.assert_allclose(foot_line, line, atol=1e-6)


def test_a_glossy_slope_is_brighter_than_a_rough_one():
    """Moved by less than half a wave, its echoes are in phase from line to line."""
    along = np.arange(-8, 8, STEP_MM)
    line = np.stack([along * np.cos(0.6), 15 + along * np.sin(0.6)], axis=1)
    settings = second_scanner.draw_settings(np.random.default_rng(0), "black", 15.0)
    transfer = second_scanner.optics(LINEAR, settings, second_scanner.kept_depths(LINEAR))
    power = []
    for gloss in (0.0, 1.0):
        moved, echo = second_tissue.squared(np.random.default_rng(1), LINEAR, line, 1.0, gloss)
        assert np.linalg.norm(moved - line, axis=1).max() <= LINEAR.wave_mm / 2 + 1e-9
        field = second_scanner.deposit(LINEAR, moved, echo, second_scanner.samples(LINEAR))
        seen = second_scanner.echoes(LINEAR, settings, np.fft.fft(field), transfer)
        power.append(np.sum(np.abs(seen) ** 2))
    assert 10 * np.log10(power[1] / power[0]) > 3


def test_visibility_follows_the_level_of_the_needle():
    """10 dB more of the needle, or less of the tissue, are 10 dB more."""
    random = np.random.default_rng(0)
    settings = dataclasses.replace(
        second_scanner.draw_settings(random, "black", 15.0), lifted=0.0, noise_db=-90.0
    )
    field = random.standard_normal((second_scanner.LINES, second_scanner.samples(LINEAR)))
    field = field.astype(np.float32)
    shaft, _, points, echo = echoes(needle())
    own = second_scanner.deposit(LINEAR, points, echo, field.shape[1])
    ten = np.float32(10**0.5)
    seen = [
        second_needling._visibility_db(LINEAR, settings, a, b, shaft)
        for a, b in ((own, field), (own * ten, field), (own, field / ten))
    ]
    np.testing.assert_allclose(np.diff(seen), [10, 0], atol=0.2)


def test_tissue_sticks_to_the_shaft_until_it_slips():
    pulled = np.concatenate([np.linspace(0, 0.3, 20), np.linspace(0.3, 6, 30)])
    carried = second_needle_path.stuck(pulled, 0.8)
    assert carried.max() == 0.8
    assert np.all(np.abs(np.diff(carried[:20])) > 0)
    shaft = second_needle_path.shaft_at(needle(0.0), 0)
    at = np.array([[10.0, 0.0], [10.0, 2.0], [25.0, 0.0], [10.0, 20.0]])
    shift = second_needle_path.dragged(shaft, at, 0.8, 2.0)
    np.testing.assert_allclose(shift[:, 0], 0.8 * np.exp([0, -1, -2.5, -np.inf]), atol=1e-6)
    np.testing.assert_allclose(shift[:, 1], 0, atol=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_the_needle_goes_as_its_passes_say(seed):
    """In between the start and the deepest point, out to the end, one after the other."""
    random = np.random.default_rng(seed)
    probe = second_scanner.draw_probe(random, second_needling.PROBES[seed % 3], 20.0)
    one, time, fps = second_needle_path.draw_needle(random, probe, np.zeros((0, 2)), "in")
    assert 40 <= len(time) <= 120
    assert 10 <= fps <= 40
    assert one.passes
    before = 0.0
    for each in one.passes:
        moments = [each[name] for name in ("start_s", "deepest_s", "end_s")]
        assert before <= moments[0] + 1e-9
        assert moments == sorted(moments)
        before = moments[2]
        assert before <= time[-1] + 1 / fps
        start, deepest, end = np.interp(moments, time, one.inserted)
        assert 1.5 < each["stroke_mm"] <= 25
        # Frames fall beside the turns, and the hand trembles.
        assert deepest - max(start, end) > 0.5 * each["stroke_mm"]
        assert one.inserted.max() < each["depth_mm"] + 25
    tips = np.array([second_needle_path.shaft_at(one, k)[0] for k in range(len(time))])
    step = np.linalg.norm(tips - one.path[0], axis=1) - one.inserted
    assert np.abs(step[one.inserted > 1]).max() < 2


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A rendered clip in the plane: its folder and truth."""
    folder = tmp_path_factory.mktemp("needles")
    return folder, second_needles.clip_of(SEED, folder)[1]


def test_the_shaft_is_bright_up_to_the_true_tip_and_not_beyond(clip):
    _, truth = clip
    frames, again, _ = second_needling.render(SEED)
    assert {k: v for k, v in truth.items() if k != "file"} == again
    needle_truth, size = truth["needle"], truth["calibration"]["mm_per_px"][0]
    ends = []
    for frame, tip, tail, seen in zip(
        frames,
        needle_truth["tip_px"],
        needle_truth["tail_px"],
        needle_truth["visibility_db"],
        strict=True,
    ):
        if seen < VISIBLE_DB + 10:
            continue
        along = np.array(tip) - tail
        along /= np.linalg.norm(along)
        grey = []
        for distance in (-LAST_MM, 1.0):
            way = np.arange(distance, distance + LAST_MM - 0.5, 0.1)[:, None] / size
            x, y = np.rint(tip + along * way).astype(int).T
            grey.append(frame[y.clip(0, len(frame) - 1), x.clip(0, frame.shape[1] - 1)].mean())
        ends.append(grey[0] - grey[1])
    assert len(ends) > 20
    assert np.mean(np.array(ends) > 20) > 0.9


def test_a_clip_is_kept_and_reported_on(clip, capsys, monkeypatch):
    folder, truth = clip
    said = run_again(second_needles, f"{SEED}:{SEED}", folder, monkeypatch, capsys)
    assert said.err.startswith(f"{SEED} {truth['probe']} in, visible in ")
    assert "of the clips with a needle, it is found in " in said.out
    assert "recall: within 3 mm" in said.out


def truth_of(plane="in", frames=12):
    """Return a truth: visible, then three frames in a dropout, then two outside the picture."""
    seen = np.full(frames, 20.0)
    seen[6:9], seen[10:] = -50.0, -60.0
    tip = np.stack([np.linspace(100, 160, frames), np.linspace(50, 80, frames)], axis=1)
    return {
        "seed": 3,
        "probe": "linear",
        "calibration": {"mm_per_px": [0.1, 0.1]},
        "timing": {"fps": 10},
        "parameters": {"angle_deg": 30.0, "diameter_mm": 0.3, "dropouts": 1},
        "needle": {
            "plane": plane,
            "tip_px": tip.tolist() if plane else [[None, None]] * frames,
            "angle_deg": [26.565] * frames if plane else [None] * frames,
            "inserted_mm": np.linspace(5, 12, frames).tolist(),
            "visible": ((seen > 5) & (plane is not None)).tolist(),
            "visibility_db": seen.tolist(),
            "fading_db": np.where(seen == -50, -60.0, 0.0).tolist(),
            "level_db": 30.0 if plane else None,
            "passes": [{"start_s": 0.0, "end_s": 0.4}, {"start_s": 0.6, "end_s": 0.8}][
                : 2 * (plane == "in")
            ],
        },
    }


def track_of(truth, where, shift=0.0):
    """Return a track that claims the true tip, shifted by some px, in some frames."""
    tip = np.array(truth["needle"]["tip_px"], dtype=np.float64)
    tip = np.where(np.isfinite(tip), tip, 40.0) + np.array([shift, 0])
    tip[~where] = np.nan
    return NeedleTrack(Status.MEASURED, "", plane=NeedlePlane.IN, tip_px=tip)


def test_a_clip_is_judged_frame_by_frame():
    """The tip, claims of what is not seen, the plane, and passes of which one is hidden."""
    truth = truth_of()
    own = np.ones(12, dtype=np.bool_)
    seen = np.array(truth["needle"]["visible"])
    right = second_needles.judge(track_of(truth, seen), truth, own)
    assert right.wrong() == "0 passes for 2"
    assert not right.clip["passes_told"][0]
    assert right.frames["dropout"].sum() == 3
    assert right.frames["outside"].sum() == 2
    far = second_needles.judge(track_of(truth, seen, 40.0), truth, own)
    assert far.wrong() == "over 3 mm off in 7 of 7 frames; 0 passes for 2"
    bold = second_needles.judge(track_of(truth, own), truth, own)
    assert "claimed of a dropout in 3 of 3 frames" in bold.wrong()
    assert "claimed with the tip not in the picture in 2 of 2 frames" in bold.wrong()
    none = second_needles.judge(NeedleTrack(Status.NONE_FOUND, "no"), truth, own)
    assert none.wrong() == "not found, though visible in 7 of 7 frames; 0 passes for 2"
    across = truth_of("out")
    assert "wrong plane" in second_needles.judge(track_of(across, seen), across, own).wrong()


def test_a_pass_is_in_view_where_half_of_its_way_in_and_out_is():
    truth = truth_of(frames=40)
    needle = truth["needle"]
    needle["inserted_mm"] = (8 - 3 * np.cos(np.arange(40) * np.pi / 10)).tolist()
    needle["passes"] = [{"start_s": 0.0, "end_s": 2.0}, {"start_s": 2.0, "end_s": 3.9}]
    needle["visible"] = [True] * 40
    assert second_needles.passes_in_view(truth) == 2
    needle["visible"][29:32] = [False] * 3  # the second one's deepest frames
    assert second_needles.passes_in_view(truth) == 2
    needle["visible"][29:40] = [False] * 11  # and its way out
    assert second_needles.passes_in_view(truth) == 1
    needle["visible"] = [False] * 40
    assert second_needles.passes_in_view(truth) == 0


def test_the_report_counts_claims_without_a_needle():
    own = np.ones(12, dtype=np.bool_)
    truth, empty = truth_of(), truth_of(None)
    claim = second_needles.judge(track_of(empty, own), empty, own)
    assert claim.wrong() == "claimed in 12 frames without a needle"
    seen = np.array(truth["needle"]["visible"])
    half = second_needles.judge(track_of(truth, seen & (np.arange(12) < 4)), truth, own)
    text = second_needles.report([half, claim])
    assert "of the clips with a needle, it is found in 1 of 1 (" in text
    assert "| clips without a needle in which one is claimed | 1 of 1 |" in text
    assert "| recall: within 3 mm, of visible frames | 57 % (57–57) |" in text


def test_it_takes_nothing_from_the_first_simulator_or_the_tracker():
    own = ("usguide.synth", "usguide.needle", "usguide.kernels", "usguide.motion", "painted")
    drawn = (second_needling, second_needle_path, second_needle_echo, second_tissue)
    for module in (second_needles, *drawn, second_scanner):
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        taken = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        taken += [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
        assert not [name for name in taken if any(part in name for part in own)]
