"""The isolation mode that a session is asked for, checked alike by every runner."""

import difflib
from collections.abc import Sequence

from cotenant.models.errors import UserError


def checked_isolation(mode: str | None, isolations: Sequence[str], runner: str) -> str:
    """Return the mode asked for, the first of `isolations` if None; UserError with the nearest name otherwise."""
    if mode is None:
        return isolations[0]
    if mode not in isolations:
        near = difflib.get_close_matches(mode, isolations, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(isolations)}"
        raise UserError(f"unknown isolation {mode!r} for runner {runner}; {hint}")
    return mode
