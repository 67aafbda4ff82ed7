"""The plantar fascia: where it is, how thick it is, and what it looks like."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from usguide.fascia import appearance
from usguide.fascia.course import BorderPair
from usguide.fascia.description import Description
from usguide.fascia.detection import Heel, detect, followed_mm, seen_again, turned
from usguide.fascia.heel_odds import doubted
from usguide.fascia.series import CONFIRMED_MIN, LOOKS_FIRST, SEARCH_EVERY, Record, Series
from usguide.fascia.thickness import frame_profile
from usguide.fascia.tracking import Followed, Tracker
from usguide.fascia.workspace import Image, Workspace
from usguide.model import FasciaResult, Frame, Header, Status

__all__ = ["FasciaStage"]

ODDS_SURE = 3.0
"""Logarithm of the odds of a heel that is looked for afresh in one frame only."""
READ_EVERY = 48
"""Frames between two readings of the fascia's appearance, after the first looks."""
HEIGHT_MIN_PX = 40
"""Least side of a picture that is looked at: fewer px do not hold a bone, its shadow and a band."""


class FasciaStage:
    """Measures the plantar fascia of a clip, one frame at a time.

    Parameters
    ----------
    header : Header
        What is known of the clip.
    """

    def __init__(self, header: Header) -> None:
        self._workspace = Workspace.of(header)
        self._description = Description(header, self._workspace)
        self._series: list[Series] = []
        self._observed = 0
        self._first: list[tuple[int, Image, Heel | None]] = []
        self._rest = 0  # frames to go before the whole picture is searched
        self._looks = 0
        self._found = 0
        self._reasons: dict[str, int] = {}

    def observe(self, index: int, frame: Frame) -> None:
        """Measure one frame; ``frame`` is the region, uint8 (region.height, region.width)."""
        if min(frame.shape) < HEIGHT_MIN_PX:
            return
        picture = self._workspace.picture(frame)
        self._observed += 1
        series = self._series[-1] if self._series else None
        followed = series.tracker.follow(picture) if series and not self._first else None
        if series is None or followed is None:
            self._search(index, picture)
            return
        recorded = len(series.records)
        close = series.due and (recorded < LOOKS_FIRST or recorded % READ_EVERY == 0)
        if series.due and not self._sees_again(picture, series, followed):
            self._search(index, picture)
            return
        # Where a heel was in view, it is searched for as soon as it is lost.
        self._rest = 0
        self._record(index, picture, series, followed, close=close)

    def _record(
        self, index: int, picture: Image, series: Series, followed: Followed, *, close: bool
    ) -> None:
        """Keep what one frame shows of a heel."""
        reach = followed_mm(followed.pair)
        evidence = _evidence(followed.pair)
        bone = series.tracker.heel.bone
        series.records.append(
            Record(
                index,
                float(np.clip(evidence, 0, 1) * np.clip(followed.similarity, 0, 1)),
                frame_profile(followed.pair, reach, self._workspace.pixel_mm),
                *self._description.border_rows(followed.pair, reach, bone.mirrored),
            )
        )
        if close:
            series.readings.append(
                appearance.read(
                    turned(picture, bone.mirrored),
                    followed.pair,
                    bone.moved(followed.shift_px),
                    series.tracker.heel.scale.floor,
                    self._workspace.pixel_mm,
                    reach,
                )
            )

    def conclude(self) -> FasciaResult:
        """Combine the frames."""
        self._settle()
        if self._observed == 0:
            return FasciaResult(Status.NONE_FOUND, "no frame is large enough to show a heel")
        series = [one for one in self._series if one.records]
        if not self._found:
            reason = max(self._reasons, key=self._reasons.__getitem__, default="no heel in view")
            return FasciaResult(
                Status.NONE_FOUND, f"this is not a long-axis view of a heel: {reason}"
            )
        # Either one heel was in view for a while, or most frames showed one, as single images do.
        if self._found < CONFIRMED_MIN * self._looks:
            least = min(LOOKS_FIRST, self._observed)
            series = [one for one in series if one.confirmed(least)]
        if not series:
            return FasciaResult(
                Status.NONE_FOUND,
                "this is not a long-axis view of a heel: a bone and fascia were seen in only "
                f"{self._found} of the {self._looks} frames searched",
            )
        return self._description.described(max(series, key=lambda one: one.weight))

    def _search(self, index: int, picture: Image) -> None:
        """Look for a heel in the whole picture, if it is time to.

        Where there is one and it is not sure, it is looked for afresh in the next frames too.
        """
        if self._rest > 0 and not self._first:
            self._rest -= 1
            return
        heel = detect(picture, self._workspace)
        if isinstance(heel, str):
            self._count(heel)
            if not self._first:
                self._rest = SEARCH_EVERY - 1 if self._observed >= LOOKS_FIRST else 0
                return
        else:
            self._count(None)
        found = None if isinstance(heel, str) else heel
        self._first.append((index, picture, found))
        sure = found is not None and found.odds >= ODDS_SURE
        if sure or len(self._first) == LOOKS_FIRST:
            self._settle()

    def _settle(self) -> None:
        """Take the likeliest heel of the first looks, if enough show it, and measure it in all.

        A frame in which none was found may show it where it is followed to.
        """
        first, self._first = self._first, []
        heels = [(at, heel) for at, (_, _, heel) in enumerate(first) if heel is not None]
        if not heels:
            return
        at, heel = max(heels, key=lambda one: one[1].odds)
        index, picture, _ = first[at]
        others = [other.pair for where, other in heels if where != at]
        heel = replace(heel, pair=doubted(heel.pair, others))
        series = Series(
            Tracker(heel, picture, self._workspace),
            index,
            looks=len(first),
            seen=len(heels),
        )
        for number, view, found in first:
            followed = series.tracker.follow(view)
            if followed is None:
                continue
            if found is None:
                series.seen += self._objection(view, series, followed) is None
            self._record(number, view, series, followed, close=True)
        if series.confirmed(len(first)):
            self._series.append(series)
        else:
            self._rest = SEARCH_EVERY - 1

    def _sees_again(self, picture: Image, series: Series, followed: Followed) -> bool:
        """Look for a heel where it was followed to."""
        objection = self._objection(picture, series, followed)
        if objection is None or not series.doubted:
            # A doubt that lasts is one doubt, however often it is renewed.
            series.looks += 1
            series.seen += objection is None
            self._rest = SEARCH_EVERY
            self._count(objection)
        series.doubted = objection is not None
        return objection is None

    def _objection(self, picture: Image, series: Series, followed: Followed) -> str | None:
        """Say why no heel is seen where it was followed to, or None."""
        return seen_again(
            picture, self._workspace, series.tracker.heel, followed.pair, followed.shift_px
        )

    def _count(self, objection: str | None) -> None:
        """Count a frame that was looked at closely, and why no heel was seen in it."""
        self._looks += 1
        if objection is None:
            self._found += 1
        else:
            self._reasons[objection] = self._reasons.get(objection, 0) + 1


def _evidence(pair: BorderPair) -> float:
    near = (pair.band.distance_mm >= 0) & (pair.band.distance_mm <= 15.0)
    return float((pair.upper_evidence + pair.lower_evidence)[near].mean() / 2)
