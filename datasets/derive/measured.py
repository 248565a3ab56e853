"""One raw experiment opened for derivation: its stamps as arrays, by block and tenant."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cotenant.datasets.quads import QuadBlock, counted
from cotenant.datasets.raw import RawDamagedError, read_raw

Ints = NDArray[np.int64]
QUAD_ARMS = ("solo", "co_run", "null")


@dataclass(frozen=True)
class Measured:
    """One experiment as it was measured; executions sorted by execution_id."""

    metadata: dict[str, Any]
    executions: pa.Table

    @property
    def experiment_id(self) -> str:
        """Its id."""
        return str(self.metadata["experiment_id"])

    @property
    def kind(self) -> str:
        """Its kind."""
        return str(self.metadata["kind"])

    @property
    def device_id(self) -> str:
        """The device it ran on."""
        return str(self.metadata["device"]["device_id"])

    @property
    def isolation(self) -> str:
        """The isolation mode in force."""
        return str(self.metadata["isolation_observed"])

    @property
    def blocks(self) -> list[dict[str, Any]]:
        """Its blocks, by block_index."""
        return list(self.metadata["blocks"])

    @property
    def tenants(self) -> list[dict[str, Any]]:
        """Its tenants, idle ones included."""
        return list(self.metadata["tenants"])

    @property
    def alpha(self) -> float:
        """Error probability of each of its looks."""
        quality = self.metadata["quality"]
        return float(quality["alpha"]) / len(quality["look_quads"])

    def column(self, name: str) -> Ints:
        """Return an integer column without nulls as an array."""
        return np.asarray(self.executions[name].to_numpy(), dtype=np.int64)

    @cached_property
    def start_ns(self) -> Ints:
        """Starts."""
        return self.column("start_ns")

    @cached_property
    def end_ns(self) -> Ints:
        """Ends."""
        return self.column("end_ns")

    @cached_property
    def cpu_ns(self) -> Ints | None:
        """CPU times; None if any is unknown."""
        return None if self.executions["cpu_ns"].null_count else self.column("cpu_ns")

    @cached_property
    def block_index(self) -> Ints:
        """Each execution's block."""
        return self.column("block_index")

    @cached_property
    def tenant_index(self) -> Ints:
        """Each execution's tenant, as its place in `tenants`."""
        return codes(self.executions["tenant"], [row["tenant"] for row in self.tenants])

    @cached_property
    def is_counted(self) -> NDArray[np.bool_]:
        """Which executions count in estimates, see `quads.counted`."""
        found = np.zeros(len(self.start_ns), dtype=bool)
        for block, rows in self.rows_by_block():
            window = block["window_start_ns"], block["window_end_ns"]
            for tenant in np.unique(self.tenant_index[rows]):
                own = rows[self.tenant_index[rows] == tenant]
                found[own] = counted(self.start_ns[own], self.end_ns[own], *window)
        return found

    def rows_by_block(self) -> Iterator[tuple[dict[str, Any], Ints]]:
        """Yield each block with the positions of its executions."""
        order = np.argsort(self.block_index, kind="stable")
        edges = np.searchsorted(self.block_index[order], np.arange(len(self.blocks) + 1))
        for index, block in enumerate(self.blocks):
            yield block, order[edges[index] : edges[index + 1]]

    def quad_blocks(self, tenant: int, values: Ints) -> list[QuadBlock]:
        """Return a tenant's blocks that are part of quads, with `values` of the executions that count."""
        found = []
        for block, rows in self.rows_by_block():
            own = rows[(self.tenant_index[rows] == tenant) & self.is_counted[rows]]
            if block["quad_index"] is not None and self.tenants[tenant]["tenant"] in block["tenants"]:
                found.append(QuadBlock(block["quad_index"], block["arm"], values[own]))
        return found


def codes(column: pa.ChunkedArray, values: list[str]) -> Ints:
    """Return each value's place in `values`; -1 where it is not among them."""
    found = pc.index_in(column.cast(pa.string()), value_set=pa.array(values, pa.string()))
    return np.asarray(found.fill_null(-1).to_numpy(), dtype=np.int64)


def open_measured(path: Path) -> Measured:
    """Read a raw file and check that it holds together; raises as `read_raw`, RawDamagedError if it does not."""
    raw = read_raw(path)
    executions = raw.executions.sort_by("execution_id").combine_chunks()
    found = Measured(raw.metadata, executions)
    engine_ids = [row["engine_id"] for row in found.metadata["engines"]]
    block_count = len(found.blocks)
    faults = {
        "has no executions": executions.num_rows == 0,
        "does not number its executions 0, 1, 2 ...": np.any(
            found.column("execution_id") != np.arange(executions.num_rows)
        ),
        "has an execution that does not end after it starts": np.any(found.end_ns <= found.start_ns),
        "has executions of a tenant that it does not list": np.any(found.tenant_index < 0),
        "has executions of an engine that it does not list": np.any(codes(executions["engine_id"], engine_ids) < 0),
        "has executions of a block that it does not list": np.any(
            (found.block_index < 0) | (found.block_index >= block_count)
        ),
        "does not number its blocks 0, 1, 2 ...": [b["block_index"] for b in found.blocks] != list(range(block_count)),
        "has a block of a quad without quad_index, or one of no quad with it": any(
            (block["quad_index"] is not None) != (block["arm"] in QUAD_ARMS) for block in found.blocks
        ),
        "has a tenant whose engine it does not list": any(t["engine_id"] not in engine_ids for t in found.tenants),
    }
    for fault, present in faults.items():
        if present:
            raise RawDamagedError(path, fault)
    return found
