"""How accurate usguide is: synthetic scenes with exact truth, and real recordings apart from them.

    python -m benchmarks.accuracy [--quick | --share 0.5] [--clips ../shared/clips] [--part NAME]
        [--page PATH]
    python -m benchmarks.accuracy --seeds 91000:91019 [--kind heel] [--online]

Without ``--quick`` the page ``docs/benchmarks.md``, or another one, is written part by part, with
its pictures beside it.

With ``--seeds FIRST:LAST`` synthetic scenes of each kind, or of the kinds named with ``--kind``,
are drawn from these seeds, both ends included, by the same rules as the published ones: a fresh
set, to see whether a figure holds beyond the scenes that are always used. Tables are printed, and
nothing is written. With ``--online`` needles are followed without looking at later frames.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import cv2

from benchmarks import page, peers, pictures, real, records, suites, tables
from benchmarks.displacement import displacement_cells, displacement_frames, drift_clip
from benchmarks.tables import Gathered
from usguide import Analysis, Options, analyze
from usguide.model import Task

CLIPS = {"heel": 36, "needling": 30, "muscle": 48, "screen": 24}
"""Synthetic clips of each kind; ``--share`` runs a part of them, ``--quick`` a tenth."""

PARTS = ("synthetic", "real", "peers")

SUITES = {
    "heel": suites.heels,
    "needling": suites.needlings,
    "muscle": suites.muscles,
    "screen": suites.screens,
}


def published(share: float) -> list[suites.Case]:
    """Return the scenes that the page is about, or a part of each kind."""
    return [
        case for kind, suite in SUITES.items() for case in suite(max(2, round(share * CLIPS[kind])))
    ]


def fresh(kinds: Iterable[str], seeds: range) -> list[suites.Case]:
    """Return scenes of some kinds from other seeds."""
    return [case for kind in kinds for case in SUITES[kind](len(seeds), seeds.start)]


def run_synthetic(cases: list[suites.Case], *, online: bool = False) -> Gathered:
    """Analyse synthetic clips."""
    gathered = Gathered()
    for done, case in enumerate(cases, start=1):
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            clip = case.open(Path(folder))
            if case.tasks:
                judge(gathered, case, analyze(clip, Options(tasks=case.tasks, online=online)))
                if case.scene == "muscle":
                    gathered.add("cells", displacement_cells(clip, case.recording))
            else:
                gathered.add("screen", records.calibration_clip(clip.header, case.truth))
        seconds = time.perf_counter() - start
        print(f"{done}/{len(cases)} {case.scene} {case.seed}: {seconds:.1f} s", file=sys.stderr)
    return gathered


def judge(gathered: Gathered, case: suites.Case, analysis: Analysis) -> None:
    """Compare one analysis with its truth."""
    truth, own = case.truth, analysis.header.timing.duplicate_of < 0
    if case.scene == "heel":
        gathered.add("station", records.fascia_stations(analysis.fascia, truth))
        gathered.add("heel", records.fascia_clip(analysis.fascia, truth))
    elif case.scene == "muscle":
        contraction = analysis.motion.contraction
        gathered.add("belly", records.muscle_frames(analysis.muscle, truth, own))
        gathered.add("muscle", records.muscle_clip(analysis.muscle, truth))
        gathered.add("separation", records.separation_clip(contraction, truth, case.kind))
        gathered.add("displacement", displacement_frames(contraction, truth, own))
        gathered.add("drift", drift_clip(contraction, truth, own))
    else:
        kind = f"{case.scene} {case.fixed.get('geometry', '')}".strip()
        gathered.add("tip", records.needle_frames(analysis.needle, truth, own))
        gathered.add("needling", records.needle_clip(analysis.needle, truth, own, kind))
        if Task.CONTRACTION in case.tasks:
            gathered.add("twitch", records.twitch_clip(analysis.motion.twitches, truth))


def synthetic_part(share: float, quick: bool, folder: Path) -> str:
    gathered = run_synthetic(published(share))
    text = tables.synthetic_text(gathered)
    if not quick:
        tip, separation = gathered.columns("tip"), gathered.columns("separation")
        text += "\n" + pictures.accuracy(tip, separation, folder)
    return text


def real_part(clips: Path, quick: bool) -> str:
    if clips.is_dir():
        return real.report(clips, quick)
    return "## Accuracy on real recordings\n\nNot run: they are not part of the project.\n"


def seed_range(text: str) -> range:
    """Read ``FIRST:LAST``, both included."""
    first, _, last = text.partition(":")
    if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last)):
        raise argparse.ArgumentTypeError(f"{text!r} is not FIRST:LAST, as 91000:91019")
    return range(int(first), int(last) + 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few clips, nothing written")
    parser.add_argument("--share", type=float, default=1.0, help="part of the clips to run")
    parser.add_argument("--clips", type=Path, default=page.ROOT.parent / "shared" / "clips")
    parser.add_argument("--page", type=Path, default=page.PAGE, help="the page to write")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this part")
    parser.add_argument("--seeds", type=seed_range, metavar="FIRST:LAST", help="a fresh set")
    parser.add_argument(
        "--kind", choices=tuple(SUITES), action="append", help="with --seeds: only these scenes"
    )
    parser.add_argument("--online", action="store_true", help="with --seeds: no later frame helps")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if options.seeds is not None:
        cases = fresh(options.kind or SUITES, options.seeds)
        print(tables.synthetic_text(run_synthetic(cases, online=options.online)))
        return
    if options.online:
        parser.error("--online: what is published is not followed online; give --seeds too")
    share = 0.1 if options.quick else options.share
    work = {
        "synthetic": lambda: synthetic_part(share, options.quick, options.page.parent / "pictures"),
        "real": lambda: real_part(options.clips, options.quick),
        "peers": lambda: peers.report(share),
    }
    for part in options.part or PARTS:
        text = work[part]()
        print(text, flush=True)
        if not options.quick:
            page.write_part(part, text, options.page)


if __name__ == "__main__":
    main()
