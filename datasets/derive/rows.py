"""Rows of small tables: whatever is null says why."""

from collections.abc import Mapping
from typing import Any

from cotenant.datasets.columns import Table


def row_of(table: Table, values: Mapping[str, Any], reasons: Mapping[str, str | None]) -> dict[str, Any]:
    """Return a complete row with its null_reasons; a null without a reason is a bug and raises ValueError.

    Args:
        values: Known values; what is missing or None is null.
        reasons: Why a column is null where it is; others are ignored.
    """
    row = {column.name: values.get(column.name) for column in table.columns}
    nulls = [column.name for column in table.columns if column.nullable and row[column.name] is None]
    missing = [name for name in nulls if reasons.get(name) is None]
    if missing:
        raise ValueError(f"{table.name}: {', '.join(missing)} would be null without a reason")
    row["null_reasons"] = [(name, str(reasons[name])) for name in sorted(nulls)]
    return row
