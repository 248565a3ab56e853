"""Hot loops compiled by numba, once per machine where its cache can be kept."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile a loop for the types it is called with; the machine code is kept for the next process where possible."""
    try:
        return cast(Function, numba.njit(cache=True, nogil=True)(function))
    except RuntimeError:  # numba finds no folder to keep its cache in: read-only install, no home
        return cast(Function, numba.njit(nogil=True)(function))
