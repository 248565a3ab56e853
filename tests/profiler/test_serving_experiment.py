"""A serving experiment from its cell to raw files, on a device in virtual time."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from virtual_session import VirtualSession, engine

from cotenant.datasets import raw
from cotenant.datasets.raw_siblings import RAW_DISPATCHES, RAW_REQUESTS
from cotenant.profiler.experiments.bench import Bench
from cotenant.profiler.experiments.closed_loop import LeadIn, Run
from cotenant.profiler.experiments.kinds import Cell, EngineKey, experiment_kind
from cotenant.profiler.experiments.serving import EXPERIMENT, ServingSpec, cells, run
from cotenant.profiler.experiments.turns import run_turns
from cotenant.profiler.quality.thresholds import Quality
from cotenant.profiler.serving.interleaved import medians_ns
from cotenant.profiler.serving.record import ServingRecord
from cotenant.runners.protocol import Engine, Lane

MS = 1_000_000
S = 1_000_000_000
KEYS = [EngineKey(model, size, "fp32") for model in ("x", "y") for size in (1, 2, 4, 8)]
SPANS_NS = {key.label: (2 + key.batch_size * (1 if key.model == "x" else 2)) * MS for key in KEYS}
DEPLOYMENT = [{"model": "x", "deadline_ms": 25}, {"model": "y"}, {"model": "x", "name": "z", "max_batch": 3}]
SLOWDOWN = (1.0, 1.2)


def cell_of(**keys: Any) -> Cell:
    spec = ServingSpec.model_validate({"kind": "serving", "deployment": DEPLOYMENT, **keys})
    (found,) = (cell for cell in cells(spec, KEYS, [Lane()] * 2) if cell.kind == "serving")
    return found


def engines_of(keys: Sequence[EngineKey]) -> list[Engine]:
    return [replace(engine(key.label), model=key.model, batch_size=key.batch_size) for key in keys]


def run_cell(cell: Cell, seed: int = 3, slowdown: tuple[float, ...] = SLOWDOWN, noise: float = 0.0) -> ServingRecord:
    session = VirtualSession(2, SPANS_NS, slowdown=slowdown, noise=noise)
    bench = Bench(session, Quality().resolved("simulated"))
    return run(bench, cell, engines_of(cell.tenants), np.random.default_rng(seed))


@pytest.fixture(scope="module")
def record() -> ServingRecord:
    return run_cell(cell_of(loads=0.5))


def serving_of(record: ServingRecord) -> dict[str, Any]:
    return dict(record.metadata()["serving"])


def rows(table: pa.Table, **equal: Any) -> list[dict[str, Any]]:
    return [row for row in table.to_pylist() if all(row[name] == value for name, value in equal.items())]


def test_the_kind_is_found_by_its_file() -> None:
    assert experiment_kind("serving") is EXPERIMENT


def test_executions_are_numbered_by_dispatch_and_served_between_solo_turns(record: ServingRecord) -> None:
    table = record.executions()
    assert table.schema.equals(raw.RAW_EXECUTIONS)
    assert table["execution_id"].to_pylist() == list(range(table.num_rows))
    assert np.all(np.diff(table["dispatched_ns"].to_numpy()) >= 0)
    assert [block.arm for block in record.blocks] == ["sequential", "serving", "sequential"]
    assert pc.unique(table["block_index"]).to_pylist() == [0, 1, 2]
    solo = table.filter(pc.equal(table["role"], "solo"))
    assert solo.num_rows == 2 * 8 * len(KEYS)
    for engine_id, span_ns in SPANS_NS.items():
        own = solo.filter(pc.equal(solo["engine_id"], engine_id))
        assert {row["end_ns"] - row["start_ns"] for row in own.to_pylist()} == {span_ns}
        assert own.num_rows == 16


def test_every_served_request_lies_in_the_execution_of_its_tenant(record: ServingRecord) -> None:
    executions, requests = record.executions(), record.siblings()["requests"]
    assert requests.schema.equals(RAW_REQUESTS)
    by_id = {row["execution_id"]: row for row in rows(executions, block_index=1)}
    held: dict[int, int] = {}
    for row in rows(requests, outcome="served"):
        execution = by_id[row["execution_id"]]
        held[row["execution_id"]] = held.get(row["execution_id"], 0) + 1
        assert row["tenant"] == execution["tenant"]
        assert row["done_ns"] == execution["end_ns"]
        assert row["batched_ns"] == execution["dispatched_ns"]
        assert execution["engine_id"].startswith(row["model"])
    assert held == {key: row["request_count"] for key, row in by_id.items()}
    sizes = {f"{key.model}@{key.batch_size}": key.batch_size for key in KEYS}
    for execution in by_id.values():
        smallest = min(size for size in (1, 2, 4, 8) if size >= execution["request_count"])
        assert sizes[execution["engine_id"]] == smallest
    assert serving_of(record)["request_counts"] == {
        outcome: len(rows(requests, outcome=outcome)) for outcome in ("served", "unfinished", "dropped")
    }


def test_dispatches_stand_beside_their_executions(record: ServingRecord) -> None:
    dispatches, executions = record.siblings()["dispatches"], record.executions()
    assert dispatches.schema.equals(RAW_DISPATCHES)
    served = executions.filter(pc.equal(executions["block_index"], 1))
    assert dispatches["execution_id"].to_pylist() == served["execution_id"].to_pylist()
    start, end = {}, {}
    for row in served.to_pylist():
        start[row["execution_id"]], end[row["execution_id"]] = row["start_ns"], row["end_ns"]
    for row in dispatches.to_pylist():
        beside = [i for i in start if start[i] <= row["batched_ns"] < end[i] and i != row["execution_id"]]
        assert row["co_execution_ids"] == [i for i in beside if i < row["execution_id"]]
        assert len(row["queued_count"]) == len(row["queue_age_ns"]) == len(row["arrival_rate_per_s"]) == 3
        assert [age is None for age in row["queue_age_ns"]] == [count == 0 for count in row["queued_count"]]


def test_the_window_begins_at_the_cut_and_roles_follow_it(record: ServingRecord) -> None:
    facts, block = serving_of(record), record.blocks[1]
    assert (facts["window_start_ns"], facts["window_end_ns"]) == (block.window_start_ns, block.window_end_ns)
    assert block.tenants == ("a", "b", "z")
    bins = max(cut["bins"] for cut in facts["cuts"].values())
    assert facts["window_start_ns"] == facts["start_ns"] + bins * (facts["end_ns"] - facts["start_ns"]) // 1000
    assert len({cut["bins"] for cut in facts["cuts"].values()}) == 2, "the later of two different cuts decides"
    assert facts["start_ns"] <= facts["window_start_ns"] < facts["end_ns"] == facts["window_end_ns"]
    for row in rows(record.executions(), block_index=1):
        assert row["role"] == ("warmup" if row["end_ns"] <= block.window_start_ns else "main")
    for row in record.siblings()["requests"].to_pylist():
        assert ("warmup" in row["marks"]) == (row["intended_arrival_ns"] < block.window_start_ns)
        late = row["latency_ns"] is not None and row["tenant"] == "a" and row["latency_ns"] > 25 * MS
        assert ("late" in row["marks"]) == late


def test_a_light_load_is_stationary_and_long_enough(record: ServingRecord) -> None:
    facts = serving_of(record)
    assert facts["stationary"] is True
    assert facts["offered_loads"] == [pytest.approx(0.5)]
    assert facts["offered_load"] == max(facts["offered_loads"])
    assert facts["generator_lag_p99_ns"] == 0 < facts["generator_lag_limit_ns"] == MS
    for name in ("latency", "span"):
        for half in ("first", "second"):
            low, value, high = (facts[f"{name}_p95_{half}_half{end}_ns"] for end in ("_lower", "", "_upper"))
            assert 0 < low < value < high
    window_ns = facts["window_end_ns"] - facts["window_start_ns"]
    assert window_ns >= 50 * max(SPANS_NS.values())
    counted = [row["tenant"] for row in record.siblings()["requests"].to_pylist() if "warmup" not in row["marks"]]
    assert min(counted.count(name) for name in ("a", "b", "z")) >= 400


def test_measured_load_is_the_offered_one() -> None:
    record = run_cell(cell_of(loads=0.4, seconds=60), slowdown=(1.0, 1.0))
    facts = serving_of(record)
    work = {"a": SPANS_NS["x@8"] / 8, "b": SPANS_NS["y@8"] / 8, "z": SPANS_NS["x@4"] / 3}
    offered = sum(work[row["tenant"]] for row in record.siblings()["requests"].to_pylist())
    assert offered / (2 * (facts["end_ns"] - facts["start_ns"])) == pytest.approx(0.4, rel=0.05)


def test_overload_is_told_and_drops_at_the_bound() -> None:
    deployment = [{"model": "x", "queue_bound": 20}]
    record = run_cell(cell_of(loads=2.5, seconds=5, deployment=deployment))
    facts = serving_of(record)
    assert facts["offered_loads"] == [pytest.approx(2.5)]
    assert facts["request_counts"]["dropped"] > facts["request_counts"]["served"] > 0
    assert max(max(row["queued_count"]) for row in record.siblings()["dispatches"].to_pylist()) <= 20


def test_a_growing_queue_is_not_stationary() -> None:
    assert serving_of(run_cell(cell_of(loads=1.3)))["stationary"] is False


def test_too_short_a_run_tells_nothing_of_stationarity() -> None:
    record = run_cell(cell_of(schedule=[{"seconds": 1, "rates": {"a": 0.5, "b": 1.5, "z": 1.5}}]), seed=1)
    assert 0 < record.siblings()["requests"].num_rows < 16
    assert all(cut["settled"] for cut in serving_of(record)["cuts"].values())
    assert serving_of(record)["stationary"] is None


def test_medians_leave_the_lead_in_out() -> None:
    session = VirtualSession(1, {"x@1": 10 * MS, "y@1": 30 * MS})
    tenants = Bench(session, Quality()).place(engines_of([KEYS[0], KEYS[4]]), [0, 0])
    found = run_turns(session, tenants, LeadIn(50 * MS, 5), 2, S, np.random.default_rng(0))
    assert len(found.samples) == 2 * (3 + 2)
    slow = [replace(each, done=replace(each.done, end_ns=each.done.start_ns + S)) for each in found.samples[:6]]
    assert medians_ns(Run([*slow, *found.samples[6:]], found.window_start_ns, found.window_end_ns), tenants) == [
        10 * MS,
        30 * MS,
    ]
    assert found.window_start_ns == found.samples[6].done.start_ns
    assert found.window_end_ns == found.samples[-1].done.end_ns
    assert len({sample.tenant.name for sample in found.samples[6:8]}) == 2, "each once a round"


def test_a_tenant_joins_and_leaves_and_nothing_is_said_of_stationarity() -> None:
    schedule = [
        {"seconds": 2, "rates": {"a": 60, "z": 30}},
        {"seconds": 2, "rates": {"a": 60, "z": 30, "b": 60}},
        {"seconds": 2, "rates": {"a": 60, "b": 60}},
    ]
    record = run_cell(cell_of(schedule=schedule))
    facts = serving_of(record)
    edges = [facts["start_ns"] + i * 2 * S for i in range(4)]
    seen = {name: set() for name in ("a", "b", "z")}
    for row in record.siblings()["requests"].to_pylist():
        seen[row["tenant"]].add(int(np.searchsorted(edges, row["intended_arrival_ns"], side="right")) - 1)
    assert seen == {"a": {0, 1, 2}, "b": {1, 2}, "z": {0, 1}}
    assert facts["stationary"] is None
    assert facts["window_start_ns"] <= edges[1], "the start is cut off the first piece"
    assert [piece["rates_per_s"] for piece in facts["pieces"]] == [[60, 0, 30], [60, 60, 30], [60, 60, 0]]
    assert len(facts["offered_loads"]) == 3
    assert facts["offered_load"] == facts["offered_loads"][1]
    assert facts["latency_p95_first_half_ns"] is None


def test_one_at_a_time_uses_one_lane_and_blocks_more() -> None:
    schedule = [{"seconds": 20, "rates": {"a": 60, "b": 60, "z": 60}}]
    in_turns = run_cell(cell_of(schedule=schedule, concurrency=1))
    together = run_cell(cell_of(schedule=schedule, concurrency=2))
    assert {row["lane"] for row in rows(in_turns.executions(), block_index=1)} == {0}
    assert {row["lane"] for row in rows(together.executions(), block_index=1)} == {0, 1}
    arrivals = [each.siblings()["requests"]["intended_arrival_ns"].to_numpy() for each in (in_turns, together)]
    starts = [serving_of(each)["start_ns"] for each in (in_turns, together)]
    np.testing.assert_array_equal(arrivals[0] - starts[0], arrivals[1] - starts[1])
    blocked = [pc.mean(each.siblings()["requests"]["blocked_ns"]).as_py() for each in (in_turns, together)]
    assert blocked[0] > 2 * blocked[1] > 0


def test_the_seed_decides_everything() -> None:
    cell = cell_of(loads=0.6, seconds=3)
    first, second = run_cell(cell, noise=0.02), run_cell(cell, noise=0.02)
    other = run_cell(cell, seed=4, noise=0.02)
    assert first.executions().equals(second.executions())
    assert first.siblings() == second.siblings()
    assert first.metadata() == second.metadata()
    assert first.siblings()["requests"] != other.siblings()["requests"]


def test_it_is_kept_as_a_raw_file_with_siblings(record: ServingRecord, tmp_path: Path) -> None:
    metadata = {**dict.fromkeys(raw.REQUIRED_METADATA, None), **record.metadata(), "experiment_id": "e"}
    metadata["schema_version"] = raw.SCHEMA_VERSION
    path = raw.write_raw(tmp_path, "e", record.executions(), metadata, record.siblings())
    found = raw.read_raw(path)
    assert sorted(found.metadata["siblings"]) == ["dispatches", "requests"]
    assert found.metadata["serving"] == record.metadata()["serving"]
    assert found.executions.equals(record.executions())
    for name, table in record.siblings().items():
        stored = pq.read_table(raw.sibling_path(tmp_path, "e", name))
        assert stored.cast(table.schema).equals(table)


def test_engines_leave_the_lanes_when_the_run_is_over() -> None:
    session = VirtualSession(2, SPANS_NS)
    bench = Bench(session, Quality().resolved("simulated"))
    cell = cell_of(loads=0.3, seconds=1)
    run(bench, cell, engines_of(cell.tenants), np.random.default_rng(0))
    loads = [each[1:] for each in session.loads if each[0] == "load"]
    assert sorted(loads) == sorted(each[1:] for each in session.loads if each[0] == "unload")
    assert len(loads) == 2 * len(KEYS)
