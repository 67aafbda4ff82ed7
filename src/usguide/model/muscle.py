"""What the muscle stage found."""

from __future__ import annotations

from dataclasses import dataclass

from usguide.model.values import Borders, Floats, Measurement, Status


@dataclass(frozen=True, slots=True, eq=False)
class MuscleResult:
    """What the muscle stage found; thickness is between the inner edges of the aponeuroses."""

    status: Status
    reason: str
    thickness_mm: Measurement | None = None
    thickness_px: Measurement | None = None
    echo_intensity: Measurement | None = None
    """Mean grey level (0 to 255) between the aponeuroses; depends on the machine's settings."""
    superficial_px: Floats | None = None
    """Shape (k, 2), (x, y) in source px, in ``reference_frame``."""
    deep_px: Floats | None = None
    reference_frame: int | None = None
    borders: Borders | None = None
    frame_thickness_px: Floats | None = None
    """Shape (frames,): mean thickness across the region in each frame."""
    frame_thickness_mm: Floats | None = None
    superficial_left_y_px: Floats | None = None
    """Shape (frames,): the superficial inner edge at the left edge of the region."""
    deep_left_y_px: Floats | None = None
    superficial_outer_px: Floats | None = None
    """Shape (k, 2): the outer edges of the two aponeuroses in ``reference_frame``, as above."""
    deep_outer_px: Floats | None = None
