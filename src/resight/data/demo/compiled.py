"""Compilation of loops to machine code, kept on disk between runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` with numba on its first call; its type stays as it is."""
    return cast("Callable[P, R]", numba.njit(cache=True, error_model="numpy")(function))
