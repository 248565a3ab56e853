"""Which tenant's batch goes first when several are ready: an order rule ranks tenants, the least rank goes.

A rule sees the queues as they are now and a tenant whose queue is not empty; ties go to the tenant named first. A new
rule is a function here and its line in ORDERS.
"""

import difflib
from collections.abc import Callable

from cotenant.models.errors import UserError
from cotenant.profiler.serving.queues import NEVER_NS, Queues

OrderRule = Callable[[Queues, int], int]


def oldest_head(queues: Queues, tenant: int) -> int:
    """First in first out over tenants: the queue whose first request arrived earliest."""
    return queues.arrival_ns[queues.waiting[tenant][0]]


def earliest_deadline(queues: Queues, tenant: int) -> int:
    """The queue whose first request must be done earliest; those without deadlines last."""
    allowed_ns = queues.deadline_ns[tenant]
    return NEVER_NS if allowed_ns == NEVER_NS else queues.head_ns(tenant) + allowed_ns


def longest_queue(queues: Queues, tenant: int) -> int:
    """The queue with the most requests."""
    return -len(queues.waiting[tenant])


ORDERS: dict[str, OrderRule] = {
    "fifo": oldest_head,
    "earliest_deadline": earliest_deadline,
    "longest_queue": longest_queue,
}


def order_rule(name: str) -> OrderRule:
    """Return an order rule by name; UserError with the nearest name otherwise."""
    if name not in ORDERS:
        near = difflib.get_close_matches(name, ORDERS, n=1)
        hint = f"did you mean `{near[0]}`?" if near else "known rules: " + ", ".join(ORDERS)
        raise UserError(f"unknown order rule {name!r}; {hint}")
    return ORDERS[name]
