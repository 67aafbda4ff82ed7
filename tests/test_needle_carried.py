"""What the tissue beside it goes with is a fibre, not a needle."""

import cv2
import numpy as np
import pytest

from test_needle import ENTRY, clip_of, draw, pistoning, run, tissue
from usguide.model import Status
from usguide.needle.carried import LEAST_WAY_PX, REACH_PX, carried, shift_along

FRAMES, PLACES = 60, 160
DEPTHS = 80 + 12 * np.sin(np.linspace(0, 3 * np.pi, FRAMES))


def beside(gone: np.ndarray, places: int, seed: int = 7) -> np.ndarray:
    """Speckle on either side of a line, so far along it in every frame."""
    rng = np.random.default_rng(seed)
    speckle = np.stack([np.convolve(rng.normal(0, 20, 398), np.ones(3) / 3) for _ in range(2)])
    at = 150 + np.arange(places)
    moved = [[np.interp(at - far, np.arange(400), side) for side in speckle] for far in gone]
    noise = rng.normal(0, 3, (len(gone), 2, places))
    return np.asarray(moved + noise, np.float32)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.6, 1.0])
def test_the_share_of_the_way_is_found(share: float) -> None:
    tissue_beside = beside(share * (DEPTHS - 80), PLACES)
    assert carried(tissue_beside, DEPTHS) == pytest.approx(share, abs=0.1)


def test_frames_and_places_that_are_not_known_say_nothing() -> None:
    carrying = beside(DEPTHS - 80, PLACES)
    depth, seen = DEPTHS.copy(), carrying.copy()
    depth[20:30] = np.nan
    seen[20:30] = beside(np.zeros(10), PLACES, seed=8)
    seen[:, :, 100:] = beside(np.zeros(FRAMES), PLACES - 100, seed=9)
    seen[5, 0, 100:] = np.nan
    assert carried(seen, depth) == pytest.approx(1.0, abs=0.15)
    assert carried(carrying, np.full(FRAMES, np.nan)) == 0.0
    assert carried(carrying * np.nan, DEPTHS) == 0.0


def test_what_moves_on_one_side_only_is_an_echo_of_the_shaft() -> None:
    one_side = beside(DEPTHS - 80, PLACES)
    one_side[:, 0] = beside(np.zeros(FRAMES), PLACES)[:, 0]
    assert abs(carried(one_side, DEPTHS)) < 0.1


def test_an_end_that_rests_is_not_carried() -> None:
    carrying = beside(DEPTHS - 80, PLACES)
    assert carried(carrying, np.full(FRAMES, 80.0)) == 0.0


def test_moves_beyond_reach_and_short_ways_say_nothing() -> None:
    """Tissue that goes with an end further than it is looked for is not found where it went."""
    quick = np.where(np.arange(FRAMES) % 8 < 4, 60.0, 60.0 + 2 * REACH_PX)
    assert carried(beside(quick - 60, PLACES), quick) == 0.0
    both = np.where(np.arange(FRAMES) < 30, quick, DEPTHS)
    assert carried(beside(both - 60, PLACES), both) == pytest.approx(1.0, abs=0.15)
    little = 80 + 0.3 * (DEPTHS - 80)
    assert np.sum(np.square(little[4::2] - little[:-4:2])) < LEAST_WAY_PX**2
    assert carried(beside(little - 80, PLACES), little) == 0.0


@pytest.mark.parametrize("shift", [-5, 0, 3])
def test_shifts_along_the_line_have_their_sign(shift: int) -> None:
    before, after = beside(np.array([0.0, shift]), PLACES)
    np.testing.assert_array_equal(shift_along(before, after), shift)
    assert np.isfinite(shift_along(np.zeros_like(before), after)).all()


def carried_clip(depths: np.ndarray, reach_px: float = 400.0) -> np.ndarray:
    """A line whose end pistons, with the tissue within reach of it, over tissue that rests."""
    rng = np.random.default_rng(3)
    image, rest = tissue(bone=False), tissue(5, bone=False)
    rows, columns = np.indices(image.shape)
    along = np.array([np.cos(np.radians(30.0)), np.sin(np.radians(30.0))])
    aside = np.abs((rows - ENTRY[1]) * along[0] - (columns - ENTRY[0]) * along[1])
    far = 1 / (1 + np.exp(-np.maximum((rows - 190) / 6.0, aside - reach_px).clip(-50, 50)))
    frames = []
    for depth in depths:
        x, y = (depth - depths[0]) * along
        to = np.array([[1.0, 0.0, x], [0.0, 1.0, y]])
        moved = cv2.warpAffine(image, to, image.shape[::-1], borderMode=cv2.BORDER_REFLECT)
        mixed = (1 - far) * moved + far * rest
        frames.append(draw(mixed + rng.normal(0, 3, image.shape), depth))
    return np.stack(frames)


def test_a_line_that_slides_with_its_tissue_is_declined_and_one_that_slides_in_it_is_not() -> None:
    depths = pistoning(60, low=110.0, high=150.0)
    fibre = run(carried_clip(depths), spacing_mm=(0.1, 0.1), fps=30.0)
    needle = run(clip_of(depths), spacing_mm=(0.1, 0.1), fps=30.0)
    sticking = run(carried_clip(depths, reach_px=6.0), spacing_mm=(0.1, 0.1), fps=30.0)
    assert fibre.status is Status.NONE_FOUND
    assert needle.status is Status.MEASURED
    assert sticking.status is Status.MEASURED
