"""Needle tips on recordings from a second simulator, which shares nothing with our own.

    python -m benchmarks.second_needles                      # writes its part of docs/benchmarks.md
    python -m benchmarks.second_needles --seeds 0:39 --folder DIR [--render]   # other clips; prints

Drawn (:mod:`benchmarks.second_needling`) and scanned (:mod:`benchmarks.second_scanner`) without
anything of ``usguide.synth`` or of the needle stage; every constant was set by looking at pictures
beside recordings (``docs/synthetic.md`` says when). With ``--folder`` the clips and their truth are
kept there and used again; with ``--render`` they are only made.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import page, records, second_runs
from benchmarks.estimates import counted, estimate, median, p95
from benchmarks.second_needling import OUTSIDE_DB, PROBES, VISIBLE_DB, render
from benchmarks.tables import BRACKETS, SIZE, breakdown, certainly, rate, where
from usguide import Options, analyze, open_clip
from usguide.model import NeedleTrack, Task

PUBLISHED = range(520, 560)
"""Nobody had looked at them, and nothing was fitted to them."""
PLANE = {"in": "in the plane", "out": "across the plane"}
WHEN = {
    "dropout": "of a dropout",
    "outside": "with the tip not in the picture",
    "faint": "with the tip too faint or at the edge",
}


def clip_of(seed: int, folder: Path) -> tuple[Path, dict[str, Any]]:
    """Return a seed's recording and its truth from a folder, made there if they are missing."""
    return second_runs.kept("needle", render, seed, folder)


@dataclass
class Score:
    """What became of one clip; ``frames`` has a row per frame, ``clip`` one."""

    seed: int
    probe: str
    plane: str | None
    frames: records.Columns
    clip: records.Columns
    passes: tuple[int, int]
    """Found, and true ones."""

    def wrong(self) -> str:
        """Say what is wrong with it, nothing where all is well."""
        at = self.frames
        seen, claimed, off = at["visible"], at["claimed"], at["claimed"] & ~at["hit"]
        found = bool(self.clip["found"][0])
        if self.plane is None:
            return f"claimed in {claimed.sum()} frames without a needle" if claimed.any() else ""
        counts = {
            f"over {records.SUCCESS_MM:g} mm off": (off, seen),
            "missed": (~claimed & found, seen),
            "not found, though visible": (~claimed & (not found), seen),
            **{f"claimed {WHEN[when]}": (claimed, at[when]) for when in ("dropout", "outside")},
            f"elsewhere {WHEN['faint']}": (off, at["faint"]),
        }
        said = [
            f"{what} in {(wrong & frames).sum()} of {frames.sum()} frames"
            for what, (wrong, frames) in counts.items()
            if (wrong & frames).any()
        ]
        if found and not self.clip["plane_right"][0]:
            said.append("wrong plane")
        if self.passes[0] != self.passes[1]:
            said.append(f"{self.passes[0]} passes for {self.passes[1]}")
        return "; ".join(said)


def judge(track: NeedleTrack, truth: dict[str, Any], own: NDArray[np.bool_]) -> Score:
    """Compare a track with the truth; ``own`` tells the frames that repeat none."""
    needle = truth["needle"]
    if needle["plane"] is None:
        needle = needle | {"level_db": np.nan}
    truth = truth | {"needle": needle}
    frames = records.needle_frames(track, truth, own)
    visibility = records.array(needle["visibility_db"])[own]
    hidden = ~frames["visible"] & (needle["plane"] is not None)
    frames["visibility_db"] = visibility
    frames["outside"] = hidden & (visibility <= OUTSIDE_DB)
    frames["dropout"] = hidden & ~frames["outside"] & frames["dropout"]
    frames["faint"] = hidden & ~frames["outside"] & ~frames["dropout"]
    clip = records.needle_clip(track, truth, own, needle["plane"] or "none")
    shown, fps = np.array(needle["visible"]), truth["timing"]["fps"]
    seen = [
        shown[int(each["start_s"] * fps) : int(each["end_s"] * fps) + 2].mean() >= 0.5
        for each in needle["passes"]
    ]
    clip["passes_in_view"] = np.array([passes_in_view(truth) == len(seen)])
    clip["passes_told"] = np.array([sum(seen) <= len(track.passes) <= len(seen)])
    return Score(
        truth["seed"],
        truth["probe"],
        needle["plane"],
        frames,
        clip,
        (len(track.passes), len(seen)),
    )


def passes_in_view(truth: dict[str, Any]) -> int:
    """Count the passes of which the visible tip goes half the way in at least, and out again."""
    needle, fps = truth["needle"], truth["timing"]["fps"]
    depth, shown = records.array(needle["inserted_mm"]), np.array(needle["visible"])
    return sum(
        _in_and_out(depth[part][shown[part]]) >= 0.5 * _in_and_out(depth[part])
        for each in needle["passes"]
        for part in [slice(int(each["start_s"] * fps), int(each["end_s"] * fps) + 2)]
        if shown[part].any()
    )


def _in_and_out(depth: NDArray[np.float64]) -> float:
    """Return the lesser of the ways to the deepest place and from it, of (n,) depths."""
    deepest = int(depth.argmax())
    shallow = max(depth[: deepest + 1].min(), depth[deepest:].min())
    return float(depth[deepest] - shallow)


def score(seed: int, folder: Path) -> Score:
    """Analyse one clip as a user would; a video's scale is given, as with ``--spacing``."""
    path, truth = clip_of(seed, folder)
    size = truth["calibration"]["mm_per_px"]
    clip = open_clip(path, spacing_mm=tuple(size) if path.suffix == ".mp4" else None)
    analysis = analyze(clip, Options(tasks=frozenset({Task.NEEDLE})))
    return judge(analysis.needle, truth, analysis.header.timing.duplicate_of < 0)


def _part(name: str, scores: list[Score]) -> list[str]:
    """Return a row: how a group of clips that have a needle went."""
    at = records.gather([each.frames for each in scores])
    seen, number, error = at["visible"], at["clip"], where(at["error_mm"], at["visible"])
    return [
        name,
        f"{sum(bool(each.clip['found'][0]) for each in scores)} of {len(scores)}",
        rate(at["hit"][seen], number[seen]),
        f"{estimate(error, number, median).text()}; {estimate(error, number, p95).text(1)}",
        rate(at["claimed"][~seen], number[~seen]),
    ]


def report(scores: list[Score]) -> str:
    """Return what was found, by visibility, probe and angle."""
    needles = [each for each in scores if each.plane is not None]
    false = [each.frames["claimed"].any() for each in scores if each.plane is None]
    at = records.gather([each.frames for each in needles])
    clip = records.gather([each.clip for each in needles])
    seen, claimed, number = at["visible"], at["claimed"], at["clip"]
    right, clear = at["hit"] & seen, claimed & ~at["faint"]
    error, angle = where(at["error_mm"], seen), where(at["angle_error_deg"], seen)
    found, known = clip["found"], clip["kind"] == "in"
    exact, told, all_in_view, of = (
        clip[k][known] for k in ("passes_right", "passes_told", "passes_in_view", "clip")
    )
    rows = [
        ["recall: within 3 mm, of visible frames", rate(right[seen], number[seen])],
        ["precision: visible and within 3 mm, of claimed frames",
         rate(right[claimed], number[claimed])],
        ["the same, but for these last frames", rate(right[clear], number[clear])],
        ["tip error in visible frames, median, mm", estimate(error, number, median).text()],
        ["tip error, 95th percentile, mm", estimate(error, number, p95).text()],
        ["angle error, median, degrees", estimate(angle, number, median).text()],
        *([f"claimed, of frames {WHEN[k]}", rate(claimed[at[k]], number[at[k]])] for k in WHEN),
        ["passes exactly right, of clips in the plane", rate(exact, of)],
        ["the same, of those in which their number is told for certain",
         counted(*certainly({k: column[known] for k, column in clip.items()}))],
        ["the same, where the tip is visible half the way in and out of each",
         rate(exact[all_in_view], of[all_in_view])],
        ["no more than there are, no fewer than are half in view", rate(told, of)],
        ["plane right, of needles found", rate(clip["plane_right"][found], clip["clip"][found])],
        ["clips without a needle in which one is claimed", f"{sum(false)} of {len(false)}"],
    ]  # fmt: skip
    cells = {"hit": "within 3 mm", "error_mm": SIZE}
    groups = (*PROBES, *PLANE)
    parts = {name: [e for e in needles if name in (e.probe, e.plane)] for name in groups}
    never = sum(not each.frames["visible"].any() for each in needles)
    return "\n".join(
        [
            f"## Needles of another simulator\n\n{page.machine()}\n\n"
            f"Seeds {scores[0].seed} to {scores[-1].seed} of `python -m benchmarks.second_needles` "
            f"([how it differs](synthetic.md)): of the clips "
            f"with a needle, it is found in {counted(int(found.sum()), len(needles))}; in "
            f"{never} of them its tip can never be seen.\n",
            page.table(["", BRACKETS], rows),
            page.table(
                ["probe, plane", "found", *cells.values(), "claimed, none visible"],
                [_part(PLANE.get(name, name), some) for name, some in parts.items() if some],
            ),
            breakdown(
                at, "visibility_db", [VISIBLE_DB, 10, 15, 20, 60], "tip over speckle, dB", cells
            ),
            breakdown(at, "angle_deg", [10, 25, 40, 55, 70.1], "angle to the skin, degrees", cells),
            breakdown(at, "diameter_mm", [0.2, 0.4, 0.8, 1.4], "diameter, mm", cells),
        ]
    )


def said(one: Score) -> str:
    """Return what is printed of a clip."""
    what = f"{one.probe} {one.plane or 'none'}, visible in {one.frames['visible'].sum()}"
    return f"{what}: {one.wrong() or 'right'}"


def main() -> None:
    """Run from the command line."""
    title = __doc__.splitlines()[0]
    second_runs.run(title, "second needles", PUBLISHED, clip_of, score, said, report)


if __name__ == "__main__":
    main()
