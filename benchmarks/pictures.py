"""Pictures of the benchmark, made from synthetic scenes only."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from benchmarks import page
from benchmarks.estimates import estimate, median
from benchmarks.records import Columns

mpl.use("Agg")
import itertools

from matplotlib import pyplot as plt

_BLUE, _RED, _GREY = "#1f5c99", "#b5432a", "#777777"


def _save(figure: plt.Figure, folder: Path, name: str, caption: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / name, dpi=110, bbox_inches="tight", metadata={"Software": ""})
    plt.close(figure)
    return f"![{caption}](pictures/{name})\n"


def _binned(
    x: NDArray[np.float64], y: NDArray[np.float64], clips: NDArray[np.int64], edges: list[float]
) -> NDArray[np.float64]:
    """Median and interval of y in bins of x, rows (centre, value, low, high)."""
    rows = []
    for low, high in itertools.pairwise(edges):
        inside = (x >= low) & (x < high) & np.isfinite(y)
        if inside.sum() >= 10:
            e = estimate(y[inside], clips[inside], median)
            rows.append([(low + high) / 2, e.value, e.low, e.high])
    return np.array(rows).reshape(-1, 4)


def accuracy(tip: Columns, separation: Columns, folder: Path = page.PICTURES) -> str:
    """Draw tip error against visibility, and gap against truth; return their Markdown."""
    figure, axes = plt.subplots(figsize=(6.4, 3.6))
    edges = [0.0, 6.0, 10.0, 13.0, 16.0, 18.0, 20.0, 22.0, 24.0, 27.0, 32.0]
    claimed = tip["claimed"]
    binned = _binned(
        tip["level_db"][claimed], tip["error_mm"][claimed], tip["clip"][claimed], edges
    )
    axes.fill_between(binned[:, 0], binned[:, 2], binned[:, 3], color=_BLUE, alpha=0.25, lw=0)
    axes.plot(binned[:, 0], binned[:, 1], "o-", color=_BLUE, label="claimed frames, median")
    axes.axhline(3, color=_RED, lw=1, ls="--", label="success: under 3 mm")
    axes.set(
        xlabel="level of the shaft above speckle in the frame, dB", ylabel="tip error, mm", ylim=0
    )
    share = axes.twinx()
    centres, claims = [], []
    for low, high in itertools.pairwise(edges):
        inside = (tip["level_db"] >= low) & (tip["level_db"] < high)
        if inside.sum() >= 10:
            centres.append((low + high) / 2)
            claims.append(100 * tip["claimed"][inside].mean())
    share.plot(centres, claims, ":", color=_GREY, label="frames with a tip claimed")
    share.set(ylabel="frames with a tip claimed, %", ylim=(0, 105))
    handles = [*axes.get_legend_handles_labels()[0], *share.get_legend_handles_labels()[0]]
    axes.legend(handles=handles, fontsize=8, loc="center right")
    text = _save(figure, folder, "bench_tip_error.png", "Tip error against the needle's visibility")

    torn = separation["torn"]
    figure, panels = plt.subplots(1, 2, figsize=(8.4, 4.0))
    for axes, name, words in zip(
        panels,
        ("gap", "widening"),
        ("gap at the largest contraction", "widening of the gap"),
        strict=True,
    ):
        true = separation[f"true_{name}_mm"]
        found = separation[f"{name}_error_mm"] + true
        for rest, marker, kind in ((False, "o", "closed at rest"), (True, "s", "open at rest")):
            inside = torn & (separation["open_at_rest"] == rest)
            axes.plot(true[inside], found[inside], marker, ms=5, label=kind, alpha=0.8)
        reach = max(1.0, float(np.nanmax([*found[torn], *true[torn], 1.0])))
        axes.plot([0, reach], [0, reach], color=_GREY, lw=1, label="as true")
        axes.set(xlabel=f"true {words}, mm", ylabel="measured, mm", aspect="equal")
        axes.legend(fontsize=8)
    return text + _save(figure, folder, "bench_widening.png", "Gap and its widening against truth")


def speed(sizes: list[tuple[float, float, float]], folder: Path = page.PICTURES) -> str:
    """Draw frames a second and memory against frame size; return the Markdown."""
    megapixels, rate, memory = np.array(sizes).T
    figure, axes = plt.subplots(figsize=(5.2, 3.2))
    axes.plot(megapixels, rate, "o-", color=_BLUE, label="frames/s of analyze")
    axes.set(xlabel="frame size, megapixels", ylabel="frames/s", ylim=(0, 1.15 * rate.max()))
    other = axes.twinx()
    other.plot(megapixels, memory, "s:", color=_RED, label="peak memory, MB")
    other.set(ylabel="peak memory, MB", ylim=(0, 1.3 * memory.max()))
    handles = [*axes.get_legend_handles_labels()[0], *other.get_legend_handles_labels()[0]]
    axes.legend(handles=handles, fontsize=8)
    return _save(figure, folder, "bench_speed.png", "Speed and memory against frame size")
