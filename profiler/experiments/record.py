"""What one experiment has measured, on its way to a raw file."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from cotenant.datasets.quads import QuadBlock, counted_spans
from cotenant.datasets.raw import RAW_EXECUTIONS
from cotenant.profiler.experiments.bench import Tenant
from cotenant.profiler.experiments.closed_loop import Run, Sample
from cotenant.runners.protocol import Completion


@dataclass(frozen=True)
class Block:
    """One block; see the `blocks` table.

    Attributes:
        arm: solo, co_run, null, profile or self_test.
        tenants: Names of the tenants that executed.
        window_start_ns, window_end_ns: What began in [start, end) counts.
        offsets_ns: Delay of each tenant after the gate, in the order of `tenants`; None where one tenant ran.
    """

    block_index: int
    quad_index: int | None
    arm: str
    tenants: tuple[str, ...]
    window_start_ns: int
    window_end_ns: int
    offsets_ns: tuple[int, ...] | None


class Record:
    """Executions and blocks of one experiment, with what the run decided."""

    def __init__(self, tenants: Sequence[Tenant]) -> None:
        self.tenants = list(tenants)
        self.blocks: list[Block] = []
        self.stops: dict[str, str] = {}
        self.self_test: dict[str, Any] | None = None
        self.peaks: dict[str, float] | None = None
        self._rows: list[tuple[int, str, Sample]] = []

    def add_block(
        self,
        run: Run,
        arm: str,
        role: str,
        quad_index: int | None = None,
        offsets_ns: Sequence[int] | None = None,
    ) -> Block:
        """Keep one block's executions; `role` is what those inside the window are."""
        start_ns, end_ns = run.window_start_ns, run.window_end_ns
        names = tuple(sorted({sample.tenant.name for sample in run.samples}))
        block = Block(
            len(self.blocks),
            quad_index,
            arm,
            names,
            start_ns,
            end_ns,
            None if offsets_ns is None else tuple(offsets_ns),
        )
        self.blocks.append(block)
        for sample in run.samples:
            self._rows.append((block.block_index, role_in_window(role, sample.done, start_ns, end_ns), sample))
        return block

    def has_run(self, tenant: Tenant) -> bool:
        """Whether a tenant has executed in an earlier block."""
        return any(tenant.name in block.tenants for block in self.blocks)

    def executions(self) -> pa.Table:
        """Return the executions as the raw file keeps them, in order of dispatch."""
        rows = [
            {
                "execution_id": index,
                "engine_id": sample.tenant.engine.engine_id,
                "tenant": sample.tenant.name,
                "lane": sample.tenant.lane,
                "role": role,
                "block_index": block_index,
                "request_count": sample.tenant.engine.batch_size,
                "dispatched_ns": sample.dispatched_ns,
                "start_ns": sample.done.start_ns,
                "end_ns": sample.done.end_ns,
                "cpu_ns": sample.done.cpu_ns,
                "h2d_ns": sample.done.h2d_ns,
                "d2h_ns": sample.done.d2h_ns,
            }
            for index, (block_index, role, sample) in enumerate(self._rows)
        ]
        return pa.Table.from_pylist(rows, schema=RAW_EXECUTIONS)

    def siblings(self) -> dict[str, pa.Table]:
        """Return the tables that lie beside the executions, by name; most kinds have none."""
        return {}

    def quad_spans(self) -> dict[str, list[QuadBlock]]:
        """Return what the stopping rule looks at: each tenant's counted spans by block of the quads."""
        samples: dict[int, list[Sample]] = {}
        for block_index, _, sample in self._rows:
            samples.setdefault(block_index, []).append(sample)
        quads: dict[str, list[QuadBlock]] = {}
        for block in self.blocks:
            for name in block.tenants if block.quad_index is not None else ():
                own = [sample.done for sample in samples[block.block_index] if sample.tenant.name == name]
                start_ns = np.array([done.start_ns for done in own], np.int64)
                end_ns = np.array([done.end_ns for done in own], np.int64)
                spans_ns = counted_spans(start_ns, end_ns, block.window_start_ns, block.window_end_ns)
                quads.setdefault(name, []).append(QuadBlock(block.quad_index or 0, block.arm, spans_ns))
        return quads

    def metadata(self) -> dict[str, Any]:
        """Return the part of the raw metadata that the experiment itself knows."""
        return {
            "tenants": [{"tenant": t.name, "lane": t.lane, "engine_ids": [t.engine.engine_id]} for t in self.tenants],
            "blocks": [_stored(block) for block in self.blocks],
            "stops": [{"tenant": name, "stop_reason": reason} for name, reason in self.stops.items()],
        }


def _stored(block: Block) -> dict[str, Any]:
    offsets_ns = None if block.offsets_ns is None else list(block.offsets_ns)
    return {**asdict(block), "tenants": list(block.tenants), "offsets_ns": offsets_ns}


def role_in_window(role: str, done: Completion, start_ns: int, end_ns: int) -> str:
    """Return what an execution is there for: `role` unless it ended before the window or began after it."""
    if role == "canary":
        return role
    if done.end_ns <= start_ns:
        return "warmup"
    return "tail" if done.start_ns >= end_ns else role
