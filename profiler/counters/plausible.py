"""Values that no GPU can have show a slip of units: shares for percent, microseconds for nanoseconds, MHz for Hz.

A slip that keeps every value possible cannot be seen here; the units that reports state are checked when one is read.
"""

import math
from collections.abc import Iterator, Sequence

from cotenant.models.errors import WorkError
from cotenant.profiler.counters.metrics import CLOCKS, DURATION, ELAPSED_CYCLES, OCCUPANCY, SM_CLOCK
from cotenant.profiler.counters.reports.report import Workload

HIGHEST_PCT = 110.0  # what is kept: percentages exceed 100 slightly, because passes of one kernel differ
MAX_PCT = 200.0  # what is believed of a short kernel's passes; beyond lies another unit
# An SM with any warp at all has at least one of at most 64 (CUDA programming guide, technical specifications), 1.56 %;
# ncu's CSV rounds that.
MIN_OCCUPANCY_PCT = 1.5
MIN_CLOCK_HZ, MAX_CLOCK_HZ = 1e7, 1e11  # idle memory to the fastest pins, with room to both sides
MAX_SLIP_RATIO = 30.0  # two statements of one time differ by far less, a wrong unit by 1000


class ReportImplausible(WorkError):
    """A report says what cannot be."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the counters cannot be used: {what}; profile the engine again, or report this ncu's version")


def doubt(workloads: Sequence[Workload], lasted_ns: Sequence[float]) -> str | None:
    """Return what cannot be about these workloads, or None.

    Args:
        lasted_ns: Durations that are to weigh them.
    """
    total_ns = math.fsum(lasted_ns)
    if not total_ns > 0 or min(lasted_ns) < 0:
        return f"the workloads last {total_ns:g} ns in all"
    stated_ns = math.fsum(each.metrics[DURATION] for each in workloads)
    if not _alike(stated_ns, total_ns):
        return f"the report's durations sum to {stated_ns:g} ns, those measured without the profiler to {total_ns:g} ns"
    return next((why for index, each in enumerate(workloads) for why in _doubts(f"result {index}", each)), None)


def _doubts(place: str, each: Workload) -> Iterator[str]:
    for name, value in each.metrics.items():
        if ".pct" in name and not 0 <= value <= MAX_PCT:
            yield f"{place} has {name} = {value:g} %"
        if name in CLOCKS and value and not MIN_CLOCK_HZ <= value <= MAX_CLOCK_HZ:
            yield f"{place} has {name} = {value:g} Hz"
    occupancy_pct = each.metrics.get(OCCUPANCY, 0)
    if 0 < occupancy_pct < MIN_OCCUPANCY_PCT:
        yield f"{place} has an occupancy of {occupancy_pct:g} %, less than one warp: it seems to be a share"
    cycles, clock_hz = each.metrics.get(ELAPSED_CYCLES), each.metrics.get(SM_CLOCK)
    if cycles and clock_hz and not _alike(cycles / clock_hz * 1e9, each.metrics[DURATION]):
        yield f"{place} has {cycles:g} cycles at {clock_hz:g} Hz in {each.metrics[DURATION]:g} ns"


def _alike(time_ns: float, other_ns: float) -> bool:
    low, high = sorted((time_ns, other_ns))
    return high <= low * MAX_SLIP_RATIO
