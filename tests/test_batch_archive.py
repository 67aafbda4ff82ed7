"""Which recordings an archive holds."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from ingest_files import US_MULTIFRAME, speckle, write_dicom
from usguide.batch.archive import Entry, find_recordings
from usguide.batch.identity import Hashes, identify
from usguide.errors import ConfigError, UnreadableError
from usguide.model import Hint, Options, Task

DEFAULT = Options()


def names(*sources: str | Path, **options: Path) -> list[str]:
    return [entry.path.name for entry in find_recordings(sources, DEFAULT, **options).entries]


def touch(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def listing(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return path


def test_a_folder_is_searched_to_the_bottom_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ("b/clip 10.mp4", "b/clip 9.mp4", "a/tief/Ferse übung.dcm", "a/notes.txt"):
        touch(tmp_path / name)
    assert names(tmp_path) == ["Ferse übung.dcm", "clip 9.mp4", "clip 10.mp4"]


def test_dicom_is_known_by_its_preamble(tmp_path: Path) -> None:
    touch(tmp_path / "IM0001", b"\0" * 128 + b"DICM")
    touch(tmp_path / "README", b"\0" * 128 + b"text")
    assert names(tmp_path) == ["IM0001"]


def test_hidden_files_and_earlier_results_are_no_recordings(tmp_path: Path) -> None:
    touch(tmp_path / ".trash" / "old.mp4")
    touch(tmp_path / "._clip.mp4")
    for name in ("result.json", "report.html", "overlay.mp4"):
        touch(tmp_path / "clip_usguide" / name)
    touch(tmp_path / "out" / "clip.mp4")
    touch(tmp_path / "clip.mp4")
    assert names(tmp_path, without=tmp_path / "out") == ["clip.mp4"]


def test_numbered_images_are_the_frames_of_one_clip(tmp_path: Path) -> None:
    for number in (10, 9, 1):
        touch(tmp_path / "frames" / f"f{number}.png")
    (entry,) = find_recordings([tmp_path], DEFAULT).entries
    assert entry.path == tmp_path / "frames"
    assert [file.name for file in entry.files] == ["f1.png", "f9.png", "f10.png"]


def test_numbered_images_of_different_sizes_are_clips_of_their_own(tmp_path: Path) -> None:
    for number, width in enumerate((40, 40, 50)):
        Image.new("L", (width, 40)).save(tmp_path / f"f{number}.png")
    assert names(tmp_path) == ["f0.png", "f1.png", "f2.png"]


def test_images_of_their_own_names_are_clips_of_their_own(tmp_path: Path) -> None:
    touch(tmp_path / "heel.png")
    touch(tmp_path / "calf.png")
    assert names(tmp_path) == ["calf.png", "heel.png"]


def test_images_beside_recordings_are_left_out_and_said(tmp_path: Path) -> None:
    touch(tmp_path / "clip.dcm")
    touch(tmp_path / "thumbnail.png")
    found = find_recordings([tmp_path], DEFAULT)
    assert [entry.path.name for entry in found.entries] == ["clip.dcm"]
    assert "1 image(s) beside recordings" in found.notes[0]


def test_a_stack_of_images_is_a_clip_of_its_own_wherever_it_lies(tmp_path: Path) -> None:
    first, *others = [Image.fromarray(np.full((40, 60), 9 * k, np.uint8)) for k in range(3)]
    for folder in ("alone", "beside"):
        (tmp_path / folder).mkdir()
        for number in (1, 2):
            path = tmp_path / folder / f"visit {number}.tif"
            first.save(path, save_all=True, append_images=others)
    touch(tmp_path / "beside" / "clip.dcm")
    assert names(tmp_path / "alone") == ["visit 1.tif", "visit 2.tif"]
    assert names(tmp_path / "beside") == ["clip.dcm", "visit 1.tif", "visit 2.tif"]


def test_a_loop_of_links_is_gone_round_once(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "clip.mp4")
    (tmp_path / "a" / "again").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "clip link.mp4").symlink_to(tmp_path / "a" / "clip.mp4")
    assert len(names(tmp_path)) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to the administrator")
def test_a_closed_folder_is_named_and_the_rest_found(tmp_path: Path) -> None:
    touch(tmp_path / "open" / "clip.mp4")
    closed = touch(tmp_path / "closed" / "clip.mp4").parent
    closed.chmod(0)
    try:
        found = find_recordings([tmp_path], DEFAULT)
    finally:
        closed.chmod(0o700)
    assert [entry.path.parent.name for entry in found.entries] == ["open"]
    assert found.unreadable[0].path == closed
    assert "Permission denied" in found.unreadable[0].reason


def test_a_folder_that_cannot_be_listed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "open" / "clip.mp4")
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def closed(path: str) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    found = find_recordings([tmp_path], DEFAULT)
    assert [entry.path.name for entry in found.entries] == ["clip.mp4"]
    assert found.unreadable[0].path == tmp_path / "closed"


def test_a_pattern_names_files_and_folders(tmp_path: Path) -> None:
    touch(tmp_path / "s1" / "a.dcm")
    touch(tmp_path / "s1" / "a.txt")
    touch(tmp_path / "s2" / "b.mp4")
    touch(tmp_path / "other" / "c.mp4")
    assert names(f"{tmp_path}/s*") == ["a.dcm", "b.mp4"]
    assert names(f"{tmp_path}/**/*.mp4") == ["c.mp4", "b.mp4"]
    assert names(f"{tmp_path}/**") == ["c.mp4", "a.dcm", "b.mp4"]


def test_a_dicomdir_stands_for_the_ultrasound_it_lists(tmp_path: Path) -> None:
    write_dicom(tmp_path / "IM1", speckle(2, 40, 40))
    record = Dataset()
    record.ReferencedFileID = "IM1"
    record.ReferencedSOPClassUIDInFile = US_MULTIFRAME
    directory = Dataset()
    directory.DirectoryRecordSequence = [record]
    directory.save_as(tmp_path / "DICOMDIR", implicit_vr=True, little_endian=True)
    assert names(tmp_path / "DICOMDIR") == ["IM1"]
    assert names(tmp_path) == ["IM1"]


def test_a_dicomdir_without_ultrasound_is_said_to_be() -> None:
    # pydicom's example lists computed tomography only.
    found = find_recordings([get_testdata_file("DICOMDIR")], DEFAULT)
    assert found.entries == ()
    assert "lists no ultrasound" in found.notes[0]


def test_a_recording_named_twice_is_there_once_with_its_subject(tmp_path: Path) -> None:
    clip = touch(tmp_path / "clip.mp4")
    rows = listing(tmp_path / "list.csv", [{"path": "clip.mp4", "subject": "S1"}])
    (entry,) = find_recordings([tmp_path, clip, rows], DEFAULT).entries
    assert entry.subject == "S1"


def test_a_listing_gives_each_clip_its_options(tmp_path: Path) -> None:
    write_dicom(tmp_path / "Klänge 1.dcm", speckle(2, 40, 40))
    touch(tmp_path / "b.mp4")
    rows = listing(
        tmp_path / "list.csv",
        [
            {
                "path": "Klänge 1.dcm",
                "task": "fascia;needle",
                "spacing": "0.1;0.2",
                "region": "",
                "subject": "S 1",
                "session": "2",
                "time_point": "before",
                "side": "left",
            },
            {"path": str(tmp_path / "b.mp4"), "region": "1,2,30,40"},
        ],
    )
    first, second = find_recordings([rows], Options(fps=20.0, online=True)).entries
    assert first.options == Options(
        frozenset({Task.FASCIA, Task.NEEDLE}), spacing_mm=(0.1, 0.2), fps=20.0, online=True
    )
    assert (first.subject, first.session, first.time_point, first.side) == (
        "S 1",
        "2",
        "before",
        "left",
    )
    assert second.options == Options(region=(1, 2, 30, 40), fps=20.0, online=True)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_listing_may_be_parted_as_any_spreadsheet_does(tmp_path: Path, delimiter: str) -> None:
    touch(tmp_path / "clip.mp4")
    cells = [["path", "task", "region"], ["clip.mp4", '"fascia;needle"', '"1,2,30,40"']]
    text = "\ufeff" + "\r\n".join(delimiter.join(line) for line in cells)
    rows = touch(tmp_path / "list.csv", text.encode())
    (entry,) = find_recordings([rows], DEFAULT).entries
    assert entry.options.tasks == {Task.FASCIA, Task.NEEDLE}
    assert entry.options.region == (1, 2, 30, 40)


@pytest.mark.parametrize(
    "other",
    [
        Options(frozenset({Task.MUSCLE})),
        Options(spacing_mm=(0.1, 0.1)),
        Options(region=2),
        Options(region=(0, 0, 20, 20)),
        Options(fps=20.0),
        Options(hints=(Hint(3, (10.0, 20.0)),)),
        Options(online=True),
    ],
)
def test_whatever_else_is_asked_of_a_clip_gives_it_another_key(
    tmp_path: Path, other: Options
) -> None:
    file = touch(tmp_path / "clip.mp4")
    entries = [Entry(file, (file,), options) for options in (DEFAULT, other, DEFAULT)]
    with Hashes(tmp_path / "hashes.json") as hashes:
        known, closed = identify(entries, hashes, overlay=False)
    assert closed == []
    first, second, again = (one.key for one in known)
    assert first == again != second


def test_the_same_pictures_farther_apart_have_another_key(tmp_path: Path) -> None:
    def folder(name: str, numbers: list[int]) -> Entry:
        files = [touch(tmp_path / name / f"{n}.png", bytes([k])) for k, n in enumerate(numbers)]
        notes = touch(tmp_path / name / "notes.txt")
        return Entry(tmp_path / name, (*files, notes), DEFAULT)

    entries = [folder("a", [1, 2, 3]), folder("b", [7, 8, 9]), folder("c", [1, 5, 9])]
    with Hashes(tmp_path / "hashes.json") as hashes:
        known, _ = identify(entries, hashes, overlay=False)
    assert len({one.sha256 for one in known}) == 1
    together, later, apart = (one.key for one in known)
    assert together == later != apart


def test_a_clip_listed_but_not_there_is_recorded(tmp_path: Path) -> None:
    rows = listing(tmp_path / "list.csv", [{"path": "gone.mp4", "extra": "1"}])
    found = find_recordings([rows], DEFAULT)
    assert found.entries == ()
    assert "line 2" in found.unreadable[0].reason
    assert "extra" in found.notes[0]


def test_what_a_listing_gives_wins_also_where_it_is_nothing(tmp_path: Path) -> None:
    touch(tmp_path / "a.mp4")
    rows = touch(tmp_path / "list.csv", b"path,region\na.mp4,0\n")
    (entry,) = find_recordings([rows], Options(region=2)).entries
    assert entry.options.region == 0  # refused when it is opened


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("file,subject\na.mp4,S1\n", "no column 'path'"),
        ("path,spacing\na.mp4,wide\n", "line 2: spacing"),
        ("path,task\na.mp4,spleen\n", "line 2: task"),
        ("path,task\n,fascia\n", "line 2: the path is empty"),
        ("path,fps\na.mp4,0\n", "line 2: 0.0 frames per second"),
    ],
)
def test_a_wrong_listing_is_refused_with_its_line(tmp_path: Path, content: str, words: str) -> None:
    rows = touch(tmp_path / "list.csv", content.encode())
    with pytest.raises(ConfigError, match=words):
        find_recordings([rows], DEFAULT)


def test_a_source_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="no such file"):
        find_recordings([tmp_path / "gone"], DEFAULT)
