"""Stand-ins for the analysis of a clip that go through the real workers; told by the file's name.

A worker imports this module, so nothing heavy is imported up here.
"""

import os
import signal
import time

from usguide.batch.store import Store
from usguide.batch.task import Ending, Job, Outcome


def act(job: Job) -> Outcome:
    """Do to the clip, or to the worker, what the clip's name says."""
    name = job.path.stem
    if name.startswith("kill"):
        os.kill(os.getpid(), signal.SIGKILL)
    if name.startswith("once"):
        # The first worker that takes it up dies of it.
        try:
            (job.out / f"{job.key}.tried").touch(exist_ok=False)
        except FileExistsError:
            return finish(job)
        os.kill(os.getpid(), signal.SIGKILL)
    if name.startswith("exit"):
        os._exit(7)
    if name.startswith("hang"):
        time.sleep(600)
    if name.startswith("slow"):
        time.sleep(0.3)
    if name.startswith("raise"):
        raise RuntimeError("something nobody thought of")
    if name.startswith("full"):
        return Outcome(job.key, Ending.HALTED, "the disk is full; make room and run it again.")
    if name.startswith("nothing"):
        return finish(job, Ending.NOTHING_MEASURED)
    return finish(job)


def finish(job: Job, ending: Ending = Ending.MEASURED) -> Outcome:
    """Finish the clip, leaving a trace of how often that was done."""
    with (job.out / "log.txt").open("a") as log:
        log.write(f"{job.path.name} {os.getpid()}\n")
    Store(job.out).finish(job.key, {"outcome": ending.value, "reason": None})
    return Outcome(job.key, ending)


def load_nothing() -> None:
    """Compile nothing."""
