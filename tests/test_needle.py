"""The needle stage on drawn phantoms: what it finds, what it refuses, what it says."""

import dataclasses

import cv2
import numpy as np
import pytest

from usguide.ingest.clip import Clip
from usguide.model import FasciaResult, NeedlePlane, NeedleTrack, Region, Status
from usguide.needle import NeedleStage
from usguide.needle.observations import Observations
from usguide.needle.track import EVEN, MOST_SURE, confidence

NO_FASCIA = FasciaResult(Status.NONE_FOUND, "not looked for")
WIDTH, HEIGHT = 320, 260
ENTRY = np.array([0.0, 40.0])


def tissue(seed: int = 3, *, bone: bool = True) -> np.ndarray:
    """Speckle with horizontal fibres and, if asked for, a static bright, bone-like line."""
    rng = np.random.default_rng(seed)
    field = rng.normal(size=(2, HEIGHT, WIDTH))
    speckle = [cv2.GaussianBlur(part, (0, 0), sigmaX=2.4, sigmaY=1.4) for part in field]
    envelope = np.hypot(*speckle)
    image = 70 + 22 * np.log(envelope / envelope.mean() + 0.05)
    fibres = cv2.GaussianBlur(rng.normal(size=(HEIGHT, WIDTH)), (0, 0), sigmaX=25, sigmaY=1.2)
    image += 10 * fibres / fibres.std()
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    line = 90 * np.exp(-0.5 * ((y - 205 + 0.25 * x) / 3.0) ** 2) * (x > 60)
    return image + line if bone else image


def draw(
    image: np.ndarray, depth: float, degrees: float = 30.0, level: float = 110.0, entry=ENTRY
) -> np.ndarray:
    """Add a needle of the given visible length (px); none where it is not positive."""
    angle = np.radians(degrees)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    along = (x - entry[0]) * np.cos(angle) + (y - entry[1]) * np.sin(angle)
    across = -(x - entry[0]) * np.sin(angle) + (y - entry[1]) * np.cos(angle)
    end = 1 / (1 + np.exp(np.clip((along - depth) / 0.8, -50, 50)))
    shaft = level * np.exp(-0.5 * (across / 1.6) ** 2) * end * (depth > 0)
    return np.clip(image + shaft, 0, 255).astype(np.uint8)


def tip_at(depth: float, degrees: float = 30.0) -> np.ndarray:
    angle = np.radians(degrees)
    return ENTRY + depth * np.array([np.cos(angle), np.sin(angle)])


def run(frames: np.ndarray, **how) -> NeedleTrack:
    clip = Clip.from_array(frames, **how)
    return run_clip(clip)


def run_clip(clip: Clip, fascia: FasciaResult = NO_FASCIA) -> NeedleTrack:
    stage = NeedleStage(clip.header)
    for index, frame in clip.frames():
        stage.observe(index, frame)
    return stage.conclude(clip, fascia)


def pistoning(count: int = 60, cycles: int = 2, low: float = 90.0, high: float = 170.0):
    phase = np.linspace(0, 2 * np.pi * cycles, count)
    return low + (high - low) * 0.5 * (1 - np.cos(phase))


def clip_of(depths, *, level: float = 110.0, seed: int = 3) -> np.ndarray:
    """Frames of a needle at each depth, with a little electronic noise."""
    rng = np.random.default_rng(seed)
    image = tissue(seed)
    return np.stack(
        [draw(image + rng.normal(0, 3, image.shape), depth, level=level) for depth in depths]
    )


@pytest.fixture(scope="module")
def pistons() -> tuple[np.ndarray, np.ndarray, NeedleTrack]:
    depths = pistoning()
    frames = clip_of(depths)
    return depths, frames, run(frames, spacing_mm=(0.1, 0.1), fps=30.0)


def errors(track: NeedleTrack, depths) -> np.ndarray:
    truth = np.stack([tip_at(depth) for depth in depths])
    return np.linalg.norm(track.tip_px - truth, axis=1)


class TestPistoning:
    def test_the_tip_is_found_in_every_frame(self, pistons) -> None:
        depths, _, track = pistons
        assert track.status is Status.MEASURED
        assert track.plane is NeedlePlane.IN
        assert track.tip_visible.mean() > 0.95
        assert np.nanmedian(errors(track, depths)) < 3
        assert np.nanquantile(errors(track, depths), 0.95) < 8

    def test_the_shaft_is_straight_along_the_drawn_line(self, pistons) -> None:
        _, _, track = pistons
        assert np.nanmax(np.abs(track.shaft_angle_deg - 30)) < 1.5

    def test_passes_are_counted_and_measured(self, pistons) -> None:
        _, _, track = pistons
        assert len(track.passes) == 2
        for found, deepest in zip(track.passes, (15, 45), strict=True):
            assert abs(found.deepest_frame - deepest) <= 2
            assert found.depth_mm == pytest.approx(8.0, abs=0.8)
            assert found.start_s < found.deepest_s < found.end_s

    def test_the_ellipse_holds_the_tip_and_is_longer_along_the_shaft(self, pistons) -> None:
        depths, _, track = pistons
        truth = np.stack([tip_at(depth) for depth in depths])
        radians = np.radians(track.shaft_angle_deg)
        dx, dy = (track.tip_px - truth).T
        along = (dx * np.cos(radians) + dy * np.sin(radians)) / track.tip_ellipse_px[:, 0]
        across = (dy * np.cos(radians) - dx * np.sin(radians)) / track.tip_ellipse_px[:, 1]
        seen = track.tip_visible
        assert np.mean(np.hypot(along, across)[seen] < 1) >= 0.9
        assert (track.tip_ellipse_px[seen, 0] > track.tip_ellipse_px[seen, 1]).all()
        assert track.tip_ellipse_px[seen].max() < 30  # 3 mm
        assert np.isnan(track.tip_ellipse_px[~seen]).all()

    def test_depth_runs_from_where_the_line_enters(self, pistons) -> None:
        depths, _, track = pistons
        assert np.nanmedian(np.abs(track.insertion_depth_px - depths)) < 5
        np.testing.assert_allclose(track.insertion_depth_mm, 0.1 * track.insertion_depth_px)

    def test_a_mirrored_clip_gives_the_mirrored_answer(self, pistons) -> None:
        _, frames, track = pistons
        mirrored = run(np.ascontiguousarray(frames[:, :, ::-1]), spacing_mm=(0.1, 0.1), fps=30.0)
        both = track.tip_visible & mirrored.tip_visible
        assert both.mean() > 0.9
        difference = WIDTH - 1 - mirrored.tip_px[both, 0] - track.tip_px[both, 0]
        assert np.median(np.abs(difference)) < 1.5
        assert np.nanmedian(mirrored.shaft_angle_deg) == pytest.approx(-30, abs=1)

    def test_without_a_scale_there_are_no_millimetres(self, pistons) -> None:
        _, frames, track = pistons
        plain = run(frames)
        assert plain.insertion_depth_mm is None
        assert plain.tip_to_fascia_mm is None
        assert plain.closest_to_fascia_mm is None
        assert all(p.depth_mm is None and p.start_s is None for p in plain.passes)
        both = track.tip_visible & plain.tip_visible
        assert np.abs(plain.tip_px - track.tip_px)[both].max() < 1.0

    def test_results_are_in_source_pixels(self, pistons) -> None:
        _, frames, track = pistons
        framed = np.zeros((len(frames), HEIGHT + 50, WIDTH + 70), np.uint8)
        framed[:, 20 : 20 + HEIGHT, 40 : 40 + WIDTH] = frames
        clip = Clip.from_array(framed, spacing_mm=(0.1, 0.1), fps=30.0)
        header = dataclasses.replace(
            clip.header,
            region=Region(40, 20, WIDTH, HEIGHT),
            tissue=np.ones((HEIGHT, WIDTH), np.bool_),
        )
        moved = run_clip(Clip(header, clip.decode))
        np.testing.assert_allclose(moved.tip_px, track.tip_px + np.array([40, 20]), atol=1e-6)

    def test_memory_per_frame_is_small(self, pistons) -> None:
        _, frames, _ = pistons
        clip = Clip.from_array(frames)
        seen = Observations(clip.header)
        for index, frame in clip.frames():
            seen.add(index, frame)
        per_frame = sum(found.nbytes for found in seen.candidates) / len(frames)
        assert per_frame < 4000  # 20 candidates, up to two ends each, a hundredth of the frame


class TestSilence:
    def test_no_needle_is_none_found(self) -> None:
        track = run(clip_of(np.full(30, -1.0)), fps=30.0)
        assert track.status is Status.NONE_FOUND
        assert track.frames_visible == 0
        assert track.reason

    def test_a_frozen_cine_without_a_needle_claims_nothing(self) -> None:
        frame = clip_of([-1.0])[0]
        assert run(np.stack([frame] * 20)).status is Status.NONE_FOUND

    @pytest.mark.parametrize("value", [0, 90, 255])
    def test_a_constant_picture_claims_nothing(self, value: int) -> None:
        frames = np.full((5, 120, 160), value, np.uint8)
        assert run(frames).status is Status.NONE_FOUND

    @pytest.mark.parametrize("shape", [(4, 3, 200), (4, 200, 3), (4, 1, 1), (1, 24, 24)])
    def test_a_tiny_region_says_so(self, shape) -> None:
        rng = np.random.default_rng(0)
        track = run(rng.integers(0, 255, shape).astype(np.uint8))
        assert track.status is Status.NONE_FOUND
        assert track.reason

    def test_no_frame_at_all(self) -> None:
        clip = Clip.from_array(np.zeros((1, 100, 100), np.uint8))
        assert NeedleStage(clip.header).conclude(clip, NO_FASCIA).status is Status.NONE_FOUND

    def test_no_tissue_at_all(self) -> None:
        clip = Clip.from_array(clip_of([100.0, 120.0]))
        header = dataclasses.replace(clip.header, tissue=np.zeros((HEIGHT, WIDTH), np.bool_))
        assert run_clip(Clip(header, clip.decode)).status is Status.NONE_FOUND


class TestUnusualClips:
    def test_a_needle_already_in_that_leaves_the_picture(self) -> None:
        depths = np.concatenate([np.full(8, 170.0), np.linspace(170, -10, 30), np.full(20, -1.0)])
        track = run(clip_of(depths), fps=30.0)
        assert track.status is Status.MEASURED
        inside = depths > 60
        assert track.tip_visible[inside].mean() > 0.9
        assert np.nanmedian(errors(track, depths)[inside]) < 3
        assert track.tip_visible[-20:].mean() <= 0.1  # never confident after loss
        assert track.passes == ()  # a withdrawal alone is no pass

    def test_a_needle_that_vanishes_and_comes_back(self) -> None:
        depths = pistoning(70)
        hidden = slice(30, 40)
        shown = depths.copy()
        shown[hidden] = -1
        track = run(clip_of(shown), fps=30.0)
        assert track.tip_visible[hidden].mean() <= 0.1
        assert track.tip_visible[40:43].any()  # found again within three frames
        assert track.tip_confidence[hidden].max() < 0.5

    def test_a_single_frame_jump(self) -> None:
        depths = np.concatenate([np.full(15, 80.0), np.full(25, 190.0)])
        track = run(clip_of(depths), fps=30.0)
        assert track.status is Status.MEASURED
        assert track.tip_visible.mean() > 0.9
        assert np.nanquantile(errors(track, depths), 0.9) < 8

    def test_five_frames_a_second(self) -> None:
        depths = pistoning(30, cycles=3)
        track = run(clip_of(depths), fps=5.0)
        assert track.tip_visible.mean() > 0.9
        assert np.nanmedian(errors(track, depths)) < 3
        assert len(track.passes) == 3

    def test_numbered_frames_with_gaps(self) -> None:
        depths = np.array([80.0, 95.0, 140.0, 150.0, 120.0, 185.0, 160.0, 100.0])
        clip = Clip.from_array(clip_of(depths))
        numbers = np.array([3, 20, 90, 101, 140, 300, 312, 400])
        track = run_clip(Clip(dataclasses.replace(clip.header, frame_numbers=numbers), clip.decode))
        assert track.status is Status.MEASURED
        assert track.tip_visible.mean() > 0.7
        assert np.nanmedian(errors(track, depths)) < 3

    def test_repeated_frames_stay_unknown(self) -> None:
        depths = np.repeat(pistoning(40), 2)
        clip = Clip.from_array(clip_of(depths), fps=60.0)
        repeats = np.where(np.arange(80) % 2 == 1, np.arange(80) - 1, -1)
        timing = dataclasses.replace(clip.header.timing, duplicate_of=repeats)
        track = run_clip(Clip(dataclasses.replace(clip.header, timing=timing), clip.decode))
        assert track.tip_visible[::2].mean() > 0.9
        assert not track.tip_visible[1::2].any()

    def test_a_needle_that_never_moves_is_not_told_from_bone(self) -> None:
        track = run(clip_of(np.full(25, 150.0)), fps=30.0)
        assert track.status is Status.NONE_FOUND
        assert "never moves along itself" in track.reason
        assert track.frames_visible == 0

    def test_one_frame_with_another_line_as_good_is_declined(self) -> None:
        track = run(clip_of([150.0]))
        assert track.status is Status.NONE_FOUND
        assert "single frame" in track.reason

    def test_one_frame_with_nothing_but_a_needle(self) -> None:
        track = run(draw(tissue(bone=False), 150.0)[None])
        assert track.status is Status.MEASURED
        assert np.linalg.norm(track.tip_px[0] - tip_at(150.0)) < 4

    def test_of_two_needles_one_is_followed(self) -> None:
        depths = pistoning(50)
        rng = np.random.default_rng(5)
        image = tissue()
        frames = []
        for depth in depths:
            one = draw(image + rng.normal(0, 3, image.shape), depth).astype(np.float64)
            frames.append(draw(one, 110.0, degrees=150.0, entry=np.array([WIDTH - 1.0, 30.0])))
        track = run(np.stack(frames), fps=30.0)
        assert track.status is Status.MEASURED
        assert np.nanmedian(errors(track, depths)) < 3  # the one that moves

    def test_of_two_moving_needles_one_is_followed_throughout(self) -> None:
        rng = np.random.default_rng(6)
        image = tissue(bone=False)
        first, second = pistoning(50), pistoning(50, cycles=3, low=70.0, high=130.0)
        entry = np.array([WIDTH - 1.0, 30.0])
        frames = []
        for one, other in zip(first, second, strict=True):
            shown = draw(image + rng.normal(0, 3, image.shape), one).astype(np.float64)
            frames.append(draw(shown, other, degrees=150.0, level=80.0, entry=entry))
        track = run(np.stack(frames), fps=30.0)
        assert track.status is Status.MEASURED
        assert track.tip_visible.mean() > 0.9
        assert np.nanmax(errors(track, first)) < 10  # the clearer one, and never the other
        assert len(track.passes) == 2

    def test_a_frozen_cine_of_a_needle_does_not_tell_it_from_bone(self) -> None:
        frame = clip_of([150.0])[0]
        track = run(np.stack([frame] * 20), fps=30.0)
        assert track.status is Status.NONE_FOUND
        assert "never moves along itself" in track.reason

    def test_a_wide_picture(self) -> None:
        depths = pistoning(24)
        wide = np.stack([cv2.resize(f, (2000, 1625)) for f in clip_of(depths)])
        track = run(wide, fps=30.0)
        truth = np.stack([tip_at(d) for d in depths]) * (2000 / WIDTH)
        assert np.nanmedian(np.linalg.norm(track.tip_px - truth, axis=1)) < 20


@pytest.fixture(scope="module")
def fading() -> list[tuple[np.ndarray, NeedleTrack]]:
    """Errors (px, 0.1 mm each) and tracks of needles that fade while they move, and are gone
    from frame 40 on.
    """
    depths = pistoning(48, cycles=3)
    levels = np.interp(np.arange(48), [0, 16, 39], [110.0, 110.0, 0.0])
    out = []
    for seed in (21, 22, 23):
        rng = np.random.default_rng(seed)
        image = tissue(seed)
        frames = [
            draw(image + rng.normal(0, 3, image.shape), depth, level=level)
            for depth, level in zip(depths, levels, strict=True)
        ]
        track = run(np.stack(frames), spacing_mm=(0.1, 0.1), fps=30.0)
        out.append((errors(track, depths), track))
    return out


class TestConfidence:
    def test_it_promises_no_more_than_it_keeps(self, fading) -> None:
        claimed = np.concatenate([track.tip_visible for _, track in fading])
        promised = np.concatenate([track.tip_confidence for _, track in fading])[claimed]
        error_px = np.concatenate([error for error, _ in fading])[claimed]
        # Three standard deviations of a share of nine in ten among 90 frames are 0.09.
        assert np.mean(error_px < 30) > promised.mean() - 0.09

    def test_it_falls_as_the_needle_fades_and_none_is_left_without_one(self, fading) -> None:
        confidence = np.stack([track.tip_confidence for _, track in fading])
        assert confidence[:, :16].min() > 0.9
        assert np.median(confidence[:, 30:36]) < 0.9
        assert not confidence[:, 40:].any()

    def test_it_is_the_probability_that_the_odds_say_below_a_ceiling(self) -> None:
        odds = np.array([-30.0, EVEN, 4.0, 30.0])
        assert confidence(odds, np.array([-1, 0, 1, 2, 3])) == pytest.approx(
            [0.0, 0.0, 0.5 * MOST_SURE, 0.918, MOST_SURE], abs=1e-3
        )

    def test_what_is_claimed_is_more_likely_right_than_not(self, fading) -> None:
        for _, track in fading:
            np.testing.assert_array_equal(track.tip_visible, track.tip_confidence >= 0.5)


class TestCrossSection:
    def test_a_spot_that_outshines_the_picture_is_out_of_plane(self) -> None:
        rng = np.random.default_rng(1)
        x = np.linspace(80, 220, 40)
        yy, xx = np.mgrid[:HEIGHT, :WIDTH]
        frames = []
        for place in x:
            spot = 200 * np.exp(-0.5 * (((xx - place) / 4) ** 2 + ((yy - 90) / 4) ** 2))
            frames.append(np.clip(spot + rng.rayleigh(3, (HEIGHT, WIDTH)), 0, 255))
        track = run(np.stack(frames).astype(np.uint8), spacing_mm=(0.1, 0.1), fps=30.0)
        assert track.plane is NeedlePlane.OUT
        assert track.tip_visible.mean() > 0.95
        assert np.nanmedian(np.abs(track.tip_px[:, 0] - x)) < 2
        assert np.nanmedian(np.abs(track.tip_px[:, 1] - 90)) < 4  # its front, one deviation up
        assert np.isnan(track.shaft_angle_deg).all()
        assert np.isnan(track.tail_px).all()

    def test_a_spot_that_moves_through_bright_tissue_and_bone_is_followed(self) -> None:
        rng = np.random.default_rng(2)
        image = tissue(4)
        x = 160 + 60 * np.sin(np.linspace(0, 4, 40))
        hidden = slice(18, 24)
        yy, xx = np.mgrid[:HEIGHT, :WIDTH]
        frames = []
        for k, place in enumerate(x):
            level = 0.0 if hidden.start <= k < hidden.stop else 130.0
            spot = level * np.exp(-0.5 * (((xx - place) / 3) ** 2 + ((yy - 90) / 3) ** 2))
            noise = rng.normal(0, 3, image.shape)
            frames.append(np.clip(image + spot + noise, 0, 255).astype(np.uint8))
        track = run(np.stack(frames), spacing_mm=(0.1, 0.1), fps=30.0)
        assert track.plane is NeedlePlane.OUT
        shown = np.ones(40, np.bool_)
        shown[hidden] = False
        assert track.tip_visible[shown].mean() > 0.9
        assert track.tip_visible[:6].all()  # what is new in the first frames is told by later ones
        assert not track.tip_visible[hidden].any()
        assert np.nanmedian(np.abs(track.tip_px[shown, 0] - x[shown])) < 2

    def test_a_spot_that_stays_is_none(self) -> None:
        rng = np.random.default_rng(2)
        image = tissue(4)
        image[86:95, 156:165] += 130
        frames = np.stack([image + rng.normal(0, 3, image.shape) for _ in range(30)])
        track = run(np.clip(frames, 0, 255).astype(np.uint8), fps=30.0)
        assert track.status is Status.NONE_FOUND


@pytest.mark.parametrize("degrees", [10.0, 25.0, 40.0, 55.0, 70.0])
def test_needles_at_every_angle_are_followed(degrees: float) -> None:
    rng = np.random.default_rng(int(degrees))
    image = tissue(31)
    entry = np.array([0.0, 60.0]) if degrees < 30 else np.array([60.0, 0.0])
    depths = pistoning(36, cycles=2, low=80.0, high=150.0)
    frames = [
        draw(image + rng.normal(0, 3, image.shape), depth, degrees, level=70.0, entry=entry)
        for depth in depths
    ]
    track = run(np.stack(frames), spacing_mm=(0.1, 0.1), fps=30.0)
    assert track.status is Status.MEASURED
    along = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    error = np.linalg.norm(track.tip_px - (entry + depths[:, None] * along), axis=1)
    assert np.mean(error < 30) >= 0.9  # within 3 mm
    assert np.nanmedian(error) < 3
    assert np.nanmax(np.abs(track.shaft_angle_deg - degrees)) < 2
    assert len(track.passes) == 2
