"""What the small tables need of one experiment, so that its executions need not stay in memory."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from cotenant.datasets.derive.measured import Ints, Measured
from cotenant.datasets.quads import (
    SOLO_ARM,
    SlowdownEstimate,
    block_gain,
    concurrency_gain,
    estimate_p95_ratio,
    estimate_slowdown,
)
from cotenant.datasets.statistics import RESAMPLES, Interval, seed_of

PROFILE_ARM = "profile"
DRIFT_QUADS_MIN = 3  # thirds need one quad each
QUAD_ARMS = ("co_run", "null")


@dataclass(frozen=True)
class TenantSummary:
    """One tenant's estimates."""

    tenant: str
    lane: int
    engine_id: str
    co_engine_ids: list[str]
    slowdown: SlowdownEstimate
    p95: Interval
    cpu: SlowdownEstimate | None
    stop_reason: str | None


@dataclass(frozen=True)
class Summary:
    """One experiment without its executions.

    Attributes:
        tenants: Those that executed, of experiments with quads.
        profile_spans_ns: engine_id -> spans that count, one array per block, of profile blocks.
        profile_cpu_ns: The same with CPU times; None where unknown.
        block_gains: Per block; None where only one tenant ran or the window is empty.
    """

    metadata: dict[str, Any]
    tenants: list[TenantSummary]
    profile_spans_ns: dict[str, list[Ints]]
    profile_cpu_ns: dict[str, list[Ints]] | None
    block_gains: list[float | None]
    block_executions: list[int]
    gain: Interval
    canary_drift_ratio: float | None
    execution_count: int


def summarise(measured: Measured, resamples: int = RESAMPLES) -> Summary:
    """Reduce one experiment to what the small tables need; without resamples p95 ratios have no bounds."""
    tenants = [_tenant(measured, index, resamples) for index in _in_quads(measured)]
    gains = _block_gains(measured)
    known = [gain for gain in gains if gain is not None]
    return Summary(
        metadata=measured.metadata,
        tenants=tenants,
        profile_spans_ns=_profile(measured, measured.end_ns - measured.start_ns),
        profile_cpu_ns=None if measured.cpu_ns is None else _profile(measured, measured.cpu_ns),
        block_gains=gains,
        block_executions=[len(rows) for _, rows in measured.rows_by_block()],
        gain=concurrency_gain(known, measured.alpha),
        canary_drift_ratio=_canary_drift(measured),
        execution_count=measured.executions.num_rows,
    )


def _in_quads(measured: Measured) -> list[int]:
    names = {name for block in measured.blocks if block["arm"] in QUAD_ARMS for name in block["tenants"]}
    return [index for index, row in enumerate(measured.tenants) if row["tenant"] in names]


def _tenant(measured: Measured, index: int, resamples: int) -> TenantSummary:
    row = measured.tenants[index]
    blocks = measured.quad_blocks(index, measured.end_ns - measured.start_ns)
    cpu = None
    if measured.cpu_ns is not None and not np.any(measured.cpu_ns[measured.tenant_index == index] <= 0):
        cpu = estimate_slowdown(measured.quad_blocks(index, measured.cpu_ns), measured.alpha)
    stops = {stop["tenant"]: stop["stop_reason"] for stop in measured.metadata["stops"]}
    seed = seed_of(measured.experiment_id, row["tenant"], "p95")
    return TenantSummary(
        tenant=row["tenant"],
        lane=row["lane"],
        engine_id=row["engine_id"],
        co_engine_ids=[other["engine_id"] for other in measured.tenants if other is not row],
        slowdown=estimate_slowdown(blocks, measured.alpha),
        p95=estimate_p95_ratio(blocks, measured.alpha, seed, resamples),
        cpu=cpu,
        stop_reason=stops.get(row["tenant"]),
    )


def _profile(measured: Measured, values: Ints) -> dict[str, list[Ints]]:
    found: dict[str, list[Ints]] = {}
    for block, rows in measured.rows_by_block():
        if block["arm"] != PROFILE_ARM:
            continue
        for index in np.unique(measured.tenant_index[rows]):
            own = rows[(measured.tenant_index[rows] == index) & measured.is_counted[rows]]
            found.setdefault(measured.tenants[index]["engine_id"], []).append(values[own])
    return found


def _block_gains(measured: Measured) -> list[float | None]:
    spans = measured.end_ns - measured.start_ns
    medians = _solo_medians(measured, spans)
    gains: list[float | None] = []
    for block, rows in measured.rows_by_block():
        own = medians[measured.tenant_index[rows]]
        if block["arm"] != "co_run" or np.isnan(own).any():
            gains.append(None)
            continue
        window = block["window_start_ns"], block["window_end_ns"]
        gains.append(block_gain(measured.start_ns[rows], measured.end_ns[rows], own, *window))
    return gains


def _solo_medians(measured: Measured, spans: Ints) -> Any:
    """Return each tenant's median solo span in this experiment; NaN where it has none."""
    arms = np.array([block["arm"] == SOLO_ARM for block in measured.blocks])
    chosen = arms[measured.block_index] & measured.is_counted
    own = [spans[chosen & (measured.tenant_index == index)] for index in range(len(measured.tenants))]
    return np.array([np.median(part) if len(part) else np.nan for part in own])


def _canary_drift(measured: Measured) -> float | None:
    """Return the largest change of a tenant's solo median from the first to the last third of the quads."""
    spans = measured.end_ns - measured.start_ns
    drifts = []
    for index in _in_quads(measured):
        blocks = [
            block for block in measured.quad_blocks(index, spans) if block.arm == SOLO_ARM and len(block.spans_ns)
        ]
        quads = sorted({block.quad_index for block in blocks})
        third = len(quads) // DRIFT_QUADS_MIN
        if third == 0:
            continue
        early, late = set(quads[:third]), set(quads[-third:])
        before = np.median(np.concatenate([b.spans_ns for b in blocks if b.quad_index in early]))
        after = np.median(np.concatenate([b.spans_ns for b in blocks if b.quad_index in late]))
        drifts.append(abs(math.log(after / before)))
    return math.exp(max(drifts)) if drifts else None
