"""Put together what is in front of the probe: tissue, motion, needle, contraction."""

from __future__ import annotations

import numpy as np

from usguide.errors import ConfigError
from usguide.model import Floats
from usguide.synth import contraction, heel, muscle, needle, phantom
from usguide.synth.belly import belly_of, edge_of, rest_gap_mm
from usguide.synth.drag import Drag
from usguide.synth.elevation import Elevation
from usguide.synth.motion import Drift, Motion, Twitch, drift, slip
from usguide.synth.muscle_exam import MuscleWorld
from usguide.synth.needling import Anatomy, Instrument, NeedlingWorld
from usguide.synth.parameters import Value, stream
from usguide.synth.scanner import Scanner
from usguide.synth.spot import Spot
from usguide.synth.tissue import wander


def heel_world(
    scanner: Scanner, values: dict[str, Value], time_s: Floats, seed: int, *, with_needle: bool
) -> NeedlingWorld:
    """Return a heel, with a needle in it or without; ``time_s`` has shape (frames,)."""
    tissue = heel.Heel(scanner, values, stream(seed, "heel"))
    if not with_needle:
        return _world(tissue, None, [], values, time_s, seed)
    band = tissue.band
    at = float(values["target_at_mm"])
    x, z = (float(np.interp(at, band.distance_mm, band.midline_mm[:, k])) for k in range(2))
    twitches = _twitches(scanner, values, tissue, time_s, seed)
    return _needled(scanner, values, tissue, (x, z), tissue.insertion_x, twitches, time_s, seed)


def phantom_world(
    scanner: Scanner, values: dict[str, Value], time_s: Floats, seed: int
) -> NeedlingWorld:
    """Return a phantom with a needle in it; ``time_s`` has shape (frames,)."""
    tissue = phantom.Phantom(scanner, values, stream(seed, "phantom"))
    rng = stream(seed, "target")
    across = rng.uniform(0.3, 0.65) * scanner.width_mm
    deep = rng.uniform(0.35, 0.65) * min(1.0, float(values["floor"])) * scanner.depth_mm
    reachable = needle.LONGEST_MM * np.sin(np.radians(float(values["angle_deg"])))
    target = (across, min(deep, float(reachable)))
    return _needled(scanner, values, tissue, target, -1e3, [], time_s, seed)


def _needled(
    scanner: Scanner,
    values: dict[str, Value],
    anatomy: Anatomy,
    target_mm: tuple[float, float],
    held_to_x_mm: float,
    motions: list[Motion],
    time_s: Floats,
    seed: int,
) -> NeedlingWorld:
    """Put the needle into the tissue, in the plane or across it."""
    rng = stream(seed, "needle")
    instrument: Instrument
    if values["plane"] == "out":
        instrument = Spot(scanner, values, target_mm, time_s, rng)
    else:
        instrument = needle.Needle(scanner, values, target_mm, time_s, rng)
        limit = float(values["drag_mm"])
        if limit > 0:
            motions = [Drag(instrument, held_to_x_mm, limit), *motions]
    return _world(anatomy, instrument, motions, values, time_s, seed)


def _world(
    anatomy: Anatomy,
    instrument: Instrument | None,
    motions: list[Motion],
    values: dict[str, Value],
    time_s: Floats,
    seed: int,
) -> NeedlingWorld:
    rng = stream(seed, "neighbouring slice")
    away = np.abs(wander(rng, time_s, 4.0))
    away = float(values["out_of_plane"]) * away / max(float(away.max()), 1e-9)
    return NeedlingWorld(
        anatomy,
        _slide(values, time_s, seed),
        instrument,
        motions,
        Elevation(anatomy.tissue, away, rng),
    )


def _slide(values: dict[str, Value], time_s: Floats, seed: int) -> Drift:
    """All that the probe does: slow drift and a slip."""
    wandering = drift(stream(seed, "drift"), time_s, float(values["drift_mm"]))
    return slip(stream(seed, "slip"), time_s, float(values["slip_mm"]), wandering)


def muscle_world(
    scanner: Scanner,
    values: dict[str, Value],
    time_s: Floats,
    seed: int,
) -> MuscleWorld:
    """Return a muscle that contracts, torn or not; ``time_s`` has shape (frames,)."""
    each = contraction.cycles(
        stream(seed, "contractions"),
        int(values["contractions"]),
        float(time_s[-1]),
        float(values["unequal"]),
        starts_contracted=bool(values["starts_contracted"]),
    )
    level = contraction.activation(each, time_s)
    belly = belly_of(scanner, values)
    edge = edge_of(scanner, values, belly, stream(seed, "tear"))
    moved = contraction.Contraction(
        belly,
        level,
        float(values["excursion_mm"]),
        float(values["thickening"]),
        float(values["under_slide"]),
    )
    tear = None
    if edge is not None:
        tear = contraction.Tear(
            belly,
            level,
            edge,
            rest_gap_mm(values),
            float(values["widening_mm"]),
            float(values["retraction"]),
            reach_mm=stream(seed, "reach").uniform(12.0, 22.0),
        )
    tissue = muscle.Muscle(scanner, values, belly, edge, stream(seed, "muscle"))
    return MuscleWorld(
        scanner,
        tissue,
        moved,
        each,
        tear,
        _slide(values, time_s, seed),
        Elevation(
            tissue.tissue,
            float(values["out_of_plane"]) * level,
            stream(seed, "neighbouring slice"),
        ),
        stream(seed, "fluid"),
    )


def _twitches(
    scanner: Scanner, values: dict[str, Value], tissue: heel.Heel, time_s: Floats, seed: int
) -> list[Motion]:
    """Twitches of the flexor muscle under the fascia, one after another."""
    rng = stream(seed, "twitches")
    count, length = int(values["twitches"]), float(values["twitch_s"])
    slot = float(time_s[-1]) / max(count, 1)
    if count and length > slot:
        raise ConfigError(
            f"twitches={count} of {length:g} s do not fit in {time_s[-1]:.2f} s; "
            "give more frames or fewer twitches."
        )
    made: list[Motion] = []
    for k in range(count):
        start = k * slot + rng.uniform(0.0, slot - length)
        x = rng.uniform(tissue.insertion_x + 6.0, scanner.width_mm - 4.0)
        deep = float(np.interp(x, *tissue.band.deep_mm.T))
        made.append(
            Twitch(
                (x, deep + rng.uniform(3.5, 6.0)),
                float(values["tilt_deg"]) + rng.uniform(-15.0, 15.0),
                (rng.uniform(3.0, 5.0), rng.uniform(1.3, 2.2)),
                start,
                start + length,
                float(values["twitch_mm"]) * (1.0 if rng.uniform() < 0.5 else -1.0),
                time_s,
            )
        )
    return made
