"""Every real ultrasound file at hand: is it decoded, scaled and timed right, and how fast.

    python -m benchmarks.ingest [--page PATH]

Files of pydicom, ``pydicom-data``, ``deid-data`` and, where it is there, ``../shared/clips``. Each
is opened in a process of its own for its peak memory; frame by frame and pydicom's
``pixel_array`` take turns in the same run. Right means: as many frames as ``pixel_array`` gives;
10 times the delta of the only sort of region that states a scale, and none where there is none;
luma that agrees with the colours that ``pixel_array`` gives, converted by pydicom.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile

import cv2
import numpy as np
import pydicom
from pydicom.data import get_testdata_file
from pydicom.pixels import apply_color_lut

from benchmarks import page
from benchmarks.memory import peak_mb
from usguide.errors import IngestError

_PYDICOM = (
    *("JPGLosslessP14SV1_1s_1f_8b", "OBXXXX1A", "OBXXXX1A_2frame", "OBXXXX1A_expb"),
    *("OBXXXX1A_expb_2frame", "OBXXXX1A_rle", "OBXXXX1A_rle_2frame", "US1_J2KI", "US1_J2KR"),
    *("US1_UNCI", "US1_UNCR", "color-pl", "color-px", "color3d_jpeg_baseline"),
    *("gdcm-US-ALOKA-16", "gdcm-US-ALOKA-16_big", "ExplVR_BigEnd", "examples_palette"),
    *("examples_rgb_color", "examples_ybr_color"),
)
_DEID = ("GREYSCALE_IMAGE", "RGB_IMAGE", "ultrasound-multiframe")
_DEID_ZIPPED = ("GREYSCALE_CINE", "RGB_CINE")
_CLIPS = page.ROOT.parent / "shared" / "clips" / "dicom"
_LUMA_AGREES = 3.0
"""Mean difference, grey levels, between luma as stored and luma of the converted colours."""


def real_files(working: Path) -> list[Path]:
    """Return the real ultrasound files that are there, without those stored twice.

    Zipped ones are unpacked into a working folder.
    """
    found = [get_testdata_file(f"{name}.dcm") for name in _PYDICOM]
    files = [Path(str(file)) for file in found if file is not None]
    try:
        import deid_data
    except ModuleNotFoundError:
        pass
    else:
        folder = Path(deid_data.__path__[0]) / "data" / "ultrasounds"
        files += [folder / f"{name}.dcm" for name in _DEID]
        for name in _DEID_ZIPPED:
            with ZipFile(folder / f"{name}.zip") as archive:
                files.append(Path(archive.extract(f"{name}.dcm", working)))
    return files + (sorted(_CLIPS.glob("*.dcm")) if _CLIPS.is_dir() else [])


def examine(path: Path) -> dict[str, Any]:
    """Open one file both ways."""
    warnings.simplefilter("ignore")
    cv2.setNumThreads(1)
    from usguide.ingest.dicom import read_dicom
    from usguide.ingest.opening import open_clip

    dataset = pydicom.dcmread(path)
    about: dict[str, Any] = {
        "syntax": dataset.file_meta.TransferSyntaxUID.name.split(" (")[0].split(",")[0],
        "photometric": str(dataset.PhotometricInterpretation),
        "stated": _stated(dataset),
    }
    try:
        header = open_clip(path).header
    except IngestError as error:
        return about | {"refused": str(error)}
    about["peak_mb"] = peak_mb()  # before pixel_array, which needs the whole cine
    about |= {"frames": header.frames, "timing": header.timing.source.value}
    about["mm"] = header.calibration.spacing_mm
    about["source"] = header.calibration.source.value

    recording = read_dicom(path, "")
    ours, theirs = [], []
    for _ in range(3):
        start = time.perf_counter()
        count = sum(1 for _ in recording.pictures())
        ours.append(time.perf_counter() - start)
        dataset = pydicom.dcmread(path)
        start = time.perf_counter()
        pixels = dataset.pixel_array
        theirs.append(time.perf_counter() - start)
    about["fps"], about["peer_fps"] = count / min(ours), count / min(theirs)
    whole = int(dataset.get("NumberOfFrames") or 1)
    about["expected"] = whole
    first = pixels[0] if whole > 1 else pixels
    about["off"] = _difference(next(iter(recording.pictures())).luma, first, dataset)
    return about


def _stated(dataset: pydicom.Dataset) -> list[float]:
    """Scales, mm, of the B-mode regions in centimetres."""
    return [
        abs(float(region.PhysicalDeltaX)) * 10
        for region in dataset.get("SequenceOfUltrasoundRegions") or []
        if region.get("RegionSpatialFormat") == 1
        and (region.PhysicalUnitsXDirection, region.PhysicalUnitsYDirection) == (3, 3)
    ]


def _difference(luma: Any, first: Any, dataset: pydicom.Dataset) -> float:
    """Mean difference from the luma of the colours as pydicom converts them."""
    photometric = str(dataset.PhotometricInterpretation)
    if photometric == "PALETTE COLOR":
        table = apply_color_lut(first, dataset)
        depth = 8 if table.max() < 256 else 16
        first = (table >> (depth - 8)).astype(np.uint8)
    grey = first if first.ndim == 2 else cv2.cvtColor(first, cv2.COLOR_RGB2GRAY)
    return float(np.abs(luma.astype(float) - grey).mean())


def apart(path: Path) -> dict[str, Any]:
    """Run :func:`examine` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.ingest", "--one", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=page.ROOT)
    about: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return about


def _row(path: Path, about: dict[str, Any]) -> tuple[str, ...]:
    if "refused" in about:
        return (path.stem, about["syntax"], about["photometric"], about["refused"], *[""] * 6)
    mm, stated = about["mm"], about["stated"]
    if about["source"] == "dicom":
        right = any(abs(mm[0] / value - 1) < 1e-3 for value in stated)
        scale = f"{mm[0]:.4f}, {'right' if right else 'WRONG'}"
    else:
        scale = "MISSED" if stated else f"none stated; {about['source']}"
    off = about["off"]
    return (
        path.stem,
        about["syntax"],
        about["photometric"],
        f"{about['frames']} of {about['expected']}",
        f"{off:.2f}{'' if off <= _LUMA_AGREES else ' WRONG'}",
        scale,
        about["timing"],
        f"{about['fps']:.0f}",
        f"{about['peer_fps']:.0f}",
        f"{about['fps'] / about['peer_fps']:.1f}",
        f"{about['peak_mb']:.0f}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--page", type=Path, default=page.PAGE)
    asked = parser.parse_args()
    if asked.one is not None:
        print(json.dumps(examine(asked.one)))
        return
    rows = []
    with TemporaryDirectory() as working:
        for path in real_files(Path(working)):
            rows.append(_row(path, apart(path)))
            print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    head = ("file", "transfer syntax", "photometric", "frames", "luma off", "mm per px", "timing",
            "frames/s", "pixel_array", "times as fast", "peak MB")  # fmt: skip
    text = (
        "## Real ultrasound files\n\n"
        "`python -m benchmarks.ingest`: frames/s of luma, frame by frame, against pydicom's "
        "`pixel_array`, the best of three turns in one run; peak memory of opening; mean "
        "difference, grey levels, from the luma of the colours as pydicom converts them.\n\n"
        f"{page.machine()}\n\n{page.table(head, rows)}"
    )
    page.write_part("ingest", text, asked.page)


if __name__ == "__main__":
    main()
