"""A chart as part of a page: its colours, its margins and typeface, and the way to inline SVG."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's palette in its darker half: these are read on white. The overlay has the same
# colours in its brighter half (``usguide.output.drawing``).
BLUE = "#0072B2"
GREEN = "#00795a"
ORANGE = "#b85c00"
PURPLE = "#a8487f"
GREY = "#8a94a1"
INK = "#1c2430"
MUTED = "#5c6675"
FAINT = "#e4e8ee"

BRIGHT_GREEN, BRIGHT_ORANGE = "#4dbb95", "#e69f00"
"""What is drawn on a dark picture."""

WIDTH = 5.2
"""Of a chart, inches; a page scales it to the room there is."""

LEFT, RIGHT, BOTTOM, TOP = 0.7, 0.15, 0.5, 0.32
"""Margins, inches: numbers of five digits, labels, and a key above."""
_TOP_WITHOUT_KEY = 0.1

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": FAINT,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "text.color": INK,
    "lines.linewidth": 1.8,
}


def new_page(height: float = 3.1, *, keyed: bool = True) -> tuple[Figure, Axes]:
    """Return an empty chart in the style of every page.

    Its margins are fixed: a layout fitted to the text draws everything twice, which was half of the
    time that a clip's report takes.

    Parameters
    ----------
    height : float
        Inches.
    keyed : bool
        Whether there has to be room for a key above.
    """
    top = TOP if keyed else _TOP_WITHOUT_KEY
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH, height))
        return figure, figure.add_axes(
            (LEFT / WIDTH, BOTTOM / height, 1 - (LEFT + RIGHT) / WIDTH, 1 - (BOTTOM + top) / height)
        )


def key_above(axes: Axes) -> None:
    """Put the key above the axes, where there is something to explain."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1.0),
            ncols=3,
            borderaxespad=0.2,
            frameon=False,
            columnspacing=1.2,
            handlelength=1.5,
            handletextpad=0.5,
        )


def as_svg(figure: Figure, name: str) -> Markup:
    """Inline SVG: no prologue, no namespaces, no metadata, scaling with the page."""
    text = StringIO()
    # The salt makes identifiers differ between the charts of a page, yet not between runs.
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure.savefig(text, format="svg", dpi=200, metadata={"Date": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", svg, count=1)
    svg = re.sub(r'<svg ([^>]*?)height="[^"]*"', r"<svg \1", svg, count=1)
    # Groups are numbered anew in every drawing and referred to by nothing.
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    return Markup(svg)
