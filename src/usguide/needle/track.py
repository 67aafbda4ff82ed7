"""From the candidates of a clip to one needle: which path, and how sure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usguide.model import Bools, Floats
from usguide.needle.evidence import LEAST_FRAMES, Odds, appearance
from usguide.needle.path import KNOWN_COSTS, best_path
from usguide.needle.pool import Pool, on_line_of
from usguide.needle.resemblance import expected_odds, resembling_odds
from usguide.needle.sliding import MOVE_GAP, longest_stroke, slide_range, veer_deg

GENEROSITY = 1.5
"""Added to every candidate's log odds while a path is sought: what makes a needle of a path is
that it holds together over the clip, which no single frame can say. Tuned, like all constants
below, on needle_convex_01, 05, 07, needle_block, needle_steep, thickness_range_of_motion,
muscle_isokinetic030 and 11 synthetic scenes."""
AGREEMENT = 1.0
"""Added to every candidate's log odds once the needle is known: that a candidate is where those
before and after it lead one to expect a needle speaks for it as much as its looks do. Without it,
the best candidate of many frames, and a true one, was left out of a faint needle's path. Tuned on
needle_convex_01, 05, 07, needle_block and 72 synthetic clips."""
ALTERNATIVES = 4
"""Paths looked at: a bright bone may hold together better than a needle, but does not move."""
SLID_PX = 9.0
"""Range of the tip along the shaft, against the tissue, that a needle must cover (working px): 1.6
mm of a 35 mm picture. Two lines of muscles that were taken for a needle slid by 8, the needles of
300 clips by more than 12."""
CONVINCING = 2.6
"""Least sum of the mean log odds of the claims before and after the moves are paid, and of what the
longest stroke is worth. Needles of the tuning clips had 2.6 and more; steeper lines than layers in
489 clips without one at most 1.9, but for five that are declined by what lies along them."""
CONVINCING_BESIDE_SPOT = 3.6
"""What a path must convince by where a spot moves that is newer than all else: a cross-section has
wings and a comet's tail, or lies on a layer, which had at most 3.4 in 55 clips but for one with
6.5, shafts with as bright a tip 3.9 and more in as many, and 2.9 and 3.2 in two."""
STROKE_WORTH = 0.24
STROKE_PX = (4.0, 12.0)
"""Worth of the longest stroke per working px (log odds) from the length that tissue reaches to one
beyond which it is worth no more. In clips without a needle it was at most 8 px, but for fibres that
veer, and mostly 5 and less, of needles in a cine 8 px and more; but tissue that slides to and fro
may make a long one, so that it must not be all that convinces. Without one, as in sparse frames, a
path has to convince by itself."""
VEER_DEG = 7.5
"""Largest angle between where the tips travel and where the shafts point, before a path is
followed and after: needles had at most 5, fibres and aponeuroses at the ends of torn and
contracting muscles 9 to 17."""
FEWEST = 3
STEADY = 0.2
ENOUGH = 12
"""Least frames that a path must claim: this share of them, but no more than 0.4 s of a cine. Some
scattered frames may happen to hold lines that agree."""
LAYERED_DEG = 21.0, 27.0
CONVINCING_LAYERED = 4.4
"""What a path must convince by up to the first inclination; from the second on no more than others.
Layers and fibres lie so: of tissue without a needle, all lines taken for one were at 11 to 21
degrees, and had 3.4 to 4.2. Needles at up to 22 degrees had 4.9 and more in 45 clips of both
simulators and a phantom, but for one with 3.6; at 25 degrees 3.8."""
STROKE_SHARE, CREPT_PX = 0.17, 18.0
"""Least share of the tip's range that one stroke leads it, where frames follow one another closely;
so much (working px) may be crept."""
CONVINCING_HOPPING = 6.0
"""The same as ``CONVINCING_LAYERED`` where the tip is now here and now far on. Of some 230 clips it
was so in three of layers and one of a crossing, which had at most 5.7 and 6.5, and in one needle
that lay so, with 7.8; steeper needles of which few strokes were seen had 3.1 and 3.5."""
MOST_ONWARD = 1.0
"""Most median contrast of the way on past the tip, as a share of the shaft's there, of a line that
lies so. Of needles it was at most 0.91; of an aponeurosis and a bone that curve on 1.15 and 1.2."""
LEAST_CUT = 0.65
"""Least median drop of the profile at the tip, as a share of the shaft's contrast there. Needles
had 0.8 and more; ends put on a bone, or on an aponeurosis that goes on, 0.36 to 0.55."""
SURE_ALONE = 3.0
"""Least log odds of appearance in a clip too short to show motion. Of 33 frames of a calf one
reached it; needles reach it in a third of the frames."""
UNRIVALLED = 1.5
"""Log odds by which such a needle must be ahead of every other line in its frame."""
MOST_SURE = 0.97
"""Share of the frames that are right where the evidence could not be better: of the frames with
log odds of 5 and more that it was fitted on, 99 %, less what other scanners may take."""
VISIBLE = 0.5
"""Least confidence that is claimed: where the tip is more likely than not within 3 mm."""
SHARPNESS = 0.60
EVEN = -0.8
"""Slope of the confidence in the log odds of the claim, and the log odds at which it is half of
``MOST_SURE``. Fitted by maximum likelihood on the 1173 claimed frames of the clips that the weights
of the evidence were fitted on, where 3 mm was taken as 10 px in the convex clips and 15 in the
block, no clip counting for more than 15 frames."""


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """One needle through the observed frames.

    Parameters
    ----------
    chosen : ndarray of int64, shape (frames,)
        Index into the pool, -1 where it is not seen.
    confidence : ndarray of float64, shape (frames,)
        Estimated probability that the tip is within 3 mm.
    moved : bool
        Whether the tip slid along the shaft, against the tissue.
    """

    chosen: NDArray[np.int64]
    confidence: Floats
    moved: bool

    @property
    def seen(self) -> Bools:
        """Frames in which the path claims the needle."""
        return np.asarray(self.chosen >= 0)


def sure_alone(pool: Pool, odds: Odds, index: int) -> bool:
    """Whether one frame shows a candidate to be a needle, with no other line as good."""
    ahead = odds.appearance[index]
    here = pool.of_frame(int(pool.frame[index]))
    rivals = odds.appearance[here[~on_line_of(pool, index, here)]]
    return bool(ahead > SURE_ALONE and np.all(rivals < ahead - UNRIVALLED))


def likeliest(
    pool: Pool,
    odds: Odds,
    numbers: Floats,
    shown: Bools | None = None,
    convincing: float = CONVINCING,
) -> Path | None:
    """Return the path that is most a needle, or None where none is.

    Parameters
    ----------
    pool : Pool
        The candidates of the clip.
    odds : Odds
        Their log odds.
    numbers : ndarray, shape (frames,)
        When every observed frame was taken, in frames.
    shown : ndarray of bool, shape (n,), optional
        Candidates that a person has shown to be the needle: there is one, whether it moves or not.
    convincing : float
        What a path must convince by, see ``CONVINCING``.
    """
    given = shown is not None and bool(shown.any())
    looks = appearance(pool)
    best: NDArray[np.int64] | None = None
    best_score = 0.0
    best_moved = False
    for chosen, total in alternatives(pool, odds, numbers):
        seen = chosen[chosen >= 0]
        stroke = longest_stroke(pool, chosen, numbers)
        slid = max(slide_range(pool, seen), stroke)
        mean = total / len(seen) + float(odds.full[seen].mean())
        led = led_by_strokes(slid, stroke, numbers[chosen >= 0])
        least = max(convincing, least_convincing(pool, seen, led))
        moved = (
            end_moves(pool, looks, chosen, slid)
            and mean + stroke_worth(stroke) > least
            and veer_deg(pool, chosen, numbers) < VEER_DEG
        )
        alone = len(chosen) < LEAST_FRAMES and all(sure_alone(pool, odds, k) for k in seen)
        score = total * slid / (slid + SLID_PX) if moved else 0.2 * total
        if given:
            best, best_moved = chosen, True
            break
        if (moved or alone) and score > best_score:
            best, best_score, best_moved = chosen, score, moved
    if best is None:
        return None
    if best_moved:
        again, best = followed(pool, odds, best, numbers, shown)
        if not given and veer_deg(pool, best, numbers) >= VEER_DEG:
            return None
    else:
        again = odds.appearance
    return Path(best, confidence(again, best), best_moved)


def alternatives(
    pool: Pool, odds: Odds, numbers: Floats
) -> Iterator[tuple[NDArray[np.int64], float]]:
    """Give the likeliest paths and their log odds, each along other lines than those before it."""
    generous = odds.full + GENEROSITY
    for _ in range(ALTERNATIVES):
        chosen, total = best_path(pool, generous, numbers)
        seen = chosen[chosen >= 0]
        if not len(seen):
            return
        yield chosen, total
        for index in seen:
            here = pool.of_frame(int(pool.frame[index]))
            generous[here[on_line_of(pool, int(index), here)]] = -np.inf


def least_convincing(pool: Pool, seen: NDArray[np.int64], led: bool) -> float:
    """Say what some claims must convince by: more where they lie as layers do.

    ``led`` says whether strokes led the tip along its way: see :func:`led_by_strokes`.
    """
    inclination = float(np.median(pool.inclination_deg[seen]))
    layered = CONVINCING_LAYERED if led else CONVINCING_HOPPING
    return float(np.interp(inclination, LAYERED_DEG, (layered, CONVINCING)))


def end_moves(pool: Pool, looks: dict[str, Floats], chosen: NDArray[np.int64], slid: float) -> bool:
    """Whether a path claims frames enough, its line ends where it is said to, and the end moves."""
    seen = chosen[chosen >= 0]
    ends = np.median(looks["cut"][seen]) > LEAST_CUT
    curves_on = np.median(looks["onward"][seen]) > MOST_ONWARD
    layered = np.median(pool.inclination_deg[seen]) < LAYERED_DEG[1]
    enough = len(seen) >= max(FEWEST, min(STEADY * len(chosen), ENOUGH))
    return bool(slid > SLID_PX and enough and ends and not (layered and curves_on))


def led_by_strokes(slid: float, stroke: float, numbers: Floats) -> bool:
    """Whether a tip can have come so far (working px) by such strokes, claimed in these frames."""
    told = len(numbers) > 1 and float(np.median(np.diff(numbers))) < MOVE_GAP
    return not told or slid <= max(CREPT_PX, stroke / STROKE_SHARE)


def stroke_worth(longest: float) -> float:
    """Worth of a path's longest stroke, of so many working px (log odds)."""
    least, most = STROKE_PX
    return STROKE_WORTH * max(min(longest, most) - least, 0.0)


def followed(
    pool: Pool,
    odds: Odds,
    chosen: NDArray[np.int64],
    numbers: Floats,
    shown: Bools | None = None,
) -> tuple[Floats, NDArray[np.int64]]:
    """Follow the needle of a path: claim what resembles it, where it is expected, and no more.

    Returns
    -------
    again : ndarray of float64, shape (n,)
        Log odds of every candidate, given that the clip holds that needle.
    path : ndarray of int64, shape (frames,)
        The likeliest path then.
    """
    again = resembling_odds(pool, odds, chosen, numbers)
    if shown is not None:
        again = np.where(shown, odds.full, again)
    path, _ = best_path(pool, again + AGREEMENT, numbers, KNOWN_COSTS)
    sure = np.where(confidence(again, path) >= VISIBLE, path, -1)
    again = again + expected_odds(pool, sure, numbers)
    path, _ = best_path(pool, again + AGREEMENT, numbers, KNOWN_COSTS)
    return again, path


def confidence(odds: Floats, chosen: NDArray[np.int64]) -> Floats:
    """Estimate how probably the tip is within 3 mm in each frame; 0 where none is chosen.

    A logistic in the log odds of the chosen candidate, which already weigh how well the frame shows
    it and how much it resembles the needle of the rest of the clip, below a ceiling.

    Parameters
    ----------
    odds : ndarray, shape (n,)
        Log odds of every candidate against 'not seen'.
    chosen : ndarray of int64, shape (frames,)
        The path; -1 where it claims nothing.
    """
    out = np.zeros(len(chosen))
    seen = chosen >= 0
    out[seen] = MOST_SURE / (1 + np.exp(-SHARPNESS * (odds[chosen[seen]] - EVEN)))
    return out
