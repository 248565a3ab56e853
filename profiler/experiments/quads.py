"""ABBA quads of short blocks, looked at a few times until the slowdown's interval is narrow (design section 6)."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cotenant.datasets.quads import estimate_slowdown, is_narrow
from cotenant.profiler.experiments.bench import Bench, Tenant
from cotenant.profiler.experiments.blocks import block_seconds, run_block
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


def in_turns(tenants: Sequence[Tenant], measure: Callable[[Tenant, int], None], rng: np.random.Generator) -> Arm:
    """Measure each tenant alone: in an order drawn from the seed, and reversed in the quad's second half.

    So a linear drift cancels within a quad for each of them.
    """
    orders: dict[int, list[int]] = {}

    def measure_all(quad_index: int) -> None:
        again = orders.get(quad_index)
        order = [int(place) for place in rng.permutation(len(tenants))] if again is None else again[::-1]
        orders[quad_index] = order
        for place in order:
            measure(tenants[place], quad_index)

    return measure_all


def solo_arm(bench: Bench, record: Record, tenants: Sequence[Tenant], rng: np.random.Generator) -> Arm:
    """One block of each tenant alone."""

    def measure(tenant: Tenant, quad_index: int) -> None:
        record.add_block(run_block(bench, record, [tenant], [0]), arm="solo", role="solo", quad_index=quad_index)

    return in_turns(tenants, measure, rng)


def co_run_arm(bench: Bench, record: Record, tenants: Sequence[Tenant], rng: np.random.Generator) -> Arm:
    """One block of all tenants together, the later ones delayed by offsets drawn from the seed."""
    offsets = drawn_offsets(bench.quality.look_quads, len(tenants) - 1, rng)

    def measure(quad_index: int) -> None:
        delays_ns = [0, *(int(part * tenants[0].span_ns) for part in next(offsets))]
        run = run_block(bench, record, tenants, delays_ns)
        record.add_block(run, arm="co_run", role="main", quad_index=quad_index, offsets_ns=delays_ns)

    return measure


def run_beside(bench: Bench, tenants: Sequence[Tenant], rng: np.random.Generator) -> Record:
    """Run quads of each tenant alone and all of them together until every slowdown is known well enough."""
    record = Record(tenants)
    run_quads(bench, record, solo_arm(bench, record, tenants, rng), co_run_arm(bench, record, tenants, rng), rng)
    return record


def beside_seconds(spans_s: Sequence[float], quality: Quality) -> float:
    """Return the expected seconds of `run_beside` at the last look."""
    alone_s = sum(block_seconds([span_s], quality) for span_s in spans_s)
    return quality.look_quads[-1] * 2 * (block_seconds(spans_s, quality) + alone_s)


def drawn_offsets(look_quads: Sequence[int], tenants: int, rng: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    """Yield the offsets of each co-run block: all phases are met by each look, wherever measuring stops."""
    for before, look in pairwise((0, *look_quads)):
        yield from offset_strata(2 * (look - before), tenants, rng)


def offset_strata(blocks: int, tenants: int, rng: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    """Yield one offset in [0, 1) per later tenant and block: a Latin hypercube, so that all phases are met."""
    strata = np.array([rng.permutation(blocks) for _ in range(tenants)]).reshape(tenants, blocks)
    yield from ((strata + rng.random((tenants, blocks))) / blocks).T
