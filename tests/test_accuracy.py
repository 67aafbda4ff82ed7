"""Headline figures on a few fixed scenes must not get worse than their stated noise.

The full benchmark is ``make bench``; this is its smallest part, quick enough for every test run.
Each limit is the figure when the limit was set plus its noise: the spread (one standard deviation)
of that figure over sets of other seeds. A change that crosses a limit is a loss of accuracy.
"""

import argparse
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from usguide import Clip, Options, analyze
from usguide.model import SeparationFlag, Task
from usguide.synth import make_scene

sys.path.insert(0, str(Path(__file__).parents[1]))  # the benchmark is not part of the package

from benchmarks import accuracy, records, suites

SMALL = {"width_px": 420, "height_px": 360}
MUSCLE = frozenset({Task.MUSCLE, Task.CONTRACTION})
SCENES = {
    "heel": ("heel", frozenset({Task.FASCIA}), {"frames": 5}),
    "needling": ("needling", frozenset({Task.NEEDLE}), {"frames": 40, **SMALL}),
    "whole": ("muscle", MUSCLE, {"frames": 45, **SMALL}),
    "torn": (
        "muscle",
        MUSCLE,
        {"frames": 45, "tear": "complete", "open_at_rest": False, "widening_mm": 4.0, **SMALL},
    ),
}


@cache
def analysed(name, seed):
    scene_name, tasks, fixed = SCENES[name]
    scene = make_scene(scene_name, seed=seed, **fixed)
    frames = np.stack(list(scene.frames()))
    clip = Clip.from_array(frames, spacing_mm=scene.spacing_mm, fps=scene.fps)
    return analyze(clip, Options(tasks=tasks)), scene.truth


def gather(name, seeds, judge):
    return records.gather([judge(*analysed(name, seed)) for seed in seeds])


def every_frame(truth):
    return np.ones(truth["frames"], dtype=np.bool_)


def heel_figures(seeds):
    """Share of the stations at 5-15 mm measured, and their median absolute error in mm."""
    rows = gather("heel", seeds, lambda a, t: records.fascia_stations(a.fascia, t))
    beyond = (rows["station_mm"] >= 5) & (rows["station_mm"] <= 15)
    return rows["measured"][beyond].mean(), np.nanmedian(np.abs(rows["error_mm"][beyond]))


def needle_figures(seeds):
    """Share of the visible frames with a tip within 3 mm, and their median error in mm."""
    rows = gather(
        "needling", seeds, lambda a, t: records.needle_frames(a.needle, t, every_frame(t))
    )
    seen = rows["visible"]
    return rows["hit"][seen].mean(), np.nanmedian(rows["error_mm"][seen])


def muscle_figures(seeds):
    """Share of the frames measured, and the mean absolute error of the thickness in mm."""
    rows = gather("whole", seeds, lambda a, t: records.muscle_frames(a.muscle, t, every_frame(t)))
    return rows["measured"].mean(), np.nanmean(np.abs(rows["error_mm"]))


@pytest.mark.parametrize(
    ("figures", "seeds", "least_share", "most_mm"),
    [
        (heel_figures, range(500, 504), 1.0 - 0.1, 0.06 + 0.09),
        (needle_figures, range(500, 502), 0.92 - 0.06, 0.16 + 0.03),
        (muscle_figures, range(500, 502), 1.0 - 0.01, 0.22 + 0.02),
    ],
)
def test_headline_figures_hold(figures, seeds, least_share, most_mm):
    share, error_mm = figures(seeds)
    assert share >= least_share
    assert error_mm <= most_mm


@pytest.mark.parametrize(
    ("name", "seed", "flag"),
    [
        ("whole", 500, SeparationFlag.NONE),
        ("whole", 501, SeparationFlag.NONE),
        ("torn", 502, SeparationFlag.SEPARATION),
    ],
)
def test_a_tear_is_flagged_and_a_whole_muscle_is_not(name, seed, flag):
    analysis, _ = analysed(name, seed)
    assert analysis.motion.contraction.separation.flag is flag


def test_a_fresh_set_follows_the_published_rules():
    fresh = accuracy.fresh(["heel", "muscle"], accuracy.seed_range("91000:91005"))
    assert [case.seed for case in fresh] == [*range(91000, 91006)] * 2
    published = [*suites.heels(6), *suites.muscles(6)]
    assert [case.fixed for case in fresh] == [case.fixed for case in published]
    assert not {case.seed for case in fresh} & {case.seed for case in published}


def test_needles_are_followed_online_on_demand(monkeypatch):
    asked = []

    def analysis(clip, options):
        asked.append(options.online)
        return analyze(clip, options)

    monkeypatch.setattr(accuracy, "analyze", analysis)
    case = suites.Case("needling", 5, frozenset({Task.NEEDLE}), {"frames": 12})
    for online in (False, True):
        accuracy.run_synthetic([case], online=online)
    assert asked == [False, True]


def test_what_is_published_is_not_followed_online(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["accuracy", "--online"])
    with pytest.raises(SystemExit):
        accuracy.main()
    assert "--seeds" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "5", "9:5", "a:b", "-1:4"])
def test_a_range_of_seeds_that_is_none_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="FIRST:LAST"):
        accuracy.seed_range(text)
