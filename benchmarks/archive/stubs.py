"""What a worker does instead of an analysis, or around one; everything else is the real thing.

A worker imports this module, so nothing heavy is imported up here.
"""

from __future__ import annotations

import json
import random
import shutil
import time
from pathlib import Path

from usguide.batch.store import RECORD, Store, replacing
from usguide.batch.task import Ending, Job, Outcome, analyze_clip

MEMORY = "memory_mb.txt"
TEMPLATE = "template"
"""Folder in the results with what one real analysis wrote, which every stub gives as its own."""


def copied(job: Job) -> Outcome:
    """Finish a clip with another one's results, through the real store and frames dataset."""
    from usguide.batch.frames import write_frames_part

    start = time.monotonic()
    store = Store(job.out)
    template = job.out / TEMPLATE
    directory = store.clip_directory(job.key)
    # A record says that a clip is finished: not before its frames are there.
    shutil.copytree(template, directory, ignore=shutil.ignore_patterns(RECORD), dirs_exist_ok=True)
    with replacing(store.frames_path(job.key)) as part:
        write_frames_part(directory, job.key, part)
    row = json.loads((template / RECORD).read_text("utf-8"))
    # Other clips, other values: the page draws them and sorts by them.
    draw = random.Random(job.key)
    row |= {name: draw.gauss(3.5, 0.8) for name in ("fascia_insertion_mm", "fascia_maximum_mm")}
    store.finish(job.key, row)
    return Outcome(job.key, Ending.MEASURED, seconds=time.monotonic() - start)


def weighed(job: Job) -> Outcome:
    """Analyse a clip, and note what memory the worker holds after it."""
    outcome = analyze_clip(job)
    with (job.out / MEMORY).open("a") as log:
        log.write(f"{memory_mb('VmRSS')}\n")
    return outcome


def memory_mb(kind: str) -> float:
    """Return what memory this process holds (``VmRSS``), or held at most (``VmHWM``)."""
    status = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith(kind)) / 1024


def load_nothing() -> None:
    """Compile nothing: a stub needs no kernels."""
