"""What lies around a line that may be the heel bone: fat over it, and tissue beyond its edge.

Other bones, and a muscle's deep aponeurosis, are as bright and smooth as the heel bone, and cast as
dark a shadow. But over the heel bone lies nothing but the heel's fat pad, which echoes more than
muscle does. And the heel bone ends: its line fades, turns down its front wall or loses its shadow.
Where another bone only bends down, its line runs on as bright beyond what may look like an edge,
and the shadow beneath it too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usguide.fascia.bone_odds import shown
from usguide.fascia.logistic import Logistic
from usguide.fascia.workspace import Image
from usguide.model import Floats

# Lengths in nominal mm.
FAT_MM = (1.2, 12.0)
"""Where over the line its fat pad is: clear of the line's own glow, as far as most are thick."""
SKIN_MM = 3.0
"""Uppermost part of the picture, which is no fat."""
BEYOND_MM = (1.0, 8.0)
"""Where beyond its edge the line may run on: as far as there must be picture."""
TILTS_DEG: Floats = np.arange(-32.0, 38.1, 5.0)
"""Directions in which it may, positive deep; more steeply only the bone's front falls."""
BENDS_DEG: Floats = np.arange(-20.0, 20.1, 10.0)
"""Change of direction on the way."""
BENEATH_MM = (1.5, 6.0)
"""Where the shadow is looked for beneath it."""
BEFORE_MM = 8.0
"""How much of the line before its edge has the shadow that this is compared with."""
SLOPE_MM = 4.0
"""How much of it gives its slope."""
LEVEL_MIN = 0.1
"""Least level that a line is taken to have."""
RUNS_ON_MIN, TURN_MAX, RISE_MAX = 0.7, 0.4, 0.04
"""A bone goes on beyond what may be its edge where its line is so bright there against its own
level, turns down no more, as a slope, and the level beneath it rises no more. Chosen on the even
half of 540 heels of another simulator, 116 of ours and 280 clips without a heel; a turn of 0.25
and a level of 0.6 serve as well."""
THICK_PX = 2
"""How far above and below its course a line is as bright as on it."""
COLUMNS_PX, ROWS_PX = 3, 2
"""One column and one row in so many are read: speckle is as large."""

MODEL = Logistic(
    {
        "odds of the line alone": (1.18, -3.0, 5.0),
        "level of the fat over it": (19.8, 0.42, 0.65),
        "level of its course beyond the edge": (-4.2, 0.6, 1.2),
        "rise of the level beneath that": (16.0, -0.05, 0.2),
    },
    offset=-10.4,
)
"""Maximum likelihood, ridge 0.01, that a line ends within 3 mm of a heel bone's edge, on the even
half of these, the odd half kept aside: 490 heels of another simulator, 80 of ours; 80 contracting
muscles and 157 needlings of another simulator, 60 muscles and 31 phantoms of ours; 36 real
recordings of muscles and needles. The fat over the two real heels has levels of 0.55 and 0.62; what
lies over the bright lines of four real muscles, 0.10 to 0.18. Darker fat than the least level given
counts as that does: dark fat alone is no objection. With these levels the likelihood is largest."""


def heel_bone_odds(
    line_odds: float, levels: Image, x: Floats, y: Floats, pixel_mm: float
) -> float | None:
    """Return the logarithm of the odds that a line is the heel bone, by what lies around it too.

    Parameters and None as of :func:`evidence`.
    """
    measured = evidence(line_odds, levels, x, y, pixel_mm)
    return None if measured is None else MODEL.odds(measured)


def evidence(
    line_odds: float, levels: Image, x: Floats, y: Floats, pixel_mm: float
) -> Floats | None:
    """Measure what around a line speaks for its being the heel bone, in the order of ``MODEL``.

    Parameters
    ----------
    line_odds : float
        Logarithm of the odds that it is, whatever lies around it.
    levels : ndarray of float32, shape (rows, columns)
        Normalised work picture, the bone's front towards the right.
    x, y : ndarray of float64, shape (n,)
        The line from back to front, work px.
    pixel_mm : float
        Nominal size of a work pixel.

    Returns
    -------
    ndarray of float64, shape (4,)
        None where line, course and shadow go on beyond its edge: the bone does not end there.
    """
    level, rise, turn = beyond_edge(levels, x, y, pixel_mm)
    if level > RUNS_ON_MIN and turn < TURN_MAX and rise < RISE_MAX:
        return None
    return np.array([line_odds, fat_level(levels, x, y, pixel_mm), level, rise])


def fat_level(levels: Image, x: Floats, y: Floats, pixel_mm: float) -> float:
    """Mean level of the tissue over a line; 0 where the line lies in the skin.

    Parameters as of :func:`evidence`.
    """
    first, last = (round(mm / pixel_mm) for mm in FAT_MM)
    columns, rows = _read(x), _read(y)
    over = rows - np.arange(first, last + 1, ROWS_PX)[:, None]
    values = shown(levels, np.maximum(over, 0), columns)
    fat = over >= round(SKIN_MM / pixel_mm)
    return float(values[fat].mean()) if fat.any() else 0.0


def beyond_edge(levels: Image, x: Floats, y: Floats, pixel_mm: float) -> tuple[float, float, float]:
    """Draw a line on beyond its edge, along the brightest arc, and measure it.

    The arc is ``y = tan(a) s + b s^2 / 2``, over a fixed grid. Parameters as of :func:`evidence`.

    Returns
    -------
    level : float
        Its level against the line's own; 0 where too little of the picture is left to say.
    rise : float
        How much higher the level is beneath it than beneath the line; 0 where nothing is shown.
    turn : float
        How much more it falls than the line does before the edge, as a slope.
    """
    begin, end = (round(mm / pixel_mm) for mm in BEYOND_MM)
    along = np.arange(begin, end + 1, COLUMNS_PX)
    columns = round(x[-1]) + along
    along, columns = along[columns < levels.shape[1]], columns[columns < levels.shape[1]]
    if not columns.size:
        return 0.0, 0.0, 0.0
    tilt, bend = (
        part.reshape(-1, 1)
        for part in np.meshgrid(np.tan(np.radians(TILTS_DEG)), np.radians(BENDS_DEG), indexing="ij")
    )
    along_mm = along * pixel_mm
    down_mm = tilt * along_mm + bend / BEYOND_MM[1] * along_mm**2 / 2
    courses = np.rint(round(y[-1]) + down_mm / pixel_mm).astype(np.int64)
    thick = [shown(levels, courses + by, columns) for by in (-THICK_PX, 0, THICK_PX)]
    level = np.nan_to_num(np.fmax.reduce(thick)).mean(axis=1)
    brightest = int(np.argmax(level))
    before = round(BEFORE_MM / pixel_mm)
    rows, above = _read(y[-before:]), _read(x[-before:])
    own = float(shown(levels, rows[None], above).mean())
    first, last = (round(mm / pixel_mm) for mm in BENEATH_MM)
    down = np.arange(first, last + 1, ROWS_PX)[:, None]
    beyond, beneath = (
        values[np.isfinite(values)]
        for values in (
            shown(levels, courses[brightest] + down, columns),
            shown(levels, rows + down, above),
        )
    )
    rise = float(beyond.mean() - beneath.mean()) if beyond.size and beneath.size else 0.0
    back = max(len(y) - 1 - round(SLOPE_MM / pixel_mm), 0)
    turn = down_mm[brightest, -1] / along_mm[-1] - (y[-1] - y[back]) / max(x[-1] - x[back], 1.0)
    return float(level[brightest]) / max(own, LEVEL_MIN), rise, float(turn)


def _read(line: Floats) -> NDArray[np.int64]:
    """Where a line is read, along one axis."""
    return np.rint(line[::COLUMNS_PX]).astype(np.int64)
