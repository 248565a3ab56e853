"""The closed loop against a device in virtual time whose law is known."""

from itertools import pairwise

import pytest
from virtual_session import VirtualSession, engine

from cotenant.profiler.experiments.bench import Bench, Hang, Tenant
from cotenant.profiler.experiments.closed_loop import NO_LEAD_IN, LeadIn, Run, run_burst, run_count, run_for
from cotenant.profiler.experiments.record import Record
from cotenant.profiler.quality.thresholds import Quality
from cotenant.runners.protocol import LaneLost

MS = 1_000_000
HANG_NS = 60_000 * MS


def placed(session: VirtualSession, *names: str) -> list[Tenant]:
    return Bench(session, Quality()).place([engine(name) for name in names])


SHORT = LeadIn(20 * MS, 2)


def starts(run: Run, tenant: str) -> list[int]:
    return [sample.done.start_ns for sample in run.samples if sample.tenant.name == tenant]


def test_lanes_never_wait_for_the_host() -> None:
    session = VirtualSession(1, {"a": 10 * MS})
    run = run_count(session, placed(session, "a")[0], NO_LEAD_IN, 20, HANG_NS)
    gaps = [after.done.start_ns - before.done.end_ns for before, after in pairwise(run.samples)]
    assert gaps == [0] * (len(run.samples) - 1)


def test_dispatch_lies_one_execution_before_start() -> None:
    session = VirtualSession(1, {"a": 10 * MS})
    samples = run_count(session, placed(session, "a")[0], NO_LEAD_IN, 10, HANG_NS).samples
    assert all(s.dispatched_ns < s.done.start_ns for s in samples[2:])
    assert samples[5].done.start_ns - samples[5].dispatched_ns == 10 * MS


@pytest.mark.parametrize("executions", [2, 3, 32])
def test_a_counted_block_has_that_many_executions_in_its_window(executions: int) -> None:
    session = VirtualSession(1, {"a": MS})
    run = run_count(session, placed(session, "a")[0], LeadIn(50 * MS, 5), executions, HANG_NS)
    inside = [start for start in starts(run, "a") if run.window_start_ns <= start < run.window_end_ns]
    assert len(inside) == executions
    assert len(run.samples) == 50 + executions
    assert run.window_start_ns - run.samples[0].done.start_ns == 50 * MS


def test_a_lead_in_lasts_for_its_time_and_its_executions_of_every_tenant() -> None:
    session = VirtualSession(2, {"a": 10 * MS, "b": 23 * MS}, slowdown=(1.0, 1.5))
    tenants = placed(session, "a", "b")
    run = run_for(session, tenants, LeadIn(20 * MS, 5), 100 * MS, [0, 0], HANG_NS)
    for name in "ab":
        before = [s for s in run.samples if s.tenant.name == name and s.done.end_ns <= run.window_start_ns]
        assert len(before) >= 5
    assert run.window_start_ns in {s.done.end_ns for s in run.samples if s.tenant.name == "b"}, "the slower one decides"
    assert run.window_end_ns == run.window_start_ns + 100 * MS
    fast = VirtualSession(1, {"a": MS})
    run = run_for(fast, placed(fast, "a"), LeadIn(20 * MS, 5), 100 * MS, [0], HANG_NS)
    assert run.window_start_ns - run.samples[0].done.start_ns == 20 * MS, "the time decides"


def test_every_lane_is_busy_until_all_that_counts_has_ended() -> None:
    session = VirtualSession(2, {"a": 4 * MS, "b": 23 * MS}, slowdown=(1.0, 1.3))
    run = run_for(session, placed(session, "a", "b"), SHORT, 50 * MS, [0, 3 * MS], HANG_NS)
    counted = [s for s in run.samples if run.window_start_ns <= s.done.start_ns < run.window_end_ns]
    last_end_ns = max(s.done.end_ns for s in counted)
    assert last_end_ns > run.window_end_ns
    for name in "ab":
        own = [s.done for s in run.samples if s.tenant.name == name]
        assert own[-1].end_ns >= last_end_ns
        assert all(after.start_ns == before.end_ns for before, after in pairwise(own))
    assert {s.done.end_ns - s.done.start_ns for s in counted} == {round(5.2 * MS), round(29.9 * MS)}
    assert not any(session.queues), "the block was drained"


def test_offsets_delay_the_later_tenant() -> None:
    session = VirtualSession(2, {"a": 10 * MS, "b": 7 * MS})
    run = run_for(session, placed(session, "a", "b"), SHORT, 100 * MS, [0, 4 * MS], HANG_NS)
    assert starts(run, "b")[0] - starts(run, "a")[0] == 4 * MS


@pytest.mark.parametrize(("arm", "role"), [("co_run", "main"), ("solo", "solo"), ("null", "null")])
def test_roles_follow_the_window(arm: str, role: str) -> None:
    session = VirtualSession(2, {"a": 10 * MS, "b": 23 * MS})
    tenants = placed(session, "a", "b")
    run = run_for(session, tenants, SHORT, 100 * MS, [0, 12 * MS], HANG_NS)
    record = Record(tenants)
    block = record.add_block(run, arm=arm, role=role, quad_index=0, offsets_ns=[0, 12 * MS])
    assert (block.window_start_ns, block.window_end_ns) == (run.window_start_ns, run.window_end_ns)
    for row in record.executions().to_pylist():
        if row["end_ns"] <= block.window_start_ns:
            assert row["role"] == "warmup"
        elif row["start_ns"] >= block.window_end_ns:
            assert row["role"] == "tail"
        else:
            assert row["role"] == role
    assert {row["role"] for row in record.executions().to_pylist()} == {"warmup", role, "tail"}


def test_a_burst_starts_together_and_runs_once() -> None:
    session = VirtualSession(2, {"a": 10 * MS, "b": 23 * MS})
    run = run_burst(session, placed(session, "a", "b"), HANG_NS)
    assert [s.tenant.name for s in run.samples] == ["a", "b"]
    assert len({s.done.start_ns for s in run.samples}) == 1
    assert run.window_end_ns - run.window_start_ns == 10 * MS


def test_a_lane_that_dies_or_hangs_ends_the_block() -> None:
    session = VirtualSession(1, {"a": 10 * MS})
    tenant = placed(session, "a")[0]
    session.die_at_ns = session.now_ns() + 35 * MS
    with pytest.raises(LaneLost, match="planted"):
        run_count(session, tenant, NO_LEAD_IN, 20, HANG_NS)
    session = VirtualSession(1, {"a": 10 * MS})
    tenant = placed(session, "a")[0]
    session.hang_at_ns = session.now_ns() + 35 * MS
    with pytest.raises(Hang, match="completed nothing for 60 s"):
        run_count(session, tenant, NO_LEAD_IN, 20, HANG_NS)


def test_engines_stay_loaded_while_they_fit_and_the_oldest_goes() -> None:
    session = VirtualSession(1, {"a": MS, "b": MS, "c": MS})
    bench = Bench(session, Quality())
    gib = 1 << 30
    for name in ("a", "b", "a", "c", "a"):
        bench.load(0, engine(name, weight_bytes=gib))
    assert session.loads == [("load", 0, "a"), ("load", 0, "b"), ("unload", 0, "b"), ("load", 0, "c")]


def test_engines_of_one_experiment_stay_together_however_large() -> None:
    session = VirtualSession(1, {"a": MS, "b": MS, "c": MS, "d": MS})
    bench = Bench(session, Quality())
    bench.load(0, engine("d", weight_bytes=1 << 30))
    tenants = bench.place([engine(name, weight_bytes=1 << 30) for name in "abc"], [0, 0, 0])
    assert [entry for entry in session.loads if entry[0] == "unload"] == [("unload", 0, "d")]
    for tenant in tenants:
        session.submit(tenant.lane, tenant.loaded)
