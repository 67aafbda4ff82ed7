"""Text in a recording: searched for in and around the picture, and told in words."""

from __future__ import annotations

import cv2
import numpy as np

from usguide.ingest.blanking import shown_area
from usguide.ingest.burned_text import BurnedText, TextSearch, rows_of_letters
from usguide.ingest.clip import Clip
from usguide.model import Bools, Progress, unwatched

_MARGIN = 0.05
"""Around the picture, searched for text too, as a share of the frame's height."""
_LETTERS = 3
"""Letters in a row that make a text beside the picture, where there are no echoes."""


def find_text(clip: Clip, keep: Bools, progress: Progress) -> BurnedText:
    """Search what is kept, and a margin around it: a text cut at the edge is hard to tell.

    Parameters
    ----------
    clip : Clip
        The recording; decoded once.
    keep : ndarray of bool, shape (header.height, header.width)
        Where the picture is.
    progress : callable
        Told ``("text", done, total)``.
    """
    header = clip.header
    margin = round(_MARGIN * header.height)
    near = cv2.dilate(keep.astype(np.uint8), np.ones((2 * margin + 1,) * 2, np.uint8)) > 0
    search = TextSearch(near)
    for index, frame in enumerate(clip.decode()):
        search.observe(frame)
        progress("text", index + 1, header.frames)
    return search.conclude()


def text_in_words(clip: Clip, progress: Progress = unwatched) -> tuple[str, bool]:
    """Say in how many places text is burned into a recording, in the picture and beside it.

    Returns
    -------
    str
        A clause, with why text may have been missed.
    bool
        Whether a reader should be warned: some was found, or may have been missed.
    """
    header = clip.header
    keep = shown_area(header.region, header.height, header.width)
    text = find_text(clip, keep, progress)
    beside = rows_of_letters(next(clip.decode()), ~keep, _LETTERS)
    boxes = BurnedText(text.mask | beside, "").boxes
    inside = sum(bool(keep[y + h // 2, x + w // 2]) for x, y, w, h in boxes)
    found = " and ".join(
        f"in {count} place{'' if count == 1 else 's'} {where}"
        for count, where in ((inside, "in the picture"), (len(boxes) - inside, "beside it"))
        if count
    )
    said = f"{found}, which may name the patient" if found else "none found"
    return f"{said}. {text.doubt}".strip(" ."), bool(found or text.doubt)
