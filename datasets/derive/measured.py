"""One raw experiment opened for derivation: its stamps as arrays, by block and tenant."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cotenant.datasets.quads import QuadBlock, counted
from cotenant.datasets.solo import granted
from cotenant.datasets.words import ARMS, KINDS, Arm, Kind

Ints = NDArray[np.int64]
CLOCK_LEAST_MHZ, CLOCK_MOST_MHZ = 0.001, 1e6  # what is outside was stored wrong, and another check says so


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
    def facts_of_kind(self) -> Kind:
        """What its kind says of it."""
        return KINDS[self.kind]

    @cached_property
    def arms(self) -> list[Arm]:
        """What the arm of each block says of it."""
        return [ARMS[block["arm"]] for block in self.blocks]

    @property
    def tenants(self) -> list[dict[str, Any]]:
        """Its tenants, idle ones included: name, lane (None for any), ids of their engines."""
        return list(self.metadata["tenants"])

    @cached_property
    def tenant_names(self) -> list[str]:
        """Names of the tenants."""
        return [str(row["tenant"]) for row in self.tenants]

    @cached_property
    def engine_ids(self) -> list[str]:
        """Ids of its engines, each once."""
        return [str(engine["engine_id"]) for engine in self.metadata["engines"]]

    @cached_property
    def lane_share_pct(self) -> list[float | None]:
        """What part of the device each lane was granted; None for the whole device."""
        stored = self.metadata.get("lane_share_pct") or [None] * int(self.metadata["lane_count"])
        return [granted(share_pct) for share_pct in stored]

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
    def clock_khz(self) -> Ints | None:
        """The clock of each execution's block; None unless every block's clock is known."""
        clocks = [block.get("sm_clock_mhz") for block in self.blocks]
        if not all(clock is not None and CLOCK_LEAST_MHZ <= clock <= CLOCK_MOST_MHZ for clock in clocks):
            return None
        return np.rint(np.array(clocks, dtype=np.float64) * 1000).astype(np.int64)[self.block_index]

    @cached_property
    def cycles(self) -> Ints | None:
        """Cycles of each execution, its span times the clock; None where that is not known."""
        if self.clock_khz is None:
            return None
        exact = (self.end_ns - self.start_ns) * (self.clock_khz / 1e6)
        return np.maximum(np.rint(exact), 1).astype(np.int64)

    @cached_property
    def block_index(self) -> Ints:
        """Each execution's block."""
        return self.column("block_index")

    @cached_property
    def tenant_index(self) -> Ints:
        """Each execution's tenant, as its place in `tenants`."""
        return codes(self.executions["tenant"], self.tenant_names)

    @cached_property
    def engine_index(self) -> Ints:
        """Each execution's engine, as its place in `engine_ids`."""
        return codes(self.executions["engine_id"], self.engine_ids)

    @cached_property
    def lane(self) -> Ints:
        """Each execution's lane."""
        return self.column("lane")

    @cached_property
    def window_start_ns(self) -> Ints:
        """The start of the window of each execution's block."""
        return self._of_block("window_start_ns")

    @cached_property
    def window_end_ns(self) -> Ints:
        """The end of the window of each execution's block."""
        return self._of_block("window_end_ns")

    def _of_block(self, name: str) -> Ints:
        return np.array([block[name] for block in self.blocks], dtype=np.int64)[self.block_index]

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

    @cached_property
    def tenants_in_quads(self) -> list[int]:
        """Places of the tenants that run in quads: those that have a slowdown."""
        treated = [block for block, arm in zip(self.blocks, self.arms, strict=True) if arm.treated]
        names = {name for block in treated for name in block["tenants"]}
        return [index for index, name in enumerate(self.tenant_names) if name in names]

    def counted_by_block(self, tenant: int) -> Iterator[tuple[dict[str, Any], Ints]]:
        """Yield each block that a tenant runs in with the positions of its executions that count."""
        for block, rows in self.rows_by_block():
            if self.tenant_names[tenant] in block["tenants"]:
                yield block, rows[(self.tenant_index[rows] == tenant) & self.is_counted[rows]]

    def quad_blocks(self, tenant: int, values: Ints) -> list[QuadBlock]:
        """Return a tenant's blocks that are part of quads, with `values` of the executions that count."""
        return [
            QuadBlock(block["quad_index"], block["arm"], values[own])
            for block, own in self.counted_by_block(tenant)
            if block["quad_index"] is not None
        ]


def codes(column: pa.ChunkedArray, values: list[str]) -> Ints:
    """Return each value's place in `values`; -1 where it is not among them."""
    found = pc.index_in(column.cast(pa.string()), value_set=pa.array(values, pa.string()))
    return np.asarray(found.fill_null(-1).to_numpy(), dtype=np.int64)
