"""A moving spot is no needle where the tissue around it moves along."""

import numpy as np
import pytest
from numpy.typing import NDArray

from usguide.needle.spot_path import rides_along
from usguide.needle.spots import SPOT

FRAMES = 30


def spots_at(places: NDArray[np.float64]) -> NDArray[np.void]:
    spots = np.zeros(len(places), SPOT)
    spots["x"], spots["y"] = places.T
    return spots


@pytest.mark.parametrize("slide_px", [0.0, 0.7])
@pytest.mark.parametrize(("along", "rides"), [(0.0, False), (0.2, False), (1.0, True)])
def test_a_spot_rides_along_where_its_neighbours_go_as_far(
    along: float, rides: bool, slide_px: float
) -> None:
    rng = np.random.default_rng(4)
    tissue = rng.uniform(0, 120, (40, 2))
    gone = np.column_stack([1.2 * np.arange(FRAMES), 0.5 * np.arange(FRAMES)])
    slides = np.column_stack([np.zeros(FRAMES), slide_px * np.arange(FRAMES)])
    position = 45.0 + gone + slides
    frames = [
        spots_at(tissue + along * step + slide + rng.normal(0, 0.3, tissue.shape))
        for step, slide in zip(gone, slides, strict=True)
    ]
    assert rides_along(frames, position, slides) == rides


def test_without_neighbours_nothing_says_that_it_rides() -> None:
    gone = np.column_stack([np.arange(FRAMES), np.zeros(FRAMES)])
    frames = [spots_at(place[None]) for place in gone]
    assert not rides_along(frames, gone, np.zeros((FRAMES, 2)))
