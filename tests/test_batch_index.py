"""The page about an archive."""

from usguide.batch.column import Cell
from usguide.batch.columns import COLUMNS
from usguide.batch.index import write_index


def row(path: str, **known: Cell) -> dict[str, Cell]:
    return {column.name: None for column in COLUMNS} | {"path": path} | known


def test_the_page_counts_draws_explains_and_links() -> None:
    rows = [
        row(
            f"in/clip {n}.dcm",
            outcome="measured",
            report=f"clips/a{n}/report.html",
            fascia_insertion_mm=3.0 + n / 10,
            muscle_status="none_found",
            muscle_reason="no two bright bands <here>",
        )
        for n in range(4)
    ]
    rows += [
        row("in/b1.mp4", outcome="failed", reason="/data/in/b1.mp4: is empty."),
        row("in/b2.mp4", outcome="failed", reason="/data/in/b2.mp4: is empty."),
        row("in/c.dcm", duplicate_of="in/clip 0.dcm", outcome="measured", fascia_insertion_mm=3.0),
    ]
    page = write_index(rows, ["left out: 2 images"])
    assert "<h1>6 clips</h1>" in page
    assert "4 measured · 2 failed · 1 further copy not counted" in page
    assert "Fascia thickness at the insertion" in page
    assert "<figcaption>4 clips</figcaption>" in page
    assert "Muscle thickness" not in page
    assert 'href="clips/a3/report.html"' in page
    assert 'no two bright bands &lt;here&gt;</td><td class="number">4</td>' in page
    assert '<td>the clip</td><td>is empty</td><td class="number">2</td>' in page
    assert "left out: 2 images" in page
    assert "<svg" in page
    assert page.count("<small>copy</small>") == 1
