"""ABBA quads of short blocks, looked at a few times until the slowdown's interval is narrow (design section 6)."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from cotenant.datasets.quads import estimate_slowdown, is_narrow
from cotenant.profiler.experiments.bench import Bench, Tenant
from cotenant.profiler.experiments.closed_loop import run_for
from cotenant.profiler.experiments.lead_in import lead_in
from cotenant.profiler.experiments.record import Record

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
    """One block of each tenant alone, in an order drawn from the seed, led in."""

    def measure(quad_index: int) -> None:
        for index in rng.permutation(len(tenants)):
            tenant = tenants[index]
            lead_in(bench, record, [tenant])
            samples = run_for(bench.session, [tenant], block_ns(bench, [tenant]), [0], hang_ns(bench))
            record.add_block(samples, arm="solo", role="solo", quad_index=quad_index)

    return measure


def co_run_arm(bench: Bench, record: Record, tenants: Sequence[Tenant], rng: np.random.Generator) -> Arm:
    """One block of all tenants together, led in, the later ones delayed by offsets drawn from the seed."""
    offsets = offset_strata(2 * bench.quality.look_quads[-1], len(tenants) - 1, rng)

    def measure(quad_index: int) -> None:
        lead_in(bench, record, tenants)
        delays_ns = [0, *(int(part * tenants[0].span_ns) for part in next(offsets))]
        samples = run_for(bench.session, tenants, block_ns(bench, tenants), delays_ns, hang_ns(bench))
        record.add_block(samples, arm="co_run", role="main", quad_index=quad_index, offset_ns=delays_ns[1])

    return measure


def offset_strata(blocks: int, tenants: int, rng: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    """Yield one offset in [0, 1) per later tenant and block: a Latin hypercube, so that all phases are met."""
    strata = np.array([rng.permutation(blocks) for _ in range(tenants)]).reshape(tenants, blocks)
    yield from ((strata + rng.random((tenants, blocks))) / blocks).T


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
