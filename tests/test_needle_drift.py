"""How far the whole picture has slid."""

import cv2
import numpy as np
import pytest

from usguide.needle.drift import Drift


def speckle(rows: int, columns: int) -> np.ndarray:
    noise = np.random.default_rng(4).normal(size=(rows, columns))
    return (100 + 200 * cv2.GaussianBlur(noise, (0, 0), 1.5)).astype(np.float32)


@pytest.mark.parametrize("size", [(173, 231), (131, 221), (75, 225)])  # padded: even, both odd
@pytest.mark.parametrize("shift", [(0.0, 0.0), (3.4, -2.7), (-6.6, 5.3)])
def test_a_slide_is_found_to_a_part_of_a_pixel(
    size: tuple[int, int], shift: tuple[float, float]
) -> None:
    rows, columns = size
    picture = speckle(rows, columns)
    move = np.array([[1.0, 0.0, shift[0]], [0.0, 1.0, shift[1]]])
    slid = cv2.warpAffine(picture, move, (columns, rows), borderMode=cv2.BORDER_REFLECT)
    drift = Drift(np.ones(size, np.bool_))
    assert drift.follow(picture).tolist() == [0.0, 0.0]
    assert drift.follow(slid) == pytest.approx(shift, abs=0.2)


def test_a_picture_of_something_else_has_not_slid() -> None:
    drift = Drift(np.ones((173, 231), np.bool_))
    drift.follow(speckle(173, 231))
    assert drift.follow(speckle(231, 173).T).tolist() == [0.0, 0.0]


def test_a_blank_picture_has_not_slid() -> None:
    drift = Drift(np.ones((80, 90), np.bool_))
    for level in (0.0, 50.0, 0.0):
        assert drift.follow(np.full((80, 90), level, np.float32)).tolist() == [0.0, 0.0]
