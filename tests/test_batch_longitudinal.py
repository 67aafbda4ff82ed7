"""Patients over their sessions: order, changes, and what a group's summary counts."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import stats

from usguide.batch.column import Cell
from usguide.batch.columns import COLUMNS
from usguide.batch.index import write_index
from usguide.batch.longitudinal import change_rows, follow, group_summary
from usguide.batch.longitudinal_output import follow_up, write_longitudinal
from usguide.batch.store import Store

_keys = iter(range(10**6))


def row(subject: str, session: str, mm: float | None, **known: Cell) -> dict[str, Cell]:
    """A clip with a fascia ``mm`` thick at the insertion, to 0.2 mm."""
    given: dict[str, Cell] = {
        "key": str(next(_keys)),
        "path": f"{subject}-{session}.dcm",
        "subject": subject,
        "session": session,
        "outcome": "measured",
        "kind": "dicom",
        "width_px": 640,
        "height_px": 480,
        "calibration_source": "dicom",
        "spacing_x_mm": 0.1,
        "spacing_y_mm": 0.1,
        "fascia_bone_side": "left",
        "fascia_insertion_mm": mm,
        "fascia_insertion_mm_low": None if mm is None else mm - 0.2,
        "fascia_insertion_mm_high": None if mm is None else mm + 0.2,
    }
    return {column.name: None for column in COLUMNS} | given | known


def insertion(rows: list[dict[str, Cell]]) -> list[dict]:
    return [r for r in change_rows(follow(rows)) if r["quantity"] == "fascia_insertion_mm"]


def test_sessions_with_numbers_are_sorted_by_them_and_the_first_is_the_baseline() -> None:
    found = insertion([row("a", "10", 3.0), row("a", "2", 4.0), row("a", "1", 5.0)])
    assert [(r["baseline"], r["time"]) for r in found] == [("1", "2"), ("1", "10")]
    assert [r["change_value"] for r in found] == pytest.approx([-1.0, -2.0])
    assert found[1]["verdict"] == "changed"


def test_dates_are_sorted_and_words_keep_the_order_of_the_listing() -> None:
    by_date = insertion([row("a", "2026-10-02", 3.0), row("a", "2026-03-11", 5.0)])
    assert by_date[0]["baseline"] == "2026-03-11"
    by_day = insertion([row("a", "12.01.2025", 5.0), row("a", "03.05.2026", 3.0)])
    assert by_day[0]["baseline"] == "12.01.2025"  # the day says nothing of the order
    by_word = insertion([row("a", "before", 5.0), row("a", "after", 3.0)])
    assert by_word[0]["baseline"] == "before"


def test_sides_are_followed_apart_and_may_lie_either_way_once_named() -> None:
    rows = [
        row("a", "1", 5.0, side="L"),
        row("a", "1", 3.0, side="R"),
        row("a", "2", 3.2, side="L", fascia_bone_side="right"),
        row("a", "2", 3.1, side="R"),
    ]
    assert [(r["side"], r["verdict"]) for r in insertion(rows)] == [
        ("L", "changed"),
        ("R", "not_shown_to_have_changed"),
    ]
    unnamed = [row("b", "1", 5.0), row("b", "2", 3.2, fascia_bone_side="right")]
    assert insertion(unnamed)[0]["verdict"] == "not_comparable"


def test_several_clips_of_a_visit_count_as_their_mean_and_copies_once() -> None:
    twice = row("a", "1", 4.0)
    found = insertion([twice, dict(twice), row("a", "1", 5.0), row("a", "2", 4.5)])
    assert found[0]["clips_baseline"] == 2
    assert found[0]["baseline_value"] == pytest.approx(4.5)
    assert found[0]["baseline_high"] == pytest.approx(4.7)


def test_beyond_the_detectable_change_is_not_yet_changed() -> None:
    unsure = {"fascia_insertion_mm_low": 1.5, "fascia_insertion_mm_high": 6.5}
    rows = [row("a", "1", 5.0), row("a", "2", 3.4) | unsure]
    group = group_summary(follow(rows))[-1]
    assert (group.beyond_mdc, group.increased, group.decreased) == (1, 0, 0)


def test_a_baseline_that_failed_stays_the_baseline() -> None:
    failed = row("a", "1", None, outcome="failed", reason="the file is empty.")
    found = insertion([failed, row("a", "2", 4.0), row("a", "3", 3.0)])
    assert [r["verdict"] for r in found] == ["not_comparable"] * 2
    assert found[0]["reason"] == "not measured before (the file is empty)"


def test_mixed_scales_are_not_compared() -> None:
    rows = [row("a", "1", 4.0), row("a", "2", 3.0, calibration_source="ruler")]
    assert "ruler" in insertion(rows)[0]["reason"]
    mixed = [row("a", "1", 4.0), row("a", "1", 4.0, calibration_source="ruler")]
    assert insertion([*mixed, row("a", "2", 3.0)])[0]["verdict"] == "not_comparable"


def test_clips_without_a_subject_or_a_session_are_not_followed() -> None:
    assert follow([row("", "1", 4.0), row("a", "", 4.0)]) == ()
    assert follow_up(follow([row("a", "1", 4.0)])) is None


def test_a_group_counts_each_subject_once_and_gives_students_interval() -> None:
    random = np.random.default_rng(3)
    before, after = random.normal(5.0, 0.5, 8), random.normal(3.9, 0.5, 8)
    rows = []
    for n in range(8):
        for side, off in (("L", 0.1), ("R", -0.1)):
            rows.append(row(f"s{n}", "1", before[n] + off, side=side, time_point="baseline"))
            rows.append(row(f"s{n}", "2", after[n] - off, side=side, time_point="6 weeks"))
    groups = [g for g in group_summary(follow(rows)) if g.quantity == "fascia_insertion_mm"]
    assert [g.label for g in groups] == ["baseline", "6 weeks"]
    first, second = groups
    assert (first.n, first.n_change, first.share_beyond_mdc) == (8, 0, None)
    assert first.mean == pytest.approx(before.mean())
    assert first.sd == pytest.approx(before.std(ddof=1))
    change = after - before
    low, high = stats.t.interval(0.95, 7, change.mean(), stats.sem(change))
    assert second.mean_change == pytest.approx(change.mean())
    assert (second.change_ci_low, second.change_ci_high) == pytest.approx((low, high))
    assert second.compared == 16
    verdicts = [r["verdict"] for r in insertion(rows)]
    assert second.increased + second.decreased == verdicts.count("changed") > second.increased > 0
    beyond = sum(abs(r["change_value"]) >= r["mdc_high"] for r in insertion(rows))
    assert second.beyond_mdc == beyond
    assert second.share_beyond_mdc == pytest.approx(beyond / 16)


def test_the_tables_and_the_page_say_it_and_go_when_nobody_is_followed(tmp_path: Path) -> None:
    rows = [row(s, t, v) for s, v in (("a", 5.0), ("b", 5.5)) for t in "12"] + [row("a", "3", 3.0)]
    courses, store = follow(rows), Store(tmp_path)
    write_longitudinal(store, courses)
    changes = pq.read_table(tmp_path / "changes.parquet")
    assert changes.schema.metadata[b"schema"] == b"usguide/changes/1"
    assert changes.num_rows == 3
    assert changes["clips"].type == "int64"
    assert (tmp_path / "changes.csv").read_text().count("\n") == 4
    groups = pq.read_table(tmp_path / "groups.parquet").to_pylist()
    assert [g["n"] for g in groups] == [2, 2, 1]
    assert groups[2]["sd"] is None
    page = write_index(rows, [], follow_up(courses))
    assert "2 subjects, 2 sides followed" in page
    assert "0 up, 1 down" in page
    assert "Over sessions" not in write_index(rows, [])
    write_longitudinal(store, ())
    assert list(tmp_path.iterdir()) == []


def test_every_column_of_the_tables_is_in_the_documentation(tmp_path: Path) -> None:
    write_longitudinal(Store(tmp_path), follow([row("a", "1", 5.0), row("a", "2", 4.0)]))
    text = (Path(__file__).parents[1] / "docs" / "batch.md").read_text()
    names = pq.read_schema(tmp_path / "groups.parquet").names
    names += [n for n in pq.read_schema(tmp_path / "changes.parquet").names if "value" in n]
    missing = [name for name in names if f"`{name}`" not in text and name not in ("label",)]
    assert missing == []
