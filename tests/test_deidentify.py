"""A de-identified copy: no identity in the header, the container or the pixels; the same picture.

What could not be checked is said: a copy is never called clean on trust.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import cv2
import deid_data
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin
from pydicom.data import get_testdata_file
from pydicom.datadict import DicomDictionary
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomFileLike
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import JPEGBaseline8Bit

from ingest_files import region_item, write_dicom, write_video
from usguide import ConfigError, OutputError, UnreadableError, cli, open_clip
from usguide.ingest.blanking import shown_area
from usguide.ingest.burned_text import TextSearch
from usguide.ingest.deidentify import deidentify
from usguide.ingest.deidentify_attributes import EMPTIED, KEPT, PSEUDONYMS, REMAPPED
from usguide.ingest.deidentify_profile import Pseudonyms, clean_header
from usguide.ingest.screen_text import text_in_words
from usguide.ingest.sources import read_source

pytestmark = [
    # pydicom reports what is odd in old files.
    pytest.mark.filterwarnings("ignore::UserWarning:pydicom"),
]

SAMPLES = Path(__file__).parents[1] / "sample_data"
CLIPS = Path(__file__).parents[2] / "shared" / "clips"
BOX = (40, 30, 199, 149)
"""First and last column and row of the picture in the made recordings, as DICOM counts them."""
INSIDE = (slice(30, 150), slice(40, 200))
IDENTITY: dict[str, Any] = {
    "PatientName": "Mustermann^Erika",
    "PatientID": "PID-998877",
    "PatientBirthDate": "19570412",
    "StudyDate": "20240307",
    "ContentTime": "081653",
    "AccessionNumber": "ACC4455",
    "StudyInstanceUID": "1.2.826.0.1.3680043.2.1125.7.7.7",
    "SeriesInstanceUID": "1.2.826.0.1.3680043.2.1125.8.8.8",
    "InstitutionName": "Klinikum Nirgendwo",
    "StudyDescription": "heel of Erika",
    "ReferringPhysicianName": "Doktor^Anton",
}


def cine(frames: int = 12, *, seed: int = 3) -> NDArray[np.uint8]:
    """A screen with a moving picture, and a name and a bar outside it, (frames, 200, 260)."""
    random = np.random.default_rng(seed)
    screen = np.zeros((frames, 200, 260), np.uint8)
    screen[(slice(None), *INSIDE)] = random.integers(20, 130, (frames, 120, 160), np.uint8)
    for frame in screen:
        cv2.putText(frame, "Mustermann", (5, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 1)
        frame[60:140, 230:240] = 180
    return screen


def written(path: Path, frames: NDArray[np.uint8] | None = None, **elements: Any) -> Path:
    """Write a recording with an identity and a calibrated picture."""
    private = elements.pop("private", True)
    regions = [region_item(BOX, (0.01, 0.02))]
    given = IDENTITY | {"SequenceOfUltrasoundRegions": regions, "FrameTime": 40.0} | elements
    given = {keyword: value for keyword, value in given.items() if value is not None}
    write_dicom(path, cine() if frames is None else frames, **given)
    if private:
        ds = pydicom.dcmread(path)
        ds.private_block(0x0009, "Mustermann GmbH", create=True).add_new(1, "LO", "Mustermann")
        ds.save_as(path)
    return path


def decoded(path: Path) -> NDArray[np.uint8]:
    return np.stack([picture.luma for picture in read_source(path).pictures()])


# --- header -----------------------------------------------------------------------------------

SENTINELS = {
    "DA": "19570412",
    "TM": "081653",
    "DT": "19570412081653",
    "AS": "067Y",
    "DS": "198765.5",
    "IS": "198765",
    "UI": "1.2.3.198765",
    "CS": "IDENTITY",
    "UR": "http://IDENTITY",
}
KEPT_NUMBERS = {"DS", "IS", "CS", "LO", "SH"}


def test_of_every_attribute_there_is_only_the_named_ones_stay() -> None:
    original = Dataset()
    nested = Dataset()
    nested.PatientName = "IDENTITY"
    for tag, (vr, _, _, _, keyword) in DicomDictionary.items():
        if not keyword or Tag(tag).group < 8 or keyword == "SpecificCharacterSet":
            continue
        if vr == "SQ":
            original.add(DataElement(tag, "SQ", Sequence([nested])))
        elif vr in SENTINELS:
            original.add(DataElement(tag, vr, SENTINELS[vr]))
        elif vr in {"LO", "SH", "PN", "LT", "ST", "UT", "UC", "AE"}:
            original.add(DataElement(tag, vr, "IDENTITY"))
    original.SOPClassUID = "1.2.840.10008.5.1.4.1.1.6.1"
    clean, audit = clean_header(original, Pseudonyms())
    allowed = KEPT | {*EMPTIED, *PSEUDONYMS, *REMAPPED}
    assert {element.keyword for element in clean} <= allowed
    assert all(not clean[keyword].value for keyword in EMPTIED)
    assert audit.removed.total() > 3000
    assert audit.removed["InstitutionName"] == 1
    # A coded string that names nobody stays; a text with a patient's word in it does not.
    assert "Manufacturer" in audit.removed
    buffer = DicomFileLike(BytesIO())
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, clean)
    data = buffer.parent.getvalue()
    for value in ("19570412", "081653", "1.2.3.198765", "067Y"):
        assert value.encode() not in data


def test_a_text_under_the_name_of_a_code_is_removed() -> None:
    original = Dataset()
    original.PatientName = "Mustermann^Erika"
    original.BodyPartExamined = "HEEL"
    original.add(DataElement("Laterality", "CS", "left, see Erika", validation_mode=0))
    original.add(DataElement("FrameTime", "LO", "a number no longer", validation_mode=0))
    original.ManufacturerModelName = "Scanner of Mustermann"
    original.Manufacturer = "Acme"
    clean, audit = clean_header(original, Pseudonyms())
    assert clean.BodyPartExamined == "HEEL"
    assert clean.Manufacturer == "Acme"
    assert set(audit.removed) == {"Laterality", "ManufacturerModelName", "FrameTime"}


def test_pseudonyms_agree_within_a_run_and_not_between_runs() -> None:
    one, other = Pseudonyms(), Pseudonyms()
    assert one.uid("1.2.3") == one.uid("1.2.3") != one.uid("1.2.4")
    assert one.uid("1.2.3") != other.uid("1.2.3")
    assert one.uid("1.2.3").is_valid
    assert one.uid("") != one.uid("")
    assert one.patient("A", "7") == one.patient("B", "7") != other.patient("A", "7")


# --- DICOM files ------------------------------------------------------------------------------


def test_a_copy_holds_no_identity_and_the_same_picture(tmp_path: Path) -> None:
    source = written(tmp_path / "a.dcm", preamble=b"Mustermann".ljust(128))
    target = tmp_path / "copy.dcm"
    done = deidentify(source, target)
    assert done.clean
    data = target.read_bytes()
    for value in IDENTITY.values():
        for part in str(value).split("^"):
            assert part.encode() not in data
    assert data[:128] == b"\0" * 128
    ds = pydicom.dcmread(target)
    assert ds.PatientIdentityRemoved == "YES"
    assert ds.BurnedInAnnotation == "NO"
    codes = [item.CodeValue for item in ds.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113101"]
    assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
    assert not any(element.tag.is_private for element in ds)
    np.testing.assert_array_equal(ds.pixel_array, decoded(target))

    before, after = decoded(source), decoded(target)
    np.testing.assert_array_equal(after[(slice(None), *INSIDE)], before[(slice(None), *INSIDE)])
    after[(slice(None), *INSIDE)] = 0
    assert not after.any()
    old, new = open_clip(source).header, open_clip(target).header
    assert new.calibration.spacing_mm == old.calibration.spacing_mm
    assert new.region == old.region
    np.testing.assert_allclose(new.timing.time_s, old.timing.time_s)
    copy = done.copies[0]
    assert copy.header.private == 2
    assert copy.header.removed["InstitutionName"] == 1
    assert copy.blanked == pytest.approx(1 - 120 * 160 / (200 * 260))


def test_colours_stay(tmp_path: Path) -> None:
    grey = cine()
    rgb = np.stack([grey, grey // 2, grey // 3], axis=-1)
    source = written(tmp_path / "a.dcm", rgb)
    deidentify(source, tmp_path / "b.dcm")
    ds = pydicom.dcmread(tmp_path / "b.dcm")
    assert ds.PhotometricInterpretation == "RGB"
    inside = (slice(None), *INSIDE)
    np.testing.assert_array_equal(ds.pixel_array[inside], rgb[inside])


def test_what_was_compressed_with_loss_says_so_in_a_lossless_copy(tmp_path: Path) -> None:
    coded = [bytes(cv2.imencode(".jpg", frame)[1]) for frame in cine()]
    lossy = {"transfer_syntax": JPEGBaseline8Bit, "pixel_bytes": encapsulate(coded)}
    done = deidentify(written(tmp_path / "a.dcm", private=False, **lossy), tmp_path / "b.dcm")
    assert done.clean
    assert pydicom.dcmread(tmp_path / "b.dcm").LossyImageCompression == "01"
    deidentify(written(tmp_path / "c.dcm"), tmp_path / "d.dcm")
    assert "LossyImageCompression" not in pydicom.dcmread(tmp_path / "d.dcm")


def test_elements_too_large_to_be_read_are_in_the_audit(tmp_path: Path) -> None:
    source = written(tmp_path / "a.dcm")
    ds = pydicom.dcmread(source)
    ds.private_block(0x0009, "Mustermann GmbH").add_new(2, "OB", b"M" * (2 << 20))
    ds.save_as(source)
    done = deidentify(source, tmp_path / "b.dcm")
    assert done.copies[0].header.private == 3


def test_the_files_of_a_folder_share_their_study(tmp_path: Path) -> None:
    folder = tmp_path / "Mustermann"
    (folder / "deeper").mkdir(parents=True)
    written(folder / "Erika_1.dcm")
    written(folder / "deeper" / "Erika_2.dcm", cine(seed=4), SOPInstanceUID="1.2.3.4")
    (folder / "damaged.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\7" * 50)
    done = deidentify(folder, tmp_path / "out")
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        copy.output.name for copy in done.copies
    ]
    one, two = (pydicom.dcmread(copy.output) for copy in done.copies)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "PatientID"):
        assert one[keyword].value == two[keyword].value != IDENTITY[keyword]
    assert one.SOPInstanceUID != two.SOPInstanceUID
    assert len(done.left_out) == 1
    assert not done.clean
    assert "Erika" not in json.dumps(done.document())


def test_frames_that_are_lost_leave_the_times_of_the_others(tmp_path: Path) -> None:
    steps = [0, 40, 40, 90, 40, 40, 40, 40, 40, 40, 40, 40]
    source = written(
        tmp_path / "a.dcm",
        private=False,
        FrameTime=None,
        FrameTimeVector=steps,
        FrameIncrementPointer=0x00181065,
    )
    source.write_bytes(source.read_bytes()[: -200 * 260 * 3 - 100])
    deidentify(source, tmp_path / "b.dcm")
    timing = open_clip(tmp_path / "b.dcm").header.timing
    assert timing.time_s is not None
    np.testing.assert_allclose(timing.time_s, np.cumsum(steps[:8]) / 1000.0)


def test_of_a_single_frame_nothing_is_claimed(tmp_path: Path) -> None:
    done = deidentify(written(tmp_path / "a.dcm", cine(1)), tmp_path / "b.dcm")
    assert not done.clean
    ds = pydicom.dcmread(tmp_path / "b.dcm")
    assert ds.BurnedInAnnotation == "YES"
    assert ds.PatientIdentityRemoved == "NO"
    assert [item.CodeValue for item in ds.DeidentificationMethodCodeSequence] == ["113100"]


def test_where_no_picture_is_found_nothing_is_claimed(tmp_path: Path) -> None:
    everywhere = np.random.default_rng(1).integers(0, 90, (12, 200, 260), np.uint8)
    source = written(tmp_path / "a.dcm", everywhere, SequenceOfUltrasoundRegions=None, FrameTime=40)
    done = deidentify(source, tmp_path / "b.dcm")
    assert any("--region" in doubt for doubt in done.copies[0].doubts)
    given = deidentify(source, tmp_path / "c.dcm", region=(40, 30, 160, 120))
    assert given.clean
    assert given.copies[0].region_px == (40, 30, 160, 120)


# --- text inside the picture ------------------------------------------------------------------


@pytest.mark.parametrize("level", [200, 255])
@pytest.mark.parametrize(("first", "last"), [(0, 24), (9, 20)])
@pytest.mark.parametrize("scale", [0.4, 0.8])
def test_text_over_the_echoes_is_blanked(
    tmp_path: Path, level: int, first: int, last: int, scale: float
) -> None:
    screen = cine(24)
    letters = np.zeros((200, 260), np.uint8)
    cv2.putText(letters, "E Muster", (50, 90), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 1)
    screen[first:last][:, letters > 0] = level
    done = deidentify(written(tmp_path / "a.dcm", screen), tmp_path / "b.dcm")
    after = decoded(tmp_path / "b.dcm")
    assert not after[:, letters > 0].any()
    assert len(done.copies[0].texts_px) == 1
    assert done.copies[0].blanked < 0.75


def test_a_picture_without_text_is_left_alone() -> None:
    frames = cine(20)[(slice(None), *INSIDE)]
    search = TextSearch(np.ones(frames.shape[1:], np.bool_))
    for frame in frames:
        search.observe(np.ascontiguousarray(frame))
    found = search.conclude()
    assert not found.mask.any()
    assert not found.doubt


def test_bright_tissue_that_does_not_move_is_not_called_checked() -> None:
    frames = cine(20)[(slice(None), *INSIDE)].copy()
    frames[:, :60] = 230
    search = TextSearch(np.ones(frames.shape[1:], np.bool_))
    for frame in frames:
        search.observe(frame)
    assert "does not move" in search.conclude().doubt


def letters_that_stay(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Draw rows of short bright bits, as bands of resting tissue have, into pictures."""
    drawn = frames.copy()
    for frame in drawn:
        cv2.putText(frame, "E Muster", (10, 60), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 230, 1)
    return drawn


@pytest.mark.parametrize("noise", [0, 4])
def test_while_nothing_moves_nothing_is_taken_for_checked(noise: int) -> None:
    random = np.random.default_rng(8)
    resting = np.repeat(letters_that_stay(cine(1)[(slice(None), *INSIDE)]), 60, axis=0)
    resting += random.integers(0, noise + 1, resting.shape, np.uint8)
    search = TextSearch(np.ones(resting.shape[1:], np.bool_))
    for frame in resting:
        search.observe(frame)
    assert "too few different frames" in search.conclude().doubt


@pytest.mark.parametrize("repeats", [1, 4])
def test_text_is_found_however_often_its_frames_are_repeated(repeats: int) -> None:
    frames = letters_that_stay(cine(9)[(slice(None), *INSIDE)])
    search = TextSearch(np.ones(frames.shape[1:], np.bool_))
    for frame in np.repeat(frames, repeats, axis=0):
        search.observe(np.ascontiguousarray(frame))
    found = search.conclude()
    assert len(found.boxes) == 1
    assert not found.doubt


def test_tissue_that_rests_for_a_while_is_not_taken_for_text() -> None:
    moving, resting = cine(12)[(slice(None), *INSIDE)], cine(1, seed=9)[(slice(None), *INSIDE)]
    resting = np.repeat(letters_that_stay(resting), 40, axis=0)
    search = TextSearch(np.ones(moving.shape[1:], np.bool_))
    for frame in np.concatenate([moving[:6], resting, moving[6:]]):
        search.observe(np.ascontiguousarray(frame))
    found = search.conclude()
    assert not found.mask.any()
    assert not found.doubt


@pytest.mark.parametrize(
    ("named", "lettered", "frames", "words"),
    [
        (True, True, 12, "in 1 place in the picture and in 1 place beside it, which may name the"),
        (True, False, 12, "in 1 place beside it, which may name the patient"),
        (False, False, 12, "none found"),
        (False, False, 1, "none found. There are too few different frames"),
    ],
)
def test_where_text_is_burned_in_is_told(
    tmp_path: Path, named: bool, lettered: bool, frames: int, words: str
) -> None:
    screen = cine(frames)
    if not named:
        screen[:, :30] = 0
    if lettered:
        for frame in screen:
            cv2.putText(frame, "E Muster", (60, 90), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 230, 1)
    said, warned = text_in_words(open_clip(written(tmp_path / "a.dcm", screen)))
    assert said.startswith(words)
    assert warned is (said != "none found")


# --- videos and images ------------------------------------------------------------------------


def test_a_video_keeps_its_picture_and_its_times_alone(tmp_path: Path) -> None:
    plain = write_video(tmp_path / "plain.mp4", cine(16), pts=[*range(8), *range(10, 18)])
    source = tmp_path / "a.mkv"
    with av.open(str(plain)) as had, av.open(str(source), "w") as named:
        named.metadata["title"] = "Mustermann, Erika"
        stream = had.streams.video[0]
        picture = named.add_stream_from_template(stream)
        sound: Any = named.add_stream("aac", rate=44100)
        for packet in had.demux(stream):
            if packet.dts is not None:
                packet.stream = picture
                named.mux(packet)
        noise = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        noise.sample_rate = 44100
        named.mux([*sound.encode(noise), *sound.encode()])
    target = tmp_path / "b.mp4"
    done = deidentify(source, target, region=(40, 30, 160, 120))
    assert done.clean
    assert "container: title" in done.copies[0].metadata
    assert any(name.startswith("audio stream") for name in done.copies[0].metadata)
    assert b"Mustermann" not in target.read_bytes()
    with av.open(str(target)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        assert "title" not in container.metadata
    before, after = decoded(source), decoded(target)
    np.testing.assert_array_equal(after[(slice(None), *INSIDE)], before[(slice(None), *INSIDE)])
    after[(slice(None), *INSIDE)] = 0
    assert not after.any()
    old, new = open_clip(source).header.timing, open_clip(target).header.timing
    np.testing.assert_allclose(new.time_s, old.time_s, atol=1e-3)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_a_turned_video_is_blanked_the_way_up_it_is_shown(tmp_path: Path, suffix: str) -> None:
    moving = np.random.default_rng(0).integers(40, 200, (4, 160, 240), dtype=np.uint8)
    path = write_video(tmp_path / "a.mp4", moving, turned_deg=-90)
    region = (20, 10, 120, 200)
    deidentify(path, tmp_path / f"b{suffix}", region=region)
    before, after = open_clip(path, region=region), open_clip(tmp_path / f"b{suffix}")
    whole = next(after.decode())
    assert whole.shape == (240, 160)
    x, y, width, height = region
    np.testing.assert_array_equal(whole[y : y + height, x : x + width], before[0])
    whole[y : y + height, x : x + width] = 0
    assert not whole.any()


def test_a_stack_becomes_a_folder_of_its_frames(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(40, 200, (3, 160, 240), dtype=np.uint8)
    first, *others = [Image.fromarray(frame) for frame in frames]
    first.save(tmp_path / "a.tif", save_all=True, append_images=others)
    deidentify(tmp_path / "a.tif", tmp_path / "b", region=(0, 0, 240, 160))
    copy = open_clip(tmp_path / "b", region=(0, 0, 240, 160))
    np.testing.assert_array_equal(np.stack([frame for _, frame in copy.frames()]), frames)


def test_an_image_loses_its_metadata(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "Mustermann")
    Image.fromarray(cine(1)[0]).save(source, pnginfo=info)
    done = deidentify(source, tmp_path / "b.png", region=(40, 30, 160, 120))
    assert not done.clean
    assert done.copies[0].metadata == ("image: Comment",)
    assert b"Mustermann" not in (tmp_path / "b.png").read_bytes()
    after = decoded(tmp_path / "b.png")[0]
    np.testing.assert_array_equal(after[INSIDE], cine(1)[0][INSIDE])
    assert not after[:30].any()


def test_a_folder_of_images_keeps_its_numbers(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for number, frame in zip((3, 4, 7), cine(3), strict=True):
        exif = Image.Exif()
        exif[0x010E] = "Mustermann"  # ImageDescription
        Image.fromarray(frame).save(folder / f"Mustermann_{number}.png", exif=exif)
    done = deidentify(folder, tmp_path / "out", region=(40, 30, 160, 120))
    assert "image: ImageDescription" in done.copies[0].metadata
    assert not any(b"Mustermann" in file.read_bytes() for file in (tmp_path / "out").iterdir())
    names = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert names == ["frame_000003.png", "frame_000004.png", "frame_000007.png"]
    assert open_clip(tmp_path / "out").header.frame_numbers.tolist() == [3, 4, 7]


# --- files that are there, and the command ----------------------------------------------------


def test_nothing_is_overwritten_and_nothing_half_done_is_left(tmp_path: Path) -> None:
    source = written(tmp_path / "a.dcm")
    (tmp_path / "there.dcm").write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        deidentify(source, tmp_path / "there.dcm")
    assert (tmp_path / "there.dcm").read_text() == "mine"
    with pytest.raises(ConfigError, match=r"\.dcm"):
        deidentify(source, tmp_path / "b.mp4")
    (tmp_path / "empty.dcm").touch()
    with pytest.raises(UnreadableError):
        deidentify(tmp_path / "empty.dcm", tmp_path / "b.dcm")
    with pytest.raises(OutputError, match=r"there is no folder .*nowhere; make it"):
        deidentify(source, tmp_path / "nowhere" / "b.dcm")
    assert sorted(f.name for f in tmp_path.iterdir()) == ["a.dcm", "empty.dcm", "there.dcm"]


def test_the_command_says_what_it_did_and_how_far_it_could_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = written(tmp_path / "a.dcm")
    assert cli.run(["deid", str(source), "-o", str(tmp_path / "b.dcm"), "--json"]) == 0
    out, err = capsys.readouterr()
    audit = json.loads(out)
    assert audit["schema"] == "usguide/deid/1"
    assert audit["clean"] is True
    assert audit["copies"][0]["removed"]["InstitutionName"] == 1
    for words in ("Mustermann", "PID-998877", "19570412"):
        assert words not in out + err
    still = written(tmp_path / "still.dcm", cine(1))
    assert cli.run(["deid", str(still), "-o", str(tmp_path / "c.dcm")]) == 4
    assert "NOT CHECKED" in capsys.readouterr().err


def test_results_carry_no_name_number_or_date(tmp_path: Path) -> None:
    source = written(tmp_path / "heel.dcm")
    code = cli.run(["analyze", str(source), "-o", str(tmp_path / "out")])
    assert code in (0, 4)
    files = list((tmp_path / "out").iterdir())
    assert {"result.json", "report.html", "overlay.mp4"} <= {file.name for file in files}
    for file in files:
        data = file.read_bytes()
        for value in IDENTITY.values():
            for part in str(value).split("^"):
                assert part.encode() not in data, file.name


# --- real recordings --------------------------------------------------------------------------

PYDICOM = (
    "examples_rgb_color.dcm",
    "examples_palette.dcm",
    "examples_jpeg2k.dcm",
    "examples_ybr_color.dcm",
    "ExplVR_BigEnd.dcm",
    "JPGLosslessP14SV1_1s_1f_8b.dcm",
    "gdcm-US-ALOKA-16_big.dcm",
    "OBXXXX1A_rle_2frame.dcm",
    "OBXXXX1A_expb_2frame.dcm",
)
REAL: dict[str, Callable[[], Path]] = {
    **{name: lambda name=name: Path(str(get_testdata_file(name))) for name in PYDICOM},
    **{
        path.name: lambda path=path: path
        for path in sorted((Path(deid_data.__file__).parent / "data/ultrasounds").glob("*.dcm"))
    },
    **{path.name: lambda path=path: path for path in sorted((CLIPS / "dicom").glob("*.dcm"))},
    "heel_needling.dcm": lambda: SAMPLES / "heel_needling.dcm",
}


def identifiers(path: Path) -> set[bytes]:
    """Names, numbers, dates and instance UIDs of a header."""
    found = set()
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    for tag in list(dataset.keys()):
        if tag.group > 0x7FE0:
            continue  # one file holds a stray item there, which pydicom cannot read
        element = dataset[tag]
        name = element.keyword
        identifying = element.VR in ("PN", "DA", "DT", "TM") or (
            element.VR == "UI" and name.endswith("InstanceUID")
        )
        if identifying or name in ("PatientID", "AccessionNumber", "InstitutionName"):
            found |= {part.encode() for part in str(element.value).split("^") if len(part) > 4}
    return found


@pytest.mark.parametrize("name", REAL)
def test_real_recordings_lose_their_identity_and_keep_their_picture(
    tmp_path: Path, name: str
) -> None:
    source, target = REAL[name](), tmp_path / "copy.dcm"
    done = deidentify(source, target)
    data = target.read_bytes()
    assert not [value for value in identifiers(source) if value in data]
    old, new = open_clip(source).header, open_clip(target).header
    assert new.calibration.spacing_mm == old.calibration.spacing_mm
    assert new.timing.source == old.timing.source
    assert (new.width, new.height, new.frames) == (old.width, old.height, old.frames)
    np.testing.assert_array_equal(new.timing.time_s is None, old.timing.time_s is None)
    if old.timing.time_s is not None and new.timing.time_s is not None:
        np.testing.assert_allclose(new.timing.time_s, old.timing.time_s)
    keep = shown_area(old.region, old.height, old.width)
    after = decoded(target)
    assert not after[:, ~keep].any()
    for x, y, w, h in done.copies[0].texts_px:
        keep[y : y + h, x : x + w] = False
    before = decoded(source)
    # Luma of a YCbCr original passes through RGB: within rounding, but where colours leave it.
    difference = np.abs(after[:, keep].astype(int) - before[:, keep])
    assert np.mean(difference > 1) < 0.05
    if str(pydicom.dcmread(source).PhotometricInterpretation) in ("RGB", "MONOCHROME2"):
        assert difference.max() == 0
    assert done.clean is (len(before) >= 6)
