"""Open thousands of damaged recordings, each in a child of its own, and count what happens.

    python -m benchmarks.fuzz [--files 2000] [--seed 1] [--keep FOLDER] [--json]

A child has 1 GB of memory and 10 s of processor time. It may open a recording or refuse it in one
sentence; a crash, a hang, running out of memory, any other exception and a refusal that is not one
sentence with the file's name are failures, and end the command with exit code 1. The same seed
makes the same files. With the default number of files, ``docs/benchmarks.md`` is written.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks import page
from benchmarks.memory import peak_mb
from benchmarks.mutations import mutate
from benchmarks.specimens import bombs, specimens
from usguide.errors import IngestError
from usguide.ingest.opening import open_clip
from usguide.output.result_json import header_document, to_json

MEMORY_BYTES = 1 << 30
PROCESSOR_S = 10
WALL_S = 120
"""A child that waits for something takes no processor time; on a busy machine all are slow."""
FILES = 2000
FAILURES = ("crash", "hang", "memory", "traceback", "words")


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one file."""

    name: str
    outcome: str
    words: str = ""
    seconds: float = 0.0
    peak_mb: float = 0.0


def attempt(path: Path) -> Fate:
    """Open a file in a child process, look at every frame, and say what became of it."""
    reading, writing = os.pipe()
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _in_child(path, writing)
    os.close(writing)
    status = _wait(child, start + WALL_S)
    with os.fdopen(reading, encoding="utf-8", errors="replace") as pipe:
        said = pipe.read()
    seconds = time.perf_counter() - start
    if status is None or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU):
        return Fate(path.name, "hang", said, seconds)
    if os.WIFSIGNALED(status) or not said:
        return Fate(path.name, "crash", f"status {status}", seconds)
    outcome, peak_mb, words = json.loads(said)
    if peak_mb * 2**20 > MEMORY_BYTES:
        outcome = "memory"
    return Fate(path.name, outcome, words, seconds, peak_mb)


def _wait(child: int, until: float) -> int | None:
    """Return the status of a child, or None where it had to be killed."""
    pause = 0.001
    while time.perf_counter() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        time.sleep(pause)
        pause = min(0.02, pause * 1.5)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _in_child(path: Path, pipe: int) -> None:
    """Open the file, report through the pipe, and end without coming back."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_S, PROCESSOR_S + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 2)  # the codecs complain in their own words
    words = ""
    try:
        clip = open_clip(path)
        seen = sum(int(frame.shape == (clip.header.region.height, clip.header.region.width))
                   for _, frame in clip.frames())  # fmt: skip
        to_json(header_document(clip.header))
        outcome = "opened" if seen == len(clip.header.timing.distinct) else "traceback"
    except IngestError as error:
        words = str(error)
        polite = "\n" not in words and words.endswith(".") and path.name in words
        outcome = "refused" if polite and len(words) < 600 else "words"
    except MemoryError:
        outcome, words = "memory", traceback.format_exc()
    except BaseException:  # noqa: BLE001  whatever it is, the parent has to hear of it
        outcome, words = "traceback", traceback.format_exc()
    said = json.dumps([outcome, peak_mb(), words[-4000:]])
    os.write(pipe, said.encode())
    os._exit(0)


def run(files: int, seed: int, keep: Path | None) -> list[Fate]:
    """Damage and open so many files, after the undamaged ones and the bombs."""
    random = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "whole").mkdir()
        (folder / "bombs").mkdir()
        (folder / "damaged").mkdir()
        whole = specimens(folder / "whole")
        fates = [_expect("opened", attempt(path)) for path in whole]
        fates += [_expect("refused", attempt(path)) for path in bombs(folder / "bombs")]
        for number in range(files):
            source = whole[random.integers(len(whole))]
            path = folder / "damaged" / source.name
            path.write_bytes(mutate(random, source.name, source.read_bytes()))
            fate = attempt(path)
            fates.append(fate)
            if fate.outcome in FAILURES:
                print(f"{number} {fate.name}: {fate.outcome} {fate.words}", file=sys.stderr)
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{seed}_{number}_{path.name}").write_bytes(path.read_bytes())
    return fates


def _expect(outcome: str, fate: Fate) -> Fate:
    """Turn another outcome than the right one of an undamaged file or a bomb into a failure."""
    if fate.outcome == outcome or fate.outcome in FAILURES:
        if fate.outcome in FAILURES:
            print(f"{fate.name}: {fate.outcome} {fate.words}", file=sys.stderr)
        return fate
    print(f"{fate.name}: {fate.outcome} instead of {outcome}: {fate.words}", file=sys.stderr)
    return Fate(fate.name, "words", fate.words, fate.seconds, fate.peak_mb)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="where to put the files that failed")
    parser.add_argument("--json", action="store_true", help="print the counts to stdout")
    asked = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    fates = run(asked.files, asked.seed, asked.keep)
    counts = Counter(fate.outcome for fate in fates)
    summary = {
        "files": len(fates),
        **{outcome: counts[outcome] for outcome in ("opened", "refused", *FAILURES)},
        "slowest_s": round(max(fate.seconds for fate in fates), 2),
        "peak_mb": round(max(fate.peak_mb for fate in fates)),
    }
    print(json.dumps(summary))
    if not asked.json and asked.files == FILES:
        page.write_part("fuzz", _part(fates, asked.seed))
    return 1 if any(counts[outcome] for outcome in FAILURES) else 0


def _part(fates: Sequence[Fate], seed: int) -> str:
    """Write the part of the page about damaged files."""
    kinds = {"DICOM": [], "video": [], "image": []}  # type: dict[str, list[Fate]]
    for fate in fates:
        image = fate.name.startswith("image_") or fate.name.endswith((".png", ".jpg", ".tif"))
        dicom = fate.name.endswith(".dcm") or "." not in fate.name
        kinds["DICOM" if dicom else "image" if image else "video"].append(fate)
    head = ("", "files", "opened", "refused", *FAILURES[:-1], "unclear refusal",
            "slowest, s", "peak memory, MB")  # fmt: skip
    rows = []
    for kind, some in kinds.items():
        counts = Counter(fate.outcome for fate in some)
        rows.append(
            (
                kind,
                str(len(some)),
                *(str(counts[outcome]) for outcome in ("opened", "refused", *FAILURES)),
                f"{max(fate.seconds for fate in some):.1f}",
                f"{max(fate.peak_mb for fate in some):.0f}",
            )
        )
    return (
        "## Damaged files\n\n"
        "`make fuzz`: recordings of every kind, damaged in their headers, lengths, sequences, "
        "fragments, containers and code streams, and decompression bombs; each is opened, and "
        f"every frame decoded, in a child with {MEMORY_BYTES >> 30} GB of memory and "
        f"{PROCESSOR_S} s of processor time (seed {seed}).\n\n"
        f"{page.machine()}\n\n{page.table(head, rows)}"
    )


if __name__ == "__main__":
    sys.exit(main())
