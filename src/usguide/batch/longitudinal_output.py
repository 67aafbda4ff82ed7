"""What is written about patients over their sessions: two tables, and a part of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from usguide.batch.longitudinal import Course, Group, change_rows, group_summary
from usguide.batch.store import Store, replacing
from usguide.batch.tables import write_csv
from usguide.followup.change import Verdict
from usguide.followup.quantities import QUANTITIES
from usguide.output.chart_page import GREY, ORANGE, as_svg, new_page

CHANGES, GROUPS = "changes", "groups"
CHANGES_SCHEMA_NAME, GROUPS_SCHEMA_NAME = "usguide/changes/1", "usguide/groups/1"

_TEXT = ("subject", "side", "quantity", "unit", "baseline", "time", "label", "verdict", "reason")
_COUNTS = (
    "clips_baseline",
    "clips",
    "n",
    "n_change",
    "compared",
    "beyond_mdc",
    "increased",
    "decreased",
)
_CHANGE_COLUMNS = (
    "subject", "side", "quantity", "unit", "baseline", "time", "clips_baseline", "clips",
    "baseline_value", "baseline_low", "baseline_high", "value", "low", "high",
    "change_value", "change_low", "change_high", "mdc_low", "mdc_high", "verdict", "reason",
)  # fmt: skip
_DRAWN = ("fascia_insertion_mm", "fascia_maximum_mm", "muscle_thickness_mm", "widening_mm")
_MOST_LINES = 300
"""More courses than this are a grey block: the table says more."""
_LABELS = {one.name: one.label for one in QUANTITIES}


@dataclass(frozen=True, slots=True)
class FollowUp:
    """The page's part about sessions."""

    subjects: int
    courses: int
    groups: tuple[dict[str, str], ...]
    charts: tuple[tuple[str, Markup], ...]


def write_longitudinal(store: Store, courses: Sequence[Course]) -> None:
    """Write ``changes`` and ``groups``, each as Parquet and as CSV; nothing without courses.

    Tables of an earlier run whose listing named sessions are removed then.
    """
    if not courses:
        for name in (CHANGES, GROUPS):
            for suffix in ("parquet", "csv"):
                (store.root / f"{name}.{suffix}").unlink(missing_ok=True)
        return
    columns = tuple(field.name for field in fields(Group))
    groups = [asdict(group) for group in group_summary(courses)]
    _write(store, CHANGES, CHANGES_SCHEMA_NAME, _CHANGE_COLUMNS, change_rows(courses))
    _write(store, GROUPS, GROUPS_SCHEMA_NAME, columns, groups)


def _write(
    store: Store, name: str, schema: str, columns: Sequence[str], rows: list[dict[str, Any]]
) -> None:
    table = pa.Table.from_pylist(
        rows,
        schema=pa.schema(
            [pa.field(column, _type_of(column)) for column in columns], metadata={"schema": schema}
        ),
    )
    with replacing(store.root / f"{name}.parquet") as partial:
        pq.write_table(table, partial, compression="zstd")
    with replacing(store.root / f"{name}.csv") as partial:
        write_csv(table, partial)


def _type_of(column: str) -> pa.DataType:
    if column in _TEXT:
        return pa.string()
    return pa.int64() if column in _COUNTS else pa.float64()


def follow_up(courses: Sequence[Course]) -> FollowUp | None:
    """Return what the page says about sessions; None where nobody came twice."""
    if not any(len(course.visits) > 1 for course in courses):
        return None
    drawn = ((name, _courses_chart(name, courses)) for name in _DRAWN)
    return FollowUp(
        len({course.subject for course in courses}),
        len(courses),
        tuple(_group_line(group) for group in group_summary(courses)),
        tuple((_LABELS[name], chart) for name, chart in drawn if chart is not None),
    )


def _group_line(group: Group) -> dict[str, str]:
    digits = 1 if group.unit == "grey level" else 2

    def words(value: float | None, sign: str = "") -> str:
        return "" if value is None else f"{value:{sign}.{digits}f}".replace("-", "−")

    def interval(low: float | None, high: float | None) -> str:
        return "" if low is None else f"{words(low)} to {words(high)}"

    return {
        "quantity": f"{_LABELS[group.quantity]} ({group.unit})",
        "time": group.label,
        "n": str(group.n),
        "mean": words(group.mean),
        "sd": words(group.sd),
        "interval": interval(group.ci_low, group.ci_high),
        "n_change": str(group.n_change or ""),
        "change": words(group.mean_change, "+"),
        "change_interval": interval(group.change_ci_low, group.change_ci_high),
        "beyond": f"{group.beyond_mdc} of {group.compared}" if group.compared else "",
        "changed": f"{group.increased} up, {group.decreased} down" if group.compared else "",
    }


def _courses_chart(name: str, courses: Sequence[Course]) -> Markup | None:
    """Draw every course as a line over its visits, and those that changed in colour."""
    quantity = next(one for one in QUANTITIES if one.name == name)
    figure, axes = new_page(2.6, keyed=False)
    lines = 0
    for course in courses[:_MOST_LINES]:
        points = [
            (number, found.value)
            for number, visit in enumerate(course.visits, 1)
            if (found := visit.readings[name].measured) is not None
        ]
        if len(points) < 2:
            continue
        changed = any(change.verdict is Verdict.CHANGED for _, change in course.changes(quantity))
        axes.plot(
            *zip(*points, strict=True),
            marker="o",
            markersize=3,
            linewidth=1.2,
            color=ORANGE if changed else GREY,
            zorder=3 if changed else 2,
        )
        lines += 1
    if not lines:
        return None
    axes.set_xlabel("visit")
    axes.set_ylabel(quantity.unit)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return as_svg(figure, f"course_{name}")
