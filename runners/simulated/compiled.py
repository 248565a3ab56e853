"""Loops compiled by numba, kept for the next process until any source of the compiled loop changes."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core.caching import FunctionCache

from cotenant.models.digest import sha256_of, sha256_of_file

Function = TypeVar("Function", bound=Callable[..., Any])
SOURCES = ("compiled.py", "state.py", "law.py", "event_loop.py")
_digest = sha256_of([sha256_of_file(Path(__file__).with_name(name)) for name in SOURCES])


class _SourcesCache(FunctionCache):
    """Numba looks at a function's own file alone; ours call functions and freeze constants of each other's files."""

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        return (*super()._index_key(sig, codegen), _digest)  # type: ignore[no-untyped-call]


def compiled(function: Function) -> Function:
    """Compile a loop for the types it is called with.

    Compiled functions hand borrowed arrays to each other: they make none and keep none, so numba need not count
    references to them (which took six sevenths of the loop's time). Divisions by 0 do not raise: none is asked for.
    """
    jit: Any = numba.njit  # its types lack what numba calls an internal option
    dispatcher = jit(nogil=True, error_model="numpy", forceinline=True, _nrt=False)(function)
    with contextlib.suppress(RuntimeError):  # numba finds no folder to keep its cache in: read-only install, no home
        dispatcher._cache = _SourcesCache(function)  # type: ignore[no-untyped-call]
    return cast(Function, dispatcher)
