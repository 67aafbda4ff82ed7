"""Measurements from recorded ultrasound clips of guided needlings and of contracting muscle.

Research software, not a medical device.

The names below are all there is to the public interface; they are loaded when first used, so that
``import usguide`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from usguide.errors import (
    CalibrationError,
    ConfigError,
    IngestError,
    NotUltrasoundError,
    OutputError,
    UnreadableError,
    UsguideError,
)

if TYPE_CHECKING:
    from usguide.followup.comparison import Comparison, compare
    from usguide.ingest.clip import Clip
    from usguide.ingest.opening import open_clip
    from usguide.model import Analysis, Calibration, Hint, Options, Task
    from usguide.pipeline import analyze

__version__ = "0.1.0"

__all__ = [
    "Analysis",
    "Calibration",
    "CalibrationError",
    "Clip",
    "Comparison",
    "ConfigError",
    "Hint",
    "IngestError",
    "NotUltrasoundError",
    "Options",
    "OutputError",
    "Task",
    "UnreadableError",
    "UsguideError",
    "analyze",
    "compare",
    "open_clip",
]

_HOME = {
    "Analysis": "usguide.model",
    "Calibration": "usguide.model",
    "Clip": "usguide.ingest.clip",
    "Comparison": "usguide.followup.comparison",
    "Hint": "usguide.model",
    "Options": "usguide.model",
    "Task": "usguide.model",
    "analyze": "usguide.pipeline",
    "compare": "usguide.followup.comparison",
    "open_clip": "usguide.ingest.opening",
}


def __getattr__(name: str) -> Any:
    """Load a public name where it lives."""
    if name not in _HOME:
        raise AttributeError(f"module 'usguide' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted([*__all__, "__version__"])
