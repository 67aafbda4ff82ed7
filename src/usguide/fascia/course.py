"""Where both borders of the band run: a course to look along, and a pair found in a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from usguide.fascia.straighten import Band
from usguide.model import Bools, Floats


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """Where both borders run on a band.

    Parameters
    ----------
    band : Band
        The strip they were found on.
    upper_px, lower_px : ndarray of float64, shape (columns,)
        Offsets from the centre line, work px, positive deep.
    gap : ndarray of bool, shape (columns,)
        Where the band is interrupted.
    doubt_px : ndarray of float64, shape (2, columns)
        How much thinner and how much thicker the band may be, by the other bands that might be
        right: a standard deviation on either side.
    """

    band: Band
    upper_px: Floats
    lower_px: Floats
    gap: Bools
    doubt_px: Floats

    @property
    def thickness_px(self) -> Floats:
        """Distance between the borders along the band's normal, work px."""
        return self.lower_px - self.upper_px

    @property
    def middle_px(self) -> Floats:
        """Offset of the mid-line."""
        return (self.upper_px + self.lower_px) / 2

    def carried_to(self, band: Band) -> Course:
        """Return the same two curves as offsets on another band."""
        return Course(
            band,
            band.offsets_of(self.band.points(self.upper_px)),
            band.offsets_of(self.band.points(self.lower_px)),
            self._at(band, self.gap) > 0.5,
            np.stack([self._at(band, side) for side in self.doubt_px]),
        )

    def _at(self, band: Band, values: Floats | Bools) -> Floats:
        return np.interp(band.distance_mm, self.band.distance_mm, values)


@dataclass(frozen=True, slots=True, eq=False)
class BorderPair(Course):
    """Both borders as found in a picture.

    Parameters
    ----------
    upper_sd_px, lower_sd_px : ndarray of float64, shape (columns,)
        How sharply the picture places each border.
    upper_evidence, lower_evidence : ndarray of float64, shape (columns,)
        Border score at the border, -1 to 1; a tenth is a good line.
    """

    upper_sd_px: Floats
    lower_sd_px: Floats
    upper_evidence: Floats
    lower_evidence: Floats

    def carried_to(self, band: Band) -> BorderPair:
        """Return the same two curves as offsets on another band, each as sharp as it was."""
        course = Course.carried_to(self, band)
        return BorderPair(
            band,
            course.upper_px,
            course.lower_px,
            course.gap,
            course.doubt_px,
            self._at(band, self.upper_sd_px),
            self._at(band, self.lower_sd_px),
            self._at(band, self.upper_evidence),
            self._at(band, self.lower_evidence),
        )
