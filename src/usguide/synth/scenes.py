"""The scenes by name: their parameters with clinical ranges, and how each is put together."""

from __future__ import annotations

import dataclasses

import numpy as np

from usguide.errors import ConfigError
from usguide.synth import contraction, heel, muscle, needle, phantom, screen
from usguide.synth.parameters import Choice, Number, Parameter, Switch, Value, settle, stream
from usguide.synth.scanner import SOUND_MM_PER_US, Scanner
from usguide.synth.scene import Recording, Scene, World
from usguide.synth.tissue import smoothstep, wander
from usguide.synth.worlds import heel_world, muscle_world, phantom_world


# What a scene is about is chosen, not drawn: the tear, the rupture, twitches, a slip, the needle's
# plane, the probe's geometry and the screen.
def _clip(frames: int, fps: tuple[float, float]) -> dict[str, Parameter]:
    return {
        "frames": Number(frames, frames, "", "length of the clip", 1, 100_000, whole=True),
        "fps": Number(*fps, "1/s", "frames per second", 1.0, 500.0),
        "mirrored": Switch(0.5, "flipped left to right"),
        "drift_mm": Number(0.0, 1.0, "mm", "largest slow slide of the probe", 0.0, 10.0),
        "out_of_plane": Number(
            0.0, 0.15, "", "most tissue exchanged for its neighbour, 1 for all of it", 0.0, 1.0
        ),
        "slip_mm": Number(0.0, 0.0, "mm", "sudden slide of the probe, once", -15.0, 15.0),
    }


def _scanner(
    depth_mm: tuple[float, float],
    frequency_mhz: tuple[float, float],
    lateral_mm: tuple[float, float] = (0.35, 0.6),
) -> dict[str, Parameter]:
    return {
        "geometry": Choice(("linear", "convex"), "probe", ("linear",)),
        "radius_mm": Number(40.0, 60.0, "mm", "radius of a convex probe's face", 8.0, 80.0),
        "half_angle_deg": Number(25.0, 35.0, "deg", "half the opening of a convex probe", 5, 60),
        "width_px": Number(560, 560, "px", "width of the picture", 16, 4000, whole=True),
        "height_px": Number(480, 480, "px", "height of the picture", 16, 4000, whole=True),
        "depth_mm": Number(*depth_mm, "mm", "depth of the picture", 8.0, 200.0),
        "frequency_mhz": Number(*frequency_mhz, "MHz", "centre frequency", 2.0, 25.0),
        "axial_cycles": Number(1.4, 2.2, "", "-6 dB pulse length in wavelengths", 0.8, 8.0),
        "lateral_mm": Number(*lateral_mm, "mm", "-6 dB beam width at the focus", 0.1, 4.0),
        "focus": Number(0.3, 0.6, "", "focus as a fraction of the depth", 0.0, 1.0),
        "looks": Choice(("1", "3", "5"), "compounded looks", ("1", "3", "3", "3")),
        "steer_deg": Number(6.0, 10.0, "deg", "steering of the outer looks", 0.5, 25.0),
        "attenuation": Number(0.4, 0.7, "dB/cm/MHz", "one-way attenuation", 0.0, 2.0),
        "noise_db": Number(-66.0, -54.0, "dB", "electronic noise at the face", -140.0, 0.0),
        "tgc_error_db": Number(0.0, 2.5, "dB", "error of the time gain", 0.0, 20.0),
        "contact_db": Number(
            0.0, 3.0, "dB", "unevenness of the contact along the probe", 0.0, 20.0
        ),
        "contact_shadow_db": Number(
            6.0,
            18.0,
            "dB",
            "depth of a shadow from lost contact; 0 for none",
            0.0,
            50.0,
            chance=0.15,
        ),
        "gain_step_db": Number(0.0, 0.0, "dB", "someone turns the gain, once", -20.0, 20.0),
        "gain_db": Number(-7.0, 3.0, "dB", "overall gain", -30.0, 30.0),
        "dynamic_range_db": Number(54.0, 72.0, "dB", "what the grey scale spans", 20.0, 120.0),
        "gamma": Number(1.5, 2.1, "", "exponent of the grey map", 0.2, 5.0),
        "pedestal": Number(0.0, 0.08, "", "grey shown for nothing at all, of white", 0.0, 0.6),
        "speckle_reduction": Number(
            0.0, 0.0, "", "weight of the edge-preserving smoothing of many scanners", 0.0, 1.0
        ),
        "persistence": Number(0.0, 0.35, "", "weight of the previous picture", 0.0, 0.95),
    }


_TWITCHES: dict[str, Parameter] = {
    "twitches": Number(0, 0, "", "local twitch responses", 0, 8, whole=True),
    "twitch_mm": Number(1.0, 3.5, "mm", "largest displacement", 0.0, 10.0),
    "twitch_s": Number(0.15, 0.5, "s", "duration (150-500 ms)", 0.05, 2.0),
}

SCENES: dict[str, dict[str, Parameter]] = {
    "heel": {
        **_clip(48, (15.0, 35.0)),
        **_scanner((26.0, 36.0), (9.0, 14.0)),
        **heel.PARAMETERS,
    },
    "needling": {
        **_clip(90, (18.0, 35.0)),
        **_scanner((26.0, 36.0), (9.0, 14.0)),
        **heel.PARAMETERS,
        **needle.PARAMETERS,
        **_TWITCHES,
    },
    "needle_out_of_plane": {
        **_clip(90, (18.0, 35.0)),
        **_scanner((26.0, 36.0), (9.0, 14.0)),
        **heel.PARAMETERS,
        **needle.PARAMETERS,
        "plane": Choice(("in", "out"), "shaft in the image plane, or across it", ("out",)),
        **_TWITCHES,
    },
    "phantom": {
        **_clip(90, (18.0, 35.0)),
        **_scanner((40.0, 80.0), (3.5, 8.0), lateral_mm=(0.6, 1.3)),
        **phantom.PARAMETERS,
        **needle.PARAMETERS,
        "diameter_mm": Number(0.3, 1.27, "mm", "needle diameter (18G is 1.27)", 0.12, 1.5),
        "shaft_loss_db": Number(
            0.0, 14.0, "dB", "how much weaker the shaft is than its tip", 0.0, 30.0
        ),
        "stroke_mm": Number(8.0, 20.0, "mm", "length of a pass along the shaft", 1.0, 40.0),
        "geometry": Choice(("linear", "convex"), "probe", ("linear", "convex")),
    },
    "muscle": {
        **_clip(90, (18.0, 30.0)),
        **_scanner((32.0, 50.0), (5.0, 9.0)),
        **muscle.PARAMETERS,
    },
}
"""Every scene's parameters."""


MOST_SCATTERERS = 2e7
"""About a gigabyte of them; clinical settings need 0.1 to 1 million."""

_ON_SCREEN: dict[str, Parameter] = {"screen": Switch(0.0, "shown on a vendor-like screen")}


def make_scene(name: str, *, seed: int = 0, **parameters: object) -> Recording:
    """Make a synthetic recording with exact truth.

    Parameters
    ----------
    name : str
        One of ``SCENES``.
    seed : int
        Everything not fixed is drawn from it; the same seed gives the same frames.
    **parameters
        Values to fix, as numbers or as text; see ``SCENES`` for names, units and ranges. With
        ``screen=True`` the scene is shown on a vendor-like screen, and the parameters of
        ``usguide.synth.screen`` may be given too.

    Returns
    -------
    Recording
        Frames on demand, and their truth.

    Raises
    ------
    ConfigError
        If the scene or a parameter is not known, or a value is not possible.
    """
    if name not in SCENES:
        raise ConfigError(f"There is no scene {name}; give one of {', '.join(SCENES)}.")
    if seed < 0:
        raise ConfigError(f"seed={seed} is negative; give 0 or more.")
    on_screen = bool(_ON_SCREEN["screen"].accept("screen", parameters.pop("screen", False)))
    known = {**SCENES[name], **(screen.PARAMETERS if on_screen else {})}
    values = settle(name, known, seed, parameters)
    # A short clip shows as much of what was drawn as fits; only asking for more is an error.
    if "passes" in values and "passes" not in parameters:
        values["passes"] = min(int(values["passes"]), needle.most_passes(values))
    if "contractions" in values and "contractions" not in parameters:
        most = contraction.most_cycles(values)
        values["contractions"] = min(int(values["contractions"]), most)
    scanner = scanner_of(values, seed)
    if scanner.convex and "width_px" not in parameters:
        scanner = wide_enough(scanner)
        values["width_px"] = scanner.width_px
    scatterers = scanner.density_per_mm2 * scanner.width_mm * scanner.depth_mm
    if scatterers > MOST_SCATTERERS:
        raise ConfigError(
            f"{scatterers / 1e6:.0f} million scatterers would be needed; give a lower "
            "frequency_mhz, a larger lateral_mm, or a smaller depth_mm or width_px."
        )
    time_s = np.arange(int(values["frames"])) / float(values["fps"])
    world: World
    if name == "muscle":
        world = muscle_world(scanner, values, time_s, seed)
    elif name == "phantom":
        world = phantom_world(scanner, values, time_s, seed)
    else:
        needling = name != "heel"
        world = heel_world(scanner, values, time_s, seed, with_needle=needling)
    scene_values = {key: values[key] for key in SCENES[name]}
    scene = Scene(
        name, seed, scene_values, scanner, world, time_s, mirrored=bool(values["mirrored"])
    )
    if not on_screen:
        return scene
    return screen.ScreenScene(
        scene, {key: values[key] for key in screen.PARAMETERS}, stream(seed, "screen")
    )


def scanner_of(values: dict[str, Value], seed: int) -> Scanner:
    """Return the scanner that the parameters describe."""
    frequency = float(values["frequency_mhz"])
    spacing = float(values["depth_mm"]) / (int(values["height_px"]) - 1)
    looks = int(str(values["looks"]))
    steer = np.linspace(-1.0, 1.0, looks) * float(values["steer_deg"]) if looks > 1 else [0.0]
    error = stream(seed, "time gain").uniform(-1.0, 1.0, 5) * float(values["tgc_error_db"])
    return Scanner(
        width_px=int(values["width_px"]),
        height_px=int(values["height_px"]),
        spacing_mm=spacing,
        frequency_mhz=frequency,
        axial_mm=float(values["axial_cycles"]) * SOUND_MM_PER_US / frequency,
        lateral_mm=float(values["lateral_mm"]),
        focus_mm=float(values["focus"]) * float(values["depth_mm"]),
        looks_deg=tuple(float(angle) for angle in steer),
        radius_mm=float(values["radius_mm"]) if values["geometry"] == "convex" else 0.0,
        half_angle_deg=float(values["half_angle_deg"]) if values["geometry"] == "convex" else 0.0,
        attenuation_db_cm_mhz=float(values["attenuation"]),
        noise_db=float(values["noise_db"]),
        tgc_error_db=tuple(float(db) for db in error),
        contact_db=_contact(values, seed),
        gain_db=float(values["gain_db"]),
        dynamic_range_db=float(values["dynamic_range_db"]),
        gamma=float(values["gamma"]),
        pedestal=float(values["pedestal"]),
        speckle_reduction=float(values["speckle_reduction"]),
        persistence=float(values["persistence"]),
    )


def _contact(values: dict[str, Value], seed: int) -> tuple[float, ...]:
    """Loss along the probe's face, dB, at evenly spaced places: uneven, with a shadow at times."""
    rng = stream(seed, "contact")
    at = np.linspace(0.0, 1.0, 60)
    loss = float(values["contact_db"]) * 0.5 * (1.0 + np.clip(wander(rng, at, 0.8), -2.0, 2.0))
    middle, half = rng.uniform(0.0, 1.0), rng.uniform(0.03, 0.08)
    edge = (np.abs(at - middle) - half) / 0.09
    loss = loss + float(values["contact_shadow_db"]) * (1.0 - smoothstep(edge))
    return tuple(float(db) for db in -np.clip(loss, 0.0, None))


def wide_enough(scanner: Scanner) -> Scanner:
    """Return a convex scanner whose picture is as wide as its fan."""
    deepest = scanner.depth_mm - scanner.apex_mm[1]
    width_mm = 2.0 * deepest * np.sin(np.radians(scanner.half_angle_deg))
    width_px = 2 * int(np.ceil(width_mm / scanner.spacing_mm / 2.0)) + 2
    return dataclasses.replace(scanner, width_px=width_px)
