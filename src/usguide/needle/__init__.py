"""The needle: where its tip was in every frame, and what it did."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from usguide.errors import ConfigError
from usguide.model import (
    Bools,
    FasciaResult,
    Floats,
    Frame,
    Frames,
    Header,
    Hint,
    NeedleTrack,
)
from usguide.needle.bared import LEAST_BARED
from usguide.needle.bared import bared as share_bared
from usguide.needle.candidates import Candidates, Workspace, search
from usguide.needle.carried import MOST_CARRIED
from usguide.needle.carried import carried as share_carried
from usguide.needle.description import Observed, none_found
from usguide.needle.drift import Drift
from usguide.needle.evidence import LEAST_FRAMES, Odds, log_odds
from usguide.needle.front_wall import on_front_wall
from usguide.needle.hints import KNOWN, by_frame, heeded, known
from usguide.needle.interrupted import is_its_end, to_the_furthest_end
from usguide.needle.mmode import MMode, followed_along
from usguide.needle.pool import Pool
from usguide.needle.resemblance import resembling_odds
from usguide.needle.ridges import Float32
from usguide.needle.shaft import Glance, examine
from usguide.needle.slow_slide import slowly_moved
from usguide.needle.spot_path import SpotPath, follow_new_spot, follow_spot
from usguide.needle.spots import SPOT, find_new_spots, find_spots
from usguide.needle.track import CONVINCING, SURE_ALONE, VISIBLE, Path, likeliest

SMALLEST_SIDE_PX = 24
"""A region with a shorter side has no room for a shaft and its flanks."""
NOMINAL_FPS = 30.0
"""Rate at which the needle's kinematics are stated; real times are converted to it."""
MEMORY_FRAMES = 90
"""Frames that are looked back on online: 3 s of a cine."""
CONVINCING_BESIDE_SPOT = 5.1
"""What a shaft must convince by where a spot moves that is newer than all else: a cross-section has
wings and a comet's tail, or lies on a layer, which had at most 4.8, shafts with as bright a tip 5.4
and more in 50 clips, and 4.5 in one."""
FIRST_FRAMES = 8
"""Frames that online must have gone by before a needle is claimed: the mean picture of fewer is the
needle's own."""
NEW_IN_A_ROW = 20
"""Frames one after the other in which online a spot must have been newer than all else before it is
taken for a cross-section. In clips without one that was so, for a while, in up to 7 frames, and in
26 of a phantom; in clips with one, to the end."""
LOOKED_BACK_AT = 4
"""First frames, of which the frames before them say nothing or too little: what is new in them is
told, offline, from those after."""


class NeedleStage:
    """Collects a few candidates per frame and decides over the whole clip.

    Parameters
    ----------
    header : Header
        The clip.
    hints : sequence of Hint
        What a person knows of the tip in some frames, which the path honours.
    online : bool
        Find the tip of every frame from that frame and those before it, as one would who saw them
        arrive, without waiting for a later one. The plane is that of the first claim.

    Raises
    ------
    ConfigError
        If a hint is of no frame of the clip, lies outside the picture, or contradicts another; or
        if there are hints although the clip is to be followed online.
    """

    def __init__(self, header: Header, hints: Sequence[Hint] = (), *, online: bool = False) -> None:
        if online and hints:
            raise ConfigError(
                "online: hints are of the whole clip, which is not known online; "
                "leave out one of the two."
            )
        self._header = header
        self._online = online
        self._hints = by_frame(hints, header)
        self._usable = min(header.region.width, header.region.height) >= SMALLEST_SIDE_PX
        self._workspace = Workspace(header.tissue)
        self._drift = Drift(self._workspace.tissue)
        self._frames: list[int] = []
        self._candidates: list[Candidates] = []
        self._spots: list[NDArray[np.void]] = []
        self._new_spots: list[NDArray[np.void]] = []
        self._slides: list[Floats] = []
        self._at_once: list[tuple[int, float]] = []
        self._crossing: list[tuple[Floats, float]] = []
        self._new_for = 0
        rows, columns = self._workspace.tissue.shape
        self._sum = np.zeros((rows, columns), np.float64)
        self._squares = np.zeros((rows, columns), np.float64)
        self._past = np.zeros((rows, columns), np.float32)
        self._first: list[Float32] = []

    def observe(self, index: int, frame: Frame) -> None:
        """Look at one distinct frame, in order.

        Parameters
        ----------
        index : int
            Its place in the recording.
        frame : ndarray of uint8, shape (region.height, region.width)
            The region.
        """
        if not self._usable:
            return
        glance = Glance.at(frame, self._workspace)
        slide = self._drift.follow(glance.small)
        self._slides.append(slide)
        still = self._at_rest(glance.small, slide)
        self._new_spots.append(self._newly_seen(still))
        self._remember(still)
        if len(self._first) < LOOKED_BACK_AT:
            self._first.append(still)
        found = examine(glance, search(glance.small, self._workspace), self._workspace)
        self._frames.append(index)
        self._spots.append(
            find_spots(glance.small, self._workspace.tissue, self._workspace.edge_distance)
        )
        self._candidates.append(found)
        if self._online:
            self._decide_now()

    def _decide_now(self) -> None:
        """Say where the needle is in the newest frame: as :meth:`conclude` does of all."""
        numbers = self._numbers()[-MEMORY_FRAMES:]
        spot, outshines = None, False
        if len(self._frames) >= FIRST_FRAMES and not any(k >= 0 for k, _ in self._at_once):
            spot = follow_spot(self._spots[-MEMORY_FRAMES:], numbers)
            outshines = spot is not None
            if spot is None:
                slides = np.array(self._slides[-MEMORY_FRAMES:])
                spot = follow_new_spot(self._new_spots[-MEMORY_FRAMES:], numbers, slides)
                self._new_for = self._new_for + 1 if spot is not None else 0
        shaft = -1, 0.0
        crosses = any(sure > 0 for _, sure in self._crossing)
        if not outshines and not crosses:
            shaft = self._shaft_now(CONVINCING if spot is None else CONVINCING_BESIDE_SPOT)
        self._at_once.append(shaft)
        sure = outshines or crosses or self._new_for >= NEW_IN_A_ROW
        if spot is None or shaft[0] >= 0 or not sure:
            self._crossing.append((np.full(2, np.nan), 0.0))
        else:
            self._crossing.append((spot.position[-1], float(spot.confidence[-1])))

    def _shaft_now(self, convincing: float) -> tuple[int, float]:
        """Which candidate of the newest frame is the needle (-1 for none), and how surely."""
        candidates = self._candidates[-MEMORY_FRAMES:]
        if len(candidates) < FIRST_FRAMES or not any(len(found) for found in candidates):
            return -1, 0.0
        mean = np.asarray(self._sum / len(self._frames), np.float32)
        pool, odds = self._evidence(candidates, self._slides[-MEMORY_FRAMES:], mean)
        path = likeliest(pool, odds, self._numbers()[-MEMORY_FRAMES:], convincing=convincing)
        if path is None or path.chosen[-1] < 0:
            return -1, 0.0
        first = np.searchsorted(pool.frame, len(candidates) - 1)
        return int(path.chosen[-1] - first), float(path.confidence[-1])

    def _conclude_online(self, fascia: FasciaResult) -> NeedleTrack:
        """Gather what was decided frame by frame: the plane is that of the first claim."""
        position = np.array([place for place, _ in self._crossing])
        sure = np.array([confidence for _, confidence in self._crossing])
        if np.any(sure > 0):
            return self._observed().out_of_plane(SpotPath(position, sure), fascia)
        pool = Pool.of(self._candidates, np.array(self._slides), self._workspace)
        offsets = np.searchsorted(pool.frame, np.arange(len(self._frames)))
        place = np.array([which for which, _ in self._at_once])
        sure = np.array([confidence for _, confidence in self._at_once])
        if not np.any(place >= 0):
            return none_found(
                "online: in no frame had a line or spot looked and moved as a needle does by then"
            )
        shafts = pool.records[np.where(place >= 0, offsets + place, 0)]
        return self._observed().in_plane(shafts, sure, fascia)

    def _at_rest(self, small: Float32, slide: Floats) -> Float32:
        """Take the picture's slide out of a reduced frame."""
        shift = np.array([[1.0, 0.0, -slide[0]], [0.0, 1.0, -slide[1]]])
        size = small.shape[::-1]
        return np.asarray(cv2.warpAffine(small, shift, size, borderMode=cv2.BORDER_REPLICATE))

    def _newly_seen(self, still: Float32) -> NDArray[np.void]:
        """Spots that the frames before this one have not, where all of them showed tissue."""
        if not self._frames:
            return np.zeros(0, SPOT)
        slid = float(np.abs(self._slides[-MEMORY_FRAMES:]).max())
        return find_new_spots(still, self._past, self._workspace.edge_distance - slid)

    def _new_in_all(self) -> list[NDArray[np.void]]:
        """Gather the new spots: of the first frames, those that the later ones have not."""
        first, later = len(self._first), len(self._frames) - len(self._first)
        if later < FIRST_FRAMES:
            return self._new_spots
        mean = ((self._sum - sum(self._first)) / later).astype(np.float32)
        inside = self._workspace.edge_distance - float(np.abs(self._slides).max())
        looked_back = [find_new_spots(still, mean, inside) for still in self._first]
        return looked_back + self._new_spots[first:]

    def _remember(self, still: Float32) -> None:
        """Add a frame to the mean and deviation of the picture, and to its recent mean."""
        cv2.accumulate(still, self._sum)
        cv2.accumulateSquare(still, self._squares)
        cv2.accumulateWeighted(still, self._past, 1.0 / min(len(self._frames) + 1, MEMORY_FRAMES))

    def conclude(self, clip: Frames, fascia: FasciaResult) -> NeedleTrack:
        """Decide where the needle was in every frame, and what it did.

        Parameters
        ----------
        clip : Frames
            The clip that was observed. Unless it is followed online, its frames are read once more
            where there is a needle, and once for each line that may be one moved slowly.
        fascia : FasciaResult
            What the fascia stage found, for distances to its borders.
        """
        header = self._header
        if not self._usable:
            return none_found(
                f"the picture is only {header.region.width} x {header.region.height} px: "
                "too small to show a needle"
            )
        count = len(self._frames)
        if count == 0:
            return none_found("no frame could be looked at")
        if self._online:
            return self._conclude_online(fascia)
        tips = {
            k: self._hints[frame] for k, frame in enumerate(self._frames) if frame in self._hints
        }
        spots = [s[:0] if tips.get(k, ()) is None else s for k, s in enumerate(self._spots)]
        shaft = any(tip is not None for tip in tips.values())
        # A spot that outshines the whole picture comes first: its wings make lines, while a
        # shaft in view has many spots as bright as its tip.
        spot = None if shaft else follow_spot(spots, self._numbers())
        if spot is not None:
            return self._observed().out_of_plane(spot, fascia)
        spot = None
        if not shaft:
            new_spots = [
                s[:0] if tips.get(k, ()) is None else s for k, s in enumerate(self._new_in_all())
            ]
            spot = follow_new_spot(new_spots, self._numbers(), np.array(self._slides))
        mean = np.asarray(self._sum / count, np.float32)
        candidates = heeded(self._candidates, tips, self._workspace)
        odds = None
        if any(len(found) for found in candidates):
            pool, odds = self._evidence(candidates, self._slides, mean)
            shown = known(pool.frame, tips)
            odds = Odds(
                np.where(shown, KNOWN, odds.appearance),
                np.where(shown, KNOWN, odds.full),
                odds.novelty,
            )
            least = CONVINCING if spot is None else CONVINCING_BESIDE_SPOT
            path = likeliest(pool, odds, self._numbers(), shown, least)
            if path is None and spot is None:
                slides = np.array(self._slides)
                path = slowly_moved(pool, odds, self._numbers(), slides, clip, self._workspace)
            if path is not None:
                hidden = np.array([tips.get(k, ()) is None for k in range(count)])
                return self._followed(clip, pool, odds, path, hidden, fascia)
        if spot is not None:
            return self._observed().out_of_plane(spot, fascia)
        if odds is None:
            return none_found("no frame shows a straight bright line that ends inside the picture")
        return none_found(why_not(odds, count))

    def _followed(
        self,
        clip: Frames,
        pool: Pool,
        odds: Odds,
        path: Path,
        hidden: Bools,
        fascia: FasciaResult,
    ) -> NeedleTrack:
        """Describe the needle of a path; of one that moved, every tip is looked for on its line."""
        path = on_front_wall(pool, path, odds.full)
        shafts, sure = pool.records[path.chosen], path.confidence
        if path.moved and np.any(sure >= VISIBLE):
            shafts, sure, seen, depths = self._along_line(clip, pool, odds, path, hidden)
            if seen is None or self._hints:
                return self._observed().in_plane(shafts, sure, fascia)
            if share_carried(seen.beside, depths) > MOST_CARRIED:
                return none_found(
                    "a bright line is in view whose end moves along it, but the tissue beside it "
                    "moves with it, as beside a fibre"
                )
            if share_bared(seen.contrast, depths) < LEAST_BARED:
                path = to_the_furthest_end(pool, odds, path, self._numbers())
                if np.any(path.confidence >= VISIBLE):
                    shafts, sure, seen, depths = self._along_line(clip, pool, odds, path, hidden)
                if seen is None or not is_its_end(seen, depths):
                    return none_found(
                        "a bright line is in view whose end moves along it, but the line is as "
                        "bright beyond its end: it is no needle, or not the needle's tip"
                    )
        return self._observed().in_plane(shafts, sure, fascia, moved=path.moved)

    def _along_line(
        self, clip: Frames, pool: Pool, odds: Odds, path: Path, hidden: Bools
    ) -> tuple[Candidates, Floats, MMode | None, Floats]:
        """Look for every tip on the line of a path's claims; see :func:`followed_along`."""
        numbers, slides = self._numbers(), np.array(self._slides)
        claims = np.where(path.confidence >= VISIBLE, path.chosen, -1)
        likely = resembling_odds(pool, odds, claims, numbers)
        return followed_along(pool, path, likely, numbers, slides, clip, self._workspace, hidden)

    def _evidence(
        self, candidates: list[Candidates], slides: list[Floats], mean: Float32
    ) -> tuple[Pool, Odds]:
        count = len(self._frames)
        pool = Pool.of(candidates, np.array(slides), self._workspace)
        variance = np.maximum(self._squares / count - (self._sum / count) ** 2, 0)
        deviation = np.sqrt(variance).astype(np.float32)
        return pool, log_odds(pool, mean, deviation, len(candidates))

    def _observed(self) -> Observed:
        return Observed(
            self._header,
            self._workspace,
            np.array(self._frames),
            self._numbers(),
            self._hints,
            self._online,
        )

    def _numbers(self) -> Floats:
        """When each observed frame was taken, in frames at ``NOMINAL_FPS``."""
        frames = np.array(self._frames)
        if self._header.timing.time_s is not None:
            times = self._header.timing.time_s[frames] * NOMINAL_FPS
            return np.asarray(times, dtype=np.float64)
        return np.asarray(self._header.frame_numbers[frames], dtype=np.float64)


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
