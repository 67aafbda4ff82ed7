"""The public names, and that importing the package costs nothing."""

import subprocess
import sys

import pytest

import usguide

PUBLIC = {
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
}


def test_the_public_names_are_these() -> None:
    assert set(usguide.__all__) == PUBLIC
    assert set(dir(usguide)) == PUBLIC | {"__version__"}


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(usguide, name).__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        usguide.nonsense  # noqa: B018


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, usguide; "
        "print({m.split('.')[0] for m in sys.modules} & "
        "{'numpy', 'cv2', 'av', 'numba', 'pydicom', 'scipy', 'matplotlib', 'PIL'})"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert loaded.strip() == "set()"


def test_errors_carry_the_exit_code_of_the_command_line() -> None:
    assert usguide.ConfigError.exit_code == 2
    assert usguide.CalibrationError.exit_code == 2
    assert usguide.OutputError.exit_code == 2
    assert usguide.UnreadableError.exit_code == 3
    assert usguide.NotUltrasoundError.exit_code == 3
    assert issubclass(usguide.NotUltrasoundError, usguide.IngestError)
