"""``report.html``: one self-contained page that a clinician reads in a minute."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from usguide.model import Analysis, Task
from usguide.output import charts
from usguide.output.annotation import legend
from usguide.output.keyframes import KeyFrame
from usguide.output.m_mode import MMode, m_mode
from usguide.output.pages import render_page
from usguide.output.quality import recording_facts
from usguide.output.summary import cards
from usguide.output.words import sentence, status_words


@dataclass(frozen=True, slots=True)
class Still:
    """A key frame as the page shows it."""

    source: str
    caption: str
    where: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing, the sentence that says how to read it, and its numbers by place."""

    title: str
    drawing: Markup
    caption: str
    rows: tuple[tuple[str, str], ...] = ()


def write_report(
    analysis: Analysis,
    frames: Sequence[KeyFrame],
    stills: Mapping[int, bytes],
    *,
    overlay: bool,
    files: Sequence[str],
    muscle_line: MMode | None = None,
) -> str:
    """Return the page.

    Parameters
    ----------
    analysis : Analysis
        What was found.
    frames : sequence of KeyFrame
        The pictures to show, in order.
    stills : mapping of int to bytes
        Their JPEG data by frame.
    overlay : bool
        Whether an overlay video lies beside the page.
    files : sequence of str
        Names of the files with numbers beside the page.
    muscle_line : MMode, optional
        The muscle's line over time.

    Returns
    -------
    str
        HTML with everything it needs inside.
    """
    header = analysis.header
    return render_page(
        "usguide.output",
        "report.html.j2",
        name=header.name,
        pseudonym=header.study,
        cards=cards(analysis),
        status_words=status_words,
        not_asked=[task.value for task in Task if task not in analysis.options.tasks],
        pictures=[
            Still(
                "data:image/jpeg;base64," + b64encode(stills[frame.index]).decode("ascii"),
                frame.caption,
                _where(analysis, frame.index),
            )
            for frame in frames
            if frame.index in stills
        ],
        legend=[
            ("rgb({}, {}, {})".format(*entry.colour), entry.text) for entry in legend(analysis)
        ],
        charts=_charts(analysis, muscle_line),
        overlay=overlay,
        files=files,
        moving=header.frames > 1,
        warnings=[sentence(warning) for warning in analysis.warnings],
        quality=_quality(analysis),
        method=_method(analysis),
        seconds=[(name, f"{spent:.1f} s") for name, spent in analysis.seconds.items()],
    )


def _where(analysis: Analysis, index: int) -> str:
    header = analysis.header
    if header.source_names:
        return header.source_names[index]
    time_s = header.timing.time_s
    when = "" if time_s is None else f", {time_s[index]:.2f} s"
    return f"frame {index} of {header.frames}{when}"


def _charts(analysis: Analysis, muscle_line: MMode | None) -> list[Chart]:
    rest, peak = "rest", "peak of the largest contraction"
    if not analysis.motion.contraction.rest_known:
        rest, peak = "one end of the movement", "other end of the largest movement"
    drawn = [
        (
            "Fascia thickness",
            charts.fascia_profile(analysis),
            "From the insertion at the heel bone towards the toes.",
        ),
        (
            "Needle depth",
            charts.needle_depth(analysis),
            "How far the tip had come along the shaft; shaded: in-and-out passes, and twitches.",
        ),
        (
            "Needle and fascia",
            charts.needle_to_fascia(analysis),
            "Distance of the tip from the nearest border of the fascia; negative inside it.",
        ),
        (
            "Gap against contraction",
            charts.gap_against_contraction(analysis),
            "A gap that widens as the muscle contracts speaks for a tear; one that stays does not. "
            "Dashed: a straight line through the frames, and what it gains over the contraction "
            "with the 95 % interval of that slope alone.",
        ),
        (
            "The muscle over time",
            m_mode(analysis, muscle_line),
            "One line of tissue along the muscle, through the gap or its middle, in every frame: "
            "ends that part leave a dark lens between them.",
        ),
        (
            "Movement of the muscle",
            charts.contraction(analysis),
            f"From {rest}, along its length; shaded: contraction cycles and twitches.",
        ),
        (
            "Movement at the peak",
            charts.motion_at_peak(analysis),
            f"From {rest} to the {peak}, the probe's own slip taken off. Where two ends part, the "
            "arrows on both sides point away from one another, or one side's are longer.",
        ),
        (
            "Muscle thickness",
            charts.muscle_thickness(analysis),
            "Between the inner edges of the two aponeuroses.",
        ),
    ]
    rows = {"Fascia thickness": _stations(analysis)}
    return [
        Chart(title, drawing, caption, rows.get(title, ()))
        for title, drawing, caption in drawn
        if drawing
    ]


def _stations(analysis: Analysis) -> tuple[tuple[str, str], ...]:
    """Return the thickness at every station in words, as (place, thickness)."""
    thickness = analysis.fascia.thickness_mm
    if thickness is None:
        return ()
    rows = [(f"{one.distance_mm:g} mm", one.thickness) for one in thickness.stations]
    if thickness.insertion is not None:
        rows.insert(0, ("insertion", thickness.insertion))
    return tuple(
        (place, f"{one.value:.1f} mm ({one.low:.1f} to {one.high:.1f})") for place, one in rows
    )


def _quality(analysis: Analysis) -> list[tuple[str, str]]:
    """Return what the numbers rest on, as (name, words)."""
    facts = recording_facts(analysis.header)[1:]
    if analysis.fascia.frames_used:
        facts.append(("Frames behind the fascia's thickness", str(analysis.fascia.frames_used)))
    return facts


def _region_given(region: tuple[int, int, int, int] | int | None) -> str:
    if isinstance(region, int):
        return f"region number {region}"
    return "region {2} × {3} px at ({0}, {1})".format(*region) if region else ""


def _hints_given(hints: int) -> str:
    return f"the needle's tip in {hints} frame{'' if hints == 1 else 's'}" if hints else ""


def _method(analysis: Analysis) -> list[tuple[str, str]]:
    options = analysis.options
    given = [
        f"spacing {options.spacing_mm[0]:g} × {options.spacing_mm[1]:g} mm"
        if options.spacing_mm
        else "",
        _region_given(options.region),
        f"{options.fps:g} frames/s" if options.fps else "",
        _hints_given(len(options.hints)),
    ]
    asked = ", ".join(task.value for task in Task if task in options.tasks)
    return [
        ("Program", f"usguide {analysis.version}"),
        ("Asked for", f"{asked}; no look at later frames" if options.online else asked),
        ("Given by hand", ", ".join(one for one in given if one) or "nothing"),
        ("SHA-256 of the recording", analysis.header.sha256),
    ]
