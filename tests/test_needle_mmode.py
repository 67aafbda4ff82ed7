"""M-mode along the shaft: the tip of every frame, from what places look like at other times."""

import itertools

import numpy as np

from test_needle import NO_FASCIA, clip_of, errors, pistoning, run
from usguide.ingest.clip import Clip
from usguide.needle import NeedleStage, shaft_end
from usguide.needle.mmode import FEW, STRETCH, stretches
from usguide.needle.shaft_end import about, tip_probability, tips_along

FRAMES, PLACES = 60, 120
DEPTHS = 60 + 25 * np.sin(np.linspace(0, 6 * np.pi, FRAMES))
NUMBERS = np.arange(FRAMES, dtype=np.float64)
SHOWN = np.ones(FRAMES, np.bool_)
NOTHING = np.zeros((FRAMES, PLACES))


def m_mode(seed: int = 0, needle: float = 3.0) -> np.ndarray:
    """Still tissue with bright places, and a shaft over it as far as the tip."""
    rng = np.random.default_rng(seed)
    tissue = np.tile(rng.normal(0, 1.0, PLACES), (FRAMES, 1))
    tissue[:, 95:105] = 5.0
    covered = np.arange(PLACES) < DEPTHS[:, None]
    picture = np.where(covered, np.maximum(tissue, needle), tissue)
    return (picture + rng.normal(0, 0.5, picture.shape)).astype(np.float32)


def claims(every: int = 1) -> tuple[np.ndarray, np.ndarray]:
    claimed = np.full(FRAMES, np.nan)
    claimed[::every] = DEPTHS[::every]
    return claimed, np.where(np.isfinite(claimed), 0.9, 0.0)


def test_tips_that_were_not_claimed_are_found_on_the_line() -> None:
    tip, sure = tips_along(m_mode(), *claims(4), NOTHING, NUMBERS, SHOWN)
    assert (sure > 0.5).all()
    assert np.abs(tip - DEPTHS).max() < 3


def test_a_bright_place_that_was_there_before_the_needle_is_not_its_tip() -> None:
    claimed, confidence = claims()
    claimed[20:24] = 105.0  # the end of the bright place
    tip, _ = tips_along(m_mode(), claimed, confidence, NOTHING, NUMBERS, SHOWN)
    assert np.abs(tip - DEPTHS)[20:24].max() < 3


def test_a_needle_that_fades_altogether_is_not_seen() -> None:
    picture = m_mode()
    without = picture[np.argmin(DEPTHS)].copy()
    without[:40] = 0.0
    picture[25:35] = without
    claimed, confidence = claims()
    claimed[25:35], confidence[25:35] = np.nan, 0.0
    _, sure = tips_along(picture, claimed, confidence, NOTHING, NUMBERS, SHOWN)
    assert (sure[26:34] < 0.5).all()
    assert (sure[:24] > 0.5).all()


def test_where_it_is_known_to_be_hidden_nothing_is_claimed() -> None:
    shown = SHOWN.copy()
    shown[10] = False
    _, sure = tips_along(m_mode(), *claims(), NOTHING, NUMBERS, shown)
    assert sure[10] == 0
    assert sure[9] > 0.5


def test_places_outside_the_image_say_nothing() -> None:
    tip, sure = tips_along(m_mode(), *claims(), NOTHING, NUMBERS, SHOWN)
    cut = m_mode()
    cut[:, :10] = np.nan
    other, other_sure = tips_along(cut, *claims(), NOTHING, NUMBERS, SHOWN)
    np.testing.assert_allclose(other, tip, atol=0.5)
    np.testing.assert_allclose(other_sure, sure, atol=0.05)


def test_probabilities_are_those_of_the_enumerated_chain() -> None:
    """Against every sequence of three frames, two places, seen or not."""
    rng = np.random.default_rng(2)
    odds = rng.normal(0, 3, (3, 2))
    numbers = np.array([0.0, 1.0, 3.0])
    change = 1 / (1 + np.exp(shaft_end.LOSE))
    want, total = np.zeros((3, 2)), 0.0
    for states in np.ndindex(*(4,) * 3):
        seen, place = np.array(states) // 2 == 0, np.array(states) % 2
        weight = np.prod(
            [np.exp(odds[k, place[k]] if seen[k] else shaft_end.HIDDEN) for k in range(3)]
        )
        for k in (1, 2):
            weight *= change if seen[k] != seen[k - 1] else 1 - change
            weight *= shaft_end.tip_moves(numbers[k] - numbers[k - 1], 2)[place[k - 1], place[k]]
        total += weight
        for k in range(3):
            want[k, place[k]] += weight * seen[k]
    got = tip_probability(odds, numbers, np.ones(3, np.bool_))
    np.testing.assert_allclose(got, want / total, rtol=1e-9)


def test_sums_about_every_frame_are_those_of_the_formula() -> None:
    rng = np.random.default_rng(3)
    sums, numbers = rng.uniform(0, 1, (3, 9, 4)), np.cumsum(rng.uniform(0.5, 3, 9))
    weight = np.exp(-np.abs(numbers[:, None] - numbers) / 8.0)
    np.testing.assert_allclose(about(sums, numbers), np.einsum("ij,sjp->sip", weight, sums))


def test_only_frames_that_follow_one_another_are_weighed_together() -> None:
    sparse = np.arange(30) * 10.0
    assert stretches(sparse) == []
    assert stretches(np.r_[sparse, sparse[-1] + 10 + np.arange(FEW)]) == [slice(30, 30 + FEW)]
    parts = stretches(np.arange(2.0 * STRETCH + 1))
    assert len(parts) == 3
    assert parts[0].start == 0
    assert parts[-1].stop == 2 * STRETCH + 1
    assert all(a.stop == b.start for a, b in itertools.pairwise(parts))


def test_a_clip_is_read_again_only_where_there_is_a_needle() -> None:
    class Counted:
        def __init__(self, clip: Clip) -> None:
            self.clip, self.header, self.read = clip, clip.header, 0

        def frames(self):
            self.read += 1
            return self.clip.frames()

        def __getitem__(self, index: int):
            return self.clip[index]

    depths = pistoning(60)
    for drawn, read in ((np.full(30, -1.0), 0), (depths, 1)):
        clip = Clip.from_array(clip_of(drawn), spacing_mm=(0.1, 0.1), fps=30.0)
        stage = NeedleStage(clip.header)
        for index, frame in clip.frames():
            stage.observe(index, frame)
        counted = Counted(clip)
        track = stage.conclude(counted, NO_FASCIA)
        assert counted.read == read
    assert track.tip_visible.all()
    assert np.nanmedian(errors(track, depths)) < 3


def test_a_shaft_that_runs_out_of_the_picture_shows_no_tip() -> None:
    depths = pistoning(60, low=150.0, high=420.0)
    depths[depths > 300] = 420.0
    track = run(clip_of(depths), spacing_mm=(0.1, 0.1), fps=30.0)
    assert track.tip_visible[depths < 300].mean() > 0.9
    assert not track.tip_visible[depths > 300].any()
