"""One queue of requests per tenant, first in first out; the rules of the tenants stand beside, as plain lists."""

from collections import deque
from collections.abc import Sequence

from cotenant.profiler.serving.deployment import TenantRules

NEVER_NS = (1 << 63) - 1


class Queues:
    """Queues of a deployment, by tenant; requests are places in `arrival_ns`.

    Attributes:
        waiting: Each tenant's queued requests, oldest first.
        arrival_ns: Every request's intended arrival on the session's clock, rising.
        max_batch, wait_ns, bound: The tenants' rules.
        deadline_ns: Latency allowed; NEVER_NS where any will do.
    """

    def __init__(self, tenants: Sequence[TenantRules], arrival_ns: list[int]) -> None:
        self.arrival_ns = arrival_ns
        self.waiting: list[deque[int]] = [deque() for _ in tenants]
        self.max_batch = [tenant.max_batch for tenant in tenants]
        self.wait_ns = [tenant.wait_ns for tenant in tenants]
        self.bound = [tenant.queue_bound for tenant in tenants]
        self.deadline_ns = [NEVER_NS if tenant.deadline_ns is None else tenant.deadline_ns for tenant in tenants]

    def head_ns(self, tenant: int) -> int:
        """Return the intended arrival of a tenant's oldest queued request; its queue must not be empty."""
        return self.arrival_ns[self.waiting[tenant][0]]

    def take(self, tenant: int) -> list[int]:
        """Form a batch: remove and return the oldest requests, at most `max_batch`."""
        queue = self.waiting[tenant]
        count = len(queue)
        if count <= self.max_batch[tenant]:
            batch = list(queue)
            queue.clear()
            return batch
        pop = queue.popleft
        return [pop() for _ in range(self.max_batch[tenant])]
