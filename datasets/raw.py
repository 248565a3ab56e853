"""The raw store: one Parquet file per finished experiment, whose existence is the commit (design section 5).

raw/<experiment_id>.<sibling>.parquet   first: requests, dispatches, telemetry, kernels, where an experiment has them
raw/<experiment_id>.parquet             last: executions, with spec, environment and the siblings' digests in metadata
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cotenant.datasets.parquet import is_damage, reading, write_parquet
from cotenant.models.atomic import remove_leftovers
from cotenant.models.digest import canonical_json, sha256_of_file
from cotenant.models.errors import UserError, WorkError

SCHEMA_VERSION = "1.0"
METADATA_KEY = b"cotenant"
SUFFIX = ".parquet"

WORD = pa.dictionary(pa.int32(), pa.string())
RAW_EXECUTIONS = pa.schema(
    [
        pa.field("execution_id", pa.int64(), nullable=False),
        pa.field("engine_id", WORD, nullable=False),
        pa.field("tenant", WORD, nullable=False),
        pa.field("lane", pa.int16(), nullable=False),
        pa.field("role", WORD, nullable=False),
        pa.field("block_index", pa.int32(), nullable=False),
        pa.field("request_count", pa.int32(), nullable=False),
        pa.field("dispatched_ns", pa.int64(), nullable=False),
        pa.field("start_ns", pa.int64(), nullable=False),
        pa.field("end_ns", pa.int64(), nullable=False),
        pa.field("cpu_ns", pa.int64()),
        pa.field("h2d_ns", pa.int64()),
        pa.field("d2h_ns", pa.int64()),
    ]
)
REQUIRED_METADATA = frozenset(
    {"schema_version", "experiment_id", "cell_id", "kind", "seed", "repeat", "condition", "spec", "quality"}
    | {"runner", "device", "peaks", "engines", "lane_count", "isolation_requested", "isolation_observed"}
    | {"clock_error_ns", "weights_shared", "oversubscribed", "host_has_own_core", "tenants", "blocks", "stops"}
    | {"self_test", "siblings", "provenance"}
)


class RawDamagedError(WorkError):
    """A raw file cannot be read as what its name says it is."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{path} {what}; delete this file and run the campaign again to measure the experiment anew")
        self.path = path


@dataclass(frozen=True)
class RawExperiment:
    """One finished experiment as it was measured."""

    metadata: dict[str, Any]
    executions: pa.Table


def write_raw(
    folder: Path,
    experiment_id: str,
    executions: pa.Table,
    metadata: Mapping[str, Any],
    siblings: Mapping[str, pa.Table] | None = None,
) -> Path:
    """Write an experiment's files, its main file last, and return that one's path.

    Raises:
        ValueError: The executions or the metadata are not what a raw file holds.
        UserError, WorkError: The folder cannot be written to; the disk is full.
    """
    named = {"siblings": {}, **metadata}
    missing = REQUIRED_METADATA - set(named)
    if missing:
        raise ValueError(f"raw metadata lacks {', '.join(sorted(missing))}")
    if named["experiment_id"] != experiment_id:
        raise ValueError(f"metadata is of experiment {named['experiment_id']}, not {experiment_id}")
    if not executions.schema.equals(RAW_EXECUTIONS):
        raise ValueError("executions do not have the schema RAW_EXECUTIONS")
    named["siblings"] = {}
    for name, table in sorted((siblings or {}).items()):
        sibling = sibling_path(folder, experiment_id, name)
        write_parquet(table, sibling)
        named["siblings"][name] = sha256_of_file(sibling)
    path = folder / f"{experiment_id}{SUFFIX}"
    write_parquet(executions.replace_schema_metadata({METADATA_KEY: canonical_json(named)}), path)
    return path


def sibling_path(folder: Path, experiment_id: str, name: str) -> Path:
    """Return where a sibling of an experiment's main file lies."""
    return folder / f"{experiment_id}.{name}{SUFFIX}"


def read_raw(path: Path) -> RawExperiment:
    """Read one experiment.

    Raises:
        FileNotFoundError: It is not there.
        RawDamagedError: The file is truncated, or is not a raw file.
        UserError: It was written by a newer version, or may not be read.
        WorkError: The system failed to read it.
    """
    with _damage_told(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        table = file.read()
    metadata = _metadata(path, table.schema)
    columns = table.replace_schema_metadata(None)
    if not columns.schema.equals(RAW_EXECUTIONS):
        raise RawDamagedError(path, "does not have the columns of a raw file")
    return RawExperiment(metadata, columns)


def read_sibling(main: Path, metadata: Mapping[str, Any], name: str) -> pa.Table | None:
    """Read a sibling of an experiment's main file; None if the main file lists none of that name.

    Raises:
        RawDamagedError: It is missing, or another than the one that the main file lists.
        UserError, WorkError: The system does not let it be read.
    """
    if name not in metadata["siblings"]:
        return None
    path = sibling_path(main.parent, str(metadata["experiment_id"]), name)
    if not path.is_file():
        raise RawDamagedError(main, f"lists {path.name}, which is missing")
    with reading(path):
        same = sha256_of_file(path) == metadata["siblings"][name]
    if not same:
        raise RawDamagedError(main, f"lists another {path.name} than there is")
    with _damage_told(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        return file.read()


def read_metadata(path: Path) -> dict[str, Any]:
    """Read what an experiment's file says of it, without its executions; raises as `read_raw`."""
    with _damage_told(path):
        schema = pq.read_schema(path)
    return _metadata(path, schema)


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, MemoryError) as error:
        if is_damage(error):
            raise RawDamagedError(path, "is truncated or no Parquet file") from error
        with reading(path):
            raise


def _metadata(path: Path, schema: pa.Schema) -> dict[str, Any]:
    stored = (schema.metadata or {}).get(METADATA_KEY)
    if stored is None:
        raise RawDamagedError(path, "was not written by cotenant")
    try:
        metadata = json.loads(stored)
        version = str(metadata["schema_version"])
    except (ValueError, KeyError, TypeError) as error:
        raise RawDamagedError(path, "has damaged metadata") from error
    check_version(path, version)
    missing = REQUIRED_METADATA - set(metadata)
    if missing:
        raise RawDamagedError(path, f"lacks {', '.join(sorted(missing))} in its metadata")
    if f"{metadata['experiment_id']}{SUFFIX}" != path.name:
        raise RawDamagedError(path, f"holds another experiment ({metadata['experiment_id']}) than its name says")
    return dict(metadata)


def check_version(path: Path, version: str) -> None:
    """Refuse files of a newer major version; RawDamagedError if the version is none."""
    major = version.partition(".")[0]
    if not major.isdigit():
        raise RawDamagedError(path, f"has no schema version ({version!r})")
    if int(major) > int(SCHEMA_VERSION.partition(".")[0]):
        raise UserError(
            f"{path} has schema version {version}, this cotenant reads up to {SCHEMA_VERSION}; install a newer cotenant"
        )


def finished(folder: Path) -> set[str]:
    """Return the ids of the experiments whose main file exists."""
    names = (path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}"))
    return {name for name in names if name and "." not in name}


def clean(folder: Path) -> int:
    """Remove what a crash left: temporary files, and siblings that no main file lists; return how many went.

    A main file that cannot be read keeps its siblings: whoever reads it next says what is wrong.
    """
    removed = remove_leftovers(folder)
    for path in sorted(folder.glob(f"*.*{SUFFIX}")):
        experiment_id, _, name = path.name.removesuffix(SUFFIX).partition(".")
        if experiment_id and not _is_listed(folder / f"{experiment_id}{SUFFIX}", name):
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _is_listed(main: Path, sibling: str) -> bool:
    try:
        return sibling in read_metadata(main)["siblings"]
    except FileNotFoundError:
        return False
    except (WorkError, UserError):
        return True
