"""The bundled clips are what their recipe makes, and small."""

import itertools
import json
import runpy
from pathlib import Path

import av
import numpy as np
import pydicom
import pytest

FOLDER = Path(__file__).parents[1] / "sample_data"
CLIPS = runpy.run_path(str(FOLDER / "make.py"))["CLIPS"]
EVERY = 12


def stored(path: Path) -> list[np.ndarray]:
    """A few frames of the stored clip, as luma."""
    if path.suffix == ".dcm":
        return list(pydicom.dcmread(path).pixel_array[: 2 * EVERY + 1 : EVERY])
    with av.open(str(path)) as container:
        frames = itertools.islice(container.decode(video=0), 0, 2 * EVERY + 1, EVERY)
        return [frame.to_ndarray(format="gray") for frame in frames]


@pytest.mark.parametrize("name", CLIPS)
def test_the_recipe_makes_the_stored_clip(name: str) -> None:
    scene = CLIPS[name]()
    path = FOLDER / name
    assert json.loads(path.with_name(path.stem + ".truth.json").read_text()) == scene.truth
    made = itertools.islice(scene.frames(), 0, 2 * EVERY + 1, EVERY)
    for frame, kept in zip(made, stored(path), strict=True):
        # What is left is the loss of JPEG and H.264.
        assert np.abs(frame.astype(float) - kept).mean() < 3.0
        assert np.corrcoef(frame.ravel(), kept.ravel())[0, 1] > 0.985


def test_together_they_stay_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 8e6
