"""Numbers in options: finite, within bounds, one or several as in 0.3,0.7."""

import math
from collections.abc import Callable
from typing import Any

import click

SHOWN_CHARACTERS = 12  # of what was typed in place of a number

NumberList = Callable[[click.Context, click.Parameter, tuple[str, ...]], tuple[float, ...]]


class FiniteRange(click.FloatRange):
    """A range of floats that `nan` is not in."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number, or fail as click does."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is no number", param, ctx)
        return number


def numbers_above_0(what: str, example: str, most: float) -> NumberList:
    """Return a callback that reads a repeatable option's values, each several numbers above 0 and up to `most`."""

    def read(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[float, ...]:
        return tuple(number(part.strip()) for value in values for part in value.split(","))

    def number(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if not 0 < found <= most:
            shown = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."
            raise click.BadParameter(f"{shown!r} is no {what}; give numbers above 0 up to {most:g}, as in {example}")
        return found

    return read
