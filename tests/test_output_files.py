"""The tables, the overlay video and the report, and that they appear whole or not at all."""

import csv
import dataclasses
import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

import output_analyses as made
from usguide.errors import OutputError
from usguide.model import (
    Analysis,
    Discontinuity,
    Hint,
    MuscleResult,
    NeedleTrack,
    Options,
    Separation,
    SeparationFlag,
    Status,
    Strain,
)
from usguide.output import drawing
from usguide.output.annotation import Annotator
from usguide.output.charts import gap_against_contraction
from usguide.output.drawing import View
from usguide.output.geometry import thickness_caliper
from usguide.output.keyframes import key_frames
from usguide.output.overlay import Strip, render, still_view
from usguide.output.report import write_report
from usguide.output.summary import cards
from usguide.output.tables import FRAME_COLUMNS, write_frames
from usguide.output.words import because, confidence, number, sentence
from usguide.output.writing import write_results

COLUMNS = (
    "frame,time_s,duplicate_of,source_name,tip_x_px,tip_y_px,tip_x_mm,tip_y_mm,"
    "tip_visible,tip_confidence,tip_along_95_px,tip_across_95_px,tail_x_px,tail_y_px,"
    "shaft_angle_deg,insertion_depth_mm,tip_to_fascia_mm,fascia_thickness_mm,fascia_quality,muscle_superficial_y_px,"
    "muscle_deep_y_px,muscle_thickness_mm,contraction,displacement_mm,gap_mm,gap_low_mm,"
    "gap_high_mm,muscle_strain,muscle_strain_rate_per_s"
)


@pytest.fixture(scope="module")
def full() -> Analysis:
    return made.measured(made.clip())


def rows_of(analysis: Analysis, folder: Path) -> list[dict[str, str]]:
    path = folder / "frames.csv"
    write_frames(analysis, path)
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_frames_table_has_the_columns_and_a_row_per_source_frame(
    full: Analysis, tmp_path: Path
) -> None:
    rows = rows_of(full, tmp_path)
    assert ",".join(FRAME_COLUMNS) == COLUMNS == ",".join(rows[0])
    assert [int(row["frame"]) for row in rows] == list(range(made.FRAMES))
    np.testing.assert_allclose(
        [float(row["time_s"]) for row in rows], full.header.timing.time_s, atol=1e-4
    )
    with_tip = [row for row in rows if row["tip_x_px"]]
    assert len(with_tip) >= 5
    for row in with_tip:
        assert float(row["tip_x_mm"]) == pytest.approx(float(row["tip_x_px"]) * 0.25, abs=1e-3)
        assert float(row["tip_y_mm"]) == pytest.approx(float(row["tip_y_px"]) * 0.2, abs=1e-3)


def test_no_spreadsheet_calculates_the_name_of_a_frame(full: Analysis, tmp_path: Path) -> None:
    names = ("=1+1.png", "@a.png", "-12", *("frame.png" for _ in range(made.FRAMES - 3)))
    named = dataclasses.replace(full.header, source_names=names)
    rows = rows_of(dataclasses.replace(full, header=named), tmp_path)
    assert [row["source_name"] for row in rows[:4]] == [
        "'=1+1.png",
        "'@a.png",
        "-12",
        "frame.png",
    ]


def test_where_rest_is_not_known_no_picture_is_called_rest(full: Analysis) -> None:
    contraction = dataclasses.replace(
        full.motion.contraction, rest_known=False, separation=Separation(SeparationFlag.NONE, "")
    )
    motion = dataclasses.replace(full.motion, contraction=contraction)
    unknown = dataclasses.replace(full, motion=motion)
    said = " ".join(frame.caption for frame in key_frames(unknown))
    assert "At rest" in " ".join(frame.caption for frame in key_frames(full))
    assert "At rest" not in said
    assert "which one is rest is not told" in said
    pages = [write_report(one, [], {}, overlay=False, files=[]) for one in (full, unknown)]
    assert ["From rest, along its length" in page for page in pages] == [True, False]
    assert "From one end of the movement, along its length" in pages[1]


def test_a_repeated_frame_carries_the_values_of_its_original(
    full: Analysis, tmp_path: Path
) -> None:
    rows = rows_of(full, tmp_path)
    for repeat, of in made.DUPLICATES.items():
        assert rows[repeat]["duplicate_of"] == str(of)
        assert rows[repeat]["tip_x_px"]
        own = {"frame", "time_s", "duplicate_of", "source_name"}
        assert {k: v for k, v in rows[repeat].items() if k not in own} == {
            k: v for k, v in rows[of].items() if k not in own
        }


def test_what_is_unknown_is_an_empty_cell(tmp_path: Path) -> None:
    rows = rows_of(made.nothing_measured(made.clip(calibrated=False, timed=False)), tmp_path)
    assert {key: value for key, value in rows[0].items() if value} == {"frame": "0"}
    last = rows_of(made.measured(made.clip()), tmp_path)[-1]
    assert last["tip_visible"] == "0"
    assert last["tip_x_px"] == last["tip_y_mm"] == last["insertion_depth_mm"] == ""


def decoded(path: Path) -> tuple[list[float], list[np.ndarray], av.video.stream.VideoStream]:
    times, pictures = [], []
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        for frame in file.decode(stream):
            times.append(float(frame.pts * stream.time_base))
            pictures.append(frame.to_ndarray(format="rgb24"))
        return times, pictures, stream


def test_overlay_keeps_the_clip_s_frames_and_times(full: Analysis, tmp_path: Path) -> None:
    path = tmp_path / "overlay.mp4"
    told: list[tuple[str, int, int]] = []
    render(
        full, made.clip(), video=path, stills=(), progress=lambda *step: told.append(step)
    )  # fmt: skip
    times, pictures, stream = decoded(path)
    np.testing.assert_allclose(times, full.header.timing.time_s, atol=2 / 90_000)
    duration = float(stream.duration * stream.time_base)
    assert duration == pytest.approx(full.header.timing.duration_s, abs=1e-3)
    assert stream.codec_context.name == "h264"
    assert stream.codec_context.pix_fmt == "yuv420p"
    height, width, _ = pictures[0].shape
    assert width % 2 == height % 2 == 0
    assert told[0] == ("overlay", 0, made.FRAMES)
    assert told[-1] == ("overlay", made.FRAMES, made.FRAMES)
    # A browser that streams the file needs its index before its pictures.
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_a_repeated_frame_is_drawn_as_its_original(full: Analysis) -> None:
    strip = Strip(full)
    pictures = [picture.copy() for picture in strip.pictures(made.clip().frames())]
    assert len(pictures) == made.FRAMES
    drawn = slice(0, made.HEIGHT)
    np.testing.assert_array_equal(pictures[6][drawn], pictures[4][drawn])
    assert (pictures[6] != pictures[4]).any()  # its own time is written below
    assert (pictures[7][drawn] != pictures[4][drawn]).any()


def test_only_the_region_is_shown() -> None:
    """Scanners write the patient's name around it."""
    clip = made.clip()
    strip = Strip(made.nothing_measured(clip))
    picture = next(strip.pictures(clip.frames()))
    region = made.REGION
    inside = picture[region.slices]
    np.testing.assert_array_equal(inside[:50, :, 0], clip[0][:50])
    outline = 4
    above = picture[: region.y - outline]
    left = picture[: made.HEIGHT, : region.x - outline]
    assert not above.any()
    assert not left.any()


def test_overlay_without_timing_plays_all_frames(tmp_path: Path) -> None:
    clip = made.clip(timed=False)
    path = tmp_path / "overlay.mp4"
    render(made.measured(clip), clip, video=path, stills=(), progress=lambda *_: None)
    times, _, _ = decoded(path)
    assert times == pytest.approx(np.arange(made.FRAMES) / 10)


@pytest.mark.parametrize("frames", [1, 2])
def test_shortest_clips_have_an_overlay(frames: int, tmp_path: Path) -> None:
    clip = made.clip(frames=frames)
    path = tmp_path / "overlay.mp4"
    render(made.nothing_measured(clip), clip, video=path, stills=(), progress=lambda *_: None)
    assert len(decoded(path)[0]) == frames


def test_time_stamps_that_do_not_grow_are_made_to(tmp_path: Path) -> None:
    from usguide.output.overlay import Video

    path = tmp_path / "overlay.mp4"
    picture = np.zeros((48, 64, 3), np.uint8)
    with Video(path, 64, 48, np.array([0.0, 0.04, 0.04, 0.02, 0.1])) as film:
        for _ in range(5):
            film.add(picture)
    times = decoded(path)[0]
    assert len(times) == 5
    assert (np.diff(times) >= float(Fraction(1, 90_000)) * 0.99).all()


def test_the_needle_is_drawn_where_its_tip_is(full: Analysis) -> None:
    """The ring's centre of mass, in source px, is the tip."""
    clip = made.clip()
    with_needle = [picture.copy() for picture in Strip(full).pictures(clip.frames())]
    index = 9
    x, y = full.needle.tip_px[index]
    around = with_needle[index][int(y) - 8 : int(y) + 9, int(x) - 8 : int(x) + 9].astype(int)
    # Orange: much more red than blue (pictures are blue, green, red).
    coloured = around[..., 2] - around[..., 0] > 60
    assert coloured.any()
    rows, columns = np.nonzero(coloured)
    assert columns.mean() - 8 + int(x) == pytest.approx(x, abs=2.0)
    assert rows.mean() - 8 + int(y) == pytest.approx(y, abs=2.0)


def test_stills_are_enlarged_pictures_of_the_region(full: Analysis) -> None:
    import cv2

    stills = render(full, made.clip(), video=None, stills={3, 10}, progress=lambda *_: None)
    assert sorted(stills) == [3, 10]
    picture = cv2.imdecode(np.frombuffer(stills[3], np.uint8), cv2.IMREAD_COLOR)
    view = still_view(full.header)
    assert picture.shape == (view.height, view.width, 3)
    assert view.width == made.REGION.width * view.scale


def page_of(analysis: Analysis, folder: Path, **options: bool) -> str:
    return write_results(analysis, made.clip(), folder / "out", **options).read_text("utf-8")


def test_report_needs_nothing_but_itself(full: Analysis, tmp_path: Path) -> None:
    page = page_of(full, tmp_path)
    assert re.findall(r"https?://", page) == []
    assert re.findall(r"<(?:link|script|iframe|object|embed)\b", page) == []
    assert all(source.startswith("data:image/") for source in re.findall(r'src="([^"]*)"', page))
    assert "@import" not in page
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", page))
    identifiers = re.findall(r'\bid="([^"]*)"', page)
    assert len(identifiers) == len(set(identifiers))


def test_report_links_to_the_files_beside_it_and_nowhere_else(
    full: Analysis, tmp_path: Path
) -> None:
    page = page_of(full, tmp_path)
    links = [
        target
        for target in re.findall(r'href="([^"]*)"', page)
        if not target.startswith(("#", "data:image/"))
    ]
    files = ["overlay.mp4", "result.json", "frames.csv", "fascia_profile.csv"]
    assert sorted(links) == sorted(files)
    assert all((tmp_path / "out" / name).is_file() for name in files)
    without = page_of(made.nothing_measured(made.clip()), tmp_path, overlay=False)
    assert "overlay.mp4" not in without
    assert "fascia_profile.csv" not in without


def test_report_leads_with_numbers_intervals_and_status(full: Analysis, tmp_path: Path) -> None:
    page = page_of(full, tmp_path)
    assert page.index("3.4 mm") < page.index("<h2>Pictures")
    assert "95 % interval 3.2 to 3.6 mm" in page
    assert "thickened: largest over 4 mm" in page
    assert "the ends separate" in page
    assert "not a medical device" in page
    assert "0123456789ab<" in page
    assert "/data/clinic" not in page
    assert page.count("<svg") == 7
    assert page.count("data:image/jpeg") >= 4
    # Drawn text stays text, axes have units.
    for label in ("thickness (mm)", "time (s)", "gap (mm)", "insertion depth (mm)"):
        assert label in page


@pytest.mark.parametrize(("gain", "said"), [(4.0, "+4.0 mm ("), (-4.0, "−4.0 mm (−")])
def test_what_the_gap_gains_is_said_with_its_sign(full: Analysis, gain: float, said: str) -> None:
    activation = np.linspace(0.0, 1.0, made.FRAMES)
    contraction = dataclasses.replace(
        full.motion.contraction, activation=activation, gap_mm=6.0 + gain * activation
    )
    motion = dataclasses.replace(full.motion, contraction=contraction)
    drawn = gap_against_contraction(dataclasses.replace(full, motion=motion))
    assert drawn is not None
    assert said in drawn


def test_report_lists_the_thickness_at_every_station(full: Analysis, tmp_path: Path) -> None:
    thickness = full.fascia.thickness_mm
    assert thickness is not None
    assert thickness.stations
    page = page_of(full, tmp_path)
    for station in thickness.stations:
        value = station.thickness
        said = f"{value.value:.1f} mm ({value.low:.1f} to {value.high:.1f})"
        assert f">{station.distance_mm:g} mm</th><td>{said}</td>" in page


def test_report_says_how_sure_the_heel_is(full: Analysis, tmp_path: Path) -> None:
    fascia = dataclasses.replace(full.fascia, confidence=0.874)
    page = page_of(dataclasses.replace(full, fascia=fascia), tmp_path, overlay=False)
    assert page.count("confidence 87 %") == 1


def test_report_says_why_nothing_was_measured(tmp_path: Path) -> None:
    page = page_of(made.nothing_measured(made.clip()), tmp_path, overlay=False)
    assert "Not measured because no bright convex bone line is in view." in page
    assert "Not measured because the deep border leaves the picture." in page
    # What the numbers suffer from is read with them, not after the pictures.
    assert page.index("The last frame is cut short and was left out.") < page.index("<h2>")
    assert "<svg" not in page
    assert "overlay.mp4" not in page
    assert "Nothing could be measured. The picture below is what was looked at" in page
    assert "95 % interval" not in page


def test_report_says_what_was_given_by_hand(full: Analysis, tmp_path: Path) -> None:
    asked = Options(spacing_mm=(0.25, 0.2), region=2, fps=20.0, hints=(Hint(3, None),), online=True)
    page = page_of(dataclasses.replace(full, options=asked), tmp_path)
    given = "spacing 0.25 × 0.2 mm, region number 2, 20 frames/s, the needle&#39;s tip in 1 frame"
    assert given in page
    assert "no look at later frames" in page


def test_report_without_calibration_gives_no_millimetre(tmp_path: Path) -> None:
    page = page_of(made.nothing_measured(made.clip(calibrated=False)), tmp_path)
    assert "lengths are in pixels" in page
    assert not re.search(r"\d mm", page)


def test_a_file_name_cannot_inject_markup(tmp_path: Path) -> None:
    clip = made.clip(path="<script>alert(1)</script>.dcm")
    page = page_of(made.nothing_measured(clip), tmp_path, overlay=False)
    assert "<script>" not in page


@pytest.mark.parametrize(
    ("reason", "clause"),
    [
        ("No bone is in view.", "no bone is in view"),
        ("the clip has one frame", "the clip has one frame"),
        ("B-mode is missing", "B-mode is missing"),
        ("DICOM says otherwise.", "DICOM says otherwise"),
    ],
)
def test_reasons_read_as_clauses(reason: str, clause: str) -> None:
    assert because(reason) == clause


def test_nothing_is_said_to_be_certain() -> None:
    assert confidence(0.99) == "confidence 99 %"
    assert confidence(0.9999) == "confidence over 99 %"


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (-1.25, "mm", "−1.2 mm"),
        (-3.0, "%", "−3 %"),
        (12.4, "px", "12 px"),
        (-0.5, "1", "−0.50"),
        (-0.01, "mm", "0.0 mm"),
    ],
)
def test_numbers_have_the_digits_of_their_unit(value: float, unit: str, said: str) -> None:
    assert number(value, unit) == said


def test_cards_cover_what_was_asked_for(full: Analysis) -> None:
    assert all(card.measured and card.figures for card in cards(full))
    assert {card.title for card in cards(full)} == {
        "Plantar fascia",
        "Needle",
        "Muscle",
        "Contraction",
        "Muscle separation",
        "Local twitch",
    }


def test_what_asks_for_attention_is_read_first_and_what_was_not_measured_last(
    full: Analysis,
) -> None:
    undecided = Separation(SeparationFlag.INDETERMINATE, "too little was seen of it")
    contraction = dataclasses.replace(full.motion.contraction, separation=undecided)
    absent = dataclasses.replace(
        full,
        needle=NeedleTrack(Status.NONE_FOUND, "no line moves as a needle does"),
        muscle=MuscleResult(Status.NOT_MEASURED, "the deep border leaves the picture"),
        motion=dataclasses.replace(full.motion, contraction=contraction),
    )
    assert [card.title for card in cards(absent)] == [
        "Plantar fascia",  # thickened
        "Contraction",
        "Local twitch",
        "Muscle separation",  # cannot be decided
        "Needle",
        "Muscle",
    ]


def test_a_twitch_beside_no_followed_needle_says_so(full: Analysis) -> None:
    alone = dataclasses.replace(full, needle=NeedleTrack(Status.NONE_FOUND, "no line moves"))
    notes = [
        {card.title: card.note for card in cards(analysis)}["Local twitch"]
        for analysis in (full, alone)
    ]
    assert notes[0] == ""
    assert notes[1].startswith("No needle is followed")


def test_every_interruption_is_named_and_missing_strain_is_said(full: Analysis) -> None:
    twice = (Discontinuity(6.0, 2.5, 0.9), Discontinuity(14.0, 3.5, 0.6))
    strain = Strain(Status.NOT_MEASURED, "the deep border leaves the picture.")
    contraction = dataclasses.replace(full.motion.contraction, strain=strain)
    made_up = dataclasses.replace(
        full,
        fascia=dataclasses.replace(full.fascia, discontinuity=twice),
        motion=dataclasses.replace(full.motion, contraction=contraction),
    )
    by_title = {card.title: card for card in cards(made_up)}
    figures = by_title["Plantar fascia"].figures
    assert [one.value for one in figures if one.label == "interruption of the fibres"] == [
        "2.5 mm",
        "3.5 mm",
    ]
    assert by_title["Contraction"].note.endswith(
        "Its strain was not measured because the deep border leaves the picture."
    )


def test_a_card_does_not_say_its_figure_again(full: Analysis) -> None:
    known = dataclasses.replace(full.motion.contraction, reason="1 contraction found.")
    unknown = dataclasses.replace(known, reason="Rest is not told.", rest_known=False)
    for contraction, noted in ((known, False), (unknown, True)):
        motion = dataclasses.replace(full.motion, contraction=contraction)
        said = {card.title: card for card in cards(dataclasses.replace(full, motion=motion))}
        assert (sentence(contraction.reason) in said["Contraction"].note) is noted


def test_the_label_of_the_insertion_leaves_its_ring_free(full: Analysis) -> None:
    assert full.fascia.profile is not None
    line = np.column_stack([np.linspace(30.0, 90.0, 61), np.full(61, 40.0)])
    profile = dataclasses.replace(full.fascia.profile, midline_px=line)
    ends = thickness_caliper(profile, 0.0, full.header.calibration.spacing_mm)
    assert ends is not None
    fascia = dataclasses.replace(
        full.fascia, profile=profile, insertion_px=tuple(ends[1]), fluid=(), spur=None
    )
    view = View(0.0, 0.0, 6.0, 960, 720, 2, 12)
    canvas = np.zeros((720, 960, 3), np.uint8)
    drawn = Annotator(dataclasses.replace(full, fascia=fascia), view)
    drawn.draw(canvas, 0, made.clip()[0])
    x, y = np.rint(view.canvas_px(ends[1])).astype(int)
    lowest = canvas[y + 6 : y + 11, x, ::-1].astype(int)  # of the ring, four strokes down
    assert (np.abs(lowest - drawing.SKY_BLUE).max(axis=1) < 20).any()


def test_a_gap_whose_width_is_unknown_is_ringed_where_it_is_open_only(full: Analysis) -> None:
    contraction = dataclasses.replace(full.motion.contraction, gap_mm=None, collections=())
    motion = dataclasses.replace(full.motion, contraction=contraction, twitches=())
    drawn = Annotator(
        dataclasses.replace(full, motion=motion), View(0.0, 0.0, 6.0, 960, 720, 2, 12)
    )
    clip = made.clip()
    for index, ringed in ((0, False), (int(np.nanargmax(contraction.activation)), True)):
        canvas = np.zeros((720, 960, 3), np.uint8)
        drawn.draw(canvas, index, clip[index])
        x, y = np.rint(drawn.view.canvas_px(np.array(contraction.separation.location_px)))
        around = canvas[int(y) - 20 : int(y) + 21, int(x) - 20 : int(x) + 21, ::-1].astype(int)
        assert (np.abs(around - drawing.REDDISH_PURPLE).max(axis=2) < 20).any() == ringed


def test_results_appear_together_and_replace_an_earlier_run(full: Analysis, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "out"
    clip = made.clip()
    write_results(full, clip, folder)
    names = {"result.json", "frames.csv", "fascia_profile.csv", "overlay.mp4", "report.html"}
    assert {path.name for path in folder.iterdir()} == names
    (folder / "notes.txt").write_text("mine")
    write_results(made.nothing_measured(clip), clip, folder, overlay=False)
    assert {path.name for path in folder.iterdir()} == {
        "result.json",
        "frames.csv",
        "report.html",
        "notes.txt",
    }
    assert [path.name for path in folder.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("existing", [False, True])
def test_a_failure_half_way_leaves_nothing(full: Analysis, tmp_path: Path, existing: bool) -> None:
    folder = tmp_path / "out"
    if existing:
        folder.mkdir()

    def stop(_name: str, done: int, _total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_results(full, made.clip(), folder, progress=stop)
    assert [path.name for path in tmp_path.rglob("*")] == (["out"] if existing else [])


def test_a_place_that_cannot_be_written_to_is_named(full: Analysis, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(OutputError, match="taken is a file, not a folder"):
        write_results(full, made.clip(), tmp_path / "taken" / "out")
