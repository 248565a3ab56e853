"""Which counters Nsight Compute is asked for, which column each fills, and what each chip has of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

DURATION = "gpu__time_duration.sum"
PASSES = "profiler__replayer_passes"
CAPABILITY = ("device__attribute_compute_capability_major", "device__attribute_compute_capability_minor")
SECTOR_BYTES = 32  # of L2, on every chip (Nsight Compute, Profiling Guide: "sector")

SM = "sm__throughput.avg.pct_of_peak_sustained_elapsed"
L2 = "lts__throughput.avg.pct_of_peak_sustained_elapsed"
DRAM = "gpu__dram_throughput.avg.pct_of_peak_sustained_elapsed"
MEMORY = "gpu__compute_memory_throughput.avg.pct_of_peak_sustained_elapsed"

ISSUE = "sm__inst_executed.avg.pct_of_peak_sustained_elapsed"
TENSOR = "sm__pipe_tensor_cycles_active.avg.pct_of_peak_sustained_elapsed"
OCCUPANCY = "sm__warps_active.avg.pct_of_peak_sustained_active"
L2_SECTORS = "lts__t_sectors.avg.pct_of_peak_sustained_elapsed"
L2_SECTOR_COUNT = "lts__t_sectors.sum"
DRAM_ACTIVE = "dram__throughput.avg.pct_of_peak_sustained_elapsed"
DRAM_BYTES = "dram__bytes.sum"
ELAPSED_CYCLES = "gpc__cycles_elapsed.max"
ACTIVE_CYCLES = "sm__cycles_active.avg"
SM_CLOCK = "gpc__cycles_elapsed.avg.per_second"
L2_CLOCK = "lts__cycles_elapsed.avg.per_second"
DRAM_CLOCK = "dram__cycles_elapsed.avg.per_second"
CLOCKS = (SM_CLOCK, DRAM_CLOCK, L2_CLOCK)


@dataclass(frozen=True)
class MetricSet:
    """What is asked for together, and how it is replayed.

    Attributes:
        replay_mode: As ncu's option --replay-mode takes it.
        cache_control: `none` leaves caches as they are. That is right where one pass suffices, or where each pass is a
            run of its own that warms them alike (Profiling Guide, "Application Replay"), never where kernels are
            replayed in place: the second pass would find what the first left.
        clock_control: Always `none`: clocks are read beside the counters, never set.
        aggregation: How one number is made of what a report holds; a word of the table `throughputs`.
    """

    name: Literal["paper", "single"]
    metrics: tuple[str, ...]
    replay_mode: Literal["kernel", "app-range"]
    cache_control: Literal["all", "none"]
    aggregation: Literal["kernel_wmean", "range"]
    clock_control: Literal["none"] = "none"


PAPER = MetricSet("paper", (DURATION, SM, L2, DRAM, MEMORY, *CLOCKS), "kernel", "all", "kernel_wmean")
SINGLE = MetricSet(
    "single",
    (
        DURATION,
        ELAPSED_CYCLES,
        ACTIVE_CYCLES,
        ISSUE,
        TENSOR,
        OCCUPANCY,
        L2_SECTORS,
        L2_SECTOR_COUNT,
        DRAM_ACTIVE,
        DRAM_BYTES,
        *CLOCKS,
    ),
    "app-range",
    "none",
    "range",
)
METRIC_SETS: Mapping[str, MetricSet] = {each.name: each for each in (PAPER, SINGLE)}


@dataclass(frozen=True)
class Filled:
    """How one column comes from metrics of one workload.

    Attributes:
        metrics: Where several are named, the largest counts.
        factor: The column's unit per unit of the metric (base units: ns, Hz, byte, sector, %).
        proxy_for: The metric that this column is of in the set `paper`, where this set has a stand-in for it; the
            numbers are related, not the same, and the row's counter_set tells which they are.
    """

    column: str
    metrics: tuple[str, ...]
    factor: float = 1.0
    proxy_for: str | None = None


CLOCK_COLUMNS = (
    Filled("sm_clock_mhz", (SM_CLOCK,), 1e-6),
    Filled("memory_clock_mhz", (DRAM_CLOCK,), 1e-6),
    Filled("l2_clock_mhz", (L2_CLOCK,), 1e-6),
)
# Throughput metrics are the maximum of their constituents (Profiling Guide, "Throughputs"), so in one and the same
# replay each stand-in, being one or two of the constituents, would lie at or below the metric that it stands for. The
# two sets are not replayed alike: `paper` flushes caches before each kernel, so either may be the larger.
FILLED: Mapping[str, tuple[Filled, ...]] = {
    "paper": (
        Filled("sm_pct", (SM,)),
        Filled("l2_pct", (L2,)),
        Filled("dram_pct", (DRAM,)),
        Filled("memory_pct", (MEMORY,)),
        *CLOCK_COLUMNS,
    ),
    "single": (
        Filled("sm_pct", (ISSUE, TENSOR), proxy_for=SM),
        Filled("l2_pct", (L2_SECTORS,), proxy_for=L2),
        Filled("dram_pct", (DRAM_ACTIVE,), proxy_for=DRAM),
        Filled("issue_pct", (ISSUE,)),
        Filled("tensor_pct", (TENSOR,)),
        Filled("occupancy_pct", (OCCUPANCY,)),
        Filled("l2_moved_bytes", (L2_SECTOR_COUNT,), SECTOR_BYTES),
        Filled("dram_moved_bytes", (DRAM_BYTES,)),
        *CLOCK_COLUMNS,
    ),
}
PERCENTAGES = ("sm_pct", "l2_pct", "dram_pct", "memory_pct", "issue_pct", "tensor_pct", "occupancy_pct")
AMOUNTS = ("l2_moved_bytes", "dram_moved_bytes")
CLOCKED = tuple(each.column for each in CLOCK_COLUMNS)


@dataclass(frozen=True)
class Chip:
    """What is known of one chip's counters.

    Attributes:
        capability: Compute capability, e.g. "9.0".
        passes: Name of a set -> replays of each workload that the counters' hardware needs.
        lacks: Metrics of both sets that do not exist on it.
    """

    capability: str
    name: str
    passes: Mapping[str, int]
    lacks: frozenset[str] = frozenset()


# Passes and missing metrics were computed without a GPU, for exactly these sets, by the pass scheduler of
# libnvperf_host.so as the header nvperf_host.h documents it (library of ncu-report 2026.3.1, header of
# nvidia-cuda-cupti 13.5.25): every metric's raw dependencies in one group, kind NVPA_ACTIVITY_KIND_PROFILER, isolated.
# The clocks add no pass to `paper` on any chip; the memory throughput adds up to two. ncu itself may add one or two:
# what it did is in each report. On TU10x `single` is two runs of the program, whose numbers belong to executions of
# their own (replay_passes says 2). Chips whose memory is LPDDR (Orin, Thor, GB10) have no DRAM counters.
NO_DRAM = frozenset({DRAM, DRAM_ACTIVE, DRAM_BYTES, DRAM_CLOCK})
CHIPS: Mapping[str, Chip] = {
    chip.capability: chip
    for chip in (
        Chip("7.5", "TU10x", {"paper": 7, "single": 2}),
        Chip("8.0", "GA100", {"paper": 9, "single": 1}),
        Chip("8.6", "GA10x", {"paper": 8, "single": 1}),
        Chip("8.7", "GA10B", {"paper": 8, "single": 1}, NO_DRAM),
        Chip("8.9", "AD10x", {"paper": 8, "single": 1}),
        Chip("9.0", "GH100", {"paper": 9, "single": 1}),
        Chip("10.0", "GB100", {"paper": 9, "single": 1}),
        Chip("11.0", "GB10B", {"paper": 10, "single": 1}, NO_DRAM),
        Chip("12.0", "GB20x", {"paper": 8, "single": 1}),
        Chip("12.1", "GB20B", {"paper": 8, "single": 1}, NO_DRAM),
    )
}


def lacking(capability: str | None) -> frozenset[str]:
    """Return the metrics of both sets that a chip does not have; none where the chip is unknown.

    Args:
        capability: Compute capability, e.g. "9.0"; None if unknown.
    """
    chip = CHIPS.get(capability or "")
    return chip.lacks if chip is not None else frozenset()


def available(metric_set: MetricSet, capability: str | None) -> tuple[str, ...]:
    """Return the metrics of a set that a chip has, in the set's order; all of them where the chip is unknown."""
    return tuple(metric for metric in metric_set.metrics if metric not in lacking(capability))


def expected_passes(metric_set: MetricSet, capability: str | None) -> int | None:
    """Return how often each workload is replayed for a set on a chip, at least; None where nobody computed it."""
    chip = CHIPS.get(capability or "")
    return None if chip is None else chip.passes[metric_set.name]
