"""How every Parquet file of a campaign is written: zstd, strings as dictionaries, integers as deltas, atomically."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cotenant.models.atomic import atomic_path
from cotenant.models.errors import UserError, WorkError

COMPRESSION = "zstd"
COMPRESSION_LEVEL = 3
FORMAT_VERSION = "2.6"


def write_options(schema: pa.Schema) -> dict[str, Any]:
    """Return the writer's options for a schema.

    Stamps and counters grow slowly along a sorted table: deltas are smaller and faster than dictionaries there.
    """
    leaves = [leaf for field in schema for leaf in _leaves(field.name, field.type)]
    return {
        "version": FORMAT_VERSION,
        "compression": COMPRESSION,
        "compression_level": COMPRESSION_LEVEL,
        "write_page_checksum": True,
        "use_dictionary": [path for path, kind in leaves if pa.types.is_string(kind)],
        "column_encoding": {path: "DELTA_BINARY_PACKED" for path, kind in leaves if pa.types.is_integer(kind)},
    }


def _leaves(path: str, kind: pa.DataType) -> Iterator[tuple[str, pa.DataType]]:
    if pa.types.is_list(kind):
        yield from _leaves(f"{path}.list.element", kind.value_type)
    elif pa.types.is_map(kind):
        yield from _leaves(f"{path}.key_value.key", kind.key_type)
        yield from _leaves(f"{path}.key_value.value", kind.item_type)
    elif pa.types.is_dictionary(kind):
        yield from _leaves(path, kind.value_type)
    else:
        yield path, kind


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write a table so that the file exists whole or not at all; errors as `writing`."""
    with writing(path), atomic_path(path) as temporary:
        pq.write_table(table, temporary, **write_options(table.schema))


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what a file system answers into one line for a person.

    Raises:
        UserError: The place cannot be written to.
        WorkError: The disk is full or failed; nothing half-written is left under a final name.
    """
    try:
        yield
    except PermissionError as error:
        raise UserError(f"cannot write {path}: permission denied; choose a folder that you may write to") from error
    except OSError as error:
        raise _explained(path, error) from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what a file system answers into one line for a person; a damaged file is for the caller to tell.

    What a file holds may be wrong (ArrowException, or OSError without errno), and then it is the file's fault; where
    the system refused or failed, the file may be sound and must not be called damaged.

    Raises:
        UserError: The file may not be read.
        WorkError: It vanished, the system failed, or memory is short.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise WorkError(f"{path} is not there any more; run the same command again") from error
    except PermissionError as error:
        raise UserError(f"cannot read {path}: permission denied; ask for the right to read it") from error
    except MemoryError as error:
        raise WorkError(f"cannot read {path}: memory is short; free some and run the same command again") from error
    except OSError as error:
        if error.errno is None:
            raise
        what = error.strerror or error
        raise WorkError(f"cannot read {path}: {what}; mend it and run the same command again") from error


def is_damage(error: BaseException) -> bool:
    """Tell whether an error of reading is about what the file holds: neither the system's nor for want of memory."""
    if isinstance(error, MemoryError):
        return False
    return isinstance(error, pa.ArrowException) or (isinstance(error, OSError) and error.errno is None)


def _explained(path: Path, error: OSError) -> UserError | WorkError:
    match error.errno:
        case errno.EROFS:
            return UserError(f"cannot write {path}: the file system is read-only; choose another folder")
        case errno.ENOSPC | errno.EDQUOT:
            return WorkError(f"cannot write {path}: the disk is full; free some space and run the same command again")
        case _:
            return WorkError(f"cannot write {path}: {error.strerror or error}; mend it and run the same command again")
