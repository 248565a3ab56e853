"""What is asked of NVML, as a Protocol that the module `pynvml` (distribution nvidia-ml-py) fulfils."""

from typing import Any, Protocol

CLOCK_SM, CLOCK_MEMORY = 1, 2  # nvmlClockType_t
TEMPERATURE_GPU = 0  # nvmlTemperatureSensors_t
THRESHOLD_SLOWDOWN = 1  # nvmlTemperatureThresholds_t


class Nvml(Protocol):
    """The calls used, none of which changes a setting; every one may raise NVMLError, above all NotSupported."""

    def nvmlInit(self) -> None:  # noqa: N802
        """Load the library and attach to the driver."""

    def nvmlShutdown(self) -> None:  # noqa: N802
        """Detach again."""

    def nvmlSystemGetDriverVersion(self) -> Any:  # noqa: N802
        """Return the driver's version, e.g. `580.65.06`."""

    def nvmlSystemGetCudaDriverVersion(self) -> int:  # noqa: N802
        """Return the CUDA version of the driver as 1000 x major + 10 x minor."""

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        """Return the number of GPUs."""

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any:  # noqa: N802
        """Return a GPU's handle."""

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Any:  # noqa: N802
        """Return the handle of the GPU with this UUID: under CUDA_VISIBLE_DEVICES an index means another one."""

    def nvmlDeviceGetName(self, handle: Any) -> Any:  # noqa: N802
        """Return its name."""

    def nvmlDeviceGetUUID(self, handle: Any) -> Any:  # noqa: N802
        """Return its UUID, `GPU-...`."""

    def nvmlDeviceGetCudaComputeCapability(self, handle: Any) -> tuple[int, int]:  # noqa: N802
        """Return (major, minor)."""

    def nvmlDeviceGetMemoryInfo(self, handle: Any) -> Any:  # noqa: N802
        """Return an object with `total`, `free`, `used` in bytes."""

    def nvmlDeviceGetClockInfo(self, handle: Any, kind: int) -> int:  # noqa: N802
        """Return a clock now, MHz."""

    def nvmlDeviceGetMaxClockInfo(self, handle: Any, kind: int) -> int:  # noqa: N802
        """Return a clock's maximum, MHz."""

    def nvmlDeviceGetPerformanceState(self, handle: Any) -> int:  # noqa: N802
        """Return the P-state, 0 the fastest."""

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: Any) -> int:  # noqa: N802
        """Return the mask of what holds the clocks down."""

    def nvmlDeviceGetTemperature(self, handle: Any, sensor: int) -> int:  # noqa: N802
        """Return the temperature, degrees Celsius."""

    def nvmlDeviceGetMarginTemperature(self, handle: Any) -> int:  # noqa: N802
        """Return how far it is from slowing down, degrees Celsius."""

    def nvmlDeviceGetTemperatureThreshold(self, handle: Any, kind: int) -> int:  # noqa: N802
        """Return the temperature at which something happens, degrees Celsius."""

    def nvmlDeviceGetPowerUsage(self, handle: Any) -> int:  # noqa: N802
        """Return the power, mW."""

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: Any) -> int:  # noqa: N802
        """Return the power limit, mW."""

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Any) -> int:  # noqa: N802
        """Return the energy since the driver was loaded, mJ."""

    def nvmlDeviceGetUtilizationRates(self, handle: Any) -> Any:  # noqa: N802
        """Return an object with `gpu` and `memory` in percent of the last sample period."""

    def nvmlDeviceGetComputeRunningProcesses(self, handle: Any) -> list[Any]:  # noqa: N802
        """Return objects with `pid`; often empty inside containers."""

    def nvmlDeviceGetMPSComputeRunningProcesses(self, handle: Any) -> list[Any]:  # noqa: N802
        """Return the clients of an MPS server, objects with `pid`."""

    def nvmlDeviceGetEccMode(self, handle: Any) -> list[int]:  # noqa: N802
        """Return [now, after the next reset], 1 = on."""

    def nvmlDeviceGetMigMode(self, handle: Any) -> list[int]:  # noqa: N802
        """Return [now, after the next reset], 1 = on."""

    def nvmlDeviceGetComputeMode(self, handle: Any) -> int:  # noqa: N802
        """Return 0 default, 2 prohibited, 3 exclusive process."""

    def nvmlDeviceGetPersistenceMode(self, handle: Any) -> int:  # noqa: N802
        """Return 1 if the driver stays loaded without clients."""

    def nvmlDeviceGetVirtualizationMode(self, handle: Any) -> int:  # noqa: N802
        """Return 0 none, 1 passed through, 2 virtual GPU, 3 and 4 host of virtual GPUs."""

    def nvmlDeviceGetVbiosVersion(self, handle: Any) -> Any:  # noqa: N802
        """Return the version of the card's firmware."""

    def nvmlDeviceGetCurrPcieLinkGeneration(self, handle: Any) -> int:  # noqa: N802
        """Return the PCIe generation in use; low while idle."""

    def nvmlDeviceGetMaxPcieLinkGeneration(self, handle: Any) -> int:  # noqa: N802
        """Return the PCIe generation that card and slot can do."""

    def nvmlDeviceGetCurrPcieLinkWidth(self, handle: Any) -> int:  # noqa: N802
        """Return the PCIe lanes in use."""

    def nvmlDeviceGetMaxPcieLinkWidth(self, handle: Any) -> int:  # noqa: N802
        """Return the PCIe lanes that card and slot can do."""

    def nvmlGpmQueryDeviceSupport(self, handle: Any) -> Any:  # noqa: N802
        """Return an object with `isSupportedDevice`: counters without ncu, from Hopper on."""


class NvmlGpm(Nvml, Protocol):
    """The calls and names of counters without ncu, from Hopper on; metrics are asked for by NVML_GPM_METRIC_*."""

    NVML_SUCCESS: int
    NVML_ERROR_NOT_SUPPORTED: int
    NVML_GPM_METRICS_GET_VERSION: int
    c_nvmlGpmMetricsGet_t: Any  # noqa: N815

    def nvmlGpmSampleAlloc(self) -> Any:  # noqa: N802
        """Return memory for one sample."""

    def nvmlGpmSampleFree(self, sample: Any) -> None:  # noqa: N802
        """Give it back."""

    def nvmlGpmSampleGet(self, handle: Any, sample: Any) -> Any:  # noqa: N802
        """Read the counters into a sample."""

    def nvmlGpmMetricsGet(self, asked: Any) -> Any:  # noqa: N802
        """Fill `metrics` of what is asked with values of the time between its two samples."""
