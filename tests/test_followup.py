"""What may be said of a change, and what may not."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import output_analyses as made
import usguide
from output_analyses import mm
from usguide import cli
from usguide.errors import ConfigError, UnreadableError
from usguide.followup.change import (
    Change,
    Verdict,
    difference,
    echo_intensity_detectable,
    fascia_thickness_detectable,
    judge,
    minimal_detectable_change,
    own_detectable,
)
from usguide.followup.comparison import Comparison
from usguide.followup.document import comparison_document, comparison_schema
from usguide.followup.page import comparison_page
from usguide.followup.words import change_words, interval_words
from usguide.model import (
    Analysis,
    Calibration,
    CalibrationSource,
    FasciaResult,
    Measurement,
    Side,
    Station,
    Status,
    Thickness,
)
from usguide.output.result_json import result_document, to_json
from usguide.output.writing import write_results
from usguide.synth import make_scene, write

# --- the arithmetic ---------------------------------------------------------------------------


def test_the_published_typical_errors_give_04_to_09_mm_at_4_mm() -> None:
    found = fascia_thickness_detectable(mm(4.2), mm(3.8))
    assert found.low == pytest.approx(0.377, abs=0.001)
    assert found.high == pytest.approx(0.931, abs=0.001)
    assert minimal_detectable_change(1.0) == pytest.approx(2.772, abs=0.001)


def test_echo_intensity_needs_eleven_grey_levels() -> None:
    level = Measurement(60, 55, 65, "grey level")
    assert echo_intensity_detectable(level, level).high == pytest.approx(11.07, abs=0.01)


def test_the_difference_adds_the_intervals_in_squares_on_the_sides_that_matter() -> None:
    before = Measurement(4.0, 3.0, 4.3, "mm")
    after = Measurement(5.0, 4.6, 7.0, "mm")
    change = difference(before, after)
    assert change.value == pytest.approx(1.0)
    assert change.low == pytest.approx(1.0 - 0.5)
    assert change.high == pytest.approx(1.0 + 5**0.5)
    back = difference(after, before)
    assert (back.low, back.high) == pytest.approx((-change.high, -change.low))


def test_two_units_have_no_difference() -> None:
    with pytest.raises(ValueError, match="not the same unit"):
        difference(mm(4.0), Measurement(4.0, 3.0, 5.0, "px"))


@pytest.mark.parametrize(
    ("before", "after", "verdict", "why"),
    [
        (mm(4.8), mm(3.2), Verdict.CHANGED, "more than the minimal detectable change of 0.4 to"),
        (mm(4.0), mm(4.2), Verdict.NOT_SHOWN, "less than the minimal"),
        (mm(4.0), mm(4.7), Verdict.NOT_SHOWN, "the most repeatable rater"),
        (mm(5.0, 1.5), mm(3.2, 1.5), Verdict.NOT_SHOWN, "its interval includes no change"),
    ],
)
def test_a_change_must_leave_out_zero_and_pass_the_detectable_one(
    before: Measurement, after: Measurement, verdict: Verdict, why: str
) -> None:
    said, reason = judge(difference(before, after), fascia_thickness_detectable(before, after))
    assert said is verdict
    assert why in reason


def test_where_no_study_is_known_the_intervals_decide() -> None:
    before, after = mm(2.0, 0.3), mm(3.0, 0.4)
    assert own_detectable(before, after).high == pytest.approx(0.5)
    assert judge(difference(before, after), own_detectable(before, after))[0] is Verdict.CHANGED


# --- two analyses -----------------------------------------------------------------------------


def analysis(shift_mm: float = 0.0, muscle_mm: float = 0.0, **changed: Any) -> Analysis:
    """Everything measured, the fascia thicker by ``shift_mm``, the muscle by ``muscle_mm``."""
    whole = made.measured(made.clip())
    thickness = whole.fascia.thickness_mm
    assert thickness is not None
    assert thickness.insertion is not None
    assert whole.muscle.thickness_mm is not None

    def moved(one: Measurement, by: float) -> Measurement:
        return Measurement(one.value + by, one.low + by, one.high + by, one.unit)

    fascia = dataclasses.replace(
        whole.fascia,
        thickness_mm=dataclasses.replace(
            thickness,
            insertion=moved(thickness.insertion, shift_mm),
            stations=tuple(
                Station(s.distance_mm, moved(s.thickness, shift_mm)) for s in thickness.stations
            ),
        ),
        **changed.pop("fascia", {}),
    )
    muscle = dataclasses.replace(
        whole.muscle, thickness_mm=moved(whole.muscle.thickness_mm, muscle_mm)
    )
    header = dataclasses.replace(whole.header, **changed.pop("header", {}))
    return dataclasses.replace(whole, fascia=fascia, muscle=muscle, header=header, **changed)


def by_name(comparison: Comparison) -> dict[str, Any]:
    return {one.name: one for one in comparison.changes}


def test_a_thinner_fascia_is_said_to_have_changed_and_the_rest_not() -> None:
    found = by_name(usguide.compare(analysis(), analysis(-1.6)))
    assert found["fascia_insertion_mm"].verdict is Verdict.CHANGED
    assert found["fascia_insertion_mm"].change.value == pytest.approx(-1.6, abs=1e-3)
    assert found["fascia_at_10mm_mm"].verdict is Verdict.CHANGED
    assert found["fascia_maximum_mm"].verdict is Verdict.NOT_SHOWN
    assert found["muscle_thickness_mm"].verdict is Verdict.NOT_SHOWN
    assert "fascia_at_30mm_mm" not in found, "what neither has is left out"


def test_what_is_missing_on_one_side_is_not_compared_and_says_why() -> None:
    whole = analysis()
    lost = dataclasses.replace(
        whole, fascia=FasciaResult(Status.NOT_MEASURED, "Fog.", side=whole.fascia.side)
    )
    one = by_name(usguide.compare(analysis(), lost))["fascia_insertion_mm"]
    assert one.verdict is Verdict.NOT_COMPARABLE
    assert one.change is None
    assert one.reason == "not measured after (Fog)"


def test_another_scale_source_is_not_compared_in_millimetres() -> None:
    ruler = analysis(
        header={"calibration": Calibration(0.25, 0.2, CalibrationSource.RULER, 0.9, "a ruler")}
    )
    found = by_name(usguide.compare(analysis(), ruler))
    lengths = [one for name, one in found.items() if name.endswith("_mm")]
    assert {one.verdict for one in lengths} == {Verdict.NOT_COMPARABLE}
    assert "the DICOM header before and from a ruler" in lengths[0].reason
    assert found["muscle_echo_intensity"].verdict is Verdict.NOT_SHOWN


def test_pixels_are_not_compared_with_millimetres() -> None:
    unscaled = made.measured(made.clip(calibrated=False))
    in_px = dataclasses.replace(
        unscaled.fascia,
        thickness_mm=None,
        thickness_px=Thickness(insertion=Measurement(30, 28, 33, "px")),
    )
    unscaled = dataclasses.replace(unscaled, fascia=in_px)
    found = by_name(usguide.compare(analysis(), unscaled))
    assert found["fascia_insertion_mm"].reason == (
        "the clip after has no scale: pixels against millimetres"
    )
    both = by_name(usguide.compare(unscaled, unscaled))
    assert both["fascia_insertion_mm"].before.unit == "px"
    assert both["fascia_insertion_mm"].verdict is Verdict.NOT_COMPARABLE
    assert both["fascia_insertion_mm"].reason.startswith("neither clip has a scale")


def test_a_heel_bone_on_the_other_side_is_declined_until_somebody_says_which_foot() -> None:
    assert analysis().fascia.side is Side.LEFT
    turned = analysis(-1.6, fascia={"side": Side.RIGHT})
    declined = usguide.compare(analysis(), turned)
    assert by_name(declined)["fascia_insertion_mm"].verdict is Verdict.NOT_COMPARABLE
    assert "--sides" in by_name(declined)["fascia_insertion_mm"].reason
    for sides in ("same", "other"):
        said = usguide.compare(analysis(), turned, sides=sides)
        assert by_name(said)["fascia_insertion_mm"].verdict is Verdict.CHANGED


def test_echo_intensity_is_only_compared_at_the_same_settings() -> None:
    deeper = analysis(
        header={"calibration": Calibration(0.3, 0.24, CalibrationSource.DICOM, 1.0, "DICOM")}
    )
    one = by_name(usguide.compare(analysis(), deeper))["muscle_echo_intensity"]
    assert one.verdict is Verdict.NOT_COMPARABLE
    assert "depth setting" in one.reason
    same = usguide.compare(analysis(), analysis())
    assert any("gain, dynamic range" in note for note in same.notes)


def test_atrophy_is_named_only_where_the_muscle_is_thinner_beyond_the_detectable_change() -> None:
    def notes(before: Analysis, after: Analysis, sides: str) -> str:
        return " ".join(usguide.compare(before, after, sides=sides).notes)

    thin = analysis(muscle_mm=-3.5)
    assert "has become thinner" in notes(analysis(), thin, "same")
    assert "second side is thinner" in notes(analysis(), thin, "other")
    assert "first side is thinner" in notes(thin, analysis(), "other")
    assert "atrophy" not in notes(thin, analysis(), "same")
    assert "atrophy" not in notes(analysis(), analysis(muscle_mm=-2.5), "same")


def test_the_document_keeps_its_schema_and_the_page_says_the_same() -> None:
    comparison = usguide.compare(analysis(), analysis(-1.6))
    document = json.loads(to_json(comparison_document(comparison)))
    jsonschema.validate(document, comparison_schema())
    assert document["changes"][0]["verdict"] == "changed"
    page = comparison_page(comparison)
    assert document["summary"] in page
    assert "−1.6 mm" in page
    assert page.count("<svg") == 1
    assert "J Clin Ultrasound" in page


# --- from disk, and at the command line -------------------------------------------------------


def test_results_on_disk_say_the_same_as_the_analysis(tmp_path: Path) -> None:
    clip = made.clip()
    whole = made.measured(clip)
    write_results(whole, clip, tmp_path / "r", overlay=False)
    from_disk = usguide.compare(tmp_path / "r", tmp_path / "r" / "result.json")
    from_memory = usguide.compare(whole, whole)
    assert comparison_document(from_disk)["changes"] == comparison_document(from_memory)["changes"]
    assert from_disk.before.profile is not None
    assert from_disk.before.profile.thickness_mm == pytest.approx(
        whole.fascia.profile.thickness, abs=1e-3
    )
    assert "Both are the same recording." in from_disk.notes


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "is not JSON"),
        ("[]", "its schema is None"),
        ('{"schema": "usguide/result/0"}', "its schema is usguide/result/0"),
        ('{"schema": "usguide/result/1"}', "is damaged"),
    ],
)
def test_a_file_that_is_no_result_is_named(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "result.json"
    file.write_text(text)
    with pytest.raises(UnreadableError, match=why) as raised:
        usguide.compare(file, file)
    assert str(file) in str(raised.value)


def test_a_value_of_the_wrong_type_is_damage_not_a_crash(tmp_path: Path) -> None:
    document = result_document(analysis())
    document["fascia"]["thickness_mm"]["insertion"]["low"] = "thin"
    file = tmp_path / "result.json"
    file.write_text(to_json(document))
    with pytest.raises(UnreadableError, match="is damaged"):
        usguide.compare(file, file)


def results(folder: Path, shift_mm: float) -> Path:
    folder.mkdir()
    (folder / "result.json").write_text(to_json(result_document(analysis(shift_mm))))
    return folder


def test_the_command_writes_a_page_and_a_document_and_prints_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = results(tmp_path / "b", 0.0), results(tmp_path / "a", -1.6)
    out = tmp_path / "change"
    assert cli.run(["compare", str(before), str(after), "-o", str(out), "--json"]) == 0
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert document == json.loads((out / "compare.json").read_text())
    assert "changed" in said.err
    assert "at the insertion" in (out / "compare.html").read_text()
    assert sorted(path.name for path in out.iterdir()) == ["compare.html", "compare.json"]


def test_exit_codes_say_what_went_wrong(tmp_path: Path) -> None:
    good = results(tmp_path / "good", 0.0)
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    (nothing / "result.json").write_text(
        to_json(result_document(made.nothing_measured(made.clip())))
    )
    assert cli.run(["compare", str(good), str(nothing)]) == 4
    assert cli.run(["compare", str(good), str(tmp_path / "absent")]) == 3
    assert cli.run(["compare", str(good), str(good), "--sides", "up"]) == 2
    assert cli.run(["compare", str(good), str(good), "--spacing", "0.1"]) == 2
    assert cli.run(["compare", str(good)]) == 2


def test_sides_that_are_none_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'up' is none; there are unsaid, same, other"):
        usguide.compare(tmp_path / "absent", tmp_path / "absent", sides="up")


@pytest.mark.slow
def test_synthetic_clips_before_and_after(tmp_path: Path) -> None:
    """The same heel, 5.4 and then 3.0 mm thick at its insertion."""
    there = []
    for name, seed, thickness in (("b", 16, 5.4), ("a", 16, 3.0)):
        scene = make_scene("heel", seed=seed, frames=1, thickness_mm=thickness, disease=0.2)
        write(scene, tmp_path / f"{name}.dcm")
        stations = scene.truth["fascia"]["thickness_mm"]["stations"]
        there.append(next(one["value"] for one in stations if one["distance_mm"] == 5.0))
    found = by_name(usguide.compare(tmp_path / "b.dcm", tmp_path / "a.dcm"))
    one = found["fascia_at_5mm_mm"]
    assert one.verdict is Verdict.CHANGED
    assert one.change.low <= there[1] - there[0] <= one.change.high
    # There the deep border is hidden by the bone's echo, and the interval is wider.
    whole = found["fascia_insertion_mm"].change
    assert whole.low <= 3.0 - 5.4 <= whole.high


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (-3.2, 1.1, "−3.2 to 1.1"),
        (-3.2, -0.02, "−3.20 to −0.02"),
        (0.04, 2.0, "0.04 to 2.00"),
        (-0.04, 2.0, "0.0 to 2.0"),
    ],
)
def test_an_interval_that_leaves_out_zero_does_not_read_as_if_it_did_not(
    low: float, high: float, said: str
) -> None:
    assert interval_words(Measurement((low + high) / 2, low, high, "mm")) == said


def test_no_change_has_no_sign_of_its_own() -> None:
    none = Measurement(-0.01, -1.0, 1.0, "mm")
    change = Change("a", "A", none, none, Verdict.NOT_SHOWN, "", none)
    assert change_words(change) == "0.0 mm"
