"""How a run over an archive holds up; each command rewrites its part of ``docs/benchmarks.md``.

    python -m benchmarks.archive make FOLDER [--clips 300]
    python -m benchmarks.archive same FOLDER [--and ../shared/clips]   in three ways
    python -m benchmarks.archive speed [--clips 40]                    two workers, cost per clip
    python -m benchmarks.archive memory [--clips 500]                  of a worker, clip after clip
    python -m benchmarks.archive growth [--clips 100 1000 10000]       with the analysis left out
    python -m benchmarks.archive kill [--times 20]                     kill -9, and on

Everything lies in ``--scratch`` (a temporary folder), which is kept if it is given.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks import page
from benchmarks.archive.growth import growth, killed
from benchmarks.archive.recordings import make_archive
from benchmarks.archive.throughput import memory, same, speed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scratch", type=Path, help="folder for everything written on the way")
    parser.add_argument("--page", type=Path, default=page.PAGE, help="the page to write")
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make")
    make.add_argument("folder", type=Path)
    make.add_argument("--clips", type=int, default=300)
    alike = commands.add_parser("same")
    alike.add_argument("folder", type=Path)
    alike.add_argument("--and", dest="more", type=Path, nargs="*", default=[])
    commands.add_parser("speed").add_argument("--clips", type=int, default=40)
    commands.add_parser("memory").add_argument("--clips", type=int, default=500)
    sizes = commands.add_parser("growth")
    sizes.add_argument("--clips", type=int, nargs="+", default=[100, 1000, 10_000])
    commands.add_parser("kill").add_argument("--times", type=int, default=20)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        scratch = asked.scratch or Path(temporary)
        scratch.mkdir(parents=True, exist_ok=True)
        if asked.command == "make":
            print(f"{make_archive(asked.folder, asked.clips)} recordings in {asked.folder}")
            return
        text = {
            "same": lambda: same([asked.folder, *asked.more], scratch),
            "speed": lambda: speed(scratch, asked.clips),
            "memory": lambda: memory(scratch, asked.clips),
            "growth": lambda: growth(scratch, asked.clips),
            "kill": lambda: killed(scratch, asked.times),
        }[asked.command]()
    print(text)
    page.write_part(f"archive {asked.command}", text, asked.page)


if __name__ == "__main__":
    main()
