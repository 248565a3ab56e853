"""Faults planted in a dataset, each with the check that must find it and what that must say."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from damaged_dataset import DamagedDataset, Row

from cotenant.datasets import raw

Plant = Callable[[DamagedDataset], object]
Wanted = Callable[[Row], bool]


@dataclass(frozen=True)
class Fault:
    """What is done to a sound dataset, whose check sees it, and a pattern of what that says."""

    check: str
    says: str
    plant: Plant

    def __str__(self) -> str:
        return f"{self.check}: {self.says}"


def any_row(_: Row) -> bool:
    return True


def where(**wanted: Any) -> Wanted:
    return lambda row: all(row[name] == value for name, value in wanted.items())


def known(*names: str) -> Wanted:
    return lambda row: all(row[name] is not None for name in names)


def values(table: str, wanted: Wanted = any_row, **changes: Any) -> Plant:
    """Change values of the first row that is wanted; a new value may be a function of the row."""

    def plant(dataset: DamagedDataset) -> None:
        index = dataset.find(table, wanted)
        row = dataset.rows(table)[index]
        dataset.edit(table, index, **{name: new(row) if callable(new) else new for name, new in changes.items()})

    return plant


def whole(table: str, change: Callable[[list[Row]], list[Row]]) -> Plant:
    """Write another list of rows."""

    def plant(dataset: DamagedDataset) -> None:
        content = change(dataset.rows(table))
        dataset.put(table, pa.Table.from_pylist(content, schema=dataset.sound[table].schema))

    return plant


def plus(name: str, more: float) -> Callable[[Row], Any]:
    return lambda row: row[name] + more


def times(name: str, factor: float) -> Callable[[Row], Any]:
    return lambda row: row[name] * factor


def reason(column: str, why: str = "not_measured") -> Callable[[Row], Any]:
    """One more entry of null_reasons."""
    return lambda row: [*row["null_reasons"], (column, why)]


def raw_file(change: Callable[[Path], object]) -> Plant:
    """Do something to the campaign's first raw file."""
    return lambda dataset: change(sorted((dataset.folder.parent / "raw").glob("*.parquet"))[0])


def sibling(change: Callable[[Path], object]) -> Plant:
    """Write the first experiment anew with a sibling, and do something to that."""

    def plant(path: Path) -> None:
        found = raw.read_raw(path)
        name = found.metadata["experiment_id"]
        raw.write_raw(path.parent, name, found.executions, found.metadata, {"telemetry": pa.table({"t_ns": [1]})})
        change(raw.sibling_path(path.parent, name, "telemetry"))

    return raw_file(plant)
