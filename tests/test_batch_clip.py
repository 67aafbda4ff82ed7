"""What a worker does with one clip."""

from pathlib import Path

import pyarrow.dataset as pads
import pytest

from ingest_files import speckle, write_dicom
from usguide.batch.store import Store
from usguide.batch.task import Ending, Job, _analyze, _Deadline, analyze_clip
from usguide.errors import ClipLostError
from usguide.model import Options


@pytest.fixture
def job(tmp_path: Path) -> Job:
    path = write_dicom(tmp_path / "Ferse 1.dcm", speckle(4, 64, 80))
    return Job("ab" * 10, path, Options(), False, tmp_path / "out", 600.0, "run-1")


def test_a_clip_is_finished_with_its_row_and_its_frames(job: Job) -> None:
    outcome = analyze_clip(job)
    assert outcome.ending is Ending.NOTHING_MEASURED
    store = Store(job.out)
    record = store.record(job.key)
    assert record is not None
    assert record["frames"] == 4
    assert record["fascia_reason"]
    frames = pads.dataset(job.out / "frames", partitioning="hive").to_table()
    assert frames["frame"].to_pylist() == [0, 1, 2, 3]
    assert set(frames["clip"].to_pylist()) == {job.key}
    assert (store.clip_directory(job.key) / "report.html").is_file()
    assert analyze_clip(job).ending is Ending.NOTHING_MEASURED  # not done again


def test_a_clip_past_its_time_limit_is_stopped_at_the_next_frame(job: Job) -> None:
    late = Job(job.key, job.path, job.options, False, job.out, 0.0, "run-1")
    ending, reason = _analyze(late)
    assert ending is Ending.FAILED
    assert "time limit of 0 s" in reason
    assert Store(job.out).record(job.key) is None


def test_a_hung_clip_leaves_word_before_its_process_ends(job: Job) -> None:
    codes: list[int] = []
    deadline = _Deadline(job, Store(job.out), codes.append)
    deadline._give_up()
    assert codes == [75]
    assert analyze_clip(job).ending is Ending.FAILED


def test_a_worker_of_another_version_halts_the_run(job: Job) -> None:
    other = Job(job.key, job.path, job.options, False, job.out, 600.0, "run-1", version="9.9")
    outcome = analyze_clip(other)
    assert outcome.ending is Ending.HALTED
    assert "install the same version" in outcome.reason


def test_a_full_disk_is_not_the_clips_fault(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("usguide.batch.frames.write_frames_part", full)
    assert _analyze(job)[0] is Ending.HALTED


def test_a_deadline_raises_only_when_it_is_past(job: Job) -> None:
    _Deadline(job, Store(job.out)).check("reading", 1, 2)
    late = Job(job.key, job.path, job.options, False, job.out, -1.0, "run-1")
    with pytest.raises(ClipLostError):
        _Deadline(late, Store(job.out)).check("reading", 1, 2)
