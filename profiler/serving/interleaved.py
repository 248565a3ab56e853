"""What the deployed engines take in turns: what loads become rates by."""

from collections.abc import Sequence
from statistics import median_low

from cotenant.profiler.experiments.bench import Tenant
from cotenant.profiler.experiments.closed_loop import Run


def medians_ns(run: Run, tenants: Sequence[Tenant]) -> list[int]:
    """Return the median span of each tenant's engine within the window."""
    spans: dict[str, list[int]] = {tenant.engine.engine_id: [] for tenant in tenants}
    for sample in run.samples:
        if sample.done.start_ns >= run.window_start_ns:
            spans[sample.tenant.engine.engine_id].append(sample.done.end_ns - sample.done.start_ns)
    return [median_low(own) for own in spans.values()]
