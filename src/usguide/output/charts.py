"""The report's charts, as SVG to be set inside the page: axes, units, the page's own typeface."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from scipy.stats import t as student

from usguide.model import (
    THICKENED_MM,
    Analysis,
    Bools,
    FasciaProfile,
    Floats,
    Header,
    Status,
    Thickness,
)
from usguide.output.chart_page import (
    BLUE,
    BOTTOM,
    GREEN,
    INK,
    LEFT,
    MUTED,
    ORANGE,
    PURPLE,
    RIGHT,
    TOP,
    WIDTH,
    as_svg,
    key_above,
    new_page,
)

# Frames that a chart's width still shows as separate dots.
_MOST_DOTS = 80
# More marks than this become one picture: ten minutes of them as shapes would be megabytes.
_MOST_SHAPES = 1500

# Fewer say nothing about their own spread.
_FEWEST_FRAMES = 5.0

# Shares of a chart's width that a bar of colours takes with its gap, and the gap.
_BAR_SHARE, _BAR_GAP = 0.16, 0.04
# Inches; a picture that is deeper than wide is scaled down to it.
_TALLEST = 4.5

# Share of the largest contraction that must be seen for a slope to mean anything.
_LEAST_SPAN = 0.3


def fascia_profile(analysis: Analysis) -> Markup | None:
    """Fascia thickness from the insertion onwards, with its interval and the 4 mm line."""
    profile, fascia = analysis.fascia.profile, analysis.fascia
    if profile is None or not np.isfinite(profile.thickness).any():
        return None
    unit = profile.unit
    figure, axes = new_page(keyed=False)
    axes.fill_between(
        profile.distance, profile.low, profile.high, color=BLUE, alpha=0.18, linewidth=0,
        label="95 % interval",
    )  # fmt: skip
    axes.plot(profile.distance, profile.thickness, color=BLUE, label="thickness")
    stated = fascia.thickness_mm if unit == "mm" else fascia.thickness_px
    if stated is not None:
        _stations(axes, stated)
    top = float(np.nanmax(profile.high)) * 1.1
    if unit == "mm":
        top = max(top, THICKENED_MM * 1.25)
        axes.axhline(
            THICKENED_MM, color=ORANGE, linestyle=(0, (5, 3)), linewidth=1.4,
            label="4 mm: thickened above",
        )  # fmt: skip
    axes.set_ylim(0, top)
    axes.set_xlim(0, _span(profile))
    axes.set_xlabel(f"distance from the insertion ({unit})")
    axes.set_ylabel(f"thickness ({unit})")
    axes.legend(loc="lower left", ncols=2, frameon=False)
    return as_svg(figure, "fascia_profile")


def needle_depth(analysis: Analysis) -> Markup | None:
    """How deep the needle's tip was along its shaft, over time, with its passes."""
    needle, header = analysis.needle, analysis.header
    if needle.status is not Status.MEASURED:
        return None
    depth, unit = _preferred(needle.insertion_depth_mm, needle.insertion_depth_px)
    if depth is None:
        return None
    x, label = _abscissa(header)
    own = header.timing.duplicate_of < 0
    figure, axes = new_page()
    for one in needle.passes:
        axes.axvspan(x[one.start_frame], x[one.end_frame], color=ORANGE, alpha=0.1, linewidth=0)
    axes.plot(x[own], depth[own], color=INK, linewidth=1.0, alpha=0.5)
    confidence = needle.tip_confidence
    sure = np.ones(len(depth)) if confidence is None else np.nan_to_num(confidence)
    known = own & np.isfinite(depth)
    axes.scatter(
        x[known], depth[known], c=sure[known], cmap="cividis_r", vmin=0, vmax=1, s=16, zorder=3,
        label="tip (darker: surer)",
        rasterized=np.count_nonzero(known) > _MOST_SHAPES,
    )  # fmt: skip
    _twitches(axes, analysis)
    deepest = [one.deepest_frame for one in needle.passes]
    if deepest:
        axes.plot(
            x[deepest], depth[deepest], "v", color=ORANGE, markersize=8, linestyle="none",
            label="deepest of a pass", zorder=4,
        )  # fmt: skip
    axes.set_ylim(bottom=0)
    axes.invert_yaxis()
    axes.set_xlabel(label)
    axes.set_ylabel(f"insertion depth ({unit})")
    key_above(axes)
    return as_svg(figure, "needle_depth")


def needle_to_fascia(analysis: Analysis) -> Markup | None:
    """How far the needle's tip was from the fascia over time."""
    distance = analysis.needle.tip_to_fascia_mm
    if distance is None or not np.isfinite(distance).any():
        return None
    x, label = _abscissa(analysis.header)
    own = analysis.header.timing.duplicate_of < 0
    figure, axes = new_page(2.4, keyed=False)
    axes.axhspan(min(float(np.nanmin(distance)), 0.0) - 0.5, 0, color=BLUE, alpha=0.12)
    axes.axhline(0, color=BLUE, linewidth=1.2)
    axes.annotate(
        "inside the fascia", (0, 0), xycoords=("axes fraction", "data"), xytext=(4, -4),
        textcoords="offset points", va="top", color=BLUE,
    )  # fmt: skip
    axes.plot(x[own], distance[own], color=ORANGE, marker=_marker(own), markersize=3)
    axes.set_xlabel(label)
    axes.set_ylabel("tip to fascia (mm)")
    axes.margins(y=0.08)
    return as_svg(figure, "needle_to_fascia")


def gap_against_contraction(analysis: Analysis) -> Markup | None:
    """Width of the gap between the muscle's ends as the contraction grows."""
    contraction = analysis.motion.contraction
    gap, activation = contraction.gap_mm, contraction.activation
    if gap is None or activation is None:
        return None
    known = np.isfinite(gap) & np.isfinite(activation)
    if not known.any():
        return None
    many = np.count_nonzero(known) > _MOST_SHAPES
    figure, axes = new_page()
    low, high = contraction.gap_low_mm, contraction.gap_high_mm
    if low is not None and high is not None:
        axes.vlines(
            100 * activation[known], low[known], high[known], color=PURPLE, alpha=0.35,
            linewidth=1.2, label="95 % interval", rasterized=many,
        )  # fmt: skip
    axes.plot(
        100 * activation[known],
        gap[known],
        "o",
        color=PURPLE,
        markersize=4.5,
        label="one frame",
        rasterized=many,
    )
    _trend(axes, activation[known], gap[known])
    axes.set_ylim(bottom=0)
    axes.set_xlim(-3, 103)
    axes.set_xlabel("contraction (% of the largest in the clip)")
    axes.set_ylabel("gap (mm)")
    key_above(axes)
    return as_svg(figure, "gap")


def _trend(axes: Axes, activation: Floats, gap: Floats) -> None:
    """Draw the straight line through a gap against contraction, and say what it gains."""
    if len(gap) < _FEWEST_FRAMES or np.ptp(activation) < _LEAST_SPAN:
        return
    start, gain, margin = _line_through(activation, gap)
    ends = np.array([activation.min(), activation.max()])
    said = f"{gain:+.1f} mm ({gain - margin:.1f} to {gain + margin:.1f})"
    axes.plot(
        100 * ends, start + gain * ends, color=INK, linewidth=1.2, linestyle=(0, (5, 3)),
        label=said.replace("-", "−"),
    )  # fmt: skip


def _line_through(x: Floats, y: Floats) -> tuple[float, float, float]:
    """Return a straight line's start and slope, and the half-width of the slope's 95 % interval.

    The interval is Student's, for as many independent frames as the residuals' first
    autocorrelation leaves (Bartlett): neighbouring frames show the same speckle.
    """
    n = len(y)
    slope, start = np.polyfit(x, y, 1)
    residual = y - start - slope * x
    power = float(residual @ residual)
    along = float(residual[1:] @ residual[:-1]) / power if power > 0 else 0.0
    independent = max(_FEWEST_FRAMES, n * (1 - along) / (1 + along)) if along > 0 else float(n)
    error = float(np.sqrt(power / n / (independent - 2)) / x.std())
    return float(start), float(slope), float(student.ppf(0.975, independent - 2)) * error


def contraction(analysis: Analysis) -> Markup | None:
    """Tissue displacement over time, with the contraction's cycles and the twitches."""
    result, header = analysis.motion.contraction, analysis.header
    moved, unit = _preferred(result.displacement_mm, result.displacement_px)
    found = result.status is Status.MEASURED or analysis.motion.twitches
    if moved is None or not found:
        return None
    x, label = _abscissa(header)
    own = header.timing.duplicate_of < 0
    figure, axes = new_page()
    for cycle in result.cycles:
        axes.axvspan(x[cycle.start_frame], x[cycle.end_frame], color=GREEN, alpha=0.1, linewidth=0)
    axes.axhline(0, color=MUTED, linewidth=0.8)
    axes.plot(x[own], moved[own], color=GREEN, label="displacement")
    peaks = [cycle.peak_frame for cycle in result.cycles]
    if peaks:
        axes.plot(
            x[peaks], moved[peaks], "^", color=GREEN, markersize=8, linestyle="none",
            label="peak of a cycle",
        )  # fmt: skip
    _twitches(axes, analysis)
    axes.set_xlabel(label)
    axes.set_ylabel(f"displacement ({unit})")
    key_above(axes)
    return as_svg(figure, "contraction")


def motion_at_peak(analysis: Analysis) -> Markup | None:
    """Where the tissue moved between rest and the peak of the largest contraction, as arrows."""
    peak, header = analysis.motion.contraction.peak, analysis.header
    if peak is None or not np.isfinite(peak.moved_px).any():
        return None
    spacing = header.calibration.spacing_mm
    scale, unit = (np.ones(2), "px") if spacing is None else (np.array(spacing), "mm")
    places = (peak.points_px - header.region.origin_px) * scale
    moved = peak.moved_px * scale
    known = np.isfinite(moved).all(axis=-1)
    x, y = places[known].T
    right, down = moved[known].T
    width, height = header.region.width * scale[0], header.region.height * scale[1]
    page = (1 - _BAR_SHARE) * (WIDTH - LEFT - RIGHT) * height / width + BOTTOM + TOP
    figure, axes = new_page(height=min(page, _TALLEST))
    arrows = axes.quiver(
        x, y, right, down, np.hypot(right, down), cmap="cividis_r", angles="xy",
        scale_units="xy", scale=_arrow_scale(right, down, width), width=0.004,
    )  # fmt: skip
    separation = analysis.motion.contraction.separation
    if separation.location_px is not None:
        where = (np.array(separation.location_px) - header.region.origin_px) * scale
        axes.plot(*where, "o", markersize=14, markerfacecolor="none", markeredgecolor=PURPLE,
                  markeredgewidth=2, linestyle="none",
                  label="gap" if separation.has_gap else "gap, if it is one")  # fmt: skip
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_aspect("equal")
    axes.set_xlabel(f"along the image ({unit})")
    axes.set_ylabel(f"depth ({unit})")
    figure.colorbar(
        arrows, ax=axes, label=f"movement ({unit})", fraction=_BAR_SHARE - _BAR_GAP, pad=_BAR_GAP
    )
    key_above(axes)
    return as_svg(figure, "motion_at_peak")


def _arrow_scale(right: Floats, down: Floats, width: float) -> float:
    """Return the factor that makes the longest arrow a twelfth of the picture at most."""
    return max(float(np.hypot(right, down).max()) / (width / 12), 1.0)


def _twitches(axes: Axes, analysis: Analysis) -> None:
    """Shade the twitches of a chart over time."""
    if analysis.header.timing.time_s is None:
        return
    for number, twitch in enumerate(analysis.motion.twitches):
        axes.axvspan(
            twitch.start_s, twitch.end_s, color=PURPLE, alpha=0.3, linewidth=0,
            label=None if number else "twitch",
        )  # fmt: skip


def muscle_thickness(analysis: Analysis) -> Markup | None:
    """Muscle thickness over time."""
    muscle, header = analysis.muscle, analysis.header
    thickness, unit = _preferred(muscle.frame_thickness_mm, muscle.frame_thickness_px)
    if thickness is None or np.count_nonzero(np.isfinite(thickness)) < 2:
        return None
    x, label = _abscissa(header)
    own = header.timing.duplicate_of < 0
    figure, axes = new_page(2.4, keyed=False)
    axes.plot(x[own], thickness[own], color=GREEN, marker=_marker(own), markersize=3)
    axes.set_ylim(0, float(np.nanmax(thickness)) * 1.15)
    axes.set_xlabel(label)
    axes.set_ylabel(f"thickness ({unit})")
    return as_svg(figure, "muscle_thickness")


def _stations(axes: Axes, thickness: Thickness) -> None:
    """Mark the thickness at its stated places, with its intervals."""
    places = [(station.distance_mm, station.thickness) for station in thickness.stations]
    if thickness.insertion is not None:
        places.append((0.0, thickness.insertion))
    if not places:
        return
    where = np.array([place for place, _ in places])
    value = np.array([one.value for _, one in places])
    axes.errorbar(
        where,
        value,
        [
            value - np.array([one.low for _, one in places]),
            np.array([one.high for _, one in places]) - value,
        ],
        fmt="o",
        color=INK,
        markersize=5,
        capsize=3,
        linewidth=1.2,
        clip_on=False,
        label="reported",
    )


def _preferred(in_mm: Floats | None, in_px: Floats | None) -> tuple[Floats | None, str]:
    """Return the millimetres where there are any, else the pixels, and the unit."""
    for values, unit in ((in_mm, "mm"), (in_px, "px")):
        if values is not None and np.isfinite(values).any():
            return values, unit
    return None, ""


def _abscissa(header: Header) -> tuple[Floats, str]:
    time_s = header.timing.time_s
    if time_s is None:
        return header.frame_numbers.astype(np.float64), "frame (no timing in the file)"
    return time_s, "time (s)"


def _marker(own: Bools) -> str:
    """Return a dot where there are few enough frames to tell them apart."""
    return "o" if np.count_nonzero(own) <= _MOST_DOTS else ""


def _span(profile: FasciaProfile) -> float:
    known: Bools = np.asarray(np.isfinite(profile.thickness))
    return float(profile.distance[known].max()) or 1.0
