"""Which engine runs a batch, and from when on a batch is ready to go."""

from bisect import bisect_left
from collections.abc import Sequence

from cotenant.profiler.serving.deployment import TenantRules


def engine_of_count(tenant: TenantRules) -> list[int]:
    """Return the engine of every batch, by its number of requests: the size itself or the next larger one.

    Element 0 is never used. Engines are places in the cell's list of engines.
    """
    places = [bisect_left(tenant.sizes, count) for count in range(tenant.max_batch + 1)]
    return [tenant.engines[place] for place in places]


def ready_ns(arrivals_ns: Sequence[int], max_batch: int, wait_ns: int) -> int:
    """Return from when on a batch of these requests (oldest first) may go: it is full, or its first has waited."""
    waited = arrivals_ns[0] + wait_ns
    return min(waited, arrivals_ns[-1]) if len(arrivals_ns) == max_batch else waited
