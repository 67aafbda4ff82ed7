"""Archives of small files, and runs over them in a process of their own."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent


def archive(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.mp4").write_bytes(name.encode())
    return folder


def failures(out: Path) -> dict[str, str]:
    with (out / "failures.csv").open(encoding="utf-8", newline="") as file:
        return {Path(row["path"]).stem: row["reason"] for row in csv.DictReader(file)}


def importing_stubs() -> dict[str, str]:
    """Return the environment in which another process imports the tests, and what these import."""
    paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def start(tmp_path: Path, source: Path, out: Path) -> subprocess.Popen[str]:
    code = (
        # Workers import this file as well, and need none of what follows.
        "if __name__ == '__main__':\n"
        "    import signal, batch_stubs\n"
        "    from usguide.batch import run\n"
        "    from usguide import cli\n"
        "    run.load = batch_stubs.load_nothing\n"
        "    real = run.run_batch\n"
        "    run.run_batch = lambda request, listen: real(request, listen, batch_stubs.act)\n"
        # A shell starts what runs in the background with Ctrl-C ignored.
        "    signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "    cli.main()\n"
    )
    script = tmp_path / "start.py"
    script.write_text(code)
    return subprocess.Popen(
        [sys.executable, script, "batch", source, "-o", out, "--jobs", "2", "--json-progress"],
        env=importing_stubs() | {"NUMBA_CACHE_DIR": str(tmp_path / "kernels")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def until_some_are_done(process: subprocess.Popen[str], count: int) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["done"] >= count:
            return
