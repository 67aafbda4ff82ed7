"""What was found, drawn on the clip: the overlay video and the report's still pictures.

Only the B-mode region is shown, at its place in the source frame; the rest stays blank, because
that is where scanners burn in the patient's name. A strip below says what the colours mean.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import av.video.stream
import cv2
import numpy as np

from usguide.model import Analysis, Floats, Frame, Frames, Header, Progress
from usguide.output import drawing
from usguide.output.annotation import Annotator, legend
from usguide.output.drawing import Picture, View

# A clip without timing still has to be played somehow: slowly, and the strip says so.
UNTIMED_FPS = 10.0

# Narrow clips are padded on the right so that the strip's words fit.
_MIN_WIDTH_PX = 480
# Larger pictures are shrunk: what browsers decode in hardware everywhere.
_MAX_SIDE_PX = 1920

# The longer side of a still, and how far a small picture is enlarged to it at most.
_STILL_SIDE_PX = 1100
_STILL_ENLARGED = 4.0
_JPEG_QUALITY = 88

# MPEG's customary clock: every common frame rate is a whole number of its ticks.
_TICKS_PER_S = 90_000

_DISCLAIMER = "usguide · research use, not a medical device"


def render(
    analysis: Analysis,
    clip: Frames,
    *,
    video: Path | None,
    stills: Collection[int],
    progress: Progress,
    passing: Callable[[int, Frame], None] | None = None,
) -> dict[int, bytes]:
    """Draw the findings in one pass over the clip.

    Parameters
    ----------
    analysis, clip : Analysis, Frames
        What was found, and on what.
    video : Path or None
        Where to write the overlay video (H.264 in MP4, original timing); None for no video.
    stills : collection of int
        Distinct frames wanted as pictures of the region.
    progress : callable
        Told ``("overlay", done, total)``.
    passing : callable, optional
        Shown every distinct frame with its index, for pictures made of many frames.

    Returns
    -------
    dict of int to bytes
        The pictures asked for, as JPEG.
    """
    header = analysis.header
    view = still_view(header)
    still = Annotator(analysis, view)
    pictures: dict[int, bytes] = {}
    whole = video is not None or passing is not None
    total = header.frames if whole else max(stills, default=-1) + 1
    progress("overlay", 0, total)

    def watched() -> Iterator[tuple[int, Frame]]:
        """Distinct frames, with the wanted ones pictured in passing."""
        for index, frame in clip.frames():
            if index in stills:
                page = np.zeros((view.height, view.width, 3), dtype=np.uint8)
                still.draw(page, index, frame)
                pictures[index] = _jpeg(page)
            if passing is not None:
                passing(index, frame)
            progress("overlay", index + 1, total)
            yield index, frame
            if index + 1 >= total:
                return

    if video is None:
        for _ in watched() if total else ():
            pass
    else:
        strip = Strip(analysis)
        with Video(video, strip.width, strip.height, play_times_s(header)) as film:
            for picture in strip.pictures(watched()):
                film.add(picture)
    progress("overlay", total, total)
    return pictures


def source_view(header: Header) -> View:
    """Whole source frame: a canvas px is a source px, unless the frame is very large."""
    scale = min(1.0, _MAX_SIDE_PX / max(header.width, header.height))
    shorter = min(header.width, header.height) * scale
    return View(
        0,
        0,
        scale,
        max(round(header.width * scale), 1),
        max(round(header.height * scale), 1),
        stroke=max(1, round(shorter / 450)),
        letter=int(np.clip(shorter / 36, 11, 26)),
    )


def still_view(header: Header) -> View:
    """Return the region alone, enlarged so that drawn lines look thin beside it."""
    region = header.region
    longer = max(region.width, region.height)
    scale = min(_STILL_SIDE_PX / longer, _STILL_ENLARGED)
    return View(
        region.x,
        region.y,
        scale,
        max(round(region.width * scale), 1),
        max(round(region.height * scale), 1),
        # A page shows a still at half its size.
        stroke=max(1, round(longer * scale / 550)),
        letter=max(11, round(longer * scale / 42)),
    )


def play_times_s(header: Header) -> Floats:
    """When each source frame is shown in the overlay, shape (frames,)."""
    if header.timing.time_s is None:
        return np.arange(header.frames) / UNTIMED_FPS
    return header.timing.time_s


class Strip:
    """Frames of the overlay video: the annotated source frame above a strip of words."""

    def __init__(self, analysis: Analysis) -> None:
        self._header = analysis.header
        self._view = source_view(self._header)
        self._annotator = Annotator(analysis, self._view)
        self._letter = int(np.clip(self._view.width / 60, 12, 20))
        self._line = round(self._letter * 1.7)
        width = max(self._view.width, _MIN_WIDTH_PX)
        self.width = width + width % 2
        key = legend(analysis)
        self._key = [(entry.colour, drawing.lettering(entry.text, self._letter)) for entry in key]
        self._rows = self._wrapped()
        height = self._view.height + self._line * (len(self._rows) + 1) + self._letter // 2
        self.height = height + height % 2

    def pictures(self, frames: Iterator[tuple[int, Frame]]) -> Iterator[Picture]:
        """Yield one picture per source frame, in order, from the distinct frames.

        A frame that repeats another shows that one's picture under its own number and time. The
        array is reused: it is only valid until the next one is asked for.
        """
        duplicate_of = self._header.timing.duplicate_of
        canvas = np.zeros((self.height, self.width, 3), dtype=np.uint8)
        canvas[self._view.height :] = drawing.INK[::-1]
        self._write_key(canvas)
        caption = canvas[self.height - self._line - self._letter // 4 :]
        last_use = {int(of): index for index, of in enumerate(duplicate_of) if of >= 0}
        # Drawn frames that a frame further on repeats: nearly always one, the last.
        kept: dict[int, Picture] = {}
        for index, of in enumerate(duplicate_of):
            picture = canvas[: self._view.height]
            if of < 0:
                shown = next(frames, None)
                if shown is None:
                    return
                self._annotator.draw(canvas, *shown)
                if index in last_use:
                    kept[index] = picture.copy()
            else:
                picture[:] = kept[int(of)]
                if last_use[int(of)] == index:
                    del kept[int(of)]
            self._write_caption(caption, index)
            yield canvas

    def _wrapped(self) -> list[list[int]]:
        """Which legend entries go on which row."""
        rows: list[list[int]] = []
        used = self.width
        for position, (_, mask) in enumerate(self._key):
            needed = mask.shape[1] + 3 * self._letter
            if used + needed > self.width:
                rows.append([])
                used = 0
            rows[-1].append(position)
            used += needed
        return rows

    def _write_key(self, canvas: Picture) -> None:
        letter = self._letter
        for row, positions in enumerate(self._rows):
            x = letter
            y = self._view.height + row * self._line + letter // 2
            for position in positions:
                colour, mask = self._key[position]
                middle = y + mask.shape[0] / 2
                swatch = np.array([[x, middle], [x + letter, middle]])
                drawing.line(canvas, swatch, colour, width=3)
                drawing.stamp(canvas, mask, (x + round(1.5 * letter), y), drawing.WHITE)
                x += mask.shape[1] + 3 * letter

    def _write_caption(self, strip: Picture, index: int) -> None:
        header, letter = self._header, self._letter
        strip[:] = drawing.INK[::-1]
        time_s = header.timing.time_s
        when = "no timing" if time_s is None else f"{time_s[index]:.2f} s"
        repeat = " (repeat)" if header.timing.duplicate_of[index] >= 0 else ""
        now = drawing.lettering(f"{when} · frame {index} of {header.frames}{repeat}", letter)
        drawing.stamp(strip, now, (letter, 0), drawing.WHITE)
        claim = drawing.lettering(_DISCLAIMER, letter)
        x = self.width - claim.shape[1] - letter
        if x > now.shape[1] + 2 * letter:
            drawing.stamp(strip, claim, (x, 0), drawing.GREY)


class Video:
    """An MP4 file that browsers play: H.264, 4:2:0, index first, any spacing of frames.

    Parameters
    ----------
    path : Path
        File to write.
    width, height : int
        Even size of every picture.
    times_s : ndarray, shape (n,)
        When each picture is shown; the last stays as long as pictures usually do.
    """

    def __init__(self, path: Path, width: int, height: int, times_s: Floats) -> None:
        ticks = np.round(times_s * _TICKS_PER_S).astype(np.int64)
        # Containers need strictly growing time stamps; scanners do not always give them.
        steps = np.maximum(np.diff(ticks), 1)
        self._ticks = np.concatenate([[0], np.cumsum(steps)])
        last = round(float(np.median(steps))) if len(steps) else _TICKS_PER_S
        self._durations = np.append(steps, last)
        self._next = 0
        self._file = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        rate = Fraction(_TICKS_PER_S, max(last, 1)).limit_denominator(1001)
        self._stream: av.video.stream.VideoStream = self._file.add_stream("libx264", rate=rate)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, _TICKS_PER_S)
        # No B-frames: time stamps need no edit list, which some players ignore.
        self._stream.options = {"crf": "21", "preset": "veryfast", "bf": "0"}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._mux(None)
        self._file.close()

    def add(self, picture: Picture) -> None:
        """Encode the next picture, blue-green-red (height, width, 3)."""
        frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
        frame.pts = int(self._ticks[self._next])
        frame.time_base = Fraction(1, _TICKS_PER_S)
        frame.duration = int(self._durations[self._next])
        self._next += 1
        self._mux(frame)

    def _mux(self, frame: av.VideoFrame | None) -> None:
        for packet in self._stream.encode(frame):
            self._file.mux(packet)


def _jpeg(picture: Picture) -> bytes:
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise RuntimeError("OpenCV could not encode a JPEG")
    return data.tobytes()
