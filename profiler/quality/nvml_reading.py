"""Everything that NVML tells of this machine's GPUs: which getter answers what, and which refuses with which error."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Self

from cotenant.profiler.quality.failure import failure
from cotenant.profiler.quality.nvml import CLOCK_MEMORY, CLOCK_SM, TEMPERATURE_GPU, THRESHOLD_SLOWDOWN, Nvml


@dataclass(frozen=True)
class GpuReading:
    """One GPU: what its getters answered, by name of GETTERS, and why the others did not."""

    index: int
    values: dict[str, Any] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class NvmlReading:
    """What NVML tells; `failure` says why it tells nothing.

    Attributes:
        cuda_version_code: CUDA version of the driver as 1000 x major + 10 x minor.
    """

    driver_version: str | None = None
    cuda_version_code: int | None = None
    gpus: tuple[GpuReading, ...] = ()
    failure: str | None = None

    @property
    def cuda_major(self) -> int | None:
        """Major CUDA version of the driver."""
        return None if self.cuda_version_code is None else self.cuda_version_code // 1000

    def stored(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_stored(cls, facts: dict[str, Any]) -> Self:
        """Return what `stored` was made from."""
        return cls(**{**facts, "gpus": tuple(GpuReading(**gpu) for gpu in facts["gpus"])})


GETTERS: dict[str, Callable[[Nvml, Any], Any]] = {
    "name": lambda nvml, gpu: text(nvml.nvmlDeviceGetName(gpu)),
    "uuid": lambda nvml, gpu: text(nvml.nvmlDeviceGetUUID(gpu)),
    "capability": lambda nvml, gpu: "{}.{}".format(*nvml.nvmlDeviceGetCudaComputeCapability(gpu)),
    "dram_bytes": lambda nvml, gpu: int(nvml.nvmlDeviceGetMemoryInfo(gpu).total),
    "dram_free_bytes": lambda nvml, gpu: int(nvml.nvmlDeviceGetMemoryInfo(gpu).free),
    "sm_clock_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, CLOCK_SM),
    "sm_clock_max_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetMaxClockInfo(gpu, CLOCK_SM),
    "memory_clock_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, CLOCK_MEMORY),
    "memory_clock_max_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetMaxClockInfo(gpu, CLOCK_MEMORY),
    "performance_state": lambda nvml, gpu: nvml.nvmlDeviceGetPerformanceState(gpu),
    "throttle_mask": lambda nvml, gpu: int(nvml.nvmlDeviceGetCurrentClocksEventReasons(gpu)),
    "temperature_c": lambda nvml, gpu: nvml.nvmlDeviceGetTemperature(gpu, TEMPERATURE_GPU),
    "temperature_margin_c": lambda nvml, gpu: nvml.nvmlDeviceGetMarginTemperature(gpu),
    "slowdown_temperature_c": lambda nvml, gpu: nvml.nvmlDeviceGetTemperatureThreshold(gpu, THRESHOLD_SLOWDOWN),
    "power_mw": lambda nvml, gpu: nvml.nvmlDeviceGetPowerUsage(gpu),
    "power_limit_mw": lambda nvml, gpu: nvml.nvmlDeviceGetEnforcedPowerLimit(gpu),
    "energy_mj": lambda nvml, gpu: nvml.nvmlDeviceGetTotalEnergyConsumption(gpu),
    "utilization_pct": lambda nvml, gpu: int(nvml.nvmlDeviceGetUtilizationRates(gpu).gpu),
    "compute_pids": lambda nvml, gpu: _pids(nvml.nvmlDeviceGetComputeRunningProcesses(gpu)),
    "mps_pids": lambda nvml, gpu: _pids(nvml.nvmlDeviceGetMPSComputeRunningProcesses(gpu)),
    "ecc_mode": lambda nvml, gpu: nvml.nvmlDeviceGetEccMode(gpu)[0],
    "mig_mode": lambda nvml, gpu: nvml.nvmlDeviceGetMigMode(gpu)[0],
    "compute_mode": lambda nvml, gpu: nvml.nvmlDeviceGetComputeMode(gpu),
    "persistence_mode": lambda nvml, gpu: nvml.nvmlDeviceGetPersistenceMode(gpu),
    "virtualization_mode": lambda nvml, gpu: int(nvml.nvmlDeviceGetVirtualizationMode(gpu)),
    "vbios_version": lambda nvml, gpu: text(nvml.nvmlDeviceGetVbiosVersion(gpu)),
    "pcie_generation": lambda nvml, gpu: nvml.nvmlDeviceGetCurrPcieLinkGeneration(gpu),
    "pcie_generation_max": lambda nvml, gpu: nvml.nvmlDeviceGetMaxPcieLinkGeneration(gpu),
    "pcie_lane_count": lambda nvml, gpu: nvml.nvmlDeviceGetCurrPcieLinkWidth(gpu),
    "pcie_lane_count_max": lambda nvml, gpu: nvml.nvmlDeviceGetMaxPcieLinkWidth(gpu),
    "gpm_supported": lambda nvml, gpu: bool(nvml.nvmlGpmQueryDeviceSupport(gpu).isSupportedDevice),
}


def read(nvml: Nvml) -> NvmlReading:
    """Read everything once; what refuses is kept with its error, and nothing raises."""
    try:
        nvml.nvmlInit()
    except Exception as error:
        return NvmlReading(failure=failure(error))
    refused: dict[str, str] = {}
    try:
        driver = tried(refused, "driver_version", lambda: text(nvml.nvmlSystemGetDriverVersion()))
        cuda = tried(refused, "cuda_version_code", lambda: int(nvml.nvmlSystemGetCudaDriverVersion()))
        count = tried(refused, "count", nvml.nvmlDeviceGetCount)
        gpus = tuple(_read_gpu(nvml, index) for index in range(count or 0))
        return NvmlReading(driver, cuda, gpus, refused.get("count"))
    finally:
        tried(refused, "shutdown", nvml.nvmlShutdown)


def _read_gpu(nvml: Nvml, index: int) -> GpuReading:
    refused: dict[str, str] = {}
    handle = tried(refused, "handle", lambda: nvml.nvmlDeviceGetHandleByIndex(index))
    if refused:
        return GpuReading(index, {}, refused)
    answers = {name: tried(refused, name, partial(get, nvml, handle)) for name, get in GETTERS.items()}
    return GpuReading(index, {name: value for name, value in answers.items() if name not in refused}, refused)


def tried(refused: dict[str, str], name: str, call: Callable[[], Any]) -> Any:
    """Return what a call answers; note its error, an older binding's missing function included, and return None."""
    try:
        return call()
    except Exception as error:
        refused[name] = failure(error)
        return None


def text(value: Any) -> str:
    """Return text that older bindings give as bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _pids(processes: list[Any]) -> list[int]:
    return [int(process.pid) for process in processes]
