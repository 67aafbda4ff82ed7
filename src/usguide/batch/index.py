"""``index.html``: the archive at a glance, one self-contained page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from usguide import __version__
from usguide.batch.column import Row
from usguide.batch.longitudinal_output import FollowUp
from usguide.output.chart_page import BLUE, as_svg, new_page
from usguide.output.pages import render_page
from usguide.output.words import because

_FEWEST = 3
"""Fewer values than this are read in the table, not drawn."""

_DRAWN = (
    ("fascia_insertion_mm", "Fascia thickness at the insertion", "thickness (mm)"),
    ("fascia_maximum_mm", "Largest fascia thickness", "thickness (mm)"),
    ("muscle_thickness_mm", "Muscle thickness", "thickness (mm)"),
    ("needle_deepest_pass_mm", "Deepest needle pass", "advance (mm)"),
    ("contraction_largest_mm", "Largest contraction", "excursion (mm)"),
    ("widening_mm", "Widening of the gap", "widening (mm)"),
)
_STAGES = ("fascia", "muscle", "needle", "contraction")
_SHOWN = (
    ("fascia_insertion_mm", "fascia, insertion (mm)"),
    ("fascia_maximum_mm", "fascia, largest (mm)"),
    ("muscle_thickness_mm", "muscle (mm)"),
    ("needle_passes", "needle passes"),
    ("twitches", "twitches"),
    ("widening_mm", "gap widening (mm)"),
)


@dataclass(frozen=True, slots=True)
class Chart:
    """A distribution and how many clips it is of."""

    title: str
    drawing: Markup
    clips: int


def write_index(rows: Sequence[Row], notes: Sequence[str], sessions: FollowUp | None = None) -> str:
    """Return the page.

    Parameters
    ----------
    rows : sequence of mapping
        The table of clips; copies are shown in it but counted once.
    notes : sequence of str
        Sentences about the archive.
    sessions : FollowUp, optional
        What to say about patients over their sessions.
    """
    own = [row for row in rows if row["duplicate_of"] is None]
    outcomes = Counter(row["outcome"] or "to do" for row in own)
    return render_page(
        "usguide.batch",
        "index.html.j2",
        version=__version__,
        total=len(own),
        copies=len(rows) - len(own),
        outcomes=[(str(name).replace("_", " "), count) for name, count in outcomes.most_common()],
        charts=[chart for name, title, axis in _DRAWN if (chart := _chart(own, name, title, axis))],
        reasons=_reasons(own),
        shown=[label for _, label in _SHOWN],
        lines=[_line(row) for row in rows],
        notes=list(notes),
        follow_up=sessions,
    )


def _chart(rows: Sequence[Row], name: str, title: str, axis: str) -> Chart | None:
    values = np.array([row[name] for row in rows if row[name] is not None], dtype=np.float64)
    if len(values) < _FEWEST:
        return None
    figure, axes = new_page(2.3, keyed=False)
    axes.hist(values, bins=min(40, max(5, int(np.sqrt(len(values)) * 2))), color=BLUE)
    axes.set_xlabel(axis)
    axes.set_ylabel("clips")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    return Chart(title, as_svg(figure, name), len(values))


def _reasons(rows: Sequence[Row]) -> list[tuple[str, str, int]]:
    """Return (what, why not, in how many clips), the commonest first."""
    found: Counter[tuple[str, str]] = Counter()
    for row in rows:
        if row["outcome"] == "failed":
            found["the clip", because(_why(row))] += 1
        for stage in _STAGES:
            if row[f"{stage}_status"] in ("none_found", "not_measured"):
                found[stage, because(str(row[f"{stage}_reason"]))] += 1
    return [(stage, reason, count) for (stage, reason), count in found.most_common(40)]


def _why(row: Row) -> str:
    """Return the reason without its clip's name, which would keep all reasons apart."""
    name = PurePath(str(row["duplicate_of"] or row["path"])).name
    return str(row["reason"] or "").rpartition(f"{name}: ")[2]


def _line(row: Row) -> dict[str, object]:
    return {
        "name": PurePath(str(row["path"])).name,
        "path": row["path"],
        "report": row["report"],
        "who": " · ".join(
            str(row[name]) for name in ("subject", "session", "time_point") if row[name]
        ),
        "outcome": str(row["outcome"] or "to do").replace("_", " "),
        "reason": _why(row),
        "is_copy": row["duplicate_of"] is not None,
        "figures": [row[name] for name, _ in _SHOWN],
    }
