"""Batching, queues, lanes and the host's own lateness, by hand-made timelines."""

from collections.abc import Sequence

import numpy as np
import pytest
from fixed_spans import FixedSpans

from cotenant.models.errors import UserError
from cotenant.profiler.experiments.bench import Hang
from cotenant.profiler.serving.arrivals import Arrivals
from cotenant.profiler.serving.deployment import TenantRules
from cotenant.profiler.serving.log import ServingLog
from cotenant.profiler.serving.loop import Service, serve
from cotenant.profiler.serving.orders import order_rule
from cotenant.profiler.serving.requests import RequestWindow, requests_table
from cotenant.profiler.serving.snapshot import dispatches_table
from cotenant.runners.protocol import LaneLost, Loaded

HANG_NS = 10_000


def tenant(name: str, first_engine: int = 0, **rules: object) -> TenantRules:
    """A tenant with engines for 1, 2 and 4 requests at places first_engine, + 1, + 2."""
    known: dict[str, object] = {"max_batch": 4, "wait_ns": 0, "deadline_ns": None, "queue_bound": 100, **rules}
    engines = tuple(range(first_engine, first_engine + 3))
    return TenantRules(name=name, model=name.upper(), sizes=(1, 2, 4), engines=engines, **known)  # type: ignore[arg-type]


def served(
    tenants: Sequence[TenantRules],
    arrivals: Sequence[tuple[int, int]],
    spans_ns: Sequence[int],
    lanes: int = 1,
    concurrency: int | None = None,
    order: str = "fifo",
    duration_ns: int = 1000,
    session: FixedSpans | None = None,
) -> ServingLog:
    """Serve (time, tenant) on a device whose engines take spans_ns, from time 0 on."""
    ids = [str(place) for place in range(len(spans_ns))]
    session = session or FixedSpans(lanes, {})
    session.spans_ns = dict(zip(ids, spans_ns, strict=True))
    loaded = [[Loaded(lane, each, 0) for each in ids] for lane in range(lanes)]
    service = Service(tenants, loaded, spans_ns, concurrency or lanes, order_rule(order))
    at_ns, owners = (np.array([each[i] for each in arrivals], np.int64) for i in range(2))
    return serve(session, service, Arrivals(at_ns, owners), duration_ns, HANG_NS)


def batches(log: ServingLog) -> list[tuple[int, int, int, int]]:
    """(tenant, lane, dispatched, requests) of each batch."""
    return list(zip(log.tenant, log.lane, log.dispatched_ns, log.count, strict=True))


def blocked(log: ServingLog, tenants: Sequence[TenantRules], concurrency: int = 1) -> list[int | None]:
    table = requests_table(log, tenants, concurrency, RequestWindow(0, 0, 10))
    return list(table["blocked_ns"].to_pylist())


def test_a_batch_goes_when_its_first_request_has_waited() -> None:
    log = served([tenant("a", wait_ns=50)], [(10, 0), (40, 0), (60, 0), (200, 0)], [5, 6, 7])
    assert batches(log) == [(0, 0, 60, 3), (0, 0, 250, 1)], "an arrival at the very end of the wait is taken along"
    assert log.engine == [2, 0], "three requests take the engine for four"
    assert log.batch_of == [0, 0, 0, 1]


def test_a_full_batch_goes_at_once_and_the_rest_waits_from_its_own_arrival() -> None:
    arrivals = [(10, 0), (12, 0), (14, 0), (16, 0), (17, 0)]
    log = served([tenant("a", wait_ns=50)], arrivals, [5, 6, 7], lanes=2)
    assert batches(log) == [(0, 0, 16, 4), (0, 0, 67, 1)]


def test_what_arrives_while_lanes_are_held_joins_the_batch_formed_at_dispatch() -> None:
    log = served([tenant("a", wait_ns=5)], [(0, 0), (20, 0), (90, 0), (100, 0)], [100, 100, 100])
    assert batches(log) == [(0, 0, 5, 1), (0, 0, 105, 3)]


def test_without_waiting_every_request_goes_when_a_lane_is_idle() -> None:
    log = served([tenant("a")], [(0, 0), (1, 0), (2, 0)], [10, 10, 10], lanes=3)
    assert batches(log) == [(0, 0, 0, 1), (0, 1, 1, 1), (0, 2, 2, 1)]


def test_a_lane_is_never_two_deep_and_concurrency_limits_lanes() -> None:
    arrivals = [(0, 0)] * 12
    log = served([tenant("a")], arrivals, [10, 10, 10], lanes=3, concurrency=2)  # the session asserts one at a time
    assert batches(log) == [(0, 0, 0, 4), (0, 1, 0, 4), (0, 0, 10, 4)]


def test_the_tenant_with_the_oldest_head_goes_first() -> None:
    two = [tenant("a", 0), tenant("b", 3)]
    arrivals = [(0, 0), (10, 1), (20, 0), (30, 1)]
    assert batches(served(two, arrivals, [100] * 6)) == [(0, 0, 0, 1), (1, 0, 100, 2), (0, 0, 200, 1)]


def test_the_longest_queue_or_the_earliest_deadline_may_go_first() -> None:
    two = [tenant("a", 0, deadline_ns=500), tenant("b", 3, deadline_ns=100), tenant("c", 6)]
    arrivals = [(0, 2), (5, 0), (6, 0), (30, 1), (40, 2), (41, 2), (42, 2)]
    orders = {"fifo": [2, 0, 1, 2], "earliest_deadline": [2, 1, 0, 2], "longest_queue": [2, 2, 0, 1]}
    for order, expected in orders.items():
        assert served(two, arrivals, [100] * 9, order=order).tenant == expected
    with pytest.raises(UserError, match="unknown order rule 'fiffo'; did you mean `fifo`"):
        order_rule("fiffo")


def test_a_deadline_counts_from_the_arrival() -> None:
    two = [tenant("a", 0, deadline_ns=200), tenant("b", 3, deadline_ns=100)]
    log = served(two, [(0, 1), (5, 0), (120, 1)], [150] * 6, order="earliest_deadline")
    assert log.tenant == [1, 0, 1], "205 comes before 220"


def test_ties_go_to_the_tenant_named_first() -> None:
    assert served([tenant("a"), tenant("b", 3)], [(7, 0), (7, 1)], [10] * 6).tenant == [0, 1]


def test_requests_beyond_the_bound_are_dropped_and_nobody_else() -> None:
    bounded = [tenant("a", queue_bound=4), tenant("b", 3)]
    arrivals = [(0, 0), *((t, 0) for t in range(10, 17)), (18, 1), (100, 0)]
    log = served(bounded, arrivals, [100] * 6)
    assert log.dropped == [5, 6, 7, 9], "four are queued; at 100 a request comes before the lane is filled"
    assert batches(log) == [(0, 0, 0, 1), (0, 0, 100, 4), (1, 0, 200, 1)]
    outcome = requests_table(log, bounded, 1, RequestWindow(0, 0, 10))["outcome"].to_pylist()
    assert [i for i, each in enumerate(outcome) if each == "dropped"] == log.dropped


def test_what_is_in_flight_at_the_end_is_drained_and_what_is_queued_stays_unfinished() -> None:
    rules = [tenant("a")]
    log = served(rules, [(0, 0), (950, 0), (960, 0), (999, 0)], [100] * 3, duration_ns=1000)
    assert batches(log) == [(0, 0, 0, 1), (0, 0, 950, 1)]
    rows = requests_table(log, rules, 1, RequestWindow(0, 7, 10)).to_pylist()
    assert [row["outcome"] for row in rows] == ["served", "served", "unfinished", "unfinished"]
    assert [row["done_ns"] for row in rows] == [100, 1050, None, None]
    assert [row["execution_id"] for row in rows] == [7, 8, None, None]
    assert [row["latency_ns"] for row in rows] == [100, 100, None, None]


def test_nothing_is_dispatched_at_the_end_itself() -> None:
    assert batches(served([tenant("a", wait_ns=50)], [(950, 0)], [10] * 3, duration_ns=1000)) == []
    assert batches(served([tenant("a", wait_ns=49)], [(950, 0)], [10] * 3, duration_ns=1000)) == [(0, 0, 999, 1)]


def test_blocked_counts_while_only_others_hold_all_lanes_and_the_batch_is_ready() -> None:
    two = [tenant("a", 0, wait_ns=20), tenant("b", 3)]
    arrivals = [(0, 1), (10, 0), (50, 0), (80, 0)]
    log = served(two, arrivals, [30, 30, 30, 100, 100, 100])
    assert batches(log) == [(1, 0, 0, 1), (0, 0, 100, 3)]
    # the first of a is ready at 30; the others come later than that
    assert blocked(log, two) == [0, 70, 50, 20]


def test_an_own_batch_in_flight_is_no_blocking() -> None:
    two = [tenant("a", 0), tenant("b", 3)]
    log = served(two, [(0, 0), (5, 0), (10, 1)], [100, 100, 100, 40, 40, 40])
    assert batches(log) == [(0, 0, 0, 1), (0, 0, 100, 1), (1, 0, 200, 1)]
    assert blocked(log, two) == [0, 0, 190], "a waited for itself alone, b for a"
    both = served(two, [(0, 0), (0, 1), (10, 0)], [100, 100, 100, 40, 40, 40], lanes=2)
    assert blocked(both, two, concurrency=2) == [0, 0, 0]


def test_a_full_batch_is_ready_before_its_wait_is_over() -> None:
    two = [tenant("a", 0, wait_ns=500), tenant("b", 3)]
    arrivals = [(0, 1), (10, 0), (20, 0), (30, 0), (40, 0)]
    log = served(two, arrivals, [30, 30, 30, 100, 100, 100])
    assert batches(log) == [(1, 0, 0, 1), (0, 0, 100, 4)]
    assert blocked(log, two) == [0, 60, 60, 60, 60]


def test_unfinished_requests_were_blocked_until_the_end() -> None:
    two = [tenant("a", 0, wait_ns=20), tenant("b", 3)]
    log = served(two, [(0, 1), (10, 0), (60, 0)], [30, 30, 30, 5000, 5000, 5000], duration_ns=100)
    assert blocked(log, two) == [0, 70, 40]


def test_deadlines_are_stamps_and_late_requests_are_marked() -> None:
    rules = [tenant("a", deadline_ns=120), tenant("b", 3)]
    log = served(rules, [(0, 0), (10, 0), (20, 1)], [100] * 6)
    rows = requests_table(log, rules, 1, RequestWindow(10, 0, 10)).to_pylist()
    assert [row["deadline_ns"] for row in rows] == [120, 130, None]
    just = [tenant("a", deadline_ns=100)]
    assert requests_table(served(just, [(0, 0)], [100] * 3), just, 1, RequestWindow(0, 0, 10))["marks"].to_pylist() == [
        []
    ]
    assert [row["marks"] for row in rows] == [["warmup"], ["late"], []]
    assert [(row["tenant"], row["model"]) for row in rows] == [("a", "A"), ("a", "A"), ("b", "B")]


def test_a_snapshot_tells_what_is_queued_for_how_long_and_what_still_runs() -> None:
    two = [tenant("a", 0), tenant("b", 3)]
    arrivals = [(0, 0), (5, 1), (10, 0), (20, 1), (30, 0), (31, 0), (32, 0), (33, 0)]
    log = served(two, arrivals, [100, 100, 100, 40, 40, 40], lanes=2)
    rows = dispatches_table(log, 50).to_pylist()
    assert [row["batched_ns"] for row in rows] == [0, 5, 45, 100, 140]
    assert rows[0]["co_execution_ids"] == []
    assert rows[0]["queued_count"] == [0, 0]
    assert rows[0]["queue_age_ns"] == [None, None]
    assert rows[2]["execution_id"] == 52
    assert rows[2]["co_execution_ids"] == [50]
    assert rows[2]["remaining_solo_ns"] == [55]
    assert rows[2]["queued_count"] == [1, 1], "right after the batch (four of a) has left"
    assert rows[2]["queue_age_ns"] == [12, 25]
    assert [row["remaining_solo_ns"] for row in rows[3:]] == [[45], [5]]


def test_remaining_work_of_what_runs_longer_than_alone_is_nothing() -> None:
    session = FixedSpans(2, {})
    two = [tenant("a", 0), tenant("b", 3)]
    service_spans = [10, 10, 10, 10, 10, 10]
    ids = {str(place): 300 for place in range(6)}
    session.spans_ns = ids
    loaded = [[Loaded(lane, each, 0) for each in ids] for lane in range(2)]
    service = Service(two, loaded, service_spans, 2, order_rule("fifo"))
    log = serve(session, service, Arrivals(np.array([0, 100]), np.array([0, 1])), 1000, HANG_NS)
    assert dispatches_table(log, 0)["remaining_solo_ns"].to_pylist() == [[], [0]]


def test_the_load_estimate_follows_arrivals_and_silence() -> None:
    arrivals = [(t, 0) for t in range(100, 10_001, 100)]
    log = served([tenant("a"), tenant("b", 3)], arrivals, [10] * 6, duration_ns=20_000)
    rates = dispatches_table(log, 0)["arrival_rate_per_s"].to_pylist()
    assert rates[-1] == [1e7, None], "one every 100 ns; nothing is known of b"
    uneven = served([tenant("a")], [(100, 0), (360, 0), (390, 0)], [10] * 3)
    assert dispatches_table(uneven, 0)["arrival_rate_per_s"].to_pylist() == [[1e7], [1e9 / 110], [1e9 / 105]]
    late = served([tenant("a"), tenant("b", 3)], [*arrivals, (18_000, 1)], [10] * 6, duration_ns=20_000)
    silent_a, first_b = dispatches_table(late, 0)["arrival_rate_per_s"].to_pylist()[-1]
    assert silent_a == 1e9 / (100 + (7900 >> 4))
    assert first_b == 1e9 / 18_000


def test_the_host_sleeps_until_something_can_happen() -> None:
    session = FixedSpans(1, {})
    arrivals = [(t, 0) for t in range(0, 900, 10)]
    log = served([tenant("a", wait_ns=30)], arrivals, [200] * 3, session=session)
    # one wait for each batch's end, for arrivals and the batching deadline while the lane is idle, and for the end
    assert session.waits <= 2 * len(log.tenant) + 6
    assert sum(log.count) + log.batch_of.count(-1) == len(arrivals)


def test_lag_counts_only_while_the_host_should_have_been_awake() -> None:
    punctual = served([tenant("a")], [(10, 0), (20, 0), (300, 0)], [100] * 3)
    assert punctual.lag_ns == [0, 0, 0]
    session = FixedSpans(1, {}, notice_late_ns=7)
    log = served([tenant("a")], [(10, 0), (20, 0), (300, 0)], [100] * 3, session=session)
    # 10: noticed at 17. 20: while the only lane was held, until 117, noticed at 124. 300: noticed at 307
    assert log.lag_ns == [7, 7, 7]
    assert log.batched_ns == [17, 124, 307]
    marks = requests_table(log, [tenant("a")], 1, RequestWindow(0, 0, 6))["marks"].to_pylist()
    assert marks == [["lagged"]] * 3


def test_arrivals_at_the_end_of_a_held_run_are_not_late() -> None:
    log = served([tenant("a")], [(0, 0), (500, 0)], [5000] * 3, duration_ns=1000)
    assert log.lag_ns == [0, 0]


def test_a_lane_that_hangs_or_dies_ends_the_run() -> None:
    arrivals = [(t, 0) for t in range(0, 50_000, 100)]
    with pytest.raises(Hang, match="lane 1 "):
        served([tenant("a")], arrivals, [150] * 3, 2, duration_ns=60_000, session=FixedSpans(2, {}, hang_from=2))
    with pytest.raises(LaneLost, match="planted"):
        served([tenant("a")], arrivals, [150] * 3, duration_ns=60_000, session=FixedSpans(1, {}, die_at_ns=9000))
    with pytest.raises(Hang):
        served([tenant("a")], [(990, 0)], [150] * 3, session=FixedSpans(1, {}, hang_from=1))
    session = FixedSpans(1, {}, hang_from=1)
    with pytest.raises(Hang):
        served([tenant("a")], [(0, 0)], [150] * 3, duration_ns=900_000, session=session)
    assert session.time_ns == HANG_NS, "told as soon as it is known"


def test_no_requests_is_a_run_too() -> None:
    log = served([tenant("a")], [], [10] * 3)
    assert log.end_ns == 1000
    assert requests_table(log, [tenant("a")], 1, RequestWindow(0, 0, 10)).num_rows == 0
    assert dispatches_table(log, 0).num_rows == 0
