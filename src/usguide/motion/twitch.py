"""Local twitch responses: brief, local bursts of motion that nothing else explains.

Speckle tracking over the whole picture says where something brief and local happens that neither
the probe nor the needle explains (:mod:`usguide.motion.bursts`). There the clip is looked at again,
closely: what moves must rise and fall back within the time a twitch lasts, in one small place, and
the tissue must look afterwards as it did before.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_filter

from usguide.model import Bools, Floats, Frames, Header, NeedlePass, NeedleTrack, Status, Twitch
from usguide.motion.close_up import CloseUp
from usguide.motion.contraction import Contraction
from usguide.motion.drag import SETTLING_S, near_needle
from usguide.motion.history import Motion, bilinear
from usguide.motion.looks import Look, close_ups, find_looks, scale_and_least_peak

SHORTEST_S, LONGEST_S = 0.1, 0.65
"""Duration of a twitch, 150 to 500 ms as reported, and a frame of 30 per second at either end
and for the slower return of the tissue."""

LONGEST_ALONE_S = 0.5
"""The same where no needle is followed: what one out of view pulls along may take longer."""

SHARE_ALONE = 0.6
"""Share of what is found without a followed needle that are twitches: of 26 in the 30 needlings of
the benchmark, their needle kept from the search, 15 were; all 13 in 120 muscles and 15 needlings of
the second simulator without a needle, or with one that was not found."""

LARGEST_STEP_S = 0.09
"""Time between frames above which a burst of 150 ms may fall between two of them."""

LEAST_FRAMES = 8
"""Fewer different frames show no rest before and after a burst."""

MIN_LIKENESS = 0.75
"""Least correlation of the tissue before and after. Unrelated patches of some 15 speckles correlate
with 0.26 (one SD). Of 40 synthetic needlings, twitches gave 0.86 and more, noise 0.6 and less."""

MAX_MISSED = 1.1
"""Most that following the tissue from frame to frame may miss of where it is found in the end, as a
share of the peak: mostly under 0.1, 1.0 where the quickest frames are too quick, more in noise."""

MIN_LIKE = 0.4
"""Share of the window that must be comparable at all."""

ENDS_AT = 0.2
"""Share of the peak at which a twitch starts and ends."""

MAX_LEFT = 0.4
"""Share of the peak that may be left at its end: a twitch returns, a shift stays."""

MIN_SIGNAL_TO_NOISE = 10.0
"""Least peak, in robust SDs of the place's quick motion over the clip."""

RIM = 2
"""Points beside those hidden by the needle, a millimetre, that no twitch may have its peak in: what
the needle drags moves most nearest to it."""

SMALLEST_MM2, SMALLEST_SHARE = 4.0, 0.003
"""Least area that moves more than half of the peak, of 17 mm2 for a twitch of 3 by 1.3 mm (one SD):
less is a mismatch. Without a scale, as a share of the squared width of the region."""

LARGEST_PART = 0.6
"""Share of the window's comparable tissue that may move more than half of the peak: a twitch is
local."""

SAME_S, SAME_SHARE = 0.2, 0.15
"""Bursts closer than this in time, and in space as a share of the width, are one twitch."""

MIN_OVER_SHAKING = 1.0
"""Least peak, as a multiple of the quick motion of the whole picture at the time: a shaking probe
moves layers of tissue differently."""

AFTER_PASS_S = 0.1
"""How long after a pass a twitch may begin to be put down to it: a twitch is a spinal
reflex (Hong and Torigoe, J Musculoskelet Pain 1994;2:17), tens of ms late, as a frame is long."""


def why_not_looked_for(motion: Motion, header: Header) -> str:
    """Say why no twitch can be looked for in a clip; empty where they can."""
    time_s, n = header.timing.time_s, len(motion.frames)
    if time_s is None:
        return "the clip has no timing, and a twitch is told by how briefly it lasts."
    if n < LEAST_FRAMES:
        return f"the clip has {n} different frames, and at least {LEAST_FRAMES} are needed."
    step_s = motion.step_s(time_s)
    if not 0 < step_s <= LARGEST_STEP_S:
        return (
            f"the clip has a frame every {step_s:.2g} s; a twitch of 0.15 s may fall between "
            f"frames more than {LARGEST_STEP_S:g} s apart."
        )
    return ""


def find_twitches(
    clip: Frames, motion: Motion, contraction: Contraction, needle: NeedleTrack
) -> tuple[tuple[Twitch, ...], str]:
    """Find the twitches of a clip; reads it again only where something is suspected.

    Parameters
    ----------
    clip : Frames
        The recording.
    motion : Motion
        Its displacement history.
    contraction : Contraction
        The clip's dominant movement: within it no twitch can be told from the contraction, unless
        none of its cycles lasts longer than a twitch. A muscle that is needled is at rest: with a
        followed needle it is breathing, the probe or drag.
    needle : NeedleTrack
        Where the needle was. What a needle that is not followed drags along may be taken for a
        twitch: the confidence is lower there.

    Returns
    -------
    twitches : tuple of Twitch
        In order of time.
    reason : str
        Why none could be looked for; empty where they were.
    """
    header = clip.header
    time_s = header.timing.time_s
    reason = why_not_looked_for(motion, header)
    if time_s is None or reason:
        return (), reason
    times, step_s = time_s[motion.frames], motion.step_s(time_s)
    followed = needle.status is Status.MEASURED
    cycles = [(times[start], times[end]) for start, _, end in contraction.cycles]
    brief = all(end - start <= LONGEST_S for start, end in cycles)
    moving = [] if followed or brief else cycles
    looks = find_looks(motion, moving, needle, header, times, step_s)
    found = []
    for look, seen in zip(looks, close_ups(clip, motion, looks), strict=True):
        settled = max(1, round(SETTLING_S / step_s))
        span = slice(max(0, look.first - settled), look.last + 1 + settled)
        near = near_needle(seen.points_px, motion.frames[span], needle, header)
        hidden: Bools = np.asarray(near.any(axis=0), dtype=np.bool_)
        twitch = _judged(look, seen, hidden, motion, header, times[look.first : look.last + 1])
        if twitch is not None:
            found.append(twitch)
    merged = _merged(found, SAME_SHARE * header.region.width)
    if followed:
        return tuple(elicited(twitch, needle.passes) for twitch in merged), ""
    return tuple(
        replace(twitch, confidence=SHARE_ALONE * twitch.confidence)
        for twitch in merged
        if twitch.end_s - twitch.start_s <= LONGEST_ALONE_S
    ), ""


def _judged(
    look: Look, seen: CloseUp, near: Bools, motion: Motion, header: Header, times: Floats
) -> Twitch | None:
    """Say whether what is seen from close by is a twitch."""
    scale, least = scale_and_least_peak(header)
    moved = seen.displacement_px * scale
    points = seen.points_px.reshape(-1, 2)
    shape = moved.shape[1:]
    explained = np.stack(
        [bilinear(each, motion.x_px, motion.y_px, points).reshape(shape) for each in look.explained]
    )
    moved = moved - (explained - explained[0])
    left = moved[-1]
    # What is slow goes on at one rate for this short while.
    share = ((times - times[0]) / (times[-1] - times[0]))[:, None, None, None]
    course = gaussian_filter(moved - share * left, (0.0, 0.7, 0.7, 0.0))
    like = (seen.likeness >= MIN_LIKENESS) & ~near
    if like.mean() < MIN_LIKE:
        return None
    missed = seen.missed_px * float(np.mean(scale))
    size = np.linalg.norm(course, axis=-1) * like
    peak, i, j = (int(k) for k in np.unravel_index(int(np.argmax(size)), size.shape))
    top = float(size[peak, i, j])
    if top < max(least, MIN_SIGNAL_TO_NOISE * look.noise, MIN_OVER_SHAKING * look.shaking):
        return None
    if float(np.linalg.norm(left[i, j])) > MAX_LEFT * top or missed[i, j] > MAX_MISSED * top:
        return None
    if (binary_dilation(near, iterations=RIM) & like)[i, j]:
        return None
    start, end = _extent(size[:, i, j], peak, ENDS_AT * top)
    if start < 0 or end > len(times) - 1:
        return None
    if not SHORTEST_S <= times[end] - times[start] <= LONGEST_S:
        return None
    moving = size[peak] > 0.5 * top
    if np.count_nonzero(moving) > LARGEST_PART * np.count_nonzero(like):
        return None
    scaled = header.calibration.spacing_mm is not None
    smallest = SMALLEST_MM2 if scaled else SMALLEST_SHARE * header.region.width**2
    between = seen.points_px[1, 1] - seen.points_px[0, 0]
    if np.count_nonzero(moving) * float((between * scale).prod()) < smallest:
        return None
    weight = np.where(moving, size[peak], 0.0)
    centre = np.average(seen.points_px.reshape(-1, 2), axis=0, weights=weight.ravel())
    speed = np.linalg.norm(np.diff(course[start : end + 1, i, j], axis=0), axis=1)
    speed /= np.diff(times[start : end + 1])
    return Twitch(
        start_s=float(times[start]),
        end_s=float(times[end]),
        peak_mm=top if scaled else None,
        peak_velocity_mm_s=float(speed.max()) if scaled else None,
        centre_px=(float(centre[0]) + header.region.x, float(centre[1]) + header.region.y),
        confidence=float(1.0 - np.exp(-top / (1.5 * least))),
    )


def _extent(course: Floats, peak: int, level: float) -> tuple[int, int]:
    """Entries around a peak at which the course has fallen to a level; -1 or n if it does not."""
    start = end = peak
    while start >= 0 and course[start] > level:
        start -= 1
    while end < len(course) and course[end] > level:
        end += 1
    return start, end


def _merged(found: list[Twitch], near_px: float) -> tuple[Twitch, ...]:
    """Keep the stronger of twitches that follow one another at once in one place."""
    kept: list[Twitch] = []
    for twitch in sorted(found, key=lambda t: t.confidence, reverse=True):
        if not any(
            twitch.start_s <= other.end_s + SAME_S
            and other.start_s <= twitch.end_s + SAME_S
            and np.hypot(*np.subtract(twitch.centre_px, other.centre_px)) <= near_px
            for other in kept
        ):
            kept.append(twitch)
    return tuple(sorted(kept, key=lambda twitch: twitch.start_s))


def elicited(twitch: Twitch, passes: tuple[NeedlePass, ...]) -> Twitch:
    """Name the pass that a twitch began in or right after: the latest one that had begun."""
    for number, each in reversed(list(enumerate(passes, start=1))):
        if each.start_s is None or each.end_s is None or each.start_s > twitch.start_s:
            continue
        near = twitch.start_s <= each.end_s + AFTER_PASS_S
        return replace(twitch, needle_pass=number) if near else twitch
    return twitch
