"""The errors usguide raises on purpose.

Every one of them carries a single sentence that names the thing, says what is wrong with it and
what to do, so that a caller may print it as it stands::

    UsguideError
    ├── ConfigError         wrong usage: an option, a value or a configuration file (exit code 2)
    │   └── CalibrationError    a spacing that cannot be a pixel spacing
    ├── IngestError         the input cannot be read or is not ultrasound imagery (exit code 3)
    │   ├── UnreadableError     missing, empty, cut short or in a format nobody here decodes
    │   └── NotUltrasoundError  readable, but not an ultrasound recording
    ├── OutputError         a result cannot be written (exit code 2)
    └── BatchError          an archive's run cannot go on (exit code 1)
        ├── ClipLostError       the process that analysed a clip died or was stopped
        └── RunStoppedError     somebody stopped the run (exit code 130)

A stage that cannot measure something does not raise: it returns a status and a reason.
"""

from __future__ import annotations

from typing import ClassVar


class UsguideError(Exception):
    """Base of every error raised on purpose; ``exit_code`` is what the command line returns."""

    exit_code: ClassVar[int] = 1


class ConfigError(UsguideError):
    """An option, a value or a configuration file is wrong."""

    exit_code: ClassVar[int] = 2


class CalibrationError(ConfigError):
    """A pixel spacing is not a finite positive length."""


class IngestError(UsguideError):
    """The input cannot be turned into a clip."""

    exit_code: ClassVar[int] = 3


class UnreadableError(IngestError):
    """The file is missing, empty, cut short or in a format that cannot be decoded."""


class NotUltrasoundError(IngestError):
    """The file can be read but does not hold ultrasound imagery."""


class OutputError(UsguideError):
    """A result cannot be written where it was asked for."""

    exit_code: ClassVar[int] = 2


class BatchError(UsguideError):
    """A run over an archive cannot go on; what was finished is kept."""


class ClipLostError(BatchError):
    """The process that analysed a clip died, or was stopped at the time limit."""


class RunStoppedError(BatchError):
    """Somebody stopped the run; the message says how to go on."""

    exit_code: ClassVar[int] = 130
