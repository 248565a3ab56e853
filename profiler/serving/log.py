"""What the serving loop writes down while it runs: plain lists, one entry per request or per batch."""

from dataclasses import dataclass, field

NOT_BATCHED = -1


@dataclass
class ServingLog:
    """Everything that happened between start and end of a run; times on the session's clock.

    Attributes:
        start_ns, end_ns: Arrivals lie in [start_ns, end_ns); no batch is formed from end_ns on.
        arrival_ns, request_tenant: Requests by id.
        batch_of: Each request's batch; NOT_BATCHED if it was dropped or was still queued at the end.
        dropped: Requests that found their queue full, rising.
        lag_ns: How late the host noticed each request, counted only while it should have been awake.
        tenant, lane, engine, count: Batches by number, in order of dispatch; engine is a place in the cell's list.
        batched_ns, dispatched_ns: When it was formed; when it was handed to the lane.
        start, end, cpu, h2d, d2h: The completions' stamps (ns).
        snapshot: What was known at each dispatch.
    """

    start_ns: int
    end_ns: int
    arrival_ns: list[int]
    request_tenant: list[int]
    batch_of: list[int]
    snapshot: "Snapshots"
    dropped: list[int] = field(default_factory=list)
    lag_ns: list[int] = field(default_factory=list)
    tenant: list[int] = field(default_factory=list)
    lane: list[int] = field(default_factory=list)
    engine: list[int] = field(default_factory=list)
    count: list[int] = field(default_factory=list)
    batched_ns: list[int] = field(default_factory=list)
    dispatched_ns: list[int] = field(default_factory=list)
    start: list[int] = field(default_factory=list)
    end: list[int] = field(default_factory=list)
    cpu: list[int | None] = field(default_factory=list)
    h2d: list[int | None] = field(default_factory=list)
    d2h: list[int | None] = field(default_factory=list)


@dataclass
class Snapshots:
    """What was known at each dispatch, right after its batch left the queue; flat lists, cut up by `snapshot.py`.

    Attributes:
        running: Batches in flight, per dispatch as many as `running_count` says.
        remaining_solo_ns: Their solo medians minus the time since their dispatch, not below 0.
        queued, age_ns: Per dispatch and tenant: requests queued; age of the first of them, None if there is none.
        rates_per_s: Per dispatch and tenant: estimated arrivals per second, None if unknown.
    """

    running_count: list[int] = field(default_factory=list)
    running: list[int] = field(default_factory=list)
    remaining_solo_ns: list[int] = field(default_factory=list)
    queued: list[int] = field(default_factory=list)
    age_ns: list[int | None] = field(default_factory=list)
    rates_per_s: list[float | None] = field(default_factory=list)
