"""Fascia thickness on heels from a second simulator, which the tissue network has never seen.

    python -m benchmarks.second_heels [--seeds 200:229] [--folder DIR] [--render]

Drawn and scanned (:mod:`benchmarks.second_scanner`) without anything of ``usguide.synth``, from
which the detectors' network learned: no shared code, no shared model of tissue, bone or beam. Every
constant was set by looking at pictures beside recordings, before any detector was run on them. Of
seeds 0 to 489 the even ones helped to fit how likely a line is the heel bone, of 600 to 978 how
likely a heel is measured right, and those up to 89 helped to choose between networks. Without
``--seeds`` others are measured, and their part of ``docs/benchmarks.md`` is written.

With ``--folder`` the clips and their truth (as ``docs/truth.md`` describes it) are kept there and
used again; with ``--render`` they are only made.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from benchmarks import page, records, second_runs
from benchmarks.estimates import counted, estimate
from benchmarks.second_scanner import (
    LINES,
    Floats,
    Probe,
    Settings,
    dense,
    draw_probe,
    draw_settings,
    grain,
    pictures,
    pixels,
    scan,
    scatterers,
    surface_echoes,
    wander,
)
from usguide import Options, analyze, open_clip
from usguide.model import Status, Task

PUBLISHED = range(980, 1070)
"""Nobody had looked at them, and nothing was fitted to them."""
FRAMES = 5
STATIONS_MM = (5.0, 10.0, 15.0, 20.0)
WRONG_MM = 1.0
SHADOWS = ("black", "grey", "mirror")
PROBES = ("linear", "trapezoid", "convex")


@dataclass(frozen=True)
class Heel:
    """A heel in mm, its bone at the left: (x, z), z from the probe's face, and levels in dB.

    Curves have shape (points, 2). ``midline``, ``superficial`` and ``deep`` belong together point
    by point, at ``distance`` from the insertion along the mid-line.
    """

    distance: Floats
    thickness: Floats
    midline: Floats
    superficial: Floats
    deep: Floats
    bone: Floats
    spur: Floats
    skin_z: float
    disease: float
    band_db: float
    tilt_deg: float

    @property
    def start(self) -> int:
        """Where on the curves the insertion is."""
        return int(np.argmin(np.abs(self.distance)))

    def moved(self, shift: Floats) -> Heel:
        """Return the heel elsewhere."""
        curves = ("midline", "superficial", "deep", "bone", "spur")
        return replace(self, **{name: getattr(self, name) + shift for name in curves})


def draw_heel(rng: np.random.Generator) -> Heel:
    """Draw a heel whose insertion is at (0, 0)."""
    disease = float(rng.uniform(0, 1) if rng.random() < 0.5 else 0.0)
    at_bone = rng.uniform(1.5, 4.5) + disease * rng.uniform(0, 3.5)
    distance = np.arange(-25.0, 75.0, 0.1)
    along = distance.clip(0)
    thickness = at_bone * (1 - rng.uniform(0, 0.55) * (1 - np.exp(-along / rng.uniform(6, 25))))
    bulge = rng.uniform(0.4, 2.5) * (rng.random() < 0.4)
    middle, half = rng.uniform(3, 16), rng.uniform(2, 5)
    thickness += bulge * np.exp(-(((along - middle) / half) ** 2))
    thickness = gaussian_filter1d(thickness + 0.15 * wander(rng, distance, 8.0), 10)
    thickness = thickness.clip(1.5, 8.0)

    tilt = np.radians(rng.uniform(-15, 15))
    angle = tilt + np.radians(rng.uniform(-0.35, 0.35)) * distance.clip(-12, 40)
    angle = angle + np.radians(1.5) * wander(rng, distance, 10.0)
    tangent = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    start = int(np.argmin(np.abs(distance)))
    midline = np.cumsum(tangent, axis=0) * 0.1
    midline -= midline[start]
    midline -= normal[start] * thickness[start] / 2
    half_way = normal * thickness[:, None] / 2

    e, n, insertion = tangent[start], normal[start], midline[start] + half_way[start]
    back = np.arange(0, 40, 0.05)
    length, height = rng.uniform(4, 14), rng.uniform(0.35, 0.85) * thickness[start]
    rise = np.where(
        back < length,
        height * (2 - back / length) * back / length,
        height - (back - length) ** 2 / 2 / rng.uniform(12, 45),
    )
    surface = insertion - e * back[:, None] - n * rise[:, None]
    ceiling = np.interp(surface[:, 0], *(midline - half_way).T)
    surface[:, 1] = np.maximum(surface[:, 1], ceiling + 0.5)
    steep, easing = rng.uniform(50, 85), rng.uniform(0, 2.5)
    fall = np.radians(np.maximum(steep - easing * np.arange(0, 45, 0.05), 40)) + tilt
    front = insertion + np.cumsum(np.stack([np.cos(fall), np.sin(fall)], axis=1), axis=0) * 0.05
    bone = gaussian_filter1d(np.concatenate([surface[::-1], front]), 3, axis=0)
    bone[:, 1] += rng.uniform(0, 0.1) * wander(rng, np.arange(len(bone)) * 0.05, 2.0)

    reach = int(10 * rng.uniform(1.5, 6)) * int(rng.random() < 1 / 3)
    spur = (midline + half_way - normal * 0.15)[start : start + reach]
    return Heel(
        distance,
        thickness,
        midline,
        midline - half_way,
        midline + half_way,
        bone,
        spur,
        0.0 if rng.random() < 0.7 else rng.uniform(1, 6),
        disease,
        float(rng.uniform(-5, 8) - disease * rng.uniform(2, 10)),
        float(np.degrees(tilt)),
    )


def tissue_db(rng: np.random.Generator, heel: Heel, points: Floats, under_skin: Floats) -> Floats:
    """Return the echo level at points of shape (n, 2): gel, skin, fat, fascia, muscle, bone."""
    x, z = points.T
    top = np.interp(x, *heel.superficial.T)
    bottom = np.interp(x, *heel.deep.T)
    # Fat: lobules between wavy septa, finer under the skin than in depth.
    layers = z - top
    fat = rng.uniform(2, 4) * grain(rng, x, layers, rng.uniform(0.8, 2.5), rng.uniform(0.3, 0.7))
    for weight in (7.0, 5.0):
        septa = grain(rng, x, layers, rng.uniform(1.5, 4), rng.uniform(0.6, 1.6))
        fat += rng.uniform(0.7, 2.0) * weight * (np.exp(-((septa / 0.3) ** 2)) - 0.3)
    fat += rng.uniform(0, 2.5) * grain(rng, x, layers, 8, 4)
    thick = rng.uniform(1.0, 3.0)
    skin = rng.uniform(-8, 3) + 10 * np.exp(-((under_skin / 0.25) ** 2))
    level = np.where(under_skin < thick, skin + 0.3 * fat, fat)
    # Fascia: fibrils along the band, weaker where the beam meets them aslant.
    depth = (z - top) / (bottom - top) * np.interp(x, heel.midline[:, 0], heel.thickness)
    fibril = grain(rng, x, depth, rng.uniform(4, 14), rng.uniform(0.22, 0.5))
    fibril += 0.7 * grain(rng, x, depth, 1.2, 0.3)
    slope = np.degrees(np.arctan(np.gradient(heel.midline[:, 1], heel.midline[:, 0])))
    aslant = np.abs(np.interp(x, heel.midline[:, 0], slope))
    band = heel.band_db + (1 - 0.7 * heel.disease) * rng.uniform(2.0, 5.0) * fibril
    band += heel.disease * rng.uniform(0, 4) * grain(rng, x, depth, 4, 1.5)
    band -= rng.uniform(0, 0.3) * aslant
    edge = rng.uniform(4, 12) * np.exp(-((z - top) ** 2) / 2 / rng.uniform(0.12, 0.3) ** 2)
    lost = 1 - heel.disease * rng.uniform(0.5, 1)
    under = (
        rng.uniform(2, 9) * lost * np.exp(-((z - bottom) ** 2) / 2 / rng.uniform(0.12, 0.3) ** 2)
    )
    # Muscle: dark, its septa at a small angle to the band; beneath it a bright, slanting layer.
    below = z - bottom - np.tan(np.radians(rng.uniform(-3, 15))) * (x - heel.bone[-1, 0])
    striae = grain(rng, x, below, rng.uniform(5, 14), rng.uniform(0.5, 1.4))
    muscle = heel.band_db * 0.3 - rng.uniform(8, 19) + rng.uniform(1.5, 4) * grain(
        rng, x, below, 2.0, 0.4
    )  # fmt: skip
    muscle += rng.uniform(3, 11) * np.exp(-((striae / 0.25) ** 2))
    sole = np.interp(x, *heel.deep.T) + rng.uniform(4, 9)
    sole += (x - heel.bone[-1, 0]) * np.tan(np.radians(rng.uniform(0, 25)))
    muscle += rng.uniform(4, 14) * np.exp(-(((z - sole) / rng.uniform(0.4, 1.2)) ** 2))
    blur = 0.05 + heel.disease * rng.uniform(0, 0.5)
    share = 1 / (1 + np.exp(-np.clip((z - bottom) / blur, -30, 30)))
    level = np.where(z < top, level, band * (1 - share) + muscle * share) + edge + under
    inside = z > _height(heel.bone, x) + 0.1
    level = np.where(inside & (x < heel.bone[:, 0].max()), -40.0, level)
    return np.where(under_skin < 0, -45.0, level)


def _height(curve: Floats, x: Floats) -> Floats:
    """Return z of a curve at x, nowhere deeper than the picture beyond its ends."""
    order = np.argsort(curve[:, 0])
    height: Floats = np.interp(x, curve[order, 0], curve[order, 1], right=np.inf)
    return height


def render(seed: int) -> tuple[NDArray[np.uint8], dict[str, Any], Settings]:
    """Return the frames of one heel, its truth, and what the scanner was set to.

    From frame to frame the probe drifts, and some of the speckle is exchanged for that of a
    neighbouring plane.
    """
    rng = np.random.default_rng([2, seed])
    kind, shadow = PROBES[seed % 3], SHADOWS[seed // 3 % 3]
    fat_mm = rng.uniform(5, 20)
    heel_rng, noise_rng = rng.spawn(2)
    heel = draw_heel(heel_rng)
    insertion_mm = heel.skin_z + fat_mm - heel.superficial[heel.start, 1]
    probe = draw_probe(rng, kind, insertion_mm)
    settings = draw_settings(rng, shadow, insertion_mm)
    across = 2 * probe.half_mm * (1 + insertion_mm / probe.radius_mm)
    heel = heel.moved(np.array([across * (rng.uniform(0.27, 0.45) - 0.5), insertion_mm]))
    mirror = np.array([-1.0 if rng.random() < 0.5 else 1.0, 1.0])

    points, strength = tissue(rng, heel, probe, settings)
    speckle = rng.standard_normal((2, len(points)))
    surfaces = reflectors(rng, heel, probe)
    at = np.concatenate([points, *(place for place, _ in surfaces)])
    steady = np.concatenate([echo for _, echo in surfaces])
    opaque = np.concatenate([dense(heel.bone), dense(heel.spur)])
    drift = np.cumsum(rng.normal(0, [0.15, 0.04], (FRAMES, 2)), axis=0)
    drift -= drift[0]
    change = rng.uniform(0, 0.35)
    levels = []
    for frame, shift in enumerate(drift):
        mixed = speckle[0] * np.cos(change * frame) + speckle[1] * np.sin(change * frame)
        echo = np.concatenate([strength * mixed, steady])
        clutter_rng = np.random.default_rng([3, seed])
        levels.append(
            scan(
                probe,
                settings,
                (at + shift) * mirror,
                echo,
                (opaque + shift) * mirror,
                clutter_rng,
                noise_rng,
            )
        )
    truth = {"seed": seed, "probe": kind, "shadow": shadow, "codec": settings.codec}
    truth |= _truth(heel, probe, settings, mirror, drift)
    return pictures(probe, settings, levels), truth, settings


def tissue(
    rng: np.random.Generator, heel: Heel, probe: Probe, settings: Settings
) -> tuple[Floats, Floats]:
    """Return scatterers all over the picture, shape (n, 2), and the spread of their echoes."""
    points, unit = scatterers(rng, probe, settings)
    under_skin = probe.beam(points)[1] - heel.skin_z
    return points, unit * 10 ** (tissue_db(rng, heel, points, under_skin) / 20)


def reflectors(rng: np.random.Generator, heel: Heel, probe: Probe) -> list[tuple[Floats, Floats]]:
    """Return the points and echoes of bone, spur and both borders."""
    found = [surface_echoes(rng, probe, heel.bone, rng.uniform(80, 260), rng.uniform(2, 12))]
    if len(heel.spur):
        found.append(surface_echoes(rng, probe, heel.spur, rng.uniform(30, 100), 4.0))
    for border, share in ((heel.superficial, 1.0), (heel.deep[heel.start :], 1 - heel.disease)):
        found.append(surface_echoes(rng, probe, border, share * rng.uniform(1, 8), 12.0))
    return found


def thickness_truth(along: Floats, profile: Floats) -> dict[str, Any]:
    """Say how thick a fascia is: ``profile`` at the distances ``along`` from the insertion, mm."""
    return {
        "insertion": float(profile[0]),
        "maximum": float(profile.max()),
        "maximum_distance_mm": float(along[np.argmax(profile)]),
        "stations": [
            {"distance_mm": mm, "value": float(np.interp(mm, along, profile))}
            for mm in STATIONS_MM
            if mm <= along[-1]
        ],
    }


def _truth(
    heel: Heel, probe: Probe, settings: Settings, mirror: Floats, drift: Floats
) -> dict[str, Any]:
    """Return the truth at rest, in the terms of ``docs/truth.md``."""
    grid, size = pixels(probe, settings)

    def to_px(curve: Floats) -> Floats:
        return (curve * mirror - grid[0, 0]) / size

    seen = np.ones(len(heel.distance), dtype=np.bool_)
    for border in (heel.superficial, heel.deep):
        line, depth = probe.beam(border * mirror)
        contact = line if settings.lifted > 0 else LINES - 1 - line
        seen &= (line > 3) & (line < LINES - 4) & (depth < probe.depth_mm - 0.5) & (depth > 0)
        seen &= contact < (1 - abs(settings.lifted) - 0.03 * (settings.lifted != 0)) * LINES
    end = heel.start + int(np.argmin(np.append(seen[heel.start :], False)))
    band = slice(heel.start, end)
    profile, along = heel.thickness[band], heel.distance[band]
    return {
        "calibration": {"mm_per_px": [size, size]},
        "frames": FRAMES,
        "width": int(grid.shape[1]),
        "height": int(grid.shape[0]),
        "drift_mm": (drift * mirror).tolist(),
        "fascia": {
            "side": "left" if mirror[0] > 0 else "right",
            "insertion_px": to_px(heel.deep[heel.start]).tolist(),
            "thickness_mm": thickness_truth(along, profile),
            "superficial_px": to_px(heel.superficial[band]).tolist(),
            "deep_px": to_px(heel.deep[band]).tolist(),
            "bone_px": to_px(heel.bone).tolist(),
            "spur_mm": len(heel.spur) / 10,
            "discontinuity": [],
            "disease": heel.disease,
            "band_db": heel.band_db,
            "tilt_deg": heel.tilt_deg,
        },
    }


def clip_of(seed: int, folder: Path) -> tuple[Path, dict[str, Any]]:
    """Return a seed's recording and its truth from a folder, made there if they are missing."""
    return second_runs.kept("heel", render, seed, folder)


@dataclass
class Score:
    """What became of one heel."""

    seed: int
    probe: str
    shadow: str
    reason: str
    """Why it was refused, empty where it was measured."""
    confidence: float
    """As stated; NaN where it was refused."""
    stations: records.Columns
    clip: records.Columns


def score(seed: int, folder: Path) -> Score:
    """Analyse one heel of this simulator."""
    return judge(*clip_of(seed, folder))


def judge(path: Path, truth: dict[str, Any]) -> Score:
    """Analyse a heel as a user would; a video's scale is given, as with ``--spacing``."""
    size = truth["calibration"]["mm_per_px"]
    clip = open_clip(path, spacing_mm=tuple(size) if path.suffix == ".mp4" else None)
    result = analyze(clip, Options(tasks=frozenset({Task.FASCIA}))).fascia
    return Score(
        truth["seed"],
        truth["probe"],
        truth["shadow"],
        "" if result.status is Status.MEASURED else result.reason,
        np.nan if result.confidence is None else result.confidence,
        records.fascia_stations(result, truth),
        records.fascia_clip(result, truth),
    )


def figures(scores: list[Score], station: float | None = None) -> list[str]:
    """Return a row's cells, named in ``HEADS``: of one station, or of all but the maximum."""
    rows = records.gather([score.stations for score in scores])
    place = rows["station_mm"]
    rows = {k: v[place >= 0 if station is None else place == station] for k, v in rows.items()}
    got = rows["measured"]
    if not got.any():
        return [f"0 of {len(got)}", *["–"] * 5]
    error, size = rows["error_mm"][got], np.abs(rows["error_mm"][got])
    wrong = size > WRONG_MM
    share = estimate(wrong, rows["clip"][got])
    return [
        f"{len(size)} of {len(got)}",
        f"{size.mean():.2f}",
        f"{np.quantile(size, 0.95):.2f}",
        f"{error.mean():+.2f}",
        f"{100 * rows['covered'][got].mean():.0f} %",
        f"{wrong.sum()}: {share.text(percent=True)}",
    ]


def reliability(scores: list[Score]) -> list[tuple[str, str]]:
    """Return rows of stated confidence, and how many of these heels are right.

    Right is the bone's side, and the thickness within ``WRONG_MM`` on average over the stations.
    """
    rows = []
    for low, high in ((0.0, 0.7), (0.7, 0.85), (0.85, 0.95), (0.95, 1.0)):
        inside = [one for one in scores if low <= one.confidence < high + (high == 1.0)]
        rows.append((f"{low:g} to {high:g}", counted(sum(map(_right, inside)), len(inside))))
    return rows


def _right(score: Score) -> bool:
    places = score.stations["station_mm"] >= 0
    error = score.stations["error_mm"][places]
    size = np.abs(error[np.isfinite(error)])
    return bool(score.clip["side_right"][0] and size.size and size.mean() <= WRONG_MM)


HEADS = ("measured", "MAE", "P95", "bias", "interval holds it", f"over {WRONG_MM:g} mm wrong")


def summary(scores: list[Score]) -> str:
    """Return how many heels were measured, and how well bone and insertion were found."""
    taken = [score for score in scores if not score.reason]
    side = sum(bool(score.clip["side_right"][0]) for score in taken)
    away = np.array([float(score.clip["insertion_error_mm"][0]) for score in taken])
    known = away[np.isfinite(away)]
    off = f"; insertion off by {np.median(known):.1f} mm (median)" if len(known) else ""
    return (
        f"heels measured: {counted(len(taken), len(scores))}, "
        f"the bone's side right in {side}{off}. Errors in mm.\n"
    )


def by_station(scores: list[Score]) -> str:
    """Return the table of errors along the fascia."""
    stations = [
        ("insertion", 0.0),
        *((f"{mm:g} mm", mm) for mm in STATIONS_MM),
        ("maximum", -1.0),
        ("insertion to 20 mm", None),
    ]
    return page.table(
        ("thickness", *HEADS), [(name, *figures(scores, station)) for name, station in stations]
    )


def by_group(title: str, groups: dict[str, list[Score]]) -> str:
    """Return a table with a row per group of heels that has any."""
    rows = []
    for name, some in groups.items():
        if some:
            measured = sum(not score.reason for score in some)
            rows.append((name, f"{measured} of {len(some)}", *figures(some)))
    return page.table((title, "heels", *HEADS), rows)


def by_confidence(scores: list[Score]) -> str:
    """Return the table of stated confidence against what is right."""
    return page.table(("stated confidence", "right, of heels"), reliability(scores))


def by_refusal(scores: list[Score]) -> list[str]:
    """Return the table of the refusals' words, or nothing where nothing was refused."""
    why = Counter(score.reason for score in scores if score.reason)
    rows = [(words, str(number)) for words, number in why.most_common()]
    return [page.table(("refused, because", "heels"), rows)] if rows else []


def report(scores: list[Score]) -> str:
    """Return what was measured, by station, shadow and probe, and the refusals' words."""
    groups = {
        name: [score for score in scores if name in (score.shadow, score.probe)]
        for name in (*SHADOWS, *PROBES)
    }
    return "\n".join(
        [
            f"## Accuracy on another simulator's heels\n\n{page.machine()}\n\n"
            f"Seeds {scores[0].seed} to {scores[-1].seed} of `python -m benchmarks.second_heels`, "
            "which has nothing in common with the simulator above "
            f"([how it differs](synthetic.md)): {summary(scores)}",
            by_station(scores),
            by_group("shadow, probe", groups),
            by_confidence(scores),
            *by_refusal(scores),
        ]
    )


def said(one: Score) -> str:
    """Return what is printed of a clip."""
    errors = " ".join(f"{e:+.2f}" for e in one.stations["error_mm"])
    return f"{one.probe} {one.shadow}: {one.reason or errors}"


def main() -> None:
    """Run from the command line."""
    title = __doc__.splitlines()[0]
    second_runs.run(title, "second", PUBLISHED, clip_of, score, said, report)


if __name__ == "__main__":
    main()
