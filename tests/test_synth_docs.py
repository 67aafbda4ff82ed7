"""The documents name every parameter with its range, and every field of the truth."""

import re
from pathlib import Path

import pytest

from usguide.synth import SCENES, make_scene
from usguide.synth.parameters import Choice, Number, Parameter
from usguide.synth.screen import PARAMETERS as SCREEN

DOCS = Path(__file__).parents[1] / "docs"


def row(name: str, parameter: Parameter) -> str:
    """How the tables state a parameter: what it is drawn from, and what may be asked for."""
    if isinstance(parameter, Number):
        unit = f" {parameter.unit}" if parameter.unit else ""
        low, high = parameter.low, parameter.high
        drawn = f"{low:g}{unit}" if low == high else f"{low:g} to {high:g}{unit}"
        if parameter.seldom is not None:
            least, most = parameter.seldom
            drawn += f", in {parameter.seldom_share:.0%} {least:g} to {most:g}{unit}"
        if parameter.chance < 1:
            drawn += f" in {parameter.chance:.0%}, else 0"
        least = low if parameter.least is None else parameter.least
        most = high if parameter.most is None else parameter.most
        possible = f"{least:g} to {most:g}"
    elif isinstance(parameter, Choice):
        drawn = ", ".join(dict.fromkeys(parameter.drawn or parameter.options))
        possible = ", ".join(parameter.options)
    else:
        drawn, possible = f"yes in {parameter.probability:.0%}", "true, false"
    return f"| `{name}` | {drawn} | {possible} | {parameter.about} |"


@pytest.mark.parametrize("scene", [*SCENES, "screen"])
def test_every_parameter_is_documented_with_its_range(scene: str) -> None:
    text = (DOCS / "synthetic.md").read_text(encoding="utf-8")
    parameters = SCREEN if scene == "screen" else SCENES[scene]
    missing = [row(name, each) for name, each in parameters.items() if row(name, each) not in text]
    assert not missing, "\n".join(missing)


def keys(truth: object, found: set[str]) -> set[str]:
    if isinstance(truth, dict):
        for key, value in truth.items():
            if key == "parameters":
                found.add(key)
                continue
            found.add(str(key))
            keys(value, found)
    elif isinstance(truth, list):
        for value in truth[:1]:
            keys(value, found)
    return found


def test_every_field_of_the_truth_is_documented() -> None:
    text = (DOCS / "truth.md").read_text(encoding="utf-8")
    table = [line for line in text.splitlines() if line.startswith("|")]
    words = set(re.findall(r"[a-z_0-9]+", " ".join(re.findall(r"`([^`]+)`", "\n".join(table)))))
    small = {"frames": 30, "width_px": 200, "height_px": 160, "lateral_mm": 2, "axial_cycles": 6}
    scenes = [
        make_scene("needling", seed=1, twitches=1, rupture_mm=2, spur_mm=3, passes=1, **small),
        make_scene("phantom", seed=1, geometry="convex", **small),
        make_scene("muscle", seed=1, tear="partial", hematoma_mm=8, screen=True, **small),
    ]
    found: set[str] = set()
    for scene in scenes:
        keys(scene.truth, found)
    assert found <= words, found - words
