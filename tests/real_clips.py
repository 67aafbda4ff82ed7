"""The real recordings beside the checkout, each opened once for all tests of a process."""

from functools import cache
from pathlib import Path

import pytest

from usguide import Clip, open_clip

CLIPS = Path(__file__).parents[2] / "shared" / "clips"


@cache
def opened(name: str) -> Clip:
    """Open a recording by its path below the folder; skip the test where it is not there."""
    path = CLIPS / name
    if not path.exists():
        pytest.skip(f"the real recordings are not at {CLIPS}")
    return open_clip(path)
