"""The columns of the table of clips: names, types, units, and what each of them says.

The table is versioned by ``CLIPS_SCHEMA_NAME``: a column that changes its name, unit or meaning
raises the number. ``docs/batch.md`` lists the columns as they are here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from usguide.batch.column import (
    Cell,
    Column,
    Value,
    count,
    measurement,
    number,
    status,
    text,
)
from usguide.followup.quantities import station_column
from usguide.model import STATIONS_MM, Analysis, Measurement, Options, Task

CLIPS_SCHEMA_NAME = "usguide/clips/1"


def measured_row(analysis: Analysis) -> dict[str, Cell]:
    """Return every column that comes from the analysis; None where nothing is known."""
    return {one.name: one.value(analysis) for one in COLUMNS if one.value is not None}


def tasks_in_words(options: Options) -> str:
    """Return what was asked for, in the order of the tasks."""
    return ";".join(task.value for task in Task if task in options.tasks)


def _station(distance_mm: float) -> Callable[[Analysis], Measurement | None]:
    def read(analysis: Analysis) -> Measurement | None:
        thickness = analysis.fascia.thickness_mm
        stations = () if thickness is None else thickness.stations
        return next((s.thickness for s in stations if s.distance_mm == distance_mm), None)

    return read


def _thickness(unit: str, place: str) -> Callable[[Analysis], Measurement | None]:
    def read(analysis: Analysis) -> Measurement | None:
        thickness = getattr(analysis.fascia, f"thickness_{unit}")
        return None if thickness is None else getattr(thickness, place)

    return read


def _largest(values: list[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _word(value: Any) -> str | None:
    return None if value is None else str(value.value)


def _yes_no(value: bool | None) -> str | None:
    return None if value is None else ("yes" if value else "no")


def _spacing(axis: int) -> Value:
    def value(analysis: Analysis) -> Cell:
        spacing = analysis.header.calibration.spacing_mm
        return None if spacing is None else float(spacing[axis])

    return value


def _identity() -> Iterator[Column]:
    yield text("key", "the clip: its content, what was asked, the program's version")
    yield text("path", "where it was found")
    yield text("sha256", "hash of its content")
    yield text("duplicate_of", "path of the clip with the same key that comes first; else empty")
    yield text("subject", "from the listing")
    yield text("session", "from the listing")
    yield text("time_point", "from the listing")
    yield text("side", "from the listing")
    yield text("outcome", "measured, nothing_measured or failed; empty if not yet tried")
    yield text("reason", "why it failed or nothing was measured")
    yield text("report", "its report, from the folder of the table")
    yield text("version", "version of the program", lambda a: a.version)
    yield text("tasks", "what was asked for", lambda a: tasks_in_words(a.options))
    yield number("analysis_s", "s", "time that the stages took", lambda a: sum(a.seconds.values()))


def _recording() -> Iterator[Column]:
    yield text("kind", "kind of recording", lambda a: a.header.kind.value)
    yield count("frames", "frames in the file", lambda a: a.header.frames)
    yield count("repeats", "frames that repeat another", lambda a: a.header.timing.duplicates)
    yield number("width_px", "px", "width of a frame", lambda a: a.header.width)
    yield number("height_px", "px", "height of a frame", lambda a: a.header.height)
    yield number(
        "region_x_px", "px", "left edge of the B-mode picture", lambda a: a.header.region.x
    )
    yield number("region_y_px", "px", "its top edge", lambda a: a.header.region.y)
    yield number("region_width_px", "px", "its width", lambda a: a.header.region.width)
    yield number("region_height_px", "px", "its height", lambda a: a.header.region.height)
    yield text(
        "calibration_source",
        "where the millimetres come from",
        lambda a: a.header.calibration.source.value,
    )
    yield number("calibration_confidence", "1", "0 to 1", lambda a: a.header.calibration.confidence)
    yield number("spacing_x_mm", "mm", "size of a pixel along x", _spacing(0))
    yield number("spacing_y_mm", "mm", "size of a pixel along y", _spacing(1))
    yield text(
        "timing_source", "where the seconds come from", lambda a: a.header.timing.source.value
    )
    yield number("fps_hz", "1/s", "source frames per second", lambda a: a.header.timing.fps)
    yield number("duration_s", "s", "length of the clip", lambda a: a.header.timing.duration_s)
    yield text("warnings", "sentences for the reader", lambda a: " ".join(a.warnings) or None)


def _fascia() -> Iterator[Column]:
    yield from status("fascia", "whether it was measured", lambda a: a.fascia)
    yield number(
        "fascia_confidence",
        "1",
        "probability that the heel measured is right",
        lambda a: a.fascia.confidence,
    )
    for unit in ("mm", "px"):
        yield from measurement(
            f"fascia_insertion_{unit}",
            unit,
            "thickness at the insertion",
            _thickness(unit, "insertion"),
        )
        yield from measurement(
            f"fascia_maximum_{unit}", unit, "largest thickness", _thickness(unit, "maximum")
        )
    for distance in STATIONS_MM:
        yield from measurement(
            station_column(distance),
            "mm",
            f"thickness {distance:.0f} mm from the insertion",
            _station(distance),
        )
    yield text(
        "fascia_bone_side",
        "side of the picture on which the heel bone lies",
        lambda a: _word(a.fascia.side),
    )
    yield text("fascia_category", "against the 4 mm cut-off", lambda a: _word(a.fascia.category))
    yield from measurement(
        "fascia_echogenicity",
        "1",
        "echo amplitude over the fat pad's",
        lambda a: a.fascia.echogenicity,
    )
    yield from measurement(
        "fascia_fibrillar_score",
        "1",
        "coherence of its texture",
        lambda a: a.fascia.fibrillar_score,
    )
    yield from measurement(
        "fat_pad_mm", "mm", "fat pad over the bone", lambda a: a.fascia.fat_pad_mm
    )
    yield count(
        "fascia_discontinuities", "interruptions found", lambda a: len(a.fascia.discontinuity)
    )
    yield from measurement(
        "fascia_biconvexity_mm",
        "mm",
        "bulge of the flatter border; positive where both bulge",
        lambda a: a.fascia.biconvexity_mm,
    )
    yield count("fascia_fluid_layers", "layers of fluid found", lambda a: len(a.fascia.fluid))
    yield number(
        "fascia_fluid_mm",
        "mm",
        "thickness of the thickest",
        lambda a: _largest([layer.thickness_mm.value for layer in a.fascia.fluid]),
    )
    yield from measurement(
        "fascia_spur_mm",
        "mm",
        "length of a heel spur",
        lambda a: None if a.fascia.spur is None else a.fascia.spur.length_mm,
    )
    yield text(
        "fascia_not_measured",
        "what of the fascia could not be looked for, and why",
        lambda a: "; ".join(f"{n.what}: {n.reason}" for n in a.fascia.not_measured) or None,
    )


def _muscle() -> Iterator[Column]:
    yield from status("muscle", "whether it was measured", lambda a: a.muscle)
    about = "thickness between the aponeuroses"
    yield from measurement("muscle_thickness_mm", "mm", about, lambda a: a.muscle.thickness_mm)
    yield from measurement("muscle_thickness_px", "px", about, lambda a: a.muscle.thickness_px)
    yield from measurement(
        "muscle_echo_intensity", "grey level", "mean, 0 to 255", lambda a: a.muscle.echo_intensity
    )


def _needle() -> Iterator[Column]:
    yield from status("needle", "whether it was followed", lambda a: a.needle)
    yield text("needle_plane", "in or out of the image", lambda a: _word(a.needle.plane))
    yield count(
        "needle_frames_visible", "frames with a tip claimed", lambda a: a.needle.frames_visible
    )
    yield count("needle_passes", "in-and-out movements", lambda a: len(a.needle.passes))
    yield text(
        "needle_passes_certain",
        "no: others may have hid while it was lost, or there is no clock",
        lambda a: _yes_no(a.needle.passes_certain),
    )
    yield number(
        "needle_deepest_pass_mm",
        "mm",
        "advance of the deepest pass",
        lambda a: _largest([one.depth_mm for one in a.needle.passes]),
    )
    yield number(
        "needle_closest_to_fascia_mm",
        "mm",
        "smallest distance of the tip to the fascia; 0 if it was inside",
        lambda a: a.needle.closest_to_fascia_mm,
    )


def _motion() -> Iterator[Column]:
    yield count(
        "twitches",
        "local twitches; empty where none could be looked for",
        lambda a: None if a.motion.twitches_reason else len(a.motion.twitches),
    )
    yield number(
        "twitch_largest_mm",
        "mm",
        "largest peak of a twitch",
        lambda a: _largest([one.peak_mm for one in a.motion.twitches]),
    )
    yield from status("contraction", "whether it was measured", lambda a: a.motion.contraction)
    yield count("contraction_cycles", "contractions", lambda a: len(a.motion.contraction.cycles))
    yield number(
        "contraction_largest_mm",
        "mm",
        "largest excursion of a cycle",
        lambda a: _largest([one.excursion_mm for one in a.motion.contraction.cycles]),
    )
    yield from measurement(
        "contraction_strain",
        "1",
        "strain of the muscle along its axis at the peak; shortening is negative",
        lambda a: None if a.motion.contraction.strain is None else a.motion.contraction.strain.peak,
    )
    yield text(
        "separation",
        "separation, none or indeterminate",
        lambda a: a.motion.contraction.separation.flag.value,
    )
    yield text(
        "separation_reason",
        "what decided it",
        lambda a: a.motion.contraction.separation.reason or None,
    )
    for name, unit, about in (
        ("gap_rest_mm", "mm", "gap at rest"),
        ("gap_peak_mm", "mm", "gap at the strongest contraction"),
        ("widening_mm", "mm", "the second less the first"),
        ("torn_fraction", "1", "torn part of the muscle's thickness"),
    ):
        yield from measurement(
            name,
            unit,
            about,
            lambda a, name=name: getattr(a.motion.contraction.separation, name),  # type: ignore[misc]
        )
    yield text(
        "defect_at_rest",
        "yes if a gap is seen at rest that does not widen",
        lambda a: "yes" if a.motion.contraction.separation.defect_at_rest else None,
    )
    yield text(
        "separation_grade",
        "suggested Peetrons grade",
        lambda a: a.motion.contraction.separation.grade,
    )
    yield count(
        "collections", "collections of fluid", lambda a: len(a.motion.contraction.collections)
    )


COLUMNS: tuple[Column, ...] = (
    *_identity(),
    *_recording(),
    *_fascia(),
    *_muscle(),
    *_needle(),
    *_motion(),
)
