"""Compare a file's schema with the table of columns."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cotenant.datasets.columns import Table
from cotenant.datasets.schema import arrow_schema


def schema_faults(path: Path, table: Table) -> Iterator[str]:
    """Yield what is wrong with a file's columns: names, order, types, nullability, unit, description."""
    found, wanted = pq.read_schema(path), arrow_schema(table)
    for name in wanted.names:
        if name not in found.names:
            yield f"{path.name} lacks column {name}"
    for name in found.names:
        if name not in wanted.names:
            yield f"{path.name} has a column {name} that the table does not"
        else:
            yield from _field_faults(found.field(name), wanted.field(name), path.name)
    if sorted(found.names) == sorted(wanted.names) and found.names != wanted.names:
        yield f"{path.name} has its columns in another order"


def _field_faults(found: pa.Field, wanted: pa.Field, where: str) -> Iterator[str]:
    if not found.type.equals(wanted.type):
        yield f"{where}: {wanted.name} is {found.type}, not {wanted.type}"
    if found.nullable != wanted.nullable:
        yield f"{where}: {wanted.name} is {'' if found.nullable else 'not '}nullable"
    for key in (b"unit", b"description"):
        if (found.metadata or {}).get(key) != (wanted.metadata or {}).get(key):
            yield f"{where}: {wanted.name} has another {key.decode()} in its metadata"
