"""Tips that a person knows: honoured by the path, or refused in a sentence."""

import json

import numpy as np
import pytest

from test_needle import NO_FASCIA, clip_of, errors, pistoning, run, tip_at
from usguide import Options, analyze
from usguide.errors import ConfigError
from usguide.ingest.clip import Clip
from usguide.model import Hint, Status, Task
from usguide.needle import NeedleStage
from usguide.request import read_hints, read_options


def run_with(frames: np.ndarray, *hints: Hint):
    clip = Clip.from_array(frames, spacing_mm=(0.1, 0.1), fps=30.0)
    stage = NeedleStage(clip.header, hints)
    for index, frame in clip.frames():
        stage.observe(index, frame)
    return stage.conclude(clip, NO_FASCIA)


@pytest.fixture(scope="module")
def still() -> np.ndarray:
    """A needle that never moves: on its own not told from bone."""
    return clip_of(np.full(25, 150.0))


def test_one_hint_makes_a_needle_of_what_never_moves(still) -> None:
    assert run(still).status is Status.NONE_FOUND
    track = run_with(still, Hint(4, tuple(tip_at(150.0))))
    assert track.status is Status.MEASURED
    assert "1 of them shown by hand" in track.reason
    assert track.tip_visible.mean() > 0.9
    assert np.nanmedian(errors(track, np.full(25, 150.0))) < 3


def test_the_path_goes_through_the_tip_that_was_shown() -> None:
    depths = pistoning(40)
    shown = (141.0, 117.0)
    track = run_with(clip_of(depths), Hint(10, shown))
    np.testing.assert_allclose(track.tip_px[10], shown, atol=1e-6)
    others = np.delete(np.arange(40), 10)
    assert np.nanmedian(errors(track, depths)[others]) < 3


def test_a_frame_said_to_show_no_tip_claims_none() -> None:
    hints = [Hint(frame, None) for frame in (3, 20, 21)]
    track = run_with(clip_of(pistoning(40)), *hints)
    assert not track.tip_visible[[3, 20, 21]].any()
    assert np.isnan(track.tip_px[[3, 20, 21]]).all()
    assert np.delete(track.tip_visible, [3, 20, 21]).mean() > 0.9


def test_a_tip_shown_where_no_line_is_still_counts() -> None:
    track = run_with(clip_of(np.full(12, -1.0)), Hint(5, (250.0, 60.0)))
    np.testing.assert_allclose(track.tip_px[5], (250.0, 60.0), atol=1e-6)
    assert track.tip_visible[5]


@pytest.mark.parametrize(
    ("hints", "words"),
    [
        ([Hint(25, None)], "there is no frame 25; the recording has frames 0 to 24"),
        ([Hint(-1, None)], "no frame -1"),
        ([Hint(3, (400.0, 20.0))], "outside the picture"),
        ([Hint(3, (20.0, 20.0)), Hint(3, None)], "hinted at twice, differently"),
    ],
)
def test_hints_that_cannot_be_are_refused(still, hints, words: str) -> None:
    clip = Clip.from_array(still)
    with pytest.raises(ConfigError, match="hints: ") as refused:
        analyze(clip, Options(tasks=frozenset({Task.NEEDLE}), hints=tuple(hints)))
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read"),
        ('{"frame": 1}', "no list"),
        ('[{"frame": 1}]', "has not frame and tip_px"),
        ('[{"frame": 1.5, "tip_px": null}]', "no whole number"),
        ('[{"frame": true, "tip_px": null}]', "no whole number"),
        ('[{"frame": 1, "tip_px": [3]}]', "is not [x, y]"),
        ('[{"frame": 1, "tip_px": [NaN, 3]}]', "is not [x, y]"),
    ],
)
def test_a_file_that_is_no_list_of_hints_is_refused(tmp_path, text: str, words: str) -> None:
    path = tmp_path / "hints.json"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        read_hints(path)
    assert words in str(refused.value)
    assert str(path) in str(refused.value)


def test_no_file_of_hints_is_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_options({"hints": tmp_path / "none.json"})


def test_hints_are_read_from_a_file(tmp_path) -> None:
    path = tmp_path / "hints.json"
    rows = [{"frame": 3, "tip_px": [10, 20.5]}, {"frame": 4, "tip_px": None}]
    path.write_text(json.dumps(rows))
    assert read_options({"hints": str(path)}).hints == (Hint(3, (10.0, 20.5)), Hint(4, None))
