"""``docs/benchmarks.md``: each benchmark rewrites its own part and leaves the others alone."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
PICTURES = ROOT / "docs" / "pictures"

HEAD = """# Benchmarks

Made by `make bench` and `make bench-archive`; nothing on this page is written by hand. Intervals
are 95 %: Wilson's for rates of clips, a bootstrap over clips for everything else. What counts as
right is stated beside each table. Synthetic scenes have exact truth and draw every parameter from
clinical ranges (`docs/truth.md`); real recordings are few, and their truth is people's or a
sensor's. `python -m benchmarks.accuracy --seeds 91000:91019 --kind heel` prints the same tables for
scenes of other seeds.
"""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def machine(used: str = "one used") -> str:
    """Say where and from what the figures come, in one line; ``used`` of its cores."""
    commit = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    changed = subprocess.run(
        ["git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no", "src"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = [
            line.split(":", 1)[1].strip()
            for line in information.read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ]
        processor = names[0] if names else processor
    return (
        f"Commit {commit or 'unknown'}{' with uncommitted changes' if changed else ''}; "
        f"{processor}, {os.cpu_count()} cores ({used}); {platform.system()}, "
        f"Python {platform.python_version()}."
    )


def write_part(name: str, text: str, page: Path = PAGE) -> None:
    """Replace the part of the page called ``name``, or add it at the end."""
    opening, closing = f"<!-- {name} -->", f"<!-- end of {name} -->"
    body = page.read_text(encoding="utf-8") if page.exists() else HEAD
    part = f"{opening}\n{text.strip()}\n{closing}"
    if opening in body and closing in body:
        before, rest = body.split(opening, 1)
        body = before + part + rest.split(closing, 1)[1]
    else:
        body = body.rstrip() + "\n\n" + part + "\n"
    page.parent.mkdir(parents=True, exist_ok=True)
    working = page.with_suffix(".md.part")
    working.write_text(body, encoding="utf-8")
    working.replace(page)
