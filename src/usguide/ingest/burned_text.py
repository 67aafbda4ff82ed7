"""Text that a scanner has burned into the picture itself, over the echoes.

Burned-in text stands still while the echoes under it flicker, and consists of a row of thin
strokes of one height. Both are needed: still bright tissue is common, and so are rows of speckles.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.model import Bools, Frame

STILL_FRAMES = 6
"""Different frames for which a pixel must stand still to be part of a text."""
_STILL_LEVELS = 12
"""Grey levels by which an encoder changes still text from frame to frame."""
_CHANGED_SHARE = 0.05
"""Share of the echoes that change by more than that between two different frames: while tissue
rests, or a recorder repeats frames, letters of the text cannot be told from bits of it. Tuned on
four real clips, in which resting muscle was taken for text."""
_LEVELS = (90, 140, 190, 225)
"""Grey levels at which strokes are cut out of what surrounds them; scanners write on the picture
in white or bright colours."""
_ECHO_LEVEL = _LEVELS[0] // 2
"""Grey level of echoes that are looked at for change; between them there is only noise."""
_HIDING_LEVEL = 190
"""Grey level of still tissue from which on even bright text could not be cut out of it."""
_MAX_STILL_SHARE = 0.02
"""Share of the picture that may be bright and still without hiding a word of text in it."""

_MIN_HEIGHT_PX = 5
"""Lowest letter that is looked for."""
_MAX_HEIGHT = 0.1
"""Tallest letter, as a share of the picture's height."""
_MAX_WIDTH = 3.0
"""Widest letter, or pair that touches, as a share of its height."""
_FILL = (0.12, 0.75)
"""Share of its box that a letter covers: speckles are rounder, lines and frames emptier."""
_MAX_ROW_FILL = 0.62
"""As above, on average over a row: capital letters cover 0.3 to 0.55 of their boxes."""
_MAX_GAP = 1.3
"""Widest gap between letters and between words, as a share of the letters' height."""
_MAX_WORD_PX = 14
"""Height up to which letters touch each other for want of pixels."""
_STROKES = 1.3
"""Upright strokes in a word whose letters touch, per letter as wide as high, at least."""
_MIN_CONTRAST = 60
"""Grey levels between the strokes and the tissue between them, at least."""
_MIN_LETTERS = 3
_MIN_LETTERS_OF_STILL = 4
"""Letters in a row; more where there is only one frame to tell them from speckle."""

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class BurnedText:
    """What the search found.

    Parameters
    ----------
    mask : ndarray of bool, shape (height, width)
        Where there is text, with a margin.
    doubt : str
        Why text may have been missed, as a sentence; empty where the search could be made.
    """

    mask: Bools
    doubt: str

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Return x, y, width and height of the texts, in px."""
        _, _, stats, _ = cv2.connectedComponentsWithStats(self.mask.astype(np.uint8))
        found = np.asarray(stats, dtype=np.int64)[1:, :4].tolist()
        return tuple((x, y, w, h) for x, y, w, h in found)


class TextSearch:
    """Looks for text in the frames of one recording, holding one frame and two counters.

    Parameters
    ----------
    shown : ndarray of bool, shape (height, width)
        Where to look: the part of the picture that will not be blanked anyway.
    """

    def __init__(self, shown: Bools) -> None:
        self._shown = shown
        self._last: Frame | None = None
        self._reference: Frame | None = None
        self._still_for = np.zeros(shown.shape, dtype=np.uint16)
        self._text = np.zeros(shown.shape, dtype=np.bool_)
        self._still_share = 0.0
        self._frames = 0

    def observe(self, frame: Frame) -> None:
        """Look at the next frame, uint8 luma of shape (height, width), if it differs."""
        if self._reference is None:
            self._reference = frame.copy()
        elif not self._differs(frame):
            return
        self._last = frame.copy()
        still = cv2.absdiff(frame, self._reference) <= _STILL_LEVELS
        self._still_for[still & (self._still_for < STILL_FRAMES)] += 1
        self._still_for[~still] = 0
        self._reference[~still] = frame[~still]
        self._frames += 1
        # Twice as often as needed, so that no text comes and goes between two looks.
        if self._frames % (STILL_FRAMES // 2) == 0:
            self._look(frame)

    def _differs(self, frame: Frame) -> bool:
        """Whether the echoes have changed since the last frame that did."""
        last = self._last
        if last is None:
            return True
        echoes = self._shown & ((frame >= _ECHO_LEVEL) | (last >= _ECHO_LEVEL))
        changed = echoes & (cv2.absdiff(frame, last) > _STILL_LEVELS)
        return bool(np.count_nonzero(changed) > _CHANGED_SHARE * np.count_nonzero(echoes))

    def _look(self, frame: Frame) -> None:
        """Search what has stood still long enough."""
        steady = (self._still_for >= STILL_FRAMES - 1) & self._shown
        self._text |= rows_of_letters(frame, steady, _MIN_LETTERS)
        hiding = steady & (frame >= _HIDING_LEVEL) & ~self._text
        share = int(np.count_nonzero(hiding)) / max(1, int(np.count_nonzero(self._shown)))
        self._still_share = max(self._still_share, share)

    def conclude(self) -> BurnedText:
        """Return what was found in the frames so far."""
        doubt = ""
        if self._frames < STILL_FRAMES:
            if self._reference is not None:
                self._text |= rows_of_letters(self._reference, self._shown, _MIN_LETTERS_OF_STILL)
            doubt = (
                "There are too few different frames to tell what stands still, so text over the "
                "echoes may have been missed."
            )
        elif self._still_share > _MAX_STILL_SHARE:
            doubt = (
                f"{100 * self._still_share:.0f} % of the picture is bright and does not move, so "
                "text there cannot be told from echoes."
            )
        return BurnedText(self._text, doubt)


def rows_of_letters(frame: Frame, where: Bools, letters: int) -> Bools:
    """Boxes around rows of at least so many letters, where a frame is searched.

    ``frame`` is uint8 luma, ``where`` and the result are bool, all of shape (height, width).
    """
    mask = np.zeros(frame.shape, dtype=np.bool_)
    for level in _LEVELS:
        bright = ((frame >= level) & where).astype(np.uint8)
        for row in _rows(_letters(bright, words=level >= _HIDING_LEVEL)):
            if len(row) < letters or np.mean([fill for _, fill in row]) > _MAX_ROW_FILL:
                continue
            boxes = [box for box, _ in row]
            tall = max(h for _, _, _, h in boxes)
            x0, y0 = min(x for x, _, _, _ in boxes), min(y for _, y, _, _ in boxes)
            x1, y1 = max(x + w for x, _, w, _ in boxes), max(y + h for _, y, _, h in boxes)
            if _contrast(frame[y0:y1, x0:x1], bright[y0:y1, x0:x1]) < _MIN_CONTRAST:
                continue
            # A letter that touches something bright was not counted: reach for it.
            y0, y1 = max(y0 - tall // 2, 0), y1 + tall // 2
            mask[y0:y1, max(x0 - tall, 0) : x1 + tall] = True
    return mask


def _contrast(frame: Frame, bright: NDArray[np.uint8]) -> float:
    """Grey levels between strokes and what is between them, without the blurred edge."""
    edge = cv2.dilate(bright, np.ones((3, 3), np.uint8))
    strokes, between = frame[bright > 0], frame[edge == 0]
    return float(np.median(strokes)) - float(np.median(between)) if len(between) else 0.0


def _letters(bright: NDArray[np.uint8], *, words: bool) -> list[tuple[Box, float]]:
    """Boxes of what has the size of a letter, and the share of each that is covered.

    A word whose letters touch is, where asked for, given as so many boxes side by side.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(bright, connectivity=8)
    tallest = max(12.0, _MAX_HEIGHT * bright.shape[0])
    found = []
    boxes = np.asarray(stats, dtype=np.int64)[1:count].tolist()
    for label, (x, y, w, h, area) in enumerate(boxes, start=1):
        fill = float(area) / (w * h)
        thin = w <= 0.35 * h  # i, l, 1: nothing but a stroke
        if not _MIN_HEIGHT_PX <= h <= tallest or fill < _FILL[0] or (fill > _FILL[1] and not thin):
            continue
        if w <= _MAX_WIDTH * h:
            found.append(((x, y, w, h), fill))
        elif (
            words
            and h <= _MAX_WORD_PX
            and _strokes(labels[y : y + h, x : x + w] == label) >= _STROKES * w / h
        ):
            parts = round(w / h)
            found += [((x + i * w // parts, y, w // parts, h), fill) for i in range(parts)]
    return sorted(found)


def _strokes(word: Bools) -> float:
    """Upright strokes that a line through the middle of a word crosses."""
    quarter = len(word) // 4
    middle = word[quarter : len(word) - quarter].astype(np.int8)
    return float(np.median((np.diff(middle, axis=1, prepend=0) > 0).sum(axis=1)))


def _rows(letters: list[tuple[Box, float]]) -> list[list[tuple[Box, float]]]:
    """Group letters, in order of x, that stand on one line side by side."""
    rows: list[list[tuple[Box, float]]] = []
    # Of thousands of specks in a large frame, only rows that end near this letter can go on.
    reach = _MAX_GAP * max((h for (_, _, _, h), _ in letters), default=0)
    near: list[list[tuple[Box, float]]] = []
    for letter in letters:
        x, y, _, h = letter[0]
        near = [row for row in near if x - (row[-1][0][0] + row[-1][0][2]) <= reach]
        for row in near:
            lx, ly, lw, lh = row[-1][0]
            size = max(h, lh)
            on_line = abs((ly + lh) - (y + h)) <= max(1.5, 0.15 * size)
            if on_line and -1 <= x - (lx + lw) <= _MAX_GAP * size and min(h, lh) >= 0.6 * size:
                row.append(letter)
                break
        else:
            rows.append([letter])
            near.append(rows[-1])
    return rows
