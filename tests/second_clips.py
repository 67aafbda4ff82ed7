"""Benchmarks of the second simulator, run again over the clips in a folder."""

import sys


def run_again(benchmark, seeds, folder, monkeypatch, capsys):
    """Run a benchmark over clips that are there already; return what it printed.

    Shows that the clips are used as they are: none is made or written anew.
    """
    made = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    name = benchmark.__name__.rpartition(".")[2]
    monkeypatch.setattr(sys, "argv", [name, "--seeds", seeds, "--folder", str(folder)])
    benchmark.main()
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == made
    return capsys.readouterr()
