"""From one work picture to the heel in it, or to the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from usguide.fascia.borders import LINE_MM, find_borders
from usguide.fascia.calcaneus import SAME_MM, Bone, find_calcaneus
from usguide.fascia.candidates import THICKNESS_MM, fat_share
from usguide.fascia.course import BorderPair
from usguide.fascia.heel_odds import heel_odds
from usguide.fascia.straighten import COLUMN_MM
from usguide.fascia.workspace import Image, Workspace
from usguide.model import Bools

CLEAR_OF_EDGE_MM, JUDGED_MM = 0.5, 12.0
"""How much of the band decides whether it is a fascia."""
FAT_SHARE_MIN = 0.65
"""Least level of the fat over a band, against the band's, where half of it has more: 0.75 and more
over 194 bands of heels of two simulators, 0.56 and 0.39 over two of a muscle's layers."""
FOLLOWED_MM, FOLLOWED_EVIDENCE_MIN = 4.0, 0.05
"""A band is seen where the weaker of its borders has, on average over so long a part of it, half
the evidence of a good line."""
FOLLOWED_MIN_MM = 12.0
"""How far a band must be seen, for shorter ones are often no fascia: 13.5 mm and more on single
frames of 122 heels of two simulators; 6.5 to 12.0 mm at five of eight lines that were no heel's.
"""
ODDS_MIN = 0.0
"""Logarithm of the odds of a heel below which it is declined: its band is likelier another one."""
PLAIN_ODDS_MIN = 2.0
"""The same where the line is likelier no bone than one: its band must be plain. In single pictures
of 388 heels of two simulators four right heels then have 2.1 to 4.6 and a wrong one 1.1, and in 480
clips without a heel no line has more than 0."""
UNLIKELY = "the band that leaves the bone-like line is likelier another one than the fascia"
FOLLOWED_SHARE_MIN = 0.5
"""Least share of the way to a place beyond faint stretches in which the band is seen. It is 0.57
and more on 265 synthetic heels, and 0.18 on another simulator's, its stations up to 2 mm off."""


@dataclass(frozen=True, slots=True)
class Scale:
    """What grey level counts as 0 and as 1: the floor and the white of one picture."""

    floor: float
    white: float

    @classmethod
    def of(cls, picture: Image, tissue: Bools) -> Scale:
        """Take the 5th and 99th percentile of the echoes."""
        values = picture[::3][tissue[::3]]
        if not values.size:
            values = picture.ravel()
        floor, white = np.percentile(values, [5.0, 99.0])
        return cls(float(floor), float(white))

    def levels(self, picture: Image) -> Image:
        """Normalise a picture."""
        return np.asarray((picture - self.floor) / (self.white - self.floor), dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Heel:
    """A calcaneus and the fascia that leaves it, in work px of the (mirrored) picture.

    ``odds`` is the logarithm of the odds that both are what they are taken for.
    """

    bone: Bone
    pair: BorderPair
    scale: Scale
    odds: float


def turned(picture: Image, mirrored: bool) -> Image:
    """Return the picture with the bone's front to the right."""
    return np.ascontiguousarray(picture[:, ::-1]) if mirrored else picture


def detect(picture: Image, workspace: Workspace) -> Heel | str:
    """Find the heel in one smoothed work picture, from scratch."""
    tissue, pixel_mm = workspace.tissue, workspace.pixel_mm
    scale = Scale.of(picture, tissue)
    if scale.white - scale.floor < 1.0:
        return "the picture is empty"
    levels = scale.levels(picture)
    bones = find_calcaneus(levels, tissue, pixel_mm)
    if isinstance(bones, str):
        return bones
    heels: list[Heel] = []
    reason = ""
    for bone in bones:
        heel = heel_of(turned(levels, bone.mirrored), bone, scale, pixel_mm)
        if isinstance(heel, str):
            reason = reason or heel
        else:
            heels.append(heel)
    if not heels:
        return reason
    believed = [
        heel for heel in heels if heel.odds >= (ODDS_MIN if heel.bone.odds >= 0 else PLAIN_ODDS_MIN)
    ]
    return max(believed, key=lambda heel: heel.odds) if believed else UNLIKELY


def heel_of(levels: Image, bone: Bone, scale: Scale, pixel_mm: float) -> Heel | str:
    """Find the fascia that leaves a bone, or say why there is none.

    Parameters
    ----------
    levels : ndarray of float32, shape (rows, columns)
        Normalised work picture, the bone's front towards the right.
    bone : Bone
        The bone.
    scale : Scale
        By which the picture was normalised.
    pixel_mm : float
        Nominal size of a work pixel.
    """
    found = find_borders(levels, bone, pixel_mm)
    if found is None:
        return "no room for a fascia beside the bone-like line"
    under_side = bone.x < found.insertion[0]
    if not under_side.any():
        return "no fascia leaves the bone-like line"
    bone = replace(
        bone,
        x=np.append(bone.x[under_side], found.insertion[0]),
        y=np.append(bone.y[under_side], found.insertion[1]),
    )
    objection = _objection(levels, found.pair, pixel_mm)
    if objection is not None:
        return objection
    followed = followed_mm(found.pair)
    if followed < FOLLOWED_MIN_MM:
        return f"what leaves the bone-like line is seen for less than {FOLLOWED_MIN_MM:g} mm"
    odds = heel_odds(bone.odds, found.pair, followed, pixel_mm)
    return Heel(bone, found.pair, scale, odds)


def seen_again(
    picture: Image,
    workspace: Workspace,
    heel: Heel,
    pair: BorderPair,
    shift_px: tuple[float, float],
) -> str | None:
    """Say why a heel that was followed to another frame is not seen in that one, or None.

    What makes a heel of a line and a band is asked of the frame again: a bone that casts a shadow,
    found in the whole picture, and the look of the band. Which band it is was settled before.

    Parameters
    ----------
    picture : ndarray of float32, shape (rows, columns)
        Smoothed work picture as displayed.
    workspace : Workspace
        Of the clip.
    heel : Heel
        As found in its own frame.
    pair, shift_px
        Its borders and (x, y) shift in this frame.
    """
    pixel_mm = workspace.pixel_mm
    levels = heel.scale.levels(picture)
    bones = find_calcaneus(levels, workspace.tissue, pixel_mm)
    if isinstance(bones, str):
        return bones
    bone = heel.bone.moved(shift_px)
    if not any(bone.lies_on(other, SAME_MM / pixel_mm) for other in bones):
        return "the bone-like line is not seen again where the heel was followed to"
    return _objection(turned(levels, bone.mirrored), pair, pixel_mm)


def _objection(levels: Image, pair: BorderPair, pixel_mm: float) -> str | None:
    """Why a band does not look like a fascia, or None."""
    judged = _judged(pair)
    if pair.band.distance_mm[-1] < CLEAR_OF_EDGE_MM + JUDGED_MM / 2 or not judged.any():
        return "no room for a fascia beside the bone-like line"
    thickness_mm = float(np.median(pair.thickness_px[judged])) * pixel_mm
    if thickness_mm < LINE_MM:
        return "what leaves the bone-like line is a single line, not a band"
    if thickness_mm > THICKNESS_MM[1]:
        return "what leaves the bone-like line is thicker than any fascia"
    share = fat_share(levels, pair, pixel_mm)
    if share.size and float(np.median(share)) < FAT_SHARE_MIN:
        return "the band that leaves the bone-like line lies under no fat"
    return None


def _judged(pair: BorderPair) -> Bools:
    """Which columns of a band decide whether it is a fascia: none of a gap, if there are others."""
    distance = pair.band.distance_mm
    judged = (distance >= CLEAR_OF_EDGE_MM) & (distance <= JUDGED_MM)
    whole = judged & ~pair.gap
    return whole if whole.any() else judged


def followed_mm(pair: BorderPair) -> float:
    """Distance from the insertion to the last place where both borders are seen.

    A rupture or a faint stretch on the way does not end the band: where it is seen again, it went
    on, and how sharply its borders are placed in between says how surely. A band that is
    hidden more than it is seen may be another one beyond.
    """
    ahead = (pair.band.distance_mm >= 0) & ~pair.gap
    weaker = np.minimum(pair.upper_evidence, pair.lower_evidence)[ahead]
    width = round(FOLLOWED_MM / COLUMN_MM)
    if len(weaker) < width:
        return 0.0
    running = np.convolve(weaker, np.full(width, 1 / width), mode="valid")
    seen = running >= FOLLOWED_EVIDENCE_MIN
    share = np.cumsum(seen) / np.arange(1, len(seen) + 1)
    followed = np.flatnonzero(seen & (share >= FOLLOWED_SHARE_MIN))
    return float(pair.band.distance_mm[ahead][followed[-1] + width - 1]) if followed.size else 0.0
