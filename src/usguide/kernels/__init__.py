"""Compiled inner loops: arrays and scalars in, arrays out, nothing of the project imported.

Every kernel is declared with :func:`kernel`, so that all of them share one set of compiler
options. With ``NUMBA_DISABLE_JIT=1`` in the environment the same functions run as plain Python.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar, cast

import numba

_F = TypeVar("_F", bound=Callable[..., object])


def kernel(signature: str | Sequence[str]) -> Callable[[_F], _F]:
    """Compile a function for the given Numba signature(s), once, when its module is imported.

    Serial (parallelism is over clips), without the interpreter lock, and cached on disk so that
    only the first import on a machine pays for the compilation.
    """
    decorate = numba.njit(signature, nogil=True, cache=True, error_model="numpy")
    return cast(Callable[[_F], _F], decorate)
