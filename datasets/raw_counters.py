"""Counters of engines as they were profiled: `counters/<counter_id>.parquet` of a campaign folder.

One file per engine, device, counter source and counter set. Its rows are the engine's kernels (none where one range was
profiled); everything else stands in the metadata: the engine, the device, the row of `throughputs` without these two,
and where it comes from. A file's existence is the commit, as of the raw store.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cotenant.datasets import raw
from cotenant.datasets.columns import KERNELS
from cotenant.datasets.parquet import is_damage, reading, write_parquet
from cotenant.datasets.raw import METADATA_KEY, SCHEMA_VERSION, SUFFIX, check_version
from cotenant.models.atomic import remove_leftovers
from cotenant.models.digest import canonical_json
from cotenant.models.errors import WorkError

COUNTERS = "counters"
IDENTITY = ("engine_id", "device_id", "counter_source", "counter_set")  # of a kernel: the file's, stored once
REQUIRED_METADATA = frozenset({"schema_version", "counter_id", "engine", "device", "throughputs", "provenance"})
RAW_COUNTER_KERNELS = pa.schema(
    [pa.field(c.name, c.type, c.nullable) for c in KERNELS.columns if c.name not in (*IDENTITY, "null_reasons")]
    + [pa.field("null_reasons", pa.map_(pa.string(), pa.string()), nullable=False)]
)


class CountersDamagedError(raw.RawDamagedError):
    """A counters file cannot be read as what its name says it is."""

    def __init__(self, path: Path, what: str) -> None:
        WorkError.__init__(
            self, f"{path} {what}; delete this file and run the campaign again to profile the engine anew"
        )
        self.path = path


@dataclass(frozen=True)
class RawCounters:
    """Counters of one engine as they were profiled.

    Attributes:
        metadata: `engine` (fields of the engines table), `device`, `throughputs`, `provenance`, `counter_id`.
        kernels: Schema RAW_COUNTER_KERNELS, by kernel_index.
    """

    metadata: dict[str, Any]
    kernels: pa.Table


def write_counters(
    folder: Path, counter_id: str, kernels: Sequence[Mapping[str, Any]], metadata: Mapping[str, Any]
) -> Path:
    """Write one engine's counters to `folder`, whole or not at all, and return the file's path.

    Args:
        kernels: Rows of the table `kernels`; ids may be left out, `null_reasons` is a mapping or pairs.
        metadata: See RawCounters; `schema_version` and `counter_id` may be left out.

    Raises:
        ValueError: Kernels or metadata are not what a counters file holds.
        UserError, WorkError: The folder cannot be written to; the disk is full.
    """
    named = {"schema_version": SCHEMA_VERSION, "counter_id": counter_id, **metadata}
    missing = REQUIRED_METADATA - set(named)
    if missing:
        raise ValueError(f"metadata of counters lacks {', '.join(sorted(missing))}")
    if named["counter_id"] != counter_id:
        raise ValueError(f"metadata is of counters {named['counter_id']}, not {counter_id}")
    table = _kernel_table(kernels)
    path = folder / f"{counter_id}{SUFFIX}"
    write_parquet(table.replace_schema_metadata({METADATA_KEY: canonical_json(named)}), path)
    return path


def read_counters(path: Path) -> RawCounters:
    """Read one engine's counters.

    Raises:
        FileNotFoundError: They are not there.
        CountersDamagedError: The file is truncated, or is no counters file.
        UserError: It was written by a newer version, or may not be read.
        WorkError: The system failed to read it.
    """
    with _damage_told(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        table = file.read()
    metadata = _metadata(path, table.schema)
    kernels = table.replace_schema_metadata(None)
    if not kernels.schema.equals(RAW_COUNTER_KERNELS):
        raise CountersDamagedError(path, "does not have the columns of a counters file")
    if kernels["kernel_index"].to_pylist() != list(range(kernels.num_rows)):
        raise CountersDamagedError(path, "does not number its kernels 0, 1, 2 ...")
    return RawCounters(metadata, kernels)


def finished(folder: Path) -> set[str]:
    """Return the ids of the counters that a folder holds; none where it does not exist."""
    return raw.finished(folder)


def clean(folder: Path) -> int:
    """Remove temporary files that a crash left; return how many went."""
    return remove_leftovers(folder)


def _kernel_table(kernels: Sequence[Mapping[str, Any]]) -> pa.Table:
    known = {*RAW_COUNTER_KERNELS.names, *IDENTITY}
    rows = []
    for kernel in kernels:
        strange = set(kernel) - known
        if strange:
            raise ValueError(f"a kernel has no {', '.join(sorted(strange))}")
        row = {name: kernel.get(name) for name in RAW_COUNTER_KERNELS.names}
        if row["measured_kernel_index"] is None:
            row["measured_kernel_index"] = row["kernel_index"]
        row["null_reasons"] = sorted(dict(row["null_reasons"] or ()).items())
        rows.append(row)
    table = pa.Table.from_pylist(
        sorted(rows, key=lambda row: int(row["kernel_index"] or 0)), schema=RAW_COUNTER_KERNELS
    )
    for field in RAW_COUNTER_KERNELS:
        if not field.nullable and table[field.name].null_count:
            raise ValueError(f"a kernel lacks {field.name}")
    if table["kernel_index"].to_pylist() != list(range(table.num_rows)):
        raise ValueError("kernels are not numbered 0, 1, 2 ...")
    return table


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, MemoryError) as error:
        if is_damage(error):
            raise CountersDamagedError(path, "is truncated or no Parquet file") from error
        with reading(path):
            raise


def _metadata(path: Path, schema: pa.Schema) -> dict[str, Any]:
    stored = (schema.metadata or {}).get(METADATA_KEY)
    if stored is None:
        raise CountersDamagedError(path, "was not written by cotenant")
    try:
        metadata = json.loads(stored)
        version = str(metadata["schema_version"])
    except (ValueError, KeyError, TypeError) as error:
        raise CountersDamagedError(path, "has damaged metadata") from error
    try:
        check_version(path, version)
    except raw.RawDamagedError as error:
        raise CountersDamagedError(path, f"has no schema version ({version!r})") from error
    missing = REQUIRED_METADATA - set(metadata)
    if missing:
        raise CountersDamagedError(path, f"lacks {', '.join(sorted(missing))} in its metadata")
    if f"{metadata['counter_id']}{SUFFIX}" != path.name:
        raise CountersDamagedError(path, f"holds other counters ({metadata['counter_id']}) than its name says")
    return dict(metadata)
