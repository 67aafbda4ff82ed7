"""The heel bone's under side ends where a spur grows from it, and where it turns down its front."""

import numpy as np
import pytest

from usguide.fascia.front_edge import front_edge

PIXEL_MM = 0.1
X = np.arange(100.0, 300.0)
EDGE_MM = 14.0


def line(after, rough_mm=0.0, seed=0, before=0.5):
    """A bone that falls ever more steeply up to its edge, and what its line does from there on."""
    along = (X - X[0]) * PIXEL_MM
    under_mm = before / 8.0 * np.clip(along - EDGE_MM + 8.0, 0, 8) ** 2 / 2
    down_mm = under_mm + after * np.maximum(along - EDGE_MM, 0)
    noise = np.random.default_rng(seed).normal(size=len(X))
    kernel = np.exp(-0.5 * (np.arange(-20, 21) / 8.0) ** 2)
    noise = np.convolve(noise, kernel / np.linalg.norm(kernel), mode="same")
    return (down_mm + rough_mm * noise) / PIXEL_MM + 80


def edge_mm(y):
    return float(X[front_edge(X, y, PIXEL_MM)] - X[0]) * PIXEL_MM


@pytest.mark.parametrize("slope", [-0.2, 0.0, 0.1])
@pytest.mark.parametrize("length_mm", [2.0, 4.0])
def test_a_spur_is_no_part_of_the_under_side(slope, length_mm):
    shown = (X - X[0]) * PIXEL_MM <= EDGE_MM + length_mm
    y = line(slope)[shown]
    end = front_edge(X[shown], y, PIXEL_MM)
    assert end * PIXEL_MM == pytest.approx(EDGE_MM, abs=0.6)


def test_the_front_wall_is_no_part_of_it():
    assert edge_mm(line(1.2)) == pytest.approx(EDGE_MM, abs=0.6)


@pytest.mark.parametrize("before", [0.0, 0.3, 0.6])
@pytest.mark.parametrize("seed", range(3))
def test_a_rough_bone_without_a_spur_keeps_its_end(before, seed):
    shown = (X - X[0]) * PIXEL_MM <= EDGE_MM
    y = line(0.0, rough_mm=0.08, seed=seed, before=before)[shown]
    assert front_edge(X[shown], y, PIXEL_MM) == np.count_nonzero(shown) - 1


def test_a_line_too_short_to_be_a_bone_and_a_spur_has_no_spur():
    along = (X - X[0]) * PIXEL_MM
    shown = (along >= EDGE_MM - 3.0) & (along <= EDGE_MM + 4.0)
    y = line(0.0)[shown]
    assert front_edge(X[shown], y, PIXEL_MM) == np.count_nonzero(shown) - 1


@pytest.mark.parametrize("points", [1, 2, 3, 8])
def test_a_short_line_ends_where_it_ends(points):
    assert front_edge(X[:points], np.zeros(points), PIXEL_MM) == points - 1
