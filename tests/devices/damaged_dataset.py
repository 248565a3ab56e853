"""A copy of a sound dataset in which single values are changed, as a fault would: in its files, or in memory."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cotenant.datasets.check import CheckReport, check_dataset, check_tables
from cotenant.datasets.check_subjects import SmallTables
from cotenant.datasets.describe import READ, describe_tables
from cotenant.datasets.experiment_rows import LARGE_NAMES
from cotenant.datasets.table_writer import PART

Row = dict[str, Any]


class DamagedDataset:
    """Tables are always taken from the sound dataset: each change replaces the one before it."""

    def __init__(self, sound: Path, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(sound, folder)
        self.sound = {path.name: whole(path / PART) for path in folder.iterdir()}

    def path(self, table: str) -> Path:
        return self.folder / table / PART

    def rows(self, table: str) -> list[Row]:
        return list(self.sound[table].to_pylist())

    def find(self, table: str, wanted: Callable[[Row], bool]) -> int:
        """The first row that is wanted."""
        return next(index for index, row in enumerate(self.rows(table)) if wanted(row))

    def put(self, table: str, content: pa.Table) -> None:
        pq.write_table(content, self.path(table))

    def put_rows(self, table: str, first: int, replaced: int, rows: list[Row]) -> None:
        """Put rows in place of `replaced` ones from `first` on."""
        sound = self.sound[table]
        own = pa.Table.from_pylist(rows, schema=sound.schema)
        self.put(table, pa.concat_tables([sound[:first], own, sound[first + replaced :]]).unify_dictionaries())

    def edit(self, table: str, index: int, **values: Any) -> None:
        row = self.sound[table][index : index + 1].to_pylist()[0]
        unchanged = [name for name, value in values.items() if row[name] == value]
        assert not unchanged, f"{unchanged} have these values already"
        self.put_rows(table, index, 1, [{**row, **values}])

    def restore(self, table: str) -> None:
        self.put(table, self.sound[table])

    def check(self) -> CheckReport:
        return check_dataset(self.folder)


class TablesInMemory:
    """A dataset's tables without files; what is changed is changed in one call alone."""

    def __init__(self, sound: Path) -> None:
        self.sound = {path.name: whole(path / PART) for path in sound.iterdir()}

    def with_value(self, table: str, column: str, index: int, value: Any) -> dict[str, pa.Table]:
        """All tables with one other value."""
        sound = self.sound[table]
        values = sound[column]
        one = pa.chunked_array([pa.array([value], values.type)])
        parts = [*values[:index].chunks, *one.chunks, *values[index + 1 :].chunks]
        place = sound.schema.get_field_index(column)
        changed = sound.set_column(place, sound.schema.field(place), pa.chunked_array(parts, values.type))
        return {**self.sound, table: changed.unify_dictionaries()}


def whole(path: Path) -> pa.Table:
    with pq.ParquetFile(path) as file:
        groups = [file.read_row_group(index) for index in range(file.num_row_groups)]
        return pa.concat_tables(groups).unify_dictionaries() if groups else file.schema_arrow.empty_table()


def checked(tables: dict[str, pa.Table]) -> CheckReport:
    """Check tables in memory."""
    small = SmallTables(None, {name: table for name, table in tables.items() if name not in LARGE_NAMES})
    return check_tables(small, {name: lambda columns=None, t=tables[name]: slices(t, columns) for name in LARGE_NAMES})


def described(tables: dict[str, pa.Table]) -> str:
    """Describe tables in memory."""
    rows = {name: tables[name].to_pylist() for name in READ}
    return describe_tables("memory", rows, {name: table.num_rows for name, table in tables.items()}, None).text()


def slices(table: pa.Table, columns: list[str] | None) -> Iterator[tuple[Any, pa.Table]]:
    ids = table["experiment_id"].to_pylist()
    begin = 0
    for end in range(1, len(ids) + 1):
        if end == len(ids) or ids[end] != ids[begin]:
            yield ids[begin], table.slice(begin, end - begin).select(columns or table.column_names)
            begin = end
