"""The serving loop against a reference that follows the rules ns by ns, and conservation on a device that contends."""

import numpy as np
from fixed_spans import FixedSpans
from hypothesis import given, settings
from hypothesis import strategies as st
from serving_steps import Rules, Story, by_steps
from virtual_session import VirtualSession

from cotenant.datasets.stationarity import bin_edges, level_integrals
from cotenant.profiler.serving.arrivals import Arrivals, draw_arrivals
from cotenant.profiler.serving.deployment import Piece, TenantRules
from cotenant.profiler.serving.log import NOT_BATCHED, ServingLog
from cotenant.profiler.serving.loop import Service, serve
from cotenant.profiler.serving.orders import order_rule
from cotenant.profiler.serving.requests import RequestWindow, requests_table
from cotenant.profiler.serving.snapshot import dispatches_table
from cotenant.profiler.serving.window import _live_steps, _queued_steps
from cotenant.runners.protocol import Loaded

END = 120
FAR = 1 << 40


@st.composite
def deployments(draw: st.DrawFn) -> list[Rules]:
    found = []
    for _ in range(draw(st.integers(1, 3))):
        sizes = sorted(draw(st.sets(st.integers(1, 5), min_size=1, max_size=3)))
        spans = {size: draw(st.integers(1, 40)) for size in sizes}
        below = sizes[-2] if len(sizes) > 1 else 0
        max_batch = draw(st.integers(below + 1, sizes[-1]))
        bound = draw(st.integers(max_batch, 8))
        deadline = draw(st.none() | st.integers(1, 60))
        found.append(Rules(max_batch, draw(st.integers(0, 25)), bound, spans, deadline))
    return found


REQUEST = st.tuples(st.integers(0, END - 1), st.integers(0, 2))
RANKS = ("fifo", "earliest_deadline", "longest_queue")


def ranked(
    name: str, tenants: list[Rules], arrivals: list[tuple[int, int]], tenant: int, queues: list[list[int]]
) -> int:
    head = arrivals[queues[tenant][0]][0]
    deadline = tenants[tenant].deadline
    return {
        "fifo": head,
        "earliest_deadline": FAR if deadline is None else head + deadline,
        "longest_queue": -len(queues[tenant]),
    }[name]


def rules_of(tenants: list[Rules]) -> tuple[list[TenantRules], list[int]]:
    spans: list[int] = []
    found = []
    for index, each in enumerate(tenants):
        sizes = tuple(sorted(each.spans))
        places = tuple(range(len(spans), len(spans) + len(sizes)))
        spans += [each.spans[size] for size in sizes]
        name = f"t{index}"
        found.append(TenantRules(name, "m", each.max_batch, each.wait, each.deadline, each.bound, sizes, places))
    return found, spans


@given(
    deployments(),
    st.lists(REQUEST, max_size=5) | st.lists(REQUEST, min_size=20, max_size=60),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from(RANKS),
)
@settings(max_examples=300, deadline=None)
def test_the_loop_does_what_the_rules_say(
    tenants: list[Rules], drawn: list[tuple[int, int]], lanes: int, limit: int, order: str
) -> None:
    arrivals = sorted((at, tenant % len(tenants)) for at, tenant in drawn)
    limit = min(limit, lanes)
    story = by_steps(tenants, arrivals, lanes, limit, lambda t, q: ranked(order, tenants, arrivals, t, q), END)
    rules, spans = rules_of(tenants)
    ids = [str(place) for place in range(len(spans))]
    service = Service(
        rules, [[Loaded(lane, each, 0) for each in ids] for lane in range(lanes)], spans, limit, order_rule(order)
    )
    at_ns, owners = (np.array([each[i] for each in arrivals], np.int64) for i in range(2))
    session = FixedSpans(lanes, dict(zip(ids, spans, strict=True)))
    log = serve(session, service, Arrivals(at_ns, owners), END, 10_000)
    check_against(log, story, rules, limit)


def check_against(log: ServingLog, story: Story, rules: list[TenantRules], limit: int) -> None:
    assert list(zip(log.tenant, log.lane, log.dispatched_ns, log.end, strict=True)) == [
        (batch.tenant, batch.lane, batch.at, batch.end) for batch in story.batches
    ]
    assert [rules[t].sizes[rules[t].engines.index(e)] for t, e in zip(log.tenant, log.engine, strict=True)] == [
        batch.size for batch in story.batches
    ]
    members = [[r for r, own in enumerate(log.batch_of) if own == b] for b in range(len(log.tenant))]
    assert members == [batch.requests for batch in story.batches]
    assert log.dropped == story.dropped
    rows = requests_table(log, rules, limit, RequestWindow(0, 0, 0)).to_pylist()
    assert sorted(story.unfinished) == [row["request_id"] for row in rows if row["outcome"] == "unfinished"]
    assert {row["request_id"]: row["blocked_ns"] for row in rows if row["outcome"] != "dropped"} == story.blocked
    known = dispatches_table(log, 0).to_pylist()
    assert [row["queued_count"] for row in known] == [batch.queued for batch in story.batches]
    assert [row["queue_age_ns"] for row in known] == [batch.ages for batch in story.batches]
    assert [list(zip(row["co_execution_ids"], row["remaining_solo_ns"], strict=True)) for row in known] == [
        batch.running for batch in story.batches
    ]
    edges = bin_edges(0, END, 7)
    for steps, by_ns in ((_queued_steps(log), story.queued_by_ns), (_live_steps(log), story.live_by_ns)):
        sums = np.add.reduceat(np.array(by_ns[:END]), edges[:-1])
        np.testing.assert_array_equal(level_integrals(*steps, edges), sums)


@given(st.integers(0, 2**32), st.floats(0.1, 3.0), st.integers(1, 3), st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_nothing_is_lost_or_invented(seed: int, pressure: float, lanes: int, bound: int) -> None:
    ms = 1_000_000
    spans = {"0": 5 * ms, "1": 8 * ms, "2": 14 * ms, "3": 3 * ms, "4": 9 * ms, "5": 22 * ms}
    rules = [
        TenantRules("a", "x", 4, 2 * ms, None, max(bound, 4), (1, 2, 4), (0, 1, 2)),
        TenantRules("b", "x", 2, 0, 30 * ms, max(bound, 2), (1, 2), (0, 1)),
        TenantRules("c", "y", 4, 9 * ms, None, max(bound, 4), (1, 2, 4), (3, 4, 5)),
    ]
    rates = tuple(pressure * rate for rate in (120.0, 60.0, 90.0))
    pieces = [
        Piece(200 * ms, rates),
        Piece(150 * ms, (0.0, *rates[1:])),
        Piece(250 * ms, (2 * rates[0], rates[1], 0.0)),
    ]
    arrivals = draw_arrivals(pieces, np.random.default_rng(seed).spawn(3))
    session = VirtualSession(lanes, spans, slowdown=(1.0, 1.3, 1.7), noise=0.05)
    loaded = [[Loaded(lane, each, 0) for each in spans] for lane in range(lanes)]
    service = Service(rules, loaded, list(spans.values()), lanes, order_rule("fifo"))
    log = serve(session, service, arrivals, 600 * ms, 60_000 * ms)
    check_conserved(log, arrivals, rules)
    again = serve(replace_session(session), service, arrivals, 600 * ms, 60_000 * ms)
    assert again == log, "the same arrivals on the same device make the same run"


def replace_session(session: VirtualSession) -> VirtualSession:
    return VirtualSession(session.lane_count, session.spans_ns, slowdown=session.slowdown, noise=session.noise)


def check_conserved(log: ServingLog, arrivals: Arrivals, rules: list[TenantRules]) -> None:
    batch_of = np.array(log.batch_of, np.int64)
    np.testing.assert_array_equal(log.arrival_ns, arrivals.at_ns + log.start_ns)
    assert sum(log.count) == np.count_nonzero(batch_of != NOT_BATCHED)
    np.testing.assert_array_equal(np.bincount(batch_of[batch_of >= 0], minlength=len(log.count)), log.count)
    assert all(batch_of[request] == NOT_BATCHED for request in log.dropped)
    table = requests_table(log, rules, 1, RequestWindow(0, 0, 0))
    assert table["request_id"].to_pylist() == list(range(len(arrivals.at_ns)))
    for row in table.to_pylist():
        if row["outcome"] == "served":
            batch = row["execution_id"]
            assert rules[log.tenant[batch]].name == row["tenant"]
            assert row["intended_arrival_ns"] <= log.batched_ns[batch] <= log.start[batch] < log.end[batch]
            assert row["latency_ns"] == log.end[batch] - row["intended_arrival_ns"]
            assert 0 <= row["blocked_ns"] <= row["batched_ns"] - row["intended_arrival_ns"]
        else:
            assert row["execution_id"] is row["done_ns"] is row["latency_ns"] is row["batched_ns"] is None
    for tenant in range(len(rules)):
        own = batch_of[np.array(log.request_tenant, np.int64) == tenant]
        own = own[own >= 0]
        assert np.all(np.diff(own) >= 0), "a queue is first in, first out"
    lanes = np.array(log.lane, np.int64)
    for lane in np.unique(lanes):
        begin, end = (np.array(each, np.int64)[lanes == lane] for each in (log.dispatched_ns, log.end))
        assert np.all(begin[1:] >= end[:-1]), "a lane never holds two"
