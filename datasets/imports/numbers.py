"""Numbers as other tools write them: read exactly, converted once, refused where they can be read in two ways."""

import re
from fractions import Fraction

from cotenant.models.errors import UserError

PLAIN = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,2})?", re.ASCII)
GROUPED = re.compile(r"[+-]?\d[\d.,' ]*[,' ][\d.,' ]*\d", re.ASCII)
NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
PERCENT = {"percent": 1, "ratio": 100}
INT64_MAX = 2**63 - 1
SHOWN_CHARS = 40
LONGEST_CHARS = 100  # no tool writes more digits


def number(text: str, where: str) -> Fraction:
    """Return a number of at least 0 exactly; `where` names file, line and column in messages.

    Raises:
        UserError: It is none, is negative, NaN or infinite, or has thousands separators or a decimal comma.
    """
    shown = repr(text[:SHOWN_CHARS])
    if GROUPED.fullmatch(text[:SHOWN_CHARS]):
        raise UserError(f"{where}: {shown} has a comma or a separator; write it with a decimal point and nothing else")
    if len(text) > LONGEST_CHARS or not PLAIN.fullmatch(text):
        raise UserError(f"{where}: {shown} is no number; correct it, or leave the cell empty where it is unknown")
    found = Fraction(text)
    if found < 0:
        raise UserError(f"{where}: {shown} is negative, which nothing measured here can be; correct it")
    return found


def duration_ns(text: str, unit: str, where: str) -> int:
    """Return a duration in ns, rounded to the nearest one; `unit` is a key of NS.

    Raises:
        UserError: It is no duration above 0; see `number`.
    """
    found = round(number(text, where) * NS[unit])
    if not 0 < found <= INT64_MAX:
        raise UserError(f"{where}: {text} {unit} is no duration that can be kept in ns; correct it or its unit")
    return found


def percentage(text: str, unit: str, where: str, high: float) -> float:
    """Return a percentage; `unit` is a key of PERCENT, `high` the most that it may be.

    Raises:
        UserError: It is beyond that; see `number`.
    """
    found = float(number(text, where) * PERCENT[unit])
    if found > high:
        raise UserError(f"{where}: {text} as {unit} is {found:g} percent, at most {high:g} can be; correct its unit")
    return found


def whole(text: str, where: str, low: int, high: int = 2**31 - 1) -> int:
    """Return a whole number; UserError where it is none or out of range."""
    found = number(text, where)
    if found.denominator != 1 or not low <= found <= high:
        raise UserError(f"{where}: {text!r} is no whole number from {low} to {high}; correct it")
    return int(found)
