"""Fascia thickness on heels whose echoes are simulated by wave physics.

    python -m benchmarks.wave_heels [--seeds 40:63] [--folder DIR] [--render]

A third opinion beside ``usguide.synth`` and :mod:`benchmarks.second_heels`, which both draw in the
picture's domain: here a heel is nothing but scatterers, loose in tissue and in rows along septa,
fibrils and bone, and what becomes of them is left to :mod:`benchmarks.wave_scanner`. It shares no
model of tissue, bone or beam with either; of the second simulator it takes the recorder and the
tables. Constants were set by looking at pictures beside recordings; two of them, the roof's shape
and the bone's brightness, once heels had been measured (``docs/synthetic.md``). Seeds up to 35 were
looked at.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import page, second_heels, second_runs
from benchmarks.wave_heel import Heel, draw_heel, level_db, reflectors
from benchmarks.wave_scanner import Array, Floats, image, receive
from benchmarks.wave_screen import Settings, draw_beam, draw_settings, pictures

PUBLISHED = range(88, 112)
FRAMES = 3
PER_MM2 = 160.0
"""Loose scatterers: four or more in a cell of resolution."""


def render(seed: int) -> tuple[NDArray[np.uint8], dict[str, Any], Settings]:
    """Return the frames of one heel, its truth, and the screen's settings.

    From frame to frame the probe drifts, and some of the speckle is exchanged for that of a
    neighbouring plane.
    """
    rng = np.random.default_rng([5, seed])
    heel = draw_heel(rng)
    pitch = rng.uniform(0.19, 0.25)
    array = Array(192, pitch, rng.uniform(6.5, 12), rng.uniform(0.5, 0.8))
    skin = rng.uniform(0.8, 2.2)
    insertion = skin + rng.uniform(5, 13) + heel.thickness[heel.start]
    depth = insertion * rng.uniform(1.4, 1.8) + rng.uniform(3, 9)
    beam = draw_beam(rng, array, depth)
    settings = draw_settings(rng)
    heel = heel.moved(np.array([array.width_mm * (rng.uniform(0.25, 0.45) - 0.5), insertion]))
    mirror = np.array([-1.0 if rng.random() < 0.5 else 1.0, 1.0])

    wide = array.width_mm / 2 + 2
    loose = rng.uniform([-wide, 0.1], [wide, depth + 1], (int(2 * wide * depth * PER_MM2), 2))
    strength = 10 ** (level_db(rng, heel, loose, skin) / 20) / np.sqrt(PER_MM2)
    kept = strength > 1e-2 / np.sqrt(PER_MM2)
    loose, strength = loose[kept], strength[kept]
    signs = rng.choice([-1.0, 1.0], (2, len(loose)))

    rows, steady, free = reflectors(rng, heel, wide, depth, skin)
    at = np.concatenate([loose, rows])
    free = np.append(np.zeros(len(loose), np.bool_), free)

    drift = np.cumsum(rng.normal(0, [0.15, 0.04], (FRAMES, 2)), axis=0)
    drift -= drift[0]
    change = rng.uniform(0, 0.5)
    half = array.width_mm / 2 - 1.5
    x, z = np.arange(-half, half, 0.1), np.arange(0.1, depth, array.wave_mm / 3.2)
    levels = []
    for frame, shift in enumerate(drift):
        mixed = signs[0] * np.cos(change * frame) + signs[1] * np.sin(change * frame)
        echo = np.concatenate([strength * mixed, steady])
        iq = receive(
            array, beam, (at + shift) * mirror, echo, free, (heel.bone + shift) * mirror, rng
        )
        levels.append(image(array, beam, iq, x, z))
    frames, origin = pictures(settings, levels, x, z, insertion - 4)
    truth = _truth(heel, settings, mirror, drift, origin, frames.shape[1:])
    truth |= {"seed": seed, "probe": "linear", "shadow": "black", "codec": settings.codec}
    return frames, truth, settings


def _truth(
    heel: Heel,
    settings: Settings,
    mirror: Floats,
    drift: Floats,
    origin: Floats,
    shape: tuple[int, ...],
) -> dict[str, Any]:
    """Return the truth at rest, in the terms of ``docs/truth.md``."""
    size = settings.size_mm

    def to_px(curve: Floats) -> Floats:
        pixels: Floats = (curve * mirror - origin) / size
        return pixels

    margin = settings.border_px
    inside = np.ones(len(heel.distance), np.bool_)
    for border in (heel.superficial, heel.deep):
        place = to_px(border)
        inside &= ((place > margin) & (place < np.array(shape)[::-1] - margin)).all(axis=1)
    end = heel.start + int(np.argmin(np.append(inside[heel.start :], False)))
    band = slice(heel.start, end)
    profile, along = heel.thickness[band], heel.distance[band]
    return {
        "calibration": {"mm_per_px": [size, size]},
        "frames": FRAMES,
        "width": shape[1],
        "height": shape[0],
        "drift_mm": (drift * mirror).tolist(),
        "fascia": {
            "side": "left" if mirror[0] > 0 else "right",
            "insertion_px": to_px(heel.deep[heel.start]).tolist(),
            "thickness_mm": second_heels.thickness_truth(along, profile),
            "superficial_px": to_px(heel.superficial[band]).tolist(),
            "deep_px": to_px(heel.deep[band]).tolist(),
            "bone_px": to_px(heel.bone).tolist(),
            "spur_mm": 0.0,
            "discontinuity": [],
            "disease": heel.disease,
            "tilt_deg": float(np.degrees(heel.tilt)),
        },
    }


def clip_of(seed: int, folder: Path) -> tuple[Path, dict[str, Any]]:
    """Return a seed's recording and its truth from a folder, made there if they are missing."""
    return second_runs.kept("wave", render, seed, folder)


def score(seed: int, folder: Path) -> second_heels.Score:
    """Analyse one heel as a user would."""
    return second_heels.judge(*clip_of(seed, folder))


def report(scores: list[second_heels.Score]) -> str:
    """Return what was measured, by station and disease, and the refusals' words."""
    groups = {
        name: [score for score in scores if (score.stations["disease"][0] > 0) == diseased]
        for name, diseased in (("healthy", False), ("diseased", True))
    }
    return "\n".join(
        [
            f"## Accuracy on heels of simulated waves\n\n{page.machine()}\n\n"
            f"Seeds {scores[0].seed} to {scores[-1].seed} of `python -m benchmarks.wave_heels` "
            f"([how they are made](synthetic.md)): {second_heels.summary(scores)}",
            second_heels.by_station(scores),
            second_heels.by_group("fascia", groups),
            second_heels.by_confidence(scores),
            *second_heels.by_refusal(scores),
        ]
    )


def main() -> None:
    """Run from the command line."""
    title = __doc__.splitlines()[0]
    second_runs.run(title, "wave", PUBLISHED, clip_of, score, second_heels.said, report)


if __name__ == "__main__":
    main()
