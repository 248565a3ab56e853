"""Serving as its rules say, one ns after the other: slow, and shares nothing with the loop it is compared with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Rules:
    """A tenant; `spans` has the span of the engine for each size."""

    max_batch: int
    wait: int
    bound: int
    spans: dict[int, int]
    deadline: int | None = None


@dataclass
class Batch:
    tenant: int
    lane: int
    at: int
    end: int
    size: int
    requests: list[int]
    queued: list[int] = field(default_factory=list)
    ages: list[int | None] = field(default_factory=list)
    running: list[tuple[int, int]] = field(default_factory=list)


@dataclass
class Story:
    batches: list[Batch]
    dropped: list[int]
    unfinished: list[int]
    blocked: dict[int, int]
    queued_by_ns: list[int]
    live_by_ns: list[int]


def by_steps(
    tenants: Sequence[Rules],
    arrivals: Sequence[tuple[int, int]],
    lanes: int,
    limit: int,
    rank: Callable[[int, list[list[int]]], int],
    duration: int,
) -> Story:
    """Serve `arrivals` (time, tenant); `rank(tenant, queues)` orders tenants, queues hold request ids."""
    queues: list[list[int]] = [[] for _ in tenants]
    batches: list[Batch] = []
    dropped: list[int] = []
    alone_blocks: list[list[bool]] = [[] for _ in tenants]
    queued_by_ns, live_by_ns = [], []
    now = 0
    while now < duration or any(batch.end > now for batch in batches):
        running = [(i, batch) for i, batch in enumerate(batches) if batch.end > now]
        for request, (at, tenant) in enumerate(arrivals):
            if at == now:
                full = len(queues[tenant]) == tenants[tenant].bound
                (dropped if full else queues[tenant]).append(request)
        while now < duration and len(running) < limit:
            ready = []
            for tenant, queue in enumerate(queues):
                rules = tenants[tenant]
                if queue and (len(queue) >= rules.max_batch or now - arrivals[queue[0]][0] >= rules.wait):
                    ready.append((rank(tenant, queues), tenant))
            if not ready:
                break
            tenant = min(ready)[1]
            rules = tenants[tenant]
            taken, queues[tenant] = queues[tenant][: rules.max_batch], queues[tenant][rules.max_batch :]
            size = min(each for each in rules.spans if each >= len(taken))
            lane = min(set(range(lanes)) - {batch.lane for _, batch in running})
            batch = Batch(tenant, lane, now, now + rules.spans[size], size, taken)
            batch.queued = [len(queue) for queue in queues]
            batch.ages = [now - arrivals[queue[0]][0] if queue else None for queue in queues]
            batch.running = [(i, max(0, other.end - now)) for i, other in running]
            running.append((len(batches), batch))
            batches.append(batch)
        for tenant, blocks in enumerate(alone_blocks):
            holders = {batch.tenant for _, batch in running}
            blocks.append(len(running) == limit and tenant not in holders)
        queued_by_ns.append(sum(len(queue) for queue in queues))
        live_by_ns.append(len(running))
        now += 1
    blocked = {}
    rest = [
        queue[i : i + tenants[t].max_batch]
        for t, queue in enumerate(queues)
        for i in range(0, len(queue), tenants[t].max_batch)
    ]
    for members, left in [(batch.requests, batch.at) for batch in batches] + [(part, duration) for part in rest]:
        tenant = arrivals[members[0]][1]
        rules = tenants[tenant]
        for request in members:
            own = 0
            for moment in range(arrivals[request][0], left):
                waited = moment - arrivals[members[0]][0] >= rules.wait
                full = len(members) == rules.max_batch and arrivals[members[-1]][0] <= moment
                own += (waited or full) and alone_blocks[tenant][moment]
            blocked[request] = own
    return Story(
        batches, dropped, [request for queue in queues for request in queue], blocked, queued_by_ns, live_by_ns
    )
