"""Rows in aligned columns for the screen; numbers are right-aligned."""

from collections.abc import Sequence


def as_columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return header and rows as lines; a column is right-aligned if all its cells look like numbers or are unknown."""
    table = [list(header), *map(list, rows)]
    widths = [max(len(row[index]) for row in table) for index in range(len(header))]
    right = [all(_is_number(row[index]) for row in rows) for index in range(len(header))]
    lines = (
        "  ".join(cell.rjust(width) if to_right else cell.ljust(width) for cell, width, to_right in line).rstrip()
        for line in (zip(row, widths, right, strict=True) for row in table)
    )
    return "\n".join(lines)


def counted(number: float | None) -> str:
    """Return a count as people read it: `25.6 M`, `4.09 G`; `-` if unknown."""
    if number is None:
        return "-"
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(number) >= limit:
            return f"{number / limit:.3g}{unit}"
    return f"{number:.3g}"


def milliseconds(ns: float | None) -> str:
    """Return stored nanoseconds as milliseconds; `-` if unknown."""
    return "-" if ns is None else f"{ns / 1e6:.3f}"


def _is_number(cell: str) -> bool:
    return cell == "-" or cell[:1].isdigit() or cell[:2].strip("-").isdigit()
