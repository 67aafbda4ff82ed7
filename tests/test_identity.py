"""Who the patient is stands in no result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ingest_files import region_item, speckle, write_dicom, write_video
from usguide import open_clip
from usguide.cli import run

SECRETS = ("Mustermann", "Erika", "PID-4711", "19640812", "ACC-99", "Hospital Nowhere")
STUDY = "1.2.826.0.1.3680043.8.498.12345"


def recording(path: Path, **elements: object) -> Path:
    return write_dicom(
        path,
        speckle(3, 96, 128),
        **{
            "PatientName": "Mustermann^Erika",
            "PatientID": "PID-4711",
            "PatientBirthDate": "19640812",
            "AccessionNumber": "ACC-99",
            "InstitutionName": "Hospital Nowhere",
            "StudyInstanceUID": STUDY,
            "FrameTime": 40.0,
            "SequenceOfUltrasoundRegions": [region_item((4, 4, 123, 91), (0.01, 0.01))],
            **elements,
        },
    )


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_no_output_names_the_patient(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "Mustermann Erika 19640812"
    folder.mkdir()
    path = recording(folder / "Mustermann_Erika.dcm")
    out = tmp_path / "out"
    code = run(["analyze", str(path), "-o", str(out), "--json", "--task", "muscle"])
    assert code in (0, 4)
    written = [file for file in out.iterdir() if file.is_file()]
    assert {"result.json", "frames.csv", "overlay.mp4", "report.html"} <= {f.name for f in written}
    shown = {f.name: f.read_bytes().lower() for f in written}
    shown["--json"] = capsys.readouterr().out.encode().lower()
    for name, content in shown.items():
        for secret in (*SECRETS, STUDY, str(tmp_path)):
            assert secret.lower().encode() not in content, (name, secret)
    source = json.loads((out / "result.json").read_text("utf-8"))["source"]
    assert source["path"] == f"study_{source['study']}.dcm"


def test_a_study_has_one_pseudonym_and_another_study_another(tmp_path: Path) -> None:
    first = open_clip(recording(tmp_path / "a.dcm")).header
    second = open_clip(recording(tmp_path / "b.dcm", FrameTime=50.0)).header
    other = open_clip(recording(tmp_path / "c.dcm", StudyInstanceUID="1.2.3")).header
    assert first.sha256 != second.sha256
    assert first.study == second.study != other.study
    assert len(first.study) == 12


def test_without_a_study_the_content_gives_the_pseudonym(tmp_path: Path) -> None:
    first = open_clip(recording(tmp_path / "a.dcm", StudyInstanceUID="")).header
    second = open_clip(recording(tmp_path / "b.dcm", StudyInstanceUID="", FrameTime=50.0)).header
    video = open_clip(write_video(tmp_path / "a.mp4", speckle(3, 96, 128))).header
    assert len({first.study, second.study, video.study}) == 3


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("IM_0001.dcm", True),
        ("heel.dcm", True),
        ("erika-heel.dcm", False),
        ("MUSTERMANN.dcm", False),
        ("4711.dcm", False),
        ("scan 19640812.dcm", False),
    ],
)
def test_a_harmless_name_is_kept(tmp_path: Path, name: str, kept: bool) -> None:
    header = open_clip(recording(tmp_path / name)).header
    assert (header.name == name) is kept
    assert kept or header.name == f"study_{header.study}.dcm"
    assert header.path.name == name
