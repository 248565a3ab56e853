"""A feature table's file, written piece by piece: which columns repeat few values, and which are all different."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from cotenant.datasets.parquet import write_options
from cotenant.datasets.table_writer import ROW_GROUP_ROWS

FEW_VALUES = ("self_", "static_", "ewma_", "solo_", "offered_load")  # engines are few, and so are sets of co-runners


class FeatureWriter:
    """Writes rows in the order given; row groups do not depend on the pieces."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(path, schema, **_options(schema))
        self._schema = schema
        self._pending: list[pa.Table] = []
        self._pending_rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._pending_rows:
                self._flush(self._pending_rows)
        finally:
            self._writer.close()

    def write(self, piece: pa.Table) -> None:
        """Add rows."""
        self._pending.append(piece.replace_schema_metadata(self._schema.metadata))
        self._pending_rows += piece.num_rows
        while self._pending_rows >= ROW_GROUP_ROWS:
            self._flush(ROW_GROUP_ROWS)

    def _flush(self, count: int) -> None:
        rows = pa.concat_tables(self._pending)
        self._writer.write_table(rows[:count].unify_dictionaries(), row_group_size=ROW_GROUP_ROWS)
        self._pending = [rows[count:]] if rows.num_rows > count else []
        self._pending_rows -= count


def _options(schema: pa.Schema) -> dict[str, Any]:
    """Return the writer's options: on other floating-point columns splitting bytes is smaller and faster than none."""
    options = write_options(schema)
    few = [f.name for f in schema if f.name.startswith(FEW_VALUES)]
    options["use_dictionary"] += [name for name in few if name not in options["use_dictionary"]]
    numbers = [f.name for f in schema if pa.types.is_floating(f.type) and f.name not in few]
    encodings = {**options["column_encoding"], **dict.fromkeys(numbers, "BYTE_STREAM_SPLIT")}
    options["column_encoding"] = {name: word for name, word in encodings.items() if name not in few}
    return options
