"""Spots that a frame has and those before it have not, and the path of one that is always new."""

import numpy as np
import pytest
from numpy.typing import NDArray

from usguide.needle.spot_path import follow_new_spot, without_echoes
from usguide.needle.spots import SPOT, find_new_spots

FRAMES = 40
YY, XX = np.mgrid[:160, :200].astype(np.float32)
NOTHING = np.zeros_like(XX)
FAR_INSIDE = np.minimum(np.minimum(XX + 1, 200 - XX), np.minimum(YY + 1, 160 - YY))


def bump(x: float, y: float, height: float) -> NDArray[np.float32]:
    return np.float32(height) * np.exp(-0.5 * (((XX - x) / 2) ** 2 + ((YY - y) / 2) ** 2))


def noise(seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 2, XX.shape).astype(np.float32)


def test_what_is_new_is_found_and_what_is_gone_is_not() -> None:
    found = find_new_spots(noise(1) + bump(120, 70, 60), bump(60, 90, 60), FAR_INSIDE)
    assert found["x"][0] == pytest.approx(120, abs=0.5)
    assert found["y"][0] == pytest.approx(70, abs=0.5)
    assert found["front_x"][0] == pytest.approx(120, abs=0.5)
    assert 66.5 < found["front_y"][0] < 70
    assert found["height"][0] > 3 * found["height"][1]
    assert np.all(np.hypot(found["x"] - 60, found["y"] - 90) > 6)


def test_a_line_that_goes_on_to_both_sides_is_hardly_a_spot() -> None:
    line = np.float32(60) * np.exp(-0.5 * ((YY - 70) / 2) ** 2)
    spot = find_new_spots(noise(1) + bump(120, 70, 60), NOTHING, FAR_INSIDE)["height"][0]
    assert find_new_spots(noise(1) + line, NOTHING, FAR_INSIDE)["height"].max() < 0.4 * spot


def test_what_appears_at_the_edge_of_the_tissue_is_none() -> None:
    inside = np.minimum(FAR_INSIDE, XX - 100)
    found = find_new_spots(noise(1) + bump(103, 70, 60) + bump(60, 70, 60), NOTHING, inside)
    assert np.all(found["x"] > 106)
    assert len(find_new_spots(noise(1), NOTHING, inside - 500)) == 0


def test_tissue_that_a_dark_vessel_has_left_is_new_but_no_spot() -> None:
    tissue = noise(1) + 80
    spot = find_new_spots(tissue + bump(120, 70, 60), tissue, FAR_INSIDE)["height"][0]
    left = find_new_spots(tissue - bump(60, 90, 60), tissue - bump(120, 70, 60), FAR_INSIDE)
    there = np.hypot(left["x"] - 120, left["y"] - 70) < 8
    assert left["height"][there].max(initial=0) < 0.2 * spot


def test_tissue_beside_a_dark_vessel_that_moved_is_no_spot() -> None:
    def vessel(x: float) -> NDArray[np.float32]:
        return np.where(np.hypot(XX - x, YY - 70) < 9, np.float32(70), np.float32(0))

    tissue = noise(1) + 80
    spot = find_new_spots(tissue + bump(120, 70, 60), tissue, FAR_INSIDE)["height"][0]
    left = find_new_spots(tissue - vessel(128), tissue - vessel(120), FAR_INSIDE)
    there = np.hypot(left["x"] - 114, left["y"] - 70) < 8
    assert left["height"][there].max(initial=0) < 0.05 * spot


def test_a_spot_on_a_line_is_not_alone() -> None:
    line = np.float32(60) * np.exp(-0.5 * ((YY - 70) / 2) ** 2)
    dimmed = line * (1 - bump(120, 70, 0.9))
    alone = find_new_spots(noise(1) + bump(120, 70, 60), noise(2), FAR_INSIDE)["alone"][0]
    on_line = find_new_spots(noise(1) + line, noise(2) + dimmed, FAR_INSIDE)[0]
    assert on_line["x"] == pytest.approx(120, abs=1)
    assert alone > 0.9
    assert on_line["alone"] < 0.2


def spots_at(places: list[tuple[float, float, float]], alone: float = 1.0) -> NDArray[np.void]:
    return np.array([(x, y, x, y - 2, height, alone) for x, y, height in places], SPOT)


@pytest.mark.parametrize(("alone", "followed"), [(0.5, True), (0.1, False)])
def test_a_piece_of_a_line_is_not_followed(alone: float, followed: bool) -> None:
    frames = [spots_at([(60 + k, 80, 15), (30, 30, 8)], alone) for k in range(FRAMES)]
    path = follow_new_spot(frames, np.arange(FRAMES, dtype=float), np.zeros((FRAMES, 2)))
    assert (path is not None) == followed


@pytest.mark.parametrize(
    ("height", "rival", "steady", "followed"),
    [(15, 8, True, True), (6, 4, True, True), (5, 4, True, False), (15, 8, False, False)],
)
def test_a_spot_is_followed_that_is_newer_than_all_else_and_steady(
    height: float, rival: float, steady: bool, followed: bool
) -> None:
    rng = np.random.default_rng(3)
    x = np.linspace(60, 100, FRAMES) if steady else rng.uniform(40, 160, FRAMES)
    others = rng.uniform(20, 40, (FRAMES, 2))
    frames = [spots_at([(a, 80, height), (*b, rival)]) for a, b in zip(x, others, strict=True)]
    frames[0] = spots_at([])  # nothing goes before the first frame
    path = follow_new_spot(frames, np.arange(FRAMES, dtype=float), np.zeros((FRAMES, 2)))
    assert (path is not None) == followed
    if path is not None:
        np.testing.assert_allclose(path.position[1:, 0], x[1:], atol=1e-4)
        np.testing.assert_allclose(path.position[1:, 1], 78, atol=1e-4)  # its front
        assert np.isnan(path.position[0]).all()
        assert path.confidence[0] == 0.0
        assert np.all(path.confidence[1:] > 0.5)


@pytest.mark.parametrize(("seen", "followed"), [(16, True), (6, False)])
def test_a_spot_that_comes_and_goes_is_followed_and_not_claimed_while_it_is_gone(
    seen: int, followed: bool
) -> None:
    rng = np.random.default_rng(4)
    frames = []
    for k in range(FRAMES):
        places = [(*rng.uniform(20, 180, 2), height) for height in rng.uniform(2, 3.5, 6)]
        if k < seen:
            places.append((60 + k, 80, 7))
        frames.append(spots_at(sorted(places, key=lambda place: -place[2])))
    path = follow_new_spot(frames, np.arange(FRAMES, dtype=float), np.zeros((FRAMES, 2)))
    assert (path is not None) == followed
    if path is not None:
        np.testing.assert_allclose(path.position[:seen, 0], 60 + np.arange(seen), atol=1e-4)
        assert np.isnan(path.position[seen:]).all()


@pytest.mark.parametrize(
    ("second", "followed"), [(None, False), ((62.0, 84.0), True), ((150.0, 84.0), False)]
)
def test_a_hardly_prominent_spot_is_followed_where_it_comes_back(
    second: tuple[float, float] | None, followed: bool
) -> None:
    rng = np.random.default_rng(6)
    frames = []
    for k in range(FRAMES):
        spots = [(*rng.uniform(110, 200, 2), 2.6 - 0.01 * rank) for rank in range(5)]
        if 4 <= k < 20:
            spots.insert(0, (60 + 0.4 * k, 80, 4.7))
        elif 26 <= k < 38 and second is not None:
            spots.insert(0, (second[0] + 0.4 * (k - 26), second[1], 4.7))
        frames.append(spots_at(spots))
    path = follow_new_spot(frames, np.arange(FRAMES, dtype=float), np.zeros((FRAMES, 2)))
    assert (path is not None) == followed
    if path is not None:
        seen = np.flatnonzero(np.isfinite(path.position[:, 0]))
        np.testing.assert_array_equal(seen, [*range(4, 20), *range(26, 38)])


def test_the_slide_of_the_picture_is_put_back_and_is_no_move() -> None:
    slides = np.column_stack([np.linspace(0, 30, FRAMES), np.zeros(FRAMES)])
    still = [spots_at([(90, 80, 15)]) for _ in range(FRAMES)]
    numbers = np.arange(FRAMES, dtype=float)
    assert follow_new_spot(still, numbers, slides) is None
    moving = [spots_at([(60 + k, 80, 15)]) for k in range(FRAMES)]
    path = follow_new_spot(moving, numbers, slides)
    assert path is not None
    np.testing.assert_allclose(path.position[:, 0], 60 + numbers + slides[:, 0], atol=1e-4)


def test_the_upper_of_two_spots_that_move_as_one_is_followed() -> None:
    x = np.linspace(60, 100, FRAMES)
    numbers = np.arange(FRAMES, dtype=float)
    brighter = np.where(numbers > 20, 20.0, 10.0)  # the lower one, what rings on after the upper
    frames = [
        spots_at([(a, 80, 15), (a + 1, 105, b), (150, 40, 3)])
        for a, b in zip(x, brighter, strict=True)
    ]
    path = follow_new_spot(frames, numbers, np.zeros((FRAMES, 2)))
    assert path is not None
    np.testing.assert_allclose(path.position[:, 1], 78, atol=1e-4)


@pytest.mark.parametrize(
    ("below", "aside", "upper", "height"),
    [(25, 1, 12, 6), (25, 8, 12, 20), (3, 1, 12, 20), (60, 1, 12, 20), (25, 1, 8, 20)],
)
def test_what_may_ring_on_after_a_spot_above_it_is_no_rival(
    below: float, aside: float, upper: float, height: float
) -> None:
    found = without_echoes(spots_at([(90, 40, upper), (90 + aside, 40 + below, 20)]))
    np.testing.assert_array_equal(found, [upper, height])
    assert len(without_echoes(spots_at([]))) == 0
