"""Siblings of a raw file opened for derivation, each with the columns that it must have."""

from pathlib import Path

import pyarrow as pa

from cotenant.datasets.derive.measured import Measured
from cotenant.datasets.raw import RawDamagedError, read_sibling
from cotenant.datasets.raw_siblings import SCHEMAS


def open_sibling(path: Path, measured: Measured, name: str) -> pa.Table | None:
    """Read a sibling of an experiment's raw file; None if it has none of that name.

    Nullable columns may be missing, and types may be narrower or no dictionaries: what can be cast is.

    Raises:
        RawDamagedError: It is missing, was exchanged, or lacks a column.
    """
    found = read_sibling(path, measured.metadata, name)
    if found is None:
        return None
    columns = []
    for field in SCHEMAS[name]:
        if field.name in found.column_names:
            own = found[field.name]
            try:
                columns.append(own if own.type.equals(field.type) else own.cast(field.type))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise RawDamagedError(path, f"has a sibling {name} whose {field.name} is no {field.type}") from error
        elif field.nullable:
            columns.append(pa.chunked_array([pa.nulls(found.num_rows, field.type)], field.type))
        else:
            raise RawDamagedError(path, f"has a sibling {name} without {field.name}")
        if columns[-1].null_count and not field.nullable:
            raise RawDamagedError(path, f"has a sibling {name} with nulls in {field.name}")
    return pa.Table.from_arrays(columns, schema=SCHEMAS[name]).combine_chunks()
