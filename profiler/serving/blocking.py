"""Head-of-line blocking: how long a request waited, its batch ready to go, for no reason but other tenants' batches.

lanes held      |==b==|==c==|==b==|--a--|     concurrency 1
a's request        ^arrives      |dispatched
batch of a             ^ready (it has waited for more, or is full)
blocked_ns             [---------)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Held:
    """When lanes were held: by which tenant's batch, from its dispatch to its end (ends come first at ties)."""

    tenant: Ints
    dispatched_ns: Ints
    end_ns: Ints


def blocked_ns(
    held: Held, concurrency: int, tenant: Ints, ready_ns: Ints, left_ns: Ints, tenant_count: int
) -> NDArray[np.int64]:
    """Return for each request how much of [ready_ns, left_ns) other tenants' batches alone held all lanes in use.

    `ready_ns` is the later of the request's arrival and its batch's readiness, `left_ns` when it left its queue.
    """
    stamps = np.concatenate((held.end_ns, held.dispatched_ns))
    step = np.concatenate((np.full(len(held.end_ns), -1), np.ones(len(held.dispatched_ns), np.int64)))
    owner = np.concatenate((held.tenant, held.tenant))
    order = np.argsort(stamps, kind="stable")
    stamps, step, owner = stamps[order], step[order], owner[order]
    full = np.cumsum(step) >= concurrency
    found = np.zeros(len(tenant), np.int64)
    if not len(stamps):
        return found
    for index in range(tenant_count):
        own = np.cumsum(np.where(owner == index, step, 0))
        is_blocked = (full & (own == 0)).astype(np.int64)
        rows = np.flatnonzero((tenant == index) & (left_ns > ready_ns))
        clock = _BlockedClock(stamps, is_blocked)
        found[rows] = clock.at(left_ns[rows]) - clock.at(ready_ns[rows])
    return found


class _BlockedClock:
    """A clock that runs while its tenant is blocked: `is_blocked[i]` holds from stamps[i] to stamps[i + 1]."""

    def __init__(self, stamps: Ints, is_blocked: Ints) -> None:
        self.stamps, self.is_blocked = stamps, is_blocked
        self.reading = np.concatenate((np.zeros(1, np.int64), np.cumsum(is_blocked[:-1] * np.diff(stamps))))

    def at(self, times_ns: Ints) -> Ints:
        """Return its readings; 0 before the first stamp."""
        place = np.searchsorted(self.stamps, times_ns, side="right") - 1
        known = np.maximum(place, 0)
        running = self.reading[known] + self.is_blocked[known] * (times_ns - self.stamps[known])
        return np.where(place < 0, 0, running)


def batches_of_queue(requests: Sequence[int], max_batch: int) -> list[Sequence[int]]:
    """Cut a queue (oldest first) into the batches it would leave in."""
    return [requests[first : first + max_batch] for first in range(0, len(requests), max_batch)]
