"""An archive to try a run on: small synthetic recordings of every kind, and broken ones.

Rendering is the slow part. Every scene is rendered once and cut into excerpts, as it is and
mirrored, each written as DICOM or video, so that all contents differ; the same seed gives the same
archive.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.data import get_testdata_file

from usguide.synth import make_scene, write
from usguide.synth.scene import Floats, Frame, Recording, Truth

SIZE = (224, 176)
FRAMES = 6
"""Frames of an excerpt: runs are tried, not detectors."""

SCENES = ("heel", "needling", "muscle", "phantom", "needle_out_of_plane")
BROKEN = 20

_STARTS = range(0, 19, 3)


class Excerpt(Recording):
    """Some consecutive frames of a rendered scene, as they are or mirrored.

    Its truth is the whole scene's: these clips are for trying runs, not for measuring errors.
    """

    def __init__(
        self, scene: Recording, pictures: NDArray[np.uint8], start: int, *, mirrored: bool
    ) -> None:
        self._scene = scene
        part = pictures[start : start + FRAMES]
        self._pictures = np.ascontiguousarray(part[:, :, ::-1] if mirrored else part)
        self.parameters = scene.parameters | {"start": start, "mirrored again": mirrored}

    fps = property(lambda self: self._scene.fps)
    size_px = property(lambda self: self._scene.size_px)
    spacing_mm = property(lambda self: self._scene.spacing_mm)
    placement = property(lambda self: self._scene.placement)
    times_s = property(lambda self: self._scene.times_s[:FRAMES])

    @property
    def truth(self) -> Truth:
        """The whole scene's, with the parameters that tell excerpts apart."""
        return self._scene.truth | {"parameters": self.parameters}

    def frames(self) -> Iterator[Frame]:
        """Yield the rendered frames."""
        return iter(self._pictures)

    def displacement_mm(self, frame: int, points_px: Floats) -> Floats:
        """Return the whole scene's."""
        return self._scene.displacement_mm(frame, points_px)


def make_archive(folder: Path, clips: int, *, seed: int = 1) -> int:
    """Write an archive and return how many recordings it holds, broken ones and a copy among them.

    Parameters
    ----------
    folder : Path
        Where; replaced if it is there.
    clips : int
        How many readable ones at least.
    seed : int
        Everything is drawn from it.
    """
    shutil.rmtree(folder, ignore_errors=True)
    made = 0
    number = 0
    while made < clips:
        scene = SCENES[number % len(SCENES)]
        # One in six is a recording of a vendor's screen, with a ruler and text.
        made += _scene(folder / f"{scene} {number:03}", scene, seed + number, number % 6 == 5)
        number += 1
    dicom, video = next(folder.rglob("*.dcm")), next(folder.rglob("*.mp4"))
    shutil.copyfile(dicom, folder / "copy of a clip.dcm")
    return made + 1 + _broken(folder / "broken", dicom, video)


def _scene(folder: Path, name: str, seed: int, screen: bool) -> int:
    """Write one scene's excerpts and return how many."""
    folder.mkdir(parents=True)
    whole = make_scene(
        name, seed=seed, width_px=SIZE[0], height_px=SIZE[1], frames=_STARTS[-1] + FRAMES,
        screen=str(screen).lower(),
    )  # fmt: skip
    pictures = np.stack(list(whole.pictures() if screen else whole.frames()))
    cut = [
        Excerpt(whole, pictures, start, mirrored=mirrored)
        # The text and the ruler of a screen do not stand mirror-inverted.
        for mirrored in ((False,) if screen else (False, True))
        for start in _STARTS
    ]
    for number, excerpt in enumerate(cut):
        # Names of scanners and of people: blanks, umlauts, none of a DICOM suffix.
        video = screen or number % 2 == 1
        path = folder / (f"Übung {number}.mp4" if video else f"IM_{number:04}.dcm")
        write(excerpt, path)[1].unlink()
        if not video and number == 2:
            path.rename(path.with_suffix(""))
    numbered = folder / "frames"
    numbered.mkdir()
    for index, picture in enumerate(pictures[::4]):
        Image.fromarray(picture).save(numbered / f"f{index}.png")
    return len(cut) + 1


def _broken(folder: Path, dicom: Path, video: Path) -> int:
    """Write recordings that cannot be read or are no ultrasound, each in another way."""
    folder.mkdir()
    draw = random.Random(7)
    good = {"dcm": dicom.read_bytes(), "mp4": video.read_bytes()}
    for suffix, content in good.items():
        (folder / f"empty.{suffix}").touch()
        (folder / f"cut short.{suffix}").write_bytes(content[:300])
        (folder / f"cut in the header.{suffix}").write_bytes(content[:900])
        (folder / f"noise.{suffix}").write_bytes(draw.randbytes(5000))
        (folder / f"text.{suffix}").write_text("This was a recording once.\n" * 20)
        (folder / f"zeros.{suffix}").write_bytes(bytes(4000))
        damaged = bytearray(content)
        damaged[400:1600] = draw.randbytes(1200)
        (folder / f"damaged.{suffix}").write_bytes(damaged)
    (folder / "page.avi").write_text("<html><body>Not found</body></html>")
    (folder / "archive.mov").write_bytes(b"PK\x03\x04" + draw.randbytes(500))
    shutil.copyfile(get_testdata_file("CT_small.dcm"), folder / "other modality.dcm")
    without = dcmread(dicom)
    del without.PixelData
    without.save_as(folder / "no pixels.dcm")
    without = dcmread(dicom)
    without.Rows = 0
    without.save_as(folder / "no rows.dcm")
    (folder / "broken link.mp4").symlink_to("gone.mp4")
    return BROKEN
