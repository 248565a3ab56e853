"""Source `nvml`: the driver's utilisation as nvidia-smi shows it, so that its uselessness as a feature can be shown.

NVML's reference, nvmlUtilization_t: percent of time over the past sample period in which one or more kernels ran; the
period is between 1/6 s and 1 s, by product. So nothing is read before the engine has run for longer than the longest.
"""

from statistics import median
from typing import Any

from cotenant.profiler.campaign.placement import Placement
from cotenant.profiler.counters.closed import Pace, run_alone
from cotenant.profiler.counters.nvml_device import (
    NvmlUnavailable,
    clocks_mhz,
    library_version,
    opened,
    refusals,
)
from cotenant.profiler.counters.sampled_row import over, sampled_row
from cotenant.profiler.experiments.closed_loop import LeadIn
from cotenant.profiler.quality.thresholds import Quality
from cotenant.runners.protocol import Engine, Runner

WHAT = "the driver's utilisation"
PERIOD_MAX_NS = 1_000_000_000
READ_EVERY_NS = 200_000_000
READS = 11  # two seconds from the first to the last


class UtilizationUnavailable(NvmlUnavailable):
    """The driver's utilisation cannot be read here: what, why, and what to do."""


def measure_utilization(
    runner: Runner, placement: Placement, engine: Engine, quality: Quality
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the row of `throughputs` with `gpu_utilization_pct` alone, without ids; and no rows of `kernels`.

    Raises:
        UtilizationUnavailable: NVML refuses.
        WorkError: The engine's lane died or hung.
    """
    shown_pct: list[float] = []
    clocks: list[dict[str, float | None]] = []
    with opened(placement.device, WHAT, UtilizationUnavailable) as (nvml, handle):

        def read() -> None:
            with refusals(WHAT, UtilizationUnavailable):
                shown_pct.append(float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu))
            clocks.append(clocks_mhz(nvml, handle))

        read()  # a refusal is known at once, not after a second
        shown_pct.clear()
        clocks.clear()
        lead_in = LeadIn(max(PERIOD_MAX_NS, int(quality.settle_s * 1e9)), quality.settle_executions)
        wall_ns = run_alone(runner, placement, engine, quality, Pace(lead_in, READ_EVERY_NS, READS), read)
        version = library_version(nvml)
    known = {
        "gpu_utilization_pct": median(shown_pct),
        "wall_ns": wall_ns,
        "profiler_version": version,
        **{name: over([each[name] for each in clocks]) for name in ("sm_clock_mhz", "memory_clock_mhz")},
    }
    return sampled_row("nvml", "utilization", known), []
