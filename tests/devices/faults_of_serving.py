"""Faults in what an open loop stores: requests, what was known at dispatch, tails of the window's halves."""

from typing import Any

from damaged_dataset import Row
from planting import Fault, Plant, known, plus, values, where, whole

SERVED, DROPPED = where(outcome="served"), where(outcome="dropped")
AT_DISPATCH = known("queued_count")
SERVING = known("latency_p95_first_half_ns")


def waits(row: Row) -> bool:
    return bool(row["queued_count"]) and any(row["queued_count"])


def accompanied(row: Row) -> bool:
    return bool(row["in_flight_execution_ids"])


def older(row: Row) -> Any:
    return [None if age is None else age + 1 for age in row["queue_age_ns"]]


def served(**changes: Any) -> Plant:
    return values("requests", SERVED, **changes)


def overtaken(rows: list[Row]) -> list[Row]:
    """Exchange the batches of a tenant's first request and of one much later."""
    own = [index for index, row in enumerate(rows) if row["outcome"] == "served" and row["tenant"] == rows[0]["tenant"]]
    first, last = rows[own[0]], rows[own[-1]]
    of_batch = ("batched_ns", "execution_id", "done_ns")
    changed = list(rows)
    for index, mine, other in ((own[0], first, last), (own[-1], last, first)):
        taken = {name: other[name] for name in of_batch}
        changed[index] = {**mine, **taken, "latency_ns": abs(taken["done_ns"] - mine["intended_arrival_ns"])}
    return changed


REQUESTS = {
    "request_id does not number": served(request_id=7),
    "before that of the request before it": served(intended_arrival_ns=10**12),
    "is not deployed": served(model="guess"),
    "after the window of serving": whole(
        "requests", lambda rows: [*rows[:-1], {**rows[-1], "intended_arrival_ns": 10**12}]
    ),
    "the outcome `served` do not go together": values("requests", DROPPED, outcome="served"),
    "blocked_ns is not null exactly": values("requests", DROPPED, blocked_ns=1),
    "is no execution of the experiment": served(execution_id=10**6),
    "is another tenant's": served(tenant=lambda row: "b" if row["tenant"] == "a" else "a"),
    "done_ns is not the end": served(done_ns=plus("done_ns", 1)),
    "latency_ns is not done_ns": served(latency_ns=plus("latency_ns", 1)),
    "batched_ns is before intended": served(batched_ns=plus("intended_arrival_ns", -1)),
    "after its execution was dispatched": served(batched_ns=plus("done_ns", 0)),
    "blocked_ns is longer": served(blocked_ns=10**9),
    "before an earlier one of its tenant": whole("requests", overtaken),
    "requests of one batch have different": served(batched_ns=plus("batched_ns", -1)),
    "the mark `warmup`": values("requests", where(marks=["warmup"]), marks=[]),
    "the mark `late`": values("requests", where(marks=[], outcome="served"), marks=["late"]),
    "marks has a word twice": values("requests", where(marks=["warmup"]), marks=["warmup", "warmup"]),
    "deadline_ns of tenant": values("requests", known("deadline_ns"), deadline_ns=plus("deadline_ns", 1)),
    "request_count is not what it served": values("executions", AT_DISPATCH, request_count=plus("request_count", 1)),
    "does not fit its engine's batch": values("executions", AT_DISPATCH, request_count=0),
}
SNAPSHOTS = {
    "or known for others": values("executions", where(role="solo"), queued_count=[0, 0]),
    "differ in length": values("executions", AT_DISPATCH, queued_count=[0]),
    "in_flight_execution_ids of": values("executions", accompanied, in_flight_execution_ids=[0]),
    "queued_count of tenant": values(
        "executions", AT_DISPATCH, queued_count=lambda row: [c + 1 for c in row["queued_count"]]
    ),
    "queue_age_ns of tenant": values("executions", waits, queue_age_ns=older),
}
STATIONARITY = {
    "latency_p95_first_half_ns is": values(
        "experiments", SERVING, latency_p95_first_half_ns=plus("latency_p95_first_half_ns", 1)
    ),
    "span_p95_second_half_ns is": values(
        "experiments", SERVING, span_p95_second_half_ns=plus("span_p95_second_half_ns", 1)
    ),
}
THROUGHPUTS = {
    "kernel_index does not number": whole("kernels", lambda rows: rows[1:]),
    "no row for these kernels": whole(
        "throughputs", lambda rows: [r for r in rows if r["counter_source"] == "analytic"]
    ),
    "kernels, throughputs says": values("throughputs", known("kernel_count"), kernel_count=plus("kernel_count", 1)),
    "says that they cover": values("kernels", duration_ns=plus("duration_ns", 1)),
    "says that range was read": values("throughputs", where(aggregation="kernel_wmean"), aggregation="range"),
    "the mean over kernels is": values("kernels", known("sm_pct"), sm_pct=plus("sm_pct", 0.5)),
}
CHECKS = {"requests": REQUESTS, "snapshots": SNAPSHOTS, "stationarity": STATIONARITY, "throughputs": THROUGHPUTS}
FAULTS = [Fault(check, says, plant) for check, faults in CHECKS.items() for says, plant in faults.items()]
TOUCHED = ("requests", "executions", "experiments", "kernels", "throughputs")
