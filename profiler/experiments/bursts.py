"""Bursts: each tenant executes once, at a planned moment against the others; a block holds a few of them.

    lane 0  |gate|---a---|          rest |gate|---a---|          rest ...
    lane 1  |gate|..offset..|---b---|    |gate|..offset..|---b---|

Every burst begins from the same rest, in both arms of a comparison: a lane that has waited for the others would be
slower than one that comes straight from its last execution. The first burst of a block counts in no estimate.
"""

from collections.abc import Sequence

import numpy as np

from cotenant.profiler.experiments.bench import Bench, Tenant
from cotenant.profiler.experiments.blocks import hang_ns
from cotenant.profiler.experiments.closed_loop import Run, Sample, run_burst
from cotenant.profiler.experiments.quads import in_turns, run_quads
from cotenant.profiler.experiments.record import Record
from cotenant.profiler.quality.thresholds import Quality

BURSTS = 4  # a block: one that does not count, and three whose median does


def run_burst_quads(
    bench: Bench, tenants: Sequence[Tenant], delays_ns: Sequence[int], rng: np.random.Generator
) -> Record:
    """Run quads of bursts of each tenant alone and of all together until every slowdown is known well enough.

    `delays_ns` are the tenants' delays in bursts of all, each after its lane is ready.
    """
    record = Record(tenants)

    def together(quad_index: int) -> None:
        run = _block(bench, tenants, delays_ns)
        record.add_block(run, arm="co_run", role="main", quad_index=quad_index, offsets_ns=delays_ns)

    def alone(tenant: Tenant, quad_index: int) -> None:
        record.add_block(_block(bench, [tenant], [0]), arm="solo", role="solo", quad_index=quad_index)

    run_quads(bench, record, in_turns(tenants, alone, rng), together, rng)
    return record


def burst_seconds(spans_s: Sequence[float], quality: Quality) -> float:
    """Return the expected seconds of `run_burst_quads` at the last look."""
    together_s = BURSTS * (quality.rest_s + sum(spans_s))
    alone_s = sum(BURSTS * (quality.rest_s + span_s) for span_s in spans_s)
    return quality.look_quads[-1] * 2 * (together_s + alone_s)


def _block(bench: Bench, tenants: Sequence[Tenant], delays_ns: Sequence[int]) -> Run:
    samples: list[Sample] = []
    window_start_ns = 0
    for burst in range(BURSTS):
        rest_until_ns = bench.session.now_ns() + int(bench.quality.rest_s * 1e9)
        bench.session.wait(rest_until_ns)
        found = run_burst(bench.session, tenants, hang_ns(bench), delays_ns).samples
        if burst == 1:
            window_start_ns = min(sample.done.start_ns for sample in found)
        samples += found
    return Run(samples, window_start_ns, max(sample.done.end_ns for sample in samples))
