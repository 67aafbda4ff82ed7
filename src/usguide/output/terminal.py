"""The terminal: to stderr what a person reads, to stdout what a program asked for."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from usguide.errors import OutputError

if TYPE_CHECKING:
    from usguide.model import Analysis, Header

# Longer than a start with compiled kernels takes anywhere we tried, so what lasts is compiling.
COMPILING_AFTER_S = 3.0

console = Console(stderr=True, highlight=False)


def say(sentence: str) -> None:
    """Print one sentence under the program's name."""
    console.print(Text(f"usguide: {sentence}"), soft_wrap=True)


def give(text: str) -> None:
    """Write to stdout what a program asked for, at once.

    Raises
    ------
    OutputError
        If it cannot be written: the disk is full, or the program that read it has ended.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer would be tried once more at the end, and fail with a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OutputError(f"stdout cannot be written: {error.strerror or error}.") from error


@contextmanager
def announcing_compilation() -> Iterator[None]:
    """Say what the first start on a machine is waiting for, if it does wait."""
    notice = threading.Timer(
        COMPILING_AFTER_S,
        console.print,
        ["Loading; the first time on a machine kernels are compiled, for up to a minute…"],
    )
    notice.daemon = True
    notice.start()
    try:
        yield
    finally:
        notice.cancel()


# What the names that progress is reported under mean to a person.
_ACTIVITY = {
    "read": "Reading the recording",
    "reading": "Looking at every frame",
    "fascia": "Measuring the fascia",
    "muscle": "Measuring the muscle",
    "needle": "Following the needle",
    "motion": "Following the tissue",
    "overlay": "Drawing the results",
    "text": "Looking for text in the picture",
    "copy": "Writing the copy",
    "check": "Reading the copy again",
}


@dataclass(slots=True)
class Watch:
    """Shows progress as one bar per activity, with the time left at the pace so far."""

    display: Progress
    bars: dict[str, TaskID] = field(default_factory=dict)

    def __call__(self, name: str, done: int, total: int) -> None:
        """Take note of progress; see :data:`usguide.model.Progress`."""
        if name not in self.bars:
            for bar in self.bars.values():
                self.display.update(bar, visible=False)
            activity = _ACTIVITY.get(name, name)
            self.bars[name] = self.display.add_task(activity, total=total or None)
        self.display.update(
            self.bars[name], completed=done, total=total or None, visible=done != total or not done
        )


@contextmanager
def watching() -> Iterator[Watch]:
    """Show progress while the context lasts, if a person is looking."""
    display = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with display:
        yield Watch(display)


def summarize(analysis: Analysis, report: Path) -> None:
    """Print the key numbers, or why there are none, and where the report is."""
    from usguide.output.summary import Tone, cards
    from usguide.output.words import status_words

    colours = {Tone.PLAIN: "green", Tone.NOTABLE: "bold red", Tone.UNSURE: "yellow"}
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("", style="bold", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("result")
    for card in cards(analysis):
        result = Text()
        if card.verdict is not None:
            result.append(card.verdict.text, style=colours[card.verdict.tone])
        for figure in card.figures[:3]:
            result.append("\n" if result else "")
            result.append(figure.value, style="bold")
            result.append(f" {figure.label}")
            if figure.interval:
                result.append(f" (95 %: {figure.interval})", style="dim")
            elif figure.detail:
                result.append(f" ({figure.detail})", style="dim")
        if not result:
            result.append(card.note)
        status = Text(status_words(card.status), style="green" if card.measured else "dim")
        table.add_row(card.title, status, result)
    console.print(table)
    for warning in analysis.warnings:
        console.print(Text(f"Note: {warning}", style="yellow"), soft_wrap=True)
    console.print(Text(f"Report: {report}"), soft_wrap=True)


def describe(header: Header, text: str) -> None:
    """Print one screen about a recording, and what is said of text burned into it."""
    from usguide.output.quality import recording_facts

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, fact in [*recording_facts(header), ("Burned-in text", text)]:
        table.add_row(name, Text(fact))
    console.print(table)
    for warning in header.warnings:
        console.print(Text(f"Note: {warning}", style="yellow"))
