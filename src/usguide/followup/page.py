"""``compare.html``: a comparison on one self-contained page, with both profiles in one picture."""

from __future__ import annotations

from pathlib import Path, PurePath

import numpy as np
from markupsafe import Markup

from usguide import __version__
from usguide.followup.change import Change, Verdict
from usguide.followup.comparison import Comparison
from usguide.followup.document import comparison_document
from usguide.followup.words import (
    change_words,
    headline,
    interval_words,
    times,
    value_words,
    verdict_words,
)
from usguide.output.chart_page import BLUE, MUTED, as_svg, key_above, new_page
from usguide.output.pages import render_page
from usguide.output.result_json import to_json
from usguide.output.words import sentence
from usguide.output.writing import whole

COMPARISON = "compare.json"
PAGE = "compare.html"

_COLOURS = (MUTED, BLUE)
_TONES = {
    Verdict.CHANGED: "notable",
    Verdict.NOT_SHOWN: "plain",
    Verdict.NOT_COMPARABLE: "unsure",
}


def write_comparison(comparison: Comparison, directory: Path) -> Path:
    """Write ``compare.json`` and ``compare.html`` into a folder and return the page's path.

    Raises
    ------
    OutputError
        If the folder cannot be written to; nothing is left behind then.
    """
    with whole(directory, (PAGE, COMPARISON)) as partial:
        (partial / COMPARISON).write_text(to_json(comparison_document(comparison)), "utf-8")
        (partial / PAGE).write_text(comparison_page(comparison), "utf-8")
    return directory / PAGE


def comparison_page(comparison: Comparison) -> str:
    """Return the page."""
    first, second = times(comparison.sides)
    return render_page(
        "usguide.followup",
        "compare.html.j2",
        version=__version__,
        names=[
            (title, PurePath(one.recording).name, one.sha256[:12])
            for title, one in ((first, comparison.before), (second, comparison.after))
        ],
        times=(first, second),
        headline=headline(comparison),
        lines=[_line(one, comparison) for one in comparison.changes],
        profiles=_profiles(comparison),
        notes=list(comparison.notes),
        bases=sorted({one.detectable.basis for one in comparison.changes if one.detectable}),
    )


def _line(change: Change, comparison: Comparison) -> dict[str, str]:
    return {
        "label": change.label,
        "before": value_words(change.before),
        "before_interval": interval_words(change.before),
        "after": value_words(change.after),
        "after_interval": interval_words(change.after),
        "change": change_words(change),
        "change_interval": interval_words(change.change),
        "tone": _TONES[change.verdict],
        "verdict": verdict_words(change.verdict, comparison.sides),
        "reason": sentence(change.reason),
    }


def _profiles(comparison: Comparison) -> Markup | None:
    """Draw both thickness profiles with their intervals over each other."""
    pair = (comparison.before.profile, comparison.after.profile)
    if pair[0] is None or pair[1] is None:
        return None
    figure, axes = new_page(3.4)
    top = 0.0
    for profile, colour, label, style in zip(
        pair, _COLOURS, times(comparison.sides), ("--", "-"), strict=True
    ):
        if profile is None or not np.isfinite(profile.thickness_mm).any():
            return None
        axes.fill_between(
            profile.distance_mm, profile.low_mm, profile.high_mm, color=colour, alpha=0.2,
            linewidth=0,
        )  # fmt: skip
        axes.plot(profile.distance_mm, profile.thickness_mm, style, color=colour, label=label)
        top = max(top, float(np.nanmax(profile.high_mm)))
    axes.set_xlim(left=0)
    axes.set_ylim(0, 1.1 * top)
    axes.set_xlabel("distance from the insertion (mm)")
    axes.set_ylabel("thickness (mm)")
    key_above(axes)
    return as_svg(figure, "profiles")
