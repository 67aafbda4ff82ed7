"""How a run's progress is shown: a bar for a person, lines of JSON for a machine, or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from usguide.batch.tally import Done, Event, Identified, Listener
from usguide.batch.task import Ending


@contextmanager
def bar(console: Console) -> Iterator[Listener]:
    """Show one bar with the pace, the time left and the failures; name every clip that fails."""
    display = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}"),
        TimeRemainingColumn(compact=True),
        TextColumn("[red]{task.fields[failed]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with display:
        task = display.add_task("Looking through the archive", total=None, pace="", failed="")

        def listen(event: Event) -> None:
            if isinstance(event, Identified):
                display.update(task, completed=event.done, total=event.total)
                return
            tally = event.tally if isinstance(event, Done) else event
            if isinstance(event, Done) and event.outcome.ending is Ending.FAILED:
                reason = event.outcome.reason
                named = reason if str(event.path) in reason else f"{event.path}: {reason}"
                console.print(named, style="yellow", markup=False, soft_wrap=True)
            display.update(
                task,
                description="Analysing the archive",
                completed=tally.done,
                total=tally.distinct,
                pace=f"{tally.per_second:.2f} clips/s" if tally.per_second else "",
                failed=f"{tally.failed} failed" if tally.failed else "",
            )

        yield listen


@contextmanager
def json_lines(write: Callable[[str], None]) -> Iterator[Listener]:
    """Hand on a line of JSON at the start and for every clip."""

    def listen(event: Event) -> None:
        if isinstance(event, Identified):
            return
        tally = event.tally if isinstance(event, Done) else event
        line: dict[str, object] = {"event": "start"}
        if isinstance(event, Done):
            line = {
                "event": "clip",
                "path": str(event.path),
                "key": event.outcome.key,
                "outcome": event.outcome.ending.value,
                "reason": event.outcome.reason or None,
                "seconds": round(event.outcome.seconds, 3),
            }
        remaining = tally.remaining_s
        line |= {
            "done": tally.done,
            "total": tally.distinct,
            "failed": tally.failed,
            "clips_per_second": round(tally.per_second, 4),
            "remaining_s": None if remaining is None else round(remaining, 1),
        }
        write(json.dumps(line) + "\n")

    yield listen


@contextmanager
def silence() -> Iterator[Listener]:
    """Show nothing."""
    yield lambda _: None
