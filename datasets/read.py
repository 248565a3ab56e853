"""Read tables of a dataset, whole or experiment by experiment."""

import heapq
import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cotenant.datasets.columns import SCHEMA_VERSION, TABLES
from cotenant.datasets.folders import dataset_folder
from cotenant.datasets.parquet import is_damage, reading
from cotenant.datasets.schema import METADATA_KEY
from cotenant.models.errors import UserError, WorkError


class TableDamagedError(WorkError):
    """A file of a dataset cannot be read as the table that it should be."""

    def __init__(self, path: Path, table: str, what: str) -> None:
        super().__init__(f"{path} {what}; derive the dataset again with `cotenant dataset build`")
        self.table = table


def read_table(folder: Path, name: str) -> pa.Table:
    """Read a table of a campaign folder or its dataset/.

    Raises:
        UserError: No such table, no dataset there, or one of a newer cotenant.
        TableDamagedError: A file is missing or damaged.
        WorkError: The system failed to read it.
    """
    parts = [part for path in table_files(folder, name) for part in _row_groups(path, name)]
    return pa.concat_tables(parts).unify_dictionaries()


def table_files(folder: Path, name: str) -> list[Path]:
    """Return a table's files, each checked to be one; raises as `read_table`."""
    if name not in TABLES:
        raise UserError(f"there is no table {name!r}; tables: {', '.join(TABLES)}")
    place = dataset_folder(folder) / name
    paths = sorted(place.rglob("*.parquet"))
    if not paths:
        raise TableDamagedError(place, name, "has no Parquet file")
    for path in paths:
        _check_file(path, name)
    return paths


def _check_file(path: Path, name: str) -> None:
    with _damage_told(path, name):
        schema = pq.read_schema(path)
    try:
        identity = json.loads((schema.metadata or {})[METADATA_KEY])
        found, version = identity["table"], str(identity["schema_version"])
        major = int(version.partition(".")[0])
    except (ValueError, KeyError, TypeError) as error:
        raise TableDamagedError(path, name, "was not written by cotenant") from error
    if found != name:
        raise TableDamagedError(path, name, f"is no {name} table of cotenant")
    if major > int(SCHEMA_VERSION.partition(".")[0]):
        raise UserError(
            f"{path} has schema version {version}, this cotenant reads up to {SCHEMA_VERSION}; install a newer cotenant"
        )


@contextmanager
def _damage_told(path: Path, name: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, MemoryError) as error:
        if is_damage(error):
            raise TableDamagedError(path, name, "is truncated, damaged or no Parquet file") from error
        with reading(path):
            raise


def _row_groups(path: Path, name: str, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """Yield row groups one by one: pyarrow cannot read lists of dictionary-encoded words from several at once."""
    with _damage_told(path, name):
        file = pq.ParquetFile(path, page_checksum_verification=True)
    if not file.num_row_groups:
        yield file.schema_arrow.empty_table()
    for group in range(file.num_row_groups):
        with _damage_told(path, name):
            rows = file.read_row_group(group, columns)
        yield rows


def experiment_slices(folder: Path, name: str, columns: list[str] | None = None) -> Iterator[tuple[str, pa.Table]]:
    """Yield (experiment_id, its rows) of a large table, holding few row groups of each file at a time.

    Rows of one experiment lie together, in the file's order; a table of several files (partitioned by device and kind)
    is merged by experiment_id. Where rows do not lie together, an experiment is yielded more than once.

    Args:
        columns: Which to read, experiment_id among them; None = all.
    """
    files = (_slices(path, name, columns) for path in table_files(folder, name))
    for experiment_id, parts in groupby(heapq.merge(*files, key=itemgetter(0)), key=itemgetter(0)):
        yield experiment_id, pa.concat_tables([part for _, part in parts])


def experiment_pieces(folder: Path, name: str, columns: list[str] | None = None) -> Iterator[tuple[str, pa.Table]]:
    """Yield (experiment_id, some of its rows) of a large table, in its order, a row group of each file at a time.

    As `experiment_slices`, but an experiment of many row groups comes in as many pieces, one after the other.
    """
    files = (_pieces(path, name, columns) for path in table_files(folder, name))
    yield from heapq.merge(*files, key=itemgetter(0))


def _pieces(path: Path, name: str, columns: list[str] | None) -> Iterator[tuple[str, pa.Table]]:
    for group in _row_groups(path, name, columns):
        yield from _runs(group)


def _slices(path: Path, name: str, columns: list[str] | None) -> Iterator[tuple[str, pa.Table]]:
    current: str | None = None
    parts: list[pa.Table] = []
    for group in _row_groups(path, name, columns):
        for experiment_id, part in _runs(group):
            if current is not None and experiment_id != current:
                yield current, pa.concat_tables(parts)
                parts = []
            current = experiment_id
            parts.append(part)
    if current is not None:
        yield current, pa.concat_tables(parts)


def _runs(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    if not table.num_rows:
        return
    ids = table["experiment_id"].cast(pa.string()).combine_chunks()
    encoded = pc.run_end_encode(ids)
    begin = 0
    for end, value in zip(encoded.run_ends.to_pylist(), encoded.values.to_pylist(), strict=True):
        yield value, table.slice(begin, end - begin)
        begin = end
