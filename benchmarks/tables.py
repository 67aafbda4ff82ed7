"""What the accuracy benchmark found, as tables: figures with their intervals."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks import page, records
from benchmarks.estimates import counted, estimate, median, p95, rms
from benchmarks.records import Columns

Row = list[str]

BRACKETS = "95 % interval in brackets"
SIZE = "error, mm: median; 95th percentile"


@dataclass
class Gathered:
    """Columns by what is judged, over all synthetic clips."""

    parts: dict[str, list[Columns]] = field(default_factory=dict)

    def add(self, name: str, columns: Columns) -> None:
        """Add one clip's columns."""
        self.parts.setdefault(name, []).append(columns)

    def columns(self, name: str) -> Columns:
        """Return the columns of every clip, stacked."""
        return records.gather(self.parts.get(name, []))


def rate(values: NDArray[np.bool_], clips: NDArray[np.int64]) -> str:
    return estimate(values, clips).text(percent=True)


def certainly(clip: Columns) -> tuple[int, int]:
    """Count the clips whose number of passes is right, of those in which it is told for certain."""
    certain = clip["passes_certain"]
    return int(np.count_nonzero(clip["passes_right"][certain])), int(np.count_nonzero(certain))


def where(values: NDArray[np.generic], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return values as floats, NaN where the mask is False."""
    return np.where(mask, np.asarray(values, dtype=np.float64), np.nan)


def breakdown(
    columns: Columns, by: str, edges: list[float], label: str, cells: dict[str, str]
) -> str:
    """Tabulate the median or rate of some columns in bins of another one.

    ``cells`` maps a column to its heading; boolean columns are given as rates, numbers as medians
    and 95th percentiles. Rows with a mask column ``visible`` count only where it is True.
    """
    rows = []
    for low, high in itertools.pairwise(edges):
        inside = (columns[by] >= low) & (columns[by] < high)
        if "visible" in columns:
            inside = inside & columns["visible"]
        row = [f"{low:g} to {high:g}", str(len(np.unique(columns["clip"][inside])))]
        for name in cells:
            values, clips = columns[name][inside], columns["clip"][inside]
            if values.dtype == np.bool_:
                row.append(rate(values, clips))
            else:
                size = np.abs(values)
                row.append(
                    f"{estimate(size, clips, median).text()}; {estimate(size, clips, p95).text(1)}"
                )
        rows.append(row)
    return page.table([label, "clips", *cells.values()], rows)


def needle_text(gathered: Gathered) -> str:
    tip, clip = gathered.columns("tip"), gathered.columns("needling")
    seen, claimed, number = tip["visible"], tip["claimed"], tip["clip"]
    error = where(tip["error_mm"], seen)
    rows: list[Row] = [
        ["tip error in visible frames, mean, mm", estimate(error, number).text()],
        ["tip error, median, mm", estimate(error, number, median).text()],
        ["tip error, RMS, mm", estimate(error, number, rms).text()],
        ["tip error, 95th percentile, mm", estimate(error, number, p95).text()],
        [
            "angle error, median, degrees",
            estimate(where(tip["angle_error_deg"], seen), number, median).text(),
        ],
        ["recall: within 3 mm, of visible frames", rate(tip["hit"][seen], number[seen])],
        [
            "precision: visible and within 3 mm, of claimed frames",
            rate((tip["hit"] & seen)[claimed], number[claimed]),
        ],
        ["claimed, of frames without a visible tip", rate(claimed[~seen], number[~seen])],
        ["claimed, of frames in a dropout", rate(claimed[tip["dropout"]], number[tip["dropout"]])],
        ["frames to recover, mean", estimate(tip["to_recover"], number).text(1)],
        [
            "clips with 95 % of visible frames within 3 mm",
            rate(clip["success"], clip["clip"]),
        ],
        ["clips with the right number of passes", rate(clip["passes_right"], clip["clip"])],
        ["the same, of those in which it is told for certain", counted(*certainly(clip))],
        ["clips with the right plane", rate(clip["plane_right"], clip["clip"])],
    ]
    cells = {"error_mm": SIZE, "hit": "within 3 mm"}
    return "\n".join(
        [
            f"### Needle ({len(clip['clip'])} clips, {len(number)} frames)\n",
            page.table(["", BRACKETS], rows),
            _by_scene(tip, clip),
            breakdown(
                tip,
                "level_db",
                [-40, 12, 16, 20, 40],
                "shaft above speckle in the frame, dB",
                cells,
            ),
            breakdown(
                tip, "angle_deg", [10, 25, 40, 55, 70.1], "angle to the skin, degrees", cells
            ),
            breakdown(tip, "depth_mm", [0, 8, 14, 40], "depth of the tip, mm", cells),
            breakdown(
                tip, "diameter_mm", [0.16, 0.25, 0.36, 0.8, 1.3], "needle diameter, mm", cells
            ),
            breakdown(tip, "dropouts", [0, 1, 2], "dropouts, from and below", cells),
            _by_confidence(tip),
        ]
    )


def _by_scene(tip: Columns, clip: Columns) -> str:
    """Tabulate the needle scene by scene."""
    seen, claimed, number = tip["visible"], tip["claimed"], tip["clip"]
    error = where(tip["error_mm"], seen)
    kinds = []
    for kind in sorted(set(clip["kind"].tolist())):
        inside = np.isin(number, clip["clip"][clip["kind"] == kind])
        kinds.append(
            [
                kind,
                str(int((clip["kind"] == kind).sum())),
                estimate(error[inside], number[inside], median).text(),
                rate(tip["hit"][inside & seen], number[inside & seen]),
                rate(claimed[inside & ~seen], number[inside & ~seen]),
            ]
        )
    return page.table(
        ["scene", "clips", "median error, mm", "within 3 mm", "claimed, none visible"], kinds
    )


def _by_confidence(tip: Columns) -> str:
    """Tabulate how often a claimed tip is right against how sure it was said to be."""
    seen, claimed, number = tip["visible"], tip["claimed"], tip["clip"]
    rows = []
    for low, high in ((0.0, 0.5), (0.5, 0.7), (0.7, 0.85), (0.85, 1.01)):
        inside = claimed & (tip["confidence"] >= low) & (tip["confidence"] < high)
        right = rate((tip["hit"] & seen)[inside], number[inside])
        rows.append([f"{low:g} to {min(high, 1):g}", str(int(inside.sum())), right])
    return page.table(["stated tip confidence", "frames", "right"], rows)


def fascia_text(gathered: Gathered) -> str:
    station, clip = gathered.columns("station"), gathered.columns("heel")
    whole = clip["ruptured"]
    number = clip["clip"]
    general = [
        ["measured", rate(clip["measured"], number)],
        ["calcaneus on the right side", rate(clip["side_right"], number)],
        ["insertion error, mean, mm", estimate(clip["insertion_error_mm"], number).text()],
        ["border distance, mean, mm", estimate(clip["border_error_mm"], number).text()],
        ["ruptures of 2 mm and more found", rate(clip["rupture_found"][whole], number[whole])],
        [
            "false ruptures, of heels without one",
            rate(clip["rupture_claimed"][~whole], number[~whole]),
        ],
    ]
    cells = {"error_mm": SIZE, "measured": "measured"}
    beyond = {k: v[station["station_mm"] > 0] for k, v in station.items()}
    return "\n".join(
        [
            f"### Plantar fascia ({len(number)} clips)\n",
            page.table(["", BRACKETS], general),
            _by_station(station),
            breakdown(
                beyond,
                "at_insertion_mm",
                [1.5, 3, 4.5, 6, 8.1],
                "thickness at insertion, mm",
                cells,
            ),
            breakdown(beyond, "disease", [0, 0.33, 0.67, 1.01], "disease, 0 to 1", cells),
        ]
    )


def _by_station(station: Columns) -> str:
    """Tabulate the fascia's thickness at every station."""
    rows = []
    for at in sorted(set(station["station_mm"].tolist())):
        inside = station["station_mm"] == at
        error, number = station["error_mm"][inside], station["clip"][inside]
        name = {-1.0: "maximum", 0.0: "insertion"}.get(at, f"{at:g} mm")
        bias = estimate(error, number)
        spread = 1.96 * float(np.nanstd(error))
        rows.append(
            [
                name,
                estimate(np.abs(error), number).text(),
                estimate(np.abs(error), number, p95).text(),
                f"{bias.value:+.2f} ± {spread:.2f}",
                rate(station["measured"][inside], number),
                estimate(station["covered"][inside], number).text(percent=True),
            ]
        )
    return page.table(
        [
            "station",
            "mean absolute error, mm",
            "95th percentile, mm",
            "bias ± 1.96 SD (limits of agreement), mm",
            "measured",
            "truth inside the stated interval",
        ],
        rows,
    )


def muscle_text(gathered: Gathered) -> str:
    belly, clip = gathered.columns("belly"), gathered.columns("muscle")
    judged, number = gathered.columns("separation"), gathered.columns("separation")["clip"]
    torn = judged["torn"]
    error = belly["error_mm"]
    moved, left = gathered.columns("displacement"), gathered.columns("drift")
    cells = gathered.columns("cells")
    rows = [
        [
            "muscle thickness, mean absolute error, mm",
            estimate(np.abs(error), belly["clip"]).text(),
        ],
        ["muscle thickness, bias, mm", estimate(error, belly["clip"]).text()],
        ["frames measured", rate(belly["measured"], belly["clip"])],
        ["truth inside the stated interval", estimate(clip["covered"], number).text(percent=True)],
        ["clips with the right number of contractions", rate(judged["cycles_right"], number)],
        [
            "excursion, mean absolute error, mm",
            estimate(np.abs(judged["excursion_error_mm"]), number).text(),
        ],
        [
            "displacement over the contraction, every trusted cell, RMS error, mm",
            estimate(where(cells["error_mm"], cells["moving"]), cells["clip"], rms).text(),
        ],
        [
            "its curve against the deep aponeurosis' slide, RMS difference, mm",
            estimate(where(moved["error_mm"], moved["moving"]), moved["clip"], rms).text(),
        ],
        [
            "displacement left at rest after the last contraction (drift), mean absolute, mm",
            estimate(np.abs(left["left_mm"]), left["clip"]).text(),
        ],
        ["separations flagged (sensitivity)", rate(judged["flagged"][torn], number[torn])],
        [
            "not flagged, of clips without separation (specificity)",
            rate(~judged["flagged"][~torn], number[~torn]),
        ],
        ["indeterminate", rate(judged["indeterminate"], number)],
        [
            "gap at peak, mean absolute error, mm",
            estimate(np.abs(judged["gap_error_mm"]), number).text(),
        ],
        [
            "widening, mean absolute error, mm",
            estimate(np.abs(judged["widening_error_mm"]), number).text(),
        ],
    ]
    return "\n".join(
        [
            f"### Muscle and separation ({len(number)} clips)\n",
            page.table(["", BRACKETS], rows),
            _by_tear(judged),
        ]
    )


def _by_tear(judged: Columns) -> str:
    """Tabulate how often each kind of muscle is said to separate."""
    number = judged["clip"]
    kinds = []
    for kind in sorted(set(judged["kind"].tolist())):
        inside = judged["kind"] == kind
        kinds.append([kind, str(inside.sum()), rate(judged["flagged"][inside], number[inside])])
    return page.table(["", "clips", "flagged as separation"], kinds)


def twitch_text(gathered: Gathered) -> str:
    twitch = gathered.columns("twitch")
    real, minutes = twitch["real"].sum(), float(twitch["minutes"].sum())
    found = np.repeat(np.arange(len(twitch["clip"])), twitch["real"])
    hits = np.concatenate(
        [np.arange(n) < f for n, f in zip(twitch["real"], twitch["found"], strict=True)]
    )
    alarms = [
        ["twitches of 1 mm and more found while the needle moves", rate(hits, found), str(real)],
        [
            "false alarms a minute",
            f"{twitch['false'].sum() / minutes:.1f}",
            f"{minutes:.1f} minutes",
        ],
    ]
    return "\n".join(
        [
            f"### Twitches ({len(twitch['clip'])} needlings)\n",
            page.table(["", "", "of"], alarms),
        ]
    )


def screen_text(gathered: Gathered) -> str:
    screen = gathered.columns("screen")
    clip, ruler = screen["clip"], screen["ruler"]
    rows = [
        ["spacing within 2 %, of screens with a ruler", rate(screen["right"][ruler], clip[ruler])],
        ["declined, of screens with a ruler", rate(~screen["found"][ruler], clip[ruler])],
        ["wrong spacing, of all screens", rate(screen["wrong"], clip)],
        ["region within 3 px on every side", rate(screen["region_right"], clip)],
    ]
    return "\n".join(
        [
            f"### Screens ({len(clip)} H.264 recordings)\n",
            page.table(["", BRACKETS], rows),
        ]
    )


TEXTS = {
    "tip": needle_text,
    "heel": fascia_text,
    "muscle": muscle_text,
    "twitch": twitch_text,
    "screen": screen_text,
}
"""Tables of what was judged, by the columns they need."""


def synthetic_text(gathered: Gathered) -> str:
    return "\n".join(
        [
            "## Accuracy on synthetic scenes\n",
            page.machine(),
            "",
            *(text(gathered) for name, text in TEXTS.items() if gathered.columns(name)),
        ]
    )
