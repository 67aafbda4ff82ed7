"""``usguide batch``: the command line of a run over an archive."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from usguide.batch import TIME_LIMIT_S
from usguide.errors import ConfigError, RunStoppedError
from usguide.output import terminal

if TYPE_CHECKING:
    from usguide.batch.manifest import Request
    from usguide.batch.tally import Tally

EXIT_NOTHING_READABLE = 3
EXIT_NOTHING_MEASURED = 4

_MOST_NOTES = 5
"""Notes about the archive on the terminal; all of them are in ``run.json``."""


def batch(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Folders (with all below), patterns, DICOMDIRs, recordings, CSV listings.",
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT", help="Where to write.")],
    task: Annotated[
        list[str] | None,
        typer.Option("--task", metavar="TASK", help="As for analyze; may be repeated [auto]."),
    ] = None,
    spacing: Annotated[
        str | None, typer.Option(metavar="MM|X,Y", help="As for analyze, for every clip.")
    ] = None,
    region: Annotated[
        str | None, typer.Option(metavar="X,Y,W,H|N", help="As for analyze, for every clip.")
    ] = None,
    fps: Annotated[
        str | None, typer.Option(metavar="N", help="As for analyze, for every clip.")
    ] = None,
    overlay: Annotated[
        bool,
        typer.Option(
            "--overlay/--no-overlay", show_default=False, help="Draw each clip's overlay.mp4 [no]."
        ),
    ] = False,
    jobs: Annotated[
        int | None, typer.Option("--jobs", metavar="N", help="Local processes [one per core].")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="tcp://HOST:PORT", help="Work on this Dask cluster instead."),
    ] = None,
    time_limit: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            show_default=False,
            help=f"After which a clip counts as failed [{TIME_LIMIT_S:g}].",
        ),
    ] = TIME_LIMIT_S,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try those again that failed before.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.")] = False,
    json_progress: Annotated[
        bool, typer.Option("--json-progress", help="A line of JSON to stdout for every clip.")
    ] = False,
) -> None:
    """Analyse an archive into one table; run it again to go on where it stopped."""
    if jobs is not None and jobs < 1:
        raise ConfigError(f"--jobs {jobs}: at least one process is needed.")
    if not time_limit > 0:
        raise ConfigError(f"--time-limit {time_limit:g}: give a positive number of seconds.")
    if jobs is not None and scheduler is not None:
        raise ConfigError("--jobs is for local processes; a cluster has the workers it has.")
    from usguide.request import read_options

    options = read_options(
        {"task": task or "auto", "spacing": spacing, "region": region, "fps": fps}
    )
    try:
        from usguide.batch import progress
        from usguide.batch.manifest import Request
        from usguide.batch.run import run_batch
    except ModuleNotFoundError as error:
        if error.name not in ("pyarrow", "filelock"):
            raise
        raise ConfigError(
            f"batch needs {error.name}, which is not installed: pip install 'usguide[batch]'."
        ) from error
    request = Request(
        sources,
        output,
        options,
        overlay,
        jobs or os.cpu_count() or 1,
        scheduler,
        time_limit,
        retry_failed,
    )
    if json_progress:
        watching = progress.json_lines(terminal.give)
    elif quiet:
        watching = progress.silence()
    else:
        watching = progress.bar(terminal.console)
    try:
        with watching as listen:
            tally = run_batch(request, listen)
    except KeyboardInterrupt as error:
        raise RunStoppedError(
            f"stopped; what was finished is in {output}. To go on: {_command_line()}"
        ) from error
    if not (quiet or json_progress):
        _sum_up(request, tally)
    _leave(tally)


def _command_line() -> str:
    return shlex.join(["usguide", *sys.argv[1:]])


def _sum_up(request: Request, tally: Tally) -> None:
    before = f" ({tally.before} by an earlier run)" if tally.before else ""
    terminal.say(
        f"{tally.distinct} clips{before}: {tally.measured} measured, {tally.nothing_measured} "
        f"without anything to measure, {tally.failed} failed. Tables in {request.out}."
    )
    for note in tally.notes[:_MOST_NOTES]:
        terminal.say(note)
    if len(tally.notes) > _MOST_NOTES:
        terminal.say(f"{len(tally.notes) - _MOST_NOTES} more such notes are in run.json.")
    if tally.unreadable:
        terminal.say(
            f"{tally.unreadable} files or folders could not be looked into; they are named in "
            f"{request.out / 'failures.csv'}."
        )
    if tally.failed:
        terminal.say(
            f"why they failed is in {request.out / 'failures.csv'}; --retry-failed tries again."
        )


def _leave(tally: Tally) -> None:
    if tally.measured:
        return
    raise typer.Exit(EXIT_NOTHING_MEASURED if tally.nothing_measured else EXIT_NOTHING_READABLE)
