"""Whether a dark gap goes on above and beneath the muscle, as a shadow does and a tear does not."""

from __future__ import annotations

import numpy as np

from usguide.model import Frame
from usguide.motion.gap import Gap
from usguide.motion.strip import Belly

LIT_SHARE = 0.6
"""Grey level above or beneath a gap, as a share of the usual there: no less, or it is in the dark.
Around 90 gaps of torn muscles of another simulator it is 0.75 and more on both sides; where the
probe had lost contact 0.49 above and 0.07 beneath."""

LEAST_PX = 3
"""Rows and columns of tissue that tell it."""


def lit(picture: Frame, gap: Gap, belly: Belly, frame: int) -> tuple[bool, bool]:
    """Say whether the tissue above and beneath the muscle is as bright at a gap as beside it.

    Parameters
    ----------
    picture : ndarray of uint8, shape (height, width)
        The region in source frame ``frame``.
    gap : Gap
        A gap in it.
    belly : Belly
        Where the muscle lies.
    frame : int
        See above.

    Returns
    -------
    above, beneath : bool
        True, too, where too little tissue is in the picture to tell.
    """
    superficial, deep = belly.borders(frame)
    edges = gap.edges[gap.core].mean(axis=0)
    left, right = np.clip(edges, 0, len(belly.columns) - 1).astype(np.int64)
    at = slice(int(left), int(right) + 1)
    reach = int(0.5 * float(np.median(deep - superficial)))
    top, bottom = int(superficial[at].min()), int(deep[at].max())
    above = slice(max(0, top - reach), max(0, top))
    return _is_lit(picture, belly, above, at), _is_lit(
        picture, belly, slice(bottom + 1, bottom + 1 + reach), at
    )


def _is_lit(picture: Frame, belly: Belly, rows: slice, at: slice) -> bool:
    """Whether some rows are as bright in some columns as they usually are."""
    tissue = belly.tissue[rows]
    shown = np.count_nonzero(tissue, axis=0) >= LEAST_PX
    if np.count_nonzero(shown[at]) < LEAST_PX:
        return True
    levels = np.where(tissue, picture[rows], np.nan)
    usual = float(np.median(np.nanmean(levels[:, shown], axis=0)))
    return float(np.nanmedian(levels[:, at])) >= LIT_SHARE * usual
