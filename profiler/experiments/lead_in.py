"""What runs, uncounted, before a block that counts, so that every counted block begins warm and in its own company.

A lane that paused starts slow, and one whose company changed takes a few executions to settle. On a shared 2-core CPU,
median spans at the start of a block, as ratios to those of the arm (21 pairs of engines of 5 ms to 13 ms):

    alone, after a pause           1.28 1.20 1.12 1.05 1.02 1.01 1.00 0.99
    alone, right after a co-run    1.03 1.02 1.00 0.98 0.97 0.97 0.97 0.97
    beside, after a pause          1.16 1.09 1.07 1.05 1.04 1.02 1.02 1.01
    beside, right after the same   1.00 0.99 0.99 0.99 0.99 0.99 0.99 0.99

More solo blocks follow a pause than co-run blocks, so without a lead-in their medians differ for no reason of the pair.
Loading pauses a lane for longer: 1.43 1.38 1.21 1.09 1.05 1.01 after a load (5 ms), and at 11 ms 1.17 1.09 1.06 1.04
1.02 1.02 1.02 1.01 1.01 1.01.
"""

from collections.abc import Sequence

from cotenant.profiler.experiments.bench import Bench, Tenant
from cotenant.profiler.experiments.closed_loop import run_for
from cotenant.profiler.experiments.record import Record

Length = tuple[int, int]  # (at least so many ns, at least so many executions): what cools down is warmed by either
AFTER_PAUSE: Length = (50_000_000, 8)
AFTER_LOAD: Length = (150_000_000, 15)


def lead_in(bench: Bench, record: Record, tenants: Sequence[Tenant]) -> None:
    """Run the same tenants as the block to come, unless they alone ran right before; longer where nothing ran yet."""
    names = tuple(sorted(tenant.name for tenant in tenants))
    before = record.blocks[-1].tenants if record.blocks else None
    if names != before:
        run_lead_in(bench, record, tenants, AFTER_LOAD if before is None else AFTER_PAUSE)


def run_lead_in(bench: Bench, record: Record, tenants: Sequence[Tenant], length: Length) -> None:
    """Run tenants for that long and keep what ran, marked as counting for nothing."""
    duration_ns = lead_in_ns([tenant.span_ns for tenant in tenants], length)
    samples = run_for(bench.session, tenants, duration_ns, [0] * len(tenants), int(bench.quality.hang_s * 1e9))
    record.add_block(samples, arm="lead_in", role="warmup")


def lead_in_ns(spans_ns: Sequence[float], length: Length) -> int:
    """Return how long a lead-in takes for engines of these solo spans."""
    least_ns, executions = length
    return max(least_ns, int(executions * max(spans_ns)))
