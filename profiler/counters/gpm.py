"""Tier `gpm`: counters that NVML reads by itself on Hopper and newer, without Nsight Compute and its permission.

Definitions of NVML's reference, enum nvmlGpmMetricId_t. They are not Nsight Compute's, and `counter_source` says so:

    sm_pct               SM_UTIL: part of the SMs that were busy, however little each of them did
    occupancy_pct        SM_OCCUPANCY: warps that were active, of the theoretical maximum
    tensor_pct           ANY_TENSOR_UTIL: part of the time in which SMs did any tensor operation
    dram_pct             DRAM_BW_UTIL: memory bandwidth used, of the theoretical maximum
    gpu_utilization_pct  GRAPHICS_UTIL: part of the time with any compute or graphics app active

There is none for L2. A value is of the time between two samples, which are taken while the engine runs back to back.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from cotenant.profiler.campaign.placement import Placement
from cotenant.profiler.counters.closed import Pace, run_alone
from cotenant.profiler.counters.nvml_device import (
    OTHERWISE,
    NvmlUnavailable,
    clocks_mhz,
    library_version,
    opened,
    refusals,
)
from cotenant.profiler.counters.sampled_row import over, sampled_row
from cotenant.profiler.experiments.closed_loop import LeadIn
from cotenant.profiler.quality.nvml import NvmlGpm
from cotenant.profiler.quality.nvml_reading import tried
from cotenant.profiler.quality.thresholds import Quality
from cotenant.runners.protocol import Engine, Runner

WHAT = "GPM"
WINDOWS = 10
WINDOW_NS = 100_000_000  # the counters are meant to be read about this far apart
METRICS = {
    "sm_pct": "NVML_GPM_METRIC_SM_UTIL",
    "occupancy_pct": "NVML_GPM_METRIC_SM_OCCUPANCY",
    "tensor_pct": "NVML_GPM_METRIC_ANY_TENSOR_UTIL",
    "dram_pct": "NVML_GPM_METRIC_DRAM_BW_UTIL",
    "gpu_utilization_pct": "NVML_GPM_METRIC_GRAPHICS_UTIL",
}


class GpmUnavailable(NvmlUnavailable):
    """GPM cannot be read here: what, why, and what to do."""


@dataclass
class Windows:
    """What was read, window by window.

    Attributes:
        values: One mapping of column -> percent per window; None where NVML did not tell.
        reasons: Column -> why it was not told.
        wall_ns: Median span of one execution meanwhile.
    """

    values: list[dict[str, float | None]] = field(default_factory=list)
    clocks: list[dict[str, float | None]] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    profiler_version: str | None = None
    wall_ns: int | None = None

    def spread(self) -> dict[str, tuple[float, float] | None]:
        """Return column -> (lowest, highest) of the windows; None where its median is not known."""
        found: dict[str, tuple[float, float] | None] = {}
        for name in METRICS:
            told = [value for window in self.values if (value := window[name]) is not None]
            found[name] = (min(told), max(told)) if told and len(told) == len(self.values) else None
        return found

    def row(self) -> dict[str, Any]:
        """Return the row of `throughputs`, without ids."""
        known: dict[str, Any] = {name: over([window[name] for window in self.values]) for name in METRICS}
        known |= {name: over([each[name] for each in self.clocks]) for name in ("sm_clock_mhz", "memory_clock_mhz")}
        known |= {"wall_ns": self.wall_ns, "profiler_version": self.profiler_version}
        return sampled_row("gpm", "gpm", known, self.reasons)


def measure_gpm(
    runner: Runner, placement: Placement, engine: Engine, quality: Quality
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the row of `throughputs` of an engine by GPM, without ids, and its rows of `kernels`: none.

    Raises:
        GpmUnavailable: NVML refuses.
        WorkError: The engine's lane died or hung.
    """
    return gpm_windows(runner, placement, engine, quality).row(), []


def gpm_windows(runner: Runner, placement: Placement, engine: Engine, quality: Quality) -> Windows:
    """Run an engine alone and read WINDOWS windows meanwhile; raises as `measure_gpm`."""
    with opened(placement.device, WHAT, GpmUnavailable) as (nvml, handle):
        _check_support(nvml, handle, placement.device.device_id)
        windows = Windows(profiler_version=library_version(nvml))
        lead_in = LeadIn(int(quality.settle_s * 1e9), quality.settle_executions)
        with _samples(nvml) as pair:
            reader = _Reader(nvml, handle, pair, windows)
            pace = Pace(lead_in, WINDOW_NS, WINDOWS + 1)
            windows.wall_ns = run_alone(runner, placement, engine, quality, pace, reader.read)
    if not any(over([window[name] for window in windows.values]) is not None for name in METRICS):
        raise GpmUnavailable(WHAT, "NVML told none of its metrics in every window", OTHERWISE)
    return windows


def _check_support(nvml: NvmlGpm, handle: Any, device_id: str) -> None:
    if device_id.startswith("MIG-") or (tried({}, "mig", lambda: nvml.nvmlDeviceGetMigMode(handle)[0]) or 0):
        raise GpmUnavailable(WHAT, f"{device_id} is in MIG mode, where it is of one instance only", OTHERWISE)
    with refusals(WHAT, GpmUnavailable):
        supported = bool(nvml.nvmlGpmQueryDeviceSupport(handle).isSupportedDevice)
    if not supported:
        raise GpmUnavailable(WHAT, f"NVML does not support it on {device_id}: it came with Hopper", OTHERWISE)


@contextmanager
def _samples(nvml: NvmlGpm) -> Iterator[list[Any]]:
    """Yield two samples, freed in every case."""
    with ExitStack() as kept:
        pair = []
        with refusals(WHAT, GpmUnavailable):
            for _ in range(2):
                sample = nvml.nvmlGpmSampleAlloc()
                kept.callback(_free, nvml, sample)
                pair.append(sample)
        yield pair


def _free(nvml: NvmlGpm, sample: Any) -> None:
    tried({}, "free", lambda: nvml.nvmlGpmSampleFree(sample))


class _Reader:
    """Reads a sample at each visit; from the second on, the window since the one before."""

    def __init__(self, nvml: NvmlGpm, handle: Any, pair: list[Any], windows: Windows) -> None:
        self._nvml = nvml
        self._handle = handle
        self._before, self._now = pair
        self._windows = windows
        self._begun = False

    def read(self) -> None:
        with refusals(WHAT, GpmUnavailable):
            self._nvml.nvmlGpmSampleGet(self._handle, self._now)
            if self._begun:
                self._windows.values.append(self._metrics())
                self._windows.clocks.append(clocks_mhz(self._nvml, self._handle))
        self._begun = True
        self._before, self._now = self._now, self._before

    def _metrics(self) -> dict[str, float | None]:
        asked = self._nvml.c_nvmlGpmMetricsGet_t()
        asked.version = self._nvml.NVML_GPM_METRICS_GET_VERSION
        asked.numMetrics = len(METRICS)
        asked.sample1, asked.sample2 = self._before, self._now
        for index, name in enumerate(METRICS.values()):
            asked.metrics[index].metricId = getattr(self._nvml, name)
        told = self._nvml.nvmlGpmMetricsGet(asked)
        self._note_reasons(told)
        return {
            column: told.metrics[index].value if told.metrics[index].nvmlReturn == self._nvml.NVML_SUCCESS else None
            for index, column in enumerate(METRICS)
        }

    def _note_reasons(self, told: Any) -> None:
        reasons: Mapping[int, str] = {self._nvml.NVML_ERROR_NOT_SUPPORTED: "no_counter"}
        for index, column in enumerate(METRICS):
            code = told.metrics[index].nvmlReturn
            if code != self._nvml.NVML_SUCCESS:
                self._windows.reasons.setdefault(column, reasons.get(code, "not_reported"))
