"""The types every stage shares: what a clip is, what was measured, and how sure we are.

Coordinates are (x, y) in pixels, x to the right and y down, pixel centres at integers, always in
the source frame as stored in the file, or, where the file says that it is stored turned, as players
show it; arrays are (row, column). A frame handed to a stage is the
chosen region only, so its pixel (row, column) is the source point
(column + region.x, row + region.y). Names carry units: ``_px``, ``_mm``, ``_s``, ``_deg``.
Angles are atan2(dy, dx) of the undirected line in image axes, in (-90, 90] degrees.

Per-frame arrays have one entry per source frame; NaN (or False) where nothing is known. Frames
that repeat another (``Timing.duplicate_of``) are never shown to a stage: their entries stay
unknown and the tables take the values of the frame they repeat.
"""

from usguide.model.analysis import Analysis, Options, Task
from usguide.model.fascia import (
    STATIONS_MM,
    THICKENED_MM,
    Border,
    Discontinuity,
    FasciaCategory,
    FasciaProfile,
    FasciaResult,
    PerifascialFluid,
    Side,
    Spur,
    Station,
    Thickness,
)
from usguide.model.motion import (
    Collection,
    ContractionResult,
    Cycle,
    MotionMap,
    MotionResult,
    Separation,
    SeparationFlag,
    Strain,
    Twitch,
)
from usguide.model.muscle import MuscleResult
from usguide.model.needle import Hint, NeedlePass, NeedlePlane, NeedleTrack
from usguide.model.recording import (
    FRAME_STEP_S,
    Calibration,
    CalibrationSource,
    Fan,
    Frames,
    Header,
    Region,
    SourceKind,
    Timing,
    TimingSource,
    checked_rate,
)
from usguide.model.values import (
    Z_95,
    Bools,
    Borders,
    Floats,
    Frame,
    Measurement,
    NotMeasured,
    Point,
    Progress,
    Status,
    printable,
    unwatched,
)

__all__ = [
    "FRAME_STEP_S",
    "STATIONS_MM",
    "THICKENED_MM",
    "Z_95",
    "Analysis",
    "Bools",
    "Border",
    "Borders",
    "Calibration",
    "CalibrationSource",
    "Collection",
    "ContractionResult",
    "Cycle",
    "Discontinuity",
    "Fan",
    "FasciaCategory",
    "FasciaProfile",
    "FasciaResult",
    "Floats",
    "Frame",
    "Frames",
    "Header",
    "Hint",
    "Measurement",
    "MotionMap",
    "MotionResult",
    "MuscleResult",
    "NeedlePass",
    "NeedlePlane",
    "NeedleTrack",
    "NotMeasured",
    "Options",
    "PerifascialFluid",
    "Point",
    "Progress",
    "Region",
    "Separation",
    "SeparationFlag",
    "Side",
    "SourceKind",
    "Spur",
    "Station",
    "Status",
    "Strain",
    "Task",
    "Thickness",
    "Timing",
    "TimingSource",
    "Twitch",
    "checked_rate",
    "printable",
    "unwatched",
]
