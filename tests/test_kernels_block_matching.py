"""The compiled block matching against slow, obvious twins."""

import cv2
import numpy as np
import pytest
from scipy import ndimage

from usguide.kernels.block_matching import correlate_row, match_blocks, padded, parabola_peak
from usguide.kernels.subpixel import refine_blocks

pytestmark = pytest.mark.kernel


def speckle(rows, columns, seed=0):
    return np.random.default_rng(seed).uniform(10, 200, (rows, columns)).astype(np.float32)


def naive_correlation(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


def naive_match(reference, target, corner, guess, size, reach):
    """Best displacement by trying all of them; no sub-pixel part."""
    (x, y), (w, h) = corner, size
    block = reference[y : y + h, x : x + w]
    scores = {}
    for dy in range(guess[1] - reach, guess[1] + reach + 1):
        for dx in range(guess[0] - reach, guess[0] + reach + 1):
            rows, columns = slice(y + dy, y + dy + h), slice(x + dx, x + dx + w)
            inside = y + dy >= 0 and x + dx >= 0
            inside &= rows.stop <= target.shape[0] and columns.stop <= target.shape[1]
            if inside:
                scores[dx, dy] = naive_correlation(block, target[rows, columns])
    best = max(scores, key=scores.get)
    return best, scores


def run(reference, target, corners, guess, size, reach):
    found = np.empty((len(corners), 4), np.float32)
    match_blocks(
        reference,
        target,
        np.array(corners, np.int64),
        np.array(guess, np.float32),
        *size,
        reach,
        reach,
        found,
    )
    return found


def zero_mean(block):
    block = (block - block.mean()).astype(np.float32)
    return block, float(np.linalg.norm(block))


def correlations(block, width, norm, target, row, column, places):
    scores = np.empty(places)
    sums = np.empty((3, padded(width + places - 1)), np.float32)
    correlate_row(block, width, norm, target, row, column, sums, scores)
    return scores


@pytest.mark.parametrize("beside", [0, 2, 40])
def test_correlations_are_the_textbook_formula(beside):
    a, b = speckle(9, 11), speckle(9, 50, 1)
    block, norm = zero_mean(a[2:7, 3:9])
    block = np.pad(block, ((0, 0), (0, beside)))  # as far as the target goes, and further
    got = correlations(block, 6, norm, b, 1, 4, 5)
    naive = [naive_correlation(a[2:7, 3:9], b[1:6, 4 + k : 10 + k]) for k in range(5)]
    assert got == pytest.approx(naive, abs=1e-5)


def test_correlations_say_outside_and_flat():
    block, norm = zero_mean(speckle(3, 3))
    target = np.full((6, 6), 50, np.float32)
    np.testing.assert_array_equal(correlations(block, 3, norm, target, 4, 0, 2), [-1, -1])
    np.testing.assert_array_equal(correlations(block, 3, norm, target, 3, -1, 3), [-1, 0, 0])
    np.testing.assert_array_equal(correlations(block, 3, norm, target, 0, 2, 4), [0, 0, -1, -1])


def test_correlation_ignores_gain_and_brightness():
    picture = speckle(5, 5)
    block, norm = zero_mean(picture)
    got = correlations(block, 5, norm, 0.4 * picture + np.float32(60), 0, 0, 1)
    assert got[0] == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("peak", [-0.4, -0.1, 0.0, 0.3])
def test_parabola_peak_is_exact_on_a_parabola(peak):
    values = [1 - (x - peak) ** 2 for x in (-1, 0, 1)]
    assert parabola_peak(*values) == pytest.approx(peak)


def test_parabola_without_a_maximum_stays_put():
    assert parabola_peak(1.0, 0.5, 1.0) == 0.0
    assert parabola_peak(0.0, 1.0, 1.9) == 0.5


def test_match_agrees_with_trying_everything():
    reference, target = speckle(14, 16), speckle(14, 16, 3)
    corners = [(4, 4), (6, 5), (5, 3)]
    for corner, got in zip(
        corners, run(reference, target, corners, [(0, 0)] * 3, (5, 4), 2), strict=True
    ):
        (dx, dy), scores = naive_match(reference, target, corner, (0, 0), (5, 4), 2)
        if abs(dx) < 2 and abs(dy) < 2:
            assert np.abs(got[:2] - (dx, dy)).max() <= 0.5
            assert got[2] == pytest.approx(scores[dx, dy], abs=1e-4)


@pytest.mark.parametrize("seed", [0, 2])
def test_match_follows_a_shift_beyond_the_window(seed):
    reference = cv2.GaussianBlur(speckle(40, 48, seed), (0, 0), 2.0)
    target = np.roll(reference, (3, -4), axis=(0, 1))
    got = run(reference, target, [(18, 14)], [(0, 0)], (12, 10), 2)[0]
    assert np.abs(got[:2] - (-4, 3)).max() < 0.1
    assert got[2] > 0.99


def test_what_has_no_slope_towards_its_peak_is_found_from_a_guess_near_it_alone():
    reference = speckle(22, 26)
    target = np.roll(reference, (3, -4), axis=(0, 1))
    far = run(reference, target, [(10, 8)], [(0, 0)], (6, 6), 2)[0]
    near = run(reference, target, [(10, 8)], [(-3, 2)], (6, 6), 2)[0]
    assert far[2] < 0.9
    assert near[2] > 0.99
    assert np.abs(near[:2] - (-4, 3)).max() < 0.2


def test_match_reports_the_spread_of_the_block():
    reference = speckle(12, 12)
    got = run(reference, reference, [(3, 3)], [(0, 0)], (5, 4), 1)[0]
    assert got[3] == pytest.approx(reference[3:7, 3:8].std(), rel=1e-4)
    assert got[2] == pytest.approx(1.0, abs=1e-4)


def test_match_says_when_every_candidate_leaves_the_image():
    reference = speckle(12, 12)
    got = run(reference, reference, [(3, 3)], [(40, 0)], (5, 4), 1)[0]
    assert got[2] == -1.0


def smooth(rows, columns, seed=0):
    return cv2.GaussianBlur(speckle(rows, columns, seed), (0, 0), 1.5)


def shifted(picture, dx, dy):
    """Move a picture by a fraction of a pixel, by a spline of order 5."""
    return ndimage.shift(picture, (dy, dx), order=5, mode="reflect")


def naive_gauss_newton(reference, target, corner, size, start, rounds):
    """One block by the textbook formulas: NumPy gradients, one bilinear sample at a time."""
    (x, y), (w, h) = corner, size
    rows, columns = slice(y, y + h), slice(x, x + w)
    f = reference[rows, columns].astype(np.float64)
    f -= f.mean()
    down, right = np.gradient(reference.astype(np.float64))
    slopes = np.stack([right[rows, columns].ravel(), down[rows, columns].ravel()])
    moved = np.array(start, np.float64)
    for _ in range(rounds):
        g = sampled(target, x + moved[0], y + moved[1], size)
        g -= g.mean()
        error = f - np.linalg.norm(f) / np.linalg.norm(g) * g
        moved = moved + np.linalg.solve(slopes @ slopes.T, slopes @ error.ravel())
    return moved, naive_correlation(f, sampled(target, x + moved[0], y + moved[1], size))


def sampled(picture, x, y, size):
    left, top = int(np.floor(x)), int(np.floor(y))
    u, v = x - left, y - top
    part = picture.astype(np.float64)[top : top + size[1] + 1, left : left + size[0] + 1]
    upper = (1 - u) * part[:-1, :-1] + u * part[:-1, 1:]
    return (1 - v) * upper + v * ((1 - u) * part[1:, :-1] + u * part[1:, 1:])


def refined(reference, target, corners, size, start, rounds=2, leash=1.0):
    found = np.zeros((len(corners), 4), np.float32)
    found[:, :2], found[:, 2] = start, 0.9
    refine_blocks(reference, target, np.array(corners, np.int64), *size, rounds, leash, found)
    return found


@pytest.mark.parametrize("rounds", [0, 1, 2])
def test_refining_agrees_with_the_textbook(rounds):
    reference = smooth(24, 28)
    target = 0.8 * shifted(reference, 2.3, -1.4) + 12
    got = refined(reference, target, [(8, 9)], (9, 7), (2, -1), rounds)[0]
    moved, correlation = naive_gauss_newton(reference, target, (8, 9), (9, 7), (2, -1), rounds)
    assert got[:2] == pytest.approx(moved, abs=1e-3)
    assert got[2] == pytest.approx(correlation, abs=1e-3)


def test_refining_comes_nearer_than_the_parabola():
    reference = smooth(60, 70)
    corners = [(x, y) for x in range(6, 44, 5) for y in range(6, 34, 4)]
    errors = {"parabola": [], "refined": []}
    for part in (-0.35, -0.2, 0.1, 0.3, 0.45):
        target = shifted(reference, 1 + part, part)
        found = run(reference, target, corners, [(1, 0)] * len(corners), (15, 11), 2)
        errors["parabola"].append(found[:, :2] - (1 + part, part))
        refine_blocks(reference, target, np.array(corners, np.int64), 15, 11, 2, 1.0, found)
        errors["refined"].append(found[:, :2] - (1 + part, part))
    rms = {name: np.sqrt(np.mean(np.square(parts))) for name, parts in errors.items()}
    assert rms["refined"] < 0.3 * rms["parabola"]


@pytest.mark.parametrize(
    ("corner", "start", "leash"),
    [((8, 9), (2, -1), 0.1), ((8, 9), (40, 0), 1.0), ((8, 9), (-9, 0), 1.0)],
    ids=["beyond the leash", "out to the right", "out to the left"],
)
def test_what_cannot_be_refined_stays_as_it_was_found(corner, start, leash):
    reference = smooth(24, 28)
    target = shifted(reference, 2.4, -1.4)
    got = refined(reference, target, [corner], (9, 7), start, leash=leash)[0]
    assert got[:3] == pytest.approx((*start, 0.9))


def test_a_flat_block_stays_as_it_was_found():
    flat = np.full((24, 28), 40, np.float32)
    assert refined(flat, smooth(24, 28), [(8, 9)], (9, 7), (1, 1))[0, :2] == pytest.approx((1, 1))
