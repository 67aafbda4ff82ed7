"""The needle: where its tip was in every frame, and what it did."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from usguide.errors import ConfigError
from usguide.model import FasciaResult, Frame, Frames, Header, Hint, NeedleTrack
from usguide.needle.description import Description, Shafts, none_found
from usguide.needle.hints import by_frame
from usguide.needle.observations import Observations
from usguide.needle.online import Online
from usguide.needle.whole_clip import decide

__all__ = ["NeedleStage"]

SMALLEST_SIDE_PX = 24
"""A region with a shorter side has no room for a shaft and its flanks."""


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
        self._hints = by_frame(hints, header)
        self._usable = min(header.region.width, header.region.height) >= SMALLEST_SIDE_PX
        self._observations = Observations(header)
        self._online = Online(self._observations) if online else None

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
        self._observations.add(index, frame)
        if self._online is not None:
            self._online.decide()

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
        region, observations = self._header.region, self._observations
        if not self._usable:
            return none_found(
                f"the picture is only {region.width} x {region.height} px: "
                "too small to show a needle"
            )
        if len(observations) == 0:
            return none_found("no frame could be looked at")
        if self._online is not None:
            found = self._online.found()
        else:
            tips = {
                k: self._hints[frame]
                for k, frame in enumerate(observations.frames)
                if frame in self._hints
            }
            found = decide(observations, tips, clip)
        if isinstance(found, str):
            return none_found(found)
        description = Description(
            self._header,
            observations.workspace,
            np.array(observations.frames),
            observations.numbers(),
            self._hints,
            self._online is not None,
        )
        if isinstance(found, Shafts):
            return description.in_plane(found, fascia)
        return description.out_of_plane(found, fascia)
