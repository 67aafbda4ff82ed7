"""The same picture taken again: moved, mirrored, encoded, brighter or darker, zoomed.

Frames are uint8 of shape (frames, rows, columns); ``spacing_mm`` is (x, y).
"""

import io

import av
import cv2
import numpy as np

GREY_LEVELS_6_DB = 25
"""Of a picture that shows 60 dB on 255 grey levels: gain is added after log compression."""
MOVED_PX = (7, 5)


def moved(frames):
    """Return the view from two places, ``MOVED_PX`` apart: what both see has moved."""
    x, y = MOVED_PX
    return frames[:, :-y, :-x], frames[:, y:, x:]


def mirrored(frames):
    return np.ascontiguousarray(frames[:, :, ::-1])


def gained(frames, levels):
    return np.clip(frames.astype(np.int16) + levels, 0, 255).astype(np.uint8)


def zoomed(frames, spacing_mm, factor=1.03):
    rows, columns = (round(factor * side) for side in frames.shape[1:])
    larger = np.stack(
        [cv2.resize(frame, (columns, rows), interpolation=cv2.INTER_CUBIC) for frame in frames]
    )
    return larger, (
        spacing_mm[0] * frames.shape[2] / columns,
        spacing_mm[1] * frames.shape[1] / rows,
    )


def encoded(frames, crf=18):
    """Encode as H.264 and decode again, luma as it is."""
    frames = frames[:, : frames.shape[1] // 2 * 2, : frames.shape[2] // 2 * 2]
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width = frames.shape[1:]
        stream.pix_fmt, stream.options = "yuv420p", {"crf": str(crf)}
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="gray")
            container.mux(stream.encode(picture.reformat(format="yuv420p")))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file) as container:
        return np.stack([f.to_ndarray(format="gray") for f in container.decode(video=0)])
