"""Damaged recordings and bombs: opened or refused in a sentence, never anything else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from usguide.cli import run

sys.path.insert(0, str(Path(__file__).parents[1]))  # the benchmark is not part of the package

from benchmarks.mutations import mutate
from benchmarks.specimens import bombs, specimens

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="children are limited as on Linux")
def test_two_hundred_damaged_recordings() -> None:
    # A process of its own: its children are forked, with limits on memory and time.
    command = [sys.executable, "-m", "benchmarks.fuzz", "--files", "200", "--seed", "3", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    counts = json.loads(done.stdout.splitlines()[-1])
    failures = {name: counts[name] for name in ("crash", "hang", "memory", "traceback", "words")}
    assert not any(failures.values()), done.stderr[-4000:]
    assert counts["opened"] + counts["refused"] == counts["files"] >= 250
    assert min(counts["opened"], counts["refused"]) > 50


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_bombs_are_refused_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for bomb in bombs(tmp_path):
        assert run(["info", str(bomb)]) == 3
        (said,) = capsys.readouterr().err.splitlines()
        assert said.startswith("usguide: ")
        assert bomb.name in said


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_the_same_seed_damages_the_same_way(tmp_path: Path) -> None:
    chosen = specimens(tmp_path)[::7]
    for path in chosen:
        content = path.read_bytes()
        first, second = (
            [mutate(random, path.name, content) for _ in range(5)]
            for random in (np.random.default_rng(4), np.random.default_rng(4))
        )
        assert first == second
        assert any(damaged != content for damaged in first)
