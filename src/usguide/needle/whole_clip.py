"""The needle of a clip that is known to its end: the likeliest path, and the tip along its line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usguide.model import Bools, Floats, Frames
from usguide.needle.bared import LEAST_BARED
from usguide.needle.bared import bared as share_bared
from usguide.needle.candidates import Candidates
from usguide.needle.carried import MOST_CARRIED
from usguide.needle.carried import carried as share_carried
from usguide.needle.description import Shafts
from usguide.needle.evidence import LEAST_FRAMES, Odds
from usguide.needle.hints import KNOWN, heeded, known
from usguide.needle.interrupted import is_its_end, to_the_furthest_end
from usguide.needle.mmode import MMode
from usguide.needle.observations import Observations
from usguide.needle.pool import Pool
from usguide.needle.resemblance import resembling_odds
from usguide.needle.slow_slide import slowly_moved
from usguide.needle.spot_path import SpotPath, follow_new_spot, follow_spot
from usguide.needle.tip_along import followed_along
from usguide.needle.track import (
    CONVINCING,
    CONVINCING_BESIDE_SPOT,
    SURE_ALONE,
    VISIBLE,
    Path,
    likeliest,
)


def decide(
    observations: Observations, tips: dict[int, Floats | None], clip: Frames
) -> Shafts | SpotPath | str:
    """Decide where the needle was in every frame.

    Parameters
    ----------
    observations : Observations
        Of all frames.
    tips : dict
        By position among the observed frames, the tip that a person has shown, region px, or None
        for 'not visible'.
    clip : Frames
        Read once more where there is a needle, and once for each line that may be one moved slowly.

    Returns
    -------
    Shafts, SpotPath or str
        A needle in the plane, one that crosses it, or why none is claimed.
    """
    numbers, slides = observations.numbers(), observations.slides()
    crossing = None
    if not any(tip is not None for tip in tips.values()):
        # A spot that outshines the whole picture comes first: its wings make lines, while a
        # shaft in view has many spots as bright as its tip.
        crossing = follow_spot(_sighted(observations.spots, tips), numbers)
        if crossing is not None:
            return crossing
        crossing = follow_new_spot(_sighted(observations.new_in_all(), tips), numbers, slides)
    candidates = heeded(observations.candidates, tips, observations.workspace)
    if not any(len(found) for found in candidates):
        return crossing or "no frame shows a straight bright line that ends inside the picture"
    lines = _Lines.of(observations, candidates, tips, clip)
    path = lines.likeliest(CONVINCING if crossing is None else CONVINCING_BESIDE_SPOT)
    if path is None:
        path = slowly_moved(lines.pool, lines.odds, numbers, slides, clip, observations.workspace)
    if path is not None:
        return lines.followed(path)
    return crossing or why_not(lines.odds, len(observations))


def _sighted(
    spots: list[NDArray[np.void]], tips: dict[int, Floats | None]
) -> list[NDArray[np.void]]:
    """Spots of every frame, none where a person said that the needle is not visible."""
    return [found[:0] if tips.get(k, ()) is None else found for k, found in enumerate(spots)]


@dataclass(frozen=True, slots=True, eq=False)
class _Lines:
    """The candidates of a clip, weighed, and the clip to look at them again."""

    observations: Observations
    clip: Frames
    pool: Pool
    odds: Odds
    shown: Bools
    """Candidates that a person has shown to be the needle."""
    hidden: Bools
    """Frames in which a person has said that it is not visible."""

    @classmethod
    def of(
        cls,
        observations: Observations,
        candidates: list[Candidates],
        tips: dict[int, Floats | None],
        clip: Frames,
    ) -> _Lines:
        """Weigh the candidates; those that a person has shown beyond all others."""
        pool, odds = observations.weighed(candidates)
        shown = known(pool.frame, tips)
        odds = Odds(
            np.where(shown, KNOWN, odds.appearance),
            np.where(shown, KNOWN, odds.full),
        )
        hidden = np.array([tips.get(k, ()) is None for k in range(len(observations))])
        return cls(observations, clip, pool, odds, shown, hidden)

    def likeliest(self, convincing: float) -> Path | None:
        """Return the path that is most a needle, if it convinces."""
        return likeliest(self.pool, self.odds, self.observations.numbers(), self.shown, convincing)

    def followed(self, path: Path) -> Shafts | str:
        """Take the shafts of a path; of one that moved, every tip is looked for on its line."""
        if not (path.moved and np.any(path.confidence >= VISIBLE)):
            none = np.zeros(len(path.chosen), np.bool_)
            return Shafts(self.pool.records[path.chosen], path.confidence, none, path.moved)
        shafts, seen, depths = self._along_line(path)
        if seen is None or np.any(self.shown) or np.any(self.hidden):
            return shafts
        if share_carried(seen.beside, depths) > MOST_CARRIED:
            return (
                "a bright line is in view whose end moves along it, but the tissue beside it "
                "moves with it, as beside a fibre"
            )
        if share_bared(seen.contrast, depths) < LEAST_BARED:
            path = to_the_furthest_end(self.pool, self.odds, path, self.observations.numbers())
            if np.any(path.confidence >= VISIBLE):
                shafts, seen, depths = self._along_line(path)
            if seen is None or not is_its_end(seen, depths):
                return (
                    "a bright line is in view whose end moves along it, but the line is as "
                    "bright beyond its end: it is no needle, or not the needle's tip"
                )
        return shafts

    def _along_line(self, path: Path) -> tuple[Shafts, MMode | None, Floats]:
        """Look for every tip on the line of a path's claims; see :func:`followed_along`."""
        numbers = self.observations.numbers()
        claims = np.where(path.confidence >= VISIBLE, path.chosen, -1)
        return followed_along(
            self.pool,
            path,
            resembling_odds(self.pool, self.odds, claims, numbers),
            numbers,
            self.observations.slides(),
            self.clip,
            self.observations.workspace,
            self.hidden,
        )


def why_not(odds: Odds, frames: int) -> str:
    """Say why no candidate is claimed, in one sentence."""
    if frames < LEAST_FRAMES:
        return "bright lines are in view, but none is surely a needle in a single frame"
    if np.count_nonzero(odds.appearance > SURE_ALONE) > 0.2 * frames:
        return (
            "a line like a needle is in view, but it never moves along itself, so it cannot be "
            "told from bone or fascia"
        )
    return "bright lines are in view, but none looks and moves as a needle does"
