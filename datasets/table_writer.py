"""A table written piece by piece in bounded memory, with row groups of a good size."""

from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from cotenant.datasets.columns import Table
from cotenant.datasets.parquet import write_options
from cotenant.datasets.schema import arrow_schema

PART = "part-0.parquet"
ROW_GROUP_ROWS = 1 << 19  # large enough to read fast, small enough that one of the widest table fits in 100 MB


class TableWriter:
    """Writes one table's file; pieces come in the order of its key."""

    def __init__(self, dataset: Path, table: Table) -> None:
        self.path = dataset / table.name / PART
        self.path.parent.mkdir(parents=True)
        self._schema = arrow_schema(table)
        self._writer = pq.ParquetWriter(self.path, self._schema, **write_options(self._schema))
        self._pending: list[pa.Table] = []
        self._pending_rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._writer.close()

    def write(self, piece: pa.Table) -> None:
        """Add rows; they reach the file once a row group is full."""
        self._pending.append(piece)
        self._pending_rows += piece.num_rows
        if self._pending_rows >= ROW_GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._pending:
            group = pa.concat_tables(self._pending).unify_dictionaries()
            self._writer.write_table(group, row_group_size=ROW_GROUP_ROWS)
        self._pending, self._pending_rows = [], 0
