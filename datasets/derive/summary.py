"""What the small tables need of one experiment, so that its executions need not stay in memory."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cotenant.datasets.derive.controls import canary_drift, enqueue_bound_ratio
from cotenant.datasets.derive.measured import Ints, Measured
from cotenant.datasets.quads import (
    SlowdownEstimate,
    block_gain,
    concurrency_gain,
    estimate_p95_ratio,
    estimate_slowdown,
)
from cotenant.datasets.statistics import RESAMPLES, Interval, seed_of


@dataclass(frozen=True)
class TenantSummary:
    """One tenant's estimates.

    Attributes:
        co_engine_ids: Engines of the tenants on other lanes.
        cpu: None where CPU times are not known, or too short for the clock behind them.
        cpu_reason: Why it is None.
        cycles: Of spans in cycles of the clock: what is left of the slowdown when the clock's part is taken out; None
            where the clock is not known.
    """

    tenant: str
    lane: int
    engine_id: str
    co_engine_ids: list[str]
    slowdown: SlowdownEstimate
    p95: Interval
    cpu: SlowdownEstimate | None
    cpu_reason: str | None
    cycles: SlowdownEstimate | None
    stop_reason: str | None


@dataclass(frozen=True, order=True)
class ProfilePart:
    """Which solo profile an experiment has executions for, on its device and in its isolation."""

    engine_id: str
    pattern: str
    share_pct: float | None


@dataclass(frozen=True)
class Summary:
    """One experiment without its executions.

    Attributes:
        tenants: Those that executed, of experiments with quads.
        profile_spans_ns: Spans that count, one array per block.
        profile_cpu_ns: The same with CPU times; None where unknown.
        profile_clock_khz: The same with the clock of each execution's block; None where unknown.
        block_gains: Per block; None where not all tenants run, the window is empty or a tenant has no solo block here.
    """

    metadata: dict[str, Any]
    tenants: list[TenantSummary]
    profile_spans_ns: dict[ProfilePart, list[Ints]]
    profile_cpu_ns: dict[ProfilePart, list[Ints]] | None
    profile_clock_khz: dict[ProfilePart, list[Ints]] | None
    block_gains: list[float | None]
    block_executions: list[int]
    gain: Interval
    canary_drift_ratio: float | None
    enqueue_bound_ratio: float | None
    execution_count: int


def summarise(measured: Measured, resamples: int = RESAMPLES) -> Summary:
    """Reduce one experiment to what the small tables need; without resamples p95 ratios have no bounds."""
    tenants = [_tenant(measured, index, resamples) for index in measured.tenants_in_quads]
    gains = _block_gains(measured)
    known = [gain for gain in gains if gain is not None]
    return Summary(
        metadata=measured.metadata,
        tenants=tenants,
        profile_spans_ns=_profile(measured, measured.end_ns - measured.start_ns),
        profile_cpu_ns=None if measured.cpu_ns is None else _profile(measured, measured.cpu_ns),
        profile_clock_khz=None if measured.clock_khz is None else _profile(measured, measured.clock_khz),
        block_gains=gains,
        block_executions=[len(rows) for _, rows in measured.rows_by_block()],
        gain=concurrency_gain(known, measured.alpha),
        canary_drift_ratio=canary_drift(measured),
        enqueue_bound_ratio=enqueue_bound_ratio(measured),
        execution_count=measured.executions.num_rows,
    )


def _tenant(measured: Measured, index: int, resamples: int) -> TenantSummary:
    row = measured.tenants[index]
    blocks = measured.quad_blocks(index, measured.end_ns - measured.start_ns)
    cpu, cpu_reason = _cpu(measured, index)
    stops = {stop["tenant"]: stop["stop_reason"] for stop in measured.metadata["stops"]}
    seed = seed_of(measured.experiment_id, row["tenant"], "p95")
    beside = [other for other in measured.tenants if other is not row and other["lane"] != row["lane"]]
    return TenantSummary(
        tenant=row["tenant"],
        lane=row["lane"],
        engine_id=row["engine_ids"][0],
        co_engine_ids=[engine_id for other in beside for engine_id in other["engine_ids"]],
        slowdown=estimate_slowdown(blocks, measured.alpha),
        p95=estimate_p95_ratio(blocks, measured.alpha, seed, resamples),
        cpu=cpu,
        cpu_reason=cpu_reason,
        cycles=_cycles(measured, index),
        stop_reason=stops.get(row["tenant"]),
    )


def _cpu(measured: Measured, index: int) -> tuple[SlowdownEstimate | None, str | None]:
    if measured.cpu_ns is None:
        return None, "not_measured"
    if np.any(measured.cpu_ns[measured.tenant_index == index] <= 0):
        return None, "too_coarse"
    return estimate_slowdown(measured.quad_blocks(index, measured.cpu_ns), measured.alpha), None


def _cycles(measured: Measured, index: int) -> SlowdownEstimate | None:
    if measured.cycles is None:
        return None
    return estimate_slowdown(measured.quad_blocks(index, measured.cycles), measured.alpha)


def _profile(measured: Measured, values: Ints) -> dict[ProfilePart, list[Ints]]:
    """Return the values that count of each engine, by block; an engine is the execution's, not its tenant's."""
    found: dict[ProfilePart, list[Ints]] = {}
    share_of_lane = np.array(measured.lane_share_pct, dtype=object)
    for (_, rows), arm in zip(measured.rows_by_block(), measured.arms, strict=True):
        if arm.pattern is None:
            continue
        for index in np.unique(measured.engine_index[rows]):
            own = rows[measured.engine_index[rows] == index]
            shares = share_of_lane[measured.lane[own]]
            for share_pct in dict.fromkeys(shares.tolist()):
                counted = own[(shares == share_pct) & measured.is_counted[own]]
                part = ProfilePart(measured.engine_ids[index], arm.pattern, share_pct)
                found.setdefault(part, []).append(values[counted])
    return found


def _block_gains(measured: Measured) -> list[float | None]:
    spans = measured.end_ns - measured.start_ns
    medians = _solo_medians(measured, spans)
    gains: list[float | None] = []
    for (block, rows), arm in zip(measured.rows_by_block(), measured.arms, strict=True):
        own = medians[measured.tenant_index[rows]]
        if not arm.together or np.isnan(own).any():
            gains.append(None)
            continue
        window = block["window_start_ns"], block["window_end_ns"]
        gains.append(block_gain(measured.start_ns[rows], measured.end_ns[rows], own, *window))
    return gains


def _solo_medians(measured: Measured, spans: Ints) -> Any:
    """Return each tenant's median solo span in this experiment; NaN where it has none."""
    is_solo = np.array([arm.in_quads and not arm.treated for arm in measured.arms], dtype=bool)
    chosen = is_solo[measured.block_index] & measured.is_counted
    own = [spans[chosen & (measured.tenant_index == index)] for index in range(len(measured.tenants))]
    return np.array([np.median(part) if len(part) else np.nan for part in own])
