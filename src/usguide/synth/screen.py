"""Any scene on a vendor-like screen: ruler, made-up text, grey bar, calipers, cursor, repeats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from usguide.errors import ConfigError
from usguide.model import Floats, Frame
from usguide.synth.parameters import Choice, Number, Parameter, Switch, Value
from usguide.synth.scene import Placement, Recording, Scene, Truth, rounded

Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]

PARAMETERS: dict[str, Parameter] = {
    "ruler": Choice(("ticks", "dots", "none"), "marks of the ruler", ("ticks", "ticks", "dots")),
    "ruler_side": Choice(
        ("left", "right", "below"), "where the ruler is", ("right", "left", "below")
    ),
    "ruler_gap_px": Number(0, 40, "px", "from the picture to the ruler", -30, 60, whole=True),
    "pitch_mm": Choice(("2", "5", "10"), "distance of the marks"),
    "numbered": Switch(0.7, "whether longer marks carry numbers, in cm or mm"),
    "theme": Choice(("black", "violet", "navy"), "colours of the screen"),
    "text": Switch(0.9, "made-up names, settings and dates"),
    "clock": Switch(0.3, "a clock that runs"),
    "grey_bar": Switch(0.8, "a bar of the grey map"),
    "caliper": Switch(0.0, "a measurement burned into the picture"),
    "cursor": Switch(0.0, "a mouse cursor that moves over the picture"),
    "container_fps": Number(
        0.0,
        0.0,
        "1/s",
        "rate of the recorder, which repeats frames; 0 for the scan's own",
        0.0,
        240,
    ),
}

_THEMES: dict[str, tuple[Colour, Colour, Colour]] = {
    "black": ((0, 0, 0), (170, 180, 186), (236, 205, 70)),
    "violet": ((59, 48, 55), (196, 190, 196), (224, 222, 226)),
    "navy": ((10, 16, 30), (140, 170, 200), (120, 220, 160)),
}
"""Background, text and ruler colour."""

_NAMES = ("MUSTER, ERIKA", "Doe, Jane", "TESTMANN, Theo", "Nobody^Anna", "BEISPIEL, Bo")
_SITES = ("Clinic of Nowhere", "Sample Hospital", "Sonography Example", "Institute for Tests")


@dataclass(frozen=True, slots=True)
class Label:
    """Text on the screen, and whether it says who somebody is."""

    text: str
    box_px: Box
    identifying: bool


class ScreenScene(Recording):
    """A scene as a recorder saw it on a scanner's screen.

    Parameters
    ----------
    scene : Scene
        What the picture shows.
    values : dict
        A value for each of ``PARAMETERS``.
    rng : numpy.random.Generator
        Source of the layout and of names.

    Raises
    ------
    ConfigError
        If the recorder is slower than the scan.
    """

    def __init__(self, scene: Scene, values: dict[str, Value], rng: np.random.Generator) -> None:
        self.scene = scene
        self.parameters = {**scene.parameters, "screen": True, **values}
        self._v = values
        rate = float(values["container_fps"]) or scene.fps
        if rate < scene.fps:
            raise ConfigError(
                f"container_fps={rate:g} is below the scan's {scene.fps:.1f} frames/s; "
                "give at least that, or 0."
            )
        self._rate = rate
        count = max(1, round(scene.count / scene.fps * rate))
        shown = np.floor(np.arange(count) / rate * scene.fps + 1e-9).astype(np.int64)
        self._shown = np.minimum(shown, scene.count - 1)
        width, height = scene.size_px
        left, top = int(rng.integers(70, 150)), int(rng.integers(40, 80))
        right, bottom = int(rng.integers(110, 170)), int(rng.integers(50, 90))
        # The ruler and its numbers keep clear of the text.
        right += max(0, self._beside("right") - 10)
        left += max(0, self._beside("left") - 40)
        bottom += self._beside("below")
        self._origin = (left, top)
        # Video wants even sides.
        self._size = (2 * ((left + width + right + 1) // 2), 2 * ((top + height + bottom + 1) // 2))
        self._background, self._text_colour, self._ruler_colour = _THEMES[str(values["theme"])]
        self._labels: list[Label] = []
        self._marks = self._ruler_marks()
        self._cursor_phase = float(rng.uniform(0.0, 6.28))
        self._caliper = self._caliper_points(rng)
        self._furniture = self._draw(rng)

    @property
    def fps(self) -> float:
        """Source frames per second."""
        return self._rate

    @property
    def times_s(self) -> Floats:
        """Time of every source frame, shape (frames,)."""
        return np.arange(len(self._shown)) / self._rate

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of a source frame."""
        return self._size

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """Millimetres per pixel (x, y)."""
        return self.scene.spacing_mm

    @property
    def placement(self) -> Placement:
        """Where the scene's millimetres lie in the source frame."""
        plain = self.scene.placement
        return Placement(plain.spacing_mm, plain.width_px, plain.mirrored, self._origin)

    def displacement_mm(self, frame: int, points_px: Floats) -> Floats:
        """Exact displacement (mm) from rest of tissue at ``points_px`` (..., 2) where it rests."""
        inside = np.asarray(points_px, dtype=np.float64) - np.array(self._origin)
        return self.scene.displacement_mm(int(self._shown[frame]), inside)

    def frames(self) -> Iterator[Frame]:
        """Yield the luma of every source frame, uint8 (height, width)."""
        for picture in self.pictures():
            yield np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), dtype=np.uint8)

    def pictures(self) -> Iterator[NDArray[np.uint8]]:
        """Yield every source frame as the recorder stores it, RGB uint8 (height, width, 3)."""
        x, y = self._origin
        width, height = self.scene.size_px
        scans = iter(self.scene.frames())
        last, scan = -1, np.zeros((height, width), dtype=np.uint8)
        for index, shown in enumerate(self._shown):
            while last < shown:
                scan, last = next(scans), last + 1
            picture = self._furniture.copy()
            area = picture[y : y + height, x : x + width]
            # What is drawn over the picture stays; everywhere else the echoes show.
            empty = ~area.any(axis=2)
            area[empty] = scan[empty][:, None]
            self._overlay(picture, index)
            yield picture

    @property
    def truth(self) -> Truth:
        """The truth, JSON-ready; every field is described in ``docs/truth.md``."""
        truth = self.scene.truth_at(self.placement, [int(frame) for frame in self._shown])
        repeats = np.full(self.count, -1, dtype=np.int64)
        first: dict[int, int] = {}
        for index, shown in enumerate(self._shown):
            if int(shown) in first:
                repeats[index] = first[int(shown)]
            else:
                first[int(shown)] = index
        width, height = self._size
        truth.update(
            {
                "parameters": dict(self.parameters),
                "frames": self.count,
                "width": width,
                "height": height,
                "timing": {
                    "fps": self.fps,
                    "scan_fps": self.scene.fps,
                    "time_s": rounded(self.times_s, 6),
                    "duplicate_of": [int(value) for value in repeats],
                    "scan_frame": [int(value) for value in self._shown],
                },
                "ruler": self._ruler_truth(),
                "screen": {
                    "text": [
                        {"text": each.text, "box_px": list(each.box_px),
                         "identifying": each.identifying}
                        for each in self._labels
                    ],
                    "caliper_px": [] if self._caliper is None else rounded(self._caliper, 2),
                },
            }
        )  # fmt: skip
        return truth

    def _beside(self, side: str) -> int:
        """Room that the ruler takes beyond this side of the picture, px."""
        if self._v["ruler"] == "none" or self._v["ruler_side"] != side:
            return 0
        return max(int(self._v["ruler_gap_px"]), 0) + (40 if self._v["numbered"] else 18)

    def _ruler_marks(self) -> Floats:
        """Place of every mark in source px, shape (k, 2)."""
        if self._v["ruler"] == "none":
            return np.empty((0, 2))
        x, y = self._origin
        width, height = self.scene.size_px
        spacing = self.scene.scanner.spacing_mm
        step = float(str(self._v["pitch_mm"])) / spacing
        gap = int(self._v["ruler_gap_px"])
        if self._v["ruler_side"] == "below":
            along = np.arange(0.0, width - 1 + 1e-6, step)
            return np.stack([x + along, np.full_like(along, y + height + max(gap, 0) + 4)], axis=1)
        along = np.arange(0.0, height - 1 + 1e-6, step)
        at = x - 4 - max(gap, 0) if self._v["ruler_side"] == "left" else x + width + 4 + gap
        return np.stack([np.full_like(along, at), y + along], axis=1)

    def _major_every(self) -> int:
        """How many marks there are to a longer one, at every centimetre."""
        return {"2": 5, "5": 2, "10": 1}[str(self._v["pitch_mm"])]

    def _ruler_truth(self) -> Truth | None:
        if len(self._marks) == 0:
            return None
        return {
            "kind": str(self._v["ruler"]),
            "side": str(self._v["ruler_side"]),
            "pitch_mm": float(str(self._v["pitch_mm"])),
            "numbered": bool(self._v["numbered"]),
            "marks_px": rounded(self._marks, 3),
        }

    def _caliper_points(self, rng: np.random.Generator) -> Floats | None:
        if not self._v["caliper"]:
            return None
        width, height = self.scene.size_px
        start = np.array([rng.uniform(0.3, 0.7) * width, rng.uniform(0.25, 0.45) * height])
        end = start + np.array([rng.uniform(-6.0, 6.0), rng.uniform(0.08, 0.2) * height])
        return np.asarray(np.rint(np.stack([start, end]) + np.array(self._origin)))

    def _draw(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Everything that stays, RGB; black over the picture where echoes show through."""
        image = Image.new("RGB", self._size, self._background)
        pen = ImageDraw.Draw(image)
        x, y = self._origin
        width, height = self.scene.size_px
        if self._v["text"]:
            self._write_text(pen, rng)
        if self._v["grey_bar"]:
            for row in range(120):
                level = 255 - 2 * row
                pen.line([(12, y + 30 + row), (26, y + 30 + row)], fill=(level, level, level))
        pen.rectangle([x, y, x + width - 1, y + height - 1], fill=(0, 0, 0))
        self._draw_ruler(pen)
        if self._caliper is not None:
            self._draw_caliper(pen, self._caliper)
        return np.array(image, dtype=np.uint8)

    def _put(
        self, pen: ImageDraw.ImageDraw, at: tuple[int, int], text: str, size: int, *,
        who: bool = False, colour: Colour | None = None, anchor: str = "la",
    ) -> None:  # fmt: skip
        font = ImageFont.load_default(size)
        pen.text(at, text, fill=colour or self._text_colour, font=font, anchor=anchor)
        box = pen.textbbox(at, text, font=font, anchor=anchor)
        left, top, right, bottom = (int(value) for value in box)
        self._labels.append(Label(text, (left, top, right - left + 1, bottom - top + 1), who))

    def _write_text(self, pen: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
        x, y = self._origin
        width, _ = self.scene.size_px
        sc = self.scene.scanner
        name = _NAMES[int(rng.integers(len(_NAMES)))]
        site = _SITES[int(rng.integers(len(_SITES)))]
        day = f"{rng.integers(1, 29):02d}/{rng.integers(1, 13):02d}/20{rng.integers(15, 26)}"
        born = f"{rng.integers(1, 29):02d}/{rng.integers(1, 13):02d}/19{rng.integers(40, 99)}"
        self._put(pen, (x, 6), name, 15, who=True)
        self._put(pen, (x, 22), f"ID {rng.integers(10**6, 10**7)}  *{born}", 12, who=True)
        self._put(pen, (x + width // 2, 6), site, 14, who=True)
        self._put(pen, (x + width, 6), day, 13, who=True)
        column = x + width + max(20, self._beside("right") + 12)
        settings = (
            "[B]",
            f"FR {self.scene.fps:.0f} Hz",
            f"De {sc.depth_mm:.0f} mm",
            f"Frq {sc.frequency_mhz:.1f} MHz",
            f"DR {sc.dynamic_range_db:.0f} dB",
            f"Gn {50 + sc.gain_db:.0f} %",
            "MI 0.7  TIS 0.1",
        )
        for row, text in enumerate(settings):
            self._put(pen, (min(column, self._size[0] - 100), y + 10 + 17 * row), text, 12)
        self._put(pen, (x, self._size[1] - 26), "MSK  LIN 5-16", 12)

    def _draw_ruler(self, pen: ImageDraw.ImageDraw) -> None:
        below = self._v["ruler_side"] == "below"
        outward = -1 if self._v["ruler_side"] == "left" else 1
        colour = self._ruler_colour
        every = self._major_every()
        for k, (mx, my) in enumerate(np.rint(self._marks).astype(int).tolist()):
            major = k % every == 0
            if self._v["ruler"] == "dots":
                radius = 3 if major else 1
                pen.ellipse([mx - radius, my - radius, mx + radius, my + radius], fill=colour)
            else:
                length = 10 if major else 5
                end = (mx, my + length) if below else (mx + outward * length, my)
                pen.line([(mx, my), end], fill=colour)
            if major and self._v["numbered"]:
                mm = k * float(str(self._v["pitch_mm"]))
                text = f"{mm / 10:g}"
                at = (mx, my + 14) if below else (mx + outward * 14, my)
                anchor = "ma" if below else ("rm" if outward < 0 else "lm")
                self._put(pen, at, text, 12, colour=colour, anchor=anchor)

    def _draw_caliper(self, pen: ImageDraw.ImageDraw, ends: Floats) -> None:
        colour = (240, 220, 60)
        for px, py in ends:
            pen.line([(px - 4, py - 4), (px + 4, py + 4)], fill=colour)
            pen.line([(px - 4, py + 4), (px + 4, py - 4)], fill=colour)
        for share in np.arange(0.08, 0.95, 0.08):
            px, py = ends[0] + share * (ends[1] - ends[0])
            pen.point([(round(px), round(py))], fill=colour)
        length = float(np.linalg.norm((ends[1] - ends[0]) * self.scene.scanner.spacing_mm))
        at = (self._size[0] - 150, self._size[1] - 44)
        self._put(pen, at, f"1 Dist {length / 10:.2f} cm", 13, colour=colour)

    def _overlay(self, picture: NDArray[np.uint8], index: int) -> None:
        """Draw what moves on the screen: the clock and the cursor."""
        seconds = index / self._rate
        if self._v["clock"]:
            at = (self._size[0] - 90, self._size[1] - 12)
            cv2.putText(
                picture, f"10:{24 + int(seconds) // 60:02d}:{int(seconds) % 60:02d}", at,
                cv2.FONT_HERSHEY_SIMPLEX, 0.4, self._text_colour, 1,
            )  # fmt: skip
        if self._v["cursor"]:
            x, y = self._origin
            width, height = self.scene.size_px
            phase = self._cursor_phase + 0.8 * seconds
            cx = round(x + width * (0.5 + 0.3 * np.sin(phase)))
            cy = round(y + height * (0.6 + 0.2 * np.cos(1.3 * phase)))
            arrow = np.array([[0, 0], [0, 15], [4, 11], [10, 11]]) + np.array([cx, cy])
            cv2.fillPoly(picture, [arrow.astype(np.int32)], (255, 255, 255))
