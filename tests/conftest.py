"""For every process of a run: one store of compiled kernels, and no deadline for drawn examples."""

import importlib
import os
import pkgutil

import pytest
from hypothesis import settings

# How long an example takes says how busy the machine is.
settings.register_profile("usguide", deadline=None)
settings.load_profile("usguide")


def pytest_configure(config: pytest.Config) -> None:
    """Compile the kernels once, so that no worker and no command under test does it again.

    Otherwise every worker of pytest-xdist would compile all of them for itself, and the command
    for archives would keep its own in the home of whoever runs the tests.
    """
    os.environ.setdefault("NUMBA_CACHE_DIR", str(config.rootpath / ".pytest_cache" / "kernels"))
    if not config.getoption("numprocesses", default=None):
        return
    kernels = importlib.import_module("usguide.kernels")
    for module in pkgutil.iter_modules(kernels.__path__, "usguide.kernels."):
        importlib.import_module(module.name)
