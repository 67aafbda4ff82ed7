"""``usguide compare``: the command line of a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from usguide.errors import ConfigError
from usguide.output import terminal

if TYPE_CHECKING:
    from usguide.followup.comparison import Comparison

EXIT_NOTHING_COMPARABLE = 4


def compare(
    before: Annotated[
        Path,
        typer.Argument(metavar="BEFORE", help="A folder that analyze wrote, or a recording."),
    ],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="The later one, likewise.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Write compare.json and compare.html."),
    ] = None,
    sides: Annotated[
        str,
        typer.Option(
            metavar="same|other",
            show_default=False,
            help="Sides of the body: the same one twice, or one and the other [not said].",
        ),
    ] = "unsaid",
    spacing: Annotated[
        str | None,
        typer.Option(metavar="MM|X,Y", help="Millimetres per pixel of recordings given here."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print compare.json to stdout.")] = False,
) -> None:
    """Say what changed between two examinations, against the minimal detectable change."""
    from usguide.output.writing import check_directory
    from usguide.request import read_options

    options = read_options({"spacing": spacing})
    if output is not None:
        check_directory(output)
    with terminal.announcing_compilation():
        from usguide.followup import comparison
        from usguide.followup.examined import is_result
    if spacing is not None and is_result(before) and is_result(after):
        raise ConfigError(
            "--spacing is for recordings; results keep the scale that they were measured with."
        )
    with terminal.watching() as watch:
        done = comparison.compare(before, after, sides=sides, options=options, progress=watch)
    _show(done)
    if output is not None:
        from usguide.followup.page import write_comparison

        terminal.say(f"report: {write_comparison(done, output)}")
    if json:
        from usguide.followup.document import comparison_document
        from usguide.output.result_json import to_json

        terminal.give(to_json(comparison_document(done)))
    if not done.comparable:
        raise typer.Exit(EXIT_NOTHING_COMPARABLE)


def _show(comparison: Comparison) -> None:
    """Print the comparison as a table."""
    from rich.table import Table
    from rich.text import Text

    from usguide.followup import words
    from usguide.followup.change import Verdict

    colours = {
        Verdict.CHANGED: "bold red",
        Verdict.NOT_SHOWN: "green",
        Verdict.NOT_COMPARABLE: "yellow",
    }
    first, second = words.times(comparison.sides)
    terminal.console.print(Text(words.headline(comparison), style="bold"), soft_wrap=True)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("")
    for title in (first, second, "difference (95 %)"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("")
    for one in comparison.changes:
        interval = words.interval_words(one.change)
        said = Text(words.verdict_words(one.verdict, comparison.sides), colours[one.verdict])
        said.append(f": {one.reason}", style="dim")
        table.add_row(
            one.label,
            words.value_words(one.before),
            words.value_words(one.after),
            words.change_words(one) + (f" ({interval})" if interval else ""),
            said,
        )
    if comparison.changes:
        terminal.console.print(table)
    for note in comparison.notes:
        terminal.console.print(Text(f"Note: {note}", style="yellow"), soft_wrap=True)
