"""The closed loop against a device in virtual time whose law is known."""

from itertools import pairwise

import pytest
from virtual_session import VirtualSession, engine

from cotenant.profiler.experiments.bench import Bench, Hang, Tenant
from cotenant.profiler.experiments.closed_loop import run_burst, run_count, run_for
from cotenant.profiler.experiments.record import Record, window
from cotenant.profiler.quality.thresholds import Quality
from cotenant.runners.protocol import LaneLost

MS = 1_000_000
HANG_NS = 60_000 * MS


def placed(session: VirtualSession, *names: str) -> list[Tenant]:
    return Bench(session, Quality()).place([engine(name) for name in names])


def test_lanes_never_wait_for_the_host() -> None:
    session = VirtualSession(1, {"a": 10 * MS})
    samples = run_count(session, placed(session, "a")[0], 20, HANG_NS)
    assert len(samples) == 20
    gaps = [after.done.start_ns - before.done.end_ns for before, after in pairwise(samples)]
    assert gaps == [0] * 19


def test_dispatch_lies_one_execution_before_start() -> None:
    session = VirtualSession(1, {"a": 10 * MS})
    samples = run_count(session, placed(session, "a")[0], 10, HANG_NS)
    assert all(s.dispatched_ns < s.done.start_ns for s in samples[2:])
    assert samples[5].done.start_ns - samples[5].dispatched_ns == 10 * MS


def test_a_block_lasts_about_as_long_as_asked() -> None:
    session = VirtualSession(2, {"a": 10 * MS, "b": 7 * MS}, slowdown=(1.0, 1.3))
    tenants = placed(session, "a", "b")
    begin = session.now_ns()
    samples = run_for(session, tenants, 100 * MS, [0, 3 * MS], HANG_NS)
    assert 80 * MS <= max(s.done.end_ns for s in samples) - begin <= 125 * MS
    assert not any(session.queues), "the block was drained"


def test_offsets_delay_the_later_tenant() -> None:
    session = VirtualSession(2, {"a": 10 * MS, "b": 7 * MS})
    samples = run_for(session, placed(session, "a", "b"), 100 * MS, [0, 4 * MS], HANG_NS)
    first = {s.tenant.name: s.done.start_ns for s in reversed(samples)}
    assert first["b"] - first["a"] == 4 * MS


def test_the_window_is_where_all_tenants_are_active_and_roles_follow_it() -> None:
    session = VirtualSession(2, {"a": 10 * MS, "b": 23 * MS})
    tenants = placed(session, "a", "b")
    samples = run_for(session, tenants, 100 * MS, [0, 12 * MS], HANG_NS)
    record = Record(tenants)
    block = record.add_block(samples, arm="co_run", role="main", quad_index=0, offset_ns=12 * MS)
    assert (block.window_start_ns, block.window_end_ns) == window(samples)
    first = {s.tenant.name: s.done.start_ns for s in reversed(samples)}
    assert block.window_start_ns == first["b"]
    for row in record.executions().to_pylist():
        inside = row["end_ns"] > block.window_start_ns and row["start_ns"] < block.window_end_ns
        assert (row["role"] == "main") == inside
    assert {row["role"] for row in record.executions().to_pylist()} == {"main", "warmup"}


def test_a_burst_starts_together_and_runs_once() -> None:
    session = VirtualSession(2, {"a": 10 * MS, "b": 23 * MS})
    samples = run_burst(session, placed(session, "a", "b"), HANG_NS)
    assert [s.tenant.name for s in samples] == ["a", "b"]
    assert len({s.done.start_ns for s in samples}) == 1


def test_a_lane_that_dies_or_hangs_ends_the_block() -> None:
    session = VirtualSession(1, {"a": 10 * MS})
    tenant = placed(session, "a")[0]
    session.die_at_ns = session.now_ns() + 35 * MS
    with pytest.raises(LaneLost, match="planted"):
        run_count(session, tenant, 20, HANG_NS)
    session = VirtualSession(1, {"a": 10 * MS})
    tenant = placed(session, "a")[0]
    session.hang_at_ns = session.now_ns() + 35 * MS
    with pytest.raises(Hang, match="completed nothing for 60 s"):
        run_count(session, tenant, 20, HANG_NS)


def test_engines_stay_loaded_while_they_fit_and_the_oldest_goes() -> None:
    session = VirtualSession(1, {"a": MS, "b": MS, "c": MS})
    bench = Bench(session, Quality())
    gib = 1 << 30
    for name in ("a", "b", "a", "c", "a"):
        bench.load(0, engine(name, weight_bytes=gib))
    assert session.loads == [("load", 0, "a"), ("load", 0, "b"), ("unload", 0, "b"), ("load", 0, "c")]
