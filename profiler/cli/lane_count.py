"""How many lanes a command opens: as many as it needs where nobody asked for a number."""

from dataclasses import replace
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from cotenant.profiler.campaign.shortcuts import Where


def lanes_were_given() -> bool:
    """Tell whether the user asked for a number of lanes."""
    return click.get_current_context().get_parameter_source("lanes") is not ParameterSource.DEFAULT


def with_lanes(where: "Where", needed: int, why: str) -> "Where":
    """Return `where` with at least the lanes that are needed; UserError if the user asked for fewer.

    Args:
        why: What needs them, as the error says it, e.g. `3 models side by side`.
    """
    from cotenant.models.errors import UserError

    if where.lanes >= needed:
        return where
    if lanes_were_given():
        raise UserError(f"--lanes {where.lanes} is too few for {why}; give {needed} or more, or leave it out")
    return replace(where, lanes=needed)
