"""Nsight Systems exports: kernels with stream and process, grouped into executions.

nsys export --type sqlite      one file with a table CUPTI_ACTIVITY_KIND_KERNEL
nsys export --type parquetdir  a folder with CUPTI_ACTIVITY_KIND_KERNEL.parquet
"""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cotenant.datasets.imports.stamps import Ints, Stamps
from cotenant.datasets.imports.timeline_mapping import TimelineTenant
from cotenant.datasets.parquet import is_damage, reading
from cotenant.models.errors import UserError

KERNELS = "CUPTI_ACTIVITY_KIND_KERNEL"
COLUMNS = ("start", "end", "streamId", "globalPid")
SELECT = 'SELECT "start", "end", streamId, globalPid FROM CUPTI_ACTIVITY_KIND_KERNEL'
PROCESS_SHIFT, PROCESS_MASK = 24, 0xFFFFFF  # of globalPid: bits 24 to 47 are the process, see Nsight Systems' manual


@dataclass(frozen=True)
class Kernels:
    """All kernels of an export, by start."""

    where: str
    start_ns: Ints
    end_ns: Ints
    stream: Ints
    process: Ints


def read_kernels(path: Path) -> Kernels:
    """Read an export; UserError where it is none or has no kernels."""
    table = _parquet(path) if path.is_dir() else _sqlite(path)
    if not len(table[0]):
        raise UserError(f"{path} has no kernels; profile with `nsys profile --trace=cuda`")
    start_ns, end_ns, stream, process = table
    order = np.lexsort((end_ns, start_ns))
    if np.any(end_ns < start_ns):
        raise UserError(f"{path}: a kernel of {KERNELS} ends before it starts; export the report again")
    return Kernels(
        str(path), start_ns[order], end_ns[order], stream[order], (process[order] >> PROCESS_SHIFT) & PROCESS_MASK
    )


def _sqlite(path: Path) -> list[Ints]:
    with reading(path):
        path.open("rb").close()
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            rows = database.execute(SELECT).fetchall()
    except sqlite3.Error as error:
        raise UserError(f"{path}: {error}; name what `nsys export --type sqlite` wrote, with kernels in it") from error
    return _columns(path, [list(column) for column in zip(*rows, strict=True)] or [[] for _ in COLUMNS])


def _parquet(folder: Path) -> list[Ints]:
    path = folder / f"{KERNELS}.parquet"
    if not path.is_file():
        raise UserError(f"{folder} has no {path.name}; name what `nsys export --type parquetdir` wrote")
    try:
        with reading(path):
            table = pq.read_table(path, columns=list(COLUMNS))
            return _columns(path, [table[name].to_pylist() for name in COLUMNS])
    except (pa.ArrowException, OSError, KeyError) as error:
        if isinstance(error, KeyError) or is_damage(error):
            raise UserError(f"{path} has not the columns {', '.join(COLUMNS)}; export the report again") from error
        raise


def _columns(path: Path, columns: list[list[object]]) -> list[Ints]:
    for name, values in zip(COLUMNS, columns, strict=True):
        if any(type(value) is not int or abs(value) >= 2**62 for value in values):
            raise UserError(
                f"{path}: {name} of {KERNELS} holds something besides whole numbers; export the report again"
            )
    return [np.array(values, np.int64) for values in columns]


def stamps_of(kernels: Kernels, tenant: TimelineTenant) -> Stamps:
    """Group a tenant's kernels into executions: from the first kernel's start to the last end.

    Raises:
        UserError: It has no kernels, they do not divide into executions of `kernel_count`, or those overlap.
    """
    own = np.ones(len(kernels.start_ns), bool)
    for wanted, found in ((tenant.stream, kernels.stream), (tenant.process, kernels.process)):
        if wanted is not None:
            own &= found == wanted
    start_ns, end_ns = kernels.start_ns[own], kernels.end_ns[own]
    if not len(start_ns):
        raise UserError(f"{kernels.where}: tenant {tenant.name} has no kernels; {_told(kernels)}")
    covered_ns = np.maximum.accumulate(end_ns)
    if tenant.gap_ns is not None:
        begins = np.concatenate(([True], start_ns[1:] - covered_ns[:-1] > tenant.gap_ns))
    else:
        begins = _every(kernels, tenant, len(start_ns))
    first = np.flatnonzero(begins)
    stamps = Stamps(start_ns[first], covered_ns[np.append(first[1:], len(start_ns)) - 1])
    _check(kernels, tenant, stamps)
    return stamps


def _every(kernels: Kernels, tenant: TimelineTenant, count: int) -> NDArray[np.bool_]:
    assert tenant.kernel_count is not None
    if count % tenant.kernel_count:
        raise UserError(
            f"{kernels.where}: tenant {tenant.name} has {count} kernels, which are no whole executions of "
            f"{tenant.kernel_count}; correct kernel_count, or give gap_ns"
        )
    begins: NDArray[np.bool_] = np.equal(np.arange(count) % tenant.kernel_count, 0)
    return begins


def _check(kernels: Kernels, tenant: TimelineTenant, stamps: Stamps) -> None:
    """Refuse executions that take no time, or that begin before the one before has ended."""
    if np.any(stamps.end_ns <= stamps.start_ns) or np.any(stamps.start_ns[1:] < stamps.end_ns[:-1]):
        raise UserError(
            f"{kernels.where}: executions of tenant {tenant.name} overlap or take no time; give gap_ns, or tell "
            "streams that run side by side as tenants of their own"
        )


def _told(kernels: Kernels) -> str:
    pairs = np.unique(np.stack([kernels.stream, kernels.process]), axis=1).T[:8]
    return "there are: " + ", ".join(f"stream {stream} of process {process}" for stream, process in pairs.tolist())
