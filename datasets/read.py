"""Read tables of a dataset, whole or experiment by experiment."""

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cotenant.datasets.columns import SCHEMA_VERSION, TABLES
from cotenant.datasets.folders import dataset_folder
from cotenant.datasets.schema import METADATA_KEY
from cotenant.models.errors import UserError, WorkError


def read_table(folder: Path, name: str) -> pa.Table:
    """Read a table of a campaign folder or its dataset/.

    Raises:
        UserError: No such table, no dataset there, or one of a newer cotenant.
        WorkError: A file is damaged.
    """
    parts = [part for path in table_files(folder, name) for part in _parts(pq.ParquetFile(path))]
    return pa.concat_tables(parts).unify_dictionaries()


def _parts(file: pq.ParquetFile) -> Iterator[pa.Table]:
    """Yield row groups one by one: pyarrow cannot read lists of dictionary-encoded words from several at once."""
    if not file.num_row_groups:
        yield file.schema_arrow.empty_table()
    for group in range(file.num_row_groups):
        yield file.read_row_group(group)


def table_files(folder: Path, name: str) -> list[Path]:
    """Return a table's files, each checked to be one; raises as `read_table`."""
    if name not in TABLES:
        raise UserError(f"there is no table {name!r}; tables: {', '.join(TABLES)}")
    dataset = dataset_folder(folder)
    paths = sorted((dataset / name).rglob("*.parquet"))
    if not paths:
        raise WorkError(f"{dataset / name} has no Parquet file; derive the dataset again with `cotenant dataset build`")
    for path in paths:
        _check_file(path, name)
    return paths


def _check_file(path: Path, name: str) -> None:
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise WorkError(
            f"{path} is truncated or no Parquet file; derive the dataset again with `cotenant dataset build`"
        ) from error
    identity = json.loads((schema.metadata or {}).get(METADATA_KEY, b"{}"))
    if identity.get("table") != name:
        raise WorkError(
            f"{path} is no {name} table of cotenant; derive the dataset again with `cotenant dataset build`"
        )
    version = str(identity["schema_version"])
    if int(version.partition(".")[0]) > int(SCHEMA_VERSION.partition(".")[0]):
        raise UserError(
            f"{path} has schema version {version}, this cotenant reads up to {SCHEMA_VERSION}; install a newer cotenant"
        )


def experiment_slices(folder: Path, name: str, columns: list[str] | None = None) -> Iterator[tuple[str, pa.Table]]:
    """Yield (experiment_id, its rows) of a large table in the file's order, holding few row groups at a time.

    Rows of one experiment lie together in a dataset; where they do not, it is yielded more than once.

    Args:
        columns: Which to read, experiment_id among them; None = all.
    """
    current: str | None = None
    parts: list[pa.Table] = []
    for path in table_files(folder, name):
        file = pq.ParquetFile(path)
        for group in range(file.num_row_groups):
            for experiment_id, part in _runs(file.read_row_group(group, columns)):
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
