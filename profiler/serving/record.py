"""What a serving experiment has measured: executions of the solo rounds and of serving, requests, dispatches."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cotenant.datasets.raw import RAW_EXECUTIONS
from cotenant.profiler.experiments.bench import Tenant
from cotenant.profiler.experiments.record import Block, Record
from cotenant.profiler.serving.deployment import Piece, TenantRules, offered_load
from cotenant.profiler.serving.log import ServingLog
from cotenant.profiler.serving.requests import OUTCOMES, RequestWindow, outcomes, requests_table, words_of
from cotenant.profiler.serving.snapshot import dispatches_table
from cotenant.profiler.serving.window import Window
from cotenant.runners.protocol import Engine

LAG_PCT = 99


@dataclass(frozen=True)
class Conditions:
    """What a run was asked to do and what was known before it.

    Attributes:
        spans_ns: Solo median of each engine, by place, from the rounds before the run.
        lag_max_ns: A run whose p99 generator lag exceeds it is marked.
    """

    tenants: Sequence[TenantRules]
    engines: Sequence[Engine]
    spans_ns: Sequence[int]
    pieces: Sequence[Piece]
    concurrency: int
    order: str
    lag_max_ns: int


class ServingRecord(Record):
    """Record with one block of serving between blocks of solo rounds."""

    def __init__(self, tenants: Sequence[Tenant]) -> None:
        super().__init__(tenants)
        self._serving: tuple[ServingLog, Conditions, Window] | None = None
        self._rows_before = 0
        self._block_index = 0

    def add_serving(self, log: ServingLog, conditions: Conditions, window: Window) -> None:
        """Keep the serving run; solo rounds may have come before and may follow."""
        self._rows_before = len(self._rows)
        self._block_index = len(self.blocks)
        names = tuple(sorted({conditions.tenants[place].name for place in log.tenant}))
        self.blocks.append(Block(len(self.blocks), None, "serving", names, window.start_ns, window.end_ns, None))
        self._serving = (log, conditions, window)

    def executions(self) -> pa.Table:
        """Return all executions as the raw file keeps them, in order of dispatch."""
        alone, served = super().executions(), self._served()
        parts = [alone[: self._rows_before], served, alone[self._rows_before :]]
        whole = pa.concat_tables(parts).unify_dictionaries().combine_chunks()
        return whole.set_column(0, RAW_EXECUTIONS.field(0), pa.array(np.arange(whole.num_rows)))

    def siblings(self) -> dict[str, pa.Table]:
        """Return the tables that lie beside the executions: requests and dispatches."""
        log, conditions, window = self._run()
        marked = RequestWindow(window.start_ns, self._rows_before, conditions.lag_max_ns)
        requests = requests_table(log, conditions.tenants, conditions.concurrency, marked)
        return {"requests": requests, "dispatches": dispatches_table(log, self._rows_before)}

    def metadata(self) -> dict[str, Any]:
        """Return the part of the raw metadata that the experiment itself knows; tenants have no lane."""
        log, conditions, window = self._run()
        ids = [engine.engine_id for engine in conditions.engines]
        return {
            **super().metadata(),
            "tenants": [
                {"tenant": each.name, "lane": None, "engine_ids": [ids[place] for place in each.engines]}
                for each in conditions.tenants
            ],
            "serving": {
                "start_ns": log.start_ns,
                "end_ns": log.end_ns,
                "concurrency": conditions.concurrency,
                "order": conditions.order,
                "tenants": [_tenant_row(each, ids) for each in conditions.tenants],
                "pieces": [asdict(piece) | {"rates_per_s": list(piece.rates_per_s)} for piece in conditions.pieces],
                "solo_spans_ns": dict(zip(ids, conditions.spans_ns, strict=True)),
                "offered_load": max(_loads(conditions)),
                "offered_loads": _loads(conditions),
                "generator_lag_p99_ns": percentile(np.array(log.lag_ns, np.int64), LAG_PCT),
                "generator_lag_limit_ns": conditions.lag_max_ns,
                "request_counts": dict(zip(OUTCOMES, np.bincount(outcomes(log), minlength=3).tolist(), strict=True)),
                **window.stored(),
            },
        }

    def _run(self) -> tuple[ServingLog, Conditions, Window]:
        assert self._serving is not None, "a serving record is read after its run"
        return self._serving

    def _served(self) -> pa.Table:
        log, conditions, window = self._run()
        count = len(log.tenant)
        start, end = np.array(log.start, np.int64), np.array(log.end, np.int64)
        role = np.where(end <= window.start_ns, 1, np.where(start >= window.end_ns, 2, 0))
        columns: dict[str, Any] = {
            "execution_id": np.arange(count),
            "engine_id": words_of(log.engine, [engine.engine_id for engine in conditions.engines]),
            "tenant": words_of(log.tenant, [each.name for each in conditions.tenants]),
            "lane": log.lane,
            "role": words_of(role, ["main", "warmup", "tail"]),
            "block_index": np.full(count, self._block_index),
            "request_count": log.count,
            "dispatched_ns": log.dispatched_ns,
            "start_ns": start,
            "end_ns": end,
            "cpu_ns": log.cpu,
            "h2d_ns": log.h2d,
            "d2h_ns": log.d2h,
        }
        arrays = [
            own if isinstance(own, pa.Array) else pa.array(own, field.type)
            for field in RAW_EXECUTIONS
            for own in [columns[field.name]]
        ]
        return pa.Table.from_arrays(arrays, schema=RAW_EXECUTIONS)


def percentile(values: NDArray[np.int64], pct: int) -> int | None:
    """Return the smallest value that at least `pct` % do not exceed; None if there is none."""
    return int(np.sort(values)[-(-len(values) * pct // 100) - 1]) if len(values) else None


def _tenant_row(tenant: TenantRules, engine_ids: Sequence[str]) -> dict[str, Any]:
    row = asdict(tenant)
    return {**row, "sizes": list(tenant.sizes), "engines": [engine_ids[place] for place in tenant.engines]}


def _loads(conditions: Conditions) -> list[float]:
    spans_ns = [float(span) for span in conditions.spans_ns]
    return [
        offered_load(conditions.tenants, piece.rates_per_s, spans_ns, conditions.concurrency)
        for piece in conditions.pieces
    ]
