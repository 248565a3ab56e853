"""A copy of a sound dataset in which single values are changed, file by file, as a fault would."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cotenant.datasets.check import CheckReport, check_dataset
from cotenant.datasets.table_writer import PART

Row = dict[str, Any]


class DamagedDataset:
    """Tables are always taken from the sound dataset: each change replaces the one before it."""

    def __init__(self, sound: Path, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(sound, folder)
        self.sound = {path.name: pq.ParquetFile(path / PART).read() for path in folder.iterdir()}

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
