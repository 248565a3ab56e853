"""ABBA quads of short blocks, looked at a few times until the slowdown's interval is narrow (design section 6)."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cotenant.datasets.quads import estimate_slowdown, is_narrow
from cotenant.profiler.experiments.bench import Bench, Tenant
from cotenant.profiler.experiments.closed_loop import LeadIn, Run, run_for
from cotenant.profiler.experiments.record import Record
from cotenant.profiler.quality.thresholds import Quality

Arm = Callable[[int], None]  # measures one block of an arm as part of the quad of that index


def run_quads(bench: Bench, record: Record, solo: Arm, treated: Arm, rng: np.random.Generator) -> None:
    """Run quads until every tenant's interval is narrow at a look, or to the last look; note why it stopped.

    Each quad is solo-treated-treated-solo or its mirror, by the seed: a linear drift cancels within a quad, and a
    pattern in time cannot line up with the arms.
    """
    quality = bench.quality
    for quad_index in range(quality.look_quads[-1]):
        outer, inner = (solo, treated) if rng.random() < 0.5 else (treated, solo)
        for arm in (outer, inner, inner, outer):
            arm(quad_index)
        if quad_index + 1 in quality.look_quads and all_narrow(record, bench):
            break


def all_narrow(record: Record, bench: Bench) -> bool:
    """Look once: estimate every tenant's slowdown, note its stop reason, and tell whether all are narrow."""
    quality = bench.quality
    narrow = True
    for name, blocks in record.quad_spans().items():
        estimate = estimate_slowdown(blocks, quality.look_alpha)
        own = is_narrow(estimate, quality.half_width_max_ratio or 0.0)
        record.stops[name] = "narrow" if own else "cap"
        narrow = narrow and own
    return narrow


def solo_arm(bench: Bench, record: Record, tenants: Sequence[Tenant], rng: np.random.Generator) -> Arm:
    """One block of each tenant alone: in an order drawn from the seed, and reversed in the quad's second half.

    So a linear drift cancels within a quad for each of them.
    """
    orders: dict[int, list[int]] = {}

    def measure(quad_index: int) -> None:
        again = orders.get(quad_index)
        order = [int(place) for place in rng.permutation(len(tenants))] if again is None else again[::-1]
        orders[quad_index] = order
        for tenant in (tenants[place] for place in order):
            record.add_block(run_block(bench, record, [tenant], [0]), arm="solo", role="solo", quad_index=quad_index)

    return measure


def co_run_arm(bench: Bench, record: Record, tenants: Sequence[Tenant], rng: np.random.Generator) -> Arm:
    """One block of all tenants together, the later ones delayed by offsets drawn from the seed."""
    offsets = drawn_offsets(bench.quality.look_quads, len(tenants) - 1, rng)

    def measure(quad_index: int) -> None:
        delays_ns = [0, *(int(part * tenants[0].span_ns) for part in next(offsets))]
        run = run_block(bench, record, tenants, delays_ns)
        record.add_block(run, arm="co_run", role="main", quad_index=quad_index, offset_ns=delays_ns[1])

    return measure


def drawn_offsets(look_quads: Sequence[int], tenants: int, rng: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    """Yield the offsets of each co-run block: all phases are met by each look, wherever measuring stops."""
    for before, look in pairwise((0, *look_quads)):
        yield from offset_strata(2 * (look - before), tenants, rng)


def offset_strata(blocks: int, tenants: int, rng: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    """Yield one offset in [0, 1) per later tenant and block: a Latin hypercube, so that all phases are met."""
    strata = np.array([rng.permutation(blocks) for _ in range(tenants)]).reshape(tenants, blocks)
    yield from ((strata + rng.random((tenants, blocks))) / blocks).T


def run_block(
    bench: Bench, record: Record, tenants: Sequence[Tenant], delays_ns: Sequence[int], moved: bool = False
) -> Run:
    """Run one block of these tenants; `moved` says that something was loaded or unloaded right before."""
    settled = not moved and all(record.has_run(tenant) for tenant in tenants)
    lead_in = block_lead_in(bench.quality, settled)
    return run_for(bench.session, tenants, lead_in, block_ns(bench, tenants), delays_ns, hang_ns(bench))


def block_lead_in(quality: Quality, settled: bool) -> LeadIn:
    """Return the lead-in of a block, longer where loading has kept a lane waiting."""
    if settled:
        return LeadIn(int(quality.lead_in_s * 1e9), quality.lead_in_executions)
    return LeadIn(int(quality.settle_s * 1e9), quality.settle_executions)


def block_seconds(spans_s: Sequence[float], quality: Quality, settled: bool = True) -> float:
    """Return the expected seconds of one block of tenants with these solo spans."""
    lead_in, slowest_s = block_lead_in(quality, settled), max(spans_s)
    led_in_s = max(lead_in.least_ns / 1e9, lead_in.executions * slowest_s)
    return led_in_s + max(quality.block_s, quality.block_executions_min * slowest_s * len(spans_s)) + 2 * slowest_s


def block_ns(bench: Bench, tenants: Sequence[Tenant]) -> int:
    """Return a block's length: the asked time, or longer where the slowest tenant needs it for enough executions.

    Tenants beside each other are slowed, at worst by a factor of their number (a device that only takes turns), so
    that much is allowed for.
    """
    slowest_ns = max(tenant.span_ns for tenant in tenants) * len(tenants)
    return max(int(bench.quality.block_s * 1e9), bench.quality.block_executions_min * slowest_ns)


def hang_ns(bench: Bench) -> int:
    """Return how long a lane may complete nothing."""
    return int(bench.quality.hang_s * 1e9)
