"""Compare values with the table of columns: declared words, ranges, no NaN, nulls inside lists only where allowed."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from cotenant.datasets.columns import Column, Table
from cotenant.datasets.schema import type_name


def value_faults(rows: pa.Table, table: Table) -> Iterator[str]:
    """Yield what is wrong with the values of each column."""
    for column in table.columns:
        if column.name in rows.column_names:
            yield from _column_faults(rows[column.name], column)


def _column_faults(values: pa.ChunkedArray, column: Column) -> Iterator[str]:
    kind = column.type
    if not column.nullable and values.null_count:
        yield f"{column.name} is null in {values.null_count} rows, which it may not be"
    if pa.types.is_map(kind):
        items = pa.chunked_array([chunk.items for chunk in values.chunks], pa.string())
        yield from _word_faults(items, column)
        return
    if pa.types.is_list(kind):
        may_hold_nulls = kind.value_field.nullable
        values, kind = pc.list_flatten(values), kind.value_type
        if values.null_count and not may_hold_nulls:
            yield f"{column.name} has {values.null_count} nulls in its lists"
    if type_name(kind) == "string":
        yield from _word_faults(values, column)
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        yield from _range_faults(values, column)


def _word_faults(values: pa.ChunkedArray, column: Column) -> Iterator[str]:
    if column.words is None:
        return
    used = {word for chunk in values.chunks for word in _distinct(chunk)}
    for word in sorted(used - set(column.words)):
        yield f"{column.name} says {word!r}; it may say: {', '.join(column.words)}"


def _distinct(chunk: pa.Array) -> list[str]:
    if pa.types.is_dictionary(chunk.type):
        places = chunk.indices.unique().drop_null()
        return [str(word) for word in chunk.dictionary.take(places).to_pylist()]
    return [str(word) for word in chunk.unique().drop_null().to_pylist()]


def _range_faults(values: pa.ChunkedArray, column: Column) -> Iterator[str]:
    if pa.types.is_floating(values.type) and not pc.all(pc.is_finite(values)).as_py() and len(values.drop_null()):
        yield f"{column.name} holds NaN or infinity"
    found = pc.min_max(values).as_py()
    if found["min"] is not None and column.low is not None and found["min"] < column.low:
        yield f"{column.name} goes down to {found['min']}; the least that it can be is {column.low:g}"
    if found["max"] is not None and column.high is not None and found["max"] > column.high:
        yield f"{column.name} goes up to {found['max']}; the most that it can be is {column.high:g}"
