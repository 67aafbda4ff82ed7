"""Video files, and video streams inside other files, through PyAV.

Frames are decoded in order and never sought: containers lie about where frames are. The luma
plane is taken as it stands, and every frame carries its own presentation time. A telephone stores
what it films turned and says so: frames are turned as every player turns them.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from io import RawIOBase
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange
from numpy.typing import NDArray

from usguide.errors import UnreadableError
from usguide.ingest.luma import LIMITED_TO_FULL, luma_of_rgb
from usguide.ingest.recording import Picture, Recording, check_size
from usguide.model import Frame, SourceKind, TimingSource

_LUMA_FIRST = frozenset(
    {"yuv420p", "yuv422p", "yuv444p", "yuv411p", "yuv410p", "yuv440p", "nv12", "nv21", "nv16"}
)
"""8-bit pixel formats whose first plane is limited-range luma unless the stream says full."""
_FULL_RANGE_LUMA_FIRST = frozenset({"yuvj420p", "yuvj422p", "yuvj444p", "yuvj440p", "gray"})


def read_video(path: Path, sha256: str) -> Recording:
    """Open a video file.

    Raises
    ------
    UnreadableError
        If it is not a video, is cut short before its index, or has no picture in it.
    """
    return recording_of_stream(path, sha256, lambda: str(path), SourceKind.VIDEO)


def recording_of_stream(path: Path, sha256: str, source: Any, kind: SourceKind) -> Recording:
    """Describe a video stream.

    Parameters
    ----------
    path : Path
        What the user opened, for messages.
    sha256 : str
        Hash of that file.
    source : callable
        Called without arguments, gives what ``av.open`` takes: a path, or a new file object.
    kind : SourceKind
        What to call it.

    Raises
    ------
    UnreadableError
        If it is not a video, is cut short before its index, or has no picture that is known here.
    """
    warnings: list[str] = []
    try:
        with _opened(source()) as container:
            if not container.streams.video:
                raise UnreadableError(
                    f"{path}: there is no picture in it, only sound or data; give the video file."
                )
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise UnreadableError(
                    f"{path}: its pictures are coded in a way that is not known here; convert it "
                    "to H.264."
                )
            width, height = stream.codec_context.width, stream.codec_context.height
            expected = stream.frames
            expected_s = 0 if expected else (container.duration or 0) / av.time_base
            ratio = stream.sample_aspect_ratio
            first = next(_frames(container, stream), None)
            if first is not None and quarter_turns(first) % 2:
                width, height = height, width
    except FFmpegError as error:
        raise UnreadableError(
            f"{path}: cannot be opened as a video ({error.strerror or 'unknown format'}); it is "
            "not a video, or was cut short while being copied."
        ) from error
    check_size(path, width, height)
    square = ratio is None or ratio in (0, 1)
    if not square:
        warnings.append(
            f"The video declares pixels {float(ratio):.3f} times as wide as high; coordinates "
            "are in stored pixels, and a spacing has to be given for both axes (--spacing X,Y)."
        )

    return Recording(
        path=path,
        sha256=sha256,
        kind=kind,
        width=width,
        height=height,
        pictures=functools.partial(_pictures, source, width, height),
        expected=expected,
        expected_s=expected_s,
        timing_source=TimingSource.CONTAINER,
        square=square,
        warnings=tuple(warnings),
    )


def _opened(handle: Any) -> Any:
    """Open a container; names in it may be in any encoding, and do not matter."""
    return av.open(handle, metadata_errors="replace")


def whole_frames(source: Any, width: int, height: int) -> Iterator[tuple[int, VideoFrame]]:
    """Yield (position, frame) of every whole frame that is shown at this size.

    What the decoder rejects is left out. The frames belong to the decoder: never write into them.
    They are as stored; see :func:`quarter_turns`.
    """
    handle = source()
    try:
        with _opened(handle) as container:
            stream = container.streams.video[0]
            for position, frame in enumerate(_frames(container, stream)):
                size = (frame.width, frame.height)[:: -1 if quarter_turns(frame) % 2 else 1]
                if not frame.is_corrupt and size == (width, height):
                    yield position, frame
    finally:
        if isinstance(handle, RawIOBase):
            handle.close()


def quarter_turns(frame: VideoFrame) -> int:
    """How many quarter turns anticlockwise, 0 to 3, make of a stored frame the one shown."""
    return round(frame.rotation / 90) % 4


def _pictures(source: Any, width: int, height: int) -> Iterator[Picture]:
    for position, frame in whole_frames(source, width, height):
        colours = functools.partial(_shown, frame, _rgb)
        yield Picture(_shown(frame, luma_of), colours, position, _seconds(frame))


def _shown(
    frame: VideoFrame, samples: Callable[[VideoFrame], NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.rot90(samples(frame), quarter_turns(frame)))


def _frames(container: Any, stream: Any) -> Iterator[VideoFrame]:
    """Decode packet by packet, going on after one that is damaged."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, FFmpegError):
            # A damaged container ends here; flush what the decoder still holds.
            packet = None
        # What the decoder refuses is missing from the count of frames, which is compared with
        # the promised one when the recording is opened.
        with contextlib.suppress(FFmpegError):
            yield from stream.codec_context.decode(packet)
        if packet is None or packet.size == 0:
            return


def _seconds(frame: VideoFrame) -> float | None:
    if frame.pts is None or frame.time_base is None:
        return None
    return float(frame.pts * frame.time_base)


def luma_of(frame: VideoFrame) -> Frame:
    """Full-range luma of a frame as stored, uint8 (height, width), owning its memory."""
    name = frame.format.name
    if name in _LUMA_FIRST or name in _FULL_RANGE_LUMA_FIRST:
        plane = frame.planes[0]
        rows = np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(
            plane.height, plane.line_size
        )
        luma = rows[:, : frame.width]
        if name in _FULL_RANGE_LUMA_FIRST or frame.color_range == ColorRange.JPEG:
            return np.array(luma)
        return np.asarray(LIMITED_TO_FULL[luma])
    return luma_of_rgb(_rgb(frame))


def _rgb(frame: VideoFrame) -> NDArray[np.uint8]:
    return np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
