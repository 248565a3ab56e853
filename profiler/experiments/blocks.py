"""Blocks as the thresholds of a campaign ask for them: how long they last, how long they lead in, what they take."""

from collections.abc import Sequence

from cotenant.profiler.experiments.bench import Bench, Tenant
from cotenant.profiler.experiments.closed_loop import LeadIn, Run, run_for
from cotenant.profiler.experiments.record import Record
from cotenant.profiler.quality.thresholds import Quality


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
