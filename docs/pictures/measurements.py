"""Draw the pictures of ``docs/measurements.md``: ``python docs/pictures/measurements.py [FOLDER]``.

Every frame is synthetic, and what is drawn on it is its truth, not what the program found.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from usguide.followup.change import difference, fascia_thickness_detectable, judge
from usguide.model import Measurement
from usguide.synth import make_scene

HERE = Path(__file__).parent
BLUE, ORANGE, GREEN, PURPLE, YELLOW = "#56B4E9", "#E69F00", "#2fbf8f", "#CC79A7", "#F0E442"
HEEL: dict[str, Any] = {
    "frames": 1, "mirrored": False, "contact_shadow_db": 0, "bulge_mm": 0, "spur_mm": 0,
    "fluid_mm": 0, "gain_db": 3, "muscle_level_db": -9, "disease": 0.2, "tilt_deg": 3,
    "insertion_x": 0.35, "width_px": 560, "height_px": 420, "noise_db": -60, "bone_dropout": 0,
}  # fmt: skip


def show(axes: Any, frame: np.ndarray, title: str = "") -> None:
    """Put a frame on axes without ticks."""
    axes.imshow(frame, cmap="gray", vmin=0, vmax=255, interpolation="bilinear")
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=11)


def word(axes: Any, at: Any, text: str, colour: str, **more: Any) -> None:
    """Write on a frame."""
    box = {"facecolor": "black", "alpha": 0.6, "edgecolor": "none", "pad": 1.5}
    axes.text(*at, text, color=colour, fontsize=9.5, bbox=box, **more)


def arrow(axes: Any, start: Any, end: Any, colour: str) -> None:
    """Draw a dimension line."""
    axes.annotate(
        "", end, start, arrowprops={"arrowstyle": "<->", "color": colour, "lw": 1.6, "shrinkA": 0,
        "shrinkB": 0},
    )  # fmt: skip


def borders(truth: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return both borders and their distance from the insertion."""
    return (
        np.array(truth["superficial_px"]),
        np.array(truth["deep_px"]),
        np.array(truth["profile"]["distance_mm"]),
    )


def fascia() -> plt.Figure:
    """Where thickness and fat pad are measured."""
    scene = make_scene("heel", seed=21, thickness_mm=4.4, fat_pad_mm=9, **HEEL)
    truth = scene.truth["fascia"]
    figure, axes = plt.subplots(figsize=(8.4, 6.3), layout="constrained")
    show(axes, scene.array()[0])
    superficial, deep, distance = borders(truth)
    axes.plot(*superficial.T, BLUE, lw=1.4)
    axes.plot(*deep.T, BLUE, lw=1.4)
    axes.plot(*np.array(truth["bone_px"]).T, YELLOW, lw=1.2)
    for station in (0, 5, 10, 15, 20):
        if station > distance[-1]:
            continue
        at = [
            [np.interp(station, distance, line[:, k]) for k in (0, 1)]
            for line in (superficial, deep)
        ]
        arrow(axes, *at, ORANGE)
        word(axes, (at[1][0], at[1][1] + 22), f"{station} mm", ORANGE, ha="center")
    bone = np.array(truth["bone_px"])
    top = bone[np.argmin(bone[:, 1])]
    arrow(axes, (top[0], 1), top, GREEN)
    word(axes, (top[0] + 8, top[1] / 2), "fat pad", GREEN)
    axes.plot(*truth["insertion_px"], "o", mfc="none", mec=BLUE, ms=9)
    word(axes, (bone[-1, 0] - 90, bone[-1, 1] + 40), "insertion (ring)", BLUE)
    word(axes, (20, top[1] + 110), "calcaneus and its shadow", YELLOW)
    return figure


def findings() -> plt.Figure:
    """Show the appearances that thickness does not tell."""
    figure, panels = plt.subplots(2, 2, figsize=(10, 5.9), layout="constrained")
    made = (
        ("spur", {"spur_mm": 5}),
        ("fluid", {"fluid_mm": 1.8}),
        ("discontinuity", {"rupture_mm": 4, "rupture_at_mm": 9}),
        ("biconvexity", {"bulge_mm": 2.4, "bulge_at_mm": 10, "distal_fraction": 0.8, "bow_deg": 0}),
    )
    for axes, (name, fixed) in zip(panels.flat, made, strict=True):
        scene = make_scene("heel", seed=22, thickness_mm=4, fat_pad_mm=8.5, **HEEL | fixed)
        truth = scene.truth["fascia"]
        show(axes, scene.array()[0], name)
        superficial, deep, distance = borders(truth)
        px = 1 / scene.spacing_mm[0]
        if name == "spur":
            spur = np.array(truth["spur_px"])
            axes.plot(*(spur - [0, 5]).T, ORANGE, lw=1.4)
            word(axes, (spur[0, 0], spur[0, 1] + 60), "length, along the line", ORANGE)
        elif name == "fluid":
            fluid = truth["fluid"]
            x, y = (np.interp(fluid["distance_mm"], distance, deep[:, k]) for k in (0, 1))
            arrow(axes, (x, y), (x, y + fluid["thickness_mm"] * px), ORANGE)
            word(axes, (x - 20, y + 75), "thickness of the layer", ORANGE)
        elif name == "discontinuity":
            gap = truth["discontinuity"][0]
            ends = [gap["distance_mm"] + side * gap["width_mm"] / 2 for side in (-1, 1)]
            middle = [
                [np.interp(d, distance, (superficial + deep)[:, k] / 2) for k in (0, 1)]
                for d in ends
            ]
            arrow(axes, *middle, ORANGE)
            word(axes, (middle[0][0] - 20, middle[0][1] + 60), "width", ORANGE)
        else:
            shown = distance <= 25
            for border in (superficial[shown], deep[shown]):
                axes.plot(*border.T, BLUE, lw=1.2)
                axes.plot(*border[[0, -1]].T, ORANGE, lw=1.2, ls="--")
            word(axes, (deep[0, 0], deep[0, 1] + 60), "bulge from each chord; the smaller", ORANGE)
        axes.set_xlim(60, 559)
        axes.set_ylim(300, 40)
    return figure


def muscle() -> plt.Figure:
    """Thickness and the area of echo intensity."""
    scene = make_scene(
        "muscle", seed=5, frames=1, drift_mm=0, tear="none", width_px=560, height_px=420, vessels=0
    )
    truth = scene.truth["muscle"]
    figure, axes = plt.subplots(figsize=(8.4, 6.3), layout="constrained")
    show(axes, scene.array()[0])
    x = np.array(truth["x_px"])
    top, bottom = np.array(truth["superficial_y_px"][0]), np.array(truth["deep_y_px"][0])
    axes.plot(x, top, color=GREEN, lw=1.6)
    axes.plot(x, bottom, color=GREEN, lw=1.6)
    axes.fill_between(x, top, bottom, color=GREEN, alpha=0.13, lw=0)
    for share in (0.2, 0.5, 0.8):
        middle = x[0] + share * (x[-1] - x[0])
        slope = np.polyfit(x, (top + bottom) / 2, 1)[0]
        y = np.interp(middle, x, top)
        depth = np.interp(middle, x, bottom) - y
        normal = np.array([-slope, 1.0]) / np.hypot(slope, 1)
        length = depth / np.hypot(slope, 1)
        arrow(axes, (middle, y), (middle, y) + normal * length, ORANGE)
    word(axes, (x[0] + 20, float(top.min()) - 12), "superficial aponeurosis, inner edge", GREEN)
    word(axes, (x[0] + 20, float(bottom.max()) + 30), "deep aponeurosis, inner edge", GREEN)
    return figure


def needle() -> plt.Figure:
    """Tip, shaft and depth in a frame, and the passes over time."""
    scene = make_scene(
        "needling", seed=11, fps=25, **HEEL | {"frames": 75}, passes=3, pass_hz=1.2,
        angle_deg=28, dropouts=0, fade=0.1, visibility=0.9, enters=False, drift_mm=0,
    )  # fmt: skip
    truth = scene.truth["needle"]
    tips = np.array(truth["tip_px"])
    depth = np.array(truth["depth_mm"])
    deepest = int(np.argmax(depth))
    frame = next(f for i, f in enumerate(scene.frames()) if i == deepest)
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    show(left, frame)
    tip, tail = tips[deepest], np.array(truth["tail_px"][deepest])
    left.plot(*np.stack([tail, tip]).T, color=ORANGE, lw=1, alpha=0.8)
    left.plot(*tip, "+", color=ORANGE, ms=13, mew=2)
    word(left, tip - (70, 16), "tip", ORANGE)
    word(left, (20, 40), "insertion depth, along the shaft", ORANGE)
    time = np.array(scene.truth["timing"]["time_s"])
    right.plot(time, depth - depth.min(), color="#0072B2")
    for one in truth["passes"]:
        right.axvspan(one["start_s"], one["end_s"], color=ORANGE, alpha=0.2, lw=0)
        right.plot(one["deepest_s"], one["stroke_mm"], "v", color="#b85c00", ms=8)
    right.set(xlabel="time (s)", ylabel="advance along the shaft (mm)", title="passes")
    right.spines[["top", "right"]].set_visible(False)
    return figure


def motion() -> plt.Figure:
    """Show a tear at rest and at the peak, and its gap against contraction."""
    scene = make_scene(
        "muscle", seed=7, frames=60, fps=20, tear="complete", drift_mm=0, slip_mm=0, width_px=560,
        height_px=420, open_at_rest=False, vessels=0,
    )  # fmt: skip
    truth = scene.truth["contraction"]
    gap = np.array(truth["separation"]["gap_mm"], dtype=float)
    activation = np.array(truth["activation"])
    peak, rest = int(np.argmax(activation)), int(np.argmin(activation))
    frames = {i: f for i, f in enumerate(scene.frames()) if i in (rest, peak)}
    figure, panels = plt.subplots(1, 3, figsize=(13, 4.0), layout="constrained")
    for axes, index, name in zip(panels, (rest, peak), ("rest", "peak"), strict=False):
        show(axes, frames[index], f"{name}: gap {gap[index]:.1f} mm")
        middle = np.array(truth["separation"]["location_px"][index])
        half = np.array([gap[index] / scene.spacing_mm[0] / 2, 0])
        if gap[index] > 0.5:
            arrow(axes, middle - half, middle + half, PURPLE)
        axes.plot(*middle, ".", color=PURPLE)
    panels[2].plot(activation, gap, ".", color="#a8487f")
    panels[2].set(xlabel="contraction (0 rest, 1 peak)", ylabel="gap (mm)", title="widening")
    panels[2].spines[["top", "right"]].set_visible(False)
    return figure


def follow_up() -> plt.Figure:
    """Four changes against the minimal detectable change."""
    figure, axes = plt.subplots(figsize=(8.4, 3.4), layout="constrained")
    before = Measurement(4.6, 4.3, 4.9, "mm")
    shades = fascia_thickness_detectable(before, before)
    axes.axvspan(-shades.high, shades.high, color="#5c6675", alpha=0.12, lw=0)
    axes.axvspan(-shades.low, shades.low, color="#5c6675", alpha=0.18, lw=0)
    for row, (value, spread) in enumerate(((4.4, 0.3), (3.95, 0.3), (3.1, 1.9), (3.2, 0.4))):
        after = Measurement(value, value - spread, value + spread, "mm")
        change = difference(before, after)
        verdict, _ = judge(change, fascia_thickness_detectable(before, after))
        colour = "#b85c00" if verdict.value == "changed" else "#0072B2"
        axes.plot([change.low, change.high], [row, row], color=colour, lw=2)
        axes.plot(change.value, row, "o", color=colour)
        axes.text(1.9, row, verdict.value.replace("_", " "), va="center", color=colour)
    axes.axvline(0, color="#1c2430", lw=1)
    axes.set(xlim=(-3.6, 4.3), ylim=(3.6, -0.6), yticks=[], xlabel="change (mm)")
    axes.spines[["top", "right", "left"]].set_visible(False)
    return figure


def main() -> None:
    """Write every picture."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    for draw in (fascia, findings, muscle, needle, motion, follow_up):
        draw().savefig(folder / f"measure_{draw.__name__}.jpg", dpi=80)
        plt.close()


if __name__ == "__main__":
    main()
