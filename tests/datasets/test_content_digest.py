"""The dataset's digest depends on schema and values, and on nothing else."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from every_kind import run_every_kind
from raw_campaign import MS
from raw_telemetry import GPU, HOST, watch

from cotenant.datasets.build import build_dataset
from cotenant.datasets.columns import PROVENANCE, TABLES
from cotenant.datasets.content_digest import dataset_digest


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = run_every_kind(tmp_path_factory.mktemp("campaign"))
    watch(folder, GPU | HOST, period_ns=MS // 10, kinds=("pair",))
    return build_dataset(folder)


def copy_of(dataset: Path, to: Path) -> Path:
    return Path(shutil.copytree(dataset, to / "dataset"))


def row_groups(path: Path) -> list[pa.Table]:
    with pq.ParquetFile(path) as file:
        return [file.read_row_group(index) for index in range(file.num_row_groups)]


def rewrite(path: Path, parts: list[pa.Table], rows: int, compression: str = "zstd") -> None:
    """Write tables anew, `rows` rows a row group."""
    with pq.ParquetWriter(path, parts[0].schema, compression=compression) as writer:
        for part in parts:
            for start in range(0, part.num_rows, rows):
                writer.write_table(part.slice(start, rows))


def test_how_the_files_are_written_does_not_count(built: Path, tmp_path: Path) -> None:
    copied = copy_of(built, tmp_path)
    for path in copied.rglob("*.parquet"):
        rewrite(path, row_groups(path), rows=97, compression="snappy")
    assert dataset_digest(copied) == dataset_digest(built)


def test_wall_clock_facts_do_not_count(built: Path, tmp_path: Path) -> None:
    copied = copy_of(built, tmp_path)
    (path,) = (copied / PROVENANCE.name).glob("*.parquet")
    rewrite(path, [row_groups(path)[0].slice(1)], rows=1000)
    assert dataset_digest(copied) == dataset_digest(built)


@pytest.mark.parametrize("name", [name for name in TABLES if name != PROVENANCE.name])
def test_every_value_of_every_other_table_counts(built: Path, tmp_path: Path, name: str) -> None:
    before = dataset_digest(built)
    copied = copy_of(built, tmp_path)
    (path,) = (copied / name).glob("*.parquet")
    parts = row_groups(path)
    for index, field in enumerate(parts[0].schema):
        column = parts[0].column(index).combine_chunks()
        if column.null_count == len(column):
            continue
        emptied = pc.if_else(first_only(len(column)), None, column)
        if emptied.null_count == column.null_count:
            continue
        changed = parts[0].set_column(index, field.with_nullable(True), emptied.cast(field.type))
        rewrite(path, [changed, *parts[1:]], rows=1 << 20)
        assert dataset_digest(copied) != before, f"{name}.{field.name}"
        rewrite(path, parts, rows=1 << 20)
    assert dataset_digest(copied) == before


def first_only(count: int) -> pa.Array:
    return pa.array([index == 0 for index in range(count)])


def test_order_counts(built: Path, tmp_path: Path) -> None:
    copied = copy_of(built, tmp_path)
    (path,) = (copied / "slowdowns").glob("*.parquet")
    (table,) = row_groups(path)
    rewrite(path, [table.take(list(reversed(range(table.num_rows))))], rows=1000)
    assert dataset_digest(copied) != dataset_digest(built)
