"""Stored rows beside the same rows derived again."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
CLOSE = 1e-9  # logarithms and quantiles of another machine's library may differ in the last bits


def differences(
    table: str, stored: Sequence[Row], again: Sequence[Row], key: Sequence[str], why: str
) -> Iterator[tuple[str, str]]:
    """Yield (table, what differs) for rows that one side lacks and for every column with another value.

    Args:
        key: Columns that tell the rows of either side apart; none where there is one row.
        why: What says so, such as `its quads say`.
    """
    sides = [{tuple(row[name] for name in key): row for row in rows} for rows in (stored, again)]
    for name in sorted(sides[0].keys() ^ sides[1].keys(), key=str):
        where = "stands there, but nothing makes it" if name in sides[0] else "is missing"
        yield table, f"{_named(key, name)} {where}"
    for name in sorted(sides[0].keys() & sides[1].keys(), key=str):
        first, second = sides[0][name], sides[1][name]
        of = f" of {_named(key, name)}" if key else ""
        for column in second:
            if differ(first[column], second[column]):
                yield table, f"{column}{of} is {first[column]}, {why} {second[column]}"


def differ(first: Any, second: Any) -> bool:
    """Whether two values are not the same, but for the last bits of numbers."""
    if isinstance(first, float | int) and isinstance(second, float | int):
        return not math.isclose(first, second, rel_tol=CLOSE)
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) != len(second) or any(map(differ, first, second))
    return bool(first != second)


def _named(key: Sequence[str], values: Sequence[Any]) -> str:
    return ", ".join(
        f"{name.removesuffix('_id').replace('_', ' ')} {value}" for name, value in zip(key, values, strict=True)
    )
