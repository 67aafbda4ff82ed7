"""One recording from its file to its results on disk: what ``analyze`` and ``batch`` both do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from usguide.model import Analysis, Options, Progress


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found in a recording, and the report that says so."""

    analysis: Analysis
    report: Path


def examine(
    path: Path,
    options: Options,
    directory: Path,
    *,
    overlay: bool = True,
    spare: bool = False,
    progress: Progress | None = None,
    loading: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Examination:
    """Open a recording, measure it and write its results.

    Parameters
    ----------
    path : Path
        The recording.
    options : Options
        What to measure, and what to take instead of what the file says.
    directory : Path
        Where the results go; see :func:`usguide.output.writing.write_results`.
    overlay : bool
        Whether to write the video, which takes most of the time.
    spare : bool
        Whether results of another recording that are there already stay: nobody chose the place.
    progress : callable, optional
        Told ``(name, done, total)`` as the work goes on.
    loading : callable
        Gives a context in which code is loaded, which on a new machine compiles kernels.

    Raises
    ------
    IngestError
        If the recording cannot be read or is not ultrasound.
    ConfigError
        If the options make no sense, or not for this recording.
    OutputError
        If the results cannot be written, or those of another recording are there that stay; said
        before the work where it can be known.
    """
    from usguide.output.writing import check_directory, check_same_recording, write_results

    check_directory(directory)
    # Apart from the stages: a file that cannot be read is said before they are compiled.
    with loading():
        from usguide.ingest import opening
    clip = opening.open_as_asked(path, options, progress)
    if spare:
        check_same_recording(directory, clip.header.sha256)
    with loading():
        from usguide import pipeline

        pipeline.load_stages()
    analysis = pipeline.analyze(clip, options, progress)
    report = write_results(analysis, clip, directory, overlay=overlay, progress=progress)
    return Examination(analysis, report)
