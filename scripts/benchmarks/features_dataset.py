"""A serving dataset of any size, written table by table without a campaign: what features are derived from.

Lanes execute batches of tenants back to back with gaps of microseconds; each is dispatched just before it starts, and
what was known then is logged. One experiment after the other, so that memory holds one at a time.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cotenant.datasets.columns import (
    BLOCKS,
    ENGINES,
    EXECUTIONS,
    EXPERIMENTS,
    SOLO_PROFILES,
    THROUGHPUTS,
    Table,
)
from cotenant.datasets.derive.rows import row_of
from cotenant.datasets.derive.word_arrays import constant, lists, words_of
from cotenant.datasets.schema import arrow_schema, table_of
from cotenant.datasets.table_writer import TableWriter

SEED = 11
TENANTS = ["a", "b", "c"]
SOLO_NS = [6_000_000, 8_000_000, 11_000_000]
PART_ROWS = 300_000
DEVICE = "gpu-0"
ENGINE_IDS = [f"engine{place}" for place in range(len(TENANTS))]


def write_dataset(folder: Path, executions: int, per_experiment: int, lanes: int) -> Path:
    """Write the tables that features need and return the folder; the last experiment takes what is left."""
    sizes = _parts(executions, per_experiment)
    ids = [f"experiment{place:06}" for place in range(len(sizes))]
    rng = np.random.default_rng(SEED)
    with TableWriter(folder, EXECUTIONS) as writer:
        for experiment_id, size in zip(ids, sizes, strict=True):
            writer.write(_executions(experiment_id, size, lanes, rng))
    _write_others(folder, ids, sizes, lanes)
    return folder


def write_long_dataset(folder: Path, executions: int, lanes: int) -> Path:
    """Write the same with one experiment of all executions, and return the folder."""
    rng = np.random.default_rng(SEED)
    id_, first, after_ns = "experiment000000", 0, 0
    with TableWriter(folder, EXECUTIONS) as writer:
        for size in _parts(executions, PART_ROWS):
            rows = _executions(id_, size, lanes, rng, first, after_ns)
            writer.write(rows)
            first, after_ns = first + size, int(rows["end_ns"].to_numpy().max())
    _write_others(folder, [id_], [executions], lanes)
    return folder


def _parts(total: int, size: int) -> list[int]:
    return [min(size, total - first) for first in range(0, total, size)]


def _write_others(folder: Path, ids: list[str], sizes: list[int], lanes: int) -> None:
    _write_small(folder, ENGINES, [_engine(place) for place in range(len(TENANTS))])
    _write_small(folder, SOLO_PROFILES, [_profile(place) for place in range(len(TENANTS))])
    _write_small(folder, THROUGHPUTS, [_throughput(place) for place in range(len(TENANTS))])
    counted = zip(ids, sizes, strict=True)
    _write_small(folder, EXPERIMENTS, [_experiment(experiment_id, size, lanes) for experiment_id, size in counted])
    _write_small(folder, BLOCKS, [_block(experiment_id) for experiment_id in ids])


def _write_small(folder: Path, table: Table, rows: list[dict[str, Any]]) -> None:
    reasons = {column.name: "not_reported" for column in table.columns}
    with TableWriter(folder, table) as writer:
        writer.write(table_of(table, [row_of(table, row, reasons) for row in rows]))


def _executions(
    experiment_id: str, count: int, lanes: int, rng: np.random.Generator, first: int = 0, after_ns: int = 0
) -> pa.Table:
    """Return executions numbered from `first`, the earliest of which starts after `after_ns`."""
    lane, start_ns, end_ns, tenant = _schedule(count, lanes, rng)
    start_ns, end_ns = start_ns + after_ns, end_ns + after_ns
    span_ns = end_ns - start_ns
    dispatched_ns = start_ns - rng.integers(0, 500, count)
    dispatched_ns = np.minimum.accumulate(dispatched_ns[::-1])[::-1]  # as the ids, in order of start
    solo_ns = np.array(SOLO_NS)[tenant]
    in_flight, offsets = _in_flight(lane, end_ns, dispatched_ns, lanes)
    per_tenant = np.arange(count + 1) * len(TENANTS)
    queued = rng.poisson(0.7, per_tenant[-1])
    columns: dict[str, Any] = {
        "experiment_id": constant(experiment_id, count),
        "device_id": constant(DEVICE, count),
        "kind": constant("serving", count),
        "execution_id": np.arange(first, first + count),
        "engine_id": words_of(tenant, ENGINE_IDS),
        "tenant": words_of(tenant, TENANTS),
        "lane": lane,
        "role": constant("main", count),
        "block_index": np.zeros(count, np.int32),
        "request_count": np.ones(count, np.int32),
        "dispatched_ns": dispatched_ns,
        "start_ns": start_ns,
        "end_ns": end_ns,
        "span_ns": span_ns,
        "censored": constant("none", count),
        "co_censored": constant("none", count),
        "slowdown_ratio": span_ns / solo_ns,
        "interference_ratio": span_ns / (solo_ns * 1.02).astype(np.int64),
        "in_flight_execution_ids": lists(offsets, pa.array(in_flight + first)),
        "remaining_solo_ns": lists(offsets, pa.array(rng.integers(0, 6_000_000, len(in_flight)))),
        "queued_count": lists(per_tenant, pa.array(queued)),
        "queue_age_ns": lists(per_tenant, pa.array(rng.integers(0, 10**7, len(queued)), mask=queued == 0)),
        "arrival_items_per_s": lists(per_tenant, pa.array(rng.uniform(10, 90, len(queued)))),
        "marks": lists(np.zeros(count + 1, np.int64), words_of(np.empty(0, np.int64), ["cold"])),
    }
    schema = arrow_schema(EXECUTIONS)
    arrays = [pa.array(columns[f.name]).cast(f.type) if f.name in columns else pa.nulls(count, f.type) for f in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _schedule(count: int, lanes: int, rng: np.random.Generator) -> tuple[Any, Any, Any, Any]:
    """Return lane, start, end and tenant of executions in order of start."""
    parts = []
    for lane in range(lanes):
        own = count // lanes + (lane < count % lanes)
        tenant = rng.integers(0, len(TENANTS), own)
        steps = np.empty(2 * own, np.int64)
        steps[0::2] = rng.integers(1_000, 60_000, own)  # of which some are shorter than coalesce_ns
        steps[1::2] = np.array(SOLO_NS)[tenant] * np.exp(0.2 + 0.1 * rng.standard_normal(own))
        stamps = np.cumsum(steps)
        parts.append((np.full(own, lane), stamps[0::2], stamps[1::2], tenant))
    found = [np.concatenate(each) for each in zip(*parts, strict=True)]
    order = np.lexsort((found[0], found[1]))
    lane, start_ns, end_ns, tenant = (each[order] for each in found)
    return lane, start_ns, end_ns, tenant


def _in_flight(lane: Any, end_ns: Any, dispatched_ns: Any, lanes: int) -> tuple[Any, Any]:
    """Return who ran on each other lane at each dispatch: the last one before, if it has not ended."""
    count = len(lane)
    latest = np.full((count, lanes), -1)
    for place in range(lanes):
        own = np.where(lane == place, np.arange(count), -1)
        latest[1:, place] = np.maximum.accumulate(own)[:-1]
    running = (latest >= 0) & (end_ns[latest] > dispatched_ns[:, None]) & (np.arange(lanes) != lane[:, None])
    offsets = np.zeros(count + 1, np.int64)
    np.cumsum(running.sum(axis=1), out=offsets[1:])
    return np.sort(np.where(running, latest, count), axis=1)[np.sort(~running, axis=1) == 0], offsets


def _engine(place: int) -> dict[str, Any]:
    named = ("input_shapes", "engine_kind", "build_target", "source_sha256", "engine_sha256")
    return {
        **dict.fromkeys(named, "{}"), "engine_id": ENGINE_IDS[place], "model": f"model{place}", "family": "model",
        "batch_size": 1 << place, "precision": "fp16", "runner": "simulated", "build_index": 0, "engine_bytes": 1,
    }  # fmt: skip


def _profile(place: int) -> dict[str, Any]:
    return {
        "engine_id": ENGINE_IDS[place], "device_id": DEVICE, "isolation": "streams", "pattern": "interleaved",
        "sample_count": 400, "block_count": 8, "marks": [], "span_p50_ns": SOLO_NS[place],
        "span_p95_ns": int(SOLO_NS[place] * 1.02),
    }  # fmt: skip


def _throughput(place: int) -> dict[str, Any]:
    values = {"sm_pct": 31.7 + 13 * place, "l2_pct": 22.3 + 7 * place, "dram_pct": 41.9 - 9 * place}
    return {
        "engine_id": ENGINE_IDS[place], "device_id": DEVICE, "counter_source": "simulated", "counter_set": "simulated",
        "aggregation": "kernel_wmean", "marks": [], **values,
    }  # fmt: skip


def _experiment(experiment_id: str, count: int, lanes: int) -> dict[str, Any]:
    return {
        "experiment_id": experiment_id, "cell_id": experiment_id, "device_id": DEVICE, "kind": "serving", "spec": "{}",
        "quality": "{}", "seed": 0, "repeat": 0, "runner": "simulated", "lanes": lanes, "isolation_observed": "streams",
        "tenants": TENANTS, "deployed_models": [f"model{place}" for place in range(len(TENANTS))],
        "tenant_engine_count": [1] * len(TENANTS), "deployed_engine_ids": ENGINE_IDS, "concurrency": lanes,
        "clock_error_ns": 100, "oversubscribed": False, "host_has_own_core": True, "block_count": 1,
        "execution_count": count, "overlap_count": 0, "request_count": 0, "telemetry_count": 0,
        "verdict": "ok", "verdict_reasons": [],
        "offered_load": 0.9,
    }  # fmt: skip


def _block(experiment_id: str) -> dict[str, Any]:
    return {
        "experiment_id": experiment_id, "device_id": DEVICE, "kind": "serving", "block_index": 0, "arm": "serving",
        "tenants": TENANTS, "window_start_ns": 0, "window_end_ns": 1 << 60, "window_ns": 1 << 60, "execution_count": 0,
    }  # fmt: skip
